// SPDX-License-Identifier: Apache-2.0
//
// Work that would take all memory, all disk or all time: that task fails with a code of its own, and the
// gateway does not blink. (Crashes and stalls: helper-crash. Without limits on memory under sanitizers.)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { BINARY, endedWell, newDirectory, start, tool, until } from './harness.js';
import { dataUri, imageServer, png } from './media.js';

// A PNG's first bytes, which promise so many pixels; nothing behind them.
function promise(width, height) {
    const head = Buffer.concat([Buffer.from('IHDR'), Buffer.alloc(13)]);
    head.writeUInt32BE(width, 4);
    head.writeUInt32BE(height, 8);
    head.set([8, 6], 12);
    const chunk = Buffer.alloc(8 + 17);
    chunk.writeUInt32BE(13, 0);
    head.copy(chunk, 4);
    chunk.writeUInt32BE(zlib.crc32(head), 21);
    return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk]);
}

const huge = png(9000, 9000, () => [120, 90, 60]);
const web = await imageServer((request, response) => response.end(request.url === '/huge' ? huge : promise(40_000, 40_000)));
const server = await start({ config: `render:
  slots: 2
  memory: 512MiB
limits:
  image_pixels: 100000000
fetch:
  allow: ["127.0.0.1:${web.port}"]
` });

const narrow = await start({ config: 'render:\n  slots: 2\n  file: 1MiB\n' });

async function fails(fields, code, on = server) {
    const { id } = await on.create(fields);
    const beside = on.complete({}); // another task, at the same time
    const end = await on.waitEnd(id);
    assert.deepEqual([end.status, end.error?.code], ['failed', code]);
    assert.match(end.error.message, /charged/);
    await beside;
}

test('a memory bomb: an image within the limits that needs more than a helper may take', () => fails({ images: [dataUri(huge)] }, 'render_memory'));
test('the same by URL', () => fails({ images: [`${web.url}/huge`] }, 'render_memory'));
test('a pixel bomb is refused by its header, before a task exists', async () => {
    const answer = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'x', images: [dataUri(promise(40_000, 40_000))] } });
    assert.deepEqual([answer.status, answer.json.code], [400, 'image_invalid']);
});
test('a pixel bomb by URL', () => fails({ images: [`${web.url}/pixels`] }, 'image_invalid'));
test('an output beyond the limit of files', () => fails({ size: '1920x1920', duration: 60, prompt: 'endless' }, 'output_too_large', narrow));
test('the doctor sees that a helper may not write its film', async () => {
    const args = ['doctor', '--json', '--data', path.join(newDirectory(), 'data'), '--listen', '127.0.0.1:0'];
    const { code, stdout } = await tool('sh', '-c', 'ulimit -f 0; exec "$0" "$@"', BINARY, ...args).catch((error) => error);
    assert.equal(code, 1);
    const helper = JSON.parse(stdout.toString()).checks.find(({ check }) => check === 'helper');
    assert.equal(helper.verdict, 'problem');
    assert.match(JSON.stringify(helper), /raise render\.file/);
});
test('nothing is left of them', async () => {
    for (const { data } of [server, narrow]) {
        const files = fs.readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
        const sizes = files.filter(({ name }) => /\.mp4$/.test(name)).map((file) => fs.statSync(path.join(file.parentPath, file.name)).size);
        assert.ok(sizes.every((size) => size <= 1 << 20), `${sizes}`);
        assert.deepEqual(files.filter(({ name }) => /tmp|spool/.test(name)), []);
    }
    await until('the helpers to be gone', () => server.helpers().length + narrow.helpers().length === 0);
});

test('the servers ended well', endedWell);
