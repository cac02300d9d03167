// SPDX-License-Identifier: Apache-2.0
//
// PixVerse's platform API: /openapi/v2, an envelope of {ErrCode, ErrMsg, Resp}, images that are uploaded first, a status
// that is a number. What a comment calls «documented» is in the vendor's guides, error list and OpenAPI file,
// «third-party» in adapters of public gateways; «ours» is not established.
import { randomInt } from 'node:crypto';
import { isKnownKey } from './core.js';

const STATUSES = { pending: 5, rendering: 5, completed: 1, failed: 8, cancelled: 6 }; // documented; 6, deleted: third-party
const MODERATED = 7; // documented
const MAX_PROMPT = 5000, MAX_TRANSITION_PROMPT = 2048, MAX_NEGATIVE = 2048; // documented
const MAX_IMAGE_BYTES = 20 << 20; // documented
const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/jpg', 'image/webp']; // documented
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

// Documented.
const CODES = {
    400011: 'Empty parameter',
    400012: 'Invalid account',
    400013: 'Invalid binding request: incorrect parameter type or value',
    400017: 'Invalid parameter',
    400018: 'Prompt/negative prompt length exceeds the limit. Please check if your input is too long.',
    400032: 'Invalid image ID',
    500008: 'Requested data not found',
    500030: 'Image size cannot exceed 20M 4000px*4000px',
    500032: 'Invalid image format',
    500044: 'Reached the limit for concurrent generations.',
    500069: 'System is currently experiencing high load. Please try again later',
    500090: 'Insufficient balance. Unable to generate video. Please top up your credits.',
    99999: 'Unknown error',
};
const USUAL = { 400: 400013, 401: 400012, 402: 500090, 403: 400012, 404: 500008, 405: 400017, 413: 500030, 429: 500069 }; // ours

function problem(status, { code, message, isParallel = false } = {}) {
    const number = code ?? (isParallel ? 500044 : USUAL[status] ?? (status < 500 ? 400017 : 99999));
    return { json: { ErrCode: number, ErrMsg: message ?? CODES[number], Resp: null } };
}

// An error of the API comes with HTTP status 200: documented by examples, third-party.
const refusal = (sim, code, message) => sim.refuse(200, { code, message });
const success = (resp) => ({ json: { ErrCode: 0, ErrMsg: 'success', Resp: resp } });

function authorise(call, sim) {
    const key = call.headers['api-key'];
    if (!isKnownKey(key)) throw sim.refuse(401); // the status is ours
    return key;
}

// Each request has a UUID of its own; one that was there before gets the answer of then (third-party), whatever it asks.
const traced = (sim, handler) => async (call) => {
    const trace = call.headers['ai-trace-id'];
    if (!UUID.test(trace ?? '')) throw refusal(sim, 400011, 'Ai-trace-id must be a UUID');
    const name = `trace ${call.key} ${trace}`;
    if (sim.shelf.has(name)) return sim.shelf.get(name);
    const answer = await handler(sim, call);
    sim.shelf.set(name, answer);
    return answer;
};

// multipart with the file in `image`: documented.
async function upload(sim, call) {
    const part = call.isForm ? call.form().find(({ name }) => name === 'image') : undefined;
    if (part === undefined || part.text !== null) throw refusal(sim, 400011, 'image must be a file');
    if (!IMAGE_TYPES.includes(part.type)) throw refusal(sim, 500032);
    if (part.bytes.length > MAX_IMAGE_BYTES) throw refusal(sim, 500030);
    const id = randomInt(1e9, 1e12);
    await sim.uploaded(call, { id, bytes: part.bytes.length });
    sim.shelf.set(`image ${call.key} ${id}`, true);
    return success({ img_id: id, img_url: `https://media.example.com/${id}.png` });
}

// Which fields each needs, and which have an image's id: documented.
const KINDS = {
    text: { needed: ['model', 'prompt', 'duration', 'quality', 'aspect_ratio'], images: [], most: MAX_PROMPT },
    img: { needed: ['model', 'prompt', 'duration', 'quality', 'img_id'], images: ['img_id'], most: MAX_PROMPT },
    transition: {
        needed: ['model', 'prompt', 'duration', 'quality', 'first_frame_img', 'last_frame_img'],
        images: ['first_frame_img', 'last_frame_img'], most: MAX_TRANSITION_PROMPT,
    },
};
const RATIOS = ['16:9', '9:16', '1:1', '4:3', '3:4']; // documented
const MORE_RATIOS = ['2:3', '3:2', '21:9']; // of v6 and c1: documented

// Documented; 1080p is shorter.
function isDuration(model, seconds, quality) {
    if (!Number.isInteger(seconds)) return false;
    if (['v6', 'c1'].includes(model)) return seconds >= 1 && seconds <= 15;
    const isFull = quality === '1080p';
    if (['v5.5', 'v5.6'].includes(model)) return (isFull ? [5, 8] : [5, 8, 10]).includes(seconds);
    return (isFull && model === 'v3.5' ? [5] : [5, 8]).includes(seconds);
}

function checkTexts(sim, { prompt, negative_prompt: negative = '' }, most) {
    if (typeof prompt !== 'string' || typeof negative !== 'string') throw refusal(sim, 400013);
    if (prompt.length > most || negative.length > MAX_NEGATIVE) throw refusal(sim, 400018);
}

function check(sim, call, kind, body) {
    const { needed, images, most } = KINDS[kind];
    const { model, quality, duration, aspect_ratio: ratio, seed = 0, water_mark: mark = false } = body;
    for (const name of needed) if (body[name] === undefined || body[name] === '') throw refusal(sim, 400011, `Empty parameter: ${name}`);
    checkTexts(sim, body, most);
    if (!['v3.5', 'v4', 'v4.5', 'v5', 'v5.5', 'v5.6', 'v6', 'c1'].includes(model)) throw refusal(sim, 400017, 'Invalid parameter: model');
    if (!['360p', '540p', '720p', '1080p'].includes(quality)) throw refusal(sim, 400017, 'Invalid parameter: quality');
    if (!isDuration(model, duration, quality)) throw refusal(sim, 400017, 'Invalid parameter: duration');
    const ratios = ['v6', 'c1'].includes(model) ? [...RATIOS, ...MORE_RATIOS] : RATIOS;
    if (ratio !== undefined && !(kind === 'text' && ratios.includes(ratio))) throw refusal(sim, 400017, 'Invalid parameter: aspect_ratio');
    if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31)) throw refusal(sim, 400017, 'Invalid parameter: seed');
    if (typeof mark !== 'boolean') throw refusal(sim, 400013);
    for (const name of images) if (!sim.shelf.has(`image ${call.key} ${body[name]}`) || typeof body[name] !== 'number') throw refusal(sim, 400032);
}

const generate = (kind) => async (sim, call) => {
    const body = call.json();
    check(sim, call, kind, body);
    const job = await sim.accept(call, {
        id: randomInt(1e11, 2 ** 47), model: body.model, prompt: body.prompt, correlation: call.headers['ai-trace-id'],
        wish: { ...body, kind, shape: body.aspect_ratio ?? 'landscape' },
    });
    return success({ video_id: Number(job.id), credits: body.duration * 9 }); // a number: documented; credits: third-party
};

function videoOf(sim, call, job) {
    const state = job.state();
    const { prompt, negative_prompt: negative = '', seed = 0, duration } = job.wish;
    const made = new Date(job.created).toISOString();
    const status = call.word ?? (job.isOver && job.outcome === 'moderated' ? MODERATED : STATUSES[state]);
    const isDone = state === 'completed' && job.outcome !== 'no-video';
    // Documented; credits: third-party.
    return {
        id: Number(job.id), status, prompt, negative_prompt: negative, seed, style: '', resolution_ratio: 0, create_time: made, modify_time: made,
        outputWidth: isDone ? 1280 : 0, outputHeight: isDone ? 720 : 0, size: isDone ? 81234 : 0,
        url: isDone ? sim.link(job, call) : '', ...(isDone ? { credits: duration * 9 } : {}),
    };
}

async function result(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) throw refusal(sim, 500008);
    return success(videoOf(sim, call, job));
}

export const pixverse = {
    name: 'pixverse',
    place: 20,
    renews: false, // ours
    problem,
    authorise,
    routes: (sim) => [
        ['POST /openapi/v2/image/upload', 'upload', traced(sim, upload)],
        ...Object.keys(KINDS).map((kind) => [`POST /openapi/v2/video/${kind}/generate`, 'submit', traced(sim, generate(kind))]),
        ['GET /openapi/v2/video/result/:id', 'poll', traced(sim, result)],
    ],
};
