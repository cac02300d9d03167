// SPDX-License-Identifier: Apache-2.0
//
// What goes wrong, and when: rules that a test posts, and words in a prompt, such as [sim:moderate],
// with which a person tries without one. A script with a mistake is refused, for a rule that never
// fires proves nothing.
import { isText } from './checks.js';
import { Dice } from './jobs.js';

// «document» is the second hop of a vendor who tells the result apart from the state (fal, minimax).
const OPERATIONS = ['submit', 'poll', 'document', 'result', 'cancel', 'upload'];
// Callbacks: one before the answer to the submit and none after, each twice, with a wrong signature, one too early that says it is done.
const MANNERS = ['early', 'twice', 'forged', 'lies'];
const WAYS_TO_LOSE = ['5xx', 'reset', 'close', 'hang', 'truncate', 'not_json'];
const isCount = (value) => Number.isInteger(value) && value >= 0;
const isTrue = (value) => value === true;

// Each deed, and what may be said of it.
const DEEDS = {
    latency_ms: isCount, // before anything else
    status: (value) => isCount(value) && value >= 100 && value <= 599, // nothing is accepted; the vendor's error unless there is a body
    headers: (value) => typeof value === 'object' && value !== null, // of that answer
    message: isText, // in the vendor's error
    body: (value) => value !== undefined, // a text as it is, anything else as JSON
    reset: isTrue, // the connection is reset, nothing is accepted
    close: isTrue, // the connection is closed without an answer, nothing is accepted
    hang: isTrue, // no answer ever, nothing is accepted
    accept_then: (value) => WAYS_TO_LOSE.includes(value), // accepted, then the answer is lost in this way
    truncate: isTrue, // the answer breaks off in its middle (of a submit: it was accepted)
    not_json: isTrue, // the answer is a page of HTML with status 200 (of a submit: it was accepted)
    unknown_word: isText, // instead of the status: of a submit while the job runs, of a poll in its answer
    done_without_video: isTrue,
    moderate: isTrue,
    fail: isTrue,
    expired_link: isTrue, // 403 for the result until a poll renews its link, where the vendor does
    late_id: isCount, // so many polls do not find the job
    gone: isTrue, // the vendor forgets the job
    redirect: (value) => value === true || isText(value), // of the result: true means to the other origin of the simulator
    duration_ms: isCount,
    queue_ms: isCount,
    bytes: isCount, // the result is padded to this size
    call_back: (value) => MANNERS.includes(value), // of a submit: how its job calls back
    origin: isText, // links in the answer of a submit lead there (where the vendor hands out links)
};
const RULE = {
    on: (value) => OPERATIONS.includes(value),
    times: isCount, // fires so often; for ever unless given
    after: isCount, // lets so many pass first
    chance: (value) => typeof value === 'number' && value >= 0 && value <= 1,
    match: (value) => typeof value === 'object' && Object.keys(value).every((key) => ['prompt', 'model', 'credential'].includes(key)),
    do: (value) => typeof value === 'object' && value !== null,
};

// Words of a prompt: each becomes a deed of the job's submit. `count` is how often this prompt came before.
const WORDS = {
    moderate: () => ({ moderate: true }),
    fail: () => ({ fail: true }),
    'no-video': () => ({ done_without_video: true }),
    duration: (value) => ({ duration_ms: Number(value) }),
    queue: (value) => ({ queue_ms: Number(value) }),
    lost: (value) => ({ accept_then: value || 'reset' }),
    busy: (value, count) => (count < Number(value || 1) ? { status: 429, headers: { 'retry-after': '1' } } : {}),
    refuse: () => ({ status: 400 }),
    late: (value) => ({ late_id: Number(value || 1) }),
    gone: () => ({ gone: true }),
    word: (value) => ({ unknown_word: value || 'dreaming' }),
    expired: () => ({ expired_link: true }),
    redirect: (value) => ({ redirect: value || true }),
    bytes: (value) => ({ bytes: Number(value) }),
};

// What is wrong with a list of rules, or null.
export function mistakeOf(rules) {
    if (!Array.isArray(rules)) return '"rules" must be a list';
    for (const [index, rule] of rules.entries()) {
        const where = `rule ${index}`;
        if (typeof rule !== 'object' || rule === null) return `${where} must be a group`;
        if (rule.on === undefined || rule.do === undefined) return `${where} needs "on" and "do"`;
        const found = mistakeIn(rule, RULE, where) ?? mistakeIn(rule.do, DEEDS, `${where}, "do"`);
        if (found !== null) return found;
    }
    return null;
}

export function mistakeIn(group, known, where) {
    for (const [key, value] of Object.entries(group)) {
        if (!Object.hasOwn(known, key)) return `${where}: there is no "${key}"; there are ${Object.keys(known).join(', ')}`;
        if (!known[key](value)) return `${where}: ${JSON.stringify(value)} does not fit "${key}"`;
    }
    return null;
}

function fits(match = {}, { prompt, model, key }) {
    const has = (text, wanted) => (text ?? '').includes(wanted ?? '');
    return has(prompt, match.prompt) && has(model, match.model) && has(key, match.credential);
}

export class Script {
    #dice;
    #seed;

    constructor(seed) {
        this.#seed = seed;
        this.reset();
    }

    reset() {
        this.#dice = new Dice(this.#seed);
        this.rules = [];
        this.promptsSeen = new Map();
    }

    set(rules) {
        this.rules = rules.map((rule) => ({ ...rule, seen: 0, fired: 0 }));
    }

    // All that is to happen in this operation; of two rules that say the same thing the first counts.
    draw(operation, subject) {
        const deeds = [];
        for (const rule of this.rules) {
            if (rule.on !== operation || !fits(rule.match, subject)) continue;
            if (rule.seen++ < (rule.after ?? 0) || rule.fired >= (rule.times ?? Infinity)) continue;
            if (this.#dice.next() >= (rule.chance ?? 1)) continue;
            rule.fired++;
            deeds.push(rule.do);
        }
        if (operation === 'submit') deeds.push(this.#words(subject.prompt ?? ''));
        return Object.assign({}, ...deeds.reverse());
    }

    #words(prompt) {
        const count = this.promptsSeen.get(prompt) ?? 0;
        this.promptsSeen.set(prompt, count + 1);
        const deeds = {};
        for (const [text, name, value = ''] of prompt.matchAll(/\[sim:([^\]=]*)(?:=([^\]]*))?\]/g)) {
            if (!Object.hasOwn(WORDS, name)) return { status: 400, message: `there is no ${text}; there are ${Object.keys(WORDS).join(', ')}` };
            const deed = WORDS[name](value, count);
            if (mistakeIn(deed, DEEDS, '') !== null) return { status: 400, message: `the value of ${text} does not fit` };
            Object.assign(deeds, deed);
        }
        return deeds;
    }
}
