// SPDX-License-Identifier: Apache-2.0
//
// GET /metrics as Prometheus reads it: well-formed, for operators only, and telling what happened.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, test } from 'node:test';
import { endedWell, start, until } from './harness.js';
import { startAll } from '../simulators/run.js';
import { film, isDone } from './simulated.js';
import { VENDORS, channelsOf } from './upstreams.js';

const server = await start({ key: { operator: true }, config: 'render:\n  slots: 1\ntasks:\n  backoff: 50ms\n' });
const tenant = await server.addKey('tenant');
const slow = { duration: 8, size: '640x640' };

const LINE = /^([a-z_][a-z0-9_]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)$/; // a label's value may hold braces
const LABEL = /^([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"$/;

// The text as a map from `name{labels}` to a number. Fails where a scraper would.
function parse(text) {
    const kinds = new Map(), samples = new Map();
    assert.ok(text.endsWith('\n'));
    for (const line of text.trimEnd().split('\n')) {
        const [, word, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
        if (word === 'TYPE') {
            assert.ok(!kinds.has(name), `${name} stands twice`);
            assert.match(rest, /^(counter|gauge|histogram)$/);
            kinds.set(name, rest);
        }
        if (word !== undefined) continue;
        const [, series, labels = '', value] = LINE.exec(line) ?? assert.fail(line);
        const family = [...kinds.keys()].at(-1); // samples stand behind their TYPE
        assert.ok(series === family || (kinds.get(family) === 'histogram' && series.startsWith(`${family}_`)), line);
        if (kinds.get(family) === 'counter') assert.match(family, /_total$/);
        for (const label of labels === '' ? [] : labels.split(/,(?=[a-z_]+=)/)) assert.match(label, LABEL, line);
        assert.ok(!samples.has(`${series}{${labels}}`), `${line} stands twice`);
        assert.ok(Number.isFinite(Number(value)), line);
        samples.set(`${series}{${labels}}`, Number(value));
    }
    return samples;
}

async function look(of = server) {
    const answer = await of.call('GET', '/metrics', { unchecked: true });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const samples = parse(answer.text);
    return (name) => samples.get(name.includes('{') ? name : `${name}{}`) ?? 0;
}

const answers = (route, status) => `filmgate_http_requests_total{route="${route}",status="${status}"}`;

test('it is for operators: 401 without a key, 403 with a tenant\'s', async () => {
    assert.equal((await server.call('GET', '/metrics', { key: null })).status, 401);
    assert.equal((await server.call('GET', '/metrics', { key: tenant })).json.code, 'forbidden');
    assert.equal((await server.call('HEAD', '/metrics')).status, 200);
});
test('requests are counted by route and status, shared answers and refusals included', async () => {
    const before = await look();
    const { id } = await server.complete({});
    for (let i = 0; i < 5; i++) await server.query(id);
    const { etag } = (await server.call('GET', `/v1/video/query?id=${id}`)).headers;
    await server.call('GET', `/v1/video/query?id=${id}`, { headers: { 'If-None-Match': etag } });
    await server.call('GET', '/nowhere');
    await server.call('POST', '/v1/video/create', { json: {} });
    await server.call('GET', '/v1/models', { key: null });
    const after = await look();
    const grown = (name) => after(name) - before(name);
    assert.ok(grown(answers('GET /v1/video/query', 200)) >= 7);
    assert.equal(grown(answers('GET /v1/video/query', 304)), 1);
    assert.equal(grown(answers('POST /v1/video/create', 200)), 1);
    assert.equal(grown(answers('POST /v1/video/create', 400)), 1);
    assert.equal(grown(answers('GET /v1/models', 401)), 1);
    assert.equal(grown(answers('none', 404)), 1);
    const query = '{route="GET /v1/video/query"}';
    assert.equal(after(`filmgate_http_request_seconds_count${query}`), after(answers('GET /v1/video/query', 200)) + after(answers('GET /v1/video/query', 304)));
    assert.ok(grown('filmgate_http_response_bytes_total') > 7 * 1000);
    assert.ok(after('filmgate_http_connections') >= 1 && after('filmgate_http_requests_in_flight') >= 1);
});
test('buckets of a histogram only grow and end in its count', async () => {
    const samples = parse((await server.call('GET', '/metrics', { unchecked: true })).text);
    const buckets = [...samples].filter(([name]) => /_bucket\{/.test(name));
    const byFamily = Map.groupBy(buckets, ([name]) => name.replace(/,?le="[^"]+"/, ''));
    assert.ok(byFamily.size >= 5);
    for (const [name, of] of byFamily) {
        const counts = of.map(([, count]) => count);
        assert.deepEqual(counts, [...counts].sort((a, b) => a - b), name);
        assert.match(of.at(-1)[0], /le="\+Inf"/);
        assert.equal(counts.at(-1), samples.get(name.replace('_bucket', '_count')), name);
        assert.ok(samples.get(name.replace('_bucket', '_sum')) >= 0);
    }
});
test('tasks, attempts, helpers and commits', async () => {
    const before = await look();
    const { id } = await server.create(slow);
    const helper = await server.waitHelper();
    process.kill(helper, 'SIGSTOP');
    const waiting = await server.create({});
    await until('one at work, one waiting', async () => {
        const now = await look();
        return now('filmgate_tasks{state="rendering"}') === 1 && now('filmgate_tasks{state="queued"}') === 1 && now('filmgate_queue_length') === 1 && now('filmgate_slots_used') === 1;
    });
    await server.cancel(waiting.id);
    process.kill(helper, 'SIGKILL');
    await server.waitEnd(id);
    const after = await look();
    const grown = (name) => after(name) - before(name);
    assert.equal(grown('filmgate_tasks_created_total'), 2);
    assert.equal(grown('filmgate_tasks_ended_total{state="completed"}'), 1);
    assert.equal(grown('filmgate_tasks_ended_total{state="cancelled"}'), 1);
    assert.equal(grown('filmgate_attempts_total'), 2);
    assert.equal(grown('filmgate_attempts_retried_total'), 1);
    assert.equal(grown('filmgate_attempt_failures_total{code="render_crashed"}'), 1);
    assert.equal(grown('filmgate_helpers_ended_total{job="animatic",end="crashed"}'), 1);
    assert.equal(grown('filmgate_helpers_ended_total{job="animatic",end="done"}'), 1);
    assert.equal(grown('filmgate_helpers_ended_total{job="variants",end="done"}'), 1);
    assert.equal(grown('filmgate_task_seconds_count'), 1);
    assert.equal(grown('filmgate_attempt_seconds_count'), 1);
    assert.ok(grown('filmgate_store_commits_total') >= 6);
    assert.equal(grown('filmgate_store_batch_writes_count'), grown('filmgate_store_commits_total'));
    assert.equal(after('filmgate_store_failures_total'), 0);
    for (const state of ['queued', 'submitting', 'rendering', 'fetching']) assert.equal(after(`filmgate_tasks{state="${state}"}`), 0, state);
});
test('states are right after a restart', async () => {
    const { id } = await server.create({ duration: 60, size: 'large' });
    await server.waitHelper();
    await server.kill();
    await server.restart();
    await until('it to be taken up', async () => (await look())('filmgate_tasks{state="rendering"}') === 1);
    const now = await look();
    assert.equal(now('filmgate_tasks_created_total'), 0, 'counters begin anew');
    assert.ok(Math.abs(now('process_start_time_seconds') - Date.now() / 1000) < 600);
    await server.cancel(id);
    assert.equal((await look())('filmgate_tasks{state="rendering"}'), 0);
});

// Channels: one that does its work, one that asks for a rest, one that breaks off.

const sims = await startAll({ portBase: 0 });
const strangers = await Promise.all([(request, response) => response.writeHead(429, { 'Retry-After': '600' }).end('{}'), (request) => request.socket.destroy()].map(async (answer) => {
    const stranger = http.createServer(answer);
    await new Promise((done) => stranger.listen(0, '127.0.0.1', done));
    return stranger;
}));
after(() => Promise.all([sims.close(), ...strangers.map((stranger) => stranger.close())]));

const keys = [{ name: 'one', key: 'sim-key' }, { name: 'two', key: 'sim-key' }];
const [works] = channelsOf(sims, ['unified'], { concurrency: 1, key: undefined, credentials: keys.slice(0, 1) });
const [busy, broken] = strangers.map((stranger, i) => ({ ...works, name: ['busy', 'broken'][i], base_url: `http://127.0.0.1:${stranger.address().port}`, models: [['m-busy', 'm-broken'][i]], credentials: keys }));
const upstream = await start({ key: { operator: true }, config: `channels: ${JSON.stringify([works, busy, broken])}\n` });
const ask = (model) => film(upstream, model, 'a paper boat');

// What is told of one credential, by the names of its metrics.
async function tells(channel, credential) {
    const now = await look(upstream);
    const of = (name) => now(`filmgate_channel_${name}{channel="${channel}",credential="${credential}"}`);
    const names = ['in_flight', 'submits_total', 'accepted_total', 'refused_total', 'unknown_total', 'polls_total', 'troubles_total', 'breaker_open', 'paused', 'draining'];
    return Object.fromEntries(names.map((name) => [name.replace('_total', ''), of(name)]));
}
const nothing = { in_flight: 0, submits: 0, accepted: 0, refused: 0, unknown: 0, polls: 0, troubles: 0, breaker_open: 0, paused: 0, draining: 0 };
test('a channel\'s credential: each has its series', async () => {
    for (const [channel, credential] of [['unified', 'one'], ['busy', 'one'], ['busy', 'two']]) assert.deepEqual(await tells(channel, credential), nothing);
    const text = (await upstream.call('GET', '/metrics', { unchecked: true })).text;
    assert.ok(text.includes(`filmgate_channel_submits_total{channel="unified",credential="one"} 0\n`), text);
    assert.equal(text.split('\n').filter((line) => line.startsWith('filmgate_channel_paused{')).length, 5);
});
test('a channel that works counts what it does', async () => {
    const asked = await ask(VENDORS.unified.model);
    await until('it to be at the upstream', async () => (await tells('unified', 'one')).accepted === 1);
    await isDone(upstream, asked);
    const { polls, troubles, ...rest } = await tells('unified', 'one');
    assert.ok(polls >= 1 && troubles <= polls);
    assert.deepEqual({ ...rest, polls: 0, troubles: 0 }, { ...nothing, submits: 1, accepted: 1 });
});
test('a channel that asks for a rest has its breaker open', async () => {
    const tasks = [];
    for (const resting of [1, 2]) { // each waits as long as the upstream asked
        tasks.push(await ask('m-busy'));
        await until('a credential to rest', async () => (await tells('busy', 'one')).breaker_open + (await tells('busy', 'two')).breaker_open === resting);
    }
    for (const credential of ['one', 'two']) assert.deepEqual(await tells('busy', credential), { ...nothing, submits: 1, refused: 1, breaker_open: 1 });
    for (const { id } of tasks) await upstream.cancel(id);
});
test('an answer that was lost is counted', async () => {
    const ended = await upstream.waitEnd((await ask('m-broken')).id);
    assert.equal(ended.error.code, 'submission_unknown');
    const [one, other] = [await tells('broken', 'one'), await tells('broken', 'two')];
    assert.deepEqual({ ...one, submits: one.submits + other.submits, unknown: one.unknown + other.unknown }, { ...nothing, submits: 1, unknown: 1 });
});
test('orders are told', async () => {
    for (const [verb, paused, draining] of [['pause', 1, 0], ['drain', 0, 1], ['resume', 0, 0]]) {
        assert.equal((await upstream.call('POST', `/v1/channels/broken/${verb}`)).status, 200);
        const now = await tells('broken', 'two');
        assert.deepEqual([now.paused, now.draining], [paused, draining], verb);
    }
    assert.equal((await tells('busy', 'two')).paused, 0);
});
test('the built-in engine is a channel with a credential of no name', async () => {
    const now = await look();
    assert.equal(now('filmgate_channel_in_flight{channel="animatic",credential=""}'), now('filmgate_slots_used'));
});

test('the servers ended well', endedWell);
