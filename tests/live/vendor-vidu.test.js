// SPDX-License-Identifier: Apache-2.0
//
// Vidu: the simulator against a client written here, as the vendor has none, and what filmgate makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAll } from '../simulators/run.js';
import { attemptsOf } from './books.js';
import { endedWell, start, until } from './harness.js';
import { dataUri, tiny } from './media.js';
import { BAD_BODIES, KEY, LIMIT, LONG, NOBODY, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulators = await startAll({ portBase: 0, settings: SHORT });
const { vidu } = simulators;
const server = await start({ config: channelsYaml(simulators, ['vidu']) });

const IMAGE = 'https://example.com/boat.png';
const JSON_TYPE = { 'content-type': 'application/json' };
const ask = (method, target, { key = KEY, headers = JSON_TYPE, ...options } = {}) =>
    talk(vidu, method, `/ent/v2/${target}`, { key: null, headers: { ...headers, ...(key === null ? {} : { authorization: `Token ${key}` }) }, ...options });
const create = (kind, body, options) => ask('POST', kind, { body: typeof body === 'string' ? body : { model: 'viduq3-turbo', prompt: 'a', ...body }, ...options });
const query = (id, options) => ask('GET', `tasks/${id}/creations`, options);
const cancel = (id, options) => ask('POST', `tasks/${id}/cancel`, { body: { id }, ...options });
const reasonOf = async (answer) => {
    const { status, json } = await answer;
    assert.equal(json.code, status);
    return `${status} ${json.reason}`;
};
const lastJob = () => [...vidu.jobs.values()].at(-1);

test('create, query, the video and its cover', async () => {
    prepare(vidu, { settings: STEADY });
    const { json } = await create('text2video', { prompt: 'a boat', duration: 6, resolution: '1080p', aspect_ratio: '9:16', payload: 'ours-1' });
    assert.deepEqual([json.state, json.payload, json.credits, json.duration], ['created', 'ours-1', 66, 6]);
    assert.match(json.task_id, /^\d{18}$/);
    assert.equal(submits(vidu)[0].correlation, 'ours-1');
    const seen = new Set();
    const done = await until('the video', async () => {
        const found = (await query(json.task_id)).json;
        seen.add(found.state);
        return found.state === 'success' && found;
    }, LIMIT);
    assert.deepEqual([...seen], ['queueing', 'processing', 'success']);
    assert.deepEqual([done.payload, done.credits, done.err_code, done.creations.length], ['ours-1', 66, '', 1]);
    isVideo((await talk(vidu, 'GET', done.creations[0].url, { key: null })).bytes);
    assert.equal((await talk(vidu, 'GET', done.creations[0].cover_url, { key: null })).headers.get('content-type'), 'image/webp');
    assert.equal(vidu.told('download').entries[0].credential, null);
});
test('how a task fails', async () => {
    prepare(vidu);
    const ends = [['[sim:moderate]', 'failed', 'CreationPolicyViolation'], ['[sim:fail]', 'failed', 'InternalServiceFailure'], ['[sim:no-video]', 'success', '']];
    for (const [prompt, state, reason] of ends) {
        const { json } = await create('text2video', { prompt });
        const found = await until('its end', async () => {
            const now = (await query(json.task_id)).json;
            return ['success', 'failed'].includes(now.state) && now;
        }, LIMIT);
        assert.deepEqual([found.state, found.err_code, found.creations], [state, reason, []]);
    }
});
test('who may come in, and whose a task is', async () => {
    prepare(vidu, { settings: LONG });
    assert.equal(await reasonOf(create('text2video', {}, { key: null })), '401 Unauthorized');
    assert.equal(await reasonOf(create('text2video', {}, { key: 'other' })), '401 Unauthorized');
    assert.equal(await reasonOf(create('text2video', {}, { key: null, headers: { ...JSON_TYPE, authorization: `Bearer ${KEY}` } })), '401 Unauthorized');
    const { json } = await create('text2video', {});
    assert.equal((await query(json.task_id)).status, 200);
    assert.equal(await reasonOf(query(json.task_id, { key: 'sim-key-2' })), '404 TaskNotFound');
    assert.equal(await reasonOf(cancel(json.task_id, { key: 'sim-key-2' })), '404 TaskNotFound');
    assert.equal(await reasonOf(query('1')), '404 TaskNotFound');
});
test('wrong fields, by path', async () => {
    prepare(vidu, { settings: LONG });
    const wrong = [
        ['text2video', { model: undefined }, 'FieldLacking'], ['text2video', { model: 'viduq9' }, 'ModelUnavailable'],
        ['text2video', { model: 'viduq2-turbo' }, 'ModelUnavailable'], ['text2video', { prompt: undefined }, 'FieldLacking'],
        ['text2video', { prompt: 'x'.repeat(5001) }, 'FieldInvalid'], ['text2video', { images: [IMAGE] }, 'FieldUnwanted'],
        ['text2video', { duration: 17 }, 'FieldInvalid'], ['text2video', { duration: '5' }, 'FieldInvalid'], ['text2video', { resolution: '768p' }, 'FieldInvalid'],
        ['text2video', { aspect_ratio: '21:9' }, 'FieldInvalid'], ['text2video', { model: 'viduq1', duration: 6 }, 'FieldInvalid'],
        ['text2video', { model: 'viduq1', aspect_ratio: '4:3' }, 'FieldInvalid'], ['text2video', { seed: '7' }, 'FieldInvalid'],
        ['text2video', { watermark: 1 }, 'FieldInvalid'], ['text2video', { payload: {} }, 'FieldInvalid'], ['text2video', { callback_url: 'nowhere' }, 'FieldInvalid'],
        ['img2video', {}, 'FieldLacking'], ['img2video', { images: [] }, 'FieldItemCountOutOfRange'],
        ['img2video', { images: [IMAGE, IMAGE] }, 'FieldItemCountOutOfRange'], ['img2video', { images: ['aaaa'] }, 'ImageFormatInvalid'],
        ['img2video', { images: [IMAGE], aspect_ratio: '16:9' }, 'FieldUnwanted'], ['start-end2video', { images: [IMAGE] }, 'FieldItemCountOutOfRange'],
        ['img2video', { model: 'vidu2.0', images: [IMAGE], duration: 6 }, 'FieldInvalid'],
        ['reference2video', { images: Array(8).fill(IMAGE) }, 'FieldItemCountOutOfRange'], ['reference2video', { images: [IMAGE], prompt: '' }, 'FieldLacking'],
        ['reference2video', { model: 'viduq3-pro', images: [IMAGE] }, 'ModelUnavailable'],
    ];
    for (const [kind, more, reason] of wrong) assert.equal(await reasonOf(create(kind, more)), `400 ${reason}`, `${kind} ${JSON.stringify(more)}`);
    assert.equal(await reasonOf(create('text2video', {}, { headers: { 'content-type': 'text/plain' } })), '400 BadRequest');
    for (const body of BAD_BODIES) assert.equal(await reasonOf(create('text2video', body)), '400 BadRequest', body);
    assert.equal(submits(vidu).length, 0);
    const right = [
        ['img2video', { images: [dataUri(tiny)], prompt: undefined }], ['start-end2video', { images: [IMAGE, IMAGE] }],
        ['reference2video', { images: Array(7).fill(IMAGE), aspect_ratio: '3:4' }], ['img2video', { model: 'vidu2.0', images: [IMAGE], duration: 8 }],
        ['text2video', { audio: false, off_peak: true, watermark: false, seed: 0, callback_url: NOBODY }],
    ];
    for (const [kind, more] of right) assert.equal((await create(kind, more)).status, 200, kind);
});
test('cancel, too many at once', async () => {
    prepare(vidu);
    const made = async (prompt) => (await create('text2video', { prompt })).json.task_id;
    const waits = await made('[sim:queue=60000]');
    assert.deepEqual(await cancel(waits, { body: { id: 'other' } }).then(({ json }) => json.reason), 'FieldInvalid');
    assert.deepEqual((await cancel(waits)).json, {});
    const { json } = await query(waits);
    assert.deepEqual([json.state, json.err_code, json.credits], ['failed', 'UserCancelled', 0]);
    assert.equal((await cancel(await made('[sim:queue=0][sim:duration=60000]'))).json.message, 'task state is scheduled, can not cancel');
    assert.equal((await cancel(await made('[sim:queue=0][sim:duration=0]'))).json.message, 'task state is success, can not cancel');
    prepare(vidu, { settings: { ...LONG, slots: 1 } });
    assert.equal(await reasonOf(create('text2video', { prompt: '[sim:busy]' }, { key: 'sim-key-3' })), '429 TooManyRequests');
    assert.equal((await create('text2video', {}, { key: 'sim-key-3' })).status, 200);
    assert.equal(await reasonOf(create('text2video', {}, { key: 'sim-key-3' })), '429 QuotaExceeded');
});

// ---- filmgate

const make = (prompt, more) => film(server, 'm-vidu', prompt, more);

test('filmgate: a path for each kind of input; our id, credits on record', async () => {
    prepare(vidu);
    const one = dataUri(tiny);
    const asked = {
        text2video: {}, img2video: { first_frame_image: one }, 'start-end2video': { first_frame_image: one, last_frame_image: one }, reference2video: { reference_images: [one, one] },
    };
    for (const [kind, more] of Object.entries(asked)) {
        await isDone(server, make(`by ${kind}`, { duration: 5, ...more }));
        const { name, images = [], payload } = lastJob().wish;
        assert.deepEqual([name, images.length], [kind, { text2video: 0, img2video: 1 }[kind] ?? 2]);
        const row = attemptsOf(server).at(-1);
        assert.deepEqual([row.id, JSON.parse(row.usage)], [payload, { credits: 55 }]);
        assert.match(payload, /^att_/);
    }
});
test('filmgate: a dead link is asked for anew', async () => {
    prepare(vidu);
    await isDone(server, make('[sim:expired] a boat'));
    assert.equal(submits(vidu).length, 1);
});
test('filmgate: what waits is cancelled there, what renders is left alone', async () => {
    prepare(vidu, { settings: LONG });
    const stop = async (prompt) => {
        const { id } = await make(prompt);
        await until('it is bought', () => submits(vidu).some((entry) => entry.prompt === prompt));
        const { job } = submits(vidu).at(-1);
        await until('what the first poll saw is known', () => vidu.ledger.pollsOf.get(job) > 1);
        assert.equal((await server.cancel(id)).status, 200);
        await until('the attempt is closed', () => attemptsOf(server).every((row) => row.closed_ms > 0));
        assert.equal((await server.query(id)).error.code, 'cancelled');
        return lastJob().state();
    };
    assert.equal(await stop('[sim:queue=60000] waits'), 'cancelled');
    assert.equal(await stop('renders'), 'rendering');
    assert.equal(vidu.told('cancel').entries.length, 1, 'of the second none was asked for');
});

test('the servers ended well', async () => {
    await simulators.close();
    await endedWell();
});
