// SPDX-License-Identifier: Apache-2.0
//
// The engine at upstreams: every adapter against the simulator of its vendor, one life of a task after the other, well and
// badly. What the ledgers of the vendors say that was bought is held against the attempts in our own store.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { attemptsOf } from './books.js';
import { endedWell, sleep, start, until } from './harness.js';
import { startAll } from '../simulators/run.js';
import { VENDORS, channelsYaml, chosen } from './upstreams.js';

const sims = await startAll({ portBase: 0 });
after(() => sims.close());
const servers = {};
for (const vendor of chosen) servers[vendor] = await start({ config: channelsYaml(sims, [vendor]) });

// What the vendor sold: all, or for one prompt.
async function bought(vendor, prompt) {
    const answer = await fetch(`${sims[vendor].url}/_sim/ledger?event=submit`);
    return (await answer.json()).entries.filter((entry) => prompt === undefined || entry.prompt === prompt);
}

async function program(vendor, script) {
    const answer = await fetch(`${sims[vendor].url}/_sim/script`, { method: 'POST', body: JSON.stringify(script), headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 200, await answer.text());
}

const calm = (vendor) => program(vendor, { rules: [], settings: { duration_ms: 400, queue_ms: 100 } });

// What the vendor sold is what we have on record as taken, job by job; tasks may be under way.
async function jobsAddUp(server, vendor) {
    const sold = await bought(vendor);
    const jobs = sold.map((entry) => String(entry.job)).sort();
    const names = new Set(sold.flatMap((entry) => [String(entry.job), String(entry.correlation)])); // looked up by our id, a job keeps it
    const rows = attemptsOf(server).filter((row) => row.channel === vendor);
    const known = rows.filter((row) => row.job !== null && !['refused', 'not_taken'].includes(row.state)).map((row) => String(row.job)).sort();
    const unknown = rows.filter((row) => row.state === 'unknown' && row.job === null).length;
    assert.ok(jobs.length <= known.length + unknown, `sold ${jobs.length}, on record ${known.length} and ${unknown} unknown`);
    for (const job of known) assert.ok(names.has(job), `we have a job that was never sold: ${job}`);
}

// The vendors beside each other, each one's tests in order.
describe('upstreams', { concurrency: true }, () => {
    for (const vendor of chosen) describe(vendor, { concurrency: false }, () => {
        const server = servers[vendor];
        const { model, image } = VENDORS[vendor];
        const ask = (prompt, more = {}) => server.create({ model, prompt, size: undefined, duration: undefined, ...more });

        test(`${vendor}: a task is done, and its result is at home`, async () => {
            await calm(vendor);
            const ended = await server.waitEnd((await ask('a paper boat')).id);
            assert.equal(ended.status, 'completed', JSON.stringify(ended.error) + server.log.slice(-1500));
            assert.equal(ended.detail.engine, 'upstream');
            const video = await server.fetchLink(ended.video_url);
            assert.equal(video.status, 200);
            assert.equal(video.bytes.subarray(4, 8).toString('latin1'), 'ftyp');
            assert.ok(!JSON.stringify(ended).includes(sims[vendor].url), 'no address of an upstream is shown');
            assert.equal((await bought(vendor, 'a paper boat')).length, 1);
            await jobsAddUp(server, vendor);
        });
        if (image !== undefined) test(`${vendor}: images go along`, async () => {
            const ended = await server.waitEnd((await ask('with an image', { images: [image] })).id);
            assert.equal(ended.status, 'completed', JSON.stringify(ended.error) + server.log.slice(-1500));
        });
        if (VENDORS[vendor].moderates !== false) test(`${vendor}: a refusal by policy is final, and says so`, async () => {
            await calm(vendor);
            const ended = await server.waitEnd((await ask('[sim:moderate] no')).id);
            assert.equal(ended.status, 'failed');
            assert.match(ended.error.message, /blocked|policy/);
            assert.equal((await bought(vendor, '[sim:moderate] no')).length <= 1, true);
        });
        test(`${vendor}: a failure there is a failure here once its attempts are used up`, async () => {
            await calm(vendor);
            const ended = await server.waitEnd((await ask('[sim:fail] no')).id);
            assert.equal(ended.status, 'failed');
            assert.ok((await bought(vendor, '[sim:fail] no')).length <= 3);
            await jobsAddUp(server, vendor);
        });
        test(`${vendor}: done without a video is no success`, async () => {
            await calm(vendor);
            const ended = await server.waitEnd((await ask('[sim:no-video] no')).id);
            assert.equal(ended.status, 'failed');
            assert.equal(ended.error.code, VENDORS[vendor].noVideo ?? 'no_video');
        });
        test(`${vendor}: polls that tell nothing cost time, not the task`, async () => {
            await calm(vendor);
            await program(vendor, { rules: [{ on: 'poll', times: 3, do: { status: 503 } }] });
            const ended = await server.waitEnd((await ask('an outage')).id);
            assert.equal(ended.status, 'completed', JSON.stringify(ended.error));
            assert.equal((await bought(vendor, 'an outage')).length, 1);
        });
        test(`${vendor}: an answer that is lost is never asked for twice`, async () => {
            await calm(vendor);
            await program(vendor, { rules: [{ on: 'submit', times: 1, do: { accept_then: 'reset' } }] });
            const ended = await server.waitEnd((await ask('lost')).id);
            if (VENDORS[vendor].canConfirm) {
                assert.equal(ended.status, 'completed', JSON.stringify(ended.error));
            } else {
                assert.equal(ended.status, 'failed');
                assert.equal(ended.error.code, 'submission_unknown');
                assert.equal(attemptsOf(server).filter((row) => row.state === 'unknown').length, 1, 'it stays on record');
            }
            assert.equal((await bought(vendor, 'lost')).length, 1);
            await jobsAddUp(server, vendor);
        });
        test(`${vendor}: busy is waited for`, async () => {
            await calm(vendor);
            await program(vendor, { rules: [{ on: 'submit', times: 2, do: { status: 429, headers: { 'retry-after': '1' } } }] });
            const ended = await server.waitEnd((await ask('busy')).id);
            assert.equal(ended.status, 'completed', JSON.stringify(ended.error) + server.log.slice(-1500));
            assert.equal((await bought(vendor, 'busy')).length, 1);
        });
        test(`${vendor}: a cancel reaches the upstream, and stays`, async () => {
            await calm(vendor);
            await program(vendor, { settings: { duration_ms: 4000 } });
            const { id } = await ask('to be cancelled');
            await until('it is bought', async () => (await bought(vendor, 'to be cancelled')).length === 1);
            await sleep(300);
            const answer = await server.cancel(id);
            assert.equal(answer.status, 200, answer.text);
            const ended = await server.query(id);
            assert.equal(ended.error.code, 'cancelled');
            await until('the attempt is closed', () => attemptsOf(server).every((row) => row.closed_ms > 0));
            assert.equal((await server.query(id)).error.code, 'cancelled');
            await jobsAddUp(server, vendor);
        });
        test(`${vendor}: a restart goes on where it was`, async () => {
            await calm(vendor);
            await program(vendor, { settings: { duration_ms: 3000 } });
            const { id } = await ask('through a restart');
            await until('it is bought', async () => (await bought(vendor, 'through a restart')).length === 1);
            await sleep(200);
            await server.kill();
            await server.launch();
            const ended = await server.waitEnd(id);
            assert.equal(ended.status, 'completed', JSON.stringify(ended.error) + server.log.slice(-1500));
            assert.equal((await bought(vendor, 'through a restart')).length, 1);
            await jobsAddUp(server, vendor);
        });
    });
});
if (chosen.includes('unified')) test('a stop that waits for a submit brings home nothing that is done meanwhile', async () => {
    const server = await start({ config: channelsYaml(sims, ['unified']) });
    const ask = (prompt) => server.create({ model: VENDORS.unified.model, prompt, size: undefined, duration: undefined });
    await program('unified', { rules: [{ on: 'submit', match: { prompt: 'slow to be taken' }, do: { latency_ms: 4000 } }], settings: { duration_ms: 1500, queue_ms: 0 } });
    const done = await ask('done during a stop');
    await until('it is accepted', () => attemptsOf(server).some((row) => row.state === 'accepted'));
    const slow = await ask('slow to be taken');
    await until('its submit has left', () => attemptsOf(server).some((row) => row.state === 'submitting'));
    assert.equal(await server.stop(), 0);
    assert.deepEqual(attemptsOf(server).map((row) => row.state), ['accepted', 'accepted'], 'one answer was waited for, and no download was begun');
    await server.launch();
    for (const { id } of [done, slow]) assert.equal((await server.waitEnd(id)).status, 'completed');
    for (const prompt of ['done during a stop', 'slow to be taken']) assert.equal((await bought('unified', prompt)).length, 1);
    await calm('unified');
});
test('the servers ended well', endedWell);
