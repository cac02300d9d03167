// SPDX-License-Identifier: Apache-2.0
//
// The simulator of DashScope, held against a client of the vendor's models, @ai-sdk/alibaba, and against requests written
// here where that client has no call: cancel, list, two frames by name, refusals.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAlibaba } from '@ai-sdk/alibaba';
import { APICallError } from '@ai-sdk/provider';
import { start } from '../simulators/core.js';
import { dashscope as vendor } from '../simulators/dashscope.js';
import { endedWell, start as serve } from './harness.js';
import { dataUri, tiny } from './media.js';
import { BAD_BODIES, KEY, LONG, PIXEL, SHORT, film, isVideo, prepare, submits, talk } from './simulated.js';

const sim = await start(vendor, { settings: SHORT });
const ENDED = { queue_ms: 0, duration_ms: 0 };
const CREATE = '/api/v1/services/aigc/video-generation/video-synthesis';
const FRAMES = '/api/v1/services/aigc/image2video/video-synthesis';
const ASYNC = { 'x-dashscope-async': 'enable' };
const PICTURE = 'https://files.example.com/a.png';
const file = { type: 'file', data: PIXEL, mediaType: 'image/png' };
const provider = (apiKey = KEY) => createAlibaba({ apiKey, baseURL: `${sim.url}/compatible-mode/v1`, videoBaseURL: sim.url });
const make = (model, prompt, more = {}, { key = KEY, options = {} } = {}) =>
    provider(key).video(model).doGenerate({ prompt, n: 1, providerOptions: { alibaba: { pollIntervalMs: 20, pollTimeoutMs: 15_000, ...options } }, ...more });
const caught = (asked) => asked.then(() => assert.fail('it was taken'), (error) => error);
const post = (body, { target = CREATE, headers = ASYNC, ...more } = {}) => talk(sim, 'POST', target, { body, headers, ...more });
const body = (model, input = {}, parameters = {}) => ({ model, input: { prompt: 'a boat', ...input }, parameters });
const create = async (...args) => (await post(body('wan2.6-t2v'), ...args)).json.output.task_id;
const look = async (id, options) => (await talk(sim, 'GET', `/api/v1/tasks/${id}`, options)).json.output;
const refusal = async (asked) => {
    const { status, json } = await asked;
    return [status, json.code];
};

test('dashscope: the client makes videos in the three dialects', async () => {
    prepare(sim);
    const sized = await make('wan2.6-t2v', 'a boat', { resolution: '1920x1080', duration: 10, seed: 7 }, { options: { negativePrompt: 'people', watermark: false } });
    isVideo((await talk(sim, 'GET', sized.videos[0].url, { key: null })).bytes);
    const { usage, actualPrompt } = sized.providerMetadata.alibaba;
    assert.deepEqual([usage.duration, usage.resolution, usage.size, actualPrompt], [10, 1080, '1920*1080', 'a boat, in detail']);
    const framed = await make('wan2.6-i2v', 'a boat', { resolution: '1280x720', image: { type: 'url', url: PICTURE } });
    assert.equal(framed.providerMetadata.alibaba.usage.resolution, 720);
    const tiered = await make('wan2.7-t2v', 'a boat', { resolution: '1280x720', aspectRatio: '9:16' }, { options: { promptExtend: false } });
    assert.deepEqual([tiered.providerMetadata.alibaba.usage.ratio, tiered.providerMetadata.alibaba.actualPrompt], ['9:16', undefined]);
    const both = [{ image: file, frameType: 'first_frame' }, { image: file, frameType: 'last_frame' }];
    const whole = await make('wan3.0-video', 'a boat', { frameImages: both, duration: 30 }, { options: { ratio: 'adaptive' } });
    assert.equal(whole.providerMetadata.alibaba.usage.ratio, 'adaptive');
    assert.equal((await make('wan2.7-r2v', 'a boat', { inputReferences: [{ type: 'url', url: PICTURE }] })).warnings.length, 0);
    assert.equal((await make('wan2.6-r2v', 'a boat', { resolution: '1280x720', inputReferences: [{ type: 'url', url: PICTURE }] })).warnings.length, 0);
    assert.equal(submits(sim).length, 6);
});
test('dashscope: the client\'s errors', async () => {
    prepare(sim);
    const unknown = await caught(make('wan2.6-t2v', 'a', {}, { key: 'nobody' }));
    assert.ok(APICallError.isInstance(unknown));
    assert.deepEqual([unknown.statusCode, unknown.data.code], [401, 'InvalidApiKey']);
    const bare = await caught(make('wan2.6-i2v', 'bare base64', { image: file }));
    assert.deepEqual([bare.statusCode, bare.data.code], [400, 'InvalidParameter']);
    for (const word of ['fail', 'moderate']) assert.equal((await caught(make('wan2.6-t2v', `[sim:${word}]`))).name, 'ALIBABA_VIDEO_GENERATION_FAILED');
    assert.equal((await caught(make('wan2.6-t2v', '[sim:no-video]'))).name, 'ALIBABA_VIDEO_GENERATION_ERROR');
    // The word for a task that is not known is one to wait for, to this client.
    assert.equal((await caught(make('wan2.6-t2v', '[sim:gone]', {}, { options: { pollTimeoutMs: 200 } }))).name, 'ALIBABA_VIDEO_GENERATION_TIMEOUT');
});
test('dashscope: what a task says, and who may ask', async () => {
    prepare(sim, { settings: ENDED });
    const prompt = async (text) => look((await post(body('wan2.7-t2v', { prompt: text }))).json.output.task_id);
    const moderated = await prompt('[sim:moderate]');
    assert.deepEqual([moderated.task_status, moderated.code], ['FAILED', 'DataInspectionFailed']);
    assert.equal((await prompt('[sim:fail]')).code, 'InternalError');
    prepare(sim, { settings: LONG });
    const id = await create();
    assert.deepEqual([(await look(id)).task_status, (await look(id, { key: `${KEY}-2` })).task_status], ['RUNNING', 'UNKNOWN']);
    assert.equal((await look('none')).task_status, 'UNKNOWN');
});
test('dashscope: a cancel, of what waits alone', async () => {
    prepare(sim, { settings: { queue_ms: 60_000 } });
    const cancel = (id, options) => talk(sim, 'POST', `/api/v1/tasks/${id}/cancel`, options);
    const waiting = await create();
    assert.deepEqual(await refusal(cancel(waiting, { key: `${KEY}-2` })), [400, 'UnsupportedOperation']);
    assert.deepEqual(Object.keys((await cancel(waiting)).json), ['request_id']);
    assert.equal((await look(waiting)).task_status, 'CANCELED');
    assert.deepEqual(await refusal(cancel(waiting)), [400, 'UnsupportedOperation']);
    prepare(sim, { settings: LONG });
    assert.deepEqual(await refusal(cancel(await create())), [400, 'UnsupportedOperation']);
    prepare(sim, { settings: ENDED });
    const over = await create();
    assert.deepEqual(await refusal(cancel(over)), [400, 'UnsupportedOperation']);
    assert.equal((await look(over)).task_status, 'SUCCEEDED');
});
test('dashscope: two frames by name, the list', async () => {
    prepare(sim, { settings: LONG });
    const key = `${KEY}-list`;
    const frames = { first_frame_url: PICTURE, last_frame_url: `data:image/png;base64,${PIXEL.toString('base64')}` };
    const { json } = await post(body('wan2.2-kf2v-flash', frames, { resolution: '480P' }), { target: FRAMES, key });
    assert.deepEqual(await refusal(post(body('wan2.2-kf2v-flash', frames), { key })), [404, 'ModelNotFound']);
    const { total, data } = (await talk(sim, 'GET', '/api/v1/tasks/?model_name=wan2.2-kf2v-flash&status=RUNNING', { key })).json;
    assert.deepEqual([total, data[0].task_id], [1, json.output.task_id]);
    assert.equal((await talk(sim, 'GET', '/api/v1/tasks/?status=PENDING', { key })).json.total, 0);
});
test('dashscope: what is not taken', async () => {
    prepare(sim, { settings: { ...LONG, slots: 1 } });
    const key = `${KEY}-slots`;
    const ask = (...args) => refusal(post(body(...args), { key }));
    assert.deepEqual(await refusal(post(body('wan2.6-t2v'), { headers: {} })), [403, 'AccessDenied']);
    for (const nobody of [null, 'nobody']) assert.deepEqual(await refusal(post(body('wan2.6-t2v'), { key: nobody })), [401, 'InvalidApiKey']);
    assert.deepEqual(await ask('wan9-t2v'), [404, 'ModelNotFound']);
    const wrong = [
        ['wan2.6-t2v', { img_url: PICTURE }], ['wan2.6-t2v', {}, { resolution: '720P' }],
        ['wan2.6-t2v', {}, { size: '1280x720' }], ['wan2.6-t2v', {}, { size: '832*480' }],
        ['wan2.6-t2v', { prompt: 7 }], ['wan2.6-t2v', {}, { duration: 16 }], ['wan2.6-t2v', {}, { duration: '5' }], ['wan2.6-t2v', {}, { seed: -1 }],
        ['wan2.6-i2v'], ['wan2.6-i2v', { img_url: 'aGVsbG8=' }], ['wan2.6-i2v', { img_url: PICTURE }, { size: '1280*720' }],
        ['wan2.6-r2v', { reference_urls: [] }], ['wan2.6-r2v', { reference_urls: [`data:image/png;base64,${PIXEL.toString('base64')}`] }],
        ['wan2.7-t2v', { media: [{ type: 'first_frame', url: PICTURE }] }], ['wan2.7-i2v'], ['wan2.7-i2v', { media: [{ type: 'last_frame', url: PICTURE }] }],
        ['wan2.7-t2v', {}, { resolution: '480P' }], ['wan2.7-t2v', {}, { ratio: 'adaptive' }], ['wan2.7-i2v', { media: 'one' }],
        ['wan3.0-video', { media: [{ type: 'first_frame', url: PICTURE }, { type: 'reference_image', url: PICTURE }] }], ['wan3.0-video', { img_url: PICTURE }],
    ];
    for (const args of wrong) assert.deepEqual(await ask(...args), [400, 'InvalidParameter'], JSON.stringify(args));
    assert.deepEqual(await refusal(post(body('wan2.2-kf2v-flash', { first_frame_url: PICTURE }), { target: FRAMES })), [400, 'InvalidParameter']);
    for (const none of [...BAD_BODIES, '{}', '{"model":"wan2.6-t2v"}']) assert.deepEqual(await refusal(post(none)), [400, 'InvalidParameter']);
    assert.equal(submits(sim).length, 0);
    assert.match(await create({ key }), /^[0-9a-f-]{36}$/);
    assert.deepEqual(await ask('wan2.6-t2v'), [429, 'Throttling']);
});
test('dashscope: filmgate speaks every dialect', async () => {
    prepare(sim, { settings: ENDED });
    const names = [
        'wan2.5-t2v-preview', 'wan2.2-t2v-plus', 'wan2.6-i2v-flash', 'wan2.6-r2v', 'wan2.7-t2v', 'wan2.7-i2v', 'wan2.7-r2v', 'wan2.2-kf2v-flash', 'wan3.0-video',
    ];
    const channel = { name: 'wan', adapter: 'dashscope', base_url: sim.url, key: KEY, models: names, poll_first: '100ms', poll_every: '100ms' };
    const server = await serve({ config: `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify([channel])}\n` });
    const image = dataUri(tiny);
    const images = {
        'wan2.6-i2v-flash': { images: [image] }, 'wan2.7-i2v': { first_frame_image: image, last_frame_image: image }, 'wan2.7-r2v': { reference_images: [image, image] },
        'wan3.0-video': { first_frame_image: image, last_frame_image: image }, 'wan2.2-kf2v-flash': { first_frame_image: image, last_frame_image: image },
        'wan2.6-r2v': { reference_images: [PICTURE] },
    };
    const ends = await Promise.all(names.map(async (model) => {
        const { id } = await film(server, model, `by ${model}`, images[model]);
        const { status, error } = await server.waitEnd(id);
        return [model, status, error ?? null];
    }));
    assert.deepEqual(ends, names.map((model) => [model, 'completed', null]), server.log.slice(-1500));
    assert.equal(submits(sim).length, names.length);
});

test('the servers ended well', async () => {
    await sim.close();
    await endedWell();
});
