// SPDX-License-Identifier: Apache-2.0
//
// The parts of a multipart/form-data body: {name, filename, type, bytes, text}. The text of a file part
// is null, so that nobody takes a file for a field.
const MAX_PARTS = 200;

export function isMultipart(type = '') {
    return /^multipart\/form-data\b/i.test(type);
}

function parameter(header, name) {
    const found = new RegExp(`[;\\s]${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]+))`, 'i').exec(header);
    return found === null ? undefined : (found[1] ?? found[2]).replace(/\\(.)/g, '$1');
}

function partOf(bytes) {
    const gap = bytes.indexOf('\r\n\r\n');
    if (gap === -1) throw new Error('a part has no end of its header');
    const header = Object.fromEntries(
        bytes.subarray(0, gap).toString('utf8').split('\r\n').map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
        }),
    );
    const disposition = header['content-disposition'] ?? '';
    const name = parameter(disposition, 'name');
    if (name === undefined) throw new Error('a part has no name');
    const filename = parameter(disposition, 'filename');
    const body = bytes.subarray(gap + 4);
    return { name, filename, type: header['content-type'], bytes: body, text: filename === undefined ? body.toString('utf8') : null };
}

// Throws where the body is not what its type says.
export function readMultipart(type, body) {
    const boundary = parameter(type, 'boundary');
    if (boundary === undefined) throw new Error('multipart without a boundary');
    const mark = Buffer.from(`\r\n--${boundary}`);
    const whole = Buffer.concat([Buffer.from('\r\n'), body]); // the first mark has no line before it
    const parts = [];
    let at = whole.indexOf(mark);
    for (;;) {
        if (at === -1) throw new Error('multipart without its last boundary');
        const begin = at + mark.length;
        if (whole.subarray(begin, begin + 2).toString() === '--') return parts;
        if (parts.length === MAX_PARTS) throw new Error(`more than ${MAX_PARTS} parts`);
        at = whole.indexOf(mark, begin);
        parts.push(partOf(whole.subarray(begin + 2, at === -1 ? undefined : at)));
    }
}
