// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a request that a model cannot make as it stands: the nearest is made and said, or it is refused at create.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { ROOT, endedWell, newDirectory, start, tool } from './harness.js';
import { dataUri, tiny } from './media.js';
import { startAll } from '../simulators/run.js';

const sims = await startAll({ portBase: 0, settings: { queue_ms: 50, duration_ms: 200 } });
after(() => sims.close());
const channel = (name, fit) => ({ name, adapter: 'openai-videos', base_url: `${sims['openai-videos'].url}/v1`, key: 'sim-key', fit, poll_first: '200ms', poll_every: '200ms', models: [{ name: `m-${name}`, upstream: 'sora-2' }] });
const server = await start({ config: `channels: ${JSON.stringify([channel('exact', 'strict'), channel('bent', 'nearest')])}\n` });
const ask = (model, more) => server.call('POST', '/v1/video/create', { json: { model, ...more } });

const sold = (prompt) => sims['openai-videos'].told('submit').entries.filter((entry) => entry.prompt === prompt).length;

test('strict: a length that the model does not make is refused at create, with those that it makes', async () => {
    const { status, json } = await ask('m-exact', { prompt: 'too odd', duration: 7 });
    assert.deepEqual([status, json.code, json.error.param], [400, 'invalid_request', 'duration']);
    assert.equal(json.message, '"duration" must be 4, 8 or 12 seconds with the model m-exact');
    assert.equal((await server.call('GET', '/v1/video/tasks')).json.data.length, 0, 'there is no task');
    assert.equal(sold('too odd'), 0);
});
test('strict: a length that it makes is made', async () => {
    const { status, json, text } = await ask('m-exact', { prompt: 'even', duration: 8 });
    assert.equal(status, 200, text);
    assert.equal((await server.waitEnd(json.id)).status, 'completed');
    assert.equal(sold('even'), 1);
});
test('nearest: the same is made in the nearest length, and the answer shows the video that there is', async () => {
    const { status, json, text } = await ask('m-bent', { prompt: 'bent', duration: 7, size: '640x640' });
    assert.equal(status, 200, text);
    const ended = await server.waitEnd(json.id);
    assert.equal(ended.status, 'completed', JSON.stringify(ended.error));
    assert.equal(sold('bent'), 1);
    const file = path.join(newDirectory(), 'bent.mp4');
    fs.writeFileSync(file, (await server.fetchLink(ended.video_url)).bytes);
    const probed = JSON.parse((await tool('ffprobe', '-v', 'error', '-select_streams', 'v:0', '-show_entries', 'stream=width,height,nb_frames', '-of', 'json', file)).stdout).streams[0];
    assert.deepEqual([ended.width, ended.height], [probed.width, probed.height]);
    const [{ job }] = sims['openai-videos'].told('submit').entries.filter((entry) => entry.prompt === 'bent');
    const there = await fetch(`${sims['openai-videos'].url}/v1/videos/${job}`, { headers: { authorization: 'Bearer sim-key' } });
    assert.equal((await there.json()).seconds, '8', 'of two lengths equally near the longer, else the nearest');
});
test('a length that a model makes of texts alone: of images the nearest that it makes of them, or a refusal', async () => {
    const sim = sims['luma-agents'];
    const ray = (name, fit) => ({ ...channel(name, fit), adapter: 'luma-agents', base_url: `${sim.url}/v1`, models: [{ name: `m-${name}`, upstream: 'ray-3.2' }] });
    const rays = await start({ config: `channels: ${JSON.stringify([ray('firm', 'strict'), ray('soft', 'nearest')])}\n` });
    const wish = async (model, images) => await rays.call('POST', '/v1/video/create', { json: { model, prompt: `of ${images.length} images`, duration: 10, images } });
    const refused = await wish('m-firm', [dataUri(tiny)]);
    assert.deepEqual([refused.status, refused.json.message], [400, '"duration" must be 5 seconds from images with the model m-firm']);
    for (const images of [[], [dataUri(tiny)]]) {
        const { status, json, text } = await wish('m-soft', images);
        assert.equal(status, 200, text);
        assert.equal((await rays.waitEnd(json.id)).status, 'completed');
    }
    const lengths = sim.told('submit').entries.map(({ prompt, job }) => [prompt, sim.jobs.get(job).wish.body.video.duration]);
    assert.deepEqual(lengths, [['of 0 images', '10s'], ['of 1 images', '5s']]);
});
test('images are counted at create, before any of them is stored', async () => {
    const folder = newDirectory();
    const program = fs.readFileSync(path.join(ROOT, 'adapters/openai-videos.jq'), 'utf8');
    fs.writeFileSync(path.join(folder, 'framed.jq'), program.replaceAll('images: {least: 0, most: 1}', 'images: {least: 1, most: 1}'));
    const channels = [{ ...channel('framed', 'nearest'), adapter: 'framed' }, channel('exact', 'strict')];
    const counting = await start({ config: `adapters: ${folder}\nremix: rerender\nchannels: ${JSON.stringify(channels)}\n` });
    const image = dataUri(tiny);
    const take = async (model, images) => {
        const { status, json } = await counting.call('POST', '/v1/video/create', { json: { model, prompt: 'framed', images } });
        return [status, json.message];
    };
    assert.deepEqual(await take('m-framed', []), [400, 'the model m-framed takes exactly 1 image, not 0']);
    assert.deepEqual(await take('m-framed', [image, image]), [400, 'the model m-framed takes exactly 1 image, not 2']);
    assert.deepEqual(await take('m-exact', [image, image]), [400, 'the model m-exact takes at most 1 image, not 2']);
    assert.equal((await counting.call('GET', '/v1/video/tasks')).json.data.length, 0, 'there is no task');
    const { status, json, text } = await counting.call('POST', '/v1/video/create', { json: { model: 'm-framed', prompt: 'framed', images: [image] } });
    assert.equal(status, 200, text);
    assert.equal((await counting.waitEnd(json.id)).status, 'completed');
    const again = await counting.call('POST', '/v1/video/remix', { json: { task_id: json.id, prompt: 'framed anew' } });
    assert.equal(again.status, 200, 'the image of the original counts: ' + again.text);
});
test('the servers ended well', endedWell);
