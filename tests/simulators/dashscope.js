// SPDX-License-Identifier: Apache-2.0
//
// Wan at Alibaba's Model Studio (DashScope): asynchronous tasks, and a body of its own for each generation of models.
// What a comment calls «wire» is what @ai-sdk/alibaba 1.0.61 (npm) sends, «documented» the vendor's pages, «third-party»
// readings of them by public gateways; «ours» is not established.
import { randomUUID } from 'node:crypto';
import { isKnownKey, keyIn } from './core.js';

const WORDS = { pending: 'PENDING', rendering: 'RUNNING', completed: 'SUCCEEDED', failed: 'FAILED', cancelled: 'CANCELED' }; // documented
const SIZES = {
    480: ['832*480', '480*832', '624*624'],
    720: ['1280*720', '720*1280', '960*960', '1088*832', '832*1088'],
    1080: ['1920*1080', '1080*1920', '1440*1440', '1632*1248', '1248*1632'],
}; // documented
const RATIOS = ['16:9', '9:16', '1:1', '4:3', '3:4']; // wire
const NEEDS_ASYNC = 'current user api does not support synchronous calls'; // third-party

// The first that fits: [model, how the body is, tiers, seconds, types of media]. Wire, documented; happyhorse: third-party.
const KINDS = [
    [/^wan3/, 'media', [480, 720, 1080], [2, 30], ['first_frame', 'last_frame', 'reference_image', 'reference_video', 'reference_audio', 'file', 'link']],
    [/^wan2\.7-t2v/, 'media', [720, 1080], [2, 15], []],
    [/^wan2\.7-i2v/, 'media', [720, 1080], [2, 15], ['first_frame', 'last_frame', 'driving_audio', 'first_clip']],
    [/^wan2\.7-r2v/, 'media', [720, 1080], [2, 15], ['first_frame', 'reference_image', 'reference_video']],
    [/^happyhorse-1.*-t2v/, 'media', [720, 1080], [3, 15], []],
    [/^happyhorse-1.*-i2v/, 'media', [720, 1080], [3, 15], ['first_frame']],
    [/^happyhorse-1.*-r2v/, 'media', [720, 1080], [3, 15], ['reference_image']],
    [/^wan2\.6-r2v/, 'reference_urls', [720, 1080], [2, 10]],
    [/^wan2\.6-t2v/, 'size', [720, 1080], [2, 15]],
    [/^wanx?2\.\d-t2v/, 'size', [480, 720, 1080], [5, 10]],
    [/^wan2\.6-i2v/, 'img_url', [720, 1080], [2, 15]],
    [/^wanx?2\.\d-i2v/, 'img_url', [480, 720, 1080], [3, 10]],
    [/^wanx?2\.\d-kf2v/, 'two_frames', [480, 720, 1080], [5, 5]],
];

// {code, message, request_id}: documented.
const USUAL = { 401: 'InvalidApiKey', 402: 'Arrearage', 403: 'AccessDenied', 404: 'NotFound', 429: 'Throttling.RateQuota', 503: 'ModelUnavailable' };
function problem(status, { code, message, isParallel = false } = {}) {
    const name = code ?? (isParallel ? 'Throttling' : USUAL[status] ?? (status < 500 ? 'InvalidParameter' : 'InternalError'));
    return { json: { code: name, message: message ?? `${name}: the request was refused`, request_id: randomUUID() } };
}

const wrong = (sim, message) => sim.refuse(400, { code: 'InvalidParameter', message });

// An address, one of the vendor's storage, or a data URI; bare base64 is not documented.
const isImage = (url) => typeof url === 'string' && /^(https?:\/\/|oss:\/\/|data:image\/\w+;base64,)/.test(url);
const isUrl = (url) => typeof url === 'string' && /^(https?|oss):\/\//.test(url);

function checkMedia(sim, { media = [] }, model, types) {
    if (!Array.isArray(media)) throw wrong(sim, 'media must be a list');
    for (const item of media) if (!types.includes(item?.type) || !isImage(item.url)) throw wrong(sim, 'media has an item that the model does not take');
    const has = (part) => media.some(({ type }) => type.startsWith(part));
    if (/^wan3/.test(model) && has('reference') && (has('first') || has('last'))) throw wrong(sim, 'references and frames cannot be mixed'); // wire
    if (/-(i2v|r2v)/.test(model) && media.length === 0) throw wrong(sim, 'the model must be given an image'); // third-party
    if (has('last_frame') && !has('first')) throw wrong(sim, 'a last frame needs a first frame');
}

// What a body of each form must have, and that it has no images in another form (ours).
const NEEDS = {
    size: () => true,
    media: () => true,
    img_url: ({ img_url: image }) => isImage(image),
    two_frames: ({ first_frame_url: first, last_frame_url: last }) => isImage(first) && isImage(last),
    reference_urls: ({ reference_urls: urls }) => Array.isArray(urls) && urls.length >= 1 && urls.length <= 5 && urls.every(isUrl),
};
const PLACES = ['img_url', 'media', 'reference_urls'];

function checkInput(sim, input, model, form, types) {
    for (const name of PLACES) if (name !== form && input[name] !== undefined) throw wrong(sim, `${name} is not a field of this model`);
    if (typeof (input.prompt ?? '') !== 'string') throw wrong(sim, 'prompt must be a text'); // none at all is taken: third-party
    if (!NEEDS[form](input)) throw wrong(sim, `the images of ${form} are missing, too many, or neither a URL nor a data URI`);
    if (form === 'media') checkMedia(sim, input, model, types);
}

function checkParameters(sim, parameters, [, form, tiers, [least, most]], model) {
    const { size, resolution, ratio, duration = 5, seed } = parameters;
    const foreign = form === 'size' || form === 'reference_urls' ? [resolution, ratio] : [size];
    if (foreign.some((value) => value !== undefined)) throw wrong(sim, 'size and resolution belong to different models'); // wire
    if (size !== undefined && !tiers.some((tier) => SIZES[tier].includes(size))) throw wrong(sim, `size ${size} is not supported`);
    if (resolution !== undefined && !tiers.some((tier) => resolution === `${tier}P`)) throw wrong(sim, `resolution ${resolution} is not supported`);
    const ratios = /^wan3/.test(model) ? [...RATIOS, 'adaptive'] : RATIOS; // wire
    if (ratio !== undefined && !ratios.includes(ratio)) throw wrong(sim, `ratio ${ratio} is not supported`);
    if (!Number.isInteger(duration) || duration < least || duration > most) throw wrong(sim, `duration must be from ${least} to ${most}`);
    if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31)) throw wrong(sim, 'seed must be from 0 to 2147483647');
    const sides = (size ?? '1280*720').split('*').map(Number);
    const tier = resolution === undefined ? tiers.find((one) => SIZES[one].includes(sides.join('*'))) : Number(resolution.slice(0, -1));
    return { size, tier, ratio, duration, shape: RATIOS.includes(ratio) ? ratio : sides[0] < sides[1] ? '9:16' : '16:9' };
}

async function create(sim, call, isOfFrames) {
    if (call.headers['x-dashscope-async'] !== 'enable') throw sim.refuse(403, { code: 'AccessDenied', message: NEEDS_ASYNC });
    const { model, input, parameters = {} } = call.json();
    if (typeof model !== 'string') throw wrong(sim, 'model is required');
    for (const group of [input, parameters]) if (typeof group !== 'object' || group === null) throw wrong(sim, 'input and parameters must be groups');
    const kind = KINDS.find(([name]) => name.test(model));
    if (kind === undefined || (kind[1] === 'two_frames') !== isOfFrames) throw sim.refuse(404, { code: 'ModelNotFound', message: `the model ${model} is not found` });
    checkInput(sim, input, model, kind[1], kind[4]);
    const wish = { ...checkParameters(sim, parameters, kind, model), isExtended: parameters.prompt_extend !== false };
    const job = await sim.accept(call, { id: randomUUID(), model, prompt: input.prompt ?? '', wish });
    return { json: { output: { task_status: call.word ?? WORDS[job.state()], task_id: job.id }, request_id: randomUUID() } }; // wire
}

const stamp = (ms) => new Date(ms).toISOString().replace('T', ' ').slice(0, 23);

// output{task_id, task_status, times, video_url, orig_prompt, actual_prompt | code, message}, usage beside it: wire, documented.
function taskOf(sim, call, job) {
    const state = job.state();
    const output = { task_id: job.id, task_status: call.word ?? WORDS[state], submit_time: stamp(job.created) };
    if (state !== 'pending') output.scheduled_time = stamp(job.startsAt);
    if (job.isOver) output.end_time = stamp(job.endedAt);
    const request_id = randomUUID();
    if (state === 'failed') {
        const code = job.outcome === 'moderated' ? 'DataInspectionFailed' : 'InternalError';
        const message = job.outcome === 'moderated' ? 'Output data may contain inappropriate content.' : 'An internal error has occurred.';
        return { request_id, output: { ...output, code, message } };
    }
    if (state !== 'completed') return { request_id, output };
    const { duration, tier, size, ratio, isExtended } = job.wish;
    const usage = { duration, output_video_duration: duration, SR: tier, size, ratio, video_count: 1 }; // JSON leaves out what is undefined
    if (job.outcome !== 'no-video') output.video_url = sim.link(job, call);
    return { request_id, output: { ...output, orig_prompt: job.prompt, actual_prompt: isExtended ? `${job.prompt}, in detail` : undefined }, usage };
}

// An id that is not known, or another account's, is no error but a word: documented.
async function query(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) return { json: { request_id: randomUUID(), output: { task_id: call.params.id, task_status: 'UNKNOWN' } } };
    return { json: taskOf(sim, call, job) };
}

// Of what waits; else 400 UnsupportedOperation: documented, third-party.
async function cancel(sim, call) {
    const job = sim.own(call, call.params.id);
    const state = job?.state() ?? null;
    await sim.cancelled(call, job);
    if (state !== 'pending') throw sim.refuse(400, { code: 'UnsupportedOperation', message: 'Failed to cancel the task: it is not PENDING.' });
    job.cancel();
    return { json: { request_id: randomUUID() } };
}

// ?page_no=&page_size=&status=&model_name=: documented.
function list(sim, call) {
    const [page, size] = [Number(call.query.get('page_no') ?? 1), Number(call.query.get('page_size') ?? 10)];
    if (!(page >= 1 && size >= 1 && size <= 100)) throw wrong(sim, 'page_no must be at least 1, page_size from 1 to 100');
    const fits = (name, value) => [null, value].includes(call.query.get(name));
    const all = sim.ownAll(call)
        .filter((job) => fits('status', WORDS[job.state()]) && fits('model_name', job.model))
        .map((job) => ({ api_key_id: '1', model_name: job.model, status: WORDS[job.state()], task_id: job.id, start_time: job.created }));
    const data = all.slice((page - 1) * size, page * size);
    return { json: { request_id: randomUUID(), data, total: all.length, total_page: Math.ceil(all.length / size), page_no: page, page_size: size } };
}

export const dashscope = {
    name: 'dashscope',
    place: 15,
    renews: false, // an address lives 24 hours, as the task does: documented
    problem,
    authorise(call, sim) {
        const key = keyIn(call.headers.authorization, 'Bearer'); // wire
        if (isKnownKey(key)) return key;
        throw sim.refuse(401, { code: 'InvalidApiKey', message: 'Invalid API-key provided.' });
    },
    routes: (sim) => [
        ['POST /api/v1/services/aigc/video-generation/video-synthesis', 'submit', (call) => create(sim, call, false)],
        ['POST /api/v1/services/aigc/image2video/video-synthesis', 'submit', (call) => create(sim, call, true)],
        ['GET /api/v1/tasks/', 'list', (call) => list(sim, call)],
        ['GET /api/v1/tasks/:id', 'poll', (call) => query(sim, call)],
        ['POST /api/v1/tasks/:id/cancel', 'cancel', (call) => cancel(sim, call)],
    ],
};
