// SPDX-License-Identifier: Apache-2.0
//
// Receivers of webhooks on loopback that do as a test tells them: one path, one manner.
import http from 'node:http';
import net from 'node:net';
import { until } from './harness.js';

// Answers by `manners[path]`, a function of (request, response, hit); 200 without one. Keeps what came.
export class Receiver {
    hits = [];
    manners = {};
    #sockets = new Set();

    static async open() {
        const receiver = new Receiver();
        receiver.server = http.createServer((request, response) => receiver.#take(request, response));
        receiver.server.on('connection', (socket) => {
            receiver.#sockets.add(socket);
            socket.on('close', () => receiver.#sockets.delete(socket));
        });
        await new Promise((done) => receiver.server.listen(0, '127.0.0.1', done));
        receiver.port = receiver.server.address().port;
        receiver.address = `127.0.0.1:${receiver.port}`;
        return receiver;
    }

    #take(request, response) {
        const pieces = [];
        request.on('data', (piece) => pieces.push(piece));
        request.on('error', () => {});
        response.on('error', () => {});
        request.on('end', () => {
            const body = Buffer.concat(pieces).toString('utf8');
            const hit = { path: request.url, method: request.method, headers: request.headers, body, event: JSON.parse(body), at: performance.now() };
            hit.number = this.at(request.url).length + 1;
            this.hits.push(hit);
            (this.manners[request.url] ?? ((_, answer) => answer.end('thank you')))(request, response, hit);
        });
    }

    url(path) {
        return `http://${this.address}${path}`;
    }

    at(path) {
        return this.hits.filter((hit) => hit.path === path);
    }

    // Until `count` have come to a path: all of them.
    async wait(path, count = 1) {
        return until(`${count} webhooks at ${path}`, () => this.at(path).length >= count && this.at(path), { every: 20 });
    }

    close() {
        for (const socket of this.#sockets) socket.destroy();
        return new Promise((done) => this.server.close(done));
    }
}

// Takes connections and answers each with these bytes, whatever it is asked; counts them.
export async function openLiar(bytes) {
    const liar = { count: 0 };
    liar.server = net.createServer((socket) => {
        liar.count++;
        socket.on('error', () => {});
        socket.once('data', () => socket.end(bytes));
    });
    await new Promise((done) => liar.server.listen(0, '127.0.0.1', done));
    liar.address = `127.0.0.1:${liar.server.address().port}`;
    liar.url = `http://${liar.address}/`;
    liar.close = () => new Promise((done) => liar.server.close(done));
    return liar;
}
