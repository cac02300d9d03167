// SPDX-License-Identifier: Apache-2.0
//
// MiniMax's first video API: /v1/video_generation, /v1/query/video_generation, and /v1/files/retrieve for the URL of what
// was made. An error of the API comes with HTTP 200 and a code in `base_resp`. What a comment calls «documented» is in
// the vendor's API pages and OpenAPI file, «sdk» in types of public clients, «third-party» in dated notes of those who
// tried it; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { isImage } from './checks.js';
import { Refusal, isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'Queueing', rendering: 'Processing', completed: 'Success', failed: 'Fail', cancelled: 'Fail' }; // documented
const CALLED = { rendering: 'processing', completed: 'success', failed: 'failed' }; // the words of a callback: documented
const MAX_PROMPT = 2000; // documented

// What may be asked of a model: resolutions and seconds documented, which need an image documented.
const HAILUO = { durations: [6, 10], resolutions: ['768P', '1080P'] };
const OLD = { durations: [6], resolutions: ['720P'] };
const MODELS = {
    'MiniMax-Hailuo-2.3': HAILUO,
    'MiniMax-Hailuo-2.3-Fast': { ...HAILUO, needs: 'first_frame_image' },
    'MiniMax-Hailuo-02': { ...HAILUO, resolutions: ['512P', '768P', '1080P'], hasLast: true },
    'T2V-01': { ...OLD, isText: true },
    'T2V-01-Director': { ...OLD, isText: true },
    'I2V-01': { ...OLD, needs: 'first_frame_image' },
    'I2V-01-Director': { ...OLD, needs: 'first_frame_image' },
    'I2V-01-live': { ...OLD, needs: 'first_frame_image' },
    'S2V-01': { ...OLD, needs: 'subject_reference' },
};
const SIZES = { '512P': [912, 512], '720P': [1280, 720], '768P': [1366, 768], '1080P': [1920, 1080] }; // sdk: of 768P and 1080P; ours: the others

const CODES = {
    1000: 'unknown error',
    1002: 'rate limit',
    1004: 'login fail: Please carry the API secret key in the \'Authorization\' field of the request header', // third-party
    1008: 'insufficient balance',
    1027: 'output new_sensitive',
    1033: 'system error',
    1041: 'conn limit',
    2013: 'invalid params',
    2049: 'invalid api key',
};
const USUAL = { 400: 2013, 401: 1004, 402: 1008, 429: 1002 };

const baseResp = (code, message = CODES[code]) => ({ status_code: code, status_msg: code === 0 ? 'success' : message });

// The API's own errors are HTTP 200 (documented; 1004 was seen: third-party); what is no error of the API keeps its status.
function problem(status, { code = USUAL[status], message, isParallel = false } = {}) {
    if (code === undefined) return { json: { message: message ?? `HTTP ${status}` } }; // ours
    return { status: 200, json: { base_resp: baseResp(isParallel ? 1041 : code, message) } };
}

const refusal = (code, message) => new Refusal({ status: 200, json: { task_id: '', base_resp: baseResp(code, message) } });
const wrong = (what) => refusal(2013, `invalid params, ${what}`);

function authorise(call) {
    const key = keyIn(call.headers.authorization, 'Bearer'); // documented
    if (key === null) throw refusal(1004);
    if (!isKnownKey(key)) throw refusal(2049);
    return key;
}

// A URL or a data URI: documented.
function checkImage(name, image) {
    if (!isImage(image)) throw wrong(`${name} is neither a URL nor a data URI`);
}

// [{type: "character", image: [one]}]: documented.
function checkSubject(subject) {
    if (!Array.isArray(subject) || subject.length !== 1) throw wrong('subject_reference must be a list of one');
    const [{ type, image }] = subject;
    if (type !== 'character' || !Array.isArray(image) || image.length !== 1) throw wrong('a subject is {type: "character", image: [one]}');
    checkImage('subject_reference', image[0]);
}

function checkImages(body, kind) {
    const { first_frame_image: first, last_frame_image: last, subject_reference: subject } = body;
    if (kind.needs !== undefined && body[kind.needs] === undefined) throw wrong(`${body.model} needs ${kind.needs}`);
    if (kind.isText && first !== undefined) throw wrong(`${body.model} takes no first_frame_image`);
    if (subject !== undefined && kind.needs !== 'subject_reference') throw wrong(`${body.model} takes no subject_reference`);
    if (last !== undefined && !kind.hasLast) throw wrong(`${body.model} takes no last_frame_image`);
    if (last !== undefined && body.resolution === '512P') throw wrong('last_frame_image does not go with 512P'); // documented
    if (first !== undefined) checkImage('first_frame_image', first);
    if (last !== undefined) checkImage('last_frame_image', last);
    if (subject !== undefined) checkSubject(subject);
}

function check(call) {
    if (!/^application\/json\b/.test(call.headers['content-type'] ?? '')) throw wrong('Content-Type must be application/json'); // documented
    const body = call.json();
    const kind = MODELS[body.model];
    if (kind === undefined) throw wrong(`there is no model ${body.model}`);
    const { prompt, duration = 6, resolution = kind.resolutions.find((one) => one !== '512P'), callback_url: callback } = body;
    if (prompt === undefined ? body.first_frame_image === undefined : typeof prompt !== 'string' || prompt === '') throw wrong('prompt is required');
    if ((prompt ?? '').length > MAX_PROMPT) throw wrong(`prompt is longer than ${MAX_PROMPT}`);
    if (!kind.durations.includes(duration)) throw wrong(`duration must be ${kind.durations.join(' or ')}`); // a number: documented
    if (!kind.resolutions.includes(resolution)) throw wrong(`resolution must be ${kind.resolutions.join(' or ')}`);
    if (resolution === '1080P' && duration !== 6) throw wrong('1080P is made for 6 seconds'); // documented
    for (const name of ['prompt_optimizer', 'fast_pretreatment', 'aigc_watermark'])
        if (body[name] !== undefined && typeof body[name] !== 'boolean') throw wrong(`${name} must be true or false`);
    if (callback !== undefined && !/^https?:\/\//.test(callback)) throw wrong('callback_url must be a URL');
    checkImages(body, kind);
    return { ...body, duration, resolution, shape: SIZES[resolution].join('x') };
}

const digits = (length) => [...randomBytes(length)].map((byte) => byte % 10).join('');
// int64 of which JavaScript would lose the end: the type is documented, that they are so large is ours.
const newFile = () => `8${digits(17)}1`;

async function create(sim, call) {
    const wish = { ...check(call), file: newFile() };
    const job = await sim.accept(call, { id: `4${digits(14)}`, model: wish.model, prompt: wish.prompt ?? '', wish, callback: wish.callback_url ?? null });
    return { json: { task_id: job.id, base_resp: baseResp(0) } }; // documented
}

// JSON in which the id of a file may be a number that JavaScript cannot hold.
const withFile = (body, isNumber) => ({
    type: 'application/json',
    text: isNumber ? JSON.stringify(body).replace(/"file_id":"(\d+)"/, '"file_id":$1') : JSON.stringify(body),
});

// {task_id, status, file_id, video_width, video_height, base_resp}; the id of the file is a text: documented.
function taskOf(job, state, status) {
    const answer = { task_id: job.id, status, file_id: '', base_resp: baseResp(0) };
    if (state === 'failed') answer.base_resp = baseResp(job.outcome === 'moderated' ? 1027 : 1033); // documented: 1027
    if (state !== 'completed' || job.outcome === 'no-video') return answer; // ours: done without a file
    const [width, height] = SIZES[job.wish.resolution];
    return { ...answer, file_id: job.wish.file, video_width: width, video_height: height };
}

async function query(sim, call) {
    const id = call.query.get('task_id') ?? '';
    if (id === '') throw wrong('task_id is required');
    const job = await sim.look(call, id);
    if (job === null) throw wrong('invalid task_id'); // third-party
    const state = job.state();
    const told = call.word === null ? taskOf(job, state, WORDS[state]) : taskOf(job, 'rendering', call.word);
    return withFile(told, sim.settings.numeric_file_ids);
}

// As a query answers, in words of their own, of which none is for the queue: documented.
const callbackOf = (sim, job, state) => (state === 'pending' ? null : taskOf(job, state, CALLED[state]));

// {file: {file_id (int64), bytes, created_at, filename, purpose, download_url}, base_resp}: documented.
async function retrieve(sim, call) {
    const id = call.query.get('file_id') ?? '';
    if (!/^\d{1,19}$/.test(id)) throw wrong('file_id must be an int64');
    const job = [...sim.jobs.values()].find(({ wish }) => wish.file === id) ?? null;
    await sim.meddle(call, 'document', { prompt: job?.prompt, model: job?.model, key: call.key });
    if (job === null || job.credential !== call.credential || job.isGone || job.state() !== 'completed') throw wrong('file not found'); // ours
    const file = { file_id: id, bytes: 0, created_at: Math.floor(job.endedAt / 1000), filename: 'output_aigc.mp4', purpose: 'video_generation' };
    return withFile({ file: { ...file, download_url: sim.link(job, call) }, base_resp: baseResp(0) }, true);
}

export const minimax = {
    name: 'minimax',
    place: 9,
    renews: true, // the URL is asked for anew, and good for an hour (documented); that it is another one is ours
    problem,
    settings: {
        numeric_file_ids: false, // the query tells the id of the file as a number too, as the file itself does
    },
    authorise,
    challenges: true, // documented
    callbackOf,
    routes: (sim) => [
        ['POST /v1/video_generation', 'submit', (call) => create(sim, call)],
        ['GET /v1/query/video_generation', 'poll', (call) => query(sim, call)],
        ['GET /v1/files/retrieve', 'document', (call) => retrieve(sim, call)],
    ],
};
