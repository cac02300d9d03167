/* SPDX-License-Identifier: Apache-2.0
 *
 * The faults become golden exchanges of one task, which run as those do; then what came out is brought to one word and held
 * against the table. One thread. */
#include "cli/conformance.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/must.h"

static const struct fault {
    enum conformance_function function;
    const char *name;
    int status;
    const char *text, *allowed;
} FAULTS[] = {
#define FAULT(function, name, status, text, allowed)                                               \
    {CONFORMANCE_##function, name, status, text, allowed},
#include "cli/fault.def"
};

static const char *const FUNCTIONS[] = {
    [CONFORMANCE_SUBMITTED] = "submitted",
    [CONFORMANCE_POLLED] = "polled",
    [CONFORMANCE_CANCELLED] = "cancelled",
};

size_t conformance_count(void)
{
    return ARRAY_LENGTH(FAULTS);
}

const char *conformance_fault(size_t index, enum conformance_function *ret_function)
{
    *ret_function = FAULTS[index].function;
    return FAULTS[index].name;
}

const char *conformance_function_name(enum conformance_function function)
{
    return FUNCTIONS[function];
}

/* ---- what is sent ---- */

/* A plain task of the first model that the adapter names. */
static json_t *make_task(const json_t *about)
{
    const char *pattern = json_text(json_array_get(json_object_get(about, "models"), 0), "name");
    char model[200];
    size_t length = 0;
    for (; pattern != NULL && *pattern != '\0' && length < sizeof(model) - 1; pattern++)
        if (*pattern != '*')
            model[length++] = *pattern;
    model[length] = '\0';
    json_t *task =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:i, s:i, s:i, s:s, s:s, s:s, "
                  "s:n, s:n, s:b, "
                  "s:[], s:{}, s:{}}",
                  "id", "task_01", "attempt", "att_01", "attempt_uuid",
                  "0190163d-8694-739b-aea5-966c26f8ad91", "model", length > 0 ? model : "model",
                  "asked_model", "model", "prompt", "a paper boat", "negative_prompt", "style",
                  "title", "duration", 5, "width", 1280, "height", 720, "aspect_ratio", "16:9",
                  "resolution", "720p", "orientation", "landscape", "seed", "watermark",
                  "enhance_prompt", 0, "images", "extra", "options");
    must(task != NULL);
    return task;
}

static json_t *make_case(const struct fault *fault)
{
    json_t *entry = json_object(), *answer = json_object(), *input = json_object();
    json_set_text(entry, "name", fault->name);
    json_set_text(entry, "function", FUNCTIONS[fault->function]);
    json_set(answer, "status", json_integer(fault->status));
    json_set_text(answer, "text", fault->text);
    json_set(entry, "answer", answer);
    if (fault->function != CONFORMANCE_SUBMITTED)
        json_set_text(input, "job", "job-01");
    json_set(entry, "input", input);
    json_set(entry, "output", json_object());
    return entry;
}

/* ---- what came of it ---- */

/* One word for what a function gave. */
static const char *verdict_of(enum conformance_function function, const json_t *got)
{
    const char *state = json_text(got, "state");
    if (got == NULL)
        return "fault";
    if (json_is_true(json_object_get(got, "next")))
        return "next";
    if (function != CONFORMANCE_SUBMITTED)
        return state != NULL ? state : "fault";
    if (json_text(got, "job") != NULL)
        return "accepted";
    const char *kind = json_text(json_object_get(got, "error"), "kind");
    return kind != NULL ? kind : "fault";
}

static bool is_allowed(const char *allowed, const char *verdict)
{
    size_t length = strlen(verdict);
    for (const char *at = allowed; (at = strstr(at, verdict)) != NULL; at += length) {
        bool begins = at == allowed || at[-1] == ' ';
        if (begins && (at[length] == '\0' || at[length] == ' '))
            return true;
    }
    return false;
}

static json_t *judge(const struct fault *fault, const json_t *row)
{
    json_t *got = json_object_get(row, "got");
    const char *verdict = verdict_of(fault->function, got);
    json_t *judged = json_object();
    json_set_text(judged, "function", FUNCTIONS[fault->function]);
    json_set_text(judged, "fault", fault->name);
    json_set_text(judged, "verdict", verdict);
    json_set(judged, "ok", json_boolean(is_allowed(fault->allowed, verdict)));
    json_set_text(judged, "expected", fault->allowed);
    if (got != NULL)
        json_set(judged, "got", json_deep_copy(got));
    else
        json_set_text(judged, "message", json_text(row, "fault"));
    return judged;
}

json_t *conformance_run(const struct adapter *adapter, const json_t *about,
                        char ret_error[GOLDEN_ERROR_SIZE])
{
    const json_t *states = json_object_get(json_object_get(about, "cancel"), "while");
    bool cancels = json_array_size(states) > 0;
    CLEANUP(json_unref_pointer) json_t *golden = json_object();
    json_t *cases = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(FAULTS); i++)
        json_add(cases, make_case(&FAULTS[i]));
    json_set(golden, "task", make_task(about));
    json_set(golden, "cases", cases);
    CLEANUP(json_unref_pointer) json_t *rows = golden_run(golden, adapter, ret_error);
    if (rows == NULL)
        return NULL;
    json_t *judged = json_array();
    for (size_t i = 0; i < ARRAY_LENGTH(FAULTS); i++) {
        bool is_met = cancels || FAULTS[i].function != CONFORMANCE_CANCELLED;
        json_add(judged, is_met ? judge(&FAULTS[i], json_array_get(rows, i)) : json_null());
    }
    return judged;
}
