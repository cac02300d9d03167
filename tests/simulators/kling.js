// SPDX-License-Identifier: Apache-2.0
//
// Kling's newer API: /{family}/{model}, contents and settings, GET /tasks, a plain key. What a comment calls
// «documented» is in the vendor's pages, read in public copies of September 2026; «run» is what clients of others met
// when they ran it; «ours» is not established.
import { randomBytes, randomUUID } from 'node:crypto';
import { telling } from './callbacks.js';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'submitted', rendering: 'processing', completed: 'succeeded', failed: 'failed', cancelled: 'failed' }; // documented
const UNIT_PRICE = { '720p': 0.6, '1080p': 0.8, '4k': 3 }; // units a second, of 3.0 without sound: documented
const MAX_IDS = 20; // of one query: run

// What a code means, and its HTTP status: documented.
const CODES = {
    1000: [401, 'Authentication failed'],
    1001: [401, 'Authorization is empty'],
    1002: [401, 'Authorization is invalid'],
    1102: [429, 'Account balance not enough'],
    1103: [403, 'Unauthorized access to requested resource'],
    1200: [400, 'Invalid request parameters'],
    1201: [400, 'Invalid parameters'],
    1202: [404, 'The requested method is invalid'],
    1203: [404, 'The requested resource does not exist'],
    1301: [400, 'Trigger the platform\'s content security policy'],
    1302: [429, 'Too many requests; rate limit exceeded'],
    1303: [429, 'parallel task over resource pack limit'],
    5000: [500, 'Server internal error'],
    5001: [503, 'Server temporarily unavailable'],
    5002: [504, 'Server internal timeout'],
};
const USUAL = { 400: 1200, 401: 1000, 402: 1102, 403: 1103, 404: 1203, 405: 1202, 413: 1200, 429: 1302, 503: 5001, 504: 5002 };

// {code, message, request_id}: documented.
function problem(status, { code, message, isParallel = false } = {}) {
    const number = code ?? (isParallel ? 1303 : USUAL[status] ?? (status < 500 ? 1200 : 5000));
    return { json: { code: number, message: message ?? CODES[number][1], request_id: randomUUID() } };
}

const refusal = (sim, code, message) => sim.refuse(CODES[code][0], { code, message });
const wrong = (sim, message) => refusal(sim, 1201, message);
const success = (data) => ({ json: { code: 0, message: 'SUCCEED', request_id: randomUUID(), data } }); // documented

// What a model takes: documented. `types` are those of `contents`, the prompt aside.
const LONG = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const FRAMES = ['first_frame', 'last_frame'];
const OMNI = [...FRAMES, 'refer_image', 'feature_video', 'base_video', 'element'];
const MODELS = {
    'kling-3.0-turbo': { families: ['text-to-video', 'image-to-video'], durations: LONG, resolutions: ['720p', '1080p'], types: ['first_frame'], audio: [] },
    'kling-3.0': { families: ['text-to-video', 'image-to-video'], durations: LONG, resolutions: ['720p', '1080p', '4k'], types: [...FRAMES, 'element'], audio: ['native', 'off'] },
    'kling-3.0-omni': { families: ['omni-video'], durations: LONG, resolutions: ['720p', '1080p', '4k'], types: OMNI, audio: ['native', 'original', 'off'] },
    'kling-o1': { families: ['omni-video'], durations: LONG.slice(0, 8), resolutions: ['720p', '1080p'], types: OMNI, audio: ['original', 'off'] },
    'kling-2.6': { families: ['text-to-video', 'image-to-video'], durations: [5, 10], resolutions: ['720p', '1080p'], types: [...FRAMES, 'voice'], audio: ['native', 'off'] },
    'kling-2.5-turbo': { families: ['text-to-video', 'image-to-video'], durations: [5, 10], resolutions: ['720p', '1080p'], types: FRAMES, audio: [] },
};
const FAMILIES = ['text-to-video', 'image-to-video', 'omni-video'];
const promptMost = (family, name) => (/^kling-(2|o1)/.test(name) || (name === 'kling-3.0-turbo' && family === 'image-to-video') ? 2500 : 3072);

function checkPrompt(sim, prompt, most) {
    if (typeof prompt !== 'string' || prompt === '') throw wrong(sim, 'prompt is required');
    if (prompt.length > most) throw wrong(sim, `prompt is longer than ${most}`);
}

// A URL, or base64 without `data:` in front of it (documented: «URL or Base64»; the form without a prefix: run).
function checkUrl(sim, { type, url }) {
    if (typeof url !== 'string' || url === '') throw wrong(sim, `${type} needs a url`);
    if (/^https?:\/\//.test(url)) return;
    if (/_video$/.test(type) || !/^[A-Za-z0-9+/]+={0,2}$/.test(url)) throw wrong(sim, `the url of ${type} is neither a URL nor base64`);
}

function checkContents(sim, contents, model, most) {
    if (!Array.isArray(contents)) throw wrong(sim, 'contents is required');
    const of = (type) => contents.filter((one) => one?.type === type);
    for (const one of contents) {
        if (one?.type === 'prompt') continue;
        if (!model.types.includes(one?.type)) throw wrong(sim, `contents.type ${one?.type} is not supported`);
        if (/_(frame|image|video)$/.test(one.type)) checkUrl(sim, one);
    }
    checkPrompt(sim, of('prompt')[0]?.text, most);
    if (of('first_frame').length > 1 || of('last_frame').length > 1) throw wrong(sim, 'at most one first and one last frame');
    if (of('last_frame').length > 0 && of('first_frame').length === 0) throw wrong(sim, 'last frame only is not supported');
    if ([...of('refer_image'), ...of('first_frame'), ...of('last_frame')].length > 7) throw wrong(sim, 'at most 7 images');
    return of;
}

function checkSettings(sim, settings, model, { hasRatio }) {
    const { resolution = '720p', duration = 5, aspect_ratio: ratio, audio, multi_shot: multi } = settings;
    if (!model.resolutions.includes(resolution)) throw wrong(sim, `resolution ${resolution} is not supported`);
    if (!Number.isInteger(duration) || !model.durations.includes(duration)) throw wrong(sim, `duration ${JSON.stringify(duration)} is not supported`);
    if (ratio !== undefined && !hasRatio) throw wrong(sim, 'aspect_ratio is not supported with a first frame'); // ours: documented is that there is no such field
    if (ratio !== undefined && !['16:9', '9:16', '1:1'].includes(ratio)) throw wrong(sim, 'aspect_ratio must be 16:9, 9:16 or 1:1');
    if (audio !== undefined && !model.audio.includes(audio)) throw wrong(sim, `audio ${audio} is not supported`);
    if (multi !== undefined && typeof multi !== 'boolean') throw wrong(sim, 'multi_shot must be true or false');
}

function check(sim, family, name, body) {
    const model = MODELS[name];
    const { settings = {} } = body;
    if (model === undefined || !model.families.includes(family)) throw refusal(sim, 1203, `model ${name} does not exist`);
    if (body.model_name !== undefined || body.model !== undefined) throw wrong(sim, 'the model stands in the path');
    if (family === 'text-to-video') {
        checkPrompt(sim, body.prompt, promptMost(family, name));
        if (body.contents !== undefined) throw wrong(sim, 'text-to-video has no contents');
        return checkSettings(sim, settings, model, { hasRatio: true });
    }
    const of = checkContents(sim, body.contents, model, promptMost(family, name));
    const [first, last, references] = ['first_frame', 'last_frame', 'refer_image'].map((type) => of(type).length);
    checkSettings(sim, settings, model, { hasRatio: family === 'omni-video' && first === 0 });
    if (family === 'image-to-video' && first === 0) throw wrong(sim, 'first_frame is required');
    if (family === 'omni-video' && first === 0 && settings.aspect_ratio === undefined) throw wrong(sim, 'aspect_ratio is required without a first frame');
    if (last > 0 && /^kling-2/.test(name) && settings.resolution !== '1080p') throw wrong(sim, 'first and last frame support 1080p only');
    if (name === 'kling-o1' && last > 0 && references > 0) throw wrong(sim, 'no reference images beside first and last frame');
    if (name === 'kling-o1' && first > 0 && references === 0 && ![5, 10].includes(settings.duration ?? 5)) throw wrong(sim, 'only 5 or 10 seconds');
}

const newId = () => `8${[...randomBytes(17)].map((byte) => byte % 10).join('')}`; // digits beyond 2^53, as a text: documented
const promptOf = ({ prompt, contents }) => prompt ?? contents.find((one) => one.type === 'prompt').text;
const byOurs = (sim, call, id) => [...sim.jobs.values()].find((job) => job.correlation === id && job.credential === call.credential);

// The custom id is «unique within a single user account» (documented); one that is there is refused, and nothing is paid (run).
async function create(sim, call, family) {
    const body = call.json();
    const { settings = {}, options = {} } = body;
    const { external_task_id: external = '', callback_url: callback } = options;
    check(sim, family, call.params.model, body);
    if (!/^(https?:\/\/.*)?$/.test(callback ?? '')) throw wrong(sim, 'callback_url must be a URL'); // the field: documented
    if (external !== '' && byOurs(sim, call, external) !== undefined) throw wrong(sim, 'external_task_id already exists');
    const job = await sim.accept(call, {
        callback: callback || null,
        id: newId(), model: call.params.model, prompt: promptOf(body), correlation: external === '' ? null : external,
        wish: { duration: settings.duration ?? 5, resolution: settings.resolution ?? '720p', shape: settings.aspect_ratio ?? '16:9' },
    });
    return success(headOf(job, job.state(), WORDS.pending));
}

// {id, status, create_time, update_time (ms), external_id}: documented.
function headOf(job, state, status) {
    const since = { pending: job.created, rendering: job.startsAt }[state] ?? job.endedAt;
    return { id: job.id, status, create_time: job.created, update_time: since, external_id: job.correlation ?? '' };
}

// {outputs: [{type, id, url, watermark_url, duration (a text)}], billing: [{charge_type, amount (a text), package_type}]}: documented.
function taskOf(sim, call, job) {
    const state = call.state ?? job.state();
    const task = { ...headOf(job, state, call.word ?? WORDS[state]), message: '', outputs: [], billing: [] };
    if (['pending', 'rendering'].includes(state)) return task;
    if (state !== 'completed') return { ...task, message: job.outcome === 'moderated' ? 'Failure to pass the risk control system' : 'The task failed', billing: [unit(0)] };
    const { duration, resolution } = job.wish;
    const video = { type: 'video', id: `9${job.id.slice(1)}`, url: sim.link(job, call), watermark_url: '', duration: (duration + 0.041).toFixed(3) };
    return { ...task, outputs: job.outcome === 'no-video' ? [] : [video], billing: [unit(duration * UNIT_PRICE[resolution])] };
}

const unit = (amount) => ({ charge_type: 'unit', amount: `${Number(amount.toFixed(2))}`, package_type: 'video' });

// ?task_ids=a,b or ?external_task_ids=a,b, not both; what is not there is left out: documented.
async function query(sim, call) {
    const [theirs, ours] = ['task_ids', 'external_task_ids'].map((name) => call.query.get(name));
    if ((theirs === null) === (ours === null)) throw wrong(sim, 'one of task_ids and external_task_ids is required');
    const ids = (theirs ?? ours).split(',');
    if (ids.length > MAX_IDS) throw wrong(sim, `at most ${MAX_IDS} ids`);
    const found = [];
    for (const id of ids) {
        const job = await sim.look(call, theirs === null ? byOurs(sim, call, id)?.id ?? id : id);
        if (job !== null) found.push(taskOf(sim, call, job));
        call.word = null;
    }
    return success(found);
}

// {start_time, end_time, cursor, limit, filters} -> {result, count, next_cursor, has_more}: documented. The cursor is ours.
function list(sim, call) {
    const { cursor = '', limit = 100, filters = [] } = call.json();
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= 500)) throw wrong(sim, 'limit must be from 1 to 500');
    const wanted = filters.find(({ key }) => key === 'status')?.values;
    const all = sim.ownAll(call).filter((job) => wanted?.includes(WORDS[job.state()]) ?? true);
    const from = cursor === '' ? 0 : Number(cursor);
    const page = all.slice(from, from + limit);
    const hasMore = from + limit < all.length;
    return success({ result: page.map((job) => taskOf(sim, call, job)), count: page.length, next_cursor: hasMore ? `${from + limit}` : '', has_more: hasMore });
}

export const kling = {
    name: 'kling',
    place: 8,
    renews: false, // results stay 30 days: documented
    problem,
    authorise(call, sim) {
        if (call.headers.authorization === undefined) throw refusal(sim, 1001);
        const key = keyIn(call.headers.authorization, 'Bearer');
        if (isKnownKey(key)) return key;
        throw refusal(sim, 1002);
    },
    callbackOf: (sim, job, state) => taskOf(sim, telling(state), job), // at each change, as a query's data: third-party
    routes: (sim) => [
        ...FAMILIES.map((family) => [`POST /${family}/:model`, 'submit', (call) => create(sim, call, family)]),
        ['GET /tasks', 'poll', (call) => query(sim, call)],
        ['POST /tasks', 'list', (call) => list(sim, call)],
    ],
};
