// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the simulated vendors share, those with the vendors' own clients (vendor-NAME.test.js,
// simulators.test.js) and those with filmgate before them.
import assert from 'node:assert/strict';
import { until } from './harness.js';

export const KEY = 'sim-key';
export const NOBODY = 'http://127.0.0.1:9/told'; // an address to call back at which nobody is
export const LIMIT = { limit: 20_000, every: 20 };
export const SHORT = { queue_ms: 80, duration_ms: 120 };
export const STEADY = { queue_ms: 600, duration_ms: 600 }; // where a test looks at what lies between
export const LONG = { queue_ms: 0, duration_ms: 60_000 };
export const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
export const BAD_BODIES = ['{', 'null', '[]', '7']; // none of them is an object

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

// Of Google's client: an operation as it is now, and when it has ended; an image.
export function operationsOf(genai) {
    const look = (operation) => genai.operations.getVideosOperation({ operation });
    const end = (operation) => until('the operation', async () => {
        const now = await look(operation);
        return now.done && now;
    }, LIMIT);
    return { look, end };
}
export const GOOGLE_IMAGE = { imageBytes: PIXEL.toString('base64'), mimeType: 'image/png' };

// Asks a gateway for a film of the model's own size and length.
export const film = (server, model, prompt, more = {}) => server.create({ model, prompt, size: undefined, duration: undefined, ...more });

// Waits until what was asked for (film's answer, or the promise of it) has ended well; its end.
export async function isDone(server, asked) {
    const ended = await server.waitEnd((await asked).id);
    assert.equal(ended.status, 'completed', JSON.stringify(ended.error) + server.log.slice(-1500));
    return ended;
}
