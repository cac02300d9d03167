// SPDX-License-Identifier: Apache-2.0
//
// What the documents say is what the binary says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { command, endedWell, ROOT, start } from './harness.js';

const reference = fs.readFileSync(path.join(ROOT, 'docs/REFERENCE.md'), 'utf8');
const api = fs.readFileSync(path.join(ROOT, 'docs/API.md'), 'utf8');
const sections = [...reference.matchAll(/<!-- dump (\w+) -->\n([^]*?)<!-- end -->/g)].map(([, name, table]) => [name, table.trim()]);

test('the reference has all tables', () => assert.deepEqual(sections.map(([name]) => name).sort(), ['channels', 'config', 'errors', 'metrics', 'routes', 'states']));
for (const [name, table] of sections)
    test(`filmgate dump ${name} --json has the same rows`, async () => {
        const { status, stdout } = await command(['dump', name, '--json']);
        assert.equal(status, 0);
        const tables = JSON.parse(stdout);
        const lines = table.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'));
        assert.equal(tables.flat().length, lines.length - tables.length);
        for (const row of tables.flat()) {
            const line = lines.find((text) => text.includes(Object.values(row).at(-1)) && text.includes(Object.values(row)[0]));
            assert.ok(line, JSON.stringify(row));
            assert.equal(Object.keys(row).length, line.split('|').length - 2, line);
        }
    });
for (const [name, table] of sections)
    test(`filmgate dump ${name} is the table in docs/REFERENCE.md`, async () => {
        const result = await command(['dump', name]);
        assert.equal(result.status, 0, result.stderr);
        assert.equal(table, result.stdout.trim());
    });
test('every route of the table is in the OpenAPI document, and the other way round', async () => {
    const server = await start();
    const { stdout } = await command(['dump', 'routes']);
    // A row that counts only with ?id= is an argument more of the one after it.
    const rows = [...stdout.matchAll(/^\| ([A-Z]+) \| `([^`]+)` \| [^|]+ \| ([^|]+) \|/gm)]
        .filter(([, , , touches]) => touches !== 'a task, with `?id=`')
        .map(([, method, route]) => `${method} ${route.replace('{+', '{')}`);
    assert.ok(rows.length > 5);
    const written = Object.entries(server.contract.document.paths).flatMap(([route, item]) =>
        Object.keys(item).filter((method) => ['get', 'post', 'delete', 'put', 'patch'].includes(method)).map((method) => `${method.toUpperCase()} ${route}`));
    assert.deepEqual(written.sort(), rows.sort());
});
test('the OpenAPI document is one, by the judgement of a public validator', async () => {
    const server = await start();
    const { json: document } = await server.call('GET', '/openapi.json');
    const { valid, errors } = await new Validator().validate(document);
    assert.ok(valid, JSON.stringify(errors));
    const broken = structuredClone(document);
    broken.paths['/v1/video/query'].get.responses = 'none';
    assert.equal((await new Validator().validate(broken)).valid, false);
    // What that validator does not look at: each part in braces of a path is a parameter, each operation has a name of its own.
    const names = [];
    for (const [route, item] of Object.entries(document.paths))
        for (const operation of Object.values(item)) {
            names.push(operation.operationId);
            const resolve = (parameter) => (parameter.$ref ? document.components.parameters[parameter.$ref.split('/').at(-1)] : parameter);
            const told = (operation.parameters ?? []).map(resolve).filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
            assert.deepEqual([...route.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name), told, `${operation.operationId} ${route}`);
        }
    assert.equal(new Set(names).size, names.length);
});
test('every constant that OPERATIONS names is in the code', () => {
    const operations = fs.readFileSync(path.join(ROOT, 'docs/OPERATIONS.md'), 'utf8');
    const code = fs.readdirSync(path.join(ROOT, 'src'), { recursive: true }).filter((name) => /\.[ch]$/.test(name)).map((name) => fs.readFileSync(path.join(ROOT, 'src', name), 'utf8')).join('\n');
    const names = new Set([...operations.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(([, name]) => name).filter((name) => !name.startsWith('FILMGATE_')));
    assert.ok(names.size > 10);
    assert.deepEqual([...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(code)), []);
});
for (const example of ['filmgate.yaml', 'three-vendors.yaml'])
    test(`the example configuration ${example} is good`, async () => {
        const result = await command(['dump', 'config', '--config', path.join(ROOT, 'examples', example)]);
        assert.equal(result.status, 0, result.stderr);
    });
test('every error code of the API page is one of the table', async () => {
    const { stdout } = await command(['dump', 'errors']);
    for (const [code] of api.matchAll(/`(task_not_exist|task_already_ended|idempotency_key_reused|invalid_request)`/g)) assert.ok(stdout.includes(code), code);
});

test('the servers ended well', endedWell);
