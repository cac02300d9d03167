// SPDX-License-Identifier: Apache-2.0
//
// Gemini Omni over the Interactions API, on /v1beta and /v1. Without `background` the POST itself waits for
// the video, and answers it inline as base64: of tens of MB, where so much is asked for. What a comment
// calls «wire» is what @google/genai 2.32.0 (npm; 3.1.0 for /v1) sends, «sdk» its types, «documented»
// Google's pages, «third-party» others' reports; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { authorise, problem, wrong } from './google.js';
import { video } from './videos.js';

const RATIOS = ['16:9', '9:16']; // sdk
const RESOLUTIONS = ['360p', '720p', '1080p', '4k']; // documented
const TASKS = ['text_to_video', 'image_to_video', 'reference_to_video', 'edit', 'extend', 'upscale']; // sdk
const WORDS = { pending: 'queued', rendering: 'in_progress', completed: 'completed', failed: 'failed', cancelled: 'cancelled' }; // sdk
const WAIT_MS = 25; // between two looks at a job that the POST waits for

// `input`: a text, a part, parts, or steps that hold parts: sdk.
function partsOf(sim, input) {
    if (typeof input === 'string') return [{ type: 'text', text: input }];
    const all = (Array.isArray(input) ? input : [input]).flatMap((one) => (one?.type === 'user_input' ? one.content ?? [] : [one]));
    if (all.length === 0 || all.some((part) => typeof part !== 'object' || part === null)) throw wrong(sim, 'input must be a text or a list of parts');
    return all;
}

// {type, text} or {type, mime_type, data (base64) | uri}: wire.
function checkPart(sim, part, index) {
    const where = `input[${index}]`;
    if (part.type === 'text') {
        if (typeof part.text !== 'string') throw wrong(sim, `${where}.text must be a text`);
        return;
    }
    if (!['image', 'video'].includes(part.type)) throw wrong(sim, `${where}.type: ${JSON.stringify(part.type)} is not supported`);
    if ((part.data === undefined) === (part.uri === undefined)) throw wrong(sim, `${where} needs exactly one of data and uri`);
    if (part.data !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(part.data)) throw wrong(sim, `${where}.data is not base64`);
    if (part.data !== undefined && typeof part.mime_type !== 'string') throw wrong(sim, `${where}.mime_type is missing`);
}

function oneOf(sim, name, value, known) {
    if (value !== undefined && !known.includes(value)) throw wrong(sim, `${name}: ${JSON.stringify(value)} is not supported; there are ${known.join(', ')}`);
}

// response_format: {type: "video", aspect_ratio, resolution, duration "8s", delivery}, or a list: wire, sdk.
function formatOf(sim, { response_format: wanted }) {
    const format = (Array.isArray(wanted) ? wanted : [wanted ?? {}]).find((one) => one?.type === 'video') ?? {};
    oneOf(sim, 'response_format.aspect_ratio', format.aspect_ratio, RATIOS);
    oneOf(sim, 'response_format.resolution', format.resolution, RESOLUTIONS);
    oneOf(sim, 'response_format.delivery', format.delivery, ['inline', 'uri']);
    if (format.duration !== undefined && !/^\d+(\.\d+)?s$/.test(format.duration)) throw wrong(sim, 'response_format.duration must be like "8s"');
    return format;
}

function wishOf(sim, call) {
    const body = call.json();
    if (typeof body.model !== 'string') throw wrong(sim, 'model is required');
    const parts = partsOf(sim, body.input ?? []);
    parts.forEach((part, index) => checkPart(sim, part, index));
    oneOf(sim, 'generation_config.video_config.task', body.generation_config?.video_config?.task, TASKS);
    const format = formatOf(sim, body);
    const { background = false, store = true } = body; // sdk
    if (background && !store) throw wrong(sim, 'background=true needs store=true'); // documented
    const prompt = parts.filter((part) => part.type === 'text').map((part) => part.text).join('\n');
    return { model: body.model, prompt, background, store, format };
}

async function create(sim, call) {
    const { model, prompt, background, store, format } = wishOf(sim, call);
    const id = `v1_${randomBytes(24).toString('base64url')}`; // ours
    const wish = { store, shape: format.aspect_ratio ?? '16:9', delivery: format.delivery ?? 'inline', file: randomBytes(6).toString('hex') };
    const job = await sim.accept(call, { id, model, prompt, wish });
    if (background && sim.settings.background) return { json: interaction(sim, job) };
    while (!job.isOver && call.loss === null && !sim.isClosed) await new Promise((done) => setTimeout(done, WAIT_MS)); // documented: the samples wait
    return { json: interaction(sim, job) };
}

// {id, object, model, status, created, updated, steps, usage, errors}: wire, sdk. No output_video: the SDK computes it.
function interaction(sim, job, { isLater = false, word = null } = {}) {
    const state = job.state();
    const times = { created: new Date(job.created).toISOString(), updated: new Date(job.isOver ? job.endedAt : Date.now()).toISOString() };
    const said = { id: job.id, object: 'interaction', model: job.model, status: word ?? WORDS[state], ...times };
    if (state === 'failed') return { ...said, steps: [], errors: [failureOf(job)] };
    if (state !== 'completed') return { ...said, steps: [] };
    const output = job.outcome === 'no-video' ? { type: 'text', text: 'I cannot make a video of this.' } : videoPart(sim, job, isLater);
    const tokens = { total_input_tokens: 20, total_output_tokens: 46000, total_tokens: 46020 }; // sdk
    return { ...said, steps: [{ type: 'thought', signature: 'c2ltdWxhdGVk' }, { type: 'model_output', content: [output] }], usage: tokens };
}

// {code, message}: sdk; the words are ours.
function failureOf({ outcome }) {
    if (outcome === 'moderated') return { code: 'content_blocked', message: 'The video was blocked by the safety filters.' };
    return { code: 'internal', message: 'The video could not be generated.' };
}

// {type: "video", mime_type, data | uri}: wire. A later GET may answer base64 where a URI was asked for: third-party.
function videoPart(sim, job, isLater) {
    if (job.wish.delivery === 'uri' && !(isLater && sim.settings.later_inline))
        return { type: 'video', mime_type: 'video/mp4', uri: `${sim.url}/v1beta/files/${job.wish.file}:download?alt=media` };
    return { type: 'video', mime_type: 'video/mp4', data: video(job.wish.shape, job.bytes).toString('base64') };
}

async function query(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null || !job.wish.store) throw sim.refuse(404);
    return { json: interaction(sim, job, { isLater: true, word: call.word }) };
}

// POST …/cancel answers the interaction: wire; that a finished one is 400 is ours.
async function cancel(sim, call) {
    const job = sim.find(call.params.id);
    await sim.cancelled(call, job);
    if (job === null) throw sim.refuse(404);
    if (job.isOver) throw sim.refuse(400, { status: 'FAILED_PRECONDITION', message: 'The interaction is over.' });
    job.cancel();
    return { json: interaction(sim, job) };
}

// DELETE answers an empty object: sdk.
async function remove(sim, call) {
    const job = sim.find(call.params.id);
    if (job === null) throw sim.refuse(404);
    await sim.cancelled(call, job, 'delete');
    job.isDeleted = true;
    return { json: {} };
}

// files/{id}: {name, uri, state}, and files/{id}:download?alt=media, which needs the key and redirects: wire, third-party.
function file(sim, call) {
    const [id, verb] = call.params.file.split(':');
    const job = [...sim.jobs.values()].find((one) => one.wish.file === id);
    if (job === undefined || job.state() !== 'completed' || job.outcome === 'no-video' || job.isGone) throw sim.refuse(404);
    const isActive = Date.now() >= job.endedAt + sim.settings.file_processing_ms;
    if (verb === undefined) {
        const uri = `${sim.url}/v1beta/files/${id}`;
        const state = isActive ? 'ACTIVE' : 'PROCESSING';
        return { json: { name: `files/${id}`, mimeType: 'video/mp4', uri, downloadUri: `${uri}:download?alt=media`, state } };
    }
    if (verb !== 'download') throw sim.refuse(404);
    if (!isActive) throw sim.refuse(400, { status: 'FAILED_PRECONDITION', message: `The File ${id} is not in an ACTIVE state.` });
    return sim.deliver(call, job, { redirects: sim.settings.files_redirect });
}

export const geminiOmni = {
    name: 'gemini-omni',
    place: 3,
    base: '/v1beta',
    renews: false, // a file lives 48 h, and cannot be renewed
    problem,
    authorise,
    settings: {
        background: true, // false: the flag is ignored, every POST waits
        later_inline: false, // a later GET answers base64 whatever was asked for
        files_redirect: true, // a download leads to another origin
        file_processing_ms: 0, // so long a file is PROCESSING after its interaction is completed
    },
    routes: (sim) => ['v1beta', 'v1'].flatMap((version) => [
        [`POST /${version}/interactions`, 'submit', (call) => create(sim, call)],
        [`GET /${version}/interactions/:id`, 'poll', (call) => query(sim, call)],
        [`POST /${version}/interactions/:id/cancel`, 'cancel', (call) => cancel(sim, call)],
        [`DELETE /${version}/interactions/:id`, 'delete', (call) => remove(sim, call)],
        [`GET /${version}/files/:file`, 'result', (call) => file(sim, call)],
    ]),
};
