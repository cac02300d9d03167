// SPDX-License-Identifier: Apache-2.0
//
// What every answer must keep, whatever a test wanted it for: the schemas of the server's own
// /openapi.json, the keys and types of the page that the API follows, both error envelopes, and
// progress that never falls. Applied by the harness to each answer.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

export const page = JSON.parse(fs.readFileSync(new URL('../fixtures/page.json', import.meta.url)));

const REQUIRED = ['id', 'status', 'video_url', 'enhanced_prompt', 'status_update_time'];
const FRACTIONS = new Set(['progress_pct', 'created_at']);
const FAILURE_TEXTS = ['fail_reason', 'error_message', 'failure_reason', 'message'];
// Signatures and user names are random letters, which spell any word now and then.
const RANDOM_TEXT = /sig=[^"&]*|"user-\w*"/g;
const FOREIGN_WORDS = /openai|filesystem\.site|azure|jxincm|sy_ore|sy_8/i;
// Words on which old clients of this family submit a whole job again.
const RETRY_WORDS = /rate|quota|429|500|502|503|529|overloaded|server error/i;

function kind(value) {
    if (value === null) return 'null';
    return Array.isArray(value) ? 'array' : typeof value;
}

// Every key of `wanted` stands in `found` with the same type; null in the page means unknown.
export function sameShape(wanted, found, path = 'answer') {
    if (wanted === null) {
        assert.notEqual(found, undefined, `${path} is missing`);
        return;
    }
    assert.equal(kind(found), kind(wanted), `${path} has another type than on the page`);
    if (Array.isArray(wanted)) {
        if (wanted.length > 0) found.forEach((item, i) => sameShape(wanted[0], item, `${path}[${i}]`));
    } else if (kind(wanted) === 'object') {
        for (const key of Object.keys(wanted)) sameShape(wanted[key], found[key], `${path}.${key}`);
    } else if (Number.isInteger(wanted) && !FRACTIONS.has(path.split('.').pop())) {
        assert.ok(Number.isInteger(found), `${path} must be whole`);
    }
}

function checkFailed(answer) {
    sameShape(page.pending.detail.pending_info, answer.detail.pending_info, 'detail.pending_info');
    assert.equal(answer.video_url, null);
    assert.equal(typeof answer.error.code, 'string');
    for (const key of FAILURE_TEXTS) assert.equal(answer[key], answer.error.message, key);
    assert.equal(answer.detail.error_message, answer.error.message);
    assert.equal(answer.detail.pending_info.failure_reason, answer.error.message);
    assert.doesNotMatch(answer.error.message, RETRY_WORDS);
    assert.doesNotMatch(JSON.stringify(answer), /src\.mp4\?/);
}

// One answer of a query, a cancel or a list.
export function checkUnified(answer) {
    for (const key of REQUIRED) assert.notEqual(answer[key], undefined, `${key} is missing`);
    assert.equal(typeof answer.enhanced_prompt, 'string');
    assert.ok(Number.isInteger(answer.status_update_time) && answer.status_update_time > 1e12);
    assert.ok(Number.isInteger(answer.progress) && answer.progress >= 0 && answer.progress <= 100);
    assert.equal(answer.id.slice(answer.id.lastIndexOf(':') + 1), answer.detail.id);
    // Of two families of models clients read words of their own.
    const ended = answer.status === 'success' && answer.id.startsWith('viduq') ? 'completed' : answer.status;
    assert.equal(answer.detail.status, answer.id.startsWith('veo') && answer.detail.running ? 'video_generating' : ended);
    assert.doesNotMatch(JSON.stringify(answer).replace(RANDOM_TEXT, ''), FOREIGN_WORDS);
    if (answer.status === 'pending') {
        assert.equal(answer.video_url, null);
        sameShape(page.pending, answer);
        assert.ok(answer.progress < 100);
    } else if (ended === 'completed') {
        if (answer.expired_at === undefined) sameShape(page.completed, answer);
        assert.equal(answer.progress, 100);
    } else {
        assert.equal(answer.status, 'failed');
        checkFailed(answer);
    }
}

// An error body: two envelopes that say the same.
export function checkError(body) {
    assert.equal(typeof body.code, 'string');
    assert.equal(typeof body.message, 'string');
    assert.equal(body.error.code, body.code);
    assert.equal(body.error.message, body.message);
    assert.match(body.error.message_zh, /[一-鿿]/);
    assert.equal(typeof body.error.type, 'string');
    assert.ok(body.error.param === null || typeof body.error.param === 'string');
    assert.equal(body.data, undefined);
}

// Two looks at the same task, the first over before the second began: nothing goes back.
export class Watch {
    #seen = new Map();

    note(answer, began) {
        const before = this.#seen.get(answer.id);
        if (before !== undefined && before.at <= began) {
            assert.ok(answer.progress >= before.progress, `progress fell from ${before.progress} to ${answer.progress}`);
            assert.ok(answer.status_update_time >= before.time, 'status_update_time went back');
            if (before.status !== 'pending') assert.equal(answer.status, before.status, 'an end is an end');
        }
        if (before === undefined || answer.progress >= before.progress) {
            const { progress, status, status_update_time: time } = answer;
            this.#seen.set(answer.id, { progress, status, time, at: performance.now() });
        }
    }
}

function pathPattern(template) {
    const escaped = template.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
    // What stands for everything below a path may hold slashes.
    return new RegExp(`^${escaped.replace(/\{[^}]+\}$/, '.+').replace(/\{[^}]+\}/g, '[^/]+')}$`);
}

// The server's own document, compiled on demand.
export class Contract {
    #ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
    #compiled = new Map();

    constructor(document) {
        this.document = document;
        addFormats(this.#ajv);
        this.#ajv.addVocabulary(['example', 'externalDocs', 'xml', 'discriminator']);
        for (const [name, schema] of Object.entries(document.components?.schemas ?? {}))
            this.#ajv.addSchema(this.#portable(schema), `schema:${name}`);
        this.paths = Object.entries(document.paths).map(([path, item]) => ({ path, item, pattern: pathPattern(path) }));
    }

    #portable(schema) {
        return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/schemas/', '"schema:'));
    }

    operation(method, path) {
        const verb = method.toLowerCase();
        const exact = this.paths.find((entry) => entry.path === path);
        const found = exact ?? this.paths.find((entry) => entry.pattern.test(path) && entry.item[verb] !== undefined);
        return found?.item[verb];
    }

    response(operation, status) {
        const found = operation.responses[status] ?? operation.responses.default;
        if (found?.$ref === undefined) return found;
        return this.document.components.responses[found.$ref.split('/').pop()];
    }

    // Judges what is JSON by the schema of that name.
    checkSchema(name, body) {
        this.#judge({ $ref: `#/components/schemas/${name}` }, body, name);
    }

    #judge(schema, body, what) {
        const text = JSON.stringify(schema);
        if (!this.#compiled.has(text)) this.#compiled.set(text, this.#ajv.compile(this.#portable(schema)));
        const validate = this.#compiled.get(text);
        assert.ok(validate(body), `${what}: ${this.#ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`);
    }

    // Judges a JSON body; `path` without its query.
    check(method, path, status, body) {
        const operation = this.operation(method, path);
        if (operation === undefined) {
            assert.ok([404, 405, 401, 400].includes(status), `${method} ${path} is not in the document but answered ${status}`);
            return;
        }
        const response = this.response(operation, status);
        assert.ok(response, `${method} ${path}: status ${status} is not in the document`);
        const schema = response.content?.['application/json']?.schema;
        assert.ok(schema, `${method} ${path}: status ${status} has no JSON schema`);
        this.#judge(schema, body, `${method} ${path} ${status}`);
    }
}
