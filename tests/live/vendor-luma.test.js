// SPDX-License-Identifier: Apache-2.0
//
// The simulated Dream Machine API of Luma, held against the vendor's own client; and what becomes of images, of which
// this API takes addresses alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import LumaAI from 'lumaai';
import { luma } from '../simulators/luma.js';
import { start as simulate } from '../simulators/core.js';
import { endedWell, start, until } from './harness.js';
import { dataUri, tiny } from './media.js';
import { BAD_BODIES, KEY, LIMIT, LONG, NOBODY, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulator = await simulate(luma, { settings: SHORT });
const clientOf = (authToken) => new LumaAI({ authToken, baseURL: `${simulator.url}/dream-machine/v1`, maxRetries: 0 });
const client = clientOf(KEY);
const WISH = { model: 'ray-2', prompt: 'a paper boat' };
const IMAGE = 'https://example.com/boat.png';
const frame = (url) => ({ type: 'image', url });
const ended = (id) => until('the end', async () => {
    const generation = await client.generations.get(id);
    return ['completed', 'failed'].includes(generation.state) && generation;
}, LIMIT);
const KEYS = ['id', 'generation_type', 'state', 'failure_reason', 'created_at', 'assets', 'model', 'request'];

test('luma: create, every state, the result, the list', async () => {
    prepare(simulator, { settings: STEADY });
    const request = { ...WISH, aspect_ratio: '9:16', duration: '9s', resolution: '1080p', callback_url: NOBODY };
    const made = await client.generations.video.create(request);
    assert.deepEqual(Object.keys(made), KEYS);
    assert.deepEqual([made.state, made.model, made.request], ['queued', 'ray-2', request]);
    await until('it dreams', async () => (await client.generations.get(made.id)).state === 'dreaming', LIMIT);
    const done = await ended(made.id);
    assert.deepEqual(Object.keys(done), KEYS);
    isVideo((await talk(simulator, 'GET', done.assets.video, { key: null })).bytes);
    const second = await client.generations.create(WISH); // the older name, the same path
    const { generations, count, has_more: hasMore } = await client.generations.list({ limit: 1 });
    assert.deepEqual([generations[0].id, count, hasMore], [second.id, 1, true]);
    assert.equal((await client.generations.list({ limit: 1, offset: 1 })).generations[0].id, made.id);
    assert.equal((await client.credits.get()).credit_balance, 100_000);
    assert.equal((await client.ping.check()).message, 'pong');
});
test('luma: keyframes of images and of generations', async () => {
    prepare(simulator);
    const { id } = await client.generations.video.create({ ...WISH, keyframes: { frame0: frame(IMAGE), frame1: frame(IMAGE) } });
    await client.generations.video.create({ ...WISH, loop: true, keyframes: { frame0: { type: 'generation', id } } });
    await client.generations.video.create({ model: 'ray-flash-2', keyframes: { frame1: frame(IMAGE) } });
    assert.equal(submits(simulator).length, 3);
});
test('luma: a delete removes the record, the job goes on', async () => {
    prepare(simulator, { settings: LONG });
    const { id } = await client.generations.video.create(WISH);
    await client.generations.delete(id);
    await assert.rejects(client.generations.get(id), LumaAI.NotFoundError);
    await assert.rejects(client.generations.delete(id), LumaAI.NotFoundError);
    assert.equal(simulator.jobs.get(id).isOver, false);
});
test('luma: failures say why', async () => {
    prepare(simulator);
    for (const [prompt, reason] of [['[sim:moderate]', 'Advanced prompt moderation failed'], ['[sim:fail]', 'Job failed']]) {
        const { id } = await client.generations.video.create({ ...WISH, prompt });
        const failed = await ended(id);
        assert.deepEqual([failed.state, failed.failure_reason], ['failed', reason]);
    }
    const { id } = await client.generations.video.create({ ...WISH, prompt: '[sim:no-video]' });
    assert.equal((await ended(id)).assets.video, null);
});
test('luma: its classes of errors', async () => {
    prepare(simulator);
    const bad = [{ model: 'ray-9' }, { prompt: undefined }, { prompt: 'go' }, { prompt: 'x'.repeat(5001) }, { aspect_ratio: '2:1' }, { duration: 5 }, { duration: '6s' },
        { resolution: '480p' }, { seed: 7 }, { callback_url: 'told' }, { keyframes: {} }, { keyframes: { frame0: frame('data:image/png;base64,YQ==') } },
        { keyframes: { frame0: { type: 'generation', id: 'none' } } }, { loop: true, keyframes: { frame1: frame(IMAGE) } },
        { loop: true, keyframes: { frame0: frame(IMAGE), frame1: frame(IMAGE) } }];
    for (const wrong of bad) await assert.rejects(client.generations.video.create({ ...WISH, ...wrong }), LumaAI.BadRequestError, JSON.stringify(wrong));
    for (const body of BAD_BODIES) assert.equal((await talk(simulator, 'POST', '/dream-machine/v1/generations/video', { body })).status, 400, body);
    await assert.rejects(client.generations.video.create({ ...WISH, prompt: '[sim:busy]' }), LumaAI.RateLimitError);
    await assert.rejects(clientOf('no').generations.list(), (error) => error instanceof LumaAI.AuthenticationError && error.error.detail === 'Invalid API key provided');
    const { id } = await client.generations.video.create(WISH);
    await assert.rejects(clientOf(`${KEY}-2`).generations.get(id), LumaAI.NotFoundError, 'another account does not find it');
    assert.equal(submits(simulator).length, 1);
});
test('luma: an image with an address goes along, one without is refused before anything is sent', async () => {
    prepare(simulator);
    const server = await start({ config: channelsYaml({ luma: simulator }, ['luma']) });
    const ask = (images) => film(server, 'm-luma', 'a boat with an image', { images });
    const refused = await server.waitEnd((await ask([dataUri(tiny)])).id);
    assert.deepEqual([refused.status, refused.error.code], ['failed', 'upstream_refused']);
    await until('the log says why', () => server.log.includes('each needs a public http(s) URL'));
    assert.equal(submits(simulator).length, 0);
    await isDone(server, ask([IMAGE]));
    const [{ job }] = submits(simulator);
    assert.deepEqual(simulator.jobs.get(job).wish.request.keyframes, { frame0: frame(IMAGE) });
});

test('the servers ended well', async () => {
    await simulator.close();
    await endedWell();
});
