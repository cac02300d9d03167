// SPDX-License-Identifier: Apache-2.0
//
// What an upstream says that a job used: kept with the attempt whatever became of it, shown to operators as it came, and
// never to a tenant. With an adapter and an upstream of our own, which ends each job as its prompt says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { video } from '../simulators/videos.js';
import { command, endedWell, newDirectory, start, until } from './harness.js';
import { film } from './simulated.js';

const ADAPTER = `
def about: {summary: "Tells what was used.", evidence: "wire", auth: {kind: "none"}, cancel: {while: ["pending", "rendering"]}, result: {renews: true}};
def submit: {method: "POST", path: "/jobs", json: {prompt: .task.prompt}};
def submitted: {job: .body.id};
def poll: {method: "GET", path: "/jobs/\\(.job)"};
def polled: .body;
def cancel: {method: "DELETE", path: "/jobs/\\(.job)"};
def cancelled: .body;
`;
const USED = { total_seconds: 8, cost: { amount: '0.0400', currency: 'USD' }, billed_units: [1, 2], résumé: 'whole' };
const SECRET = 'total_seconds';

const prompts = [];
const downloads = {};
const upstream = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => (body += piece)).on('end', () => {
        const [, kind, id] = request.url.split('/');
        const prompt = prompts[Number(id)];
        if (kind === 'files' && prompt === 'renewed' && (downloads[id] = (downloads[id] ?? 0) + 1) === 1) return response.writeHead(403).end();
        if (kind === 'files') return response.writeHead(200, { 'content-type': 'video/mp4' }).end(video('landscape', 0));
        const said = request.method === 'POST' ? { id: prompts.push(JSON.parse(body).prompt) - 1 } : request.method === 'DELETE' ? { state: 'cancelled', usage: USED } : stateOf(prompt, id);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
    });
});
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
after(() => { upstream.closeAllConnections(); upstream.close(); });
const url = `http://127.0.0.1:${upstream.address().port}`;

function stateOf(prompt, id) {
    const outputs = [{ url: `${url}/files/${id}/${downloads[id] ?? 0}` }];
    if (prompt === 'renewed' && downloads[id] === 1) return { state: 'done', outputs }; // it does not say so twice
    const ends = {
        failed: { state: 'failed', error: { code: 'c', message: 'm', kind: 'refused' }, usage: USED },
        moderated: { state: 'failed', error: { code: 'c', message: 'm', kind: 'moderated' }, usage: USED },
        stopped: { state: 'cancelled', usage: USED },
        nothing: { state: 'done', outputs: [], usage: USED },
        number: { state: 'failed', error: { code: 'c', message: 'm', kind: 'refused' }, usage: 7 },
        cancelled: { state: 'rendering' },
    };
    return ends[prompt] ?? { state: 'done', outputs, usage: USED };
}

const adapters = newDirectory();
fs.writeFileSync(path.join(adapters, 'telling.jq'), ADAPTER);
const channel = { name: 'telling', adapter: 'telling', base_url: url, models: ['m'], poll_first: '200ms', poll_every: '200ms', concurrency: 50 };
const server = await start({ config: `adapters: ${adapters}\nfetch: {allow: ["127.0.0.1"]}\nchannels: ${JSON.stringify([channel])}\n` });
const operator = await server.addKey('ops', { operator: true });

const create = (prompt) => film(server, 'm', prompt);
const timeline = (id, key) => server.call('GET', `/v1/video/tasks/${encodeURIComponent(id)}/timeline`, { key });
const listed = async (id, ...args) => (await command(['attempts', 'list', '--task', id, '--data', server.data, ...args])).stdout;
const usageOf = async (id) => JSON.parse(await listed(id, '--json'))[0].usage;

// Nothing that the tenant can ask for says it.
async function isHiddenFromTenant(id) {
    const at = encodeURIComponent(id);
    const targets = [`/v1/video/query?id=${at}`, `/v1/videos/${at}`, `/v1/video/generations/${at}`, `/v2/videos/generations/${at}`, '/v1/video/tasks', '/v1/videos', `/v1/video/tasks/${at}/timeline`, '/v1/webhooks/deliveries'];
    for (const target of targets) {
        const { status, text } = await server.call('GET', target);
        assert.equal(status, 200, target);
        assert.ok(!text.includes(SECRET), target);
    }
}

const ENDS = { done: 'completed', renewed: 'completed', failed: 'failed', moderated: 'failed', stopped: 'failed', nothing: 'failed' };
for (const [prompt, end] of Object.entries(ENDS))
    test(`${prompt}: it is kept as it came, and shown to operators alone`, async () => {
        const { id } = await create(prompt);
        assert.equal((await server.waitEnd(id)).status, end);
        assert.deepEqual(await usageOf(id), USED);
        const closed = (await timeline(id, operator)).json.data.filter(({ kind, what }) => kind === 'attempt' && what === 'closed');
        assert.deepEqual(closed.map(({ usage }) => usage), [USED]);
        await isHiddenFromTenant(id);
    });
test('of a job that was cancelled', async () => {
    const { id } = await create('cancelled');
    await until('a poll', async () => (await timeline(id)).json.data.some(({ kind }) => kind === 'poll'));
    assert.equal((await server.cancel(id)).status, 200);
    await until('its answer', async () => JSON.parse(await listed(id, '--json'))[0].state === 'cancelled');
    assert.deepEqual(await usageOf(id), USED);
    await isHiddenFromTenant(id);
});
test('what is no object is left out', async () => {
    const { id } = await create('number');
    assert.equal((await server.waitEnd(id)).status, 'failed');
    assert.equal(await usageOf(id), null);
    assert.ok((await timeline(id, operator)).json.data.every(({ usage }) => usage === undefined));
});
test('the table has its beginning, the timeline of an operator all of it', async () => {
    const { id } = await create('done');
    await server.waitEnd(id);
    const row = (await listed(id)).split('\n')[1];
    assert.match(row, /  \{"total_seconds":8,"cost":\{"amou…  \d+$/);
    const env = { FILMGATE_URL: server.url };
    const told = await command(['timeline', id], { env: { ...env, FILMGATE_KEY: operator } });
    assert.ok(told.stdout.includes(`closed: finished, channel telling/default, job ${row.trim().split(' ').at(-1)}, used ${JSON.stringify(USED)}\n`), told.stdout);
    const hidden = await command(['timeline', id], { env: { ...env, FILMGATE_KEY: server.key } });
    assert.ok(!hidden.stdout.includes('used'));
});
test('it stays when the task is deleted', async () => {
    const { id } = await create('failed');
    await server.waitEnd(id);
    assert.equal((await server.call('DELETE', `/v1/video/tasks/${encodeURIComponent(id)}`)).status, 200);
    assert.deepEqual(await usageOf(id), USED);
});

test('the servers ended well', endedWell);
