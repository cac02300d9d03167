// SPDX-License-Identifier: Apache-2.0
//
// Runway's API: tasks made by /v1/{kind}_to_video, in camelCase, each model with fields of its own. What a comment
// calls «wire» is what @runwayml/sdk 4.20.1 (npm) sends, «sdk» its types, «documented» the vendor's pages, «third-party»
// what callers of the API report; «ours» is not established.
import { randomUUID } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';

const VERSION = '2024-11-06'; // wire: with every request
const WORDS = { pending: 'PENDING', rendering: 'RUNNING', completed: 'SUCCEEDED', failed: 'FAILED', cancelled: 'CANCELLED' }; // sdk
const CREDITS_A_SECOND = { 'gen4.5': 12, gen4_turbo: 5 }; // third-party; of the others ours
const TEXTS = { 401: 'Invalid token', 404: 'Not found', 405: 'Method not allowed', 429: 'Too many requests' }; // ours

// {error: text}: documented.
const problem = (status, { message } = {}) => ({ json: { error: message ?? TEXTS[status] ?? (status < 500 ? 'Bad request' : 'Service unavailable') } });

// ---- what a model takes on a route: sdk

const list = (text) => text.split(' ');
const HD = list('1280:720 720:1280');
const FULL = [...HD, ...list('1920:1080 1080:1920')];
const CLASSIC = [...HD, ...list('1104:832 832:1104 960:960 1584:672')];
const SEEDANCE = [...HD, ...list('992:432 864:496 752:560 640:640 560:752 496:864 1470:630 1112:834 960:960 834:1112')];
const SEEDANCE_FULL = [...SEEDANCE, ...list('2206:946 1920:1080 1664:1248 1440:1440 1248:1664 1080:1920 3840:2160 2160:3840')];
const WAN = [...FULL, ...list('832:480 720:544 624:624 544:720 480:832 1104:832 960:960 832:1104 1648:1248 1440:1440 1248:1648')];
const AUTO = list('auto_480p auto_720p auto_1080p');
const HAILUO = { ratio: list('adaptive 21:9 16:9 4:3 1:1 3:4 9:16'), resolution: list('768p 2k'), fields: list('references referenceVideos referenceAudio') };
const seedance = (ratio) => ({ prompt: 3500, ratio, fields: list('audio seed references referenceVideos referenceAudio'), ends: true });

// A route that is not named is not there for the model; `must` is required, `fields` are taken.
const MODELS = {
    'gen4.5': { prompt: 1000, duration: [2, 10], must: ['ratio', 'duration'], fields: ['seed', 'contentModeration', 'outputFormat', 'proresProfile'], text: { ratio: HD }, image: { ratio: CLASSIC } },
    gen4_turbo: { prompt: 1000, duration: [2, 10], must: ['ratio'], fields: ['seed', 'contentModeration'], image: { ratio: CLASSIC } },
    'veo3.1': { prompt: 1000, durations: [4, 6, 8], must: ['ratio'], ratio: FULL, fields: ['audio', 'negativePrompt', 'seed'], ends: true, text: {}, image: {} },
    'veo3.1_fast': { prompt: 1000, durations: [4, 6, 8], must: ['ratio'], ratio: FULL, fields: ['audio', 'negativePrompt', 'seed'], ends: true, text: {}, image: {} },
    seedance2: { ...seedance(SEEDANCE_FULL), text: {}, image: {}, video: { must: ['promptVideo'] } },
    seedance2_fast: { ...seedance(SEEDANCE), text: {}, image: {}, video: { must: ['promptVideo'] } },
    hailuo3: { ...HAILUO, ends: true, text: {}, image: {}, video: { must: ['promptVideo'] } },
    h3_max: { resolution: list('480p 768p'), fields: ['seed', 'promptExpansionMode'], ends: true, text: {}, image: {} },
    wan3: { fields: ['audio', 'references'], ends: true, text: { ratio: WAN }, image: { ratio: AUTO, fields: ['audio'] } }, // the image gives the shape
    happyhorse_1_0: { prompt: 2500, text: { ratio: FULL }, image: { resolution: list('720p 1080p') } },
    aleph2: { fields: ['seed', 'keyframes', 'targetAspectRatio', 'contentModeration'], video: { must: ['videoUri'], isUntimed: true } },
};

// 400 {error, issues: [{path, message}]}: «error» documented, the rest ours.
function wrong(sim, path, message) {
    const refusal = sim.refuse(400, { message: `Validation of body failed: ${path}: ${message}` });
    refusal.answer.json.issues = [{ path: [path], message }];
    return refusal;
}

// https, not at an IP address; data: up to 5 MB; or what was uploaded (documented).
function checkMedia(sim, path, uri) {
    if (typeof uri !== 'string') throw wrong(sim, path, 'Expected string');
    if (/^data:(image|video|audio)\/\w+;base64,/.test(uri)) {
        if (uri.length > 5 << 20) throw wrong(sim, path, 'Data URI is too large');
        return;
    }
    if (uri.startsWith('runway://')) {
        if (!sim.shelf.has(uri)) throw wrong(sim, path, 'Unknown upload');
        return;
    }
    if (!uri.startsWith('https://')) throw wrong(sim, path, 'Only HTTPS URLs are allowed.');
    if (/^https:\/\/[\d.]+[/:]/.test(uri)) throw wrong(sim, path, 'URLs must be hosted on a domain.');
}

// A text, or [{uri, position}] with the positions first and last: sdk.
function checkImages(sim, { promptImage: image }, rules) {
    if (!Array.isArray(image)) return checkMedia(sim, 'promptImage', image);
    const positions = image.map(({ position }) => position);
    const fits = positions[0] === 'first' && (positions.length === 1 || (rules.ends && positions.length === 2 && positions[1] === 'last'));
    if (!fits) throw wrong(sim, 'promptImage', `the positions ${positions} are not supported by this model`);
    for (const { uri } of image) checkMedia(sim, 'promptImage', uri);
}

function checkNumbers(sim, { duration, seed }, { duration: range, durations, isUntimed }) {
    const isWhole = duration === undefined || Number.isInteger(duration);
    const isFit = range === undefined ? durations?.includes(duration) ?? true : duration >= range[0] && duration <= range[1];
    if (!isWhole || (duration !== undefined && (!isFit || isUntimed))) throw wrong(sim, 'duration', `${duration} is not supported by this model`);
    if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff)) throw wrong(sim, 'seed', 'Expected an unsigned number of 32 bits');
}

function check(sim, kind, body) {
    const route = MODELS[body.model]?.[kind];
    if (route === undefined) throw wrong(sim, 'model', `${body.model} is no model of ${kind}_to_video`);
    const rules = { fields: [], must: [], ...MODELS[body.model], ...route };
    const must = [...rules.must, ...(kind === 'image' ? ['promptImage'] : [])];
    const known = ['model', 'promptText', 'duration', ...must, ...rules.fields, ...['ratio', 'resolution'].filter((name) => rules[name])];
    for (const name of must) if (body[name] === undefined) throw wrong(sim, name, 'Required');
    for (const name of Object.keys(body)) if (!known.includes(name)) throw wrong(sim, name, 'Unrecognized key'); // ours
    for (const name of ['ratio', 'resolution'])
        if (body[name] !== undefined && !rules[name].includes(body[name])) throw wrong(sim, name, `Invalid enum value ${JSON.stringify(body[name])}`);
    const prompt = body.promptText ?? (kind === 'text' ? undefined : ' ');
    if (typeof prompt !== 'string' || prompt === '' || prompt.length > (rules.prompt ?? Infinity)) throw wrong(sim, 'promptText', 'Expected a text that is not too long');
    checkNumbers(sim, body, rules);
    if (kind === 'image') checkImages(sim, body, rules);
    for (const { uri } of body.references ?? []) checkMedia(sim, 'references', uri);
    for (const name of ['videoUri', 'promptVideo']) if (body[name] !== undefined) checkMedia(sim, name, body[name]);
}

// ---- tasks

const creditsOf = ({ model, wish }) => (CREDITS_A_SECOND[model] ?? 10) * wish.duration;

// {id, estimatedCost}: sdk.
async function create(sim, call, kind) {
    const body = call.json();
    check(sim, kind, body);
    const job = await sim.accept(call, {
        id: randomUUID(), model: body.model, prompt: body.promptText ?? '',
        wish: { body, duration: body.duration ?? 5, shape: body.ratio ?? '16:9' },
    });
    return { json: { id: job.id, estimatedCost: { credits: creditsOf(job) } } };
}

// Beyond so many unfinished tasks of an account one more is taken, and waits: documented.
function isThrottled(sim, job) {
    if (sim.settings.concurrency === null || job.state() !== 'pending') return false;
    const before = [...sim.jobs.values()].filter((other) => other.credential === job.credential && !other.isOver && other.created < job.created);
    return before.length >= sim.settings.concurrency;
}

// Fields by status: sdk. Codes: documented.
function taskOf(sim, call, job) {
    const state = job.state();
    const word = call.word ?? (isThrottled(sim, job) ? 'THROTTLED' : WORDS[state]);
    const task = { id: job.id, createdAt: new Date(job.created).toISOString(), status: word };
    if (!job.isOver) return { ...task, estimatedCost: { credits: creditsOf(job) }, ...(state === 'rendering' ? { progress: job.progress() } : {}) };
    if (state === 'completed') return { ...task, cost: { credits: creditsOf(job) }, output: job.outcome === 'no-video' ? [] : [sim.link(job, call)] };
    const isModerated = job.outcome === 'moderated';
    const [failure, failureCode] = isModerated ? ['The prompt was rejected by content moderation.', 'SAFETY.INPUT.TEXT'] : ['The output was rejected.', 'INTERNAL.BAD_OUTPUT.CODE01'];
    return { ...task, cost: { credits: 0 }, failure, failureCode };
}

async function retrieve(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw sim.refuse(404, { message: 'Task not found' });
    return { json: taskOf(sim, call, job) };
}

// 204. What is under way is cancelled, what has ended is deleted; neither is found again: sdk.
async function remove(sim, call) {
    const job = sim.own(call, call.params.id);
    await sim.cancelled(call, job, job?.isOver === true ? 'delete' : 'cancel');
    if (job === null) throw sim.refuse(404, { message: 'Task not found' });
    if (!job.isOver) job.cancel();
    job.isDeleted = true;
    return { status: 204, bytes: Buffer.alloc(0) };
}

// {uploadUrl, fields, runwayUri}, then a form of the fields and the file: wire.
async function announce(sim, call) {
    const { filename, type } = call.json();
    if (typeof filename !== 'string' || type !== 'ephemeral') throw wrong(sim, 'type', 'Expected a filename and the type ephemeral');
    const token = randomUUID();
    await sim.uploaded(call, { file: token, name: filename });
    sim.shelf.set(token, filename);
    return { json: { uploadUrl: `${sim.url}/_upload/${token}`, fields: { key: token, policy: 'simulated' }, runwayUri: `runway://${token}` } };
}

function upload(sim, call) {
    const parts = call.form();
    if (!sim.shelf.has(call.params.token) || !parts.some(({ name }) => name === 'file')) throw sim.refuse(403, { message: 'no such upload' });
    sim.shelf.set(`runway://${call.params.token}`, true);
    return { status: 204, bytes: Buffer.alloc(0) };
}

export const runway = {
    name: 'runway',
    place: 11,
    renews: true, // sdk: a task that is fetched again has fresh links
    problem,
    settings: {
        concurrency: null, // so many unfinished tasks of an account; one more reads THROTTLED
    },
    authorise(call, sim) {
        if (call.url.pathname.startsWith('/_upload/')) return null; // the fields are the permission: wire
        const key = keyIn(call.headers.authorization, 'Bearer');
        if (!isKnownKey(key)) throw sim.refuse(401);
        if (call.headers['x-runway-version'] !== VERSION) throw sim.refuse(400, { message: `X-Runway-Version must be ${VERSION}` }); // the status is ours
        return key;
    },
    routes: (sim) => [
        ['POST /v1/text_to_video', 'submit', (call) => create(sim, call, 'text')],
        ['POST /v1/image_to_video', 'submit', (call) => create(sim, call, 'image')],
        ['POST /v1/video_to_video', 'submit', (call) => create(sim, call, 'video')],
        ['POST /v1/uploads', 'upload', (call) => announce(sim, call)],
        ['POST /_upload/:token', 'upload', (call) => upload(sim, call)],
        ['GET /v1/tasks/:id', 'poll', (call) => retrieve(sim, call)],
        ['DELETE /v1/tasks/:id', 'cancel', (call) => remove(sim, call)],
    ],
};
