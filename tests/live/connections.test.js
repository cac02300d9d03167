// SPDX-License-Identifier: Apache-2.0
//
// What one connection, and one address, may take of the server: connections, time, requests.
// Other addresses of loopback are other clients; the harness's own requests come from 127.0.0.1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, holdStore, sleep, small, start, until } from './harness.js';
import { isHeld, Talk } from './socket.js';

const LIFE = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n';
const counted = await start({ config: 'http:\n  per_address: 3\n  requests: 3\ntrusted_proxies: [127.0.0.9]\n' });
const strict = await start({ config: 'http:\n  idle: 1h\n  head: 1s\n  body: 1s\n' }); // and patient with silence
const brisk = await start({ config: 'http:\n  idle: 1s\n  head: 1s\n' });

const post = (server, length) => `POST /v1/video/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${server.key}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

async function speaks(talk) {
    const before = talk.answers().length;
    const answers = await talk.say(LIFE).answered(before + 1);
    assert.equal(answers[before].status, 200);
    return talk;
}

// Connections of one address

test('an address has so many connections and no more; when one goes, one may come', async () => {
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await speaks(new Talk(counted, { from: '127.0.0.2' })));
    for (let i = 0; i < 3; i++) assert.deepEqual(await new Talk(counted, { from: '127.0.0.2' }).ended(), [], 'one too many is closed without a word');
    const other = await speaks(new Talk(counted, { from: '127.0.0.3' }));
    for (const talk of open) await speaks(talk);
    open.pop().hangUp();
    const next = await until('room for another', async () => {
        const talk = new Talk(counted, { from: '127.0.0.2' });
        talk.say(LIFE);
        await until('an answer or an end', () => talk.isOver || talk.answers().length > 0, { every: 5 });
        return !talk.isOver && talk;
    });
    assert.deepEqual(await new Talk(counted, { from: '127.0.0.2' }).ended(), []);
    for (const talk of [...open, other, next]) talk.hangUp();
});

test('who never says a word counts too', async () => {
    const open = [];
    for (let i = 0; i < 3; i++) open.push(await new Talk(counted, { from: '127.0.0.4' }).connected());
    await until('the server has them', () => open.every((talk) => isHeld(counted, talk.port)));
    assert.deepEqual(await new Talk(counted, { from: '127.0.0.4' }).ended(), []);
    for (const talk of open) talk.hangUp();
});

test('a trusted proxy brings as many as it has', async () => {
    const open = [];
    for (let i = 0; i < 10; i++) open.push(await speaks(new Talk(counted, { from: '127.0.0.9' })));
    for (const talk of open) talk.hangUp();
});

// Requests of one connection

test('the last answer of a connection says so, and what follows is not answered', async () => {
    const answers = await new Talk(counted, { from: '127.0.0.5' }).say(LIFE.repeat(5)).ended();
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
    assert.deepEqual(answers.map(({ head }) => /\r\nConnection: close/i.test(head)), [false, false, true]);
});

test('a shared view as the last answer says so too', async () => {
    const { id } = await counted.create({});
    const query = `GET /v1/video/query?id=${id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${counted.key}\r\n\r\n`;
    const answers = await new Talk(counted, { from: '127.0.0.5' }).say(query.repeat(4)).ended();
    assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200]);
    assert.deepEqual(answers.map(({ head }) => /\r\nConnection: close/i.test(head)), [false, false, true]);
});

// Time

for (const [name, first, rest] of [
    ['says nothing', '', ''],
    ['spells a request line', '', `GET /${'x'.repeat(5000)}`],
    ['begins with empty lines', '', '\r\n'.repeat(2500)],
    ['spells a header', 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: ', 'x'.repeat(5000)],
    ['has more arguments than the library can hold', `GET /healthz?${'x&'.repeat(4000)} HTTP/1.1\r\nHost: a\r\n\r\n`, ''],
])
    test(`http.head ends a connection that ${name}`, async () => {
        const talk = new Talk(strict).say(first);
        await talk.trickle(rest);
        assert.deepEqual(await talk.ended(), []);
    });

test('http.head ends a connection that spells the headers of its second request', async () => {
    const talk = await speaks(new Talk(strict));
    talk.say('GET /healthz HTTP/1.1\r\n');
    await talk.trickle(`X: ${'x'.repeat(5000)}`);
    assert.equal((await talk.ended()).length, 1);
});

test('http.head and http.idle together end one that spells its second request line', async () => {
    const talk = await speaks(new Talk(brisk));
    await talk.trickle(`GET /${'x'.repeat(5000)}`, 50);
    assert.equal((await talk.ended()).length, 1);
});

test('http.head leaves a connection alone that waits between two requests', async () => {
    const waiting = await speaks(new Talk(strict));
    assert.deepEqual(await new Talk(strict).ended(), [], 'a younger one is at its end');
    await speaks(waiting);
    waiting.hangUp();
});

for (const [name, head, rest] of [
    ['of a length', post(strict, 5000), '{'.repeat(5000)],
    ['in chunks', post(strict, 0).replace('Content-Length: 0', 'Transfer-Encoding: chunked'), '1\r\n{\r\n'.repeat(1000)],
])
    test(`http.body ends a connection that spells a body ${name}`, async () => {
        const talk = new Talk(strict).say(head);
        await talk.trickle(rest);
        assert.deepEqual(await talk.ended(), []);
    });

test('http.body does not count the wait for the store', async () => {
    const database = await holdStore(strict);
    const body = JSON.stringify({ model: 'sora-2', prompt: 'x', ...small });
    const talk = new Talk(strict).say(post(strict, body.length) + body);
    assert.deepEqual(await new Talk(strict).say(post(strict, 9)).ended(), [], 'one that came later is at its end');
    await sleep(1000); // or two: it is answered whenever it is
    database.close();
    const [answer] = await talk.answered(1);
    assert.ok([200, 503].includes(answer.status), answer.body); // 503 when the machine is so slow that the store gave up
    talk.hangUp();
});

test('who has closed his half with his request is let go after the answer', async () => {
    for (const text of [LIFE, LIFE + LIFE, 'GET /hea', '']) {
        const talk = await new Talk(strict).connected();
        const { port } = talk;
        const answers = await talk.say(text).hush().ended();
        assert.equal(answers.length, text.split('\r\n\r\n').length - 1);
        await until('the server lets go', () => !isHeld(strict, port));
    }
});

test('http.idle ends who does not take his answers, and nobody else is harmed', async () => {
    const COUNT = 5000;
    const deaf = await new Talk(brisk, { isDeaf: true }).connected();
    deaf.say('GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(COUNT));
    await until('its end', async () => {
        // Another connection, taken after that one.
        assert.equal((await brisk.call('GET', '/healthz', { key: null, agent: false })).status, 200);
        return !isHeld(brisk, deaf.port);
    });
    const answers = await deaf.hear().ended();
    assert.ok(answers.length < COUNT, `${answers.length} answers`);
});

test('the servers ended well', endedWell);
