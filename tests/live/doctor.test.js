// SPDX-License-Identifier: Apache-2.0
//
// `filmgate doctor`: what it finds, what it says to do, how it ends; and that it leaves no trace,
// beside a running server neither.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, command, endedWell, newDirectory, start, terminal, tool } from './harness.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const other = await start();
const FREE = ['--listen', '127.0.0.1:0'];
const CHECKS = ['configuration', 'channels', 'data directory', 'file system', 'disk', 'database', 'link key', 'fonts', 'codecs', 'helper', 'cores', 'memory', 'open files', 'clock', 'address'];

// The report, after holding it against its exit status.
async function doctor(...args) {
    const result = await command(['doctor', '--json', ...args]);
    const report = JSON.parse(result.stdout);
    assert.equal(result.stderr, '');
    assert.equal(result.status, report.problems > 0 ? 1 : 0);
    for (const word of ['problem', 'warning']) assert.equal(report.checks.filter((check) => check.verdict === word).length, report[`${word}s`]);
    for (const check of report.checks) {
        assert.deepEqual(Object.keys(check), ['check', 'verdict', 'message', 'advice']);
        if (check.verdict !== 'ok') assert.ok(check.advice, `${check.check}: what to do`);
    }
    return report;
}

// Expects one finding, and its verdict.
function finds(report, name, verdict, message) {
    const found = report.checks.find((check) => check.check === name && check.verdict === verdict && message.test(check.message));
    assert.ok(found, `${verdict} of ${name} like ${message}: ${JSON.stringify(report.checks.filter((check) => check.check === name))}`);
    return found;
}

function written(text) {
    const file = path.join(newDirectory(), 'filmgate.yaml');
    fs.writeFileSync(file, text);
    return file;
}

// A data directory with a database and a link key, and nobody in it.
async function quietData() {
    const data = path.join(newDirectory(), 'data');
    assert.equal((await command(['keys', 'create', '--data', data, '--name', 'a'])).status, 0);
    fs.writeFileSync(path.join(data, 'link.key'), Buffer.alloc(32, 7), { mode: 0o600 });
    return data;
}

function snapshot(directory) {
    const files = fs.readdirSync(directory, { recursive: true }).sort();
    return files.map((name) => {
        const full = path.join(directory, name);
        const status = fs.statSync(full);
        // Shared memory between processes, no data: readers leave marks in it.
        const isData = status.isFile() && !name.endsWith('-shm');
        return [name, status.mode, isData ? createHash('sha256').update(fs.readFileSync(full)).digest('hex') : ''];
    });
}

// What is well

test('on a fresh machine all is well, and nothing is made by looking', async () => {
    const data = path.join(newDirectory(), 'data');
    const result = await command(['doctor', '--data', data, ...FREE]);
    assert.equal(result.status, 0, result.stdout);
    const lines = result.stdout.trimEnd().split('\n');
    assert.match(lines.at(-1), /^0 problems, \d+ warnings?$/);
    for (const line of lines.slice(0, -2)) assert.match(line, /^(ok|warning) +[a-z]/);
    assert.match(result.stdout, /can be made by `serve`/);
    assert.ok(!fs.existsSync(data));
});
test('--json is one document with all checks, and leaves no file behind', async () => {
    const data = await quietData();
    const before = snapshot(data);
    const report = await doctor('--data', data, ...FREE);
    assert.deepEqual(snapshot(data), before);
    assert.deepEqual([...new Set(report.checks.map((check) => check.check))], CHECKS);
    assert.equal(report.problems, 0, JSON.stringify(report));
    finds(report, 'database', 'ok', /^sound, schema \d+$/);
    finds(report, 'link key', 'ok', /0600/);
    finds(report, 'helper', 'ok', /made and decoded, the sandbox closed/);
    finds(report, 'codecs', 'ok', /libavcodec \d+\.\d+.*libwebp \d.*Pango \d/);
});
test('beside a running server it changes nothing, and knows it', async () => {
    const done = await server.complete({});
    const before = snapshot(server.data);
    const report = await doctor('--data', server.data, '--listen', `127.0.0.1:${server.port}`);
    assert.deepEqual(snapshot(server.data), before);
    assert.equal(report.problems, 0, JSON.stringify(report));
    finds(report, 'data directory', 'ok', /a server uses it now/);
    finds(report, 'address', 'ok', /running filmgate \d/);
    finds(report, 'database', 'ok', /sound/);
    assert.equal((await server.query(done.id)).status, 'completed');
});
test('a log that a killed server left stays what it is', async () => {
    const killed = await start();
    await killed.create({});
    await killed.kill();
    const before = snapshot(killed.data);
    assert.ok(before.some(([name]) => name === 'filmgate.db-wal'));
    const report = await doctor('--data', killed.data, ...FREE);
    finds(report, 'database', 'ok', /sound/);
    assert.doesNotMatch(finds(report, 'data directory', 'ok', /writable/).message, /a server/);
    assert.deepEqual(snapshot(killed.data), before);
});
test('a directory with odd characters in its name is found', async () => {
    const data = path.join(newDirectory(), 'a%20b?mode=rw#c 猫');
    assert.equal((await command(['keys', 'create', '--data', data, '--name', 'a'])).status, 0);
    finds(await doctor('--data', data, ...FREE), 'database', 'ok', /sound/);
});

// The configuration

test('a configuration that does not load is a problem; what needs none is looked at all the same', async () => {
    const report = await doctor('--config', written('nonsense: 1\n'));
    finds(report, 'configuration', 'problem', /filmgate\.yaml.*nonsense/);
    finds(report, 'helper', 'ok', /made/);
    assert.ok(!report.checks.some((check) => ['database', 'address'].includes(check.check)));
    finds(await doctor('--config', '/nonexistent.yaml'), 'configuration', 'problem', /nonexistent/);
});
test('channels and fetch.allow are read', async () => {
    const data = ['--data', await quietData(), ...FREE];
    finds(await doctor('--config', written('channels:\n  - {name: x, adapter: nonsense, models: [a]}\n'), ...data), 'channels', 'problem', /nonsense/);
    finds(await doctor('--config', written('channels:\n  - {name: x, adapter: animatic, models: [a]}\n'), ...data), 'channels', 'ok', /1, the first is "x"/);
    finds(await doctor('--config', written('channels:\n  - {name: x, adapter: animatic, models: [a, "b*"], drain: true}\n'), ...data), 'channel', 'warning', /"x": the built-in engine, serves "a", "b\*"/);
    finds(await doctor('--config', written('fetch:\n  allow: [nonsense]\n'), ...data), 'configuration', 'problem', /nonsense/);
});

// A configuration beside a file `key`, whose channels have what is given.
function withKey(key, ...channels) {
    const file = written(`public_url: ${channels.find(({ public_url }) => public_url)?.public_url ?? "''"}\nchannels:\n${channels.map(({ public_url, ...more }, i) => `  - ${JSON.stringify({ name: `c${i}`, models: ['a'], key_file: 'key', ...more })}\n`).join('')}`);
    fs.writeFileSync(path.join(path.dirname(file), 'key'), key, { mode: 0o600 });
    return file;
}
test('keys of another adapter are problems, each told with its channel', async () => {
    const adapters = ['vertex-veo', 'gemini-veo', 'kling', 'kling-legacy'].map((adapter) => ({ adapter, base_url: 'https://video.example.com' }));
    const account = { type: 'service_account', client_email: 'films@example.com', token_uri: 'https://oauth2.example.com/token', private_key: 'no PEM' };
    const data = ['--data', await quietData(), ...FREE];
    for (const key of ['[1]', JSON.stringify({ access_key: 'ours', secret_key: 'too' }), JSON.stringify(account, null, 2)]) {
        const report = await doctor('--config', withKey(key, ...adapters), ...data);
        finds(report, 'channels', 'problem', /"c0" has a credential "default" whose key (is no JSON object|is the key of no service account|has a "private_key" that is none)/);
        for (const name of ['c1', 'c2', 'c3']) finds(report, 'channels', 'problem', new RegExp(`"${name}" has JSON as the key of the credential "default"`));
    }
    for (const member of ['client_email', 'token_uri', 'private_key']) finds(await doctor('--config', withKey(JSON.stringify({ ...account, [member]: undefined }), adapters[0]), ...data), 'channels', 'problem', new RegExp(`whose key has no "${member}"`));
});
test('a key file that others may read is a warning; its group may', async () => {
    const config = withKey('sim-key', { adapter: 'kling' });
    const data = ['--data', await quietData(), ...FREE];
    for (const mode of [0o604, 0o602, 0o666]) {
        fs.chmodSync(path.join(path.dirname(config), 'key'), mode);
        const report = await doctor('--config', config, ...data);
        finds(report, 'channel', 'warning', new RegExp(`"c0": the key file ".*/key" is open to other users \\(mode 0${mode.toString(8)}\\)`));
        assert.equal(report.problems, 0);
    }
    for (const mode of [0o600, 0o440, 0o660]) {
        fs.chmodSync(path.join(path.dirname(config), 'key'), mode);
        assert.ok(!(await doctor('--config', config, ...data)).checks.some(({ message }) => message.includes('key file')), `${mode}`);
    }
});
test('callbacks that an upstream on the internet cannot make are warnings', async () => {
    const data = ['--data', await quietData(), ...FREE];
    const far = { adapter: 'kling', callback: true };
    const near = [{ ...far, base_url: 'http://127.0.0.1:9209' }, { ...far, base_url: 'https://127.0.0.1:9209' }, { ...far, base_url: 'https://10.1.2.3' }];
    const warnings = async (public_url, channel) => (await doctor('--config', withKey('sim-key', { ...channel, public_url }), ...data)).checks.filter(({ check, verdict }) => check === 'channel' && verdict === 'warning').map(({ message }) => message);
    for (const url of ['http://127.0.0.1:8080', 'https://127.0.0.1', 'http://LocalHost:8080/films', 'https://10.1.2.3:8443', 'http://[::1]:8080']) assert.deepEqual(await warnings(url, far), [`"c0": an upstream on the internet cannot call back to ${url}`]);
    assert.deepEqual(await warnings('http://films.example.com', far), ['"c0": callbacks to http://films.example.com come in the clear, and some upstreams send none there']);
    assert.deepEqual(await warnings('https://films.example.com', far), []);
    for (const channel of near) assert.deepEqual(await warnings('http://127.0.0.1:8080', channel), [], channel.base_url);
    assert.deepEqual(await warnings('http://127.0.0.1:8080', { ...far, callback: false }), []);
});

// The data directory

test('a file in the place of the data directory', async () => {
    const file = written('');
    finds(await doctor('--data', file, ...FREE), 'data directory', 'problem', /not a directory/);
    finds(await doctor('--data', path.join(newDirectory(), 'no', 'data'), ...FREE), 'data directory', 'problem', /cannot be made/);
    for (const data of ['/proc/filmgate', path.join(newDirectory(), 'no', 'data')]) {
        const report = await doctor('--data', data, ...FREE);
        const found = finds(report, 'data directory', 'problem', /cannot be made/);
        assert.equal((await command(['serve', '--data', data, ...FREE])).stderr.trim().replace(/^filmgate: /, ''), found.message);
        assert.ok(!report.checks.some(({ check }) => ['disk', 'file system'].includes(check)), 'its disk does not matter');
    }
});
test('a data directory that is open to others', async () => {
    const data = await quietData();
    fs.chmodSync(data, 0o755);
    const report = await doctor('--data', data, ...FREE);
    finds(report, 'data directory', 'warning', /mode 0755/);
    assert.equal(report.problems, 0);
});
test('link keys that serve would refuse', async () => {
    const data = await quietData();
    const key = path.join(data, 'link.key');
    const look = () => doctor('--data', data, ...FREE);
    fs.chmodSync(key, 0o644);
    finds(await look(), 'link key', 'problem', /open to others: its mode should be 0600/);
    fs.writeFileSync(key, 'short');
    finds(await look(), 'link key', 'problem', /not a file of 32 bytes/);
    fs.rmSync(key);
    fs.symlinkSync('/dev/null', key);
    finds(await look(), 'link key', 'problem', /link\.key/);
    fs.rmSync(key);
    fs.writeFileSync(`${key}.old`, 'short', { mode: 0o600 });
    finds(await look(), 'link key', 'problem', /link\.key\.old .*not a file of 32 bytes/);
    fs.rmSync(`${key}.old`);
    finds(await look(), 'link key', 'ok', /none yet/);
    assert.ok(!fs.existsSync(key));
});
test('a pipe in the place of the database', async () => {
    const data = await quietData();
    fs.rmSync(path.join(data, 'filmgate.db'));
    await tool('mkfifo', path.join(data, 'filmgate.db'));
    finds(await doctor('--data', data, ...FREE), 'database', 'problem', /not a regular file/);
});
test('files of the future', async () => {
    const data = await quietData();
    const tomorrow = new Date(Date.now() + 86_400_000);
    fs.utimesSync(path.join(data, 'link.key'), tomorrow, tomorrow);
    finds(await doctor('--data', data, ...FREE), 'file times', 'warning', /link\.key.*in the future/);
});

// Writes into the database's first page: its version stands at 60, its owner's mark at 68.
async function spoiled(spoil) {
    const data = await quietData();
    const file = path.join(data, 'filmgate.db');
    const bytes = fs.readFileSync(file);
    fs.writeFileSync(file, spoil(bytes) ?? bytes);
    return doctor('--data', data, ...FREE);
}
test('databases that serve would refuse', async () => {
    finds(await spoiled(() => Buffer.from('no database at all, but a text that is long enough'.repeat(100))), 'database', 'problem', /not a sound database/);
    finds(await spoiled((bytes) => void bytes.writeUInt32BE(999, 60)), 'database', 'problem', /newer filmgate \(schema 999/);
    finds(await spoiled((bytes) => void bytes.writeUInt32BE(1, 68)), 'database', 'problem', /another program/);
    finds(await spoiled((bytes) => void bytes.fill(0xa5, bytes.length / 2)), 'database', 'problem', /damaged/);
    finds(await spoiled((bytes) => void bytes.writeUInt32BE(0, 60)), 'database', 'ok', /from 0 to \d/);
});

// The address

test('an address where another filmgate serves other data', async () => {
    const report = await doctor('--data', await quietData(), '--listen', `127.0.0.1:${other.port}`);
    finds(report, 'address', 'warning', /running filmgate/);
    assert.equal(report.problems, 0);
});
test('an address that something else holds, or nobody can have', async () => {
    const data = ['--data', await quietData()];
    const seen = [];
    const web = http.createServer((request, response) => {
        seen.push(request.headers);
        response.end('<html></html>');
    });
    const mute = net.createServer(() => {});
    for (const holder of [web, mute]) {
        await new Promise((done) => holder.listen(0, '127.0.0.1', done));
        finds(await doctor(...data, '--listen', `127.0.0.1:${holder.address().port}`), 'address', 'problem', /another program/);
        holder.close();
    }
    web.closeAllConnections();
    assert.equal(seen.length, 1);
    assert.equal(seen[0].authorization, undefined, 'no key is shown to it');
    finds(await doctor(...data, '--listen', '192.0.2.1:8080'), 'address', 'problem', /192\.0\.2\.1/);
    finds(await doctor(...data, '--listen', 'nonsense'), 'configuration', 'problem', /listen/);
});

// The machine

test('more renderings than cores and memory', async () => {
    const report = await doctor('--config', written('render:\n  slots: 64\n  memory: 64GiB\n'), '--data', await quietData(), ...FREE);
    finds(report, 'cores', 'warning', /64 renderings at once/);
    finds(report, 'memory', 'warning', /4194304 MiB/);
    assert.equal(report.problems, 0);
});

// Under limits of the shell's.
function limited(limits, data) {
    return new Promise((done, fail) => {
        const child = spawn('sh', ['-c', `${limits}; exec "$0" "$@"`, BINARY, 'doctor', '--json', '--data', data, ...FREE], { stdio: ['ignore', 'pipe', 'inherit'] });
        let said = '';
        child.stdout.on('data', (text) => (said += text));
        child.on('error', fail);
        child.on('close', (status) => done({ status, report: JSON.parse(said) }));
    });
}
test('too few open files', async () => {
    const { status, report } = await limited('ulimit -n 512', await quietData());
    finds(report, 'open files', 'warning', /512 are allowed, 9216 wanted/);
    assert.equal(status, 0);
});

// Usage, terminals

test('colours on a terminal that wants them, and nowhere else', async () => {
    const args = ['doctor', '--data', path.join(newDirectory(), 'data'), ...FREE];
    const coloured = await terminal(args, { env: { TERM: 'xterm', NO_COLOR: undefined } });
    assert.match(coloured.said, /\x1b\[32mok/);
    for (const env of [{ TERM: 'xterm', NO_COLOR: '1' }, { TERM: 'dumb', NO_COLOR: undefined }]) {
        const plain = await terminal(args, { env });
        assert.equal(plain.status, 0);
        assert.match(plain.said, /^ok /);
        assert.ok(!plain.said.includes('\x1b'));
    }
    assert.ok(!(await command(args, { env: { TERM: 'xterm' } })).stdout.includes('\x1b'));
});
test('wrong usage ends with 2', async () => {
    assert.equal((await command(['doctor', 'x'])).status, 2);
    assert.equal((await command(['doctor', '--nonsense'])).status, 2);
});

test('the servers ended well', endedWell);
