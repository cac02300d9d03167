// SPDX-License-Identifier: Apache-2.0
//
// Kling's older API: /v1/videos/{kind}, an envelope of {code, message, request_id, data}, a token that the
// caller signs. What a comment calls «sdk» is in the public adaptors of the new-api engine, «third-party»
// a dated reading of Kling's documentation, «documented» that documentation; «ours» is not established.
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { telling } from './callbacks.js';
import { isKnownKey, keyIn } from './core.js';

const KINDS = [
    'text2video', 'image2video', 'multi-image2video', 'motion-control', 'omni-video', 'video-extend', 'lip-sync', 'effects', 'avatar/image2video', // sdk
];
const WORDS = { pending: 'submitted', rendering: 'processing', completed: 'succeed', failed: 'failed', cancelled: 'failed' }; // sdk: «succeed»
const MAX_PROMPT = 2500; // third-party
const LEEWAY_S = 5; // of the two clocks; ours

// What a code means, and its HTTP status: third-party.
const CODES = {
    1000: [401, 'Authentication failed'],
    1001: [401, 'Authorization is empty'],
    1002: [401, 'Authorization is invalid'],
    1003: [401, 'Authorization is not yet valid'],
    1004: [401, 'Authorization has expired'],
    1102: [429, 'Account balance not enough'],
    1103: [403, 'Not allowed to use the API'],
    1200: [400, 'Invalid request parameters'],
    1201: [400, 'Invalid request parameters'],
    1203: [404, 'The requested resource does not exist'],
    1301: [400, 'Failure to pass the risk control system'],
    1302: [429, 'API request too frequent'],
    1303: [429, 'parallel task over resource pack limit'],
    5000: [500, 'Internal server error'],
    5001: [503, 'Service unavailable'],
    5002: [504, 'Internal timeout'],
};
const USUAL = { 400: 1200, 401: 1000, 402: 1102, 403: 1103, 404: 1203, 405: 1200, 413: 1200, 429: 1302, 503: 5001, 504: 5002 };

// {code, message, request_id}: sdk.
function problem(status, { code, message, isParallel = false } = {}) {
    const number = code ?? (isParallel ? 1303 : USUAL[status] ?? (status < 500 ? 1200 : 5000));
    return { json: { code: number, message: message ?? CODES[number][1], request_id: randomUUID() } };
}

const refusal = (sim, code, message) => sim.refuse(CODES[code][0], { code, message });
const wrong = (sim, message) => refusal(sim, 1201, message);
const success = (data) => ({ json: { code: 0, message: 'SUCCEED', request_id: randomUUID(), data } }); // sdk

const parse = (part) => {
    try {
        return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    } catch {
        return null;
    }
};

// HS256 over {alg, typ} and {iss, exp, nbf}: the access key that signed it, or a refusal (sdk).
function accessKeyOf(sim, token) {
    const [head, claims, mark, ...rest] = token.split('.');
    const [header, said] = [parse(head), parse(claims ?? '')];
    if (mark === undefined || rest.length > 0 || header?.alg !== 'HS256' || header.typ !== 'JWT') throw refusal(sim, 1002);
    const found = /^sim-access(-\w+)?$/.exec(said?.iss ?? '');
    if (found === null) throw refusal(sim, 1002, 'access key not found');
    const wanted = createHmac('sha256', `sim-secret${found[1] ?? ''}`).update(`${head}.${claims}`).digest();
    const given = Buffer.from(mark, 'base64url');
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw refusal(sim, 1000, 'the signature does not fit');
    const now = Date.now() / 1000;
    if (typeof said.exp !== 'number' || typeof said.nbf !== 'number') throw refusal(sim, 1002, 'exp and nbf must be numbers');
    if (said.nbf > now + LEEWAY_S) throw refusal(sim, 1003);
    if (said.exp < now - LEEWAY_S) throw refusal(sim, 1004);
    return said.iss;
}

function authorise(call, sim) {
    if (call.headers.authorization === undefined) throw refusal(sim, 1001);
    const token = keyIn(call.headers.authorization, 'Bearer');
    if (isKnownKey(token)) return token; // a plain key instead of a token: third-party
    if (token === null) throw refusal(sim, 1002);
    return accessKeyOf(sim, token);
}

// A URL, or base64 without `data:` in front of it: third-party.
function checkImage(sim, name, image) {
    if (image === undefined || image === '') return;
    if (typeof image !== 'string') throw wrong(sim, `${name} must be a text`);
    if (/^https?:\/\//.test(image)) return;
    if (/^data:/.test(image)) throw wrong(sim, `${name}: base64 goes without a data: prefix`);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(image)) throw wrong(sim, `${name} is neither a URL nor base64`);
}

function checkDuration(sim, { duration = '5', model_name: model = 'kling-v1' }) {
    if (typeof duration !== 'string') throw wrong(sim, 'duration must be a text, such as "5"'); // sdk
    const seconds = Number(duration);
    const isFree = /^kling-(v3|video-o1)/.test(model); // 3..15 of v3, 5 or 10 before: third-party
    if (isFree ? !(seconds >= 3 && seconds <= 15) : ![5, 10].includes(seconds)) throw wrong(sim, `duration ${duration} is not supported by ${model}`);
}

function check(sim, kind, body) {
    const { prompt, mode = 'std', aspect_ratio: ratio = '16:9', cfg_scale: scale = 0.5, image_list: list } = body;
    const needsPrompt = ['text2video', 'omni-video'].includes(kind);
    if (needsPrompt && (typeof prompt !== 'string' || prompt === '')) throw wrong(sim, 'prompt is required');
    if ((prompt ?? '').length > MAX_PROMPT) throw wrong(sim, `prompt is longer than ${MAX_PROMPT}`);
    if (!['std', 'pro'].includes(mode)) throw wrong(sim, 'mode must be std or pro'); // sdk
    if (!['16:9', '9:16', '1:1'].includes(ratio)) throw wrong(sim, 'aspect_ratio must be 16:9, 9:16 or 1:1'); // sdk
    if (!(scale >= 0 && scale <= 1)) throw wrong(sim, 'cfg_scale must be from 0 to 1'); // sdk
    checkDuration(sim, body);
    for (const name of ['image', 'image_tail']) checkImage(sim, name, body[name]);
    if (kind === 'image2video' && !body.image && !body.image_tail) throw wrong(sim, 'image or image_tail is required'); // documented
    if (kind === 'multi-image2video' && !Array.isArray(list)) throw wrong(sim, 'image_list is required'); // [{image}]: sdk
    if (Array.isArray(list)) for (const one of list) checkImage(sim, 'image_list', one?.image ?? one?.image_url);
}

const newId = () => `8${[...randomBytes(17)].map((byte) => byte % 10).join('')}`; // digits beyond 2^53, as a text: sdk

async function create(sim, call, kind) {
    const body = call.json();
    check(sim, kind, body);
    if (!/^(https?:\/\/.*)?$/.test(body.callback_url ?? '')) throw wrong(sim, 'callback_url must be a URL'); // the field: documented
    const job = await sim.accept(call, {
        callback: body.callback_url || null,
        id: newId(), model: body.model_name ?? 'kling-v1', prompt: body.prompt ?? '', correlation: body.external_task_id ?? null,
        wish: { kind, duration: body.duration ?? '5', shape: body.aspect_ratio ?? '16:9' },
    });
    return success(taskOf(sim, call, job));
}

// {task_id, task_status, task_info{external_task_id}, created_at, updated_at (ms)}: sdk.
function taskOf(sim, call, job) {
    const state = call.state ?? job.state();
    const info = job.correlation === null ? {} : { external_task_id: job.correlation };
    const since = { pending: job.created, rendering: job.startsAt }[state] ?? job.endedAt;
    const task = { task_id: job.id, task_status: call.word ?? WORDS[state], task_info: info, created_at: job.created, updated_at: since };
    if (!job.isOver) return task;
    if (state !== 'completed') return { ...task, task_status_msg: job.outcome === 'moderated' ? CODES[1301][1] : 'The task failed' }; // sdk: task_status_msg
    const url = sim.link(job, call);
    // {id, url, watermark_url, duration "5.0"}: third-party
    const video = { id: `9${job.id.slice(1)}`, url, watermark_url: '', duration: Number(job.wish.duration).toFixed(1) };
    return { ...task, task_status_msg: '', task_result: { videos: job.outcome === 'no-video' ? [] : [video] }, final_unit_deduction: '2' };
}

// By task_id, or by external_task_id: documented. Under the path of its create only: sdk.
async function query(sim, call, kind) {
    const mine = [...sim.jobs.values()].find((job) => job.correlation === call.params.id);
    const job = await sim.look(call, sim.jobs.has(call.params.id) ? call.params.id : mine?.id ?? call.params.id);
    if (job === null || job.wish.kind !== kind) throw refusal(sim, 1203, 'task not found');
    return success(taskOf(sim, call, job));
}

// ?pageNum=&pageSize=: documented.
function list(sim, call, kind) {
    const [page, size] = [Number(call.query.get('pageNum') ?? 1), Number(call.query.get('pageSize') ?? 30)];
    if (!(page >= 1 && page <= 1000 && size >= 1 && size <= 500)) throw wrong(sim, 'pageNum must be 1..1000, pageSize 1..500');
    const all = [...sim.jobs.values()].reverse().filter((job) => job.wish.kind === kind && sim.find(job.id) !== null);
    return success(all.slice((page - 1) * size, page * size).map((job) => taskOf(sim, call, job)));
}

export const klingLegacy = {
    name: 'kling-legacy',
    place: 4,
    keys: 'key: sim-access, secret: sim-secret; or key: sim-key',
    renews: false, // results stay 30 days: documented
    problem,
    authorise,
    callbackOf: (sim, job, state) => taskOf(sim, telling(state), job), // at each change, as a query's data: documented
    routes: (sim) => KINDS.flatMap((kind) => [
        [`POST /v1/videos/${kind}`, 'submit', (call) => create(sim, call, kind)],
        [`GET /v1/videos/${kind}`, 'list', (call) => list(sim, call, kind)],
        [`GET /v1/videos/${kind}/:id`, 'poll', (call) => query(sim, call, kind)],
    ]),
};
