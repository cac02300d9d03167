// SPDX-License-Identifier: Apache-2.0
//
// Upstreams that call back: a callback brings the next poll forward and is never believed by itself. The channels poll
// every ten minutes, so what ends in this file was called for.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { startAll } from '../simulators/run.js';
import { command, endedWell, newDirectory, sleep, start, until } from './harness.js';
import { Receiver } from './receiver.js';
import { prepare, talk } from './simulated.js';
import { Talk } from './socket.js';
import { VENDORS, channelsYaml } from './upstreams.js';

// Those whose simulators call, and what each says of a job that waits, works, is done and has failed; null: it does not call.
const WORDS = {
    ark: ['queued', 'running', 'succeeded', 'failed'],
    fal: [null, null, 'OK', 'ERROR'],
    'gemini-veo': [null, null, 'video.generated', null],
    kling: ['submitted', 'processing', 'succeeded', 'failed'],
    'kling-legacy': ['submitted', 'processing', 'succeed', 'failed'],
    luma: [null, 'dreaming', 'completed', 'failed'],
    minimax: [null, 'processing', 'success', 'failed'],
    'minimax-h3': ['queued', 'running', 'succeeded', 'failed'],
    vidu: [null, 'processing', 'success', 'failed'],
};
const STATES = ['pending', 'rendering', 'completed', 'failed'];
const NAMES = Object.keys(WORDS);
const EVERY_MS = 5000; // POLICY_CALLBACK_EVERY_MS
const LONG = { queue_ms: 0, duration_ms: 600_000 };
const CALL = { json: { status: 'succeed' }, key: null };

const simulators = await startAll({ portBase: 0 });
after(() => simulators.close());
const server = await start({ config: 'log: {level: debug}\n' });
const rare = { poll_first: '10m', poll_every: '10m', callback: true, concurrency: 100 };
const config = `public_url: ${server.url}\nlog: {level: debug}\n${channelsYaml(simulators, NAMES, rare)}`;
await server.restart({ config });
await server.addKey('operator', { operator: true });

const kling = simulators['kling-legacy'];
const create = (prompt, name = 'kling-legacy') => server.create({ model: VENDORS[name].model, prompt, size: undefined, duration: undefined });
const pollsOf = (job, simulator = kling) => simulator.ledger.pollsOf.get(job.id) ?? 0;
const called = (simulator = kling) => simulator.told('callback').entries;
const targetOf = (job) => new URL(job.callback).pathname;
const call = (job, options = CALL) => server.call('POST', targetOf(job), options);

// The job of a prompt, once filmgate has its id.
async function jobOf(prompt, simulator = kling) {
    const job = await until('the job', () => [...simulator.jobs.values()].find((one) => one.prompt === prompt));
    await until('its acceptance', () => server.log.includes(`accepted as job ${job.id}`), { every: 10 });
    return job;
}

const wordOf = (said) => said && (said.task_status ?? said.state ?? said.task?.status ?? said.type ?? said.status);

// All at once, as a second poll of a job waits for five seconds.
const made = new Map(NAMES.map((name) => {
    prepare(simulators[name], { settings: { queue_ms: 300, duration_ms: 500 } });
    return [name, create(`called of ${name}`, name)];
}));
for (const name of NAMES)
    test(`${name}: a task is done soon after its callback`, async () => {
        const { id } = await made.get(name);
        const job = await jobOf(`called of ${name}`, simulators[name]);
        assert.match(job.callback, new RegExp(`^${server.url}/v1/callbacks/att_[0-9a-z]{26}\\.[A-Za-z0-9_-]{43}$`));
        assert.equal((await server.waitEnd(id)).status, 'completed');
        const told = await until('the end is told', () => called(simulators[name]).some(({ state }) => state === 'completed') && called(simulators[name]));
        for (const { status } of told) assert.equal(status, 200);
        for (const { state } of told) assert.notEqual(WORDS[name][STATES.indexOf(state)], null, state);
        assert.equal(simulators[name].told('submit').entries.length, 1);
        const { vendor } = simulators[name];
        assert.deepEqual(STATES.map((state) => wordOf(vendor.callbackOf(simulators[name], job, state))), WORDS[name]);
        assert.deepEqual(simulators[name].told('challenge').entries.map(({ echoed }) => echoed), vendor.challenges ? [true] : []);
    });
test('an address that does not send its challenge back is not called', async (t) => {
    const { minimax } = simulators;
    prepare(minimax, { settings: { queue_ms: 0, duration_ms: 200 } });
    const receiver = await Receiver.open();
    t.after(() => receiver.close());
    receiver.manners = {
        '/echo': (_, response, { event }) => response.end(JSON.stringify(event.challenge === undefined ? {} : { challenge: event.challenge })),
        '/other': (_, response) => response.end('{"challenge":"another"}'),
        '/refused': (_, response, { event }) => response.writeHead(404).end(JSON.stringify({ challenge: event.challenge })),
        '/silent': () => {},
    };
    const submit = (where, prompt = where) => {
        const body = { model: 'MiniMax-Hailuo-2.3', prompt, callback_url: receiver.url(where) };
        return talk(minimax, 'POST', '/v1/video_generation', { body, headers: { 'content-type': 'application/json' } });
    };
    for (const where of ['/other', '/refused', '/silent', '/words', '/echo']) assert.equal((await submit(where)).json.base_resp.status_code, 0);
    await until('five challenges', () => minimax.told('challenge').entries.length === 5);
    assert.equal((await submit('/echo', 'again')).json.base_resp.status_code, 0);
    const words = () => receiver.at('/echo').map(({ event }) => event.status ?? 'challenge').sort();
    await until('both are done', () => words().filter((word) => word === 'success').length === 2);
    assert.equal(words().filter((word) => word === 'challenge').length, 1, 'an address is tried once');
    assert.deepEqual(minimax.told('challenge').entries.filter(({ echoed }) => echoed).length, 1);
    for (const where of ['/other', '/refused', '/silent', '/words']) assert.deepEqual(receiver.at(where).map(({ event }) => Object.keys(event)), [['challenge']], where);
});
test('a wrong signature is 404, and nothing happens', async () => {
    prepare(kling, { settings: { queue_ms: 100, duration_ms: 100 }, rules: [{ on: 'submit', do: { call_back: 'forged' } }] });
    const { id } = await create('forged');
    const job = await jobOf('forged');
    await until('three callbacks', () => called().length === 3);
    assert.deepEqual(called().map(({ status }) => status), [404, 404, 404]);
    await sleep(500);
    assert.equal(pollsOf(job), 0);
    assert.equal((await server.query(id)).status, 'pending');
    assert.equal((await call(job)).status, 200);
    assert.equal((await server.waitEnd(id)).status, 'completed');
    assert.equal(pollsOf(job), 1);
});
test('one that says «done» while the job runs changes nothing; it is done when a poll says so', async () => {
    prepare(kling, { settings: { queue_ms: 0, duration_ms: 4000 }, rules: [{ on: 'submit', do: { call_back: 'lies' } }] });
    const { id } = await create('a lie');
    const job = await jobOf('a lie');
    await until('the lie', () => called().some(({ state }) => state === 'completed'));
    assert.ok(!job.isOver);
    assert.equal((await call(job)).status, 200);
    await until('a poll', () => pollsOf(job) >= 1);
    if (!job.isOver) assert.equal((await server.query(id)).status, 'pending');
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('before the answer to the submit it changes nothing', async () => {
    prepare(kling, { settings: { queue_ms: 0, duration_ms: 50 }, rules: [{ on: 'submit', do: { call_back: 'early' } }] });
    const { id } = await create('early');
    const job = await jobOf('early');
    assert.deepEqual(called().map(({ status }) => status), [200]);
    await sleep(500);
    assert.equal(pollsOf(job), 0);
    await call(job);
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('twice is as good as once', async () => {
    prepare(kling, { settings: { queue_ms: 0, duration_ms: 300 }, rules: [{ on: 'submit', do: { call_back: 'twice' } }] });
    const { id } = await create('twice');
    assert.equal((await server.waitEnd(id)).status, 'completed');
    await until('all are told', () => called().length === 4);
    assert.equal(kling.told('submit').entries.length, 1);
});
test('a storm makes no more than a poll in five seconds', async () => {
    prepare(kling, { settings: { ...LONG, callbacks: true } });
    const { id } = await create('a storm');
    const job = await jobOf('a storm');
    const began = performance.now();
    for (let wave = 0; wave < 30; wave++) await Promise.all(Array.from({ length: 20 }, () => call(job)));
    await until('a poll', () => pollsOf(job) >= 1);
    await until('a second one', () => pollsOf(job) >= 2); // what was heard meanwhile is not lost
    const polls = pollsOf(job);
    assert.ok(polls <= 1 + Math.ceil((performance.now() - began) / EVERY_MS), `${polls} polls`);
    assert.equal((await server.query(id)).status, 'pending');
    job.end('video');
    await call(job);
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('the answer is the same for a task under way, one that is done, one that is deleted and one that never was', async () => {
    prepare(kling, { settings: { queue_ms: 0, duration_ms: 100 } });
    const { id } = await create('to be forgotten');
    const job = await jobOf('to be forgotten');
    const [before] = [await call(job), await server.waitEnd(id)];
    const done = await call(job);
    assert.equal((await server.call('DELETE', `/v1/video/tasks/${encodeURIComponent(id)}`)).status, 200);
    const deleted = await call(job);
    for (const answer of [before, done, deleted]) assert.deepEqual([answer.status, answer.text], [200, '{"status":"success"}']);
    const { json } = await server.call('GET', `/v1/video/query?id=${encodeURIComponent(id)}`);
    assert.equal(json.code, 'task_not_exist');
});
test('of what is said only a challenge is read, and sent back', async () => {
    prepare(kling, { settings: { ...LONG, callbacks: false } });
    await create('challenged');
    const target = targetOf(await jobOf('challenged'));
    const post = (options) => server.call('POST', target, { key: null, ...options });
    assert.equal((await post({ json: { challenge: 'c-1 «é»' } })).text, '{"challenge":"c-1 «é»"}');
    assert.equal((await post({ json: { challenge: 'x'.repeat(1024) } })).json.challenge.length, 1024);
    for (const options of [{}, { body: 'challenge=1' }, { body: '{"challenge":' }, { json: ['challenge'] }, { json: { challenge: 7 } }, { json: { challenge: 'x'.repeat(1025) } }, { body: Buffer.alloc(65536, 'a') }])
        assert.deepEqual([(await post(options)).text], ['{"status":"success"}']);
    const forged = target.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A'));
    const refused = await server.call('POST', forged, { key: null, json: { challenge: 'hush' } });
    assert.equal(refused.status, 404);
    assert.ok(!refused.text.includes('hush'));
    assert.equal((await server.call('POST', target, { key: null, body: Buffer.alloc(65537, 'a') })).status, 413);
    assert.equal((await server.call('GET', target, { key: null })).status, 405);
});
test('a forged address is refused when the head is there, and nothing of the body is kept', async () => {
    const target = targetOf(await jobOf('challenged'));
    const forged = target.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A'));
    const head = (path, more) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${more}\r\n\r\n`;
    for (const more of ['Content-Length: 2000000', 'Expect: 100-continue\r\nContent-Length: 20']) {
        const answers = await new Talk(server).say(head(forged, more)).ended(); // the body never comes
        assert.deepEqual(answers.map(({ status }) => status), [404], more);
    }
    // Longer than what is kept of a body: had it been kept, or counted, that would be 413.
    for (const options of [{ body: Buffer.alloc(65537, 'a') }, { body: Buffer.alloc(100000, 'a'), chunked: 16384 }]) {
        assert.equal((await server.call('POST', forged, { key: null, ...options })).status, 404);
        assert.equal((await server.call('POST', target, { key: null, ...options })).status, 413);
    }
    // Ours, with a body that is never whole, takes memory; a forged one before it, on the same server, took none.
    const memory = async () => Number(/^filmgate_http_body_memory_bytes (\d+)$/m.exec((await server.call('GET', '/metrics', { key: server.keys.operator, unchecked: true })).text)[1]);
    const [strange, ours] = [forged, target].map((path) => new Talk(server).say(head(path, 'Content-Length: 60000') + 'x'.repeat(50000)));
    await until('our body to be held', async () => (await memory()) >= 50000);
    assert.ok((await memory()) < 100000);
    strange.say('x'.repeat(10000));
    assert.equal((await strange.answered(1))[0].status, 404);
    assert.equal(strange.isOver, false, 'a short body is read past, and the connection kept');
    strange.hangUp();
    ours.hangUp();
    await until('nothing to be held', async () => (await memory()) === 0);
});
test('no other address fits', async () => {
    const [attempt, signature] = targetOf(await jobOf('challenged')).split('/').at(-1).split('.');
    const other = attempt.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    for (const name of ['', '.', attempt, `${attempt}.`, `.${signature}`, `${other}.${signature}`, `${attempt}.${signature}.`, `${attempt}.${signature}=`, `${attempt}.${signature}/x`, `${attempt}.${signature.slice(1)}`, signature])
        assert.equal((await server.call('POST', `/v1/callbacks/${name}`, { key: null })).status, 404, name);
});
test('the log tells the attempt, and no signature', async () => {
    assert.match(server.log, /POST \/v1\/callbacks\/att_[0-9a-z]{26} 200/);
    assert.doesNotMatch(server.log, /callbacks\/att_[0-9a-z]{26}\.[A-Za-z0-9_-]/);
});
test('it is heard after a restart, and after the link key was changed', async () => {
    prepare(kling, { settings: { queue_ms: 0, duration_ms: 200, callbacks: true }, rules: [{ on: 'submit', do: { call_back: 'forged' } }] });
    const { id } = await create('rotated');
    const job = await jobOf('rotated');
    await server.stop();
    const rotation = await command(['links', 'rotate', '--data', server.data]);
    assert.equal(rotation.status, 0, rotation.stderr);
    await server.launch();
    assert.equal((await server.query(id)).status, 'pending');
    assert.equal((await call(job)).status, 200);
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('without `callback: true` no address is given', async () => {
    await server.restart({ config: `public_url: ${server.url}\n${channelsYaml(simulators, NAMES)}` });
    prepare(kling);
    const { id } = await create('nobody is called');
    assert.equal((await server.waitEnd(id)).status, 'completed');
    assert.equal((await jobOf('nobody is called')).callback, null);
    assert.deepEqual(called(), []);
});

// What a channel cannot do is refused before anything runs.
const channel = (adapter, more = {}) => ({ name: 'c', adapter, models: ['m'], callback: true, ...more });
const REFUSED = {
    'no public address': [{ channels: [channel('fal', { key: 'k' })] }, /:\d+: channel "c" has "callback: true", which needs "public_url"/],
    'an adapter that passes none on': [{ public_url: 'https://x.example', channels: [channel('unified', { key: 'k', base_url: 'https://y.example' })] }, /the adapter "unified" passes no address on/],
    'the built-in engine': [{ public_url: 'https://x.example', channels: [channel('animatic')] }, /ca, callback, polls, limits a minute or options; leave them out/],
};
for (const [what, [config, sentence]] of Object.entries(REFUSED))
    test(`refused: ${what}`, async () => {
        const directory = newDirectory();
        fs.writeFileSync(path.join(directory, 'filmgate.yaml'), JSON.stringify(config));
        const { status, stderr } = await command(['serve', '--listen', '127.0.0.1:0', '--data', directory, '--config', path.join(directory, 'filmgate.yaml')]);
        assert.equal(status, 2);
        assert.match(stderr, sentence);
    });

test('the servers ended well', endedWell);
