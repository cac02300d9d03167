// SPDX-License-Identifier: Apache-2.0
//
// What the simulated Google APIs share: the envelope of errors, and the key of the Gemini API.
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
