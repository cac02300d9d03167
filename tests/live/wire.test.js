// SPDX-License-Identifier: Apache-2.0
//
// HTTP itself, byte for byte: what a sound client may send and is answered, and what two readers could
// read in two ways, which is refused and ends the connection, so that nothing smuggled in is ever answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCreated, endedWell, holdStore, small, start, until } from './harness.js';
import { checkRefusal, Talk } from './socket.js';

const server = await start();
const HOST = 'Host: a\r\n';
const LIFE = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`;
const LAST = `GET /healthz HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`; // its answer must not come
const SEND = `POST /healthz HTTP/1.1\r\n${HOST}`; // 405, when nothing is wrong with the message
const POST = `POST /v1/video/cancel HTTP/1.1\r\n${HOST}Authorization: Bearer ${server.key}\r\nContent-Type: application/json\r\n`;
const CHUNKS = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const CREATE = POST.replace('cancel', 'create');
const wish = JSON.stringify({ model: 'sora-2', prompt: 'x', ...small });
const URI_MAX = 8192;

const get = (target, headers = HOST) => `GET ${target} HTTP/1.1\r\n${headers}\r\n`;
const sized = (begin, body) => `${begin}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (...pieces) => pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('') + '0\r\n\r\n';

// Refused by us: one error in both envelopes, the connection closed, what follows not answered.

const unfit = {
    'a length and chunks': `${SEND}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunks and a length': `${SEND}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    'two lengths': `${SEND}Content-Length: 0\r\nContent-Length: 5\r\n\r\n`,
    'two lengths, the greater first': `${SEND}Content-Length: 5\r\nContent-Length: 0\r\n\r\n`,
    'two lengths that agree': `${SEND}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
    'an unknown coding': `${SEND}Transfer-Encoding: gzip\r\n\r\n`,
    'two codings in one': `${SEND}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    'a coding with a tail': `${SEND}Transfer-Encoding: chunked \r\n\r\n0\r\n\r\n`,
    'two codings': `${SEND}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    'a coding in HTTP/1.0': `${SEND.replace('HTTP/1.1', 'HTTP/1.0')}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a blank before the colon of a length': `${SEND}Content-Length : 5\r\n\r\n`,
    'a tab before the colon': get('/healthz', `${HOST}X\t: a\r\n`),
    'no name': get('/healthz', `${HOST}: a\r\n`),
    'a name with a blank': get('/healthz', `${HOST}X Y: a\r\n`),
    'a name that is no token': get('/healthz', `${HOST}X(Y): a\r\n`),
    'a name beyond ASCII': get('/healthz', `${HOST}X\xe9: a\r\n`),
    'NUL in a value': get('/healthz', `${HOST}X: a\0b\r\n`),
    'NUL at the end of a value': get('/healthz', `${HOST}X: a\0\r\nY: b\r\n`),
    'NUL at the end of the last value': get('/healthz', `${HOST}X: a\0\r\n`),
    'NUL that hides a length': `${SEND}X: a\0\r\nContent-Length: 0\r\n\r\n`,
    'NUL in a Host': get('/healthz', 'Host: a\0b\r\n'),
    'another control character in a value': get('/healthz', `${HOST}X: a\x01b\r\n`),
    'NUL in the address': get('/health\0z'),
    'NUL at the end of the address': get('/healthz\0'),
    'NUL in the address, in hex': get('/healthz%00'),
    'NUL in an argument': get('/v1/video/query?id=a%00b'),
    'more than 200 arguments': get(`/healthz?${'&'.repeat(200)}`),
    'a blank in the address': get('/healthz?a b'),
    'a blank before HTTP in the address': get('/healthz HTTP/1.1'),
    'a tab in the address': get('/healthz?a\tb'),
    'a control character in the address': get('/healthz?a\x01b'),
    'two blanks before the address': get(' /healthz'),
    'two blanks before the version': get('/healthz '),
    'lines that end in LF': LIFE.replaceAll('\r\n', '\n'),
    'a request line that ends in LF': LIFE.replace('\r\n', '\n'),
    'one header that ends in LF': get('/healthz', `Host: a\nX: b\r\n`),
    'a last header that ends in LF': get('/healthz', 'Host: a\n'),
    'an empty line that ends in LF': `GET /healthz HTTP/1.1\r\n${HOST}\n`,
    'LF alone in HTTP/1.0': 'GET /healthz HTTP/1.0\n\n',
    'CR alone in a value': get('/healthz', `${HOST}X: a\rY: b\r\n`),
    'CR alone before a length': `${SEND}X: a\rContent-Length: 5\r\n\r\n`,
    'two CR before LF': get('/healthz', `${HOST}X: a\r\r\n`),
    'a folded line': get('/healthz', `${HOST}X: a\r\n b\r\nY: c\r\n`),
    'a folded line at the end': get('/healthz', `${HOST}X: a\r\n\tb\r\n`),
    'a folded line at the start': get('/healthz', ` X: a\r\n${HOST}`),
    'a folded Host': get('/healthz', 'Host: a\r\n b\r\n'),
    'a folded coding': `${SEND}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
    'two Hosts': get('/healthz', `${HOST}Host: b\r\n`),
    'two Hosts that agree': get('/healthz', HOST + HOST),
    'no Host': get('/healthz', ''),
    'an empty Host': get('/healthz', 'Host:\r\n'),
    'a Host with a user': get('/healthz', 'Host: u@a\r\n'),
    'a Host with a path': get('/healthz', 'Host: a/b\r\n'),
    'two Hosts in one': get('/healthz', 'Host: a, b\r\n'),
    'a URL of another host': get('http://b/healthz'),
    'a URL of another port': get('http://a:80/healthz'),
    'a URL with a user': get('http://u@a/healthz'),
    'a URL of another scheme': get('ftp://a/healthz'),
    'a URL without a host': get('http:///healthz'),
    'a URL whose host is in hex': get('http://%61/healthz'),
    'an authority for an address': get('a:80'),
    'CONNECT': `CONNECT a:80 HTTP/1.1\r\n${HOST}\r\n`,
    'an asterisk for GET': get('*'),
    'a path without its slash': get('healthz'),
    'a method that is no token': LIFE.replace('GET', 'G(T'),
    'a method beyond ASCII': LIFE.replace('GET', 'G\xc9T'),
    'a version between': LIFE.replace('HTTP/1.1', 'HTTP/1.2'),
};
for (const [name, text] of Object.entries(unfit))
    test(`400 and the end of the connection: ${name}`, async () => {
        checkRefusal(await new Talk(server).say(text + LAST).ended(), 400, 'invalid_request');
    });

test('a message that is refused is refused as well when it comes byte by byte', async () => {
    for (const name of ['a folded line', 'one header that ends in LF', 'NUL at the end of the last value', 'NUL in the address', 'two blanks before the version', 'an empty line that ends in LF']) {
        const talk = new Talk(server);
        await talk.spell(unfit[name]);
        checkRefusal(await talk.ended(), 400, 'invalid_request');
    }
});

test('417 and the end of the connection: an expectation that is not known', async () => {
    for (const expectation of ['200-ok', '100-continue, x', '']) {
        const talk = new Talk(server).say(`${POST}Expect: ${expectation}\r\nContent-Length: 2\r\n\r\n{}${LAST}`);
        checkRefusal(await talk.ended(), 417, 'expectation_failed');
    }
});

// Refused by the library, in its own words or in none, before there is a request.

const broken = {
    'HTTP/0.9': 'GET /healthz\r\n\r\n',
    'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a version of the future': LIFE.replace('HTTP/1.1', 'HTTP/2.0'),
    'a version in small letters': LIFE.replace('HTTP/1.1', 'http/1.1'),
    'a version with a tail': LIFE.replace('HTTP/1.1', 'HTTP/1.11'),
    'another protocol': LIFE.replace('HTTP/1.1', 'RTSP/1.0'),
    'TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
    'a header without a colon': get('/healthz', `${HOST}X\r\n`),
    'NUL in a name': get('/healthz', `${HOST}X\0Y: a\r\n`),
    'NUL before the method': `\0${LIFE}`,
    'a blank before the method': ` ${LIFE}`,
    'tabs for blanks': LIFE.replace('GET /healthz ', 'GET\t/healthz\t'),
    'CR alone after the request line': LIFE.replace('\r\n', '\r'),
    'a length in hex': `${POST}Content-Length: 0x10\r\n\r\n`,
    'a negative length': `${POST}Content-Length: -1\r\n\r\n`,
    'a length with a sign': `${POST}Content-Length: +1\r\n\r\n`,
    'a length beyond 64 bits': `${POST}Content-Length: 18446744073709551617\r\n\r\n`,
    'a list of lengths': `${POST}Content-Length: 0, 0\r\n\r\n`,
    'a chunk of negative size': `${CHUNKS}-1\r\n{}\r\n0\r\n\r\n`,
    'a chunk beyond 64 bits': `${CHUNKS}10000000000000002\r\n{}\r\n0\r\n\r\n`,
    'a chunk in 0x': `${CHUNKS}0x2\r\n{}\r\n0\r\n\r\n`,
    'a chunk with a sign': `${CHUNKS}+2\r\n{}\r\n0\r\n\r\n`,
    'a chunk with a blank': `${CHUNKS}2 \r\n{}\r\n0\r\n\r\n`,
    'a chunk without a size': `${CHUNKS}\r\n{}\r\n0\r\n\r\n`,
    'a chunk that is no number': `${CHUNKS}zz\r\n{}\r\n0\r\n\r\n`,
    'a chunk that is longer than it says': `${CHUNKS}2\r\n{}x\r\n0\r\n\r\n`,
    'a chunk whose lines end in CR': `${CHUNKS}2\r{}\r\n0\r\n\r\n`,
    'a chunk extension with LF in it': `${CHUNKS}2;a\nb\r\n{}\r\n0\r\n\r\n`,
    'a chunk extension without end': `${CHUNKS}2;${'x'.repeat(40_000)}`,
    'a chunk size without end': `${CHUNKS}${'0'.repeat(40_000)}`,
    'a trailer without end': `${CHUNKS}0\r\nX: ${'x'.repeat(40_000)}`,
    'a line without blanks': `${'x'.repeat(70_000)}\r\n\r\n`,
    'an address without end': `GET /${'x'.repeat(40_000)}`,
    'a header without end': `GET /healthz HTTP/1.1\r\n${HOST}X: ${'x'.repeat(40_000)}`,
    'a head that is too large': get('/healthz', `${HOST}X: ${'x'.repeat(25_000)}\r\n`),
    'a head that is too large by many headers': get('/healthz', HOST + 'X: y\r\n'.repeat(1000)),
};
for (const [name, text] of Object.entries(broken))
    test(`a refusal and the end of the connection: ${name}`, async () => {
        const answers = await new Talk(server).say(text + LAST).ended();
        assert.ok(answers.length <= 1, JSON.stringify(answers));
        for (const { status } of answers) assert.ok(status >= 400, `${status}`);
    });

// What is sound is answered, and the connection goes on.

const sound = {
    'a request': [LIFE],
    'empty lines before a request': [`\r\n\r\n${LIFE}`],
    'empty values, and blanks around values': [get('/healthz', `Host:a\r\nX:\r\nY: \r\nZ:\t a \t\r\n`)],
    'values beyond ASCII': [get('/healthz', `${HOST}X: \xe4\xbd\xa0\r\n`)],
    'an address beyond ASCII': [get('/healthz?\xe4\xbd\xa0')],
    'a path in hex': [get('/%68ealthz')],
    'many headers': [get('/healthz', HOST + Array.from({ length: 150 }, (_, i) => `X-${i}: y\r\n`).join(''))],
    'a large header': [get('/healthz', `${HOST}X: ${'x'.repeat(12_000)}\r\n`)],
    'a body that GET does not need': [sized(`GET /healthz HTTP/1.1\r\n${HOST}`, 'hello')],
    'an Upgrade that is not taken': [get('/healthz', `${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n`)],
    'the longest address': [get(`/healthz?${'x'.repeat(URI_MAX - '/healthz?'.length)}`)],
    'an address that is a URL': [get('http://a/healthz')],
    'an address that is a URL in capitals': [get('HTTP://A/healthz')],
    'an address that is a URL behind TLS, with a port': [get('https://a.example:8443/healthz?x=http://b/', 'Host: a.example:8443\r\n')],
    'a URL with no path': [get('http://a')],
    '200 arguments': [get(`/healthz?${'&'.repeat(199)}`)],
    'a URL with no path but arguments': [get('http://a?x=1')],
    'an asterisk': [`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 204],
    'a method in small letters': [LIFE.replace('GET', 'get'), 405],
    'a method that nobody knows': [LIFE.replace('GET', 'M-SEARCH'), 405],
    'a long method': [LIFE.replace('GET', 'G'.repeat(5000)), 405],
    'HTTP/1.0 that asks to go on': ['GET /healthz HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n'],
    'a length with zeros before it': [`${POST}Content-Length: 002\r\n\r\n{}`, 400],
    'a body of a length': [sized(CREATE, wish)],
};
for (const [name, [text, status = 200]] of Object.entries(sound))
    test(`${status} and the connection goes on: ${name}`, async () => {
        const talk = new Talk(server);
        const answers = await talk.say(text + LIFE).answered(2);
        assert.deepEqual(answers.map((answer) => answer.status), [status, 200], answers[0].body);
        await talk.say(LIFE).answered(3);
        talk.hangUp();
    });

test('what is sound is sound as well when it comes byte by byte', async () => {
    const talk = new Talk(server);
    const texts = [`\r\n${LIFE}`, sound['empty values, and blanks around values'][0], get('http://a/healthz'), sized(POST, '{}'), LIFE];
    for (const text of texts) await talk.spell(text);
    assert.deepEqual((await talk.answered(5)).map(({ status }) => status), [200, 200, 200, 400, 200]);
    talk.hangUp();
});

test('414: an address that is longer by one', async () => {
    checkRefusal(await new Talk(server).say(get(`/healthz?${'x'.repeat(URI_MAX + 1 - '/healthz?'.length)}`) + LAST).ended(), 414, 'uri_too_long');
});

test('a query works by a URL, and its links are of that host', async () => {
    const { id } = await server.complete({});
    const [answer] = await new Talk(server).say(`GET http://b.example/v1/video/query?id=${id} HTTP/1.1\r\nHost: b.example\r\nAuthorization: Bearer ${server.key}\r\nConnection: close\r\n\r\n`).ended();
    assert.equal(answer.status, 200);
    const { id: echoed, video_url: link } = JSON.parse(answer.body);
    assert.equal(echoed, id);
    assert.match(link, /^http:\/\/b\.example\/assets\//);
});

test('HTTP/1.0 ends with its answer, with or without a Host', async () => {
    for (const host of ['', HOST]) {
        const answers = await new Talk(server).say(`GET /healthz HTTP/1.0\r\n${host}\r\n${LIFE}`).ended();
        assert.deepEqual(answers.map(({ status }) => status), [200]);
    }
});

test('Connection: close is heeded, and what follows is not answered', async () => {
    assert.equal((await new Talk(server).say(get('/healthz', `${HOST}Connection: close\r\n`) + LIFE).ended()).length, 1);
});

test('a hundred requests at once are answered in their order', async () => {
    const talk = new Talk(server);
    const texts = Array.from({ length: 100 }, (_, i) => i % 3 === 0 ? get('/healthz', `${HOST}X-Request-Id: n-${i}\r\n`)
        : i % 3 === 1 ? get('/nothing', `${HOST}X-Request-Id: n-${i}\r\n`) : sized(`${POST}X-Request-Id: n-${i}\r\n`, '{}'));
    const answers = await talk.say(texts.join('')).answered(100);
    answers.forEach(({ head, status }, i) => {
        assert.equal(status, [200, 404, 400][i % 3]);
        assert.match(head, new RegExp(`\r\nX-Request-Id: n-${i}(\r\n|$)`));
    });
    talk.hangUp();
});

// Bodies in chunks. The library reads their line ends loosely and shows us only what they hold, so such
// a request is the last of its connection: whatever was meant to follow is not answered.

for (const [name, body] of Object.entries({
    'one chunk': chunked(wish),
    'many chunks': chunked(...wish),
    'zeros before sizes': `${'0'.repeat(20)}${chunked(wish)}`,
    'extensions': chunked(wish).replace('\r\n', ';a=b;c="d"\r\n').replace('\r\n0\r\n', '\r\n0;e\r\n'),
    'a long extension': chunked(wish).replace('\r\n', `;${'x'.repeat(2000)}\r\n`),
    'trailers that are none of our business': chunked(wish).replace(/\r\n$/, 'X: a\r\nContent-Length: 50\r\nHost: b\r\n\r\n'),
    'lines that end in LF': chunked(wish).replaceAll('\r\n', '\n'),
}))
    test(`a body in chunks is taken, and is the last of its connection: ${name}`, async () => {
        const answers = await new Talk(server).say(`${CREATE}Transfer-Encoding: chunked\r\n\r\n${body}${LAST}`).ended();
        assert.deepEqual(answers.map(({ status }) => status), [200], answers[0]?.body);
        assert.match(answers[0].head, /\r\nConnection: close/i);
        checkCreated(JSON.parse(answers[0].body));
    });

test('a chunk of the largest size takes what follows for its body', async () => {
    const talk = new Talk(server).say(`${CHUNKS}FFFFFFFFFFFFFFFF\r\n${LIFE}`);
    const body = 'x'.repeat(1 << 16); // of a small body; twice as much is read past
    for (let i = 0; i < 64 && !talk.isOver; i++) talk.say(body);
    for (const { status } of await talk.ended()) assert.equal(status, 413);
});

// Bodies that are asked for

test('100-continue comes before the body, once', async () => {
    const talk = new Talk(server).say(`${CREATE}Expect: 100-continue\r\nContent-Length: ${wish.length}\r\n\r\n`);
    const [interim] = await talk.answered(1);
    assert.equal(interim.status, 100);
    const answers = await talk.say(wish + LIFE).answered(3);
    assert.deepEqual(answers.map(({ status }) => status), [100, 200, 200]);
    talk.hangUp();
});

test('100-continue of HTTP/1.0 is not answered', async () => {
    const answers = await new Talk(server).say(`${CREATE.replace('HTTP/1.1', 'HTTP/1.0')}Expect: 100-continue\r\nContent-Length: ${wish.length}\r\n\r\n${wish}`).ended();
    assert.deepEqual(answers.filter(({ isInterim }) => !isInterim).map(({ status }) => status), [200]);
});

// Clients that leave

test('who has closed his half still gets his answers', async () => {
    // The end of his half may meet a create at any of its steps: so there are many.
    for (const text of [LIFE, LIFE.repeat(20), `${CREATE}Transfer-Encoding: chunked\r\n\r\n${chunked(wish)}`, ...Array(30).fill(sized(CREATE, wish))]) {
        const talk = new Talk(server).say(text).hush();
        const answers = await talk.answered(text === LIFE.repeat(20) ? 20 : 1);
        assert.ok(answers.every(({ status }) => status === 200));
        talk.hangUp();
    }
});

test('who closes his half while his task waits for the store still gets his answer', async () => {
    const database = await holdStore(server);
    const talk = new Talk(server).say(sized(CREATE, wish)).hush();
    for (let i = 0; i < 20; i++) assert.equal((await server.call('GET', '/healthz', { key: null })).status, 200);
    assert.deepEqual(talk.answers(), [], 'nothing is said before it is stored');
    database.close();
    const [answer] = await talk.answered(1);
    assert.equal(answer.status, 200, answer.body);
    checkCreated(JSON.parse(answer.body));
    talk.hangUp();
});

test('who is gone while his task waits for the store keeps nobody from stopping', async () => {
    const left = await start();
    const database = await holdStore(left);
    const talk = new Talk(left).say(sized(CREATE.replace(server.key, left.key), wish));
    for (let i = 0; i < 20; i++) assert.equal((await left.call('GET', '/healthz', { key: null })).status, 200);
    talk.reset();
    database.close();
    await until('the task', async () => (await left.call('GET', '/v1/video/tasks')).json.data.length === 1);
    assert.equal(await left.stop(), 0);
    assert.doesNotMatch(left.log, /did not leave/);
});

test('a connection that is cut in the middle makes no task and harms nobody', async () => {
    const cut = await start();
    const head = CREATE.replace(server.key, cut.key);
    for (const text of ['GE', 'GET /healthz HTTP/1.1\r\nHo', `${head}Content-Length: ${wish.length}\r\n\r\n${wish.slice(0, -1)}`, `${head}Transfer-Encoding: chunked\r\n\r\n${chunked(wish).slice(0, -2)}`]) {
        assert.deepEqual((await new Talk(cut).say(text).hush().ended()).filter(({ status }) => status < 400), []);
        (await new Talk(cut).say(text).connected()).hangUp();
    }
    assert.equal((await cut.call('GET', '/v1/video/tasks')).json.data.length, 0);
});

test('the servers ended well', endedWell);
