// SPDX-License-Identifier: Apache-2.0
//
// What a vendor would know, and bill: a file of JSON lines that is only ever appended to. A submission
// stands in it before the first byte of its answer goes out, so that a caller who was killed, or whose
// answer was lost, can be held against it. Polls are only counted, and written once a second.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const POLLS_EVERY_MS = 1000;

// A key is never written down: this tells two of them apart.
export const fingerprint = (key) => createHash('sha256').update(key).digest('hex').slice(0, 12);

export class Ledger {
    #file = null;
    #isSynced;
    #polls = 0;
    #timer;

    // Without a folder it is kept in memory only.
    constructor(vendor, folder, { isSynced = false } = {}) {
        this.vendor = vendor;
        this.path = folder === null ? null : path.join(folder, `${vendor}.jsonl`);
        this.entries = []; // since the start or the last reset; the file has all
        this.pollsOf = new Map();
        this.#isSynced = isSynced;
        if (this.path !== null) {
            fs.mkdirSync(folder, { recursive: true });
            this.#file = fs.openSync(this.path, 'a');
        }
        this.#timer = setInterval(() => this.flush(), POLLS_EVERY_MS).unref();
    }

    write(event, facts = {}) {
        const entry = { at: Date.now(), vendor: this.vendor, event, ...facts };
        this.entries.push(entry);
        if (this.#file === null) return;
        fs.appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
        if (this.#isSynced) fs.fsyncSync(this.#file);
    }

    poll(job) {
        this.#polls++;
        this.pollsOf.set(job, (this.pollsOf.get(job) ?? 0) + 1);
    }

    flush() {
        if (this.#polls > 0) this.write('polls', { count: this.#polls });
        this.#polls = 0;
    }

    // The file keeps what was; only what is told from now on begins anew.
    reset() {
        this.flush();
        this.write('reset');
        this.entries = [];
        this.pollsOf.clear();
    }

    close() {
        clearInterval(this.#timer);
        this.flush();
        if (this.#file !== null) fs.closeSync(this.#file);
        this.#file = null;
    }
}
