// SPDX-License-Identifier: Apache-2.0
//
// Event streams: what they tell and to whom, how they go on after they broke off, who may open them, and how they end. What is
// sent is held against the table of events.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { EventSource } from 'eventsource';
import { command, endedWell, start, until } from './harness.js';
import { eventsOf, open, Stage, Stream, watchers } from './streams.js';

const MANY = 300;
const stage = await new Stage().open();
const server = await start({ config: stage.config('notify: {heartbeat: 1s}\n'), key: { tenant: 'red' } });
const blue = await server.addKey('blue', { tenant: 'blue' });
const operator = await server.addKey('operator', { operator: true, tenant: 'ops' });

const short = (id) => id.split(':')[1];
const make = (prompt, options) => server.create({ model: 'm', prompt }, options);
const query = (...ids) => `?${ids.map((id) => `id=${encodeURIComponent(id)}`).join('&')}`;

// A task that failed, and what the table says of it.
async function ended(prompt, options) {
    stage.fail(prompt);
    const { id } = await make(prompt, options);
    await server.waitEnd(id, options);
    return id;
}

const numbers = (list) => list.map(({ id, number }) => id ?? number);
const told = (stream) => numbers(stream.states());
const tableOf = (where, host = server) => numbers(eventsOf(host, where));

test('a stream tells all of a task, as the table has it, in bytes that no proxy keeps back', async () => {
    const stream = await open(server);
    assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(stream.headers['cache-control'], 'no-store');
    assert.equal(stream.headers['x-accel-buffering'], 'no');
    assert.equal(stream.headers['access-control-allow-origin'], '*');
    stage.tell('whole', { state: 'rendering', progress: 0.25 });
    const { id } = await make('whole');
    await stream.wait('progress', ({ event, data }) => event === 'progress' && data.progress === 25);
    stage.tell('whole', { state: 'rendering', progress: 0.5 });
    await stream.wait('progress', ({ event, data }) => event === 'progress' && data.progress === 50);
    stage.fail('whole');
    const last = await stream.wait('the end', ({ data }) => data.status === 'failed');
    assert.match(stream.text, /^retry: 2000\n\n/);
    assert.deepEqual(told(stream), tableOf(`task_id = '${short(id)}'`));
    assert.deepEqual(stream.states().map(({ data }) => data.state), eventsOf(server).map(({ state }) => state));
    for (const { event, data } of stream.events) {
        server.contract.checkSchema('Event', data);
        assert.equal(data.id, id);
        assert.equal(data.status, data.state === 'failed' ? 'failed' : 'pending');
        assert.ok(event === 'state' || data.state === 'rendering');
    }
    const now = await server.query(id);
    assert.deepEqual(last.data.error, now.error);
    for (const key of ['id', 'status', 'video_url', 'enhanced_prompt', 'status_update_time', 'progress']) assert.deepEqual(last.data[key], now[key], key);
    stream.close();
});
test('a film that is done is told with its links', async () => {
    const stream = await open(server);
    const { id } = await server.complete({ prompt: 'film' });
    const { data } = await stream.wait('the end', (event) => event.data.status === 'completed');
    server.contract.checkSchema('Event', data);
    const now = await server.query(id);
    for (const key of ['video_url', 'thumbnail_url', 'width', 'height', 'progress']) assert.deepEqual(data[key], now[key], key);
    assert.equal((await server.fetchLink(data.video_url)).status, 200);
    stream.close();
});
test('it begins with how things stand', async () => {
    for (const prompt of ['present 1', 'present 2']) stage.tell(prompt, { state: 'rendering', progress: 0.4 });
    const present = []; // one after the other: they are told in the order of their last change of state
    for (const prompt of ['present 1', 'present 2']) {
        const task = await make(prompt);
        await until('40 %', async () => (await server.query(task.id)).progress === 40);
        present.push(task);
    }
    const [one, two] = present;
    const stream = await open(server);
    await stream.wait('both', () => stream.events.length === 2);
    assert.deepEqual(stream.events.map(({ event, data }) => [event, data.id, data.progress]), [['state', one.id, 40], ['state', two.id, 40]]);
    stage.fail('present 1');
    stage.fail('present 2');
    await until('both ends', () => stream.events.filter(({ data }) => data.state === 'failed').length === 2);
    stream.close();
});
test('named tasks: theirs alone, and an end when all have ended', async () => {
    const done = await ended('named 0');
    const [one, two, other] = [await make('named 1'), await make('named 2'), await make('named 3')];
    const stream = await open(server, { query: query(one.id, two.id, done, one.id) });
    await stream.wait('the one that has ended', ({ data }) => data.id === done && data.status === 'failed');
    stage.fail('named 3');
    await server.waitEnd(other.id);
    stage.fail('named 1');
    await stream.wait('the first end', ({ data }) => data.id === one.id && data.status === 'failed');
    assert.ok(!stream.isOver);
    stage.fail('named 2');
    await stream.over();
    assert.deepEqual([...new Set(stream.states().map(({ data }) => data.id))].sort(), [done, one.id, two.id].sort());
    assert.match(stream.text, /event: end\ndata: \{\}\n\n$/);
    const again = await new Stream(server, { query: query(one.id, two.id), headers: { 'Last-Event-ID': String(stream.last) } }).opened;
    assert.equal(again.status, 204, 'browsers do not come again after this');
    const anew = await open(server, { query: query(one.id) });
    await anew.over();
    assert.deepEqual(anew.events.map(({ event, data }) => [event, data.status ?? 'over']), [['state', 'failed'], ['end', 'over']]);
});
test('a stranger hears nothing of others; an operator hears of all', async () => {
    const [mine, theirs, all] = [await open(server), await open(server, { key: blue }), await open(server, { key: operator })];
    const [red, other] = [await ended('whose red'), await ended('whose blue', { key: blue })];
    for (const stream of [mine, theirs, all]) await stream.wait('an end', ({ data }) => data.status === 'failed' && [red, other].includes(data.id));
    await until('both', () => [red, other].every((id) => all.events.some(({ data }) => data.id === id && data.status === 'failed')));
    assert.ok(!mine.text.includes(short(other)) && !theirs.text.includes(short(red)));
    for (const stream of [mine, theirs, all]) stream.close();
    const foreign = await server.call('GET', `/v1/video/events${query(other, red)}`);
    assert.equal(foreign.status, 404);
    assert.equal(foreign.json.code, 'task_not_exist');
    const past = await open(server, { key: blue, headers: { 'Last-Event-ID': '0' } });
    await until('the past', () => past.states().length >= eventsOf(server, `tenant = 'blue'`).length);
    assert.deepEqual(told(past), tableOf(`tenant = 'blue'`));
    past.close();
});
test('what is asked for wrongly is said', async () => {
    const { id } = await make('wrong');
    const many = await Promise.all(Array.from({ length: 65 }, (_, i) => make(`wrong ${i}`)));
    assert.equal((await server.call('GET', `/v1/video/events${query(...many.map((each) => each.id))}`)).json.error.param, 'id');
    assert.equal((await server.call('GET', '/v1/video/events', { key: null })).status, 401);
    assert.equal((await server.call('GET', `/v1/video/events${query(id, 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60')}`)).status, 404);
    const head = await server.call('HEAD', `/v1/video/events${query(id)}`);
    assert.equal(head.status, 200);
    assert.equal(head.headers['content-type'], 'text/event-stream; charset=utf-8');
    for (let i = 0; i < 65; i++) stage.fail(`wrong ${i}`);
    stage.fail('wrong');
    for (const each of [...many, { id }]) await server.waitEnd(each.id);
});
test('who comes again goes on where he was, wherever that was', async () => {
    const all = tableOf(`tenant = 'red'`);
    for (const place of [0, 1, Math.floor(all.length / 2), all.length - 1]) {
        const after = place === 0 ? 0 : all[place - 1];
        const streams = [await open(server, { headers: { 'Last-Event-ID': String(after) } }), await open(server, { query: `?last_event_id=${after}` })];
        for (const stream of streams) {
            await until('the rest', () => stream.states().length >= all.length - place);
            assert.deepEqual(told(stream), all.slice(place));
            stream.close();
        }
    }
    for (const unknown of ['999999999', 'x', '-1', '']) {
        const stream = await open(server, { headers: { 'Last-Event-ID': unknown } });
        await until('a mark', () => stream.last !== undefined);
        assert.equal(stream.last, all.at(-1) > stream.last ? 0 : stream.last);
        assert.deepEqual(stream.events, [], 'as one that comes for the first time');
        stream.close();
    }
});
test('a start, polite or not, leaves no gap and repeats nothing', async () => {
    const host = await start({ config: stage.config(), key: { tenant: 'red' } });
    const [heard, late] = [[], []];
    const source = new EventSource(`${host.url}/v1/video/events`, {
        fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${host.key}` } }),
    });
    source.addEventListener('state', (event) => heard.push(Number(event.lastEventId)));
    await until('the stream', () => source.readyState === EventSource.OPEN);
    for (const end of ['stop', 'kill', 'stop', 'kill']) {
        for (let i = 0; i < 20; i++) {
            stage.fail(`over ${end} ${i}`);
            await host.create({ model: 'm', prompt: `over ${end} ${i}` });
        }
        if (end === 'stop') assert.equal(await host.stop(), 0);
        else await host.kill();
        await host.restart();
    }
    const { data } = (await host.call('GET', '/v1/video/tasks?limit=100')).json;
    for (const { id } of data) await host.waitEnd(id);
    const all = tableOf('1', host);
    assert.ok(all.length >= 240);
    await until('all of it', () => heard.length >= all.length);
    assert.deepEqual(heard, all);
    source.close();
    const other = await host.addKey('blue', { tenant: 'blue' });
    await host.waitEnd((await host.create({ model: 'm', prompt: 'over stop 0' }, { key: other })).id, { key: other });
    // The same in one go, by more than one page from the store.
    await host.restart();
    const theirs = await open(host, { key: other, headers: { 'Last-Event-ID': '0' } });
    await until('all of theirs', () => theirs.states().length >= tableOf(`tenant = 'blue'`, host).length);
    assert.deepEqual(told(theirs), tableOf(`tenant = 'blue'`, host));
    theirs.close();
    const stream = await open(host, { headers: { 'Last-Event-ID': '0' } });
    await until('all of it', () => stream.states().length >= all.length);
    assert.deepEqual(told(stream), all);
    assert.deepEqual(stream.states().map(({ data: { state } }) => state), eventsOf(host, `tenant = 'red'`).map(({ state }) => state));
    const named = await open(host, { headers: { 'Last-Event-ID': String(all[5]) }, query: query(data[0].id, data[50].id) });
    await named.over();
    assert.deepEqual(told(named), tableOf(`task_id IN ('${short(data[0].id)}', '${short(data[50].id)}') AND number > ${all[5]}`, host));
    stream.close();
});
test('a ticket opens one stream, of what it was made for', async () => {
    const ticket = async (body, options) => {
        const { status, json } = await server.call('POST', '/v1/video/events/ticket', { ...(body ? { json: body } : {}), ...options });
        assert.equal(status, 200);
        assert.ok(json.expires_at * 1000 > Date.now() && json.expires_at * 1000 <= Date.now() + 61_000);
        return encodeURIComponent(json.ticket);
    };
    const refused = async (rest, status, code) => {
        const { status: is, json } = await server.call('GET', `/v1/video/events?${rest}`, { key: null });
        assert.equal(is, status);
        assert.equal(json.code, code);
    };
    const [one, two] = [await make('ticket 1'), await make('ticket 2')];
    const theirs = await make('ticket 3', { key: blue });
    const first = await ticket();
    const stream = await open(server, { query: `?ticket=${first}`, key: null });
    await refused(`ticket=${first}`, 401, 'invalid_ticket');
    await refused('ticket=', 401, 'invalid_ticket');
    await refused('ticket=AAAA', 401, 'invalid_ticket');
    const fresh = await ticket();
    for (const at of [0, 20, fresh.length - 2]) await refused(`ticket=${fresh.slice(0, at)}${fresh[at] === 'A' ? 'B' : 'A'}${fresh.slice(at + 1)}`, 401, 'invalid_ticket');
    const narrow = await open(server, { query: `?ticket=${await ticket({ ids: [one.id] })}`, key: null });
    await refused(`ticket=${await ticket({ ids: [one.id] })}&id=${two.id}`, 404, 'task_not_exist');
    await refused(`ticket=${await ticket()}&id=${theirs.id}`, 404, 'task_not_exist');
    const both = await open(server, { query: `?ticket=${await ticket({ ids: [one.id, two.id] })}&id=${one.id}`, key: null });
    assert.equal((await server.call('POST', '/v1/video/events/ticket', { json: { ids: [theirs.id] } })).status, 404);
    for (const body of [[], { ids: 'x' }, { ids: [1] }, { id: 1 }]) assert.equal((await server.call('POST', '/v1/video/events/ticket', { json: body })).json.error.param, 'ids');
    assert.equal((await server.call('POST', '/v1/video/events/ticket', { key: null })).status, 401);
    await refused(`ticket=${await ticket()}x`.replace(/x$/, '!'), 401, 'invalid_ticket');
    for (const n of [1, 2, 3]) stage.fail(`ticket ${n}`);
    for (const each of [narrow, both]) {
        await each.over();
        assert.deepEqual([...new Set(each.states().map(({ data }) => data.id))], [one.id]);
    }
    await stream.wait('the other', ({ data }) => data.id === two.id && data.status === 'failed');
    assert.ok(!stream.text.includes(short(theirs.id)));
    stream.close();
    const kept = await ticket();
    await server.restart();
    await refused(`ticket=${kept}`, 401, 'invalid_ticket');
});
test('who loses his key loses his streams and tickets', async () => {
    const key = await server.addKey('brief', { tenant: 'brief' });
    await until('the key to work', async () => (await server.call('GET', '/v1/models', { key })).status === 200);
    const { json } = await server.call('POST', '/v1/video/events/ticket', { key });
    const stream = await open(server, { key });
    assert.equal((await command(['keys', 'revoke', '--data', server.data, 'brief'])).status, 0);
    await stream.over();
    const late = await server.call('GET', `/v1/video/events?ticket=${json.ticket}`, { key: null });
    assert.equal(late.json.code, 'invalid_ticket');
});
test('a quiet stream says that it lives, and who has gone is forgotten', async () => {
    const before = await watchers(server, 'stream', operator);
    const streams = [await open(server, { key: blue }), await open(server, { key: blue })];
    await until('heartbeats', () => streams.every((stream) => stream.comments >= 2));
    assert.equal(await watchers(server, 'stream', operator), before + 2);
    for (const stream of streams) stream.close();
    await until('they are gone', async () => (await watchers(server, 'stream', operator)) === before);
});
test('one change reaches many', async () => {
    const { id } = await make('reaches many');
    const streams = await Promise.all(Array.from({ length: MANY }, () => open(server, { query: query(id) })));
    await until('how it stands', () => streams.every((stream) => stream.events.length > 0));
    stage.fail('reaches many');
    for (const stream of streams) {
        await stream.over();
        assert.equal(stream.events.at(-1).event, 'end');
        assert.equal(stream.events.at(-2).data.status, 'failed');
    }
    await until('all are gone', async () => (await watchers(server, 'stream', operator)) === 0);
});
test('who reads slowly holds nobody up, and misses nothing', async (context) => {
    const SLOW = `
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(('127.0.0.1', ${server.port}))
s.sendall(b'GET /v1/video/events HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer ${server.key}\\r\\n\\r\\n')
came = s.recv(100)
print('open', flush=True)
sys.stdin.readline()
while True:
    piece = s.recv(65536)
    if not piece: break
    came += piece
    if came.count(b'event: state') >= int(${2 * MANY}): break
sys.stdout.buffer.write(came)
`;
    const slow = spawn('python3', ['-c', SLOW], { stdio: ['pipe', 'pipe', 'inherit'] });
    context.after(() => slow.kill());
    let came = '';
    slow.stdout.setEncoding('latin1').on('data', (piece) => (came += piece));
    await until('it is open', () => came.startsWith('open'));
    const quick = await open(server);
    const mark = eventsOf(server).at(-1).number;
    const made = await Promise.all(Array.from({ length: MANY }, (_, i) => make(`slow ${i}`)));
    for (const { id } of made) assert.equal((await server.cancel(id)).status, 200);
    const all = tableOf(`tenant = 'red' AND number > ${mark}`);
    await until('the quick one', () => quick.states().length >= all.length);
    assert.deepEqual(told(quick), all);
    slow.stdin.end('go\n');
    await new Promise((done) => slow.on('close', done));
    const ids = [...came.matchAll(/id: (\d+)\r?\nevent: state/g)].map(([, id]) => Number(id));
    assert.ok(ids.length >= 2 * MANY);
    assert.deepEqual(ids, all.slice(0, ids.length));
    quick.close();
});
test('streams are counted with all who wait', async () => {
    const narrow = await start({ config: stage.config('notify: {watchers: 3, per_tenant: 2}\n'), key: { tenant: 'red' } });
    const [other, ops] = [await narrow.addKey('blue', { tenant: 'blue' }), await narrow.addKey('operator', { operator: true, tenant: 'ops' })];
    const streams = [await open(narrow), await open(narrow), await open(narrow, { key: other })];
    const { status, json } = await narrow.call('GET', '/v1/video/events');
    assert.equal(status, 429);
    assert.equal(json.code, 'too_many_watchers');
    assert.equal((await narrow.call('GET', '/v1/video/events', { key: ops })).json.code, 'watchers_full');
    for (const stream of streams) stream.close();
});
test('a server that stops ends its streams at once', async () => {
    const brief = await start({ config: stage.config() });
    const streams = await Promise.all(Array.from({ length: 20 }, () => open(brief)));
    assert.equal(await brief.stop(), 0);
    for (const stream of streams) await stream.over();
});

test('the servers ended well', endedWell);
