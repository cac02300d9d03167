/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt at an upstream: the words of task/attempt.def, and what the upstream gave us for it. The built-in engine
 * has no such attempts: interrupted local work costs nothing. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/id.h"
#include "base/shared_text.h"

enum attempt_state {
#define ATTEMPT(name, ...) ATTEMPT_##name,
#include "task/attempt.def"
    ATTEMPT_STATE_COUNT
};

enum {
    ATTEMPT_NAME_SIZE = 65,   /* of channels and credentials, with NUL */
    ATTEMPT_JOB_MAX = 1024,   /* bytes of a job id; some are whole resource names or URLs */
    ATTEMPT_KEEP_MAX = 16384, /* bytes of what an adapter keeps, as JSON */
    ATTEMPT_OUTPUTS_MAX = 65536,
    ATTEMPT_USAGE_MAX = 4096,   /* bytes of what the upstream says that it used, as JSON */
    ATTEMPT_PROMPT_MAX = 65536, /* bytes of a prompt that the upstream made better */
};

const char *attempt_state_name(enum attempt_state state);
const char *attempt_state_meaning(enum attempt_state state);
CHECKED bool attempt_state_parse(const char *name, enum attempt_state *ret_state);
bool attempt_is_open(enum attempt_state state);
bool attempt_may_be_taken(enum attempt_state state);

/* What belongs to the job at the upstream, as texts. Immutable once made, and counted: tasks that are copies of each
 * other share it. NULL where there is none. */
struct attempt_job {
    _Atomic unsigned references;
    const char *id;              /* as the upstream spelled it; NULL until it is known */
    const char *keep;            /* JSON: what the adapter wants to see again */
    const char *outputs;         /* JSON array: what the upstream named when it was done */
    const char *enhanced_prompt; /* as the upstream told it */
    const char *usage; /* JSON object: what the upstream says that it used, in its own words */
};

/* A new job with copies of the texts (each may be NULL). */
struct attempt_job *attempt_job_new(const char *id, const char *keep, const char *outputs,
                                    const char *enhanced_prompt, const char *usage);
struct attempt_job *attempt_job_ref(const struct attempt_job *job);
struct attempt_job *attempt_job_unref(struct attempt_job *job); /* takes NULL, returns NULL */

/* The attempt under way or the last one of a task. All zero but for `number` when `id` is empty. Plain values but for the
 * texts and the job, of each of which one reference is ours. */
struct attempt_record {
    char id[ID_SHORT_SIZE]; /* att_<26>; empty: there was none at an upstream */
    enum attempt_state state;
    int number; /* from 1, within the task, never twice; outlives the rest, for the next one */
    const struct shared_text *channel, *credential;
    struct attempt_job *job; /* NULL until the upstream gave anything */
    int64_t begun_ms;        /* written ahead */
    int64_t accepted_ms;     /* 0 until the job id is known */
    int64_t closed_ms;       /* 0 while open */
};

/* A copy with references of its own. */
struct attempt_record attempt_record_ref(const struct attempt_record *attempt);
/* Lets go of what it refers to: all zero afterwards. */
void attempt_record_fini(struct attempt_record *attempt);
/* Can the job be asked for? True also of an id that we chose, whose answer was lost. */
bool attempt_has_job_id(const struct attempt_record *attempt);
/* Its job as an operator may look for it; NULL: none, or one that we chose and that was certainly never taken. */
const char *attempt_shown_job(const struct attempt_record *attempt);
