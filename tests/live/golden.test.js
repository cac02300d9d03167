// SPDX-License-Identifier: Apache-2.0
//
// Every built-in adapter against its golden exchanges, tests/golden/NAME.json, and that such a run can fail.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { command, endedWell, newDirectory, ROOT } from './harness.js';

const FUNCTIONS = ['about', 'submit', 'submitted', 'poll', 'polled'];
const LEAST = 15;
const golden = (name) => path.join(ROOT, 'tests/golden', `${name}.json`);
const names = fs.readdirSync(path.join(ROOT, 'tests/golden'))
    .filter((file) => file.endsWith('.json'))
    .map((file) => path.basename(file, '.json'));
const read = (name) => JSON.parse(fs.readFileSync(golden(name), 'utf8'));
const run = (name, file) => command(['adapters', 'test', name, '--golden', file]);

// The last golden exchange of `name` that calls `wanted`, alone in a file, with an expectation that is wrong.
function spoiled(name, wanted) {
    const { adapter, task, cases } = read(name);
    const one = cases.findLast((candidate) => candidate.function === wanted);
    const file = path.join(newDirectory(), `${name}.json`);
    fs.writeFileSync(file, JSON.stringify({ adapter, task, cases: [{ ...one, output: { ...one.output, surprise: true } }] }));
    return { file, title: one.name };
}

test('every adapter has golden exchanges', () => {
    const programs = fs.readdirSync(path.join(ROOT, 'adapters'))
        .filter((file) => file.endsWith('.jq') && !['prelude.jq', 'template.jq'].includes(file))
        .map((file) => path.basename(file, '.jq'));
    assert.deepEqual(names, programs);
});

for (const name of names) {
    test(`${name}: of every function, each with the source of its fact`, () => {
        const { adapter, cases } = read(name);
        assert.equal(adapter, name);
        assert.ok(cases.length >= LEAST, `${cases.length} cases`);
        assert.equal(new Set(cases.map((one) => one.name)).size, cases.length, 'names are unique');
        for (const wanted of FUNCTIONS) assert.ok(cases.some((one) => one.function === wanted), wanted);
        for (const one of cases) assert.ok(one.source?.length > 0, one.name);
    });
    test(`${name}: as expected`, async () => {
        const said = await run(name, golden(name));
        assert.equal(said.status, 0, said.stdout + said.stderr);
        assert.match(said.stdout + said.stderr, new RegExp(`\\b${read(name).cases.length} golden exchanges, 0 failed`));
    });
    test(`${name}: what is not as expected fails`, async () => {
        for (const wanted of FUNCTIONS) {
            const { file, title } = spoiled(name, wanted);
            const said = await run(name, file);
            assert.equal(said.status, 1, said.stdout + said.stderr);
            assert.match(said.stdout + said.stderr, /\b1 golden exchanges, 1 failed/);
            assert.ok((said.stdout + said.stderr).includes(title), `${title}: ${said.stdout}`);
        }
    });
}

test('the servers ended well', endedWell);
