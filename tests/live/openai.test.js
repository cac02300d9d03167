// SPDX-License-Identifier: Apache-2.0
//
// The official SDK of OpenAI, in two versions, against /v1/videos: what it can do, and every class of error that it throws.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import OpenAI7, { toFile as toFile7 } from 'openai7';
import { endedWell, newDirectory, sleep, start, tool, until } from './harness.js';
import { dataUri, decodesCleanly, probe, saved, warm } from './media.js';

const WORDS = ['queued', 'in_progress', 'completed', 'failed'];
const KEYS = ['id', 'completed_at', 'created_at', 'error', 'expires_at', 'model', 'object', 'progress', 'prompt', 'remixed_from_video_id', 'seconds', 'size', 'status'];
const small = { prompt: 'make animate', size: '64x64', seconds: '1' };
const long = { prompt: 'it takes a while', seconds: '60', size: '1280x720' };

const server = await start({ config: 'render:\n  slots: 2\ntenants:\n  max_in_flight: 8\n', key: { tenant: 'red' } });
const stranger = await server.addKey('stranger', { tenant: 'blue' });
// Made before anything is written: a busy gateway may take a second to notice a key.
for (const name of ['lister-6', 'lister-7', 'busy-6', 'busy-7']) await server.addKey(name, { tenant: name });

// As the types of the SDKs have it.
function checkVideo(video) {
    for (const key of KEYS) assert.notEqual(video[key], undefined, `${key} is missing`);
    assert.equal(video.object, 'video');
    assert.ok(WORDS.includes(video.status), video.status);
    assert.ok(Number.isInteger(video.progress) && video.progress >= 0 && video.progress <= 100);
    assert.ok(Number.isInteger(video.created_at) && video.created_at > 1e9 && video.created_at < 1e11);
    assert.equal(Number.isInteger(video.completed_at), video.status === 'completed');
    assert.equal(typeof video.prompt, 'string');
    assert.match(video.seconds, /^\d+$/);
    assert.match(video.size, /^\d+x\d+$/);
    assert.equal(video.status === 'failed', video.error !== null);
    if (video.error !== null) assert.deepEqual(Object.keys(video.error), ['code', 'message']);
    return video;
}

for (const [version, SDK, file] of [['6', OpenAI, toFile], ['7', OpenAI7, toFile7]]) {
    const named = (what, body) => test(`${what} (openai ${version})`, body);
    const client = new SDK({ apiKey: server.key, baseURL: `${server.url}/v1`, maxRetries: 0 });
    const as = (apiKey) => new SDK({ apiKey, baseURL: `${server.url}/v1`, maxRetries: 0 });

    // As the SDK for Python polls: what the header says, else a second.
    const poll = (id) => until(`the end of ${id}`, async () => {
        const { data: video, response } = await client.videos.retrieve(id).withResponse();
        checkVideo(video);
        const after = response.headers.get('openai-poll-after-ms');
        if (!['queued', 'in_progress'].includes(video.status)) {
            assert.equal(after, null, 'whoever knows the end need not look again');
            return video;
        }
        assert.match(after, /^\d+$/);
        assert.ok(Number(after) >= 500 && Number(after) <= 60_000, after);
        await sleep(Math.min(Number(after), 1000));
        return false;
    }, { every: 0 });

    // Fails the test unless the call throws that class, with what stands in our body.
    async function throws(name, status, code, call) {
        await assert.rejects(call, (error) => {
            assert.equal(error.constructor, SDK[name], `${error}`);
            assert.equal(error.status, status);
            assert.equal(error.code, code);
            assert.match(error.requestID, /^req_/);
            return true;
        });
    }

    const cancel = (id) => server.cancel(id, { key: server.key });

    named('create, retrieve until the end, download', async () => {
        const created = checkVideo(await client.videos.create({ model: 'sora-2', ...small }));
        assert.deepEqual([created.status, created.progress, created.model, created.seconds, created.size], ['queued', 0, 'sora-2', '1', '64x64']);
        const video = await poll(created.id);
        assert.equal(video.status, 'completed', JSON.stringify(video.error));
        assert.equal(video.id, created.id);
        assert.equal(video.progress, 100);
        assert.equal(video.created_at, created.created_at);
        assert.ok(video.expires_at > video.completed_at);
        const whole = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
        assert.equal(whole.toString('latin1', 4, 8), 'ftyp');
        const bare = await fetch(video.video_url);
        assert.ok(Buffer.from(await bare.arrayBuffer()).equals(whole), 'the link leads to the same file');

        const part = await client.videos.downloadContent(video.id, {}, { headers: { Range: 'bytes=4-7' } });
        assert.equal(part.status, 206);
        assert.equal(part.headers.get('content-range'), `bytes 4-7/${whole.length}`);
        assert.equal(await part.text(), 'ftyp');
        const same = await client.videos.downloadContent(video.id, { variant: 'video' });
        assert.equal(same.headers.get('content-type'), 'video/mp4');
        await same.arrayBuffer();
        const still = await client.videos.downloadContent(video.id, { variant: 'thumbnail' });
        assert.equal(still.headers.get('content-type'), 'image/webp');
        assert.equal(Buffer.from(await still.arrayBuffer()).toString('latin1', 8, 12), 'WEBP');
        const sheet = await client.videos.downloadContent(video.id, { variant: 'spritesheet' });
        assert.equal(sheet.headers.get('content-type'), 'image/jpeg');
        const jpeg = Buffer.from(await sheet.arrayBuffer());
        const picture = saved(jpeg, 'sheet.jpg');
        await decodesCleanly(picture);
        const { codec_name: codec, width, height } = await probe(picture);
        assert.deepEqual([codec, width, height], ['mjpeg', 5 * 64, 5 * 64], 'five rows of five frames of 64x64');
        const rest = await client.videos.downloadContent(video.id, { variant: 'spritesheet' }, { headers: { Range: 'bytes=100-' } });
        assert.deepEqual([rest.status, rest.headers.get('content-range')], [206, `bytes 100-${jpeg.length - 1}/${jpeg.length}`]);
        assert.ok(Buffer.from(await rest.arrayBuffer()).equals(jpeg.subarray(100)));
        await throws('BadRequestError', 400, 'invalid_request', () => client.videos.downloadContent(video.id, { variant: 'audio' }));
    });
    named('the same task in the unified dialect', async () => {
        const { id } = await client.videos.create({ model: 'sora-2', ...small });
        await poll(id);
        const task = await server.query(id);
        assert.deepEqual([task.id, task.status], [id, 'completed']);
        const theirs = await server.create({});
        checkVideo(await client.videos.retrieve(theirs.id));
        await poll(theirs.id);
    });
    named('without model, seconds and size: as the documentation has it', async () => {
        const video = checkVideo(await client.videos.create({ prompt: 'whatever is usual' }));
        assert.deepEqual([video.model, video.seconds, video.size], ['sora-2', '4', '720x1280']);
        assert.equal((await cancel(video.id)).status, 200);
    });
    named('an image as a stream of a file, as bytes, as a URI and as an object', async () => {
        const name = path.join(newDirectory(), 'cat.png');
        fs.writeFileSync(name, warm);
        const wishes = [fs.createReadStream(name), await file(warm, 'cat.png', { type: 'image/png' }), new File([warm], 'cat.png', { type: 'image/png' }), { image_url: dataUri(warm) }];
        for (const reference of wishes) {
            const { id } = await client.videos.create({ ...small, model: 'sora-2', input_reference: reference });
            const { detail } = await server.waitEnd(id);
            assert.equal(detail.input.images.length, 1);
            const stored = await fetch(detail.input.images[0]);
            assert.ok(Buffer.from(await stored.arrayBuffer()).equals(warm));
            assert.equal((await poll(id)).status, 'completed');
        }
    });
    named('a list goes by pages, in either order, and knows its own only', async () => {
        const mine = as(server.keys[`lister-${version}`]);
        const ids = [];
        for (let i = 0; i < 5; i++) ids.push((await mine.videos.create({ ...small, model: 'sora-2' })).id);
        for (const [order, wanted] of [['asc', ids], ['desc', ids.toReversed()]]) {
            const found = [];
            for await (const video of mine.videos.list({ limit: 2, order })) found.push(checkVideo(video).id);
            assert.deepEqual(found, wanted, order);
        }
        const page = await mine.videos.list({ limit: 2 });
        assert.deepEqual(page.data.map((video) => video.id), [ids[4], ids[3]]);
        assert.deepEqual([page.last_id, page.has_more, page.hasNextPage()], [ids[3], true, true]);
        const last = await mine.videos.list({ limit: 2, after: ids[1] });
        assert.deepEqual([last.data.length, last.has_more, last.hasNextPage()], [1, false, false]);
        const whole = await mine.videos.list();
        assert.equal(whole.data.length, 5);
        const others = await as(stranger).videos.list();
        assert.deepEqual([others.data, others.has_more, others.hasNextPage()], [[], false, false]);
        await throws('NotFoundError', 404, 'task_not_exist', () => as(stranger).videos.list({ after: ids[0] }));
    });
    named('an Idempotency-Key makes one video', async () => {
        const headers = { 'Idempotency-Key': `openai-${version}` };
        const first = await client.videos.create({ model: 'sora-2', ...small }, { headers });
        const second = await client.videos.create({ model: 'sora-2', ...small }, { headers });
        assert.deepEqual(second, first);
        await throws('ConflictError', 409, 'idempotency_key_reused', () => client.videos.create({ model: 'sora-2', ...small, prompt: 'another' }, { headers }));
    });
    named('delete', async () => {
        const { id } = await client.videos.create({ model: 'sora-2', ...small });
        const running = await client.videos.create({ model: 'sora-2', ...long });
        await throws('ConflictError', 409, 'task_not_ended', () => client.videos.delete(running.id));
        await cancel(running.id);
        const { video_url: url } = await poll(id);
        assert.deepEqual(await client.videos.delete(id), { id, object: 'video.deleted', deleted: true });
        await throws('NotFoundError', 404, 'task_not_exist', () => client.videos.retrieve(id));
        await throws('NotFoundError', 404, 'task_not_exist', () => client.videos.downloadContent(id));
        await throws('NotFoundError', 404, 'task_not_exist', () => client.videos.delete(id));
        for await (const video of client.videos.list({ limit: 100 })) assert.notEqual(video.id, id);
        await until('the file to be gone', async () => (await fetch(url)).status === 404);
    });
    named('400 BadRequestError', async () => {
        await throws('BadRequestError', 400, 'invalid_request', () => client.videos.create({ model: 'sora-2' }));
        await throws('BadRequestError', 400, 'invalid_request', () => client.videos.create({ ...small, seconds: 'many' }));
        await throws('BadRequestError', 400, 'invalid_request', () => client.videos.create({ ...small, size: 'huge' }));
        await throws('BadRequestError', 400, 'invalid_request', () => client.videos.list({ order: 'sideways' }));
        await throws('BadRequestError', 400, 'invalid_request', () => client.videos.list({ limit: 101 }));
        await throws('BadRequestError', 400, 'image_invalid', async () => client.videos.create({ ...small, input_reference: await file(Buffer.from('no image'), 'a.png') }));
    });
    named('401 AuthenticationError', () => throws('AuthenticationError', 401, 'invalid_api_key', () => as('nobody').videos.list()));
    named('403 PermissionDeniedError', () => throws('PermissionDeniedError', 403, 'forbidden', () => client.get('/channels')));
    named('404 NotFoundError: what is not there, not one\'s own, or not ready', async () => {
        const { id } = await client.videos.create({ model: 'sora-2', ...long });
        for (const call of [(one) => one.videos.retrieve(id), (one) => one.videos.downloadContent(id)]) await throws('NotFoundError', 404, 'task_not_exist', () => call(as(stranger)));
        await throws('NotFoundError', 404, 'task_not_exist', () => client.videos.retrieve('video_123'));
        await throws('NotFoundError', 404, 'video_not_ready', () => client.videos.downloadContent(id));
        await cancel(id);
        const { status, error } = checkVideo(await client.videos.retrieve(id));
        assert.deepEqual([status, error.code], ['failed', 'cancelled']);
        await throws('NotFoundError', 404, 'video_not_available', () => client.videos.downloadContent(id));
    });
    named('429 RateLimitError', async () => {
        const busy = as(server.keys[`busy-${version}`]);
        const made = [];
        for (let i = 0; i < 8; i++) made.push(await busy.videos.create({ model: 'sora-2', ...long }));
        await throws('RateLimitError', 429, 'too_many_tasks', () => busy.videos.create({ model: 'sora-2', ...long }));
        for (const { id } of made) await server.cancel(id, { key: server.keys[`busy-${version}`] });
    });
    named('500 InternalServerError', async () => {
        const broken = await start();
        const { id } = await broken.complete({});
        await broken.stop();
        const inner = id.split(':')[1];
        await tool('sqlite3', path.join(broken.data, 'filmgate.db'), `UPDATE tasks SET status = '{}' WHERE id = '${inner}'`);
        await broken.restart();
        const there = new SDK({ apiKey: broken.key, baseURL: `${broken.url}/v1`, maxRetries: 0 });
        await throws('InternalServerError', 500, 'internal_error', () => there.videos.retrieve(id));
        assert.deepEqual((await there.videos.list()).data, [], 'and it hides no neighbour');
    });
}

test('the servers ended well', endedWell);
