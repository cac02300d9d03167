// SPDX-License-Identifier: Apache-2.0
//
// The page that this API follows: every key of its two examples, in every answer of that state.
// Shapes and types are checked on all answers by check.js; here are the values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { page, sameShape } from './check.js';
import { endedWell, start } from './harness.js';
import { cold, dataUri, warm } from './media.js';

const server = await start({ config: 'render:\n  slots: 1\n' });
const ISO_MICROS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const images = [dataUri(warm), dataUri(cold)];
const asked = { prompt: 'make animate', orientation: 'portrait', size: 'small', images, duration: 2 };

function leaves(value, path = '') {
    if (value === null || typeof value !== 'object') return [path];
    const inner = Object.entries(value).flatMap(([key, item]) => leaves(item, `${path}.${key}`));
    return inner.length > 0 ? inner : [path];
}

function at(value, path) {
    return path.slice(1).split('.').reduce((inner, key) => inner?.[key], value);
}

function hold() {
    return server.create({ duration: 60, size: 'large', prompt: 'what holds the only slot' });
}

async function pendingPair() {
    const holder = await hold();
    await server.waitRendering(holder.id, 0);
    const waiting = await server.create({ ...asked, seed: undefined }, { headers: { 'X-Request-Id': 'page-1' } });
    return { holder, waiting };
}

const { holder, waiting } = await pendingPair();
const queued = await until(() => server.query(waiting.id), (answer) => answer.detail.pending_info.progress_pos_in_queue !== null);
const queuedText = (await server.call('GET', `/v1/video/query?id=${waiting.id}`)).text;
const processing = await until(() => server.query(holder.id), (answer) => answer.progress > 0);
await server.cancel(holder.id);
const completed = await server.waitEnd(waiting.id);
const info = queued.detail.pending_info;
const draft = completed.detail.draft_info;

async function until(look, isGood) {
    for (;;) {
        const answer = await look();
        assert.equal(answer.status, 'pending');
        if (isGood(answer)) return answer;
    }
}

for (const path of leaves(page.pending))
    test(`pending has ${path.slice(1)}`, () => {
        for (const answer of [queued, processing]) {
            if (/images|inpaint_items/.test(path) && answer === processing) continue; // it has no images
            assert.notEqual(at(answer, path), undefined);
        }
    });

for (const path of leaves(page.completed))
    test(`completed has ${path.slice(1)}`, () => assert.notEqual(at(completed, path), undefined));

test('pending has the types of the page at every depth, queued and processing', () => {
    sameShape(page.pending, queued);
    sameShape(page.pending, processing);
});

test('completed has the types of the page at every depth', () => {
    assert.equal(completed.status, 'completed', JSON.stringify(completed.error));
    sameShape(page.completed, completed);
});

test('no key beyond the page but the harmless ones', () => {
    const extra = (wanted, found, path = '') =>
        wanted === null || typeof wanted !== 'object' || Array.isArray(wanted)
            ? []
            : Object.keys(found).flatMap((key) => (key in wanted ? extra(wanted[key], found[key], `${path}.${key}`) : [`${path}.${key}`]));
    const harmless = new Set(['.video_url', '.enhanced_prompt', '.progress', '.detail.engine', '.detail.video_url']);
    for (const [wanted, found] of [[page.pending, queued], [page.pending, processing], [page.completed, completed]])
        for (const path of extra(wanted, found)) assert.ok(harmless.has(path), `${path} is not on the page`);
});

test('a queued task says what was asked', () => {
    assert.equal(queued.id, waiting.id);
    assert.match(queued.id, /^sora-2:task_/);
    assert.equal(queued.detail.id, queued.id.split(':')[1]);
    assert.equal(info.id, queued.detail.id);
    assert.equal(info.moderation_result.task_id, queued.detail.id);
    const { images: links, ...input } = queued.detail.input;
    assert.deepEqual(input, { size: 'small', model: 'sora-2', prompt: 'make animate', orientation: 'portrait' });
    assert.equal(links.length, 2);
    assert.equal(info.prompt, 'make animate');
    assert.equal(info.model, 'sora-2');
    assert.equal(info.request_id, 'page-1');
});

test('a queued task has the constants of the page', () => {
    const { type, title, width, height, n_frames, priority, operation, n_variants, needs_user_review, num_unsafe_generations } = info;
    assert.deepEqual(
        { type, title, width, height, n_frames, priority, operation, n_variants, needs_user_review, num_unsafe_generations },
        { type: 'video_gen', title: 'New Video', width: 352, height: 640, n_frames: 60, priority: 2, operation: 'simple_compose', n_variants: 1, needs_user_review: false, num_unsafe_generations: 0 },
    );
    assert.deepEqual(info.moderation_result, { code: null, type: 'passed', task_id: queued.detail.id, is_output_rejection: false, results_by_frame_index: {} });
    for (const key of ['seed', 'sdedit', 'actions', 'guidance', 'preset_id', 'project_id', 'organization_id', 'interpolation', 'tracking_id', 'remix_config', 'is_storyboard', 'failure_reason'])
        assert.equal(info[key], null, key);
});

test('a queued task stands in the queue', () => {
    assert.equal(info.status, 'queued');
    assert.equal(info.progress_pct, 0);
    assert.equal(queued.progress, 0);
    assert.equal(info.progress_pos_in_queue, 1);
    assert.equal(typeof info.queue_status_message, 'string');
});

test('a fraction is written as one, also when it is 0', () => assert.match(queuedText, /"progress_pct":\s*0\.0\b/));

test('a task in work says so and how far it is', () => {
    const { status, progress_pct, progress_pos_in_queue } = processing.detail.pending_info;
    assert.equal(status, 'processing');
    assert.equal(progress_pos_in_queue, null);
    assert.ok(progress_pct > 0 && progress_pct < 1);
    assert.equal(processing.progress, Math.floor(progress_pct * 100 + 1e-9));
});

test('one inpaint item an image, each with a media id of its own', () => {
    assert.equal(info.inpaint_items.length, 2);
    const ids = info.inpaint_items.map((item) => item.upload_media_id);
    ids.forEach((id) => assert.match(id, /^media_[0-7][0-9a-hjkmnp-tv-z]{25}$/));
    assert.notEqual(ids[0], ids[1]);
});

test('created_at is ISO 8601 in UTC with microseconds', () => {
    assert.match(info.created_at, ISO_MICROS);
    assert.ok(Math.abs(Date.parse(info.created_at) - Date.now()) < 600_000);
});

test('the user is a word that tells nothing, the same in every task of the tenant', () => {
    assert.match(info.user, /^user-[A-Za-z0-9]{24}$/);
    assert.equal(processing.detail.pending_info.user, info.user);
});

test('status_update_time is milliseconds and grows with every change', () => {
    assert.ok(Number.isInteger(queued.status_update_time));
    assert.ok(completed.status_update_time > queued.status_update_time);
    assert.ok(Math.abs(completed.status_update_time - Date.now()) < 600_000);
});

test('completed: sizes, and one generation id in both places', () => {
    assert.deepEqual([completed.width, completed.height, draft.width, draft.height], [352, 640, 352, 640]);
    assert.match(draft.id, /^gen_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    assert.equal(draft.generation_id, draft.id);
    assert.equal(draft.task_id, completed.detail.id);
    assert.equal(draft.kind, 'sora_draft');
    assert.equal(draft.draft_reviewed, false);
    assert.equal(draft.generation_type, '');
    assert.deepEqual(draft.tags, []);
    assert.equal(draft.encodings.unfurl, null);
    assert.equal(draft.creation_config.prompt, 'make animate');
});

test('draft_info.created_at is seconds as a fraction', () => {
    assert.ok(!Number.isInteger(draft.created_at) || draft.created_at > 1e9);
    assert.ok(Math.abs(draft.created_at - Date.now() / 1000) < 600);
});

function links(answer) {
    const { encodings } = answer.detail.draft_info;
    return {
        'src.mp4': [answer.video_url, answer.detail.url, answer.detail.draft_info.url, answer.detail.draft_info.downloadable_url, encodings.source.path, encodings.source_wm.path],
        'thumbnail.webp': [answer.thumbnail_url, answer.detail.thumbnail_url, encodings.thumbnail.path],
        'preview.gif': [answer.detail.gif_url, encodings.gif.path],
        'md.mp4': [encodings.md.path],
    };
}

test('every link is an absolute URL of this server, signed, and names the right file', () => {
    for (const [file, urls] of Object.entries(links(completed)))
        for (const link of urls) {
            const url = new URL(link);
            assert.equal(url.origin, server.url);
            assert.equal(url.pathname.split('/').pop(), file);
            for (const key of ['st', 'se', 'sr', 'sp', 'sig']) assert.ok(url.searchParams.get(key), `${key} of ${link}`);
            assert.match(url.searchParams.get('se'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        }
});

test('images sent as bytes are shown as links that give them back', async () => {
    const got = await Promise.all(queued.detail.input.images.map((link) => server.fetchLink(link)));
    assert.deepEqual(got.map((answer) => answer.headers['content-type']), ['image/png', 'image/png']);
    assert.ok(got[0].bytes.equals(warm));
    assert.ok(got[1].bytes.equals(cold));
});

test('what was asked beyond the page comes back in its places', async () => {
    const created = await server.create({ prompt: 'bound', title: 'A title', tags: ['one', 'two'], seed: 77, priority: 5, orientation: 'landscape', size: 'large', duration: 1, style: 'comic' });
    const pending = await server.query(created.id);
    const now = pending.detail.pending_info;
    assert.deepEqual([now.title, now.seed, now.priority, now.width, now.height, now.n_frames], ['A title', 77, 5, 1280, 704, 30]);
    const end = await server.waitEnd(created.id);
    assert.deepEqual([end.detail.draft_info.title, end.detail.draft_info.tags], ['A title', ['one', 'two']]);
    assert.equal(end.detail.draft_info.creation_config.style_id, 'comic');
});

test('the servers ended well', endedWell);
