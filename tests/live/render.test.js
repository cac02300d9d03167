// SPDX-License-Identifier: Apache-2.0
//
// The files themselves, as other programs see them: formats, lengths, sizes, pictures, and that the
// same request gives the same film.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, start } from './harness.js';
import { boxes, cold, dataUri, decodesCleanly, encoded, frame, png, probe, saved, similarity, tiny, warm } from './media.js';

const server = await start();
const shape = { width: 352, height: 640 };

// All files of a completed task, by name.
async function fetchAll(task) {
    const { source, source_wm: marked, md, gif, thumbnail } = task.detail.draft_info.encodings;
    const links = { source: source.path, marked: marked.path, md: md.path, gif: gif.path, thumbnail: thumbnail.path };
    const files = {};
    for (const [name, link] of Object.entries(links)) {
        const answer = await server.fetchLink(link);
        assert.equal(answer.status, 200, name);
        files[name] = { bytes: answer.bytes, type: answer.headers['content-type'], path: saved(answer.bytes, new URL(link).pathname.split('/').pop()) };
    }
    return files;
}

const task = await server.complete({ prompt: 'make animate', images: [dataUri(warm), dataUri(cold)], duration: 4, orientation: 'portrait', size: 'small', seed: 1 });
const files = await fetchAll(task);

async function checkVideo(path, { width, height, frames }) {
    const video = await probe(path);
    assert.deepEqual([video.codec_name, video.pix_fmt, video.width, video.height], ['h264', 'yuv420p', width, height]);
    assert.equal(video.frames, frames);
    await decodesCleanly(path);
    return video;
}

test('the source is H.264, yuv420p, 30 frames a second, as many as planned', async () => {
    const video = await checkVideo(files.source.path, { ...shape, frames: 120 });
    assert.equal(video.avg_frame_rate, '30/1');
    assert.equal(video.r_frame_rate, '30/1');
    assert.match(video.format, /mp4/);
    assert.ok(Math.abs(video.seconds - 4) < 0.1);
    assert.equal(video.sample_aspect_ratio ?? '1:1', '1:1');
    assert.equal(files.source.type, 'video/mp4');
});
test('the source and the middle size begin with their index', () => {
    for (const { bytes } of [files.source, files.md]) {
        const order = boxes(bytes);
        assert.equal(order[0], 'ftyp');
        assert.ok(order.indexOf('moov') < order.indexOf('mdat'), order.join(' '));
        assert.ok(order.includes('moov') && order.includes('mdat'));
    }
});
test('the middle size is the same film, smaller', async () => {
    const video = await probe(files.md.path);
    await decodesCleanly(files.md.path);
    assert.deepEqual([video.codec_name, video.pix_fmt, video.frames], ['h264', 'yuv420p', 120]);
    assert.ok(Math.min(video.width, video.height) <= 480);
    assert.ok(files.md.bytes.length < files.source.bytes.length);
    assert.ok((await similarity(files.source.path, files.md.path, shape)) > 0.8);
});
test('the preview is a GIF of at most 3 seconds and 240 pixels that moves', async () => {
    assert.equal(files.gif.type, 'image/gif');
    assert.equal(files.gif.bytes.toString('latin1', 0, 6), 'GIF89a');
    const gif = await probe(files.gif.path);
    await decodesCleanly(files.gif.path);
    assert.equal(gif.codec_name, 'gif');
    assert.ok(gif.width <= 240 && gif.frames > 5, `${gif.width} pixels, ${gif.frames} frames`);
    assert.ok(gif.seconds <= 3.1 && gif.seconds > 1, `${gif.seconds} s`);
    assert.ok(Math.abs(gif.width / gif.height - shape.width / shape.height) < 0.02);
    assert.ok(files.gif.bytes.includes('NETSCAPE2.0'), 'it loops');
});
test('the thumbnail is a WebP picture of the film', async () => {
    assert.equal(files.thumbnail.type, 'image/webp');
    assert.equal(files.thumbnail.bytes.toString('latin1', 0, 4) + files.thumbnail.bytes.toString('latin1', 8, 12), 'RIFFWEBP');
    const picture = await probe(files.thumbnail.path);
    assert.deepEqual([picture.codec_name, picture.width, picture.height], ['webp', 352, 640]);
});
test('each image has its half of the film', async () => {
    const originals = [saved(warm, 'warm.png'), saved(cold, 'cold.png')];
    for (const [index, number] of [[0, 30], [1, 90]]) {
        const shown = await frame(files.source.path, number);
        const own = await similarity(shown, originals[index], shape), foreign = await similarity(shown, originals[1 - index], shape);
        assert.ok(own > 0.75, `frame ${number} has a similarity of ${own} to its own image`);
        assert.ok(own > foreign + 0.2, `${own} to its own image, ${foreign} to the other`);
    }
});
test('the film moves', async () => {
    assert.ok((await similarity(await frame(files.source.path, 5), await frame(files.source.path, 40), shape)) < 0.99);
});

async function source(fields) {
    const done = await server.complete({ orientation: 'portrait', size: 'small', duration: 1, ...fields });
    return (await server.fetchLink(done.detail.draft_info.encodings.source.path)).bytes;
}

test('the same request with the same seed is the same film, byte by byte', async () => {
    const wish = { prompt: 'twice', seed: 11, images: [dataUri(warm)] };
    assert.ok((await source(wish)).equals(await source(wish)));
});
test('without images, too', async () => {
    const wish = { prompt: 'twice', seed: 11 };
    assert.ok((await source(wish)).equals(await source(wish)));
});
for (const images of [[], [dataUri(warm)]])
    test(`another prompt or another seed is another film (${images.length} images)`, async () => {
        const first = await source({ prompt: 'one', seed: 1, images });
        assert.ok(!first.equals(await source({ prompt: 'two', seed: 1, images })), 'prompt');
        assert.ok(!first.equals(await source({ prompt: 'one', seed: 2, images })), 'seed');
    });
test('without a seed two tasks are two films', async () => {
    assert.ok(!(await source({ prompt: 'one' })).equals(await source({ prompt: 'one' })));
});
test('another image is another film', async () => {
    const first = await source({ seed: 1, images: [dataUri(warm)] });
    assert.ok(!first.equals(await source({ seed: 1, images: [dataUri(cold)] })));
});

test('with a watermark there is a marked file, and the links lead to it', async () => {
    const marked = await server.complete({ prompt: 'marked', watermark: true, seed: 3, orientation: 'portrait', size: 'small', duration: 1 });
    const { encodings } = marked.detail.draft_info;
    const plainName = new URL(encodings.source.path).pathname, markedName = new URL(encodings.source_wm.path).pathname;
    assert.notEqual(plainName, markedName);
    for (const link of [marked.video_url, marked.detail.url, marked.detail.draft_info.url]) assert.equal(new URL(link).pathname, markedName);
    const [plain, withMark] = [(await server.fetchLink(encodings.source.path)).bytes, (await server.fetchLink(encodings.source_wm.path)).bytes];
    assert.ok(!plain.equals(withMark));
    const paths = [saved(plain, 'plain.mp4'), saved(withMark, 'marked.mp4')];
    await checkVideo(paths[1], { ...shape, frames: 30 });
    const alike = await similarity(...paths, shape);
    assert.ok(alike > 0.7 && alike < 0.999, `the mark is visible and small: ${alike}`);
});
test('without a watermark source and source_wm are one file', () => {
    const { source: plain, source_wm: marked } = task.detail.draft_info.encodings;
    assert.equal(plain.path, marked.path);
});

const sizes = [
    [{ orientation: 'landscape', size: 'small' }, 640, 352],
    [{ orientation: 'square', size: 'small' }, 480, 480],
    [{ orientation: 'portrait', size: 'large' }, 704, 1280],
    [{ orientation: 'landscape', size: 'large' }, 1280, 704],
    [{ aspect_ratio: '16:9', size: '720P' }, 640, 352],
    [{ size: '320x200' }, 320, 200],
    [{ size: '321x201' }, 322, 202],
    [{ size: '64x1920' }, 64, 1920],
];
for (const [fields, width, height] of sizes)
    test(`${JSON.stringify(fields)} is ${width}x${height}`, async () => {
        const done = await server.complete({ duration: 1, size: undefined, images: [dataUri(tiny)], ...fields });
        assert.deepEqual([done.width, done.height], [width, height]);
        const all = await fetchAll(done);
        await checkVideo(all.source.path, { width, height, frames: 30 });
        for (const name of ['md', 'gif', 'thumbnail']) await decodesCleanly(all[name].path);
        assert.ok((await probe(all.gif.path)).width <= 240);
    });

test('15 seconds of two images, as in the page', async () => {
    const done = await server.complete({ images: [dataUri(warm), dataUri(cold)], orientation: 'portrait', size: 'small', duration: 15 });
    await checkVideo((await fetchAll(done)).source.path, { ...shape, frames: 450 });
});
test('ten images in one second', () => server.complete({ images: Array(10).fill(dataUri(tiny)) }));
test('images of one pixel, one column, one row', async () => {
    for (const [width, height] of [[1, 1], [1, 500], [500, 1]])
        await server.complete({ images: [dataUri(png(width, height, () => [200, 10, 10]))] });
});
test('a photo, an animated picture and a picture with transparency', async () => {
    for (const type of ['jpg', 'gif', 'webp']) await server.complete({ images: [dataUri(await encoded(type, warm))] });
});
test('prompts in many scripts, and very long ones', async () => {
    for (const prompt of ['猫が走る 让它动起来', 'مرحبا بالعالم', 'שלום עולם', 'हिन्दी में', '👩‍🚀🇩🇪', 'word '.repeat(3000), 'x'.repeat(5000), '<b>&amp;%s %n\u202e\u0007'])
        await server.complete({ prompt });
});
test('an image that breaks off fails with a reason, charged to nobody', async () => {
    const { id } = await server.create({ images: [dataUri(warm.subarray(0, warm.length / 2))] });
    const end = await server.waitEnd(id);
    assert.deepEqual([end.status, end.error.code], ['failed', 'image_invalid']);
    assert.match(end.error.message, /image 1/i);
    assert.match(end.error.message, /charged/);
});

test('the servers ended well', endedWell);
