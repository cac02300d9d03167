/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts of task/attempt.def as a table, and the counted texts of a job. Any thread. */
#include "task/attempt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/pack.h"
#include "base/reference.h"

static const struct attempt_row {
    const char *name, *meaning;
    bool is_open, may_be_taken;
} attempt_rows[ATTEMPT_STATE_COUNT] = {
#define ATTEMPT(name, stored, is_open, may_be_taken, meaning)                                      \
    [ATTEMPT_##name] = {stored, meaning, is_open, may_be_taken},
#include "task/attempt.def"
};

static const struct attempt_row *row_of(enum attempt_state state)
{
    must((unsigned)state < ATTEMPT_STATE_COUNT);
    return &attempt_rows[state];
}

const char *attempt_state_name(enum attempt_state state)
{
    return row_of(state)->name;
}

const char *attempt_state_meaning(enum attempt_state state)
{
    return row_of(state)->meaning;
}

bool attempt_is_open(enum attempt_state state)
{
    return row_of(state)->is_open;
}

bool attempt_may_be_taken(enum attempt_state state)
{
    return row_of(state)->may_be_taken;
}

bool attempt_state_parse(const char *name, enum attempt_state *ret_state)
{
    for (unsigned i = 0; i < ATTEMPT_STATE_COUNT; i++)
        if (strcmp(name, attempt_rows[i].name) == 0) {
            *ret_state = (enum attempt_state)i;
            return true;
        }
    return false;
}

struct attempt_job *attempt_job_new(const char *id, const char *keep, const char *outputs,
                                    const char *enhanced_prompt, const char *usage)
{
    struct attempt_job *job =
        must_calloc(1, sizeof *job + pack_bytes(id) + pack_bytes(keep) + pack_bytes(outputs) +
                           pack_bytes(enhanced_prompt) + pack_bytes(usage));
    char *end = (char *)(job + 1);
    atomic_init(&job->references, 1);
    job->id = pack_text(&end, id);
    job->keep = pack_text(&end, keep);
    job->outputs = pack_text(&end, outputs);
    job->enhanced_prompt = pack_text(&end, enhanced_prompt);
    job->usage = pack_text(&end, usage);
    return job;
}

struct attempt_job *attempt_job_ref(const struct attempt_job *job)
{
    /* The count is the one thing that changes. */
    struct attempt_job *counted = (struct attempt_job *)(uintptr_t)job;
    if (counted != NULL)
        reference_take(&counted->references);
    return counted;
}

struct attempt_job *attempt_job_unref(struct attempt_job *job)
{
    if (job != NULL && reference_drop(&job->references))
        free(job);
    return NULL;
}

struct attempt_record attempt_record_ref(const struct attempt_record *attempt)
{
    struct attempt_record copy = *attempt;
    shared_text_ref(copy.channel);
    shared_text_ref(copy.credential);
    attempt_job_ref(copy.job);
    return copy;
}

void attempt_record_fini(struct attempt_record *attempt)
{
    shared_text_unref(attempt->channel);
    shared_text_unref(attempt->credential);
    attempt_job_unref(attempt->job);
    *attempt = (struct attempt_record){0};
}

bool attempt_has_job_id(const struct attempt_record *attempt)
{
    return attempt->job != NULL && attempt->job->id != NULL && attempt->job->id[0] != '\0';
}

const char *attempt_shown_job(const struct attempt_record *attempt)
{
    return attempt_has_job_id(attempt) && attempt_may_be_taken(attempt->state) ? attempt->job->id
                                                                               : NULL;
}
