// SPDX-License-Identifier: Apache-2.0
//
// `filmgate attempts`: what it lists, beside a running server, and how an unknown attempt is
// resolved.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { command, endedWell, newDirectory, start, terminal, tool } from './harness.js';

const server = await start();
const database = path.join(server.data, 'filmgate.db');
const data = ['--data', server.data];
const TASKS = ['task_01k6x15vhrff09dkkqjrzwhm60', 'task_01k6x15vhrff09dkkqjrzwhm61'];
const id = (n) => `att_01k6x15vhrff09dkkqjrzw${String(n).padStart(4, '0')}`;

const sql = async (text) => String((await tool('sqlite3', '-cmd', '.timeout 60000', database, text)).stdout).trim();
const attempts = (...args) => command(['attempts', ...args, ...data]);

// The built-in engine makes no attempts at upstreams: the rows are a fixture.
async function insert(n, { task = TASKS[0], state = 'finished', open = 0, job = null, keep = null, closed = 1759763427000 } = {}) {
    const text = (value) => (value === null ? 'NULL' : `'${value}'`);
    await sql(`INSERT INTO attempts(id, task_id, tenant, model, attempt, channel, credential, state, is_open, begun_ms, accepted_ms, closed_ms, job, keep, outputs)
        VALUES('${id(n)}', '${task}', 'first', 'sora-2', ${n}, 'kling-main', 'key-a', '${state}', ${open}, 1759763426000, ${job ? 1759763426500 : 0}, ${closed}, ${text(job)}, ${text(keep)}, ${text(keep)})`);
}

async function list(...args) {
    const { status, stdout, stderr } = await attempts('list', '--json', ...args);
    assert.deepEqual([status, stderr], [0, '']);
    return JSON.parse(stdout);
}
const ids = async (...args) => (await list(...args)).map((row) => row.id);

async function fails(status, pattern, ...args) {
    const said = await attempts(...args);
    assert.deepEqual([said.status, said.stdout], [status, ''], said.stderr);
    assert.match(said.stderr, pattern);
    const told = await attempts(...args, '--json');
    assert.deepEqual([told.status, told.stdout], [status, '']);
    assert.match(JSON.parse(told.stderr).error.message, pattern);
}

test('a list of none is empty, as a table and as JSON', async () => {
    assert.deepEqual(await list(), []);
    assert.equal((await attempts('list')).stdout, '');
    assert.match((await terminal(['attempts', 'list', ...data])).said, /no such attempts/);
});
test('the table names each attempt, and ends with what to do when some are unknown', async () => {
    await insert(1, { job: 'job/1?x', keep: '{"token":"hush"}' });
    await insert(2, { state: 'accepted', open: 1, job: 'job-2', closed: 0 });
    const calm = (await attempts('list')).stdout.trimEnd().split('\n');
    assert.equal(calm.length, 3);
    assert.match(calm[0], /^ATTEMPT +TASK +NO +STATE +CHANNEL\/CREDENTIAL +BEGUN +CLOSED +USAGE +JOB$/);
    assert.match(calm[1], new RegExp(`^${id(2)}  ${TASKS[0]}   2  accepted    kling-main/key-a  +2025-10-06T15:10:26Z  -  +-  +job-2$`));
    assert.match(calm[2], new RegExp(`^${id(1)} .* finished .* 2025-10-06T15:10:26Z  2025-10-06T15:10:27Z  -  +job/1\\?x$`));
    await insert(3, { state: 'unknown', task: TASKS[1] });
    await insert(4, { state: 'unknown' });
    const { stdout } = await attempts('list');
    assert.match(stdout, /\n\n2 unknown: look the job up at the vendor.*`filmgate attempts resolve ID --job JOB`, or `--not-taken`\.\n$/);
    assert.doesNotMatch(stdout + JSON.stringify(await list()), /hush/, 'what adapters keep is not shown');
    assert.equal((await attempts()).stdout, stdout, 'told nothing else, it lists');
});
test('newest first, filtered, limited', async () => {
    assert.deepEqual(await ids(), [4, 3, 2, 1].map(id));
    assert.deepEqual(await ids('--unknown'), [4, 3].map(id));
    assert.deepEqual(await ids('--open'), [id(2)]);
    assert.deepEqual(await ids('--task', TASKS[1]), [id(3)]);
    assert.deepEqual(await ids('--task', `sora-2:${TASKS[0]}`, '--unknown'), [id(4)]);
    assert.deepEqual(await ids('--task', TASKS[1], '--open'), []);
    assert.deepEqual(await ids('--limit', '3'), [4, 3, 2].map(id));
});
test('a record as JSON', async () => {
    assert.deepEqual((await list('--open'))[0], {
        id: id(2), task_id: TASKS[0], tenant: 'first', model: 'sora-2', number: 2, state: 'accepted', open: true, channel: 'kling-main', credential: 'key-a',
        job: 'job-2', usage: null, begun_at: '2025-10-06T15:10:26Z', accepted_at: '2025-10-06T15:10:26Z', closed_at: null, resolved_at: null,
    });
});
test('a job of our choice that was certainly not taken is none to look for', async () => {
    for (const state of ['refused', 'not_taken']) {
        await sql(`UPDATE attempts SET state = '${state}', is_open = 0 WHERE id = '${id(2)}'`);
        assert.equal((await list()).find((row) => row.id === id(2)).job, null, state);
        assert.match((await attempts('list')).stdout, new RegExp(`^${id(2)}.* ${state} .* -\n`, 'm'));
    }
    await sql(`UPDATE attempts SET state = 'accepted', is_open = 1 WHERE id = '${id(2)}'`);
});
test('what the upstream says that it used is shown as it stands, or not at all', async () => {
    await sql(`UPDATE attempts SET usage = '{"b":1.50,"a":{"units":"2"}}' WHERE id = '${id(2)}'`);
    assert.deepEqual((await list('--open'))[0].usage, { b: 1.5, a: { units: '2' } });
    assert.match((await attempts('list', '--open')).stdout, /  \{"b":1\.5,"a":\{"units":"2"\}\} +job-2\n/);
    for (const text of ['7', '[1]', '{', '']) {
        await sql(`UPDATE attempts SET usage = '${text}' WHERE id = '${id(2)}'`);
        assert.equal((await list('--open'))[0].usage, null, text);
    }
    await sql(`UPDATE attempts SET usage = NULL WHERE id = '${id(2)}'`);
});
test('more than a page', async () => {
    await sql(`WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1229)
        INSERT INTO attempts(id, task_id, tenant, model, attempt, channel, credential, state, is_open, begun_ms, accepted_ms, closed_ms)
        SELECT 'att_01k6x15vhrff09dkkqjrzx' || i, '${TASKS[0]}', 'first', 'sora-2', 1, 'c', 'k', 'refused', 0, 1, 0, 2 FROM n`);
    assert.equal((await ids()).length, 20);
    assert.equal((await ids('--limit', '201')).length, 201);
    const all = await ids('--limit', '1000');
    assert.deepEqual([all.length, new Set(all).size], [234, 234]);
    assert.equal((await attempts('list', '--limit', '1000')).stdout.match(/^ATTEMPT/gm).length, 1);
    await sql("DELETE FROM attempts WHERE state = 'refused'");
});
test('text that a terminal would obey is not printed', async () => {
    await sql(`UPDATE attempts SET job = 'a' || char(27) || '[2Jb' WHERE id = '${id(1)}'`);
    assert.ok(!(await attempts('list')).stdout.includes('\u001b'));
    await sql(`UPDATE attempts SET job = CAST(x'ff61' AS TEXT) WHERE id = '${id(1)}'`);
    assert.equal((await list()).at(-1).job, null, 'no UTF-8');
});
test('an unknown attempt is resolved: taken under a job', async () => {
    const done = await attempts('resolve', id(4), '--job', 'projects/p/operations/7');
    assert.deepEqual([done.status, done.stdout], [0, ''], done.stderr);
    assert.match(done.stderr, /had taken it; the end of task_\S+ stays as it is/);
    const [row] = await list();
    assert.deepEqual([row.id, row.state, row.job], [id(4), 'taken', 'projects/p/operations/7']);
    assert.ok(Date.now() - Date.parse(row.resolved_at) < 600_000);
    assert.equal(row.accepted_at, row.resolved_at);
});
test('or not taken; --json prints the record', async () => {
    const done = await attempts('resolve', '--not-taken', id(3), '--json');
    assert.deepEqual([done.status, done.stderr], [0, '']);
    const row = JSON.parse(done.stdout);
    assert.deepEqual([row.id, row.state, row.job, row.accepted_at], [id(3), 'not_taken', null, null]);
    assert.deepEqual(await ids('--unknown'), []);
});
test('what is not unknown is refused with 3', async () => {
    await fails(3, /is taken, and only an unknown attempt/, 'resolve', id(4), '--not-taken');
    await fails(3, /is accepted, and only an unknown attempt/, 'resolve', id(2), '--job', 'x');
    assert.equal((await list('--open'))[0].job, 'job-2');
    await sql(`UPDATE attempts SET state = 'elated' WHERE id = '${id(2)}'`);
    await fails(3, /is damaged, and only an unknown attempt/, 'resolve', id(2), '--job', 'x');
    assert.deepEqual(await ids(), [4, 3, 1].map(id), 'a damaged row is passed over');
    await sql(`UPDATE attempts SET state = 'accepted' WHERE id = '${id(2)}'`);
});
test('wrong usage ends with 2 and says what would be right', async () => {
    await fails(2, /there is no attempt "att_/, 'resolve', 'att_01k6x15vhrff09dkkqjrzwhm60', '--not-taken');
    await fails(2, /no `attempts show`: list or resolve/, 'show');
    await fails(2, /needs the attempt's id/, 'resolve', '--not-taken');
    await fails(2, /"task_1" is not the id of an attempt/, 'resolve', 'task_1', '--not-taken');
    await fails(2, /--job JOB or --not-taken/, 'resolve', id(2));
    await fails(2, /--job JOB or --not-taken/, 'resolve', id(2), '--job', 'x', '--not-taken');
    for (const job of ['', 'x'.repeat(1025), 'a\nb', 'a\u007f']) await fails(2, /1 to 1024 bytes/, 'resolve', id(2), '--job', job);
    await fails(2, /what is "x" for/, 'resolve', id(2), 'x');
    await fails(2, /for `attempts list`/, 'resolve', id(2), '--not-taken', '--limit', '2');
    await fails(2, /for `attempts resolve`/, 'list', '--not-taken');
    await fails(2, /what is "x" for/, 'list', 'x');
    await fails(2, /is not open/, 'list', '--unknown', '--open');
    await fails(2, /not the id of a task/, 'list', '--task', 'att_1');
    await fails(2, /number from 1/, 'list', '--limit', '0');
});
test('no database: 5, and none is made', async () => {
    const empty = newDirectory();
    for (const args of [['list'], ['resolve', id(1), '--not-taken']]) {
        const { status, stderr } = await command(['attempts', ...args, '--data', empty]);
        assert.deepEqual([status], [5], stderr);
        assert.match(stderr, /there is no database in/);
    }
});
test('a configuration names the data directory', async () => {
    const file = path.join(server.dir, 'other.yaml');
    fs.writeFileSync(file, `data: ${server.data}\n`);
    const { status, stdout } = await command(['attempts', 'list', '--config', file, '--json']);
    assert.deepEqual([status, JSON.parse(stdout).length], [0, 4]);
    assert.equal((await command(['attempts', 'list', '--config', `${file}.none`])).status, 2);
});

test('the servers ended well', endedWell);
