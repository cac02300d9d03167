// SPDX-License-Identifier: Apache-2.0
//
// What the tests of long polls and event streams share: a client of text/event-stream, and an upstream whose jobs do what they
// are told.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after } from 'node:test';
import { newDirectory, PATIENCE, until } from './harness.js';

const ADAPTER = `
def about: {summary: "Does as it is told.", evidence: "wire", auth: {kind: "none"}};
def submit: {method: "POST", path: "/jobs", json: {prompt: .task.prompt}};
def submitted: {job: .body.id};
def poll: {method: "GET", path: "/jobs/\\(.job)"};
def polled: .body;
def cancel: null;
def cancelled: {state: "refused"};
`;

// Jobs by their task's prompt: `tell(prompt, {state, progress})` is what polls hear from then on.
export class Stage {
    #told = new Map();
    #prompts = [];

    async open() {
        this.upstream = http.createServer((request, response) => this.#answer(request, response));
        await new Promise((resolve) => this.upstream.listen(0, '127.0.0.1', resolve));
        after(() => {
            this.upstream.closeAllConnections();
            this.upstream.close();
        });
        this.adapters = newDirectory();
        fs.writeFileSync(path.join(this.adapters, 'told.jq'), ADAPTER);
        return this;
    }

    async #answer(request, response) {
        let said = '';
        for await (const piece of request) said += piece;
        let answer;
        if (request.method === 'POST') {
            this.#prompts.push(JSON.parse(said).prompt);
            answer = { id: `job-${this.#prompts.length - 1}` };
        } else {
            answer = this.#told.get(this.#prompts[Number(request.url.split('-').pop())]) ?? { state: 'rendering' };
        }
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    }

    tell(prompt, answer) {
        this.#told.set(prompt, answer);
    }

    // It fails, and is not tried again.
    fail(prompt) {
        this.tell(prompt, { state: 'failed', error: { code: 'no', message: 'no', kind: 'moderated' } });
    }

    config(more = '') {
        const channel = { name: 'told', adapter: 'told', base_url: `http://127.0.0.1:${this.upstream.address().port}`, models: ['m'], poll_first: '100ms', poll_every: '100ms', concurrency: 5000 };
        return `adapters: ${this.adapters}\nchannels: ${JSON.stringify([channel, { name: 'studio', adapter: 'animatic', models: ['sora-2'] }])}\nhttp: {per_address: 3000}\ntenants: {max_in_flight: 0}\n${more}`;
    }
}

// One connection to GET /v1/video/events. What came: `events` ({id, event, data}), `comments`, and `text`.
export class Stream {
    events = [];
    comments = 0;
    text = '';
    isOver = false;

    constructor(server, { query = '', key = server.key, headers = {} } = {}) {
        const authorization = key === null ? {} : { Authorization: `Bearer ${key}` };
        this.request = http.request({ host: '127.0.0.1', port: server.port, path: `/v1/video/events${query}`, headers: { ...authorization, ...headers }, agent: false });
        this.opened = new Promise((done, fail) => {
            this.request.on('response', (response) => {
                this.status = response.statusCode;
                this.headers = response.headers;
                response.setEncoding('utf8').on('data', (piece) => this.#take(piece));
                for (const end of ['end', 'error', 'close']) response.on(end, () => (this.isOver = true));
                done(this);
            });
            this.request.on('error', (error) => {
                this.isOver = true;
                fail(error);
            });
        });
        this.opened.catch(() => {});
        this.request.end();
    }

    #take(piece) {
        this.text += piece;
        const blocks = this.text.slice(this.parsed ?? 0).split('\n\n');
        this.parsed = this.text.length - blocks.pop().length;
        for (const block of blocks) {
            const event = {};
            for (const line of block.split('\n')) {
                const [, name, value] = /^([a-z]*): ?(.*)$/.exec(line);
                if (name === '') this.comments++;
                else event[name] = value;
            }
            if (event.id !== undefined) this.last = Number(event.id);
            if (event.data !== undefined) this.events.push({ ...event, id: Number(event.id), data: JSON.parse(event.data) });
        }
    }

    states(id) {
        return this.events.filter(({ event, data }) => event === 'state' && (id === undefined || data.id === id));
    }

    // The first event of which `is` says yes.
    wait(what, is) {
        return until(what, () => this.events.find(is), { every: 10 });
    }

    over() {
        return until('the end of the stream', () => this.isOver, { every: 10 });
    }

    close() {
        this.request.destroy();
    }
}

export async function open(server, options) {
    const stream = await new Stream(server, options).opened;
    assert.equal(stream.status, 200, stream.text);
    assert.match(stream.headers['content-type'], /^text\/event-stream/);
    return stream;
}

// The events table: [{number, task_id, tenant, body}].
export function eventsOf(server, where = '1') {
    const out = execFileSync('sqlite3', ['-json', '-cmd', `.timeout ${PATIENCE}`, path.join(server.data, 'filmgate.db'), `SELECT number, task_id, tenant, json_extract(body, '$.state') AS state FROM events WHERE kind = 'state' AND ${where} ORDER BY number`], { encoding: 'utf8', maxBuffer: 1 << 26 });
    return out === '' ? [] : JSON.parse(out);
}

// How many watch, by /metrics.
export async function watchers(server, kind, operator) {
    const { text } = await server.call('GET', '/metrics', { key: operator, unchecked: true });
    return Number(new RegExp(`^filmgate_watchers\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text)[1]);
}
