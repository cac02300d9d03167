// SPDX-License-Identifier: Apache-2.0
//
// Limits at their edges: what is exactly at a limit is accepted, one more is refused, with the right
// status and code. First what one tenant may have, then what one request may hold. Edges that other
// files try (the queue, keys for idempotency, numbers of a list) are not tried again here.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { endedWell, multipart, small, start, until } from './harness.js';
import { dataUri, png, tiny } from './media.js';

const IDLE = 'drain: 0s\nrender:\n  slots: 1\n'; // one long task keeps all others waiting
const slow = { duration: 60, size: 'large' };
const wish = { model: 'sora-2', prompt: 'make animate', ...small };

const create = (on, fields, options = {}) => on.call('POST', '/v1/video/create', { json: { ...wish, ...fields }, ...options });
const keyed = (key) => ({ headers: { 'Idempotency-Key': key } });

function assertRefused(answer, status, code) {
    assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
    if (status !== 429) return;
    assert.equal(answer.json.error.type, 'rate_limit_error');
    assert.ok(Number(answer.headers['retry-after']) >= 1);
}

// ---- one tenant: tasks in flight

const tight = await start({ config: `${IDLE}tenants:\n  max_in_flight: 3\n` });
const neighbour = await tight.addKey('neighbour', { tenant: 'neighbour' });
const operator = await tight.addKey('operator', { tenant: 'house', operator: true });
const colleague = await tight.addKey('colleague', { tenant: 'first' });
const own = await tight.addKey('own', { tenant: 'first' });

test('a tenant has so many tasks in flight, with all its keys together; others have their own', async () => {
    await tight.create(slow, { key: own });
    await tight.create(slow, { key: colleague });
    await tight.create(slow, { key: own });
    const refused = await create(tight, {}, { key: own });
    assertRefused(refused, 429, 'too_many_tasks');
    assert.match(refused.json.message, /as many unfinished tasks as you may, 3: wait for one to end/);
    assertRefused(await create(tight, {}, { key: colleague }), 429, 'too_many_tasks');
    await tight.create(slow, { key: neighbour });
});
test('an operator\'s key belongs to a tenant, too', async () => {
    for (let i = 0; i < 3; i++) await tight.create(slow, { key: operator });
    assertRefused(await create(tight, {}, { key: operator }), 429, 'too_many_tasks');
});
test('a refusal leaves nothing behind and takes no place', async () => {
    const { json: before } = await tight.call('GET', '/v1/video/tasks', { key: own });
    for (let i = 0; i < 5; i++) assertRefused(await create(tight, { images: [dataUri(tiny)] }, { key: own }), 429, 'too_many_tasks');
    const { json: after } = await tight.call('GET', '/v1/video/tasks', { key: own });
    assert.deepEqual(after.data.map(({ id }) => id), before.data.map(({ id }) => id));
    assert.equal((await tight.cancel(before.data[0].id, { key: own })).status, 200);
    await tight.create(slow, { key: own });
    assertRefused(await create(tight, {}, { key: own }), 429, 'too_many_tasks');
});
test('at the limit a known Idempotency-Key has its answer, another is refused', async () => {
    const { json: list } = await tight.call('GET', '/v1/video/tasks', { key: own });
    await tight.cancel(list.data[0].id, { key: own });
    const first = await create(tight, slow, { key: own, ...keyed('bought') });
    assert.equal(first.status, 200, first.text);
    for (let i = 0; i < 3; i++) assert.equal((await create(tight, slow, { key: own, ...keyed('bought') })).text, first.text);
    assertRefused(await create(tight, slow, { key: own, ...keyed('new') }), 429, 'too_many_tasks');
    assertRefused(await create(tight, { prompt: 'another' }, { key: own, ...keyed('bought') }), 409, 'idempotency_key_reused');
});
test('after a kill and a start the places are still taken', async () => {
    await tight.kill();
    await tight.restart();
    for (const key of [own, operator]) assertRefused(await create(tight, {}, { key }), 429, 'too_many_tasks');
    const { json: list } = await tight.call('GET', '/v1/video/tasks', { key: operator });
    for (const { id, status } of list.data) if (status === 'pending') assert.equal((await tight.cancel(id, { key: operator })).status, 200);
    for (let i = 0; i < 3; i++) await tight.create(slow, { key: own });
    assertRefused(await create(tight, {}, { key: own }), 429, 'too_many_tasks');
});

const single = await start({ config: `${IDLE}tenants:\n  max_in_flight: 1\n` });

test('who sees an end, in a query or in the list, finds its place free', async () => {
    for (let i = 0; i < 3; i++) {
        const queried = await single.create({});
        await until('its end', async () => (await single.query(queried.id)).status !== 'pending', { every: 1 });
        const listed = await single.create({});
        await until('its end in the list', async () => (await single.call('GET', '/v1/video/tasks?limit=1')).json.data[0].status !== 'pending', { every: 1 });
        assert.equal((await single.query(listed.id)).status, 'completed', 'the list does not run ahead of queries');
    }
});

test('who sends again takes no place from a fresh create, not even for a moment', async () => {
    const known = await create(single, {}, keyed('again'));
    await single.waitEnd(known.json.id);
    let isOver = false;
    const repeaters = Array.from({ length: 8 }, async () => {
        while (!isOver) assert.equal((await create(single, {}, keyed('again'))).text, known.text);
    });
    for (let i = 0; i < 40; i++) {
        const fresh = await create(single);
        assert.equal(fresh.status, 200, fresh.text);
        await single.cancel(fresh.json.id);
    }
    isOver = true;
    await Promise.all(repeaters);
});

for (const [setting, code] of [['max_in_flight', 'too_many_tasks'], ['tasks_per_day', 'daily_limit_reached']])
    test(`of 64 creates at once as many are accepted as ${setting} says`, () => withinOneDay(async () => {
        const crowded = await start({ config: `${IDLE}tenants:\n  ${setting}: 20\n` });
        const answers = await Promise.all(Array.from({ length: 64 }, (_, i) => create(crowded, slow, { agent: false, ...(i % 2 ? keyed(`crowd-${i}`) : {}) })));
        const accepted = answers.filter(({ status }) => status === 200);
        assert.equal(accepted.length, 20);
        for (const answer of answers) if (answer.status !== 200) assertRefused(answer, 429, code);
        assert.equal((await crowded.call('GET', '/v1/video/tasks?limit=100')).json.data.length, 20);
    }));

// ---- one tenant: tasks a day

const today = () => Math.floor(Date.now() / 86_400_000);

// Runs `body` again when a midnight (UTC) fell into it, whatever came of it.
async function withinOneDay(body) {
    for (;;) {
        const day = today();
        try {
            await body();
        } catch (error) {
            if (day === today()) throw error;
        }
        if (day === today()) return;
    }
}

test('a tenant creates so many tasks a day: ended ones count, repeated and refused ones do not', () => withinOneDay(async () => {
    const daily = await start({ config: `${IDLE}tenants:\n  tasks_per_day: 3\n` });
    const other = await daily.addKey('other', { tenant: 'other' });
    const first = await create(daily, slow, keyed('first'));
    assert.equal(first.status, 200, first.text);
    for (let i = 0; i < 4; i++) assert.equal((await create(daily, slow, keyed('first'))).text, first.text);
    assertRefused(await create(daily, { prompt: 'another' }, keyed('first')), 409, 'idempotency_key_reused');
    assertRefused(await create(daily, { duration: -1 }), 400, 'invalid_request');
    await daily.cancel(first.json.id);
    await daily.create(slow);
    await daily.kill();
    await daily.restart();
    await daily.create(slow);
    const refused = await create(daily, slow);
    const left = (today() + 1) * 86_400 - Date.now() / 1000;
    assertRefused(refused, 429, 'daily_limit_reached');
    assert.match(refused.json.message, /as many tasks as one day \(UTC\) allows, \d+: try again after midnight UTC/);
    const wait = Number(refused.headers['retry-after']);
    assert.ok(Number.isInteger(wait) && wait >= left && wait <= left + 120, `${wait} s, but ${left} s are left`);
    assert.equal((await create(daily, slow, keyed('first'))).text, first.text);
    assertRefused(await create(daily, slow, keyed('second')), 429, 'daily_limit_reached');
    await daily.create(slow, { key: other });
    await daily.restart();
    assertRefused(await create(daily, slow), 429, 'daily_limit_reached');
    assert.equal((await create(daily, slow, keyed('first'))).text, first.text);
}));

// ---- one request

const server = await start({
    config: `${IDLE}limits:
  body: 128KiB
  images: 2
  image_bytes: 4KiB
  image_pixels: 10000
  prompt_bytes: 1KiB
  duration: 20s
  queue: 1000000
tenants:
  max_in_flight: 0
`,
});
await server.create({ ...slow, duration: 20 }); // all that follows only waits

const send = (type, body, options) => server.call('POST', '/v1/video/create', { headers: { 'Content-Type': type }, body, ...options });
const form = (parts, boundary) => {
    const { headers, body } = multipart([...Object.entries(wish).map(([name, value]) => ({ name, value })), ...parts], boundary);
    return send(headers['Content-Type'], body);
};
const encode = (pairs) => send('application/x-www-form-urlencoded', new URLSearchParams([...Object.entries(wish), ...pairs]).toString());
const padded = (bytes, length) => Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
const picture = (width, height) => dataUri(png(width, height, () => [0, 0, 0]));
const repeat = (count, make) => Array.from({ length: count }, (_, i) => make(i));

// JSON of exactly so many bytes.
const sized = (length) => {
    const bare = JSON.stringify({ ...wish, extra: '' }).length;
    return JSON.stringify({ ...wish, extra: 'x'.repeat(length - bare) });
};
const nested = (depth) => `{${JSON.stringify(wish).slice(1, -1)},"extra":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
const crowded = (members) => JSON.stringify({ ...wish, extra: Array(members - Object.keys(wish).length - 1).fill(0) });

// A form whose extra part has so many bytes of headers, the empty line included.
function withHeaders(length) {
    const parts = multipart(Object.entries(wish).map(([name, value]) => ({ name, value })), 'b').body.toString();
    const disposition = 'Content-Disposition: form-data; name="extra"\r\n';
    const filler = `X-Filler: ${'x'.repeat(length - disposition.length - 'X-Filler: \r\n\r\n'.length)}\r\n`;
    return send('multipart/form-data; boundary=b', `--b\r\n${disposition}${filler}\r\n1\r\n${parts}`);
}

// name: [the limit, what to do with a number, status and code beyond it]
const edges = {
    'limits.body, its length said': [131_072, (n) => send('application/json', sized(n)), 413, 'request_too_large'],
    'limits.body, in chunks': [131_072, (n) => send('application/json', sized(n), { chunked: 10_000 }), 413, 'request_too_large'],
    'limits.images': [2, (n) => create(server, { images: repeat(n, (i) => `http://192.0.2.1/${i}.png`) }), 400, 'invalid_request'],
    'limits.images, as files': [2, (n) => form(repeat(n, () => ({ name: 'images', filename: 'a.png', type: 'image/png', bytes: tiny }))), 400, 'invalid_request'],
    'limits.image_bytes': [4096, (n) => create(server, { images: [dataUri(padded(tiny, n))] }), 400, 'image_invalid'],
    'limits.image_bytes, as a file': [4096, (n) => form([{ name: 'images', filename: 'a.png', type: 'image/png', bytes: padded(tiny, n) }]), 400, 'image_invalid'],
    'limits.image_pixels': [10_000, (n) => create(server, { images: [n === 10_000 ? picture(100, 100) : picture(73, 137)] }), 400, 'image_invalid'],
    'limits.prompt_bytes': [1024, (n) => create(server, { prompt: 'x'.repeat(n) }), 400, 'invalid_request'],
    'limits.prompt_bytes, which are no characters': [512, (n) => create(server, { prompt: '\u00e9'.repeat(n) }), 400, 'invalid_request'],
    'limits.duration': [20, (n) => create(server, { duration: n }), 400, 'invalid_request'],
    'the depth of JSON': [32, (n) => send('application/json', nested(n)), 400, 'bad_request_body'],
    'the members of JSON': [10_000, (n) => send('application/json', crowded(n)), 400, 'bad_request_body'],
    'the parts of a form': [128, (n) => form(repeat(n - Object.keys(wish).length, (i) => ({ name: `f${i}`, value: i }))), 400, 'bad_request_body'],
    'the name of a part': [128, (n) => form([{ name: 'n'.repeat(n), value: 1 }]), 400, 'bad_request_body'],
    'the headers of a part': [4096, withHeaders, 400, 'bad_request_body'],
    'the boundary of a form': [70, (n) => form([], 'b'.repeat(n)), 400, 'bad_request_body'],
    'the fields of a urlencoded form': [128, (n) => encode(repeat(n - Object.keys(wish).length, (i) => [`f${i}`, i])), 400, 'bad_request_body'],
    'the name of a field': [128, (n) => encode([['n'.repeat(n), 1]]), 400, 'bad_request_body'],
    'the name of a model': [128, (n) => create(server, { model: `sora-2${'x'.repeat(n - 6)}` }), 400, 'invalid_request'],
    'a title': [512, (n) => create(server, { title: 't'.repeat(n) }), 400, 'invalid_request'],
    'an image\'s URL': [8192, (n) => create(server, { images: [`http://192.0.2.1/${'x'.repeat(n - 17)}`] }), 400, 'invalid_request'],
};
for (const [name, [limit, ask, status, code]] of Object.entries(edges))
    test(`${name}: ${limit} and not one more`, async () => {
        const good = await ask(limit);
        assert.equal(good.status, 200, good.text);
        assertRefused(await ask(limit + 1), status, code);
    });

test('limits.body_memory: a body and what is made of it fit in exactly, or 503', async () => {
    const scarce = await start({ config: `${IDLE}limits:\n  body: 4MiB\n  body_memory: 2MiB\n` }); // half of it for one tenant
    const ask = (length) => scarce.call('POST', '/v1/video/create', { headers: { 'Content-Type': 'application/json' }, body: sized(length) });
    assert.equal((await ask((1 << 19) - 1)).status, 200); // and a NUL behind it
    const refused = await ask(1 << 19);
    assertRefused(refused, 503, 'service_unavailable');
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    assert.equal((await ask((1 << 19) - 1)).status, 200, 'all of it was given back');
});
test('bodies of one tenant that never end leave half of the memory to others', async () => {
    const scarce = await start({ key: { operator: true }, config: `${IDLE}limits:\n  body: 4MiB\n  body_memory: 2MiB\n` });
    const other = await scarce.addKey('other', { tenant: 'other' });
    const ask = (key) => scarce.call('POST', '/v1/video/create', { key, headers: { 'Content-Type': 'application/json' }, body: sized(300_000) });
    const held = net.connect(scarce.port, '127.0.0.1');
    held.on('error', () => {});
    held.write(`POST /v1/video/create HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${scarce.key}\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n${'x'.repeat(800_000)}`);
    const taken = async () => Number(/^filmgate_http_body_memory_bytes (\d+)$/m.exec((await scarce.call('GET', '/metrics', { unchecked: true })).text)[1]);
    await until('its memory to be taken', async () => (await taken()) >= 800_000);
    assertRefused(await ask(scarce.key), 503, 'service_unavailable');
    assert.equal((await ask(other)).status, 200);
    held.destroy();
    await until('it to be given back', async () => (await ask(scarce.key)).status === 200);
});
test('a small body of 64 KiB, and not one more', async () => {
    const body = (length) => JSON.stringify({ id: 'x'.repeat(length - '{"id":""}'.length) });
    const ask = (length) => server.call('POST', '/v1/video/cancel', { headers: { 'Content-Type': 'application/json' }, body: body(length) });
    assertRefused(await ask(65_536), 404, 'task_not_exist');
    assertRefused(await ask(65_537), 413, 'request_too_large');
});
test('an id is echoed up to 255 bytes', async () => {
    for (const length of [255, 256]) {
        const answer = await server.call('GET', `/v1/video/query?id=${'x'.repeat(length)}`);
        assertRefused(answer, 404, 'task_not_exist');
        assert.equal(answer.json.id, 'x'.repeat(255));
    }
});
test('an id with the longest model is found', async () => {
    const model = `sora-2${'y'.repeat(122)}`;
    const { id } = await server.create({ model });
    assert.equal((await server.query(id)).id, id);
});
test('a request id of 128 characters is taken, a longer one is replaced', async () => {
    const ask = async (id) => (await server.call('GET', '/healthz', { headers: { 'X-Request-Id': id } })).headers['x-request-id'];
    assert.equal(await ask('r'.repeat(128)), 'r'.repeat(128));
    assert.match(await ask('r'.repeat(129)), /^req_/);
});
test('a list of 1, of 100, and no more than was asked for', async () => {
    for (let i = 0; i < 101; i++) await server.create({ priority: 0 });
    for (const limit of [1, 100]) {
        const { status, json } = await server.call('GET', `/v1/video/tasks?limit=${limit}`);
        assert.deepEqual([status, json.data.length, json.has_more], [200, limit, true]);
    }
});

test('the servers ended well', endedWell);
