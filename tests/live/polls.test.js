// SPDX-License-Identifier: Apache-2.0
//
// What passes between filmgate and an upstream from poll to poll, with an adapter of our own at an upstream of our own.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { endedWell, newDirectory, sleep, start, until } from './harness.js';
import { film } from './simulated.js';

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

// What is held waits until the gate of its method opens; of those that wait then, the first few may have to wait for longer.
class Gate {
    #held = [];
    #isClosed = false;
    get held() { return this.#held.length; }
    close() { this.#isClosed = true; }
    open(keep = 0) {
        this.#isClosed = false;
        this.#held.splice(keep).forEach((go) => go());
    }
    pass() { return this.#isClosed ? new Promise((go) => this.#held.push(go)) : undefined; }
}

const polls = {};
const gates = { POST: new Gate(), GET: new Gate() };
const upstream = http.createServer(async (request, response) => {
    const [, , job, place] = request.url.split('/');
    request.resume();
    await gates[request.method].pass();
    let said = { id: `job-${Object.keys(polls).length}` };
    if (request.method === 'POST') polls[said.id] = [];
    else {
        polls[job].push(Number(place));
        said = Number(place) < 3 ? { place: Number(place) + 1 } : { progress: polls[job].length / 100 };
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
});
await new Promise((resolve) => upstream.listen(0, '127.0.0.1', resolve));
after(() => { upstream.closeAllConnections(); upstream.close(); });

const adapters = newDirectory();
fs.writeFileSync(path.join(adapters, 'counting.jq'), ADAPTER);
const channel = { name: 'counting', adapter: 'counting', base_url: `http://127.0.0.1:${upstream.address().port}`, models: ['m'], poll_first: '200ms', poll_every: '200ms', concurrency: 500 };
const server = await start({ config: `adapters: ${adapters}\nchannels: ${JSON.stringify([channel])}\ntenants: {max_in_flight: 0}\n` });

const kept = () => JSON.parse(execFileSync('sqlite3', ['-json', path.join(server.data, 'filmgate.db'), 'SELECT keep FROM attempts'], { encoding: 'utf8' }))[0].keep;

test('a poll goes by what the poll before kept', async () => {
    await film(server, 'm', 'count');
    await until('six polls', () => polls['job-0']?.length >= 6);
    assert.deepEqual(polls['job-0'].slice(0, 6), [0, 1, 2, 3, 3, 3]);
    assert.deepEqual(JSON.parse(kept()), { place: 3, word: 'unchanged' });
});
test('64 submits and 256 polls are on their way at a time, and the others follow, though some hang', async () => {
    const CROWD = 300, HANGING = 40, before = Object.keys(polls).length;
    const jobs = () => Object.values(polls).slice(before);
    gates.POST.close();
    for (let i = 0; i < CROWD; i++) await film(server, 'm', 'crowd');
    await until('64 submits', () => gates.POST.held === 64);
    await sleep(500);
    assert.equal(gates.POST.held, 64);
    gates.GET.close();
    gates.POST.open(HANGING);
    await until('all others are taken', () => jobs().length === CROWD - HANGING);
    gates.POST.open();
    await until('all are taken', () => jobs().length === CROWD);
    await until('256 polls', () => gates.GET.held === 256);
    await sleep(1000);
    assert.equal(gates.GET.held, 256);
    gates.GET.open();
    await until('each is polled', () => jobs().every((places) => places.length > 0));
});
test('the servers ended well', endedWell);
