// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the simulated vendors share: those with the vendors' own clients are vendor-NAME.test.js and
// simulators.test.js.
import assert from 'node:assert/strict';

export const KEY = 'sim-key';
export const NOBODY = 'http://127.0.0.1:9/told'; // an address to call back at which nobody is
export const LIMIT = { limit: 20_000, every: 20 };
export const SHORT = { queue_ms: 80, duration_ms: 120 };
export const STEADY = { queue_ms: 600, duration_ms: 600 }; // where a test looks at what lies between
export const LONG = { queue_ms: 0, duration_ms: 60_000 };
export const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

// Of a test: the simulator as new, then with this program.
export function prepare(simulator, program = {}) {
    simulator.ledger.reset();
    simulator.script.reset();
    Object.assign(simulator.settings, simulator.firstSettings);
    assert.equal(simulator.program(program), null);
}

export async function talk(simulator, method, target, { body, key = KEY, headers = {}, ...options } = {}) {
    const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
    const url = target.startsWith('http') ? target : `${simulator.url}${target}`;
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(url, { method, body: text, headers: { ...authorization, ...headers }, ...options });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const isJson = answer.headers.get('content-type')?.startsWith('application/json');
    return { status: answer.status, headers: answer.headers, bytes, json: isJson ? JSON.parse(bytes) : undefined };
}

export const isVideo = (bytes) => assert.equal(bytes.subarray(4, 8).toString(), 'ftyp');
export const submits = (simulator) => simulator.told('submit').entries;
