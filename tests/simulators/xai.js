// SPDX-License-Identifier: Apache-2.0
//
// Grok Imagine video of xAI: a request is asked for by its id, with 202 while it works, and cannot be cancelled. What a
// comment calls «wire» is what @ai-sdk/xai 3.0.138 (npm) sends, «sdk» its types and those of 5.0.12, «third-party» the
// vendor's reference as others print it and what public gateways were answered; «ours» is not established.
import { randomUUID } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';

const MODELS = /^grok-imagine-video(-1\.5)?(-lite|-preview)?$/; // sdk, third-party
const RATIOS = ['1:1', '16:9', '9:16', '4:3', '3:4', '3:2', '2:3']; // third-party
const RESOLUTIONS = ['480p', '720p', '1080p']; // wire
const MAX_PROMPT = 4096; // third-party
const TICKS = { '480p': 800_000_000, '720p': 1_400_000_000, '1080p': 2_500_000_000 }; // a second; 10^10 are a dollar: third-party

// {code, error}, both sentences: sdk. What the code of a status is: third-party.
const INVALID = 'Client specified an invalid argument';
const CODES = {
    400: INVALID, 401: 'Unauthenticated', 402: 'Some resource has been exhausted',
    403: 'The caller does not have permission to execute the specified operation',
    404: 'Some requested entity was not found', 422: INVALID, 429: 'Some resource has been exhausted',
};
function problem(status, { code, message, isParallel = false } = {}) {
    const error = message ?? (isParallel ? 'Too many requests are under way.' : 'The request was refused.');
    return { json: { code: code ?? CODES[status] ?? (status < 500 ? INVALID : 'Internal error'), error } };
}

const wrong = (sim, message) => sim.refuse(400, { message });

// {url}: an address or a data URI: wire; or {file_id}: sdk.
function checkMedium(sim, name, medium) {
    if (medium === undefined) return;
    const isKnown = typeof medium?.file_id === 'string' || (typeof medium?.url === 'string' && /^(https?:\/\/|data:\w+\/\w+;base64,)/.test(medium.url));
    if (!isKnown) throw wrong(sim, `${name} must be a group with a URL or a data URI`);
}

function checkImages(sim, { image, last_frame: last, reference_images: references, resolution, duration = 8 }, model) {
    checkMedium(sim, 'image', image);
    checkMedium(sim, 'last_frame', last);
    if (last !== undefined && (image === undefined || !/1\.5/.test(model) || /lite/.test(model))) throw wrong(sim, 'last_frame is not supported'); // sdk, ours
    if (references === undefined) return;
    if (!Array.isArray(references) || references.length < 1 || references.length > 7) throw wrong(sim, 'reference_images must be 1 to 7 images'); // sdk
    for (const reference of references) checkMedium(sim, 'reference_images', reference);
    if (image !== undefined || last !== undefined) throw wrong(sim, 'image and reference_images cannot be combined'); // third-party
    if (resolution === '1080p') throw wrong(sim, '1080p is not supported with reference_images'); // sdk
    if (duration > 10) throw wrong(sim, 'duration must be at most 10 with reference_images'); // third-party
}

// What is made when nothing is said (8 seconds, 480p), and that it is charged: third-party.
function check(sim, body) {
    const { model = 'grok-imagine-video', prompt, duration = 8, aspect_ratio: ratio = '16:9', resolution = '480p', image } = body;
    if (!MODELS.test(model)) throw sim.refuse(404, { message: `The model ${model} does not exist.` });
    if (image === undefined && (typeof prompt !== 'string' || prompt === '')) throw wrong(sim, 'prompt is required'); // without an image: third-party
    if ((prompt ?? '').length > MAX_PROMPT) throw wrong(sim, `prompt must be at most ${MAX_PROMPT} characters`);
    if (!Number.isInteger(duration) || duration < 1 || duration > 15) throw wrong(sim, 'duration must be between 1 and 15');
    if (!RATIOS.includes(ratio)) throw wrong(sim, `aspect_ratio must be one of ${RATIOS.join(', ')}`);
    if (!RESOLUTIONS.includes(resolution)) throw wrong(sim, `resolution must be one of ${RESOLUTIONS.join(', ')}`);
    if (resolution === '1080p' && (!/1\.5/.test(model) || /lite/.test(model))) throw wrong(sim, '1080p is not supported by this model'); // wire, third-party
    checkImages(sim, body, model);
    return { shape: ratio, resolution, duration };
}

async function take(sim, call, body, wish) {
    const job = await sim.accept(call, {
        id: randomUUID(), model: body.model ?? 'grok-imagine-video', prompt: body.prompt ?? '', correlation: body.user ?? null, wish,
    });
    return { json: { request_id: job.id } }; // nothing else: wire
}

function generate(sim, call) {
    const body = call.json();
    return take(sim, call, body, check(sim, body));
}

// Edits keep the length of the video that they are given; extensions have one of 2 to 10 seconds: sdk.
function change(sim, call, isExtension) {
    const body = call.json();
    const { prompt, video, duration = 6 } = body;
    if (video === undefined) throw wrong(sim, 'video is required');
    checkMedium(sim, 'video', video);
    if (typeof prompt !== 'string' || prompt === '') throw wrong(sim, 'prompt is required');
    if (isExtension && !(Number.isInteger(duration) && duration >= 2 && duration <= 10)) throw wrong(sim, 'duration must be between 2 and 10');
    return take(sim, call, body, { shape: '16:9', resolution: '720p', duration });
}

// 202, with a word and progress or with nothing, while it works: wire, sdk.
async function query(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: 'The request does not exist.' });
    const { model } = job;
    if (call.word !== null) return { json: { status: call.word, progress: 1, model } };
    if (job.state() === 'failed' && job.outcome === 'failed')
        return { json: { status: 'failed', model, error: { code: 'internal_error', message: 'The video could not be generated.' } } };
    if (job.isOver) return doneOf(sim, call, job);
    if (!sim.settings.pending_body) return { status: 202, text: '' };
    return { status: 202, json: { status: 'pending', progress: Math.floor(job.progress() * 100), model } };
}

// A video that was moderated is done with a flag, or answers as an error, and costs all the same: sdk, third-party.
function doneOf(sim, call, job) {
    const { model, wish: { duration, resolution } } = job;
    const usage = { cost_in_usd_ticks: TICKS[resolution] * duration };
    if (job.outcome === 'moderated' && sim.settings.moderates_by_error)
        return { status: 400, json: { code: INVALID, error: 'Generated video rejected by content moderation.', usage } };
    const isGood = job.outcome !== 'moderated';
    const video = { url: isGood ? sim.link(job, call) : '', duration, respect_moderation: isGood };
    return { json: { status: 'done', progress: 100, model, usage, video: job.outcome === 'no-video' ? null : video } };
}

export const xai = {
    name: 'xai',
    place: 18,
    base: '/v1',
    renews: false, // an address is «temporary»: third-party
    problem,
    settings: {
        pending_body: true, // false: 202 has an empty body
        moderates_by_error: false, // true: a moderated video answers with 400
    },
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // wire
        if (isKnownKey(key)) return key;
        if (key === null) throw sim.refuse(401, { message: 'No credentials were given.' });
        throw sim.refuse(400, { message: 'Incorrect API key provided.' }); // 400: third-party
    },
    routes: (sim) => [
        ['POST /v1/videos/generations', 'submit', (call) => generate(sim, call)],
        ['POST /v1/videos/edits', 'submit', (call) => change(sim, call, false)],
        ['POST /v1/videos/extensions', 'submit', (call) => change(sim, call, true)],
        ['GET /v1/videos/:id', 'poll', (call) => query(sim, call)],
    ],
};
