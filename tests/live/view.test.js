// SPDX-License-Identifier: Apache-2.0
//
// A query's answer as an entity: tagged, cached for all who ask, fresh whenever something changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, start, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n  stall: 10m\n' });
const task = await server.complete({});
const target = `/v1/video/query?id=${task.id}`;
const get = (headers = {}, at = target) => server.call('GET', at, { headers });
const first = await get();

test('an answer is JSON in UTF-8 with a strong tag, for nobody else\'s cache', () => {
    assert.match(first.headers['content-type'], /^application\/json; ?charset=utf-8$/i);
    assert.match(first.headers.etag, /^"[^"]+"$/);
    assert.match(first.headers['cache-control'], /no-cache/);
    assert.doesNotMatch(first.headers['cache-control'], /public/);
    assert.equal(Number(first.headers['content-length']), first.bytes.length);
});
test('the same bytes and the same tag again', async () => {
    for (let i = 0; i < 5; i++) {
        const again = await get();
        assert.equal(again.text, first.text);
        assert.equal(again.headers.etag, first.headers.etag);
    }
});
test('If-None-Match: 304 without a body', async () => {
    for (const tags of [first.headers.etag, `W/${first.headers.etag}`, `"a", ${first.headers.etag} , "b"`, '*']) {
        const answer = await get({ 'If-None-Match': tags });
        assert.equal(answer.status, 304, tags);
        assert.equal(answer.headers.etag, first.headers.etag);
        assert.equal(answer.bytes.length, 0);
    }
});
test('another tag: the whole answer', async () => {
    for (const tags of ['"a"', first.headers.etag.slice(1, -1), `${first.headers.etag.slice(0, -2)}"`, '']) {
        const answer = await get({ 'If-None-Match': tags });
        assert.equal(answer.status, 200, tags);
        assert.equal(answer.text, first.text);
    }
});
test('a request id of the client comes back, over the same bytes and tag', async () => {
    for (const headers of [{}, { 'If-None-Match': first.headers.etag }]) {
        const answer = await get({ ...headers, 'X-Request-Id': 'mine-1' });
        assert.equal(answer.headers['x-request-id'], 'mine-1');
        assert.equal(answer.headers['x-oneapi-request-id'], 'mine-1');
        assert.equal(answer.headers.etag, first.headers.etag);
        if (answer.status === 200) assert.equal(answer.text, first.text);
    }
});
test('HEAD has the headers of GET and no body', async () => {
    const head = await server.call('HEAD', target);
    assert.equal(head.status, 200);
    for (const name of ['content-type', 'content-length', 'etag', 'cache-control']) assert.equal(head.headers[name], first.headers[name], name);
});
test('HEAD wherever GET is', async () => {
    for (const path of ['/', '/healthz', '/readyz', '/openapi.json', '/v1/models', '/v1/video/tasks']) {
        const [get, head] = [await server.call('GET', path), await server.call('HEAD', path)];
        assert.deepEqual([get.status, head.status], [200, 200], path);
        assert.equal(head.headers['content-type'], get.headers['content-type']);
    }
});
test('the tag changes with every visible change', async () => {
    const { id } = await server.create({ duration: 10, size: 'small' });
    const seen = new Map();
    await until('the end', async () => {
        const answer = await server.call('GET', `/v1/video/query?id=${id}`);
        const known = seen.get(answer.headers.etag);
        if (known !== undefined) assert.equal(answer.text, known, 'one tag, one text');
        seen.set(answer.headers.etag, answer.text);
        return answer.json.status === 'completed';
    }, { every: 5 });
    assert.ok(seen.size > 3, `${seen.size} tags were seen`);
    assert.equal(new Set(seen.values()).size, seen.size, 'one text, one tag');
});
test('a cancel is seen by the next query, whatever was cached', async () => {
    const { id } = await server.create({ duration: 60, size: 'large' });
    for (let i = 0; i < 3; i++) await server.query(id);
    await server.cancel(id);
    assert.equal((await server.query(id)).error.code, 'cancelled');
});
test('each base has links of its own, also many of them in turn', async () => {
    const look = (host) => server.call('GET', target, { headers: { Host: host } });
    for (let round = 0; round < 2; round++)
        for (let i = 0; i < 8; i++)
            assert.ok((await look(`host-${i}.example`)).json.video_url.startsWith(`http://host-${i}.example/`));
    assert.equal((await get()).text, first.text);
});
test('100 connections asking at once get the same bytes', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => server.call('GET', target, { agent: false })));
    for (const answer of answers) assert.equal(answer.text, first.text);
});
test('a small cache gives the same answers', async () => {
    const tight = await start({ config: 'views:\n  bytes: 64KiB\n  tasks: 100\nrender:\n  slots: 1\n' });
    const ids = await Promise.all(Array.from({ length: 150 }, async (_, i) => (await tight.create({ prompt: `number ${i}` })).id));
    await Promise.all(ids.slice(20).map((id) => tight.cancel(id)));
    for (const id of ids.slice(0, 20)) await tight.waitEnd(id);
    const texts = [];
    for (const id of ids) texts.push((await tight.call('GET', `/v1/video/query?id=${id}`)).text);
    for (const [i, id] of ids.entries()) assert.equal((await tight.call('GET', `/v1/video/query?id=${id}`)).text, texts[i]);
});
test('an ended task is the same bytes after a restart', async () => {
    await server.restart();
    assert.equal((await get()).text, first.text);
});

test('the small answers say what they should', async () => {
    assert.deepEqual((await server.call('GET', '/healthz', { key: null })).json, { status: 'ok' });
    assert.equal((await server.call('GET', '/readyz', { key: null })).status, 200);
    assert.equal((await server.call('GET', '/', { key: null })).json.name, 'filmgate');
    const models = (await server.call('GET', '/v1/models')).json;
    assert.equal(models.object, 'list');
    assert.ok(models.data.some((model) => model.id === 'sora-2' && model.object === 'model'));
});
test('the document describes this server', async () => {
    const { json } = await server.call('GET', '/openapi.json', { key: null, unchecked: true });
    assert.match(json.openapi, /^3\.1\./);
    assert.equal(json.servers[0].url, server.url);
    for (const path of ['/v1/video/create', '/v1/video/query', '/v1/video/tasks', '/v1/video/cancel', '/v1/models', '/healthz', '/readyz'])
        assert.ok(json.paths[path], path);
    for (const item of Object.values(json.paths))
        for (const operation of Object.values(item)) if (operation.responses) assert.ok(Object.keys(operation.responses).length > 0);
});

test('the servers ended well', endedWell);
