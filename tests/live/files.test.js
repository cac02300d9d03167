// SPDX-License-Identifier: Apache-2.0
//
// Large files and many readers: offsets beyond 32 bits, memory that does not grow with the file, readers that stop
// reading, a thousand at a time. The files are planted where asset/directory.c keeps them, and sparse.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { endedWell, start, until } from './harness.js';

const TASK = 'task_01k6x15vhrff09dkkqjrzwhm60';
const HOUR = 3_600_000;
const MIB = 2 ** 20;
const iso = (time) => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');

// Puts a file into a server's store, `pieces` ({offset: bytes}) in `size` bytes of nothing.
function plant(server, name, size, pieces) {
    const folder = path.join(server.data, 'assets', TASK.slice(-2), TASK);
    fs.mkdirSync(folder, { recursive: true });
    const fd = fs.openSync(path.join(folder, name), 'w');
    fs.ftruncateSync(fd, size);
    for (const [offset, bytes] of Object.entries(pieces)) fs.writeSync(fd, bytes, 0, bytes.length, Number(offset));
    fs.closeSync(fd);
    const sidecar = { type: 'video/mp4', sha256: '0'.repeat(64), bytes: size, stored_ms: Date.now() };
    fs.writeFileSync(path.join(folder, `${name}.meta`), `${JSON.stringify(sidecar)}\n`);
}

function linkTo(server, name) {
    const key = `${TASK}/${name}`;
    const signed = { st: iso(Date.now() - HOUR), se: iso(Date.now() + HOUR), sr: 'b', sp: 'r' };
    const secret = fs.readFileSync(path.join(server.data, 'link.key'));
    const sig = crypto.createHmac('sha256', secret).update(['filmgate-link-v1', key, ...Object.values(signed), ''].join('\n')).digest('base64');
    return `/assets/${key}?${new URLSearchParams({ ...signed, sig })}`;
}

const peakKilobytes = (server) => Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);

// How many descriptors of the server are open on this file.
function opened(server, name) {
    const folder = `/proc/${server.pid}/fd`;
    let count = 0;
    for (const fd of fs.readdirSync(folder)) {
        try {
            if (fs.readlinkSync(path.join(folder, fd)).endsWith(`/${name}`)) count++;
        } catch {
            // It was closed between the two looks.
        }
    }
    return count;
}

const large = await start({ config: 'http:\n  idle: 5s\n' });
const SIZE = 2 ** 32 + 5_000_001;
const marks = Object.fromEntries([0, 2 ** 31 - 16, 2 ** 32 - 16, SIZE - 32].map((offset) => [offset, crypto.randomBytes(32)]));
plant(large, 'huge.mp4', SIZE, marks);
plant(large, 'small.mp4', 1000, { 0: crypto.randomBytes(1000) });
const huge = linkTo(large, 'huge.mp4');
const small = linkTo(large, 'small.mp4');

const get = (link, headers = {}, method = 'GET') => large.call(method, link, { key: null, headers, agent: false });

for (const [offset, bytes] of Object.entries(marks)) {
    const first = Number(offset), last = first + 31;
    test(`bytes ${first} to ${last} of a file of ${SIZE}`, async () => {
        const answer = await get(huge, { Range: `bytes=${first}-${last}` });
        assert.equal(answer.status, 206);
        assert.equal(answer.headers['content-range'], `bytes ${first}-${last}/${SIZE}`);
        assert.equal(answer.headers['content-length'], '32');
        assert.ok(answer.bytes.equals(bytes));
    });
}
test('the end of it, counted from the end and from the middle', async () => {
    const last = marks[SIZE - 32];
    for (const range of ['bytes=-32', `bytes=${SIZE - 32}-`, `bytes=${SIZE - 32}-${SIZE * 2}`]) {
        const answer = await get(huge, { Range: range });
        assert.equal(answer.status, 206, range);
        assert.ok(answer.bytes.equals(last), range);
    }
    const outside = await get(huge, { Range: `bytes=${SIZE}-` });
    assert.equal(outside.status, 416);
    assert.equal(outside.headers['content-range'], `bytes */${SIZE}`);
});
test('its length is said in full', async () => {
    const head = await get(huge, {}, 'HEAD');
    assert.equal(head.headers['content-length'], String(SIZE));
});

// Reads an answer without keeping it: {status, headers, bytes, sha256}.
function drain(server, link, options = {}) {
    return new Promise((done, fail) => {
        const request = http.get({ host: '127.0.0.1', port: server.port, path: link, agent: false, ...options }, (response) => {
            const hash = crypto.createHash('sha256');
            let bytes = 0;
            response.on('data', (piece) => {
                bytes += piece.length;
                hash.update(piece);
            });
            response.on('error', fail);
            response.on('end', () => done({ status: response.statusCode, headers: response.headers, bytes, sha256: hash.digest('hex') }));
        });
        request.on('error', fail);
    });
}

test('a quarter of a gigabyte passes through without staying: the memory of the server does not grow', async () => {
    await get(small);
    const before = peakKilobytes(large);
    const first = 2 ** 32 - 16 - 252 * MIB, last = first + 256 * MIB - 1;
    const answer = await drain(large, huge, { headers: { Range: `bytes=${first}-${last}` } });
    assert.equal(answer.status, 206);
    assert.equal(answer.headers['content-length'], String(256 * MIB));
    assert.equal(answer.bytes, 256 * MIB);
    const wanted = crypto.createHash('sha256');
    const zeros = Buffer.alloc(MIB);
    for (let i = 0; i < 252; i++) wanted.update(zeros);
    wanted.update(marks[2 ** 32 - 16]).update(Buffer.alloc(4 * MIB - 32));
    assert.equal(answer.sha256, wanted.digest('hex'));
    assert.ok(peakKilobytes(large) - before < 32 * 1024, `${before} kB became ${peakKilobytes(large)} kB`);
});

// A client that asks, reads a little and then no more.
function stall(server, link) {
    return new Promise((done, fail) => {
        const socket = net.connect(server.port, '127.0.0.1', () => socket.write(`GET ${link} HTTP/1.1\r\nHost: x\r\n\r\n`));
        socket.bytes = 0;
        socket.on('error', fail);
        socket.once('data', (piece) => {
            assert.match(piece.toString('latin1'), new RegExp(`^HTTP/1\\.1 200 [^]*Content-Length: ${SIZE}\r\n`, 'i'));
            socket.pause();
            done(socket);
        });
    });
}

test('readers that stop in the middle hold nobody up, and are let go', async () => {
    const stalled = await Promise.all(Array.from({ length: 16 }, () => stall(large, huge)));
    const answers = await Promise.all(Array.from({ length: 32 }, () => drain(large, small)));
    for (const answer of answers) assert.deepEqual([answer.status, answer.bytes], [200, 1000]);
    const range = await get(huge, { Range: `bytes=${2 ** 32 - 16}-${2 ** 32 + 15}` });
    assert.ok(range.bytes.equals(marks[2 ** 32 - 16]));
    await until('all stalled connections closed', () => opened(large, 'huge.mp4') === 0);
    const ends = stalled.map((socket) => new Promise((done) => {
        socket.removeAllListeners('error');
        socket.on('data', (piece) => (socket.bytes += piece.length));
        for (const event of ['end', 'error', 'close']) socket.on(event, done);
        socket.resume();
    }));
    await Promise.all(ends);
    for (const socket of stalled) {
        assert.ok(socket.bytes < SIZE / 4);
        socket.destroy();
    }
});

test('a thousand readers at once all get the whole file', async () => {
    const READERS = 1000, BYTES = 200_000;
    const busy = await start({ config: 'http:\n  connections: 1200\n' });
    const film = crypto.randomBytes(BYTES);
    plant(busy, 'film.mp4', BYTES, { 0: film });
    const link = linkTo(busy, 'film.mp4');
    const request = `GET ${link} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const sockets = await Promise.all(Array.from({ length: READERS }, (_, i) => new Promise((done, fail) => {
        const socket = net.connect({ port: busy.port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (i % 8)}` }, () => done(socket));
        socket.on('error', fail);
    })));
    // All are connected; now all ask, and nobody reads until everybody was answered.
    await Promise.all(sockets.map((socket) => new Promise((done) => {
        socket.once('readable', done);
        socket.write(request);
    })));
    const films = await Promise.all(sockets.map(async (socket) => {
        const pieces = [];
        for await (const piece of socket) pieces.push(piece);
        const bytes = Buffer.concat(pieces);
        return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
    }));
    assert.equal(films.filter((bytes) => bytes.equals(film)).length, READERS);
    await until('every descriptor closed', () => opened(busy, 'film.mp4') === 0);
});

test('the servers ended well', endedWell);
