// SPDX-License-Identifier: Apache-2.0
//
// Every error that a client can bring about: status, code, both envelopes, both languages, what
// tells a client to come back. The envelopes' shape is checked on all errors by check.js.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { endedWell, multipart, small, start } from './harness.js';
import { dataUri, encoded, png, tiny } from './media.js';

const server = await start({
    config: `render:
  slots: 1
limits:
  body: 1MiB
  images: 2
  image_bytes: 64KiB
  image_pixels: 10000
  prompt_bytes: 1KiB
  duration: 20s
channels:
  - name: sketch
    adapter: animatic
    models: [sora-2, "veo*"]
`,
});
const other = await server.addKey('other', { tenant: 'other' });
const wish = { model: 'sora-2', prompt: 'make animate', ...small };
const junk = Buffer.from('this is no image at all, whatever its name says');
const bmp = await encoded('bmp');
const mine = await server.create({});
const foreign = await server.create({}, { key: other });
const short = mine.id.split(':')[1];
const unknownId = 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60';

async function refused(status, code, method, target, options) {
    const answer = await server.call(method, target, options);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code, answer.text);
    return answer;
}

const refusedCreate = (status, code, fields) => refused(status, code, 'POST', '/v1/video/create', { json: { ...wish, ...fields } });
const refusedBody = (status, code, type, body) => refused(status, code, 'POST', '/v1/video/create', { headers: { 'Content-Type': type }, body });

// What is asked wrongly

const wrongFields = {
    'no model': [{ model: undefined }, 'model'],
    'an empty model': [{ model: '' }, 'model'],
    'a model with a blank': [{ model: 'sora 2' }, 'model'],
    'a model that is no text': [{ model: 7 }, 'model'],
    'no prompt': [{ prompt: undefined }, 'prompt'],
    'an empty prompt': [{ prompt: '' }, 'prompt'],
    'a prompt of blanks': [{ prompt: ' \n\t ' }, 'prompt'],
    'a prompt that is no text': [{ prompt: ['x'] }, 'prompt'],
    'a prompt that is too long': [{ prompt: 'x'.repeat(1025) }, 'prompt'],
    'an unknown size': [{ size: 'huge' }, 'size'],
    'a size of 0x0': [{ size: '0x0' }, 'size'],
    'a size that is too large': [{ size: '99999x99999' }, 'size'],
    'an unknown orientation': [{ orientation: 'diagonal' }, 'orientation'],
    'a ratio beyond 4 to 1': [{ aspect_ratio: '99:1' }, 'aspect_ratio'],
    'a ratio that is a word': [{ aspect_ratio: 'banana' }, 'aspect_ratio'],
    'a duration of 0': [{ duration: 0 }, 'duration'],
    'a negative duration': [{ duration: -1 }, 'duration'],
    'a duration that is too long': [{ duration: 21 }, 'duration'],
    'a duration that is not whole': [{ duration: 1.5 }, 'duration'],
    'a duration that is a word': [{ duration: undefined, seconds: 'ten' }, 'seconds'],
    'a watermark that is a word': [{ watermark: 'maybe' }, 'watermark'],
    'a priority out of bounds': [{ priority: 10 }, 'priority'],
    'a seed out of bounds': [{ seed: '99999999999999999' }, 'seed'],
    'too many images': [{ images: ['http://192.0.2.1/1', 'http://192.0.2.1/2', 'http://192.0.2.1/3'] }, 'images'],
    'an image that is empty': [{ images: [''] }, 'images'],
    'an image that is a number': [{ images: [1] }, 'images'],
    'an image with a foreign scheme': [{ images: ['file:///etc/passwd'] }, 'images'],
    'a part index from outside': [{ images: [{ $part: 0 }] }, 'images'],
};
for (const [name, [fields, param]] of Object.entries(wrongFields))
    test(`400 invalid_request: ${name}`, async () => {
        const answer = await refusedCreate(400, 'invalid_request', fields);
        assert.equal(answer.json.error.param, param);
        assert.equal(answer.json.error.type, 'invalid_request_error');
    });

const wrongImages = {
    'text': [dataUri(junk)],
    'an unsupported format': [dataUri(bmp, 'image/bmp')],
    'a file that is cut off': [dataUri(tiny.subarray(0, 20))],
    'an empty data URI': ['data:image/png;base64,'],
    'a data URI without base64': ['data:image/png,abc'],
    'neither URL nor base64': ['???'],
    'too many bytes': [dataUri(Buffer.concat([tiny, Buffer.alloc(70_000)]))],
    'too many pixels': [dataUri(png(200, 200, () => [0, 0, 0]))],
    'a URL with a user': ['http://user:secret@192.0.2.1/x.png'],
    'a URL without a host': ['http:///x.png'],
};
for (const [name, images] of Object.entries(wrongImages))
    test(`400 image_invalid: ${name}`, async () => {
        const answer = await refusedCreate(400, 'image_invalid', { images });
        assert.equal(answer.json.error.param, 'images');
    });
test('400 image_invalid says which image', async () => {
    const answer = await refusedCreate(400, 'image_invalid', { images: [dataUri(tiny), dataUri(junk)] });
    assert.match(answer.json.message, /image 2/);
});
test('400 image_invalid: a file part that is no image', () => {
    const parts = Object.entries(wish).map(([name, value]) => ({ name, value }));
    const { headers, body } = multipart([...parts, { name: 'images', filename: 'a.png', type: 'image/png', bytes: junk }]);
    return refused(400, 'image_invalid', 'POST', '/v1/video/create', { headers, body });
});
test('an image that was refused leaves nothing in the store', () => {
    const left = fs.readdirSync(path.join(server.data, 'assets'), { recursive: true }).filter((name) => /media_[^/]*$/.test(name));
    assert.deepEqual(left, []);
});

// Bodies that cannot be read

const brokenBodies = {
    'nothing': ['application/json', ''],
    'half an object': ['application/json', '{"model": "sora-2", '],
    'a list': ['application/json', '[1]'],
    'a number': ['application/json', '1'],
    'NUL in a text': ['application/json', JSON.stringify({ ...wish, prompt: 'a\u0000b' })],
    'two values': ['application/json', '{} {}'],
    'bytes that are no UTF-8': ['application/json', Buffer.from('7b226d6f64656c223a22ff227d', 'hex')],
    'a nesting of thousands': ['application/json', '{"a":'.repeat(5000) + '1' + '}'.repeat(5000)],
    'multipart without its end': ['multipart/form-data; boundary=b', '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nsora-2'],
    'multipart without a boundary': ['multipart/form-data', '--b--'],
    'multipart with another boundary': ['multipart/form-data; boundary=b', '--c\r\n\r\n--c--\r\n'],
};
for (const [name, [type, body]] of Object.entries(brokenBodies))
    test(`400 bad_request_body: ${name}`, () => refusedBody(400, 'bad_request_body', type, body));

test('415 for a type that no form fits', async () => {
    for (const type of ['application/xml', 'image/png', 'application/octet-stream', 'text/html'])
        assert.match((await refusedBody(415, 'unsupported_media_type', type, 'x')).json.message, /JSON.*multipart.*urlencoded/);
});

// Keys

const badKeys = {
    'no Authorization': {},
    'an unknown key': { Authorization: 'Bearer fg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
    'an empty key': { Authorization: 'Bearer ' },
    'a key that is too short': { Authorization: `Bearer ${server.key.slice(0, -1)}` },
    'a key that is too long': { Authorization: `Bearer ${server.key}x` },
    'Basic': { Authorization: `Basic ${Buffer.from(`x:${server.key}`).toString('base64')}` },
    'the key without its scheme': { Authorization: server.key },
    'a key of 6 KiB': { Authorization: `Bearer ${'x'.repeat(6144)}` },
};
for (const [name, headers] of Object.entries(badKeys))
    test(`401 invalid_api_key: ${name}`, async () => {
        for (const [method, target] of [['GET', `/v1/video/query?id=${unknownId}`], ['POST', '/v1/video/create'], ['GET', '/v1/video/tasks'], ['POST', '/v1/video/cancel'], ['GET', '/v1/models']]) {
            const options = { key: null, headers: { ...headers } };
            const answer = await refused(401, 'invalid_api_key', method, target, method === 'POST' ? { ...options, json: wish } : options);
            assert.equal(answer.json.error.type, 'authentication_error');
            assert.match(answer.headers['www-authenticate'], /^Bearer/);
        }
    });
test('the scheme of a key is read in any case', async () => {
    const answer = await server.call('GET', '/v1/models', { key: null, headers: { Authorization: `bearer ${server.key}` } });
    assert.equal(answer.status, 200);
});

// Tasks that one may not see

const lost = {
    'unknown': unknownId,
    'unknown and without a prefix': unknownId.split(':')[1],
    'foreign': foreign.id,
    'foreign and without a prefix': foreign.id.split(':')[1],
    'with another model as its prefix': `veo3:${short}`,
    'with an empty prefix': `:${short}`,
    'malformed': 'not-an-id',
    'with a blank behind it': `${mine.id} `,
    'in capitals': `sora-2:${short.toUpperCase()}`,
    'a path': '../../etc/passwd',
    'with a quote': `'"<script>`,
    'of 4 KiB': 'x'.repeat(4096),
    'no UTF-8': '%ff%fe',
    'in another script': '任务',
};
const shapes = new Set();
for (const [name, id] of Object.entries(lost))
    test(`404 task_not_exist: an id that is ${name}`, async () => {
        const raw = id.startsWith('%') ? id : encodeURIComponent(id);
        const query = await refused(404, 'task_not_exist', 'GET', `/v1/video/query?id=${raw}`);
        assert.equal(query.json.status, 'failed');
        const { id: echoed, ...rest } = query.json;
        assert.equal(typeof echoed, 'string');
        if (id.length < 256 && !id.startsWith('%')) assert.equal(echoed, id);
        shapes.add(JSON.stringify([rest, query.headers['content-type'], Object.keys(query.headers).sort()]));
        assert.equal(shapes.size, 1, 'the answers tell which of them it was');
        if (!id.startsWith('%')) await refused(404, 'task_not_exist', 'POST', '/v1/video/cancel', { json: { id } });
    });
test('one\'s own task is found beside them', async () => {
    assert.equal((await server.query(mine.id)).id, mine.id);
});

test('400 invalid_request: no id', async () => {
    for (const target of ['/v1/video/query', '/v1/video/query?id=', '/v1/video/query?task=x'])
        assert.equal((await refused(400, 'invalid_request', 'GET', target)).json.error.param, 'id');
    assert.equal((await refused(400, 'invalid_request', 'POST', '/v1/video/cancel', { json: {} })).json.error.param, 'id');
    await refused(400, 'invalid_request', 'POST', '/v1/video/cancel');
});
test('400 bad_request_body: a cancel that is no JSON', () => refused(400, 'bad_request_body', 'POST', '/v1/video/cancel', { body: '{' }));
test('400 invalid_request: a list with a bad limit or cursor', async () => {
    for (const query of ['limit=0', 'limit=101', 'limit=-1', 'limit=x', 'limit=', 'before=x', 'before=%00', `before=${'A'.repeat(2000)}`])
        assert.equal((await server.call('GET', `/v1/video/tasks?${query}`)).status, 400, query);
});
test('400 invalid_request: an Idempotency-Key that is none', async () => {
    for (const key of ['x'.repeat(256), 'gr\u00fc\u00df'])
        assert.equal((await refused(400, 'invalid_request', 'POST', '/v1/video/create', { json: wish, headers: { 'Idempotency-Key': key } })).json.error.param, 'Idempotency-Key');
});
test('400 invalid_request: a Host that is none', async () => {
    for (const host of ['a b', 'evil/path', 'x"y', '<script>'])
        await refused(400, 'invalid_request', 'GET', `/v1/video/query?id=${mine.id}`, { headers: { Host: host } });
});

// Addresses and methods

test('404 not_found', async () => {
    for (const target of ['/nothing', '/v1', '/v1/video', '/v1/video/', '/v1/video/create/', '/V1/video/query', '//v1/video/query', '/v1/video/query/x', '/assets'])
        await refused(404, 'not_found', 'GET', target);
});
test('405 method_not_allowed says which are', async () => {
    const wanted = [['DELETE', '/v1/video/create', 'POST, OPTIONS'], ['GET', '/v1/video/create', 'POST, OPTIONS'], ['POST', '/v1/video/query', 'GET, HEAD, OPTIONS'], ['PUT', '/v1/video/tasks', 'GET, HEAD, OPTIONS'], ['PATCH', '/v1/video/cancel', 'POST, OPTIONS'], ['POST', '/healthz', 'GET, HEAD, OPTIONS']];
    for (const [method, target, allow] of wanted) {
        const answer = await refused(405, 'method_not_allowed', method, target);
        assert.match(answer.json.message, /its Allow header names/);
        assert.deepEqual(answer.headers.allow.split(', ').sort(), allow.split(', ').sort(), `${method} ${target}`);
    }
});
test('413 request_too_large, with and without a length', async () => {
    const body = JSON.stringify({ ...wish, extra: 'x'.repeat(1_100_000) });
    const headers = { 'Content-Type': 'application/json' };
    const answer = await refused(413, 'request_too_large', 'POST', '/v1/video/create', { headers, body: body, chunked: 16384 });
    assert.match(answer.json.message, /at most 1MiB are taken at this address/);
    const length = await server.raw(`POST /v1/video/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${server.key}\r\nContent-Type: application/json\r\nContent-Length: 2000000\r\n\r\n`, { enough: (text) => text.endsWith('}') });
    assert.match(length, /^HTTP\/1\.1 413 /);
    assert.match(length, /"request_too_large"/);
    assert.match(length, /at most 1MiB are taken/);
    assert.match((await refused(413, 'request_too_large', 'POST', '/v1/video/cancel', { headers, body: body })).json.message, /at most 64KiB are taken/);
});
test('413 before the body comes, for who asks by Expect', async () => {
    const came = await server.raw(`POST /v1/video/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${server.key}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n`, { enough: (text) => text.endsWith('}') });
    assert.match(came, /^HTTP\/1\.1 413 /);
});
test('414 uri_too_long', async () => {
    assert.match((await refused(414, 'uri_too_long', 'GET', `/v1/video/query?id=${'x'.repeat(9000)}`)).json.message, /at most 8192 bytes/);
});
test('what cannot be is said together with what can', async () => {
    const { id } = await server.create({ duration: 1, size: '64x64' });
    const asked = { 'wait=x': /wait must be 0 to 60 seconds/, 'wait=1&until=x': /until must be change or end/ };
    for (const [query, said] of Object.entries(asked)) assert.match((await refused(400, 'invalid_request', 'GET', `/v1/video/query?id=${encodeURIComponent(id)}&${query}`)).json.message, said);
    assert.match((await refusedCreate(400, 'invalid_request', { webhook_url: 'http://user:secret@192.0.2.1/x' })).json.message, /"webhook_url" cannot be called: the URL must not carry a user name/);
    const badly = await server.raw('GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n', { enough: (text) => text.endsWith('}') });
    assert.match(badly, /Host must be a host with or without a port, as in video\.example\.com:8080/);
});
test('400 model_not_found names what can be asked for', async () => {
    const answer = await refusedCreate(400, 'model_not_found', { model: 'grok-video-3' });
    assert.match(answer.json.message, /sora-2/);
    assert.equal(answer.json.error.param, 'model');
});

// Request ids

test('a request id of the client comes back, another is made', async () => {
    const named = await refused(404, 'not_found', 'GET', '/nothing', { headers: { 'X-Request-Id': 'my-id.1:2_3' } });
    assert.equal(named.headers['x-request-id'], 'my-id.1:2_3');
    for (const bad of ['x'.repeat(200), 'a b', '<x>']) {
        const answer = await refused(404, 'not_found', 'GET', '/nothing', { headers: { 'X-Request-Id': bad } });
        assert.match(answer.headers['x-request-id'], /^req_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    }
});

// Trouble of ours

test('409 task_already_ended', async () => {
    const { id } = await server.complete({});
    const answer = await refused(409, 'task_already_ended', 'POST', '/v1/video/cancel', { json: { id } });
    assert.deepEqual([answer.json.id, answer.json.status], [id, 'completed']);
});
test('503 queue_full with Retry-After, and room again later', async () => {
    const tight = await start({ config: 'render:\n  slots: 1\nlimits:\n  queue: 2\n' });
    const slow = { duration: 60, size: 'large' };
    const first = await tight.create(slow), second = await tight.create(slow);
    const full = await tight.call('POST', '/v1/video/create', { json: wish });
    assert.deepEqual([full.status, full.json.code], [503, 'queue_full']);
    assert.ok(Number(full.headers['retry-after']) >= 1);
    assert.equal(full.json.error.type, 'server_error');
    await tight.cancel(first.id);
    await tight.cancel(second.id);
    await tight.create({});
});
test('503 service_unavailable when bodies take too much memory', async () => {
    const tight = await start({ config: 'limits:\n  body: 4MiB\n  body_memory: 1MiB\n' });
    const answer = await tight.call('POST', '/v1/video/create', { json: { ...wish, extra: 'x'.repeat(3 << 20) } });
    assert.deepEqual([answer.status, answer.json.code], [503, 'service_unavailable']);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    await tight.create({});
});
test('503 storage_unavailable when an image cannot be stored', async () => {
    const broken = await start();
    fs.rmSync(path.join(broken.data, 'assets'), { recursive: true });
    fs.writeFileSync(path.join(broken.data, 'assets'), 'in the way');
    const answer = await broken.call('POST', '/v1/video/create', { json: { ...wish, images: [dataUri(tiny)] } });
    assert.deepEqual([answer.status, answer.json.code], [503, 'storage_unavailable']);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.equal((await broken.call('GET', '/v1/video/tasks')).json.data.length, 0);
});

test('the servers ended well', endedWell);
