// SPDX-License-Identifier: Apache-2.0
//
// The list: newest first, in pages that neither skip nor repeat, one's own tasks only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, start, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const other = await server.addKey('other', { tenant: 'other' });

async function page(query = '', options) {
    const answer = await server.call('GET', `/v1/video/tasks${query}`, options);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
}

async function walk(limit, between = async () => {}) {
    const ids = [];
    for (let before = ''; ; ) {
        const { data, has_more: hasMore, next } = await page(`?limit=${limit}${before}`);
        ids.push(...data.map((task) => task.id));
        assert.equal(hasMore, next !== null);
        if (!hasMore) return ids;
        assert.equal(data.length, limit);
        before = `&before=${encodeURIComponent(next)}`;
        await between();
    }
}

test('empty at first', async () => {
    assert.deepEqual(await page(), { object: 'list', data: [], has_more: false, next: null });
});

const ids = [];
test('newest first, each as a query answers it', async () => {
    for (let i = 0; i < 23; i++) ids.unshift((await server.create({ prompt: `number ${i}` })).id);
    await server.waitEnd(ids[0]);
    await server.waitEnd(ids.at(-1));
    const { data, has_more: hasMore } = await page('?limit=100');
    assert.deepEqual(data.map((task) => task.id), ids);
    assert.equal(hasMore, false);
    for (const task of data.filter((task) => task.status === 'completed'))
        assert.deepEqual(task, await server.query(task.id));
});
test('20 unless asked otherwise', async () => {
    const { data, has_more: hasMore } = await page();
    assert.deepEqual(data.map((task) => task.id), ids.slice(0, 20));
    assert.equal(hasMore, true);
});
for (const limit of [1, 2, 5, 22, 23, 24, 100])
    test(`pages of ${limit} neither skip nor repeat`, async () => assert.deepEqual(await walk(limit), ids));
test('tasks that come in between change nothing behind the cursor', async () => {
    const fresh = [];
    const found = await walk(4, async () => fresh.unshift((await server.create({ prompt: 'in between' })).id));
    assert.deepEqual(found, ids);
    ids.unshift(...fresh);
    assert.deepEqual(await walk(7), ids);
});
test('one\'s own only', async () => {
    assert.deepEqual((await page('', { key: other })).data, []);
    const theirs = (await server.create({}, { key: other })).id;
    assert.deepEqual((await page('', { key: other })).data.map((task) => task.id), [theirs]);
    assert.deepEqual(await walk(50), ids);
});
test('another tenant\'s cursor shows nothing of theirs', async () => {
    const { next } = await page('?limit=1');
    const { data } = await page(`?before=${encodeURIComponent(next)}`, { key: other });
    for (const task of data) assert.ok(!ids.includes(task.id));
});
test('two tasks at the same moment are both there', async () => {
    const made = await Promise.all(Array.from({ length: 32 }, () => server.create({ prompt: 'at once' }, { agent: false })));
    const found = await walk(3);
    for (const { id } of made) assert.equal(found.filter((one) => one === id).length, 1);
});
test('the same after a restart', async () => {
    const before = await walk(10);
    await server.restart();
    assert.deepEqual(await walk(10), before);
});
test('by the word that the list shows', async () => {
    const { id } = await server.create({ prompt: 'a word' });
    await server.waitEnd(id);
    for (const status of ['processing', 'processing,ended', 'unfinished']) {
        const { data } = await page(`?status=${status}&limit=100`);
        assert.equal(data.some((task) => task.id === id), status.includes('ended'), status);
    }
});
test('a task by its path is as a query shows it', async () => {
    const one = await server.call('GET', `/v1/video/tasks/${ids[0]}`);
    assert.deepEqual([one.status, one.json], [200, await server.query(ids[0])]);
});
test('one tenant\'s lists leave threads to others', async () => {
    const few = await start({ config: 'http:\n  threads: 2\n' });
    for (let i = 0; i < 40; i++) await few.create({ prompt: `number ${i}` });
    const theirs = await few.addKey('theirs', { tenant: 'theirs' });
    await until('the key is known', async () => (await few.call('GET', '/v1/models', { key: theirs })).status === 200);
    const look = () => few.call('GET', '/v1/video/tasks?limit=100&q=number', { agent: false });
    await until('a list is refused', async () => {
        const answers = await Promise.all(Array.from({ length: 64 }, look));
        for (const { status, json } of answers) assert.ok(status === 200 || json.error.code === 'too_many_lists', JSON.stringify(json).slice(0, 200));
        return answers.some(({ status }) => status === 429);
    });
    assert.equal((await few.call('GET', '/v1/video/tasks', { key: theirs })).status, 200);
    for (let i = 0; i < 3; i++) assert.equal((await look()).status, 200, 'places are given back');
});
test('limits in words', async () => {
    for (const limit of ['0', '101', 'all', '1.5', '-1', ''])
        assert.equal((await server.call('GET', `/v1/video/tasks?limit=${limit}`)).status, 400, limit);
});

test('the servers ended well', endedWell);
