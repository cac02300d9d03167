// SPDX-License-Identifier: Apache-2.0
//
// Channels whose credential is the JSON key of a service account: one token for all, another when it is refused, a key that
// is not taken, an endpoint that is away; and nothing of a key or token where people read.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { attemptsOf } from './books.js';
import { command, endedWell, newDirectory, start, until } from './harness.js';
import { start as simulate } from '../simulators/core.js';
import { accountOf, vertexVeo } from '../simulators/vertex-veo.js';
import { film, isDone } from './simulated.js';

const vertex = await simulate(vertexVeo, { settings: { queue_ms: 0, duration_ms: 300 } });
after(() => vertex.close());
const HOME = '/v1/projects/films/locations/us-central1/publishers/google';
const model = 'm-vertex';

const channel = (more) => ({
    name: 'vertex', adapter: 'vertex-veo', base_url: vertex.url + HOME, models: [{ name: model, upstream: 'veo-3.1-generate-001' }], poll_first: '200ms', poll_every: '200ms', ...more,
});
const yaml = (...channels) => `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify(channels)}\n`;
const ask = (server, prompt) => film(server, model, prompt);
const tokens = () => vertex.stats().by_operation.token ?? 0;
const calm = () => {
    vertex.ledger.reset();
    vertex.counts.by_operation = {};
    Object.assign(vertex.settings, vertex.firstSettings);
    vertex.script.reset();
};

// What nobody may read: long pieces of the key, every token that was given.
const secrets = (account) => [...vertex.shelf.keys(), ...account.private_key.split('\n').filter((line) => line.length > 40)];
function isSilent(text, account) {
    for (const secret of secrets(account)) assert.ok(!text.includes(secret), 'a secret is told');
}

test('a key in a file: one token for many tasks, results from the bucket', async () => {
    calm();
    const account = accountOf(vertex);
    const folder = newDirectory();
    fs.writeFileSync(path.join(folder, 'sa.json'), `${JSON.stringify(account, null, 2)}\n`);
    const server = await start({ config: yaml(channel({ key_file: path.join(folder, 'sa.json'), options: { storage_uri: 'gs://films/veo/', storage_api: vertex.url } })) });
    const made = await Promise.all(Array.from({ length: 4 }, (_, index) => ask(server, `boat ${index}`)));
    for (const one of made) await isDone(server, one);
    assert.equal(tokens(), 1);
    assert.equal(vertex.told('download').entries.length, 4);
    // All tokens are void from now on: the next request finds out, and another one is fetched.
    vertex.program({ settings: { token_epoch: 1 } });
    await isDone(server, ask(server, 'after a 401'));
    assert.equal(tokens(), 2);
    assert.equal(vertex.told('submit').entries.filter(({ prompt }) => prompt === 'after a 401').length, 1);
    isSilent(server.log, account);
});
test('a key that is not taken: nothing is bought, and the note says why', async () => {
    calm();
    const account = { ...accountOf(vertex), client_email: 'stranger@example.com' };
    const server = await start({ config: yaml(channel({ key: JSON.stringify(account) })) });
    const { id } = await ask(server, 'never sent');
    await until('the refusal', () => /auth: no access token from .*: it answered with status 400: invalid_grant/.test(server.log));
    const task = await server.query(id);
    assert.ok(['pending', 'processing'].includes(task.status), task.status);
    assert.deepEqual(vertex.told('submit').entries, []);
    assert.ok(attemptsOf(server).every((row) => row.state !== 'unknown'), 'nothing is unknown');
    isSilent(server.log, account);
});
test('an endpoint that is away is waited for', async () => {
    calm();
    vertex.program({ settings: { token_status: 503 } });
    const account = accountOf(vertex);
    const server = await start({ config: yaml(channel({ key: JSON.stringify(account) })) });
    const asked = await ask(server, 'later');
    await until('the first failure', () => /no access token from .*: it answered with status 503/.test(server.log));
    vertex.program({ settings: { token_status: null } });
    await isDone(server, asked);
    assert.equal(vertex.told('submit').entries.length, 1);
    isSilent(server.log, account);
});
test('an API key goes as it is, and no token is fetched', async () => {
    calm();
    const server = await start({ config: yaml(channel({ base_url: `${vertex.url}/v1/publishers/google`, key: 'sim-key' })) });
    assert.equal((await server.waitEnd((await ask(server, 'express')).id)).status, 'completed');
    assert.equal(tokens(), 0);
});
test('the doctor says what is wrong with a key, and shows nothing of it', async () => {
    const account = accountOf(vertex);
    const folder = newDirectory();
    const file = path.join(folder, 'filmgate.yaml');
    for (const [key, expected] of [
        [JSON.stringify(account).slice(0, -20), /credential "default" whose key is no JSON object: copy the whole file/],
        [JSON.stringify({ ...account, type: 'authorized_user' }), /is the key of no service account/],
        [JSON.stringify({ ...account, private_key: account.private_key.slice(0, 200) }), /has a "private_key" that is none of RSA/],
        [JSON.stringify({ ...account, token_uri: 'http://example.com/token' }), /has a "token_uri" that is no https:\/\/ address/],
        ['sa.json', /is the name of a file: give it as "key_file"/],
    ]) {
        fs.writeFileSync(file, yaml(channel({ key })));
        const { status, stdout, stderr } = await command(['doctor', '--config', file]);
        assert.notEqual(status, 0);
        assert.match(stdout + stderr, expected);
        isSilent(stdout + stderr, account);
    }
    fs.writeFileSync(file, yaml(channel({ key: JSON.stringify(account) })));
    for (const line of [['doctor', '--config', file], ['dump', 'config', '--config', file]]) {
        const { stdout, stderr } = await command(line);
        assert.match(stdout, /vertex/);
        isSilent(stdout + stderr, account);
    }
});
test('the servers ended well', endedWell);
