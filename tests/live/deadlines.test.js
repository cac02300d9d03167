// SPDX-License-Identifier: Apache-2.0
//
// What a deadline means for a task that is at an upstream: asked once more, brought home or cancelled, and all that within the grace.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { attemptsOf } from './books.js';
import { endedWell, sleep, start, until } from './harness.js';
import { startAll } from '../simulators/run.js';
import { LONG, SHORT, film, isDone, submits } from './simulated.js';
import { VENDORS, channelsYaml } from './upstreams.js';

const DEADLINE_MS = 5000;
const sims = await startAll({ portBase: 0, settings: SHORT });
after(() => sims.close());

// Polls are far apart: what is seen at the deadline is seen by a look of its own.
const gateway = (vendor, tasks = '', more = {}) => start({ config: `tasks:\n  deadline: ${DEADLINE_MS}ms\n${tasks}${channelsYaml(sims, [vendor], { poll_first: '5m', ...more })}` });
const ask = (server, vendor, prompt) => film(server, VENDORS[vendor].model, prompt);
const isAccepted = (server) => until('it is accepted', () => attemptsOf(server).some((row) => row.state === 'accepted'));
const servers = {
    away: await gateway('fal'), minutes: await gateway('kling'), going: await gateway('runway'),
    crowd: await gateway('vidu', '  grace: 15s\n', { polls_per_minute: 3 }), slow: await gateway('xai'),
    mute: await gateway('replicate', '  grace: 1s\n'), none: await gateway('luma', '  grace: 0\n'),
};

describe('deadlines', { concurrency: true }, () => {
    test('filmgate was away when it passed: what was done meanwhile is brought home', async () => {
        const asked = await ask(servers.away, 'fal', 'done while nobody was here');
        await isAccepted(servers.away);
        await servers.away.kill();
        await sleep(DEADLINE_MS);
        await servers.away.launch();
        await isDone(servers.away, asked);
        assert.equal(submits(sims.fal).length, 1);
        assert.equal(attemptsOf(servers.away)[0].state, 'finished');
    });
    test('it was done long before, and no poll was due', async () => {
        await isDone(servers.minutes, ask(servers.minutes, 'kling', 'done between two polls'));
        assert.equal(submits(sims.kling).length, 1);
    });
    test('some are done, and looked at one after the other: whose turn comes after the grace is not thrown away', async () => {
        const all = await Promise.all(['first', 'second'].map((prompt) => ask(servers.crowd, 'vidu', prompt)));
        await Promise.all(all.map((asked) => isDone(servers.crowd, asked)));
    });
    test('it passes while a submit is answered', async () => {
        assert.equal(sims.xai.program({ rules: [{ on: 'submit', do: { latency_ms: DEADLINE_MS + 2000 } }] }), null);
        await isDone(servers.slow, ask(servers.slow, 'xai', 'taken, late'));
        assert.equal(submits(sims.xai).length, 1);
    });
    test('what is still under way is cancelled', async () => {
        assert.equal(sims.runway.program({ settings: LONG }), null);
        const { id } = await ask(servers.going, 'runway', 'for ever');
        assert.equal((await servers.going.waitEnd(id)).error.code, 'deadline_exceeded');
        await until('the attempt is closed', () => attemptsOf(servers.going)[0].state === 'cancelled');
    });
    test('an upstream that tells nothing is waited for as long as the grace', async () => {
        assert.equal(sims.replicate.program({ rules: [{ on: 'poll', times: 1000, do: { status: 503 } }] }), null);
        const { id } = await ask(servers.mute, 'replicate', 'not a word');
        assert.equal((await servers.mute.waitEnd(id)).error.code, 'deadline_exceeded');
        assert.match(servers.mute.log, /a poll told nothing/, 'it was asked');
    });
    test('without a grace nothing is looked at', async () => {
        const { id } = await ask(servers.none, 'luma', 'thrown away');
        assert.equal((await servers.none.waitEnd(id)).error.code, 'deadline_exceeded');
    });
});
test('the servers ended well', endedWell);
