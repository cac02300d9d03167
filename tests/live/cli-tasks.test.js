// SPDX-License-Identifier: Apache-2.0
//
// `filmgate list` with its filters, `rm` and `timeline`, as people type them and as programs read them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, endedWell, start, terminal } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const operator = await server.addKey('boss', { operator: true });

const env = (key = server.key) => ({ FILMGATE_URL: server.url, FILMGATE_KEY: key });
const filmgate = (args, key) => command(args, { env: env(key) });
async function good(args, key) {
    const { status, stdout, stderr } = await filmgate(args, key);
    assert.deepEqual([status, stderr], [0, ''], `filmgate ${args.join(' ')}`);
    return stdout;
}
const listed = async (...args) => JSON.parse(await good(['list', '--json', '--all', ...args])).map((task) => task.id);
async function fails(status, pattern, args) {
    const said = await filmgate(args);
    assert.equal(said.status, status, `filmgate ${args.join(' ')}: ${said.stdout}${said.stderr}`);
    assert.match(said.stderr, pattern);
    return said.stdout;
}

const made = {};
test('some tasks', async () => {
    made.done = (await server.complete({ prompt: 'A paper boat' })).id;
    made.running = (await server.create({ prompt: 'long', duration: 60, size: 'large' })).id;
    made.waiting = (await server.create({ prompt: 'another boat', model: 'grok-video-3' })).id;
    made.cancelled = (await server.create({ prompt: 'no' })).id;
    await server.cancel(made.cancelled);
});
test('list: filters', async () => {
    assert.deepEqual(await listed(), [made.cancelled, made.waiting, made.running, made.done]);
    assert.deepEqual(await listed('--status', 'ended'), [made.cancelled, made.done]);
    assert.deepEqual(await listed('--status', 'queued,completed'), [made.waiting, made.done]);
    assert.deepEqual(await listed('--model', 'grok*'), [made.waiting]);
    assert.deepEqual(await listed('--search', 'BOAT'), [made.waiting, made.done]);
    assert.deepEqual(await listed('--search', 'boat', '--model', 'sora-2'), [made.done]);
    assert.deepEqual(await listed('--since', '1h'), await listed());
    assert.deepEqual(await listed('--since', '2000-01-01', '--until', '2001-01-01T00:00:00Z'), []);
    assert.deepEqual(await listed('--until', '1h'), []);
    assert.deepEqual(JSON.parse(await good(['list', '--json', '--limit', '2', '--status', 'ended'])).map((task) => task.id), [made.cancelled, made.done]);
});
test('list: a table, whatever it is of', async () => {
    const lines = (await good(['list', '--search', 'boat'])).trimEnd().split('\n');
    assert.match(lines[0], /^ID +STATUS +DONE +AGE +PROMPT$/);
    assert.match(lines[1], /^grok-video-3:task_\S+ +queued +0% +\d+s +another boat$/);
    assert.equal(lines.length, 3);
    assert.equal(await good(['list', '--search', 'no such words']), '');
    assert.match((await terminal(['list', '--search', 'no such words'], { env: env() })).said, /no such tasks/);
});
test('list: columns are as wide as the longest id, lines as long as the terminal', async () => {
    const model = 'doubao-seedance-1-0-pro-250528';
    const prompt = `ferry ${'across the lake '.repeat(8)}`;
    const long = (await server.create({ prompt, model })).id;
    const short = (await server.create({ prompt: 'ferry at night' })).id;
    await Promise.all([server.cancel(long), server.cancel(short)]);
    const lines = (await good(['list', '--search', 'ferry'])).trimEnd().split('\n');
    assert.equal(lines.length, 3);
    for (const [at, word] of [[0, 'STATUS'], [1, 'cancelled'], [2, 'cancelled']]) assert.equal(lines[at].indexOf(word), long.length + 2, lines[at]);
    assert.ok(lines[2].endsWith(`${prompt.slice(0, 48)}…`), lines[2]);
    const narrow = async (...args) => (await terminal(['list', ...args], { env: env() })).said.trimEnd().split('\n'); // 80 columns
    const [heading, row] = await narrow('--search', 'ferry at');
    assert.equal(heading.indexOf('STATUS'), short.length + 2);
    assert.ok(row.endsWith('ferry at night'), row);
    const [, cut] = await narrow('--model', model);
    assert.ok(cut.startsWith(`${long}  `) && cut.endsWith(`${prompt.slice(0, 8)}…`), cut);
    const boat = (await narrow('--search', 'another boat')).at(-1);
    assert.ok(boat.length <= 80, boat);
    await good(['rm', long, short]);
});
test('list: what it does not understand', async () => {
    await fails(2, /--since must be a time like/, ['list', '--since', 'yesterday']);
    await fails(2, /--until must be a time like/, ['list', '--until', '2x']);
    await fails(2, /what is "more" for/, ['list', 'more']);
    await fails(3, /status must be/, ['list', '--status', 'done']);
});
test('timeline: a table with relative times, or an array', async () => {
    const lines = (await good(['timeline', made.done])).trimEnd().split('\n');
    assert.match(lines[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}created, queued$/);
    for (const line of lines.slice(1)) assert.match(line, /^ +\+(\d+\.\d{3}s|\d+m\d\ds) {2}\S/);
    assert.deepEqual(lines.map((line) => line.slice(22)), ['created, queued', 'submitting', 'attempt 1 begun, animatic', 'rendering', 'fetching', 'completed', 'attempt 1 closed: finished, animatic']);
    assert.match(await good(['timeline', made.done], operator), /attempt 1 begun, channel \S+\n/);
    const entries = JSON.parse(await good(['timeline', made.done, '--json']));
    assert.equal(entries.length, lines.length);
    await fails(3, /no such task/, ['timeline', 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60']);
    await fails(2, /id is missing/, ['timeline']);
    await fails(2, /what is "b" for/, ['timeline', 'a', 'b']);
});
test('rm: what has ended, all that can be, and the first trouble is the status', async () => {
    assert.equal(await fails(3, /has not ended: cancel it first/, ['rm', made.waiting, made.cancelled]), `deleted ${made.cancelled}\n`);
    assert.deepEqual(await listed('--status', 'ended'), [made.done]);
    await fails(3, /no such task/, ['rm', made.cancelled]);
    await fails(2, /ids are missing/, ['rm']);
});
test('rm: cancels first when told to', async () => {
    const said = await good(['rm', '--json', '--cancel', made.waiting, made.running, made.done]);
    assert.deepEqual(said.trimEnd().split('\n').map((line) => JSON.parse(line)), [made.waiting, made.running, made.done].map((id) => ({ id, object: 'video.deleted', deleted: true })));
    assert.deepEqual(await listed(), []);
});
test('each has its help', async () => {
    for (const name of ['list', 'rm', 'timeline']) assert.match(await good([name, '--help']), new RegExp(`^Usage: filmgate ${name} `));
    assert.match(await good(['help']), /\n {2}rm +.*\n {2}timeline /);
});

test('the servers ended well', endedWell);
