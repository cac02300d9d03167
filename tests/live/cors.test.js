// SPDX-License-Identifier: Apache-2.0
//
// Pages in a browser, proxies before us, and GET requests with what clients of this family add to
// them: none of it may change an answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, multipart, start } from './harness.js';

const server = await start();
const ended = await server.complete({});
const target = `/v1/video/query?id=${ended.id}`;
const origin = 'http://localhost:5173';
const plain = await server.call('GET', target);

const list = (value) => (value ?? '').toLowerCase().split(',').map((item) => item.trim());

for (const [path, method] of [['/v1/video/create', 'POST'], ['/v1/video/query', 'GET'], ['/v1/video/tasks', 'GET'], ['/v1/video/cancel', 'POST'], ['/v1/models', 'GET'], ['/openapi.json', 'GET']])
    test(`a preflight for ${method} ${path} is answered without a key`, async () => {
        const wanted = ['authorization', 'content-type', 'idempotency-key', 'x-request-id', 'x-forwarded-host', 'accept'];
        const answer = await server.call('OPTIONS', path, { key: null, headers: { Origin: origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': wanted.join(', ') } });
        assert.equal(answer.status, 204);
        assert.equal(answer.headers['access-control-allow-origin'], '*');
        assert.ok(list(answer.headers['access-control-allow-methods']).includes(method.toLowerCase()));
        const allowed = list(answer.headers['access-control-allow-headers']);
        for (const name of wanted.filter((name) => name !== 'accept')) assert.ok(allowed.includes(name), name);
        assert.ok(Number(answer.headers['access-control-max-age']) > 0);
        assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    });
test('answers, errors and files are readable by any page', async () => {
    const headers = { Origin: origin };
    for (const answer of [
        await server.call('GET', target, { headers }),
        await server.call('GET', target, { headers: { ...headers, 'X-Request-Id': 'own' } }),
        await server.call('GET', '/v1/video/query?id=x', { headers }),
        await server.call('GET', target, { headers, key: null }),
        await server.call('GET', '/nothing', { headers }),
        await server.fetchLink(ended.video_url, { headers }),
    ])
        assert.equal(answer.headers['access-control-allow-origin'], '*');
});
test('CORS can be switched off', async () => {
    const closed = await start({ config: 'cors: false\n' });
    const task = await closed.create({});
    for (const answer of [await closed.call('GET', `/v1/video/query?id=${task.id}`), await closed.call('GET', '/nothing')])
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
});

const oddities = {
    'a JSON content type': { headers: { 'Content-Type': 'application/json' } },
    'any Accept': { headers: { Accept: 'text/html;q=0.1, image/png' } },
    'an Accept that nothing fits': { headers: { Accept: 'application/xml' } },
    'Accept-Encoding': { headers: { 'Accept-Encoding': 'gzip, br' } },
    'an empty multipart body': multipart([]),
    'a multipart body of 1 KiB': multipart([{ name: 'x', value: 'y'.repeat(1024) }]),
    'a chunked body': { headers: { 'Content-Type': 'application/json' }, body: '{}', chunked: 1 },
    'a body of 60 KiB': { headers: { 'Content-Type': 'application/octet-stream' }, body: 'z'.repeat(60_000) },
    'a forwarded host from nobody whom we trust': { headers: { 'X-Forwarded-Host': 'localhost:5173' } },
    'a forwarded host with a script': { headers: { 'X-Forwarded-Host': 'evil"><script>' } },
    'a forwarded scheme': { headers: { 'X-Forwarded-Proto': 'https' } },
    'Origin and Referer': { headers: { Origin: origin, Referer: `${origin}/page` } },
    'cookies': { headers: { Cookie: 'a=b; c=d' } },
};
for (const [name, options] of Object.entries(oddities))
    test(`a query with ${name} has identical bytes`, async () => {
        const answer = await server.call('GET', target, options);
        assert.equal(answer.status, 200);
        assert.equal(answer.text, plain.text);
        assert.equal(answer.headers.etag, plain.headers.etag);
        assert.equal(answer.headers['content-type'], plain.headers['content-type']);
    });
test('a query after one with a body on the same connection is answered as ever', async () => {
    const head = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: Bearer ${server.key}\r\n`;
    const came = await server.raw(`${head}Content-Length: 3\r\n\r\nabc${head}Connection: close\r\n\r\n`);
    assert.equal(came.split(plain.text).length, 3);
});

test('links follow Host', async () => {
    const answer = await server.call('GET', target, { headers: { Host: 'video.example.com:8443' } });
    assert.match(answer.json.video_url, /^http:\/\/video\.example\.com:8443\/assets\//);
});
test('behind a trusted proxy links follow what it forwards, unless that is hostile', async () => {
    const proxied = await start({ config: 'trusted_proxies: ["127.0.0.0/8"]\n' });
    const task = await proxied.complete({});
    const look = async (headers) => new URL((await proxied.call('GET', `/v1/video/query?id=${task.id}`, { headers })).json.video_url).origin;
    assert.equal(await look({ 'X-Forwarded-Host': 'video.example.com', 'X-Forwarded-Proto': 'https' }), 'https://video.example.com');
    assert.equal(await look({ 'X-Forwarded-Host': 'localhost:5173' }), 'http://localhost:5173');
    for (const hostile of ['evil/path', 'user@evil', 'a b', '"><script>', 'x'.repeat(300)])
        assert.equal(await look({ 'X-Forwarded-Host': hostile }), proxied.url, hostile);
    assert.equal(await look({}), proxied.url);
});
test('public_url stands above all', async () => {
    const fixed = await start({ config: 'public_url: https://video.example.com/films/\ntrusted_proxies: ["127.0.0.1"]\n' });
    const task = await fixed.complete({});
    const answer = await fixed.call('GET', `/v1/video/query?id=${task.id}`, { headers: { Host: 'other.example', 'X-Forwarded-Host': 'third.example' } });
    assert.match(answer.json.video_url, /^https:\/\/video\.example\.com\/films\/assets\//);
});

test('the servers ended well', endedWell);
