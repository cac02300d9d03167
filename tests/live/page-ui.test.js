// SPDX-License-Identifier: Apache-2.0
//
// The page at `/`, driven in Chromium as a person would: by keyboard, by mouse, with pictures, in both
// colour schemes and on a narrow screen. No call of a page may break its policy or throw.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';
import { endedWell, newDirectory, PATIENCE, start, tool, until } from './harness.js';
import { cold, tiny, warm } from './media.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
after(() => browser.close());
const server = await start({ config: 'render:\n  slots: 1\n' });
const pictures = newDirectory();
for (const [name, bytes] of [['warm one.png', warm], ['cold.png', cold], ["it's; tiny,\".png", tiny]]) fs.writeFileSync(path.join(pictures, name), bytes);
const picture = (name) => path.join(pictures, name);

// Runs `play` with a page of its own; what the page asked for is in `page.sent`.
async function visit(play, { options = {}, key = server.key } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const wrong = [];
    page.sent = [];
    page.setDefaultTimeout(PATIENCE);
    page.on('pageerror', (error) => wrong.push(error.stack));
    page.on('console', (message) => {
        if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text());
    });
    page.on('request', (request) => page.sent.push({ method: request.method(), url: request.url(), headers: request.headers() }));
    try {
        await page.goto(server.url);
        if (key) await enter(page, key);
        await play(page, context);
        assert.deepEqual(wrong, []);
        for (const { url } of page.sent) assert.ok(!url.includes(server.key), 'the key is in no URL');
    } finally {
        await context.close();
    }
}

async function enter(page, key) {
    await page.fill('#key', key);
    await Promise.all([page.waitForResponse((response) => response.url().includes('/v1/video/tasks')), page.press('#key', 'Enter')]);
}

const creations = (page) => page.sent.filter(({ method, url }) => method === 'POST' && url.endsWith('/v1/video/create'));
const keysOf = (page) => creations(page).map(({ headers }) => headers['idempotency-key']);
const queries = (page) => page.sent.filter(({ url }) => url.includes('/v1/video/query'));
const text = (page, selector) => page.textContent(selector);
const waitText = (page, selector, pattern) => page.waitForFunction(([where, what]) => new RegExp(what).test(document.querySelector(where)?.textContent), [selector, pattern.source]);
const hasFocus = (page, name) => page.evaluate((wanted) => [document.activeElement?.id, document.activeElement?.name].includes(wanted), name);
const listed = async () => (await server.call('GET', '/v1/video/tasks?limit=100')).json.data;
const named = async (prompt) => (await listed()).filter((task) => task.detail.input.prompt === prompt);

async function tabTo(page, name) {
    for (let i = 0; i < 40 && !(await hasFocus(page, name)); i++) await page.keyboard.press('Tab');
    assert.ok(await hasFocus(page, name), `Tab does not lead to ${name}`);
}

async function wish(page, prompt, { size = 'small', duration = '1' } = {}) {
    await page.fill('#prompt', prompt);
    await page.selectOption('[name=size]', size);
    await page.fill('[name=duration]', duration);
}

const drawn = (page) => page.waitForSelector('video');

test('browsers get the page under a policy that names its script and its style; others get the card', async () => {
    const page = await server.call('GET', '/', { key: null, unchecked: true, headers: { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html; charset=utf-8$/);
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    const hash = (tag) => crypto.createHash('sha256').update(page.text.split(`<${tag}>`)[1].split(`</${tag}>`)[0]).digest('base64');
    const policy = page.headers['content-security-policy'];
    assert.ok(policy.includes(`default-src 'none'; script-src 'sha256-${hash('script')}'; style-src 'sha256-${hash('style')}'; `), policy);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.doesNotMatch(page.text, /\s(?:src|href)="(?:https?:)?\/\//, 'nothing from elsewhere');
    const card = await server.call('GET', '/', { key: null });
    assert.equal(card.json.name, 'filmgate');
});

test('by keyboard alone: key, prompt, create, progress, and the finished video with its previews', () => visit(async (page) => {
    await tabTo(page, 'key');
    await page.keyboard.type(server.key);
    await tabTo(page, 'prompt');
    await page.keyboard.type('by keyboard alone');
    await tabTo(page, 'images');
    await tabTo(page, 'orientation');
    await page.keyboard.type('L');
    await tabTo(page, 'size');
    await page.keyboard.type('L');
    await tabTo(page, 'duration');
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.type('12');
    await tabTo(page, 'create');
    await page.keyboard.press('Enter');
    const helper = await server.waitHelper();
    await waitText(page, '#line', /Rendering|Queued/);
    const [task] = await named('by keyboard alone');
    await server.waitRendering(task.id);
    process.kill(helper, 'SIGSTOP'); // so that the page has time to see it
    await waitText(page, '#line', /^Rendering$/);
    await waitText(page, '#percent', /^[1-9]\d* %$/);
    assert.equal(`${await page.$eval('#bar', ({ value }) => value)} %`, await text(page, '#percent'));
    assert.equal(await page.getAttribute('#line', 'role'), 'status');
    process.kill(helper, 'SIGCONT');
    await drawn(page);
    assert.equal(await text(page, '#line'), 'Finished');
    await page.waitForFunction(() => document.querySelector('video').videoWidth === 1280);
    await page.waitForFunction(() => [...document.querySelectorAll('#result img')].filter(({ naturalWidth }) => naturalWidth > 0).length === 2);
    for (const [name, type] of [['Thumbnail', 'image/webp'], ['GIF', 'image/gif']])
        assert.equal((await server.fetchLink(await page.getAttribute(`#result a:has-text("${name}")`, 'href'))).headers['content-type'], type);
    assert.equal(await page.isVisible('#percent'), false);
    assert.equal(await page.isVisible('#cancel'), false);
    const got = await server.fetchLink(await page.getAttribute('#download', 'href'));
    assert.match(got.headers['content-disposition'], /^attachment/);
    assert.equal(got.headers['content-type'], 'video/mp4');
    assert.equal(creations(page).length, 1);
    assert.equal((await named('by keyboard alone')).length, 1);
    await tabTo(page, task.id);
    await page.keyboard.press('Enter');
    assert.equal(await page.$eval(':focus', (tile) => tile.getAttribute('aria-pressed')), 'true');
}, { key: null }));

test('two clicks at once make one task', () => visit(async (page) => {
    await wish(page, 'clicked twice');
    await page.dblclick('#create');
    await drawn(page);
    assert.equal(creations(page).length, 1);
    assert.equal((await named('clicked twice')).length, 1);
}));

test('pressed again after an answer that was lost, it is the same Idempotency-Key and one task', () => visit(async (page) => {
    let lost = 0;
    await page.route('**/v1/video/create', async (route) => {
        if (lost++ > 0) return route.continue();
        await route.fetch();
        return route.abort('connectionreset');
    });
    await wish(page, 'an answer lost');
    await page.click('#create');
    await waitText(page, '#problem', /cannot be reached/);
    await until('the task to be made', async () => (await named('an answer lost')).length === 1);
    await page.click('#create');
    await drawn(page);
    assert.equal(await text(page, '#problem'), '');
    assert.equal(keysOf(page).length, 2);
    assert.equal(new Set(keysOf(page)).size, 1);
    assert.equal((await named('an answer lost')).length, 1);
    await page.click('#create');
    await until('a new press to be a new task', async () => (await named('an answer lost')).length === 2);
    assert.notEqual(keysOf(page)[2], keysOf(page)[0]);
}));

test('a wish that was changed after a lost answer is another one', () => visit(async (page) => {
    await page.route('**/v1/video/create', (route) => route.abort());
    for (const prompt of ['before', 'after']) {
        await wish(page, prompt);
        await page.click('#create');
        await waitText(page, '#problem', /cannot be reached/);
        await page.waitForSelector('#create:enabled');
    }
    await page.setInputFiles('#images', picture('cold.png'));
    await page.click('#create');
    await until('three presses', () => creations(page).length === 3);
    assert.equal(new Set(keysOf(page)).size, 3);
}));

test('pictures: chosen, dropped, removed, and sent in their order', () => visit(async (page) => {
    const names = () => page.$$eval('#pictures img', (found) => found.map(({ alt }) => alt));
    await page.setInputFiles('#images', [picture('warm one.png'), picture('cold.png')]);
    assert.deepEqual(await names(), ['warm one.png', 'cold.png']);
    const dropped = await page.evaluateHandle((bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }));
        data.items.add(new File(['text'], 'notes.txt', { type: 'text/plain' }));
        return data;
    }, [...tiny]);
    const over = (dataTransfer) => document.body.dispatchEvent(new DragEvent('dragover', { bubbles: true, cancelable: true, dataTransfer }));
    assert.equal(await page.evaluate(over, dropped), false, 'a file may be dropped anywhere and does not replace the page');
    await page.dispatchEvent('footer', 'drop', { dataTransfer: dropped });
    assert.deepEqual(await names(), ['warm one.png', 'cold.png', 'dropped.png', 'notes.txt']);
    await page.focus('[aria-label="Remove warm one.png"]');
    await page.keyboard.press('Enter');
    assert.ok(await hasFocus(page, 'images'));
    await wish(page, 'two pictures');
    await page.click('#create');
    await waitText(page, '#problem', /image/);
    assert.ok(await hasFocus(page, 'images'));
    assert.deepEqual(await named('two pictures'), []);
    await page.click('[aria-label="Remove notes.txt"]');
    assert.deepEqual(await names(), ['cold.png', 'dropped.png']);
    await page.click('#create');
    await drawn(page);
    const [task] = await named('two pictures');
    const sent = await Promise.all(task.detail.input.images.map((link) => server.fetchLink(link)));
    assert.ok(sent.length === 2 && sent[0].bytes.equals(cold) && sent[1].bytes.equals(tiny));
}));

for (const [name, files] of [['without pictures', []], ['with pictures', ['warm one.png', "it's; tiny,\".png"]]])
    test(`the curl line works as it stands, ${name}`, () => visit(async (page) => {
        const prompt = `it's "quoted" $(false) \`x\` ${name}\n@second line; é 漢`;
        await page.setInputFiles('#images', files.map(picture));
        await wish(page, prompt, { duration: '2' });
        await page.selectOption('[name=orientation]', 'square');
        const line = await page.inputValue('#curl');
        assert.ok(!line.includes(server.key));
        const script = `cd ${pictures} && FILMGATE_KEY=${server.key} && ${line} -sS`;
        const { stdout } = await tool('bash', '-c', script);
        const task = await server.query(JSON.parse(stdout.toString()).id);
        const { images, ...input } = task.detail.input;
        assert.deepEqual(input, { prompt, model: 'sora-2', orientation: 'square', size: 'small' });
        assert.equal(images.length, files.length);
        assert.equal(task.detail.pending_info?.n_frames ?? 60, 60);
    }));

test('a wrong key is refused in words, at the key; a key is kept for its tab alone and forgotten with its field', () => visit(async (page) => {
    await page.fill('#key', 'fg_wrong');
    await page.press('#key', 'Enter');
    await waitText(page, '#key-problem', /not accepted/);
    await enter(page, server.key);
    await waitText(page, '#key-problem', /^$/);
    await page.waitForSelector('.tile');
    assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, '']);
    await page.reload();
    await page.waitForSelector('.tile');
    assert.equal(await page.inputValue('#key'), server.key);
    await page.fill('#key', '');
    await page.press('#key', 'Enter');
    await page.waitForFunction(() => document.querySelectorAll('.tile').length === 0);
    await page.reload();
    assert.equal(await page.inputValue('#key'), '');
}, { key: null }));

test('without a key, or with one that is none, nothing is sent', () => visit(async (page) => {
    await page.fill('#prompt', 'no key');
    for (const key of ['', 'two words']) {
        await page.fill('#key', key);
        await page.click('#create');
        assert.ok(await hasFocus(page, 'key'));
    }
    assert.deepEqual(page.sent.filter(({ url }) => url.includes('/v1/')), []);
}, { key: null }));

test('what the server says about a field stands at the form and leads to the field', () => visit(async (page) => {
    await wish(page, 'too long', { duration: '100000' });
    await page.click('#create');
    await waitText(page, '#problem', /"duration" must be/);
    assert.ok(await hasFocus(page, 'duration'));
    await page.fill('#prompt', '');
    await page.click('#create');
    assert.ok(await hasFocus(page, 'prompt'));
    assert.equal(creations(page).length, 1);
}));

for (const [envelope, body] of [['{error}', { error: { message: 'One sentence.', code: 'x' } }], ['{code, message}', { code: 'x', message: 'One sentence.' }]])
    test(`an error in the envelope ${envelope} is shown`, () => visit(async (page) => {
        await page.route('**/v1/video/create', (route) => route.fulfill({ status: 400, json: body }));
        await wish(page, 'an error');
        await page.click('#create');
        await waitText(page, '#problem', /^One sentence\.$/);
    }));

test('markup in a prompt is text', () => visit(async (page) => {
    const prompt = '<img src=x onerror="document.title=1"><b>bold</b>';
    await wish(page, prompt);
    await page.click('#create');
    await waitText(page, '#words', /<b>bold<\/b>/);
    await waitText(page, '.tile', /<b>bold<\/b>/);
    await drawn(page);
    assert.equal(await page.locator('#film b, .tile b').count(), 0);
}));

test('a task is cancelled', () => visit(async (page) => {
    await wish(page, 'to be cancelled', { size: 'large', duration: '60' });
    await page.click('#create');
    await page.click('#cancel');
    await waitText(page, '#line', /^Cancelled$/);
    await page.waitForSelector('#cancel', { state: 'hidden' });
    assert.equal((await named('to be cancelled'))[0].error.code, 'cancelled');
    await waitText(page, '.tile', /Cancelled/);
}));

test('a connection that is lost is told where the video comes, and progress goes on after it', () => visit(async (page) => {
    let isLost = true;
    await page.route('**/v1/video/query*', (route) => (isLost ? route.abort() : route.continue()));
    await wish(page, 'out of touch');
    await page.click('#create');
    await waitText(page, '#line', /cannot be reached/);
    isLost = false;
    await drawn(page);
    assert.equal(await text(page, '#line'), 'Finished');
}));

test('a hidden page asks nothing; shown again it asks', () => visit(async (page) => {
    const hide = (hidden) => page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value });
        document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await wish(page, 'hidden', { size: 'large', duration: '60' });
    await page.click('#create');
    await until('a query', () => queries(page).length > 0);
    await hide(true);
    const last = page.waitForRequest(/last/); // what was asked before has come here, too
    await page.evaluate(() => fetch('/?last').then((answer) => answer.text()));
    await last;
    const before = queries(page).length;
    await page.waitForTimeout(3000);
    assert.equal(queries(page).length, before);
    await hide(false);
    await until('the next query', () => queries(page).length > before);
    await page.click('#cancel');
    await waitText(page, '#line', /^Cancelled$/);
}));

test("the tenant's latest tasks, newest first; each can be looked at, and what is under way is shown at once", async () => {
    const key = await server.addKey('latest', { tenant: 'latest' });
    for (let i = 0; i < 21; i++) await server.create({ prompt: `number ${i}`, duration: 1 }, { key });
    await visit(async (page) => {
        await page.waitForSelector('.tile');
        const words = await page.$$eval('.tile', (tiles) => tiles.map((tile) => tile.children[1].textContent));
        assert.deepEqual(words, Array.from({ length: 20 }, (_, i) => `number ${20 - i}`));
        await waitText(page, '#words', /^number 20$/);
        await page.click('.tile >> nth=19');
        await page.waitForFunction(() => document.querySelectorAll('.tile')[19].getAttribute('aria-pressed') === 'true');
        await drawn(page);
        await page.waitForFunction(() => document.querySelectorAll('.tile')[19].textContent.endsWith('Finished'));
        assert.equal(await page.locator('.tile[aria-pressed=true]').count(), 1);
    }, { key });
});

test('a tenant without tasks is told where they will be', async () => {
    const key = await server.addKey('fresh', { tenant: 'fresh' });
    await visit((page) => page.waitForFunction(() => /kept here/.test(getComputedStyle(document.getElementById('strip'), '::before').content)), { key });
});

// WCAG's contrast of an element's text with what lies behind it.
const contrast = (page, selector) => page.$eval(selector, (element) => {
    const read = (colour) => colour.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    let behind = element;
    while (behind.parentElement && (read(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
    const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map((colour) => luminance(read(colour)));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
});

for (const colorScheme of ['light', 'dark'])
    for (const width of [360, 800, 1440])
        test(`${colorScheme}, ${width} pixels wide: nothing sticks out, and all text can be read`, () => visit(async (page) => {
            const fits = async () => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
            await fits();
            await server.create({ prompt: 'b'.repeat(200) });
            await enter(page, server.key);
            await page.waitForSelector('.tile');
            await page.setInputFiles('#images', [picture('warm one.png'), picture('cold.png')]);
            await wish(page, 'a'.repeat(400), { duration: '100000' });
            await page.click('summary');
            await page.click('#create');
            await waitText(page, '#problem', /must be/);
            await fits();
            await page.locator('.tile').first().click();
            await fits();
            for (const selector of ['#prompt', '#wish label', '#drop', '#create', '#problem', '#words', '#line', 'summary', '#curl', '.tile .quiet', 'footer a'])
                assert.ok((await contrast(page, selector)) >= 4.5, `${selector}: ${await contrast(page, selector)}`);
            const ground = await page.evaluate(() => Number(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0]));
            assert.equal(ground < 128, colorScheme === 'dark');
            const shot = await page.screenshot();
            assert.ok(shot.length > 5000);
        }, { key: null, options: { colorScheme, viewport: { width, height: 800 } } }));

test('the servers ended well', endedWell);
