// SPDX-License-Identifier: Apache-2.0
//
// Operations on a video that exists. What no channel can do is a clear 400; a remix becomes a new rendering from the
// original's request where the operator allows it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import OpenAI7, { toFile as toFile7 } from 'openai7';
import { endedWell, multipart, start } from './harness.js';
import { cold, imageServer, tiny, warm } from './media.js';

const refusing = await start({ config: 'render:\n  slots: 1\n', key: { tenant: 'red' } });
const server = await start({ config: 'remix: rerender\nrender:\n  slots: 2\ntenants:\n  max_in_flight: 3\nfetch:\n  allow: [127.0.0.1]\n', key: { tenant: 'red' } });
const blue = await server.addKey('blue', { tenant: 'blue' });
const others = await imageServer((request, response) => response.end(tiny));
const nobodys = 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60';

const original = await server.complete({ prompt: 'a red cat', title: 'Cat', seed: 7, images: [warm.toString('base64')] });
const refused = await refusing.complete({ prompt: 'a red cat' });
// Not deepEqual: what it would say of two that differ takes gigabytes.
const isSame = (found, wanted) => assert.ok(Buffer.from(found).equals(wanted), 'other bytes than were sent');
const remix = (json, { on = server, ...options } = {}) => on.call('POST', '/v1/video/remix', { json, ...options });
const remixOf = (id, json, { on = server, ...options } = {}) => on.call('POST', `/v1/videos/${encodeURIComponent(id)}/remix`, { json, ...options });
const isRefused = (answer, what) => {
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.json.code, 'operation_not_supported');
    assert.equal(answer.json.error.type, 'invalid_request_error');
    assert.match(answer.json.message, what);
};
const over = async (id) => assert.equal((await server.waitEnd(id)).status, 'completed');

// ---- refused ----

test('a remix is refused, and what would help is said', async () => {
    for (const answer of [await remix({ task_id: refused.id, prompt: 'a blue cat' }, { on: refusing }), await remixOf(refused.id, { prompt: 'a blue cat' }, { on: refusing })])
        isRefused(answer, /remix a video.*remix: rerender/s);
});
test('extending is refused on each of its addresses', async () => {
    const prompt = 'go on';
    const answers = [
        await server.call('POST', '/v1/video/extend', { json: { task_id: original.id, prompt, start_time: 3 } }),
        await server.call('POST', `/v1/videos/${original.id}/extend`, { json: { prompt } }),
        await server.call('POST', '/v1/videos/extensions', { json: { prompt, seconds: '4', video: { id: original.id } } }),
        await server.call('POST', '/v1/videos/extensions', multipart([{ name: 'prompt', value: prompt }, { name: 'video', filename: 'a.mp4', bytes: Buffer.alloc(3 << 20) }])),
    ];
    for (const answer of answers) isRefused(answer, /extend a video.*first_frame_image/s);
});
test('edits and characters are refused', async () => {
    isRefused(await server.call('POST', '/v1/videos/edits', { json: { prompt: 'a', video: { id: original.id } } }), /edit a video/);
    for (const target of ['/v1/videos/characters', '/sora/v1/characters'])
        isRefused(await server.call('POST', target, { json: { timestamps: '1,3', from_task: original.id } }), /character/);
    isRefused(await server.call('GET', '/v1/videos/characters/ch_1'), /character/);
});
for (const [version, Client, file] of [['6', OpenAI, toFile], ['7', OpenAI7, toFile7]]) {
    test(`the OpenAI SDK ${version} is told what cannot be done`, async () => {
        const client = new Client({ apiKey: refusing.key, baseURL: `${refusing.url}/v1`, maxRetries: 0 });
        const video = await file(Buffer.from('video'), 'a.mp4');
        const attempts = [
            () => client.videos.remix(refused.id, { prompt: 'a blue cat' }),
            () => client.videos.edit({ prompt: 'a', video: { id: refused.id } }),
            () => client.videos.edit({ prompt: 'a', video }),
            () => client.videos.extend({ prompt: 'a', seconds: '4', video: { id: refused.id } }),
            () => client.videos.createCharacter({ name: 'cat', video }),
            () => client.videos.getCharacter('ch_1'),
        ];
        for (const attempt of attempts) await assert.rejects(attempt(), (error) => error instanceof Client.BadRequestError && error.code === 'operation_not_supported');
        await assert.rejects(client.videos.remix(nobodys, { prompt: 'a' }), (error) => error instanceof Client.NotFoundError && error.code === 'task_not_exist');
    });
    test(`the OpenAI SDK ${version} remixes where it may`, async () => {
        const client = new Client({ apiKey: server.key, baseURL: `${server.url}/v1`, maxRetries: 0 });
        const made = await client.videos.remix(original.id, { prompt: `a blue cat ${version}` });
        assert.equal(made.object, 'video');
        assert.equal(made.status, 'queued');
        assert.equal(made.model, 'sora-2');
        assert.equal(made.seconds, '1');
        assert.equal(made.remixed_from_video_id, original.id);
        assert.notEqual(made.id, original.id);
        await over(made.id);
        const seen = await client.videos.retrieve(made.id);
        assert.equal(seen.status, 'completed');
        assert.equal(seen.remixed_from_video_id, original.id);
        assert.equal(seen.prompt, `a blue cat ${version}`);
    });
}

// ---- allowed ----

test('a remix asks for what the original asked for, with the new prompt', async () => {
    const answer = await remix({ model: 'sora-2', prompt: 'a blue cat', task_id: original.id, parent_post_id: 'p-1' });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.status, 'pending');
    const { detail } = await server.query(answer.json.id);
    const info = detail.pending_info;
    assert.equal(info.prompt, 'a blue cat');
    assert.equal(info.operation, 'remix');
    assert.equal(info.title, 'Cat');
    assert.equal(info.seed, 7);
    assert.equal(info.n_frames, 30);
    assert.deepEqual([info.width, info.height], [64, 64]);
    assert.deepEqual(info.remix_config, { source_task_id: original.id, prompt: 'a blue cat' });
    await over(answer.json.id);
});
test('its image is carried over, as a copy of its own', async () => {
    const { json } = await remixOf(original.id, { prompt: 'with the picture' });
    const [link] = (await server.query(json.id)).detail.input.images;
    assert.ok(link.includes(json.id.split(':')[1]));
    isSame((await server.fetchLink(link)).bytes, warm);
    await over(json.id);
});
test('images that are sent take the place of the original\'s', async () => {
    const sent = multipart([{ name: 'prompt', value: 'b' }, { name: 'task_id', value: original.id }, { name: 'image', filename: 'a.png', bytes: cold }]);
    const { json, text } = await server.call('POST', '/v1/video/remix', sent);
    assert.ok(json.id, text);
    const { images } = (await server.query(json.id)).detail.input;
    assert.equal(images.length, 1);
    isSame((await server.fetchLink(images[0])).bytes, cold);
    await over(json.id);
});
test('an image by URL is carried over as it was given', async () => {
    const { id } = await server.complete({ images: [`${others.url}/a.png`] });
    const { json } = await remixOf(id, { prompt: 'b' });
    assert.deepEqual((await server.query(json.id)).detail.input.images, [`${others.url}/a.png`]);
    await over(json.id);
});
test('size, seconds and model may be others', async () => {
    const { json } = await remixOf(original.id, { prompt: 'b', size: '96x64', seconds: '2', model: 'sora-2-pro' });
    assert.match(json.id, /^sora-2-pro:/);
    const { detail } = await server.query(json.id);
    assert.deepEqual([detail.pending_info.width, detail.pending_info.height, detail.pending_info.n_frames], [96, 64, 60]);
    await over(json.id);
});
test('a remix of a remix names what it was made from', async () => {
    const first = (await remixOf(original.id, { prompt: 'once' })).json;
    await over(first.id);
    const second = (await remix({ id: first.id, prompt: 'twice' })).json;
    assert.equal((await server.query(second.id)).detail.pending_info.remix_config.source_task_id, first.id);
    await over(second.id);
});
test('one Idempotency-Key makes one remix, and belongs to its original', async () => {
    const headers = { 'Idempotency-Key': 'remix-1' };
    const [a, b] = [await remixOf(original.id, { prompt: 'same' }, { headers }), await remix({ video_id: original.id, prompt: 'same' }, { headers })];
    assert.equal(a.json.id, b.json.id);
    const other = await server.complete({ prompt: 'a red cat', title: 'Cat', seed: 7, images: [warm.toString('base64')] });
    assert.equal((await remixOf(other.id, { prompt: 'same' }, { headers })).json.code, 'idempotency_key_reused');
    await over(a.json.id);
});
test('a remix counts as any task does', async () => {
    const slow = { duration: 60, size: 'large' };
    const tasks = [await server.create(slow), await server.create(slow), await server.create(slow)];
    const answer = await remixOf(original.id, { prompt: 'b' });
    assert.equal(answer.status, 429);
    assert.equal(answer.json.code, 'too_many_tasks');
    for (const { id } of tasks) await server.cancel(id);
});
test('what is wrong with a remix is said as of any create', async () => {
    for (const [json, param] of [[{}, 'prompt'], [{ prompt: 'b', seconds: 'x' }, 'seconds'], [{ prompt: 'b', size: 'x' }, 'size'], [{ prompt: 'b', images: ['file_01k6x15vhrff09dkkqjrzwhm60'] }, 'images']]) {
        const answer = await remixOf(original.id, json);
        assert.equal(answer.status, 400, answer.text);
        assert.equal(answer.json.error.param, param);
    }
    assert.equal((await remix({ prompt: 'b' })).json.error.param, 'task_id');
    assert.equal((await server.call('POST', '/v1/video/extend', { json: { prompt: 'b' } })).json.error.param, 'task_id');
});
test('who is not the owner finds no original', async () => {
    for (const id of [original.id, nobodys, 'x'])
        for (const answer of [await remix({ task_id: id, prompt: 'b' }, { key: blue }), await remixOf(id, { prompt: 'b' }, { key: blue })]) {
            assert.equal(answer.status, 404);
            assert.equal(answer.json.code, 'task_not_exist');
        }
});
test('an original that is not finished is waited for, one that failed is none', async () => {
    const slow = await server.create({ duration: 60, size: 'large' });
    const early = await remixOf(slow.id, { prompt: 'b' });
    assert.equal(early.status, 409);
    assert.equal(early.json.code, 'original_not_ready');
    await server.cancel(slow.id);
    const late = await remixOf(slow.id, { prompt: 'b' });
    assert.equal(late.status, 400);
    assert.equal(late.json.code, 'original_not_completed');
});
test('a deleted original is none, and its remix goes on without it', async () => {
    const { id } = await server.complete({ images: [cold.toString('base64')] });
    const made = (await remixOf(id, { prompt: 'kept' })).json;
    assert.equal((await server.call('DELETE', `/v1/video/tasks/${id}`)).status, 200);
    assert.equal((await remixOf(id, { prompt: 'b' })).json.code, 'task_not_exist');
    assert.equal((await remix({ task_id: id, prompt: 'b' })).json.code, 'task_not_exist');
    await over(made.id);
    const [link] = (await server.query(made.id)).detail.input.images;
    isSame((await server.fetchLink(link)).bytes, cold);
});
test('a form is taken, too', async () => {
    const { status, json } = await server.call('POST', `/v1/videos/${original.id}/remix`, multipart([{ name: 'prompt', value: 'by a form' }]));
    assert.equal(status, 200);
    assert.equal(json.prompt, 'by a form');
    await over(json.id);
});

test('the servers ended well', endedWell);
