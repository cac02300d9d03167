/* SPDX-License-Identifier: Apache-2.0
 *
 * What polls told of a job, for its timeline: told on when it is another verdict than the last one, and not without end; and
 * that its result is out of reach. On the loop's thread. */
#include "engine/remote_own.h"

#include "base/must.h"

static const char *const words[REMOTE_VERDICT_COUNT] = {
#define VERDICT(name, word, meaning) [REMOTE_VERDICT_##name] = (word),
#include "engine/verdict.def"
};

const char *remote_verdict_word(enum remote_verdict verdict)
{
    must((unsigned)verdict < REMOTE_VERDICT_COUNT && words[verdict] != NULL);
    return words[verdict];
}

void remote_judge(struct remote *remote, enum remote_verdict verdict, const char *message)
{
    /* some tell how far it is only now and then */
    bool is_news = remote->verdict != verdict && (verdict != REMOTE_VERDICT_RENDERING ||
                                                  remote->verdict != REMOTE_VERDICT_PROGRESS);
    if (!is_news || remote->n_verdicts >= REMOTE_VERDICTS_MAX) {
        return;
    }
    remote->verdict = (uint8_t)verdict;
    remote->n_verdicts++;
    CLEANUP(free_pointer) char *quoted = message ? remote_quote(remote, message) : NULL;
    remote->handler.verdict(remote->handler.context, verdict, quoted);
}

/* Why a poll told nothing. */
void remote_judge_trouble(struct remote *remote, const char *note,
                          const struct dialogue_outcome *outcome)
{
    enum remote_verdict verdict = REMOTE_VERDICT_UNCLEAR;
    if (outcome->end == DIALOGUE_TROUBLE && outcome->status == 429) {
        verdict = REMOTE_VERDICT_BUSY;
    } else if (outcome->end == DIALOGUE_TROUBLE && outcome->status == 0) {
        verdict = REMOTE_VERDICT_UNREACHABLE;
    } else if (outcome->end == DIALOGUE_TROUBLE) {
        verdict = REMOTE_VERDICT_TROUBLE;
    }
    remote_judge(remote, verdict, note);
}

/* The first time and then ever more seldom: an outage of a day is eleven entries. */
void remote_judge_unreached(struct remote *remote, int n_tries, const char *why)
{
    bool is_power_of_two = (n_tries & (n_tries - 1)) == 0;
    if (!is_power_of_two || remote->n_verdicts >= REMOTE_VERDICTS_MAX) {
        return;
    }
    remote->n_verdicts++;
    CLEANUP(free_pointer) char *quoted = remote_quote(remote, why);
    remote->handler.unreached(remote->handler.context, n_tries, quoted);
}
