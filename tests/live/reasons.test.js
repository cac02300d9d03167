// SPDX-License-Identifier: Apache-2.0
//
// Why an attempt ended: what the vendor said to a submit that it refused, why a result is lost. Operators find it in the
// timeline; tenants find what they always did. With an adapter and an upstream of our own, which does what a prompt says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { command, endedWell, newDirectory, start, tool, until } from './harness.js';
import { film } from './simulated.js';

const KEY = 'a-key-that-nobody-may-see';
const ADAPTER = `
def about: {summary: "Says why.", evidence: "wire", auth: {kind: "bearer"}};
def submit: if .task.prompt == "unfit" then {error: {code: "c", message: "no such size", kind: "refused"}}
    else {method: "POST", path: "/jobs", json: {prompt: .task.prompt}} end;
def submitted: if .body.error then {error: .body.error} else {job: .body.id} end;
def poll: {method: "GET", path: "/jobs/\\(.job)"};
def polled: .body;
`;
const LONG = '内容'.repeat(200); // its beginning must be readable
const SAYS = {
    parameter: [{ code: 'c', message: 'duration must be 5 or 10', kind: 'refused' }],
    chosen: [{ code: 'c', message: 'not by that name', kind: 'refused' }],
    policy: [{ code: 'c', message: 'a person is in it', kind: 'moderated' }],
    credit: [{ code: 'c', message: `no credit is left for ${KEY}`, kind: 'quota', retry_after_s: 1 }, null],
    forgotten: [{ code: 'c', message: 'words to be forgotten', kind: 'refused' }],
    long: [{ code: 'c', message: LONG, kind: 'refused' }],
};
const prompts = [];
const upstream = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece)).on('end', () => {
        const [, kind, id] = request.url.split('/');
        if (kind === 'files') return response.writeHead(prompts[id.split('-')[1] - 1] === 'away' ? 503 : 404).end();
        response.writeHead(200, { 'content-type': 'application/json' });
        if (request.method === 'GET') return response.end(JSON.stringify({ state: 'done', outputs: [{ url: `${url}/files/${id}` }] }));
        const { prompt } = JSON.parse(body);
        const error = SAYS[prompt]?.[prompts.filter((one) => one === prompt).length];
        prompts.push(prompt);
        if (prompt === 'lost') return response.destroy();
        return response.end(JSON.stringify(error ? { error } : { id: `job-${prompts.length}` }));
    });
});
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
after(() => { upstream.closeAllConnections(); upstream.close(); });
const url = `http://127.0.0.1:${upstream.address().port}`;

const adapters = newDirectory();
fs.writeFileSync(path.join(adapters, 'telling.jq'), ADAPTER);
const channel = { name: 'telling', adapter: 'telling', base_url: url, key: KEY, models: ['m'], poll_first: '200ms', poll_every: '200ms' };
const server = await start({ config: `adapters: ${adapters}\ntasks: {backoff: 100ms}\nfetch: {allow: ["127.0.0.1"]}\nchannels: ${JSON.stringify([channel])}\n` });
const operator = await server.addKey('ops', { operator: true });

async function timeline(id, key) {
    const { status, json, text } = await server.call('GET', `/v1/video/tasks/${encodeURIComponent(id)}/timeline`, { key });
    assert.equal(status, 200, text);
    assert.ok(!text.includes(KEY), 'a credential is never shown');
    return json.data;
}
// The operator's entries that say why. The tenant's timeline is the same one but for what is the operator's.
async function reasons(id) {
    const told = (await timeline(id, operator)).filter((entry) => entry.kind === 'attempt' && entry.message !== undefined);
    const seen = await timeline(id);
    assert.ok(seen.every((entry) => entry.message === undefined && entry.what !== 'put_off'));
    for (const { message } of told) assert.ok(!JSON.stringify([seen, await server.query(id)]).includes(message), message);
    return told.map(({ what, attempt, state, channel: place, credential, message }) => [what, attempt, state, `${place}/${credential}`, message]);
}
async function failsFor(prompt, code, expected) {
    const { id } = await film(server, 'm', prompt);
    const end = await server.waitEnd(id);
    assert.equal(end.error?.code, code, JSON.stringify(end));
    assert.deepEqual(await reasons(id), expected);
    return id;
}

test('a parameter that the vendor does not take', async () => {
    const id = await failsFor('parameter', 'upstream_refused', [['closed', 1, 'refused', 'telling/default', 'refused: duration must be 5 or 10']]);
    const env = { FILMGATE_URL: server.url };
    const told = await command(['timeline', id], { env: { ...env, FILMGATE_KEY: operator } });
    assert.match(told.stdout, /attempt 1 closed: refused, channel telling\/default, refused: duration must be 5 or 10\n/);
    assert.doesNotMatch((await command(['timeline', id], { env: { ...env, FILMGATE_KEY: server.key } })).stdout, /duration must be/);
});
test('a job of our choice that was refused is not shown', async () => {
    const { id } = await film(server, 'm', 'chosen');
    await server.waitEnd(id);
    const jobs = async () => (await timeline(id, operator)).filter((entry) => entry.kind === 'attempt').map(({ what, job }) => [what, job]);
    const become = (state) => tool('sqlite3', '-cmd', '.timeout 60000', path.join(server.data, 'filmgate.db'), `UPDATE attempts SET job = 'chosen', state = '${state}' WHERE task_id = '${id.split(':')[1]}'`);
    await become('refused');
    assert.deepEqual(await jobs(), [['begun', undefined], ['closed', undefined]]);
    await become('failed');
    assert.deepEqual(await jobs(), [['begun', 'chosen'], ['closed', 'chosen']]);
});
test('an operator\'s word on an unknown attempt comes after what was known before', async () => {
    const { id } = await film(server, 'm', 'lost');
    assert.equal((await server.waitEnd(id)).error.code, 'submission_unknown');
    const [attempt] = (await timeline(id, operator)).filter((entry) => entry.kind === 'attempt');
    assert.equal((await command(['attempts', 'resolve', attempt.id, '--job', 'found-there', '--data', server.data])).status, 0);
    const history = (await timeline(id, operator)).filter((entry) => entry.kind === 'attempt').map(({ what, state, job }) => [what, state, job]);
    assert.deepEqual(history, [['begun', undefined, undefined], ['closed', 'unknown', undefined], ['resolved', 'taken', 'found-there']]);
    const { stdout } = await command(['timeline', id], { env: { FILMGATE_URL: server.url, FILMGATE_KEY: operator } });
    assert.match(stdout, /attempt 1 resolved by an operator: taken, channel telling\/default, job found-there\n$/);
});
test('its content policy', async () => {
    await failsFor('policy', 'moderation_blocked', [['closed', 1, 'refused', 'telling/default', 'moderated: a person is in it']]);
});
test('a text that is too long is cut between two characters', async () => {
    const { id } = await film(server, 'm', 'long');
    await server.waitEnd(id);
    const [[, , , , message]] = await reasons(id);
    assert.ok(`refused: ${LONG}`.startsWith(message) && Buffer.byteLength(message) > 290 && Buffer.byteLength(message) < 300, message);
    const { data } = (await server.call('GET', '/v1/channels', { key: operator })).json;
    assert.ok(LONG.startsWith(data[0].last_error) && data[0].last_error.length > 90, data[0].last_error);
});
test('no credit: the attempt says so, and the next one is made', async () => {
    const { id } = await film(server, 'm', 'credit');
    const end = await server.waitEnd(id);
    assert.equal(end.error?.code, 'result_lost', JSON.stringify(end));
    const lost = 'the result cannot be had: its link answered with status 404';
    assert.deepEqual(await reasons(id), [
        ['closed', 1, 'refused', 'telling/default', `quota: no credit is left for ${'*'.repeat(KEY.length)}`],
        ['closed', 2, 'finished', 'telling/default', lost],
    ]);
});
test('a video that cannot be brought home: its operator sees why it is waited for', async () => {
    const { id } = await film(server, 'm', 'away');
    const fetches = async (key) => (await timeline(id, key)).filter((entry) => entry.kind === 'fetch');
    await until('a second try', async () => (await fetches(operator)).length >= 2);
    const why = 'its link answered with status 503';
    assert.deepEqual((await fetches(operator)).slice(0, 2).map(({ attempt, tries, message }) => [attempt, tries, message]), [[1, 1, why], [1, 2, why]]);
    assert.deepEqual(await fetches(), []);
    const { stdout } = await command(['timeline', id], { env: { FILMGATE_URL: server.url, FILMGATE_KEY: operator } });
    assert.match(stdout, /  result of attempt 1 out of reach: its link answered with status 503\n.*  result of attempt 1 out of reach, 2 times: its link/s);
    await server.call('POST', `/v1/video/cancel?id=${encodeURIComponent(id)}`);
});
test('what its adapter refuses before anything is sent was no attempt, and is told all the same', async () => {
    const id = await failsFor('unfit', 'upstream_refused', [['put_off', undefined, undefined, 'telling/default', 'refused: no such size']]);
    const { stdout } = await command(['timeline', id], { env: { FILMGATE_URL: server.url, FILMGATE_KEY: operator } });
    assert.match(stdout, /  not submitted, channel telling\/default, refused: no such size\n/);
});
test('what was noted goes with the task, from every byte of the database', async () => {
    const isHeld = () => ['', '-wal'].some((end) => {
        const file = path.join(server.data, `filmgate.db${end}`);
        return fs.existsSync(file) && fs.readFileSync(file).includes('words to be forgotten');
    });
    const { id } = await film(server, 'm', 'forgotten');
    await server.waitEnd(id);
    assert.ok(isHeld());
    assert.equal((await server.call('DELETE', `/v1/video/tasks/${encodeURIComponent(id)}`)).status, 200);
    await until('the words to be gone', () => !isHeld());
});
test('the built-in engine: its channel counts and has a last error, an operator\'s timeline says why', async () => {
    const own = await start({ config: 'tasks: {attempts: 1}\nrender: {slots: 1}\n' });
    const boss = await own.addKey('boss', { operator: true });
    const row = async () => (await own.call('GET', '/v1/channels', { key: boss })).json.data[0];
    const closed = async (id, key) => (await own.call('GET', `/v1/video/tasks/${encodeURIComponent(id)}/timeline`, { key })).json.data.find((entry) => entry.what === 'closed');
    await own.complete({});
    const { submits, accepted, refused, last_error: error } = await row();
    assert.deepEqual([submits, accepted, refused, error], [1, 1, 0, null]);

    const slow = await own.create({ duration: 20, size: 'large' });
    await own.waitRendering(slow.id, 0);
    process.kill(await own.waitHelper(), 'SIGKILL');
    assert.equal((await own.waitEnd(slow.id)).error.code, 'render_crashed');
    const crashed = 'rendering failed (crashed): signal 9 (Killed)';
    assert.deepEqual([(await closed(slow.id, boss)).message, (await closed(slow.id)).message], [crashed, undefined]);

    const far = await own.create({ images: ['http://127.0.0.1:9/x.png'] });
    assert.equal((await own.waitEnd(far.id)).error.code, 'image_forbidden');
    const forbidden = 'Image 1: its address is not a public one.';
    assert.equal((await closed(far.id, boss)).message, forbidden);
    const after_ = await row();
    assert.deepEqual([after_.submits, after_.accepted, after_.last_error], [3, 2, forbidden], 'what could not begin was not accepted');
});

test('the servers ended well', endedWell);
