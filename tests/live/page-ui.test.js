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
    await page.press('#key', 'Enter');
    await page.waitForSelector('#inside', { state: 'visible' });
}

const creations = (page) => page.sent.filter(({ method, url }) => method === 'POST' && url.endsWith('/v1/video/create'));
const queries = (page) => page.sent.filter(({ url }) => url.includes('/v1/video/query'));
const text = (page, selector) => page.textContent(selector);
const waitText = (page, selector, pattern) => page.waitForFunction(([where, what]) => new RegExp(what).test(document.querySelector(where).textContent), [selector, pattern.source]);
const hasFocus = (page, id) => page.evaluate((wanted) => document.activeElement?.id === wanted, id);
const isLoaded = (page, id) => page.waitForFunction((name) => document.getElementById(name).naturalWidth > 0, id);
const listed = async () => (await server.call('GET', '/v1/video/tasks?limit=100')).json.data;
const named = async (prompt) => (await listed()).filter((task) => task.detail.input.prompt === prompt);

async function tabTo(page, id) {
    for (let i = 0; i < 40 && !(await hasFocus(page, id)); i++) await page.keyboard.press('Tab');
    assert.ok(await hasFocus(page, id), `Tab does not lead to #${id}`);
}

async function wish(page, prompt, { side = '64', duration = '1' } = {}) {
    await page.fill('#prompt', prompt);
    await page.selectOption('#size', 'own');
    await page.fill('#width', side);
    await page.fill('#height', side);
    await page.fill('#duration', duration);
}

const drawn = (page) => page.waitForSelector('#video', { state: 'visible' });

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
    await page.keyboard.press('Enter');
    await page.waitForSelector('#inside', { state: 'visible' });
    await tabTo(page, 'prompt');
    await page.keyboard.type('by keyboard alone');
    await tabTo(page, 'portrait');
    await page.keyboard.press('ArrowRight');
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
    assert.match(await text(page, '#percent'), /^\d+ %$/);
    assert.match(await page.title(), /^\d+ % · filmgate$/);
    await waitText(page, '#voice', /Rendering/);
    process.kill(helper, 'SIGCONT');
    await drawn(page);
    await waitText(page, '#voice', /^Finished/);
    await page.waitForFunction(() => document.getElementById('video').videoWidth === 1280);
    await isLoaded(page, 'thumb');
    await isLoaded(page, 'gif');
    assert.equal(await page.isVisible('#percent'), false);
    const got = await server.fetchLink(await page.getAttribute('#download', 'href'));
    assert.match(got.headers['content-disposition'], /^attachment/);
    assert.equal(got.headers['content-type'], 'video/mp4');
    assert.equal(creations(page).length, 1);
    assert.equal((await named('by keyboard alone')).length, 1);
    await tabTo(page, 'fresh');
    await page.keyboard.press('Enter');
    assert.ok(await hasFocus(page, 'prompt'));
    assert.equal(await page.isVisible('#video'), false);
}, { key: null }));

test('two clicks at once make one task', () => visit(async (page) => {
    await wish(page, 'clicked twice');
    await page.dblclick('#create');
    await drawn(page);
    assert.equal(creations(page).length, 1);
    assert.equal((await named('clicked twice')).length, 1);
}));

test('an answer that is lost is asked for again with the same Idempotency-Key', () => visit(async (page) => {
    let lost = 0;
    await page.route('**/v1/video/create', async (route) => {
        if (lost++ > 0) return route.continue();
        await route.fetch();
        return route.abort('connectionreset');
    });
    await wish(page, 'an answer lost');
    await page.click('#create');
    await drawn(page);
    const keys = creations(page).map(({ headers }) => headers['idempotency-key']);
    assert.equal(keys.length, 2);
    assert.equal(new Set(keys).size, 1);
    assert.equal((await named('an answer lost')).length, 1);
    await page.click('#create');
    await until('a new press to be a new task', async () => (await named('an answer lost')).length === 2);
    assert.notEqual(creations(page)[2].headers['idempotency-key'], keys[0]);
}));

test('pictures: chosen, ordered, removed, dropped, and sent in their order', () => visit(async (page) => {
    const names = () => page.$$eval('#pictures img', (found) => found.map(({ alt }) => alt));
    await page.setInputFiles('#files', [picture('warm one.png'), picture('cold.png')]);
    assert.deepEqual(await names(), ['Image 1: warm one.png', 'Image 2: cold.png']);
    await page.focus('[aria-label="Move image 2 forward"]');
    await page.keyboard.press('Enter');
    assert.deepEqual(await names(), ['Image 1: cold.png', 'Image 2: warm one.png']);
    const dropped = await page.evaluateHandle((bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }));
        data.items.add(new File(['text'], 'notes.txt', { type: 'text/plain' }));
        return data;
    }, [...tiny]);
    await page.dispatchEvent('#drop', 'drop', { dataTransfer: dropped });
    assert.equal((await names()).length, 3);
    assert.match(await text(page, '#problem'), /notes\.txt.*is not a PNG/);
    await page.click('[aria-label="Remove image 3"]');
    assert.equal((await names()).length, 2);
    await wish(page, 'two pictures');
    await page.click('#create');
    await drawn(page);
    await until('the task to be listed', async () => (await named('two pictures')).length > 0);
    const [task] = await named('two pictures');
    const sent = await Promise.all(task.detail.input.images.map((link) => server.fetchLink(link)));
    assert.ok(sent[0].bytes.equals(cold) && sent[1].bytes.equals(warm));
}));

for (const [name, files] of [['without pictures', []], ['with pictures', ['warm one.png', "it's; tiny,\".png"]]])
    test(`the curl line works as it stands, ${name}`, () => visit(async (page) => {
        const prompt = `it's "quoted" $(false) \`x\` ${name}\n@second line; é 漢`;
        await page.setInputFiles('#files', files.map(picture));
        await wish(page, prompt);
        const line = await text(page, '#curl');
        assert.ok(!line.includes(server.key));
        const script = `cd ${pictures} && FILMGATE_KEY=${server.key} && ${line} -sS`;
        const { stdout } = await tool('bash', '-c', script);
        const task = await server.query(JSON.parse(stdout.toString()).id);
        assert.equal(task.detail.input.prompt, prompt);
        assert.equal(task.detail.input.size, '64x64');
        assert.equal(task.detail.input.images.length, files.length);
    }));

test('a wrong key is refused in words, at the key, and kept nowhere', () => visit(async (page) => {
    await page.check('#keep');
    await page.fill('#key', 'fg_wrong');
    await page.click('#door button');
    await waitText(page, '#key-problem', /not accepted/);
    assert.equal(await page.getAttribute('#key', 'aria-invalid'), 'true');
    assert.ok(await hasFocus(page, 'key'));
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await enter(page, server.key);
    assert.equal(await text(page, '#key-problem'), '');
}, { key: null }));

test('without a key nothing is sent', () => visit(async (page) => {
    await page.fill('#prompt', 'no key');
    await page.click('#create');
    await waitText(page, '#key-problem', /Enter a key/);
    assert.equal(creations(page).length, 0);
}, { key: null }));

test('the key is kept in this tab only when ticked, and forgotten when told to', () => visit(async (page) => {
    await enter(page, server.key);
    await page.reload();
    assert.equal(await page.isVisible('#door'), true);
    await page.check('#keep');
    await enter(page, server.key);
    await page.reload();
    await page.waitForSelector('#inside', { state: 'visible' });
    await page.click('#leave');
    assert.deepEqual(await page.evaluate(() => [sessionStorage.length, localStorage.length, document.cookie]), [0, 0, '']);
    assert.equal(await page.locator('.tile').count(), 0);
}, { key: null }));

test('what the server says about a field stands at the form and leads to the field', () => visit(async (page) => {
    await wish(page, 'too long', { duration: '100000' });
    await page.click('#create');
    await waitText(page, '#problem', /"duration" must be/);
    assert.equal(await page.getAttribute('#duration', 'aria-invalid'), 'true');
    assert.ok(await hasFocus(page, 'duration'));
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
    assert.equal(await text(page, '#words'), prompt);
    await page.click('#create');
    await drawn(page);
    await waitText(page, '.tile', /<b>bold<\/b>/);
    assert.equal(await page.locator('#gate b, .tile b').count(), 0);
}));

test('a task is cancelled, and its settings can be used again', () => visit(async (page) => {
    await wish(page, 'to be cancelled', { side: '1280', duration: '60' });
    await page.click('#create');
    await page.waitForSelector('#cancel', { state: 'visible' });
    await page.click('#cancel');
    await waitText(page, '#words', /^Cancelled\.$/);
    assert.equal((await named('to be cancelled'))[0].error.code, 'cancelled');
    await page.fill('#prompt', '');
    await page.click('#again');
    assert.deepEqual(await page.$$eval('#prompt, #width, #height, #duration', (fields) => fields.map(({ value }) => value)), ['to be cancelled', '60', '1280', '1280']);
}));

test('a hidden page asks nothing; shown again it asks at once', () => visit(async (page) => {
    const hide = (hidden) => page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value });
        document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
    await wish(page, 'hidden', { side: '1280', duration: '60' });
    await page.click('#create');
    await until('a query', () => queries(page).length > 0);
    await hide(true);
    const before = queries(page).length;
    await page.waitForTimeout(3000);
    assert.equal(queries(page).length, before);
    await hide(false);
    await until('the next query', () => queries(page).length > before);
    await page.click('#cancel');
    await waitText(page, '#words', /^Cancelled\.$/);
}));

test('the tasks of the tenant, page by page; each can be looked at', async () => {
    const key = await server.addKey('pages', { tenant: 'pages' });
    for (let i = 0; i < 23; i++) await server.create({ prompt: `number ${i}` }, { key });
    await visit(async (page) => {
        await page.waitForSelector('.tile');
        assert.equal(await page.locator('.tile').count(), 20);
        await page.click('#older');
        await page.waitForFunction(() => document.querySelectorAll('.tile').length === 23);
        assert.equal(await page.locator('#older').count(), 0);
        const words = await page.$$eval('.tile', (tiles) => tiles.map((tile) => tile.children[1].textContent));
        assert.deepEqual(words, Array.from({ length: 23 }, (_, i) => `number ${22 - i}`));
        await page.click('.tile >> nth=22');
        await drawn(page);
        assert.equal(await page.getAttribute('.tile >> nth=22', 'aria-pressed'), 'true');
    }, { key });
});

test('a tenant without tasks is told so', async () => {
    const key = await server.addKey('fresh', { tenant: 'fresh' });
    await visit((page) => waitText(page, '#none', /^Nothing yet/), { key });
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
            await page.setInputFiles('#files', [picture('warm one.png'), picture('cold.png')]);
            await page.fill('#prompt', 'a'.repeat(400));
            await fits();
            await page.locator('.tile').first().click();
            await fits();
            for (const selector of ['#prompt', '.label', '.quiet', '#create', '.plain', '.choice label', '.choice :checked + label', '#curl', '#shape', 'footer a'])
                assert.ok((await contrast(page, selector)) >= 4.5, `${selector}: ${await contrast(page, selector)}`);
            const ground = await page.evaluate(() => Number(getComputedStyle(document.body).backgroundColor.match(/\d+/)[0]));
            assert.equal(ground < 128, colorScheme === 'dark');
            const shot = await page.screenshot();
            assert.ok(shot.length > 5000);
        }, { key: null, options: { colorScheme, viewport: { width, height: 800 } } }));

test('the servers ended well', endedWell);
