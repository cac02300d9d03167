// SPDX-License-Identifier: Apache-2.0
//
// `filmgate webhooks`: what an operator of a receiver does from a shell. And what the server refuses of a configuration.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { command, endedWell, newDirectory, start, until } from './harness.js';
import { Receiver } from './receiver.js';

const receiver = await Receiver.open();
const server = await start({ config: `render:\n  slots: 1\nwebhooks:\n  allow: ["${receiver.address}"]\n  retries: [100ms]\n`, key: { tenant: 'red' } });
const run = (args, { status = 0 } = {}) => command(['webhooks', ...args], { env: { FILMGATE_URL: server.url, FILMGATE_KEY: server.key } }).then((result) => {
    assert.equal(result.status, status, result.stderr);
    return result;
});
const json = async (args) => JSON.parse((await run([...args, '--json'])).stdout);

test('an endpoint is added, listed, tested, and removed', async () => {
    const added = await run(['add', receiver.url('/hook')]);
    const id = /whk_[0-9a-z]{26}/.exec(added.stdout)[0];
    assert.match((await run(['list'])).stdout, new RegExp(`^${id}  enabled  +\\S+Z  ${receiver.url('/hook')}\n$`));
    assert.equal((await run([])).stdout, (await run(['list'])).stdout);
    assert.deepEqual((await json(['list'])).map((row) => row.id), [id]);
    const secret = (await run(['secret'])).stdout.trim();
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    const sent = await json(['test', id]);
    const [hit] = await receiver.wait('/hook');
    assert.equal(hit.event.type, 'webhook.test');
    assert.equal(hit.event.id, sent.event_id);
    new Webhook(secret).verify(hit.body, hit.headers);
    assert.match((await run(['enable', id])).stdout, /enabled/);
    const rotated = (await run(['rotate'])).stdout.trim();
    assert.notEqual(rotated, secret);
    assert.equal((await run(['secret'])).stdout.trim(), rotated);
    assert.equal((await run(['rm', id])).stdout, '');
    assert.equal((await run(['list'])).stdout, '');
    await run(['rm', id], { status: 3 });
});
test('the log is shown, and replayed from', async () => {
    receiver.manners['/log'] = (_, response, hit) => {
        response.statusCode = hit.number <= 2 ? 500 : 200;
        response.end('sorry');
    };
    const { id } = await server.create({ duration: 60, size: 'large', webhook_url: receiver.url('/log') });
    await server.cancel(id);
    const [row] = await until('it to be given up', async () => {
        const data = await json(['deliveries', '--status', 'given_up', '--task', id, '--limit', '5']);
        return data.length === 1 && data;
    });
    assert.equal(row.tries, 2);
    assert.match((await run(['deliveries'])).stdout, new RegExp(`${row.id}  given_up`));
    assert.equal((await run(['deliveries', '--endpoint', 'whk_none'])).stdout, '');
    const shown = (await run(['show', row.id])).stdout;
    assert.match(shown, /2 tries failed/);
    assert.match(shown, /500 {2}.*status 500\n {5}sorry/);
    assert.match(shown, /"type":"video\.failed"/);
    const again = await json(['replay', row.id]);
    assert.equal(again.event_id, row.event_id);
    await receiver.wait('/log', 3);
    await until('it to be delivered', async () => (await json(['show', again.id])).status === 'delivered');
});
test('wrong usage is told', async () => {
    for (const args of [['send'], ['add'], ['rm'], ['show'], ['list', 'x'], ['list', '--task', 'x'], ['deliveries', '--limit', '0'], ['test', 'a', 'b']])
        assert.match((await run(args, { status: 2 })).stderr, /^filmgate webhooks: /, args.join(' '));
    assert.match((await run(['--help'])).stdout, /^Usage: filmgate webhooks/);
    assert.match((await run(['test', 'whk_none'], { status: 3 })).stderr, /no such webhook/);
    assert.match((await run(['add', 'ftp://example.com/'], { status: 3 })).stderr, /url/);
});
test('the tries are counted', async () => {
    const { text } = await server.call('GET', '/metrics', { key: await server.addKey('op', { operator: true }), unchecked: true });
    assert.match(text, /^filmgate_webhook_tries_total\{end="delivered"\} 2$/m);
    assert.match(text, /^filmgate_webhook_tries_total\{end="failed"\} 2$/m);
    assert.match(text, /^filmgate_webhooks_given_up_total 1$/m);
});
test('settings that make no sense are refused, by the server and by the doctor', async () => {
    const dir = newDirectory();
    const file = path.join(dir, 'filmgate.yaml');
    for (const [setting, message] of [
        ['retries: [5s, soon]', /webhooks\.retries.*"soon"/],
        [`retries: [${Array(17).fill('1s').join(', ')}]`, /webhooks\.retries.*at most 16/],
        ['allow: [example.com]', /webhooks\.allow/],
    ]) {
        fs.writeFileSync(file, `webhooks:\n  ${setting}\n`);
        const served = await command(['serve', '--config', file, '--data', path.join(dir, 'data'), '--listen', '127.0.0.1:0']);
        assert.equal(served.status, 2, setting);
        assert.match(served.stderr, message);
        const { stdout } = await command(['doctor', '--config', file, '--data', path.join(dir, 'data')]);
        assert.match(stdout, new RegExp(`webhooks\\.${setting.split(':')[0]}`));
    }
});

test('the receiver closes', () => receiver.close());
test('the servers ended well', endedWell);
