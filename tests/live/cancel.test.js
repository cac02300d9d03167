// SPDX-License-Identifier: Apache-2.0
//
// Cancelling: at once, for good, and nothing goes on working for a task that nobody wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, isAlive, start, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const slow = { duration: 60, size: 'large' };

function isCancelled(answer) {
    assert.deepEqual([answer.status, answer.error.code, answer.detail.status], ['failed', 'cancelled', 'failed']);
    assert.equal(answer.video_url, null);
}

test('a task in work: cancelled, and its helper is gone soon', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id, 0);
    const helper = await server.waitHelper();
    const answer = await server.cancel(id);
    assert.equal(answer.status, 200);
    isCancelled(answer.json);
    isCancelled(await server.query(id));
    await until('the helper to be gone', () => !isAlive(helper), { limit: 30_000, every: 10 });
    assert.equal(server.helpers().length, 0);
});
test('a task in the queue: cancelled, never begun', async () => {
    const holder = await server.create(slow);
    const { id } = await server.create({});
    const answer = await server.cancel(id);
    assert.equal(answer.status, 200);
    isCancelled(answer.json);
    assert.equal(answer.json.progress, 0);
    assert.equal((await server.query(holder.id)).status, 'pending', 'the other one goes on');
    await server.cancel(holder.id);
});
test('twice is fine, with the same answer', async () => {
    const { id } = await server.create(slow);
    const first = await server.cancel(id), second = await server.cancel(id);
    assert.deepEqual([first.status, second.status], [200, 200]);
    assert.equal(second.text, first.text);
});
test('by query parameter, by task_id, without the prefix', async () => {
    for (const ask of [
        (id) => server.call('POST', `/v1/video/cancel?id=${id}`),
        (id) => server.call('POST', `/v1/video/cancel?task_id=${id}`),
        (id) => server.call('POST', '/v1/video/cancel', { json: { task_id: id } }),
        (id) => server.call('POST', '/v1/video/cancel', { json: { id: id.split(':')[1] } }),
        (id) => server.call('POST', '/v1/video/cancel', { json: { id }, headers: { 'Content-Type': 'text/plain' } }),
    ]) {
        const { id } = await server.create(slow);
        const answer = await ask(id);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json.id, id);
        isCancelled(answer.json);
    }
});
test('completed: 409, and it stays completed', async () => {
    const { id } = await server.complete({});
    const answer = await server.cancel(id);
    assert.deepEqual([answer.status, answer.json.code, answer.json.status, answer.json.id], [409, 'task_already_ended', 'completed', id]);
    assert.equal((await server.query(id)).status, 'completed');
});
test('failed: 409', async () => {
    const { id } = await server.create({ images: ['http://127.0.0.1:9/forbidden.png'] });
    assert.equal((await server.waitEnd(id)).error.code, 'image_forbidden');
    const answer = await server.cancel(id);
    assert.deepEqual([answer.status, answer.json.code, answer.json.status], [409, 'task_already_ended', 'failed']);
});
test('foreign, unknown, malformed: 404', async () => {
    const other = await server.addKey('other', { tenant: 'other' });
    const { id } = await server.create(slow);
    for (const [wanted, key] of [[id, other], ['sora-2:task_01k6x15vhrff09dkkqjrzwhm60', server.key], ['nonsense', server.key]]) {
        const answer = await server.cancel(wanted, { key });
        assert.deepEqual([answer.status, answer.json.code], [404, 'task_not_exist']);
    }
    assert.equal((await server.query(id)).status, 'pending');
    await server.cancel(id);
});
test('32 at once for one task: all say cancelled', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id, 0);
    const answers = await Promise.all(Array.from({ length: 32 }, () => server.cancel(id, { agent: false })));
    for (const answer of answers) {
        assert.equal(answer.status, 200, answer.text);
        isCancelled(answer.json);
    }
});
test('at any moment of a task\'s life it ends as one or the other, and stays so', async () => {
    for (let pause = 0; pause < 400; pause += 40) {
        const { id } = await server.create({});
        await new Promise((done) => setTimeout(done, pause));
        const answer = await server.cancel(id);
        const end = await server.waitEnd(id);
        if (answer.status === 200) isCancelled(end);
        else assert.deepEqual([answer.status, end.status], [409, 'completed']);
    }
});
test('a cancelled task stays cancelled across a kill', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id, 0);
    assert.equal((await server.cancel(id)).status, 200);
    await server.kill();
    await server.restart();
    isCancelled(await server.query(id));
    assert.equal(server.helpers().length, 0);
});
test('the slot of a cancelled task is free for others', () => server.complete({}));

test('the servers ended well', endedWell);
