// SPDX-License-Identifier: Apache-2.0
//
// What a create takes: every form of body that clients of this family send, every spelling of a
// wish, every way to hand over an image.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, multipart, small, start } from './harness.js';
import { dataUri, encoded, imageServer, png, tiny } from './media.js';

const web = await imageServer((request, response) => response.end(tiny));
const server = await start({ config: `render:\n  slots: 1\nfetch:\n  allow: ["127.0.0.1:${web.port}"]\n` });
const wish = { model: 'sora-2', prompt: 'make animate', ...small };
const [jpeg, webp, gif] = await Promise.all(['jpg', 'webp', 'gif'].map((extension) => encoded(extension)));

async function accepted(options) {
    const answer = await server.call('POST', '/v1/video/create', options);
    assert.equal(answer.status, 200, answer.text);
    return server.query(answer.json.id);
}

const form = (extra) => [...Object.entries({ ...wish, ...extra }).map(([name, value]) => ({ name, value }))];
const file = (name, bytes = tiny, filename = 'image.png', type = 'image/png') => ({ name, filename, type, bytes });

for (const type of ['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8', 'Application/JSON', 'text/plain', 'application/vnd.api+json', 'application/problem+json; charset=utf-8'])
    test(`JSON as ${type}`, () => accepted({ headers: { 'Content-Type': type }, body: JSON.stringify(wish) }));

test('JSON without a content type', () => accepted({ body: JSON.stringify(wish) }));
test('a chunked body', () => accepted({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(wish), chunked: 7 }));
test('a chunked body with an image of several chunks', async () => {
    const body = JSON.stringify({ ...wish, images: [dataUri(tiny)] });
    const task = await accepted({ headers: { 'Content-Type': 'application/json' }, body, chunked: 100 });
    assert.equal(task.detail.input.images.length, 1);
});
test('Expect: 100-continue is answered before the body comes', () => accepted({ headers: { 'Content-Type': 'application/json', Expect: '100-continue' }, body: JSON.stringify(wish) }));
test('any Host', () => accepted({ headers: { Host: 'video.example.com' }, json: wish }));
test('two requests in one packet are both answered, in order', async () => {
    const body = JSON.stringify(wish);
    const request = (id) => `POST /v1/video/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${server.key}\r\nContent-Type: application/json\r\nX-Request-Id: ${id}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const came = await server.raw(request('pipe-1') + request('pipe-2'), { enough: (text) => text.split('HTTP/1.1 200').length === 3 && text.endsWith('}') });
    assert.deepEqual(came.match(/X-Request-Id: pipe-\d/gi).map((line) => line.slice(-1)), ['1', '2']);
});

test('multipart fields', async () => {
    const task = await accepted(multipart(form({ seed: 5, watermark: 'true', orientation: 'landscape' })));
    assert.equal(task.detail.pending_info.seed, 5);
    assert.equal(task.detail.input.prompt, wish.prompt);
});
for (const name of ['input_reference', 'images', 'images[]', 'images[0]', 'image', 'first_frame_image', 'reference_images[]'])
    test(`a file part named ${name}`, async () => {
        const task = await accepted(multipart([...form(), file(name)]));
        const got = await server.fetchLink(task.detail.input.images[0]);
        assert.ok(got.bytes.equals(tiny));
    });
test('several file parts of one name stay in order', async () => {
    const task = await accepted(multipart([...form(), file('images'), file('images', jpeg, 'b.jpg', 'image/jpeg')]));
    const got = await Promise.all(task.detail.input.images.map((link) => server.fetchLink(link)));
    assert.deepEqual(got.map((answer) => answer.headers['content-type']), ['image/png', 'image/jpeg']);
});
test('a part without a file name is a text: a URL', async () => {
    const task = await accepted(multipart([...form(), { name: 'input_reference', value: `${web.url}/a.png` }]));
    assert.deepEqual(task.detail.input.images, [`${web.url}/a.png`]);
});
test('a list as text in a multipart field', async () => {
    const task = await accepted(multipart([...form(), { name: 'images', value: JSON.stringify([`${web.url}/a.png`, dataUri(tiny)]) }]));
    assert.equal(task.detail.input.images.length, 2);
});
test('a boundary in quotes', async () => {
    const { body } = multipart(form(), 'quo ted');
    await accepted({ headers: { 'Content-Type': 'multipart/form-data; boundary="quo ted"' }, body });
});
test('a chunked multipart body', async () => {
    const { headers, body } = multipart([...form(), file('images')]);
    await accepted({ headers, body, chunked: 50 });
});
test('urlencoded fields', async () => {
    const body = new URLSearchParams({ ...wish, prompt: 'a + b & c = 猫', images: `${web.url}/a.png` }).toString();
    const task = await accepted({ headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body });
    assert.equal(task.detail.input.prompt, 'a + b & c = 猫');
    assert.equal(task.detail.input.images.length, 1);
});

const imageForms = {
    'null': [null, 0],
    'an empty list': [[], 0],
    'an empty text': ['', 0],
    'a URL as text': [`${web.url}/1.png`, 1],
    'a list of URLs': [[`${web.url}/1.png`, `${web.url}/2.png`], 2],
    'a data URI': [dataUri(tiny), 1],
    'a list of data URIs': [[dataUri(tiny), dataUri(jpeg, 'image/jpeg')], 2],
    'bare base64': [tiny.toString('base64'), 1],
    'base64 in lines': [tiny.toString('base64').replace(/.{60}/g, '$&\r\n'), 1],
    'objects around URLs': [[{ url: `${web.url}/1.png` }, { image_url: { url: `${web.url}/2.png` } }], 2],
    'nulls in a list': [[null, `${web.url}/1.png`], 1],
};
for (const [name, [images, count]] of Object.entries(imageForms))
    test(`images: ${name}`, async () => assert.equal((await accepted({ json: { ...wish, images } })).detail.input.images.length, count));
test('no images at all', async () => assert.deepEqual((await accepted({ json: wish })).detail.input.images, []));
test('a URL stands in the answer as it was given', async () => {
    const url = `${web.url}/a%20b.png?x=1&y=%E7%8C%AB#part`;
    assert.deepEqual((await accepted({ json: { ...wish, images: [url] } })).detail.input.images, [url]);
});

const formats = { 'image/png': tiny, 'image/jpeg': jpeg, 'image/webp': webp, 'image/gif': gif };
for (const [type, bytes] of Object.entries(formats))
    test(`${type} is known by its content, whatever it is called`, async () => {
        const task = await accepted({ json: { ...wish, images: [dataUri(bytes, 'application/octet-stream')] } });
        const got = await server.fetchLink(task.detail.input.images[0]);
        assert.equal(got.headers['content-type'], type);
        assert.ok(got.bytes.equals(bytes));
    });
for (const [type, bytes] of Object.entries(formats))
    test(`${type} is rendered`, async () => {
        const task = await server.complete({ images: [dataUri(bytes, type)] });
        assert.equal(task.width, 64);
    });
test('an image by URL is fetched and rendered', () => server.complete({ images: [`${web.url}/a.png`] }));

for (const name of ['image', 'image_url', 'image_urls', 'input_reference', 'input_references', 'first_frame_image', 'last_frame_image', 'reference_images', 'referenceImages'])
    test(`an image as ${name}`, async () => assert.equal((await accepted({ json: { ...wish, [name]: `${web.url}/1.png` } })).detail.input.images.length, 1));
for (const name of ['image_end', 'lastFrame', 'reference_images', 'referenceImages'])
    test(`an image as metadata.${name}`, async () => {
        const value = name === 'lastFrame' ? { url: `${web.url}/1.png` } : name.includes('mages') ? [{ url: `${web.url}/1.png` }] : `${web.url}/1.png`;
        assert.equal((await accepted({ json: { ...wish, metadata: { [name]: value } } })).detail.input.images.length, 1);
    });
test('first and last frame are two images', async () => {
    const task = await accepted({ json: { ...wish, first_frame_image: `${web.url}/1.png`, last_frame_image: `${web.url}/2.png` } });
    assert.deepEqual(task.detail.input.images, [`${web.url}/1.png`, `${web.url}/2.png`]);
});
test('the same image by two synonyms is one', async () => {
    const task = await accepted({ json: { ...wish, images: [`${web.url}/1.png`], image: `${web.url}/1.png` } });
    assert.equal(task.detail.input.images.length, 1);
});

const bare = { model: 'sora-2', prompt: 'make animate' };
const durations = [['duration', 3], ['duration', '3'], ['duration', 3.0], ['duration', '3s'], ['seconds', '3'], ['seconds', 3], ['video_length', 3]];
for (const [name, value] of durations)
    test(`${name}: ${JSON.stringify(value)} is three seconds`, async () => assert.equal((await accepted({ json: { ...bare, size: '64x64', [name]: value } })).detail.pending_info.n_frames, 90));
test('metadata.duration is a duration', async () => assert.equal((await accepted({ json: { ...bare, size: '64x64', metadata: { duration: 2 } } })).detail.pending_info.n_frames, 60));

const shapes = [
    [{}, 352, 640, 'portrait'],
    [{ orientation: 'portrait' }, 352, 640, 'portrait'],
    [{ orientation: 'landscape' }, 640, 352, 'landscape'],
    [{ orientation: 'square' }, 480, 480, 'square'],
    [{ orientation: 'LANDSCAPE' }, 640, 352, 'landscape'],
    [{ size: 'large' }, 704, 1280, 'portrait'],
    [{ size: 'large', orientation: 'landscape' }, 1280, 704, 'landscape'],
    [{ size: 'large', orientation: 'square' }, 960, 960, 'square'],
    [{ size: '720P', orientation: 'landscape' }, 640, 352, 'landscape'],
    [{ resolution: '1080P', orientation: 'landscape' }, 1280, 704, 'landscape'],
    [{ size: '1280x720' }, 1280, 720, 'landscape'],
    [{ size: '720X1280' }, 720, 1280, 'portrait'],
    [{ aspect_ratio: '16:9' }, 640, 352, 'landscape'],
    [{ aspectRatio: '9:16' }, 352, 640, 'portrait'],
    [{ ratio: '1:1' }, 480, 480, 'square'],
    [{ metadata: { aspect_ratio: '16:9' } }, 640, 352, 'landscape'],
    [{ metadata: { aspectRatio: '16:9' } }, 640, 352, 'landscape'],
    [{ metadata: { ratio: '16:9' } }, 640, 352, 'landscape'],
    [{ metadata: { resolution: '1080P' }, orientation: 'square' }, 960, 960, 'square'],
    [{ size: '16x9' }, 640, 352, 'landscape'],
    [{ aspect_ratio: 'adaptive' }, 352, 640, 'portrait'],
    [{ aspect_ratio: '16x9' }, 640, 352, 'landscape'],
];
for (const [fields, width, height, orientation] of shapes)
    test(`${JSON.stringify(fields)} plans ${width}x${height}`, async () => {
        const { pending_info: info, input } = (await accepted({ json: { ...bare, duration: 1, ...fields } })).detail;
        assert.deepEqual([info.width, info.height, input.orientation], [width, height, orientation]);
    });
test('4:3 keeps about the area of small', async () => {
    const { width, height } = (await accepted({ json: { ...bare, duration: 1, aspect_ratio: '4:3' } })).detail.pending_info;
    assert.ok(Math.abs(width / height - 4 / 3) < 0.06 && Math.abs((width * height) / (352 * 640) - 1) < 0.1, `${width}x${height}`);
});

test('numbers and flags as texts, null as not asked', async () => {
    const task = await accepted({ json: { ...wish, seed: '42', priority: '7', watermark: 'false', private: 'TRUE', storyboard: '1', title: null, orientation: '', enhance_prompt: 0 } });
    const info = task.detail.pending_info;
    assert.deepEqual([info.seed, info.priority, info.is_storyboard, info.title], [42, 7, true, 'New Video']);
});
test('unknown fields of any type are no error', () => accepted({ json: { ...wish, enableFallback: true, type: 1, content: [{ a: 1 }], notify_hook: 'https://example.com/', video_config: { x: null }, hd: 'yes' } }));
test('keys that the page knows come back when they were sent', async () => {
    const info = (await accepted({ json: { ...wish, project_id: 'p-1', tracking_id: 't-1' } })).detail.pending_info;
    assert.deepEqual([info.project_id, info.tracking_id], ['p-1', 't-1']);
});
test('any model name is served while there is no channel', async () => {
    const answer = await server.call('POST', '/v1/video/create', { json: { ...wish, model: 'veo3.1-fast' } });
    assert.match(answer.json.id, /^veo3\.1-fast:task_/);
});
test('a prompt in every script comes back as it was', async () => {
    const prompt = 'مرحبا 猫が走る — naïve 👩‍🚀 "quoted" \\ back \n line';
    assert.equal((await accepted({ json: { ...wish, prompt } })).detail.input.prompt, prompt);
});
test('a prompt as long as allowed', async () => {
    const prompt = 'x'.repeat(32 * 1024);
    assert.equal((await accepted({ json: { ...wish, prompt } })).detail.input.prompt.length, prompt.length);
});
test('an image of megabytes', async () => {
    const noise = png(1100, 1100, () => [Math.random() * 256, Math.random() * 256, Math.random() * 256]);
    assert.ok(noise.length > 3e6);
    const task = await accepted({ json: { ...wish, images: [dataUri(noise)] } });
    const got = await server.fetchLink(task.detail.input.images[0]);
    assert.equal(got.bytes.length, noise.length);
});

test('an id is found with or without its prefix, raw or encoded, as id or task_id, first of two', async () => {
    const { id } = await server.create({});
    const short = id.split(':')[1];
    for (const query of [`id=${id}`, `id=${encodeURIComponent(id)}`, `id=${short}`, `task_id=${id}`, `task_id=${short}`, `id=${id}&id=task_x`, `model=sora-2&id=${id}&provider=x`]) {
        const answer = await server.call('GET', `/v1/video/query?${query}`);
        assert.equal(answer.status, 200, query);
        assert.equal(answer.json.id, id);
    }
});

test('the servers ended well', endedWell);
