// SPDX-License-Identifier: Apache-2.0
//
// The simulator of Ark, held against a client of the vendor's models, @ai-sdk/bytedance, and against requests written
// here where that client has no call: cancel, list, refusals.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createByteDance } from '@ai-sdk/bytedance';
import { APICallError } from '@ai-sdk/provider';
import { ark as vendor } from '../simulators/ark.js';
import { start } from '../simulators/core.js';
import { attemptsOf } from './books.js';
import { endedWell, start as serve, until } from './harness.js';
import { BAD_BODIES, KEY, LONG, NOBODY, PIXEL, SHORT, film, isVideo, prepare, submits, talk } from './simulated.js';

const sim = await start(vendor, { settings: SHORT });
const ENDED = { queue_ms: 0, duration_ms: 0 };
const TASKS = '/api/v3/contents/generations/tasks';
const TEXT = { type: 'text', text: 'a boat' };
const BODY = { model: 'doubao-seedance-2-0-260128', content: [TEXT], resolution: '720p', ratio: '16:9', duration: 5 };
const provider = (apiKey = KEY) => createByteDance({ apiKey, baseURL: `${sim.url}/api/v3` });
const make = (prompt, more = {}, { key = KEY, options = {}, model = BODY.model } = {}) =>
    provider(key).video(model).doGenerate({ prompt, n: 1, providerOptions: { bytedance: { pollIntervalMs: 20, pollTimeoutMs: 15_000, ...options } }, ...more });
const create = async (more = {}, key = KEY) => (await talk(sim, 'POST', TASKS, { key, body: { ...BODY, ...more } })).json.id;
const look = async (id) => (await talk(sim, 'GET', `${TASKS}/${id}`)).json;
const refusal = async (method, target, options) => {
    const { status, json } = await talk(sim, method, target, options);
    return [status, json.error.code];
};

test('ark: the client makes a video of a text', async () => {
    prepare(sim);
    const made = await make('a boat', { aspectRatio: '9:16', duration: 8, resolution: '1920x1080', seed: 7 }, { options: { watermark: false } });
    isVideo((await talk(sim, 'GET', made.videos[0].url, { key: null })).bytes);
    assert.equal(made.providerMetadata.bytedance.usage.completion_tokens, 8 * 48_600);
    assert.match(made.providerMetadata.bytedance.taskId, /^cgt-\d{14}-\w+$/);
    const { status, resolution, ratio, duration, error } = await look(made.providerMetadata.bytedance.taskId);
    assert.deepEqual([status, resolution, ratio, duration, error], ['succeeded', '1080p', '9:16', 8, undefined]);
    assert.equal(submits(sim)[0].prompt, 'a boat');
});
test('ark: the client sends frames and references', async () => {
    prepare(sim);
    const file = { type: 'file', data: PIXEL, mediaType: 'image/png' };
    const frames = [{ image: file, frameType: 'first_frame' }, { image: file, frameType: 'last_frame' }];
    assert.equal((await make('with frames', { frameImages: frames })).warnings.length, 0);
    const references = { referenceImages: ['https://files.example.com/a.png', 'https://files.example.com/b.png'] };
    assert.equal((await make('with references', {}, { options: references })).videos.length, 1);
    assert.equal((await make('with one image', { image: file })).videos.length, 1);
    assert.equal(submits(sim).length, 3);
});
test('ark: the client\'s errors', async () => {
    prepare(sim);
    const caught = (asked) => asked.then(() => assert.fail('it was taken'), (error) => error);
    const unknown = await caught(make('a', {}, { key: 'nobody' }));
    assert.ok(APICallError.isInstance(unknown));
    assert.deepEqual([unknown.statusCode, unknown.data.error.code], [401, 'AuthenticationError']);
    const wrong = await caught(make('a', { resolution: '100x100' }));
    assert.deepEqual([wrong.statusCode, wrong.data.error.code], [400, 'InvalidParameter']);
    const moderated = await caught(make('[sim:moderate]'));
    assert.equal(moderated.name, 'BYTEDANCE_VIDEO_GENERATION_FAILED');
    assert.equal(JSON.parse(moderated.message.slice(moderated.message.indexOf('{'))).status, 'failed');
    assert.equal((await caught(make('[sim:no-video]'))).name, 'BYTEDANCE_VIDEO_GENERATION_ERROR');
    const lost = await caught(make('[sim:lost=5xx]'));
    assert.deepEqual([lost.statusCode, submits(sim).filter(({ prompt }) => prompt.includes('lost')).length], [502, 1]);
});
test('ark: why a job failed', async () => {
    prepare(sim, { settings: ENDED });
    const ended = async (text) => look(await create({ content: [{ type: 'text', text }] }));
    for (const [word, code] of [['[sim:moderate]', 'OutputVideoSensitiveContentDetected'], ['[sim:fail]', 'InternalServiceError']]) {
        const { status, error, content } = await ended(word);
        assert.deepEqual([status, error.code, content], ['failed', code, undefined]);
    }
});
test('ark: what DELETE does, by the state', async () => {
    prepare(sim, { settings: { queue_ms: 60_000 } });
    const waiting = await create();
    assert.deepEqual((await talk(sim, 'DELETE', `${TASKS}/${waiting}`)).json, {});
    assert.equal((await look(waiting)).status, 'cancelled');
    assert.deepEqual(await refusal('DELETE', `${TASKS}/${waiting}`), [400, 'InvalidAction.RunningTask']);
    prepare(sim, { settings: LONG });
    const running = await create();
    assert.deepEqual(await refusal('DELETE', `${TASKS}/${running}`), [400, 'InvalidAction.RunningTask']);
    assert.equal((await look(running)).status, 'running');
    prepare(sim, { settings: ENDED });
    const over = await create();
    assert.equal((await look(over)).status, 'succeeded');
    assert.deepEqual((await talk(sim, 'DELETE', `${TASKS}/${over}`)).json, {});
    assert.deepEqual(await refusal('GET', `${TASKS}/${over}`), [404, 'ResourceNotFound']);
    assert.equal(sim.told('delete').entries.length, 1);
});
test('ark: the list, of one account', async () => {
    prepare(sim, { settings: LONG });
    const key = `${KEY}-list`;
    const [first, second] = [await create({}, key), await create({}, key)];
    const { items, total } = (await talk(sim, 'GET', `${TASKS}?page_num=1&page_size=1&filter.status=running`, { key })).json;
    assert.deepEqual([items[0].id, total], [second, 2]);
    assert.equal((await talk(sim, 'GET', TASKS, { key: `${KEY}-2` })).json.total, 0);
    assert.deepEqual(await refusal('GET', `${TASKS}?page_size=501`, { key }), [400, 'InvalidParameter']);
    assert.deepEqual(await refusal('GET', `${TASKS}/${first}`, { key: `${KEY}-2` }), [404, 'ResourceNotFound']);
    assert.deepEqual(await refusal('DELETE', `${TASKS}/${first}`, { key: `${KEY}-2` }), [404, 'ResourceNotFound']);
});
test('ark: what is not taken', async () => {
    prepare(sim, { settings: { ...LONG, slots: 1 } });
    const key = `${KEY}-slots`;
    const ask = (more) => refusal('POST', TASKS, { key, body: { ...BODY, ...more } });
    const image = (role) => ({ type: 'image_url', image_url: { url: 'https://files.example.com/a.png' }, role });
    for (const nobody of [null, 'nobody']) assert.deepEqual(await refusal('POST', TASKS, { key: nobody, body: BODY }), [401, 'AuthenticationError']);
    for (const missing of [{ model: undefined }, { content: undefined }, { content: [] }]) assert.deepEqual(await ask(missing), [400, 'MissingParameter']);
    const wrong = [
        { content: [7] }, { content: [{ type: 'picture' }] }, { content: [{ type: 'text' }] },
        { content: [{ ...image('first_frame'), image_url: { url: 'aGVsbG8=' } }] }, { content: [image('middle_frame')] },
        { content: [image('first_frame'), image('reference_image')] }, { content: [image('last_frame')] },
        { content: [image('first_frame'), image('first_frame')] },
        { model: 'seedance-1-0-lite-t2v-250428', content: [image('first_frame')] },
        { resolution: '720P' }, { ratio: '2:1' }, { duration: '5' }, { duration: 16 }, { seed: 1.5 }, { watermark: 'no' }, { callback_url: 'here' },
    ];
    for (const more of wrong) assert.deepEqual(await ask(more), [400, 'InvalidParameter'], JSON.stringify(more));
    for (const body of BAD_BODIES) assert.deepEqual(await refusal('POST', TASKS, { body }), [400, 'InvalidParameter']);
    assert.equal(submits(sim).length, 0);
    assert.match(await create({ callback_url: NOBODY, safety_identifier: 'ours-1' }, key), /^cgt-/);
    assert.equal(submits(sim)[0].correlation, 'ours-1');
    assert.deepEqual(await ask({}), [429, 'QuotaExceeded']);
});
test('ark: filmgate cancels what waits, and never asks DELETE of what runs', async () => {
    prepare(sim, { settings: { queue_ms: 60_000 } });
    const channel = { name: 'ark', adapter: 'ark', base_url: `${sim.url}/api/v3`, key: KEY, models: [BODY.model], poll_first: '100ms', poll_every: '100ms' };
    const server = await serve({ config: `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify([channel])}\n` });
    const stopped = async (prompt) => {
        const { id } = await film(server, BODY.model, prompt);
        await until('a poll is answered', () => sim.stats().polls > 1); // the second one follows the first answer
        assert.equal((await server.cancel(id)).status, 200);
        await until('the attempt is closed', () => attemptsOf(server).every((row) => row.closed_ms > 0));
        return sim.jobs.get(submits(sim).at(-1).job);
    };
    assert.equal((await stopped('it waits')).state(), 'cancelled');
    assert.equal(sim.told('cancel').entries.length, 1);
    prepare(sim, { settings: LONG });
    assert.equal((await stopped('it runs')).state(), 'rendering');
    assert.deepEqual([sim.told('cancel').entries.length, sim.told('delete').entries.length], [0, 0]);
});

test('the servers ended well', async () => {
    await sim.close();
    await endedWell();
});
