// SPDX-License-Identifier: Apache-2.0
//
// A ComfyUI server: the graph is the request, the caller may choose the id of its prompt, and the state
// has to be put together from the history and the queue: what is in neither is lost. Every route is also
// below /api. What a comment calls «source» is in ComfyUI's server.py, execution.py and openapi.yaml,
// «wire» is what @saintno/comfyui-sdk 0.3.1 (npm) sends; «ours» is not established.
import { randomUUID } from 'node:crypto';

const EXCEPTION = { exception_message: 'CUDA out of memory.', exception_type: 'torch.OutOfMemoryError', traceback: [] };
const OUTPUT_NODE = /^(Save|Preview|VHS_VideoCombine)/;

// Of the routes' own errors only a status and a text are established; the texts are ours.
function problem(status, { message } = {}) {
    return { text: message ?? `${status}`, type: 'text/plain; charset=utf-8' };
}

// 400 {error: {type, message, details, extra_info}, node_errors}: source.
function invalid(sim, type, message, { details = '', nodeErrors = {} } = {}) {
    const refusal = sim.refuse(400);
    const json = { error: { type, message, details, extra_info: {} }, node_errors: nodeErrors };
    refusal.answer = { status: 400, json };
    return refusal;
}

const shelfKey = (type, folder, name) => [type, folder, name].filter((part) => part !== '').join('/');

// What is wrong with a node, as {type, message, details, extra_info}: source.
function errorsOf(sim, graph, { class_type: kind, inputs = {} }) {
    const errors = [];
    const tell = (type, message, details, info) => errors.push({ type, message, details, extra_info: info });
    for (const [name, value] of Object.entries(inputs)) {
        const isLink = Array.isArray(value) && value.length === 2 && typeof value[0] === 'string';
        if (!isLink || graph[value[0]] !== undefined) continue;
        tell('bad_linked_input', 'Bad linked input, must be a length-2 list of [node_id, slot_index]', name, { input_name: name, received_value: value });
    }
    if (kind !== 'LoadImage' || !sim.settings.check_images || Array.isArray(inputs.image)) return errors;
    if (inputs.image === undefined) tell('required_input_missing', 'Required input is missing', 'image', { input_name: 'image' });
    else if (!sim.shelf.has(`input/${String(inputs.image).replace(/ \[input\]$/, '')}`))
        tell('custom_validation_failed', 'Custom validation failed for node', `image - Invalid image file: ${inputs.image}`, { input_name: 'image' });
    return errors;
}

function checkGraph(sim, graph) {
    if (typeof graph !== 'object' || graph === null || Array.isArray(graph))
        throw invalid(sim, 'no_prompt', 'No prompt provided', { details: 'No prompt provided' });
    const nodes = Object.entries(graph);
    for (const [id, node] of nodes) {
        if (typeof node?.class_type === 'string') continue;
        throw invalid(sim, 'invalid_prompt', 'Cannot execute because a node is missing the class_type property.', { details: `Node ID '#${id}'` });
    }
    const outputs = nodes.filter(([, node]) => OUTPUT_NODE.test(node.class_type)).map(([id]) => id);
    if (outputs.length === 0) throw invalid(sim, 'prompt_no_outputs', 'Prompt has no outputs');
    const nodeErrors = {};
    for (const [id, node] of nodes) {
        const errors = errorsOf(sim, graph, node);
        if (errors.length > 0) nodeErrors[id] = { errors, dependent_outputs: outputs, class_type: node.class_type };
    }
    if (Object.keys(nodeErrors).length > 0) throw invalid(sim, 'prompt_outputs_failed_validation', 'Prompt outputs failed validation', { nodeErrors });
    return outputs;
}

// The text that a sampler takes as positive; without one the first text of the graph. For the ledger only.
function promptOf(graph) {
    const nodes = Object.values(graph);
    const sampler = nodes.find((node) => Array.isArray(node.inputs?.positive));
    const texts = [graph[sampler?.inputs.positive[0]], ...nodes].map((node) => node?.inputs?.text ?? node?.inputs?.prompt);
    return texts.find((text) => typeof text === 'string') ?? '';
}

function shapeOf(graph) {
    const sized = Object.values(graph).find(({ inputs }) => Number.isInteger(inputs?.width) && Number.isInteger(inputs?.height));
    return sized === undefined ? 'landscape' : `${sized.inputs.width}x${sized.inputs.height}`;
}

// {prompt, client_id, prompt_id?, extra_data, front, number} -> {prompt_id, number, node_errors}: source.
async function submit(sim, call) {
    // JSON under any type, text/plain too: wire
    const body = call.json();
    const graph = body.prompt;
    const outputs = checkGraph(sim, graph);
    const number = sim.jobs.size * (body.front ? -1 : 1);
    const id = body.prompt_id === undefined ? randomUUID() : String(body.prompt_id); // chosen by the caller: source
    const extra = { ...body.extra_data, ...(body.client_id === undefined ? {} : { client_id: body.client_id }) };
    const wish = { entry: [body.number ?? number, id, graph, extra, outputs], files: filesOf(sim, graph), shape: shapeOf(graph) };
    const job = await sim.accept(call, { id, model: 'comfyui', prompt: promptOf(graph), correlation: body.prompt_id ?? null, wish });
    for (const { file } of Object.values(wish.files)) sim.shelf.set(shelfKey(file.type, file.subfolder, file.filename), { job });
    return { json: { prompt_id: id, number: wish.entry[0], node_errors: {} } };
}

// By node: where its file will be, and under which word it is listed. SaveVideo lists it under `images`
// with `animated`, VideoHelperSuite under `gifs`: source.
function filesOf(sim, graph) {
    const files = {};
    sim.namings = (sim.namings ?? 0) + 1; // not of jobs taken: two submits may be waiting for that
    for (const [id, { class_type: kind, inputs = {} }] of Object.entries(graph)) {
        if (!OUTPUT_NODE.test(kind)) continue;
        const isVideo = /Video|VHS_/.test(kind);
        const path = String(inputs.filename_prefix ?? 'ComfyUI').split('/');
        const filename = `${path.pop()}_${String(sim.namings).padStart(5, '0')}_${isVideo ? '.mp4' : '.png'}`;
        const type = kind.startsWith('Preview') || inputs.save_output === false ? 'temp' : 'output';
        files[id] = { word: kind.startsWith('VHS_') ? 'gifs' : 'images', isVideo, file: { filename, subfolder: path.join('/'), type } };
    }
    return files;
}

function outputsOf({ outcome, wish }) {
    const outputs = {};
    for (const [id, { word, isVideo, file }] of Object.entries(wish.files)) {
        if (isVideo && outcome === 'no-video') continue;
        const format = word === 'gifs' ? { format: 'video/h264-mp4', frame_rate: 24 } : {};
        outputs[id] = { [word]: [{ ...file, ...format }], ...(isVideo && word === 'images' ? { animated: [true] } : {}) };
    }
    return outputs;
}

// status_str success or error; messages [event, data]: source.
function statusOf(job, word) {
    const state = job.state();
    const at = { prompt_id: job.id, timestamp: Math.floor(job.endedAt) };
    const [node] = job.wish.entry[4];
    const where = { node_id: node, node_type: job.wish.entry[2][node].class_type, executed: [] };
    const messages = [['execution_start', { prompt_id: job.id, timestamp: job.startsAt }]];
    if (state === 'completed') messages.push(['execution_success', at]);
    else if (state === 'cancelled') messages.push(['execution_interrupted', { ...at, ...where }]);
    else messages.push(['execution_error', { ...at, ...where, ...EXCEPTION }]);
    return { status_str: word ?? (state === 'completed' ? 'success' : 'error'), completed: state === 'completed', messages };
}

function entryOf(job, word) {
    return { prompt: job.wish.entry, outputs: job.state() === 'completed' ? outputsOf(job) : {}, status: statusOf(job, word), meta: {} };
}

// {} for what is not finished and for what is not known: source.
async function history(sim, call) {
    const job = await sim.look(call, call.params.id);
    return { json: job === null || !job.isOver ? {} : { [job.id]: entryOf(job, call.word) } };
}

function histories(sim, call) {
    const over = [...sim.jobs.values()].filter((job) => job.isOver && sim.find(job.id) !== null);
    const most = Number(call.query.get('max_items') ?? over.length);
    return { json: Object.fromEntries(over.slice(Math.max(0, over.length - most)).map((job) => [job.id, entryOf(job, null)])) };
}

const inState = (sim, state) => [...sim.jobs.values()].filter((job) => job.state() === state && sim.find(job.id) !== null && job.late === 0);

// [number, prompt_id, graph, extra, outputs] each: source.
function queue(sim) {
    const entries = (state) => inState(sim, state).map((job) => job.wish.entry);
    return { json: { queue_running: entries('rendering'), queue_pending: entries('pending') } };
}

// {"delete": [id]} or {"clear": true}: what waits leaves without a trace; a running one stays: source.
async function changeQueue(sim, call) {
    const { delete: ids = [], clear = false } = call.json();
    for (const job of inState(sim, 'pending')) {
        if (!clear && !ids.includes(job.id)) continue;
        await sim.cancelled(call, job);
        job.isDeleted = true;
    }
    return { text: '' };
}

// {"prompt_id": id}, or whatever runs; older servers ignore the id: source.
async function interrupt(sim, call) {
    const { prompt_id: id } = call.json();
    for (const job of inState(sim, 'rendering')) {
        if (id !== undefined && id !== job.id && !sim.settings.old_interrupt) continue;
        await sim.cancelled(call, job);
        job.cancel();
    }
    return { text: '' };
}

async function changeHistory(sim, call) {
    const { delete: ids = [], clear = false } = call.json();
    for (const job of [...sim.jobs.values()]) if (job.isOver && (clear || ids.includes(job.id))) job.isDeleted = true;
    return { text: '' };
}

// Newer servers: {id, status, outputs, execution_error}: source.
async function jobState(sim, call) {
    const job = await sim.look(call, call.params.id);
    if (job === null) return { status: 404, json: { error: 'Job not found' } };
    const state = { pending: 'pending', rendering: 'in_progress', completed: 'completed', cancelled: 'cancelled' }[job.state()] ?? 'failed';
    const failure = state === 'failed' ? { execution_error: statusOf(job, null).messages.at(-1)[1] } : {};
    const outputs = state === 'completed' ? { outputs: outputsOf(job) } : {};
    return { json: { id: job.id, status: call.word ?? state, create_time: job.created, ...outputs, ...failure } };
}

async function cancelJob(sim, call) {
    const job = sim.find(call.params.id);
    await sim.cancelled(call, job);
    const isCancelled = job !== null && !job.isOver;
    if (isCancelled) job.cancel();
    return { json: { cancelled: isCancelled } };
}

// A form: image, overwrite, type, subfolder -> {name, subfolder, type}: wire.
async function upload(sim, call) {
    const parts = call.form();
    const field = (name) => parts.find((part) => part.name === name)?.text ?? '';
    const image = parts.find((part) => part.name === 'image' && part.filename !== undefined);
    if (image === undefined || image.filename === '') throw sim.refuse(400);
    const [type, subfolder] = [field('type') || 'input', field('subfolder')];
    await sim.uploaded(call, { file: image.filename, bytes: image.bytes.length });
    const name = freeName(sim, type, subfolder, image, ['true', '1'].includes(field('overwrite')));
    sim.shelf.set(shelfKey(type, subfolder, name), { bytes: image.bytes, type: image.type });
    return { json: { name, subfolder, type } };
}

// Unless it is to be overwritten, or is the same, the next free «name (1).png»: source.
function freeName(sim, type, folder, { filename, bytes }, isOverwritten) {
    const dot = filename.lastIndexOf('.') === -1 ? filename.length : filename.lastIndexOf('.');
    let name = filename;
    for (let i = 1; !isOverwritten; i++) {
        const there = sim.shelf.get(shelfKey(type, folder, name));
        if (there === undefined || there.bytes?.equals(bytes)) break;
        name = `${filename.slice(0, dot)} (${i})${filename.slice(dot)}`;
    }
    return name;
}

// ?filename=&subfolder=&type=: wire.
function view(sim, call) {
    const { filename = '', subfolder = '', type = 'output' } = Object.fromEntries(call.query);
    if (filename === '' || /^\/|\.\./.test(filename) || subfolder.includes('..')) throw sim.refuse(400);
    const file = sim.shelf.get(shelfKey(type, subfolder, filename));
    if (file?.bytes !== undefined) return { bytes: file.bytes, type: file.type };
    if (file === undefined || file.job.state() !== 'completed') throw sim.refuse(404);
    return sim.deliver(call, file.job);
}

const stats = { system: { os: 'posix', comfyui_version: '0.3.0', python_version: '3.12' }, devices: [] };

export const comfyui = {
    name: 'comfyui',
    place: 5,
    keys: 'no key',
    renews: false, // files stay until they are deleted
    problem,
    settings: {
        check_images: true, // an image that was not uploaded is an invalid graph
        old_interrupt: false, // an interrupt stops whatever runs
    },
    // It knows no keys; whatever a proxy in front might want is noted in the ledger.
    authorise: (call) => call.headers.authorization?.replace(/^\w+ /, '') ?? null,
    routes: (sim) => ['', '/api'].flatMap((base) => [
        [`POST ${base}/prompt`, 'submit', (call) => submit(sim, call)],
        [`GET ${base}/prompt`, 'list', () => ({ json: { exec_info: { queue_remaining: inState(sim, 'pending').length + inState(sim, 'rendering').length } } })],
        [`GET ${base}/history/:id`, 'poll', (call) => history(sim, call)],
        [`GET ${base}/history`, 'list', (call) => histories(sim, call)],
        [`POST ${base}/history`, 'delete', (call) => changeHistory(sim, call)],
        [`GET ${base}/queue`, 'queue', () => queue(sim)],
        [`POST ${base}/queue`, 'cancel', (call) => changeQueue(sim, call)],
        [`POST ${base}/interrupt`, 'cancel', (call) => interrupt(sim, call)],
        [`POST ${base}/upload/image`, 'upload', (call) => upload(sim, call)],
        [`GET ${base}/view`, 'result', (call) => view(sim, call)],
        [`GET ${base}/system_stats`, 'list', () => ({ json: stats })],
    ]).concat([
        ['GET /api/jobs/:id', 'poll', (call) => jobState(sim, call)],
        ['POST /api/jobs/:id/cancel', 'cancel', (call) => cancelJob(sim, call)],
    ]),
};
