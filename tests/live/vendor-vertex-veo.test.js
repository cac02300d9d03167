// SPDX-License-Identifier: Apache-2.0
//
// The simulated Vertex AI for Veo, held against the vendor's own client (@google/genai, express mode), and its token
// endpoint against a client written here.
import assert from 'node:assert/strict';
import { createSign } from 'node:crypto';
import { test } from 'node:test';
import { ApiError, GoogleGenAI } from '@google/genai';
import { start } from '../simulators/core.js';
import { accountOf, vertexVeo } from '../simulators/vertex-veo.js';
import { endedWell, until } from './harness.js';
import { BAD_BODIES, GOOGLE_IMAGE, KEY, LIMIT, LONG, SHORT, isVideo, operationsOf, prepare, submits, talk } from './simulated.js';

const simulator = await start(vertexVeo, { settings: SHORT });
const MODEL = 'veo-3.1-generate-001';
const HOME = '/v1/projects/films/locations/us-central1/publishers/google';
const genai = new GoogleGenAI({ vertexai: true, apiKey: KEY, httpOptions: { baseUrl: simulator.url } });
const create = (prompt, config = {}, more = {}) => genai.models.generateVideos({ source: { prompt, ...more }, model: MODEL, config });
const { look, end } = operationsOf(genai);
const image = GOOGLE_IMAGE;

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
// An assertion of `account` with these claims changed.
function assertionOf(account, changes = {}, header = { alg: 'RS256', typ: 'JWT' }) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: account.client_email, scope: 'https://www.googleapis.com/auth/cloud-platform', aud: account.token_uri, iat: now, exp: now + 3600, ...changes };
    const text = `${encode(header)}.${encode(claims)}`;
    return `${text}.${createSign('RSA-SHA256').update(text).sign(account.private_key, 'base64url')}`;
}
const ask = (assertion, grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer') => talk(simulator, 'POST', '/token', {
    key: null, body: new URLSearchParams({ grant_type: grant, assertion }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' },
});
const tokenOf = async (name) => (await ask(assertionOf(accountOf(simulator, name)))).json.access_token;
const post = (body, key, verb = `models/${MODEL}:predictLongRunning`) => talk(simulator, 'POST', `${HOME}/${verb}`, { body, key });

test('the client creates, polls, and has the video within the answer', async () => {
    prepare(simulator);
    const made = await create('a boat', { durationSeconds: 8, aspectRatio: '9:16', resolution: '1080p', seed: 7, generateAudio: true, lastFrame: image, numberOfVideos: 1 }, { image });
    assert.match(made.name, /\/models\/veo-3\.1-generate-001\/operations\/[\w-]+$/);
    const done = await end(made);
    const [{ video }] = done.response.generatedVideos;
    assert.equal(video.mimeType, 'video/mp4');
    isVideo(Buffer.from(video.videoBytes, 'base64'));
    assert.equal(submits(simulator)[0].prompt, 'a boat');
});
test('filtered, failed, empty; errors are typed', async () => {
    prepare(simulator);
    const filtered = await end(await create('[sim:moderate]'));
    assert.deepEqual([filtered.response.raiMediaFilteredCount, filtered.response.generatedVideos], [1, undefined]);
    assert.equal((await end(await create('[sim:fail]'))).error.code, 13);
    assert.deepEqual((await end(await create('[sim:no-video]'))).response.generatedVideos, []);
    const isError = (status, text) => (error) => error instanceof ApiError && error.status === status && text.test(error.message);
    await assert.rejects(create('a', { aspectRatio: '1:1' }), isError(400, /INVALID_ARGUMENT/));
    await assert.rejects(genai.models.generateVideos({ model: 'gpt-4', source: { prompt: 'a' } }), isError(404, /NOT_FOUND/));
    const stranger = new GoogleGenAI({ vertexai: true, apiKey: 'no', httpOptions: { baseUrl: simulator.url } });
    await assert.rejects(stranger.models.generateVideos({ model: MODEL, source: { prompt: 'a' } }), isError(401, /UNAUTHENTICATED/));
});
test('an assertion buys a token, and the token a video in a bucket', async () => {
    prepare(simulator);
    const key = await tokenOf('films');
    const { json: { name } } = await post({ instances: [{ prompt: 'a boat' }], parameters: { storageUri: 'gs://films/veo/' } }, key);
    const done = await until('the operation', async () => {
        const { json } = await post({ operationName: name }, key, `models/${MODEL}:fetchPredictOperation`);
        return json.done && json;
    }, LIMIT);
    const [, bucket, object] = /^gs:\/\/([^/]+)\/(.+)$/.exec(done.response.videos[0].gcsUri);
    const target = `/storage/v1/b/${bucket}/o/${encodeURIComponent(object)}?alt=media`;
    isVideo((await talk(simulator, 'GET', target, { key })).bytes);
    assert.equal((await talk(simulator, 'GET', target, { key: null })).status, 401);
    assert.equal((await talk(simulator, 'GET', target, { key: null, headers: { 'x-goog-api-key': KEY } })).status, 401);
    const other = await tokenOf('other');
    assert.equal((await post({ operationName: name }, other, `models/${MODEL}:fetchPredictOperation`)).status, 404);
});
test('an assertion that is not right buys nothing', async () => {
    prepare(simulator);
    const account = accountOf(simulator);
    const now = Math.floor(Date.now() / 1000);
    for (const [changes, error] of [
        [{ aud: 'https://oauth2.googleapis.com/token' }, 'invalid_grant'], [{ exp: now + 3700 }, 'invalid_grant'], [{ iat: now - 7200, exp: now - 3600 }, 'invalid_grant'],
        [{ iat: now + 60 }, 'invalid_grant'], [{ scope: 'email' }, 'invalid_scope'], [{ iss: 'a@example.com' }, 'invalid_grant'],
    ]) {
        const { status, json } = await ask(assertionOf(account, changes));
        assert.deepEqual([status, json.error], [400, error], JSON.stringify(changes));
    }
    const good = assertionOf(account);
    const spoilt = good.replace(/[^.](?=[^.]*$)/, (first) => (first === 'A' ? 'B' : 'A')); // the last character has bits that do not count
    for (const wrong of [spoilt, `${good}.x`, '', assertionOf(account, {}, { alg: 'none' })])
        assert.equal((await ask(wrong)).json.error, 'invalid_grant');
    assert.equal((await ask(good, 'password')).json.error, 'unsupported_grant_type');
    assert.equal((await ask(good)).json.token_type, 'Bearer');
});
test('tokens end; what the vendor does not take', async () => {
    prepare(simulator, { settings: { ...LONG, token_life_s: 1 } });
    const good = { instances: [{ prompt: 'a boat' }] };
    const brief = await tokenOf('films');
    await until('its end', async () => (await post(good, brief)).status === 401, LIMIT);
    simulator.program({ settings: { token_life_s: 3600 } });
    const key = await tokenOf('films');
    assert.equal((await post(good, key)).status, 200);
    for (const wrong of [
        { parameters: { durationSeconds: '8' } }, { parameters: { seed: -1 } }, { parameters: { storageUri: 'films' } }, { instances: [] }, { webhookConfig: {} },
        { instances: [{ prompt: 'a', image: { gcsUri: 'https://a/b' } }] }, { instances: [{ prompt: 'a', lastFrame: { gcsUri: 'gs://a/b', mimeType: 'image/png' } }] },
    ])
        assert.equal((await post({ ...good, ...wrong }, key)).status, 400, JSON.stringify(wrong));
    for (const body of BAD_BODIES) assert.equal((await post(body, key)).status, 400, body);
    simulator.program({ settings: { token_epoch: 1 } });
    assert.equal((await post(good, key)).status, 401);
});
test('the servers ended well', async () => {
    await simulator.close();
    await endedWell();
});
