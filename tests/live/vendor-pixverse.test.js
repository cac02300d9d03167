// SPDX-License-Identifier: Apache-2.0
//
// The simulated PixVerse, held against a client that is written here: the vendor has none.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { start } from '../simulators/core.js';
import { pixverse } from '../simulators/pixverse.js';
import { endedWell, until } from './harness.js';
import { BAD_BODIES, KEY, LIMIT, LONG, PIXEL, SHORT, isVideo, prepare, submits } from './simulated.js';

const sim = await start(pixverse, { settings: SHORT });
after(() => sim.close());

async function call(method, path, { body, key = KEY, trace = randomUUID(), form } = {}) {
    const headers = { 'API-KEY': key, ...(trace === null ? {} : { 'Ai-trace-id': trace }), ...(form ? {} : { 'content-type': 'application/json' }) };
    const answer = await fetch(`${sim.url}/openapi/v2${path}`, { method, headers, body: form ?? (typeof body === 'object' ? JSON.stringify(body) : body) });
    const { ErrCode: code, ErrMsg: message, Resp: resp } = await answer.json();
    return { status: answer.status, code, message, resp };
}

const text = { model: 'v6', prompt: 'a boat', duration: 5, quality: '720p', aspect_ratio: '16:9' };
const generate = (kind, body, options) => call('POST', `/video/${kind}/generate`, { body, ...options });
const result = (id, options) => call('GET', `/video/result/${id}`, options);
const end = (id) => until('the video', async () => {
    const { resp } = await result(id);
    return resp.status !== 5 && resp;
}, LIMIT);

async function upload({ type = 'image/png', name = 'image', key } = {}) {
    const form = new FormData();
    form.set(name, new Blob([PIXEL], { type }), 'a.png');
    return call('POST', '/image/upload', { form, key });
}

test('pixverse: a text, its result, its file', async () => {
    prepare(sim);
    const trace = randomUUID();
    const made = await generate('text', text, { trace });
    assert.deepEqual([made.status, made.code, typeof made.resp.video_id], [200, 0, 'number']);
    const done = await end(made.resp.video_id);
    assert.deepEqual([done.id, done.status, done.prompt, done.outputWidth, done.credits], [made.resp.video_id, 1, 'a boat', 1280, 45]);
    isVideo(Buffer.from(await (await fetch(done.url)).arrayBuffer()));
    assert.equal(submits(sim)[0].correlation, trace);
    assert.equal(sim.told('download').entries[0].credential, null);
});
test('pixverse: one image, then two', async () => {
    prepare(sim);
    const [first, last] = [await upload(), await upload({ type: 'image/webp' })].map(({ resp }) => resp.img_id);
    const { aspect_ratio: ratio, ...still } = text;
    assert.equal((await generate('img', { ...still, img_id: first })).code, 0);
    assert.equal((await generate('transition', { ...still, first_frame_img: first, last_frame_img: last })).code, 0);
    for (const [kind, body, code] of [
        ['img', still, 400011], ['img', { ...still, img_id: 7 }, 400032], ['img', { ...still, img_id: String(first) }, 400032],
        ['img', { ...still, img_id: first, aspect_ratio: ratio }, 400017], ['transition', { ...still, first_frame_img: first }, 400011],
        ['transition', { ...still, prompt: 'a'.repeat(2049), first_frame_img: first, last_frame_img: last }, 400018],
    ]) assert.equal((await generate(kind, body)).code, code, JSON.stringify(body).slice(0, 200));
    assert.equal((await generate('img', { ...still, img_id: first }, { key: 'sim-key-2' })).code, 400032, 'of another key');
    assert.equal((await upload({ type: 'image/gif' })).code, 500032);
    assert.equal((await upload({ name: 'file' })).code, 400011);
    assert.deepEqual(sim.told('upload').entries.map(({ id }) => id), [first, last]);
    assert.equal(submits(sim).length, 2);
});
test('pixverse: a request with the id of an earlier one gets the answer of then', async () => {
    prepare(sim, { settings: LONG });
    const trace = randomUUID();
    const { resp: { video_id: id } } = await generate('text', text, { trace });
    assert.equal((await generate('text', { ...text, prompt: 'another' }, { trace })).resp.video_id, id);
    assert.equal(submits(sim).length, 1);
    const poll = randomUUID();
    assert.equal((await result(id, { trace: poll })).resp.status, 5);
    sim.jobs.get(String(id)).end('video');
    assert.equal((await result(id, { trace: poll })).resp.status, 5, 'for ever');
    assert.equal((await result(id)).resp.status, 1);
});
test('pixverse: who may come in', async () => {
    prepare(sim, { settings: LONG });
    assert.deepEqual(await generate('text', text, { key: 'no' }).then(({ status, code }) => [status, code]), [401, 400012]);
    for (const trace of [null, 'seven']) assert.deepEqual(await generate('text', text, { trace }).then(({ status, code }) => [status, code]), [200, 400011]);
    const { resp } = await generate('text', text);
    assert.equal((await result(resp.video_id, { key: 'sim-key-2' })).code, 500008, 'a job of another key');
    assert.equal((await result(7)).code, 500008);
});
test('pixverse: wrong fields, too many at once, how jobs end', async () => {
    prepare(sim, { settings: { ...LONG, slots: 1 } });
    const wrong = [
        [{ model: 'v9' }, 400017], [{ quality: '4k' }, 400017], [{ duration: '5' }, 400017], [{ duration: 16 }, 400017], [{ duration: 6, model: 'v5' }, 400017],
        [{ duration: 10, quality: '1080p', model: 'v5.6' }, 400017], [{ aspect_ratio: '21:9', model: 'v5' }, 400017], [{ seed: -1 }, 400017],
        [{ water_mark: 'no' }, 400013], [{ prompt: 7 }, 400013], [{ prompt: '' }, 400011], [{ prompt: 'a'.repeat(5001) }, 400018],
        [{ negative_prompt: 'a'.repeat(2049) }, 400018],
    ];
    for (const [change, code] of wrong) {
        const answer = await generate('text', { ...text, ...change });
        assert.deepEqual([answer.status, answer.code], [200, code], JSON.stringify(change).slice(0, 100));
    }
    for (const body of BAD_BODIES) assert.deepEqual(await generate('text', body).then(({ status, code }) => [status, code]), [400, 400013], body);
    const another = { key: 'sim-key-b' };
    assert.equal((await generate('text', text, another)).code, 0);
    assert.deepEqual(await generate('text', text, another).then(({ status, code }) => [status, code]), [429, 500044]);
    prepare(sim);
    for (const [word, status] of [['fail', 8], ['moderate', 7], ['no-video', 1]]) {
        const { resp: { video_id: id } } = await generate('text', { ...text, prompt: `[sim:${word}]` });
        const ended = await end(id);
        assert.deepEqual([ended.status, ended.url], [status, '']);
    }
});
test('the servers ended well', endedWell);
