// SPDX-License-Identifier: Apache-2.0
//
// Upstreams that are away for a while, in every way that there is, and results that cannot be had any more: it costs time,
// or a clear failure, never a task and never a second purchase. OUTAGE_SECONDS says how long they are away.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { addsUp, attemptsOf } from './books.js';
import { endedWell, sleep, start, until } from './harness.js';
import { film } from './simulated.js';
import { VENDORS, channelsYaml, shapes } from './upstreams.js';
import { startAll } from '../simulators/run.js';

const SECONDS = Number(process.env.OUTAGE_SECONDS ?? 2);
const LIMIT = { limit: 900_000 }; // pauses have doubled meanwhile
const WAYS = { 503: { status: 503, body: 'Service Unavailable' }, 429: { status: 429 }, closed: { close: true }, reset: { reset: true }, 'no JSON': { not_json: true } };
// Each upstream goes through two of them, so that each way is gone by several; OUTAGE_WAYS=all: through every one.
const waysOf = (vendor) => Object.entries(WAYS).filter((_, index) => process.env.OUTAGE_WAYS === 'all' || [0, 1].includes((index + 2 * shapes.indexOf(vendor)) % 5));
const BUYS_NOTHING = ['429']; // of a submit: the task waits, and that is all

const sims = await startAll({ portBase: 0, settings: { queue_ms: 50, duration_ms: 400 } });
const isRenewed = (vendor) => sims[vendor].renews || VENDORS[vendor].isInline; // another poll names the result anew
after(() => sims.close());
const server = await start({ config: `tasks:\n  backoff: 200ms\n${channelsYaml(sims, shapes, { concurrency: 20 })}`, key: { operator: true } });
const tasks = [];

async function ask(vendor, prompt, more = {}) {
    const { id } = await film(server, VENDORS[vendor].model, `${prompt} ${VENDORS[vendor].model}`, more);
    const task = { id, prompt: `${prompt} ${VENDORS[vendor].model}` };
    tasks.push(task);
    return task;
}

async function end(task) {
    task.ended = await server.waitEnd(task.id, LIMIT);
    return task.ended;
}

const sold = (vendor, { prompt }) => sims[vendor].told('submit').entries.filter((entry) => entry.prompt === prompt).length;
const rowsOf = ({ id }) => attemptsOf(server).filter((row) => id.endsWith(row.task_id));

async function underWay(vendor, prompt) {
    const task = await ask(vendor, prompt);
    await until('it is accepted', () => rowsOf(task).some((row) => row.state === 'accepted'));
    return task;
}

const completes = async (vendor, task) => {
    const { status, error, video_url: link } = await end(task);
    assert.equal(status, 'completed', `${task.prompt}: ${JSON.stringify(error)}`);
    assert.equal((await server.fetchLink(link)).bytes.subarray(4, 8).toString('latin1'), 'ftyp');
    assert.equal(sold(vendor, task), 1, task.prompt);
};

describe('outages', { concurrency: true }, () => {
    for (const vendor of shapes) describe(vendor, { concurrency: false }, () => {
        const sim = sims[vendor];
        const program = (rules) => assert.equal(sim.program({ rules }), null);

        test(`${vendor}: nobody listens for ${SECONDS} s: what is under way and what is new is done afterwards`, async () => {
            sim.program({ settings: { duration_ms: 1500 } });
            const before = await underWay(vendor, 'before it vanished');
            await sim.vanish();
            const during = await ask(vendor, 'while it was away');
            await sleep(1000 * SECONDS);
            await sim.comeBack();
            sim.program({ settings: { duration_ms: 400 } });
            await completes(vendor, before);
            await completes(vendor, during);
        });
        for (const [way, deed] of waysOf(vendor)) test(`${vendor}: ${way} for ${SECONDS} s costs no task that is under way, and buys nothing twice`, async () => {
            sim.program({ settings: { duration_ms: 1500 } });
            const before = await underWay(vendor, `before ${way}`);
            program(['poll', 'document', 'result'].map((on) => ({ on, do: deed })).concat(way === 'no JSON' ? [] : [{ on: 'submit', do: deed }]));
            const during = await ask(vendor, `during ${way}`);
            await sleep(1000 * SECONDS);
            program([]);
            sim.program({ settings: { duration_ms: 400 } });
            await completes(vendor, before);
            if (way === 'no JSON' || BUYS_NOTHING.includes(way) || VENDORS[vendor].isCertain) return completes(vendor, during);
            const { status, error } = await end(during);
            if (status === 'completed') assert.equal(sold(vendor, during), 1);
            else assert.deepEqual([error.code, sold(vendor, during)], ['submission_unknown', 0]);
        });
        test(`${vendor}: a link that has expired ${isRenewed(vendor) ? 'is named anew by another poll' : 'is a clear failure'}`, async () => {
            const task = await ask(vendor, '[sim:expired]');
            if (isRenewed(vendor)) return completes(vendor, task);
            const { status, error } = await end(task);
            assert.deepEqual([status, error.code, sold(vendor, task)], ['failed', 'result_lost', 1]);
            assert.deepEqual(rowsOf(task).map((row) => row.state), ['finished'], 'the upstream did its part');
        });
        test(`${vendor}: a result that is not there at once is waited for`, async () => {
            program([{ on: 'result', times: 2, do: { status: 404 } }]);
            await completes(vendor, await ask(vendor, 'storage lags'));
        });
        test(`${vendor}: a refused request fails, and nothing was bought`, async () => {
            const task = await ask(vendor, '[sim:refuse]');
            const { status, error } = await end(task);
            assert.deepEqual([status, error.code, sold(vendor, task)], ['failed', 'upstream_refused', 0]);
            assert.match(error.message, /Nothing was charged/);
            assert.deepEqual(rowsOf(task).map((row) => row.state), ['refused']);
        });
        test(`${vendor}: a key that is not taken for a while costs no task`, async () => {
            program([{ on: 'submit', times: 1, do: { status: 401 } }]);
            await completes(vendor, await ask(vendor, 'unauthorised'));
        });
        if (VENDORS[vendor].moderates !== false) test(`${vendor}: moderated while it was made is final, and bought once`, async () => {
            const task = await underWay(vendor, '[sim:duration=2000] moderated later');
            program([{ on: 'poll', match: { prompt: 'moderated later' }, do: { moderate: true } }]);
            const { status, error } = await end(task);
            program([]);
            assert.deepEqual([status, error.code, sold(vendor, task)], ['failed', 'moderation_blocked', 1]);
        });
        test(`${vendor}: a job that the upstream has forgotten is lost, and not bought again`, async () => {
            const task = await ask(vendor, '[sim:gone]');
            const { status, error } = await end(task);
            assert.deepEqual([status, error.code, sold(vendor, task)], ['failed', 'job_lost', 1]);
        });
    });
});
test('the books add up, and no slot is held', async () => {
    for (const task of tasks) if (task.ended === undefined) await end(task);
    addsUp(tasks, shapes.flatMap((name) => sims[name].told('submit').entries), attemptsOf(server));
    for (const { name, in_flight: inFlight } of (await server.call('GET', '/v1/channels')).json.data) assert.equal(inFlight, 0, name);
});
test('the servers ended well', endedWell);
