// SPDX-License-Identifier: Apache-2.0
//
// Tasks as a resource: lists by state, model, time and text; deletion, of which nothing is left but what accounts need; and
// timelines, which tell operators more than tenants.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { startAll } from '../simulators/run.js';
import { dataUri, tiny } from './media.js';
import { command, endedWell, holdStore, newDirectory, sleep, start, tool, until } from './harness.js';
import { film } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const sims = await startAll({ portBase: 0 });
after(() => sims.close());
const server = await start({ config: 'render:\n  slots: 1\n' });
const boss = await server.addKey('boss', { operator: true });
const other = await server.addKey('other', { tenant: 'other' });
const remote = await start({ config: channelsYaml(sims, ['unified']) });
const remoteBoss = await remote.addKey('boss', { operator: true });

// An upstream of our own that never is done, and answers a cancel when it is let.
const ADAPTER = `
def about: {summary: "Takes its time.", evidence: "wire", auth: {kind: "none"}, cancel: {while: ["pending", "rendering"]}};
def submit: {method: "POST", path: "/jobs", json: {prompt: .task.prompt}};
def submitted: {job: .body.id, keep: {token: "kept for the cancel"}};
def poll: {method: "GET", path: "/jobs/\\(.job)"};
def polled: {state: "rendering"};
def cancel: {method: "POST", path: "/jobs/\\(.job)/cancel", json: .keep};
def cancelled: {state: "cancelled"};
`;
const cancels = [];
const slow = http.createServer(async (request, response) => {
    const answer = () => response.writeHead(200, { 'content-type': 'application/json' }).end('{"id": "job-1"}');
    let body = '';
    for await (const piece of request) body += piece;
    if (request.url.endsWith('/cancel')) cancels.push({ body, answer });
    else answer();
});
await new Promise((resolve) => slow.listen(0, '127.0.0.1', resolve));
after(() => { slow.closeAllConnections(); slow.close(); });
const adapters = newDirectory();
fs.writeFileSync(path.join(adapters, 'slow.jq'), ADAPTER);
const slowChannel = { name: 'slow', adapter: 'slow', base_url: `http://127.0.0.1:${slow.address().port}`, models: ['m'], poll_first: '200ms', poll_every: '200ms' };
const waiting = await start({ config: `adapters: ${adapters}\nchannels: ${JSON.stringify([slowChannel])}\n` });

const target = (id, rest = '') => `/v1/video/tasks/${encodeURIComponent(id)}${rest}`;
const short = (id) => id.split(':')[1];
const sql = async (of, text) => String((await tool('sqlite3', '-cmd', '.timeout 60000', path.join(of.data, 'filmgate.db'), text)).stdout).trim();

async function list(query, options) {
    const { status, json, text } = await server.call('GET', `/v1/video/tasks?${new URLSearchParams(query)}`, options);
    assert.equal(status, 200, text);
    return json;
}
// All pages of a list.
async function ids(query, options) {
    const found = [];
    for (let before = {}; ; ) {
        const { data, has_more: hasMore, next } = await list({ limit: 3, ...query, ...before }, options);
        found.push(...data.map((task) => task.id));
        assert.equal(hasMore, next !== null);
        if (!hasMore) return found;
        before = { before: next };
    }
}
const refuses = async (query, param) => {
    const { status, json } = await server.call('GET', `/v1/video/tasks?${query}`);
    assert.deepEqual([status, json.error.param], [400, param], query);
};

/* ---- lists ---- */

const made = {};
test('tasks of every end, and two that have not ended', async () => {
    made.boat = (await server.complete({ prompt: 'A paper BOAT, "at sea"' })).id;
    made.failed = (await server.waitEnd((await server.create({ prompt: 'a picture that is none', images: ['http://127.0.0.1:1/none.png'] })).id)).id;
    made.running = (await server.create({ prompt: 'long', duration: 60, size: 'large' })).id;
    made.waiting = (await server.create({ prompt: 'a boat, too', model: 'grok-video-3' })).id;
    made.cancelled = (await server.create({ prompt: 'nobody wants it', model: 'veo3' })).id;
    assert.equal((await server.cancel(made.cancelled)).status, 200);
    await server.waitRendering(made.running);
});
test('by state', async () => {
    assert.deepEqual(await ids({ status: 'completed' }), [made.boat]);
    assert.deepEqual(await ids({ status: 'failed' }), [made.failed]);
    assert.deepEqual(await ids({ status: 'cancelled' }), [made.cancelled]);
    assert.deepEqual(await ids({ status: 'queued' }), [made.waiting]);
    assert.deepEqual(await ids({ status: 'pending' }), [made.waiting, made.running]);
    assert.deepEqual(await ids({ status: 'unfinished' }), [made.waiting, made.running]);
    assert.deepEqual(await ids({ status: 'ended' }), [made.cancelled, made.failed, made.boat]);
    assert.deepEqual(await ids({ status: 'rendering,fetching,submitting,failed' }), [made.running, made.failed]);
    assert.deepEqual(await ids({ status: 'ended,unfinished' }), [made.cancelled, made.waiting, made.running, made.failed, made.boat]);
    const { data } = await list({ status: 'completed' });
    assert.deepEqual(data[0], await server.query(made.boat));
});
test('by model', async () => {
    assert.deepEqual(await ids({ model: 'veo3' }), [made.cancelled]);
    assert.deepEqual(await ids({ model: 'grok*' }), [made.waiting]);
    assert.deepEqual(await ids({ model: 'grok' }), []);
    assert.deepEqual(await ids({ model: '*' }), await ids({}));
    assert.deepEqual(await ids({ model: 'sora-2', status: 'ended' }), [made.failed, made.boat]);
});
test('by time, in each way of writing one', async () => {
    const [micros] = (await sql(server, `SELECT created_micros FROM tasks WHERE id = '${short(made.running)}'`)).split('\n').map(Number);
    const ms = Math.floor(micros / 1000);
    const iso = new Date(ms).toISOString();
    const east = new Date(ms + 2 * 3600_000).toISOString().replace('Z', '+02:00');
    for (const moment of [String(ms), (ms / 1000).toFixed(3), iso, east]) {
        assert.deepEqual(await ids({ created_after: moment }), [made.cancelled, made.waiting, made.running], moment);
        assert.deepEqual(await ids({ created_before: moment }), [made.failed, made.boat], moment);
    }
    assert.deepEqual(await ids({ created_after: iso, created_before: iso }), []);
    assert.deepEqual(await ids({ created_after: '2000-01-01', created_before: '9999-01-01' }), await ids({}));
    assert.deepEqual(await ids({ created_before: '2000-01-01' }), []);
    // as it stands in an address, where the plus reads as a blank
    const { json } = await server.call('GET', `/v1/video/tasks?created_before=${east}`);
    assert.deepEqual(json.data.map((task) => task.id), [made.failed, made.boat]);
});
test('by text, of the prompt alone', async () => {
    assert.deepEqual(await ids({ q: 'boat' }), [made.waiting, made.boat]);
    assert.deepEqual(await ids({ q: 'PAPER boat, "AT' }), [made.boat]);
    assert.deepEqual(await ids({ q: 'boat', status: 'ended', model: 'sora*' }), [made.boat]);
    assert.deepEqual(await ids({ q: 'portrait' }), []);
    assert.deepEqual(await ids({ q: '%' }), []);
});
test('one\'s own only, with every filter', async () => {
    const theirs = (await server.create({ prompt: 'a boat of theirs' }, { key: other })).id;
    for (const query of [{}, { q: 'boat' }, { status: 'pending' }, { model: 'sora-2' }, { created_after: '2000-01-01' }])
        assert.deepEqual(await ids(query, { key: other }), [theirs], JSON.stringify(query));
    assert.equal((await ids({ q: 'of theirs' })).length, 0);
    assert.deepEqual(await ids({ q: 'of theirs' }, { key: boss }), [theirs]);
    await server.cancel(theirs, { key: other });
});
test('what is no filter is refused, by its name', async () => {
    for (const value of ['', 'done', 'queued,', ',queued', 'Queued', 'in_progress']) await refuses(`status=${value}`, 'status');
    for (const value of ['', 'yesterday', '-1', '2025-13-01', '1e9']) await refuses(`created_after=${value}`, 'created_after');
    await refuses('created_before=soon', 'created_before');
    await refuses('model=', 'model');
    await refuses(`model=${'m'.repeat(200)}`, 'model');
    await refuses('q=', 'q');
    await refuses(`q=${'x'.repeat(257)}`, 'q');
    await refuses('q=%FF', 'q');
    await refuses('before=nonsense', 'before');
});
test('a long list is looked at piece by piece, and the pieces add up', async () => {
    // More rows than one look passes over, older than all of the above; their documents are no tasks of anybody.
    await sql(server, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
        INSERT INTO tasks(id, tenant, model, state, is_end, revision, created_micros, updated_ms, ended_ms, expired_ms, status, request, deleted_ms)
        SELECT printf('task_%026d', i), 'first', 'old', 'failed', 1, 1, i, 1, 1, 1, '{}', '{}', 1 FROM n`);
    let looks = 0;
    for (let before = {}; ; looks++) {
        const { data, next } = await list({ q: 'boat', limit: 100, ...before });
        assert.ok(looks === 0 ? data.length === 2 : data.length === 0);
        if (next === null) break;
        before = { before: next };
    }
    assert.ok(looks >= 2, `${looks} looks`);
    await sql(server, "DELETE FROM tasks WHERE model = 'old'");
});

/* ---- timelines ---- */

async function timeline(of, id, key) {
    const { status, json, text } = await of.call('GET', target(id, '/timeline'), { key });
    assert.equal(status, 200, text);
    for (let i = 1; i < json.data.length; i++) assert.ok(json.data[i - 1].at_ms <= json.data[i].at_ms, 'in order');
    for (const entry of json.data) assert.equal(Date.parse(entry.at), entry.at_ms);
    return json.data;
}
const words = (entries) => entries.map((entry) => [entry.kind, entry.what ?? entry.verdict ?? entry.state].join(' '));

test('the timeline of an animatic', async () => {
    const entries = await timeline(server, made.boat);
    assert.deepEqual(words(entries), ['created queued', 'state submitting', 'attempt begun', 'state rendering', 'state fetching', 'state completed', 'attempt closed']);
    assert.ok(entries.every((entry) => entry.channel === undefined));
    assert.deepEqual(entries.filter((entry) => entry.kind === 'attempt').map((entry) => [entry.attempt, entry.engine, entry.state]), [[1, 'animatic', undefined], [1, 'animatic', 'finished']]);
    assert.ok((await timeline(server, made.boat, boss)).some((entry) => entry.channel !== undefined));
});
test('the timeline of a failure says which', async () => {
    const last = (await timeline(server, made.failed)).findLast((entry) => entry.kind === 'state');
    assert.equal(last.state, 'failed');
    assert.equal(last.failure, (await server.query(made.failed)).error.code);
});
test('the timeline of an unfinished task ends where it is', async () => {
    const entries = words(await timeline(server, made.running));
    assert.equal(entries.at(-1), 'state rendering');
});

// What the vendor does with the next poll.
async function program(fault) {
    const script = { rules: [{ on: 'poll', times: 1, do: fault }], settings: { duration_ms: 5000, queue_ms: 300 } };
    const answer = await fetch(`${sims.unified.url}/_sim/script`, { method: 'POST', body: JSON.stringify(script), headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 200, await answer.text());
}

let bought;
test('the timeline of a task at an upstream: attempts, and what polls told', async () => {
    await program({ status: 429 });
    const created = await film(remote, 'm-unified', 'a boat far away', { images: [dataUri(tiny)] });
    await until('a busy upstream', async () => words(await timeline(remote, created.id)).includes('poll busy'));
    await program({ status: 503 });
    bought = await remote.waitEnd(created.id);
    assert.equal(bought.status, 'completed', JSON.stringify(bought.error));
    const entries = await until('the polls\' notes', async () => {
        const found = await timeline(remote, bought.id);
        return words(found).includes('poll done') && found;
    });
    const said = words(entries);
    assert.deepEqual(said.filter((word) => word.startsWith('attempt')), ['attempt begun', 'attempt accepted', 'attempt closed']);
    assert.deepEqual(said.filter((word) => !word.startsWith('attempt') && !word.startsWith('poll')), ['created queued', 'state submitting', 'state rendering', 'state fetching', 'state completed']);
    const polls = said.filter((word) => word.startsWith('poll'));
    assert.equal(polls[0], 'poll busy');
    assert.ok(polls.includes('poll trouble'), polls.join());
    assert.equal(polls.at(-1), 'poll done');
    for (let i = 1; i < polls.length; i++) assert.notEqual(polls[i], polls[i - 1], 'only what differs');
    for (const entry of entries.filter((each) => each.kind === 'attempt')) assert.deepEqual([entry.engine, entry.attempt], ['upstream', 1]);
});
test('which upstream it was, and its words, are for operators', async () => {
    const secrets = ['channel', 'credential', 'job', 'message', 'id'];
    for (const entry of await timeline(remote, bought.id)) for (const key of secrets) assert.equal(entry[key], undefined, key);
    const entries = await timeline(remote, bought.id, remoteBoss);
    const attempt = entries.find((entry) => entry.what === 'closed');
    assert.deepEqual([attempt.channel, attempt.credential, attempt.state], ['unified', 'default', 'finished']);
    assert.ok(attempt.job.length > 0 && attempt.id.startsWith('att_'));
    assert.ok(entries.find((entry) => entry.verdict === 'trouble').message.length > 0);
    for (const entry of entries) for (const key of Object.keys(entry)) assert.doesNotMatch(String(entry[key]), /sim-key/);
});

/* ---- deletion ---- */

const remove = (of, id, options) => of.call('DELETE', target(id), options);

function filesOf(of, id) {
    const folder = path.join(of.data, 'assets', short(id).slice(-2), short(id));
    return fs.existsSync(folder) ? fs.readdirSync(folder, { recursive: true }) : [];
}
function databaseHolds(of, text) {
    return ['', '-wal'].some((end) => {
        const file = path.join(of.data, `filmgate.db${end}`);
        return fs.existsSync(file) && fs.readFileSync(file).includes(text);
    });
}

test('a task that has not ended is not deleted', async () => {
    for (const id of [made.running, made.waiting]) {
        const { status, json } = await remove(server, id);
        assert.deepEqual([status, json.code, json.id], [409, 'task_not_ended', id]);
        assert.match(json.message, /cancel it first/);
    }
    assert.equal((await server.query(made.running)).status, 'pending');
    for (const id of [made.running, made.waiting]) assert.equal((await server.cancel(id)).status, 200);
});
test('what is deleted is gone: answers, lists, links, files, and every byte of what was written', async () => {
    const secret = 'the name of the rose is nowhere';
    const ended = await server.complete({ prompt: secret, images: [dataUri(tiny)], title: 'hush now', guidance: { deep: 'unheard of' } });
    await server.query(ended.id);
    assert.ok(filesOf(server, ended.id).some((name) => name.endsWith('.mp4.meta')));
    assert.ok(databaseHolds(server, secret));
    assert.equal((await server.fetchLink(ended.video_url)).status, 200);

    const answer = await remove(server, ended.id);
    assert.deepEqual([answer.status, answer.json], [200, { id: ended.id, object: 'video.deleted', deleted: true }]);
    assert.deepEqual(filesOf(server, ended.id), []);
    for (const link of [ended.video_url, ended.thumbnail_url, ended.detail.gif_url]) assert.equal((await server.fetchLink(link)).status, 404);
    for (const [method, address] of [['GET', `/v1/video/query?id=${encodeURIComponent(ended.id)}`], ['GET', target(ended.id, '/timeline')], ['DELETE', target(ended.id)]]) {
        for (const key of [undefined, boss]) {
            const { status, json } = await server.call(method, address, { key });
            assert.deepEqual([status, json.code], [404, 'task_not_exist'], `${method} ${address}`);
        }
    }
    assert.equal((await server.cancel(ended.id)).status, 404);
    assert.ok(!(await ids({})).includes(ended.id));
    assert.ok(!(await ids({ status: 'completed' }, { key: boss })).includes(ended.id));
    await until('the database to hold nothing of it', () => !['name of the rose', 'hush now', 'unheard of'].some((text) => databaseHolds(server, text)));
    assert.equal(await sql(server, `SELECT state || tenant || model || (deleted_ms > 0) FROM tasks WHERE id = '${short(ended.id)}'`), 'completedfirstsora-21');
    assert.equal(await sql(server, `SELECT count(*) FROM events WHERE task_id = '${short(ended.id)}'`), '0');
});
test('failed and cancelled ones, too', async () => {
    for (const id of [made.failed, made.cancelled]) assert.equal((await remove(server, id)).status, 200);
    assert.deepEqual(await ids({ status: 'failed,cancelled' }), [made.waiting, made.running]);
});
test('a stranger deletes nothing; an operator may', async () => {
    assert.equal((await remove(server, made.boat, { key: other })).status, 404);
    assert.equal((await server.query(made.boat)).status, 'completed');
    assert.equal((await remove(server, made.boat, { key: boss })).status, 200);
});
test('who asks twice at once is told once', async () => {
    const { id } = await server.create({ prompt: 'twice' });
    await server.cancel(id);
    const answers = await Promise.all(Array.from({ length: 8 }, () => remove(server, id)));
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, ...Array(7).fill(404)]);
});
test('the Idempotency-Key of a deleted task makes no other', async () => {
    const options = { headers: { 'Idempotency-Key': 'once and for all' } };
    const { id } = await server.create({ prompt: 'once' }, options);
    await server.cancel(id);
    await remove(server, id);
    const { status, json } = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'once', size: '64x64', duration: 1 }, ...options });
    assert.deepEqual([status, json.code, json.error.param], [410, 'task_deleted', 'Idempotency-Key']);
    assert.deepEqual(await ids({ q: 'once' }), []);
});
test('of a task at an upstream the account stays, and nothing else', async () => {
    assert.equal((await remove(remote, bought.id)).status, 200);
    assert.equal((await remote.fetchLink(bought.video_url)).status, 404);
    await until('the database to hold nothing of it', () => !databaseHolds(remote, 'a boat far away'));
    const [row] = JSON.parse((await tool('sqlite3', '-json', path.join(remote.data, 'filmgate.db'), `SELECT * FROM attempts WHERE task_id = '${short(bought.id)}'`)).stdout);
    assert.deepEqual([row.channel, row.credential, row.state, row.keep, row.outputs, row.enhanced_prompt], ['unified', 'default', 'finished', null, null, null]);
    assert.ok(row.job.length > 0);
    const { status, stdout } = await command(['attempts', 'list', '--json', '--data', remote.data]);
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout)[0].task_id, short(bought.id));
});
test('a cancelled task goes at once, though its upstream has not answered', async () => {
    const { id } = await film(waiting, 'm', 'far, and gone');
    await until('the job', async () => words(await timeline(waiting, id)).includes('attempt accepted'));
    assert.equal((await waiting.cancel(id)).status, 200);
    await until('the cancel there', () => cancels.length === 1);
    assert.equal((await remove(waiting, id)).status, 200);
    assert.equal((await remove(waiting, id)).status, 404);
    assert.equal((await waiting.call('GET', `/v1/video/query?id=${encodeURIComponent(id)}`)).status, 404);
    await until('the database to hold nothing of it', () => !databaseHolds(waiting, 'far, and gone'));
    const look = async () => JSON.parse((await tool('sqlite3', '-json', path.join(waiting.data, 'filmgate.db'), 'SELECT is_open, job, keep FROM attempts')).stdout)[0];
    assert.deepEqual(await look(), { is_open: 1, job: 'job-1', keep: '{"token":"kept for the cancel"}' });
    assert.deepEqual(JSON.parse(cancels[0].body), { token: 'kept for the cancel' });
    cancels[0].answer();
    await until('the attempt\'s end', async () => (await look()).is_open === 0);
    assert.deepEqual(await look(), { is_open: 0, job: 'job-1', keep: null });
    assert.equal((await waiting.call('GET', `/v1/video/query?id=${encodeURIComponent(id)}`)).status, 404);
});
test('deleted twice at once while its upstream still has to answer: one is told so, the gateway lives', async () => {
    const known = cancels.length;
    const { id } = await film(waiting, 'm', 'twice');
    await until('the job', async () => words(await timeline(waiting, id)).includes('attempt accepted'));
    assert.equal((await waiting.cancel(id)).status, 200);
    await until('the cancel there', () => cancels.length > known);
    const lock = await holdStore(waiting); // the first is being committed when the others come
    const answers = [remove(waiting, id), remove(waiting, id), remove(waiting, id)];
    await sleep(500);
    lock.close();
    assert.deepEqual((await Promise.all(answers)).map(({ status }) => status).sort(), [200, 404, 404]);
    assert.equal((await waiting.call('GET', '/healthz', { key: null })).status, 200);
    cancels[known].answer();
    await until('the attempt\'s end', async () => (await sql(waiting, 'SELECT count(*) FROM attempts WHERE is_open = 1')) === '0');
});
test('a store that cannot write deletes nothing, and says so', async () => {
    const { id } = await server.create({ prompt: 'hold on' });
    await server.cancel(id);
    const lock = await holdStore(server);
    const answer = remove(server, id);
    await sleep(100);
    lock.close();
    assert.ok([200, 503].includes((await answer).status));
});
test('a crash between the record and the files is made good at the next start', async () => {
    const ended = await server.complete({ prompt: 'cut off' });
    const names = filesOf(server, ended.id);
    const folder = path.join(server.data, 'assets', short(ended.id).slice(-2), short(ended.id));
    const copy = path.join(server.dir, 'copy');
    fs.cpSync(folder, copy, { recursive: true });
    assert.equal((await remove(server, ended.id)).status, 200);
    await server.kill();
    fs.cpSync(copy, folder, { recursive: true });
    assert.deepEqual(filesOf(server, ended.id).sort(), names.sort());
    await sql(server, `UPDATE tasks SET erased = 0 WHERE id = '${short(ended.id)}'`);
    await server.launch();
    await until('the files to be gone', () => filesOf(server, ended.id).length === 0);
    assert.equal((await server.call('GET', `/v1/video/query?id=${encodeURIComponent(ended.id)}`)).status, 404);
});
test('what runs is let go of', async () => {
    for (const id of await ids({ status: 'unfinished' }, { key: boss })) await server.cancel(id, { key: boss });
});

test('the servers ended well', endedWell);
