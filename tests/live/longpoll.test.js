// SPDX-License-Identifier: Apache-2.0
//
// Long polls: a query that waits for a change, for the end, or for nothing but its time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, start, until } from './harness.js';
import { Talk } from './socket.js';
import { Stage, watchers } from './streams.js';

const MANY = 300;
const stage = await new Stage().open();
const server = await start({ config: stage.config() });
const operator = await server.addKey('operator', { operator: true });

const target = (id, rest) => `/v1/video/query?id=${encodeURIComponent(id)}&${rest}`;
const ask = (id, rest, options) => server.call('GET', target(id, rest), options);
const waiting = (count) => until(`${count} polls`, async () => (await watchers(server, 'poll', operator)) === count);

// A task that the upstream works on, at 10 %.
async function begun(prompt) {
    stage.tell(prompt, { state: 'rendering', progress: 0.1 });
    const { id } = await server.create({ model: 'm', prompt });
    await until('10 %', async () => (await server.query(id)).progress === 10);
    return id;
}

test('a poll is answered at the next change', async () => {
    const id = await begun('change');
    const poll = ask(id, 'wait=60');
    await waiting(1);
    stage.tell('change', { state: 'rendering', progress: 0.5 });
    const { status, json } = await poll;
    assert.equal(status, 200);
    assert.equal(json.progress, 50);
    stage.fail('change');
});
test('until=end passes over all before', async () => {
    const id = await begun('end');
    const poll = ask(id, 'until=end&wait=60');
    await waiting(1);
    for (const progress of [0.3, 0.6]) {
        stage.tell('end', { state: 'rendering', progress });
        await until('progress', async () => (await server.query(id)).progress === progress * 100);
    }
    assert.equal(await watchers(server, 'poll', operator), 1);
    stage.fail('end');
    assert.equal((await poll).json.status, 'failed');
    assert.equal((await ask(id, 'wait=60&until=end')).json.status, 'failed', 'an end is no change to wait for');
    assert.equal((await ask(id, 'wait=60')).json.status, 'failed');
});
test('when the time is up there is the present; who has it hears that it is still so', async () => {
    const id = await begun('time');
    const first = await ask(id, 'wait=0.2');
    assert.equal(first.status, 200);
    assert.equal(first.json.progress, 10);
    const known = { headers: { 'If-None-Match': first.headers.etag } };
    assert.equal((await ask(id, 'wait=0.2', known)).status, 304);
    assert.equal((await ask(id, 'wait=0', known)).status, 304);
    assert.equal((await ask(id, 'wait=60', { headers: { 'If-None-Match': '"another"' } })).json.progress, 10, 'who has something else hears at once');
    const poll = ask(id, 'wait=60', known);
    await waiting(1);
    stage.tell('time', { state: 'rendering', progress: 0.7 });
    assert.equal((await poll).json.progress, 70);
    stage.fail('time');
});
test('a head waits as well', async () => {
    const id = await begun('head');
    const poll = server.call('HEAD', target(id, 'wait=60'));
    await waiting(1);
    stage.fail('head');
    assert.equal((await poll).status, 200);
});
test('what is not understood is said', async () => {
    const id = await begun('words');
    for (const wait of ['61', '60.001', '-1', 'x', '', '1e1', '1.2.3', ' 1', '0x10', '9999'])
        assert.equal((await ask(id, `wait=${encodeURIComponent(wait)}`)).json.error.param, 'wait', wait);
    assert.equal((await ask(id, 'wait=1&until=noon')).json.error.param, 'until');
    for (const wait of ['0', '0.0', '00.01', '.1'.padStart(3, '0')]) assert.equal((await ask(id, `wait=${wait}`)).status, 200, wait);
    stage.fail('words');
});
test('a stranger does not wait, and learns nothing', async () => {
    const id = await begun('foreign');
    const key = await server.addKey('stranger', { tenant: 'blue' });
    const { status, json } = await ask(id, 'wait=60', { key });
    assert.equal(status, 404);
    assert.equal(json.code, 'task_not_exist');
    stage.fail('foreign');
});
test('one change reaches many', async () => {
    const id = await begun('many');
    const polls = Array.from({ length: MANY }, () => ask(id, 'wait=60&until=end', { agent: false }));
    await waiting(MANY);
    stage.fail('many');
    for (const { status, json } of await Promise.all(polls)) {
        assert.equal(status, 200);
        assert.equal(json.status, 'failed');
    }
    assert.equal(await watchers(server, 'poll', operator), 0);
});
test('who has closed his half is answered all the same', async () => {
    const id = await begun('half');
    const talk = await new Talk(server).connected();
    talk.say(`GET ${target(id, 'wait=60')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.key}\r\n\r\n`).hush();
    await waiting(1);
    stage.fail('half');
    await until('the answer', () => talk.came.includes('"status":"failed"'));
    talk.hangUp();
});
test('who has gone is forgotten when his time is up', async () => {
    const id = await begun('gone');
    const talk = await new Talk(server).connected();
    talk.say(`GET ${target(id, 'wait=3')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.key}\r\n\r\n`);
    await waiting(1);
    talk.hangUp();
    await waiting(0);
    stage.fail('gone');
});
test('a tenant has so many at once, all have so many at once', async () => {
    const narrow = await start({ config: stage.config('notify: {watchers: 3, per_tenant: 2}\n'), key: { tenant: 'red' } });
    const [blue, watcher] = [await narrow.addKey('blue', { tenant: 'blue' }), await narrow.addKey('operator', { operator: true, tenant: 'ops' })];
    const make = (key) => narrow.create({ model: 'm', prompt: 'narrow' }, { key });
    const [red, theirs] = [await make(narrow.key), await make(blue)];
    const poll = (id, key) => narrow.call('GET', target(id, 'wait=60&until=end'), { key, agent: false });
    const polls = [poll(red.id, narrow.key), poll(red.id, narrow.key)];
    await until('two polls', async () => (await watchers(narrow, 'poll', watcher)) === 2);
    const ours = await poll(red.id, narrow.key);
    assert.equal(ours.status, 429);
    assert.equal(ours.json.code, 'too_many_watchers');
    assert.ok(Number(ours.headers['retry-after']) > 0);
    polls.push(poll(theirs.id, blue));
    await until('three polls', async () => (await watchers(narrow, 'poll', watcher)) === 3);
    const full = await poll(theirs.id, blue);
    assert.equal(full.status, 503);
    assert.equal(full.json.code, 'watchers_full');
    assert.equal((await narrow.query(red.id)).status, 'pending', 'who does not wait is answered');
    stage.fail('narrow');
    for (const { json } of await Promise.all(polls)) assert.equal(json.status, 'failed');
});
test('a server that stops answers those who wait', async () => {
    const brief = await start({ config: stage.config() });
    const watcher = await brief.addKey('operator', { operator: true });
    const { id } = await brief.create({ model: 'm', prompt: 'brief' });
    const polls = Array.from({ length: 20 }, () => brief.call('GET', target(id, 'wait=60&until=end'), { agent: false }));
    await until('twenty polls', async () => (await watchers(brief, 'poll', watcher)) === 20);
    assert.equal(await brief.stop(), 0);
    for (const { status, json } of await Promise.all(polls)) {
        assert.equal(status, 200);
        assert.equal(json.status, 'pending');
    }
    await brief.restart();
    stage.fail('brief');
    assert.equal((await brief.call('GET', target(id, 'wait=60&until=end'))).json.status, 'failed');
});

test('the servers ended well', endedWell);
