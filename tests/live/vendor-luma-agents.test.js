// SPDX-License-Identifier: Apache-2.0
//
// The simulated Agents API of Luma: how strict it is, by a client written here, since there is no other; and what
// becomes of a link that died before its video was fetched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { start as simulate } from '../simulators/core.js';
import { lumaAgents } from '../simulators/luma-agents.js';
import { endedWell, start, until } from './harness.js';
import { dataUri, tiny } from './media.js';
import { BAD_BODIES, KEY, LIMIT, LONG, PIXEL, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulator = await simulate(lumaAgents, { settings: SHORT });
const PATH = '/v1/generations';
const WISH = { model: 'ray-3.2', type: 'video', prompt: 'a paper boat', aspect_ratio: '16:9', video: { resolution: '720p', duration: '5s' } };
const BYTES = { data: PIXEL.toString('base64'), media_type: 'image/png' };
const ADDRESS = { url: 'https://example.com/boat.png' };
const create = (wish = {}, options = {}) => talk(simulator, 'POST', PATH, { body: { ...WISH, ...wish }, ...options });
const video = (more) => ({ video: { ...WISH.video, ...more } });
const ended = (id) => until('the end', async () => {
    const { json } = await talk(simulator, 'GET', `${PATH}/${id}`);
    return ['completed', 'failed'].includes(json.state) && json;
}, LIMIT);

test('luma-agents: create, every state, the result', async () => {
    prepare(simulator, { settings: STEADY });
    const made = await create();
    assert.deepEqual([made.status, made.json.state, made.json.type, made.json.model], [201, 'queued', 'video', 'ray-3.2']);
    assert.equal(made.headers.get('x-api-version'), '2026-04-01');
    assert.equal(made.headers.get('x-ratelimit-limit'), '30');
    const { id } = made.json;
    await until('it is made', async () => (await talk(simulator, 'GET', `${PATH}/${id}`)).json.state === 'processing', LIMIT);
    const done = await ended(id);
    assert.deepEqual(Object.keys(done), ['id', 'created_at', 'model', 'state', 'type', 'output']);
    assert.equal(done.output[0].type, 'video');
    isVideo((await talk(simulator, 'GET', done.output[0].url, { key: null })).bytes);
});
test('luma-agents: frames, keyframes, what they may be', async () => {
    prepare(simulator);
    const good = [{ start_frame: ADDRESS }, { start_frame: BYTES, end_frame: ADDRESS }, { end_frame: BYTES }, { loop: true, start_frame: BYTES }, { hdr: true, exr_export: true },
        { keyframes: [BYTES, ADDRESS], keyframe_indexes: [0, 60] }];
    const ids = [];
    for (const more of good) ids.push((await create(video(more))).json.id);
    assert.equal((await create(video({ start_frame: { generation_id: ids[0] } }))).status, 201);
    assert.equal(submits(simulator).length, good.length + 1);
});
test('luma-agents: what it refuses, and how', async () => {
    prepare(simulator);
    const wrong = [{ model: 'ray-2' }, { type: 'image' }, { prompt: '' }, { prompt: 'x'.repeat(6001) }, { aspect_ratio: '9:21' }, { seed: 7 }, { callback_url: 'https://example.com' },
        video({ duration: 5 }), video({ duration: '9s' }), video({ resolution: '4k' }), video({ start_frame: {} }), video({ start_frame: { ...BYTES, ...ADDRESS } }),
        video({ start_frame: { data: BYTES.data } }), video({ end_frame: { generation_id: 'none' } })];
    for (const wish of wrong) assert.equal((await create(wish)).status, 400, JSON.stringify(wish));
    for (const body of BAD_BODIES) assert.equal((await talk(simulator, 'POST', PATH, { body })).status, 400, body);
    const clashing = [{ duration: '10s', start_frame: ADDRESS }, { duration: '10s', loop: true }, { loop: true, end_frame: ADDRESS }, { hdr: true, resolution: '540p' }, { exr_export: true },
        { start_frame: { url: 'ftp://example.com/a.png' } }, { start_frame: { ...BYTES, data: `data:image/png;base64,${BYTES.data}` } }, { keyframes: [BYTES] }];
    for (const more of clashing) assert.equal((await create(video(more))).status, 422, JSON.stringify(more));
    const stranger = await create({}, { key: 'no' });
    assert.deepEqual([stranger.status, stranger.json, stranger.headers.get('x-api-version')], [401, { detail: 'Invalid API key' }, '2026-04-01']);
    const { json } = await create();
    assert.equal((await talk(simulator, 'GET', `${PATH}/${json.id}`, { key: `${KEY}-2` })).status, 404, 'another account does not find it');
    assert.equal((await talk(simulator, 'GET', PATH)).status, 405, 'there is no list');
    assert.equal((await talk(simulator, 'DELETE', `${PATH}/${json.id}`)).status, 405, 'there is no cancel');
    assert.equal(submits(simulator).length, 1);
});
test('luma-agents: two limits, one status', async () => {
    prepare(simulator, { settings: { ...LONG, slots: 1 } });
    const key = `${KEY}-alone`;
    assert.equal((await create({}, { key })).status, 201);
    const full = await create({}, { key });
    assert.deepEqual([full.status, full.json, full.headers.get('retry-after')], [429, { detail: 'Too many concurrent jobs' }, '5']);
    const fast = await create({ prompt: '[sim:busy]' });
    assert.deepEqual([fast.status, fast.json, fast.headers.get('retry-after')], [429, { detail: 'Rate limit exceeded' }, '1']);
});
test('luma-agents: failures have codes', async () => {
    prepare(simulator);
    for (const [prompt, code] of [['[sim:moderate]', 'content_moderated'], ['[sim:fail]', 'generation_failed']])
        assert.equal((await ended((await create({ prompt })).json.id)).failure_code, code);
    assert.deepEqual((await ended((await create({ prompt: '[sim:no-video]' })).json.id)).output, []);
});
test('luma-agents: bytes go along with their type, and a link that died is signed anew', async () => {
    prepare(simulator);
    const server = await start({ config: channelsYaml({ 'luma-agents': simulator }, ['luma-agents']) });
    await isDone(server, film(server, 'm-luma-agents', 'a boat [sim:expired]', { images: [dataUri(tiny)] }));
    const [{ job }] = submits(simulator);
    const { start_frame: frame } = simulator.jobs.get(job).wish.body.video;
    assert.equal(frame.media_type, 'image/png');
    assert.ok(Buffer.from(frame.data, 'base64').equals(tiny));
});

test('the servers ended well', async () => {
    await simulator.close();
    await endedWell();
});
