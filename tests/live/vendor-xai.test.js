// SPDX-License-Identifier: Apache-2.0
//
// The simulator of xAI's videos, held against @ai-sdk/xai and against requests written here; then filmgate, where the
// vendor may answer in two ways.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APICallError } from '@ai-sdk/provider';
import { createXai } from '@ai-sdk/xai';
import { start } from '../simulators/core.js';
import { xai as vendor } from '../simulators/xai.js';
import { attemptsOf } from './books.js';
import { endedWell, start as serve } from './harness.js';
import { BAD_BODIES, KEY, LONG, PIXEL, SHORT, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';

const sim = await start(vendor, { settings: SHORT });
const ENDED = { queue_ms: 0, duration_ms: 0 };
const CREATE = '/v1/videos/generations';
const PICTURE = { url: 'https://files.example.com/a.png' };
const file = { type: 'file', data: PIXEL, mediaType: 'image/png' };
const make = (prompt, more = {}, { key = KEY, model = 'grok-imagine-video-1.5', options = {} } = {}) =>
    createXai({ apiKey: key, baseURL: `${sim.url}/v1` }).video(model)
        .doGenerate({ prompt, n: 1, providerOptions: { xai: { pollIntervalMs: 20, pollTimeoutMs: 15_000, ...options } }, ...more });
const caught = (asked) => asked.then(() => assert.fail('it was taken'), (error) => error);
const create = async (body = {}, options = {}) => (await talk(sim, 'POST', CREATE, { body: { prompt: 'a boat', ...body }, ...options })).json.request_id;
const look = (id, options) => talk(sim, 'GET', `/v1/videos/${id}`, options);

for (const hasBody of [true, false]) test(`xai: the client makes a video, and 202 has ${hasBody ? 'a' : 'no'} body`, async () => {
    prepare(sim, { settings: { pending_body: hasBody } });
    const made = await make('a boat', { aspectRatio: '9:16', duration: 10, resolution: '1920x1080' });
    isVideo((await talk(sim, 'GET', made.videos[0].url, { key: null })).bytes);
    const { duration, costInUsdTicks, progress } = made.providerMetadata.xai;
    assert.deepEqual([made.warnings, duration, costInUsdTicks, progress], [[], 10, 25_000_000_000, 100]);
    assert.equal(submits(sim)[0].prompt, 'a boat');
});
test('xai: the client sends an image and references, edits and extends', async () => {
    prepare(sim);
    assert.equal((await make('with an image', { image: file }, { model: 'grok-imagine-video' })).warnings.length, 0);
    assert.equal((await make('with references', { inputReferences: [file, file], duration: 10 })).warnings.length, 0);
    const videoUrl = 'https://files.example.com/a.mp4';
    assert.equal((await make('edited', {}, { options: { mode: 'edit-video', videoUrl } })).videos.length, 1);
    assert.equal((await make('extended', { duration: 4 }, { options: { mode: 'extend-video', videoUrl } })).providerMetadata.xai.duration, 4);
    assert.equal(submits(sim).length, 4);
});
test('xai: the client\'s errors', async () => {
    prepare(sim);
    const unknown = await caught(make('a', {}, { key: 'nobody' }));
    assert.ok(APICallError.isInstance(unknown));
    assert.deepEqual([unknown.statusCode, unknown.data.error], [400, 'Incorrect API key provided.']);
    const wrong = await caught(make('a', { duration: 16 }));
    assert.deepEqual([wrong.statusCode, wrong.data.code], [400, 'Client specified an invalid argument']);
    const names = { fail: 'GENERATION_FAILED', moderate: 'MODERATION_ERROR', 'no-video': 'GENERATION_ERROR', 'word=expired': 'GENERATION_EXPIRED' };
    for (const [word, name] of Object.entries(names)) assert.equal((await caught(make(`[sim:${word}]`))).name, `XAI_VIDEO_${name}`);
    prepare(sim, { settings: { moderates_by_error: true } });
    const moderated = await caught(make('[sim:moderate]'));
    assert.deepEqual([moderated.statusCode, moderated.data.error], [400, 'Generated video rejected by content moderation.']);
    assert.equal((await caught(make('[sim:gone]'))).statusCode, 404);
});
test('xai: what a request says, and who may ask', async () => {
    prepare(sim, { settings: LONG });
    const id = await create();
    const { status, json } = await look(id);
    assert.deepEqual([status, json.status, json.progress, json.video], [202, 'pending', 0, undefined]);
    assert.equal((await look(id, { key: `${KEY}-2` })).status, 404);
    prepare(sim, { settings: ENDED });
    const done = await look(await create());
    assert.deepEqual([done.status, done.json.status, done.json.video.duration, done.json.usage.cost_in_usd_ticks], [200, 'done', 8, 8 * 800_000_000]);
    const { json: moderated } = await look(await create({ prompt: '[sim:moderate]' }));
    assert.deepEqual([moderated.status, moderated.video.respect_moderation, moderated.video.url, moderated.usage !== undefined], ['done', false, '', true]);
    for (const method of ['DELETE', 'POST']) assert.equal((await talk(sim, method, `/v1/videos/${id}`)).status, 405);
});
test('xai: what is not taken', async () => {
    prepare(sim, { settings: { ...LONG, slots: 1 } });
    const key = `${KEY}-slots`;
    const ask = async (body, target = CREATE) => (await talk(sim, 'POST', target, { key, body })).status;
    assert.equal((await talk(sim, 'POST', CREATE, { key: null, body: { prompt: 'a' } })).status, 401);
    assert.equal(await ask({ prompt: 'a', model: 'grok-9' }), 404);
    const wrong = [
        {}, { prompt: 'p'.repeat(4097) }, { duration: 0 }, { duration: 16 }, { duration: '5' }, { aspect_ratio: '21:9' }, { resolution: '4k' }, { resolution: '1080p' },
        { model: 'grok-imagine-video-1.5-lite', resolution: '1080p' }, { image: PICTURE.url }, { image: { url: 'aGVsbG8=' } }, { last_frame: PICTURE },
        { image: PICTURE, last_frame: PICTURE }, { image: PICTURE, reference_images: [PICTURE] }, { reference_images: [] }, { reference_images: Array(8).fill(PICTURE) },
        { reference_images: [7] }, { reference_images: [PICTURE], duration: 11 }, { model: 'grok-imagine-video-1.5', reference_images: [PICTURE], resolution: '1080p' },
    ];
    for (const more of wrong) assert.equal(await ask({ ...(Object.keys(more).length > 0 ? { prompt: 'a' } : {}), ...more }), 400, JSON.stringify(more).slice(0, 100));
    for (const more of [{ prompt: 'a' }, { prompt: '', video: PICTURE }, { prompt: 'a', video: 'a.mp4' }]) assert.equal(await ask(more, '/v1/videos/edits'), 400);
    assert.equal(await ask({ prompt: 'a', video: PICTURE, duration: 11 }, '/v1/videos/extensions'), 400);
    for (const none of BAD_BODIES) assert.equal(await ask(none), 400);
    assert.equal(submits(sim).length, 0);
    assert.match(await create({ model: 'grok-imagine-video-1.5', image: PICTURE, last_frame: PICTURE, user: 'ours-1' }, { key }), /^[0-9a-f-]{36}$/);
    assert.equal(submits(sim)[0].correlation, 'ours-1');
    assert.equal(await ask({ prompt: 'a' }), 429);
});
test('xai: filmgate waits for an empty 202, and knows a moderated video in both its shapes', async () => {
    prepare(sim, { settings: { pending_body: false, moderates_by_error: true, duration_ms: 1500 } });
    const channel = { name: 'xai', adapter: 'xai', base_url: `${sim.url}/v1`, key: KEY, models: ['grok-imagine-video-1.5'], poll_first: '100ms', poll_every: '100ms' };
    const server = await serve({ config: `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify([channel])}\n` });
    const ask = (prompt) => film(server, channel.models[0], prompt);
    const end = async (prompt) => server.waitEnd((await ask(prompt)).id);
    await isDone(server, ask('a boat'));
    assert.ok(sim.stats().polls > 2, 'it was asked for while it answered nothing');
    const moderated = await end('[sim:moderate]');
    sim.settings.moderates_by_error = false;
    for (const task of [moderated, await end('[sim:moderate] again')]) assert.match(task.error.message, /blocked|policy/);
    assert.equal(submits(sim).length, 3, 'each was bought once');
    const costs = attemptsOf(server).map(({ usage }) => JSON.parse(usage).cost_in_usd_ticks);
    assert.ok(costs.length === 3 && costs.every((ticks) => ticks > 0), `all three cost: ${costs}`);
});

test('the servers ended well', async () => {
    await sim.close();
    await endedWell();
});
