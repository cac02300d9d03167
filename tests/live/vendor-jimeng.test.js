// SPDX-License-Identifier: Apache-2.0
//
// The simulated Jimeng, held against a client that is written here (the vendor has none for videos in npm), its idea of a
// signature against the example of the vendor's documentation; then what the gateway signs, against that.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { start as startSimulator } from '../simulators/core.js';
import { jimeng, signatureOf } from '../simulators/jimeng.js';
import { endedWell, start, until } from './harness.js';
import { dataUri, png } from './media.js';
import { BAD_BODIES, LIMIT, LONG, PIXEL, SHORT, film, isDone, isVideo, prepare, submits } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const sim = await startSimulator(jimeng, { settings: SHORT });
after(() => sim.close());

const SUBMIT = 'CVSync2AsyncSubmitTask', RESULT = 'CVSync2AsyncGetResult';
const dateOf = (ms) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');

// A signed call; `change` may spoil what is sent after it was signed, the rest what is signed.
async function call(action, body, { access = 'sim-access', secret = 'sim-secret', at = Date.now(), service = 'cv', drop = [], change = {} } = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const url = new URL(`${sim.url}/?Version=2022-08-31&Action=${action}`);
    const headers = {
        host: url.host, 'content-type': 'application/json', 'x-date': dateOf(at), 'x-content-sha256': createHash('sha256').update(text).digest('hex'),
    };
    const names = Object.keys(headers).filter((name) => !drop.includes(name)).sort();
    const scope = [headers['x-date'].slice(0, 8), 'cn-north-1', service, 'request'];
    const signature = signatureOf({ method: 'POST', path: '/', query: url.searchParams, headers, names }, secret, scope);
    headers.authorization = `HMAC-SHA256 Credential=${[access, ...scope].join('/')}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    delete headers.host;
    const answer = await fetch(`${url}${change.query ?? ''}`, { method: 'POST', headers: { ...headers, ...change.headers }, body: change.body ?? text });
    const json = await answer.json();
    return { status: answer.status, code: json.code, data: json.data, gate: json.ResponseMetadata?.Error.Code };
}

const t2v = { req_key: 'jimeng_t2v_v30', prompt: 'a boat', frames: 121, aspect_ratio: '16:9' };
const poll = (id, key = 'jimeng_t2v_v30', options) => call(RESULT, { req_key: key, task_id: id }, options);
const end = (id) => until('the video', async () => {
    const answer = await poll(id);
    return !['in_queue', 'generating'].includes(answer.data?.status) && answer;
}, LIMIT);

test('jimeng: the signature of the vendor\'s documentation', () => {
    const empty = createHash('sha256').update('').digest('hex');
    const headers = {
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8', host: 'iam.volcengineapi.com', 'x-content-sha256': empty, 'x-date': '20201230T081805Z',
    };
    const query = new URLSearchParams('Version=2018-01-01&Action=ListUsers&Offset=0&Limit=10');
    const secret = 'TnpCak5XWXpZV1U0WkRaaE5ERmxaR0ZpTmpjeVkyUXlZek0wTWpJMU1qWQ==';
    assert.equal(signatureOf({ method: 'GET', path: '/', query, headers, names: Object.keys(headers) }, secret, ['20201230', 'cn-north-1', 'iam', 'request']),
        '28eeabbbd726b87002e0fe58ad8c1c768e619b06e2646f35b6ad7ed029a6d8a7');
});
test('jimeng: a text, its result, its file', async () => {
    prepare(sim);
    const made = await call(SUBMIT, t2v);
    assert.deepEqual([made.status, made.code, typeof made.data.task_id], [200, 10000, 'string']);
    const done = await end(made.data.task_id);
    assert.deepEqual([done.status, done.code, done.data.status], [200, 10000, 'done']);
    isVideo(Buffer.from(await (await fetch(done.data.video_url)).arrayBuffer()));
    assert.equal(sim.told('download').entries[0].credential, null);
});
test('jimeng: a poll needs the req_key of the submit, and its account', async () => {
    prepare(sim, { settings: LONG });
    const { data: { task_id: id } } = await call(SUBMIT, t2v);
    assert.ok(['in_queue', 'generating'].includes((await poll(id)).data.status));
    assert.equal((await poll(id, 'jimeng_ti2v_v30_pro')).data.status, 'not_found');
    assert.equal((await poll(id, undefined, { access: 'sim-access-2', secret: 'sim-secret-2' })).data.status, 'not_found');
    assert.equal((await poll('7')).data.status, 'not_found');
    assert.deepEqual(await call(RESULT, { task_id: id }).then(({ status, code }) => [status, code]), [400, 50200]);
});
test('jimeng: who may come in', async () => {
    prepare(sim, { settings: LONG });
    const bad = {
        SignatureDoesNotMatch: [{ secret: 'other' }, { change: { query: '&Version=2022-08-31' } }, { change: { headers: { 'content-type': 'text/json' } } }],
        InvalidAccessKey: [{ access: 'nobody' }],
        InvalidCredential: [{ service: 'iam' }],
        InvalidTimestamp: [{ at: Date.now() - 16 * 60_000 }, { at: Date.now() + 16 * 60_000 }, { change: { headers: { 'x-date': 'now' } } }],
        InvalidContentSha256: [{ change: { body: JSON.stringify({ ...t2v, frames: 241 }) } }],
        InvalidSignedHeaders: [{ drop: ['content-type'] }, { drop: ['host'] }, { drop: ['x-date'] }, { drop: ['x-content-sha256'] }],
        MissingSignature: [{ change: { headers: { authorization: 'Bearer sim-key' } } }],
    };
    for (const [code, all] of Object.entries(bad)) for (const options of all) {
        const { status, gate } = await call(SUBMIT, t2v, options);
        assert.deepEqual([status, gate], [401, code], JSON.stringify(options));
    }
    assert.equal(submits(sim).length, 0);
    for (const n of ['', '-2']) assert.equal((await call(SUBMIT, t2v, { access: `sim-access${n}`, secret: `sim-secret${n}` })).code, 10000);
    assert.notEqual(...submits(sim).map(({ credential }) => credential));
    assert.deepEqual(await call('CVProcess', t2v).then(({ status, gate }) => [status, gate]), [404, 'InvalidActionOrVersion']);
});
test('jimeng: wrong fields, too many at once, how jobs end', async () => {
    prepare(sim, { settings: { ...LONG, slots: 1 } });
    const bytes = PIXEL.toString('base64'), url = 'https://example.com/a.png';
    const wrong = [
        { req_key: 'jimeng_t2v_v99' }, { req_key: undefined }, { prompt: '' }, { prompt: 'a'.repeat(801) }, { frames: 120 }, { aspect_ratio: '2:1' }, { seed: -2 },
        { image_urls: [url] }, { req_key: 'jimeng_i2v_first_v30' }, { req_key: 'jimeng_i2v_first_v30', image_urls: [url], binary_data_base64: [bytes] },
        { req_key: 'jimeng_i2v_first_v30', image_urls: [bytes] }, { req_key: 'jimeng_i2v_first_v30', binary_data_base64: [`data:image/png;base64,${bytes}`] },
        { req_key: 'jimeng_i2v_first_tail_v30', image_urls: [url] }, { req_key: 'jimeng_ti2v_v30_pro', image_urls: [url, url] },
    ];
    for (const change of wrong) {
        const { status, code } = await call(SUBMIT, { ...t2v, ...change });
        assert.deepEqual([status, code], [400, 50200], JSON.stringify(change).slice(0, 100));
    }
    for (const body of BAD_BODIES) assert.deepEqual(await call(SUBMIT, body).then(({ status, code }) => [status, code]), [400, 50200], body);
    const another = { access: 'sim-access-b', secret: 'sim-secret-b' };
    assert.equal((await call(SUBMIT, { ...t2v, req_key: 'jimeng_i2v_first_tail_v30', binary_data_base64: [bytes, bytes] }, another)).code, 10000);
    assert.deepEqual(await call(SUBMIT, t2v, another).then(({ status, code }) => [status, code]), [429, 50430]);
    prepare(sim);
    for (const [word, expected] of [['fail', [500, 50501, 'done']], ['moderate', [400, 50516, 'done']], ['no-video', [200, 10000, 'done']]]) {
        const { data: { task_id: id } } = await call(SUBMIT, { ...t2v, prompt: `[sim:${word}]` });
        const { status, code, data } = await end(id);
        assert.deepEqual([status, code, data.status], expected);
    }
});

// ---- the gateway

test('jimeng: what the gateway sends is signed whole, also megabytes of it; no log tells how', async () => {
    prepare(sim);
    const server = await start({ config: `log: {level: debug}\n${channelsYaml({ jimeng: sim }, ['jimeng'])}` });
    const noise = png(700, 700, () => [256 * Math.random(), 256 * Math.random(), 256 * Math.random()]);
    assert.ok(noise.length > 1 << 20);
    await isDone(server, film(server, 'm-jimeng', 'a large picture', { images: [dataUri(noise)] }));
    assert.deepEqual(submits(sim).map(({ model }) => model), ['jimeng_i2v_first_v30']);
    assert.doesNotMatch(server.log, /sim-secret|Signature=|HMAC-SHA256/);
});
test('jimeng: a wrong secret is said to be one, and costs nothing', async () => {
    prepare(sim);
    const config = channelsYaml({ jimeng: sim }, ['jimeng']).replace('"sim-secret"', '"another-secret"');
    const server = await start({ config });
    const { id } = await film(server, 'm-jimeng', 'a boat');
    await until('it is refused', () => server.log.includes('does not match the signature you provided'));
    assert.equal(submits(sim).length, 0);
    assert.doesNotMatch(server.log, /another-secret|Signature=/);
    await server.cancel(id);
});
test('the servers ended well', endedWell);
