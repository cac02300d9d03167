// SPDX-License-Identifier: Apache-2.0
//
// A client that says exactly the bytes it is told to, and hears what comes back as a list of answers.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { checkError } from './check.js';
import { sleep, until } from './harness.js';

const BODILESS = /^HTTP\/1\.1 (1\d\d|204|304) /;

export class Talk {
    #socket;
    #came = '';
    isOver = false; // the server has ended it

    // Options: from (our own address), isDeaf (nothing is read until hear()).
    constructor(server, { from, isDeaf = false } = {}) {
        this.#socket = net.connect({ host: '127.0.0.1', port: server.port, localAddress: from, allowHalfOpen: true });
        this.#socket.setNoDelay(true);
        this.#socket.setEncoding('latin1');
        if (isDeaf) this.#socket.pause();
        this.#socket.on('data', (piece) => (this.#came += piece));
        if (isDeaf) this.#socket.pause();
        for (const end of ['end', 'close', 'error']) this.#socket.on(end, () => (this.isOver = true));
    }

    get port() {
        return this.#socket.localPort;
    }

    get came() {
        return this.#came;
    }

    async connected() {
        await until('a connection', () => !this.#socket.connecting);
        return this;
    }

    say(text) {
        this.#socket.write(Buffer.from(text, 'latin1'));
        return this;
    }

    // One byte at a time, each a segment of its own.
    async spell(text) {
        for (const letter of Buffer.from(text, 'latin1')) {
            this.#socket.write(Buffer.of(letter));
            await new Promise((done) => setImmediate(done));
        }
    }

    // A byte now and then, until the server has had enough; true if it had before the text was at its end.
    async trickle(text, every = 100) {
        for (const letter of text) {
            if (this.isOver) return true;
            this.#socket.write(letter);
            await sleep(every);
        }
        return this.isOver;
    }

    hush() {
        this.#socket.end(); // our half of the connection
        return this;
    }

    hear() {
        this.#socket.resume();
        return this;
    }

    reset() {
        this.#socket.resetAndDestroy();
    }

    hangUp() {
        this.#socket.destroy();
    }

    // What is whole by now: {status, head, body, isInterim}.
    answers() {
        const found = [];
        let rest = this.#came;
        for (;;) {
            const end = rest.indexOf('\r\n\r\n');
            if (end < 0) return found;
            const head = rest.slice(0, end);
            const length = BODILESS.test(head) ? 0 : Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1] ?? 0);
            if (rest.length < end + 4 + length) return found;
            found.push({ status: Number(head.slice(9, 12)), head, body: Buffer.from(rest.slice(end + 4, end + 4 + length), 'latin1').toString(), isInterim: head.startsWith('HTTP/1.1 1') });
            rest = rest.slice(end + 4 + length);
        }
    }

    // The answers, once there are so many.
    async answered(count) {
        await until(`${count} answers`, () => this.answers().length >= count || (this.isOver && assert.fail(`it ended after ${this.answers().length} answers of ${count}: ${this.#came.slice(0, 500)}`)), { every: 5 });
        return this.answers();
    }

    // The answers, once the server has ended the connection.
    async ended() {
        await until('the end of the connection', () => this.isOver, { every: 5 });
        this.hangUp();
        return this.answers();
    }
}

// One answer, an error of ours in both envelopes, and nothing after it.
export function checkRefusal(answers, status, code) {
    assert.equal(answers.length, 1, JSON.stringify(answers));
    assert.equal(answers[0].status, status, answers[0].body);
    assert.match(answers[0].head, /\r\nConnection: close(\r\n|$)/i);
    const json = JSON.parse(answers[0].body);
    checkError(json);
    assert.equal(json.code, code);
    return json;
}

// Does the server's process hold a socket whose other end is this port of ours?
export function isHeld(server, port) {
    const hex = (number) => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;
    return fs.readFileSync('/proc/net/tcp', 'latin1').split('\n').some((line) => {
        const fields = line.trim().split(/\s+/);
        return fields[1]?.endsWith(hex(server.port)) && fields[2].endsWith(hex(port)) && fields[9] !== '0';
    });
}
