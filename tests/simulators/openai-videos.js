// SPDX-License-Identifier: Apache-2.0
//
// OpenAI's Videos API, which relays and model servers speak as well. What a comment calls «sdk» is in
// the types of openai 6.49.0 (npm), «wire» is what that SDK sends, «openapi» is OpenAI's published
// OpenAPI file, «documented» its guide, «third-party» others' reports; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';
import { spritesheet, thumbnail } from './videos.js';

const SIZES = ['720x1280', '1280x720', '1024x1792', '1792x1024', '1920x1080', '1080x1920']; // openapi; the last two documented
const SECONDS = ['4', '8', '12', '16', '20']; // a text; openapi; the last two documented
const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/webp']; // openapi
const MAX_PROMPT = 32000; // openapi
const MAX_IMAGE_URL = 20 << 20; // openapi
const LINK_LIFE_S = 3600; // documented: about an hour
const WORDS = { pending: 'queued', rendering: 'in_progress', completed: 'completed', failed: 'failed', cancelled: 'failed' }; // sdk

// Statuses and their error types: sdk (error classes), openapi; the texts are ours.
const PROBLEMS = {
    400: ['invalid_request_error', null, 'The request is not valid.'],
    401: ['invalid_request_error', 'invalid_api_key', 'Incorrect API key provided.'],
    403: ['invalid_request_error', null, 'You are not allowed to do this.'],
    404: ['invalid_request_error', null, 'Not found.'],
    409: ['invalid_request_error', null, 'The video cannot be changed now.'],
    429: ['rate_limit_error', 'rate_limit_exceeded', 'Rate limit reached.'],
};

function problem(status, { message, code, param = null, type } = {}) {
    const [usual, usualCode, text] = PROBLEMS[status] ?? (status < 500 ? PROBLEMS[400] : ['server_error', null, 'The server had an error.']);
    // {error: {message, type, param, code}}: sdk; x-request-id: sdk
    return {
        headers: { 'x-request-id': `req_${randomBytes(16).toString('hex')}` },
        json: { error: { message: message ?? text, type: type ?? usual, param, code: code === undefined ? usualCode : code } },
    };
}

const newId = (kind) => `${kind}_${randomBytes(24).toString('hex')}`; // «video_» and hex digits: third-party

// Every key is always there: openapi, sdk.
function videoObject(call, job) {
    const state = job.state();
    const { size, seconds, remixedFrom = null } = job.wish;
    const isCompleted = state === 'completed';
    const completedAt = isCompleted ? Math.floor(job.endedAt / 1000) : null;
    return {
        id: job.id,
        object: 'video',
        model: job.model,
        status: call.word ?? WORDS[state], // queued, in_progress, completed, failed
        progress: Math.floor(job.progress() * 100), // 0..100
        created_at: job.createdS, // seconds
        completed_at: completedAt,
        expires_at: isCompleted ? completedAt + LINK_LIFE_S : null,
        prompt: job.prompt,
        size,
        seconds, // a text
        remixed_from_video_id: remixedFrom,
        error: state === 'failed' ? failureOf(job) : null,
    };
}

// {code, message}: sdk; moderation_blocked: third-party; the other code is ours.
function failureOf({ outcome }) {
    if (outcome === 'moderated') return { code: 'moderation_blocked', message: 'Your request was blocked by our moderation system.' };
    return { code: 'video_generation_failed', message: 'The video could not be generated.' };
}

// The fields of a form or of JSON as one group; `a[b]` becomes {a: {b}} (wire), files stay parts.
function fieldsOf(call) {
    if (!call.isForm) return call.json();
    const fields = {};
    for (const part of call.form()) place(fields, part);
    return fields;
}

function place(fields, part) {
    const value = part.filename === undefined ? part.text : part;
    const [, name, member] = /^([^[]+)(?:\[([^\]]+)\])?$/.exec(part.name) ?? [null, part.name];
    if (member === undefined) fields[name] = value;
    else fields[name] = { ...fields[name], [member]: value };
}

const isFile = (value) => Buffer.isBuffer(value?.bytes);

function wrong(sim, param, message, code = 'invalid_value') {
    return sim.refuse(400, { message, param, code });
}

function promptOf({ prompt }, sim) {
    if (prompt === undefined) throw wrong(sim, 'prompt', 'Missing required parameter: \'prompt\'.', 'missing_required_parameter');
    if (typeof prompt !== 'string') throw wrong(sim, 'prompt', 'Invalid type for \'prompt\': expected a string.', 'invalid_type');
    if (prompt.length < 1 || prompt.length > MAX_PROMPT) throw wrong(sim, 'prompt', `Invalid 'prompt': 1 to ${MAX_PROMPT} characters.`);
    return prompt;
}

function oneOf(sim, fields, param, known, fallback) {
    const value = fields[param] ?? fallback;
    if (typeof value !== 'string') throw wrong(sim, param, `Invalid type for '${param}': expected a string.`, 'invalid_type');
    if (sim.settings.strict && !known.includes(value))
        throw wrong(sim, param, `Invalid value: '${value}'. Supported values are: ${known.map((one) => `'${one}'`).join(', ')}.`);
    return value;
}

// A file part, or exactly one of image_url and file_id: openapi. The text of the refused type: third-party.
function checkImage(sim, reference) {
    const param = 'input_reference';
    if (reference === undefined) return;
    if (isFile(reference)) {
        if (IMAGE_TYPES.includes(reference.type) && isImage(reference.bytes)) return;
        throw wrong(sim, param, `Invalid file '${param}': unsupported mimetype ('${reference.type}'). Supported file formats are ${IMAGE_TYPES.join(', ')}.`);
    }
    const { image_url: url, file_id: file } = typeof reference === 'object' && reference !== null ? reference : {};
    if ((url === undefined) === (file === undefined)) throw wrong(sim, param, `'${param}' needs exactly one of image_url and file_id.`);
    if (url !== undefined && (!/^(https?:|data:image\/)/.test(url) || url.length > MAX_IMAGE_URL))
        throw wrong(sim, `${param}.image_url`, 'Expected a URL or a data URL of an image of up to 20 MiB.');
}

function isImage(bytes) {
    const begin = bytes.subarray(0, 12).toString('latin1');
    return begin.startsWith('\x89PNG\r\n') || begin.startsWith('\xff\xd8\xff') || /^RIFF[^]{4}WEBP$/.test(begin);
}

async function begin(sim, call, { model, prompt, size, seconds, remixedFrom }) {
    const job = await sim.accept(call, { id: newId('video'), model, prompt, wish: { size, seconds, remixedFrom, shape: size } });
    return { json: videoObject(call, job) };
}

function create(sim, call) {
    const fields = fieldsOf(call);
    const prompt = promptOf(fields, sim);
    const model = fields.model ?? 'sora-2'; // openapi
    if (sim.settings.models !== null && !sim.settings.models.includes(model)) throw wrong(sim, 'model', `Invalid value: '${model}'.`);
    checkImage(sim, fields.input_reference);
    // seconds "4", size 720x1280 unless given: openapi
    const [size, seconds] = [oneOf(sim, fields, 'size', SIZES, '720x1280'), oneOf(sim, fields, 'seconds', SECONDS, '4')];
    return begin(sim, call, { model, prompt, size, seconds });
}

function known(sim, id) {
    const job = sim.find(id);
    if (job === null) throw notFound(sim, id);
    return job;
}

function notFound(sim, id) {
    return sim.refuse(404, { message: `Video with id '${id}' not found.` }); // 404: openapi; the text is ours
}

// {prompt} as JSON: wire.
function remix(sim, call) {
    const from = known(sim, call.params.id);
    const prompt = promptOf(fieldsOf(call), sim);
    return begin(sim, call, { model: from.model, prompt, ...from.wish, remixedFrom: from.id });
}

// `video` is a file, or {id}; in a form `video[id]`: wire.
function sourceOf(sim, fields) {
    if (isFile(fields.video)) return { model: 'sora-2', wish: { size: '720x1280', seconds: '4' } };
    if (typeof fields.video?.id !== 'string') throw wrong(sim, 'video', 'Missing required parameter: \'video\'.', 'missing_required_parameter');
    return known(sim, fields.video.id);
}

function edit(sim, call) {
    const fields = fieldsOf(call);
    const from = sourceOf(sim, fields);
    return begin(sim, call, { model: from.model, prompt: promptOf(fields, sim), ...from.wish, remixedFrom: from.id });
}

// `seconds` of the answer is the length of the whole: documented.
function extend(sim, call) {
    const fields = fieldsOf(call);
    const from = sourceOf(sim, fields);
    const seconds = String(Number(from.wish.seconds) + Number(oneOf(sim, fields, 'seconds', SECONDS, undefined)));
    return begin(sim, call, { model: from.model, prompt: promptOf(fields, sim), ...from.wish, seconds, remixedFrom: from.id });
}

async function poll(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw notFound(sim, call.params.id);
    return { json: videoObject(call, job) };
}

// {object, data, first_id, last_id, has_more}: openapi; the SDK pages by last_id.
function list(sim, call) {
    const limit = Number(call.query.get('limit') ?? 20);
    const order = call.query.get('order') ?? 'desc';
    if (!Number.isInteger(limit) || limit < 0 || limit > 100) throw wrong(sim, 'limit', 'Invalid \'limit\': an integer from 0 to 100.');
    if (!['asc', 'desc'].includes(order)) throw wrong(sim, 'order', 'Invalid \'order\': asc or desc.');
    const all = sim.ownAll(call);
    if (order === 'asc') all.reverse();
    const after = call.query.get('after');
    const left = after === null ? all : all.slice(all.findIndex((job) => job.id === after) + 1);
    const data = left.slice(0, limit).map((job) => videoObject(call, job));
    return { json: { object: 'list', data, first_id: data.at(0)?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: left.length > limit } };
}

// Needs the key; may redirect: documented. 404 with this text before the end: third-party.
function content(sim, call) {
    const job = known(sim, call.params.id);
    const variant = call.query.get('variant') ?? 'video';
    if (job.state() !== 'completed' || job.outcome === 'no-video')
        throw sim.refuse(404, { message: 'Video is not ready yet, use GET /v1/videos/{video_id} to check status.' });
    if (variant === 'thumbnail') return { bytes: thumbnail, type: 'image/webp' }; // openapi
    if (variant === 'spritesheet') return { bytes: spritesheet, type: 'image/jpeg' }; // openapi
    if (variant !== 'video') throw wrong(sim, 'variant', `Invalid value: '${variant}'.`);
    return sim.deliver(call, job, { redirects: sim.settings.content_redirects });
}

// {id, object: "video.deleted", deleted}: openapi. Of finished videos only: documented; that it is 409 otherwise is ours.
async function remove(sim, call) {
    const job = known(sim, call.params.id);
    if (!job.isOver) throw sim.refuse(409, { message: 'Only a completed or failed video can be deleted.' });
    await sim.cancelled(call, job, 'delete');
    job.isDeleted = true;
    return { json: { id: job.id, object: 'video.deleted', deleted: true } };
}

// A form with `name` (1..80) and the file `video` -> {id, name, created_at}: openapi.
async function newCharacter(sim, call) {
    const { name, video } = fieldsOf(call);
    if (typeof name !== 'string' || name.length < 1 || name.length > 80) throw wrong(sim, 'name', 'Invalid \'name\': 1 to 80 characters.');
    if (!isFile(video)) throw wrong(sim, 'video', 'Missing required parameter: \'video\'.', 'missing_required_parameter');
    const character = { id: newId('char'), name, created_at: Math.floor(Date.now() / 1000) };
    await sim.uploaded(call, { file: character.id, bytes: video.bytes.length });
    sim.shelf.set(character.id, character);
    return { json: character };
}

function character(sim, call) {
    const found = sim.shelf.get(call.params.id);
    if (found === undefined) throw sim.refuse(404, { message: 'No such character.' });
    return { json: found };
}

export const openaiVideos = {
    name: 'openai-videos',
    place: 1,
    base: '/v1',
    renews: true, // each GET of the content leads to a fresh link
    problem,
    settings: {
        strict: true, // sizes and seconds of OpenAI only
        models: null, // a list: other models are refused
        content_redirects: false, // the content is fetched from the other origin
    },
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // sdk
        if (isKnownKey(key)) return key;
        throw sim.refuse(401, key === null ? { message: 'You didn\'t provide an API key.', code: null } : {});
    },
    routes: (sim) => [
        ['POST /v1/videos', 'submit', (call) => create(sim, call)],
        ['GET /v1/videos', 'list', (call) => list(sim, call)],
        ['POST /v1/videos/edits', 'submit', (call) => edit(sim, call)],
        ['POST /v1/videos/extensions', 'submit', (call) => extend(sim, call)],
        ['POST /v1/videos/characters', 'upload', (call) => newCharacter(sim, call)],
        ['GET /v1/videos/characters/:id', 'list', (call) => character(sim, call)],
        ['POST /v1/videos/:id/remix', 'submit', (call) => remix(sim, call)],
        ['GET /v1/videos/:id/content', 'result', (call) => content(sim, call)],
        ['GET /v1/videos/:id', 'poll', (call) => poll(sim, call)],
        ['DELETE /v1/videos/:id', 'delete', (call) => remove(sim, call)],
    ],
};
