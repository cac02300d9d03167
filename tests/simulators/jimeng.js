// SPDX-License-Identifier: Apache-2.0
//
// Jimeng over Volcengine's visual API: one address, what is wanted in ?Action=, every call signed. What a comment calls
// «documented» is in the vendor's documentation or copies of it, «third-party» in adapters of public gateways; «ours»
// is not established. The signature is made again here from the documentation alone, from the request as it came.
import { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';

const VERSION = '2022-08-31'; // documented
const SCOPE = ['cn-north-1', 'cv', 'request']; // documented
const SKEW_MS = 15 * 60_000; // of X-Date: documented
const WORDS = { pending: 'in_queue', rendering: 'generating', completed: 'done', failed: 'done', cancelled: 'done' }; // documented
const MAX_PROMPT = 800; // third-party
const MAX_IMAGE_BYTES = 4.7 * (1 << 20); // documented
const RATIOS = ['16:9', '4:3', '1:1', '3:4', '9:16', '21:9']; // documented

// How many images each req_key takes: documented of pro, third-party of the others.
const KEYS = {
    jimeng_t2v_v30: [0], jimeng_i2v_first_v30: [1], jimeng_i2v_first_tail_v30: [2],
    jimeng_t2v_v30_1080p: [0], jimeng_i2v_first_v30_1080: [1], jimeng_i2v_first_tail_v30_1080: [2],
    jimeng_ti2v_v30_pro: [0, 1],
};

// Documented, each with its HTTP status; 50200 and 50400: third-party.
const CODES = {
    50200: [400, 'Invalid Input Parameters'],
    50400: [400, 'Access Denied'],
    50412: [400, 'Text Risk Not Pass'],
    50429: [429, 'Request Has Reached API Limit, Please Try Later'],
    50430: [429, 'Request Has Reached API Concurrent Limit, Please Try Later'],
    50500: [500, 'Internal Error'],
    50501: [500, 'Internal RPC Error'],
    50516: [400, 'Post Video Risk Not Pass'],
};

const envelope = (code, message, data) => ({
    json: { code, data, message, request_id: randomUUID().replaceAll('-', '').toUpperCase(), status: code, time_elapsed: '36.799829ms' }, // documented
});
const success = (data) => envelope(10000, 'Success', data);

// What stands before the service, as all of the vendor's APIs have it: third-party.
const gate = (code, message) => ({
    json: { ResponseMetadata: { RequestId: randomUUID(), Action: '', Version: VERSION, Service: 'cv', Region: 'cn-north-1', Error: { Code: code, Message: message } } },
});
const GATE = { 401: 'SignatureDoesNotMatch', 403: 'AccessDenied', 404: 'InvalidActionOrVersion', 405: 'InvalidActionOrVersion' };

function problem(status, { code, message, isParallel = false } = {}) {
    if (code === undefined && GATE[status] !== undefined) return gate(GATE[status], message ?? GATE[status]);
    if (typeof code === 'string') return gate(code, message ?? code);
    const number = code ?? (isParallel ? 50430 : { 402: 50400, 429: 50429 }[status] ?? (status < 500 ? 50200 : 50500));
    return envelope(number, message ?? CODES[number][1], null); // documented: data is null
}

const refusal = (sim, code, message) => sim.refuse(CODES[code][0], { code, message });

// ---- the signature: documented

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const spell = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const compare = ([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0);

export function canonicalQuery(query) {
    return [...query].map(([name, value]) => [spell(name), spell(value)]).sort(compare).map((pair) => pair.join('=')).join('&');
}

// Of a request as it came: {method, path, query, headers, names}; the scope begins with the day.
export function signatureOf({ method, path, query, headers, names }, secret, scope) {
    const canonical = [
        method, path.split('/').map((part) => spell(decodeURIComponent(part))).join('/'), canonicalQuery(query),
        ...names.map((name) => `${name}:${headers[name].trim()}`), '', names.join(';'), headers['x-content-sha256'],
    ].join('\n');
    const text = ['HMAC-SHA256', headers['x-date'], scope.join('/'), sha256(canonical)].join('\n');
    const key = scope.reduce(hmac, secret); // it begins with the secret as it is
    return hmac(key, text).toString('hex');
}

const MUST_BE_SIGNED = ['host', 'x-content-sha256', 'x-date']; // ours; and the body's type, where there is one

function timeOf(date) {
    const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date ?? '');
    return found === null ? NaN : Date.UTC(found[1], found[2] - 1, ...found.slice(3));
}

function authorise(call, sim) {
    const { headers, method, url } = call;
    const denied = (code, message) => sim.refuse(401, { code, message });
    const found = /^HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^,]+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(headers.authorization ?? '');
    if (found === null) throw denied('MissingSignature', 'Authorization is missing or no signature');
    const [, access, day, scope, list, given] = found;
    const known = /^sim-access(-\w+)?$/.exec(access);
    if (known === null) throw denied('InvalidAccessKey', 'the access key is unknown');
    if (scope !== SCOPE.join('/')) throw denied('InvalidCredential', `the scope must be ${SCOPE.join('/')}`);
    if (!(Math.abs(timeOf(headers['x-date']) - Date.now()) <= SKEW_MS) || !headers['x-date'].startsWith(day)) throw denied('InvalidTimestamp', 'X-Date is too far from now');
    if (headers['x-content-sha256'] !== sha256(call.body)) throw denied('InvalidContentSha256', 'the body is not what X-Content-Sha256 says');
    const names = list.split(';');
    const needed = headers['content-type'] === undefined ? MUST_BE_SIGNED : ['content-type', ...MUST_BE_SIGNED];
    if (needed.some((name) => !names.includes(name)) || names.some((name) => headers[name] === undefined)) throw denied('InvalidSignedHeaders', `these must be signed: ${needed.join(';')}`);
    const wanted = signatureOf({ method, path: url.pathname, query: url.searchParams, headers, names }, `sim-secret${known[1] ?? ''}`, [day, ...SCOPE]);
    if (!timingSafeEqual(Buffer.from(given), Buffer.from(wanted))) throw denied('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided.');
    return access;
}

// ---- the two actions

const wrong = (sim, name) => refusal(sim, 50200, `Invalid Input Parameters: ${name}`);

function imagesOf(sim, { image_urls: urls, binary_data_base64: bytes }) {
    if (urls !== undefined && bytes !== undefined) throw wrong(sim, 'image_urls and binary_data_base64'); // one of both: documented
    const list = urls ?? bytes ?? [];
    const fits = urls === undefined
        ? (one) => /^[A-Za-z0-9+/]+={0,2}$/.test(one) && one.length * 0.75 <= MAX_IMAGE_BYTES
        : (one) => /^https?:\/\//.test(one);
    if (!Array.isArray(list) || !list.every((one) => typeof one === 'string' && fits(one))) throw wrong(sim, urls === undefined ? 'binary_data_base64' : 'image_urls');
    return list;
}

function check(sim, body) {
    const { req_key: key, prompt, frames = 121, aspect_ratio: ratio, seed = -1 } = body;
    if (!Object.hasOwn(KEYS, key ?? '')) throw wrong(sim, 'req_key');
    const images = imagesOf(sim, body);
    if (!KEYS[key].includes(images.length)) throw wrong(sim, `${key} with ${images.length} images`);
    if (typeof prompt !== 'string' || prompt === '' || prompt.length > MAX_PROMPT) throw wrong(sim, 'prompt');
    if (![121, 241].includes(frames)) throw wrong(sim, 'frames'); // documented
    if (ratio !== undefined && !RATIOS.includes(ratio)) throw wrong(sim, 'aspect_ratio');
    if (!Number.isInteger(seed) || seed < -1) throw wrong(sim, 'seed');
}

const newId = () => `7${[...randomBytes(18)].map((byte) => byte % 10).join('')}`; // digits beyond 2^53, as a text: documented by examples

async function submit(sim, call) {
    const body = call.json();
    check(sim, body);
    const job = await sim.accept(call, {
        id: newId(), model: body.req_key, prompt: body.prompt, wish: { key: body.req_key, shape: body.aspect_ratio ?? 'landscape' },
    });
    return success({ task_id: job.id });
}

// What went wrong is told in the place of the job, with the HTTP status of the code: documented.
function failureOf(job) {
    const code = job.outcome === 'moderated' ? 50516 : 50501;
    return { status: CODES[code][0], ...envelope(code, CODES[code][1], { status: 'done' }) };
}

async function result(sim, call) {
    const { req_key: key, task_id: id } = call.json();
    if (typeof key !== 'string' || typeof id !== 'string') throw wrong(sim, 'req_key or task_id'); // both are needed: documented
    const job = await sim.look(call, id);
    if (job === null || job.wish.key !== key) return success({ status: 'not_found' }); // another req_key: ours
    const state = job.state();
    if (call.word !== null) return success({ status: call.word });
    if (state === 'failed') return failureOf(job);
    if (state !== 'completed') return success({ status: WORDS[state] });
    return success({ aigc_meta_tagged: false, status: 'done', video_url: job.outcome === 'no-video' ? '' : sim.link(job, call) }); // documented
}

const ACTIONS = { CVSync2AsyncSubmitTask: submit, CVSync2AsyncGetResult: result };

function act(sim, call) {
    const action = ACTIONS[call.query.get('Action')];
    if (action === undefined || call.query.get('Version') !== VERSION) throw sim.refuse(404, { message: 'Action or Version is unknown' });
    return action(sim, call);
}

export const jimeng = {
    name: 'jimeng',
    place: 21,
    keys: 'key: sim-access, secret: sim-secret',
    renews: true, // ours
    problem,
    authorise,
    routes: (sim) => [['POST /', 'action', (call) => act(sim, call)]],
};
