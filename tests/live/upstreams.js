// SPDX-License-Identifier: Apache-2.0
//
// The upstreams as the tests configure them: a channel each, named like its simulator. Where one differs: `canConfirm` (a lost
// answer is looked up), `isCertain` (what is not found so was not taken), `moderates`, `redirects` (its results may lie elsewhere), `isInline` (they come within the answer), `noVideo` (how «done» without one ends).
import { accountOf } from '../simulators/vertex-veo.js';
import { dataUri, tiny } from './media.js';

const IMAGE = dataUri(tiny);

const WORKFLOW = {
    1: { class_type: 'TextToVideo', inputs: { text: '', seed: 1, width: 512, height: 512, frames: 30 } },
    2: { class_type: 'SaveVideo', inputs: { video: ['1', 0], filename_prefix: 'filmgate' } },
};

export const VENDORS = {
    ark: { adapter: 'ark', model: 'm-ark', upstream: 'doubao-seedance-2-0-260128', image: IMAGE },
    comfyui: {
        adapter: 'comfyui', model: 'm-comfy', upstream: 'workflow', key: null, canConfirm: true, isCertain: true, moderates: false, redirects: false,
        options: { workflow: WORKFLOW, inputs: { prompt: '/1/inputs/text', seed: '/1/inputs/seed', width: '/1/inputs/width', height: '/1/inputs/height' } },
    },
    dashscope: { adapter: 'dashscope', model: 'm-dashscope', upstream: 'wan3.0-video', image: IMAGE },
    fal: { adapter: 'fal', model: 'm-fal', upstream: 'fal-ai/veo3/fast', image: IMAGE },
    'gemini-omni': { adapter: 'gemini-omni', model: 'm-omni', upstream: 'gemini-omni-1.1-flash', image: IMAGE },
    'gemini-veo': { adapter: 'gemini-veo', model: 'm-veo', upstream: 'veo-3.1-generate-preview', image: IMAGE },
    jimeng: { adapter: 'jimeng', model: 'm-jimeng', upstream: 'jimeng_v30', key: 'sim-access', secret: 'sim-secret', image: IMAGE },
    kling: { adapter: 'kling', model: 'm-kling-3', upstream: 'kling-3.0', image: IMAGE, canConfirm: true },
    'kling-legacy': { adapter: 'kling-legacy', model: 'm-kling', upstream: 'kling-v2-6', key: 'sim-access', secret: 'sim-secret', image: IMAGE },
    luma: { adapter: 'luma', model: 'm-luma', upstream: 'ray-2' }, // images: vendor-luma.test.js
    'luma-agents': { adapter: 'luma-agents', model: 'm-luma-agents', upstream: 'ray-3.2', image: IMAGE },
    minimax: { adapter: 'minimax', model: 'm-minimax', upstream: 'MiniMax-Hailuo-2.3', image: IMAGE },
    'minimax-h3': { adapter: 'minimax-h3', model: 'm-h3', upstream: 'MiniMax-H3', image: IMAGE },
    'openai-videos': { adapter: 'openai-videos', model: 'm-oai', upstream: 'sora-2', image: IMAGE, noVideo: 'result_lost' },
    openrouter: { adapter: 'openrouter', model: 'm-openrouter', upstream: 'google/veo-3.1', image: IMAGE },
    pixverse: { adapter: 'pixverse', model: 'm-pixverse', upstream: 'v6', image: IMAGE },
    replicate: { adapter: 'replicate', model: 'm-replicate', upstream: 'bytedance/seedance-1-pro', image: IMAGE },
    runway: { adapter: 'runway', model: 'm-runway', upstream: 'gen4.5', image: IMAGE },
    unified: { adapter: 'unified', model: 'm-unified', upstream: 'sora-2', image: IMAGE },
    'vertex-veo': {
        adapter: 'vertex-veo', model: 'm-vertex', upstream: 'veo-3.1-generate-001', image: IMAGE, isInline: true,
        key: (simulator, end) => JSON.stringify(accountOf(simulator, `films${end}`)),
    },
    vidu: { adapter: 'vidu', model: 'm-vidu', upstream: 'viduq3-turbo', image: IMAGE },
    xai: { adapter: 'xai', model: 'm-xai', upstream: 'grok-imagine-video-1.5', image: IMAGE },
};

// Those that are tested: all, or what UPSTREAM names (fal,comfyui).
export const chosen = process.env.UPSTREAM === undefined ? Object.keys(VENDORS) : process.env.UPSTREAM.split(',');
// Where all of them would take too long: one of each shape (files to upload, a second hop, results behind the key, within the answer, tokens,
// look-ups), or what UPSTREAM names.
const SHAPES = ['comfyui', 'fal', 'gemini-omni', 'kling', 'kling-legacy', 'openai-videos', 'unified', 'vertex-veo'];
export const shapes = process.env.UPSTREAM === undefined ? SHAPES : chosen;

const keyOf = (key, end, simulator) => (typeof key === 'function' ? key(simulator, end) : key + end);
const pair = (key, secret, end, simulator) => ({ key: keyOf(key, end, simulator), ...(secret === undefined ? {} : { secret: secret + end }) });

// Of a channel so many, each with its own models (`m-fal`, `m-fal-1`, …): what one suffers is not the others' trouble.
const copies = (channel, count) => Array.from({ length: count }, (_, index) => {
    const end = index === 0 ? '' : `-${index}`;
    return { ...channel, name: channel.name + end, models: channel.models.map((model) => ({ ...model, name: model.name + end })) };
});

// Channels to running simulators, with one credential each or two.
export function channelsOf(simulators, names = Object.keys(VENDORS), { hasTwoKeys = false, times = 1, ...more } = {}) {
    return names.flatMap((name) => {
        const { adapter, model, upstream, key = 'sim-key', secret, options } = VENDORS[name];
        const both = ['', '-2'].map((end, index) => ({ name: 'ab'[index], ...pair(key, secret, end, simulators[name]) }));
        const credential = key === null ? {} : hasTwoKeys ? { credentials: both } : pair(key, secret, '', simulators[name]);
        const channel = { name, adapter, base_url: simulators[name].baseUrl, ...credential, models: [{ name: model, upstream }], poll_first: '300ms', poll_every: '200ms', ...(options === undefined ? {} : { options }), ...more };
        return copies(channel, times);
    });
}

// The same as configuration; JSON is YAML. Their storage, to which some of them redirect, is of this machine, too.
export const channelsYaml = (...args) => `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify(channelsOf(...args))}\n`;
