// SPDX-License-Identifier: Apache-2.0
//
// Requests as clients of this family's relays write them, a row each: what is sent, and what must stand in the answer to the
// create and in the task. Then tasks in each state, asked for in every way there is.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { endedWell, multipart, start, until } from './harness.js';
import { dataUri, tiny } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\nfetch:\n  allow: ["127.0.0.1"]\n' });
const uri = dataUri(tiny), base64 = uri.split(',')[1];
const url = `${server.url}/no-such-image.png`;
const nobodys = 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60';

// Has `found` all that `wanted` has? A wanted function or expression judges by itself.
function holds(found, wanted, path = 'answer') {
    if (typeof wanted === 'function') assert.ok(wanted(found), `${path}: ${JSON.stringify(found)}`);
    else if (wanted instanceof RegExp) assert.match(String(found), wanted, path);
    else if (wanted !== null && typeof wanted === 'object' && !Array.isArray(wanted)) {
        assert.ok(found !== null && typeof found === 'object', `${path} is ${JSON.stringify(found)}`);
        for (const key of Object.keys(wanted)) holds(found[key], wanted[key], `${path}.${key}`);
    } else assert.deepEqual(found, wanted, path);
}

const link = (value) => typeof value === 'string' && value.startsWith(`${server.url}/assets/`);
const links = (n) => (value) => Array.isArray(value) && value.length === n && value.every(link);
const urlencoded = (fields) => ({ headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(fields).toString() });
const form = (...parts) => multipart(parts.map(([name, value]) => (Buffer.isBuffer(value) ? { name, filename: 'a.png', type: 'image/png', bytes: value } : { name, value })));

// What each family of paths answers to a create.
const CREATED = {
    '/v1/video/create': { status: 'pending', object: 'video', progress: 0, status_update_time: Number.isInteger, video_url: null, enhanced_prompt: '' },
    '/v1/videos': { status: 'queued', object: 'video', progress: 0, created_at: Number.isInteger, seconds: /^\d+$/, size: /^\d+x\d+$/, error: null, completed_at: null },
    '/v1/video/generations': { status: 'queued', object: 'video', progress: 0, created_at: Number.isInteger },
    '/v2/videos/generations': { status: 'NOT_START' },
};

const input = (wanted) => ({ detail: { input: wanted } });
const info = (wanted) => ({ detail: { pending_info: wanted } });
const sora = { model: 'sora-2', prompt: 'make animate' };

// [what, path, body, what must stand in the answer to a query]
const CREATES = [
    // 2.1 and the page
    ['sora from text', '/v1/video/create', { json: { images: [], ...sora, orientation: 'portrait', size: 'large', duration: 15, watermark: false, private: true } }, { ...input({ size: 'large', orientation: 'portrait', images: [], prompt: 'make animate', model: 'sora-2' }), ...info({ width: 704, height: 1280, n_frames: 450 }) }],
    ['sora from an image, small', '/v1/video/create', { json: { images: [url], ...sora, orientation: 'landscape', size: 'small', duration: '10', watermark: true } }, { ...input({ images: [url], orientation: 'landscape' }), ...info({ width: 640, height: 352, n_frames: 300 }) }],
    ['sora with a character', '/v1/video/create', { json: { ...sora, size: 'small', character_url: 'https://example.com/c.mp4', character_timestamps: '1,3' } }, input({ prompt: 'make animate' })],
    ['sora with pixels for a size', '/v1/video/create', { json: { ...sora, size: '1080x1920' } }, info({ width: 1080, height: 1920 })],
    ['sora with a list of shots', '/v1/video/create', { json: { ...sora, storyboard: [{ prompt: 'one', duration: 5 }] } }, info({ is_storyboard: true })],
    ['nothing but model and prompt, in chunks', '/v1/video/create', { body: JSON.stringify(sora), chunked: 7, headers: { 'Content-Type': 'application/json; charset=UTF-8' } }, input({ images: [], size: 'small' })],
    // 2.2
    ['veo from text', '/v1/video/create', { json: { model: 'veo3.1-fast', prompt: 'cats', enhance_prompt: true, enable_upsample: true, aspect_ratio: '16:9' } }, { detail: { status: 'pending', running: false, req: { enhance_prompt: true, enable_upsample: true, aspect_ratio: '16:9', model: 'veo3.1-fast', prompt: 'cats', images: [] }, images: [], retry_count: 0, max_retries: 2, created_at: Number.isInteger, completed_at: null } }],
    ['veo with frames', '/v1/video/create', { json: { model: 'veo2-fast-frames', prompt: 'cats', images: [url, uri], image_mode: 'frames' } }, { detail: { images: (images) => images.length === 2 && images[0].url === url && link(images[1].url) && images[0].status === 'pending' } }],
    // 2.3
    ['grok', '/v1/video/create', { json: { model: 'grok-video-3', prompt: 'cats --mode=custom', aspect_ratio: '3:2', size: '720P', images: [url] } }, info({ width: 576, height: 384 })],
    ['grok imagine, by other names', '/v1/video/create', { json: { model: 'grok-imagine-video', prompt: 'cats', video_length: 6, video_config: { aspect_ratio: '1:1' }, resolution_name: '720p', reference_images: [{ url }] } }, { ...info({ width: 480, height: 480, n_frames: 180 }), ...input({ images: [url] }) }],
    // 2.4
    ['jimeng', '/v1/video/create', { json: { model: 'jimeng-video-3.0', prompt: 'cats', aspect_ratio: '21:9', size: '1080P', images: [] } }, info({ n_frames: 300 })],
    ['vidu', '/v1/video/create', { json: { model: 'viduq2-pro', prompt: 'cats', aspect_ratio: '16:9', duration: 5, images: [url], negative_prompt: 'dogs', seed: 7 } }, info({ seed: 7, n_frames: 150 })],
    ['omni with seconds as text', '/v1/video/create', { json: { model: 'omni-flash', prompt: 'cats', seconds: '8', type: 2, images: [uri, uri], enable_sample: true } }, { ...info({ n_frames: 240 }), ...input({ images: links(2) }) }],
    ['seedance with metadata', '/v1/video/create', { json: { model: 'seedance-1', prompt: 'cats', image: url, metadata: { ratio: '16:9', resolution: '1080p', lastFrame: { url } } } }, { ...info({ width: 1280, height: 704 }), ...input({ images: [url, url] }) }],
    ['metadata as text', '/v1/video/create', form(['model', 'm'], ['prompt', 'p'], ['metadata', '{"aspectRatio":"1:1"}']), info({ width: 480, height: 480 })],
    ['first and last frame', '/v1/video/create', { json: { model: 'm', prompt: 'p', first_frame_image: url, last_frame_image: uri, enableFallback: true } }, input({ images: (images) => images.length === 2 && images[0] === url && link(images[1]) })],
    ['bare base64', '/v1/video/create', { json: { model: 'm', prompt: 'p', images: base64 } }, input({ images: links(1) })],
    ['a form with a file', '/v1/video/create', form(['model', 'm'], ['prompt', 'p'], ['images', tiny], ['duration', '5']), { ...input({ images: links(1) }), ...info({ n_frames: 150 }) }],
    ['a form as in an address', '/v1/video/create', urlencoded({ model: 'm', prompt: 'two words', duration: '5' }), input({ prompt: 'two words' })],
    // 8: /v1/videos
    ['the SDK\'s form', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'p'], ['seconds', '8'], ['size', '1280x720'], ['input_reference', tiny]), { ...info({ width: 1280, height: 720, n_frames: 240 }), ...input({ images: links(1) }) }],
    ['several references', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'p'], ['input_reference', tiny], ['input_reference', tiny]), input({ images: links(2) })],
    ['a reference as an address', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'p'], ['input_reference', url]), input({ images: [url] })],
    ['a reference in brackets', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'p'], ['input_reference[image_url]', url]), input({ images: [url] })],
    ['a reference as text that is JSON', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'p'], ['input_reference', JSON.stringify({ image_url: url })]), input({ images: [url] })],
    ['relay fields', '/v1/videos', form(['model', 'sora-2-pro'], ['prompt', 'p'], ['seconds', '25'], ['size', '9x16'], ['watermark', 'false'], ['private', 'false'], ['style', 'comic'], ['character_from_task', 'video_1'], ['metadata', '{}']), info({ width: 352, height: 640, n_frames: 750 })],
    ['a shape for a size', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'p'], ['size', '16:9']), info({ width: 640, height: 352 })],
    ['JSON', '/v1/videos', { json: { model: 'sora-2', prompt: 'p', seconds: '12', size: '720x1280', input_reference: { image_url: uri } } }, { ...info({ n_frames: 360 }), ...input({ images: links(1) }) }],
    ['nothing but a prompt', '/v1/videos', { json: { prompt: 'p' } }, { ...input({ model: 'sora-2', size: '720x1280' }), ...info({ n_frames: 120 }) }],
    ['a form as in an address, with brackets', '/v1/videos', urlencoded({ prompt: 'p', seconds: '4', 'input_reference[image_url]': url }), input({ images: [url], model: 'sora-2' })],
    ['a storyboard in the prompt', '/v1/videos', form(['model', 'sora-2'], ['prompt', 'Shot 1:\nduration: 5sec\nScene: a cat']), input({ prompt: 'Shot 1:\nduration: 5sec\nScene: a cat' })],
    // 8: the others
    ['generations, as the engine of relays documents it', '/v1/video/generations', { json: { model: 'kling-v1', prompt: 'p', image: uri, duration: 5.0, width: 512, height: 512, fps: 30, seed: 20231234, n: 1, response_format: 'url', user: 'user-1234', metadata: { negative_prompt: 'n' } } }, { ...info({ width: 512, height: 512, n_frames: 150, seed: 20231234 }), ...input({ images: links(1) }) }],
    ['generations with a last frame', '/v1/video/generations', { json: { model: 'kling-v1', prompt: 'p', image: url, image_tail: uri, size: '1280x720', duration: 5 } }, input({ images: (images) => images.length === 2 })],
    ['generations with zeros for what is not said', '/v1/video/generations', { json: { model: 'm', prompt: 'p', width: 0, height: 0 } }, info({ width: 352, height: 640 })],
    ['v2 generations', '/v2/videos/generations', { json: { model: 'sora-2', prompt: 'p', aspect_ratio: '16:9', duration: '10', hd: false, private: true, images: [uri], notify_hook: 'https://example.com/hook' } }, { ...info({ width: 640, height: 352, n_frames: 300 }), ...input({ images: links(1) }) }],
    ['v2 generations in high definition', '/v2/videos/generations', { json: { model: 'sora-2-pro', prompt: 'p', aspect_ratio: '9:16', duration: '15', hd: true } }, { ...info({ width: 704, height: 1280 }), ...input({ size: 'large' }) }],
];

// Some clients take these keys for a finished video, a wrapper or an error.
const WRAPPERS = ['url', 'video_url', 'result_url', 'output', 'outputs', 'response', 'data', 'result', 'code', 'error'];

const blocker = await server.create({ prompt: 'all others wait for it', duration: 60, size: 'large' });
await server.waitRendering(blocker.id, 0);

for (const [what, path, body, wanted] of CREATES) {
    test(`POST ${path}: ${what}`, async () => {
        const { status, json: created, text } = await server.call('POST', path, body);
        assert.equal(status, 200, text);
        holds(created, CREATED[path]);
        for (const key of WRAPPERS) assert.ok(created[key] === undefined || created[key] === null, `a create's answer holds ${key}`);
        const id = created.id ?? created.task_id;
        assert.match(id, /^[^:]+:task_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
        if (created.task_id !== undefined) assert.equal(created.task_id, id);
        holds(await server.query(id), { id, status: 'pending', ...wanted });
        assert.equal((await server.cancel(id)).status, 200);
    });
}
for (const path of Object.keys(CREATED))
    test(`POST ${path}: what is wrong is said in both envelopes`, async () => {
        const { status, json: error } = await server.call('POST', path, { json: { model: 'sora-2' } });
        assert.deepEqual([status, error.code, error.error.param], [400, 'invalid_request', 'prompt']);
        if (path !== '/v1/videos') assert.equal((await server.call('POST', path, { json: { prompt: 'p' } })).json.error.param, 'model');
    });

// Queries

const QUERIES = {
    '/v1/video/query?id=ID': 'unified', '/v1/video/query?task_id=ID': 'unified', '/v1/video/query?model=x&id=ID&provider=y': 'unified',
    '/v1/videos/video_id?id=ID': 'unified', '/v1/videos?id=ID': 'unified', '/v1/videos?task_id=ID': 'unified',
    '/v1/videos/ID': 'openai', '/v1/video/generations/ID': 'generations', '/v2/videos/generations/ID': 'upper',
};
const WORDS = {
    unified: { pending: 'pending', completed: 'completed', failed: 'failed' },
    openai: { pending: 'queued', completed: 'completed', failed: 'failed' },
    generations: { pending: 'queued', completed: 'succeeded', failed: 'failed' },
    upper: { pending: 'NOT_START', completed: 'SUCCESS', failed: 'FAILURE' },
};
const absent = (value) => value === undefined;
const says = (error) => ({ code: error, message: (text) => text.length > 0 && !/rate|quota|429|500|502|503|529|overloaded|server error/i.test(text) });
const SHAPES = {
    unified: {
        pending: (id) => ({ id, video_url: null, enhanced_prompt: '', progress: 0, detail: { pending_info: { progress_pct: 0, status: 'queued' } } }),
        completed: (id) => ({ id, video_url: link, thumbnail_url: link, width: 64, height: 64, detail: { url: link, video_url: link, gif_url: link, draft_info: { id: /^gen_/ } } }),
        failed: (id) => ({ id, video_url: null, error: says('cancelled'), fail_reason: (text) => text.length > 0 }),
    },
    openai: {
        pending: (id) => ({ id, task_id: id, object: 'video', progress: 0, completed_at: null, error: null, video_url: absent, url: absent, seconds: '1', size: '64x64' }),
        completed: (id) => ({ id, object: 'video', progress: 100, completed_at: Number.isInteger, expires_at: Number.isInteger, error: null, video_url: link, url: link, thumbnail_url: link }),
        failed: (id) => ({ id, object: 'video', completed_at: null, error: says('cancelled'), url: absent }),
    },
    generations: {
        pending: (id) => ({ code: 'success', message: '', task_id: id, url: absent, error: absent, data: { task_id: id, status: 'SUBMITTED', progress: '0%', fail_reason: '', data: absent, start_time: 0 } }),
        completed: (id) => ({ code: 'success', task_id: id, url: link, format: 'mp4', metadata: { duration: 1, fps: 30, width: 64, height: 64 }, error: absent, data: { status: 'SUCCESS', progress: '100%', result_url: link, data: { url: link, output: link }, fail_reason: '' } }),
        failed: (id) => ({ code: 'success', task_id: id, url: absent, error: says('cancelled'), data: { status: 'FAILURE', fail_reason: (text) => text.length > 0, data: absent } }),
    },
    upper: {
        pending: (id) => ({ task_id: id, progress: '0%', data: absent, fail_reason: '', start_time: 0, finish_time: 0 }),
        completed: (id) => ({ task_id: id, progress: '100%', data: { output: link }, video_url: link, fail_reason: '', finish_time: (at) => at > 1e9 && at < 1e11 }),
        failed: (id) => ({ task_id: id, data: absent, fail_reason: (text) => text.length > 0, error: says('cancelled') }),
    },
};

const MODELS = ['sora-2', 'viduq2', 'grok-video-3', 'veo3.1', 'a/b:c'];
const tiniest = { prompt: 'p', size: '64x64', duration: 1 };
const made = {};
test('tasks of each family, waiting', async () => {
    for (const model of MODELS) made[model] = { pending: (await server.create({ model, ...tiniest })).id };
    for (const model of MODELS) {
        made[model].failed = (await server.create({ model, ...tiniest })).id;
        assert.equal((await server.cancel(made[model].failed)).status, 200);
    }
});
async function askEverywhere(model, state) {
    const id = made[model][state];
    for (const [path, dialect] of Object.entries(QUERIES))
        for (const given of [id, encodeURIComponent(id), id.slice(id.lastIndexOf(':') + 1)]) {
            const target = path.replace('ID', given);
            const { status, json: answer } = await server.call('GET', target, { headers: { 'Content-Type': 'application/json' } });
            assert.equal(status, 200, target);
            const word = dialect === 'unified' && state === 'completed' && model.startsWith('viduq') ? 'success' : WORDS[dialect][state];
            holds(answer, { status: word, ...SHAPES[dialect][state](id) }, target);
        }
}
for (const model of MODELS)
    for (const state of ['pending', 'failed']) test(`GET in every form: ${model}, ${state}`, () => askEverywhere(model, state));
test('tasks of each family, completed', async () => {
    assert.equal((await server.cancel(blocker.id)).status, 200);
    for (const model of MODELS) {
        made[model].completed = made[model].pending;
        await server.waitEnd(made[model].completed);
    }
});
for (const model of MODELS) test(`GET in every form: ${model}, completed`, () => askEverywhere(model, 'completed'));

test('grok\'s keys', async () => {
    const answer = await server.query(made['grok-video-3'].completed);
    holds(answer, { ratio: '1:1', prompt: 'p', model: 'grok-video-3', error: '', completed_at: (at) => at > 1e9 && at < 1e11, status_update_time: (at) => at > 1e12, upscaled: false, video_id: /^gen_/, trace_id: /^req_/ });
});
test('veo\'s keys', async () => {
    const { detail } = await server.query(made['veo3.1'].completed);
    holds(detail, { status: 'completed', running: false, upsample_video_url: link, upsample_status: 'completed', completed_at: (at) => at > 1e12, created_at: (at) => at > 1e12, enhanced_prompt: '', retry_count: 0, max_retries: 2, req: { model: 'veo3.1' } });
    const failed = await server.query(made['veo3.1'].failed);
    assert.equal(failed.detail.video_generation_error, failed.error.message);
});
test('ids that name nothing are the same 404 in every form', async () => {
    for (const path of Object.keys(QUERIES))
        for (const given of [nobodys, 'nonsense', 'video_123']) {
            const { status, json: error } = await server.call('GET', path.replace('ID', given));
            assert.deepEqual([status, error.code, error.status, error.id], [404, 'task_not_exist', 'failed', given], path);
        }
});
test('HEAD and If-None-Match work in every form', async () => {
    for (const path of Object.keys(QUERIES)) {
        const target = path.replace('ID', made['sora-2'].completed);
        const { headers } = await server.call('GET', target);
        assert.equal((await server.call('GET', target, { headers: { 'If-None-Match': headers.etag } })).status, 304, target);
        const head = await server.call('HEAD', target);
        assert.deepEqual([head.status, head.headers.etag], [200, headers.etag], target);
    }
});
test('the content of a video: conditions, ranges, no redirect', async () => {
    const target = `/v1/videos/${made['sora-2'].completed}/content`;
    const whole = await server.call('GET', target);
    assert.deepEqual([whole.status, whole.headers['content-type'], whole.headers['accept-ranges']], [200, 'video/mp4', 'bytes']);
    const part = await server.call('GET', target, { headers: { Range: 'bytes=10-19', 'If-Range': whole.headers.etag } });
    assert.equal(part.status, 206);
    assert.ok(part.bytes.equals(whole.bytes.subarray(10, 20)));
    const other = await server.call('GET', target, { headers: { Range: 'bytes=10-19', 'If-Range': '"another"' } });
    assert.deepEqual([other.status, other.bytes.length], [200, whole.bytes.length]);
    assert.equal((await server.call('GET', target, { headers: { 'If-None-Match': whole.headers.etag } })).status, 304);
    const outside = await server.call('GET', target, { headers: { Range: `bytes=${whole.bytes.length}-` }, unchecked: true });
    assert.deepEqual([outside.status, outside.json.code], [416, 'range_not_satisfiable']);
    const head = await server.call('HEAD', target);
    assert.deepEqual([head.status, Number(head.headers['content-length'])], [200, whole.bytes.length]);
    assert.equal((await server.call('GET', target, { key: null })).status, 401);
    for (const id of [made['sora-2'].failed, nobodys]) assert.equal((await server.call('GET', `/v1/videos/${id}/content`)).status, 404);
});
test('a video of a version that made no sprite sheets', async () => {
    const id = made['sora-2'].completed;
    const target = `/v1/videos/${id}/content`;
    assert.equal((await server.call('GET', `${target}?variant=spritesheet`)).status, 200);
    const assets = path.join(server.data, 'assets');
    const sheets = fs.readdirSync(assets, { recursive: true }).filter((name) => name.includes(id.split(':')[1]) && name.includes('spritesheet'));
    assert.equal(sheets.length, 2, 'the file and its description');
    for (const name of sheets) fs.rmSync(path.join(assets, name));
    const { status, json: error } = await server.call('GET', `${target}?variant=spritesheet`);
    assert.deepEqual([status, error.code], [404, 'variant_not_available']);
    for (const variant of ['video', 'thumbnail']) assert.equal((await server.call('GET', `${target}?variant=${variant}`)).status, 200);
});
test('what retention took has no content and no link', async () => {
    await server.restart({ config: 'render:\n  slots: 1\ntasks:\n  retention: 100ms\n' });
    const id = made['sora-2'].completed;
    await until('the sweep', async () => (await server.query(id)).expired_at);
    holds((await server.call('GET', `/v1/videos/${id}`)).json, { status: 'completed', url: absent, video_url: absent, expires_at: Number.isInteger });
    holds((await server.call('GET', `/v1/video/generations/${id}`)).json, { status: 'succeeded', url: absent, data: { data: absent, result_url: absent } });
    holds((await server.call('GET', `/v2/videos/generations/${id}`)).json, { status: 'SUCCESS', data: absent });
    for (const variant of ['video', 'thumbnail', 'spritesheet']) {
        const { status, json: error } = await server.call('GET', `/v1/videos/${id}/content?variant=${variant}`);
        assert.deepEqual([status, error.code], [404, 'video_not_available'], variant);
    }
});

test('the servers ended well', endedWell);
