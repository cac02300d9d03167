// SPDX-License-Identifier: Apache-2.0
//
// Veo on Vertex AI, with the token endpoint of its service accounts and the storage of its results. What a comment calls
// «wire» is what @google/genai 2.32.0 (npm) sends, «sdk» its types, «documented» Google's pages and RFC 7523,
// «third-party» others' reports; «ours» is not established. The JSON keys of its accounts are accountOf()'s, or
// GET /_sim/account/NAME.
import { createPublicKey, generateKeyPairSync, randomBytes, randomUUID, verify } from 'node:crypto';
import { isFlag, isOneOf, isText, isWhole } from './checks.js';
import { isKnownKey, keyIn } from './core.js';
import { instanceOf, problem as envelope, wrong } from './google.js';
import { video } from './videos.js';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'; // documented
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'; // documented
const LONGEST_S = 3600; // that an assertion may be good for: documented
const LEEWAY_S = 5; // of the two clocks; ours
const TOP = ['instances', 'parameters', 'labels']; // wire
const INSTANCE = ['prompt', 'image', 'lastFrame', 'referenceImages', 'video', 'mask']; // wire
const PARAMETERS = { // documented, sdk
    sampleCount: isWhole(1, 4),
    durationSeconds: isWhole(4, 8),
    aspectRatio: isOneOf('16:9', '9:16'),
    resolution: isOneOf('720p', '1080p', '4k'),
    personGeneration: isOneOf('dont_allow', 'allow_adult', 'allow_all'),
    storageUri: (value) => /^gs:\/\/[a-z0-9]/.test(value),
    compressionQuality: isOneOf('optimized', 'lossless'),
    resizeMode: isOneOf('pad', 'crop'),
    seed: isWhole(0, 4294967295),
    fps: isWhole(1, 60),
    negativePrompt: isText,
    pubsubTopic: isText,
    generateAudio: isFlag,
    enhancePrompt: isFlag,
};

// Where the words are not those of the Gemini API.
const WORDS = {
    401: 'Request had invalid authentication credentials. Expected OAuth 2 access token.',
    429: 'Quota exceeded for aiplatform.googleapis.com.',
    500: 'Internal error encountered.',
    503: 'The service is currently unavailable.',
};

// {error: {code, message, status}}: documented. The token endpoint has {error, error_description} (RFC 6749).
function problem(code, { message = WORDS[code], status, oauth } = {}) {
    if (oauth !== undefined) return { json: { error: oauth, error_description: message } };
    const { json: { error: { details, ...error } } } = envelope(code, { message, status });
    return { json: { error } };
}

// ---- service accounts

const pairs = new WeakMap(); // a key pair for each simulator, made when first asked for

function pairOf(sim) {
    if (!pairs.has(sim)) pairs.set(sim, generateKeyPairSync('rsa', { modulusLength: 2048 }));
    return pairs.get(sim);
}

// What the console writes: documented.
export function accountOf(sim, name = 'films') {
    return {
        type: 'service_account', project_id: 'films', private_key_id: 'sim-1',
        private_key: pairOf(sim).privateKey.export({ type: 'pkcs8', format: 'pem' }),
        client_email: `${name}@films.iam.gserviceaccount.com`, token_uri: `${sim.url}/token`,
    };
}

const ungranted = (sim, message, oauth = 'invalid_grant') => sim.refuse(400, { oauth, message });

function claimsOf(sim, assertion) {
    const [header, claims, signature, ...more] = assertion.split('.');
    if (signature === undefined || more.length > 0) throw ungranted(sim, 'Invalid JWT: it must have three parts.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (read(header).alg !== 'RS256') throw ungranted(sim, 'Invalid JWT: RS256 is expected.');
    const isSigned = verify('sha256', Buffer.from(`${header}.${claims}`), createPublicKey(pairOf(sim).publicKey.export({ type: 'spki', format: 'pem' })), Buffer.from(signature, 'base64url'));
    if (!isSigned) throw ungranted(sim, 'Invalid JWT Signature.');
    return read(claims);
}

function checkClaims(sim, { iss, scope, aud, iat, exp }) {
    const now = Date.now() / 1000;
    if (aud !== `${sim.url}/token`) throw ungranted(sim, 'Invalid JWT: the audience is another.');
    if (!(iat <= now + LEEWAY_S && exp > now && exp - iat <= LONGEST_S)) throw ungranted(sim, 'Invalid JWT: Token must be a short-lived token.');
    if (typeof scope !== 'string' || !scope.split(' ').includes(SCOPE)) throw ungranted(sim, 'Invalid OAuth scope.', 'invalid_scope');
    if (!/^[\w-]+@films\.iam\.gserviceaccount\.com$/.test(iss)) throw ungranted(sim, 'Invalid grant: account not found');
}

// A form in, {access_token, expires_in, token_type} out: documented.
async function token(sim, call) {
    if (sim.settings.token_status !== null) throw sim.refuse(sim.settings.token_status, { oauth: 'unavailable', message: 'Try again later.' });
    const form = new URLSearchParams(call.body.toString('utf8'));
    if (!/^application\/x-www-form-urlencoded\b/.test(call.headers['content-type'] ?? '')) throw ungranted(sim, 'a form is expected', 'invalid_request');
    if (form.get('grant_type') !== GRANT) throw ungranted(sim, `Invalid grant_type: ${form.get('grant_type')}`, 'unsupported_grant_type');
    const claims = claimsOf(sim, form.get('assertion') ?? '');
    checkClaims(sim, claims);
    const value = `ya29.${randomBytes(24).toString('base64url')}`;
    sim.shelf.set(value, { email: claims.iss, until: Date.now() + sim.settings.token_life_s * 1000, epoch: sim.settings.token_epoch });
    return { json: { access_token: value, expires_in: sim.settings.token_life_s, token_type: 'Bearer' } };
}

// Whose call it is: an account, whichever token it has now, or an API key (express mode: third-party, wire).
function authorise(call, sim) {
    if (call.url.pathname === '/token') return null;
    const express = call.headers['x-goog-api-key'] ?? null;
    if (express !== null && isKnownKey(express)) return express;
    const found = sim.shelf.get(keyIn(call.headers.authorization, 'Bearer') ?? '');
    if (found !== undefined && Date.now() < found.until && found.epoch === sim.settings.token_epoch) return found.email;
    throw sim.refuse(401);
}

// ---- Veo

function only(sim, group, known, where) {
    if (typeof group !== 'object' || group === null || Array.isArray(group)) throw wrong(sim, `${where} must be an object`);
    for (const key of Object.keys(group)) if (!known.includes(key)) throw wrong(sim, `Invalid JSON payload received. Unknown name "${key}" at '${where}'.`);
}

// {bytesBase64Encoded | gcsUri, mimeType}: wire.
function checkImage(sim, image, where) {
    only(sim, image, ['bytesBase64Encoded', 'gcsUri', 'mimeType'], where);
    const { bytesBase64Encoded: bytes, gcsUri: uri } = image;
    if ((bytes === undefined) === (uri === undefined)) throw wrong(sim, `${where} needs one of bytesBase64Encoded and gcsUri`);
    if (bytes !== undefined && !/^[A-Za-z0-9+/]+={0,2}$/.test(bytes)) throw wrong(sim, `${where}.bytesBase64Encoded is not base64`);
    if (uri !== undefined && !/^gs:\/\/./.test(uri)) throw wrong(sim, `${where}.gcsUri must begin with gs://`);
    if (!/^image\/\w+$/.test(image.mimeType ?? '')) throw wrong(sim, `${where}.mimeType is missing`);
}

const API = { instance: INSTANCE, only, checkImage };

function wishOf(sim, body) {
    only(sim, body, TOP, 'the body');
    const { prompt } = instanceOf(sim, API, body);
    const { parameters = {} } = body;
    only(sim, parameters, Object.keys(PARAMETERS), 'parameters');
    for (const [name, value] of Object.entries(parameters)) if (!PARAMETERS[name](value)) throw wrong(sim, `${name}: ${JSON.stringify(value)} is not supported`);
    return { prompt, ...parameters };
}

// The answer is the name and nothing else: wire.
async function create(sim, call, model, home) {
    if (!/^veo-/.test(model)) throw sim.refuse(404, { message: `Publisher Model \`${model}\` was not found or your project does not have access to it.` });
    const { prompt, aspectRatio = '16:9', storageUri = null } = wishOf(sim, call.json());
    const id = `${home}/models/${model}/operations/${randomUUID()}`;
    const object = storageUri === null ? null : `${storageUri.replace(/\/*$/, '')}/${randomBytes(8).toString('hex')}/sample_0.mp4`; // documented
    return { json: { name: (await sim.accept(call, { id, model, prompt, wish: { shape: aspectRatio, object } })).id } };
}

// {videos: [{gcsUri | bytesBase64Encoded, mimeType}], raiMediaFilteredCount}: wire, sdk; the words are ours.
function resultOf(job) {
    if (job.outcome === 'moderated') return { raiMediaFilteredCount: 1, raiMediaFilteredReasons: ['The video was blocked by the safety policy.'] };
    if (job.outcome === 'no-video') return { videos: [] };
    const place = job.wish.object === null ? { bytesBase64Encoded: video(job.wish.shape, job.bytes).toString('base64') } : { gcsUri: job.wish.object };
    return { videos: [{ ...place, mimeType: 'video/mp4' }] };
}

// {name, done, error | response}: wire. A strange word stands where `done` is.
async function fetchOperation(sim, call) {
    const { operationName: name } = call.json();
    if (typeof name !== 'string') throw wrong(sim, 'operationName is required');
    const job = await sim.look(call, name);
    if (job === null) throw sim.refuse(404);
    if (call.word !== null) return { json: { name, done: call.word } };
    const state = job.state();
    if (state !== 'completed' && state !== 'failed') return { json: { name } };
    if (job.outcome === 'failed') return { json: { name, done: true, error: { code: 13, message: 'The video could not be generated.' } } };
    return { json: { name, done: true, response: { '@type': 'type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse', ...resultOf(job) } } };
}

function models(sim, call, home) {
    const [model, verb] = call.params.model.split(':');
    if (verb === 'predictLongRunning') return create(sim, call, model, home);
    if (verb === 'fetchPredictOperation') return fetchOperation(sim, call);
    throw sim.refuse(404);
}

// An object of Cloud Storage: an access token is needed, an API key does not do (documented).
function object(sim, call) {
    const uri = `gs://${call.params.bucket}/${call.params.object}`;
    if (isKnownKey(call.key)) throw sim.refuse(401);
    const job = [...sim.jobs.values()].find((one) => one.wish.object === uri);
    if (job === undefined || call.query.get('alt') !== 'media' || job.state() !== 'completed' || job.isGone) throw sim.refuse(404, { message: `No such object: ${uri}` });
    return sim.deliver(call, job);
}

export const vertexVeo = {
    name: 'vertex-veo',
    place: 7,
    base: '/v1/projects/films/locations/us-central1/publishers/google',
    renews: false, // objects stay until their owner deletes them
    keys: 'key_file: what GET /_sim/account/films answers',
    problem,
    authorise,
    settings: {
        token_life_s: 3600, // of an access token
        token_status: null, // the token endpoint answers this status, and no token
        token_epoch: 0, // tokens of another epoch are refused
    },
    routes: (sim) => [
        ['POST /token', 'token', (call) => token(sim, call)],
        ['GET /_sim/account/:name', null, (call) => ({ json: accountOf(sim, call.params.name) })],
        ['GET /storage/v1/b/:bucket/o/:object', 'result', (call) => object(sim, call)],
        ...['v1', 'v1beta1'].flatMap((version) => [
            [`POST /${version}/publishers/google/models/:model`, 'submit', (call) => models(sim, call, 'projects/express/locations/global/publishers/google')],
            [`POST /${version}/projects/:project/locations/:location/publishers/google/models/:model`, 'submit',
                (call) => models(sim, call, `projects/${call.params.project}/locations/${call.params.location}/publishers/google`)],
        ]),
    ],
};
