// SPDX-License-Identifier: Apache-2.0
//
// The simulated Kling (the newer API) held against a client written here: the vendor has none on npm. Then what the
// gateway makes of an answer that was lost, for there the job is found by our own id.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { attemptsOf } from './books.js';
import { endedWell, start, until } from './harness.js';
import { start as startSimulator } from '../simulators/core.js';
import { kling as vendor } from '../simulators/kling.js';
import { BAD_BODIES, LIMIT, PIXEL, SHORT, STEADY, film, isDone, isVideo, prepare, submits, talk } from './simulated.js';
import { channelsYaml } from './upstreams.js';

const kling = await startSimulator(vendor, { settings: SHORT });
after(() => kling.close());

const create = (path, body, options) => talk(kling, 'POST', path, { body, ...options });
const query = (search) => talk(kling, 'GET', `/tasks?${search}`);
const said = ({ status, json }) => [status, json.code];
const ended = (id) => until('the task', async () => {
    const [task] = (await query(`task_ids=${id}`)).json.data;
    return ['succeeded', 'failed'].includes(task?.status) && task;
}, LIMIT);
const TEXT = '/text-to-video/kling-3.0';
const IMAGE = '/image-to-video/kling-3.0';
const OMNI = '/omni-video/kling-3.0-omni';
const prompt = { type: 'prompt', text: 'a boat' };
const frame = (type, url = 'https://example.com/a.png') => ({ type, url });

test('a text: submitted, processing, succeeded; the video, the bill', async () => {
    prepare(kling, { settings: STEADY });
    const made = await create(TEXT, { prompt: 'a boat', settings: { duration: 8, resolution: '1080p', aspect_ratio: '9:16' }, options: { external_task_id: 'ours-1' } });
    assert.deepEqual(said(made), [200, 0]);
    const { id, status, external_id: external } = made.json.data;
    assert.deepEqual([status, external], ['submitted', 'ours-1']);
    assert.match(id, /^\d{18}$/);
    assert.equal(submits(kling)[0].correlation, 'ours-1');
    await until('it renders', async () => (await query(`task_ids=${id}`)).json.data[0].status === 'processing', LIMIT);
    const task = await ended(id);
    assert.deepEqual(task.outputs.map(({ type, duration }) => [type, duration]), [['video', '8.041']]);
    assert.deepEqual(task.billing, [{ charge_type: 'unit', amount: '6.4', package_type: 'video' }]);
    const { bytes } = await talk(kling, 'GET', task.outputs[0].url, { key: null });
    isVideo(bytes);
});
test('frames and references, each where it belongs', async () => {
    prepare(kling);
    const base64 = PIXEL.toString('base64');
    const good = [
        [IMAGE, { contents: [prompt, frame('first_frame', base64)] }],
        [IMAGE, { contents: [prompt, frame('first_frame'), frame('last_frame')] }],
        ['/image-to-video/kling-2.6', { contents: [prompt, frame('first_frame'), frame('last_frame')], settings: { resolution: '1080p' } }],
        [OMNI, { contents: [prompt], settings: { aspect_ratio: '1:1' } }],
        [OMNI, { contents: [prompt, frame('first_frame'), frame('refer_image')] }],
        ['/omni-video/kling-o1', { contents: [prompt, frame('refer_image')], settings: { aspect_ratio: '16:9', duration: 7 } }],
    ];
    for (const [path, body] of good) assert.deepEqual(said(await create(path, body)), [200, 0], JSON.stringify(body));
    const bad = [
        [IMAGE, { contents: [prompt] }],
        [IMAGE, { contents: [prompt, frame('last_frame')] }],
        [IMAGE, { contents: [frame('first_frame')] }],
        [IMAGE, { contents: [prompt, frame('first_frame', `data:image/png;base64,${base64}`)] }],
        [IMAGE, { contents: [prompt, frame('refer_image')] }],
        [IMAGE, { contents: [prompt, frame('first_frame')], settings: { aspect_ratio: '16:9' } }],
        ['/image-to-video/kling-3.0-turbo', { contents: [prompt, frame('first_frame'), frame('last_frame')] }],
        ['/image-to-video/kling-2.5-turbo', { contents: [prompt, frame('first_frame'), frame('last_frame')], settings: { resolution: '720p' } }],
        [OMNI, { contents: [prompt] }],
        [OMNI, { contents: [prompt, ...Array(8).fill(frame('refer_image'))], settings: { aspect_ratio: '1:1' } }],
        ['/omni-video/kling-o1', { contents: [prompt, frame('first_frame')], settings: { duration: 7 } }],
    ];
    for (const [path, body] of bad) assert.deepEqual(said(await create(path, body)), [400, 1201], JSON.stringify(body));
});
test('what is wrong is told by a code', async () => {
    prepare(kling);
    const wrong = [{ prompt: '' }, { prompt: 'x'.repeat(3073) }, { settings: { duration: '5' } }, { settings: { duration: 16 } }, { settings: { resolution: '8k' } },
        { settings: { audio: 'on' } }, { settings: { aspect_ratio: '4:3' } }, { model: 'kling-3.0' }, { contents: [prompt] }, { options: { callback_url: 1 } }, { options: { callback_url: 'here' } }];
    for (const one of wrong) assert.deepEqual(said(await create(TEXT, { prompt: 'a', ...one })), [400, 1201], JSON.stringify(one));
    assert.deepEqual(said(await create('/text-to-video/kling-3.0-omni', { prompt: 'a' })), [404, 1203]);
    assert.deepEqual(said(await create(TEXT, { prompt: 'a' }, { key: null })), [401, 1001]);
    assert.deepEqual(said(await create(TEXT, { prompt: 'a' }, { key: 'sk-no' })), [401, 1002]);
    assert.deepEqual(said(await create(TEXT, { prompt: '[sim:busy]' })), [429, 1302]);
    assert.equal(kling.program({ settings: { slots: 0 } }), null);
    assert.deepEqual(said(await create(TEXT, { prompt: 'a' })), [429, 1303]);
    assert.equal(submits(kling).length, 0);
});
test('a body that is none', async () => {
    prepare(kling);
    for (const body of BAD_BODIES) assert.equal((await talk(kling, 'POST', TEXT, { body })).status, 400, body);
    assert.equal(submits(kling).length, 0);
});
test('our own id: found by it, and never twice', async () => {
    prepare(kling);
    const body = { prompt: 'a', options: { external_task_id: 'ours-2' } };
    const { id } = (await create(TEXT, body)).json.data;
    assert.equal((await query('external_task_ids=ours-2')).json.data[0].id, id);
    const again = await create(TEXT, body);
    assert.deepEqual(said(again), [400, 1201]);
    assert.match(again.json.message, /already exists/);
    assert.equal(submits(kling).length, 1);
    assert.deepEqual((await query('external_task_ids=ours-3')).json.data, []);
    assert.deepEqual((await talk(kling, 'GET', '/tasks?external_task_ids=ours-2', { key: 'sim-key-2' })).json.data, [], 'of another account');
    assert.deepEqual(said(await create(TEXT, body, { key: 'sim-key-2' })), [200, 0], 'unique within an account');
});
test('queries of several, and the list', async () => {
    prepare(kling);
    const ids = [];
    for (const text of ['a', 'b', 'c']) ids.push((await create(TEXT, { prompt: text })).json.data.id);
    assert.deepEqual((await query(`task_ids=${ids.join(',')},1`)).json.data.map(({ id }) => id), ids);
    assert.deepEqual((await query('task_ids=1')).json.data, []);
    for (const bad of ['', 'task_ids=1&external_task_ids=2', `task_ids=${Array(21).fill('1').join(',')}`]) assert.deepEqual(said(await query(bad)), [400, 1201], bad);
    for (const id of ids) await ended(id);
    const page = async (body) => (await talk(kling, 'POST', '/tasks', { body })).json.data;
    const first = await page({ limit: 2, filters: [{ key: 'status', values: ['succeeded'] }] });
    assert.deepEqual([first.result.map(({ id }) => id), first.count, first.has_more], [[ids[2], ids[1]], 2, true]);
    const rest = await page({ limit: 2, cursor: first.next_cursor });
    assert.equal(rest.result[0].id, ids[0]);
    assert.equal((await page({ filters: [{ key: 'status', values: ['failed'] }] })).count, 0);
});
test('ends that are no video', async () => {
    prepare(kling);
    const endOf = async (text) => ended((await create(TEXT, { prompt: text })).json.data.id);
    const [moderated, failed, empty] = [await endOf('[sim:moderate]'), await endOf('[sim:fail]'), await endOf('[sim:no-video]')];
    assert.deepEqual([moderated.status, moderated.message], ['failed', 'Failure to pass the risk control system']);
    assert.deepEqual([failed.status, failed.outputs, failed.billing[0].amount], ['failed', [], '0']);
    assert.deepEqual([empty.status, empty.outputs], ['succeeded', []]);
    assert.deepEqual((await query(`task_ids=${(await create(TEXT, { prompt: '[sim:gone]' })).json.data.id}`)).json.data, []);
});

test('the gateway: whatever becomes of the answer, the job is found by our id and bought once', async () => {
    prepare(kling);
    const server = await start({ config: channelsYaml({ kling }, ['kling']) });
    const ways = ['reset', 'truncate', 'not_json', '5xx'];
    assert.equal(kling.program({ rules: ways.map((way) => ({ on: 'submit', times: 1, match: { prompt: way }, do: { accept_then: way } })) }), null);
    const tasks = await Promise.all(ways.map((way) => film(server, 'm-kling-3', `lost by ${way}`)));
    for (const task of tasks) await isDone(server, task);
    const sold = submits(kling);
    assert.deepEqual(sold.map(({ prompt: text }) => text).sort(), ways.map((way) => `lost by ${way}`).sort());
    const rows = attemptsOf(server);
    assert.deepEqual(rows.map((row) => row.job).sort(), sold.map(({ correlation }) => correlation).sort(), 'the job keeps our id');
    assert.ok(rows.every((row) => row.state === 'finished'), JSON.stringify(rows.map((row) => row.state)));
    const operator = await server.addKey('ops', { operator: true });
    const [row] = (await server.call('GET', '/v1/channels', { key: operator })).json.data;
    assert.deepEqual([row.submits, row.unknown], [ways.length, 0], 'what was found is not to be looked up');
    for (const task of tasks) {
        const { data } = (await server.call('GET', `/v1/video/tasks/${encodeURIComponent(task.id)}/timeline`, { key: operator })).json;
        const told = data.filter((entry) => entry.kind === 'attempt').map(({ what, message }) => [what, message?.startsWith('the answer to a submit was lost: ')]);
        assert.deepEqual(told, [['begun', undefined], ['lost', true], ['accepted', undefined], ['closed', undefined]]);
    }
});
test('the servers ended well', endedWell);
