// SPDX-License-Identifier: Apache-2.0
//
// Replicate's predictions. What a comment calls «wire» is what the npm client 1.4.0 sends and takes, «sdk» its types,
// «documented» the vendor's pages, «report» what others met; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'starting', rendering: 'processing', completed: 'succeeded', failed: 'failed', cancelled: 'canceled' }; // sdk
const MEMBERS = ['input', 'version', 'stream', 'webhook', 'webhook_events_filter'];
const EVENTS = ['start', 'output', 'logs', 'completed']; // sdk
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000 };
const SECOND_MS = 1000;
const LOOK_MS = 20;

const TITLES = {
    400: 'Bad request', 401: 'Unauthenticated', 402: 'Insufficient credit', 403: 'Permission denied', 404: 'Not found', 405: 'Method not allowed',
    413: 'Payload too large', 422: 'Input validation failed', 429: 'Request was throttled',
};
const DETAILS = {
    401: 'You did not pass a valid authentication token', 402: 'You have insufficient credit to run this model.', 404: 'The requested resource could not be found.',
    429: 'Request was throttled. Your rate limit resets in ~1s.', // documented
};

// {title, detail, status}, and which fields are wrong: wire, documented.
function problem(status, { message, fields } = {}) {
    const title = TITLES[status] ?? (status < 500 ? 'Bad request' : 'Internal server error');
    const detail = message ?? DETAILS[status] ?? title;
    return { json: { title, detail, status, ...(fields === undefined ? {} : { invalid_fields: fields }) } };
}

function invalid(sim, field, description, type = 'invalid') {
    const message = `- ${field === '' ? '(root)' : field}: ${description}\n`;
    return sim.refuse(422, { message, fields: [{ type, field, description }] });
}

// What these models' own inputs are: report. All others are not there; a version or a deployment takes any input.
const MODELS = {
    'bytedance/seedance-1-pro': { images: ['image', 'last_frame_image'], durations: [2, 12], ratios: ['16:9', '4:3', '1:1', '3:4', '9:16', '21:9', '9:21'] },
    'minimax/video-01': { images: ['first_frame_image', 'subject_reference'] },
    'kwaivgi/kling-v3-video': { images: ['start_image', 'end_image'], durations: [3, 15], ratios: ['16:9', '9:16', '1:1'] },
};

// An HTTP URL or a data URL: documented.
function checkImage(sim, name, value) {
    if (value === undefined) return;
    if (typeof value !== 'string' || !/^(https?:\/\/|data:[\w/+.-]+;base64,)/.test(value)) throw invalid(sim, `input.${name}`, 'Does not match format \'uri\'', 'format');
}

function checkInput(sim, input, model) {
    if (typeof input.prompt !== 'string' || input.prompt === '') throw invalid(sim, 'input', 'prompt is required', 'required');
    for (const name of model.images) checkImage(sim, name, input[name]);
    const { duration, aspect_ratio: ratio, seed } = input;
    const [least, most] = model.durations ?? [1, Infinity];
    if (duration !== undefined && !Number.isInteger(duration)) throw invalid(sim, 'input.duration', 'Invalid type. Expected: integer', 'invalid_type');
    if (duration < least) throw invalid(sim, 'input.duration', `Must be greater than or equal to ${least}`, 'number_gte');
    if (duration > most) throw invalid(sim, 'input.duration', `Must be less than or equal to ${most}`, 'number_lte');
    if (ratio !== undefined && model.ratios !== undefined && !model.ratios.includes(ratio)) throw invalid(sim, 'input.aspect_ratio', `must be one of ${model.ratios.join(', ')}`, 'enum');
    if (seed !== undefined && !Number.isInteger(seed)) throw invalid(sim, 'input.seed', 'Invalid type. Expected: integer', 'invalid_type');
}

// Members that there are not are told: documented.
function checkBody(sim, body, { needsVersion }) {
    const { input, webhook, webhook_events_filter: events, version } = body;
    if (typeof input !== 'object' || input === null || Array.isArray(input)) throw invalid(sim, '', 'input is required', 'required');
    for (const name of Object.keys(body)) if (!MEMBERS.includes(name)) throw invalid(sim, '', `Additional property ${name} is not allowed`, 'additional_property_not_allowed');
    if (needsVersion && typeof version !== 'string') throw invalid(sim, '', 'version is required', 'required');
    if (webhook !== undefined && !/^https:\/\//.test(webhook)) throw invalid(sim, 'webhook', 'Must be an HTTPS URL', 'format'); // documented; the words are ours
    if (events !== undefined && !(Array.isArray(events) && events.every((event) => EVENTS.includes(event)))) throw invalid(sim, 'webhook_events_filter', `must be some of ${EVENTS.join(', ')}`, 'enum');
}

// Of «Cancel-After: 1m30s»; from 5 seconds to a day: documented.
function deadlineOf(sim, text) {
    if (text === undefined) return null;
    const parts = [...text.matchAll(/(\d+)([smh]?)/g)];
    const ms = parts.reduce((sum, [, number, unit]) => sum + Number(number) * UNITS_MS[unit || 's'], 0);
    if (!/^(\d+[smh]?)+$/.test(text) || ms < 5 * UNITS_MS.s || ms > 24 * UNITS_MS.h) throw sim.refuse(400, { message: 'Cancel-After must be from 5s to 24h' });
    return Date.now() + ms;
}

// What is still under way at its deadline ends: aborted before it began, canceled after that (documented).
function settle(job) {
    const { deadline } = job.wish;
    if (deadline === null || job.cancelledAt !== null || Date.now() < deadline) return job;
    const then = job.state(deadline);
    if (!['pending', 'rendering'].includes(then)) return job;
    job.cancelledAt = deadline;
    job.wish.isAborted = then === 'pending';
    return job;
}

const newId = () => [...randomBytes(26)].map((byte) => '0123456789abcdefghjkmnpqrstvwxyz'[byte % 32]).join(''); // 26 letters and digits: wire

async function create(sim, call, { model, version = 'hidden', check = null, needsVersion = false }) {
    const body = call.json();
    checkBody(sim, body, { needsVersion });
    if (check !== null) checkInput(sim, body.input, check);
    const { input, webhook, webhook_events_filter: events } = body;
    const wish = { input, webhook, events, version, shape: input.aspect_ratio, deadline: deadlineOf(sim, call.headers['cancel-after']), isAborted: false };
    const job = await sim.accept(call, { id: newId(), model, prompt: typeof input.prompt === 'string' ? input.prompt : '', wish });
    const isInTime = await waited(sim, call, job);
    return { status: isInTime ? 201 : 202, json: prediction(sim, call, job) }; // documented
}

// «Prefer: wait» and «wait=5»: the answer waits so many seconds for the end, 60 at most (documented). True unless it waited in vain.
async function waited(sim, call, job) {
    const found = /^wait(?:=(\d+))?$/.exec(call.headers.prefer ?? '');
    if (found === null) return true;
    const until = Date.now() + Math.min(Number(found[1] ?? 60), 60) * SECOND_MS;
    while (!settle(job).isOver && Date.now() < until && !sim.isClosed) await new Promise((done) => setTimeout(done, LOOK_MS));
    return job.isOver;
}

function createOfModel(sim, call) {
    const name = `${call.params.owner}/${call.params.name}`;
    if (!Object.hasOwn(MODELS, name)) throw sim.refuse(404);
    return create(sim, call, { model: name, check: MODELS[name] });
}

// A version's number of 64 digits, or the same behind owner/name: documented.
function createOfVersion(sim, call) {
    const { version } = call.json();
    const found = /^(?:([\w.-]+\/[\w.-]+):)?([0-9a-f]{64})$/.exec(version ?? '');
    if (typeof version === 'string' && found === null) throw sim.refuse(422, { message: 'The specified version does not exist (or perhaps you don\'t have permission to use it?)' });
    return create(sim, call, { model: found?.[1] ?? 'acme/film', version: found?.[2], needsVersion: true });
}

const outputs = { url: (link) => link, list: (link) => [link], object: (link) => ({ thumbnail: link.replace(/\.mp4$/, '.webp'), video: link }) };

function endOf(sim, call, job) {
    const seconds = Math.max(0, job.endedAt - job.startsAt) / SECOND_MS;
    const metrics = { predict_time: seconds, total_time: (job.endedAt - job.created) / SECOND_MS }; // sdk
    if (job.state() === 'cancelled') return { metrics };
    if (job.outcome === 'moderated') return { metrics, error: 'The input or output was flagged as sensitive. Please try again with different inputs. (E005)' }; // report
    if (job.outcome === 'failed') return { metrics, error: 'Prediction failed: CUDA out of memory' }; // report
    return { metrics, output: job.outcome === 'no-video' ? null : outputs[sim.settings.output](sim.link(job, call)) };
}

const iso = (ms) => new Date(ms).toISOString();

// The object of all answers: wire, sdk. An hour after its end its data goes (documented).
function prediction(sim, call, job) {
    const state = settle(job).state();
    const base = `${sim.url}/v1/predictions/${job.id}`;
    const isRemoved = job.isOver && Date.now() >= job.endedAt + (sim.settings.data_life_ms ?? Infinity);
    return {
        id: job.id, model: job.model, version: job.wish.version, input: isRemoved ? {} : job.wish.input, logs: '', output: null, error: null, source: 'api',
        status: call.word ?? (job.wish.isAborted ? 'aborted' : WORDS[state]), data_removed: isRemoved, created_at: iso(job.created),
        ...(state === 'pending' || job.wish.isAborted ? {} : { started_at: iso(job.startsAt) }),
        ...(job.isOver ? { completed_at: iso(job.endedAt), ...endOf(sim, call, job) } : {}),
        ...(isRemoved ? { output: null, logs: null } : {}),
        ...(job.wish.webhook === undefined ? {} : { webhook: job.wish.webhook, webhook_events_filter: job.wish.events }),
        urls: { get: base, cancel: `${base}/cancel`, web: `https://replicate.com/p/${job.id}` },
    };
}

async function get(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404);
    return { json: prediction(sim, call, job) };
}

// Answers the prediction (wire); of one that has ended it changes nothing (ours).
async function cancel(sim, call) {
    const job = sim.own(call, call.params.id);
    await sim.cancelled(call, job);
    if (job === null) throw sim.refuse(404);
    if (!settle(job).isOver) job.cancel();
    return { json: prediction(sim, call, job) };
}

// {previous, next, results}: wire.
function list(sim, call) {
    const mine = sim.ownAll(call);
    return { json: { previous: null, next: null, results: mine.map((job) => prediction(sim, call, job)) } };
}

// A form of `content` and `metadata`: wire.
async function upload(sim, call) {
    const found = call.form().find(({ name, filename }) => name === 'content' && filename !== undefined);
    if (found === undefined) throw invalid(sim, 'content', 'content is required', 'required');
    const id = newId();
    await sim.uploaded(call, { file: id, name: found.filename });
    sim.shelf.set(id, found);
    return { status: 201, json: fileOf(sim, id, found) };
}

// {id, name, content_type, size, urls{get}}: wire.
const fileOf = (sim, id, { filename, type, bytes }) => ({ id, name: filename, content_type: type, size: bytes.length, urls: { get: `${sim.url}/v1/files/${id}` } });

function file(sim, call) {
    const found = sim.shelf.get(call.params.id);
    if (found === undefined) throw sim.refuse(404);
    return { json: fileOf(sim, call.params.id, found) };
}

export const replicate = {
    name: 'replicate',
    place: 17,
    base: '/v1',
    renews: false, // a file is gone an hour after its prediction, whatever is asked: documented
    problem,
    settings: {
        output: 'url', // or 'list', 'object': what a model's output looks like
        data_life_ms: null, // so long after its end a prediction loses its data
    },
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // wire
        if (isKnownKey(key)) return key;
        throw sim.refuse(401);
    },
    routes: (sim) => [
        ['POST /v1/models/:owner/:name/predictions', 'submit', (call) => createOfModel(sim, call)],
        ['POST /v1/deployments/:owner/:name/predictions', 'submit', (call) => create(sim, call, { model: `${call.params.owner}/${call.params.name}` })],
        ['POST /v1/predictions', 'submit', (call) => createOfVersion(sim, call)],
        ['GET /v1/predictions', 'list', (call) => list(sim, call)],
        ['GET /v1/predictions/:id', 'poll', (call) => get(sim, call)],
        ['POST /v1/predictions/:id/cancel', 'cancel', (call) => cancel(sim, call)],
        ['POST /v1/files', 'upload', (call) => upload(sim, call)],
        ['GET /v1/files/:id', 'file', (call) => file(sim, call)],
    ],
};
