// SPDX-License-Identifier: Apache-2.0
//
// The simulated Gemini API for Veo, held against the vendor's own client (@google/genai).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ApiError, GoogleGenAI } from '@google/genai';
import { start } from '../simulators/core.js';
import { geminiVeo } from '../simulators/gemini-veo.js';
import { endedWell, newDirectory, until } from './harness.js';
import { BAD_BODIES, GOOGLE_IMAGE, KEY, LIMIT, LONG, PIXEL, SHORT, isVideo, operationsOf, prepare, submits, talk } from './simulated.js';

const simulator = await start(geminiVeo, { settings: SHORT });
const genai = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: simulator.url } });
const MODEL = 'veo-3.1-generate-preview';
const withKey = { key: null, headers: { 'x-goog-api-key': KEY } };
const create = (prompt, config = {}, more = {}) => genai.models.generateVideos({ model: MODEL, prompt, config, ...more });
const { look, end } = operationsOf(genai);
const image = GOOGLE_IMAGE;
const post = (body, model = MODEL) => talk(simulator, 'POST', `/v1beta/models/${model}:predictLongRunning`, { ...withKey, body });

test('create with a first and a last frame, poll, download', async () => {
    prepare(simulator, { settings: { file_names: true } });
    const made = await create('a boat', { durationSeconds: 8, aspectRatio: '9:16', resolution: '720p', personGeneration: 'allow_adult', negativePrompt: 'rain', lastFrame: image }, { image });
    assert.match(made.name, /^models\/veo-3\.1-generate-preview\/operations\/\w+$/);
    assert.equal(made.done, undefined);
    const done = await end(made);
    const [{ video }] = done.response.generatedVideos;
    const file = path.join(newDirectory(), 'a.mp4');
    await genai.files.download({ file: video, downloadPath: file });
    await until('the file', () => fs.existsSync(file) && fs.statSync(file).size > 1000, LIMIT);
    isVideo(fs.readFileSync(file));
    assert.equal(submits(simulator)[0].prompt, 'a boat');
});
test('references; an address that needs the key and leads elsewhere without it', async () => {
    prepare(simulator);
    const made = await create('a boat', { referenceImages: [{ image, referenceType: 'asset' }] });
    const { uri } = (await end(made)).response.generatedVideos[0].video;
    assert.equal((await talk(simulator, 'GET', uri, { key: null })).status, 403);
    const moved = await talk(simulator, 'GET', uri, { ...withKey, redirect: 'manual' });
    assert.equal(moved.status, 302);
    assert.ok(moved.headers.get('location').startsWith(simulator.otherUrl));
    isVideo((await talk(simulator, 'GET', uri, withKey)).bytes);
});
test('inline', async () => {
    prepare(simulator, { settings: { inline: true } });
    const { video } = (await end(await create('a boat'))).response.generatedVideos[0];
    isVideo(Buffer.from(video.videoBytes, 'base64'));
});
test('filtered, failed, empty', async () => {
    prepare(simulator);
    const filtered = await end(await create('[sim:moderate]'));
    assert.equal(filtered.error, undefined);
    assert.deepEqual([filtered.response.raiMediaFilteredCount, filtered.response.generatedVideos], [1, undefined]);
    assert.equal((await end(await create('[sim:fail]'))).error.code, 13);
    assert.deepEqual((await end(await create('[sim:no-video]'))).response.generatedVideos, []);
});
test('errors are typed', async () => {
    prepare(simulator, { settings: { retired: ['veo-3.0-generate-preview'] } });
    const isError = (status, text) => (error) => error instanceof ApiError && error.status === status && text.test(error.message);
    await assert.rejects(create('a', {}, { model: 'veo-3.0-generate-preview' }), isError(404, /no longer available/));
    await assert.rejects(create('a', { aspectRatio: '1:1' }), isError(400, /INVALID_ARGUMENT/));
    await assert.rejects(create('a', { lastFrame: image }), isError(400, /needs an image/));
    const stranger = new GoogleGenAI({ apiKey: 'no', httpOptions: { baseUrl: simulator.url } });
    await assert.rejects(stranger.models.generateVideos({ model: MODEL, prompt: 'a' }), isError(400, /API_KEY_INVALID/));
    await assert.rejects(look({ ...await create('a'), name: `models/${MODEL}/operations/none`, _fromAPIResponse() {} }), isError(404, /NOT_FOUND/));
    assert.equal(submits(simulator).length, 1);
});
test('what the vendor does not take', async () => {
    prepare(simulator, { settings: LONG });
    const good = { instances: [{ prompt: 'a boat' }], parameters: { durationSeconds: 8 } };
    assert.equal((await post(good)).status, 200);
    const bytes = PIXEL.toString('base64');
    for (const wrong of [
        { parameters: { durationSeconds: '8' } }, { parameters: { seed: 1 } }, { parameters: { generateAudio: true } }, { parameters: { resolution: '480p' } },
        { instances: [] }, { instances: [{ prompt: 'a', image: { gcsUri: 'gs://a/b' } }] }, { instances: [{ prompt: 'a', image: { bytesBase64Encoded: bytes } }] },
        { instances: [{ prompt: 'a', image: { bytesBase64Encoded: 'data:image/png;base64,AAAA', mimeType: 'image/png' } }] }, { labels: {} },
        { instances: [{ prompt: 'a', referenceImages: Array(4).fill({ referenceType: 'asset', image: { bytesBase64Encoded: bytes, mimeType: 'image/png' } }) }] },
    ]) {
        const { status, json } = await post({ ...good, ...wrong });
        assert.deepEqual([status, json.error.status], [400, 'INVALID_ARGUMENT'], JSON.stringify(wrong));
    }
    assert.equal((await post(good, 'gpt-4')).status, 404);
    assert.equal((await talk(simulator, 'POST', `/v1beta/models/${MODEL}:predictLongRunning`, { key: null, body: good })).status, 403);
    for (const body of BAD_BODIES) assert.equal((await post(body)).status, 400, body);
    const { json: { name } } = await post({ ...good, instances: [{ prompt: 'a [sim:word=dreaming]' }] });
    assert.equal((await talk(simulator, 'GET', `/v1beta/${name}`, withKey)).json.done, 'dreaming');
    assert.equal(submits(simulator).length, 2);
});
test('the servers ended well', async () => {
    await simulator.close();
    await endedWell();
});
