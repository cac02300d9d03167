// SPDX-License-Identifier: Apache-2.0
//
// MiniMax's first API: the simulator against a client written here, as the vendor has no package for it, and what filmgate
// makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAll } from '../simulators/run.js';
import { attemptsOf } from './books.js';
import { endedWell, start, until } from './harness.js';
import { dataUri, tiny } from './media.js';
import { BAD_BODIES, LIMIT, LONG, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulators = await startAll({ portBase: 0, settings: SHORT });
const { minimax } = simulators;
const models = [{ name: 'm-minimax', upstream: 'MiniMax-Hailuo-2.3' }, { name: 'm-frames', upstream: 'MiniMax-Hailuo-02' }];
const server = await start({ config: channelsYaml(simulators, ['minimax'], { models }) });

const JSON_TYPE = { 'content-type': 'application/json' };
const IMAGE = 'https://example.com/boat.png';
const create = (body, options = {}) => talk(minimax, 'POST', '/v1/video_generation', { body, headers: JSON_TYPE, ...options });
const query = async (id, options = {}) => JSON.parse((await talk(minimax, 'GET', `/v1/query/video_generation?task_id=${id}`, options)).bytes);
const file = (id, options = {}) => talk(minimax, 'GET', `/v1/files/retrieve?file_id=${id}`, options);
const codeOf = async (answer) => {
    const { status, json } = await answer;
    assert.equal(status, 200, 'an error of the API comes with 200');
    return json.base_resp.status_code;
};
const end = (id) => until('the video', async () => {
    const found = await query(id);
    return ['Success', 'Fail'].includes(found.status) && found;
}, LIMIT);

test('create, query, the file, the video', async () => {
    prepare(minimax, { settings: STEADY });
    const { json } = await create({ model: 'MiniMax-Hailuo-2.3', prompt: 'a boat', duration: 6, resolution: '1080P' });
    assert.deepEqual([typeof json.task_id, json.base_resp], ['string', { status_code: 0, status_msg: 'success' }]);
    const seen = new Set();
    const done = await until('the video', async () => {
        const found = await query(json.task_id);
        seen.add(found.status);
        return found.status === 'Success' && found;
    }, LIMIT);
    assert.deepEqual([...seen], ['Queueing', 'Processing', 'Success']);
    assert.deepEqual([typeof done.file_id, done.video_width, done.video_height], ['string', 1920, 1080]);
    const { json: found, bytes } = await file(done.file_id);
    assert.ok(bytes.includes(`"file_id":${done.file_id}`), 'of the file it is a number');
    assert.ok(!Number.isSafeInteger(Number(done.file_id)), 'that JavaScript cannot hold');
    isVideo((await talk(minimax, 'GET', found.file.download_url, { key: null })).bytes);
    assert.equal(minimax.told('download').entries[0].credential, null);
});
test('how a task fails', async () => {
    prepare(minimax);
    const ends = { '[sim:moderate]': ['Fail', 1027], '[sim:fail]': ['Fail', 1033], '[sim:no-video]': ['Success', 0] };
    for (const [prompt, wanted] of Object.entries(ends)) {
        const { json } = await create({ model: 'MiniMax-Hailuo-2.3', prompt });
        const found = await end(json.task_id);
        assert.deepEqual([found.status, found.base_resp.status_code], wanted);
        assert.equal(found.file_id, '');
    }
});
test('who may come in, and whose a task is', async () => {
    prepare(minimax, { settings: LONG });
    const body = { model: 'MiniMax-Hailuo-2.3', prompt: 'a' };
    assert.equal(await codeOf(create(body, { key: null })), 1004);
    assert.equal(await codeOf(create(body, { key: 'other' })), 2049);
    const { json } = await create(body);
    assert.equal((await query(json.task_id)).base_resp.status_code, 0);
    assert.deepEqual((await query(json.task_id, { key: 'sim-key-2' })).base_resp, { status_code: 2013, status_msg: 'invalid params, invalid task_id' });
    assert.equal((await query('1')).base_resp.status_code, 2013);
    assert.equal(await codeOf(file('1')), 2013);
    assert.equal(await codeOf(file('abc')), 2013);
    assert.equal(submits(minimax).length, 1);
});
test('wrong fields', async () => {
    prepare(minimax, { settings: LONG });
    const good = { model: 'MiniMax-Hailuo-2.3', prompt: 'a' };
    const wrong = [
        { model: 'MiniMax-H3' }, { prompt: undefined }, { prompt: '' }, { prompt: 'x'.repeat(2001) }, { duration: 5 }, { duration: '6' },
        { resolution: '720P' }, { resolution: '768p' },
        { resolution: '1080P', duration: 10 }, { prompt_optimizer: 'yes' }, { aigc_watermark: 1 }, { callback_url: 'nowhere' }, { first_frame_image: 'aaaa' },
        { first_frame_image: IMAGE, last_frame_image: IMAGE }, { subject_reference: [{ type: 'character', image: [IMAGE] }] },
        { model: 'MiniMax-Hailuo-2.3-Fast' }, { model: 'T2V-01', first_frame_image: IMAGE }, { model: 'T2V-01', duration: 10 }, { model: 'I2V-01' }, { model: 'S2V-01' },
        { model: 'S2V-01', subject_reference: [{ type: 'character', image: [IMAGE, IMAGE] }] }, { model: 'S2V-01', subject_reference: [{ type: 'thing', image: [IMAGE] }] },
        { model: 'MiniMax-Hailuo-02', resolution: '512P', first_frame_image: IMAGE, last_frame_image: IMAGE },
    ];
    for (const more of wrong) assert.equal(await codeOf(create({ ...good, ...more })), 2013, JSON.stringify(more));
    assert.equal(await codeOf(create(good, { headers: { 'content-type': 'text/plain' } })), 2013);
    for (const body of BAD_BODIES) assert.equal(await codeOf(create(body)), 2013, body);
    assert.equal(submits(minimax).length, 0);
    const right = [
        { duration: 10 }, { first_frame_image: dataUri(tiny), prompt: undefined }, { model: 'MiniMax-Hailuo-02', first_frame_image: IMAGE, last_frame_image: IMAGE },
        { model: 'I2V-01-live', first_frame_image: IMAGE }, { model: 'S2V-01', subject_reference: [{ type: 'character', image: [IMAGE] }] },
    ];
    for (const more of right) assert.equal(await codeOf(create({ ...good, ...more })), 0, JSON.stringify(more));
});
test('busy, refused, too many at once: all of it with 200', async () => {
    prepare(minimax, { settings: { ...LONG, slots: 1 } });
    const ask = (prompt) => create({ model: 'MiniMax-Hailuo-2.3', prompt }, { key: 'sim-key-3' });
    assert.equal(await codeOf(ask('[sim:busy]')), 1002);
    assert.equal(await codeOf(ask('[sim:refuse]')), 2013);
    assert.equal(await codeOf(ask('one')), 0);
    assert.equal(await codeOf(ask('another')), 1041);
});

// ---- filmgate

const ask = (prompt, more) => film(server, 'm-minimax', prompt, more);

test('filmgate: the id of a file that is a number beyond 2^53', async () => {
    prepare(minimax, { settings: { numeric_file_ids: true } });
    const ended = await isDone(server, ask('a large number'));
    isVideo((await server.fetchLink(ended.video_url)).bytes);
    assert.deepEqual(JSON.parse(attemptsOf(server).at(-1).usage), { video_width: 1366, video_height: 768 });
});
test('filmgate: a dead link is asked for anew', async () => {
    prepare(minimax);
    await isDone(server, ask('[sim:expired] a boat'));
    assert.equal(submits(minimax).length, 1);
});
test('filmgate: a first and a last frame', async () => {
    prepare(minimax);
    await isDone(server, ask('two frames', { model: 'm-frames', first_frame_image: dataUri(tiny), last_frame_image: dataUri(tiny) }));
    const job = [...minimax.jobs.values()].at(-1);
    assert.deepEqual([job.wish.first_frame_image, job.wish.last_frame_image].map((image) => image.slice(0, 22)), ['data:image/png;base64,', 'data:image/png;base64,']);
});
test('filmgate: a code with 200 is an error, and says of which kind', async () => {
    prepare(minimax, { rules: [{ on: 'submit', times: 1, do: { status: 429 } }] });
    await isDone(server, ask('busy at first'));
    assert.equal(submits(minimax).length, 1);
    for (const [code, state] of [[1026, 'refused'], [1001, 'unknown']]) {
        prepare(minimax, { rules: [{ on: 'submit', do: { status: 200, body: { task_id: '', base_resp: { status_code: code, status_msg: 'as told' } } } }] });
        const ended = await server.waitEnd((await ask(`the code ${code}`)).id);
        assert.equal(ended.error.code === 'submission_unknown', state === 'unknown', ended.error.code);
        assert.equal(attemptsOf(server).at(-1).state, state);
    }
});

test('the servers ended well', async () => {
    await simulators.close();
    await endedWell();
});
