// SPDX-License-Identifier: Apache-2.0
//
// Veo over the Gemini API: a create, an operation whose name is a path, a file that needs the key and redirects. What a
// comment calls «wire» is what @google/genai 2.32.0 (npm) sends, «sdk» its types, «documented» Google's pages,
// «third-party» others' reports; «ours» is not established.
import { randomBytes } from 'node:crypto';
import { isFlag, isOneOf, isText, isWhole } from './checks.js';
import { authorise, instanceOf, problem, wrong } from './google.js';
import { video } from './videos.js';

const TOP = ['instances', 'parameters', 'webhookConfig']; // wire
const INSTANCE = ['prompt', 'image', 'lastFrame', 'referenceImages', 'video']; // wire
// What may be said of each parameter. seed, generateAudio, fps and others belong to Vertex alone: the SDK refuses them.
const PARAMETERS = {
    sampleCount: isWhole(1, 4), // sdk
    durationSeconds: isWhole(4, 8), // a number: wire; which: documented
    aspectRatio: isOneOf('16:9', '9:16'), // documented
    resolution: isOneOf('720p', '1080p', '4k'), // documented
    personGeneration: isOneOf('dont_allow', 'allow_adult', 'allow_all'), // sdk
    negativePrompt: isText, // wire
    enhancePrompt: isFlag, // wire
};

function only(sim, group, known, where) {
    if (typeof group !== 'object' || group === null || Array.isArray(group)) throw wrong(sim, `${where} must be an object`);
    for (const key of Object.keys(group))
        if (!known.includes(key)) throw wrong(sim, `\`${key}\` isn't supported by this model. Please remove it or refer to the documentation.`); // third-party
}

// {bytesBase64Encoded, mimeType}, nothing else: wire. An address has no place here.
function checkImage(sim, image, where) {
    only(sim, image, ['bytesBase64Encoded', 'mimeType'], where);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(image.bytesBase64Encoded ?? '')) throw wrong(sim, `${where}.bytesBase64Encoded is not base64`);
    if (!/^image\/\w+$/.test(image.mimeType ?? '')) throw wrong(sim, `${where}.mimeType is missing`);
}

const API = { instance: INSTANCE, only, checkImage };

function parametersOf(sim, { parameters = {} }) {
    only(sim, parameters, Object.keys(PARAMETERS), 'parameters');
    for (const [name, value] of Object.entries(parameters))
        if (!PARAMETERS[name](value)) throw wrong(sim, `${name}: ${JSON.stringify(value)} is not supported`);
    return parameters;
}

// {uris, userMetadata}: wire. That http will do is ours.
function callbackAddress(sim, { webhookConfig: config }) {
    if (config === undefined) return null;
    only(sim, config, ['uris', 'userMetadata'], 'webhookConfig');
    const { uris } = config;
    const isList = Array.isArray(uris) && uris.length > 0 && uris.every((uri) => /^https?:\/\//.test(uri));
    if (!isList) throw wrong(sim, 'webhookConfig.uris must be a list of addresses');
    return uris[0];
}

function modelOf(sim, call) {
    const [model, verb] = call.params.model.split(':');
    if (verb !== 'predictLongRunning') throw sim.refuse(404);
    if (sim.settings.retired.includes(model)) throw sim.refuse(404, { message: `models/${model} is no longer available` }); // documented
    if (!/^veo-/.test(model)) throw sim.refuse(404, { message: `models/${model} is not found for API version v1beta` });
    return model;
}

// The answer is the name and nothing else: wire.
async function create(sim, call) {
    const model = modelOf(sim, call);
    const body = call.json();
    only(sim, body, TOP, 'the body');
    const { prompt } = instanceOf(sim, API, body);
    const { aspectRatio = '16:9', sampleCount = 1 } = parametersOf(sim, body);
    const id = `models/${model}/operations/${randomBytes(9).toString('hex')}`;
    const wish = { shape: aspectRatio, samples: sampleCount, file: randomBytes(6).toString('hex') };
    const callback = callbackAddress(sim, body);
    return { json: { name: (await sim.accept(call, { id, model, prompt, wish, callback })).id } };
}

// {name, done, error | response}: wire, sdk. A strange word stands where `done` is.
function operation(sim, job, word) {
    const { id: name } = job;
    if (word !== null) return { name, done: word };
    const state = job.state();
    if (state !== 'completed' && state !== 'failed') return { name };
    if (job.outcome === 'failed') return { name, done: true, error: { code: 13, message: 'The video could not be generated.' } };
    return { name, done: true, response: { '@type': 'type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse', generateVideoResponse: resultOf(sim, job) } };
}

// What is filtered away is told by its number and reasons: sdk; the words are ours.
function resultOf(sim, job) {
    if (job.outcome === 'moderated') return { raiMediaFilteredCount: 1, raiMediaFilteredReasons: ['The video was blocked by the safety policy.'] };
    if (job.outcome === 'no-video') return { generatedSamples: [] };
    if (sim.settings.inline) return { generatedSamples: [{ video: { encodedVideo: video(job.wish.shape, job.bytes).toString('base64'), encoding: 'video/mp4' } }] };
    const name = `files/${job.wish.file}`;
    const uri = sim.settings.file_names ? name : `${sim.url}/v1beta/${name}:download?alt=media`;
    return { generatedSamples: Array.from({ length: job.wish.samples }, () => ({ video: { uri } })) };
}

// {type, version, timestamp, data}, once, of a video that is there; no event is listed for one that failed: documented. That
// it is signed, with a JWT in a header, is documented, too; here it is not.
function callbackOf(sim, job, state) {
    if (state !== 'completed' || job.outcome !== 'video') return null;
    const name = `files/${job.wish.file}`;
    const data = { id: job.id, output_file_uri: `${sim.url}/v1beta/${name}:download?alt=media`, file_name: name };
    return { type: 'video.generated', version: 'v1', timestamp: new Date().toISOString(), data };
}

async function query(sim, call) {
    const job = await sim.look(call, `models/${call.params.model}/operations/${call.params.id}`);
    if (job === null) throw sim.refuse(404);
    return { json: operation(sim, job, call.word) };
}

// files/{id}:download?alt=media needs the key and redirects: wire, third-party.
function file(sim, call) {
    const [id, verb] = call.params.file.split(':');
    const job = [...sim.jobs.values()].find((one) => one.wish.file === id);
    if (job === undefined || verb !== 'download' || call.query.get('alt') !== 'media') throw sim.refuse(404);
    if (job.state() !== 'completed' || job.outcome !== 'video' || job.isGone) throw sim.refuse(404);
    return sim.deliver(call, job, { redirects: sim.settings.files_redirect });
}

export const geminiVeo = {
    name: 'gemini-veo',
    place: 6,
    base: '/v1beta',
    renews: false, // a file lives two days, and cannot be renewed
    problem,
    authorise,
    callbackOf,
    settings: {
        retired: [], // models that are no longer available
        file_names: false, // a result is told as files/{id}, not as an address: what the SDK can follow over plain http
        inline: false, // a result comes as base64 within the answer
        files_redirect: true, // a download leads to another origin
    },
    routes: (sim) => [
        ['POST /v1beta/models/:model', 'submit', (call) => create(sim, call)],
        ['GET /v1beta/models/:model/operations/:id', 'poll', (call) => query(sim, call)],
        ['GET /v1beta/files/:file', 'result', (call) => file(sim, call)],
    ],
};
