// SPDX-License-Identifier: Apache-2.0
//
// examples/vendors, as a newcomer runs it: seven models, each rendered by its own vendor.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { BINARY, PATIENCE, ROOT, endedWell } from './harness.js';

function run(file, ...args) {
    return new Promise((done, fail) => {
        const child = spawn(file, args, { cwd: ROOT, timeout: PATIENCE, stdio: ['ignore', 'pipe', 'pipe'] });
        const said = { stdout: '', stderr: '' };
        for (const name of Object.keys(said)) child[name].on('data', (data) => (said[name] += data));
        child.on('error', fail);
        child.on('close', (status) => done({ status, ...said }));
    });
}

test('each model is rendered by its own vendor', async () => {
    const { status, stdout, stderr } = await run(path.join(ROOT, 'examples/vendors'), BINARY);
    assert.equal(status, 0, stdout + stderr);
    const rows = stdout.trim().split('\n').slice(1).map((row) => row.split(/ +/));
    assert.deepEqual(rows, [
        ['sora-2', 'completed', 'openai-shape'], ['veo3.1', 'completed', 'google'], ['kling-v3', 'completed', 'kling'],
        ['seedance-2.0', 'completed', 'seedance'], ['wan2.7', 'completed', 'wan'], ['hailuo', 'completed', 'minimax'],
        ['grok-video-3', 'completed', 'xai'],
    ]);
});

test('the servers ended well', endedWell);
