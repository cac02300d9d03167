// SPDX-License-Identifier: Apache-2.0
//
// Channels for operators: how they fare, and orders to them, by the API and by `filmgate channels`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command, endedWell, sleep, small, start, until } from './harness.js';

const server = await start({ key: { operator: true }, config: 'render:\n  slots: 1\n' });
const tenant = await server.addKey('tenant');
const slow = { duration: 60, size: 'large' };
const PATH = '/v1/channels/animatic';

const order = (verb, options) => server.call('POST', `${PATH}/${verb}`, options);
const cli = (args, key = server.key) => command(args, { env: { FILMGATE_URL: server.url, FILMGATE_KEY: key } });

async function channel() {
    const { status, json, text } = await server.call('GET', '/v1/channels');
    assert.equal(status, 200, text);
    assert.equal(json.data.length, 1);
    return json.data[0];
}

async function isQueued(id) {
    return (await server.query(id)).detail.pending_info?.status === 'queued';
}

test('the built-in engine is a channel', async () => {
    assert.deepEqual(await channel(), {
        object: 'channel', name: 'animatic', credential: null, adapter: 'animatic', state: 'ready', in_flight: 0, concurrency: 1, rest_ms: 0, median_ms: null,
        submits: 0, accepted: 0, refused: 0, unknown: 0, polls: 0, troubles: 0, last_error: null, last_error_at: null,
    });
});
test('what is under way is counted', async () => {
    const { id } = await server.create(slow);
    await server.waitRendering(id);
    assert.deepEqual([(await channel()).in_flight, (await channel()).submits], [1, 1]);
    await server.cancel(id);
    await until('the slot is free', async () => (await channel()).in_flight === 0);
});
test('it is for operators: 401 without a key, 403 with a tenant\'s, and nothing happens', async () => {
    for (const [method, path] of [['GET', '/v1/channels'], ['POST', `${PATH}/pause`], ['POST', '/v1/reload']]) {
        assert.equal((await server.call(method, path, { key: null })).status, 401);
        const refused = await server.call(method, path, { key: tenant });
        assert.deepEqual([refused.status, refused.json.code], [403, 'forbidden']);
    }
    assert.equal((await channel()).state, 'ready');
});
for (const [verb, state] of [['pause', 'paused'], ['drain', 'draining']])
    test(`${verb}: what is under way goes on, what is new waits until resume`, async () => {
        const before = await server.create(slow);
        await server.waitRendering(before.id);
        const answer = await order(verb);
        assert.deepEqual([answer.status, answer.json.data.map((row) => row.state)], [200, [state]]);
        assert.equal((await channel()).state, state);
        assert.equal((await channel()).in_flight, 1, 'it goes on');
        const waiting = await server.create(small);
        await server.cancel(before.id);
        await until('the slot is free', async () => (await channel()).in_flight === 0);
        await sleep(300);
        assert.ok(await isQueued(waiting.id));
        assert.equal((await order(verb)).status, 200, 'twice is no harm');
        assert.deepEqual((await order('resume')).json.data.map((row) => row.state), ['ready']);
        assert.equal((await server.waitEnd(waiting.id)).status, 'completed');
    });
test('an order does not outlive the process', async () => {
    await order('pause');
    const { id } = await server.create(small);
    await sleep(200);
    assert.ok(await isQueued(id));
    await server.restart();
    assert.equal((await channel()).state, 'ready');
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('an unknown channel, an unknown order, another method', async () => {
    for (const name of ['other', 'animati', 'animatic2', '%20', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(300)]) {
        const { status, json } = await server.call('POST', `/v1/channels/${name}/pause`);
        assert.deepEqual([status, json.code], [404, 'channel_not_found'], name);
    }
    for (const path of [`${PATH}/stop`, `${PATH}/`, PATH, '/v1/channels//pause', `${PATH}/pause/`, '/v1/channels/'])
        assert.deepEqual([(await server.call('POST', path)).json.code], ['not_found'], path);
    assert.equal((await server.call('GET', `${PATH}/pause`)).status, 405);
    assert.equal((await server.call('POST', '/v1/channels')).status, 405);
    assert.equal((await server.call('GET', '/v1/reload')).status, 405);
    assert.equal((await channel()).state, 'ready');
});
test('a channel of the configuration goes by its name', async () => {
    const named = await start({ key: { operator: true }, config: 'channels:\n  - name: studio\n    adapter: animatic\n    models: [sora-2]\n' });
    assert.equal((await named.call('GET', '/v1/channels')).json.data[0].name, 'studio');
    assert.equal((await named.call('POST', '/v1/channels/studio/pause')).status, 200);
    assert.equal((await named.call('POST', '/v1/channels/animatic/pause')).status, 404);
});

// What clients read of it

const away = { adapter: 'openai-videos', base_url: 'http://127.0.0.1:9', key: 'k' };
const gateway = await start({ key: { operator: true }, config: `channels: ${JSON.stringify([{ ...away, name: 'one', models: ['upstream-1', 'both'] }, { name: 'ours', adapter: 'animatic', models: ['ours', 'both'] }])}\nrender:\n  slots: 1\n` });

test('a task that waits says whether it waits for an upstream or for a slot of ours', async () => {
    const message = async ({ id }) => (await gateway.query(id)).detail.pending_info.queue_status_message;
    const says = (task, sentence) => until(sentence, async () => await message(task) === sentence);
    assert.equal((await gateway.call('POST', '/v1/channels/one/pause')).status, 200);
    const working = await gateway.create({ ...slow, model: 'ours' });
    await gateway.waitRendering(working.id);
    const tasks = {};
    for (const model of ['upstream-1', 'ours', 'both']) tasks[model] = await gateway.create({ ...small, model });
    await says(tasks['upstream-1'], 'Waiting until the upstream takes more work.');
    const beside = await gateway.create({ ...small, model: 'upstream-1' });
    await says(beside, 'Waiting until the upstream takes more work.'); // so the others have been looked at, too
    assert.equal(await message(tasks.ours), 'Waiting for a free slot.');
    assert.equal(await message(tasks.both), 'Waiting for a free slot.');
    for (const { id } of [beside, ...Object.values(tasks), working]) await gateway.cancel(id);
});

// The commands

test('filmgate channels: a table, and JSON', async () => {
    for (const args of [['channels'], ['channels', 'list']]) {
        const { status, stdout, stderr } = await cli(args);
        assert.deepEqual([status, stderr], [0, '']);
        const lines = stdout.trimEnd().split('\n');
        assert.equal(lines.length, 2);
        assert.match(lines[0], /^CHANNEL\/CREDENTIAL +ADAPTER +STATE +BUSY\/MOST +SUBMITS +ACCEPTED +REFUSED +UNKNOWN +LAST ERROR$/);
        assert.match(lines[1], /^animatic +animatic +ready +0\/1 +\d+ +\d+ +0 +0  -$/);
    }
    assert.deepEqual(JSON.parse((await cli(['channels', '--json'])).stdout), [await channel()]);
});
test('filmgate channels pause, drain, resume', async () => {
    for (const [verb, state] of [['pause', 'paused'], ['drain', 'draining'], ['resume', 'ready']]) {
        const { status, stdout, stderr } = await cli(['channels', verb, 'animatic']);
        assert.equal(status, 0, stderr);
        assert.match(stdout, new RegExp(`animatic +${state} `));
        assert.equal((await channel()).state, state);
    }
    assert.equal(JSON.parse((await cli(['channels', 'resume', 'animatic', '--json'])).stdout)[0].state, 'ready');
});
test('their errors', async () => {
    const refusals = [[3, /no such channel/i, ['channels', 'pause', 'a/b c']], [2, /list, pause, resume or drain/, ['channels', 'stop', 'animatic']], [2, /needs the channel's name/, ['channels', 'pause']],
        [2, /needs the channel's name/, ['channels', 'pause', '']], [2, /what is "b" for/, ['channels', 'pause', 'a', 'b']], [2, /what is "x" for/, ['channels', 'list', 'x']], [2, /too long/, ['channels', 'pause', 'x'.repeat(5000)]], [2, /what is "x" for/, ['reload', 'x']]];
    for (const [status, pattern, args] of refusals) {
        const said = await cli(args);
        assert.deepEqual([said.status, said.stdout], [status, ''], args.join(' '));
        assert.match(said.stderr, pattern);
    }
    for (const args of [['channels'], ['channels', 'pause', 'animatic'], ['reload']]) {
        const said = await cli(args, tenant);
        assert.equal(said.status, 3);
        assert.match(said.stderr, /may not do that[^]*takes an operator's key/);
    }
    assert.equal((await channel()).state, 'ready');
});

test('the servers ended well', endedWell);
