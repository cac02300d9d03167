// SPDX-License-Identifier: Apache-2.0
//
// Progress is what the renderer reported: it never falls, it stops while the renderer is stopped,
// and never comes from a clock. (That it never falls is checked on every query of every test.)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedWell, sleep, start, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n  stall: 10m\n' });
const slow = { duration: 8, size: '640x640' };

test('it rises from 0 to 100 in many steps and never falls', async () => {
    const { id } = await server.create({ duration: 15, size: 'small' });
    const seen = [];
    await until('the end', async () => {
        const answer = await server.query(id);
        assert.equal(answer.progress, answer.status === 'pending' ? Math.min(99, Math.floor(answer.detail.pending_info.progress_pct * 100 + 1e-9)) : 100);
        if (seen.at(-1) !== answer.progress) seen.push(answer.progress);
        return answer.status === 'completed';
    }, { every: 5 });
    assert.deepEqual(seen, [...seen].sort((a, b) => a - b));
    assert.equal(seen.at(-1), 100);
    assert.ok(seen.length > 5, `only ${seen} were seen`);
});
test('it stands still while the renderer does, and goes on with it', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id, 3);
    const [helper] = server.helpers();
    process.kill(helper, 'SIGSTOP');
    // What was on its way arrives; from then on nothing may come.
    await sleep(1500);
    const stopped = await server.query(id);
    await sleep(3000);
    const later = await server.query(id);
    assert.equal(stopped.status, 'pending');
    assert.deepEqual([later.progress, later.detail.pending_info.progress_pct, later.status_update_time], [stopped.progress, stopped.detail.pending_info.progress_pct, stopped.status_update_time]);
    process.kill(helper, 'SIGCONT');
    await until('it goes on', async () => (await server.query(id)).progress > stopped.progress);
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('a task that waits has none, and its place in the queue falls', async () => {
    const holder = await server.create(slow);
    const [first, second] = [await server.create({}), await server.create({})];
    await server.waitRendering(holder.id);
    process.kill(server.helpers()[0], 'SIGSTOP');
    const places = await until('places in the queue', async () => {
        const infos = [await server.query(first.id), await server.query(second.id)].map((answer) => answer.detail.pending_info);
        return infos.every((info) => info.progress_pos_in_queue !== null) && infos;
    });
    assert.deepEqual(places.map((info) => info.progress_pos_in_queue), [1, 2]);
    assert.deepEqual(places.map((info) => info.progress_pct), [0, 0]);
    assert.deepEqual(places.map((info) => info.status), ['queued', 'queued']);
    await server.cancel(first.id);
    await until('the second moves up', async () => (await server.query(second.id)).detail.pending_info.progress_pos_in_queue === 1);
    await server.cancel(holder.id);
    assert.equal((await server.waitEnd(second.id)).status, 'completed');
});
test('who asks for more priority goes first', async () => {
    const holder = await server.create(slow);
    await server.waitRendering(holder.id);
    process.kill(server.helpers()[0], 'SIGSTOP');
    const usual = await server.create({}), urgent = await server.create({ priority: 9 });
    await until('places in the queue', async () => (await server.query(urgent.id)).detail.pending_info.progress_pos_in_queue === 1 && (await server.query(usual.id)).detail.pending_info.progress_pos_in_queue === 2);
    await server.cancel(holder.id);
    await server.waitEnd(usual.id);
    assert.equal((await server.query(urgent.id)).status, 'completed');
});
test('the wait is estimated once something is known, in whole seconds', async () => {
    const holder = await server.create(slow);
    await server.waitRendering(holder.id);
    process.kill(server.helpers()[0], 'SIGSTOP');
    const { id } = await server.create({});
    const info = await until('an estimate', async () => {
        const { pending_info: now } = (await server.query(id)).detail;
        return now.estimated_queue_wait_time !== null && now;
    });
    assert.ok(Number.isInteger(info.estimated_queue_wait_time) && info.estimated_queue_wait_time >= 0);
    await server.cancel(holder.id);
    await server.cancel(id);
});

test('the servers ended well', endedWell);
