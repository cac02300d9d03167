/* SPDX-License-Identifier: Apache-2.0
 *
 * A dialogue goes round:
 *
 *     ask (program) -> images, if the request refers to any -> access token, where it takes one -> [ready, go]
 *         -> exchange -> read (program) --next--> ask
 *
 * Whatever it holds (spool files, images, calls) goes with it. Its end is told once, as the last thing that it does. */
#include "engine/dialogue_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"

/* Bytes of a request that is kept: each of thousands of tasks has one. */
enum { REMEMBERED_MAX = 512 };

static const char *const ASKERS[] = {
    [DIALOGUE_SUBMIT] = "submit",
    [DIALOGUE_POLL] = "poll",
    [DIALOGUE_CANCEL] = "cancel",
};

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

void dialogue_fail(struct dialogue *dialogue, enum dialogue_end end, const char *note)
{
    struct dialogue_outcome outcome = {.end = end, .blob_file = -1};
    snprintf(dialogue->note, sizeof dialogue->note, "%s", note);
    finish(dialogue, &outcome);
}

void dialogue_fail_faulty(struct dialogue *dialogue, const char *what)
{
    char note[DIALOGUE_NOTE_SIZE];
    snprintf(note, sizeof note, "adapter \"%s\", %s: %.200s",
             adapter_name(dialogue->spec.channel->adapter), ASKERS[dialogue->spec.kind], what);
    dialogue_fail(dialogue, DIALOGUE_FAULT, note);
}

void dialogue_say(struct dialogue *dialogue, const struct adapter_outcome *said)
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

void dialogue_at_next_turn(struct dialogue *dialogue, void (*what)(struct dialogue *dialogue))
{
    dialogue->at_turn = what;
    loop_arm(dialogue->room->loop, &dialogue->turn, 0);
}

void dialogue_wait_for_room(struct dialogue *dialogue, void (*what)(struct dialogue *dialogue))
{
    dialogue->at_turn = what;
    loop_arm(dialogue->room->loop, &dialogue->turn, DIALOGUE_CROWDED_MS);
}

/* The spool has no place, or the like: trouble of ours, told as any other. */
static void fail_late(struct dialogue *dialogue)
{
    struct dialogue_outcome outcome = {.end = DIALOGUE_TROUBLE, .blob_file = -1};
    finish(dialogue, &outcome); /* its note is there already */
}

void dialogue_fail_soon(struct dialogue *dialogue, const char *what, int fault)
{
    snprintf(dialogue->note, sizeof dialogue->note, "%s: %s", what, strerror(-fault));
    dialogue_at_next_turn(dialogue, fail_late);
}

/* ---- making the request ---- */

static void tell_ready(struct dialogue *dialogue)
{
    dialogue->spec.ready(dialogue->spec.context);
}

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
    return dialogue->wanted == 0 ? dialogue_memory_file(&dialogue->body)
                                 : dialogue_spool_file(dialogue, &dialogue->body);
}

static void make_request(struct dialogue *dialogue);

/* Nothing has left without a token: the upstream knows nothing of it. That the account is not taken is said as an adapter
 * says it of a key. */
static void fail_without_token(struct dialogue *dialogue, const struct token_outcome *outcome)
{
    dialogue->retry_after_ms = outcome->retry_after_ms;
    if (!outcome->is_refused || dialogue->spec.kind != DIALOGUE_SUBMIT || dialogue->was_bought) {
        dialogue->status = 0;
        dialogue_fail(dialogue, DIALOGUE_TROUBLE, outcome->note);
        return;
    }
    CLEANUP(json_unref_pointer) json_t *result = json_object();
    json_t *error = json_object();
    json_set_text(error, "code", "no_token");
    json_set_text(error, "message", outcome->note);
    json_set_text(error, "kind", "auth");
    json_set(result, "error", error);
    dialogue_say(dialogue, &(struct adapter_outcome){.result = result});
}

static void on_token(void *context, const struct token_outcome *outcome)
{
    struct dialogue *dialogue = context;
    dialogue->token = NULL;
    if (outcome->is_granted) {
        make_request(dialogue);
    } else {
        fail_without_token(dialogue, outcome);
    }
}

static void wait_for_token(struct dialogue *dialogue)
{
    const struct token_query query = {
        .channel = dialogue->spec.channel,
        .identity = dialogue->spec.identity,
        .done = on_token,
        .context = dialogue,
    };
    if (tokens_wait(dialogue->room->tokens, &query, &dialogue->token) < 0) {
        dialogue_wait_for_room(dialogue, make_request);
    }
}

static void make_request(struct dialogue *dialogue)
{
    const struct dialogue_spec *spec = &dialogue->spec;
    struct channel_credential identity = *spec->identity;
    struct request_image images[TASK_IMAGES_MAX];
    char wrong[REQUEST_ERROR_SIZE];
    if (identity.account) {
        identity.token = tokens_at_hand(dialogue->room->tokens, spec->channel, spec->identity);
        if (!identity.token) {
            wait_for_token(dialogue);
            return;
        }
    }
    gather_images(dialogue, images);
    drop_request(dialogue);
    int fault = make_body_file(dialogue);
    if (fault < 0) {
        dialogue_fail_soon(dialogue, "the request cannot be written", fault);
        return;
    }
    dialogue->has_request = request_make(dialogue->asked, spec->channel, &identity, images,
                                         spec->task->request->n_images, dialogue->body,
                                         clock_wall_ms() / 1000, &dialogue->request, wrong);
    if (!dialogue->has_request) {
        dialogue_fail_faulty(dialogue, wrong);
        return;
    }
    dialogue->request.buys = dialogue->request.buys && spec->kind == DIALOGUE_SUBMIT;
    if (dialogue->request.buys && !dialogue->is_cleared) {
        dialogue_at_next_turn(dialogue, tell_ready);
    } else {
        dialogue_send(dialogue);
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
        dialogue_fail_faulty(dialogue, wrong);
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
        dialogue_fail(dialogue, DIALOGUE_FAULT, said->fault);
    } else if (json_is_null(said->result) || json_object_get(said->result, "error")) {
        dialogue_say(dialogue, said); /* cannot, or will not */
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

void dialogue_ask(struct dialogue *dialogue)
{
    if (recall(dialogue)) {
        dialogue_at_next_turn(dialogue, bring_images);
        return;
    }
    CLEANUP(json_unref_pointer) json_t *input = dialogue_input(dialogue);
    int fault = dialogue_call(dialogue, ASKERS[dialogue->spec.kind], input, -1, on_asked);
    if (fault == -EAGAIN) {
        dialogue_wait_for_room(dialogue, dialogue_ask);
    } else if (fault < 0) {
        dialogue_fail_soon(dialogue, "the adapter cannot be asked", fault);
    }
}

/* ---- the door ---- */

void dialogue_go(struct dialogue *dialogue)
{
    must(dialogue->has_request && !dialogue->is_cleared);
    dialogue->is_cleared = true;
    dialogue_send(dialogue);
}

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
    dialogue_ask(dialogue);
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
    token_wait_stop(dialogue->token);
    drop_request(dialogue);
    json_decref(dialogue->asked);
    json_decref(dialogue->told);
    json_decref(dialogue->keep);
    json_decref(dialogue->spec.input);
    dialogue_drop_answer(dialogue);
    close_fd(&dialogue->body);
    close_fd(&dialogue->blobs);
    task_unref(dialogue->spec.task);
    free(dialogue);
    return NULL;
}
