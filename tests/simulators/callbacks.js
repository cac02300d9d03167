// SPDX-License-Identifier: Apache-2.0
//
// Vendors that call back: the vendor's callbackOf(sim, job, state) is what it says of a state, null where it says nothing.
// One that `challenges` calls no address that did not send its challenge back. A script may have it call in another manner.
import { randomBytes } from 'node:crypto';

const CHALLENGE_MS = 3000; // within that an address must have sent it back: documented of MiniMax

// What stands in the place of a query where a job's state is told without one.
export const telling = (state) => ({ word: null, linkOrigin: null, state });

// What whoever is called answers; status 0 where nobody does.
function post(url, said, options = {}) {
    const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(said), ...options };
    return fetch(url, request).catch(() => ({ status: 0, json: async () => null }));
}

export class Callbacks {
    #sim;
    #echoes = new Map(); // by address, whether it sent its challenge back

    constructor(sim) {
        this.#sim = sim;
    }

    async promise(job, manner) {
        job.manner = manner;
        if (manner === 'early') await this.#call(job, 'completed');
        if (manner === 'lies') setTimeout(() => this.#call(job, 'completed'), 100).unref();
        this.follow(job);
    }

    // Tells each state of a job once, when it comes.
    follow(job) {
        if (this.#sim.isClosed || job.manner === null || this.#sim.jobs.get(job.id) !== job) return;
        const state = job.state();
        if (state !== job.toldState) {
            job.toldState = state;
            if (job.manner !== 'early') for (let i = job.manner === 'twice' ? 2 : 1; i > 0; i--) this.#call(job, state);
        }
        if (!job.isOver) setTimeout(() => this.follow(job), Math.max(1, (state === 'pending' ? job.startsAt : job.endsAt) - Date.now() + 1)).unref();
    }

    async #call(job, state) {
        const { vendor, ledger } = this.#sim;
        const said = vendor.callbackOf(this.#sim, job, state);
        if (said === null) return;
        const url = job.manner === 'forged' ? job.callback.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')) : job.callback;
        if (vendor.challenges && !(await this.#isEchoed(job, url))) return;
        const { status } = await post(url, said);
        ledger.write('callback', { job: job.id, state, status });
    }

    #isEchoed(job, url) {
        if (!this.#echoes.has(url)) this.#echoes.set(url, this.#challenge(job, url));
        return this.#echoes.get(url);
    }

    async #challenge(job, url) {
        const challenge = randomBytes(12).toString('base64url');
        const answer = await post(url, { challenge }, { signal: AbortSignal.timeout(CHALLENGE_MS) });
        const said = await answer.json().catch(() => null);
        const isEchoed = answer.status === 200 && said?.challenge === challenge;
        this.#sim.ledger.write('challenge', { job: job.id, status: answer.status, echoed: isEchoed });
        return isEchoed;
    }
}
