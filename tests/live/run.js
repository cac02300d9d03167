// SPDX-License-Identifier: Apache-2.0
//
// Runs all test files, two at a time, and says how it went; the last line is «N passed, N failed».
//     node run.js [--quick] [NAME …]      NAME: part of a file's name
import fs from 'node:fs';
import path from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const LONG = ['bombs', 'durability', 'helper-crash', 'outage', 'page-ui', 'render', 'restart', 'simulators', 'storm'];
const CONCURRENCY = 2;
const LAST_TEST = 'the servers ended well'; // of every file: without it the file broke off
const here = path.dirname(fileURLToPath(import.meta.url));

const options = process.argv.slice(2);
const isQuick = options.includes('--quick');
const names = options.filter((option) => option !== '--quick');
if (isQuick) process.env.UPSTREAM ??= 'unified,comfyui'; // of all: one that is paid, one that is asked for by an id of ours
const subject = (file) => path.basename(file, '.test.js');

function chosen() {
    return fs.readdirSync(here)
        .filter((file) => file.endsWith('.test.js'))
        .filter((file) => !isQuick || !LONG.includes(subject(file)))
        .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
        .sort((a, b) => LONG.includes(subject(b)) - LONG.includes(subject(a)) || a.localeCompare(b))
        .map((file) => path.join(here, file));
}

// Of each file: when it began, what passed and failed. Older Nodes report a file itself as a test.
const files = new Map();
let passed = 0, failed = 0;

function entry(file) {
    if (!files.has(file)) files.set(file, { milliseconds: 0, passed: 0, failed: 0, isWhole: false });
    return files.get(file);
}

function isFile(data) {
    return data.nesting === 0 && (data.name === data.file || data.name.endsWith('.test.js'));
}

function explain(data) {
    const error = data.details?.error;
    const cause = error?.cause ?? error;
    const text = typeof cause === 'string' ? cause : cause?.stack ?? String(cause);
    return text.split('\n').slice(0, 25).map((line) => `    ${line}`).join('\n');
}

function count(data, isGood) {
    const file = subject(data.file ?? data.name);
    const mine = entry(file);
    // A file fails with its tests; on its own only when it broke off.
    if (data.details?.type === 'suite' || (isFile(data) && (isGood || mine.failed > 0))) return;
    if (data.name === LAST_TEST) mine.isWhole = true;
    // A test that was left out proves nothing.
    const isReal = isGood && data.skip === undefined && data.todo === undefined;
    mine.milliseconds += data.details?.duration_ms ?? 0;
    if (isReal) {
        mine.passed++;
        passed++;
        return;
    }
    mine.failed++;
    failed++;
    console.log(`✖ ${file}: ${data.name}\n${isGood ? '    it was skipped' : explain(data)}`);
}

const began = performance.now();
const all = chosen();
const stream = run({ files: all, concurrency: CONCURRENCY });
stream.on('test:pass', (data) => count(data, true));
stream.on('test:fail', (data) => count(data, false));
stream.on('test:stderr', (data) => process.stderr.write(data.message));
stream.on('end', () => {
    for (const file of all.map(subject)) {
        if (entry(file).isWhole) continue;
        entry(file).failed++;
        failed++;
        console.log(`✖ ${file}: it broke off before its end`);
    }
    console.log();
    for (const [file, { milliseconds, passed: good, failed: bad }] of [...files].sort((a, b) => b[1].milliseconds - a[1].milliseconds))
        console.log(`${(milliseconds / 1000).toFixed(1).padStart(8)} s  ${file}: ${good} passed, ${bad} failed`);
    console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(8)} s  in all`);
    process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
    console.log(`${passed} passed, ${failed} failed`);
});
stream.resume();
