// SPDX-License-Identifier: Apache-2.0
//
// What the simulated Google APIs share: the envelope of errors, the key of the Gemini API, and what Veo is asked with.
import { isText } from './checks.js';
import { isKnownKey } from './core.js';

const STATUSES = {
    400: ['INVALID_ARGUMENT', 'Request contains an invalid argument.'],
    401: ['UNAUTHENTICATED', 'Request had invalid authentication credentials.'],
    403: ['PERMISSION_DENIED', 'The caller does not have permission.'],
    404: ['NOT_FOUND', 'Requested entity was not found.'],
    429: ['RESOURCE_EXHAUSTED', 'You exceeded your current quota.'],
    503: ['UNAVAILABLE', 'The model is overloaded. Please try again later.'],
    504: ['DEADLINE_EXCEEDED', 'The deadline passed.'],
};
const MAX_REFERENCES = 3; // documented

// {error: {code, message, status, details}}; a hint at when to try again is in the details: documented.
export function problem(code, { message, status, details } = {}) {
    const [usual, text] = STATUSES[code] ?? (code < 500 ? STATUSES[400] : ['INTERNAL', 'An internal error has occurred.']);
    const retry = code === 429 ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '1s' }] : undefined;
    const hints = details ?? retry;
    return { json: { error: { code, message: message ?? text, status: status ?? usual, ...(hints === undefined ? {} : { details: hints }) } } };
}

export const wrong = (sim, message) => sim.refuse(400, { message });

// An unknown key is 400, a missing one 403: third-party.
export function authorise(call, sim) {
    const key = call.headers['x-goog-api-key'] ?? call.query.get('key'); // wire
    if (isKnownKey(key)) return key;
    if (key === null) throw sim.refuse(403, { message: 'Method doesn\'t allow unregistered callers.' });
    const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain: 'googleapis.com' }];
    throw sim.refuse(400, { message: 'API key not valid. Please pass a valid API key.', details });
}

// ---- Veo; what each API has of its own is {instance: its fields, only(sim, group, fields, where), checkImage(sim, image, where)}

function checkReferences(sim, { only, checkImage }, references) {
    if (!Array.isArray(references) || references.length > MAX_REFERENCES) throw wrong(sim, `referenceImages must be a list of ${MAX_REFERENCES} at most`);
    references.forEach((one, index) => {
        const where = `referenceImages[${index}]`;
        only(sim, one, ['image', 'referenceType'], where); // wire
        if (!['asset', 'style'].includes(one.referenceType)) throw wrong(sim, `${where}.referenceType must be asset or style`); // sdk, documented
        checkImage(sim, one.image, `${where}.image`);
    });
}

export function instanceOf(sim, api, { instances }) {
    if (!Array.isArray(instances) || instances.length !== 1) throw wrong(sim, 'instances must be a list of one');
    const [instance] = instances;
    api.only(sim, instance, api.instance, 'instances[0]');
    if (!isText(instance.prompt)) throw wrong(sim, 'instances[0].prompt must be a text');
    for (const name of ['image', 'lastFrame']) if (instance[name] !== undefined) api.checkImage(sim, instance[name], name);
    if (instance.lastFrame !== undefined && instance.image === undefined) throw wrong(sim, 'lastFrame needs an image'); // documented
    if (instance.referenceImages !== undefined) checkReferences(sim, api, instance.referenceImages);
    return instance;
}
