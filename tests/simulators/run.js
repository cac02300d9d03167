// SPDX-License-Identifier: Apache-2.0
//
// Starts the simulated vendors, for people and for tests:
//     node run.js [--port-base 9201] [--ledger FOLDER] [--fsync]
// Each vendor has its place among the ports from the base on; a base of 0 takes whichever are free.
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { ark } from './ark.js';
import { comfyui } from './comfyui.js';
import { start } from './core.js';
import { dashscope } from './dashscope.js';
import { fal } from './fal.js';
import { geminiOmni } from './gemini-omni.js';
import { kling } from './kling.js';
import { jimeng } from './jimeng.js';
import { geminiVeo } from './gemini-veo.js';
import { klingLegacy } from './kling-legacy.js';
import { lumaAgents } from './luma-agents.js';
import { luma } from './luma.js';
import { minimaxH3 } from './minimax-h3.js';
import { minimax } from './minimax.js';
import { openaiVideos } from './openai-videos.js';
import { runway } from './runway.js';
import { openrouter } from './openrouter.js';
import { replicate } from './replicate.js';
import { pixverse } from './pixverse.js';
import { unified } from './unified.js';
import { vidu } from './vidu.js';
import { xai } from './xai.js';
import { vertexVeo } from './vertex-veo.js';

export const VENDORS = [
    ark,
    comfyui,
    dashscope,
    fal,
    geminiOmni,
    kling,
    jimeng,
    geminiVeo,
    klingLegacy,
    luma,
    lumaAgents,
    minimax,
    minimaxH3,
    openaiVideos,
    runway,
    openrouter,
    replicate,
    pixverse,
    unified,
    vidu,
    xai,
    vertexVeo,
];
const FIRST_PORT = 9201;

// Simulators by vendor's name, each with its `url`; `close()` of the whole ends them all.
export async function startAll({ portBase = FIRST_PORT, ...options } = {}) {
    const started = {};
    const close = () => Promise.all(Object.values(started).map((simulator) => simulator.close()));
    try {
        for (const vendor of VENDORS) started[vendor.name] = await start(vendor, { ...options, port: portBase === 0 ? 0 : portBase + vendor.place });
    } catch (error) {
        await close();
        throw error;
    }
    return { ...started, close };
}

function explain(simulators, folder) {
    console.log('The adapter of a channel, its base_url and its credential (beside them `fetch: {allow: [127.0.0.1]}`, for some results lie on another port):');
    const rows = [...VENDORS].sort((a, b) => a.place - b.place).map(({ name, keys = 'key: sim-key' }) => [name, `base_url: ${simulators[name].baseUrl}`, keys]);
    const [names, urls] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column].length)));
    for (const [name, url, keys] of rows) console.log(`${name.padEnd(names)} ${url.padEnd(urls)} ${keys}`);
    const where = folder === null ? ' (--ledger FOLDER writes it to files)' : `, in ${folder}`;
    console.log(`
Nothing here is real, and nothing costs. Each keeps a ledger of what it accepted${where}:
    curl ${simulators.unified.url}/_sim/ledger
Words in a prompt say what goes wrong: [sim:fail] [sim:moderate] [sim:lost] [sim:busy=3] [sim:duration=2000]
    curl -H 'Authorization: Bearer sim-key' -d '{"model":"sora-2","prompt":"a boat [sim:moderate]"}' ${simulators.unified.url}/v1/video/create
More is in tests/simulators/README.md. Ctrl-C ends them.`);
}

function optionsOf(args) {
    const known = { 'port-base': { type: 'string' }, ledger: { type: 'string' }, fsync: { type: 'boolean', default: false } };
    const { values } = parseArgs({ args, options: known });
    const portBase = Number(values['port-base'] ?? FIRST_PORT);
    const lastPlace = Math.max(...VENDORS.map(({ place }) => place));
    if (!Number.isInteger(portBase) || portBase < 0 || portBase > 65535 - lastPlace)
        throw new Error(`--port-base must be 0, or a port with ${lastPlace} more above it`);
    return { portBase, ledger: values.ledger ?? null, isSynced: values.fsync };
}

// Somebody else has the port, another `make simulators` most likely.
function sentenceOf(error, portBase) {
    if (error.code !== 'EADDRINUSE') return error.message;
    const other = portBase > 60000 ? FIRST_PORT : portBase + 200;
    return `port ${error.port} is in use. Are they running already? Else \`make simulators PORT_BASE=${other}\` begins elsewhere`;
}

async function main() {
    let simulators;
    let options = {};
    try {
        options = optionsOf(process.argv.slice(2));
        simulators = await startAll(options);
    } catch (error) {
        console.error(`the simulators did not start: ${sentenceOf(error, options.portBase)}`);
        process.exitCode = 1;
        return;
    }
    explain(simulators, options.ledger);
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => simulators.close().then(() => process.exit()));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
