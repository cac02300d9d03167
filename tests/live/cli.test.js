// SPDX-License-Identifier: Apache-2.0
//
// The command line against a running server, as a person or a script uses it: what is printed
// where, what files are written, and how it ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, command, endedWell, newDirectory, start, terminal, until } from './harness.js';
import { decodesCleanly, probe, saved, tiny, warm } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const env = { FILMGATE_URL: server.url, FILMGATE_KEY: server.key };
const cheap = ['--size', '64x64', '--duration', '1'];
const cli = (...args) => command(args, { env });
const ID = /^sora-2:task_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const slow = { duration: 60, size: 'large' };

const COMMANDS = ['serve', 'doctor', 'keys', 'adapters', 'attempts', 'create', 'query', 'watch', 'list', 'cancel', 'channels', 'reload', 'dump', 'version'];

async function ok(...args) {
    const result = await cli(...args);
    assert.equal(result.status, 0, `${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
}

async function ends(status, ...args) {
    const result = await cli(...args);
    assert.equal(result.status, status, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
    assert.notEqual(result.stderr, '', 'it says why');
    return result;
}

// Help

test('--help, -h and help name every command', async () => {
    for (const args of [['--help'], ['-h'], ['help'], ['help', '--help'], ['help', 'help']]) {
        const text = await ok(...args);
        for (const name of COMMANDS) assert.match(text, new RegExp(`\\b${name}\\b`));
        assert.match(text, /FILMGATE_URL/);
        assert.match(text, /Exit status/i);
    }
});
for (const name of COMMANDS)
    test(`${name} --help explains it`, async () => {
        const text = await ok(name, '--help');
        assert.match(text, new RegExp(`^Usage: filmgate ${name}`));
        assert.ok(text.split('\n').every((line) => line.length <= 100), 'it fits on a terminal');
    });
test('version --json', async () => assert.match(JSON.parse(await ok('version', '--json')).version, /^\d+\.\d+\.\d+$/));
test('an unknown command suggests the nearest one, where one is near', async () => {
    for (const [given, meant] of [['creat', 'create'], ['lsit', 'list'], ['wacth', 'watch'], ['hlep', 'help'], ['doctr', 'doctor']]) {
        for (const args of [[given], ['help', given]]) assert.match((await ends(2, ...args)).stderr, new RegExp(`"${given}"; is it \`filmgate ${meant}\` you mean`));
    }
    for (const given of ['xyzzy', 'q', '', 'x'.repeat(1000)]) assert.doesNotMatch((await ends(2, given)).stderr, /you mean/);
});
test('--version says the version', async () => assert.match(await ok('--version'), /^filmgate \d+\.\d+\.\d+\n$/));

const wrong = [[], ['nonsense'], ['create'], ['create', 'a', 'b'], ['create', '--nonsense', 'x'], ['create', '--duration', 'ten', 'x'], ['query'], ['query', 'a', 'b'], ['watch', 'a', 'b', '--output', 'c'], ['cancel'], ['list', '--limit', '0'], ['keys', 'create'], ['keys', 'nonsense'], ['attempts', 'nonsense'], ['channels', 'nonsense'], ['reload', 'x'], ['dump'], ['dump', 'nonsense'], ['serve', '--nonsense'], ['serve', 'x'], ['query', '--url', 'nonsense', 'x']];
for (const args of wrong)
    test(`wrong usage ends with 2: filmgate ${args.join(' ')}`, async () => {
        const result = await ends(2, ...args);
        assert.equal(result.stdout, '');
    });

// Tasks

test('create prints the id alone', async () => {
    const text = await ok('create', 'make animate', ...cheap);
    assert.match(text.trimEnd(), ID);
    assert.equal((await server.query(text.trim())).detail.input.prompt, 'make animate');
});
test('create sends what it is told', async () => {
    const id = (await ok('create', '--model', 'veo3', '--orientation', 'landscape', '--size', 'small', '--duration', '2', '--seed', '9', '--title', 'A title', '--watermark', 'a prompt')).trim();
    const { input, pending_info: info } = (await server.cancel(id)).json.detail ?? {};
    assert.deepEqual([input?.model, info?.width, info?.n_frames, info?.seed, info?.title], ['veo3', 640, 60, 9, 'A title']);
});
test('create --body sends a request as it stands, from a file or standard input', async () => {
    const body = JSON.stringify({ model: 'sora-2', prompt: 'whole: 猫', size: '64x64', duration: 1, orientation: 'landscape' });
    const id = (await ok('create', '--body', saved(Buffer.from(body), 'body.json'))).trim();
    assert.equal((await server.query(id)).detail.input.prompt, 'whole: 猫');
    const piped = await command(['create', '--body', '-', '--wait', '--json'], { env, input: body });
    assert.equal(piped.status, 0, piped.stderr);
    assert.equal(JSON.parse(piped.stdout).status, 'completed');
    const refused = await command(['create', '--body', '-'], { env, input: '{"prompt": ' });
    assert.equal(refused.status, 3);
    assert.match(refused.stderr, /invalid_request|bad_request_body/);
});
test('create says what is wrong with its input', async () => {
    const cases = [['', /missing: "standard input" is empty/], ['\n', /missing.*empty line/], [Buffer.from([0xff, 0x41]), /not a text in UTF-8/], ['a\0b', /not a text in UTF-8/], ['x'.repeat((1 << 20) + 1), /longer than 1048576 bytes/]];
    for (const [input, sentence] of cases) {
        const result = await command(['create', '-'], { env, input });
        assert.deepEqual([result.status, result.stdout], [5, ''], result.stderr);
        assert.match(result.stderr, sentence);
    }
    for (const [file, sentence] of [['/nonexistent', /"\/nonexistent": No such file/], ['/tmp', /"\/tmp": Is a directory/]]) assert.match((await ends(5, 'create', '--body', file)).stderr, sentence);
    for (const args of [['--model', 'x'], ['--image', 'http://x/y'], ['--seed', '1'], ['a prompt']]) assert.match((await ends(2, 'create', '--body', '-', ...args)).stderr, /--body holds/);
});
test('create - on a terminal reads until the end of the file', async () => {
    const { status, said } = await terminal(['create', '-', ...cheap], { env: { ...env, TERM: 'xterm' }, typed: 'typed by hand\n\x04' });
    assert.equal(status, 0, said);
    const [id] = /sora-2:task_\S+/.exec(said);
    assert.equal((await server.query(id)).detail.input.prompt, 'typed by hand');
});
test('create --json prints the answer', async () => assert.match(JSON.parse(await ok('create', 'x', '--json', ...cheap)).id, ID));
test('create with - reads the prompt from standard input', async () => {
    const { status, stdout } = await command(['create', '-', ...cheap], { env, input: 'from a pipe: 猫\n' });
    assert.equal(status, 0);
    assert.equal((await server.query(stdout.trim())).detail.input.prompt, 'from a pipe: 猫');
});
test('create --wait --output writes all files, whole', async () => {
    const out = path.join(newDirectory(), 'out');
    const image = saved(warm, 'warm.png');
    const result = await cli('create', 'make animate', '--image', image, '--image', saved(tiny, 'tiny.png'), '--duration', '2', '--wait', '--output', out);
    assert.equal(result.status, 0, result.stderr);
    assert.deepEqual(fs.readdirSync(out).sort(), ['answer.json', 'md.mp4', 'preview.gif', 'thumbnail.webp', 'video.mp4']);
    const answer = JSON.parse(fs.readFileSync(path.join(out, 'answer.json')));
    assert.equal(answer.status, 'completed');
    assert.equal(answer.detail.input.images.length, 2);
    for (const file of ['video.mp4', 'md.mp4', 'preview.gif', 'thumbnail.webp']) await decodesCleanly(path.join(out, file));
    assert.equal((await probe(path.join(out, 'video.mp4'))).frames, 60);
    assert.doesNotMatch(result.stderr, /\r|\x1b/, 'no progress line in a pipe');
});
test('a model whose tasks end in success has ended, too', async () => {
    const { status, stdout } = await cli('create', 'make animate', '--model', 'viduq2', '--wait', '--json', ...cheap);
    assert.equal(status, 0);
    const task = JSON.parse(stdout.trim().split('\n').at(-1));
    assert.deepEqual([task.status, task.detail.status], ['success', 'completed']);
    assert.equal((await cli('watch', task.id)).status, 0);
});
test('create --wait of a task that fails ends with 1 and says why', async () => {
    const result = await ends(1, 'create', 'x', '--image', 'http://127.0.0.1:9/x.png', '--wait', ...cheap);
    assert.match(result.stderr, /image_forbidden/);
});
test('an image that cannot be read ends with 5', async () => {
    const cases = [['/nonexistent/x.png', /nonexistent.*cannot be read: No such file/], ['/tmp', /"\/tmp" is not a file/], [saved(Buffer.alloc(0), 'none.png'), /none\.png" is empty/]];
    for (const [image, sentence] of cases) assert.match((await ends(5, 'create', 'x', '--image', image)).stderr, sentence);
});
test('an output that cannot be written ends with 5, and nothing was bought', async () => {
    const before = (await ok('list', '--all', '--json')).split('\n').length;
    await ends(5, 'create', 'x', '--output', '/proc/nonexistent', ...cheap);
    assert.equal((await ok('list', '--all', '--json')).split('\n').length, before);
});
test('a file that is no image ends with 3', async () => {
    assert.match((await ends(3, 'create', 'x', '--image', saved(Buffer.from('text'), 'x.png'), ...cheap)).stderr, /image/);
});
test('the same idempotency key is the same task', async () => {
    const args = ['create', 'once', '--idempotency-key', 'cli-1', ...cheap];
    assert.equal(await ok(...args), await ok(...args));
    await ends(3, 'create', 'another', '--idempotency-key', 'cli-1', ...cheap);
});
test('query shows how it stands, --json the whole answer', async () => {
    const { id } = await server.complete({});
    const text = await ok('query', id);
    assert.match(text, /completed/);
    assert.match(text, /\/assets\//);
    assert.deepEqual(JSON.parse(await ok('query', '--json', id)), await server.query(id));
});
test('watch waits until the end and saves the files', async () => {
    const { id } = await server.create({ duration: 5, size: 'small' });
    const out = path.join(newDirectory(), 'out');
    const text = await ok('watch', id, '--output', out);
    assert.match(text, /completed/);
    assert.ok(fs.existsSync(path.join(out, 'video.mp4')));
});
test('watch --json prints what is new, a line each, until the end', async () => {
    const { id } = await server.create({ duration: 5, size: 'small' });
    const result = await cli('watch', '--json', id);
    assert.deepEqual([result.status, result.stderr], [0, '']);
    const lines = result.stdout.trimEnd().split('\n');
    assert.equal(new Set(lines).size, lines.length, 'nothing twice');
    const views = lines.map((line) => JSON.parse(line));
    assert.ok(views.every((view) => view.id === id));
    assert.ok(views.slice(0, -1).every((view) => view.status === 'pending'));
    assert.equal(views.at(-1).status, 'completed');
});
test('watch outlives a restart of the server', async () => {
    const { id } = await server.create({ duration: 10, size: 'small' });
    const watching = cli('watch', id);
    await server.waitRendering(id);
    await server.kill();
    await server.restart();
    const result = await watching;
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout, /completed/);
});
test('watch of a task that is cancelled ends with 1', async () => {
    const { id } = await server.create(slow);
    const watching = cli('watch', id);
    await server.waitRendering(id, 0);
    assert.equal((await cli('cancel', id)).status, 0);
    assert.equal((await watching).status, 1);
});
test('Ctrl-C while waiting leaves the task running, and says how to go on', async () => {
    const child = spawn(BINARY, ['create', 'goes on', '--size', 'large', '--duration', '30', '--wait'], { env: { ...process.env, ...env } });
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    const exited = new Promise((done) => child.on('close', (status) => done(status)));
    const find = async () => (await server.call('GET', '/v1/video/tasks?limit=1')).json.data.find((task) => task.detail.input.prompt === 'goes on');
    const { id } = await until('the task', find);
    await server.waitRendering(id, 0);
    await until('it to wait', () => fs.readFileSync(`/proc/${child.pid}/status`, 'latin1').includes('SigCgt') && server.log.includes('/v1/video/create'));
    // The answer of the create has to reach it before the signal does.
    await new Promise((done) => setTimeout(done, 1000));
    child.kill('SIGINT');
    assert.equal(await exited, 130);
    assert.match(said, new RegExp(`watch.*${id}`));
    assert.equal((await server.query(id)).status, 'pending');
    await server.cancel(id);
});
test('cancel says cancelled, twice; after an end it ends with 3', async () => {
    const { id } = await server.create(slow);
    assert.match(await ok('cancel', id), /cancelled/);
    assert.match(await ok('cancel', id), /cancelled/);
    const done = await server.complete({});
    await ends(3, 'cancel', done.id);
});
test('list is newest first, with limits, and one JSON array, a task a line', async () => {
    const { id } = await server.create({ prompt: 'the newest \u001b[31m one' });
    const table = await ok('list', '--limit', '3');
    assert.equal(table.trimEnd().split('\n').length, 4);
    assert.ok(table.split('\n')[1].startsWith(id));
    assert.ok(!table.includes('\u001b'), 'nothing that a terminal obeys');
    const lines = JSON.parse(await ok('list', '--all', '--json'));
    assert.equal(lines[0].id, id);
    const listed = (await server.call('GET', '/v1/video/tasks?limit=100')).json.data;
    assert.deepEqual(lines.map((task) => task.id), listed.map((task) => task.id));
});
test('an unknown task ends with 3', async () => {
    for (const name of ['query', 'watch', 'cancel']) await ends(3, name, 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60');
});
test('a wrong key ends with 3, none with a hint', async () => {
    const wrong = await command(['list', '--key', 'fg_wrong'], { env });
    assert.equal(wrong.status, 3);
    assert.match(wrong.stderr, /keys create --data DIR --name NAME.*data directory of this server/);
    const none = await command(['list'], { env: { FILMGATE_URL: server.url } });
    assert.equal(none.status, 3);
    assert.match(none.stderr, /FILMGATE_KEY/);
});
test('a base URL may end with /v1', async () => {
    for (const tail of ['/', '/v1', '/v1/'])
        assert.equal((await command(['list', '--url', server.url + tail], { env })).status, 0, tail);
});
test('a number that is none is refused without a bound that is not ours', async () => {
    const { stderr } = await ends(2, 'create', 'x', '--duration', '3.5');
    assert.match(stderr, /--duration must be a whole number of seconds, not "3\.5"/);
});
test('a server that is away ends with 4, and says which', async () => {
    const away = { FILMGATE_URL: 'http://127.0.0.1:9', FILMGATE_KEY: 'x' };
    for (const args of [['list'], ['query', 'x'], ['cancel', 'x']]) {
        const result = await command(args, { env: away });
        assert.equal(result.status, 4, result.stderr);
        assert.match(result.stderr, /127\.0\.0\.1:9/);
    }
    assert.equal((await command(['create', 'x'], { env: away })).status, 4);
});

// Keys

test('keys: the key alone on standard output, once; never again', async () => {
    const data = ['--data', path.join(newDirectory(), 'data')];
    const made = await command(['keys', 'create', '--name', 'laptop', ...data]);
    assert.match(made.stdout, /^fg_[A-Za-z0-9_-]{43}\n$/);
    assert.match(made.stderr, /there was no database in ".*": it is made/);
    assert.equal(fs.statSync(data[1]).mode & 0o777, 0o700);
    const list = await command(['keys', 'list', ...data]);
    assert.match(list.stdout, /laptop/);
    assert.ok(!list.stdout.includes(made.stdout.trim()));
    const [key] = JSON.parse((await command(['keys', 'list', '--json', ...data])).stdout);
    assert.deepEqual([key.name, key.tenant, key.operator], ['laptop', 'laptop', false]);
    for (const file of fs.readdirSync(data[1], { recursive: true })) {
        const full = path.join(data[1], file);
        if (fs.statSync(full).isFile()) assert.ok(!fs.readFileSync(full).includes(made.stdout.trim()), `the key itself stands in ${file}`);
    }
    assert.equal((await command(['keys', 'create', '--name', 'laptop', ...data])).status, 2, 'names are unique');
    assert.equal((await command(['keys', 'revoke', 'laptop', ...data])).status, 0);
    assert.equal((await command(['keys', 'revoke', 'laptop', ...data])).status, 2, 'it is gone');
    assert.equal((await command(['keys', 'create', '--name', 'laptop', ...data])).status, 0, 'a revoked name is free');
});
test('keys with names that are none end with 2', async () => {
    const data = ['--data', path.join(newDirectory(), 'data')];
    for (const name of ['', 'a b', 'x'.repeat(65), '../x']) assert.equal((await command(['keys', 'create', '--name', name, ...data])).status, 2, name);
});
test('keys --json prints records; the key only when it is made', async () => {
    const data = ['--data', path.join(newDirectory(), 'data')];
    const run = async (...args) => {
        const result = await command(['keys', ...args, '--json', ...data]);
        assert.deepEqual([result.status, result.stderr], [0, '']);
        return JSON.parse(result.stdout);
    };
    const { key, ...made } = await run('create', '--name', 'a', '--operator');
    assert.match(key, /^fg_[A-Za-z0-9_-]{43}$/);
    assert.deepEqual([made.name, made.tenant, made.operator, made.revoked_at], ['a', 'a', true, null]);
    assert.deepEqual(await run('list'), [made]);
    const revoked = await run('revoke', 'a');
    assert.deepEqual({ ...revoked, revoked_at: null }, made);
    assert.match(revoked.revoked_at, /^\d{4}-.*Z$/);
    const again = await run('create', '--name', 'a');
    assert.notEqual(again.id, made.id);
    assert.equal((await run('revoke', again.id)).id, again.id);
});
test('dump prints Markdown tables', async () => {
    for (const name of ['states', 'routes', 'config', 'errors']) assert.match(await ok('dump', name), /^\| .* \|\n\| --- /);
});
test('no log holds a key', () => {
    for (const key of Object.values(server.keys)) assert.ok(!server.log.includes(key));
});

test('the servers ended well', endedWell);
