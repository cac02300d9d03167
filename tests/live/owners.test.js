// SPDX-License-Identifier: Apache-2.0
//
// Whose is it? Walks the table of routes: each one that touches something of a tenant has a case here, of how a stranger
// fares there who knows all names. A route without one fails, and so does a case without a route.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, endedWell, start } from './harness.js';
import { open } from './streams.js';
import { tiny } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\n', key: { tenant: 'red' } });
const stranger = await server.addKey('blue', { tenant: 'blue' });
const { stdout } = await command(['dump', 'routes', '--json']);
const routes = JSON.parse(stdout).flat().map((row) => ({ ...row, name: `${row.method} ${row.path.replaceAll('`', '')}` }));
const { json: file } = await server.call('POST', '/v1/files', { headers: { 'Content-Type': 'image/png' }, body: tiny });
const mine = await server.create({ prompt: 'what only red may see', duration: 60, size: 'large' });

// An endpoint of red's that fails to be reached, and the delivery of a test to it.
const hook = (await server.call('POST', '/v1/webhooks', { json: { url: 'http://127.0.0.1:9/only-red' } })).json;
const delivery = (await server.call('POST', `/v1/webhooks/${hook.id}/test`)).json;

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

// The same 404 as for a webhook that never was.
async function isNoWebhook(method, target) {
    const [foreign, unknown] = [await asStranger(method, target), await asStranger(method, target.replace(/(whk|dlv)_[0-9a-z]+/, '$1_01k6x15vhrff09dkkqjrzwhm60'))];
    assert.equal(foreign.status, 404);
    assert.equal(foreign.json.code, 'webhook_not_found');
    assert.equal(foreign.text, unknown.text);
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

// The same answer, byte for byte, as for a file that never was.
async function isNoFile(method, target) {
    const ask = (id) => asStranger(method, target.replaceAll('ID', id));
    const [foreign, unknown] = [await ask(file.id), await ask('file_01k6x15vhrff09dkkqjrzwhm60')];
    assert.deepEqual([foreign.status, foreign.json.code], [404, 'file_not_found']);
    assert.equal(foreign.text, unknown.text);
    assert.equal((await server.call('GET', `/v1/files/${file.id}`)).status, 200);
}

async function uploadsItsOwn(target) {
    const answer = await asStranger('POST', target, { headers: { 'Content-Type': 'image/png' }, body: tiny });
    assert.equal(answer.status, 200);
    assert.notEqual(answer.json.id, file.id);
    assert.ok(!(await server.call('GET', '/v1/files')).text.includes(answer.json.id));
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
    'GET /v1/video/tasks/{id}': () => isNoTask('GET', '/v1/video/tasks/ID'),
    'GET /v1/video/tasks/{id}/timeline': () => isNoTask('GET', '/v1/video/tasks/ID/timeline'),
    'POST /v1/video/cancel': async () => {
        await isNoTask('POST', '/v1/video/cancel?id=ID');
        await isNoTask('POST', '/v1/video/cancel', { ...json, body: '{"id": "ID"}' });
        assert.equal((await server.query(mine.id)).status, 'pending');
    },
    'GET /v1/webhooks': async () => assert.deepEqual((await asStranger('GET', '/v1/webhooks')).json.data, []),
    'POST /v1/webhooks': async () => {
        const theirs = await asStranger('POST', '/v1/webhooks', { json: { url: hook.url } }); // which is no conflict, for it is not theirs
        assert.equal(theirs.status, 200);
        assert.deepEqual((await server.call('GET', '/v1/webhooks')).json.data.map((each) => each.id), [hook.id]);
    },
    'GET /v1/webhooks/secret': async () => {
        const [ours, theirs] = [await server.call('GET', '/v1/webhooks/secret'), await asStranger('GET', '/v1/webhooks/secret')];
        assert.notEqual(ours.json.secret, theirs.json.secret);
    },
    'POST /v1/webhooks/secret/rotate': async () => {
        const { json: before } = await server.call('GET', '/v1/webhooks/secret');
        assert.equal((await asStranger('POST', '/v1/webhooks/secret/rotate')).status, 200);
        assert.deepEqual((await server.call('GET', '/v1/webhooks/secret')).json, before);
    },
    'GET /v1/webhooks/deliveries': async () => {
        for (const query of ['', `?webhook_id=${hook.id}`, '?status=waiting&limit=100'])
            assert.deepEqual((await asStranger('GET', `/v1/webhooks/deliveries${query}`)).json.data, []);
    },
    'GET /v1/webhooks/deliveries/{delivery}': () => isNoWebhook('GET', `/v1/webhooks/deliveries/${delivery.id}`),
    'POST /v1/webhooks/deliveries/{delivery}/replay': () => isNoWebhook('POST', `/v1/webhooks/deliveries/${delivery.id}/replay`),
    'POST /v1/webhooks/{webhook}/test': () => isNoWebhook('POST', `/v1/webhooks/${hook.id}/test`),
    'POST /v1/webhooks/{webhook}/enable': () => isNoWebhook('POST', `/v1/webhooks/${hook.id}/enable`),
    'DELETE /v1/webhooks/{webhook}': async () => {
        await isNoWebhook('DELETE', `/v1/webhooks/${hook.id}`);
        assert.equal((await server.call('GET', '/v1/webhooks')).json.data.length, 1);
    },
    'GET /v1/video/events': async () => {
        await isNoTask('GET', '/v1/video/events?id=ID');
        for (const headers of [{}, { 'Last-Event-ID': '0' }]) {
            const theirs = await open(server, { key: stranger, headers });
            const own = await server.create({ prompt: 'a stranger\'s own' }, { key: stranger });
            await theirs.wait('his own', ({ data }) => data.id === own.id);
            assert.ok(!theirs.text.includes(mine.id));
            theirs.close();
        }
    },
    'POST /v1/video/events/ticket': async () => {
        await isNoTask('POST', '/v1/video/events/ticket', { ...json, body: '{"ids": ["ID"]}' });
        const { ticket } = (await asStranger('POST', '/v1/video/events/ticket')).json;
        const { status } = await server.call('GET', `/v1/video/events?ticket=${ticket}&id=${encodeURIComponent(mine.id)}`, { key: null });
        assert.equal(status, 404);
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
    'POST /v1/video/remix': () => isNoTask('POST', '/v1/video/remix', { ...json, body: '{"task_id": "ID", "prompt": "b"}' }),
    'POST /v1/video/extend': () => isNoTask('POST', '/v1/video/extend', { ...json, body: '{"task_id": "ID", "prompt": "b"}' }),
    'POST /v1/videos/{id}/remix': () => isNoTask('POST', '/v1/videos/ID/remix', { ...json, body: '{"prompt": "b"}' }),
    'POST /v1/videos/{id}/extend': () => isNoTask('POST', '/v1/videos/ID/extend', { ...json, body: '{"prompt": "b"}' }),
    'POST /v1/files': () => uploadsItsOwn('/v1/files'),
    'POST /v1/assets/upload': () => uploadsItsOwn('/v1/assets/upload'),
    'GET /v1/files': async () => {
        assert.ok(!(await asStranger('GET', '/v1/files')).text.includes(file.id));
        assert.ok(!(await asStranger('GET', `/v1/files?after=${file.id}`)).text.includes(file.id));
    },
    'GET /v1/files/{file_id}': () => isNoFile('GET', '/v1/files/ID'),
    'GET /v1/files/{file_id}/content': () => isNoFile('GET', '/v1/files/ID/content'),
    'DELETE /v1/files/{file_id}': () => isNoFile('DELETE', '/v1/files/ID'),
    'GET /assets/{+rest}': async () => {
        const { status, json: error } = await asStranger('GET', `/assets/${mine.id.split(':')[1]}/src.mp4`);
        assert.equal(status, 403);
        assert.equal(error.code, 'link_signature_invalid');
    },
    'POST /v1/callbacks/{+rest}': async () => {
        const attempt = 'att_01k6x15vhrff09dkkqjrzwhm60';
        for (const name of [attempt, `${attempt}.${'A'.repeat(43)}`]) {
            const { status, json: error } = await asStranger('POST', `/v1/callbacks/${name}`, { json: { challenge: 'x' } });
            assert.deepEqual([status, error.code], [404, 'not_found']);
        }
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
