// SPDX-License-Identifier: Apache-2.0
//
// What operators see of channels to upstreams: one that rests, one that fails in a row, one that is not configured any more.
// Every answer is held against the server's own document.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { command, endedWell, start, until } from './harness.js';
import { startAll } from '../simulators/run.js';
import { film } from './simulated.js';
import { channelsYaml, VENDORS } from './upstreams.js';

const sims = await startAll({ portBase: 0 });
after(() => sims.close());
const server = await start({ key: { operator: true }, config: channelsYaml(sims, ['unified', 'fal']) });

async function channel(name) {
    const { status, json, text } = await server.call('GET', '/v1/channels');
    assert.equal(status, 200, text);
    return json.data.find((row) => row.name === name);
}

async function program(script) {
    const answer = await fetch(`${sims.unified.url}/_sim/script`, { method: 'POST', body: JSON.stringify(script), headers: { 'content-type': 'application/json' } });
    assert.equal(answer.status, 200, await answer.text());
}

const ask = (prompt) => film(server, VENDORS.unified.model, prompt);

test('an upstream that asks for a rest is open for so long, and is asked again', async () => {
    await program({ rules: [{ on: 'submit', times: 1, do: { status: 429, headers: { 'retry-after': '3600' } } }], settings: { duration_ms: 400, queue_ms: 100 } });
    const { id } = await ask('after the rest');
    await until('it is open', async () => (await channel('unified')).state === 'open');
    const { rest_ms: rest, refused, last_error: error } = await channel('unified');
    assert.ok(rest > 3000_000 && rest <= 3600_000, `${rest}`);
    assert.deepEqual([refused, typeof error], [1, 'string']);
    assert.equal((await channel('fal')).state, 'ready', 'the others are well');
    await server.cancel(id);
});
test('a restart forgets the rest; five failures in a row open it', async () => {
    await server.restart();
    assert.equal((await channel('unified')).state, 'ready');
    await program({ rules: [{ on: 'submit', do: { accept_then: 'reset' } }] });
    for (let i = 0; i < 5; i++) {
        assert.equal((await channel('unified')).state, 'ready', `after ${i}`);
        assert.equal((await server.waitEnd((await ask(`an outage ${i}`)).id)).error.code, 'submission_unknown');
    }
    const { state, rest_ms: rest, unknown } = await channel('unified');
    assert.deepEqual([state === 'open' || state === 'half_open', unknown], [true, 5]);
    assert.ok(rest <= 5000, `${rest}`);
});
test('then one is let through on trial, and its success closes it', async () => {
    await program({ rules: [] });
    assert.equal((await server.waitEnd((await ask('on trial')).id)).status, 'completed');
    const { state, rest_ms: rest } = await channel('unified');
    assert.deepEqual([state, rest], ['ready', 0]);
});
test('a task that was turned away for an hour goes to another channel that serves the model', async () => {
    const first = { name: 'first', adapter: 'unified', base_url: sims.unified.url, key: 'sim-key', models: ['both'], priority: 10 };
    const second = { name: 'second', adapter: 'fal', base_url: sims.fal.url, key: 'sim-key', models: [{ name: 'both', upstream: 'fal-ai/veo3' }] };
    const two = await start({ key: { operator: true }, config: `channels: ${JSON.stringify([first, second])}\n` });
    await program({ rules: [{ on: 'submit', do: { status: 429, headers: { 'retry-after': '3600' } } }] });
    const { id } = await film(two, 'both', 'elsewhere');
    assert.equal((await two.waitEnd(id)).status, 'completed');
    const { data } = (await two.call('GET', '/v1/channels')).json;
    assert.deepEqual(data.map((row) => [row.name, row.state, row.submits, row.accepted]), [['first', 'open', 1, 0], ['second', 'ready', 1, 1]]);
    await program({ rules: [] });
});
test('a task that is turned away for a moment goes to another channel, though the first is well again', async () => {
    const first = { name: 'first', adapter: 'unified', base_url: sims.unified.url, key: 'sim-key', models: ['both'], priority: 10 };
    const second = { name: 'second', adapter: 'fal', base_url: sims.fal.url, key: 'sim-key', models: [{ name: 'both', upstream: 'fal-ai/veo3' }] };
    const two = await start({ key: { operator: true }, config: `channels: ${JSON.stringify([first, second])}\n` });
    await program({ rules: [{ on: 'submit', do: { status: 429, headers: { 'retry-after': '1' } } }] });
    const { id } = await film(two, 'both', 'elsewhere, soon');
    assert.equal((await two.waitEnd(id)).status, 'completed');
    const { data } = (await two.call('GET', '/v1/channels')).json;
    assert.deepEqual(data.map((row) => [row.name, row.submits, row.accepted]), [['first', 1, 0], ['second', 1, 1]]);
    await program({ rules: [] });
});
test('a channel that a reload took away is shown while its jobs last, and they finish', async () => {
    await program({ settings: { duration_ms: 3000 } });
    const { id } = await ask('left behind');
    await until('it is accepted', async () => (await channel('unified')).accepted === 2);
    fs.writeFileSync(path.join(server.dir, 'filmgate.yaml'), channelsYaml(sims, ['fal']));
    assert.equal((await server.call('POST', '/v1/reload')).status, 200);
    const { state, in_flight: busy, concurrency, adapter } = await channel('unified');
    assert.deepEqual([state, busy, concurrency, adapter], ['gone', 1, 0, '']);
    const { stdout } = await command(['channels'], { env: { FILMGATE_URL: server.url, FILMGATE_KEY: server.key } });
    assert.match(stdout, /^unified\/default +- +gone +1\/0 /m);
    assert.equal((await server.waitEnd(id)).status, 'completed');
    await until('it is shown no more', async () => (await channel('unified')) === undefined);
});
test('helpers of adapters that a reload replaced do not stay', async () => {
    await program({ settings: { duration_ms: 100 } });
    fs.writeFileSync(path.join(server.dir, 'filmgate.yaml'), channelsYaml(sims, ['unified']));
    for (let i = 0; i < 4; i++) {
        assert.equal((await server.call('POST', '/v1/reload')).status, 200);
        assert.equal((await server.waitEnd((await ask(`reload ${i}`)).id)).status, 'completed');
    }
    await until('one is left', () => server.helpers().length <= 1);
});

test('the servers ended well', endedWell);
