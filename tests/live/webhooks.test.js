// SPDX-License-Identifier: Apache-2.0
//
// Webhooks as receivers meet them: signed so that the packages of others accept them, tried again while a receiver fails,
// hangs or lies, in order, once a receiver at a time, never to an address that is not allowed, and on record.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import OpenAI from 'openai';
import OpenAI7 from 'openai7';
import { Webhook } from 'standardwebhooks';
import { command, endedWell, holdStore, ROOT, sleep, start, until } from './harness.js';
import { openLiar, Receiver } from './receiver.js';

const receiver = await Receiver.open();
const forbidden = await Receiver.open(); // at an address that nobody allowed
const liars = { garbage: await openLiar('what?\r\n\r\n'), silent: await openLiar(''), cut: await openLiar('HTTP/1.1 200 OK\r\nContent-Le') };
const allowed = [receiver.address, ...Object.values(liars).map((liar) => liar.address)].map((address) => `"${address}"`).join(', ');
const settings = (more) => `render:\n  slots: 1\nwebhooks:\n  allow: [${allowed}]\n${more}`;
const server = await start({ config: settings('  retries: [100ms, 100ms, 200ms]\n  rest: 100ms\n  total: 3s\n  per_tenant: 3\n'), key: { tenant: 'red' } });
const other = await server.addKey('blue', { tenant: 'blue' });

const api = async (method, target, options = {}) => {
    const answer = await server.call(method, `/v1/webhooks${target}`, options);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
};
const secretOf = async (options) => (await api('GET', '/secret', options)).secret;
const deliveries = async (query, options) => (await api('GET', `/deliveries?${query}`, options)).data;
const detail = (id) => api('GET', `/deliveries/${id}`);
const settled = (id, status) => until(`delivery ${id} to be ${status}`, async () => {
    const found = await detail(id);
    return found.status === status && found;
});
// A task that ends at once, with an event of its own: the task's id.
async function end(fields, options) {
    const { id } = await server.create({ duration: 60, size: 'large', ...fields }, options);
    assert.equal((await server.cancel(id, options)).status, 200);
    return id;
}
// The one delivery of a task.
const only = async (task) => {
    const found = await deliveries(`task_id=${encodeURIComponent(task)}`);
    assert.equal(found.length, 1);
    return found[0];
};
const verify = (hit, secret) => new Webhook(secret).verify(hit.body, hit.headers);

test('a film is told of: signed, as the query shows it, with links that work', async () => {
    const { id } = await server.create({ webhook_url: receiver.url('/own') });
    const [hit] = await receiver.wait('/own');
    const answer = await server.query(id);
    assert.equal(hit.method, 'POST');
    assert.match(hit.headers['content-type'], /^application\/json/);
    assert.match(hit.headers['webhook-id'], /^evt_[0-9a-hjkmnp-tv-z]{26}$/);
    assert.equal(hit.event.id, hit.headers['webhook-id']);
    assert.equal(hit.event.object, 'event');
    assert.equal(hit.event.type, 'video.completed');
    assert.ok(Math.abs(hit.event.created_at - Date.now() / 1000) < 600);
    const { detail: _, ...shown } = answer;
    assert.deepEqual(hit.event.data, { ...shown, object: 'video', state: 'completed' });
    assert.equal((await server.fetchLink(hit.event.data.video_url)).status, 200);
    verify(hit, await secretOf());
    assert.equal((await only(id)).status, (await settled((await only(id)).id, 'delivered')).status);
});
test('the SDKs of OpenAI unwrap it, and nothing that was changed', async () => {
    const [hit] = receiver.at('/own');
    const secret = await secretOf();
    for (const Client of [OpenAI, OpenAI7]) {
        const client = new Client({ apiKey: 'none', webhookSecret: secret });
        const event = await client.webhooks.unwrap(hit.body, hit.headers);
        assert.equal(event.type, 'video.completed');
        assert.equal(event.data.id, hit.event.data.id);
        await assert.rejects(client.webhooks.unwrap(hit.body.replace('completed', 'failed'), hit.headers));
        await assert.rejects(client.webhooks.unwrap(hit.body, { ...hit.headers, 'webhook-id': 'evt_other' }));
    }
    assert.throws(() => verify({ ...hit, body: `${hit.body} ` }, secret));
});
test('so does the Python of the manual', async () => {
    const manual = fs.readFileSync(path.join(ROOT, 'docs/API.md'), 'utf8');
    const [, code] = /```python\n(.*?)```/s.exec(manual);
    const [hit] = receiver.at('/own');
    const ask = (body, headers) => {
        const { status, stdout } = spawnSync('python3', ['-c', `${code}\nimport json, sys\ngiven = json.load(sys.stdin)\nprint(is_ours(given["secret"], given["headers"], given["body"].encode()))`], { input: JSON.stringify({ secret, headers, body }), encoding: 'utf8' });
        assert.equal(status, 0);
        return stdout.trim();
    };
    const secret = await secretOf();
    assert.equal(ask(hit.body, hit.headers), 'True');
    assert.equal(ask(`${hit.body} `, hit.headers), 'False');
    assert.equal(ask(hit.body, { ...hit.headers, 'webhook-timestamp': '1759763631' }), 'False');
    for (const forged of [{}, { ...hit.headers, 'webhook-timestamp': 'now' }, { ...hit.headers, 'webhook-signature': 'v1,ä' }]) assert.equal(ask(hit.body, forged), 'False');
});
for (const [name, fields] of Object.entries({
    callback_url: (url) => ({ callback_url: url }),
    notify_hook: (url) => ({ notify_hook: url }),
    'metadata.notify_hook': (url) => ({ metadata: { notify_hook: url } }),
})) {
    test(`${name} names it too; a cancelled task is told as failed`, async () => {
        await end(fields(receiver.url(`/${name}`)));
        const [hit] = await receiver.wait(`/${name}`);
        assert.equal(hit.event.type, 'video.failed');
        assert.equal(hit.event.data.status, 'failed');
        assert.equal(hit.event.data.error.code, 'cancelled');
    });
}
test('what is no URL to be told is refused at once', async () => {
    for (const webhook_url of ['ftp://127.0.0.1/x', 'nowhere', 'http://', 'http://me:secret@example.com/', 'https://exa mple.com/', 7, `http://example.com/${'x'.repeat(9000)}`]) {
        const created = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'p', webhook_url } });
        assert.equal(created.status, 400, String(webhook_url).slice(0, 50));
        assert.equal(created.json.error.param, 'webhook_url');
        const added = await server.call('POST', '/v1/webhooks', { json: { url: webhook_url } });
        assert.equal(added.status, 400);
    }
    assert.equal((await server.call('POST', '/v1/webhooks', { json: {} })).json.error.param, 'url');
    assert.equal((await server.call('POST', '/v1/webhooks', { body: 'x' })).status, 400);
});

test('endpoints hear of all of their tenant\'s tasks, and of nobody else\'s', async () => {
    const all = await api('POST', '', { json: { url: receiver.url('/all') } });
    assert.equal(all.status, 'enabled');
    const theirs = await api('POST', '', { json: { url: receiver.url('/theirs') }, key: other });
    assert.equal((await server.call('POST', '/v1/webhooks', { json: { url: receiver.url('/all') } })).json.code, 'webhook_exists');
    const task = await end({});
    const told = await end({ webhook_url: receiver.url('/beside') });
    const foreign = await end({}, { key: other });
    await receiver.wait('/all', 2);
    await receiver.wait('/theirs', 1);
    await receiver.wait('/beside', 1);
    assert.deepEqual(receiver.at('/all').map((hit) => hit.event.data.id), [task, told]);
    assert.deepEqual(receiver.at('/theirs').map((hit) => hit.event.data.id), [foreign]);
    assert.equal(receiver.at('/beside')[0].event.id, receiver.at('/all')[1].event.id, 'one event, whoever hears of it');
    verify(receiver.at('/all')[0], await secretOf());
    verify(receiver.at('/theirs')[0], await secretOf({ key: other }));
    assert.throws(() => verify(receiver.at('/theirs')[0], secretOf()));
    assert.deepEqual((await api('GET', '')).data.map((one) => one.id), [all.id]);
    await api('DELETE', `/${all.id}`);
    await api('DELETE', `/${theirs.id}`, { key: other });
    await end({});
    assert.equal((await server.call('DELETE', `/v1/webhooks/${all.id}`)).json.code, 'webhook_not_found');
    assert.deepEqual((await api('GET', '')).data, []);
    assert.equal(receiver.at('/all').length, 2);
});
test('a tenant has no more endpoints than he may', async () => {
    const added = [];
    for (const n of [1, 2, 3]) added.push((await api('POST', '', { json: { url: receiver.url(`/${n}`) } })).id);
    const { status, json } = await server.call('POST', '/v1/webhooks', { json: { url: receiver.url('/4') } });
    assert.deepEqual([status, json.code], [409, 'too_many_webhooks']);
    for (const id of added) await api('DELETE', `/${id}`);
});

test('a receiver that fails is told again, under the same id and with the same bytes', async () => {
    receiver.manners['/fails'] = (_, response, hit) => {
        response.statusCode = hit.number < 3 ? 500 : 204;
        response.end(hit.number < 3 ? 'no\u0000t \u001b[2Jnow' : undefined);
    };
    const task = await end({ webhook_url: receiver.url('/fails') });
    const hits = await receiver.wait('/fails', 3);
    for (const hit of hits) {
        assert.equal(hit.body, hits[0].body);
        assert.equal(hit.headers['webhook-id'], hits[0].headers['webhook-id']);
        verify(hit, await secretOf());
    }
    const found = await settled((await only(task)).id, 'delivered');
    assert.equal(found.tries, 3);
    assert.equal(found.body, hits[0].body);
    assert.equal(found.event_id, hits[0].event.id);
    assert.deepEqual(found.log.map((each) => [each.number, each.status]), [[1, 500], [2, 500], [3, 204]]);
    assert.equal(found.log[0].answer, 'no t  [2Jnow');
    assert.match(found.log[0].error, /status 500/);
    assert.equal(found.log[2].error, null);
});
test('it is given up in the end, and a replay delivers the same event', async () => {
    receiver.manners['/never'] = (_, response, hit) => {
        response.statusCode = hit.number <= 4 ? 503 : 200;
        response.end();
    };
    const task = await end({ webhook_url: receiver.url('/never') });
    const first = await settled((await only(task)).id, 'given_up');
    assert.equal(first.tries, 4);
    assert.match(first.note, /4 tries failed/);
    assert.equal(receiver.at('/never').length, 4);
    const again = await api('POST', `/deliveries/${first.id}/replay`);
    assert.notEqual(again.id, first.id);
    assert.equal(again.event_id, first.event_id);
    const [, , , , last] = await receiver.wait('/never', 5);
    assert.equal(last.headers['webhook-id'], first.event_id);
    assert.equal(last.event.data.id, task);
    await settled(again.id, 'delivered');
});
test('the timeline of a task tells of its webhooks; what was said goes when the task is deleted', async () => {
    receiver.manners['/once'] = (_, response, hit) => {
        response.statusCode = hit.number === 1 ? 500 : 200;
        response.end('what the receiver said');
    };
    const id = await end({ webhook_url: receiver.url('/once'), prompt: 'what only the receiver was told' });
    const found = await settled((await only(id)).id, 'delivered');
    const { json: timeline } = await server.call('GET', `/v1/video/tasks/${id}/timeline`);
    const told = timeline.data.filter(({ kind }) => kind === 'webhook');
    assert.deepEqual(told.map((entry) => [entry.what, entry.try, entry.status, entry.state]), [['tried', 1, 500, undefined], ['tried', 2, 200, undefined], ['closed', undefined, undefined, 'delivered']]);
    const { stdout } = await command(['timeline', id], { env: { FILMGATE_URL: server.url, FILMGATE_KEY: server.key } });
    assert.match(stdout, /webhook try 1, 500 .*\n.*webhook try 2, 200 .*\n.*webhook delivered/);
    for (const entry of told) assert.deepEqual([entry.delivery, entry.url], [found.id, receiver.url('/once')]);
    assert.ok(found.body.includes(id));
    assert.deepEqual(found.log.map(({ answer }) => answer), ['what the receiver said', 'what the receiver said']);
    assert.equal((await server.call('DELETE', `/v1/video/tasks/${id}`)).status, 200);
    const left = await detail(found.id);
    assert.deepEqual([left.body, left.log.map(({ answer }) => answer)], [null, [null, null]]);
    const before = receiver.at('/once').length;
    assert.equal(left.url, '');
    assert.equal((await server.call('POST', `/v1/webhooks/deliveries/${found.id}/replay`)).status, 409);
    assert.equal(receiver.at('/once').length, before);
});
test('a receiver that hangs is left after a while, and told again', async () => {
    receiver.manners['/hangs'] = (_, response, hit) => hit.number > 1 && response.end();
    const task = await end({ webhook_url: receiver.url('/hangs') });
    await receiver.wait('/hangs', 2);
    const found = await settled((await only(task)).id, 'delivered');
    assert.equal(found.log[0].status, null);
    assert.match(found.log[0].error, /in time/);
});
test('whoever has said 200 has it, whatever his body does', async () => {
    receiver.manners['/huge'] = (_, response) => {
        response.write('x'.repeat(1 << 20));
        const more = setInterval(() => response.write('y'.repeat(1 << 16)), 10);
        response.on('close', () => clearInterval(more));
    };
    receiver.manners['/drips'] = (_, response) => {
        response.write('.');
        const more = setInterval(() => response.write('.'), 100);
        response.on('close', () => clearInterval(more));
    };
    for (const path of ['/huge', '/drips']) {
        const task = await end({ webhook_url: receiver.url(path) });
        await receiver.wait(path);
        const found = await settled((await only(task)).id, 'delivered');
        assert.equal(found.tries, 1);
        assert.ok((found.log[0].answer ?? '').length <= 4096);
    }
});
test('what is no answer is none', async () => {
    for (const [name, liar] of Object.entries(liars)) {
        const task = await end({ webhook_url: liar.url });
        const found = await settled((await only(task)).id, 'given_up');
        assert.equal(found.tries, 4, name);
        assert.ok(found.log.every((each) => each.status === null && each.error), name);
    }
});
test('a redirect is followed by nobody', async () => {
    receiver.manners['/away'] = (_, response) => response.writeHead(307, { Location: forbidden.url('/secret') }).end();
    const task = await end({ webhook_url: receiver.url('/away') });
    const found = await settled((await only(task)).id, 'given_up');
    assert.ok(found.log.every((each) => each.status === 307));
    assert.match(found.log[0].error, /redirects are not followed/);
    assert.equal(forbidden.hits.length, 0);
});
test('an address that is not allowed is not dialled, by whatever name', async () => {
    for (const host of ['127.0.0.1', 'localhost', '0x7f000001', '[::ffff:127.0.0.1]', '2130706433']) {
        const task = await end({ webhook_url: `http://${host}:${forbidden.port}/secret` });
        const found = await settled((await only(task)).id, 'given_up');
        assert.ok(found.log.every((each) => each.status === null), host);
        assert.match(found.log[0].error, /may not be reached|not allowed|not fit/, host);
    }
    assert.equal(forbidden.hits.length, 0);
});
test('410 disables an endpoint and what waits for it, until it is enabled', async () => {
    receiver.manners['/gone'] = (_, response, hit) => {
        response.statusCode = hit.number === 1 ? 410 : 200;
        setTimeout(() => response.end(), 300); // meanwhile more waits
    };
    const { id } = await api('POST', '', { json: { url: receiver.url('/gone') } });
    const first = await end({});
    const second = await end({});
    const found = await settled((await only(first)).id, 'disabled');
    assert.match(found.note, /410/);
    assert.equal((await settled((await only(second)).id, 'disabled')).tries, 0);
    const [endpoint] = (await api('GET', '')).data;
    assert.equal(endpoint.status, 'disabled');
    assert.match(endpoint.disabled_reason, /410/);
    const task = await end({});
    assert.deepEqual(await deliveries(`task_id=${encodeURIComponent(task)}`), []);
    for (const target of [`/v1/webhooks/${id}/test`, `/v1/webhooks/deliveries/${found.id}/replay`])
        assert.equal((await server.call('POST', target)).json.code, 'webhook_disabled');
    assert.equal((await api('POST', `/${id}/enable`)).status, 'enabled');
    const sent = await api('POST', `/${id}/test`);
    const [, hit] = await receiver.wait('/gone', 2);
    assert.equal(hit.event.type, 'webhook.test');
    assert.equal(hit.event.id, sent.event_id);
    assert.equal(hit.event.data.id, id);
    verify(hit, await secretOf());
    await settled(sent.id, 'delivered');
    await api('DELETE', `/${id}`);
});
test('Retry-After is waited for', async () => {
    receiver.manners['/busy'] = (_, response, hit) => {
        if (hit.number === 1) response.writeHead(429, { 'Retry-After': '2' });
        response.end();
    };
    await end({ webhook_url: receiver.url('/busy') });
    const [first, second] = await receiver.wait('/busy', 2);
    assert.ok(second.at - first.at > 1900, `${second.at - first.at} ms`);
});
test('of one receiver one is under way, the oldest event first', async () => {
    let now = 0, most = 0;
    receiver.manners['/order'] = (_, response) => {
        most = Math.max(most, ++now);
        setTimeout(() => {
            now--;
            response.end();
        }, 50);
    };
    const { id } = await api('POST', '', { json: { url: receiver.url('/order') } });
    const tasks = [];
    for (let i = 0; i < 8; i++) tasks.push(await end({}));
    const hits = await receiver.wait('/order', 8);
    assert.deepEqual(hits.map((hit) => hit.event.data.id), tasks);
    assert.equal(most, 1);
    await api('DELETE', `/${id}`);
});
test('a rotated secret signs on beside the new one', async () => {
    const before = await secretOf();
    const rotated = await api('POST', '/secret/rotate');
    assert.notEqual(rotated.secret, before);
    assert.equal(rotated.previous.length, 1);
    assert.ok(rotated.previous[0].expires_at > Date.now() / 1000 + 86000);
    await end({ webhook_url: receiver.url('/rotated') });
    const [hit] = await receiver.wait('/rotated');
    assert.equal(hit.headers['webhook-signature'].split(' ').length, 2);
    verify(hit, before);
    verify(hit, rotated.secret);
    assert.throws(() => verify(hit, 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='));
    const client = new OpenAI({ apiKey: 'none', webhookSecret: rotated.secret });
    assert.equal((await client.webhooks.unwrap(hit.body, hit.headers)).type, 'video.failed');
});
test('the log is paged and filtered', async () => {
    const seen = [];
    let before = '';
    do {
        const page = await api('GET', `/deliveries?limit=7${before}`);
        seen.push(...page.data.map((each) => each.id));
        before = page.next === null ? null : `&before=${page.next}`;
    } while (before !== null);
    assert.ok(seen.length > 20);
    assert.deepEqual(seen, [...new Set(seen)].sort().reverse());
    for (const state of ['delivered', 'given_up', 'disabled']) {
        const found = await deliveries(`status=${state}&limit=100`);
        assert.ok(found.length > 0 && found.every((each) => each.status === state));
    }
    for (const bad of ['status=lost', 'limit=0', 'limit=101', 'limit=x', 'before=x', 'task_id=x'])
        assert.equal((await server.call('GET', `/v1/webhooks/deliveries?${bad}`)).status, 400, bad);
    assert.equal((await server.call('GET', '/v1/webhooks/deliveries/dlv_x')).json.code, 'webhook_not_found');
});

test('what cannot be noted for a while is not sent again', async () => {
    let held;
    receiver.manners['/noted'] = async (_, response) => {
        held = await holdStore(server);
        response.end();
    };
    const task = await end({ webhook_url: receiver.url('/noted') });
    await until('the note to fail', () => /cannot note what became of webhook dlv_/.test(server.log));
    held.close();
    const { data } = await until('it to be noted', async () => {
        const { json } = await server.call('GET', `/v1/webhooks/deliveries?status=delivered&task_id=${encodeURIComponent(task)}`);
        return json.data.length === 1 && json;
    });
    assert.equal(data[0].tries, 1);
    assert.equal(receiver.at('/noted').length, 1);
});
test('a receiver that keeps failing rests, and others do not', async () => {
    const patient = await start({ config: settings('  retries: [1h]\n  rest: 10m\n  overlap: 0s\n') });
    receiver.manners['/sick'] = (_, response) => {
        response.statusCode = 500;
        response.end();
    };
    const endThere = async (path) => {
        const { id } = await patient.create({ duration: 60, size: 'large', webhook_url: receiver.url(path) });
        await patient.cancel(id);
    };
    for (let i = 0; i < 8; i++) await endThere('/sick');
    await receiver.wait('/sick', 5);
    await endThere('/well');
    await receiver.wait('/well');
    await sleep(500);
    assert.equal(receiver.at('/sick').length, 5);
    const { json } = await patient.call('GET', '/v1/webhooks/deliveries?status=waiting');
    assert.deepEqual(json.data.map((each) => each.tries).sort(), [0, 0, 0, 1, 1, 1, 1, 1]);
    /* without overlap the old secret is worth nothing at once */
    const { json: old } = await patient.call('GET', '/v1/webhooks/secret');
    const { json: fresh } = await patient.call('POST', '/v1/webhooks/secret/rotate');
    assert.deepEqual(fresh.previous, []);
    await endThere('/fresh');
    const [hit] = await receiver.wait('/fresh');
    verify(hit, fresh.secret);
    assert.throws(() => verify(hit, old.secret));
    assert.equal(await patient.stop(), 0);
});

test('what hangs for one tenant leaves room for others, and is sent again after a stop', async () => {
    const narrow = await start({ config: settings('  concurrency: 4\n  total: 5m\n'), key: { tenant: 'red' } });
    const blue = await narrow.addKey('blue', { tenant: 'blue' });
    const endThere = async (path, options) => {
        const { id } = await narrow.create({ duration: 60, size: 'large', webhook_url: receiver.url(path) }, options);
        await narrow.cancel(id, options);
    };
    const hanging = [1, 2, 3, 4, 5, 6].map((n) => `/stuck/${n}`);
    for (const path of hanging) receiver.manners[path] = () => {};
    for (const path of hanging) await endThere(path);
    await endThere('/free', { key: blue });
    await receiver.wait('/free');
    const stuck = receiver.hits.filter((hit) => hit.path.startsWith('/stuck/'));
    assert.equal(stuck.length, 1);
    for (const path of hanging) delete receiver.manners[path];
    await narrow.restart();
    const [first, second] = await receiver.wait(stuck[0].path, 2);
    assert.equal(second.body, first.body);
    for (const path of hanging) await receiver.wait(path);
    assert.equal(await narrow.stop(), 0);
});

// Killed between the commit of an end and the note of its delivery, at whatever moment that is.
const ROUNDS = Number(process.env.WEBHOOK_KILLS ?? 10);
test(`killed ${ROUNDS} times: every event comes at least once, under one id`, async () => {
    const fragile = await start({ config: settings('  retries: [100ms, 100ms, 100ms, 100ms, 100ms]\n') });
    const told = new Map(); // task -> ids
    let isArmed = false;
    receiver.manners['/killed'] = (_, response, hit) => {
        const ids = told.get(hit.event.data.id) ?? [];
        told.set(hit.event.data.id, [...ids, hit.event.id]);
        if (isArmed && hit.number % 3 === 0) fragile.killNow(); // it has it, and nobody knows
        else response.end();
    };
    const tasks = [];
    for (let round = 0; round < ROUNDS; round++) {
        const { id } = await fragile.create({ duration: 60, size: 'large', webhook_url: receiver.url('/killed') });
        fragile.wanted = 'SIGKILL'; // maybe by the receiver
        isArmed = true;
        const answer = await fragile.cancel(id).catch(() => undefined);
        if (answer !== undefined) {
            assert.equal(answer.status, 200);
            tasks.push(id);
        }
        await sleep(Math.random() * 20);
        if (fragile.isRunning) fragile.killNow();
        await fragile.ended;
        isArmed = false;
        await fragile.launch();
    }
    receiver.manners['/killed'] = (_, response, hit) => {
        told.set(hit.event.data.id, [...(told.get(hit.event.data.id) ?? []), hit.event.id]);
        response.end();
    };
    assert.ok(tasks.length > 0);
    await until('every event', () => tasks.every((id) => told.has(id)));
    for (const [id, ids] of told) assert.equal(new Set(ids).size, 1, `${id}: ${ids}`);
    await until('the outbox to be empty', async () => (await fragile.call('GET', '/v1/webhooks/deliveries?status=waiting')).json.data.length === 0);
    const bodies = new Map();
    for (const hit of receiver.at('/killed')) assert.equal(bodies.get(hit.event.id) ?? hit.body, bodies.set(hit.event.id, hit.body).get(hit.event.id));
    assert.equal(await fragile.stop(), 0);
});

test('the receivers close', async () => {
    await Promise.all([receiver, forbidden, ...Object.values(liars)].map((each) => each.close()));
});
test('the servers ended well', endedWell);
