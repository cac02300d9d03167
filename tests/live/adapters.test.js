// SPDX-License-Identifier: Apache-2.0
//
// `filmgate adapters`: beginning, listing, showing and testing the programs that speak to upstreams.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { command, endedWell, newDirectory, ROOT } from './harness.js';

const adapters = (...args) => command(['adapters', ...args]);

async function ok(...args) {
    const result = await adapters(...args);
    assert.equal(result.status, 0, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return result.stdout;
}

async function ends(status, ...args) {
    const result = await adapters(...args);
    assert.equal(result.status, status, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return result;
}

// A folder with one adapter, made from the template; `change` alters its text or its golden exchanges.
async function made(change = (text) => text, changeGolden = (text) => text) {
    const folder = newDirectory();
    await ok('new', 'acme', '--adapters', folder);
    const file = path.join(folder, 'acme.jq');
    const golden = path.join(folder, 'acme.golden.json');
    fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));
    fs.writeFileSync(golden, changeGolden(fs.readFileSync(golden, 'utf8')));
    return { folder, file, golden };
}

test('what `new` writes passes `test`, by file and by name', async () => {
    const { folder, file } = await made();
    for (const args of [[file], ['acme', '--adapters', folder, '--golden', path.join(folder, 'acme.golden.json')], ['acme', '--adapters', folder]]) {
        const text = await ok('test', ...args);
        assert.match(text, /^ok +about +it compiles/);
        assert.match(text, /\nacme: 16 golden exchanges, 0 failed\n$/);
        assert.doesNotMatch(text, /FAIL/);
    }
});
test('`new` says whose place it takes, `test` what the golden exchanges leave out', async () => {
    const folder = newDirectory();
    assert.match((await ends(0, 'new', 'kling', '--adapters', folder)).stderr, /"kling" is built in: in a folder `adapters` this file takes its place/);
    assert.doesNotMatch((await ends(0, 'new', 'acme', '--adapters', folder)).stderr, /built in/);
    const kept = (drop) => (text) => JSON.stringify({ ...JSON.parse(text), cases: JSON.parse(text).cases.filter((entry) => !drop(entry)) });
    const whole = await ends(0, 'test', (await made()).file);
    assert.equal(whole.stderr, '');
    const jobless = await made(undefined, kept(({ function: name, output }) => name === 'submitted' && output?.job !== undefined));
    assert.match((await ends(0, 'test', jobless.file)).stderr, /no golden exchange makes `submitted` give a `job`/);
    const cancelless = await made((text) => `${text.replace(/cancel: *\{while: *\[[^\]]*\]\},?/, '')}\ndef cancel: null;\ndef cancelled: {state: "refused"};\n`);
    assert.match((await ends(1, 'test', cancelless.file)).stderr, /this adapter has no `cancel`.*take the case out/);
});
test('`new` never writes over a file', async () => {
    const { folder, file, golden } = await made(() => 'mine');
    assert.match((await ends(2, 'new', 'acme', '--adapters', folder)).stderr, /acme\.golden\.json" is there already/);
    fs.rmSync(golden);
    assert.match((await ends(2, 'new', 'acme', '--adapters', folder)).stderr, /acme\.jq" is there already/);
    assert.equal(fs.readFileSync(file, 'utf8'), 'mine');
    assert.ok(!fs.existsSync(golden));
    for (const name of ['Acme', '', '../x', 'a.b', '-a', 'a'.repeat(41)]) assert.match((await ends(2, 'new', '--adapters', folder, '--', name)).stderr, /must be 1 to 40 of a-z 0-9 -/);
    await ends(5, 'new', 'acme', '--adapters', path.join(folder, 'nowhere'));
});
test('what is no adapter gets no file, and a file of that name is refused', async () => {
    const folder = newDirectory();
    assert.match((await ends(2, 'new', 'command', '--adapters', folder)).stderr, /"command" is no adapter: a channel with it runs a program of yours/);
    assert.match((await ends(2, 'new', 'animatic', '--adapters', folder)).stderr, /"animatic" is no adapter: a channel with it is served by the built-in engine/);
    assert.deepEqual(fs.readdirSync(folder), []);
    for (const name of ['command', 'animatic']) {
        assert.match((await ends(2, 'show', name)).stderr, new RegExp(`"${name}" is no adapter`));
        fs.writeFileSync(path.join(folder, `${name}.jq`), 'def about: {};\n');
        assert.match((await ends(1, 'list', '--adapters', folder)).stderr, new RegExp(`${name}\\.jq: "${name}" is no adapter and cannot be replaced`));
        fs.rmSync(path.join(folder, `${name}.jq`));
    }
});
test('the template is the one that docs/ADAPTERS.md explains', async () => {
    const { file } = await made();
    const explained = [...fs.readFileSync(path.join(ROOT, 'docs/ADAPTERS.md'), 'utf8').matchAll(/```jq\n([^]*?)```/g)].map(([, text]) => text);
    assert.ok(explained.length >= 4);
    const text = fs.readFileSync(file, 'utf8');
    for (const part of explained) assert.ok(text.includes(part), part);
});

test('its other way to submit works too', async () => {
    const recipes = [...fs.readFileSync(path.join(ROOT, 'docs/ADAPTERS.md'), 'utf8').matchAll(/```jq recipe\n([^]*?)```/g)].map(([, text]) => text);
    assert.equal(recipes.length, 1);
    const { file, golden } = await made();
    fs.appendFileSync(file, recipes[0]); // a later definition takes the place of an earlier one
    const image = { role: 'first', url: null, type: 'image/png' };
    const job = (more) => ({ method: 'POST', path: '/v1/jobs', json: { model: 'film-1', prompt: 'a boat', ...more } });
    const cases = [
        { name: 'without an image', function: 'submit', output: job() },
        { name: 'the upload', function: 'submit', input: { task: { images: [image] } }, output: { method: 'POST', path: '/v1/files', buys: false, form: [{ name: 'file', value: { $image: 0, as: ['file'] } }] } },
        { name: 'uploaded', function: 'submitted', input: { task: { images: [image] } }, answer: { status: 201, body: { id: 'f1' } }, output: { next: true, keep: { file: 'f1' } } },
        { name: 'the job', function: 'submit', input: { task: { images: [image] }, step: 1, keep: { file: 'f1' } }, output: job({ image: 'f1' }) },
        { name: 'taken', function: 'submitted', input: { task: { images: [image] }, step: 1, keep: { file: 'f1' } }, answer: { status: 201, body: { id: 'j1' } }, output: { job: 'j1' } },
        { name: 'taken at once', function: 'submitted', answer: { status: 201, body: { id: 'j1' } }, output: { job: 'j1' } },
        { name: 'without an id', function: 'submitted', answer: { status: 200, body: {} }, output: { error: { code: 'no_job_id', message: 'the answer to the submit names no id', kind: 'unknown' } } },
        { name: 'refused', function: 'submitted', answer: { status: 413, text: 'too large' }, output: { error: { code: 'http_413', message: 'the submit was answered with HTTP 413', kind: 'refused' } } },
    ];
    fs.writeFileSync(golden, JSON.stringify({ adapter: 'acme', task: { model: 'film-1', prompt: 'a boat', images: [] }, cases: cases.map((one) => ({ source: 'the page', ...one })) }));
    assert.match(await ok('test', file), /\nacme: 8 golden exchanges, 0 failed\n$/);
});

test('`list` and `show` say what an adapter says about itself', async () => {
    const { folder, file } = await made();
    const lines = (await ok('list', '--adapters', folder)).split('\n');
    assert.match(lines[0], /^NAME +EVIDENCE +AUTH +CANCEL WHILE +CALLBACKS +FROM +SUMMARY$/);
    assert.ok(lines.some((line) => /^acme +documented +bearer +pending,rendering /.test(line) && line.includes(file)));
    const row = JSON.parse(await ok('list', '--adapters', folder, '--json')).find(({ name }) => name === 'acme');
    assert.deepEqual(row, { name: 'acme', evidence: 'documented', auth: 'bearer', cancel: ['pending', 'rendering'], callback: false, file, summary: row.summary });
    const shown = await ok('show', 'acme', '--adapters', folder);
    assert.match(shown, /^poll\.every_s +5$/m);
    assert.match(shown, /^job\.chosen +false$/m);
    assert.match(shown, /^models\[0\]\.durations\.most +12$/m);
    const { about, name } = JSON.parse(await ok('show', 'acme', '--adapters', folder, '--json'));
    assert.equal(name, 'acme');
    assert.deepEqual(about.poll, { first_s: 10, every_s: 5, longest_s: 60 });
    assert.equal(await ok('show', 'acme', '--source', '--adapters', folder), fs.readFileSync(file, 'utf8'));
});
test('the folder is the configuration\'s where --adapters names none', async () => {
    const { folder } = await made();
    const config = path.join(newDirectory(), 'filmgate.yaml');
    const names = async (...args) => JSON.parse(await ok('list', '--json', ...args)).map(({ name }) => name);
    fs.writeFileSync(config, `adapters: ${folder}\n`);
    assert.ok((await names('--config', config)).includes('acme'));
    assert.ok(!(await names()).includes('acme'));
    assert.ok(!(await names('--config', config, '--adapters', newDirectory())).includes('acme'), 'what the command line says goes before');
    assert.match(await ok('show', 'acme', '-c', config), /^name +acme$/m);
    assert.match(await ok('test', 'acme', '-c', config), /\nacme: 16 golden exchanges, 0 failed\n$/);
    await ok('new', 'other', '--config', config);
    assert.ok(fs.existsSync(path.join(folder, 'other.jq')));
    assert.match((await ends(2, 'list', '--config', '/nonexistent.yaml')).stderr, /nonexistent\.yaml: cannot be opened/);
});
test('a broken adapter is told with its line, the others are listed all the same', async () => {
    const { folder } = await made();
    fs.writeFileSync(path.join(folder, 'bad.jq'), 'def about: {};\n\ndef submit: foo;\n');
    const { stdout, stderr } = await ends(1, 'list', '--adapters', folder);
    assert.match(stdout, /^acme /m);
    assert.match(stderr, /adapter "bad" does not compile: .*bad\.jq:3: foo\/0 is not defined/);
    fs.writeFileSync(path.join(folder, 'bad.jq'), 'def about:\n  env;\n');
    assert.match((await ends(1, 'list', '--adapters', folder)).stderr, /bad\.jq:2: an adapter may not use "env"/);
});
test('a name that is not there suggests the nearest one', async () => {
    const { folder } = await made();
    assert.match((await ends(2, 'show', 'acne', '--adapters', folder)).stderr, /no adapter "acne"; is it "acme" you mean/);
    assert.match((await ends(2, 'show', 'seedance')).stderr, /no adapter "seedance"; is it "ark" you mean\? `filmgate adapters list`/);
    assert.match((await ends(2, 'test', 'xyzzy', '--adapters', folder)).stderr, /`filmgate adapters list`/);
});

test('all adapters and all bad answers: a table, in which nothing may be wrong', async () => {
    const names = JSON.parse(await ok('list', '--json')).map(({ name }) => name).filter((name) => name !== 'command'); // runs a program
    const text = await ok('test');
    for (const heading of ['submitted', 'polled', 'cancelled']) {
        const [, ...rows] = text.split('\n\n').find((part) => part.startsWith(`${heading} `)).split('\n');
        assert.deepEqual(rows.map((row) => row.split(' ')[0]), names, heading);
    }
    assert.match(text, new RegExp(`\n${names.length} adapters, 0 bad answers read wrongly\n$`));
    const table = JSON.parse(await ok('test', '--json'));
    assert.deepEqual(table.map(({ adapter }) => adapter), names);
    for (const { adapter, faults } of table) {
        const page = faults.find((row) => row.function === 'submitted' && row.fault === 'page');
        assert.deepEqual([page.verdict, page.ok], ['unknown', true], adapter);
    }
    assert.match((await ends(2, 'test', '--golden', 'x.json')).stderr, /--golden is for one adapter/);
});
// What would buy twice, or end a job that is paid for.
const WRONG = [
    ['a lost answer is a refusal', (text) => text.replace('def submitted: job_or(', 'def submitted: if is_success then refusal(""; ""; "refused") else job_or(').replace('kind_of_status));', 'kind_of_status)) end;'), /FAIL +submitted +the answer "empty" was taken for "refused", not for: unknown\n +got +\{"error":/],
    ['a trouble of the server is a refusal', (text) => text.replace('.status | kind_of_status', '"refused"'), /FAIL +submitted +the answer "502" was taken for "refused"/],
    ['any answer is a job', (text) => text.replace('.body | text_at("id")', '"1"'), /the answer "\{\}" was taken for "accepted"/],
    ['an unknown state is a failure', (text) => text.replace('polled_by(verdict)', 'polled_by(verdict | if .state == "unclear" then {state: "gone"} else . end)'), /FAIL +polled +the answer "\{\}" was taken for "gone"/],
    ['a refused poll is a failure', (text) => text.replace('if_named("id"; polled_by(verdict))', 'if .status >= 400 then failed("x"; ""; "failed") else polled_by(verdict) end'), /FAIL +polled +the answer "401" was taken for "failed"/],
    ['a page cancels', (text) => text.replace('if is_page then {state: "unclear"}\n  elif', 'if'), /FAIL +cancelled +the answer "page" was taken for "cancelled"/],
];
for (const [what, change, complaint] of WRONG) test(`what an adapter may not make of a bad answer is told: ${what}`, async () => {
    const { folder, file } = await made((text) => {
        assert.notEqual(change(text), text);
        return change(text);
    });
    assert.match((await ends(1, 'test', file)).stdout, complaint);
    assert.match((await ends(1, 'test', '--adapters', folder)).stdout, /^acme .*![a-z]/m);
});

test('a golden exchange that differs shows both sides', async () => {
    const { file } = await made((text) => text.replace('queued: "pending"', 'queued: "rendering"'));
    const { stdout } = await ends(1, 'test', file);
    assert.match(stdout, /FAIL +polled +queued\n +expected +\{"state":"pending"\}\n +got +\{"state":"rendering"\}\n/);
    assert.match(stdout, /16 golden exchanges, 1 failed\n$/);
    const report = JSON.parse((await ends(1, 'test', file, '--json')).stdout);
    assert.equal(report.failed, 1);
    assert.deepEqual(report.cases.find((row) => !row.ok), { name: 'queued', function: 'polled', ok: false, expected: { state: 'pending' }, got: { state: 'rendering' } });
});
test('a fault shows its sentence, and a case may expect it', async () => {
    const { file, golden } = await made((text) => text.replace('polled_by(verdict)', 'if at("body.state") == "queued" then error("why not") else polled_by(verdict) end'));
    assert.match((await ends(1, 'test', file)).stdout, /fault +"adapter \\"acme\\", polled: why not"/);
    fs.writeFileSync(golden, fs.readFileSync(golden, 'utf8').replace('"output": {"state": "pending"}', '"fault": "why not"'));
    await ok('test', file);
});
test('an answer goes through the reader of the wire', async () => {
    const polled = 'def polled: if .body == null then .text else .body end;';
    const output = (answer, value) => ({ name: JSON.stringify(answer).slice(0, 60), source: 'here', function: 'polled', input: { job: 'j' }, answer, output: value });
    const cases = [
        output({ text: '{"id": 9007199254740993}' }, { id: '9007199254740993' }),
        output({ body: { id: 1.0 } }, { id: 1 }),
        output({ text: 'h\u00e9' }, 'h\u00e9'),
        output({ body: [{ $base64: 16384 }, { $base64: 20000, before: 'data:video/mp4;base64,' }, { $base64: 4 }] }, [{ $blob: 0 }, { $blob: 1, type: 'video/mp4' }, 'AAAA']),
    ];
    const { file } = await made((text) => text.replace(/def polled:[^]*?\n\n/, `${polled}\n\n`), () => JSON.stringify({ adapter: 'acme', cases }));
    const report = JSON.parse((await ends(1, 'test', file, '--json')).stdout); // what it says of bad answers is nonsense
    assert.deepEqual(report.cases.map((row) => row.ok), cases.map(() => true));
});
test('golden files that cannot be used are refused with a reason', async () => {
    const good = { name: 'a', source: 'b', function: 'poll', input: { job: 'j' }, output: {} };
    const wrong = [
        ['{', /acme\.golden\.json:1: /],
        [JSON.stringify({ adapter: 'other', cases: [good] }), /is for the adapter "other", not for "acme"/],
        [JSON.stringify({ adapter: 'acme', cases: [] }), /has no list of "cases"/],
        [JSON.stringify({ adapter: 'acme', task: [], cases: [good] }), /"task" is no object/],
    ];
    const bad = [
        [{ name: undefined }, /no "name"/], [{ source: undefined }, /no "source"/], [{ function: 'pol' }, /none of about, submit/], [{ input: [] }, /"input" is no object/],
        [{ answer: {} }, /only submitted, polled and cancelled/], [{ function: 'polled' }, /has no "answer"/], [{ function: 'polled', answer: { body: 1, text: '1' } }, /both "body" and "text"/],
        [{ output: undefined }, /either an "output" or a "fault"/], [{ fault: 'x' }, /either an "output" or a "fault"/],
    ];
    for (const [change, reason] of bad) wrong.push([JSON.stringify({ adapter: 'acme', cases: [good, { ...good, ...change }] }), new RegExp(`case 2: .*${reason.source}`)]);
    const { file, golden } = await made();
    for (const [text, reason] of wrong) {
        fs.writeFileSync(golden, text);
        assert.match((await ends(2, 'test', file)).stderr, reason);
    }
    assert.match((await ends(2, 'test', file, '--golden', '/nonexistent')).stderr, /cannot be read/);
});
test('without golden exchanges it compiles and says so', async () => {
    const { file, golden } = await made();
    fs.rmSync(golden);
    const { stdout, stderr } = await ends(0, 'test', file);
    assert.match(stdout, /^ok +about/);
    assert.match(stderr, /no golden exchanges were run: --golden names a file of them\n$/);
    const [, own] = (await ends(0, 'test', 'kling')).stderr.match(/--golden names a file of them \(in a clone, (\S+)\)\n$/);
    assert.ok(fs.existsSync(path.join(ROOT, own)), own);
});

test('a program that never ends is stopped', async () => {
    const { file } = await made((text) => text.replace('def poll:', 'def poll: def f: f; f; def unused:'));
    const { stdout } = await ends(1, 'test', file);
    assert.match(stdout, /FAIL +poll +how to ask\n.*\n +fault +"adapter \\"acme\\", poll: it takes longer than 5 seconds"/);
    assert.match(stdout, /16 golden exchanges, 1 failed\n$/);
});

const usages = [['nonsense'], ['list', 'x'], ['show'], ['new'], ['test', 'a', 'b'], ['show', 'a', 'b'], ['test', '--nonsense']];
for (const args of usages)
    test(`usage: adapters ${args.join(' ')}`, async () => {
        assert.match((await ends(2, ...args)).stderr, /^filmgate adapters: .*\n.*adapters --help/);
        const error = JSON.parse((await ends(2, ...args, '--json')).stderr);
        assert.equal(typeof error.error.message, 'string');
    });
test('errors are JSON with --json', async () => {
    const { stderr } = await ends(1, 'test', '/nonexistent/a.jq', '--json');
    const { error } = JSON.parse(stderr);
    assert.match(error.message, /cannot be read/);
    assert.equal(error.code, 'adapter_invalid');
});

test('who calls back: the list and docs/upstreams/README.md say the same', async () => {
    const table = new Map([...fs.readFileSync(path.join(ROOT, 'docs/upstreams/README.md'), 'utf8').matchAll(/^\| \[`([a-z0-9-]+)`\]\(.*/gm)]
        .map(([line, name]) => [name, line.split(' | ')[5] !== 'no']));
    const told = JSON.parse(await ok('list', '--json')).map(({ name, callback }) => [name, callback]);
    assert.deepEqual(Object.fromEntries(table), Object.fromEntries(told));
    const words = (await ok('list')).split('\n').slice(1, -1).map((line) => line.split(/ {2,}/)).map(([name, , , , callback]) => [name, callback === 'yes']);
    assert.deepEqual(Object.fromEntries(words), Object.fromEntries(told));
});

// The built-in adapters and their golden exchanges. `command` is listed with them and is none.
for (const { name, file } of JSON.parse(await ok('list', '--json')).filter((row) => row.name !== 'command')) {
    const golden = path.join(ROOT, 'tests/golden', `${name}.json`);
    test(`the built-in adapter ${name} stands its golden exchanges`, async () => {
        assert.equal(file, null);
        assert.match(await ok('test', name, '--golden', golden), / 0 failed\n$/);
    });
}

test('the servers ended well', endedWell);
