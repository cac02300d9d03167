// SPDX-License-Identifier: Apache-2.0
//
// fal's queue. A run that failed says so only where its result is fetched; the state knows no such word.
// What a comment calls «wire» is what @fal-ai/client 1.10.1 (npm) sends, «sdk» its types, «documented»
// fal's documentation of the queue and of its errors; «ours» is not established.
import { randomUUID } from 'node:crypto';
import { Refusal, isKnownKey, keyIn } from './core.js';
import { video } from './videos.js';

const NAMESPACES = ['workflows', 'comfy']; // wire: they come before the owner
const WORDS = { pending: 'IN_QUEUE', rendering: 'IN_PROGRESS', completed: 'COMPLETED', failed: 'COMPLETED', cancelled: 'COMPLETED' }; // sdk

const TEXTS = {
    401: 'Authentication is required to access this application.',
    403: 'You are not allowed to use this application.',
    404: 'Not Found',
    405: 'Method Not Allowed',
    429: 'Too many concurrent requests.',
};
// Types of the platform's errors: documented.
const TYPES = { 500: 'internal_error', 502: 'runner_disconnected', 503: 'runner_scheduling_failure', 504: 'request_timeout' };

// {detail} and, of the platform's own errors, error_type, which x-fal-error-type repeats: documented.
function problem(status, { message, type = TYPES[status], id = randomUUID() } = {}) {
    const detail = message ?? TEXTS[status] ?? (status < 500 ? 'Bad Request' : 'Internal Server Error');
    return {
        headers: { 'x-fal-request-id': id, ...(type === undefined ? {} : { 'x-fal-error-type': type }) },
        json: { detail, ...(type === undefined ? {} : { error_type: type }) },
    };
}

// owner/app of owner/app/path: where a request is asked for later (wire).
function shortApp(app) {
    const parts = app.split('/');
    return parts.slice(0, NAMESPACES.includes(parts[0]) ? 3 : 2).join('/');
}

function urls(sim, call, job) {
    const base = `${call.linkOrigin ?? sim.url}/${shortApp(job.model)}/requests/${job.id}`;
    return { response_url: base, status_url: `${base}/status`, cancel_url: `${base}/cancel` }; // without the path of the app: wire
}

const ahead = (sim, job) => [...sim.jobs.values()].filter((other) => other.state() === 'pending' && other.created < job.created).length;

// The body is the model's input, without an envelope: wire. The queue takes whatever is JSON.
async function submit(sim, call) {
    const { app } = call.params;
    if (app.split('/').length < 2) throw sim.refuse(404, { message: 'Application not found' });
    const input = call.json();
    const prompt = typeof input.prompt === 'string' ? input.prompt : '';
    const wish = { input, shape: input.aspect_ratio ?? 'landscape' };
    const callback = call.query.get('fal_webhook'); // wire
    const job = await sim.accept(call, { id: randomUUID(), model: app, prompt, wish, callback });
    // {status: "IN_QUEUE", request_id, response_url, status_url, cancel_url, queue_position}: wire
    return {
        headers: { 'x-fal-request-id': job.id },
        json: { status: 'IN_QUEUE', request_id: job.id, ...urls(sim, call, job), queue_position: ahead(sim, job) },
    };
}

// Only under owner/app; under the whole path it is 405 (ours).
function checkApp(sim, call, job) {
    if (job !== null && call.params.app !== shortApp(job.model)) throw sim.refuse(405);
}

async function status(sim, call) {
    const job = await sim.look(call, call.params.id);
    checkApp(sim, call, job);
    if (job === null) throw sim.refuse(404, { message: 'Request not found' });
    const state = job.state();
    const json = { status: call.word ?? WORDS[state], request_id: job.id, ...urls(sim, call, job) };
    if (state === 'pending') json.queue_position = ahead(sim, job); // sdk
    else json.logs = call.query.get('logs') === '1' ? logsOf(job) : null; // wire: ?logs=0 or 1
    if (job.isOver) json.metrics = { inference_time: (job.endedAt - job.startsAt) / 1000 }; // sdk
    return { status: job.isOver ? 200 : 202, headers: { 'x-fal-request-id': job.id }, json }; // 202 while it runs: documented
}

function logsOf(job) {
    return [{ message: 'rendering', level: 'INFO', source: 'USER', timestamp: new Date(job.startsAt).toISOString() }]; // sdk
}

// The output of the model, or its own error: documented.
async function result(sim, call) {
    const job = sim.find(call.params.id);
    checkApp(sim, call, job);
    if (job === null) throw sim.refuse(404, { message: 'Request not found' });
    const deed = await sim.meddle(call, 'document', job);
    const id = job.id;
    if (!job.isOver) throw sim.refuse(400, { message: 'Request is still in progress', id }); // documented
    if (job.state() === 'cancelled') throw sim.refuse(499, { message: 'Request was cancelled', type: 'client_cancelled', id }); // ours
    if (job.wish.input.prompt === undefined) throw invalid(job, 'missing', 'Field required'); // documented
    if (job.outcome === 'moderated') throw invalid(job, 'content_policy_violation', 'The content was flagged by a content checker.'); // documented
    if (job.outcome === 'failed') throw sim.refuse(504, { message: 'The runner did not start in time', type: 'startup_timeout', id }); // documented
    const headers = { 'x-fal-request-id': id };
    if (job.outcome === 'no-video' || deed.done_without_video) return { headers, json: { video: null, seed: 7 } };
    const size = video(job.wish.shape, job.bytes).length;
    // /video/url, content_type, file_name, file_size: wire, documented
    return { headers, json: { video: { url: sim.link(job), content_type: 'video/mp4', file_name: 'output.mp4', file_size: size }, seed: 7 } };
}

// 422 {detail: [{loc, msg, type, url, input}]}: sdk, documented.
function invalid(job, type, msg) {
    const detail = [{ loc: ['body', 'prompt'], msg, type, url: `https://docs.fal.ai/errors#${type}`, input: job.wish.input.prompt ?? null }];
    return new Refusal({ status: 422, headers: { 'x-fal-request-id': job.id, 'x-fal-retryable': 'false' }, json: { detail } });
}

// 202 {status: "CANCELLATION_REQUESTED"}, 400 ALREADY_COMPLETED, 404 NOT_FOUND: documented.
async function cancel(sim, call) {
    const job = sim.find(call.params.id);
    checkApp(sim, call, job);
    await sim.cancelled(call, job);
    if (job === null) return { status: 404, json: { status: 'NOT_FOUND' } };
    if (job.isOver) return { status: 400, json: { status: 'ALREADY_COMPLETED' } };
    if (job.state() === 'pending' || sim.settings.cancels_running) job.cancel(); // of a running one it is best effort: documented
    return { status: 202, json: { status: 'CANCELLATION_REQUESTED' } };
}

// rest.fal.ai: {content_type, file_name} -> {upload_url, file_url}, then a PUT of the bytes: wire.
async function initiate(sim, call) {
    const { content_type: type = 'application/octet-stream', file_name: name = 'file' } = call.json();
    const token = randomUUID();
    await sim.uploaded(call, { file: token, name });
    sim.shelf.set(token, { type, bytes: null });
    return { json: { upload_url: `${sim.url}/_upload/${token}`, file_url: `${sim.url}/_upload/${token}` } };
}

function upload(sim, call) {
    const file = sim.shelf.get(call.params.token);
    if (file === undefined) throw sim.refuse(404);
    if (call.method === 'PUT') file.bytes = call.body;
    if (call.method === 'PUT') return { json: {} };
    if (file.bytes === null) throw sim.refuse(404);
    return { bytes: file.bytes, type: file.type };
}

// At the end only: {request_id, gateway_request_id, status OK or ERROR, payload}: documented.
function callbackOf(sim, job, state) {
    if (['pending', 'rendering'].includes(state)) return null;
    const ids = { request_id: job.id, gateway_request_id: job.id };
    return state === 'completed' ? { ...ids, status: 'OK', payload: { video: { url: sim.link(job) } } } : { ...ids, status: 'ERROR', error: 'the run failed', payload: null };
}

export const fal = {
    name: 'fal',
    place: 2,
    renews: false, // the link in the output stays as it is
    problem,
    callbackOf,
    settings: {
        cancels_running: true, // false: a cancel of a running job is acknowledged, and does nothing
    },
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Key'); // wire
        if (call.url.pathname.startsWith('/_upload/')) return key; // the address is the permission: wire
        if (isKnownKey(key)) return key;
        throw sim.refuse(401);
    },
    routes: (sim) => [
        ['POST /storage/upload/initiate', 'upload', (call) => initiate(sim, call)],
        ['PUT /_upload/:token', 'upload', (call) => upload(sim, call)],
        ['GET /_upload/:token', 'upload', (call) => upload(sim, call)],
        ['GET /*app/requests/:id/status', 'poll', (call) => status(sim, call)],
        ['PUT /*app/requests/:id/cancel', 'cancel', (call) => cancel(sim, call)],
        ['GET /*app/requests/:id', 'document', (call) => result(sim, call)],
        ['POST /*app', 'submit', (call) => submit(sim, call)],
    ],
};
