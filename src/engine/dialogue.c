/* SPDX-License-Identifier: Apache-2.0
 *
 * A dialogue goes round:
 *
 *     ask (program) -> images, if the request refers to any -> [ready, go] -> exchange -> read (program) --next--> ask
 *
 * Whatever it holds (spool files, images, calls) goes with it. Its end is told once, as the last thing that it does. */
#include "engine/dialogue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/inputs.h"
#include "upstream/request.h"

enum {
    CROWDED_MS = 300, /* pause before there is room for another call or exchange */
    READINGS_MAX =
        8, /* of an answer that may have been paid for; pauses double from CROWDED_MS on */
    REMEMBERED_MAX = 512, /* bytes of a request that is kept: each of thousands of tasks has one */
};

struct dialogue {
    const struct engine_room *room;
    struct dialogue_spec spec;
    json_t *keep;
    int step;
    struct adapter_call *call;
    json_t *asked; /* the request object under way */
    struct inputs *inputs;
    bool has_inputs; /* all that were asked for so far are there */
    uint64_t wanted; /* images that are wanted as bytes */
    struct request request;
    bool has_request;
    /* -1: none. A body without images is a file in memory, all others are in the spool. */
    int body, answer, blobs;
    /* An answer up to ADAPTER_BLOB_LEAST, for as long as its reading may be tried again; NULL: see `answer`. */
    char *small;
    json_t *told; /* of the answer that is read: status, headers and the rest of the input */
    int64_t answer_bytes;
    int n_readings;
    struct exchange *exchange;
    bool is_cleared; /* dialogue_go() was called */
    bool was_bought;
    bool was_bought_before; /* by an exchange before the one under way */
    long status;
    int64_t retry_after_ms;
    struct loop_timer turn; /* what must not happen within a call of the owner's */
    void (*at_turn)(struct dialogue *dialogue);
    char note[DIALOGUE_NOTE_SIZE];
};

static const struct {
    const char *ask, *read;
} functions[] = {
    [DIALOGUE_SUBMIT] = {"submit", "submitted"},
    [DIALOGUE_POLL] = {"poll", "polled"},
    [DIALOGUE_CANCEL] = {"cancel", "cancelled"},
};

static void ask(struct dialogue *dialogue);

/* ---- ends ---- */

/* The dialogue may be gone afterwards. */
static void finish(struct dialogue *dialogue, struct dialogue_outcome *outcome)
{
    outcome->was_bought = dialogue->was_bought;
    outcome->status = dialogue->status;
    outcome->retry_after_ms = dialogue->retry_after_ms;
    outcome->note = dialogue->note;
    dialogue->spec.done(dialogue->spec.context, outcome);
}

/* `note` is not the dialogue's own. */
static void fail(struct dialogue *dialogue, enum dialogue_end end, const char *note)
{
    struct dialogue_outcome outcome = {.end = end, .blob_file = -1};
    snprintf(dialogue->note, sizeof dialogue->note, "%s", note);
    finish(dialogue, &outcome);
}

static void fail_faulty(struct dialogue *dialogue, const char *what)
{
    char note[DIALOGUE_NOTE_SIZE];
    snprintf(note, sizeof note, "adapter \"%s\", %s: %.200s",
             adapter_name(dialogue->spec.channel->adapter), functions[dialogue->spec.kind].ask,
             what);
    fail(dialogue, DIALOGUE_FAULT, note);
}

static void answer(struct dialogue *dialogue, const struct adapter_outcome *said)
{
    struct dialogue_outcome outcome = {
        .end = DIALOGUE_ANSWERED,
        .result = said->result,
        .blobs = said->blobs,
        .n_blobs = said->n_blobs,
        .blob_file = said->n_blobs > 0 ? dialogue->blobs : -1,
    };
    finish(dialogue, &outcome);
}

static void on_turn(struct loop_timer *timer)
{
    struct dialogue *dialogue = CONTAINER_OF(timer, struct dialogue, turn);
    dialogue->at_turn(dialogue);
}

static void at_next_turn(struct dialogue *dialogue, void (*what)(struct dialogue *dialogue))
{
    dialogue->at_turn = what;
    loop_arm(dialogue->room->loop, &dialogue->turn, 0);
}

/* Too many calls or exchanges are under way: it is no trouble of the upstream's, and passes. */
static void wait_for_room(struct dialogue *dialogue, void (*what)(struct dialogue *dialogue))
{
    dialogue->at_turn = what;
    loop_arm(dialogue->room->loop, &dialogue->turn, CROWDED_MS);
}

/* The spool has no place, or the like: trouble of ours, told as any other. */
static void fail_late(struct dialogue *dialogue)
{
    struct dialogue_outcome outcome = {.end = DIALOGUE_TROUBLE, .blob_file = -1};
    finish(dialogue, &outcome); /* its note is there already */
}

static void fail_soon(struct dialogue *dialogue, const char *what, int fault)
{
    snprintf(dialogue->note, sizeof dialogue->note, "%s: %s", what, strerror(-fault));
    at_next_turn(dialogue, fail_late);
}

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
    loop_arm(dialogue->room->loop, &dialogue->turn, CROWDED_MS << (dialogue->n_readings - 1));
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
        fail(dialogue, DIALOGUE_FAULT, said->fault);
    } else if (!has_next(said->result)) {
        answer(dialogue, said);
    } else if (++dialogue->step >= DIALOGUE_STEPS) {
        char what[60];
        snprintf(what, sizeof what, "it asks for more than %d exchanges", DIALOGUE_STEPS);
        fail_faulty(dialogue, what);
    } else {
        json_decref(dialogue->keep);
        dialogue->keep = json_deep_copy(json_object_get(said->result, "keep"));
        ask(dialogue);
    }
}

static json_t *input_of(const struct dialogue *dialogue)
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

static int call(struct dialogue *dialogue, const char *function, const json_t *input,
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

/* What a dialogue holds is a new file each step: short lives are cheap in memory, and cost a file system dearly. */
static int new_spool_file(const struct dialogue *dialogue, int *file)
{
    close_fd(file);
    *file = -1;
    return asset_spool_file(dialogue->room->assets, file);
}

static int new_memory_file(int *file)
{
    close_fd(file);
    *file = memfd_create("filmgate-dialogue", MFD_CLOEXEC);
    return *file < 0 ? -errno : 0;
}

/* Only an answer that is long enough can hold something to cut out. */
static int make_blob_file(struct dialogue *dialogue, int64_t body_bytes)
{
    if (body_bytes >= ADAPTER_BLOB_LEAST) {
        return new_spool_file(dialogue, &dialogue->blobs);
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
        fault = call(dialogue, functions[dialogue->spec.kind].read, dialogue->told,
                     dialogue->answer_bytes, on_read);
    }
    bool is_passing = fault < 0 && fault != -EMSGSIZE && fault != -EINVAL;
    if (fault < 0 && !(is_passing && read_again(dialogue))) {
        fail_soon(dialogue, "the answer cannot be read", fault);
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
    dialogue->told = input_of(dialogue);
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
    dialogue->exchange = NULL;
    dialogue->status = answer->status;
    dialogue->retry_after_ms = answer->retry_after_ms;
    if (dialogue->request.buys && answer->was_never_sent) {
        dialogue->was_bought = dialogue->was_bought_before;
    }
    if (answer->end != EXCHANGE_DONE) {
        fail(dialogue, DIALOGUE_TROUBLE, answer->note);
    } else if (is_trouble(dialogue, answer->status)) {
        char note[DIALOGUE_NOTE_SIZE];
        snprintf(note, sizeof note, "the upstream answered with status %ld", answer->status);
        fail(dialogue, DIALOGUE_TROUBLE, note);
    } else {
        read_answer(dialogue, answer);
    }
}

/* The answer is no small one. The spool's descriptor or negative errno. */
static int open_answer_file(void *context)
{
    struct dialogue *dialogue = context;
    int fault = new_spool_file(dialogue, &dialogue->answer);
    return fault < 0 ? fault : dialogue->answer;
}

static void drop_answer(struct dialogue *dialogue)
{
    close_fd(&dialogue->answer);
    dialogue->answer = -1;
    free(TAKE(dialogue->small));
}

static void send_request(struct dialogue *dialogue)
{
    const struct channel *channel = dialogue->spec.channel;
    const struct request *request = &dialogue->request;
    bool is_submit = dialogue->spec.kind == DIALOGUE_SUBMIT;
    drop_answer(dialogue);
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
    int fault = exchange_send(dialogue->room->exchanges, &exchange, &dialogue->exchange);
    if (fault == -EAGAIN) {
        wait_for_room(dialogue, send_request);
    } else if (fault < 0) {
        fail_soon(dialogue, "the request cannot be sent", fault);
    } else if (request->buys) {
        dialogue->was_bought_before = dialogue->was_bought;
        dialogue->was_bought = true; /* until we know better */
    }
}

static void tell_ready(struct dialogue *dialogue)
{
    dialogue->spec.ready(dialogue->spec.context);
}

void dialogue_go(struct dialogue *dialogue)
{
    must(dialogue->has_request && !dialogue->is_cleared);
    dialogue->is_cleared = true;
    send_request(dialogue);
}

/* ---- making the request ---- */

static void drop_request(struct dialogue *dialogue)
{
    if (dialogue->has_request) {
        request_fini(&dialogue->request);
        dialogue->has_request = false;
    }
}

static void gather_images(const struct dialogue *dialogue, struct request_image *images)
{
    const struct task_request *request = dialogue->spec.task->request;
    for (size_t i = 0; i < request->n_images; i++) {
        images[i] = (struct request_image){.url = request->images[i].url, .fd = -1};
        if (dialogue->has_inputs && dialogue->wanted >> i & 1) {
            images[i].fd = inputs_file(dialogue->inputs, i);
            images[i].type = inputs_type(dialogue->inputs, i, &images[i].bytes);
        }
    }
}

/* Without images it is as small as what the program said. */
static int make_body_file(struct dialogue *dialogue)
{
    bool has_body = json_object_get(dialogue->asked, "json") != NULL ||
                    json_object_get(dialogue->asked, "form") != NULL;
    close_fd(&dialogue->body);
    dialogue->body = -1;
    if (!has_body) {
        return 0;
    }
    return dialogue->wanted == 0 ? new_memory_file(&dialogue->body)
                                 : new_spool_file(dialogue, &dialogue->body);
}

static void make_request(struct dialogue *dialogue)
{
    const struct dialogue_spec *spec = &dialogue->spec;
    struct request_image images[TASK_IMAGES_MAX];
    char wrong[REQUEST_ERROR_SIZE];
    gather_images(dialogue, images);
    drop_request(dialogue);
    int fault = make_body_file(dialogue);
    if (fault < 0) {
        fail_soon(dialogue, "the request cannot be written", fault);
        return;
    }
    dialogue->has_request = request_make(dialogue->asked, spec->channel, spec->credential, images,
                                         spec->task->request->n_images, dialogue->body,
                                         clock_wall_ms() / 1000, &dialogue->request, wrong);
    if (!dialogue->has_request) {
        fail_faulty(dialogue, wrong);
        return;
    }
    dialogue->request.buys = dialogue->request.buys && spec->kind == DIALOGUE_SUBMIT;
    if (dialogue->request.buys && !dialogue->is_cleared) {
        at_next_turn(dialogue, tell_ready);
    } else {
        send_request(dialogue);
    }
}

static void tell_fetching(const struct dialogue *dialogue, bool is_fetching)
{
    if (dialogue->spec.kind == DIALOGUE_SUBMIT) {
        dialogue->spec.fetching(dialogue->spec.context, is_fetching);
    }
}

static void on_inputs(void *context, enum task_failure failure, bool may_retry, const char *note)
{
    struct dialogue *dialogue = context;
    tell_fetching(dialogue, false);
    if (failure == TASK_FAILURE_NONE) {
        dialogue->has_inputs = true;
        make_request(dialogue);
        return;
    }
    struct dialogue_outcome outcome = {
        .end = DIALOGUE_INPUTS, .blob_file = -1, .failure = failure, .may_retry = may_retry};
    snprintf(dialogue->note, sizeof dialogue->note, "%s",
             note ? note : "the input images cannot be had");
    finish(dialogue, &outcome);
}

/* Images come before the request is made, and stay for the steps after it. */
static void bring_images(struct dialogue *dialogue)
{
    struct request_image images[TASK_IMAGES_MAX];
    uint64_t wanted = 0;
    char wrong[REQUEST_ERROR_SIZE];
    gather_images(dialogue, images);
    if (!request_images_wanted(dialogue->asked, images, dialogue->spec.task->request->n_images,
                               &wanted, wrong)) {
        fail_faulty(dialogue, wrong);
        return;
    }
    if ((wanted & ~dialogue->wanted) == 0) {
        make_request(dialogue);
        return;
    }
    const struct inputs_handler handler = {on_inputs, dialogue};
    dialogue->wanted |= wanted;
    dialogue->has_inputs = false;
    tell_fetching(dialogue, true);
    inputs_stop(dialogue->inputs);
    dialogue->inputs =
        inputs_start(dialogue->room, dialogue->spec.task, dialogue->wanted, &handler);
}

static bool may_remember(const struct dialogue *dialogue)
{
    return dialogue->step == 0 && dialogue->spec.asked != NULL;
}

static void remember(const struct dialogue *dialogue)
{
    char *text = may_remember(dialogue) ? json_dumps(dialogue->asked, JSON_WRITE_FLAGS) : NULL;
    if (text && strlen(text) <= REMEMBERED_MAX) {
        free(*dialogue->spec.asked);
        *dialogue->spec.asked = text;
    } else {
        free(text);
    }
}

static void on_asked(void *context, const struct adapter_outcome *said)
{
    struct dialogue *dialogue = context;
    dialogue->call = NULL;
    if (said->fault) {
        fail(dialogue, DIALOGUE_FAULT, said->fault);
    } else if (json_is_null(said->result) || json_object_get(said->result, "error")) {
        answer(dialogue, said); /* cannot, or will not */
    } else {
        json_decref(dialogue->asked);
        dialogue->asked = json_deep_copy(said->result);
        remember(dialogue);
        bring_images(dialogue);
    }
}

static bool recall(struct dialogue *dialogue)
{
    const char *text = may_remember(dialogue) ? *dialogue->spec.asked : NULL;
    json_decref(dialogue->asked); /* of the step before */
    dialogue->asked = text ? json_loads(text, 0, NULL) : NULL;
    return dialogue->asked != NULL;
}

static void ask(struct dialogue *dialogue)
{
    if (recall(dialogue)) {
        at_next_turn(dialogue, bring_images);
        return;
    }
    CLEANUP(json_unref_pointer) json_t *input = input_of(dialogue);
    int fault = call(dialogue, functions[dialogue->spec.kind].ask, input, -1, on_asked);
    if (fault == -EAGAIN) {
        wait_for_room(dialogue, ask);
    } else if (fault < 0) {
        fail_soon(dialogue, "the adapter cannot be asked", fault);
    }
}

/* ---- the door ---- */

struct dialogue *dialogue_start(const struct engine_room *room, const struct dialogue_spec *spec)
{
    struct dialogue *dialogue = must_calloc(1, sizeof *dialogue);
    dialogue->room = room;
    dialogue->spec = *spec;
    task_ref(spec->task);
    dialogue->keep = spec->keep ? json_loads(spec->keep, JSON_DECODE_ANY, NULL) : NULL;
    dialogue->spec.keep = NULL;
    dialogue->body = dialogue->answer = dialogue->blobs = -1;
    dialogue->turn.fire = on_turn;
    ask(dialogue);
    return dialogue;
}

struct dialogue *dialogue_stop(struct dialogue *dialogue)
{
    if (!dialogue) {
        return NULL;
    }
    loop_disarm(dialogue->room->loop, &dialogue->turn);
    adapter_call_stop(dialogue->call);
    exchange_stop(dialogue->exchange);
    inputs_stop(dialogue->inputs);
    drop_request(dialogue);
    json_decref(dialogue->asked);
    json_decref(dialogue->told);
    json_decref(dialogue->keep);
    json_decref(dialogue->spec.input);
    drop_answer(dialogue);
    close_fd(&dialogue->body);
    close_fd(&dialogue->blobs);
    task_unref(dialogue->spec.task);
    free(dialogue);
    return NULL;
}
