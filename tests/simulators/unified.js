// SPDX-License-Identifier: Apache-2.0
//
// The «unified video format» of relays: POST /v1/video/create, GET /v1/video/query?id=. Relays agree on
// little more than that, so the dialect is a setting: `sora` (the outer status stays pending until the end,
// times in ms), `veo` (finer words inside, links null until the end), `grok` (flat, times in seconds).
// What a comment calls «documented» is in the relays' API pages, «third-party» in the public new-api engine
// or in clients that read the answers; «ours» is not established.
import { randomBytes, randomUUID } from 'node:crypto';
import { isImage } from './checks.js';
import { isKnownKey, keyIn } from './core.js';

const MAX_IMAGES = 16;
const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz';

const TEXTS = {
    400: ['invalid_request', 'the request is not valid'],
    401: ['invalid_token', 'Invalid token'],
    403: ['insufficient_user_quota', 'the quota is used up'],
    404: ['not_found', 'not found'],
    413: ['request_too_large', 'the request is too large'],
    429: ['rate_limit', 'the upstream of this group is saturated, try again later'],
    503: ['model_not_found', 'no channel is available for this model'],
};

// The relay's own refusals are {error: {message, type, code}}, a task's are {code, message, data}: third-party.
function problem(status, { message, code } = {}) {
    const [usual, text] = TEXTS[status] ?? ['server_error', 'the server had an error'];
    const id = randomBytes(12).toString('hex');
    const headers = { 'x-oneapi-request-id': id }; // third-party
    if ([401, 403, 503].includes(status))
        return { headers, json: { error: { message: `${message ?? text} (request id: ${id})`, type: 'new_api_error', code: code ?? usual } } };
    return { headers, json: { code: code ?? usual, message: message ?? text, data: null } };
}

const bad = (sim, message) => sim.refuse(400, { message });

const letters = (length) => [...randomBytes(length)].map((byte) => BASE32[byte % 32]).join('');

// sora-2:task_<26>, veo3.1:<seconds>-<10>, grok:<uuid>: documented. A number beyond 2^53: an option, since
// relays whose tasks are database rows hand out numbers.
function newId(sim, model) {
    if (sim.settings.numeric_ids) return `8${[...randomBytes(18)].map((byte) => byte % 10).join('')}`;
    if (sim.settings.dialect === 'veo') return `${model}:${Math.floor(Date.now() / 1000)}-${letters(10)}`;
    if (sim.settings.dialect === 'grok') return `grok:${randomUUID()}`;
    return `${model}:task_${letters(26)}`;
}

// JSON in which an id may be a number that JavaScript cannot hold.
function answer(sim, job, body) {
    const text = JSON.stringify({ id: job.id, ...(sim.settings.numeric_ids ? { task_id: job.id } : {}), ...body });
    const own = `:"${job.id}"`;
    return { type: 'application/json', text: sim.settings.numeric_ids ? text.replaceAll(own, `:${job.id}`) : text };
}

function fieldsOf(sim, call) {
    const fields = call.json();
    for (const name of ['model', 'prompt'])
        if (typeof fields[name] !== 'string' || fields[name] === '') throw bad(sim, `field ${name} is required`);
    checkImages(sim, fields.images);
    return fields;
}

// URLs (documented) or data URIs (third-party); an empty list is no image.
function checkImages(sim, images = []) {
    if (!Array.isArray(images)) throw bad(sim, 'images must be a list of URLs');
    if (images.length > MAX_IMAGES) throw bad(sim, `at most ${MAX_IMAGES} images`);
    for (const image of images)
        if (!isImage(image)) throw bad(sim, 'an image must be a URL or a data URI');
}

// orientation, aspect_ratio, size: documented; what is not one of them is a landscape.
function shapeIn({ orientation, aspect_ratio: ratio, size }) {
    return [ratio, orientation, size].find((one) => /^(\d+[x:]\d+|portrait|square|landscape)$/.test(one ?? '')) ?? 'landscape';
}

async function create(sim, call) {
    const fields = fieldsOf(sim, call);
    const wish = { ...fields, shape: shapeIn(fields) };
    const job = await sim.accept(call, { id: newId(sim, fields.model), model: fields.model, prompt: fields.prompt, wish });
    // {id, status, status_update_time}: documented; enhanced_prompt with veo, "processing" and seconds with grok
    const status = sim.settings.dialect === 'grok' ? 'processing' : 'pending';
    return answer(sim, job, { status, status_update_time: time(sim, job.created), ...(sim.settings.dialect === 'veo' ? { enhanced_prompt: '' } : {}) });
}

const time = (sim, ms) => (sim.settings.dialect === 'grok' ? Math.floor(ms / 1000) : Math.floor(ms));

async function query(sim, call) {
    const id = call.params.id ?? call.query.get('id') ?? call.query.get('task_id'); // one or the other: documented
    if (id === null || id === '') throw bad(sim, 'id is required');
    const job = await sim.look(call, id);
    // 400 task_not_exist: third-party; 404 in other relays
    if (job === null) throw sim.refuse(sim.settings.unknown_status, { code: 'task_not_exist', message: 'task_not_exist' });
    const body = { ...DIALECTS[sim.settings.dialect](sim, call, job), status_update_time: time(sim, job.isOver ? job.endedAt : Date.now()) };
    if (call.word !== null) body.status = call.word;
    return answer(sim, job, body);
}

function linksOf(sim, call, job) {
    if (job.state() !== 'completed' || job.outcome === 'no-video') return null;
    const video = sim.link(job, call);
    return { video, thumbnail: video.replace(/\.mp4$/, '.webp') };
}

const inner = (job) => job.id.slice(job.id.indexOf(':') + 1);
const words = (job) => ({ pending: 'pending', rendering: 'pending', completed: 'completed' })[job.state()] ?? 'failed';

// {code, message}: third-party. The words of the messages are ours.
function failureOf({ outcome }) {
    if (outcome === 'moderated') return { code: 'moderation_blocked', message: 'This content may violate our content policy (unsafe).' };
    return { code: 'task_failed', message: 'The video could not be made.' };
}

// All keys of the two examples of the documented page; failed: third-party.
function sora(sim, call, job) {
    const { model, prompt, wish } = job;
    const links = linksOf(sim, call, job);
    const [width, height] = wish.shape === 'portrait' || /^9:16$/.test(wish.shape) ? [720, 1280] : [1280, 720];
    const status = words(job);
    const input = { size: wish.size ?? 'small', model, images: wish.images ?? [], prompt, orientation: wish.orientation ?? 'landscape' };
    const detail = { id: inner(job), input, status };
    const pending = pendingInfo(job, width, height);
    if (status === 'pending') return { status, detail: { ...detail, pending_info: pending } };
    if (status === 'failed') {
        const error = failureOf(job);
        const said = { ...pending, status, failure_reason: error.message };
        return { status, error, fail_reason: error.message, detail: { ...detail, pending_info: said } };
    }
    if (links === null) return { status, width, height, detail };
    const draft = {
        id: `gen_${inner(job)}`, url: links.video, kind: 'sora_draft', tags: [], title: null, width, height, prompt, task_id: inner(job),
        encodings: {
            md: { path: links.video }, gif: null, source: { path: links.video }, unfurl: null,
            source_wm: { path: links.video }, thumbnail: { path: links.thumbnail },
        },
        created_at: job.endedAt / 1000, downloadable_url: links.video, generation_type: '', draft_reviewed: false,
    };
    return {
        status, width, height, video_url: links.video, thumbnail_url: links.thumbnail,
        detail: { ...detail, url: links.video, gif_url: links.thumbnail, thumbnail_url: links.thumbnail, draft_info: draft },
    };
}

// The inner state differs from the outer one, which stays pending: documented.
function pendingInfo(job, width, height) {
    const isWaiting = job.state() === 'pending';
    const isRejected = job.outcome === 'moderated' && job.isOver;
    return {
        id: inner(job), seed: null, type: 'video_gen', user: 'user-simulated', model: job.model, title: 'New Video', width, height,
        prompt: job.prompt,
        status: isWaiting ? 'queued' : 'processing', n_frames: 300, priority: 2, operation: 'simple_compose', created_at: new Date(job.created).toISOString(),
        n_variants: 1, generations: [], progress_pct: job.progress(), inpaint_items: [], failure_reason: null,
        moderation_result: { code: null, type: 'passed', task_id: inner(job), is_output_rejection: isRejected, results_by_frame_index: {} },
        needs_user_review: false, queue_status_message: null, progress_pos_in_queue: null, estimated_queue_wait_time: null,
    };
}

// Finer words in `detail`, video_url null until the end; texts of a failure: documented.
function veo(sim, call, job) {
    const links = linksOf(sim, call, job);
    const status = { pending: 'pending', rendering: 'processing', completed: 'completed' }[job.state()] ?? 'failed';
    const word = { pending: 'pending', rendering: 'video_generating', completed: 'completed' }[job.state()] ?? 'video_generation_failed';
    const said = status === 'failed' ? failureOf(job).message : null;
    return {
        status, video_url: links?.video ?? null, enhanced_prompt: job.prompt,
        detail: {
            id: job.id, req: { model: job.model, prompt: job.prompt, images: job.wish.images ?? [] }, images: [], status: word, running: !job.isOver,
            video_url: links?.video ?? null, upsample_video_url: null, upsample_status: null,
            created_at: job.created, completed_at: job.isOver ? job.endedAt : null,
            enhanced_prompt: job.prompt, retry_count: 0, max_retries: 3, error_message: said, video_generation_error: said,
        },
    };
}

// Flat; `error` is a text, "" when all is well: documented.
function grok(sim, call, job) {
    const links = linksOf(sim, call, job);
    const status = { pending: 'processing', rendering: 'processing', completed: 'completed' }[job.state()] ?? 'failed';
    return {
        status, video_url: links?.video ?? null, thumbnail_url: links?.thumbnail ?? null, progress: Math.floor(job.progress() * 100),
        completed_at: job.isOver ? Math.floor(job.endedAt / 1000) : null, ratio: job.wish.aspect_ratio ?? '16:9', prompt: job.prompt, model: job.model,
        mode: 'custom', type: 'video', error: status === 'failed' ? failureOf(job).message : '', upscaled: false,
    };
}

const DIALECTS = { sora, veo, grok };

export const unified = {
    name: 'unified',
    place: 0,
    renews: true, // relays sign links anew, or do not say (ours)
    problem,
    settings: {
        dialect: 'sora', // or 'veo', 'grok'
        unknown_status: 400, // of a query for an unknown task
        numeric_ids: false, // `id` and `task_id` are numbers beyond 2^53
    },
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // documented
        if (isKnownKey(key)) return key;
        throw sim.refuse(401);
    },
    routes: (sim) => [
        ['POST /v1/video/create', 'submit', (call) => create(sim, call)],
        ['GET /v1/video/query', 'poll', (call) => query(sim, call)],
        ['GET /v1/videos/:id', 'poll', (call) => query(sim, call)], // the same task: third-party
    ],
};
