// SPDX-License-Identifier: Apache-2.0
//
// MiniMax's second video API, of the H3 models: a list of content goes in, the status itself has the URL, DELETE cancels
// or erases. What a comment calls «wire» is what @ai-sdk/minimax 3.0.45 (npm) sends and reads, «sdk» its source,
// «documented» the vendor's API pages and OpenAPI file; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { telling } from './callbacks.js';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'queued', rendering: 'running', completed: 'succeeded', failed: 'failed', cancelled: 'cancelled' }; // documented
const RATIOS = ['21:9', '16:9', '4:3', '1:1', '3:4', '9:16']; // documented
const MAX_PROMPT = 7000; // documented
const KNOWN_MS = 7 * 24 * 3600 * 1000; // documented: after that the id is not valid

// documented; that H3-Max takes no references: sdk
const MODELS = {
    'MiniMax-H3': { least: 4, resolutions: ['768P', '2K'] },
    'MiniMax-H3-Max': { least: 5, resolutions: ['480P', '768P'], hasNoReferences: true },
};
const FRAMES = ['first_frame', 'last_frame'];
// Of each kind of content: its roles, and how many of one: documented.
const ROLES = { image_url: { first_frame: 1, last_frame: 1, reference_image: 9 }, video_url: { reference_video: 3 }, audio_url: { reference_audio: 3 } };

// The type, and what stands at the end of the message: documented.
const ERRORS = {
    400: ['bad_request_error', 'invalid params', 2013],
    401: ['authorized_error', 'login fail: Please carry the API secret key in the \'Authorization\' field of the request header', 1004],
    402: ['insufficient_balance_error', 'insufficient balance', 1008],
    422: ['unprocessable_entity_error', 'video description contains sensitive content', 1026],
    429: ['rate_limit_error', 'rate limit, please retry later', 1002],
    529: ['overloaded_error', 'overloaded, please retry later', 1000],
};

// {type: "error", error: {type, message, http_code}, request_id}: documented.
function problem(status, { message, code } = {}) {
    const [type, text, usual] = ERRORS[status] ?? (status < 500 ? ERRORS[400] : ['server_error', 'internal error', 1000]);
    const error = { type, message: `${message ?? text} (${code ?? usual})`, http_code: String(status) };
    return { json: { type: 'error', error, request_id: randomBytes(16).toString('hex') } };
}

const wrong = (sim, what) => sim.refuse(400, { message: `invalid params, ${what}` });

function authorise(call, sim) {
    const key = keyIn(call.headers.authorization, 'Bearer'); // wire
    if (isKnownKey(key)) return key;
    throw sim.refuse(401, key === null ? {} : { message: 'invalid api key', code: 2049 });
}

// A URL, a data URI, or the name of a file that was uploaded: documented.
function checkMedium(sim, part, where) {
    const roles = ROLES[part.type];
    if (roles === undefined) throw wrong(sim, `${where}.type must be text, image_url, video_url or audio_url`);
    const url = part[part.type]?.url;
    if (typeof url !== 'string' || !/^(https?:\/\/|mm_file:\/\/|data:(image|video|audio)\/[\w.+-]+;base64,)/.test(url)) throw wrong(sim, `${where} has no url`);
    const { role = part.type === 'image_url' ? 'first_frame' : undefined } = part; // no role: a first frame (documented)
    if (roles[role] === undefined) throw wrong(sim, `${where}.role does not go with ${part.type}`);
    return role;
}

// One text that is not empty, then frames or references: documented.
function rolesOf(sim, content, kind) {
    if (!Array.isArray(content)) throw wrong(sim, 'content must be a list');
    const texts = content.filter((part) => part?.type === 'text');
    if (texts.length !== 1 || typeof texts[0].text !== 'string' || texts[0].text === '') throw wrong(sim, 'content must include a non-empty text item (prompt is required)');
    if (texts[0].text.length > MAX_PROMPT) throw wrong(sim, `the text is longer than ${MAX_PROMPT}`);
    const roles = content.filter((part) => part !== texts[0]).map((part, index) => checkMedium(sim, part ?? {}, `content[${index}]`));
    for (const [role, most] of Object.values(ROLES).flatMap(Object.entries))
        if (roles.filter((one) => one === role).length > most) throw wrong(sim, `at most ${most} of ${role}`);
    const references = roles.filter((role) => !FRAMES.includes(role));
    if (references.length > 0 && references.length < roles.length) throw wrong(sim, 'frames and references do not go together');
    if (references.length > 0 && kind.hasNoReferences) throw wrong(sim, 'this model takes no references');
    if (references.length > 0 && references.every((role) => role === 'reference_audio')) throw wrong(sim, 'a sound needs an image or a video beside it'); // sdk
    return roles;
}

function check(sim, body) {
    const kind = MODELS[body.model];
    if (kind === undefined) throw wrong(sim, `there is no model ${body.model}`);
    const { duration, resolution, ratio = 'adaptive', aigc_watermark: mark, callback_url: callback } = body;
    const roles = rolesOf(sim, body.content, kind);
    if (!Number.isInteger(duration) || duration < kind.least || duration > 15) throw wrong(sim, `duration must be from ${kind.least} to 15`);
    if (!kind.resolutions.includes(resolution)) throw wrong(sim, `resolution must be ${kind.resolutions.join(' or ')}`);
    if (ratio !== 'adaptive' && !RATIOS.includes(ratio)) throw wrong(sim, `ratio must be adaptive or one of ${RATIOS.join(', ')}`);
    if (roles.length === 0 && ratio === 'adaptive') throw wrong(sim, 'ratio is required without an image'); // documented
    if (mark !== undefined && typeof mark !== 'boolean') throw wrong(sim, 'aigc_watermark must be true or false');
    if (callback !== undefined && !/^https?:\/\//.test(callback)) throw wrong(sim, 'callback_url must be a URL');
    const shown = roles.some((role) => FRAMES.includes(role)) || ratio === 'adaptive' ? '16:9' : ratio;
    return { ...body, roles, shape: shown };
}

async function create(sim, call) {
    const wish = check(sim, call.json());
    const prompt = wish.content.find(({ type }) => type === 'text').text;
    const id = `4${[...randomBytes(14)].map((byte) => byte % 10).join('')}`;
    const job = await sim.accept(call, { id, model: wish.model, prompt, wish, callback: wish.callback_url ?? null });
    return { json: { task_id: job.id } }; // wire
}

// {id, model, status, content{url}, resolution, duration, ratio, usage, error{code, message}, task_type, modality}: wire, documented.
function taskOf(sim, call, job) {
    const { duration, resolution, shape, roles } = job.wish;
    const state = call.state ?? job.state();
    const task = {
        id: job.id, model: job.model, status: call.word ?? WORDS[state], created_at: job.createdS, updated_at: Math.floor(Date.now() / 1000),
        task_type: 'generation', modality: 'video',
    };
    if (state === 'failed') {
        const isModerated = job.outcome === 'moderated';
        return { ...task, error: { code: isModerated ? '1027' : '1000', message: isModerated ? 'output new_sensitive' : 'internal error' } }; // documented: a text
    }
    if (state !== 'completed' || call.word !== null) return task;
    const images = roles.filter((role) => ROLES.image_url[role] !== undefined).length;
    const usage = { total_seconds: duration, input_seconds: 0, output_seconds: duration, input_image_count: images };
    return { ...task, content: job.outcome === 'no-video' ? {} : { url: sim.link(job, call) }, resolution, duration, ratio: shape, usage };
}

const invalid = (sim) => wrong(sim, 'invalid task_id'); // documented
const isKnown = (job) => Date.now() < job.created + KNOWN_MS;

async function query(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null || !isKnown(job)) throw invalid(sim);
    return { json: { task: taskOf(sim, call, job) } };
}

// ?page_num=&page_size=: documented, with {items, total}.
function list(sim, call) {
    const [page, size] = [Number(call.query.get('page_num') ?? 1), Number(call.query.get('page_size') ?? 20)];
    if (!(page >= 1 && size >= 1)) throw wrong(sim, 'page_num and page_size begin at 1');
    const mine = sim.ownAll(call);
    return { json: { items: mine.slice((page - 1) * size, page * size).map((job) => taskOf(sim, call, job)), total: mine.length } };
}

// Cancels what is queued, erases what has ended, refuses the rest: documented.
async function remove(sim, call) {
    const job = sim.own(call, call.params.id);
    const isOver = job !== null && ['completed', 'failed'].includes(job.state());
    await sim.cancelled(call, job, isOver ? 'delete' : 'cancel');
    if (job === null) throw invalid(sim);
    if (job.state() === 'rendering') throw wrong(sim, 'the task is running and cannot be cancelled'); // the words are ours
    if (job.state() === 'cancelled') throw wrong(sim, 'the task is cancelled already');
    const deed = job.isOver ? 'deleted' : 'cancelled';
    if (deed === 'deleted') job.isDeleted = true;
    else job.cancel();
    return { json: { task_id: job.id, action: deed, status: deed } };
}

export const minimaxH3 = {
    name: 'minimax-h3',
    place: 10,
    renews: true, // documented: query again for a new URL
    problem,
    authorise,
    challenges: true, // documented
    callbackOf: (sim, job, state) => ({ task: taskOf(sim, telling(state), job) }), // at each change, in the words of a query: third-party
    routes: (sim) => [
        ['POST /v2/video_generation', 'submit', (call) => create(sim, call)],
        ['GET /v2/query/video_generation', 'list', (call) => list(sim, call)],
        ['GET /v2/query/video_generation/:id', 'poll', (call) => query(sim, call)],
        ['DELETE /v2/video_generation/:id', 'cancel', (call) => remove(sim, call)],
    ],
};
