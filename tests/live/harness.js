// SPDX-License-Identifier: Apache-2.0
//
// Runs the real binary for a test file: keys, a server on a free port of loopback in a directory
// of its own, requests whose answers are all checked (check.js), signals, restarts. Whatever
// happens, no server outlives the file; the last test of each file is `endedWell`. What a file has
// to await at its top stands before its first test: the runner takes a pause behind one for the end.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import { checkError, checkUnified, Contract, Watch } from './check.js';

export const ROOT = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');
export const BINARY = path.resolve(ROOT, process.env.FILMGATE_BIN ?? 'build/filmgate');
// Everything waits this much longer under a sanitizer; no test depends on the value.
export const PATIENCE = 120_000;
const SANITIZER = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:/;

const servers = new Set();
const directories = new Set();
const run = promisify(execFile);

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Calls `look` until it gives something truthy, which is returned.
export async function until(what, look, { limit = PATIENCE, every = 50 } = {}) {
    const end = performance.now() + limit;
    for (;;) {
        const found = await look();
        if (found) return found;
        assert.ok(performance.now() < end, `waited ${limit / 1000} s in vain: ${what}`);
        await sleep(every);
    }
}

export function newDirectory() {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'filmgate-live-'));
    directories.add(directory);
    return directory;
}

// Runs the binary to its end: {status, stdout, stderr}.
export function command(args, { env = {}, input = '', timeout = PATIENCE, cwd } = {}) {
    return new Promise((done, fail) => {
        const child = spawn(BINARY, args, { cwd, env: cleanEnvironment(env), stdio: ['pipe', 'pipe', 'pipe'] });
        const out = { stdout: '', stderr: '' };
        const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
        child.stdout.setEncoding('utf8').on('data', (text) => (out.stdout += text));
        child.stderr.setEncoding('utf8').on('data', (text) => (out.stderr += text));
        child.stdin.on('error', () => {}); // it may end without reading
        child.stdin.end(input);
        child.on('error', fail);
        child.on('close', (status, signal) => {
            clearTimeout(timer);
            try {
                assert.doesNotMatch(out.stderr, SANITIZER);
                done({ status, signal, ...out });
            } catch (error) {
                fail(error);
            }
        });
    });
}

const PTY = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

// The same on a terminal, whose two directions are one text: {status, said}. `typed` is what a
// person types once `when` stands there.
export function terminal(args, { env = {}, typed = '', when = /(?:)/, timeout = PATIENCE } = {}) {
    return new Promise((done, fail) => {
        const child = spawn('python3', ['-c', PTY, BINARY, ...args], { env: cleanEnvironment(env), stdio: ['pipe', 'pipe', 'inherit'] });
        let said = '';
        let left = typed;
        const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
        const type = () => {
            if (left !== '' && when.test(said)) child.stdin.write(left);
            if (when.test(said)) left = '';
        };
        child.stdout.setEncoding('utf8').on('data', (text) => {
            said += text;
            type();
        });
        child.stdin.on('error', () => {}); // it may have ended
        child.on('error', fail);
        child.on('close', (status) => {
            clearTimeout(timer);
            done({ status, said: said.replaceAll('\r\n', '\n') });
        });
        type();
    });
}

function cleanEnvironment(extra) {
    const env = { ...process.env, ...extra };
    for (const name of ['FILMGATE_URL', 'FILMGATE_KEY', 'http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'])
        if (extra[name] === undefined) delete env[name];
    for (const name of Object.keys(extra)) if (extra[name] === undefined) delete env[name];
    return env;
}

// Holds the write lock of a server's database, as another process may, until close() is called.
export async function holdStore(server) {
    const child = spawn('sqlite3', ['-cmd', '.timeout 60000', path.join(server.data, 'filmgate.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
    child.stdin.write("BEGIN IMMEDIATE;\nSELECT 'held';\n");
    await until('the lock', () => said.includes('held'), { every: 5 });
    return { close: () => child.stdin.end('ROLLBACK;\n') };
}

// The bytes of a multipart form: parts are {name, value} or {name, filename, type, bytes}.
export function multipart(parts, boundary = 'live-7MA4YWxkTrZu0gW') {
    const pieces = [];
    for (const part of parts) {
        const file = part.filename === undefined ? '' : `; filename="${part.filename}"`;
        const type = part.type === undefined ? '' : `Content-Type: ${part.type}\r\n`;
        pieces.push(Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${part.name}"${file}\r\n${type}\r\n`));
        pieces.push(Buffer.from(part.bytes ?? String(part.value)), Buffer.from('\r\n'));
    }
    pieces.push(Buffer.from(`--${boundary}--\r\n`));
    return { headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` }, body: Buffer.concat(pieces) };
}

function collect(response, done, fail) {
    const pieces = [];
    response.on('data', (piece) => pieces.push(piece));
    response.on('error', fail);
    response.on('end', () => {
        const bytes = Buffer.concat(pieces);
        const answer = { status: response.statusCode, headers: response.headers, rawHeaders: response.rawHeaders, bytes };
        answer.text = bytes.toString('utf8');
        if (/^application\/json/.test(response.headers['content-type'] ?? '') && bytes.length > 0) answer.json = JSON.parse(answer.text);
        done(answer);
    });
}

class Server {
    #options;
    #child;
    #agent;
    #watch = new Watch();
    #ends = []; // of each process: {status, signal, wanted}
    #stderr = '';
    port = 0;

    constructor(options) {
        this.#options = options;
        this.dir = newDirectory();
        this.data = path.join(this.dir, 'data');
        this.keys = {};
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    get pid() {
        return this.#child?.pid;
    }

    get log() {
        return this.#stderr;
    }

    get isRunning() {
        return this.#child !== undefined;
    }

    // Makes a key with the command that operators use.
    async addKey(name, { tenant, operator } = {}) {
        const args = ['keys', 'create', '--data', this.data, '--name', name];
        if (tenant !== undefined) args.push('--tenant', tenant);
        if (operator) args.push('--operator');
        const result = await command(args);
        assert.equal(result.status, 0, result.stderr);
        this.keys[name] = result.stdout.trim();
        return this.keys[name];
    }

    #arguments() {
        const args = ['serve', '--data', this.data, '--listen', `127.0.0.1:${this.port}`];
        if (this.#options.config !== undefined) {
            const file = path.join(this.dir, 'filmgate.yaml');
            fs.writeFileSync(file, this.#options.config);
            args.push('--config', file);
        }
        return args;
    }

    async launch() {
        const child = spawn(BINARY, this.#arguments(), { env: cleanEnvironment(this.#options.env ?? {}), stdio: ['ignore', 'pipe', 'pipe'] });
        this.#child = child;
        this.#agent = new http.Agent({ keepAlive: true, maxSockets: 200 });
        let said = '';
        child.stderr.setEncoding('utf8').on('data', (text) => (this.#stderr += text));
        child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
        this.ended = new Promise((done) => {
            const end = (status, signal) => {
                this.#ends.push({ status, signal, wanted: this.wanted });
                this.#child = undefined;
                this.#agent.destroy();
                done({ status, signal });
            };
            child.on('close', end);
            child.on('error', (error) => {
                this.#stderr += error.message;
                if (child.pid === undefined) end(null, null); // then there is no 'close'
            });
        });
        this.wanted = undefined;
        const ready = await until('the ready line', () => /listening on (http:\/\/\S+:(\d+))/.exec(said) ?? !this.isRunning);
        assert.notEqual(ready, true, `the server did not start: ${this.#stderr}`);
        assert.match(said, /^filmgate \S+ listening on http:\/\/127\.0\.0\.1:\d+\n$/);
        this.port = Number(ready[2]);
        const document = await this.call('GET', '/openapi.json', { unchecked: true });
        assert.equal(document.status, 200, document.text);
        this.contract ??= new Contract(document.json);
    }

    // SIGTERM, and what became of it: the exit status.
    async stop() {
        this.wanted = 'SIGTERM';
        this.#child.kill('SIGTERM');
        const timer = setTimeout(() => this.#child?.kill('SIGABRT'), PATIENCE);
        const { status, signal } = await this.ended;
        clearTimeout(timer);
        assert.equal(signal, null, `SIGTERM ended in ${signal}: ${this.#stderr.slice(-2000)}`);
        return status;
    }

    async kill() {
        this.wanted = 'SIGKILL';
        this.#child.kill('SIGKILL');
        await this.ended;
    }

    killNow() {
        this.#child?.kill('SIGKILL');
    }

    // Stops politely when it runs, and starts again on the same port and data.
    async restart(options = {}) {
        if (this.isRunning) assert.equal(await this.stop(), 0);
        this.#options = { ...this.#options, ...options };
        await this.launch();
    }

    // One request. The options: key (null: none), headers, json or body, chunked, unchecked.
    async call(method, target, options = {}) {
        const began = performance.now();
        const headers = { ...options.headers };
        const key = options.key === undefined ? this.key : options.key;
        if (key !== null && key !== undefined && headers.Authorization === undefined) headers.Authorization = `Bearer ${key}`;
        let body = options.body;
        if (options.json !== undefined) {
            body = JSON.stringify(options.json);
            headers['Content-Type'] ??= 'application/json';
        }
        if (body !== undefined && !options.chunked && !options.unsized) headers['Content-Length'] = Buffer.byteLength(body);
        if (options.chunked) headers['Transfer-Encoding'] = 'chunked';
        const answer = await this.#exchange(method, target, headers, body, options);
        if (!options.unchecked) this.#check(method, target, answer, began);
        return answer;
    }

    #exchange(method, target, headers, body, options) {
        return new Promise((done, fail) => {
            const request = http.request({ host: '127.0.0.1', port: this.port, method, path: target, headers, agent: options.agent ?? this.#agent, setHost: headers.Host === undefined });
            request.setTimeout(PATIENCE, () => request.destroy(new Error(`no answer to ${method} ${target}`)));
            request.on('error', fail);
            request.on('response', (response) => collect(response, done, fail));
            if (headers.Expect !== undefined) {
                request.on('continue', () => {
                    request.wasContinued = true;
                    request.end(body);
                });
                request.flushHeaders();
            } else if (options.chunked) {
                for (let at = 0; at < body.length; at += options.chunked) request.write(body.slice(at, at + options.chunked));
                request.end();
            } else {
                request.end(body);
            }
        });
    }

    #check(method, target, answer, began) {
        const plain = target.split('?')[0];
        if (answer.status === 304 || method === 'HEAD' || method === 'OPTIONS') {
            assert.equal(answer.bytes.length, 0);
            return;
        }
        if ((plain.startsWith('/assets/') || /^\/v1\/videos\/.+\/content$/.test(plain)) && answer.status < 300) return;
        assert.ok(answer.json, `${method} ${target} answered ${answer.status} without JSON: ${answer.text.slice(0, 300)}`);
        if (answer.status >= 400) {
            checkError(answer.json);
            assert.ok(answer.headers['x-request-id'], 'an error carries X-Request-Id');
            assert.equal(answer.headers['x-oneapi-request-id'], answer.headers['x-request-id']);
        }
        this.contract.check(method, plain, answer.status, answer.json);
        if (answer.status !== 200) return;
        const unified = plain === '/v1/video/tasks' ? answer.json.data : ['/v1/video/query', '/v1/video/cancel', '/v1/videos/video_id'].includes(plain) || (plain === '/v1/videos' && answer.json.detail) ? [answer.json] : [];
        for (const one of unified) {
            checkUnified(one);
            this.#watch.note(one, began);
        }
    }

    // Raw bytes out, everything that comes back until the server closes or `enough` says so.
    raw(text, { enough = () => false, limit = PATIENCE } = {}) {
        return new Promise((done, fail) => {
            const socket = net.connect(this.port, '127.0.0.1', () => socket.write(text));
            let came = '';
            socket.setTimeout(limit, () => socket.destroy(new Error('the server keeps the connection open and silent')));
            socket.setEncoding('latin1').on('data', (piece) => {
                came += piece;
                if (enough(came)) socket.end();
            });
            socket.on('error', (error) => (came === '' ? fail(error) : done(came)));
            socket.on('close', () => done(came));
        });
    }

    async create(fields, options = {}) {
        const answer = await this.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'make animate', ...small, ...fields }, ...options });
        assert.equal(answer.status, 200, answer.text);
        checkCreated(answer.json);
        return answer.json;
    }

    async query(id, options = {}) {
        const answer = await this.call('GET', `/v1/video/query?id=${encodeURIComponent(id)}`, options);
        assert.equal(answer.status, 200, answer.text);
        return answer.json;
    }

    async cancel(id, options = {}) {
        return this.call('POST', '/v1/video/cancel', { json: { id }, ...options });
    }

    async waitEnd(id, { every = 100, limit, ...options } = {}) {
        return until(`the end of ${id}`, async () => {
            const answer = await this.query(id, options);
            return answer.status !== 'pending' && answer;
        }, { every, limit });
    }

    async complete(fields, options) {
        const created = await this.create(fields, options);
        const ended = await this.waitEnd(created.id, options);
        assert.equal(ended.status, 'completed', JSON.stringify(ended.error));
        return ended;
    }

    // Until an engine works on it and frames come.
    async waitRendering(id, least = 1) {
        return until(`${id} rendering`, async () => {
            const answer = await this.query(id);
            assert.equal(answer.status, 'pending', `it ended before it could be watched: ${JSON.stringify(answer.error)}`);
            return answer.progress >= least && answer;
        }, { every: 20 });
    }

    // The bytes behind a link of ours, fetched as clients do: without a key.
    async fetchLink(link, options = {}) {
        const url = new URL(link);
        assert.equal(url.origin, this.url, 'links are this server\'s own');
        return this.call(options.method ?? 'GET', url.pathname + url.search, { key: null, ...options });
    }

    // Process ids of the media helpers that this server has now.
    helpers() {
        return childrenOf(this.pid).filter((pid) => commandLine(pid).includes('helper'));
    }

    async waitHelper() {
        return until('a media helper', () => this.helpers()[0], { every: 5 });
    }

    ends() {
        return this.#ends;
    }
}

// Cheap to make: what a test does not care about.
export const small = { size: '64x64', duration: 1 };

export function checkCreated(answer) {
    assert.match(answer.id, /:task_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    assert.equal(answer.status, 'pending');
    assert.ok(Number.isInteger(answer.status_update_time) && answer.status_update_time > 1e12);
    for (const key of ['url', 'video_url', 'result_url', 'output', 'outputs', 'response', 'data', 'result', 'code', 'error'])
        assert.ok(answer[key] === undefined || answer[key] === null, `a create's answer holds ${key}`);
    if (answer.task_id !== undefined) assert.equal(answer.task_id, answer.id);
}

export function childrenOf(parent) {
    const found = [];
    for (const name of fs.readdirSync('/proc')) {
        if (!/^\d+$/.test(name)) continue;
        try {
            const stat = fs.readFileSync(`/proc/${name}/stat`, 'latin1');
            const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
            if (Number(rest[1]) === parent && rest[0] !== 'Z') found.push(Number(name));
        } catch {
            // It ended between the two looks.
        }
    }
    return found;
}

function commandLine(pid) {
    try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    } catch {
        return [];
    }
}

export function isAlive(pid) {
    try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
        return stat[stat.lastIndexOf(')') + 2] !== 'Z';
    } catch {
        return false;
    }
}

// A running server with a key. Options: config (YAML text), env, key: {tenant, operator}.
export async function start(options = {}) {
    const server = new Server(options);
    servers.add(server);
    server.key = await server.addKey('first', options.key);
    await server.launch();
    return server;
}

// The last test of a file: all servers end when told to, and none had anything to hide.
export async function endedWell() {
    for (const server of servers) {
        if (server.isRunning) {
            assert.equal(server.wanted, undefined);
            assert.equal(await server.stop(), 0, server.log.slice(-2000));
        }
        for (const end of server.ends()) {
            assert.ok(end.wanted, `a server ended on its own: ${JSON.stringify(end)}\n${server.log.slice(-4000)}`);
            if (end.wanted === 'SIGTERM') assert.equal(end.status, 0);
        }
        assert.doesNotMatch(server.log, SANITIZER);
    }
}

function removeAll() {
    for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

after(async () => {
    for (const server of servers) if (server.isRunning) await server.kill();
    removeAll();
});
process.on('exit', () => {
    for (const server of servers) server.killNow();
    removeAll();
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, () => process.exit(1));
// Who runs us may be killed outright; then nobody waits for what we find.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(1), 1000).unref();

export async function tool(name, ...args) {
    return run(name, args, { encoding: 'buffer', maxBuffer: 1 << 28 });
}
