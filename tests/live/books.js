// SPDX-License-Identifier: Apache-2.0
//
// The books of both sides: what the ledgers of the simulated vendors say that was bought, held against the attempts
// that our own store has on record.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';

// All that our store says of attempts.
export function attemptsOf(server) {
    const rows = execFileSync('sqlite3', ['-json', '-cmd', '.timeout 60000', path.join(server.data, 'filmgate.db'), 'SELECT * FROM attempts'],
        { encoding: 'utf8', maxBuffer: 1 << 28 });
    return rows === '' ? [] : JSON.parse(rows);
}

const NEVER_TAKEN = ['refused', 'not_taken'];
const plainId = (id) => id.slice(id.indexOf(':') + 1);

// What the vendor calls it; and what we do, where a lost answer was looked up by an id of ours.
const isOf = (row, { job, correlation }) => row.job !== null && [String(job), String(correlation)].includes(String(row.job));

// The rows of one task, and the jobs that its vendor sold under its prompt: each job is one attempt's, by its id or as
// one whose answer was lost; more than one was sold only where the vendor failed those before.
function checkTask(task, rows, jobs) {
    const about = `${task.prompt}: sold ${JSON.stringify(jobs)}, on record ${JSON.stringify(rows)}, ended ${JSON.stringify(task.ended.error)}`;
    const lost = rows.filter((row) => row.job === null && row.state === 'unknown');
    assert.ok(jobs.filter((job) => !rows.some((row) => isOf(row, job))).length <= lost.length, `a job that nobody has on record: ${about}`);
    for (const row of rows) {
        const isSold = jobs.some((job) => isOf(row, job));
        if (row.accepted_ms > 0) assert.ok(isSold, `a job that was never sold: ${about}`);
        if (NEVER_TAKEN.includes(row.state)) assert.ok(!isSold, `it was sold all the same: ${about}`);
        assert.equal(row.is_open, 0, about);
    }
    assert.ok(jobs.length <= 1 + rows.filter((row) => row.state === 'failed').length, `bought twice: ${about}`);
    const { status, error } = task.ended;
    const unknown = rows.filter((row) => row.state === 'unknown').length;
    if (error?.code === 'submission_unknown') assert.equal(unknown, 1, about);
    else assert.ok(unknown === 0 || error?.code === 'cancelled', `an unknown attempt, and its task does not say so: ${about}`);
    if (status === 'completed') assert.deepEqual([jobs.length > 0, rows.at(-1).state], [true, 'finished'], about);
}

// `tasks`: {id, prompt, ended} of each that was ever created, no prompt twice; `submits`: the entries of the ledgers.
export function addsUp(tasks, submits, attempts) {
    const rowsOf = Map.groupBy(attempts, (row) => row.task_id);
    const jobsOf = Map.groupBy(submits, (entry) => entry.prompt);
    for (const task of tasks) {
        const rows = (rowsOf.get(plainId(task.id)) ?? []).sort((a, b) => a.attempt - b.attempt);
        checkTask(task, rows, jobsOf.get(task.prompt) ?? []);
        rowsOf.delete(plainId(task.id));
        jobsOf.delete(task.prompt);
    }
    assert.deepEqual([...rowsOf.keys()], [], 'attempts of tasks that nobody created');
    assert.deepEqual([...jobsOf.keys()], [], 'sold to tasks that nobody created');
}
