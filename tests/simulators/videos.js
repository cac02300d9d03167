// SPDX-License-Identifier: Apache-2.0
//
// The results: small real MP4 files (H.264, the index in front), of the shape that was asked for, padded
// to any size with a `free` box, which every player skips.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const read = (name) => fs.readFileSync(fileURLToPath(new URL(`videos/${name}`, import.meta.url)));
const files = { landscape: read('landscape.mp4'), portrait: read('portrait.mp4'), square: read('square.mp4') };
const padded = new Map(); // the last few, so that a padded result is not made for every range of it
const PADDED_KEPT = 4;

export const thumbnail = read('thumbnail.webp');
export const spritesheet = read('spritesheet.jpg');

// Of '1280x720', '9:16', 'portrait': which of the files.
export function shapeOf(text) {
    const found = /^(\d+)\s*[x:*]\s*(\d+)$/i.exec(text ?? '');
    if (found === null) return Object.hasOwn(files, text) ? text : 'landscape';
    const [wide, high] = [Number(found[1]), Number(found[2])];
    if (wide === high) return 'square';
    return wide > high ? 'landscape' : 'portrait';
}

export function video(shape, bytes = 0) {
    const file = files[shapeOf(shape)];
    const missing = bytes - file.length;
    if (missing < 8) return file;
    const key = `${shapeOf(shape)} ${bytes}`;
    if (!padded.has(key)) {
        const box = Buffer.alloc(8);
        box.writeUInt32BE(missing);
        box.write('free', 4);
        if (padded.size >= PADDED_KEPT) padded.clear();
        padded.set(key, Buffer.concat([file, box], bytes));
    }
    return padded.get(key);
}
