// SPDX-License-Identifier: Apache-2.0
//
// A renderer that dies or hangs takes nothing with it: the task is tried again, in the end fails
// with a reason, and other tasks never notice.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { endedWell, start, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n  stall: 2s\ntasks:\n  attempts: 3\n  backoff: 100ms\n' });
const slow = { duration: 8, size: '640x640' };

// Waits for a helper that is not in `known` and adds it.
async function nextHelper(known) {
    const helper = await until('another helper', () => server.helpers().find((pid) => !known.has(pid)), { every: 5 });
    known.add(helper);
    return helper;
}

test('killed once: tried again, then completes', async () => {
    const { id } = await server.create(slow);
    const before = await server.waitRendering(id, 5);
    const known = new Set(server.helpers());
    for (const pid of known) process.kill(pid, 'SIGKILL');
    await nextHelper(known);
    const after = await server.query(id);
    assert.equal(after.status, 'pending');
    assert.ok(after.progress >= before.progress, 'what the client sees never falls');
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('killed in every attempt: fails with render_crashed', async () => {
    const { id } = await server.create(slow);
    const known = new Set();
    for (let attempt = 0; attempt < 3; attempt++) process.kill(await nextHelper(known), 'SIGKILL');
    const end = await server.waitEnd(id);
    assert.deepEqual([end.status, end.error.code], ['failed', 'render_crashed']);
    assert.match(end.error.message, /charged/);
    assert.equal(server.helpers().length, 0);
});
test('hanging in every attempt: fails with render_stalled', async () => {
    const { id } = await server.create(slow);
    const known = new Set();
    const end = await until('the end', async () => {
        for (const pid of server.helpers().filter((pid) => !known.has(pid))) {
            known.add(pid);
            process.kill(pid, 'SIGSTOP');
        }
        const answer = await server.query(id);
        return answer.status !== 'pending' && answer;
    }, { every: 20 });
    assert.deepEqual([end.status, end.error.code], ['failed', 'render_stalled']);
    assert.equal(known.size, 3, 'three attempts');
    await until('the helpers to be gone', () => server.helpers().length === 0);
});
test('hanging once: tried again, then completes', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id);
    for (const pid of server.helpers()) process.kill(pid, 'SIGSTOP');
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('other tasks are unharmed', async () => {
    const two = await start({ config: 'render:\n  slots: 2\ntasks:\n  attempts: 1\n' });
    const victim = await two.create(slow);
    const helper = await two.waitHelper();
    const others = [await two.create(slow), await two.create({}), await two.create({})];
    process.kill(helper, 'SIGKILL');
    const end = await two.waitEnd(victim.id);
    assert.equal(end.error?.code, 'render_crashed', JSON.stringify(end.error));
    for (const { id } of others) assert.equal((await two.waitEnd(id)).status, 'completed');
});
test('the helper has no key, no listening socket and no database open', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id);
    const [helper] = server.helpers();
    if (process.getuid() !== 0) {
        /* A helper shows itself to no process of its user; what it holds only root can see. */
        assert.throws(() => fs.readdirSync(`/proc/${helper}/fd`), { code: 'EACCES' });
        await server.cancel(id);
        return;
    }
    const open = fs.readdirSync(`/proc/${helper}/fd`).map(Number).filter((fd) => fd > 2).map((fd) => {
        try {
            return fs.readlinkSync(`/proc/${helper}/fd/${fd}`);
        } catch {
            return '';
        }
    });
    for (const target of open) assert.doesNotMatch(target, /\.db|sqlite|link\.key|eventpoll|lock/);
    assert.ok(open.filter((target) => target.startsWith('socket:')).length <= 1, open.join(' '));
    await server.cancel(id);
});

test('the servers ended well', endedWell);
