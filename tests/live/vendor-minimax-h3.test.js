// SPDX-License-Identifier: Apache-2.0
//
// MiniMax's second API: the simulator against the vendor's own client (@ai-sdk/minimax), what that client does not do by
// hand, and what filmgate makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMiniMax } from '@ai-sdk/minimax';
import { APICallError } from '@ai-sdk/provider';
import { startAll } from '../simulators/run.js';
import { attemptsOf } from './books.js';
import { endedWell, start, until } from './harness.js';
import { dataUri, tiny } from './media.js';
import { BAD_BODIES, KEY, LIMIT, LONG, NOBODY, PIXEL, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulators = await startAll({ portBase: 0, settings: SHORT });
const h3 = simulators['minimax-h3'];
const server = await start({ config: channelsYaml(simulators, ['minimax-h3']) });
// It looks once a minute, so that a job can end unseen.
const slow = await start({ config: channelsYaml(simulators, ['minimax-h3'], { poll_first: '60s', poll_every: '60s' }) });

// ---- the vendor's client

const provider = (apiKey = KEY) => createMiniMax({ apiKey, videoBaseURL: h3.url });
const model = provider().video('MiniMax-H3');
const OPTIONS = { providerOptions: { minimax: { pollIntervalMs: 20 } }, n: 1 };
const IMAGE = { type: 'url', url: 'https://example.com/boat.png' };
const lastWish = () => [...h3.jobs.values()].at(-1).wish;

test('@ai-sdk/minimax: start, status, the video', async () => {
    prepare(h3, { settings: STEADY });
    const { operation, warnings } = await model.doStart({ ...OPTIONS, prompt: 'a boat', duration: 6, aspectRatio: '9:16', resolution: '768x1366' });
    assert.deepEqual(warnings, []);
    assert.equal((await model.doStatus({ operation })).status, 'pending');
    const done = await until('the video', async () => {
        const found = await model.doStatus({ operation });
        return found.status === 'completed' && found;
    }, LIMIT);
    const { minimax: said } = done.providerMetadata;
    assert.deepEqual([said.duration, said.ratio, said.resolution, said.usage], [6, '9:16', '768P', { totalSeconds: 6, inputSeconds: 0, outputSeconds: 6 }]);
    isVideo((await talk(h3, 'GET', done.videos[0].url, { key: null })).bytes);
    assert.equal(h3.told('download').entries[0].credential, null);
});
test('@ai-sdk/minimax: frames, references, the address to call back', async () => {
    prepare(h3);
    const file = { type: 'file', data: new Uint8Array(PIXEL), mediaType: 'image/png' };
    await model.doGenerate({ ...OPTIONS, prompt: 'frames', frameImages: [{ frameType: 'first_frame', image: file }, { frameType: 'last_frame', image: IMAGE }] });
    assert.deepEqual(lastWish().content.map(({ role }) => role), [undefined, 'first_frame', 'last_frame']);
    await model.doGenerate({ ...OPTIONS, prompt: 'references', inputReferences: [{ ...IMAGE, mediaType: 'image/png' }, { ...IMAGE, mediaType: 'video/mp4' }] });
    assert.deepEqual(lastWish().content.map(({ type }) => type), ['text', 'image_url', 'video_url']);
    await model.doStart({ ...OPTIONS, prompt: 'calls back', webhookUrl: NOBODY });
    assert.equal(lastWish().callback_url, NOBODY);
});
test('@ai-sdk/minimax: how a task fails', async () => {
    prepare(h3);
    const run = (prompt) => model.doGenerate({ ...OPTIONS, prompt });
    await assert.rejects(run('[sim:moderate]'), { name: 'MINIMAX_VIDEO_GENERATION_FAILED', message: /output new_sensitive \(1027\)/ });
    await assert.rejects(run('[sim:fail]'), { name: 'MINIMAX_VIDEO_GENERATION_FAILED', message: /internal error \(1000\)/ });
    await assert.rejects(run('[sim:no-video]'), { name: 'MINIMAX_VIDEO_GENERATION_ERROR', message: /no video URL/ });
    const { operation } = await model.doStart({ ...OPTIONS, prompt: '[sim:queue=60000]' });
    assert.equal((await talk(h3, 'DELETE', `/v2/video_generation/${operation.taskId}`)).status, 200);
    assert.match((await model.doStatus({ operation })).error, /was cancelled/);
});
test('@ai-sdk/minimax: refusals are its typed errors', async () => {
    prepare(h3);
    const refused = (statusCode, message) => (error) => APICallError.isInstance(error) && error.statusCode === statusCode && message.test(error.message);
    const ask = (prompt, from = model) => from.doStart({ ...OPTIONS, prompt });
    await assert.rejects(ask(''), refused(400, /non-empty text item .* \(2013\)$/));
    await assert.rejects(ask('a', provider('other').video('MiniMax-H3')), refused(401, /\(2049\)$/));
    await assert.rejects(ask('a', provider().video('MiniMax-H9')), refused(400, /\(2013\)$/));
    await assert.rejects(ask('[sim:busy]'), refused(429, /\(1002\)$/));
    await assert.rejects(model.doStatus({ operation: { taskId: '1', resolvedInputs: {} } }), refused(400, /invalid task_id \(2013\)$/));
});

// ---- by hand

test('wrong fields', async () => {
    prepare(h3, { settings: LONG });
    const text = { type: 'text', text: 'a' };
    const image = (role) => ({ type: 'image_url', image_url: { url: IMAGE.url }, role });
    const sound = { type: 'audio_url', audio_url: { url: 'https://example.com/a.mp3' }, role: 'reference_audio' };
    const good = { model: 'MiniMax-H3', content: [text], resolution: '768P', duration: 5, ratio: '16:9' };
    const ask = async (more) => (await talk(h3, 'POST', '/v2/video_generation', { body: typeof more === 'string' ? more : { ...good, ...more } })).status;
    const wrong = [
        { model: 'MiniMax-Hailuo-02' }, { content: 'a' }, { content: [] }, { content: [text, text] }, { content: [{ type: 'text', text: 'x'.repeat(7001) }] },
        { content: [text, { type: 'image_url' }] }, { content: [text, image('last')] }, { content: [text, image('first_frame'), image('first_frame')] },
        { content: [text, image('first_frame'), image('reference_image')] },
        { content: [text, ...Array.from({ length: 10 }, () => image('reference_image'))] }, { content: [text, sound] },
        { content: [text, { ...image('first_frame'), image_url: { url: 'aaaa' } }] },
        { resolution: '720P' }, { resolution: '768p' }, { resolution: undefined }, { duration: 3 }, { duration: 16 }, { duration: '5' }, { duration: undefined }, { ratio: '2:1' },
        { ratio: 'adaptive' }, { ratio: undefined }, { aigc_watermark: 'no' }, { callback_url: 'nowhere' },
        { model: 'MiniMax-H3-Max', duration: 4 }, { model: 'MiniMax-H3-Max', resolution: '2K' }, { model: 'MiniMax-H3-Max', content: [text, image('reference_image')] },
        ...BAD_BODIES,
    ];
    for (const more of wrong) assert.equal(await ask(more), 400, JSON.stringify(more));
    assert.equal(submits(h3).length, 0);
    const right = [
        { content: [text, image('last_frame')], ratio: undefined }, { content: [text, image(undefined)], ratio: undefined }, { content: [text, image('reference_image'), sound] },
        { model: 'MiniMax-H3-Max', resolution: '480P' }, { duration: 4, resolution: '2K' },
    ];
    for (const more of right) assert.equal(await ask(more), 200, JSON.stringify(more));
});
test('what DELETE does: cancels, refuses, erases', async () => {
    prepare(h3);
    const made = async (prompt) => (await model.doStart({ ...OPTIONS, prompt })).operation.taskId;
    const remove = async (id, options) => {
        const { status, json } = await talk(h3, 'DELETE', `/v2/video_generation/${id}`, options);
        return [status, json.action ?? json.error.message];
    };
    const waits = await made('[sim:queue=60000]');
    assert.deepEqual(await remove(waits, { key: 'sim-key-2' }), [400, 'invalid params, invalid task_id (2013)']);
    assert.deepEqual(await remove(waits), [200, 'cancelled']);
    assert.equal((await remove(waits))[0], 400);
    const renders = await made('[sim:queue=0][sim:duration=60000]');
    assert.match((await remove(renders))[1], /running/);
    const done = await made('[sim:queue=0][sim:duration=0]');
    assert.deepEqual(await remove(done), [200, 'deleted']);
    assert.equal((await talk(h3, 'GET', `/v2/query/video_generation/${done}`)).status, 400);
    assert.deepEqual(h3.told('delete').entries.map(({ job }) => job), [done]);
    const { json } = await talk(h3, 'GET', '/v2/query/video_generation?page_num=1&page_size=1');
    assert.deepEqual([json.items.length, json.items[0].id], [1, renders]);
});

// ---- filmgate

const ask = (at, prompt, more) => film(at, 'm-h3', prompt, more);

test('filmgate: frames and references by their roles, usage on record', async () => {
    prepare(h3);
    await isDone(server, ask(server, 'two frames', { first_frame_image: dataUri(tiny), last_frame_image: dataUri(tiny), duration: 5 }));
    assert.deepEqual(lastWish().content.map(({ role }) => role), [undefined, 'first_frame', 'last_frame']);
    assert.deepEqual(JSON.parse(attemptsOf(server).at(-1).usage), { total_seconds: 5, input_seconds: 0, output_seconds: 5, input_image_count: 2, resolution: '768P' });
    await isDone(server, ask(server, 'references', { reference_images: [dataUri(tiny), dataUri(tiny)] }));
    assert.deepEqual(lastWish().content.map(({ role }) => role), [undefined, 'reference_image', 'reference_image']);
});
test('filmgate: a dead link is asked for anew', async () => {
    prepare(h3);
    await isDone(server, ask(server, '[sim:expired] a boat'));
    assert.equal(submits(h3).length, 1);
});
test('filmgate: what waits is cancelled there, what renders is left alone', async () => {
    prepare(h3, { settings: LONG });
    const cancel = async (prompt) => {
        const { id } = await ask(server, prompt);
        await until('it is bought', () => submits(h3).some((entry) => entry.prompt === prompt));
        const { job } = submits(h3).at(-1);
        await until('what the first poll saw is known', () => h3.ledger.pollsOf.get(job) > 1);
        assert.equal((await server.cancel(id)).status, 200);
        await until('the attempt is closed', () => attemptsOf(server).every((row) => row.closed_ms > 0));
        assert.equal((await server.query(id)).error.code, 'cancelled');
    };
    await cancel('[sim:queue=60000] waits');
    assert.equal(h3.told('cancel').entries.length, 1);
    assert.equal([...h3.jobs.values()].at(-1).state(), 'cancelled');
    await cancel('renders');
    assert.equal(h3.told('cancel').entries.length, 1, 'none was asked for');
    assert.equal([...h3.jobs.values()].at(-1).state(), 'rendering');
});
test('filmgate: a job that ended unseen is erased by a cancel, and its task is cancelled all the same', async () => {
    prepare(h3, { settings: { queue_ms: 0, duration_ms: 0 } });
    const { id } = await ask(slow, 'ended unseen');
    await until('it is accepted', () => attemptsOf(slow).some((row) => row.state === 'accepted'));
    assert.equal((await slow.cancel(id)).status, 200);
    await until('the attempt is closed', () => attemptsOf(slow).every((row) => row.closed_ms > 0));
    assert.equal((await slow.query(id)).error.code, 'cancelled');
    assert.equal(h3.told('delete').entries.length, 1);
    assert.match(slow.log, /may go on there, and be charged for/);
});

test('the servers ended well', async () => {
    await simulators.close();
    await endedWell();
});
