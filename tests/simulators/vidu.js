// SPDX-License-Identifier: Apache-2.0
//
// Vidu's API: a path for each kind of input, states of its own, errors with a reason. What a comment calls «documented» is
// in the vendor's API pages, «third-party» in copies and tables of them and in adapters of public repositories; «ours» is
// not established. There is no client of the vendor's to hold it against.
import { randomBytes } from 'node:crypto';
import { telling } from './callbacks.js';
import { isImage } from './checks.js';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'queueing', rendering: 'processing', completed: 'success', failed: 'failed', cancelled: 'failed' }; // documented
const MAX_PROMPT = 5000; // documented
const MAX_PAYLOAD = 1_048_576; // third-party
const FIVE = ['16:9', '9:16', '4:3', '3:4', '1:1'];
const THREE = ['16:9', '9:16', '1:1'];
const USUAL = ['540p', '720p', '1080p'];

const KINDS = {
    text2video: { least: 0, most: 0, needsPrompt: true, hasRatio: true }, // documented
    img2video: { least: 1, most: 1 },
    'start-end2video': { least: 2, most: 2 },
    reference2video: { least: 1, most: 7, needsPrompt: true, hasRatio: true },
};
// What a model makes, and of which kinds: documented of text2video, third-party of the others.
const Q3 = { from: 1, to: 16, ratios: FIVE, resolutions: USUAL };
const Q2 = { from: 1, to: 10, ratios: FIVE, resolutions: USUAL };
const Q1 = { from: 5, to: 5, ratios: THREE, resolutions: ['1080p'] };
const FRAMES = ['img2video', 'start-end2video'];
const MODELS = {
    'viduq3-pro': { ...Q3, kinds: ['text2video', ...FRAMES] },
    'viduq3-turbo': { ...Q3, kinds: Object.keys(KINDS) },
    'viduq3-pro-fast': { ...Q3, kinds: ['img2video'] },
    viduq3: { ...Q3, kinds: ['reference2video'] },
    'viduq3-mix': { ...Q3, kinds: ['reference2video'] },
    viduq2: { ...Q2, kinds: ['text2video', 'reference2video'] },
    'viduq2-pro': { ...Q2, kinds: [...FRAMES, 'reference2video'] },
    'viduq2-turbo': { ...Q2, kinds: FRAMES },
    'viduq2-pro-fast': { ...Q2, kinds: FRAMES },
    viduq1: { ...Q1, kinds: Object.keys(KINDS) },
    'viduq1-classic': { ...Q1, kinds: FRAMES },
    'vidu2.0': { from: 4, to: 8, step: 4, ratios: THREE, resolutions: ['360p', '720p', '1080p'], kinds: [...FRAMES, 'reference2video'] },
};

// Reasons and their messages: documented.
const USUAL_REASONS = {
    400: ['BadRequest', 'bad request'],
    401: ['Unauthorized', 'unauthorized'],
    403: ['Forbidden', 'forbidden'],
    404: ['NotFound', 'not found'],
    409: ['Conflict', 'resource conflict'],
    429: ['TooManyRequests', 'too many requests'],
};

// {code, reason, message, metadata{trace_id}}: documented.
function problem(status, { message, reason, isParallel = false } = {}) {
    const other = status < 500 ? USUAL_REASONS[400] : ['InternalServiceFailure', 'internal service failure'];
    const [usual, text] = isParallel ? ['QuotaExceeded', 'quota exceeded'] : USUAL_REASONS[status] ?? other;
    return { json: { code: status, reason: reason ?? usual, message: message ?? text, metadata: { trace_id: randomBytes(16).toString('hex') } } };
}

const wrong = (sim, reason, message) => sim.refuse(400, { reason, message });
const invalid = (sim, name) => wrong(sim, 'FieldInvalid', `invalid field: ${name}`);

function authorise(call, sim) {
    const key = keyIn(call.headers.authorization, 'Token'); // documented: not Bearer
    if (isKnownKey(key)) return key;
    throw sim.refuse(401);
}

// URLs or data URIs: documented.
function checkImages(sim, images, kind) {
    if (kind.most === 0) {
        if (images !== undefined) throw wrong(sim, 'FieldUnwanted', 'unwanted field: images');
        return;
    }
    if (images === undefined) throw wrong(sim, 'FieldLacking', 'field is missing or empty: images');
    if (!Array.isArray(images)) throw invalid(sim, 'images');
    if (images.length < kind.least || images.length > kind.most) throw wrong(sim, 'FieldItemCountOutOfRange', 'field item count out of range: images');
    for (const image of images)
        if (!isImage(image)) throw wrong(sim, 'ImageFormatInvalid', 'invalid image format');
}

// Numbers are numbers: documented.
function checkShape(sim, body, kind, model) {
    const { duration, resolution, aspect_ratio: ratio } = body;
    const fits = Number.isInteger(duration) && duration >= model.from && duration <= model.to && (duration - model.from) % (model.step ?? 1) === 0;
    if (duration !== undefined && !fits) throw invalid(sim, 'duration');
    if (resolution !== undefined && !model.resolutions.includes(resolution)) throw invalid(sim, 'resolution');
    if (ratio !== undefined && !kind.hasRatio) throw wrong(sim, 'FieldUnwanted', 'unwanted field: aspect_ratio'); // no such field there: documented; that it is refused: ours
    if (ratio !== undefined && !model.ratios.includes(ratio)) throw invalid(sim, 'aspect_ratio');
}

function checkExtras(sim, body) {
    for (const name of ['watermark', 'audio', 'bgm', 'off_peak'])
        if (body[name] !== undefined && typeof body[name] !== 'boolean') throw invalid(sim, name);
    if (body.seed !== undefined && !Number.isInteger(body.seed)) throw invalid(sim, 'seed');
    if (body.payload !== undefined && (typeof body.payload !== 'string' || body.payload.length > MAX_PAYLOAD)) throw invalid(sim, 'payload');
    if (body.callback_url !== undefined && !/^https?:\/\//.test(body.callback_url)) throw invalid(sim, 'callback_url');
}

function check(sim, call, name) {
    if (!/^application\/json\b/.test(call.headers['content-type'] ?? '')) throw wrong(sim, 'BadRequest', 'bad request'); // documented
    const [body, kind] = [call.json(), KINDS[name]];
    if (body.model === undefined) throw wrong(sim, 'FieldLacking', 'field is missing or empty: model');
    const model = MODELS[body.model];
    if (!model?.kinds.includes(name)) throw wrong(sim, 'ModelUnavailable', 'model unavailable');
    const { prompt } = body;
    if (kind.needsPrompt && (prompt === undefined || prompt === '')) throw wrong(sim, 'FieldLacking', 'field is missing or empty: prompt');
    if (prompt !== undefined && (typeof prompt !== 'string' || prompt.length > MAX_PROMPT)) throw invalid(sim, 'prompt');
    checkImages(sim, body.images, kind);
    checkShape(sim, body, kind, model);
    checkExtras(sim, body);
    return { duration: model.from === 1 ? 5 : model.from, resolution: model.resolutions.at(-2) ?? model.resolutions[0], ...body, shape: body.aspect_ratio ?? '16:9' };
}

const creditsOf = ({ duration }) => duration * 11; // third-party: of viduq3-turbo at 720p

// The request again, with task_id, state, credits and created_at: documented.
async function create(sim, call, name) {
    const { shape, ...body } = check(sim, call, name);
    const id = `8${[...randomBytes(17)].map((byte) => byte % 10).join('')}`; // a text; digits: third-party
    const job = await sim.accept(call, { id, model: body.model, prompt: body.prompt ?? '', correlation: body.payload ?? null, wish: { ...body, name, shape }, callback: body.callback_url ?? null });
    const said = { payload: '', off_peak: false, movement_amplitude: 'auto', seed: 7, ...body };
    return { json: { task_id: job.id, state: 'created', ...said, credits: creditsOf(body), created_at: new Date(job.created).toISOString() } };
}

function reasonOf(job, state) {
    if (state === 'cancelled') return 'UserCancelled'; // documented
    return job.outcome === 'moderated' ? 'CreationPolicyViolation' : 'InternalServiceFailure';
}

// {id, state, err_code, credits, payload, bgm, off_peak, creations[{id, url, cover_url}]}: documented.
function creationsOf(sim, call, job) {
    const now = call.state ?? job.state();
    const { bgm = false, off_peak: isLate = false, payload = '' } = job.wish;
    const state = call.word ?? WORDS[now];
    const answer = { id: job.id, state, err_code: '', credits: creditsOf(job.wish), payload, bgm, off_peak: isLate, creations: [] };
    if (state === 'failed') return { ...answer, err_code: reasonOf(job, now), credits: 0 };
    if (state !== 'success' || job.outcome === 'no-video') return answer;
    const url = sim.link(job, call);
    return { ...answer, creations: [{ id: `9${job.id.slice(1)}`, url, cover_url: url.replace(/\.mp4$/, '.webp') }] };
}

async function query(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404, { reason: 'TaskNotFound', message: 'task not found' });
    return { json: creationsOf(sim, call, job) };
}

// As a query answers, from `processing` on: documented. That it is signed is, too; here it is not.
const callbackOf = (sim, job, state) => (state === 'pending' ? null : creationsOf(sim, telling(state), job));

// {} while it waits, then 400 with its state; «scheduled» is documented, the other words are ours. The body has the id: documented.
async function cancel(sim, call) {
    const job = sim.own(call, call.params.id);
    if (call.json().id !== call.params.id) throw invalid(sim, 'id');
    await sim.cancelled(call, job);
    if (job === null) throw sim.refuse(404, { reason: 'TaskNotFound', message: 'task not found' });
    const state = job.state();
    if (state !== 'pending') throw wrong(sim, 'BadRequest', `task state is ${state === 'rendering' ? 'scheduled' : WORDS[state]}, can not cancel`);
    job.cancel();
    return { json: {} };
}

export const vidu = {
    name: 'vidu',
    place: 16,
    base: '/ent/v2',
    renews: true, // third-party
    problem,
    authorise,
    callbackOf,
    routes: (sim) => [
        ...Object.keys(KINDS).map((name) => [`POST /ent/v2/${name}`, 'submit', (call) => create(sim, call, name)]),
        ['GET /ent/v2/tasks/:id/creations', 'poll', (call) => query(sim, call)],
        ['POST /ent/v2/tasks/:id/cancel', 'cancel', (call) => cancel(sim, call)],
    ],
};
