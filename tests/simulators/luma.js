// SPDX-License-Identifier: Apache-2.0
//
// Luma's Dream Machine API, the older of two. What a comment calls «wire» is what lumaai 1.19.1 (npm) sends, «sdk» its
// types, «documented» the vendor's pages; «ours» is not established.
import { randomUUID } from 'node:crypto';
import { telling } from './callbacks.js';
import { isKnownKey, keyIn } from './core.js';

const BASE = '/dream-machine/v1';
const WORDS = { pending: 'queued', rendering: 'dreaming', completed: 'completed', failed: 'failed', cancelled: 'failed' }; // sdk
const MODELS = ['ray-2', 'ray-flash-2']; // sdk, as the next three
const RATIOS = ['1:1', '16:9', '9:16', '4:3', '3:4', '21:9', '9:21'];
const RESOLUTIONS = ['540p', '720p', '1080p', '4k'];
const DURATIONS = ['5s', '9s'];
const FIELDS = ['model', 'prompt', 'aspect_ratio', 'callback_url', 'concepts', 'duration', 'generation_type', 'keyframes', 'loop', 'resolution'];
const PROMPT = { least: 3, most: 5000 }; // documented
const PAGE = { first: 10, most: 100 }; // of a list; ours
const REASONS = { moderated: 'Advanced prompt moderation failed', failed: 'Job failed' }; // the first documented
const TEXTS = { 401: 'Invalid API key provided', 402: 'Insufficient credits', 404: 'Not found', 405: 'Method Not Allowed', 429: 'Rate limit exceeded' }; // the first documented

// {detail: text}: wire.
const problem = (status, { message } = {}) => ({ json: { detail: message ?? TEXTS[status] ?? (status < 500 ? 'Bad request' : 'Internal server error') } });

const wrong = (sim, message) => sim.refuse(400, { message });

// {type: "image", url} or {type: "generation", id}: sdk. The vendor fetches images itself.
function checkFrame(sim, call, name, frame) {
    if (frame === undefined) return;
    if (frame?.type === 'image') {
        if (typeof frame.url !== 'string' || !/^https?:\/\/\S+$/.test(frame.url)) throw wrong(sim, `${name}: the url of an image must be http or https`);
    } else if (frame?.type !== 'generation' || sim.own(call, frame.id) === null) {
        throw wrong(sim, `${name} is neither an image nor a generation of yours`);
    }
}

// The texts are documented.
function checkFrames(sim, call, { keyframes, loop }) {
    if (keyframes === undefined) return;
    const { frame0, frame1, ...rest } = keyframes ?? {};
    if ((frame0 === undefined && frame1 === undefined) || Object.keys(rest).length > 0) throw wrong(sim, 'No keyframes provided');
    checkFrame(sim, call, 'frame0', frame0);
    checkFrame(sim, call, 'frame1', frame1);
    if (loop === true && frame1 !== undefined) throw wrong(sim, frame0 === undefined ? 'Loop is not supported for end frame' : 'Loop is not supported for keyframes');
}

function check(sim, call, body) {
    const { model, prompt, aspect_ratio: ratio = '16:9', resolution = '720p', duration = '5s', callback_url: callback, keyframes } = body;
    for (const name of Object.keys(body)) if (!FIELDS.includes(name)) throw wrong(sim, `there is no field ${name}`); // ours
    if (prompt === undefined && keyframes === undefined) throw wrong(sim, 'Prompt is required');
    if (prompt !== undefined && (typeof prompt !== 'string' || prompt.length < PROMPT.least)) throw wrong(sim, 'Prompt is too short, minimum length is 3 characters');
    if (prompt?.length > PROMPT.most) throw wrong(sim, 'Prompt is too long, maximum length is 5000 characters');
    for (const [name, value, known] of [['model', model, MODELS], ['aspect_ratio', ratio, RATIOS], ['resolution', resolution, RESOLUTIONS], ['duration', duration, DURATIONS]])
        if (!known.includes(value)) throw wrong(sim, `${name} must be one of ${known.join(', ')}`);
    if (callback !== undefined && !/^https?:\/\//.test(callback)) throw wrong(sim, 'callback_url must be a URL');
    checkFrames(sim, call, body);
}

// The whole object at every call: wire, sdk.
function generationOf(sim, call, job) {
    const state = call.state ?? job.state();
    const url = state === 'completed' && job.outcome !== 'no-video' ? sim.link(job, call) : null;
    return {
        id: job.id, generation_type: 'video', state: call.word ?? WORDS[state], failure_reason: state === 'failed' ? REASONS[job.outcome] : null,
        created_at: new Date(job.created).toISOString(), assets: state === 'completed' ? { video: url, image: null, progress_video: null } : null,
        model: job.model, request: job.wish.request,
    };
}

async function create(sim, call) {
    const request = call.json();
    check(sim, call, request);
    const job = await sim.accept(call, {
        id: randomUUID(), model: request.model, prompt: request.prompt ?? '', wish: { request, shape: request.aspect_ratio ?? '16:9' },
        callback: request.callback_url ?? null,
    });
    return { status: 201, json: generationOf(sim, call, job) }; // wire: 201
}

// The whole object, at dreaming, completed and failed: documented.
const callbackOf = (sim, job, state) => (state === 'pending' ? null : generationOf(sim, telling(state), job));

async function get(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: 'Generation not found' });
    return { json: generationOf(sim, call, job) };
}

// ?limit=&offset=, the newest first -> {has_more, count, limit, offset, generations}: sdk.
function list(sim, call) {
    const [limit, offset] = [Number(call.query.get('limit') ?? PAGE.first), Number(call.query.get('offset') ?? 0)];
    if (!(limit >= 1 && limit <= PAGE.most && offset >= 0)) throw wrong(sim, `limit must be 1 to ${PAGE.most}, offset 0 or more`);
    const mine = sim.ownAll(call);
    const page = mine.slice(offset, offset + limit);
    return { json: { has_more: offset + limit < mine.length, count: page.length, limit, offset, generations: page.map((job) => generationOf(sim, call, job)) } };
}

// 204: wire. That this stops a running one is not promised, so here it goes on, and costs.
async function remove(sim, call) {
    const job = sim.own(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: 'Generation not found' });
    await sim.cancelled(call, job, 'delete');
    job.isDeleted = true;
    return { status: 204, bytes: Buffer.alloc(0) };
}

export const luma = {
    name: 'luma',
    place: 12,
    base: BASE,
    renews: false, // nothing is said of it
    problem,
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // wire
        if (isKnownKey(key)) return key;
        throw sim.refuse(401);
    },
    callbackOf,
    routes: (sim) => [
        [`POST ${BASE}/generations/video`, 'submit', (call) => create(sim, call)], // wire
        [`POST ${BASE}/generations`, 'submit', (call) => create(sim, call)], // documented: the older path
        [`GET ${BASE}/generations`, 'list', (call) => list(sim, call)],
        [`GET ${BASE}/generations/:id`, 'poll', (call) => get(sim, call)],
        [`DELETE ${BASE}/generations/:id`, 'cancel', (call) => remove(sim, call)],
        [`GET ${BASE}/credits`, 'credits', () => ({ json: { credit_balance: 100_000 } })], // cents: sdk
        [`GET ${BASE}/ping`, 'ping', () => ({ json: { message: 'pong' } })], // documented
    ],
};
