// SPDX-License-Identifier: Apache-2.0
//
// What newcomers run: examples/vendors, whose seven models are each rendered by their own vendor; and what `make simulators`
// prints, whose lines are channels as they stand.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, PATIENCE, ROOT, endedWell, newDirectory, start, until } from './harness.js';
import { VENDORS } from './upstreams.js';

function run(file, ...args) {
    return new Promise((done, fail) => {
        const child = spawn(file, args, { cwd: ROOT, timeout: PATIENCE, stdio: ['ignore', 'pipe', 'pipe'] });
        const said = { stdout: '', stderr: '' };
        for (const name of Object.keys(said)) child[name].on('data', (data) => (said[name] += data));
        child.on('error', fail);
        child.on('close', (status) => done({ status, ...said }));
    });
}

test('each model is rendered by its own vendor', async () => {
    const { status, stdout, stderr } = await run(path.join(ROOT, 'examples/vendors'), BINARY);
    assert.equal(status, 0, stdout + stderr);
    const rows = stdout.trim().split('\n').slice(1).map((row) => row.split(/ +/));
    assert.deepEqual(rows, [
        ['sora-2', 'completed', 'openai-shape'], ['veo3.1', 'completed', 'google'], ['kling-v3', 'completed', 'kling'],
        ['seedance-2.0', 'completed', 'seedance'], ['wan2.7', 'completed', 'wan'], ['hailuo', 'completed', 'minimax'],
        ['grok-video-3', 'completed', 'xai'],
    ]);
});

// A printed line as a channel. What no simulator can know comes from the tests' own table: a model, a workflow.
async function channelOf(line) {
    const [, name, url, credential] = line.match(/^(\S+) +base_url: (\S+) +(.*)$/);
    const channel = { name, adapter: name, base_url: url, models: [{ name: VENDORS[name].model, upstream: VENDORS[name].upstream }], poll_first: '300ms', poll_every: '200ms' };
    if (VENDORS[name].options !== undefined) channel.options = VENDORS[name].options;
    const [, account] = credential.match(/^key_file: what GET (\S+) answers$/) ?? [];
    if (account !== undefined) {
        channel.key_file = path.join(newDirectory(), 'account.json');
        fs.writeFileSync(channel.key_file, await (await fetch(new URL(account, url))).text());
        return channel;
    }
    const [, key] = credential.match(/^key: ([\w-]+)/) ?? [];
    const [, secret] = credential.match(/secret: ([\w-]+)/) ?? [];
    assert.ok(key !== undefined || credential === 'no key', line);
    return { ...channel, ...(key === undefined ? {} : { key }), ...(secret === undefined ? {} : { secret }) };
}

const RUN = ['tests/simulators/run.js', '--port-base'];
test('each line that the simulators print is a channel that works', async () => {
    const child = spawn(process.execPath, [...RUN, '0'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
        let said = '';
        child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
        await until('the addresses', () => said.includes('Ctrl-C ends them'));
        const channels = await Promise.all(said.split('\n').filter((line) => line.includes('base_url: ')).map(channelOf));
        assert.deepEqual(channels.map(({ name }) => name).sort(), Object.keys(VENDORS).sort());
        const [, fetches] = said.match(/`(fetch: .*)`/);
        const server = await start({ config: `${fetches}\nchannels: ${JSON.stringify(channels)}\n` });
        const made = await Promise.all(channels.map(({ name }) => server.create({ prompt: 'a boat', model: VENDORS[name].model, duration: 5 })));
        const ends = await Promise.all(made.map(({ id }) => server.waitEnd(id)));
        assert.deepEqual(ends.map(({ status, error }, i) => [channels[i].name, status, error]), channels.map(({ name }) => [name, 'completed', undefined]));
    } finally {
        child.kill();
    }
});
test('a port that is taken is told, and how to begin elsewhere', async () => {
    const holder = net.createServer();
    const listen = () => new Promise((done) => holder.listen(0, '127.0.0.1', done));
    await listen();
    while (holder.address().port > 65000) {
        await new Promise((done) => holder.close(done));
        await listen();
    }
    const { port } = holder.address();
    const { status, stdout, stderr } = await run(process.execPath, ...RUN, `${port}`);
    holder.close();
    assert.equal(status, 1);
    assert.equal(stdout, '');
    const [, taken] = stderr.match(/^the simulators did not start: port (\d+) is in use\..*`make simulators PORT_BASE=\d+` begins elsewhere\n$/);
    assert.ok(taken >= port && taken < port + 30, stderr);
});

test('the servers ended well', endedWell);
