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
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
        child.on('error', fail);
        child.on('close', (status) => done({ status, output }));
    });
}

test('each model is rendered by its own vendor', async () => {
    const { status, output } = await run(path.join(ROOT, 'examples/vendors'), BINARY);
    assert.equal(status, 0, output);
    const rows = output.trim().split('\n').slice(1).map((row) => row.split(/ +/));
    assert.deepEqual(rows, [
        ['sora-2', 'completed', 'openai-shape'], ['veo3.1', 'completed', 'google'], ['kling-v3', 'completed', 'kling'],
        ['seedance-2.0', 'completed', 'seedance'], ['wan2.7', 'completed', 'wan'], ['hailuo', 'completed', 'minimax'],
        ['grok-video-3', 'completed', 'xai'],
    ]);
});

test('the servers ended well', endedWell);
