// SPDX-License-Identifier: Apache-2.0
//
// `filmgate watch`: lines for changes of one task, of several, of all, over starts of the gateway.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { BINARY, command, endedWell, start, until } from './harness.js';
import { eventsOf, Stage, watchers } from './streams.js';

const stage = await new Stage().open();
const server = await start({ config: stage.config('notify: {heartbeat: 1s}\n') });
const env = { FILMGATE_URL: server.url, FILMGATE_KEY: server.key };

// A watch under way: `out` so far, and how it ended.
function watch(...args) {
    const child = spawn(BINARY, ['watch', ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const watching = { out: '', err: '', child };
    child.stdout.setEncoding('utf8').on('data', (text) => (watching.out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (watching.err += text));
    watching.ended = new Promise((done) => child.on('close', (status) => done(status)));
    return watching;
}

const make = (prompt) => server.create({ model: 'm', prompt });
const lines = ({ out }) => out.split('\n').slice(0, -1);

test('one task: a line for each change, and the task at its end', async () => {
    stage.tell('one', { state: 'rendering', progress: 0.3 });
    const { id } = await make('one');
    const [people, programs] = [watch(id), watch('--json', id)];
    for (const each of [people, programs]) await until('30 %', () => /30/.test(each.out));
    assert.match(people.out, new RegExp(`^${id} {2}rendering, 30 %$`, 'm'));
    stage.fail('one');
    assert.equal(await people.ended, 1);
    assert.equal(await programs.ended, 1);
    assert.match(people.out, /^status {4}failed, 30 %$/m);
    const said = lines(programs).map((line) => JSON.parse(line));
    assert.deepEqual(said.at(-1), await server.query(id));
    assert.ok(said.slice(0, -1).every((each) => each.id === id && each.status === 'pending' && each.state !== undefined));
});
test('several tasks: until all have ended; one that failed is the status', async () => {
    const film = await server.create({ prompt: 'film' });
    const [one, two] = [await make('several 1'), await make('several 2')];
    const [both, done] = [watch(one.id, two.id, film.id), watch(film.id, film.id)];
    assert.equal(await done.ended, 0, done.err);
    stage.fail('several 1');
    await until('the first end', () => both.out.includes('failed'));
    assert.equal(both.child.exitCode, null);
    stage.fail('several 2');
    assert.equal(await both.ended, 1);
    for (const { id } of [one, two]) assert.match(both.out, new RegExp(`^${id} {2}failed, 0 %: \\w+$`, 'm'));
    assert.match(both.out, new RegExp(`^${film.id} {2}completed, 100 %$`, 'm'));
});
test('all tasks: over starts of the gateway, nothing is missed and nothing is said twice, until Ctrl-C', async () => {
    const operator = await server.addKey('operator', { operator: true });
    const all = watch('--json');
    await until('the stream', async () => (await watchers(server, 'stream', operator)) === 1);
    const mark = eventsOf(server).at(-1).number;
    stage.fail('first');
    const first = await make('first');
    await until('the first', () => all.out.includes('"failed"'));
    for (const end of ['stop', 'kill']) {
        for (let i = 0; i < 10; i++) {
            stage.fail(`${end} ${i}`);
            await make(`${end} ${i}`);
        }
        if (end === 'stop') assert.equal(await server.stop(), 0);
        else await server.kill();
        await server.restart();
    }
    for (const { id } of (await server.call('GET', '/v1/video/tasks?limit=21')).json.data) await server.waitEnd(id);
    const expected = eventsOf(server, `number > ${mark}`);
    const said = () => lines(all).map((line) => JSON.parse(line)).map(({ id, state }) => [id.split(':')[1], state]);
    await until('all of it', () => said().length >= expected.length);
    assert.deepEqual(said(), expected.map(({ task_id: id, state }) => [id, state]));
    assert.equal(said()[0][0], first.id.split(':')[1]);
    all.child.kill('SIGINT');
    assert.equal(await all.ended, 130);
});
test('what cannot be watched is said', async () => {
    const { status, stderr } = await command(['watch', 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60'], { env });
    assert.equal(status, 3);
    assert.match(stderr, /task_not_exist/);
    assert.equal((await command(['watch'], { env: { ...env, FILMGATE_KEY: 'wrong' } })).status, 3);
    assert.equal((await command(['watch', ...Array(65).fill('x')], { env })).status, 2);
    assert.equal((await command(['watch', '--output', 'x'], { env })).status, 2);
});

test('the servers ended well', endedWell);
