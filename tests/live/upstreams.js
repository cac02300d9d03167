// SPDX-License-Identifier: Apache-2.0
//
// The six upstreams as the tests configure them: a channel each, named like its simulator.
import { accountOf } from '../simulators/vertex-veo.js';
import { dataUri, tiny } from './media.js';

const IMAGE = dataUri(tiny);

const WORKFLOW = {
    1: { class_type: 'TextToVideo', inputs: { text: '', seed: 1, width: 512, height: 512, frames: 30 } },
    2: { class_type: 'SaveVideo', inputs: { video: ['1', 0], filename_prefix: 'filmgate' } },
};

export const VENDORS = {
    unified: { adapter: 'unified', model: 'm-unified', upstream: 'sora-2', image: IMAGE },
    'openai-videos': { adapter: 'openai-videos', model: 'm-oai', upstream: 'sora-2', path: '/v1', image: IMAGE, noVideo: 'result_lost' },
    fal: { adapter: 'fal', model: 'm-fal', upstream: 'fal-ai/veo3/fast', image: IMAGE },
    'gemini-omni': { adapter: 'gemini-omni', model: 'm-omni', upstream: 'gemini-omni-1.1-flash', path: '/v1beta', image: IMAGE },
    'gemini-veo': { adapter: 'gemini-veo', model: 'm-veo', upstream: 'veo-3.1-generate-preview', path: '/v1beta', image: IMAGE },
    'kling-legacy': { adapter: 'kling-legacy', model: 'm-kling', upstream: 'kling-v2-6', key: 'sim-access', secret: 'sim-secret', image: IMAGE },
    'vertex-veo': {
        adapter: 'vertex-veo', model: 'm-vertex', upstream: 'veo-3.1-generate-001', path: '/v1/projects/films/locations/us-central1/publishers/google', image: IMAGE,
        key: (simulator, end) => JSON.stringify(accountOf(simulator, `films${end}`)),
    },
    comfyui: {
        adapter: 'comfyui', model: 'm-comfy', upstream: 'workflow', key: null, canConfirm: true, moderates: false,
        options: { workflow: WORKFLOW, inputs: { prompt: '/1/inputs/text', seed: '/1/inputs/seed', width: '/1/inputs/width', height: '/1/inputs/height' } },
    },
};

// Those that are tested: all, or what UPSTREAM names (fal,comfyui).
export const chosen = process.env.UPSTREAM === undefined ? Object.keys(VENDORS) : process.env.UPSTREAM.split(',');

const keyOf = (key, end, simulator) => (typeof key === 'function' ? key(simulator, end) : key + end);
const pair = (key, secret, end, simulator) => ({ key: keyOf(key, end, simulator), ...(secret === undefined ? {} : { secret: secret + end }) });

// Channels to running simulators, with one credential each or two.
export function channelsOf(simulators, names = Object.keys(VENDORS), { hasTwoKeys = false, ...more } = {}) {
    return names.map((name) => {
        const { adapter, model, upstream, path = '', key = 'sim-key', secret, options } = VENDORS[name];
        const both = ['', '-2'].map((end, index) => ({ name: 'ab'[index], ...pair(key, secret, end, simulators[name]) }));
        const credential = key === null ? {} : hasTwoKeys ? { credentials: both } : pair(key, secret, '', simulators[name]);
        return { name, adapter, base_url: simulators[name].url + path, ...credential, models: [{ name: model, upstream }], poll_first: '300ms', poll_every: '200ms', ...(options === undefined ? {} : { options }), ...more };
    });
}

// The same as configuration; JSON is YAML. Their storage, to which some of them redirect, is of this machine, too.
export const channelsYaml = (...args) => `fetch: {"allow": ["127.0.0.1"]}\nchannels: ${JSON.stringify(channelsOf(...args))}\n`;
