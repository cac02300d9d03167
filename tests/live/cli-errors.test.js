// SPDX-License-Identifier: Apache-2.0
//
// How commands tell what went wrong: which URL was tried, what to do, the exit status; as a
// sentence, or as JSON for programs. And Ctrl-C, which is no error of the task's.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { after, test } from 'node:test';
import { command, endedWell, newDirectory, start, terminal, until } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const env = { FILMGATE_URL: server.url, FILMGATE_KEY: server.key };
const ID = 'sora-2:task_01k6x15vhrff09dkkqjrzwhm60';
const slow = { duration: 60, size: 'large' };
const open = [];

after(() => open.forEach((holder) => holder.close()));

// A server of another kind on a port of its own; its base URL.
async function stranger(holder, scheme = 'http') {
    await new Promise((done) => holder.listen(0, '127.0.0.1', done));
    open.push(holder);
    return `${scheme}://127.0.0.1:${holder.address().port}`;
}
const answering = (status, headers, body) => stranger(http.createServer((request, response) => response.writeHead(status, { Connection: 'close', ...headers }).end(body)));

// The same failure as a sentence and as JSON: {message, hint, code}.
async function fails(status, args, { url, key = server.key, input } = {}) {
    const where = { FILMGATE_URL: url ?? server.url, ...(key === null ? {} : { FILMGATE_KEY: key }) };
    const said = await command(args, { env: where, input });
    const told = await command([...args, '--json'], { env: where, input });
    assert.deepEqual([said.status, told.status], [status, status], said.stderr + told.stderr);
    assert.deepEqual([said.stdout, told.stdout], ['', '']);
    assert.equal(told.stderr.trimEnd().split('\n').length, 1, 'one object: ' + told.stderr);
    const { error, ...rest } = JSON.parse(told.stderr);
    assert.deepEqual(rest, {});
    assert.ok(typeof error.code === 'string' && typeof error.message === 'string');
    assert.ok(said.stderr.includes(error.message.split(/\d{5}/)[0].slice(0, 40)), said.stderr);
    return error;
}

test('a word behind a command that takes none', async () => assert.equal((await fails(2, ['doctor', 'confg'])).message, 'what is "confg" for? `doctor` takes options only'));

// Commands that hold several

test('what a command is to do is known, and has no more behind it than it takes', async () => {
    const verbs = { keys: 'create, list or revoke', attempts: 'list or resolve', adapters: 'list, show, new or test', channels: 'list, pause, resume or drain' };
    for (const [name, all] of Object.entries(verbs)) {
        assert.equal((await fails(2, [name, 'frob'])).message, `there is no \`${name} frob\`: ${all}`);
        assert.equal((await fails(2, [name, all.split(' ').at(-1), 'one', 'two'])).message, 'what is "two" for?');
        assert.match((await fails(2, [name, '--frob'])).message, /there is no option --frob/);
        const { status, stdout } = await command([name, 'frob', '-h'], { env });
        assert.deepEqual([status, stdout.startsWith(`Usage: filmgate ${name} `)], [0, true]);
    }
    assert.equal((await fails(2, ['keys', '--name', 'x'])).message, '--name, --tenant and --operator are for `keys create`');
    assert.equal((await fails(2, ['channels', 'pause'])).message, '`channels pause` needs the channel\'s name');
    for (const [args, said] of [[[], 'say what to do: rotate'], [['frob'], 'there is no `links frob`: rotate'], [['rotate', 'one'], 'what is "one" for?']]) {
        const { status, stderr } = await command(['links', ...args], { env });
        assert.deepEqual([status, stderr.startsWith(`filmgate links: ${said}\n`)], [2, true], stderr);
    }
});

test('a command that lists does so when nothing else is said', async () => {
    const data = newDirectory();
    assert.equal((await command(['keys', 'create', '--name', 'laptop', '--data', data])).status, 0);
    for (const args of [['keys', '--data', data], ['attempts', '--data', data], ['adapters']]) {
        const { status, stdout } = await command([...args, '--json']);
        assert.deepEqual([status, stdout], [0, (await command([args[0], 'list', ...args.slice(1), '--json'])).stdout], args[0]);
        assert.ok(Array.isArray(JSON.parse(stdout)));
    }
    for (const name of ['channels', 'webhooks']) await fails(4, [name], { url: 'http://127.0.0.1:9' });
});

// A server that is away

test('a refused connection names the URL and what starts a server', async () => {
    for (const args of [['list'], ['query', ID], ['cancel', ID]]) {
        const error = await fails(4, args, { url: 'http://127.0.0.1:9' });
        assert.equal(error.code, 'connection_refused');
        assert.match(error.message, /http:\/\/127\.0\.0\.1:9 does not answer/);
        assert.match(error.hint, /`filmgate serve`.*FILMGATE_URL/);
    }
});
test('a host that is not known', async () => {
    const error = await fails(4, ['list'], { url: 'http://nonexistent.invalid' });
    assert.equal(error.code, 'unknown_host');
    assert.match(error.message, /nonexistent\.invalid/);
    assert.match(error.hint, /FILMGATE_URL/);
});
test('https where none is spoken', async () => {
    const error = await fails(4, ['list'], { url: server.url.replace('http:', 'https:') });
    assert.equal(error.code, 'tls_failed');
    assert.match(error.hint, /http:\/\//);
});
test('a connection that is closed without a word, or with a strange one', async () => {
    const closing = await stranger(net.createServer((socket) => socket.once('data', () => socket.end())));
    assert.equal((await fails(4, ['list'], { url: closing })).code, 'no_answer');
    const strange = await stranger(net.createServer((socket) => socket.once('data', () => socket.end('220 mail.example ESMTP\r\n'))));
    assert.equal((await fails(4, ['list'], { url: strange })).code, 'not_filmgate');
});
test('another server on that port', async () => {
    const page = '<html>It works</html>';
    const html = await fails(4, ['list'], { url: await answering(200, { 'Content-Type': 'text/html' }, page) });
    assert.equal(html.code, 'not_filmgate');
    assert.match(html.message, /127\.0\.0\.1:\d+\/v1\/video\/tasks answered \(200, text\/html\)/);
    assert.equal((await fails(3, ['list'], { url: await answering(404, { 'Content-Type': 'text/html' }, page) })).code, 'not_filmgate');
    assert.match((await fails(4, ['list'], { url: await answering(502, { 'Content-Type': 'text/html' }, page) })).hint, /behind this proxy/);
    const moved = await fails(4, ['list'], { url: await answering(301, { Location: 'https://example.com/x' }, '') });
    assert.match(moved.message, /leads elsewhere \(301\), to https:\/\/example\.com\/x/);
    // Nothing to wait for: this is no gateway that restarts.
    assert.equal((await fails(4, ['watch', ID], { url: await answering(200, { 'Content-Type': 'text/html' }, page) })).code, 'not_filmgate');
});
test('a base URL with a path too much', async () => {
    const error = await fails(3, ['list'], { url: `${server.url}/nonsense` });
    assert.equal(error.code, 'not_found');
    assert.match(error.hint, /URL/);
});
test('a gateway that asks to come back later', async () => {
    const body = JSON.stringify({ code: 'queue_full', message: 'Too many tasks are waiting.' });
    const error = await fails(4, ['query', ID], { url: await answering(503, { 'Content-Type': 'application/json', 'Retry-After': '7' }, body) });
    assert.equal(error.code, 'queue_full');
    assert.match(error.message, /^503 queue_full: Too many/);
    assert.match(error.hint, /7 s/);
});
test('keys that are wrong or missing', async () => {
    const wrong = await fails(3, ['list'], { key: 'fg_wrong' });
    assert.equal(wrong.code, 'invalid_api_key');
    assert.match(wrong.hint, /keys create/);
    assert.match((await fails(3, ['list'], { key: null })).hint, /FILMGATE_KEY/);
});

// Other errors as JSON

test('usage, files and tasks as JSON', async () => {
    assert.equal((await fails(2, ['nonsense'])).code, 'usage');
    assert.match((await fails(2, ['query'])).hint, /filmgate query --help/);
    assert.equal((await fails(2, ['create', 'x', '--nonsense'])).code, 'usage');
    assert.equal((await fails(5, ['create', '-'], { input: '' })).code, 'local');
    assert.equal((await fails(3, ['query', ID])).code, 'task_not_exist');
    assert.equal((await fails(2, ['keys', 'nonsense'])).code, 'usage');
    assert.equal((await fails(5, ['keys', 'list', '--data', '/nonexistent'])).code, 'local');
});
test('a task that fails: its answer on stdout, why on stderr', async () => {
    const { status, stdout, stderr } = await command(['create', 'x', '--image', 'http://127.0.0.1:9/x.png', '--wait', '--json'], { env });
    assert.equal(status, 1);
    assert.equal(JSON.parse(stdout).status, 'failed');
    assert.equal(JSON.parse(stderr).error.code, 'image_forbidden');
});
test('what a server says obeys no terminal, in JSON neither', async () => {
    const body = JSON.stringify({ code: 'x\u001b[31m', message: 'red \u001b[31m' });
    const url = await answering(400, { 'Content-Type': 'application/json' }, body);
    for (const args of [['list'], ['list', '--json']]) assert.ok(!(await command(args, { env: { FILMGATE_URL: url } })).stderr.includes('\u001b'));
});

// Ctrl-C

test('Ctrl-C while watching on a terminal says how to go on, and cancels nothing', async () => {
    const { id } = await server.create(slow);
    const { status, said } = await terminal(['watch', id], { env: { ...env, TERM: 'xterm' }, typed: '\x03', when: /%/ });
    assert.equal(status, 130);
    assert.match(said, /\r\x1b\[K/, 'the progress line is wiped');
    assert.ok(said.includes(`filmgate watch --url ${server.url} ${id}`), said);
    assert.equal((await server.query(id)).status, 'pending');
    await server.cancel(id);
});
test('Ctrl-C of create --wait --json is one JSON object with the id', async () => {
    const sleeper = await server.create(slow);
    const found = async () => (await server.call('GET', '/v1/video/tasks?limit=1')).json.data.find((task) => task.detail.input.prompt === 'json, interrupted');
    const running = terminal(['create', 'json, interrupted', '--wait', '--json'], { env: { ...env, TERM: 'xterm' }, typed: '\x03', when: /%/ });
    const { id } = await until('the task', found);
    const { status, said } = await running;
    assert.equal(status, 130, said);
    const { error } = JSON.parse(/\{"error.*\}/.exec(said)[0]);
    assert.equal(error.code, 'interrupted');
    assert.ok(error.hint.includes(id));
    assert.equal((await server.query(id)).status, 'pending');
    for (const task of [id, sleeper.id]) await server.cancel(task);
});
test('a dumb terminal gets no progress line', async () => {
    const { status, said } = await terminal(['create', 'x', '--size', '64x64', '--duration', '1', '--wait'], { env: { ...env, TERM: 'dumb' } });
    assert.equal(status, 0, said);
    assert.doesNotMatch(said, /[\x1b\r]/);
});

test('the servers ended well', endedWell);
