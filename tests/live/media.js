// SPDX-License-Identifier: Apache-2.0
//
// Images to send and ways to look at what comes back. PNG is written here, byte by byte, so that
// no test depends on the tool that it judges; ffmpeg makes the other formats and reads the videos.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after } from 'node:test';
import zlib from 'node:zlib';
import { newDirectory, tool } from './harness.js';

const CRC = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    return n >>> 0;
});

function crc32(bytes) {
    let crc = 0xffffffff;
    for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
    return (crc ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
}

// An RGB picture; `paint(x, y)` with 0..1 each gives [r, g, b] with 0..255.
export function png(width, height, paint) {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header.set([8, 2, 0, 0, 0], 8);
    const rows = Buffer.alloc(height * (1 + 3 * width));
    for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) rows.set(paint(x / width, y / height), y * (1 + 3 * width) + 1 + 3 * x);
    const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
    return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

// Two that nobody takes for one another: warm rings, cold stripes.
export const warm = png(352, 640, (x, y) => {
    const r = Math.hypot(x - 0.5, (y - 0.5) * 1.8);
    return [200 + 50 * Math.cos(18 * r), 110 + 70 * Math.cos(18 * r), 40];
});
export const cold = png(352, 640, (x, y) => [20, 90 + 60 * Math.sin(14 * (x + y)), 150 + 90 * Math.sin(14 * (x + y))]);
export const tiny = png(32, 32, (x, y) => [255 * x, 255 * y, 128]);

// The same picture in another format, by ffmpeg: jpg, webp, gif, bmp.
export async function encoded(extension, source = tiny) {
    const directory = newDirectory();
    const from = path.join(directory, 'from.png'), to = path.join(directory, `to.${extension}`);
    fs.writeFileSync(from, source);
    await tool('ffmpeg', '-v', 'error', '-y', '-i', from, to);
    return fs.readFileSync(to);
}

export const dataUri = (bytes, type = 'image/png') => `data:${type};base64,${bytes.toString('base64')}`;

// A web server on loopback, gone at the end of the file; `answer(request, response)` sees every request.
export function imageServer(answer) {
    const server = http.createServer(answer);
    after(() => {
        server.closeAllConnections();
        server.close();
    });
    return new Promise((done) => {
        server.listen(0, '127.0.0.1', () => done({ server, port: server.address().port, url: `http://127.0.0.1:${server.address().port}` }));
    });
}

export function saved(bytes, name) {
    const file = path.join(newDirectory(), name);
    fs.writeFileSync(file, bytes);
    return file;
}

// What ffprobe says of the first video stream; frames are counted by decoding all of them.
export async function probe(file) {
    const { stdout } = await tool('ffprobe', '-v', 'error', '-count_frames', '-select_streams', 'v:0', '-show_streams', '-show_format', '-of', 'json', file);
    const { streams, format } = JSON.parse(stdout);
    assert.equal(streams.length, 1);
    return { ...streams[0], frames: Number(streams[0].nb_read_frames), seconds: Number(format.duration), format: format.format_name };
}

// Decodes everything; any complaint is an error.
export async function decodesCleanly(file) {
    const { stderr } = await tool('ffmpeg', '-v', 'warning', '-xerror', '-i', file, '-f', 'null', '-');
    assert.equal(stderr.toString(), '');
}

// The order of the boxes of an mp4 file: ['ftyp', 'moov', 'mdat', …].
export function boxes(bytes) {
    const found = [];
    for (let at = 0; at + 8 <= bytes.length; ) {
        let size = bytes.readUInt32BE(at);
        found.push(bytes.toString('latin1', at + 4, at + 8));
        if (size === 1) size = Number(bytes.readBigUInt64BE(at + 8));
        if (size === 0) break;
        assert.ok(size >= 8, 'a box has a size');
        at += size;
    }
    return found;
}

// One frame (by number) of a video as a PNG file.
export async function frame(video, number) {
    const file = path.join(newDirectory(), `frame-${number}.png`);
    await tool('ffmpeg', '-v', 'error', '-y', '-i', video, '-vf', `select=eq(n\\,${number})`, '-frames:v', '1', file);
    return file;
}

// Structural similarity of two pictures or videos, 0..1; the second is cropped to the first's shape.
export async function similarity(first, second, { width, height }) {
    const fit = `scale=${width}:${height}:force_original_aspect_ratio=increase,crop=${width}:${height}`;
    const { stderr } = await tool('ffmpeg', '-v', 'info', '-nostats', '-i', first, '-i', second, '-lavfi',
        `[0:v]scale=${width}:${height},format=yuv420p[a];[1:v]${fit},format=yuv420p[b];[a][b]ssim`, '-f', 'null', '-');
    return Number(/All:([\d.]+)/.exec(stderr.toString())[1]);
}
