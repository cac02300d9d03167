/* SPDX-License-Identifier: Apache-2.0
 *
 * The request of a dialogue on its way, and the reading of what comes back. Once a byte of what buys may have left, nothing
 * here forgets that. */
#include "engine/dialogue_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"

/* Of an answer that may have been paid for; pauses double from DIALOGUE_CROWDED_MS on. */
enum { READINGS_MAX = 8 };

static const char *const READERS[] = {
    [DIALOGUE_SUBMIT] = "submitted",
    [DIALOGUE_POLL] = "polled",
    [DIALOGUE_CANCEL] = "cancelled",
};

/* ---- reading the answer ---- */

static bool has_next(const json_t *result)
{
    return json_is_true(json_object_get(result, "next"));
}

static void read_now(struct dialogue *dialogue);

/* What is paid for is not given up because a helper was killed, or there is none just now. False: it is. */
static bool read_again(struct dialogue *dialogue)
{
    if (!dialogue->was_bought || dialogue->n_readings >= READINGS_MAX) {
        return false;
    }
    dialogue->at_turn = read_now;
    loop_arm(dialogue->room->loop, &dialogue->turn,
             DIALOGUE_CROWDED_MS << (dialogue->n_readings - 1));
    return true;
}

static void on_read(void *context, const struct adapter_outcome *said)
{
    struct dialogue *dialogue = context;
    dialogue->call = NULL;
    if (said->fault && said->is_passing && read_again(dialogue)) {
        return;
    }
    if (said->fault) {
        dialogue_fail(dialogue, DIALOGUE_FAULT, said->fault);
    } else if (!has_next(said->result)) {
        dialogue_say(dialogue, said);
    } else if (++dialogue->step >= DIALOGUE_STEPS) {
        char what[60];
        snprintf(what, sizeof what, "it asks for more than %d exchanges", DIALOGUE_STEPS);
        dialogue_fail_faulty(dialogue, what);
    } else {
        json_decref(dialogue->keep);
        dialogue->keep = json_deep_copy(json_object_get(said->result, "keep"));
        dialogue_ask(dialogue);
    }
}

json_t *dialogue_input(const struct dialogue *dialogue)
{
    json_t *input = json_copy(dialogue->spec.input);
    must(input != NULL);
    json_set(input, "step", json_integer(dialogue->step));
    json_set(input, "keep", dialogue->keep ? json_incref(dialogue->keep) : json_null());
    return input;
}

static json_t *headers_of(const struct exchange_answer *answer)
{
    json_t *headers = json_object();
    for (size_t i = 0; i < answer->n_headers; i++) {
        json_t *value = json_string(answer->headers[i].value); /* NULL: not UTF-8 */
        if (value) {
            json_set(headers, answer->headers[i].name, value);
        }
    }
    return headers;
}

int dialogue_call(struct dialogue *dialogue, const char *function, const json_t *input,
                  int64_t body_bytes, void (*done)(void *, const struct adapter_outcome *))
{
    const struct adapter_input question = {
        .adapter = dialogue->spec.channel->adapter,
        .function = function,
        .input = input,
        .bytes = body_bytes >= 0 ? dialogue->small : NULL,
        .body = body_bytes >= 0 ? dialogue->answer : -1,
        .body_bytes = body_bytes >= 0 ? body_bytes : 0,
        .blobs = body_bytes >= 0 ? dialogue->blobs : -1,
        .done = done,
        .context = dialogue,
    };
    return adapter_call(dialogue->room->adapters, &question, &dialogue->call);
}

int dialogue_spool_file(const struct dialogue *dialogue, int *file)
{
    close_fd(file);
    *file = -1;
    return asset_spool_file(dialogue->room->assets, file);
}

int dialogue_memory_file(int *file)
{
    close_fd(file);
    *file = memfd_create("filmgate-dialogue", MFD_CLOEXEC);
    return *file < 0 ? -errno : 0;
}

/* Only an answer that is long enough can hold something to cut out. */
static int make_blob_file(struct dialogue *dialogue, int64_t body_bytes)
{
    if (body_bytes >= ADAPTER_BLOB_LEAST) {
        return dialogue_spool_file(dialogue, &dialogue->blobs);
    }
    close_fd(&dialogue->blobs);
    dialogue->blobs = -1;
    return 0;
}

static void read_now(struct dialogue *dialogue)
{
    dialogue->n_readings++;
    int fault = make_blob_file(dialogue, dialogue->answer_bytes);
    if (fault == 0) {
        fault = dialogue_call(dialogue, READERS[dialogue->spec.kind], dialogue->told,
                              dialogue->answer_bytes, on_read);
    }
    bool is_passing = fault < 0 && fault != -EMSGSIZE && fault != -EINVAL;
    if (fault < 0 && !(is_passing && read_again(dialogue))) {
        dialogue_fail_soon(dialogue, "the answer cannot be read", fault);
    }
}

static char *copy_of(const char *bytes, size_t length)
{
    char *copy = must_calloc(1, length + 1);
    memcpy(copy, bytes, length);
    return copy;
}

static void read_answer(struct dialogue *dialogue, const struct exchange_answer *answer)
{
    json_decref(dialogue->told);
    dialogue->told = dialogue_input(dialogue);
    json_set(dialogue->told, "status", json_integer(answer->status));
    json_set(dialogue->told, "headers", headers_of(answer));
    dialogue->answer_bytes = answer->body_bytes;
    dialogue->small = answer->body ? copy_of(answer->body, (size_t)answer->body_bytes) : NULL;
    dialogue->n_readings = 0;
    read_now(dialogue);
}

/* ---- the exchange ---- */

/* Does the status say by itself that there is no answer to go by? The adapter may want to judge it all the same. */
static bool is_trouble(const struct dialogue *dialogue, long status)
{
    if (status < 100 || status > 599) {
        return true;
    }
    return dialogue->spec.kind != DIALOGUE_SUBMIT && exchange_is_passing(status) &&
           !dialogue->request.heeds[status];
}

static void on_answer(void *context, const struct exchange_answer *answer)
{
    struct dialogue *dialogue = context;
    const struct dialogue_spec *spec = &dialogue->spec;
    dialogue->exchange = NULL;
    dialogue->status = answer->status;
    dialogue->retry_after_ms = answer->retry_after_ms;
    if (answer->status == 401 && spec->identity->account) {
        tokens_note_refusal(dialogue->room->tokens, spec->channel, spec->identity);
    }
    if (dialogue->request.buys && answer->was_never_sent) {
        dialogue->was_bought = dialogue->was_bought_before;
    }
    if (answer->end != EXCHANGE_DONE) {
        dialogue_fail(dialogue, DIALOGUE_TROUBLE, answer->note);
    } else if (is_trouble(dialogue, answer->status)) {
        char note[DIALOGUE_NOTE_SIZE];
        snprintf(note, sizeof note, "the upstream answered with status %ld", answer->status);
        dialogue_fail(dialogue, DIALOGUE_TROUBLE, note);
    } else {
        read_answer(dialogue, answer);
    }
}

/* The answer is no small one. The spool's descriptor or negative errno. */
static int open_answer_file(void *context)
{
    struct dialogue *dialogue = context;
    int fault = dialogue_spool_file(dialogue, &dialogue->answer);
    return fault < 0 ? fault : dialogue->answer;
}

void dialogue_drop_answer(struct dialogue *dialogue)
{
    close_fd(&dialogue->answer);
    dialogue->answer = -1;
    free(TAKE(dialogue->small));
}

void dialogue_send(struct dialogue *dialogue)
{
    const struct channel *channel = dialogue->spec.channel;
    struct request *request = &dialogue->request;
    bool is_submit = dialogue->spec.kind == DIALOGUE_SUBMIT;
    dialogue_drop_answer(dialogue);
    int fault = request_sign(request, channel, dialogue->spec.identity, dialogue->body,
                             clock_wall_ms() / 1000);
    if (fault < 0) {
        dialogue_fail_soon(dialogue, "the request cannot be signed", fault);
        return;
    }
    const struct exchange_request exchange = {
        .method = request->method,
        .url = request->url,
        .headers = request->headers,
        .n_headers = request->n_headers,
        .body = request->body_bytes > 0 ? dialogue->body : -1,
        .body_bytes = request->body_bytes,
        .sink = -1,
        .open_sink = open_answer_file,
        .memory_bytes = ADAPTER_BLOB_LEAST,
        .max_bytes = dialogue->room->settings->upstream_answer,
        .connect_ms = channel->connect_ms,
        .total_ms = is_submit ? channel->submit_total_ms : channel->exchange_total_ms,
        .max_redirects = request->max_redirects,
        .secrets = request->secrets,
        .is_fresh = is_submit,
        .road = &channel->road,
        .guard_away = dialogue->room->guard,
        .done = on_answer,
        .context = dialogue,
    };
    fault = exchange_send(dialogue->room->exchanges, &exchange, &dialogue->exchange);
    if (fault == -EAGAIN) {
        dialogue_wait_for_room(dialogue, dialogue_send);
    } else if (fault < 0) {
        dialogue_fail_soon(dialogue, "the request cannot be sent", fault);
    } else if (request->buys) {
        dialogue->was_bought_before = dialogue->was_bought;
        dialogue->was_bought = true; /* until we know better */
    }
}
