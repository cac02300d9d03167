// SPDX-License-Identifier: Apache-2.0
//
// Images by URL: fetched by the gateway, from public addresses and those that the operator allows,
// within bounds of size, time and redirects.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { endedWell, start } from './harness.js';
import { encoded, imageServer, png, tiny } from './media.js';

const seen = [];
const jpeg = await encoded('jpg');
const answers = {
    '/image.png': (response) => response.end(tiny),
    '/image.jpg': (response) => response.setHeader('Content-Type', 'text/html').end(jpeg),
    '/chunked': (response) => { response.write(tiny.subarray(0, 10)); setTimeout(() => response.end(tiny.subarray(10)), 50); },
    '/hop': (response) => response.writeHead(302, { Location: '/image.png' }).end(),
    '/hop2': (response) => response.writeHead(307, { Location: '/hop' }).end(),
    '/loop': (response) => response.writeHead(302, { Location: '/loop' }).end(),
    '/to-file': (response) => response.writeHead(302, { Location: 'file:///etc/passwd' }).end(),
    '/large': (response) => response.end(Buffer.alloc(300_000)),
    '/large-unsaid': (response) => { for (let i = 0; i < 30; i++) response.write(Buffer.alloc(10_000)); response.end(); },
    '/pixels': (response) => response.end(png(200, 200, () => [1, 2, 3])),
    '/page': (response) => response.setHeader('Content-Type', 'image/png').end('<html>no image</html>'),
    '/empty': (response) => response.end(),
    '/missing': (response) => response.writeHead(404).end('nothing here'),
    '/forbidden': (response) => response.writeHead(403).end(),
    '/teapot': (response) => response.writeHead(418).end(),
    '/broken': (response) => response.writeHead(500).end(),
    '/cut': (response) => { response.writeHead(200, { 'Content-Length': 10_000 }); response.write(tiny); response.destroy(); },
    '/slow': () => {},
    '/drip': (response) => { const timer = setInterval(() => response.write('x'), 100); response.on('close', () => clearInterval(timer)); },
};
let failures = 0;

function answer(request, response) {
    const path = request.url.split('?')[0];
    seen.push({ path, headers: request.headers });
    if (path === '/flaky' && failures++ === 0) return response.writeHead(503).end();
    return (answers[path === '/flaky' ? '/image.png' : path] ?? answers['/missing'])(response);
}

const web = await imageServer(answer);
const hidden = await imageServer(answer);
answers['/to-hidden'] = (response) => response.writeHead(302, { Location: `${hidden.url}/image.png` }).end();

const server = await start({
    config: `fetch:
  allow: ["127.0.0.1:${web.port}"]
  total: 2s
  connect: 1s
  redirects: 3
limits:
  image_bytes: 100KiB
  image_pixels: 20000
tasks:
  attempts: 2
  backoff: 50ms
`,
});

async function fails(url, code) {
    const { id } = await server.create({ images: [url] });
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'failed');
    assert.equal(end.error.code, code, end.error.message);
    assert.match(end.error.message, /charged/);
    assert.deepEqual(end.detail.input.images, [url]);
    return end;
}

for (const path of ['/image.png', '/image.jpg', '/chunked', '/hop', '/hop2', '/image.png?with=query&and=%20'])
    test(`${path} is fetched`, () => server.complete({ images: [`${web.url}${path}`] }));
test('several images of one task', () => server.complete({ images: [`${web.url}/image.png`, `${web.url}/image.jpg`, `${web.url}/hop`] }));
test('the request tells nothing: no key, no cookie', () => {
    for (const { headers } of seen) {
        assert.equal(headers.authorization, undefined);
        assert.equal(headers.cookie, undefined);
        assert.doesNotMatch(JSON.stringify(headers), new RegExp(server.key.slice(3, 20)));
    }
});

const failing = {
    '/large': ['image_invalid', 'it has more than the 100KiB that are taken'],
    '/large-unsaid': ['image_invalid', 'it has more than the 100KiB that are taken'],
    '/pixels': ['image_invalid', 'it has more than the 0.02 megapixels that are taken'],
    '/page': ['image_invalid', 'what came is not a PNG, JPEG, WebP or GIF file'],
    '/empty': ['image_invalid', 'what came is not a PNG, JPEG, WebP or GIF file'],
    '/missing': ['image_unreachable', 'its host says that it is not there'],
    '/forbidden': ['image_unreachable', 'its host does not let us have it'],
    '/broken': ['image_unreachable', 'its host was in trouble'],
    '/teapot': ['image_unreachable', 'its host refused to send it'],
    '/cut': ['image_unreachable', 'its host cannot be reached, or broke off'],
    '/slow': ['image_unreachable', 'its host did not send it in time'],
    '/drip': ['image_unreachable', 'its host did not send it in time'],
    '/loop': ['image_unreachable', 'its host sends us on and on'],
    '/to-file': [null],
    '/to-hidden': ['image_forbidden', 'its address is not a public one'],
};
for (const [path, [code, why]] of Object.entries(failing))
    test(`${path} fails with ${code ?? 'a reason'}`, async () => {
        if (code !== null) {
            const { error } = await fails(`${web.url}${path}`, code);
            assert.ok(error.message.includes(`Image 1: ${why}.`), error.message);
            return assert.doesNotMatch(error.message, /500|server error/, 'on which old clients send the whole job again');
        }
        const { id } = await server.create({ images: [`${web.url}${path}`] });
        const end = await server.waitEnd(id);
        assert.match(end.error.code, /^image_(forbidden|unreachable)$/);
    });
test('a second try mends what passes', () => server.complete({ images: [`${web.url}/flaky`] }));
test('which image it was is said', async () => {
    const { id } = await server.create({ images: [`${web.url}/image.png`, `${web.url}/page`] });
    assert.match((await server.waitEnd(id)).error.message, /image 2/i);
});

const private_ = ['http://127.0.0.1/', `http://127.0.0.1:${hidden.port}/image.png`, `http://localhost:${hidden.port}/image.png`, `http://[::1]:${hidden.port}/image.png`, `http://0.0.0.0:${hidden.port}/image.png`, `http://2130706433:${hidden.port}/image.png`, `http://127.1:${hidden.port}/image.png`, `http://[::ffff:127.0.0.1]:${hidden.port}/image.png`, 'http://10.0.0.1/', 'http://192.168.0.1/', 'http://169.254.169.254/latest/meta-data/', 'http://172.16.0.1/', 'http://100.64.0.1/', 'http://[fd00::1]/', 'http://[fe80::1]/'];
for (const url of private_)
    test(`${url.replace(/:\d{4,5}\//, ':PORT/')} is not for us`, async () => {
        const before = seen.length;
        const created = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'x', images: [url], duration: 1, size: '64x64' } });
        if (created.status === 400) {
            assert.equal(created.json.code, 'image_invalid');
        } else {
            const end = await server.waitEnd(created.json.id);
            assert.equal(end.error?.code, 'image_forbidden', JSON.stringify(end.error));
        }
        assert.equal(seen.length, before, 'nothing was asked');
    });
test('without an allowance loopback is forbidden', async () => {
    const strict = await start();
    const before = seen.length;
    const { id } = await strict.create({ images: [`${web.url}/image.png`] });
    assert.equal((await strict.waitEnd(id)).error.code, 'image_forbidden');
    assert.equal(seen.length, before);
});
test('operators read which address it was and what permits it, clients do not', async () => {
    const strict = await start();
    for (const [asked, url, port] of [[strict, `http://localhost:${web.port}/image.png`, web.port], [server, `${web.url}/to-hidden`, hidden.port]]) {
        const { id } = await asked.create({ images: [url] });
        const { error } = await asked.waitEnd(id);
        const line = asked.log.split('\n').find((text) => text.includes(id.split(':').at(-1)) && text.includes('fetching input image 1 failed'));
        assert.match(line, new RegExp(`its address is not allowed: (127\\.0\\.0\\.1|\\[::1\\]):${port}, which the setting fetch\\.allow can permit`));
        const timeline = await asked.call('GET', `/v1/video/tasks/${id}/timeline`);
        assert.equal(timeline.status, 200);
        for (const text of [JSON.stringify(error), JSON.stringify(timeline.json)]) assert.doesNotMatch(text, new RegExp(`:${port}|\\[::1\\]|127\\.0\\.0\\.1|fetch\\.allow`));
    }
});
test('proxies of the environment are not asked', async () => {
    const trap = await imageServer((request, response) => response.writeHead(418).end());
    const visits = [];
    trap.server.on('connection', (socket) => visits.push(socket.remotePort));
    const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'];
    for (const scheme of ['http', 'socks5h']) {
        const env = Object.fromEntries(names.map((name) => [name, `${scheme}://127.0.0.1:${trap.port}`]));
        for (const exempt of ['', 'example.com', '*']) {
            const proxied = await start({ env: { ...env, no_proxy: exempt, NO_PROXY: exempt }, config: `fetch:\n  allow: ["127.0.0.1:${web.port}"]\n` });
            await proxied.complete({ images: [`${web.url}/image.png`] });
            // Neither does a proxy reach what we may not.
            const { id } = await proxied.create({ images: [`http://169.254.169.254/${scheme}`] });
            assert.equal((await proxied.waitEnd(id)).error.code, 'image_forbidden');
            assert.equal(await proxied.stop(), 0);
        }
    }
    assert.deepEqual(visits, []);
});
test('a compressed answer is not inflated', async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(50_000_000));
    answers['/gzip'] = (response) => response.writeHead(200, { 'Content-Type': 'image/png', 'Content-Encoding': 'gzip', 'Content-Length': bomb.length }).end(bomb);
    const before = seen.length;
    assert.ok(bomb.length < 100 * 1024, 'small enough to be taken as it is');
    await fails(`${web.url}/gzip`, 'image_invalid');
    assert.equal(seen[before].headers['accept-encoding'], undefined);
});
test('a fetch that hangs is ended by a cancel', async () => {
    const { id } = await server.create({ images: [`${web.url}/slow`] });
    const cancelled = await server.cancel(id);
    assert.equal(cancelled.json.error.code, 'cancelled');
    await server.complete({});
});

test('the servers ended well', endedWell);
