// SPDX-License-Identifier: Apache-2.0
//
// A server that ends in the middle of its work, politely or not: the same task goes on under the
// same id, and the client sees nothing but a pause.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, test } from 'node:test';
import { command, endedWell, isAlive, small, start, until } from './harness.js';
import { dataUri, warm } from './media.js';
import { video } from '../simulators/videos.js';

const config = 'render:\n  slots: 1\ndrain: 1s\n';
const server = await start({ config });
const slow = { duration: 8, size: '640x640' };

test('SIGTERM in the middle of a rendering: exit code 0, and the same id completes after the start', async () => {
    const { id } = await server.create({ ...slow, images: [dataUri(warm)], prompt: 'parked' });
    const before = await server.waitRendering(id, 3);
    const helper = server.helpers()[0];
    assert.equal(await server.stop(), 0);
    assert.ok(!isAlive(helper), 'its helper has ended with it');
    await server.restart();
    const after = await server.query(id);
    assert.equal(after.id, id);
    assert.ok(after.progress >= before.progress);
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'completed', JSON.stringify(end.error));
    assert.ok((await server.fetchLink(end.detail.input.images[0])).bytes.equals(warm));
});
test('SIGKILL in the middle of a rendering: the same id completes after the start', async () => {
    const { id } = await server.create({ ...slow, prompt: 'killed' });
    const before = await server.waitRendering(id, 20);
    const helper = server.helpers()[0];
    await server.kill();
    await until('the helper to end without its server', () => !isAlive(helper), { limit: 30_000 });
    await server.restart();
    const after = await server.query(id);
    assert.equal(after.status, 'pending');
    assert.ok(after.progress >= before.progress, `${before.progress} before, ${after.progress} after`);
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'completed', JSON.stringify(end.error));
});
test('killed again and again: it completes all the same, and progress never falls', async () => {
    const { id } = await server.create({ ...slow, prompt: 'killed often' });
    for (let round = 0; round < 3; round++) {
        await server.waitRendering(id, 0);
        await server.waitHelper();
        await server.kill();
        await server.restart();
    }
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('what is short enough is finished before the end', async () => {
    const patient = await start({ config: 'render:\n  slots: 1\ndrain: 60s\n' });
    const { id } = await patient.create({ duration: 5, size: 'small' });
    await patient.waitRendering(id, 1);
    assert.equal(await patient.stop(), 0);
    await patient.restart();
    const now = await patient.query(id);
    assert.equal(now.status, 'completed', 'it was drained, not parked');
});
// An upstream of the unified shape, whose answers to a submit and whose file are the test's.
async function upstream({ submit = (answer) => answer.tell({ id: 'job-1', status: 'pending' }), file }) {
    const counts = { submits: 0, files: 0 };
    const site = http.createServer((request, answer) => request.resume().on('end', () => {
        answer.tell = (json) => { answer.setHeader('Content-Type', 'application/json'); answer.end(JSON.stringify(json)); };
        if (request.method === 'POST') return submit(answer, ++counts.submits);
        if (request.url.startsWith('/film')) return file(answer, ++counts.files);
        return answer.tell({ id: 'job-1', status: 'completed', video_url: `http://127.0.0.1:${site.address().port}/film.mp4` });
    })).listen(0, '127.0.0.1');
    after(() => { site.close(); site.closeAllConnections(); });
    await once(site, 'listening');
    const gateway = await start({ config: `drain: 1h\nchannels:\n  - {name: far, adapter: unified, base_url: "http://127.0.0.1:${site.address().port}", key: k, models: [far-film], poll_first: 100ms, poll_every: 100ms}\n` });
    return { counts, gateway };
}

test('a result that waits for its next try does not hold the end up: the next start brings it home', async () => {
    let film = null;
    const { counts, gateway } = await upstream({ file: (answer) => (film ? answer.end(film) : answer.writeHead(503).end()) });
    const { id } = await gateway.create({ model: 'far-film' });
    await until('a try', () => /the result is out of reach/.test(gateway.log));
    assert.equal(await gateway.stop(), 0);
    assert.match(gateway.log, /signal 15: stopping/);
    assert.doesNotMatch(gateway.log, /is waited for/);
    film = video('square');
    await gateway.restart();
    assert.equal((await gateway.waitEnd(id)).status, 'completed');
    assert.equal(counts.submits, 1);
});
test('a submit whose answer is still to come is waited for', async () => {
    let answer;
    const { counts, gateway } = await upstream({ submit: (held) => { answer = held; }, file: (held) => held.end(video('square')) });
    const { id } = await gateway.create({ model: 'far-film' });
    await until('the submit', () => answer);
    const stopped = gateway.stop();
    await until('the stop', () => /stopping: work under way for 1 task is waited for/.test(gateway.log));
    assert.ok(gateway.isRunning);
    answer.tell({ id: 'job-1', status: 'pending' });
    assert.equal(await stopped, 0);
    assert.match(gateway.log, /accepted as job job-1/);
    await gateway.restart();
    assert.equal((await gateway.waitEnd(id)).status, 'completed');
    assert.equal(counts.submits, 1);
});
test('a second SIGTERM cuts the drain short', async () => {
    const patient = await start({ config: 'render:\n  slots: 1\ndrain: 10m\n' });
    const { id } = await patient.create({ duration: 60, size: 'large' });
    await patient.waitRendering(id, 0);
    process.kill(patient.pid, 'SIGTERM');
    await until('new connections to be refused', () => patient.call('GET', '/healthz', { agent: false, unchecked: true }).then((answer) => answer.status !== 200, () => true));
    assert.equal(await patient.stop(), 0);
    await patient.restart();
    assert.equal((await patient.query(id)).status, 'pending');
    await patient.cancel(id);
});
test('SIGINT ends it as SIGTERM does', async () => {
    const brief = await start({ config });
    brief.wanted = 'SIGTERM';
    process.kill(brief.pid, 'SIGINT');
    assert.deepEqual(await brief.ended, { status: 0, signal: null });
});
test('tasks that waited keep their order', async () => {
    const ids = [(await server.create(slow)).id];
    for (let i = 0; i < 3; i++) ids.push((await server.create({ prompt: `waiting ${i}` })).id);
    await server.kill();
    await server.restart();
    const ends = await Promise.all(ids.map((id) => server.waitEnd(id)));
    assert.deepEqual(ends.map((end) => end.status), Array(4).fill('completed'));
    const stored = ends.map((end) => end.detail.draft_info.created_at);
    assert.deepEqual(stored, [...stored].sort((a, b) => a - b));
});
test('links given before a restart work after it', async () => {
    const done = await server.complete({});
    const before = await server.fetchLink(done.video_url);
    await server.restart();
    const after = await server.fetchLink(done.video_url);
    assert.equal(after.status, 200);
    assert.ok(after.bytes.equals(before.bytes));
});
test('the user word is the same after a restart', async () => {
    const word = async () => (await server.cancel((await server.create(slow)).id)).json.detail.pending_info.user;
    const before = await word();
    await server.restart();
    assert.equal(await word(), before);
});
test('a create at any moment of a stop is either stored or refused', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const ids = [], refusals = [];
    let over = false;
    const clients = Array.from({ length: 8 }, async () => {
        while (!over) {
            try {
                const answer = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'x', ...small }, agent });
                if (answer.status === 200) ids.push(answer.json.id);
                else refusals.push(answer.status);
            } catch {
                break; // the connection is gone
            }
        }
    });
    await until('some tasks', () => ids.length > 20, { every: 1 });
    assert.equal(await server.stop(), 0);
    over = true;
    await Promise.all(clients);
    agent.destroy();
    for (const status of refusals) assert.equal(status, 503);
    await server.restart();
    for (const id of ids) assert.equal((await server.query(id)).id, id);
});
test('a second server on the same data refuses with a sentence', async () => {
    const result = await command(['serve', '--data', server.data, '--listen', '127.0.0.1:0']);
    assert.equal(result.status, 5);
    assert.match(result.stderr, /\S+ \S+/);
    assert.equal((await server.call('GET', '/healthz')).status, 200);
});

test('the servers ended well', endedWell);
