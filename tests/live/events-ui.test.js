// SPDX-License-Identifier: Apache-2.0
//
// A page in Chromium that watches a task: its own EventSource, a ticket in the place of the key, another origin. The gateway ends
// in the middle of it, and the page misses nothing.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { chromium } from 'playwright-core';
import { endedWell, PATIENCE, ROOT, sleep, start, until } from './harness.js';
import { eventsOf, Stage } from './streams.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
after(() => browser.close());
const stage = await new Stage().open();
const server = await start({ config: stage.config('notify: {heartbeat: 1s}\n') });

// What docs/API.md tells people to write, word for word; the page counts streams and keeps what they carry beside it.
const manual = fs.readFileSync(path.join(ROOT, 'docs/API.md'), 'utf8');
const [, code] = /```js\n(async function watch\(.*?)```/s.exec(manual);
const PAGE = `<!doctype html><title>watch</title><script>
const Native = window.EventSource;
window.opened = 0;
window.seen = [];
window.EventSource = class extends Native {
    constructor(url) {
        super(url);
        this.addEventListener('open', () => window.opened++);
        for (const kind of ['state', 'progress'])
            this.addEventListener(kind, (event) => window.seen.push({ kind, number: Number(event.lastEventId), ...JSON.parse(event.data) }));
    }
};
${code}
</script>`;
const site = http.createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE));
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
after(() => {
    site.closeAllConnections();
    site.close();
});

test('a page of another origin watches, over two starts of the gateway', async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    const urls = [];
    page.on('request', (request) => urls.push(request.url()));
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    await page.evaluate(([api, key]) => {
        window.heard = [];
        void window.watch(api, key, (task) => window.heard.push(task), (message) => { window.refusal = message; });
    }, [server.url, server.key]);
    const opened = (count) => page.waitForFunction((wanted) => window.opened >= wanted, count);
    await opened(1);
    for (const end of ['stop', 'kill', undefined]) {
        for (let i = 0; i < 5; i++) {
            stage.fail(`page ${end} ${i}`);
            await server.create({ model: 'm', prompt: `page ${end} ${i}` });
        }
        await page.waitForFunction(() => window.seen.length > 0); // it has a number to go on from
        if (end === 'stop') assert.equal(await server.stop(), 0);
        if (end === 'kill') await server.kill();
        if (end === undefined) continue;
        await sleep(3000); // longer than the page's own pause, so that it finds nobody there
        await server.restart();
    }
    const { data } = (await server.call('GET', '/v1/video/tasks?limit=100')).json;
    for (const { id } of data) await server.waitEnd(id);
    const all = eventsOf(server);
    const states = async () => (await page.evaluate(() => window.seen)).filter(({ kind }) => kind === 'state');
    await until('all of it', async () => (await states()).length >= all.length);
    assert.deepEqual((await states()).map(({ number, state }) => [number, state]), all.map(({ number, state }) => [number, state]));
    assert.equal(await page.evaluate(() => window.heard.length), await page.evaluate(() => window.seen.length));
    assert.ok(urls.some((url) => url.includes('/v1/video/events?ticket=')));
    for (const url of urls) assert.ok(!url.includes(server.key), 'the key is in no URL');
    await page.close();
});
test('a key that is refused is said, and not asked with again', async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    await page.evaluate((api) => window.watch(api, 'fg_nobodys', () => {}, (message) => { window.refusal = message; }), server.url);
    assert.match(await page.evaluate(() => window.refusal), /No valid API key/);
    await page.close();
});
test('a page sees progress as it comes, and the browser itself stops when all has ended', async () => {
    stage.tell('seen', { state: 'rendering', progress: 0.2 });
    const { id } = await server.create({ model: 'm', prompt: 'seen' });
    const { json } = await server.call('POST', '/v1/video/events/ticket', { json: { ids: [id] } });
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    await page.evaluate(([api, ticket]) => {
        window.heard = [];
        const source = new EventSource(`${api}/v1/video/events?ticket=${ticket}`);
        for (const kind of ['state', 'progress', 'end']) source.addEventListener(kind, (event) => window.heard.push([kind, JSON.parse(event.data).progress]));
        source.addEventListener('end', () => source.close());
    }, [server.url, json.ticket]);
    const saw = (what) => page.waitForFunction((wanted) => window.heard.some((each) => JSON.stringify(each) === wanted), JSON.stringify(what), { timeout: PATIENCE });
    stage.tell('seen', { state: 'rendering', progress: 0.6 });
    await saw(['progress', 60]);
    stage.fail('seen');
    await saw(['end', null]).catch(() => saw(['end']));
    assert.equal((await page.evaluate(() => window.heard)).at(-1)[0], 'end');
    await page.close();
});

test('the servers ended well', endedWell);
