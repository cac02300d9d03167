// SPDX-License-Identifier: Apache-2.0
//
// The simulated Replicate held against the vendor's own client (npm: replicate 1.4.0).
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import Replicate from 'replicate';
import { endedWell, start, until } from './harness.js';
import { start as startSimulator } from '../simulators/core.js';
import { replicate as vendor } from '../simulators/replicate.js';
import { BAD_BODIES, KEY, LIMIT, LONG, PIXEL, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const simulator = await startSimulator(vendor, { settings: SHORT });
after(() => simulator.close());
const client = new Replicate({ auth: KEY, baseUrl: `${simulator.url}/v1`, useFileOutput: false });
const MODEL = 'bytedance/seedance-1-pro';
const VERSION = '5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa';
const MEMBERS = ['id', 'model', 'version', 'input', 'output', 'error', 'logs', 'status', 'source', 'data_removed', 'created_at', 'urls'];
const ended = (id) => until('the prediction', async () => {
    const now = await client.predictions.get(id);
    return !['starting', 'processing'].includes(now.status) && now;
}, LIMIT);
const isStatus = (status) => (error) => error.name === 'ApiError' && error.response.status === status;

test('create, get, the video, the list', async () => {
    prepare(simulator, { settings: STEADY });
    const made = await client.predictions.create({ model: MODEL, input: { prompt: 'a boat', aspect_ratio: '9:16', duration: 5 } });
    for (const member of MEMBERS) assert.ok(member in made, member);
    assert.equal(made.status, 'starting');
    await until('it renders', async () => (await client.predictions.get(made.id)).status === 'processing', LIMIT);
    const done = await ended(made.id);
    assert.deepEqual([done.status, done.error, done.data_removed], ['succeeded', null, false]);
    assert.ok(done.metrics.predict_time > 0);
    const { bytes } = await talk(simulator, 'GET', done.output, { key: null });
    isVideo(bytes);
    assert.equal(simulator.told('download').entries[0].credential, null);
    assert.equal((await client.predictions.list()).results[0].id, made.id);
});
test('a version, a deployment; outputs of other shapes', async () => {
    prepare(simulator, { settings: { output: 'list' } });
    const byVersion = await client.predictions.create({ version: VERSION, input: { prompt: 'a' } });
    assert.equal(byVersion.version, VERSION);
    assert.match((await ended(byVersion.id)).output[0], /^http.*\.mp4$/);
    prepare(simulator, { settings: { output: 'object' } });
    const deployed = await client.deployments.predictions.create('acme', 'film-prod', { input: { prompt: 'a' } });
    assert.match((await ended(deployed.id)).output.video, /^http.*\.mp4$/);
});
test('run() waits in the create, or polls', async () => {
    prepare(simulator);
    assert.match(await client.run(MODEL, { input: { prompt: 'a' } }), /^http/);
    assert.match(await client.run(MODEL, { input: { prompt: 'b' }, wait: { mode: 'poll', interval: 20 } }), /^http/);
    prepare(simulator, { settings: LONG });
    const slow = await client.predictions.create({ model: MODEL, input: { prompt: 'c' }, wait: 1 });
    assert.equal(slow.status, 'processing');
    await assert.rejects(client.run(`${MODEL}:${VERSION}`, { input: { prompt: '[sim:moderate] [sim:duration=50]' } }), /flagged as sensitive.*E005/);
});
test('an image is uploaded first', async () => {
    prepare(simulator);
    const made = await client.predictions.create({ model: MODEL, input: { prompt: 'a', image: PIXEL } });
    assert.match(made.input.image, /\/v1\/files\//);
    assert.equal((await client.files.get(made.input.image.split('/').at(-1))).size, PIXEL.length);
});
test('cancel, deadlines, data that goes', async () => {
    prepare(simulator, { settings: LONG });
    const made = await client.predictions.create({ model: MODEL, input: { prompt: 'a' } });
    assert.equal((await client.predictions.cancel(made.id)).status, 'canceled');
    assert.equal((await client.predictions.cancel(made.id)).status, 'canceled', 'twice is once');
    await assert.rejects(client.predictions.cancel('none'), isStatus(404));
    prepare(simulator);
    const done = await ended((await client.predictions.create({ model: MODEL, input: { prompt: 'a' } })).id);
    assert.equal((await client.predictions.cancel(done.id)).status, 'succeeded', 'too late');
    assert.equal(simulator.program({ settings: { data_life_ms: 0 } }), null);
    const { status, output, data_removed: isRemoved } = await client.predictions.get(done.id);
    assert.deepEqual([status, output, isRemoved], ['succeeded', null, true]);
    for (const [queue, word] of [[60_000, 'aborted'], [0, 'canceled']]) {
        prepare(simulator, { settings: { queue_ms: queue, duration_ms: 60_000 } });
        const body = { input: { prompt: 'a' } };
        const { json } = await talk(simulator, 'POST', `/v1/models/${MODEL}/predictions`, { body, headers: { 'cancel-after': '5s' } });
        assert.equal((await ended(json.id)).status, word);
    }
    assert.equal((await talk(simulator, 'POST', `/v1/models/${MODEL}/predictions`, { body: { input: { prompt: 'a' } }, headers: { 'cancel-after': '1s' } })).status, 400);
});
test('its errors', async () => {
    prepare(simulator);
    const bad = [{ prompt: '' }, { duration: 99 }, { duration: '5' }, { aspect_ratio: '2:1' }, { image: 'ftp://a' }, { seed: 'x' }];
    for (const wrong of bad) await assert.rejects(client.predictions.create({ model: MODEL, input: { prompt: 'a', ...wrong } }), isStatus(422), JSON.stringify(wrong));
    await assert.rejects(client.predictions.create({ model: 'acme/none', input: { prompt: 'a' } }), isStatus(404));
    await assert.rejects(client.predictions.create({ version: 'latest', input: { prompt: 'a' } }), isStatus(422));
    await assert.rejects(client.predictions.create({ model: MODEL, input: { prompt: 'a' }, webhook_events_filter: ['end'] }), isStatus(422));
    await assert.rejects(client.predictions.create({ model: MODEL, input: { prompt: 'a' }, webhook: 'http://example.com' }), isStatus(422));
    const { status, json } = await talk(simulator, 'POST', `/v1/models/${MODEL}/predictions`, { body: { inptu: { prompt: 'a' } } });
    assert.deepEqual([status, json.invalid_fields[0].description], [422, 'input is required']);
    const extra = await talk(simulator, 'POST', `/v1/models/${MODEL}/predictions`, { body: { input: { prompt: 'a' }, callback: 'x' } });
    assert.deepEqual([extra.status, extra.json.invalid_fields[0].type], [422, 'additional_property_not_allowed']);
    const stranger = new Replicate({ auth: 'r8_no', baseUrl: `${simulator.url}/v1` });
    await assert.rejects(stranger.predictions.list(), isStatus(401));
    await assert.rejects(client.predictions.create({ model: MODEL, input: { prompt: '[sim:busy=9]' } }), isStatus(429));
    await assert.rejects(client.predictions.get('none'), isStatus(404));
    const failed = await ended((await client.predictions.create({ model: MODEL, input: { prompt: '[sim:fail]' } })).id);
    assert.deepEqual([failed.status, failed.error], ['failed', 'Prediction failed: CUDA out of memory']);
    assert.equal((await ended((await client.predictions.create({ model: MODEL, input: { prompt: '[sim:no-video]' } })).id)).output, null);
});

test('a body that is none', async () => {
    prepare(simulator);
    for (const body of BAD_BODIES) assert.equal((await talk(simulator, 'POST', `/v1/models/${MODEL}/predictions`, { body })).status, 400, body);
    assert.equal(submits(simulator).length, 0);
});

test('the gateway: every shape of output is brought home', async () => {
    prepare(simulator);
    const server = await start({ config: channelsYaml({ replicate: simulator }, ['replicate']) });
    for (const output of ['list', 'object']) {
        assert.equal(simulator.program({ settings: { output } }), null);
        const end = await isDone(server, film(server, 'm-replicate', `as ${output}`));
        isVideo((await server.fetchLink(end.video_url)).bytes);
    }
    assert.equal(submits(simulator).length, 2);
});
test('the servers ended well', endedWell);
