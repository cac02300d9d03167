// SPDX-License-Identifier: Apache-2.0
//
// An Idempotency-Key buys once: however often, however parallel, across a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, multipart, small, start } from './harness.js';
import { dataUri, tiny } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const other = await server.addKey('other', { tenant: 'other' });
const colleague = await server.addKey('colleague', { tenant: 'first' });
const wish = { model: 'sora-2', prompt: 'make animate', ...small };

const create = (idempotencyKey, options) => server.call('POST', '/v1/video/create', { ...options, headers: { 'Idempotency-Key': idempotencyKey, ...options.headers } });

async function count(options) {
    return (await server.call('GET', '/v1/video/tasks?limit=100', options)).json.data.length;
}

test('64 connections with the same key at once make one task, and all get the same bytes', async () => {
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 64 }, () => create('storm', { json: wish, agent: false })));
    assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
    assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
    assert.equal(await count(), before + 1);
});
test('64 connections with an image each', async () => {
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 64 }, () => create('storm-image', { json: { ...wish, images: [dataUri(tiny)] }, agent: false })));
    assert.equal(new Set(answers.map((answer) => answer.text)).size, 1);
    assert.equal(await count(), before + 1);
    const task = await server.waitEnd(answers[0].json.id);
    assert.equal(task.status, 'completed', 'the one image that counts was not erased with the copies');
    assert.ok((await server.fetchLink(task.detail.input.images[0])).bytes.equals(tiny));
});
test('the same answer also when the task has moved on', async () => {
    const first = await create('later', { json: wish });
    await server.waitEnd(first.json.id);
    const second = await create('later', { json: wish });
    assert.equal(second.text, first.text);
});
test('the order of the fields does not matter', async () => {
    const first = await create('order', { json: wish });
    const turned = Object.fromEntries(Object.entries(wish).reverse());
    assert.equal((await create('order', { json: turned })).text, first.text);
});
test('another body under the same key: 409, and the task is untouched', async () => {
    const first = await create('taken', { json: wish });
    for (const change of [{ prompt: 'another' }, { duration: 2 }, { images: [dataUri(tiny)] }, { seed: 1 }, { model: 'veo3' }]) {
        const answer = await create('taken', { json: { ...wish, ...change } });
        assert.deepEqual([answer.status, answer.json.code], [409, 'idempotency_key_reused'], JSON.stringify(change));
        assert.match(answer.json.message, /send this one with a key of its own/);
    }
    assert.equal((await server.query(first.json.id)).detail.input.prompt, wish.prompt);
});
test('another tenant with the same key has a task of its own', async () => {
    const first = await create('shared', { json: wish });
    const second = await create('shared', { json: wish, key: other });
    assert.equal(second.status, 200);
    assert.notEqual(second.json.id, first.json.id);
});
test('another key of the same tenant finds the same task', async () => {
    const tenantKey = await server.addKey('second-of-shared', { tenant: 'first' });
    const first = await create('tenant', { json: wish, key: colleague });
    assert.equal((await create('tenant', { json: wish, key: tenantKey })).text, first.text);
});
test('multipart with other boundaries is the same request', async () => {
    const parts = [...Object.entries(wish).map(([name, value]) => ({ name, value })), { name: 'images', filename: 'a.png', type: 'image/png', bytes: tiny }];
    const first = await create('form', multipart(parts, 'one-boundary'));
    const second = await create('form', multipart(parts, 'quite-another'));
    assert.equal(first.status, 200, first.text);
    assert.equal(second.text, first.text);
    const renamed = parts.map((part) => (part.filename ? { ...part, filename: 'other-name.png' } : part));
    assert.equal((await create('form', multipart(renamed))).text, first.text, 'a file\'s name is not its content');
});
test('multipart with other bytes is another request', async () => {
    const parts = (bytes) => [...Object.entries(wish).map(([name, value]) => ({ name, value })), { name: 'images', filename: 'a.png', type: 'image/png', bytes }];
    await create('form-bytes', multipart(parts(tiny)));
    const answer = await create('form-bytes', multipart(parts(Buffer.concat([tiny, Buffer.from([0])]))));
    assert.equal(answer.status, 409, answer.text);
});
test('without a key each request is a task', async () => {
    const first = await server.create({}), second = await server.create({});
    assert.notEqual(first.id, second.id);
});
test('every printable character may stand in a key, up to 255 of them', async () => {
    const key = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('');
    for (const text of [key, 'x'.repeat(255)]) {
        const first = await create(text, { json: wish });
        assert.equal(first.status, 200, first.text);
        assert.equal((await create(text, { json: wish })).text, first.text);
    }
    assert.equal((await create('x'.repeat(254), { json: wish })).status, 200, 'a shorter key is another one');
});
test('a refused request leaves its key free', async () => {
    const answer = await create('free', { json: { ...wish, duration: -1 } });
    assert.equal(answer.status, 400);
    assert.equal((await create('free', { json: wish })).status, 200);
});
test('a key is remembered across a restart, and across a kill', async () => {
    const first = await create('restart', { json: wish });
    await server.restart();
    assert.equal((await create('restart', { json: wish })).text, first.text);
    await server.kill();
    await server.restart();
    assert.equal((await create('restart', { json: wish })).text, first.text);
    assert.equal((await create('restart', { json: { ...wish, seed: 2 } })).status, 409);
});

test('the servers ended well', endedWell);
