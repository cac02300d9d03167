// SPDX-License-Identifier: Apache-2.0
//
// OpenRouter's video jobs. What a comment calls «wire» is what the npm SDK 1.3.19 sends and takes, «sdk» its types,
// «documented» the vendor's pages, «report» what others saw it answer; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'pending', rendering: 'in_progress', completed: 'completed', failed: 'failed', cancelled: 'cancelled' }; // sdk
const RATIOS = ['16:9', '9:16', '1:1', '4:3', '3:4', '3:2', '2:3', '21:9', '9:21']; // sdk
const RESOLUTIONS = ['360p', '480p', '720p', '768p', '1080p', '1K', '2K', '4K']; // sdk

const TEXTS = {
    400: 'Invalid input', 401: 'No cookie auth credentials found', 402: 'Insufficient credits', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
    408: 'Request timed out', 409: 'The video is not ready', 410: 'Gone', 413: 'Payload too large', 429: 'Rate limit exceeded', 502: 'Provider returned error',
    503: 'No available model provider meets your routing requirements',
};

// {error: {code (the status), message, metadata}}: sdk, documented.
function problem(status, { message, metadata } = {}) {
    return { json: { error: { code: status, message: message ?? TEXTS[status] ?? 'Internal Server Error', ...(metadata === undefined ? {} : { metadata }) } } };
}

const wrong = (sim, message, metadata) => sim.refuse(400, { message, metadata });

// A few of its models, as its list told them in October 2026: report.
const BOTH = ['first_frame', 'last_frame'];
const range = (least, most) => Array.from({ length: most - least + 1 }, (_, index) => least + index);
const MODELS = {
    'google/veo-3.1': { durations: [4, 6, 8], resolutions: ['720p', '1080p', '4K'], ratios: ['16:9', '9:16'], frames: BOTH, cents: 40 },
    'bytedance/seedance-2.0-mini': { durations: range(4, 15), resolutions: ['480p', '720p'], ratios: ['1:1', '3:4', '9:16', '4:3', '16:9', '21:9', '9:21'], frames: BOTH, cents: 3 },
    'x-ai/grok-imagine-video': { durations: range(1, 15), resolutions: ['480p', '720p'], ratios: ['16:9', '9:16', '1:1', '4:3', '3:4', '3:2', '2:3'], frames: ['first_frame'], cents: 5 },
};

// {data: [{id, supported_…, pricing_skus, …}]}, without a key: wire, report.
function models() {
    const data = Object.entries(MODELS).map(([id, { durations, resolutions, ratios, frames, cents }]) => ({
        id, canonical_slug: `${id}-20261001`, name: id, created: 1790000000, allowed_passthrough_parameters: [], creativity: null, upscale_factor: null,
        generate_audio: true, seed: true, hugging_face_id: null, supported_durations: durations, supported_resolutions: resolutions, supported_aspect_ratios: ratios,
        supported_frame_images: frames, supported_sizes: null, pricing_skus: { duration_seconds: `${cents / 100}` },
    }));
    return { json: { data } };
}

// {type: "image_url", image_url: {url}} with a URL or a data URI: wire, report.
function checkPicture(sim, where, one) {
    if (one?.type !== 'image_url') throw wrong(sim, `Invalid input: ${where}.type must be image_url`);
    if (typeof one.image_url?.url !== 'string' || !/^(https?:\/\/|data:image\/)/.test(one.image_url.url)) throw wrong(sim, `Invalid reference URL: ${where}.image_url.url`);
}

function checkPictures(sim, { frame_images: frames = [], input_references: references = [] }, model) {
    if (!Array.isArray(frames) || !Array.isArray(references)) throw wrong(sim, 'Invalid input: frame_images and input_references must be arrays');
    frames.forEach((one, index) => {
        checkPicture(sim, `frame_images[${index}]`, one);
        if (!BOTH.includes(one.frame_type)) throw wrong(sim, `Invalid input: frame_images[${index}].frame_type must be first_frame or last_frame`);
        if (!model.frames.includes(one.frame_type)) throw wrong(sim, `${one.frame_type} is not supported for this model`); // documented: out of the model's set is a 400
    });
    if (new Set(frames.map((one) => one.frame_type)).size !== frames.length) throw wrong(sim, 'Invalid input: each frame_type at most once'); // ours
    references.forEach((one, index) => checkPicture(sim, `input_references[${index}]`, one));
}

const supported = (sim, value, what, list, unit = '') => {
    const metadata = { failed_routing_step: 'Validate Video Parameters' };
    if (value !== undefined && !list.includes(value)) throw wrong(sim, `${what} ${value}${unit} is not supported for this model. Supported: ${list.join(', ')}${unit}`, metadata); // report
};

function check(sim, body) {
    const { model: name, prompt, duration, resolution, aspect_ratio: ratio, seed, callback_url: callback } = body;
    if (typeof name !== 'string') throw wrong(sim, 'Invalid input: model is required');
    if (typeof prompt !== 'string' || prompt === '') throw wrong(sim, 'Invalid input: prompt is required'); // these models need one
    if (duration !== undefined && !(Number.isInteger(duration) && duration >= 1)) throw wrong(sim, 'Invalid input: duration must be a whole number');
    if (resolution !== undefined && !RESOLUTIONS.includes(resolution)) throw wrong(sim, `Invalid input: resolution must be one of ${RESOLUTIONS.join(', ')}`);
    if (ratio !== undefined && !RATIOS.includes(ratio)) throw wrong(sim, `Invalid input: aspect_ratio must be one of ${RATIOS.join(', ')}`);
    if (seed !== undefined && !Number.isInteger(seed)) throw wrong(sim, 'Invalid input: seed must be a whole number');
    if (callback !== undefined && !/^https:\/\//.test(callback)) throw wrong(sim, 'Invalid input: callback_url must be an HTTPS URL'); // sdk: «must be HTTPS»
    const model = Object.hasOwn(MODELS, name) ? MODELS[name] : null;
    if (model === null) throw sim.refuse(404, { message: `No endpoints found for ${name}.` }); // report, of other calls
    supported(sim, duration, 'Duration', model.durations, 's');
    supported(sim, resolution, 'Resolution', model.resolutions);
    supported(sim, ratio, 'Aspect ratio', model.ratios);
    checkPictures(sim, body, model);
    return model;
}

const newId = () => {
    const tail = [...randomBytes(20)].map((byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'[byte % 62]).join('');
    return `gen-vid-${Math.floor(Date.now() / 1000)}-${tail}`; // sdk
};

const pollingUrl = (sim, job) => `${sim.url}/api/v1/videos/${job.id}`; // absolute: report

// 202 {id, polling_url, status: "pending"}: wire.
async function create(sim, call) {
    const body = call.json();
    const model = check(sim, body);
    const wish = { cost: ((body.duration ?? model.durations[0]) * model.cents) / 100, shape: body.aspect_ratio ?? '16:9', isExpired: false };
    const job = await sim.accept(call, { id: newId(), model: body.model, prompt: body.prompt, wish });
    return { status: 202, json: { id: job.id, polling_url: pollingUrl(sim, job), status: 'pending' } };
}

// «expired: job exceeded maximum time to live»: documented.
function settle(sim, job) {
    const { ttl_ms: life } = sim.settings;
    if (life === null || job.isOver || Date.now() < job.created + life) return;
    job.cancelledAt = job.created + life;
    job.wish.isExpired = true;
}

const contentUrl = (sim, job) => `${pollingUrl(sim, job)}/content?index=0`;

// What an end adds: unsigned_urls and usage, or error (a text): wire.
function endOf(sim, job) {
    if (job.wish.isExpired) return { error: 'Job exceeded maximum time to live' };
    if (job.outcome === 'moderated') return { error: 'The request was blocked by the content policy of the provider' };
    if (job.outcome === 'failed') return { error: 'Provider returned error' };
    if (job.state() !== 'completed') return {};
    return { unsigned_urls: job.outcome === 'no-video' ? [] : [contentUrl(sim, job)], usage: { cost: job.wish.cost, is_byok: false } };
}

async function poll(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: `Job ${call.params.id} not found` }); // report
    settle(sim, job);
    const status = call.word ?? (job.wish.isExpired ? 'expired' : WORDS[job.state()]);
    const head = { id: job.id, generation_id: job.id, polling_url: pollingUrl(sim, job), status }; // generation_id is the id: report
    return { json: job.isOver ? { ...head, ...endOf(sim, job) } : head };
}

// video/mp4 with the key, no redirect, Range is passed over: report. What it says of a job under way is ours (409: sdk).
async function content(sim, call) {
    const job = sim.own(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: `Job ${call.params.id} not found` });
    if (job.state() !== 'completed') throw sim.refuse(409);
    const count = job.outcome === 'no-video' ? 0 : 1;
    const index = Number(call.query.get('index') ?? 0);
    if (!(index < count)) throw wrong(sim, `Video index ${index} out of range (${count} videos available)`); // report
    delete call.headers.range;
    return sim.deliver(call, job);
}

export const openrouter = {
    name: 'openrouter',
    place: 19,
    base: '/api/v1',
    renews: true, // the bytes come through it: what the provider's link does is not seen
    problem,
    settings: {
        ttl_ms: null, // a job that is under way after that has expired
    },
    authorise(call, sim) {
        if (call.url.pathname === '/api/v1/videos/models') return null; // report
        if (call.headers.authorization === undefined) throw sim.refuse(401);
        const key = keyIn(call.headers.authorization, 'Bearer'); // wire
        if (isKnownKey(key)) return key;
        throw sim.refuse(401, { message: 'User not found.' }); // report
    },
    routes: (sim) => [
        ['GET /api/v1/videos/models', 'list', () => models()],
        ['POST /api/v1/videos', 'submit', (call) => create(sim, call)],
        ['GET /api/v1/videos/:id', 'poll', (call) => poll(sim, call)],
        ['GET /api/v1/videos/:id/content', 'content', (call) => content(sim, call)],
    ],
};
