// SPDX-License-Identifier: Apache-2.0
//
// The configuration file: what is wrong in it is said with its place, and what is right has its
// effect.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, command, endedWell, newDirectory, small, start } from './harness.js';

function written(text) {
    const file = path.join(newDirectory(), 'filmgate.yaml');
    fs.writeFileSync(file, text);
    return file;
}

const serve = (text, env) => command(['serve', '--config', written(text), '--data', path.join(newDirectory(), 'data'), '--listen', '127.0.0.1:0'], { env, timeout: 30_000 });

// Text, the place of the fault, what its sentence names.
const faults = {
    'a count out of bounds': ['limits:\n  images: 99\n', '2:11', /"limits\.images".*0.*32.*99/],
    'an unknown key': ['limits:\n  imagse: 3\n', '2:3', /imagse.*limits\.images/],
    'an unknown group': ['limts:\n  images: 3\n', '1:1', /limts.*did you mean.*limits/],
    'an unknown key at the top': ['listn: 127.0.0.1:0\n', '1:1', /listn.*listen/],
    'a time where a count is wanted': ['limits:\n  images: 30s\n', '2:11', /limits\.images/],
    'a count where a time is wanted': ['drain: 30\n', '1:8', /drain.*time/],
    'a word where a flag is wanted': ['cors: maybe\n', '1:7', /cors.*true or false/],
    'a list where a text is wanted': ['listen: [a]\n', '1:', /"listen".*text/],
    'a text where a group is wanted': ['limits: 3\n', '1:9', /limits/],
    'the same key twice': ['drain: 1s\ndrain: 2s\n', '2:1', /duplicate|already/],
    'no YAML': ['limits: [1,\n', null, /YAML/i],
    'a list at the top': ['- a\n', null, /./],
    'an unset variable': ['public_url: ${NO_SUCH_VARIABLE_HERE}\n', '1:13', /NO_SUCH_VARIABLE_HERE/],
    'an unknown adapter': ['channels:\n  - name: a\n    adapter: nonsense\n    models: [x]\n', null, /nonsense.*`filmgate adapters list` shows them/],
    'a channel without models': ['channels:\n  - name: a\n    adapter: animatic\n', null, /models/],
    'two channels of one name': ['channels:\n  - {name: a, adapter: animatic, models: [x]}\n  - {name: a, adapter: animatic, models: [y]}\n', null, /"?a"?/],
    'a channel with a key and a list of them': ['channels:\n  - {name: a, adapter: x, models: [m], key: whisper, credentials: [{name: b, key: whisper}]}\n', '2:6', /^(?!.*whisper).*"key" and "credentials"/],
    'a key with a line break': ['channels:\n  - {name: a, adapter: x, models: [m], key: "whisper\\u2028"}\n', '2:45', /^(?!.*whisper).*printable/],
    'a key for the built-in engine': ['channels:\n  - {name: a, adapter: animatic, models: [m], key: whisper}\n', '2: ', /^(?!.*whisper).*built-in/],
    'a drain that is no flag': ['channels:\n  - {name: a, adapter: x, models: [m], drain: 5s}\n', '2:47', /drain.*true or false/],
    'an options file that is not there': ['channels:\n  - {name: a, adapter: x, models: [m], options_file: none.json}\n', '2:54', /none\.json.*No such file/],
    'a log level that is none': ['log:\n  level: loud\n', '2:10', /log\.level/],
    'links that live too briefly': ['links:\n  valid_for: 1h\n', '2:14', /links\.valid_for/],
    'a proxy that is no address': ['trusted_proxies: [nonsense]\n', null, /nonsense/],
    'an allowance that is no address': ['fetch:\n  allow: [nonsense]\n', null, /nonsense/],
};
for (const [name, [text, place, sentence]] of Object.entries(faults))
    test(`refused with its place: ${name}`, async () => {
        const result = await serve(text);
        assert.equal(result.status, 2, result.stderr);
        assert.equal(result.stdout, '');
        assert.match(result.stderr, sentence);
        if (place !== null) assert.ok(result.stderr.includes(`filmgate.yaml:${place}`), result.stderr);
        assert.ok(result.stderr.trimEnd().split('\n').length <= 2, `one sentence, not: ${result.stderr}`);
    });
test('a file that is not there', async () => {
    const result = await command(['serve', '--config', '/nonexistent/filmgate.yaml'], {});
    assert.equal(result.status, 2);
    assert.match(result.stderr, /nonexistent/);
});
test('a file of megabytes', async () => assert.equal((await serve(`# ${'x'.repeat(20 << 20)}\n`)).status, 2));
test('an address that is taken ends with 5', async () => {
    const server = await start();
    const result = await command(['serve', '--data', path.join(newDirectory(), 'data'), '--listen', `127.0.0.1:${server.port}`]);
    assert.equal(result.status, 5, result.stderr);
    assert.match(result.stderr, new RegExp(String(server.port)));
    assert.doesNotMatch(result.stderr, /waited for/, 'nothing is under way');
});
test('an empty file is fine, and so is one of comments', async () => {
    for (const config of ['', '# nothing\n']) assert.equal((await (await start({ config })).call('GET', '/healthz')).status, 200);
});
test('variables of the environment', async () => {
    const server = await start({ config: 'public_url: ${BASE}/films\nlog:\n  level: "${LEVEL}"\n', env: { BASE: 'https://video.example.com', LEVEL: 'warn' } });
    const task = await server.complete({});
    assert.ok(task.video_url.startsWith('https://video.example.com/films/assets/'));
    assert.doesNotMatch(server.log, /"level":"info"/);
});
test('the command line goes before the file', async () => {
    const server = await start({ config: 'listen: 127.0.0.1:1\ndata: /nonexistent/data\n' });
    assert.equal((await server.call('GET', '/healthz')).status, 200);
});
test('the log is JSON, one object a line', async () => {
    const server = await start({ config: 'log:\n  format: json\n' });
    await server.complete({});
    for (const line of server.log.trim().split('\n')) assert.ok(JSON.parse(line).message);
});
test('or text', async () => {
    const server = await start({ config: 'log:\n  format: text\n' });
    assert.doesNotMatch(server.log, /^\{/m);
});
test('dump config shows the values in force', async () => {
    const { stdout } = await command(['dump', 'config', '--config', written('limits:\n  images: 3\n')]);
    assert.match(stdout, /`limits\.images`[^\n]*\| `3` \|/);
});

test('paths of a file are seen from its folder, wherever serve is started; log and doctor say where that is', async () => {
    const config = written('data: d7\nadapters: own\nchannels:\n  - {name: a, adapter: mine, key: k, models: [m], base_url: https://api.example.com}\n');
    const folder = fs.realpathSync(path.dirname(config));
    const elsewhere = newDirectory();
    fs.mkdirSync(path.join(folder, 'own'));
    const made = await command(['adapters', 'new', 'mine'], { cwd: path.join(folder, 'own') });
    assert.equal(made.status, 0, made.stderr);
    const child = spawn(BINARY, ['serve', '--config', config, '--listen', '127.0.0.1:0'], { cwd: elsewhere, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    child.stdout.once('data', () => child.kill('SIGTERM'));
    const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
    await new Promise((done) => child.on('close', done));
    clearTimeout(late);
    assert.deepEqual(fs.readdirSync(elsewhere), []);
    assert.ok(said.includes(path.join(folder, 'd7')), said);
    const report = JSON.parse((await command(['doctor', '--json', '--config', config, '--listen', '127.0.0.1:0'], { cwd: elsewhere })).stdout);
    assert.ok(report.checks.some(({ check, message }) => check === 'data directory' && message.includes(`"${folder}/d7" is ours`)), JSON.stringify(report));
    const beside = JSON.parse((await command(['doctor', '--json', '--data', 'later'], { cwd: elsewhere })).stdout);
    assert.ok(beside.checks.some(({ message }) => message.includes(`"${elsewhere}/later" is not there yet`)), JSON.stringify(beside));
});

// Channels

const channels = 'channels:\n  - name: sketch\n    adapter: animatic\n    models: [sora-2, "veo*", "*-fast"]\n';
test('models are served as the channels say, by name and by pattern', async () => {
    const server = await start({ config: channels });
    for (const model of ['sora-2', 'veo3', 'veo', 'grok-fast']) await server.create({ model });
    for (const model of ['sora-2-pro', 'sora', 'grok', 'fast', 'VEO3']) {
        const answer = await server.call('POST', '/v1/video/create', { json: { model, prompt: 'x', ...small } });
        assert.deepEqual([answer.status, answer.json.code], [400, 'model_not_found'], model);
        assert.match(answer.json.message, /sora-2/, 'it names what there is');
        assert.ok(answer.json.message.includes(model));
    }
    const { data } = (await server.call('GET', '/v1/models')).json;
    assert.deepEqual(data.map((model) => model.id), ['sora-2']);
});
test('a drained channel serves nothing new', async () => {
    const server = await start({ config: `${channels}    drain: true\n  - {name: other, adapter: animatic, models: [kling]}\n` });
    await server.create({ model: 'kling' });
    const answer = await server.call('POST', '/v1/video/create', { json: { model: 'sora-2', prompt: 'x', ...small } });
    assert.deepEqual([answer.status, answer.json.code], [400, 'model_not_found']);
    const { data } = (await server.call('GET', '/v1/models')).json;
    assert.deepEqual(data.map((model) => model.id), ['kling']);
});
test('without channels every name is served', async () => {
    const server = await start();
    for (const model of ['sora-2', 'anything-at-all', '模型']) await server.create({ model });
});
test('a task whose channel is gone fails with channel_gone', async () => {
    const server = await start({ config: 'render:\n  slots: 1\ndrain: 0s\n' });
    const holder = await server.create({ duration: 60, size: 'large' });
    const { id } = await server.create({ model: 'orphan' });
    await server.restart({ config: channels });
    const end = await server.waitEnd(id);
    assert.deepEqual([end.status, end.error.code], ['failed', 'channel_gone']);
    await server.cancel(holder.id);
});
test('a task that takes longer than its deadline fails with deadline_exceeded', async () => {
    const server = await start({ config: 'tasks:\n  deadline: 1s\n' });
    const { id } = await server.create({ duration: 60, size: 'large' });
    const end = await server.waitEnd(id);
    assert.deepEqual([end.status, end.error.code], ['failed', 'deadline_exceeded']);
});
test('--first-key makes one key with a request that works, on the first start only', async () => {
    const directory = newDirectory();
    const [data, config] = [path.join(directory, 'data'), path.join(directory, 'filmgate.yaml')];
    fs.writeFileSync(config, 'channels:\n  - name: sketch\n    adapter: animatic\n    models: ["*-fast", film-1]\n');
    let firstStatus;
    const firstLines = async () => {
        const child = spawn(BINARY, ['serve', '--config', config, '--data', data, '--listen', '127.0.0.1:0', '--first-key', 'me'], { stdio: ['ignore', 'pipe', 'ignore'] });
        let said = '';
        child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
        const timer = setInterval(async () => {
            const [, url, key] = said.match(/listening on (\S+)\n[^]*?(?:(fg_\S+)|keys exist)[^]*paste the key/) ?? [];
            if (!url) return;
            clearInterval(timer);
            if (key) firstStatus = (await fetch(`${url}/v1/models`, { headers: { Authorization: `Bearer ${key}` } })).status;
            child.kill('SIGTERM');
        }, 20);
        const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
        await new Promise((done) => child.on('close', done));
        clearInterval(timer);
        clearTimeout(late);
        return said;
    };
    const first = await firstLines();
    assert.match(first, /fg_[A-Za-z0-9_-]{43}/);
    assert.match(first, /curl[^]*"model": "film-1"/, 'a model that is served');
    assert.equal(firstStatus, 200, 'the key works at once');
    assert.match(first, /open http:\/\/127\.0\.0\.1:\d+\/ in a browser/);
    const second = await firstLines();
    assert.doesNotMatch(second, /fg_/);
    assert.match(second, /keys exist; another: filmgate keys create --data \/\S+ --name NAME/);
});
test('a start without any key is warned of, and the end says how long it may take', async () => {
    const child = spawn(BINARY, ['serve', '--data', path.join(newDirectory(), 'data'), '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    child.stdout.once('data', () => child.kill('SIGTERM'));
    const late = setTimeout(() => child.kill('SIGKILL'), 60_000);
    await new Promise((done) => child.on('close', done));
    clearTimeout(late);
    assert.match(said, /no valid key.*keys create/);
    assert.match(said, /stopping; work under way may finish for 30s, a second signal parks it now/);
});

test('the servers ended well', endedWell);
