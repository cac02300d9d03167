// SPDX-License-Identifier: Apache-2.0
//
// The simulated vendors of tests/simulators, held against the vendors' own clients where there are any, and
// against clients written here where there are none. Then what tests lean on: scripts, losses, the ledger.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createFalClient } from '@fal-ai/client';
import { GoogleGenAI } from '@google/genai';
import { ComfyApi } from '@saintno/comfyui-sdk';
import OpenAI, { toFile } from 'openai';
import { Dice } from '../simulators/jobs.js';
import { startAll } from '../simulators/run.js';
import { endedWell, newDirectory, until } from './harness.js';
import { BAD_BODIES, KEY, LIMIT, LONG, PIXEL, SHORT, STEADY, isVideo, prepare, submits, talk } from './simulated.js';

const folder = newDirectory();
const simulators = await startAll({ portBase: 0, ledger: folder, settings: SHORT });
const { unified, fal } = simulators;
const openaiVideos = simulators['openai-videos'];
const gemini = simulators['gemini-omni'];
const kling = simulators['kling-legacy'];
const { comfyui } = simulators;

test('what is printed of the channels stands in columns', async () => {
    const child = spawn(process.execPath, [new URL('../simulators/run.js', import.meta.url).pathname, '--port-base', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((done) => child.on('close', done));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
    await until('the table', () => said.includes('Ctrl-C ends them') || child.exitCode !== null);
    child.kill('SIGTERM');
    await ended;
    const rows = said.split('\n').filter((line) => /^[a-z0-9-]+ +base_url: /.test(line));
    assert.equal(rows.length, Object.keys(simulators).length - 1, said);
    assert.equal(new Set(rows.map((row) => /^\S+ +\S+ \S+ +/.exec(row)[0].length)).size, 1, said);
});

// ---- OpenAI

const openai = new OpenAI({ apiKey: KEY, baseURL: `${openaiVideos.url}/v1`, maxRetries: 0 });
const openaiEnd = (id) => until('the video', async () => {
    const video = await openai.videos.retrieve(id);
    return ['completed', 'failed'].includes(video.status) && video;
}, LIMIT);
const VIDEO_KEYS = ['id', 'object', 'model', 'status', 'progress', 'created_at', 'completed_at', 'expires_at', 'prompt', 'size', 'seconds',
    'remixed_from_video_id', 'error'];

test('openai: create with an image, retrieve, download, list, delete', async () => {
    prepare(openaiVideos);
    const image = await toFile(PIXEL, 'a.png', { type: 'image/png' });
    const made = await openai.videos.create({ prompt: 'a boat', size: '1280x720', seconds: '8', input_reference: image });
    assert.deepEqual(Object.keys(made), VIDEO_KEYS);
    assert.deepEqual([made.status, made.progress, made.model, made.size, made.seconds], ['queued', 0, 'sora-2', '1280x720', '8']);
    const done = await openaiEnd(made.id);
    assert.deepEqual(Object.keys(done), VIDEO_KEYS);
    assert.deepEqual([done.status, done.progress, done.error], ['completed', 100, null]);
    assert.ok(done.expires_at > done.completed_at);
    const content = await openai.videos.downloadContent(made.id);
    assert.equal(content.headers.get('content-type'), 'video/mp4');
    isVideo(Buffer.from(await content.arrayBuffer()));
    assert.equal((await openai.videos.downloadContent(made.id, { variant: 'thumbnail' })).headers.get('content-type'), 'image/webp');
    const second = await openai.videos.create({ prompt: 'a second' });
    const listed = [];
    for await (const video of openai.videos.list({ limit: 1 })) listed.push(video.id);
    assert.deepEqual(listed.slice(0, 2), [second.id, made.id]);
    assert.deepEqual(await openai.videos.delete(made.id), { id: made.id, object: 'video.deleted', deleted: true });
    await assert.rejects(openai.videos.retrieve(made.id), OpenAI.NotFoundError);
});
test('openai: an image as JSON, remix, edit, extend, a character', async () => {
    prepare(openaiVideos);
    const made = await openai.videos.create({ prompt: 'a', input_reference: { image_url: 'https://example.com/a.png' } });
    const remixed = await openai.videos.remix(made.id, { prompt: 'b' });
    assert.equal(remixed.remixed_from_video_id, made.id);
    assert.equal((await openai.videos.edit({ prompt: 'c', video: { id: made.id } })).prompt, 'c');
    assert.equal((await openai.videos.extend({ prompt: 'd', seconds: '8', video: { id: made.id } })).seconds, '12');
    const character = await openai.videos.createCharacter({ name: 'one', video: await toFile(PIXEL, 'a.mp4', { type: 'video/mp4' }) });
    assert.deepEqual(await openai.videos.getCharacter(character.id), character);
});
test('openai: a redirect to storage, which gets no key', async () => {
    prepare(openaiVideos, { settings: { content_redirects: true } });
    const { id } = await openai.videos.create({ prompt: 'a' });
    await openaiEnd(id);
    const content = await openai.videos.downloadContent(id);
    assert.ok(content.url.startsWith(openaiVideos.otherUrl));
    isVideo(Buffer.from(await content.arrayBuffer()));
    const [download] = openaiVideos.told('download').entries;
    assert.deepEqual([download.from, download.credential], ['other', null]);
});
test('openai: its classes of errors', async () => {
    prepare(openaiVideos);
    const image = await toFile(PIXEL, 'a.bin', { type: 'application/octet-stream' });
    const bad = [{ prompt: '' }, { seconds: '5' }, { size: '1x1' }, { input_reference: image }, { input_reference: { image_url: 'ftp://a' } }];
    for (const wrong of bad) await assert.rejects(openai.videos.create({ prompt: 'a', ...wrong }), OpenAI.BadRequestError, JSON.stringify(wrong));
    const body = { prompt: 'a', seconds: 4 };
    const { status, json } = await talk(openaiVideos, 'POST', '/v1/videos', { body, headers: { 'content-type': 'application/json' } });
    assert.deepEqual([status, json.error.param, json.error.code], [400, 'seconds', 'invalid_type']);
    await assert.rejects(new OpenAI({ apiKey: 'no', baseURL: `${openaiVideos.url}/v1`, maxRetries: 0 }).videos.list(), OpenAI.AuthenticationError);
    await assert.rejects(openai.videos.create({ prompt: '[sim:busy]' }), OpenAI.RateLimitError);
    const { id } = await openai.videos.create({ prompt: '[sim:duration=60000]' });
    await assert.rejects(openai.videos.delete(id), OpenAI.ConflictError);
    await assert.rejects(openai.videos.downloadContent(id), OpenAI.NotFoundError);
    const blocked = await openai.videos.create({ prompt: '[sim:moderate]' });
    assert.equal((await openaiEnd(blocked.id)).error.code, 'moderation_blocked');
});

// ---- fal

const falClient = createFalClient({
    credentials: KEY,
    fetch: (url, options) => {
        const { pathname, search } = new URL(url); // its hosts are fixed
        return fetch(`${fal.url}${pathname}${search}`, options);
    },
});
const APP = 'fal-ai/veo3/fast';
async function falRun(input) {
    const { request_id: requestId } = await falClient.queue.submit(APP, { input });
    await until('the run', async () => (await falClient.queue.status(APP, { requestId })).status === 'COMPLETED', LIMIT);
    return falClient.queue.result(APP, { requestId });
}

test('fal: submit, status, result', async () => {
    prepare(fal, { settings: STEADY });
    const made = await falClient.queue.submit(APP, { input: { prompt: 'a boat' } });
    assert.equal(made.status, 'IN_QUEUE');
    const base = `${fal.url}/fal-ai/veo3/requests/${made.request_id}`; // without the path of the app
    assert.deepEqual([made.response_url, made.status_url, made.cancel_url], [base, `${base}/status`, `${base}/cancel`]);
    const early = await talk(fal, 'GET', base, { key: null, headers: { authorization: `Key ${KEY}` } });
    assert.deepEqual([early.status, early.json], [400, { detail: 'Request is still in progress' }]);
    assert.equal((await talk(fal, 'GET', `${base}/status?logs=1`, { key: null, headers: { authorization: `Key ${KEY}` } })).status, 202);
    const { data, requestId } = await falRun({ prompt: 'another', aspect_ratio: '9:16' });
    assert.equal(submits(fal)[1].job, requestId);
    const { bytes } = await talk(fal, 'GET', data.video.url, { key: null });
    isVideo(bytes);
    assert.equal(bytes.length, data.video.file_size);
});
test('fal: what failed says so with its result', async () => {
    prepare(fal);
    const isModerated = (error) => error.name === 'ValidationError' && error.getFieldErrors('prompt')[0].type === 'content_policy_violation';
    await assert.rejects(falRun({ prompt: '[sim:moderate]' }), isModerated);
    await assert.rejects(falRun({ image_url: 'https://example.com' }), (error) => error.status === 422 && error.body.detail[0].type === 'missing');
    await assert.rejects(falRun({ prompt: '[sim:fail]' }), { status: 504 });
    assert.equal((await falRun({ prompt: '[sim:no-video]' })).data.video, null);
});
test('fal: cancel, a foreign address, an upload', async () => {
    prepare(fal, { rules: [{ on: 'submit', match: { prompt: 'foreign' }, do: { origin: 'http://foreign.example' } }], settings: LONG });
    const { request_id: requestId } = await falClient.queue.submit(APP, { input: { prompt: 'a' } });
    await falClient.queue.cancel(APP, { requestId });
    await assert.rejects(falClient.queue.result(APP, { requestId }), { status: 499 });
    await assert.rejects(falClient.queue.cancel(APP, { requestId }), (error) => error.status === 400 && error.body.status === 'ALREADY_COMPLETED');
    await assert.rejects(falClient.queue.cancel(APP, { requestId: 'none' }), (error) => error.status === 404 && error.body.status === 'NOT_FOUND');
    assert.match((await falClient.queue.submit(APP, { input: { prompt: 'foreign' } })).status_url, /^http:\/\/foreign\.example\//);
    const uploaded = await falClient.storage.upload(new Blob([PIXEL], { type: 'image/png' }));
    assert.deepEqual((await talk(fal, 'GET', uploaded, { key: null })).bytes, PIXEL);
});

// ---- Gemini

const genai = new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: gemini.url } });
const OMNI = { model: 'gemini-omni-1.1-flash', response_format: { type: 'video', aspect_ratio: '9:16', duration: '8s' } };
const withKey = { key: null, headers: { 'x-goog-api-key': KEY } };

test('gemini: in the background, with an image, the video as a file', async () => {
    prepare(gemini, { settings: { ...STEADY, file_processing_ms: 60 } });
    const input = [{ type: 'text', text: 'a boat' }, { type: 'image', data: PIXEL.toString('base64'), mime_type: 'image/png' }];
    const made = await genai.interactions.create({ ...OMNI, input, background: true, response_format: { ...OMNI.response_format, delivery: 'uri' } });
    assert.equal(made.status, 'queued');
    const seen = new Set([made.status]);
    const done = await until('the video', async () => {
        const now = await genai.interactions.get(made.id);
        seen.add(now.status);
        return now.status === 'completed' && now;
    }, LIMIT);
    assert.ok(seen.has('in_progress'));
    const { uri, mime_type: type } = done.output_video;
    assert.equal(type, 'video/mp4');
    assert.equal((await talk(gemini, 'GET', uri, { key: null })).status, 403);
    const file = await until('the file', async () => {
        const answer = await talk(gemini, 'GET', uri.replace(':download', ''), withKey);
        return answer.json.state === 'ACTIVE' && answer.json;
    }, LIMIT);
    assert.equal((await talk(gemini, 'GET', uri, { ...withKey, redirect: 'manual' })).status, 302);
    isVideo((await talk(gemini, 'GET', uri, withKey)).bytes);
    assert.equal(file.downloadUri, uri);
    await genai.interactions.delete(made.id);
    assert.equal((await talk(gemini, 'GET', `/v1beta/interactions/${made.id}`, withKey)).status, 404);
});
test('gemini: without it the answer waits, and is the video', async () => {
    prepare(gemini);
    const done = await genai.interactions.create({ ...OMNI, input: 'a boat' });
    assert.equal(done.status, 'completed');
    isVideo(Buffer.from(done.output_video.data, 'base64'));
});
test('gemini: 30 MB as base64', async () => {
    prepare(gemini);
    const done = await genai.interactions.create({ ...OMNI, input: 'a boat [sim:bytes=31457280]' });
    const bytes = Buffer.from(done.output_video.data, 'base64');
    assert.equal(bytes.length, 30 << 20);
    isVideo(bytes);
});
test('gemini: cancel, failures, errors, /v1', async () => {
    prepare(gemini, { settings: LONG });
    const { id } = await genai.interactions.create({ ...OMNI, input: 'a', background: true });
    assert.equal((await genai.interactions.cancel(id)).status, 'cancelled');
    await assert.rejects(genai.interactions.cancel(id), { status: 400 });
    prepare(gemini);
    const blocked = await genai.interactions.create({ ...OMNI, input: '[sim:moderate]' });
    assert.deepEqual([blocked.status, blocked.errors[0].code], ['failed', 'content_blocked']);
    const empty = await genai.interactions.create({ ...OMNI, input: '[sim:no-video]' });
    assert.deepEqual([empty.status, empty.output_video], ['completed', undefined]);
    const square = { response_format: { type: 'video', aspect_ratio: '1:1' } };
    for (const wrong of [square, { input: [{ type: 'image', uri: 'x', data: 'YQ==' }] }, { background: true, store: false }])
        await assert.rejects(genai.interactions.create({ ...OMNI, input: 'a', ...wrong }), { status: 400 }, JSON.stringify(wrong));
    const body = JSON.stringify({ model: 'm', input: 'a', background: true });
    assert.equal((await talk(gemini, 'POST', '/v1/interactions', { ...withKey, body })).json.status, 'queued');
    const { json } = await talk(gemini, 'POST', '/v1/interactions', { key: null, headers: { 'x-goog-api-key': 'no' }, body });
    assert.equal(json.error.details[0].reason, 'API_KEY_INVALID');
});

// ---- ComfyUI

const comfy = new ComfyApi(comfyui.url, 'tests');
const graph = (text = 'a boat', image = null) => ({
    1: { class_type: 'CLIPTextEncode', inputs: { text: 'ugly' } },
    2: { class_type: 'CLIPTextEncode', inputs: { text } },
    3: { class_type: 'KSampler', inputs: { positive: ['2', 0], negative: ['1', 0], seed: 7 } },
    ...(image === null ? {} : { 4: { class_type: 'LoadImage', inputs: { image } } }),
    5: { class_type: 'SaveVideo', inputs: { images: ['3', 0], filename_prefix: 'video/boat' } },
});

test('comfyui: upload, prompt, queue, history, view', async () => {
    prepare(comfyui, { settings: STEADY });
    const { info } = await comfy.uploadImage(PIXEL, 'a.png');
    assert.deepEqual([info.name, info.type, info.subfolder], ['a.png', 'input', '']);
    const { prompt_id: id, node_errors: errors } = await comfy.queuePrompt(0, graph('a boat', 'a.png'));
    assert.deepEqual(errors, {});
    assert.equal((await comfy.getQueue()).queue_pending[0][1], id);
    assert.equal(await comfy.getHistory(id), undefined);
    await until('its turn', async () => (await comfy.getQueue()).queue_running[0]?.[1] === id, LIMIT);
    const entry = await until('the video', () => comfy.getHistory(id), LIMIT);
    assert.deepEqual([entry.status.status_str, entry.status.completed, entry.outputs[5].animated], ['success', true, [true]]);
    const [file] = entry.outputs[5].images;
    assert.deepEqual([file.subfolder, file.type], ['video', 'output']);
    isVideo(Buffer.from(await (await comfy.getImage(file)).arrayBuffer()));
    assert.equal(submits(comfyui)[0].prompt, 'a boat');
});
test('comfyui: an id of the caller\'s own, /api, text/plain', async () => {
    prepare(comfyui);
    const id = '018f6a10-0000-7000-8000-000000000001';
    const body = { prompt: { 9: { class_type: 'VHS_VideoCombine', inputs: {} } }, prompt_id: id };
    const made = await talk(comfyui, 'POST', '/api/prompt', { key: null, body, headers: { 'content-type': 'text/plain' } });
    assert.equal(made.json.prompt_id, id);
    assert.equal(submits(comfyui)[0].correlation, id);
    const entry = await until('the video', async () => (await talk(comfyui, 'GET', `/api/history/${id}`, { key: null })).json[id], LIMIT);
    assert.match(entry.outputs[9].gifs[0].filename, /\.mp4$/);
    assert.equal((await talk(comfyui, 'GET', `/api/jobs/${id}`, { key: null })).json.status, 'completed');
});
test('comfyui: invalid graphs', async () => {
    prepare(comfyui);
    const ask = async (prompt) => talk(comfyui, 'POST', '/prompt', { key: null, body: { prompt } });
    const bad = {
        no_prompt: undefined, invalid_prompt: { 1: {} }, prompt_no_outputs: { 1: { class_type: 'X' } },
        prompt_outputs_failed_validation: graph('a', 'none.png'),
    };
    for (const [type, prompt] of Object.entries(bad)) {
        const { status, json } = await ask(prompt);
        assert.deepEqual([status, json.error.type], [400, type]);
    }
    const { json } = await ask({ 1: { class_type: 'SaveVideo', inputs: { images: ['7', 0] } } });
    assert.equal(json.node_errors[1].errors[0].type, 'bad_linked_input');
    assert.equal(submits(comfyui).length, 0);
});
test('comfyui: leaving the queue, interrupt, a failure', async () => {
    prepare(comfyui, { settings: { queue_ms: 60_000 } });
    const waiting = (await comfy.queuePrompt(0, graph())).prompt_id;
    await talk(comfyui, 'POST', '/queue', { key: null, body: { delete: [waiting] } });
    assert.deepEqual([(await comfy.getQueue()).queue_pending, await comfy.getHistory(waiting)], [[], undefined]);
    prepare(comfyui, { settings: LONG });
    const [first, second] = [(await comfy.queuePrompt(0, graph())).prompt_id, (await comfy.queuePrompt(0, graph())).prompt_id];
    await talk(comfyui, 'POST', '/interrupt', { key: null, body: { prompt_id: second } });
    assert.equal((await comfy.getHistory(second)).status.messages.at(-1)[0], 'execution_interrupted');
    assert.equal(await comfy.getHistory(first), undefined);
    await comfy.interrupt();
    assert.equal((await comfy.getHistory(first)).status.status_str, 'error');
    prepare(comfyui);
    const { prompt_id: id } = await comfy.queuePrompt(0, graph('[sim:fail]'));
    const { status } = await until('the failure', () => comfy.getHistory(id), LIMIT);
    assert.equal(status.messages.at(-1)[0], 'execution_error');
});

// ---- Kling

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
function token({ iss = 'sim-access', secret = 'sim-secret', from = -5, until: end = 1800, alg = 'HS256' } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const said = `${encode({ alg, typ: 'JWT' })}.${encode({ iss, exp: now + end, nbf: now + from })}`;
    return `${said}.${createHmac('sha256', secret).update(said).digest('base64url')}`;
}

test('kling: create, poll by both ids, the video', async () => {
    prepare(kling);
    const body = { model_name: 'kling-v2-6', prompt: 'a boat', duration: '10', mode: 'pro', aspect_ratio: '9:16', external_task_id: 'ours-1' };
    const { json } = await talk(kling, 'POST', '/v1/videos/text2video', { key: token(), body });
    assert.deepEqual([json.code, json.message, json.data.task_status], [0, 'SUCCEED', 'submitted']);
    assert.match(json.data.task_id, /^\d{18}$/);
    const done = await until('the video', async () => {
        const { data } = (await talk(kling, 'GET', `/v1/videos/text2video/${json.data.task_id}`, { key: token() })).json;
        return data.task_status === 'succeed' && data;
    }, LIMIT);
    assert.deepEqual([done.task_result.videos[0].duration, done.task_info], ['10.0', { external_task_id: 'ours-1' }]);
    isVideo((await talk(kling, 'GET', done.task_result.videos[0].url, { key: null })).bytes);
    assert.equal((await talk(kling, 'GET', '/v1/videos/text2video/ours-1', { key: token() })).json.data.task_id, done.task_id);
    assert.equal((await talk(kling, 'GET', `/v1/videos/text2video/${done.task_id}`)).status, 404, 'a job of another key');
    assert.equal((await talk(kling, 'GET', `/v1/videos/image2video/${done.task_id}`)).status, 404);
    assert.equal(submits(kling)[0].correlation, 'ours-1');
});
test('kling: who may come in', async () => {
    prepare(kling, { settings: LONG });
    const body = { prompt: 'a' };
    const bad = { 1001: null, 1002: token({ alg: 'none' }), 1000: token({ secret: 'other' }), 1003: token({ from: 60 }), 1004: token({ until: -60 }) };
    for (const [code, key] of Object.entries(bad)) {
        const { status, json } = await talk(kling, 'POST', '/v1/videos/text2video', { key, body });
        assert.deepEqual([status, json.code], [401, Number(code)]);
    }
    assert.equal((await talk(kling, 'POST', '/v1/videos/text2video', { key: token({ iss: 'nobody' }), body })).status, 401);
    const keys = [token(), token({ iss: 'sim-access-2', secret: 'sim-secret-2' })];
    const two = await Promise.all(keys.map((key) => talk(kling, 'POST', '/v1/videos/text2video', { key, body })));
    assert.deepEqual(two.map(({ status }) => status), [200, 200]);
    assert.notEqual(...submits(kling).map((entry) => entry.credential));
});
test('kling: wrong fields, too many at once', async () => {
    prepare(kling, { settings: { ...LONG, slots: 1 } });
    const ask = async (kind, body) => {
        const { status, json } = await talk(kling, 'POST', `/v1/videos/${kind}`, { body });
        return [status, json.code];
    };
    assert.deepEqual(await ask('text2video', { prompt: 'a', duration: 5 }), [400, 1201]);
    assert.deepEqual(await ask('image2video', { prompt: 'a' }), [400, 1201]);
    assert.deepEqual(await ask('image2video', { image: 'data:image/png;base64,aaaa' }), [400, 1201]);
    assert.deepEqual(await ask('image2video', { image: PIXEL.toString('base64') }), [200, 0]);
    assert.deepEqual(await ask('text2video', { prompt: 'a' }), [429, 1303]);
});

// ---- the unified format

const create = (prompt, options = {}) => talk(unified, 'POST', '/v1/video/create', { body: { model: 'sora-2', prompt, images: [] }, ...options });
const query = (id) => talk(unified, 'GET', `/v1/video/query?id=${encodeURIComponent(id)}`);
const unifiedEnd = (id) => until('the task', async () => {
    const { json } = await query(id);
    return ['completed', 'failed'].includes(json.status) && json;
}, LIMIT);

for (const dialect of ['sora', 'veo', 'grok'])
    test(`unified: ${dialect}`, async () => {
        prepare(unified, { settings: { ...STEADY, dialect } });
        const { json } = await create('a boat');
        assert.equal(json.status, dialect === 'grok' ? 'processing' : 'pending');
        assert.equal(json.status_update_time > 1e12, dialect !== 'grok');
        const early = (await query(json.id)).json;
        assert.equal(early.id, json.id);
        assert.equal(early.video_url ?? null, null);
        const done = await unifiedEnd(json.id);
        isVideo((await talk(unified, 'GET', done.video_url, { key: null })).bytes);
        const failed = await unifiedEnd((await create('[sim:fail]')).json.id);
        assert.equal(failed.status, 'failed');
    });
test('unified: numbers that JavaScript cannot hold', async () => {
    prepare(unified, { settings: { numeric_ids: true } });
    const { bytes } = await create('a boat');
    const [, id] = /"task_id":(\d{19})[,}]/.exec(bytes.toString());
    assert.notEqual(String(Number(id)), id);
    assert.match((await query(id)).bytes.toString(), new RegExp(`^\\{"id":${id},`));
});
test('unified: both kinds of errors', async () => {
    prepare(unified);
    assert.deepEqual(await query('none').then(({ status, json }) => [status, json.code]), [400, 'task_not_exist']);
    assert.equal((await create('a', { key: 'no' })).json.error.type, 'new_api_error');
    assert.equal((await create('')).json.code, 'invalid_request');
});

// ---- what tests lean on

test('a body that is none is the vendor\'s own 400', async () => { // of those that have no vendor-NAME.test.js, which asks the same
    const targets = {
        unified: '/v1/video/create', 'openai-videos': '/v1/videos', fal: '/fal-ai/veo3', 'gemini-omni': '/v1beta/interactions',
        'kling-legacy': '/v1/videos/text2video', comfyui: '/prompt',
    };
    for (const [name, target] of Object.entries(targets)) {
        prepare(simulators[name]);
        const headers = { authorization: `${name === 'fal' ? 'Key' : 'Bearer'} ${KEY}`, 'x-goog-api-key': KEY };
        for (const body of BAD_BODIES)
            assert.equal((await talk(simulators[name], 'POST', target, { key: null, headers, body })).status, 400, `${name} ${body}`);
        const form = { ...headers, 'content-type': 'multipart/form-data; boundary=x' };
        const body = '--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\ncut';
        const cut = await talk(simulators[name], 'POST', name === 'comfyui' ? '/upload/image' : target, { key: null, headers: form, body });
        assert.equal(cut.status, 400, name);
        assert.equal(submits(simulators[name]).length, 0);
    }
});

test('an answer that is lost was accepted, and is in the file', async () => {
    prepare(unified);
    const ways = { reset: 'rejects', close: 'rejects', truncate: 'rejects', '5xx': 502, not_json: 200 };
    for (const [way, outcome] of Object.entries(ways)) {
        const asked = create(`lost by [sim:lost=${way}]`);
        if (outcome === 'rejects') await assert.rejects(asked, way);
        else assert.equal((await asked).status, outcome);
    }
    await assert.rejects(create('[sim:lost=hang]', { signal: AbortSignal.timeout(200) }));
    const lines = fs.readFileSync(path.join(folder, 'unified.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    for (const way of [...Object.keys(ways), 'hang'])
        assert.equal(lines.filter(({ event, prompt }) => event === 'submit' && prompt.includes(`=${way}]`)).length, 1, way);
    assert.deepEqual(unified.stats().twice, []);
    await create('the same');
    const again = await create('the same');
    const [{ subject, jobs }] = unified.stats().twice;
    assert.deepEqual([subject, jobs.length, jobs[1]], ['the same', 2, again.json.id]);
});
test('what is refused, reset or left hanging before is not accepted', async () => {
    prepare(unified, { rules: [
        { on: 'submit', match: { prompt: 'one' }, do: { status: 503, headers: { 'retry-after': '7' } } },
        { on: 'submit', match: { prompt: 'two' }, do: { reset: true } },
        { on: 'submit', match: { prompt: 'three' }, do: { hang: true } },
        { on: 'submit', match: { credential: 'sim-key-9' }, do: { status: 402, body: { any: 1 } } },
    ] });
    const { status, headers } = await create('one');
    assert.deepEqual([status, headers.get('retry-after')], [503, '7']);
    await assert.rejects(create('two'));
    await assert.rejects(create('three', { signal: AbortSignal.timeout(200) }));
    assert.deepEqual(await create('four', { key: 'sim-key-9' }).then((answer) => [answer.status, answer.json]), [402, { any: 1 }]);
    assert.equal(submits(unified).length, 0);
});
test('rules count, and the first of two counts most', async () => {
    prepare(unified, { rules: [
        { on: 'submit', after: 1, times: 2, do: { status: 429 } },
        { on: 'submit', after: 2, do: { status: 500 } },
    ] });
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await create(`${i}`)).status);
    assert.deepEqual(statuses, [200, 429, 429, 500, 500]);
});
test('chances and times repeat with their seed', async () => {
    const draw = async () => {
        prepare(unified, { rules: [{ on: 'submit', chance: 0.5, do: { status: 500 } }] });
        const statuses = [];
        for (let i = 0; i < 24; i++) statuses.push((await create('a')).status);
        return statuses;
    };
    const first = await draw();
    assert.deepEqual(await draw(), first);
    assert.deepEqual([...new Set(first)].sort(), [200, 500]);
    const dice = new Dice(7);
    const times = Array.from({ length: 2001 }, () => dice.time({ median: 1000, sigma: 0.5 })).sort((a, b) => a - b);
    assert.ok(Math.abs(times[1000] - 1000) < 50, `the median is ${times[1000]}`);
    assert.ok(Math.abs(times[1682] - 1000 * Math.exp(0.5)) < 120, `one sigma above is ${times[1682]}`);
});
test('polls: late, gone, a strange word, an end, no JSON', async () => {
    prepare(unified, { settings: LONG });
    const say = async (prompt) => (await create(prompt)).json.id;
    const late = await say('[sim:late=2]');
    assert.deepEqual([(await query(late)).status, (await query(late)).status, (await query(late)).status], [400, 400, 200]);
    assert.equal((await query(await say('[sim:gone]'))).status, 400);
    assert.equal((await query(await say('[sim:word=dreaming]'))).json.status, 'dreaming');
    const id = await say('a');
    prepare(unified, { rules: [{ on: 'poll', times: 1, do: { not_json: true } }, { on: 'poll', after: 1, do: { moderate: true } }] });
    assert.equal((await query(id)).headers.get('content-type'), 'text/html');
    assert.equal((await query(id)).json.error.code, 'moderation_blocked');
    assert.equal(unified.stats().polls, 2);
});
test('results: ranges, a dead link that a poll renews, another origin, a break', async () => {
    prepare(unified);
    const { id } = (await create('a [sim:expired]')).json;
    const dead = (await unifiedEnd(id)).video_url;
    assert.equal((await talk(unified, 'GET', dead)).status, 403);
    const url = (await query(id)).json.video_url;
    assert.notEqual(url, dead);
    const { bytes } = await talk(unified, 'GET', url);
    for (const [range, from, to] of [['0-9', 0, 10], ['100-', 100, undefined], ['-7', -7, undefined]]) {
        const part = await talk(unified, 'GET', url, { headers: { range: `bytes=${range}` } });
        assert.deepEqual([part.status, part.bytes], [206, bytes.subarray(from, to)]);
    }
    assert.equal((await talk(unified, 'GET', url, { headers: { range: 'bytes=999999-' } })).status, 416);
    assert.equal((await talk(unified, 'HEAD', url)).headers.get('content-length'), `${bytes.length}`);
    assert.ok(unified.told('download').entries.every(({ credential }) => credential !== null), 'a key that came along is told');
    const rules = [{ on: 'result', times: 1, do: { truncate: true } }, { on: 'result', after: 1, times: 1, do: { redirect: true } }];
    assert.equal(unified.program({ rules }), null);
    await assert.rejects(talk(unified, 'GET', url));
    assert.equal((await talk(unified, 'GET', url, { redirect: 'manual' })).headers.get('location').startsWith(unified.otherUrl), true);
});
test('a script with a mistake is refused, a good one is told', async () => {
    prepare(unified);
    const post = (body) => talk(unified, 'POST', '/_sim/script', { key: null, body });
    for (const wrong of [{ rules: 1 }, { rules: [{ on: 'submit' }] }, { rules: [{ on: 'create', do: {} }] }, { rules: [{ on: 'poll', do: { stauts: 1 } }] },
        { rules: [{ on: 'poll', do: { accept_then: 'x' } }] }, { settings: { speed: 1 } }, '{']) {
        const { status, json } = await post(wrong);
        assert.equal(status, 400, JSON.stringify(wrong));
        assert.equal(typeof json.error, 'string');
    }
    assert.equal((await create('[sim:typo]')).status, 400);
    assert.equal((await post({ rules: [{ on: 'cancel', do: { status: 500 } }], settings: { duration_ms: { median: 10, sigma: 1 } } })).status, 200);
    assert.deepEqual((await talk(unified, 'GET', '/_sim', { key: null })).json.settings.duration_ms, { median: 10, sigma: 1 });
    await create('kept');
    assert.equal((await talk(unified, 'GET', '/_sim/ledger', { key: null })).json.entries.at(-1).prompt, 'kept');
    assert.equal((await talk(unified, 'POST', '/_sim/reset', { key: null })).status, 200);
    assert.deepEqual((await talk(unified, 'GET', '/_sim/ledger?event=submit', { key: null })).json.entries, []);
    assert.ok(fs.readFileSync(path.join(folder, 'unified.jsonl'), 'utf8').includes('"kept"'), 'the file keeps all');
});

test('the servers ended well', async () => {
    await simulators.close();
    await endedWell();
});
