// SPDX-License-Identifier: Apache-2.0
//
// Links to files: fetched by anyone who has one, whole or in parts, until they expire; nothing in
// them can be changed.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { command, endedWell, newDirectory, start } from './harness.js';

const server = await start();
const task = await server.complete({ prompt: 'linked' });
const whole = await server.fetchLink(task.video_url);
const size = whole.bytes.length;
const HOUR = 3_600_000;

const get = (headers, link = task.video_url, method = 'GET') => server.fetchLink(link, { headers, method });

// The link with some parameters changed; undefined takes one away.
function changed(link, changes) {
    const url = new URL(link);
    for (const [name, value] of Object.entries(changes)) {
        if (value === undefined) url.searchParams.delete(name);
        else url.searchParams.set(name, value);
    }
    return url.href;
}

// Signs as the server does, with its key: the only way to a link of another time.
function signed(key, parameters, { url: base = server.url, secret = fs.readFileSync(path.join(server.data, 'link.key')) } = {}) {
    const { st, se, sr = 'b', sp = 'r', rscd = '' } = parameters;
    const sig = crypto.createHmac('sha256', secret).update(['filmgate-link-v1', key, st, se, sr, sp, rscd].join('\n')).digest('base64');
    const url = new URL(`/assets/${key}`, base);
    for (const [name, value] of Object.entries({ st, se, sr, sp, ...(rscd ? { rscd } : {}), sig })) url.searchParams.set(name, value);
    return url.href;
}

const iso = (time) => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
const key = decodeURIComponent(new URL(task.video_url).pathname.slice('/assets/'.length));

test('every file is fetched without a key, with its type and a lasting tag', async () => {
    const { encodings } = task.detail.draft_info;
    const wanted = { source: 'video/mp4', md: 'video/mp4', gif: 'image/gif', thumbnail: 'image/webp' };
    for (const [name, type] of Object.entries(wanted)) {
        const answer = await get({}, encodings[name].path);
        assert.equal(answer.status, 200, name);
        assert.equal(answer.headers['content-type'], type);
        assert.equal(Number(answer.headers['content-length']), answer.bytes.length);
        assert.equal(answer.headers['accept-ranges'], 'bytes');
        assert.equal(answer.headers.etag, `"${crypto.createHash('sha256').update(answer.bytes).digest('hex')}"`);
        assert.ok(Math.abs(Date.parse(answer.headers['last-modified']) - Date.now()) < HOUR);
        assert.equal(answer.headers['x-content-type-options'], 'nosniff');
        assert.equal(answer.headers['access-control-allow-origin'], '*');
    }
});
test('a key that is sent all the same does no harm', async () => {
    assert.equal((await get({ Authorization: 'Bearer nonsense' })).status, 200);
});
test('HEAD has the headers of GET and no body', async () => {
    const head = await get({}, task.video_url, 'HEAD');
    assert.equal(head.status, 200);
    for (const name of ['content-length', 'content-type', 'etag', 'last-modified', 'accept-ranges']) assert.equal(head.headers[name], whole.headers[name], name);
});

const ranges = {
    'bytes=0-0': [0, 0],
    'bytes=0-99': [0, 99],
    'bytes=100-199': [100, 199],
    'bytes=100-': [100, size - 1],
    'bytes=-100': [size - 100, size - 1],
    [`bytes=-${size * 2}`]: [0, size - 1],
    [`bytes=${size - 1}-`]: [size - 1, size - 1],
    [`bytes=0-${size * 10}`]: [0, size - 1],
    'bytes=0-99999999999999999999999': [0, size - 1],
};
for (const [range, [first, last]] of Object.entries(ranges))
    test(`Range: ${range.replaceAll(String(size), 'N')}`, async () => {
        const answer = await get({ Range: range });
        assert.equal(answer.status, 206);
        assert.equal(answer.headers['content-range'], `bytes ${first}-${last}/${size}`);
        assert.ok(answer.bytes.equals(whole.bytes.subarray(first, last + 1)));
    });
test('a range that is outside: 416 with the size', async () => {
    for (const range of [`bytes=${size}-`, `bytes=${size * 2}-${size * 3}`, 'bytes=-0', 'bytes=99999999999999999999-']) {
        const answer = await get({ Range: range });
        assert.equal(answer.status, 416, range);
        assert.equal(answer.json.code, 'range_not_satisfiable');
        assert.equal(answer.headers['content-range'], `bytes */${size}`);
    }
});
test('a range that is none is ignored', async () => {
    for (const range of ['bytes=', 'bytes=a-b', 'bytes=5-1', 'lines=0-1', 'bytes 0-1', 'bytes=0-1,5-6', 'bytes=--1', 'x']) {
        const answer = await get({ Range: range });
        assert.equal(answer.status, 200, range);
        assert.ok(answer.bytes.equals(whole.bytes), range);
    }
});
test('a film in pieces is the film', async () => {
    const pieces = [];
    for (let at = 0; at < size; at += 4096) pieces.push((await get({ Range: `bytes=${at}-${at + 4095}` })).bytes);
    assert.ok(Buffer.concat(pieces).equals(whole.bytes));
});
test('HEAD knows no ranges', async () => {
    for (const range of ['bytes=0-9', `bytes=${size * 2}-`]) {
        const answer = await get({ Range: range }, task.video_url, 'HEAD');
        assert.equal(answer.status, 200);
        assert.equal(Number(answer.headers['content-length']), size);
        assert.equal(answer.headers['content-range'], undefined);
    }
});

// Conditions, each with what GET and HEAD answer; T is the file's tag, M its time.
const T = whole.headers.etag, M = whole.headers['last-modified'];
const before = new Date(Date.parse(M) - 1000).toUTCString(), after = new Date(Date.parse(M) + 1000).toUTCString();
const part = { Range: 'bytes=0-9' };
const conditions = [
    ['If-None-Match: T', { 'If-None-Match': T }, 304],
    ['If-None-Match: a list with T', { 'If-None-Match': `"x", W/"y" ,${T}` }, 304],
    ['If-None-Match: W/T', { 'If-None-Match': `W/${T}` }, 304],
    ['If-None-Match: *', { 'If-None-Match': '*' }, 304],
    ['If-None-Match: another', { 'If-None-Match': '"x", W/"y"' }, 200],
    ['If-None-Match: T without quotes', { 'If-None-Match': T.slice(1, -1) }, 200],
    ['If-None-Match goes before Range', { 'If-None-Match': T, ...part }, 304],
    ['If-None-Match: another, with Range', { 'If-None-Match': '"x"', ...part }, 206],
    ['If-None-Match stands above If-Modified-Since', { 'If-None-Match': '"x"', 'If-Modified-Since': M }, 200],
    ['If-Modified-Since: M', { 'If-Modified-Since': M }, 304],
    ['If-Modified-Since: later', { 'If-Modified-Since': after }, 304],
    ['If-Modified-Since: earlier', { 'If-Modified-Since': before }, 200],
    ['If-Modified-Since: nonsense', { 'If-Modified-Since': 'yesterday' }, 200],
    ['If-Match: T', { 'If-Match': T }, 200],
    ['If-Match: a list with T', { 'If-Match': `"x", ${T}` }, 200],
    ['If-Match: *', { 'If-Match': '*' }, 200],
    ['If-Match: W/T is weak', { 'If-Match': `W/${T}` }, 412],
    ['If-Match: another', { 'If-Match': '"x"' }, 412],
    ['If-Match goes before If-None-Match', { 'If-Match': '"x"', 'If-None-Match': T }, 412],
    ['If-Match: T, then If-None-Match', { 'If-Match': T, 'If-None-Match': T }, 304],
    ['If-Match stands above If-Unmodified-Since', { 'If-Match': T, 'If-Unmodified-Since': before }, 200],
    ['If-Match with Range', { 'If-Match': T, ...part }, 206],
    ['If-Match: another, with a Range outside', { 'If-Match': '"x"', Range: `bytes=${size}-` }, 412],
    ['If-Unmodified-Since: M', { 'If-Unmodified-Since': M }, 200],
    ['If-Unmodified-Since: later', { 'If-Unmodified-Since': after }, 200],
    ['If-Unmodified-Since: earlier', { 'If-Unmodified-Since': before }, 412],
    ['If-Unmodified-Since: nonsense', { 'If-Unmodified-Since': 'x' }, 200],
    ['If-Range: T', { 'If-Range': T, ...part }, 206],
    ['If-Range: W/T is weak', { 'If-Range': `W/${T}`, ...part }, 200],
    ['If-Range: another', { 'If-Range': '"x"', ...part }, 200],
    ['If-Range: a list', { 'If-Range': `${T}, "x"`, ...part }, 200],
    ['If-Range: *', { 'If-Range': '*', ...part }, 200],
    ['If-Range: M', { 'If-Range': M, ...part }, 206],
    ['If-Range: later', { 'If-Range': after, ...part }, 200],
    ['If-Range: earlier', { 'If-Range': before, ...part }, 200],
    ['If-Range: nonsense', { 'If-Range': 'x', ...part }, 200],
    ['If-Range: T, with a Range outside', { 'If-Range': T, Range: `bytes=${size}-` }, 416],
    ['If-Range: another, with a Range outside', { 'If-Range': '"x"', Range: `bytes=${size}-` }, 200],
    ['If-Range without Range', { 'If-Range': T }, 200],
    ['a suffix longer than the file', { Range: `bytes=-${size + 1}` }, 206, size],
    ['several ranges', { Range: 'bytes=0-1,4-5' }, 200],
];
for (const [name, headers, status, length] of conditions)
    test(`${name}: ${status}`, async () => {
        const answer = await get(headers);
        assert.equal(answer.status, status);
        const lengths = { 200: size, 206: length ?? 10, 304: 0 };
        if (status < 400) {
            assert.ok(answer.bytes.equals(whole.bytes.subarray(0, lengths[status])));
            assert.equal(answer.headers.etag, T);
        }
        if (status === 412) assert.equal(answer.json.code, 'precondition_failed');
        const head = await get(headers, task.video_url, 'HEAD');
        assert.equal(head.bytes.length, 0);
        if (status === 206 || status === 416) { // HEAD knows no ranges
            assert.equal(head.status, 200);
            return;
        }
        assert.equal(head.status, status);
        for (const header of ['content-length', 'etag', 'content-type']) assert.equal(head.headers[header], answer.headers[header], header);
    });
test('downloadable_url is the same film as an attachment with a name', async () => {
    const answer = await get({}, task.detail.draft_info.downloadable_url);
    assert.equal(answer.headers['content-disposition'], `attachment; filename="${task.detail.id}.mp4"`);
    assert.ok(answer.bytes.equals(whole.bytes));
    assert.equal(whole.headers['content-disposition'], undefined);
});
const titles = {
    'a lake at dawn': 'attachment; filename="a lake at dawn.mp4"',
    'dawn.mp4': 'attachment; filename="dawn.mp4"',
    '夜明け': `attachment; filename="___.mp4"; filename*=UTF-8''${encodeURIComponent('夜明け')}.mp4`,
    'film 🎬': `attachment; filename="film _.mp4"; filename*=UTF-8''film%20${encodeURIComponent('🎬')}.mp4`,
    'a"; filename="b.exe': 'attachment; filename="a__ filename=_b.exe.mp4"',
    'a\r\nSet-Cookie: b=c': 'attachment; filename="a__Set-Cookie_ b=c.mp4"',
    '../../etc/passwd': 'attachment; filename="_.._etc_passwd.mp4"',
    'C:\\a\\b': 'attachment; filename="C__a_b.mp4"',
    '\u202egpj.exe': 'attachment; filename="_gpj.exe.mp4"',
    '.profile': 'attachment; filename="profile.mp4"',
    '...': 'attachment; filename="download.mp4"',
};
for (const [title, wanted] of Object.entries(titles))
    test(`a download is called ${JSON.stringify(title)}`, async () => {
        const named = await server.complete({ title });
        assert.equal(named.detail.draft_info.title, title, 'kept as it came');
        const answer = await get({}, named.detail.draft_info.downloadable_url);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-disposition'], wanted);
        assert.equal(answer.headers['set-cookie'], undefined);
        const renamed = changed(named.detail.draft_info.downloadable_url, { rscd: 'attachment; filename="other.mp4"' });
        assert.equal((await get({}, renamed)).status, 403, 'the name is signed');
    });
test('the longest title that is taken keeps the extension, and the link fits', async () => {
    for (const letter of ['a', '\u0001', '映', '🎬', '"']) {
        const title = letter.repeat(Math.floor(512 / Buffer.byteLength(letter)));
        const named = await server.complete({ title });
        const link = named.detail.draft_info.downloadable_url;
        assert.ok(link.length < 2000, `${link.length}`);
        const { status, headers } = await get({}, link);
        assert.equal(status, 200);
        assert.match(headers['content-disposition'], /^attachment; filename="[ !#-~]{1,200}\.mp4"(; filename\*=UTF-8''[-.~\w%]+\.mp4)?$/);
    }
});

// What is left of them

test('at least 24 hours are left whenever a query answers, also with the shortest life', async () => {
    const brief = await start({ config: 'links:\n  valid_for: 2d\n' });
    const now = await brief.complete({});
    const end = Date.parse(new URL(now.video_url).searchParams.get('se'));
    assert.ok(end - Date.now() >= 24 * HOUR);
    assert.ok(end - Date.now() <= 48 * HOUR);
    const usual = Date.parse(new URL(task.video_url).searchParams.get('se'));
    assert.ok(usual - Date.now() >= 24 * HOUR && usual - Date.now() <= 7 * 24 * HOUR);
});
test('this test can sign', async () => {
    const answer = await get({}, signed(key, { st: iso(Date.now() - HOUR), se: iso(Date.now() + HOUR) }));
    assert.equal(answer.status, 200);
});
test('an expired link: 403 link_expired', async () => {
    const answer = await get({}, signed(key, { st: iso(Date.now() - 2 * HOUR), se: iso(Date.now() - HOUR) }));
    assert.deepEqual([answer.status, answer.json.code], [403, 'link_expired']);
});
test('a link of the future: 403 link_not_yet_valid', async () => {
    const answer = await get({}, signed(key, { st: iso(Date.now() + HOUR), se: iso(Date.now() + 2 * HOUR) }));
    assert.deepEqual([answer.status, answer.json.code], [403, 'link_not_yet_valid']);
});
test('a link of another permission is none, whoever signed it', async () => {
    const window = { st: iso(Date.now() - HOUR), se: iso(Date.now() + HOUR) };
    for (const parameters of [{ ...window, sp: 'rw' }, { ...window, sr: 'c' }])
        assert.equal((await get({}, signed(key, parameters))).status, 403);
});

const later = iso(Date.now() + 300 * 24 * HOUR);
const tampered = {
    'a later end': { se: later },
    'an earlier beginning': { st: iso(0) },
    'another resource': { sr: 'c' },
    'another permission': { sp: 'rw' },
    'a disposition': { rscd: 'attachment; filename="evil.exe"' },
    'an empty disposition': { rscd: '' },
    'no end': { se: undefined },
    'no beginning': { st: undefined },
    'no resource': { sr: undefined },
    'no permission': { sp: undefined },
    'no signature': { sig: undefined },
    'an empty signature': { sig: '' },
    'another signature': { sig: Buffer.alloc(32).toString('base64') },
    'a signature that is cut': { sig: new URL(task.video_url).searchParams.get('sig').slice(0, -2) },
    'an end in words': { se: 'tomorrow' },
};
for (const [name, changes] of Object.entries(tampered))
    test(`403 link_signature_invalid: ${name}`, async () => {
        const answer = await get({}, changed(task.video_url, changes));
        assert.deepEqual([answer.status, answer.json.code], [403, 'link_signature_invalid']);
    });
test('403: every single character of the signature counts', async () => {
    const sig = new URL(task.video_url).searchParams.get('sig');
    for (let i = 0; i < sig.length - 1; i++) {
        const other = sig.slice(0, i) + (sig[i] === 'A' ? 'B' : 'A') + sig.slice(i + 1);
        assert.equal((await get({}, changed(task.video_url, { sig: other }))).status, 403);
    }
});
test('403: the signature of one file does not open another', async () => {
    const url = new URL(task.video_url);
    for (const name of ['md.mp4', 'link.key', '../../../link.key', '..%2f..%2flink.key', 'src.mp4.meta']) {
        url.pathname = path.posix.join(path.posix.dirname(new URL(task.video_url).pathname), name);
        assert.ok([403, 404].includes((await server.call('GET', url.pathname + url.search, { key: null })).status), name);
    }
});
test('a path out of the store is refused, even with a good signature', async () => {
    const window = { st: iso(Date.now() - HOUR), se: iso(Date.now() + HOUR) };
    for (const escape of ['../link.key', 'task_01k6x15vhrff09dkkqjrzwhm60/../../link.key', `${key}.meta`, '/etc/passwd', `${key}/`]) {
        const link = new URL(signed(escape, window));
        const answer = await server.call('GET', `/assets/${escape}${link.search}`, { key: null });
        assert.ok([403, 404].includes(answer.status), escape);
    }
});
test('a file that is not there: 404, with a good signature', async () => {
    const window = { st: iso(Date.now() - HOUR), se: iso(Date.now() + HOUR) };
    const answer = await get({}, signed('task_01k6x15vhrff09dkkqjrzwhm60/gen_01k6x15vhrff09dkkqjrzwhm60/src.mp4', window));
    assert.deepEqual([answer.status, answer.json.code], [404, 'not_found']);
});
// Another key

const rotate = (one, ...options) => command(['links', 'rotate', '--data', one.data, ...options]);

test('links of the key before work on, those of the key before last do not', async () => {
    const turned = await start();
    const old = await turned.complete({ prompt: 'old' });
    const busy = await rotate(turned);
    assert.equal(busy.status, 5, 'not under a running server');
    assert.match(busy.stderr, /stop it/);

    assert.equal(await turned.stop(), 0);
    const first = await rotate(turned);
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stderr, /work until they expire/);
    await turned.launch();
    assert.equal((await turned.fetchLink(old.video_url)).status, 200);
    const anew = await turned.query(old.id);
    assert.notEqual(anew.video_url, old.video_url, 'signed with the new key');
    assert.equal((await turned.fetchLink(anew.video_url)).status, 200);
    const forged = await turned.fetchLink(changed(old.video_url, { se: later }));
    assert.deepEqual([forged.status, forged.json.code], [403, 'link_signature_invalid']);

    assert.equal(await turned.stop(), 0);
    const soon = await rotate(turned);
    assert.equal(soon.status, 3, soon.stderr);
    assert.match(soon.stderr, /may live until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: rotate after that, or with --force/);
    const forced = await rotate(turned, '--force');
    assert.equal(forced.status, 0, forced.stderr);
    assert.match(forced.stderr, /are dead/);
    await turned.launch();
    const dead = await turned.fetchLink(old.video_url);
    assert.deepEqual([dead.status, dead.json.code], [403, 'link_signature_invalid']);
    assert.equal((await turned.fetchLink(anew.video_url)).status, 200);
    for (const name of ['link.key', 'link.key.old']) assert.equal(fs.statSync(path.join(turned.data, name)).mode & 0o777, 0o600);
});
test('a record that is younger than the keys does not shorten the life of links', async () => {
    const replaced = await start();
    const { video_url: old } = await replaced.complete({});
    assert.equal(await replaced.stop(), 0);
    for (const name of ['filmgate.db', 'filmgate.db-wal', 'filmgate.db-shm']) fs.rmSync(path.join(replaced.data, name), { force: true });
    const first = await rotate(replaced);
    assert.equal(first.status, 0, first.stderr);
    await replaced.launch();
    assert.equal((await replaced.fetchLink(old)).status, 200);
    assert.equal(await replaced.stop(), 0);
    assert.equal((await rotate(replaced)).status, 3, 'too early');
});
test('whoever stole the key that was rotated away signs nothing that lasts', async () => {
    const robbed = await start();
    const before = await robbed.complete({ prompt: 'stolen' });
    const stolen = fs.readFileSync(path.join(robbed.data, 'link.key'));
    assert.equal(await robbed.stop(), 0);
    assert.equal((await rotate(robbed)).status, 0);
    await robbed.launch();
    const of = decodeURIComponent(new URL(before.video_url).pathname.slice('/assets/'.length));
    const sign = (se) => signed(of, { st: iso(Date.now() - HOUR), se: iso(se) }, { url: robbed.url, secret: stolen });
    assert.equal((await robbed.fetchLink(sign(Date.now() + HOUR))).status, 200, 'as one that was given out before');
    const lasting = await robbed.fetchLink(sign(Date.now() + 8 * 24 * HOUR));
    assert.deepEqual([lasting.status, lasting.json.code], [403, 'link_signature_invalid']);
});
test('a directory without keys is left alone', async () => {
    const directory = newDirectory();
    const result = await command(['links', 'rotate', '--data', directory]);
    assert.equal(result.status, 5);
    assert.match(result.stderr, /there is no link\.key in/);
    assert.deepEqual(fs.readdirSync(directory), []);
});
test('64 readers at once all get the whole film', async () => {
    const answers = await Promise.all(Array.from({ length: 64 }, () => server.fetchLink(task.video_url, { agent: false })));
    for (const answer of answers) assert.ok(answer.bytes.equals(whole.bytes));
});

test('the servers ended well', endedWell);
