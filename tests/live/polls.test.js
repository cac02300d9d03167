// SPDX-License-Identifier: Apache-2.0
//
// What passes between filmgate and an upstream from poll to poll, with an adapter of our own at an upstream of our own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { endedWell, newDirectory, start, until } from './harness.js';

// Each poll asks for the place that the one before named.
const ADAPTER = `
def about: {summary: "Counts polls.", evidence: "wire", auth: {kind: "none"}};
def submit: {method: "POST", path: "/jobs", json: {prompt: .task.prompt}};
def submitted: {job: .body.id, keep: {place: 0, word: "unchanged"}};
def poll: {method: "GET", path: "/jobs/\\(.job)/\\(.keep.place)"};
def polled: if .body.place == null then {state: "rendering", progress: .body.progress} else {state: "rendering", keep: {place: .body.place, word: .keep.word}} end;
def cancel: null;
def cancelled: {state: "refused"};
`;

const polls = {};
const upstream = http.createServer((request, response) => {
    const [, , job, place] = request.url.split('/');
    let said = { id: `job-${Object.keys(polls).length}` };
    if (request.method === 'POST') polls[said.id] = [];
    else {
        polls[job].push(Number(place));
        said = Number(place) < 3 ? { place: Number(place) + 1 } : { progress: polls[job].length / 100 };
    }
    request.resume();
    request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said)));
});
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
after(() => { upstream.closeAllConnections(); upstream.close(); });

const adapters = newDirectory();
fs.writeFileSync(path.join(adapters, 'counting.jq'), ADAPTER);
const channel = { name: 'counting', adapter: 'counting', base_url: `http://127.0.0.1:${upstream.address().port}`, models: ['m'], poll_first: '200ms', poll_every: '200ms' };
const server = await start({ config: `adapters: ${adapters}\nchannels: ${JSON.stringify([channel])}\n` });

const kept = () => JSON.parse(execFileSync('sqlite3', ['-json', path.join(server.data, 'filmgate.db'), 'SELECT keep FROM attempts'], { encoding: 'utf8' }))[0].keep;

test('a poll goes by what the poll before kept', async () => {
    await server.create({ model: 'm', prompt: 'count', size: undefined, duration: undefined });
    await until('six polls', () => polls['job-0']?.length >= 6);
    assert.deepEqual(polls['job-0'].slice(0, 6), [0, 1, 2, 3, 3, 3]);
    assert.deepEqual(JSON.parse(kept()), { place: 3, word: 'unchanged' });
});
test('the servers ended well', endedWell);
