// SPDX-License-Identifier: Apache-2.0
//
// Luma's Agents API, the newer of two: one path for all kinds of generations, of which only videos are made here. What a
// comment calls «documented» is in the vendor's pages, «third-party» in those of relays that serve the model; «ours» is
// not established. There is no client of the vendor to hold it against.
import { randomUUID } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';

const VERSION = '2026-04-01'; // of the answers, documented
const WORDS = { pending: 'queued', rendering: 'processing', completed: 'completed', failed: 'failed', cancelled: 'failed' }; // documented
const RATIOS = ['9:16', '3:4', '1:1', '4:3', '16:9', '21:9']; // documented
const RESOLUTIONS = ['360p', '540p', '720p', '1080p']; // 360p: third-party
const DURATIONS = ['5s', '10s'];
const FIELDS = ['model', 'type', 'prompt', 'aspect_ratio', 'video', 'user_id']; // of the type video
const VIDEO = ['resolution', 'duration', 'start_frame', 'end_frame', 'keyframes', 'keyframe_indexes', 'loop', 'hdr', 'exr_export'];
const MAX_PROMPT = 6000; // third-party
const LIFE_MS = 3_600_000; // of a link: documented
const RETRY_AFTER = { rate: '2', jobs: '5' }; // seconds; the header is documented, its values are ours

const TEXTS = {
    401: 'Invalid API key', 402: 'Insufficient balance', 403: 'Client is suspended', 404: 'Not found', 405: 'Method Not Allowed', 413: 'Image exceeds 50 MB',
    502: 'Upstream service unavailable', 503: 'Image ingestion unavailable',
};

// {detail: text}; 429 has two of them: documented.
function problem(status, { message, isParallel = false } = {}) {
    const headers = { 'x-api-version': VERSION };
    if (status === 429) {
        headers['retry-after'] = isParallel ? RETRY_AFTER.jobs : RETRY_AFTER.rate;
        return { headers, json: { detail: isParallel ? 'Too many concurrent jobs' : 'Rate limit exceeded' } };
    }
    return { headers, json: { detail: message ?? TEXTS[status] ?? (status < 500 ? 'Bad request' : 'Internal server error') } };
}

const wrong = (sim, message) => sim.refuse(400, { message }); // a parameter
const clash = (sim, message) => sim.refuse(422, { message }); // parameters together, or bad media

// Exactly one of url, data (base64) with media_type, generation_id: documented.
function checkImage(sim, call, name, image) {
    if (image === undefined) return;
    const { url, data, generation_id: id, media_type: type } = image ?? {};
    if ([url, data, id].filter((one) => one !== undefined).length !== 1) throw wrong(sim, `${name} needs exactly one of url, data and generation_id`);
    if (url !== undefined && !/^https?:\/\/\S+$/.test(url)) throw clash(sim, `${name}: the URL cannot be fetched`);
    if (id !== undefined && sim.own(call, id) === null) throw wrong(sim, `${name} is no generation of yours`);
    if (data === undefined) return;
    if (!/^image\/(png|jpeg|webp)$/.test(type ?? '')) throw wrong(sim, `${name}: data needs a media_type`);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(data)) throw clash(sim, `${name}: invalid base64`);
}

function checkKeyframes(sim, call, { keyframes, keyframe_indexes: indexes }) {
    if (keyframes === undefined && indexes === undefined) return;
    if (!(keyframes?.length >= 1 && keyframes.length <= 64 && indexes?.length === keyframes.length)) throw clash(sim, 'keyframes and keyframe_indexes must fit each other');
    for (const image of keyframes) checkImage(sim, call, 'keyframes', image);
}

function checkVideo(sim, call, video) {
    const { resolution = '720p', duration = '5s', start_frame: start, end_frame: end, loop = false, hdr = false, exr_export: exr = false } = video;
    for (const name of Object.keys(video)) if (!VIDEO.includes(name)) throw wrong(sim, `there is no video.${name}`); // ours
    if (!RESOLUTIONS.includes(resolution)) throw wrong(sim, `video.resolution must be one of ${RESOLUTIONS.join(', ')}`);
    if (!DURATIONS.includes(duration)) throw wrong(sim, `video.duration must be one of ${DURATIONS.join(', ')}`);
    checkImage(sim, call, 'video.start_frame', start);
    checkImage(sim, call, 'video.end_frame', end);
    checkKeyframes(sim, call, video);
    if (duration === '10s' && (start ?? end) !== undefined) throw clash(sim, 'duration 10s is not supported with start_frame or end_frame'); // third-party
    if (duration === '10s' && (loop || hdr)) throw clash(sim, 'duration 10s is not supported with loop or hdr'); // third-party
    if (loop && end !== undefined) throw clash(sim, 'loop is not supported with end_frame'); // third-party
    if (hdr && !['720p', '1080p'].includes(resolution)) throw clash(sim, 'hdr needs 720p or 1080p'); // third-party
    if (exr && !hdr) throw clash(sim, 'exr_export needs hdr'); // third-party
}

function check(sim, call, body) {
    const { model, type, prompt, aspect_ratio: ratio = '16:9', video = {} } = body;
    for (const name of Object.keys(body)) if (!FIELDS.includes(name)) throw wrong(sim, `there is no field ${name}`); // ours
    if (model !== 'ray-3.2' || type !== 'video') throw wrong(sim, 'only videos by ray-3.2 are made here'); // ours
    if (typeof prompt !== 'string' || prompt === '' || prompt.length > MAX_PROMPT) throw wrong(sim, `prompt must be a text of 1 to ${MAX_PROMPT} characters`);
    if (!RATIOS.includes(ratio)) throw wrong(sim, `aspect_ratio must be one of ${RATIOS.join(', ')}`);
    checkVideo(sim, call, video);
}

// {id, created_at, model, state, type, output, failure_code, failure_reason}: documented.
function generationOf(sim, call, job) {
    const state = job.state();
    const generation = { id: job.id, created_at: new Date(job.created).toISOString(), model: job.model, state: call.word ?? WORDS[state], type: 'video' };
    if (state === 'completed') generation.output = job.outcome === 'no-video' ? [] : [{ type: 'video', url: sim.link(job, call) }];
    if (state !== 'failed') return generation;
    const isModerated = job.outcome === 'moderated';
    generation.failure_code = isModerated ? 'content_moderated' : 'generation_failed';
    generation.failure_reason = isModerated ? 'The prompt violates the content guidelines' : 'Internal model error';
    return generation;
}

// 201, with what is left of the minute: documented. Here nobody counts.
async function create(sim, call) {
    const body = call.json();
    check(sim, call, body);
    const job = await sim.accept(call, { id: randomUUID(), model: body.model, prompt: body.prompt, wish: { body, shape: body.aspect_ratio ?? '16:9' } });
    const headers = { 'x-api-version': VERSION, 'x-ratelimit-limit': '30', 'x-ratelimit-remaining': '29' };
    return { status: 201, headers, json: generationOf(sim, call, job) };
}

async function get(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: 'Generation not found' });
    return { headers: { 'x-api-version': VERSION }, json: generationOf(sim, call, job) };
}

export const lumaAgents = {
    name: 'luma-agents',
    place: 13,
    base: '/v1',
    renews: true, // a poll signs the link anew: documented
    problem,
    settings: { link_life_ms: LIFE_MS },
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer');
        if (isKnownKey(key)) return key;
        throw sim.refuse(401);
    },
    // Neither a list nor a cancel: documented.
    routes: (sim) => [
        ['POST /v1/generations', 'submit', (call) => create(sim, call)],
        ['GET /v1/generations/:id', 'poll', (call) => get(sim, call)],
    ],
};
