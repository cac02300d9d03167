// SPDX-License-Identifier: Apache-2.0
//
// Who sees what: a tenant its own tasks by any of its keys, an operator all, nobody else any. Keys
// are made and revoked by a command while the server runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, endedWell, start, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n', key: { tenant: 'red' } });
const red = server.key;
const blue = await server.addKey('blue', { tenant: 'blue' });
const rotated = await server.addKey('red-next', { tenant: 'red' });
const operator = await server.addKey('operator', { operator: true });
const ofRed = await server.create({ prompt: 'red' }), ofBlue = await server.create({ prompt: 'blue' }, { key: blue });

const look = (id, key) => server.call('GET', `/v1/video/query?id=${id}`, { key });
const listed = async (key) => (await server.call('GET', '/v1/video/tasks?limit=100', { key })).json.data.map((task) => task.id);

test('a tenant queries its own task only', async () => {
    assert.equal((await look(ofRed.id, red)).status, 200);
    assert.equal((await look(ofRed.id, blue)).status, 404);
    assert.equal((await look(ofBlue.id, blue)).status, 200);
    assert.equal((await look(ofBlue.id, red)).status, 404);
});
test('a foreign and an unknown task answer with the same bytes', async () => {
    const unknown = 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60';
    const [a, b] = [await look(ofRed.id, blue), await look(unknown, blue)];
    assert.equal(a.text.replaceAll(ofRed.id, 'ID'), b.text.replaceAll(unknown, 'ID'));
});
test('a tenant lists its own tasks only', async () => {
    assert.deepEqual(await listed(blue), [ofBlue.id]);
    assert.ok(!(await listed(red)).includes(ofBlue.id));
});
test('a tenant cancels its own tasks only', async () => {
    const slow = await server.create({ duration: 60, size: 'large' });
    assert.equal((await server.cancel(slow.id, { key: blue })).status, 404);
    assert.equal((await server.query(slow.id)).status, 'pending');
    assert.equal((await server.cancel(slow.id)).status, 200);
});
test('a rotated key of the tenant sees the tasks of the old one', async () => {
    assert.equal((await look(ofRed.id, rotated)).status, 200);
    assert.ok((await listed(rotated)).includes(ofRed.id));
});
test('the user word differs between tenants and is equal for keys of one', async () => {
    const word = async (key) => {
        const { id } = await server.create({ duration: 60, size: 'large' }, { key });
        return (await server.cancel(id, { key })).json.detail.pending_info.user;
    };
    const [first, second, theirs] = [await word(red), await word(rotated), await word(blue)];
    assert.match(first, /^user-[A-Za-z0-9]{24}$/);
    assert.equal(second, first);
    assert.notEqual(theirs, first);
});
test('an operator sees all tasks, and may cancel them', async () => {
    assert.equal((await look(ofRed.id, operator)).status, 200);
    assert.equal((await look(ofBlue.id, operator)).status, 200);
    const ids = await listed(operator);
    assert.ok(ids.includes(ofRed.id) && ids.includes(ofBlue.id));
    const slow = await server.create({ duration: 60, size: 'large' }, { key: blue });
    assert.equal((await server.cancel(slow.id, { key: operator })).status, 200);
});
test('a key made while the server runs works soon', async () => {
    const fresh = await server.addKey('fresh', { tenant: 'fresh' });
    await until('the new key to work', async () => (await server.call('GET', '/v1/models', { key: fresh })).status === 200, { limit: 30_000 });
    assert.deepEqual(await listed(fresh), []);
});
test('a revoked key is refused by the running server soon, others live on', async () => {
    const short = await server.addKey('short', { tenant: 'red' });
    await until('the key to work', async () => (await server.call('GET', '/v1/models', { key: short })).status === 200);
    const result = await command(['keys', 'revoke', '--data', server.data, 'short']);
    assert.equal(result.status, 0, result.stderr);
    await until('the key to be refused', async () => (await server.call('GET', '/v1/models', { key: short })).status === 401, { limit: 30_000 });
    assert.equal((await look(ofRed.id, red)).status, 200);
});
test('revoked stays revoked after a restart', async () => {
    const gone = await server.addKey('gone', { tenant: 'red' });
    assert.equal((await command(['keys', 'revoke', '--data', server.data, 'gone'])).status, 0);
    await server.restart();
    assert.equal((await server.call('GET', '/v1/models', { key: gone })).status, 401);
    assert.equal((await look(ofRed.id, red)).status, 200);
});

test('the servers ended well', endedWell);
