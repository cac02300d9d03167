// SPDX-License-Identifier: Apache-2.0
//
// Whose is it? Walks the table of routes: each one that touches something of a tenant has a case here, of how a stranger
// fares there who knows all names. A route without one fails, and so does a case without a route.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, endedWell, start } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n', key: { tenant: 'red' } });
const stranger = await server.addKey('blue', { tenant: 'blue' });
const { stdout } = await command(['dump', 'routes', '--json']);
const routes = JSON.parse(stdout).flat().map((row) => ({ ...row, name: `${row.method} ${row.path.replaceAll('`', '')}` }));
const mine = await server.create({ prompt: 'what only red may see', duration: 60, size: 'large' });

const asStranger = (method, target, options = {}) => server.call(method, target, { ...options, key: stranger });

// The same answer, byte for byte, as for a task that never was.
async function isNoTask(method, target, options = {}) {
    const nobodys = 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60';
    const ask = (id) =>
        asStranger(method, target.replaceAll('ID', encodeURIComponent(id)), { ...options, ...(options.body ? { body: options.body.replaceAll('ID', id) } : {}) });
    const [foreign, unknown] = [await ask(mine.id), await ask(nobodys)];
    assert.equal(foreign.status, 404);
    assert.equal(foreign.json.code, 'task_not_exist');
    assert.equal(foreign.text.replaceAll(mine.id, nobodys), unknown.text);
}

const json = { headers: { 'Content-Type': 'application/json' } };

// The same Idempotency-Key from two tenants: two tasks, each its own tenant's.
async function createsItsOwn(path) {
    const wish = { headers: { 'Idempotency-Key': `the same words at ${path}` }, json: { model: 'sora-2', prompt: 'p', size: '64x64', duration: 1 } };
    const [ours, theirs] = [await server.call('POST', path, wish), await asStranger('POST', path, wish)];
    assert.deepEqual([ours.status, theirs.status], [200, 200]);
    assert.notEqual(ours.json.task_id, theirs.json.task_id);
    assert.equal((await server.call('GET', `/v1/video/query?id=${theirs.json.task_id}`)).status, 404);
}

const cases = {
    'POST /v1/video/create': async () => {
        const key = { 'Idempotency-Key': 'the same words' };
        const [ours, theirs] = [await server.create({ prompt: 'a' }, { headers: key }), await server.create({ prompt: 'b' }, { headers: key, key: stranger })];
        assert.notEqual(ours.id, theirs.id);
    },
    'GET /v1/video/query': () => isNoTask('GET', '/v1/video/query?id=ID'),
    'GET /v1/video/tasks': async () => {
        const { json: list } = await asStranger('GET', '/v1/video/tasks?limit=100');
        assert.ok(!JSON.stringify(list).includes('what only red may see'));
    },
    'DELETE /v1/video/tasks/{id}': async () => {
        await isNoTask('DELETE', '/v1/video/tasks/ID');
        assert.equal((await server.query(mine.id)).status, 'pending');
    },
    'GET /v1/video/tasks/{id}/timeline': () => isNoTask('GET', '/v1/video/tasks/ID/timeline'),
    'POST /v1/video/cancel': async () => {
        await isNoTask('POST', '/v1/video/cancel?id=ID');
        await isNoTask('POST', '/v1/video/cancel', { ...json, body: '{"id": "ID"}' });
        assert.equal((await server.query(mine.id)).status, 'pending');
    },
    'POST /v1/videos': () => createsItsOwn('/v1/videos'),
    'GET /v1/videos': async () => {
        await isNoTask('GET', '/v1/videos?id=ID');
        await isNoTask('GET', '/v1/videos?task_id=ID');
        const { json: list } = await asStranger('GET', '/v1/videos?limit=100');
        assert.ok(!JSON.stringify(list).includes('what only red may see'));
        await isNoTask('GET', '/v1/videos?after=ID');
        await isNoTask('GET', '/v1/videos?after=ID&order=asc');
    },
    'GET /v1/videos/video_id': () => isNoTask('GET', '/v1/videos/video_id?id=ID'),
    'GET /v1/videos/{id}': () => isNoTask('GET', '/v1/videos/ID'),
    'GET /v1/videos/{id}/content': async () => {
        await isNoTask('GET', '/v1/videos/ID/content');
        for (const variant of ['thumbnail', 'spritesheet']) await isNoTask('GET', `/v1/videos/ID/content?variant=${variant}`);
    },
    'DELETE /v1/videos/{id}': () => isNoTask('DELETE', '/v1/videos/ID'),
    'POST /v1/video/generations': () => createsItsOwn('/v1/video/generations'),
    'GET /v1/video/generations/{id}': () => isNoTask('GET', '/v1/video/generations/ID'),
    'POST /v2/videos/generations': () => createsItsOwn('/v2/videos/generations'),
    'GET /v2/videos/generations/{id}': () => isNoTask('GET', '/v2/videos/generations/ID'),
    'GET /assets/{+rest}': async () => {
        const { status, json: error } = await asStranger('GET', `/assets/${mine.id.split(':')[1]}/src.mp4`);
        assert.equal(status, 403);
        assert.equal(error.code, 'link_signature_invalid');
    },
};

const touching = routes.filter((route) => route.touches !== 'nothing');
for (const route of touching) test(`${route.name}: a stranger gets nothing`, () => (cases[route.name] ?? (() => assert.fail('no case says how a stranger fares here')))());
test('every case has a route', () => {
    const names = touching.map((route) => route.name);
    assert.deepEqual(Object.keys(cases).filter((name) => !names.includes(name)), []);
});
test('whatever asks for a key refuses who has none', async () => {
    for (const route of routes.filter((each) => each.who !== 'anyone')) {
        const { status } = await server.call(route.method, route.path.replaceAll('`', '').replace(/\{[^}]*\}/, 'x'), { key: null });
        assert.equal(status, 401, route.name);
    }
});
test('whatever is for operators refuses a tenant', async () => {
    for (const route of routes.filter((each) => each.who === "an operator's key")) {
        const { status } = await server.call(route.method, route.path.replaceAll('`', '').replace(/\{[^}]*\}/, 'x'));
        assert.equal(status, 403, route.name);
    }
});
test('what was asked for is let go of', async () => assert.equal((await server.cancel(mine.id)).status, 200));

test('the servers ended well', endedWell);
