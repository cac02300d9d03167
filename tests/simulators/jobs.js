// SPDX-License-Identifier: Apache-2.0
//
// The jobs of a vendor. What a job says is a function of the time: it waits, it renders, it ends in the
// way that was settled for it. Nothing runs meanwhile, so that thousands of them cost nothing.
import { randomBytes } from 'node:crypto';

// Numbers that a seed repeats (mulberry32).
export class Dice {
    #state;

    constructor(seed) {
        this.#state = seed >>> 0;
    }

    next() {
        this.#state = (this.#state + 0x6d2b79f5) >>> 0;
        let mix = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
        mix = (mix + Math.imul(mix ^ (mix >>> 7), 61 | mix)) ^ mix;
        return ((mix ^ (mix >>> 14)) >>> 0) / 2 ** 32;
    }

    // Of the standard normal distribution.
    #normal() {
        return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
    }

    // A time in ms: a number as it is, or {median, sigma} of a lognormal distribution.
    time(wanted) {
        if (typeof wanted === 'number') return wanted;
        return Math.round(wanted.median * Math.exp(wanted.sigma * this.#normal()));
    }
}

export class Job {
    constructor({ id, model = '', prompt = '', correlation = null, credential = '', wish = {}, queueMs, durationMs }) {
        Object.assign(this, { id: String(id), model, prompt, correlation, credential, wish });
        this.created = Date.now();
        this.startsAt = this.created + queueMs;
        this.endsAt = this.startsAt + durationMs;
        this.outcome = 'video'; // or 'no-video', 'failed', 'moderated'
        this.cancelledAt = null;
        this.isGone = false; // the vendor has forgotten it
        this.isDeleted = false; // by the caller
        this.late = 0; // so many polls do not find it yet
        this.word = null; // said instead of the status while it runs
        this.redirect = null; // where its result is fetched
        this.bytes = 0; // the result is padded to this size
        this.expireOnce = false; // the first download finds the link expired
        this.callback = null; // whom it calls when its state changes …
        this.manner = null; // … and how; null: it does not
        this.toldState = null;
        this.newLink();
    }

    state(now = Date.now()) {
        if (this.cancelledAt !== null) return 'cancelled';
        if (now < this.startsAt) return 'pending';
        if (now < this.endsAt) return 'rendering';
        return this.outcome === 'failed' || this.outcome === 'moderated' ? 'failed' : 'completed';
    }

    get isOver() {
        return !['pending', 'rendering'].includes(this.state());
    }

    // Seconds, since most vendors say them.
    get createdS() {
        return Math.floor(this.created / 1000);
    }

    get endedAt() {
        return this.cancelledAt ?? this.endsAt;
    }

    progress(now = Date.now()) {
        if (this.endsAt <= now) return 1;
        return Math.max(0, (now - this.startsAt) / (this.endsAt - this.startsAt));
    }

    cancel() {
        this.cancelledAt = Date.now();
    }

    // Ends at once, in this way.
    end(outcome) {
        this.outcome = outcome;
        this.startsAt = Math.min(this.startsAt, Date.now());
        this.endsAt = Math.min(this.endsAt, Date.now());
    }

    newLink() {
        this.link = randomBytes(9).toString('base64url');
        this.linkedAt = Date.now();
        this.isLinkDead = false;
    }

    isLinkAlive(token, lifeMs) {
        return token === this.link && !this.isLinkDead && (lifeMs === null || Date.now() < this.linkedAt + lifeMs);
    }

    // What a script or the prompt wants of it (script.js).
    suffer(deed) {
        if (deed.queue_ms !== undefined || deed.duration_ms !== undefined) {
            const length = deed.duration_ms ?? this.endsAt - this.startsAt;
            this.startsAt = this.created + (deed.queue_ms ?? this.startsAt - this.created);
            this.endsAt = this.startsAt + length;
        }
        if (deed.fail) this.outcome = 'failed';
        if (deed.moderate) this.outcome = 'moderated';
        if (deed.done_without_video) this.outcome = 'no-video';
        if (deed.gone) this.isGone = true;
        if (deed.late_id !== undefined) this.late = deed.late_id;
        if (deed.unknown_word !== undefined) this.word = deed.unknown_word;
        if (deed.expired_link) this.expireOnce = true;
        if (deed.redirect !== undefined) this.redirect = deed.redirect;
        if (deed.bytes !== undefined) this.bytes = deed.bytes;
    }
}
