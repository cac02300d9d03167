// SPDX-License-Identifier: Apache-2.0
//
// Upstreams of each shape that fail at random, clients that never give up, and a gateway that is killed again and again: no task is
// lost, and nobody pays twice. STORM_SECONDS says how long, STORM_SEED repeats the draws of an earlier storm.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { addsUp, attemptsOf } from './books.js';
import { command, endedWell, sleep, start, until } from './harness.js';
import { VENDORS, channelsYaml, shapes } from './upstreams.js';
import { Dice } from '../simulators/jobs.js';
import { startAll } from '../simulators/run.js';

const SECONDS = Number(process.env.STORM_SECONDS ?? 30);
const SEED = Number(process.env.STORM_SEED ?? Date.now() % 1_000_000);
const CLIENTS = 2; // of each vendor
const AT_ONCE = 12; // unfinished tasks of a client
const SHORT = { queue_ms: 100, duration_ms: { median: 500, sigma: 0.6 } };
const LIMIT = { limit: 900_000, every: 200 }; // pauses double, and a job is gone only after a minute

// What goes wrong, and how often. Of rules that meet the first counts most: what was accepted is never answered as if it
// had been refused, for no vendor does that.
const FAULTS = [
    ['submit', 0.03, { accept_then: '5xx', status: 502 }],
    ['submit', 0.03, { accept_then: 'reset', status: 502 }],
    ['submit', 0.02, { accept_then: 'truncate', status: 502 }],
    ['submit', 0.02, { accept_then: 'hang', status: 502 }],
    ['submit', 0.05, { status: 429, headers: { 'retry-after': '1' } }],
    ['submit', 0.03, { status: 500 }],
    ['submit', 0.03, { status: 503 }],
    ['submit', 0.03, { reset: true }],
    ['submit', 0.1, { latency_ms: 400 }],
    ['poll', 0.05, { status: 503 }],
    ['poll', 0.05, { reset: true }],
    ['poll', 0.03, { not_json: true }],
    ['result', 0.1, { truncate: true }],
    ['result', 0.05, { status: 503 }],
    ['cancel', 0.2, { status: 500 }],
    ['upload', 0.1, { reset: true }],
].map(([on, chance, deed]) => ({ on, chance, do: deed }));

const sims = await startAll({ portBase: 0, settings: SHORT, seed: SEED });
after(() => sims.close());
const config = `tasks:\n  backoff: 200ms\ndrain: 20s\nupstream:\n  exchange: 3s\n${channelsYaml(sims, shapes, { hasTwoKeys: true, concurrency: 3, poll_first: '200ms', poll_every: '100ms' })}`;
const open = () => start({ config, key: { operator: true } });

function weather(rules) {
    for (const name of shapes) assert.equal(sims[name].program({ rules, settings: SHORT }), null);
}

// Asks until there is an answer that is one: whoever does not know whether it was heard asks again.
async function insist(server, method, target, options) {
    for (;;) {
        try {
            const answer = await server.call(method, target, { agent: false, ...options });
            if (answer.status !== 503) return answer;
        } catch (error) {
            if (error.code === 'ERR_ASSERTION' || error instanceof TypeError) throw error;
        }
        await sleep(20);
    }
}

// Until it has ended, or nobody waits any more.
async function outlast(server, id, isOver) {
    while (!isOver() && (await insist(server, 'GET', `/v1/video/query?id=${id}`)).json.status === 'pending') await sleep(200);
}

async function oneClient(server, vendor, number, tasks, isOver) {
    const dice = new Dice(SEED + 1000 * shapes.indexOf(vendor) + number);
    const { model, image } = VENDORS[vendor];
    const mine = [];
    for (let turn = 0; !isOver(); turn++) {
        if (mine.length >= AT_ONCE) await outlast(server, mine.shift().id, isOver);
        const prompt = `${model}, client ${number}, turn ${turn}`;
        const images = image !== undefined && dice.next() < 0.3 ? [image] : [];
        const made = await insist(server, 'POST', '/v1/video/create', { json: { model, prompt, images }, headers: { 'Idempotency-Key': prompt } });
        assert.equal(made.status, 200, made.text);
        const task = { id: made.json.id, prompt, vendor, isCancelled: false };
        tasks.push(task);
        mine.push(task);
        const wantsCancel = dice.next() < 0.1;
        await sleep(500 * dice.next());
        if (!wantsCancel) continue;
        const answer = await insist(server, 'POST', '/v1/video/cancel', { json: { id: task.id } });
        assert.ok([200, 409].includes(answer.status), answer.text);
        task.isCancelled = answer.status === 200;
    }
}

// Clients of all vendors for as long as `trouble` takes; what they created, once all of it has ended.
async function load(server, trouble) {
    const tasks = [];
    let isOver = false;
    const clients = shapes.flatMap((vendor) => Array.from({ length: CLIENTS }, (_, number) => oneClient(server, vendor, number, tasks, () => isOver)));
    try {
        await Promise.race([trouble(), ...clients.map((client) => client.then(() => new Promise(() => {})))]);
    } finally {
        isOver = true;
        weather([]);
    }
    await Promise.all(clients);
    await server.restart(); // what was learned of the weather is forgotten, and with it long rests
    for (const task of tasks) task.ended = await server.waitEnd(task.id, LIMIT);
    await until('no attempt is open', () => attemptsOf(server).every((row) => row.is_open === 0), LIMIT);
    return tasks;
}

async function checkVideo(server, task) {
    const { status, bytes } = await server.fetchLink(task.ended.video_url);
    assert.equal(status, 200);
    assert.equal(bytes.subarray(4, 8).toString('latin1'), 'ftyp', task.prompt);
}

async function checkList(server, tasks) {
    const listed = [];
    for (let before = ''; before !== null;) {
        const { json } = await server.call('GET', `/v1/video/tasks?limit=100${before}`);
        listed.push(...json.data.map((task) => task.id));
        before = json.has_more ? `&before=${encodeURIComponent(json.next)}` : null;
    }
    assert.deepEqual(listed.sort(), tasks.map(({ id }) => id).sort(), 'each create made one task');
}

async function checkCommand(server, rows) {
    const { status, stdout, stderr } = await command(['attempts', 'list', '--json', '--limit', '1000000', '--data', server.data]);
    assert.equal(status, 0, stderr);
    const said = JSON.parse(stdout).map(({ id, state, job }) => [id, state, job]);
    // An id that we chose for what was not taken is nobody's job.
    const shown = rows.map(({ id, state, job }) => [id, state, ['refused', 'not_taken'].includes(state) ? null : job]);
    assert.deepEqual(said.sort(), shown.sort());
}

// Nothing is held by what has ended: no slot of a channel, no file that no task names, nothing in the spool.
async function checkNothingIsHeld(server) {
    const { json } = await server.call('GET', '/v1/channels');
    for (const { name, in_flight: inFlight } of json.data) assert.equal(inFlight, 0, name);
    assert.deepEqual(fs.readdirSync(path.join(server.data, 'spool')), []);
}

async function checkBooks(server, tasks) {
    const rows = attemptsOf(server);
    addsUp(tasks, shapes.flatMap((name) => sims[name].told('submit').entries), rows);
    for (const name of shapes) {
        const twice = sims[name].stats().twice;
        assert.deepEqual(twice, [], `${name} sold twice`);
    }
    for (const { ended, isCancelled, prompt } of tasks) {
        if (isCancelled) assert.equal(ended.error.code, 'cancelled', prompt);
        else assert.ok(ended.status === 'completed' || ['submission_unknown', 'cancelled'].includes(ended.error.code), `${prompt}: ${JSON.stringify(ended.error)}`);
    }
    const completed = tasks.filter(({ ended }) => ended.status === 'completed');
    assert.ok(completed.length > tasks.length / 4, `${completed.length} of ${tasks.length} completed`);
    for (const task of completed) await checkVideo(server, task);
    await checkList(server, tasks);
    await checkCommand(server, rows);
    await checkNothingIsHeld(server);
    return rows;
}

function summary(server, tasks, rows) {
    const count = (values) => JSON.stringify(Object.fromEntries([...Map.groupBy(values, (value) => value)].map(([value, all]) => [value, all.length])));
    return `${server.ends().length} ends, ${tasks.length} tasks ${count(tasks.map(({ ended }) => ended.error?.code ?? ended.status))}, attempts ${count(rows.map(({ state }) => state))}`;
}

test(`killed again and again for ${SECONDS} s among upstreams that fail: nothing is lost or bought twice (STORM_SEED=${SEED})`, async (t) => {
    const server = await open();
    const dice = new Dice(SEED);
    weather(FAULTS);
    const tasks = await load(server, async () => {
        const end = performance.now() + SECONDS * 1000;
        while (performance.now() < end) {
            await sleep(dice.next() < 0.2 ? 50 * dice.next() : 300 + 2000 * dice.next());
            await server.kill();
            await server.launch();
        }
    });
    const rows = await checkBooks(server, tasks);
    t.diagnostic(summary(server, tasks, rows));
    if (process.env.STORM_TELL) console.error(summary(server, tasks, rows));
});

test('ten polite restarts under load leave no attempt of which nobody knows', async (t) => {
    const server = await open();
    for (const name of shapes) sims[name].ledger.reset();
    weather([{ on: 'submit', chance: 0.3, do: { latency_ms: 300 } }]);
    const tasks = await load(server, async () => {
        for (let round = 0; round < 10; round++) {
            await sleep(700);
            await server.restart();
        }
    });
    const rows = await checkBooks(server, tasks);
    assert.deepEqual(rows.filter((row) => row.state === 'unknown'), []);
    t.diagnostic(summary(server, tasks, rows));
    if (process.env.STORM_TELL) console.error(summary(server, tasks, rows));
});

test('the servers ended well', endedWell);
