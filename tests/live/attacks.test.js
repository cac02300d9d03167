// SPDX-License-Identifier: Apache-2.0
//
// What somebody sends who means harm: the gateway answers, stays small, and makes nothing twice.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { endedWell, start } from './harness.js';

const server = await start();
const full = await start({ config: 'limits:\n  queue: 1\nrender:\n  slots: 1\ndrain: 1s\n' }); // it ends with a long task under way

/* What comes back for raw bytes, until the first answer's head is there. */
function raw(bytes) {
    return new Promise((resolve, reject) => {
        const socket = net.connect(server.port, '127.0.0.1', () => socket.write(bytes));
        let text = '';
        socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer: ${text}`)));
        socket.on('data', (data) => {
            text += data;
            if (text.includes('\r\n\r\n')) socket.end();
        });
        socket.on('close', () => resolve(text));
        socket.on('error', reject);
    });
}

for (const [name, rest] of Object.entries({
    'a length': 'Content-Length: 5\r\n\r\nhello',
    'chunks': 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
}))
    test(`OPTIONS with a body of ${name} is a preflight like any other`, async () => {
        assert.match(await raw(`OPTIONS /v1/video/create HTTP/1.1\r\nHost: x\r\n${rest}`), /^HTTP\/1\.1 204 /);
        assert.match(await raw(`OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\n${rest}`), /^HTTP\/1\.1 204 /);
    });

const peak = () => Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);

test('millions of empty objects are refused before they are built', async () => {
    const before = peak();
    const body = `{"model": "sora-2", "prompt": "x", "a": [${'{},'.repeat(4 << 20)}{}]}`;
    const answer = await server.call('POST', '/v1/video/create', { body, headers: { 'Content-Type': 'application/json' } });
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.json.message, /too many members/);
    assert.ok(peak() - before < 200 * 1024, `${peak() - before} KiB more`);
});

test('nor are they built out of texts, a few thousand from each', async () => {
    const before = peak();
    const images = Array(500).fill(`[${'[],'.repeat(9000)}[]]`);
    const answer = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'x', images } });
    assert.deepEqual([answer.status, answer.json.error.param], [400, 'images'], answer.text);
    assert.ok(peak() - before < 200 * 1024, `${peak() - before} KiB more`);
});

test('a prompt of control characters is rendered', async () => {
    const { id } = await server.create({ prompt: '\u0001'.repeat(32768), duration: 1 });
    assert.equal((await server.waitEnd(id)).status, 'completed');
});

test('a full queue still knows what it accepted', async () => {
    const headers = { 'Idempotency-Key': 'once' };
    const json = { model: 'sora-2', prompt: 'x', duration: 60, size: 'large' };
    const ask = (prompt, key) => full.call('POST', '/v1/video/create', { json: { ...json, prompt }, headers: { 'Idempotency-Key': key } });
    const first = await full.call('POST', '/v1/video/create', { json, headers });
    assert.equal(first.status, 200, first.text);
    const again = await ask('x', 'once');
    assert.deepEqual([again.status, again.text], [200, first.text]);
    assert.equal((await ask('y', 'once')).status, 409);
    assert.equal((await ask('y', 'another')).status, 503);
    await full.cancel(first.json.id);
    assert.equal((await ask('y', 'another')).status, 200, 'a refusal does not spoil its key');
});

test('the servers ended well', endedWell);
