// SPDX-License-Identifier: Apache-2.0
//
// The part that all simulated vendors share: an HTTP server that routes to a vendor, a second one on
// another port as the vendor's storage (another origin, where no credential belongs), the script of
// what goes wrong, and the ledger. A vendor is a group: {name, place (among the ports), base (what a base_url ends in), keys (of a channel), renews, settings,
// problem(), authorise(), routes()}; its handlers get a Call and return an answer {status, headers, json | text |
// bytes, type} or throw a Refusal. Results are padded real videos, served with ranges.
import http from 'node:http';
import { Callbacks } from './callbacks.js';
import { Ledger, fingerprint } from './ledger.js';
import { Dice, Job } from './jobs.js';
import { isMultipart, readMultipart } from './multipart.js';
import { Script, mistakeOf } from './script.js';
import { thumbnail, video } from './videos.js';

const MAX_BODY_BYTES = 128 << 20;
const KEEP_ALIVE_MS = 60_000;
const HOST = '127.0.0.1';

// What POST /_sim/script may set; a vendor adds its own.
const SETTINGS = {
    queue_ms: 200, // how long a job waits: a number, or {median, sigma}
    duration_ms: 1500, // how long it renders: the same
    slots: null, // so many unfinished jobs of one credential; one more is 429
    links: 'own', // where results are fetched: 'own' or 'other' origin
    link_life_ms: null, // after that a result's link is 403
    renews: null, // a poll renews a dead link; null: as the vendor does
    result_bytes: 0, // every result is padded to this size
    callbacks: true, // whoever gave an address is called back, where the vendor does
};

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// An answer instead of what the handler was about to do.
export class Refusal extends Error {
    constructor(answer) {
        super(`refused with ${answer.status}`);
        this.answer = answer;
    }
}

// The body is not what it says: the vendor's 400.
class BadBody extends Error {}

function read(what, how) {
    try {
        return how();
    } catch (error) {
        throw new BadBody(`the body is no ${what}: ${error.message}`);
    }
}

// One request: what the vendors read of it.
class Call {
    constructor(request, url, origin) {
        Object.assign(this, { request, url, origin });
        this.method = request.method;
        this.headers = request.headers;
        this.query = url.searchParams;
        this.params = {};
        this.body = Buffer.alloc(0);
        this.key = null; // the credential as it came, null on routes that need none
        this.loss = null; // how the answer will be lost
        this.lossStatus = undefined;
        this.word = null; // said instead of the status, this once
        this.linkOrigin = null; // links in the answer lead there
    }

    get credential() {
        return this.key === null ? null : fingerprint(this.key);
    }

    get isForm() {
        return isMultipart(this.headers['content-type']);
    }

    // An object, under any type; an empty body is an empty one.
    json() {
        if (this.body.length === 0) return {};
        const found = read('JSON', () => JSON.parse(this.body.toString('utf8')));
        if (typeof found !== 'object' || found === null || Array.isArray(found)) throw new BadBody('the body is no object');
        return found;
    }

    form() {
        return read('form', () => readMultipart(this.headers['content-type'] ?? '', this.body));
    }
}

// '/v1/videos/:id/content' and '/*path' as a pattern.
function compile([target, operation, handler]) {
    const [method, path] = target.split(' ');
    const pattern = path.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:(\w+)/g, '(?<$1>[^/]+)').replace(/\*(\w+)/g, '(?<$1>.+)');
    return { method, operation, handler, pattern: new RegExp(`^${pattern}$`) };
}

function textOr(value, fallback) {
    try {
        return decodeURIComponent(value);
    } catch {
        return fallback;
    }
}

// Whatever looks like a credential in a request, for routes that should get none.
function strayKey({ headers, query }) {
    const found = headers.authorization?.replace(/^\w+ /, '') ?? headers['x-goog-api-key'] ?? headers['x-api-key'] ?? query.get('key');
    return found === null || found === undefined ? null : fingerprint(found);
}

export class Simulator {
    #own;
    #other;
    #routes;
    #dice;
    #seed;

    // `ledger` is a folder, or null for memory only.
    constructor(vendor, { ledger = null, isSynced = false, seed = 1, settings = {}, host = HOST } = {}) {
        this.vendor = vendor;
        this.host = host;
        this.isClosed = false;
        this.ledger = new Ledger(vendor.name, ledger, { isSynced });
        this.script = new Script(seed);
        this.#seed = seed;
        this.firstSettings = { ...SETTINGS, ...vendor.settings, ...settings };
        this.files = [compile(['GET /_files/:id/:token', 'result', (call) => this.#file(call)])];
        this.#routes = [...this.#control(), ...vendor.routes(this)].map(compile).concat(this.files);
        this.#own = http.createServer((request, response) => this.#serve(request, response, 'own'));
        this.#other = http.createServer((request, response) => this.#serve(request, response, 'other'));
        for (const server of [this.#own, this.#other]) {
            server.keepAliveTimeout = KEEP_ALIVE_MS;
            server.requestTimeout = 0; // a caller that is slow is no concern here
        }
        this.#forget();
    }

    async listen(port = 0) {
        this.port = await this.#open(this.#own, port);
        this.url = `http://${this.host}:${this.port}`;
        this.baseUrl = this.url + (this.vendor.base ?? ''); // as a channel names it
        this.otherUrl = `http://${this.host}:${await this.#open(this.#other, 0)}`;
        return this;
    }

    #open(server, port) {
        return new Promise((done, fail) => {
            server.once('error', fail);
            server.listen(port, this.host, () => done(server.address().port));
        });
    }

    async close() {
        this.isClosed = true; // whoever waits for a job stops
        for (const server of [this.#own, this.#other]) {
            server.closeAllConnections();
            await new Promise((done) => server.close(done));
        }
        this.ledger.close();
    }

    // Nobody answers at its addresses; its jobs go on, until comeBack().
    async vanish() {
        for (const server of [this.#own, this.#other]) {
            const closed = new Promise((done) => server.close(done));
            server.closeAllConnections();
            await closed;
        }
    }

    async comeBack() {
        await this.#open(this.#own, this.port);
        await this.#open(this.#other, Number(new URL(this.otherUrl).port));
    }

    #forget() {
        this.settings = { ...this.firstSettings };
        this.script.reset();
        this.jobs = new Map(); // by id, the oldest first
        this.shelf = new Map(); // what else a vendor keeps: uploads, files
        this.callbacks = new Callbacks(this);
        this.counts = { requests: 0, by_operation: {}, by_status: {} };
        this.#dice = new Dice(this.#seed);
    }

    get renews() {
        return this.settings.renews ?? this.vendor.renews;
    }

    // ---- what the vendors' handlers call

    // The error of the vendor for a status, which may come with another one; `facts`: {message, code, …} as the vendor knows them.
    refuse(status, facts = {}, headers = {}) {
        const answer = this.vendor.problem(status, facts);
        return new Refusal({ status, ...answer, headers: { ...answer.headers, ...headers } });
    }

    // Takes a job, unless the script says otherwise. It is in the ledger before its answer goes out.
    async accept(call, { id, model, prompt, correlation = null, wish = {}, callback = null }) {
        const deed = await this.meddle(call, 'submit', { prompt, model, key: call.key });
        if (this.#busy(call.credential) >= (this.settings.slots ?? Infinity)) throw this.refuse(429, { isParallel: true });
        const job = new Job({
            id, model, prompt, correlation, wish, credential: call.credential,
            queueMs: this.#dice.time(this.settings.queue_ms), durationMs: this.#dice.time(this.settings.duration_ms),
        });
        job.bytes = this.settings.result_bytes;
        job.key = call.key;
        job.suffer(deed);
        call.linkOrigin = deed.origin ?? null;
        this.jobs.set(job.id, job);
        this.ledger.write('submit', { job: job.id, correlation, model, prompt, credential: call.credential });
        job.callback = callback;
        if (callback !== null && this.settings.callbacks) await this.callbacks.promise(job, deed.call_back ?? 'once');
        if (deed.accept_then !== undefined) [call.loss, call.lossStatus] = [deed.accept_then, deed.status];
        return job;
    }

    #busy(credential) {
        if (this.settings.slots === null) return 0;
        return [...this.jobs.values()].filter((job) => job.credential === credential && !job.isOver).length;
    }

    // The job of a poll; null where the vendor does not know it.
    async look(call, id) {
        const job = this.jobs.get(String(id)) ?? null;
        this.ledger.poll(String(id));
        const deed = await this.meddle(call, 'poll', this.#subject(call, job));
        if (job === null || job.credential !== call.credential) return null; // another account's job is nobody's
        this.#befall(job, deed);
        call.word = deed.unknown_word ?? (job.isOver ? null : job.word);
        if (job.late > 0) {
            job.late--;
            return null;
        }
        if (job.isGone || job.isDeleted) return null;
        if (this.renews && !job.isLinkAlive(job.link, this.settings.link_life_ms)) job.newLink();
        return job;
    }

    // What a rule is matched with; a download without a key counts as the job's.
    #subject(call, job) {
        return { prompt: job?.prompt, model: job?.model, key: call.key ?? job?.key };
    }

    // Later than its submit a job ends, or is forgotten, at once.
    #befall(job, deed) {
        job.suffer({ ...deed, unknown_word: undefined, duration_ms: undefined, queue_ms: undefined, late_id: undefined });
        if (deed.fail) job.end('failed');
        if (deed.moderate) job.end('moderated');
        if (deed.done_without_video) job.end('no-video');
        this.callbacks.follow(job);
    }

    // The job of any other call; null where the vendor does not know it.
    find(id) {
        const job = this.jobs.get(String(id)) ?? null;
        return job === null || job.isGone || job.isDeleted ? null : job;
    }

    // The same, if it is the caller's: another account's job is nobody's.
    own(call, id) {
        const job = this.find(id);
        return job?.credential === call.credential ? job : null;
    }

    // All that own() would find, the newest first.
    ownAll(call) {
        return [...this.jobs.keys()].reverse().map((id) => this.own(call, id)).filter((job) => job !== null);
    }

    // Applies the script of an operation: may wait, may throw the answer or the loss of it.
    async meddle(call, operation, subject = {}) {
        const deed = this.script.draw(operation, subject);
        if (deed.latency_ms !== undefined) await sleep(deed.latency_ms);
        for (const loss of ['reset', 'close', 'hang']) {
            if (!deed[loss]) continue;
            call.loss = loss;
            throw new Refusal({ status: 0 });
        }
        if (deed.truncate) call.loss = 'truncate';
        if (deed.not_json) call.loss = 'not_json';
        if (deed.status !== undefined && deed.accept_then === undefined) throw this.#scripted(deed);
        return deed;
    }

    #scripted({ status, headers = {}, body, message }) {
        if (body === undefined) return this.refuse(status, message === undefined ? {} : { message }, headers);
        return new Refusal({ status, headers, ...(typeof body === 'string' ? { text: body } : { json: body }) });
    }

    async cancelled(call, job, word = 'cancel') {
        await this.meddle(call, 'cancel', this.#subject(call, job));
        this.ledger.write(word, { job: job?.id ?? null, credential: call.credential });
    }

    async uploaded(call, facts) {
        await this.meddle(call, 'upload', { key: call.key });
        this.ledger.write('upload', { ...facts, credential: call.credential });
    }

    // Where the result of a job is fetched without a credential.
    link(job, call = { linkOrigin: null }) {
        return this.#linkAt(call.linkOrigin ?? (this.settings.links === 'other' ? this.otherUrl : this.url), job);
    }

    #linkAt(origin, job) {
        return `${origin}/_files/${encodeURIComponent(job.id)}/${job.link}.mp4`;
    }

    // The result itself, or a redirect to it.
    async deliver(call, job, { shape = job.wish.shape, bytes = null, type = 'video/mp4', redirects = false } = {}) {
        const deed = await this.meddle(call, 'result', this.#subject(call, job));
        if (deed.expired_link || job.expireOnce) [job.isLinkDead, job.expireOnce] = [true, false];
        const where = deed.redirect ?? (call.origin === 'own' ? job.redirect ?? (redirects || null) : null);
        if (where !== null) return this.#redirect(where, job);
        if (job.isLinkDead) throw this.refuse(403, { message: 'the link has expired' });
        const answer = ranged(call, bytes ?? video(shape, deed.bytes ?? job.bytes), type, job.link);
        this.ledger.write('download', {
            job: job.id, from: call.origin, status: answer.status, bytes: call.method === 'HEAD' ? 0 : answer.bytes.length,
            credential: strayKey(call),
        });
        return answer;
    }

    #redirect(where, job) {
        return { status: 302, headers: { location: where === true ? this.#linkAt(this.otherUrl, job) : where }, bytes: Buffer.alloc(0), type: 'text/plain' };
    }

    async #file(call) {
        const job = this.jobs.get(call.params.id) ?? null;
        const token = call.params.token.replace(/\.(mp4|webp)$/, '');
        if (job === null || !job.isLinkAlive(token, this.settings.link_life_ms))
            return { status: job === null ? 404 : 403, text: 'AccessDenied: the link is unknown or has expired', type: 'text/plain' };
        if (call.params.token.endsWith('.webp')) return { bytes: thumbnail, type: 'image/webp' };
        return this.deliver(call, job);
    }

    // ---- what a test calls

    #control() {
        return [
            ['GET /_sim', null, () => ({ json: { vendor: this.vendor.name, settings: this.settings, rules: this.script.rules, storage: this.otherUrl } })],
            ['GET /_sim/ledger', null, (call) => ({ json: this.told(call.query.get('event')) })],
            ['GET /_sim/stats', null, () => ({ json: this.stats() })],
            ['POST /_sim/script', null, (call) => this.#scriptPosted(call)],
            ['POST /_sim/reset', null, () => this.#resetPosted()],
        ];
    }

    told(event = null) {
        this.ledger.flush();
        const entries = this.ledger.entries.filter((entry) => event === null || entry.event === event);
        return { vendor: this.vendor.name, file: this.ledger.path, entries };
    }

    // {rules, settings}, either may be missing; returns what is wrong with it, or null.
    program({ rules, settings = {} }) {
        const mistake = rules === undefined ? null : mistakeOf(rules);
        if (mistake !== null) return mistake;
        for (const key of Object.keys(settings))
            if (!Object.hasOwn(this.firstSettings, key)) return `there is no setting "${key}"; there are ${Object.keys(this.firstSettings).join(', ')}`;
        if (rules !== undefined) this.script.set(rules);
        Object.assign(this.settings, settings);
        return null;
    }

    #scriptPosted(call) {
        let mistake;
        try {
            mistake = this.program(call.json());
        } catch (error) {
            mistake = error.message;
        }
        return mistake === null ? { json: { rules: this.script.rules, settings: this.settings } } : { status: 400, json: { error: mistake } };
    }

    #resetPosted() {
        this.ledger.reset();
        this.#forget();
        return { json: { reset: true } };
    }

    stats() {
        const jobs = {};
        for (const job of this.jobs.values()) jobs[job.state()] = (jobs[job.state()] ?? 0) + 1;
        const events = {};
        const accepted = new Map();
        for (const { event, correlation, prompt, job } of this.ledger.entries) {
            if (event !== 'polls') events[event] = (events[event] ?? 0) + 1;
            const key = correlation ?? prompt;
            if (event === 'submit') accepted.set(key, [...(accepted.get(key) ?? []), job]);
        }
        const twice = [...accepted].filter(([, ids]) => ids.length > 1).map(([subject, ids]) => ({ subject, jobs: ids }));
        const polls = [...this.ledger.pollsOf.values()].reduce((sum, count) => sum + count, 0);
        return { vendor: this.vendor.name, ...this.counts, events, polls, jobs, twice };
    }

    // ---- HTTP

    async #serve(request, response, origin) {
        const call = new Call(request, new URL(request.url, this.url), origin);
        let answer;
        try {
            call.body = await this.#read(request);
            answer = await this.#answer(call);
        } catch (error) {
            if (error.code === 'ECONNRESET') return; // the caller went away in the middle of its request
            answer = this.#answerOf(error);
        }
        const lost = call.loss === '5xx' ? this.refuse(call.lossStatus ?? 502).answer : answer;
        this.#send(request, response, lost, call.loss);
    }

    #answerOf(error) {
        if (error instanceof Refusal) return error.answer;
        if (error instanceof BadBody) return this.refuse(400, { message: error.message }).answer;
        console.error(error); // a mistake of ours, which a test should see
        return { status: 500, text: `the simulator failed: ${error.stack}`, type: 'text/plain' };
    }

    async #read(request) {
        const pieces = [];
        let length = 0;
        for await (const piece of request) {
            length += piece.length;
            if (length > MAX_BODY_BYTES) throw this.refuse(413);
            pieces.push(piece);
        }
        return Buffer.concat(pieces);
    }

    async #answer(call) {
        const { method, url: { pathname }, origin } = call;
        const all = origin === 'own' ? this.#routes : this.files;
        const fitting = all.filter(({ pattern }) => pattern.test(pathname));
        const route = fitting.find((one) => one.method === method || (one.method === 'GET' && method === 'HEAD'));
        this.#count(route?.operation);
        if (route === undefined) throw this.refuse(fitting.length > 0 ? 405 : 404, { message: `no such address: ${method} ${pathname}` });
        for (const [name, value] of Object.entries(route.pattern.exec(pathname).groups ?? {})) call.params[name] = textOr(value, value);
        if (!/^\/_(sim|files)/.test(pathname)) call.key = await this.vendor.authorise(call, this);
        return route.handler(call);
    }

    #count(operation) {
        if (operation === null) return; // a test looks at us
        this.counts.requests++;
        const name = operation ?? 'unknown';
        this.counts.by_operation[name] = (this.counts.by_operation[name] ?? 0) + 1;
    }

    #send(request, response, { status = 200, headers = {}, json, text, bytes, type }, loss) {
        const { socket } = request;
        if (loss === 'hang') return;
        if (loss === 'reset') return socket.resetAndDestroy();
        if (loss === 'close') return socket.destroy();
        const spoilt = loss === 'not_json';
        const body = spoilt ? Buffer.from('<html><body>Bad gateway</body></html>') : bytes ?? Buffer.from(text ?? JSON.stringify(json));
        this.counts.by_status[status] = (this.counts.by_status[status] ?? 0) + 1;
        response.writeHead(spoilt ? 200 : status, {
            'content-type': spoilt ? 'text/html' : type ?? (json === undefined ? 'text/plain; charset=utf-8' : 'application/json'),
            'content-length': body.length,
            ...headers,
        });
        if (request.method === 'HEAD') return response.end();
        if (loss !== 'truncate') return response.end(body);
        response.write(body.subarray(0, Math.floor(body.length / 2)), () => socket.destroy());
    }
}

// A whole file or the range that was asked for.
function ranged({ headers }, bytes, type, tag) {
    const common = { 'accept-ranges': 'bytes', etag: `"${tag}"` };
    const found = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '');
    if (found === null || found[0] === 'bytes=-') return { status: 200, headers: common, bytes, type };
    const first = found[1] === '' ? Math.max(0, bytes.length - Number(found[2])) : Number(found[1]);
    const last = found[1] === '' || found[2] === '' ? bytes.length - 1 : Math.min(Number(found[2]), bytes.length - 1);
    if (first > last) return { status: 416, headers: { ...common, 'content-range': `bytes */${bytes.length}` }, bytes: Buffer.alloc(0), type };
    return { status: 206, headers: { ...common, 'content-range': `bytes ${first}-${last}/${bytes.length}` }, bytes: bytes.subarray(first, last + 1), type };
}

// Any key that begins like ours is good, so that a caller can have several: sim-key, sim-key-2.
export const isKnownKey = (key) => /^sim-key(-\w+)?$/.test(key ?? '');

export function keyIn(header, scheme) {
    const found = new RegExp(`^${scheme} +(\\S+)$`, 'i').exec(header ?? '');
    return found === null ? null : found[1];
}

export async function start(vendor, { port = 0, ...options } = {}) {
    return new Simulator(vendor, options).listen(port);
}
