// SPDX-License-Identifier: Apache-2.0
//
// The engine at upstreams: every adapter against the simulator of its vendor, well and badly: all adapters times all faults.
// A new adapter is tested by its row in upstreams.js. What the ledgers of the vendors say that was bought is held against the attempts in our own store.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { attemptsOf } from './books.js';
import { endedWell, sleep, start, until } from './harness.js';
import { startAll } from '../simulators/run.js';
import { film, isDone } from './simulated.js';
import { VENDORS, channelsYaml, chosen } from './upstreams.js';

const sims = await startAll({ portBase: 0 });
after(() => sims.close());

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
    const rows = attemptsOf(server).filter((row) => row.channel.startsWith(vendor));
    const known = rows.filter((row) => row.job !== null && !['refused', 'not_taken', 'unknown'].includes(row.state)).map((row) => String(row.job)).sort();
    const unknown = rows.filter((row) => row.state === 'unknown').length;
    assert.ok(jobs.length <= known.length + unknown, `sold ${jobs.length}, on record ${known.length} and ${unknown} unknown`);
    for (const job of known) assert.ok(names.has(job), `we have a job that was never sold: ${job}`);
}

const unknown = ({ canConfirm }) => (canConfirm ? /^completed$/ : /^submission_unknown$/);
const lost = (way) => ({ name: `the answer to a submit is lost: ${way}`, word: `[sim:lost=${way}]`, end: unknown });

// What goes wrong at an upstream, by a word in the prompt or a rule for it; how the task may end (`completed`, or the code of its
// error); how often it may be bought, once unless said otherwise.
const FAULTS = [
    { name: 'images go along', images: true, end: /^completed$/, unless: ({ image }) => image === undefined },
    { name: 'a refusal by policy is final', word: '[sim:moderate]', end: /^moderation/, unless: ({ moderates }) => moderates === false },
    { name: 'a submit is refused', word: '[sim:refuse]', end: /^upstream_refused$|^refused/, most: 0 },
    { name: 'a failure there is a failure here once its attempts are used up', word: '[sim:fail]', end: /./, most: 3 },
    { name: 'done without a video is no success', word: '[sim:no-video]', end: ({ noVideo = 'no_video' }) => new RegExp(`^${noVideo}$`) },
    ...['reset', 'close', 'truncate', '5xx', 'not_json'].map(lost),
    { name: 'a server that is broken before it takes anything', rule: { on: 'submit', times: 1, do: { status: 500 } }, end: ({ isCertain }) => (isCertain ? /^completed$/ : /^submission_unknown$/) },
    { name: 'busy is waited for', word: '[sim:busy=2]', end: /^completed$/ },
    { name: 'busy without a word on how long', rule: { on: 'submit', times: 1, do: { status: 429 } }, end: /^completed$/ },
    { name: 'polls that tell nothing cost time, not the task', rule: { on: 'poll', times: 3, do: { status: 503 } }, end: /^completed$/ },
    { name: 'a poll is answered with a page', rule: { on: 'poll', times: 2, do: { not_json: true } }, end: /^completed$/ },
    { name: 'an error with status 200 that names no job', rule: { on: 'poll', times: 2, do: { status: 200, body: { status: 'failed', state: 'failed', message: 'rate limited' } } }, end: /^completed$/ },
    { name: 'a poll is cut off', rule: { on: 'poll', times: 2, do: { truncate: true } }, end: /^completed$/ },
    { name: 'a poll is reset', rule: { on: 'poll', times: 2, do: { reset: true } }, end: /^completed$/ },
    { name: 'the job is not to be seen at first', word: '[sim:late=2]', end: /^completed$/ },
    { name: 'a word that nobody knows, while it runs', word: '[sim:word=dreaming]', end: /^completed$/ },
    { name: 'the job is forgotten', word: '[sim:gone]', end: /^(?!completed)/, most: 3 },
    { name: 'the result is elsewhere', word: '[sim:redirect]', end: /^completed$/, unless: ({ redirects }) => redirects === false },
    { name: 'the link of the result is dead', word: '[sim:expired]', unless: ({ isInline }) => isInline, end: (row, { renews }) => (renews ? /^completed$/ : /^result_lost$/) },
    { name: 'a large result', word: '[sim:bytes=3000000]', end: /^completed$/ },
];

// Six vendors beside each other, so that a slow machine keeps up, and each one's tests in order.
describe('upstreams', { concurrency: 6 }, () => {
    for (const vendor of chosen) describe(vendor, { concurrency: false }, () => {
        let server; // started when its turn comes: a connection that idles until then would be closed
        before(async () => {
            server = await start({ config: channelsYaml(sims, [vendor], { times: FAULTS.length + 1 }) });
        });
        const { model, image } = VENDORS[vendor];
        const ask = (prompt, more) => film(server, model, prompt, more);

        test(`${vendor}: a task is done, and its result is at home`, async () => {
            await calm(vendor);
            const ended = await isDone(server, ask('a paper boat'));
            assert.equal(ended.detail.engine, 'upstream');
            const video = await server.fetchLink(ended.video_url);
            assert.equal(video.status, 200);
            assert.equal(video.bytes.subarray(4, 8).toString('latin1'), 'ftyp');
            assert.ok(!JSON.stringify(ended).includes(sims[vendor].url), 'no address of an upstream is shown');
            assert.equal((await bought(vendor, 'a paper boat')).length, 1);
            await jobsAddUp(server, vendor);
        });
        // All of them at once, each in a channel of its own; what may be bought, and how it may end, is the fault's.
        const faults = FAULTS.filter(({ unless = () => false }) => !unless(VENDORS[vendor]));
        const ends = {};
        test(`${vendor}: every fault, each with a task of its own`, async () => {
            await calm(vendor);
            await program(vendor, { rules: faults.filter(({ rule }) => rule !== undefined).map(({ name, rule }) => ({ ...rule, match: { prompt: name } })) });
            await Promise.all(faults.map(async ({ name, word = '', images }, index) => {
                const { id } = await ask(`${name} ${word}`, { model: `${model}-${index + 1}`, ...(images ? { images: [image] } : {}) });
                ends[name] = await server.waitEnd(id);
            }));
        });
        for (const { name, word = '', end, most = 1 } of faults) test(`${vendor}: ${name}`, async () => {
            const wanted = typeof end === 'function' ? end(VENDORS[vendor], sims[vendor]) : end;
            const ended = ends[name];
            assert.match(ended.status === 'completed' ? 'completed' : ended.error.code, wanted, JSON.stringify(ended.error));
            const sold = (await bought(vendor, `${name} ${word}`)).length;
            assert.ok(sold <= most, `bought ${sold} times`);
            if (ended.status === 'completed') assert.ok(sold >= 1);
        });
        test(`${vendor}: the books add up`, () => jobsAddUp(server, vendor));
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
            const asked = await ask('through a restart');
            await until('it is bought', async () => (await bought(vendor, 'through a restart')).length === 1);
            await sleep(200);
            await server.kill();
            await server.launch();
            await isDone(server, asked);
            assert.equal((await bought(vendor, 'through a restart')).length, 1);
            await jobsAddUp(server, vendor);
        });
    });
});
if (chosen.includes('unified')) test('a stop that waits for a submit brings home nothing that is done meanwhile', async () => {
    const server = await start({ config: channelsYaml(sims, ['unified']) });
    const ask = (prompt) => film(server, VENDORS.unified.model, prompt);
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
