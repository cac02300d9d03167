// SPDX-License-Identifier: Apache-2.0
//
// The simulated OpenRouter held against the vendor's own client (npm: @openrouter/sdk 1.3.19).
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { OpenRouter } from '@openrouter/sdk';
import * as errors from '@openrouter/sdk/models/errors';
import { endedWell, start, until } from './harness.js';
import { start as startSimulator } from '../simulators/core.js';
import { openrouter as vendor } from '../simulators/openrouter.js';
import { BAD_BODIES, KEY, LIMIT, LONG, PIXEL, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulator = await startSimulator(vendor, { settings: SHORT });
after(() => simulator.close());
const clientOf = (apiKey) => new OpenRouter({ apiKey, serverURL: `${simulator.url}/api/v1`, retryConfig: { strategy: 'none' } });
const { videoGeneration: client } = clientOf(KEY);
const MODEL = 'google/veo-3.1';
const generate = (body) => client.generate({ videoGenerationRequest: { model: MODEL, prompt: 'a boat', ...body } });
const ended = (jobId) => until('the job', async () => {
    const now = await client.getGeneration({ jobId });
    return !['pending', 'in_progress'].includes(now.status) && now;
}, LIMIT);
const frame = (frameType, url = 'https://example.com/a.png') => ({ type: 'image_url', imageUrl: { url }, frameType });

async function bytesOf(stream) {
    const pieces = [];
    for await (const piece of stream) pieces.push(piece);
    return Buffer.concat(pieces);
}

test('generate, poll, the video with the key, what it cost', async () => {
    prepare(simulator, { settings: STEADY });
    const made = await generate({ duration: 8, resolution: '720p', aspectRatio: '9:16', seed: 7 });
    assert.match(made.id, /^gen-vid-\d+-[0-9A-Za-z]{20}$/);
    assert.deepEqual([made.status, made.pollingUrl], ['pending', `${simulator.url}/api/v1/videos/${made.id}`]);
    await until('it renders', async () => (await client.getGeneration({ jobId: made.id })).status === 'in_progress', LIMIT);
    await assert.rejects(client.getVideoContent({ jobId: made.id }), errors.ConflictResponseError);
    const done = await ended(made.id);
    assert.deepEqual([done.status, done.generationId, done.usage], ['completed', made.id, { cost: 3.2, isByok: false }]);
    isVideo(await bytesOf(await client.getVideoContent({ jobId: made.id })));
    const plain = await talk(simulator, 'GET', done.unsignedUrls[0], { key: null });
    assert.deepEqual([plain.status, plain.json.error.message], [401, 'No cookie auth credentials found']);
    const part = await talk(simulator, 'GET', done.unsignedUrls[0], { headers: { range: 'bytes=0-9' } });
    assert.equal(part.status, 200, 'a range is passed over');
    await assert.rejects(client.getVideoContent({ jobId: made.id, index: 5 }), errors.BadRequestResponseError);
});
test('frames and references', async () => {
    prepare(simulator);
    const data = `data:image/png;base64,${PIXEL.toString('base64')}`;
    await generate({ frameImages: [frame('first_frame', data), frame('last_frame')] });
    await generate({ inputReferences: [{ type: 'image_url', imageUrl: { url: data } }] });
    for (const frameImages of [[frame('first_frame', 'ftp://a')], [frame('middle')], [frame('first_frame'), frame('first_frame')]])
        await assert.rejects(generate({ frameImages }), errors.BadRequestResponseError);
    await assert.rejects(generate({ model: 'x-ai/grok-imagine-video', frameImages: [frame('last_frame')] }), errors.BadRequestResponseError);
    assert.equal(submits(simulator).length, 2);
});
test('the list of models', async () => {
    const { data } = await client.listVideosModels();
    const veo = data.find(({ id }) => id === MODEL);
    assert.deepEqual([veo.supportedDurations, veo.supportedFrameImages], [[4, 6, 8], ['first_frame', 'last_frame']]);
});
test('its classes of errors', async () => {
    prepare(simulator);
    for (const wrong of [{ duration: 99 }, { resolution: '480p' }, { aspectRatio: '1:1' }, { prompt: '' }, { callbackUrl: 'http://example.com' }])
        await assert.rejects(generate(wrong), errors.BadRequestResponseError, JSON.stringify(wrong));
    await assert.rejects(generate({ duration: 99 }), /Duration 99s is not supported/);
    await assert.rejects(generate({ model: 'acme/none' }), errors.NotFoundResponseError);
    await assert.rejects(generate({ prompt: '[sim:busy]' }), errors.TooManyRequestsResponseError);
    await assert.rejects(clientOf('sk-or-no').videoGeneration.generate({ videoGenerationRequest: { model: MODEL, prompt: 'a' } }), errors.UnauthorizedResponseError);
    await assert.rejects(client.getGeneration({ jobId: 'gen-vid-1-none' }), errors.NotFoundResponseError);
    assert.equal(simulator.program({ rules: [{ on: 'submit', do: { status: 402 } }] }), null);
    await assert.rejects(generate({}), errors.PaymentRequiredResponseError);
    assert.equal(submits(simulator).length, 0);
});
test('a body that is none', async () => {
    prepare(simulator);
    for (const body of BAD_BODIES) assert.equal((await talk(simulator, 'POST', '/api/v1/videos', { body })).status, 400, body);
    assert.equal(submits(simulator).length, 0);
});
test('ends that are no video', async () => {
    prepare(simulator);
    const endOf = async (prompt) => ended((await generate({ prompt })).id);
    const [moderated, failed, empty] = [await endOf('[sim:moderate]'), await endOf('[sim:fail]'), await endOf('[sim:no-video]')];
    assert.deepEqual([moderated.status, failed.status, failed.error], ['failed', 'failed', 'Provider returned error']);
    assert.match(moderated.error, /content policy/);
    assert.deepEqual([empty.status, empty.unsignedUrls], ['completed', []]);
    prepare(simulator, { settings: { ...LONG, ttl_ms: 50 } });
    const expired = await endOf('slow');
    assert.deepEqual([expired.status, expired.error], ['expired', 'Job exceeded maximum time to live']);
});

test('the gateway: the video is fetched with the key, and begun anew where it broke off', async () => {
    prepare(simulator, { rules: [{ on: 'result', times: 1, do: { truncate: true } }] });
    const server = await start({ config: channelsYaml({ openrouter: simulator }, ['openrouter']) });
    const end = await isDone(server, film(server, 'm-openrouter', 'a boat'));
    isVideo((await server.fetchLink(end.video_url)).bytes);
    assert.ok(simulator.told('download').entries.every(({ credential }) => credential !== null));
    assert.equal(submits(simulator).length, 1);
});
test('the servers ended well', endedWell);
