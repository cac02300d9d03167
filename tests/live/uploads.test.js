// SPDX-License-Identifier: Apache-2.0
//
// Images that are uploaded first and used later: by the official SDKs, by clients of relays, by id and by link; who may
// use what, how much of it, and until when.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import OpenAI7, { toFile as toFile7 } from 'openai7';
import { endedWell, multipart, start, until } from './harness.js';
import { encoded, imageServer, png, tiny, warm } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\nlimits:\n  image_bytes: 400KiB\n  image_pixels: 400000\n', key: { tenant: 'red' } });
const blue = await server.addKey('blue', { tenant: 'blue' });
const operator = await server.addKey('operator', { operator: true });
const brief = await start({ config: 'files:\n  keep: 3s\n', key: { tenant: 'red' } });
const scarce = await start({ config: 'files:\n  per_tenant: 2\n  bytes_per_tenant: 400KiB\n', key: { tenant: 'red' } });
const neighbour = await scarce.addKey('blue', { tenant: 'blue' });
const old = await start({ config: 'tasks:\n  retention: 1s\n', key: { tenant: 'red' } });
const named = await start({ config: 'public_url: https://video.example.com/base/\n', key: { tenant: 'red' } });
const others = await imageServer((request, response) => response.end(tiny));
const pictures = { jpg: await encoded('jpg'), webp: await encoded('webp'), gif: await encoded('gif'), bmp: await encoded('bmp') };

// Not deepEqual: what it would say of two that differ takes gigabytes.
const isSame = (found, wanted) => assert.ok(Buffer.from(found).equals(wanted), 'other bytes than were sent');
const sha256 = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');
const form = (bytes, more = [], filename = 'cat.png') => multipart([{ name: 'purpose', value: 'vision' }, ...more, { name: 'file', filename, type: 'image/png', bytes }]);
const upload = async (bytes = tiny, { on = server, to = '/v1/files', ...options } = {}) => {
    const answer = await on.call('POST', to, { ...form(bytes), ...options });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
};
const content = (id, options = {}) => server.call('GET', `/v1/files/${id}/content`, { unchecked: true, ...options });
const createWith = (image, { on = server, ...options } = {}) =>
    on.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'make animate', size: '64x64', duration: 1, images: [image] }, ...options });
const isMissing = (answer) => {
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.json.code, 'image_invalid');
    assert.equal(answer.json.message, 'image 1: there is no such file of yours: it was deleted or has expired, or never was');
};
const folders = (one) => fs.readdirSync(path.join(one.data, 'assets')).flatMap((outer) => fs.readdirSync(path.join(one.data, 'assets', outer)));

// What a task took as its input, as its owner may fetch it.
async function inputOf(id, on = server) {
    const [link] = (await on.query(id)).detail.input.images;
    assert.match(link, /\/assets\/task_\w+\/media_\w+\.(png|jpg|webp|gif)\?/);
    return (await on.fetchLink(link)).bytes;
}

// ---- the SDKs ----

for (const [version, Client, file] of [['6', OpenAI, toFile], ['7', OpenAI7, toFile7]]) {
    test(`the OpenAI SDK ${version} uploads, retrieves, lists, fetches and deletes`, async () => {
        const client = new Client({ apiKey: server.key, baseURL: `${server.url}/v1`, maxRetries: 0 });
        const made = await client.files.create({ file: await file(warm, 'katze ü.png', { type: 'image/png' }), purpose: 'user_data' });
        assert.match(made.id, /^file_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
        assert.equal(made.object, 'file');
        assert.equal(made.bytes, warm.length);
        assert.equal(made.filename, 'katze ü.png');
        assert.equal(made.purpose, 'user_data');
        assert.equal(made.status, 'processed');
        assert.equal(made.expires_at - made.created_at, 7 * 24 * 3600);
        assert.deepEqual(await client.files.retrieve(made.id), made);
        const all = [];
        for await (const one of client.files.list({ limit: 1 })) all.push(one.id);
        assert.ok(all.includes(made.id));
        isSame(Buffer.from(await (await client.files.content(made.id)).arrayBuffer()), warm);
        const deleted = await client.files.delete(made.id);
        assert.deepEqual({ ...deleted }, { id: made.id, object: 'file', deleted: true });
        await assert.rejects(client.files.retrieve(made.id), (error) => error instanceof Client.NotFoundError && error.code === 'file_not_found');
        await assert.rejects(client.files.delete(made.id), Client.NotFoundError);
        await assert.rejects(client.files.content(made.id), Client.NotFoundError);
    });
    test(`the OpenAI SDK ${version} makes a video of an uploaded file`, async () => {
        const client = new Client({ apiKey: server.key, baseURL: `${server.url}/v1`, maxRetries: 0 });
        const made = await client.files.create({ file: await file(warm, 'a.png', { type: 'image/png' }), purpose: 'vision' });
        for (const reference of [{ file_id: made.id }, { image_url: made.url }]) {
            const { id } = await client.videos.create({ model: 'sora-2', prompt: 'b', size: '64x64', seconds: '1', input_reference: reference });
            isSame(await inputOf(id), warm);
            await server.waitEnd(id);
        }
    });
    test(`the OpenAI SDK ${version} is told what is wrong with a file`, async () => {
        const client = new Client({ apiKey: server.key, baseURL: `${server.url}/v1`, maxRetries: 0 });
        const wrong = client.files.create({ file: await file(Buffer.from('no picture'), 'a.png'), purpose: 'vision' });
        await assert.rejects(wrong, (error) => error instanceof Client.BadRequestError && error.code === 'image_invalid' && error.param === 'file');
    });
    test(`the OpenAI SDK ${version} says how long a file is to be kept`, async () => {
        const client = new Client({ apiKey: server.key, baseURL: `${server.url}/v1`, maxRetries: 0 });
        const expires_after = { anchor: 'created_at', seconds: 3600 };
        const made = await client.files.create({ file: await file(tiny, 'a.png'), purpose: 'vision', expires_after });
        assert.equal(made.expires_at - made.created_at, 3600);
    });
}

// ---- relays' clients ----

test('an upload of an asset takes a form, JSON and bare bytes', async () => {
    const forms = [
        form(tiny),
        multipart([{ name: 'image', filename: 'a.png', type: 'image/png', bytes: tiny }]),
        { json: { image: `data:image/png;base64,${tiny.toString('base64')}` } },
        { json: { file: tiny.toString('base64'), filename: 'mine.png' } },
        { headers: { 'Content-Type': 'image/png' }, body: tiny },
        { headers: { 'Content-Type': 'application/octet-stream' }, body: tiny, chunked: 100 },
    ];
    for (const one of forms) {
        const { status, json } = await server.call('POST', '/v1/assets/upload', one);
        assert.equal(status, 200);
        assert.deepEqual(json.data, { id: json.id, url: json.url });
        assert.equal(json.code, undefined);
        isSame((await server.fetchLink(json.url)).bytes, tiny);
    }
});
test('what a file is, is seen from its bytes', async () => {
    for (const [extension, type] of [['jpg', 'image/jpeg'], ['webp', 'image/webp'], ['gif', 'image/gif']]) {
        const file = await upload(pictures[extension]);
        assert.equal(file.content_type, type);
        assert.deepEqual([file.width, file.height], [32, 32]);
        assert.equal((await content(file.id)).headers['content-type'], type);
        assert.ok(file.url.includes(`/assets/${file.id}/original.${extension}?`));
    }
});
test('names lose folders and control characters, and are there always', async () => {
    const name = async (filename) => (await server.call('POST', '/v1/files', form(tiny, [], filename))).json.filename;
    assert.equal(await name('C:\\cats\\one.png'), 'one.png');
    assert.equal(await name('/etc/../two.png'), 'two.png');
    assert.equal(await name('a\u0001b\u007f.png'), 'ab.png');
    assert.equal(await name('/'), 'image.png');
    assert.equal(await name('ü'.repeat(200)), 'ü'.repeat(127));
    const long = await server.call('POST', '/v1/assets/upload', { json: { image: tiny.toString('base64'), filename: `${'ü'.repeat(200)}.png` } });
    assert.equal(long.json.filename, 'ü'.repeat(127));
    const bare = await server.call('POST', '/v1/files', { headers: { 'Content-Type': 'image/jpeg' }, body: pictures.jpg });
    assert.equal(bare.json.filename, 'image.jpg');
});
test('what is no image, or too much of one, is refused and leaves nothing', async () => {
    const before = folders(server).length;
    const wrong = [
        [form(Buffer.from('%PDF-1.7')), /not a PNG, JPEG, WebP or GIF/],
        [form(pictures.bmp), /not a PNG/],
        [form(Buffer.concat([tiny, Buffer.alloc(500_000)])), /at most 409600 are taken/],
        [form(png(800, 600, () => [1, 2, 3])), /800 x 600 pixels, at most 400000/],
        [{ json: { image: 'data:image/png,abc' } }, /data URI/],
        [{ json: { image: '???' } }, /base64/],
        [{ headers: { 'Content-Type': 'image/png' }, body: '' }, /not a PNG/],
    ];
    for (const [one, why] of wrong) {
        const { status, json } = await server.call('POST', '/v1/assets/upload', one);
        assert.equal(status, 400);
        assert.equal(json.code, 'image_invalid');
        assert.match(json.message, why);
    }
    assert.equal(folders(server).length, before);
});
test('fields that are not understood are named', async () => {
    const invalid = [
        [{ json: {} }, 'file'],
        [multipart([{ name: 'purpose', value: 'vision' }]), 'file'],
        [form(tiny, [{ name: 'filename', value: '' }, { name: 'expires_after[seconds]', value: '60' }]), 'expires_after'],
        [form(tiny, [{ name: 'expires_after[seconds]', value: '1e9' }]), 'expires_after'],
        [{ json: { image: tiny.toString('base64'), purpose: 'a b' } }, 'purpose'],
    ];
    for (const [one, param] of invalid) {
        const { status, json } = await server.call('POST', '/v1/files', one);
        assert.equal(status, 400);
        assert.equal(json.error.param, param);
    }
    assert.equal((await server.call('POST', '/v1/files', { headers: { 'Content-Type': 'video/mp4' }, body: 'x' })).status, 415);
    for (const query of ['limit=0', 'limit=10001', 'limit=x', 'order=up', 'after=x', `after=${'9'.repeat(100)}`])
        assert.equal((await server.call('GET', `/v1/files?${query}`)).status, 400, query);
});

// ---- looking at them ----

test('lists page both ways and by purpose', async () => {
    const key = await server.addKey('pages', { tenant: 'pages' });
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await upload(tiny, { key })).id);
    const other = await server.call('POST', '/v1/files', { ...multipart([{ name: 'purpose', value: 'assistants' }, { name: 'file', filename: 'a', bytes: tiny }]), key });
    const list = async (query) => (await server.call('GET', `/v1/files?${query}`, { key })).json;
    const page = await list('limit=2&purpose=vision');
    assert.deepEqual(page.data.map((file) => file.id), [ids[4], ids[3]]);
    assert.equal(page.first_id, ids[4]);
    assert.equal(page.has_more, true);
    const rest = await list(`limit=3&purpose=vision&after=${page.last_id}`);
    assert.deepEqual(rest.data.map((file) => file.id), [ids[2], ids[1], ids[0]]);
    assert.equal(rest.has_more, false);
    assert.deepEqual((await list('order=asc')).data.map((file) => file.id), [...ids, other.json.id]);
    assert.deepEqual((await list('purpose=assistants')).data.map((file) => file.id), [other.json.id]);
    assert.deepEqual(await list('purpose=nothing'), { object: 'list', data: [], first_id: null, last_id: null, has_more: false });
});
test('its bytes come in parts, and once', async () => {
    const file = await upload(warm);
    const part = await content(file.id, { headers: { Range: 'bytes=1-3' } });
    assert.equal(part.status, 206);
    assert.equal(part.text, 'PNG');
    assert.equal(part.headers['content-disposition'], 'attachment; filename="cat.png"');
    const known = await content(file.id, { headers: { 'If-None-Match': part.headers.etag } });
    assert.equal(known.status, 304);
    assert.equal(part.headers.etag, `"${sha256(warm)}"`);
});
test('a file is its owner\'s, and an operator sees all', async () => {
    const file = await upload();
    for (const target of [`/v1/files/${file.id}`, `/v1/files/${file.id}/content`]) {
        assert.equal((await server.call('GET', target, { key: blue })).json.code, 'file_not_found');
        assert.equal((await server.call('GET', target, { key: operator, unchecked: true })).status, 200);
    }
    assert.equal((await server.call('DELETE', `/v1/files/${file.id}`, { key: blue })).status, 404);
    assert.ok(!(await server.call('GET', '/v1/files', { key: blue })).text.includes(file.id));
    assert.ok((await server.call('GET', '/v1/files', { key: operator })).text.includes(file.id));
    const [foreign, unknown] = await Promise.all([file.id, 'file_01k6x15vhrff09dkkqjrzwhm60'].map((id) => server.call('GET', `/v1/files/${id}`, { key: blue })));
    assert.equal(foreign.text, unknown.text);
    assert.equal((await content(file.id)).status, 200);
});

// ---- using them ----

test('a task takes an uploaded image by its id and by its link', async () => {
    const file = await upload(warm);
    for (const image of [file.id, file.url, file.url.replace('http://', 'https://'), `${file.url}#x`]) {
        const { status, json, text } = await createWith(image);
        assert.equal(status, 200, text);
        isSame(await inputOf(json.id), warm);
        await server.cancel(json.id);
    }
    const given = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'a', ...{ first_frame_image: file.id, input_reference: file.id } } });
    assert.equal((await server.query(given.json.id)).detail.input.images.length, 2);
    await server.cancel(given.json.id);
});
test('a task keeps its image when the file is deleted', async () => {
    const file = await upload(warm);
    const { json } = await createWith(file.id);
    assert.equal((await server.call('DELETE', `/v1/files/${file.id}`)).status, 200);
    assert.ok(!folders(server).includes(file.id));
    assert.equal((await server.fetchLink(file.url)).status, 404);
    isSame(await inputOf(json.id), warm);
    assert.equal((await server.waitEnd(json.id)).status, 'completed');
    isMissing(await createWith(file.id));
    isMissing(await createWith(file.url));
});
test('equal bytes are an equal request, however they come', async () => {
    const [one, two] = [await upload(warm), await upload(warm)];
    const headers = { 'Idempotency-Key': 'by file' };
    const [a, b, c] = [await createWith(one.id, { headers }), await createWith(two.url, { headers }), await createWith(warm.toString('base64'), { headers })];
    assert.equal(a.json.id, b.json.id);
    assert.equal(a.json.id, c.json.id);
    assert.equal((await createWith((await upload(tiny)).id, { headers })).json.code, 'idempotency_key_reused');
});
test('another tenant\'s file is none, by id and by link', async () => {
    const file = await upload();
    for (const image of [file.id, file.url]) isMissing(await createWith(image, { key: blue }));
    isMissing(await createWith('file_01k6x15vhrff09dkkqjrzwhm60'));
    assert.equal((await createWith(file.id, { key: operator })).status, 200);
});
test('a link of ours that was changed leads nowhere, and is not fetched', async () => {
    const file = await upload();
    const url = new URL(file.url);
    const changed = [
        file.url.replace(/sig=.{4}/, 'sig=AAAA'),
        file.url.replace('original.png', 'original.jpg'),
        `${url.origin}${url.pathname}`,
        `${url.origin}/assets/file_01k6x15vhrff09dkkqjrzwhm60/original.png${url.search}`,
        file.url.replace(/se=[^&]*/, 'se=2999-01-01T00%3A00%3A00Z'),
    ];
    for (const image of changed) isMissing(await createWith(image));
    const elsewhere = await createWith(`${url.origin}/assets/no-key.png`); // an address like any other
    assert.equal(elsewhere.status, 200);
    await server.waitEnd(elsewhere.json.id);
});
test('results and inputs of a task serve as images, its owner\'s only', async () => {
    const done = await server.complete({ images: [warm.toString('base64')] });
    const again = await createWith(done.thumbnail_url);
    assert.equal(again.status, 200, again.text);
    isSame(await inputOf(again.json.id), (await server.fetchLink(done.thumbnail_url)).bytes);
    isSame(await inputOf((await createWith(done.detail.input.images[0])).json.id), warm);
    isMissing(await createWith(done.thumbnail_url, { key: blue }));
    const gone = await server.complete({});
    assert.equal((await server.call('DELETE', `/v1/video/tasks/${gone.id}`)).status, 200);
    isMissing(await createWith(gone.thumbnail_url));
    const video = await createWith(done.video_url);
    assert.equal(video.status, 400);
    assert.match(video.json.message, /image 1: it (is not a PNG|has \d+ bytes)/);
});
test('what retention took from the answers is no image any more, though its links live on', async () => {
    const done = await old.complete({ images: [warm.toString('base64')] });
    await old.restart(); // sweeps
    await until('its expiry', async () => (await old.query(done.id)).expired_at !== undefined);
    for (const link of [done.thumbnail_url, done.detail.input.images[0]]) {
        assert.equal((await old.fetchLink(link)).status, 200);
        isMissing(await createWith(link, { on: old }));
    }
});
test('links by public_url are ours too', async () => {
    const file = await upload(warm, { on: named });
    assert.ok(file.url.startsWith('https://video.example.com/base/assets/'));
    const local = file.url.replace('https://video.example.com/base', named.url);
    for (const image of [file.url, local]) {
        const { json } = await createWith(image, { on: named });
        assert.match((await named.query(json.id)).detail.input.images[0], /\/base\/assets\/task_/, image);
    }
    isMissing(await createWith(file.url.replace(/sig=.{4}/, 'sig=AAAA'), { on: named }));
});
test('other links stay links', async () => {
    const { status, json } = await createWith(`${others.url}/assets/file_01k6x15vhrff09dkkqjrzwhm60/original.png`);
    assert.equal(status, 200);
    assert.deepEqual((await server.query(json.id)).detail.input.images, [`${others.url}/assets/file_01k6x15vhrff09dkkqjrzwhm60/original.png`]);
});

// ---- how much, how long ----

test('a tenant keeps so many files, and so many bytes', async () => {
    const [first] = [await upload(tiny, { on: scarce }), await upload(tiny, { on: scarce })];
    const full = await scarce.call('POST', '/v1/files', form(tiny));
    assert.equal(full.status, 429);
    assert.equal(full.json.code, 'too_many_files');
    assert.ok(Number(full.headers['retry-after']) > 0);
    await upload(tiny, { on: scarce, key: neighbour });
    assert.equal((await scarce.call('DELETE', `/v1/files/${first.id}`)).status, 200);
    const large = Buffer.concat([tiny, Buffer.alloc(400 * 1024 - 2 * tiny.length)]); // with the one that is left: just as much as there is room for
    assert.equal((await scarce.call('POST', '/v1/files', form(Buffer.concat([large, Buffer.alloc(1)])))).status, 429);
    await upload(large, { on: scarce });
    assert.equal(folders(scarce).filter((name) => name.startsWith('file_')).length, 3);
});
test('a hundred uploads at once get no more than there is room for', async () => {
    const key = await scarce.addKey('many', { tenant: 'many' });
    const answers = await Promise.all(Array.from({ length: 100 }, () => scarce.call('POST', '/v1/files', { ...form(tiny), key })));
    assert.equal(answers.filter((answer) => answer.status === 200).length, 2);
});
test('a file expires for good, its link with it, and its bytes go', async () => {
    const file = await upload(warm, { on: brief });
    const task = await createWith(file.id, { on: brief });
    assert.equal(task.status, 200, task.text);
    await until('its end', async () => (await brief.call('GET', `/v1/files/${file.id}`)).status === 404);
    assert.equal((await brief.fetchLink(file.url)).status, 403);
    assert.deepEqual((await brief.call('GET', '/v1/files')).json.data, []);
    assert.equal((await brief.call('GET', `/v1/files/${file.id}/content`)).json.code, 'file_not_found');
    assert.equal((await brief.call('DELETE', `/v1/files/${file.id}`)).status, 404);
    isMissing(await createWith(file.id, { on: brief }));
    isMissing(await createWith(file.url, { on: brief }));
    await brief.restart(); // sweeps
    await until('the sweep', () => !folders(brief).includes(file.id));
    isSame(await inputOf(task.json.id, brief), warm);
});
test('nobody keeps a file longer than files are kept', async () => {
    const { json } = await brief.call('POST', '/v1/files', form(tiny, [{ name: 'expires_after[anchor]', value: 'created_at' }, { name: 'expires_after[seconds]', value: '3600' }]));
    assert.equal(json.expires_at - json.created_at, 3);
});
test('a file that cannot be stored is none, and takes no room', async () => {
    const broken = await start({ config: 'files:\n  per_tenant: 1\n' });
    fs.rmSync(path.join(broken.data, 'assets'), { recursive: true });
    for (let i = 0; i < 2; i++) {
        const answer = await broken.call('POST', '/v1/files', form(tiny));
        assert.deepEqual([answer.status, answer.json.code], [503, 'service_unavailable']);
    }
    assert.deepEqual((await broken.call('GET', '/v1/files')).json.data, []);
});
test('a file outlives a restart', async () => {
    const file = await upload(warm);
    await server.restart();
    assert.deepEqual((await server.call('GET', `/v1/files/${file.id}`)).json, file);
    isSame((await server.fetchLink(file.url)).bytes, warm);
});

test('the servers ended well', endedWell);
