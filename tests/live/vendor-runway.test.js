// SPDX-License-Identifier: Apache-2.0
//
// The simulated Runway, held against the vendor's own client; and what a gateway asks of it that other vendors have not:
// a video that is edited, and a cancel that deletes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import RunwayML from '@runwayml/sdk';
import { start as simulate } from '../simulators/core.js';
import { runway } from '../simulators/runway.js';
import { attemptsOf } from './books.js';
import { endedWell, start, until } from './harness.js';
import { BAD_BODIES, KEY, LIMIT, LONG, PIXEL, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsOf } from './upstreams.js';

const simulator = await simulate(runway, { settings: SHORT });
const clientOf = (apiKey) => new RunwayML({ apiKey, baseURL: simulator.url, maxRetries: 0 });
const client = clientOf(KEY);
const WISH = { model: 'gen4.5', promptText: 'a boat', ratio: '1280:720', duration: 5 };
const IMAGE = `data:image/png;base64,${PIXEL.toString('base64')}`;
const CLIP = 'https://example.com/clip.mp4';
const ended = (id) => until('the end', async () => {
    const task = await client.tasks.retrieve(id);
    return ['SUCCEEDED', 'FAILED'].includes(task.status) && task;
}, LIMIT);

test('runway: from a text, every status, the result', async () => {
    prepare(simulator, { settings: STEADY });
    const made = await client.textToVideo.create(WISH);
    assert.deepEqual(made.estimatedCost, { credits: 60 });
    assert.equal((await client.tasks.retrieve(made.id)).status, 'PENDING');
    const running = await until('it runs', async () => {
        const task = await client.tasks.retrieve(made.id);
        return task.status === 'RUNNING' && task;
    }, LIMIT);
    assert.ok(running.progress >= 0 && running.progress <= 1);
    const done = await ended(made.id);
    assert.deepEqual(Object.keys(done), ['id', 'createdAt', 'status', 'cost', 'output']);
    assert.deepEqual(done.cost, { credits: 60 });
    isVideo((await talk(simulator, 'GET', done.output[0], { key: null })).bytes);
});
test('runway: a link that died is renewed by a look', async () => {
    prepare(simulator);
    const { id } = await client.textToVideo.create({ ...WISH, promptText: 'a boat [sim:expired]' });
    const [dead] = (await ended(id)).output;
    assert.equal((await talk(simulator, 'GET', dead, { key: null })).status, 403);
    const [fresh] = (await client.tasks.retrieve(id)).output;
    assert.notEqual(fresh, dead);
    isVideo((await talk(simulator, 'GET', fresh, { key: null })).bytes);
});
test('runway: from images, from an upload, from a video', async () => {
    prepare(simulator);
    await client.imageToVideo.create({ ...WISH, promptImage: IMAGE });
    const promptImage = [{ uri: IMAGE, position: 'first' }, { uri: 'https://example.com/end.png', position: 'last' }];
    await client.imageToVideo.create({ ...WISH, model: 'veo3.1', duration: 8, promptImage });
    const { uri } = await client.uploads.createEphemeral({ file: new File([PIXEL], 'a.png', { type: 'image/png' }) });
    assert.match(uri, /^runway:\/\//);
    await client.imageToVideo.create({ ...WISH, model: 'gen4_turbo', promptImage: uri });
    await client.videoToVideo.create({ model: 'aleph2', videoUri: CLIP, promptText: 'at night' });
    await client.videoToVideo.create({ model: 'seedance2', promptVideo: CLIP, promptText: 'at night', references: [{ uri: IMAGE }] });
    assert.deepEqual(submits(simulator).map(({ model }) => model), ['gen4.5', 'veo3.1', 'gen4_turbo', 'aleph2', 'seedance2']);
});
test('runway: one task more than the account may run is taken, and waits', async () => {
    prepare(simulator, { settings: { ...LONG, queue_ms: 60_000, concurrency: 1 } });
    const account = clientOf(`${KEY}-alone`);
    const first = await account.textToVideo.create(WISH);
    await until('a later moment', () => Date.now() > simulator.jobs.get(first.id).created, LIMIT);
    const second = await account.textToVideo.create(WISH);
    const words = [];
    for (const { id } of [first, second]) words.push((await account.tasks.retrieve(id)).status);
    assert.deepEqual(words, ['PENDING', 'THROTTLED']);
});
test('runway: a delete stops what is under way and deletes what has ended', async () => {
    prepare(simulator, { settings: LONG });
    const running = await client.textToVideo.create(WISH);
    await client.tasks.delete(running.id);
    await assert.rejects(client.tasks.retrieve(running.id), RunwayML.NotFoundError);
    await assert.rejects(client.tasks.delete(running.id), RunwayML.NotFoundError);
    prepare(simulator);
    const { id } = await client.textToVideo.create(WISH);
    await ended(id);
    await client.tasks.delete(id);
    await assert.rejects(client.tasks.retrieve(id), RunwayML.NotFoundError);
    assert.deepEqual(simulator.told('delete').entries.map(({ job }) => job), [id]);
});
test('runway: failures say their code', async () => {
    prepare(simulator);
    const { id } = await client.textToVideo.create({ ...WISH, promptText: '[sim:moderate]' });
    assert.equal((await ended(id)).failureCode, 'SAFETY.INPUT.TEXT');
    const other = await client.textToVideo.create({ ...WISH, promptText: '[sim:fail]' });
    assert.equal((await ended(other.id)).failureCode, 'INTERNAL.BAD_OUTPUT.CODE01');
    const empty = await client.textToVideo.create({ ...WISH, promptText: '[sim:no-video]' });
    assert.deepEqual((await ended(empty.id)).output, []);
});
test('runway: its classes of errors', async () => {
    prepare(simulator);
    const text = [{ model: 'gen4_turbo' }, { ratio: '16:9' }, { ratio: undefined }, { ratio: '1104:832' }, { duration: 1 }, { duration: 2.5 }, { seed: -1 },
        { promptText: '' }, { promptText: 'x'.repeat(1001) }, { prompt: 'a boat' }, { model: 'veo3.1', duration: 5 }, { model: 'h3_max', resolution: '480p' }];
    for (const wrong of text) await assert.rejects(client.textToVideo.create({ ...WISH, ...wrong }), RunwayML.BadRequestError, JSON.stringify(wrong));
    const end = [{ uri: IMAGE, position: 'first' }, { uri: IMAGE, position: 'last' }];
    const image = [undefined, 'http://example.com/a.png', 'https://127.0.0.1/a.png', 'runway://none', 'data:text/plain;base64,YQ==', end, [{ uri: IMAGE, position: 'last' }]];
    for (const promptImage of image) await assert.rejects(client.imageToVideo.create({ ...WISH, promptImage }), RunwayML.BadRequestError, JSON.stringify(promptImage));
    await assert.rejects(client.imageToVideo.create({ ...WISH, model: 'wan3', promptImage: IMAGE }), RunwayML.BadRequestError);
    await assert.rejects(client.videoToVideo.create({ model: 'aleph2', videoUri: CLIP, promptText: 'a', duration: 5 }), RunwayML.BadRequestError);
    await assert.rejects(client.textToVideo.create({ ...WISH, promptText: '[sim:busy]' }), RunwayML.RateLimitError);
    await assert.rejects(clientOf('no').textToVideo.create(WISH), RunwayML.AuthenticationError);
    const old = await talk(simulator, 'POST', '/v1/text_to_video', { body: WISH });
    assert.deepEqual([old.status, old.json], [400, { error: 'X-Runway-Version must be 2024-11-06' }]);
    for (const body of BAD_BODIES) assert.equal((await talk(simulator, 'POST', '/v1/text_to_video', { body, headers: { 'x-runway-version': '2024-11-06' } })).status, 400, body);
    const { id } = await client.textToVideo.create(WISH);
    await assert.rejects(clientOf(`${KEY}-2`).tasks.retrieve(id), RunwayML.NotFoundError, 'another account does not find it');
    assert.equal(submits(simulator).length, 1);
});
test('runway: a gateway edits a video, keeps what it cost, and deletes what its owner cancels', async () => {
    prepare(simulator);
    const models = [{ name: 'm-runway', upstream: 'gen4.5' }, { name: 'm-restyle', upstream: 'aleph2' }];
    const channels = channelsOf({ runway: simulator }, ['runway'], { models });
    const server = await start({ config: `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify(channels)}\n` });
    const ask = (model, more) => film(server, model, 'a boat', more);
    await isDone(server, ask('m-restyle', { video_url: CLIP }));
    assert.deepEqual(simulator.jobs.get(submits(simulator)[0].job).wish.body, { model: 'aleph2', promptText: 'a boat', videoUri: CLIP });
    const refused = await server.waitEnd((await ask('m-runway', { video_url: CLIP })).id);
    assert.equal(refused.error.code, 'upstream_refused');
    assert.equal(simulator.program({ settings: LONG }), null);
    const { id } = await ask('m-runway');
    await until('it is there', () => attemptsOf(server).some((row) => row.state === 'accepted' && row.closed_ms === 0));
    assert.equal((await server.cancel(id)).status, 200);
    await until('it is deleted there', () => simulator.told('cancel').entries.length === 1);
    assert.equal(simulator.told('cancel').entries[0].job, submits(simulator)[1].job);
});

test('the servers ended well', async () => {
    await simulator.close();
    await endedWell();
});
