// SPDX-License-Identifier: Apache-2.0
//
// Programs of an operator's as an engine: one that works, and one that misbehaves in every way that its prompt names.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { command, endedWell, isAlive, newDirectory, ROOT, start, until } from './harness.js';
import { cold, dataUri, probe, saved, tiny } from './media.js';

// `notes` is where it tells what it saw; `way` comes from the prompt.
const SCRIPT = String.raw`#!/bin/sh
task=$(cat)
notes=NOTES
way=$(printf '%s' "$task" | sed -n 's/.*"prompt":"way \([a-z-]*\)".*/\1/p')
clip() { ffmpeg -v error -nostdin -y -f lavfi -i testsrc=s=64x64:d=1:r=24 -pix_fmt yuv420p "$1"; }
printf '%s\n' "$task" >"$notes/$way.task"
{ env; echo "PWD=$PWD"; echo "ARGUMENTS=$*"; ls -ld . ; ls /proc/$$/fd; ulimit -f; } >"$notes/$way.saw"
echo "$$" >>"$notes/$way.pids"
case $way in
works) echo '{"progress": 0.25}'; until [ -e "$notes/go" ]; do sleep 0.05; done; clip output.mp4; echo '{"progress": 1}' ;;
names) mkdir out; clip out/film.mp4; echo "{\"output\": \"$PWD/out/film.mp4\"}" ;;
images) clip output.mp4; cp image-* "$notes" ;;
noise) head -c 300000 /dev/zero | tr '\0' x; echo; echo 'Loading weights 100%'; echo '{"progress": "much"}'; head -c 5000 /dev/urandom; echo
  echo 'secret of the house' >&2; clip output.mp4 ;;
mutters) echo 'Loading weights'; clip output.mp4 ;;
fails) echo 'out of memory: secret of the house' >&2; exit 3 ;;
dies) kill -SEGV $$ ;;
hangs) trap 'echo terminated >>"$notes/hangs.term"' TERM; while :; do sleep 0.1; done ;;
forks) setsid sh -c 'echo $$ >>"$0/forks.pids"; trap "" TERM HUP; while :; do sleep 0.1; done' "$notes" & 
  until [ "$(wc -l <"$notes/forks.pids")" -gt 1 ]; do sleep 0.05; done; clip output.mp4 ;;
lingers) (setsid sh -c 'echo $$ >>"$0/lingers.pids"; trap "" TERM HUP; while :; do sleep 0.1; done' "$notes" &)
  echo '{"progress": 0.5}'; while :; do sleep 0.1; done ;;
restarts) setsid sh -c 'echo $$ >>"$0/restarts.pids"; while :; do sleep 0.1; done' "$notes" &
  echo '{"progress": 0.5}'; until [ -e "$notes/go" ]; do sleep 0.05; done; clip output.mp4 ;;
nothing) ;;
empty) : >output.mp4 ;;
text) echo 'no video' >output.mp4 ;;
link) clip film.mp4; mv film.mp4 "$notes/film.mp4"; ln -s "$notes/film.mp4" output.mp4 ;;
folder-link) clip "$notes/film.mp4"; ln -s "$notes" out; echo '{"output": "out/film.mp4"}' ;;
outside) clip "$notes/film.mp4"; echo "{\"output\": \"$notes/film.mp4\"}" ;;
upwards) clip ../film.mp4; echo '{"output": "../film.mp4"}' ;;
pipe) mkfifo output.mp4 ;;
huge) exec head -c 3000000 /dev/zero >output.mp4 ;;
huge-quietly) head -c 3000000 /dev/zero >output.mp4; exit 0 ;;
refuses) echo '{"error": {"kind": "refused", "code": "size", "message": "only squares"}}' ;;
moderates) echo '{"error": {"kind": "moderated", "code": "nsfw", "message": "not this"}}'; exit 1 ;;
gives-up) printf '%s\n' '{"error": {"kind": "failed", "code": "cuda", "message": "the card\nis gone"}}'; exit 1 ;;
locks) mkdir -p a/b; : >a/b/c; chmod 000 a; clip output.mp4 ;;
esac
`;

const folder = newDirectory(), notes = path.join(folder, 'notes'), script = path.join(folder, 'run.sh');
fs.mkdirSync(notes);
fs.writeFileSync(script, SCRIPT.replace('NOTES', notes), { mode: 0o755 });

const channel = (name, more = '') => `  - name: ${name}
    adapter: command
    command: [${script}, --steps, "20", "a b; c"]
    command_env: {HOUSE: "stone", LANG: C}
    options: {steps: 20}
${more}`;
const config = `tasks: {attempts: 2, backoff: 100ms}
drain: 1s
render: {file: 1MiB}
channels:
${channel('local', '    models: [local-film]\n    concurrency: 2\n')}
${channel('short', '    models: [short-film]\n    command_timeout: 1s\n')}
${channel('first', '    models: [either-film]\n    priority: 9\n')}
  - {name: second, adapter: animatic, models: [either-film]}
  - {name: example, adapter: command, command: [${path.join(ROOT, 'examples/command.py')}], models: [example-film]}
`;
const server = await start({ config });
await server.addKey('operator', { operator: true });
const operator = { key: server.keys.operator };

const saw = (way) => fs.readFileSync(path.join(notes, `${way}.saw`), 'utf8');
const pids = (way) => fs.readFileSync(path.join(notes, `${way}.pids`), 'utf8').trim().split('\n').map(Number);
const create = (way, fields = {}) => server.create({ model: 'local-film', prompt: `way ${way}`, ...fields });
const work = path.join(server.data, 'work');
const left = () => fs.readdirSync(work);
const row = async (name) => (await server.call('GET', '/v1/channels', operator)).json.data.find((one) => one.name === name);
async function timeline(id, options) {
    return (await server.call('GET', `/v1/video/tasks/${encodeURIComponent(id)}/timeline`, options)).json.data;
}
// What operators are told of how attempts ended; tenants are told none of it.
async function reasons(id) {
    assert.ok((await timeline(id)).every((entry) => entry.message === undefined));
    return (await timeline(id, operator)).filter((entry) => entry.what === 'closed').map((entry) => entry.message);
}
async function fails(way, code, fields) {
    const { id } = await create(way, fields);
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'failed');
    assert.equal(end.error?.code ?? end.detail.error?.code, code, JSON.stringify(end));
    assert.ok(!JSON.stringify(end).includes('secret of the house'));
    return end;
}
const nothingLeft = (way) => until(`the end of all processes of ${way}`, () => pids(way).every((pid) => !isAlive(pid)));
const emptied = () => until('the directories to be gone', () => left().length === 0);

test('a program makes the video: progress comes, and then a film with all that belongs to it', async () => {
    const { id } = await create('works', { seed: 5 });
    const under = await server.waitRendering(id, 25);
    assert.equal(under.progress, 25);
    assert.equal(under.detail.engine ?? under.detail.generations?.[0]?.engine, 'command', JSON.stringify(under));
    assert.equal(left().length, 1);
    assert.equal(fs.statSync(work).mode & 0o777, 0o700);
    fs.writeFileSync(path.join(notes, 'go'), '');
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'completed', JSON.stringify(end.error));
    assert.equal((await probe(saved((await server.fetchLink(end.video_url)).bytes, 'works.mp4'))).width, 64);
    const task = JSON.parse(fs.readFileSync(path.join(notes, 'works.task'), 'utf8'));
    assert.deepEqual([task.id, task.asked_model, task.prompt, task.seed, task.duration, task.options], [id.split(':')[1], 'local-film', 'way works', 5, 1, { steps: 20 }]);
    assert.deepEqual(task.images, []);
    assert.match(task.attempt, /^att_/);
    assert.ok(task.output.startsWith(fs.realpathSync(work)) && task.output.endsWith('/output.mp4'), task.output);
    await emptied();
});
test('it sees its arguments, its directory and the few variables that it is given; no descriptor of ours', async () => {
    const lines = saw('works').split('\n');
    const value = (name) => lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
    assert.deepEqual(value('ARGUMENTS'), ['--steps 20 a b; c']);
    assert.deepEqual(value('HOUSE'), ['stone']);
    assert.deepEqual(value('LANG'), ['C']);
    assert.deepEqual(value('PATH'), ['/usr/local/bin:/usr/bin:/bin']);
    assert.deepEqual(value('HOME'), value('PWD').slice(0, 1));
    assert.deepEqual(value('TMPDIR'), value('HOME'));
    const names = lines.filter((line) => /^[A-Za-z_]+=/.test(line)).map((line) => line.split('=')[0]);
    assert.deepEqual([...new Set(names)].sort(), ['ARGUMENTS', 'HOME', 'HOUSE', 'LANG', 'PATH', 'PWD', 'TMPDIR'].concat(names.includes('_') ? ['_'] : [], names.includes('OLDPWD') ? ['OLDPWD'] : [], names.includes('SHLVL') ? ['SHLVL'] : []).sort());
    assert.ok(lines.some((line) => line.startsWith('drwx------')), lines.join('\n'));
    const descriptors = lines.filter((line) => /^\d+$/.test(line)).map(Number);
    assert.ok(descriptors.slice(0, -1).every((fd) => fd < 3 || fd >= 10), `${descriptors}`); // from 10: the shell's own
    assert.equal(descriptors.at(-1), 2048, 'blocks of 512 bytes: render.file');
});
test('it may name the file, also by its whole path', async () => {
    assert.equal((await server.waitEnd((await create('names')).id)).status, 'completed');
});
test('images lie in its directory', async () => {
    const { id } = await create('images', { images: [dataUri(tiny), dataUri(cold)] });
    assert.equal((await server.waitEnd(id)).status, 'completed');
    const { images } = JSON.parse(fs.readFileSync(path.join(notes, 'images.task'), 'utf8'));
    assert.deepEqual(images.map((image) => [path.basename(image.path), image.type, Object.keys(image).sort().join()]), [['image-0.png', 'image/png', 'path,role,type'], ['image-1.png', 'image/png', 'path,role,type']]);
    assert.ok(fs.readFileSync(path.join(notes, 'image-0.png')).equals(tiny) && fs.readFileSync(path.join(notes, 'image-1.png')).equals(cold));
});
test('lines that are none of its words, and long ones, do no harm and are told once; its standard error stays here', async () => {
    const { id } = await create('noise');
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'completed', JSON.stringify(end.error));
    assert.match(server.log, /the program of channel \S+local\S+ said \d+ lines that were passed over, the first: x{50,}/);
    assert.ok(!JSON.stringify(end).includes('secret'));
});
test('one such line is one', async () => {
    assert.equal((await server.waitEnd((await create('mutters')).id)).status, 'completed');
    assert.match(server.log, /said a line that was passed over: Loading weights/);
});
test('a program that fails is tried again, and its last words are in the log alone', async () => {
    const { id } = await create('fails');
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'failed');
    assert.equal(pids('fails').length, 2);
    assert.match(server.log, /attempt 2: the program of channel \S+local\S+ ended with status 3/);
    assert.match(server.log, /its standard error: out of memory: secret of the house/);
    assert.ok(!JSON.stringify(end).includes('secret'));
    assert.deepEqual(await reasons(id), ['the program ended with status 3', 'the program ended with status 3']);
    assert.equal((await row('local')).last_error, 'the program ended with status 3');
    const data = await timeline(id);
    assert.deepEqual(data.filter((entry) => entry.kind === 'attempt').map((entry) => `${entry.engine} ${entry.what} ${entry.state ?? ''}`.trim()), ['command begun', 'command closed failed', 'command begun', 'command closed failed']);
    assert.ok((await timeline(id, operator)).filter((entry) => entry.what === 'closed').every((entry) => entry.channel === 'local'));
});
test('one that a signal ends has failed', async () => {
    const { id } = await fails('dies', 'render_crashed');
    assert.match(server.log, /attempt 2: the program of channel \S+local\S+ ended with signal 11 \(Segmentation fault\)/);
    assert.equal((await reasons(id))[1], 'the program ended with signal 11 (Segmentation fault)');
});
test('one whose time is out is asked to end, then killed', async () => {
    const { id, error } = await fails('hangs', 'render_stalled', { model: 'short-film' });
    assert.match(error.message, /made no progress, or took too long/);
    assert.equal((await reasons(id))[1], 'the program was not done within command_timeout, and was stopped');
    assert.ok(fs.existsSync(path.join(notes, 'hangs.term')));
    assert.ok(pids('hangs').every((pid) => !isAlive(pid)));
});
test('what it leaves running is killed with it, however it hides', async () => {
    const { id } = await create('forks');
    assert.equal((await server.waitEnd(id)).status, 'completed');
    assert.equal(pids('forks').length, 2);
    await nothingLeft('forks');
});
test('no video, none that is a file within its directory, and none that is a video', async () => {
    await Promise.all([fails('nothing', 'no_video'), fails('empty', 'no_video'), fails('text', 'output_invalid'), fails('link', 'output_invalid'), fails('folder-link', 'output_invalid'),
        fails('outside', 'output_invalid'), fails('upwards', 'output_invalid'), fails('pipe', 'output_invalid')]);
    fs.rmSync(path.join(work, 'film.mp4')); // what one put beside its directory
});
test('a file that is too large is cut off while it is written', async () => {
    await Promise.all([fails('huge', 'output_too_large'), fails('huge-quietly', 'output_too_large')]);
    assert.equal(pids('huge').length, 1, 'another attempt would make the same');
});
test('its own words: refused for good, moderated, failed', async () => {
    const before = await row('local');
    const refused = await fails('refuses', 'upstream_refused');
    const after = await row('local');
    assert.deepEqual([after.submits - before.submits, after.accepted - before.accepted, after.refused - before.refused], [1, 0, 1]);
    assert.equal(after.last_error, 'the program refused the task: size: only squares');
    assert.deepEqual(await reasons(refused.id), ['the program refused the task: size: only squares']);
    assert.doesNotMatch(JSON.stringify(refused), /only squares/);
    assert.ok(!JSON.stringify(refused).includes('second'));
    const moderated = await fails('moderates', 'moderation_blocked');
    assert.match(JSON.stringify(moderated), /not this/);
    assert.doesNotMatch(moderated.error.message, /by the upstream/);
    const failed = await fails('gives-up', 'render_failed');
    assert.match(JSON.stringify(failed), /the card\?is gone/);
    assert.deepEqual(['refuses', 'moderates', 'gives-up'].map((way) => pids(way).length), [1, 1, 2]);
    const { submits, accepted } = await row('local');
    assert.deepEqual([submits - after.submits, accepted - after.accepted], [3, 3], 'what it worked on to an end it had accepted');
});
test('what it refuses goes to the next channel', async () => {
    const { id } = await create('refuses', { model: 'either-film' });
    const end = await server.waitEnd(id);
    assert.equal(end.status, 'completed', JSON.stringify(end.error));
    assert.match(JSON.stringify(end), /animatic/);
});
test('a cancel kills it, and what it has started', async () => {
    const { id } = await create('lingers');
    await server.waitRendering(id, 50);
    await until('its child', () => pids('lingers').length === 2);
    assert.equal((await server.cancel(id)).status, 200);
    await nothingLeft('lingers');
    await emptied();
});
test('what it locks is removed all the same', async () => {
    assert.equal((await server.waitEnd((await create('locks')).id)).status, 'completed');
    await emptied();
});
test('as many at once as its channel says', async () => {
    fs.rmSync(path.join(notes, 'go'));
    fs.rmSync(path.join(notes, 'works.pids'));
    const made = await Promise.all([create('works'), create('works'), create('works')]);
    await until('two at work', () => fs.existsSync(path.join(notes, 'works.pids')) && pids('works').length === 2);
    const waits = await until('the third to be told why it waits', async () => {
        const all = await Promise.all(made.map(({ id }) => server.query(id)));
        return all.map((one) => one.detail?.pending_info?.queue_status_message).find((text) => text);
    });
    assert.doesNotMatch(waits, /upstream/i);
    const { json } = await server.call('GET', '/v1/channels', operator);
    const { data } = json;
    const shown = data.find((one) => one.channel === 'local' || one.name === 'local');
    assert.equal(shown.adapter, 'command', JSON.stringify(shown));
    assert.deepEqual([shown.in_flight, shown.concurrency], [2, 2]);
    fs.writeFileSync(path.join(notes, 'go'), '');
    for (const { id } of made) assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('metrics count programs by their end', async () => {
    const { text } = await server.call('GET', '/metrics', { ...operator, unchecked: true });
    assert.match(text, /filmgate_commands_ended_total\{end="done"\} [1-9]/);
    assert.match(text, /filmgate_commands_ended_total\{end="timed_out"\} 2/);
    assert.match(text, /filmgate_channel_refused_total\{channel="local",credential="default"\} 1/);
});
test('SIGKILL in the middle: no process stays, and the task is done after the start', async () => {
    fs.rmSync(path.join(notes, 'go'));
    const { id } = await create('restarts');
    await server.waitRendering(id, 50);
    await until('its child', () => pids('restarts').length === 2);
    fs.mkdirSync(path.join(work, 'left-over'));
    await server.kill();
    await nothingLeft('restarts');
    fs.mkdirSync(path.join(work, 'left-over', 'more'), { recursive: true });
    await server.restart();
    assert.ok(!fs.existsSync(path.join(work, 'left-over')));
    fs.writeFileSync(path.join(notes, 'go'), '');
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('SIGTERM in the middle: the same', async () => {
    fs.rmSync(path.join(notes, 'go'));
    fs.rmSync(path.join(notes, 'restarts.pids'));
    const { id } = await create('restarts');
    await server.waitRendering(id, 50);
    await until('its child', () => pids('restarts').length === 2);
    assert.equal(await server.stop(), 0);
    await nothingLeft('restarts');
    await server.restart();
    fs.writeFileSync(path.join(notes, 'go'), '');
    assert.equal((await server.waitEnd(id)).status, 'completed');
});
test('a channel that was an upstream and is a program now: its job there waits for the upstream', async () => {
    const upstream = http.createServer((request, answer) => request.resume().on('end', () => {
        answer.setHeader('Content-Type', 'application/json');
        answer.end(JSON.stringify({ id: 'job-1', status: 'pending', progress: 1 }));
    })).listen(0, '127.0.0.1');
    after(() => upstream.close());
    await once(upstream, 'listening');
    const other = await start({ config: `channels:\n  - {name: turned, adapter: unified, base_url: "http://127.0.0.1:${upstream.address().port}", key: k, models: [local-film]}\n` });
    const { id } = await other.create({ model: 'local-film', prompt: 'way text' });
    await until('it to be there', async () => (await other.query(id)).detail?.pending_info?.status === 'processing');
    await other.restart({ config: `channels:\n${channel('turned', '    models: [local-film]\n')}` });
    await until('the log to tell', () => /its job is at channel .*turned.* which is not configured/.test(other.log));
    assert.equal((await other.query(id)).status, 'pending');
    assert.equal((await other.cancel(id)).status, 200);
});
test('the example says that it has no ffmpeg', () => {
    const input = JSON.stringify({ images: [], seed: 1, width: 64, height: 64, duration: 1, output: 'output.mp4' });
    const alone = 'import os, sys; os.execve(sys.executable, [sys.executable, *sys.argv[1:]], {"PATH": "/nowhere"})';
    const run = spawnSync('python3', ['-c', alone, path.join(ROOT, 'examples/command.py')], { input });
    assert.equal(run.status, 0, String(run.stderr));
    assert.deepEqual(JSON.parse(run.stdout).error, { kind: 'failed', code: 'no_ffmpeg', message: 'ffmpeg is not installed' });
});
test('the example works, with and without an image', async () => {
    for (const images of [[], [dataUri(cold)]]) {
        const { id } = await server.create({ model: 'example-film', images });
        const end = await server.waitEnd(id);
        assert.equal(end.status, 'completed', JSON.stringify(end.error) + server.log.slice(-2000));
    }
});
test('a configuration that cannot work is refused at the start, and the doctor says why', async () => {
    const file = path.join(folder, 'bad.yaml');
    const bad = async (lines, said) => {
        fs.writeFileSync(file, `channels:\n  - name: local\n    adapter: command\n    models: [a]\n${lines}`);
        const { status, stdout } = await command(['doctor', '--config', file, '--data', path.join(folder, 'd')]);
        assert.equal(status, 1);
        assert.match(stdout, said);
    };
    fs.writeFileSync(path.join(folder, 'plain'), '');
    await bad('', /needs a "command"/);
    await bad('    command: [run.sh]\n', /must be an absolute path/);
    await bad('    command: [/nowhere/run.sh]\n', /cannot be found: No such file/);
    await bad(`    command: [${path.join(folder, 'plain')}]\n`, /is not an executable file/);
    await bad(`    command: [${folder}]\n`, /is not an executable file/);
    await bad(`    command: [${script}]\n    key: k\n`, /runs a program, which needs no base_url/);
    await bad(`    command: ${script}\n`, /must be a list/);
    await bad(`    command: [${script}]\n    command_env: {A-B: c}\n`, /cannot be the name of a variable/);
    await bad(`    command: [${script}, ${'x'.repeat(16384)}]\n`, /hold more than 16384 bytes/);
    fs.writeFileSync(file, `channels:\n  - {name: a, adapter: animatic, models: [a], command: [${script}]}\n`);
    assert.match((await command(['doctor', '--config', file, '--data', path.join(folder, 'd')])).stdout, /which only the adapter "command" runs/);
});
test('the doctor, the list of adapters and the dump know it', async () => {
    const file = path.join(folder, 'good.yaml');
    fs.writeFileSync(file, `channels:\n${channel('local', '    models: [a]\n')}`);
    assert.match((await command(['doctor', '--config', file, '--data', path.join(folder, 'd')])).stdout, /"local": runs \S+run\.sh, 1 at once, serves "a"/);
    assert.match((await command(['adapters', 'list'])).stdout, /^command +own +none +pending,rendering +no +built in /m);
    assert.match((await command(['adapters', 'show', 'command'])).stderr, /is no adapter/);
    const { stdout } = await command(['dump', 'config', '--config', file]);
    assert.match(stdout, /run\.sh/);
    assert.match(stdout, /HOUSE/);
    assert.doesNotMatch(stdout, /stone|a b; c/);
});

test('the servers ended well', endedWell);
