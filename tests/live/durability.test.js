// SPDX-License-Identifier: Apache-2.0
//
// What was answered with 200 exists: 64 connections create tasks, the server is killed among
// them, and after the start every acknowledged id is there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, sleep, start } from './harness.js';
import { dataUri, tiny } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\nlimits:\n  queue: 100000\ntenants:\n  max_in_flight: 0\n' });
const CONNECTIONS = 64, WANTED = 500;
const wish = { model: 'sora-2', size: '64x64', duration: 1 };

async function oneClient(number, acknowledged, isOver) {
    for (let turn = 0; !isOver(); turn++) {
        const images = number % 8 === 0 ? [dataUri(tiny)] : [];
        const prompt = `client ${number}, turn ${turn}`;
        try {
            const answer = await server.call('POST', '/v1/video/create', { json: { ...wish, prompt, images }, agent: false });
            if (answer.status === 200) acknowledged.push({ id: answer.json.id, prompt, images: images.length });
            else assert.equal(answer.status, 503, answer.text);
        } catch (error) {
            if (error.code === 'ERR_ASSERTION') throw error;
            return; // it was killed
        }
    }
}

async function round(after) {
    const acknowledged = [];
    let isOver = false;
    const clients = Array.from({ length: CONNECTIONS }, (_, number) => oneClient(number, acknowledged, () => isOver));
    while (acknowledged.length < after) await sleep(1);
    await server.kill();
    isOver = true;
    await Promise.all(clients);
    await server.restart();
    return acknowledged;
}

async function checkThere(acknowledged) {
    const missing = [];
    for (const { id, prompt, images } of acknowledged) {
        const answer = await server.call('GET', `/v1/video/query?id=${id}`);
        if (answer.status !== 200) missing.push(id);
        else {
            assert.equal(answer.json.detail.input.prompt, prompt);
            assert.equal(answer.json.detail.input.images.length, images);
            if (images > 0) assert.ok((await server.fetchLink(answer.json.detail.input.images[0])).bytes.equals(tiny), 'its image is there, too');
        }
    }
    assert.deepEqual(missing, []);
}

test(`killed under ${CONNECTIONS} connections, round after round: of ${WANTED} acknowledged tasks none is missing`, async () => {
    const all = [];
    for (let number = 0; all.length < WANTED; number++) {
        const acknowledged = await round(40 + 23 * number);
        await checkThere(acknowledged);
        all.push(...acknowledged);
    }
    await checkThere(all);
    assert.ok(all.length >= WANTED);
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length, 'no id was given twice');
});
test('the list has exactly what can be queried, once each', async () => {
    const ids = [];
    for (let before = ''; ; ) {
        const { json } = await server.call('GET', `/v1/video/tasks?limit=100${before}`);
        ids.push(...json.data.map((task) => task.id));
        if (!json.has_more) break;
        before = `&before=${encodeURIComponent(json.next)}`;
    }
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.length >= WANTED);
    for (const id of ids) assert.equal((await server.query(id)).id, id);
});
test('work goes on after all that', async () => {
    const ended = await server.complete({ priority: 9 });
    assert.equal((await server.fetchLink(ended.video_url)).status, 200);
});

test('the servers ended well', endedWell);
