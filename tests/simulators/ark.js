// SPDX-License-Identifier: Apache-2.0
//
// Seedance at Volcengine Ark or BytePlus ModelArk: tasks of contents, whose DELETE cancels, erases or refuses by the
// task's state. What a comment calls «wire» is what @ai-sdk/bytedance 1.0.29 (npm) sends, «documented» the vendor's list
// of error codes, «third-party» readings of its pages and public gateways; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { telling } from './callbacks.js';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'queued', rendering: 'running', completed: 'succeeded', failed: 'failed', cancelled: 'cancelled' }; // wire, third-party
const TYPES = ['text', 'image_url', 'video_url', 'audio_url', 'draft_task']; // wire, third-party
const ROLES = ['first_frame', 'last_frame', 'reference_image']; // wire
const RESOLUTIONS = ['480p', '720p', '1080p', '4k']; // third-party
const RATIOS = ['16:9', '4:3', '1:1', '3:4', '9:16', '21:9', 'adaptive']; // third-party
const TOKENS_A_SECOND = { '480p': 9_600, '720p': 21_600, '1080p': 48_600, '4k': 194_400 }; // W x H x 24 / 1024 at 16:9: third-party

// What a code means, and its type: documented; RunningTask: ours.
const CODES = {
    InvalidParameter: [400, 'BadRequest', 'A parameter specified in the request is not valid.'],
    MissingParameter: [400, 'BadRequest', 'The request failed because it is missing a required parameter.'],
    'InvalidAction.RunningTask': [400, 'BadRequest', 'The task is running and cannot be cancelled.'],
    AuthenticationError: [401, 'Unauthorized', 'The API key in the request is missing or invalid.'],
    AccountOverdueError: [403, 'Forbidden', 'The request failed because your account has an overdue balance.'],
    AccessDenied: [403, 'Forbidden', 'You do not have access to the requested resource.'],
    ResourceNotFound: [404, 'NotFound', 'The specified resource could not be found.'],
    'RateLimitExceeded.EndpointRPMExceeded': [429, 'TooManyRequests', 'The requests exceed the limit of the endpoint.'],
    QuotaExceeded: [429, 'TooManyRequests', 'Your account has too many tasks in its queue.'],
    InternalServiceError: [500, 'InternalServerError', 'The service encountered an unexpected internal error.'],
    OutputVideoSensitiveContentDetected: [400, 'BadRequest', 'The output video may contain sensitive information.'],
};
const USUAL = { 401: 'AuthenticationError', 402: 'AccountOverdueError', 403: 'AccessDenied', 404: 'ResourceNotFound', 429: 'RateLimitExceeded.EndpointRPMExceeded' };

// {error: {code, message, param, type}}: documented.
function problem(status, { code, message, isParallel = false } = {}) {
    const name = code ?? (isParallel ? 'QuotaExceeded' : USUAL[status] ?? (status < 500 ? 'InvalidParameter' : 'InternalServiceError'));
    const [, type, text] = CODES[name];
    return { json: { error: { code: name, message: message ?? text, param: '', type } } };
}

const refusal = (sim, code, message) => sim.refuse(CODES[code][0], { code, message });
const wrong = (sim, message) => refusal(sim, 'InvalidParameter', message);

// An address, a data URI, or the id of an asset: third-party.
function checkImage(sim, { image_url: image, role }) {
    const isKnown = typeof image?.url === 'string' && /^(https?:\/\/|data:image\/\w+;base64,|asset:\/\/)/.test(image.url);
    if (!isKnown) throw wrong(sim, 'image_url.url is neither a URL, a data URI nor an asset');
    if (role !== undefined && !ROLES.includes(role)) throw wrong(sim, `role must be one of ${ROLES.join(', ')}`);
}

// Text, frames or references; the two do not go together: third-party.
function checkContent(sim, { content, model }) {
    if (!Array.isArray(content) || content.length === 0) throw refusal(sim, 'MissingParameter', 'content is required');
    for (const item of content) {
        if (!TYPES.includes(item?.type)) throw wrong(sim, `content has an item that is none of ${TYPES.join(', ')}`);
        if (item.type === 'text' && typeof item.text !== 'string') throw wrong(sim, 'text must be a text');
        if (item.type === 'image_url') checkImage(sim, item);
    }
    const images = content.filter(({ type }) => type === 'image_url');
    const has = (role) => images.some((item) => (item.role ?? 'first_frame') === role);
    if (has('reference_image') && (has('first_frame') || has('last_frame'))) throw wrong(sim, 'frames and references cannot be mixed');
    if (has('last_frame') && !has('first_frame')) throw wrong(sim, 'a last frame needs a first frame');
    for (const frame of ['first_frame', 'last_frame'])
        if (images.filter(({ role = 'first_frame' }) => role === frame).length > 1) throw wrong(sim, `there is more than one ${frame}`);
    if (images.length > 0 && /lite-t2v/.test(model)) throw wrong(sim, 'the model does not take images');
}

function check(sim, body) {
    const { model, resolution = '720p', ratio = '16:9', duration = 5, seed = -1, watermark = false, callback_url: callback } = body;
    if (typeof model !== 'string' || model === '') throw refusal(sim, 'MissingParameter', 'model is required');
    checkContent(sim, body);
    if (!RESOLUTIONS.includes(resolution)) throw wrong(sim, `resolution must be one of ${RESOLUTIONS.join(', ')}`);
    if (!RATIOS.includes(ratio)) throw wrong(sim, `ratio must be one of ${RATIOS.join(', ')}`);
    const most = /seedance-2-5/.test(model) ? 30 : 15; // third-party
    if (!Number.isInteger(duration) || (duration !== -1 && (duration < 2 || duration > most))) throw wrong(sim, `duration must be from 2 to ${most}, or -1`);
    if (!Number.isInteger(seed) || seed < -1 || seed >= 2 ** 32) throw wrong(sim, 'seed must be a whole number from -1 to 2^32-1');
    if (typeof watermark !== 'boolean') throw wrong(sim, 'watermark must be true or false');
    if (callback !== undefined && !/^https?:\/\//.test(callback)) throw wrong(sim, 'callback_url must be a URL');
    return { resolution, shape: ratio === 'adaptive' ? '16:9' : ratio, ratio, duration: duration === -1 ? 5 : duration, seed };
}

// cgt-20261127184600-x7k2p: third-party.
const newId = () => `cgt-${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}-${randomBytes(6).toString('hex')}`;

async function create(sim, call) {
    const body = call.json();
    const wish = check(sim, body);
    const prompt = body.content.find(({ type }) => type === 'text')?.text ?? '';
    const job = await sim.accept(call, {
        id: newId(), model: body.model, prompt, correlation: body.safety_identifier ?? null, wish, callback: body.callback_url ?? null,
    });
    return { json: { id: job.id } }; // nothing else: wire
}

// {id, model, status, created_at, updated_at (s)}; of an end {content} or {error}, usage in tokens: wire, third-party.
function taskOf(sim, call, job) {
    const state = call.state ?? job.state();
    const since = { pending: job.created, rendering: job.startsAt }[state] ?? job.endedAt;
    const { resolution, ratio, duration, seed } = job.wish;
    const task = {
        id: job.id, model: job.model, status: call.word ?? WORDS[state], created_at: job.createdS, updated_at: Math.floor(since / 1000),
        seed, resolution, ratio, duration, framespersecond: 24, service_tier: 'default', execution_expires_after: 172_800,
    };
    if (state === 'failed') {
        const code = job.outcome === 'moderated' ? 'OutputVideoSensitiveContentDetected' : 'InternalServiceError';
        return { ...task, error: { code, message: CODES[code][2] } };
    }
    if (state !== 'completed') return task;
    const tokens = TOKENS_A_SECOND[resolution] * duration;
    const content = job.outcome === 'no-video' ? {} : { video_url: sim.link(job, call) };
    return { ...task, content, usage: { completion_tokens: tokens, total_tokens: tokens } };
}

async function query(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw refusal(sim, 'ResourceNotFound');
    return { json: taskOf(sim, call, job) };
}

// ?page_num=&page_size=&filter.status=: third-party.
function list(sim, call) {
    const [page, size] = [Number(call.query.get('page_num') ?? 1), Number(call.query.get('page_size') ?? 10)];
    if (!(page >= 1 && page <= 500 && size >= 1 && size <= 500)) throw wrong(sim, 'page_num and page_size must be 1..500');
    const wanted = call.query.get('filter.status');
    const all = sim.ownAll(call).map((job) => taskOf(sim, call, job)).filter(({ status }) => wanted === null || status === wanted);
    return { json: { items: all.slice((page - 1) * size, page * size), total: all.length } };
}

// Queued: cancelled. Over: the record is erased, with the same answer. Running, or cancelled before: refused. Third-party.
async function remove(sim, call) {
    const job = sim.own(call, call.params.id);
    const state = job?.state();
    await sim.cancelled(call, job, state === 'completed' || state === 'failed' ? 'delete' : 'cancel');
    if (job === null) throw refusal(sim, 'ResourceNotFound');
    if (state === 'rendering' || state === 'cancelled') throw refusal(sim, 'InvalidAction.RunningTask', `the task is ${WORDS[state]}`);
    if (state === 'pending') job.cancel();
    else job.isDeleted = true;
    return { json: {} };
}

export const ark = {
    name: 'ark',
    place: 14,
    base: '/api/v3',
    renews: false, // an address lives 24 hours: third-party
    problem,
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // wire
        if (isKnownKey(key)) return key;
        throw refusal(sim, 'AuthenticationError');
    },
    callbackOf: (sim, job, state) => taskOf(sim, telling(state), job), // at each change, as a query answers: third-party
    routes: (sim) => [
        ['POST /api/v3/contents/generations/tasks', 'submit', (call) => create(sim, call)],
        ['GET /api/v3/contents/generations/tasks', 'list', (call) => list(sim, call)],
        ['GET /api/v3/contents/generations/tasks/:id', 'poll', (call) => query(sim, call)],
        ['DELETE /api/v3/contents/generations/tasks/:id', 'cancel', (call) => remove(sim, call)],
    ],
};
