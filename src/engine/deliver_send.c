/* SPDX-License-Identifier: Apache-2.0
 *
 * One delivery of a webhook, from the outbox to the receiver and back:
 *
 *     take (row, secrets, body; a blocking thread) -> send (the loop) -> note (row and log; a blocking thread)
 *
 * A delivery leaves the outbox by its note alone, so whatever ends the process before that has it sent
 * again. The receiver is a stranger: the guard judges each address that is dialled, redirects are answers
 * like any other, and of what it says little is kept. */
#include "engine/deliver_own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asset/link.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/log.h"
#include "base/memory_file.h"
#include "base/must.h"

enum {
    FAULT_PAUSE_MS = 5 * 1000, /* of a lane, after a fault of ours */
    NOTE_RETRY_MS = 1000,
    ANSWER_READ_MAX = 64 * 1024, /* bytes of an answer's body before it is broken off */
    ANSWER_KEPT_MAX = 4096,
    NOTE_SIZE = 300,
    HEADERS = 5,
};

struct sending {
    struct lane *lane;
    struct blocking_job job; /* take, or note */
    struct store_delivery delivery;
    struct webhook_secrets secrets;
    int result;                /* of the job */
    int file;                  /* the body; -1: not open */
    struct exchange *exchange; /* NULL: none under way */
    int64_t began_ms, began_mono_ms;
    struct store_tried tried;
    char note[NOTE_SIZE];    /* why the delivery ended so */
    int64_t next_ms;         /* of the lane, after the note */
    struct loop_timer again; /* notes once more */
    struct sending *next;    /* on the list of all */
};

/* ---- the list ---- */

static void end_sending(struct sending *sending, int64_t due_ms)
{
    struct lane *lane = sending->lane;
    struct sending **link = &lane->deliver->sendings;
    while (*link != sending) {
        link = &(*link)->next;
    }
    *link = sending->next;
    lane->deliver->n_sendings--;
    loop_disarm(lane->deliver->parts.loop, &sending->again);
    close_fd(&sending->file);
    store_delivery_fini(&sending->delivery);
    store_try_fini(&sending->tried.try);
    free(sending);
    deliver_lane_is_free(lane, due_ms);
}

size_t sending_count(const struct deliver *deliver, const char *tenant)
{
    size_t count = 0;
    for (const struct sending *sending = deliver->sendings; sending; sending = sending->next) {
        count += strcmp(sending->lane->tenant, tenant) == 0;
    }
    return count;
}

void sending_stop_all(struct deliver *deliver)
{
    for (struct sending *sending = deliver->sendings, *next; sending; sending = next) {
        next = sending->next;
        if (sending->exchange || loop_is_armed(&sending->again)) {
            sending->exchange = exchange_stop(sending->exchange);
            end_sending(sending, INT64_MAX);
        }
    }
}

/* The store, or this machine, cannot: the lane waits for a moment. */
static void pause_lane(struct sending *sending, const char *what, int fault)
{
    struct lane *lane = sending->lane;
    if (!lane->deliver->is_closed) {
        log_warn("cannot %s, trying again: %s", what, strerror(abs(fault)));
    }
    lane->not_before_ms = clock_wall_ms() + FAULT_PAUSE_MS;
    end_sending(sending, lane->due_ms);
}

/* ---- take: on a thread of the pool ---- */

static char *render(const struct deliver_parts *parts, const struct store_delivery *delivery,
                    const struct task *task)
{
    const char *public_url = parts->settings->public_url;
    /* Else where the create, or the endpoint, came by. */
    const char *base = public_url[0] != '\0' ? public_url : delivery->base;
    struct link_signer signer;
    link_signer_init(&signer, &parts->link_keys->current, base, clock_wall_ms(),
                     parts->settings->links_valid_for);
    const struct unified_view view = {
        .link = link_signer_sign, .link_context = &signer, .user = "", .wait_s = -1};
    return webhook_task_body(delivery->event_id, delivery->type, task->ended_ms, task, &view);
}

/* The body, if it was not sent before. Stays NULL when there is no such task any more, or its owner deleted it. */
static int find_body(const struct deliver_parts *parts, struct store_delivery *delivery)
{
    const struct task *task = NULL;
    if (delivery->body) {
        return 0;
    }
    if (delivery->task_id[0] == '\0') {
        delivery->body = webhook_test_body(delivery->event_id, delivery->type, delivery->created_ms,
                                           delivery->endpoint);
        return 0;
    }
    int result = store_task(parts->store, delivery->task_id, &task);
    if (result == 0 && task->deleted_ms == 0) {
        delivery->body = render(parts, delivery, task);
    }
    task_unref(task);
    return result == STORE_NOT_FOUND ? 0 : result;
}

static int find_secrets(const struct deliver_parts *parts, const char *tenant, int64_t now_ms,
                        struct webhook_secrets *ret_secrets)
{
    struct store_secret found[STORE_SECRETS_MAX];
    size_t count = 0;
    _Static_assert((int)STORE_SECRETS_MAX == (int)WEBHOOK_SECRETS_MAX, "all of them sign");
    _Static_assert((int)STORE_SECRET_BYTES == (int)WEBHOOK_SECRET_BYTES, "as they are kept");
    int fault = store_secrets(parts->store, tenant, now_ms, found, &count);
    ret_secrets->count = fault == 0 ? count : 0;
    for (size_t i = 0; i < ret_secrets->count; i++) {
        memcpy(ret_secrets->bytes[i], found[i].bytes, WEBHOOK_SECRET_BYTES);
    }
    return fault;
}

static void take(struct blocking_job *job)
{
    struct sending *sending = CONTAINER_OF(job, struct sending, job);
    const struct lane *lane = sending->lane;
    const struct deliver_parts *parts = &lane->deliver->parts;
    int64_t now_ms = clock_wall_ms();
    int result =
        store_delivery_next(parts->store, lane->tenant, lane->url, now_ms, &sending->delivery);
    if (result == 0) {
        result = find_secrets(parts, lane->tenant, now_ms, &sending->secrets);
    }
    sending->result = result == 0 ? find_body(parts, &sending->delivery) : result;
}

/* ---- note ---- */

static void note(struct blocking_job *job)
{
    struct sending *sending = CONTAINER_OF(job, struct sending, job);
    sending->result = store_delivery_tried(sending->lane->deliver->parts.store, &sending->tried,
                                           &sending->next_ms);
}

static void submit_note(struct sending *sending);

static void on_again(struct loop_timer *timer)
{
    submit_note(CONTAINER_OF(timer, struct sending, again));
}

/* A note that fails is tried until it works: without it the same would be sent again and again. */
static void on_noted(struct blocking_job *job)
{
    struct sending *sending = CONTAINER_OF(job, struct sending, job);
    struct deliver *deliver = sending->lane->deliver;
    if (sending->result == 0 || deliver->is_closed) {
        end_sending(sending, sending->next_ms);
        return;
    }
    log_warn("cannot note what became of webhook %s, trying again: %s", sending->delivery.id,
             strerror(abs(sending->result)));
    loop_arm(deliver->parts.loop, &sending->again, NOTE_RETRY_MS);
}

static void submit_note(struct sending *sending)
{
    sending->job.work = note;
    sending->job.finish = on_noted;
    sending->again.fire = on_again;
    blocking_submit(sending->lane->deliver->blocking, &sending->job);
}

/* ---- what came of it ---- */

static double throw_dice(void)
{
    uint32_t number;
    crypt_random(&number, sizeof number);
    return (double)number / (double)UINT32_MAX;
}

/* The beginning of what the receiver said, made good UTF-8 without control characters; NULL: nothing. */
static char *keep_answer(const struct exchange_answer *answer)
{
    CLEANUP(buf_fini) struct buf kept;
    size_t length = answer->body ? (size_t)answer->body_bytes : 0; /* all of it is in memory */
    buf_init(&kept, ANSWER_KEPT_MAX);
    for (size_t at = 0; at < length && !kept.overflowed;) {
        uint32_t code;
        size_t step = codec_utf8_step(answer->body + at, length - at, &code);
        bool is_plain = (code >= 0x20 && code != 0x7f) || code == '\n' || code == '\t';
        if (code == 0xfffd && step == 1) {
            buf_puts(&kept, "\xef\xbf\xbd");
        } else if (is_plain) {
            buf_add(&kept, answer->body + at, step);
        } else {
            buf_putc(&kept, ' ');
        }
        at += step;
    }
    return kept.length > 0 ? buf_take(&kept) : NULL;
}

static char *explain(const struct exchange_answer *answer)
{
    char text[NOTE_SIZE];
    bool is_redirect = answer->has_headers && answer->status >= 300 && answer->status < 400;
    snprintf(text, sizeof text, "%.240s%s", answer->note,
             is_redirect ? ": redirects are not followed" : "");
    return must_strdup(text);
}

/* For the log; NULL: a test. */
static const char *task_of(const struct sending *sending)
{
    return sending->delivery.task_id[0] != '\0' ? sending->delivery.task_id : NULL;
}

static void settle_failure(struct sending *sending, const struct exchange_answer *answer,
                           int64_t retry_after_ms)
{
    struct store_tried *tried = &sending->tried;
    const struct deliver *deliver = sending->lane->deliver;
    int n_tries = tried->try.number;
    int64_t wait_ms = webhook_wait_ms(&deliver->schedule, n_tries, throw_dice(), retry_after_ms);
    tried->try.error = explain(answer);
    if (wait_ms >= 0) {
        tried->state = STORE_DELIVERY_WAITING;
        tried->next_ms = clock_wall_ms() + wait_ms;
        return;
    }
    tried->state = STORE_DELIVERY_GIVEN_UP;
    snprintf(sending->note, sizeof sending->note, "%d tries failed", n_tries);
    atomic_fetch_add(&deliver->parts.counts->webhooks_given_up, 1);
    char told[EXCHANGE_TOLD_SIZE];
    exchange_tell_operator(tried->try.error, answer->blocked, "webhooks.allow", told);
    log_task(LOG_WARN, task_of(sending), "webhook %s for tenant \"%s\" is given up: %s",
             sending->delivery.id, sending->lane->tenant, told);
}

static void settle_gone(struct sending *sending, const struct exchange_answer *answer)
{
    struct store_tried *tried = &sending->tried;
    tried->state = STORE_DELIVERY_DISABLED;
    tried->is_gone = true;
    tried->try.error = explain(answer);
    snprintf(sending->note, sizeof sending->note, "the receiver answered 410: it wants no more");
    log_task(LOG_WARN, task_of(sending),
             "webhook %s for tenant \"%s\": %s; its receiver is told nothing more",
             sending->delivery.id, sending->lane->tenant, answer->note);
}

static void on_answer(void *context, const struct exchange_answer *answer)
{
    struct sending *sending = context;
    const struct deliver_parts *parts = &sending->lane->deliver->parts;
    enum webhook_verdict verdict = webhook_judge(answer->has_headers, answer->status);
    bool is_good = verdict == WEBHOOK_DELIVERED;
    bool is_heeded = answer->has_headers && webhook_heeds_retry_after(answer->status);
    int64_t retry_after_ms = is_heeded ? answer->retry_after_ms : 0;
    struct store_try *try = &sending->tried.try;
    sending->exchange = NULL;
    try->took_ms = clock_mono_ms() - sending->began_mono_ms;
    try->status = answer->has_headers ? (int)answer->status : 0;
    try->answer = keep_answer(answer);
    if (is_good) {
        sending->tried.state = STORE_DELIVERY_DELIVERED;
    } else if (verdict == WEBHOOK_GONE) {
        settle_gone(sending, answer);
    } else {
        settle_failure(sending, answer, retry_after_ms);
    }
    atomic_fetch_add(is_good ? &parts->counts->webhooks_delivered : &parts->counts->webhooks_failed,
                     1);
    webhook_breaker_note(&sending->lane->breaker, is_good, clock_wall_ms(),
                         parts->settings->webhooks_rest, retry_after_ms);
    submit_note(sending);
}

/* ---- send ---- */

/* What is asked of the exchange when a body is longer than we read: nothing is kept of the rest. */
static int open_no_sink(void *context)
{
    (void)context;
    return -EFBIG;
}

static int send_now(struct sending *sending)
{
    static const struct exchange_road road = {0};
    const struct store_delivery *delivery = &sending->delivery;
    const struct deliver_parts *parts = &sending->lane->deliver->parts;
    char timestamp[32], signatures[WEBHOOK_SIGNATURES_SIZE];
    int64_t now_s = sending->began_ms / 1000;
    snprintf(timestamp, sizeof timestamp, "%" PRId64, now_s);
    webhook_sign(&sending->secrets, delivery->event_id, now_s, delivery->body, signatures);
    const struct exchange_header headers[HEADERS] = {
        {"Content-Type", "application/json; charset=utf-8"},
        {"User-Agent", "filmgate/" FILMGATE_VERSION " (webhooks)"},
        {"webhook-id", delivery->event_id},
        {"webhook-timestamp", timestamp},
        {"webhook-signature", signatures},
    };
    const struct exchange_request request = {
        .method = "POST",
        .url = sending->lane->url,
        .headers = headers,
        .n_headers = HEADERS,
        .body = sending->file,
        .body_bytes = (int64_t)strlen(delivery->body),
        .sink = -1,
        .open_sink = open_no_sink,
        .memory_bytes = ANSWER_READ_MAX,
        .max_bytes = ANSWER_READ_MAX,
        .connect_ms = parts->settings->webhooks_connect,
        .total_ms = parts->settings->webhooks_total,
        .is_fresh = true,
        .road = &road,
        .guard = parts->guard,
        .done = on_answer,
        .context = sending,
    };
    return exchange_send(parts->exchanges, &request, &sending->exchange);
}

/* Nothing can be sent: there is nothing to say any more. */
static void give_up_unsent(struct sending *sending)
{
    sending->tried.state = STORE_DELIVERY_GIVEN_UP;
    sending->tried.try.number = 0;
    snprintf(sending->note, sizeof sending->note, "the task is not there any more");
    submit_note(sending);
}

static void begin_try(struct sending *sending)
{
    const struct lane *lane = sending->lane;
    sending->began_ms = clock_wall_ms();
    sending->began_mono_ms = clock_mono_ms();
    sending->tried = (struct store_tried){
        .id = sending->delivery.id,
        .tenant = lane->tenant,
        .url = lane->url,
        .try = {.number = sending->delivery.tries + 1, .at_ms = sending->began_ms},
        .note = sending->note,
        .body = sending->delivery.body,
    };
    if (!sending->delivery.body) {
        give_up_unsent(sending);
        return;
    }
    const char *body = sending->delivery.body;
    sending->file = memory_file_new("filmgate-webhook", body, strlen(body));
    int fault = sending->file < 0 ? sending->file : 0;
    fault = fault < 0 ? fault : send_now(sending);
    if (fault < 0) {
        pause_lane(sending, "send a webhook", fault);
    }
}

static void on_taken(struct blocking_job *job)
{
    struct sending *sending = CONTAINER_OF(job, struct sending, job);
    struct lane *lane = sending->lane;
    if (lane->deliver->is_closed) {
        end_sending(sending, INT64_MAX);
    } else if (sending->result == 0) {
        begin_try(sending);
    } else if (sending->result == STORE_NOT_FOUND) { /* taken from the outbox meanwhile */
        lane->has_news = true;
        lane->not_before_ms = clock_wall_ms() + FAULT_PAUSE_MS;
        end_sending(sending, INT64_MAX);
    } else {
        pause_lane(sending, "read a webhook that is due", sending->result);
    }
}

void sending_begin(struct lane *lane)
{
    struct deliver *deliver = lane->deliver;
    struct sending *sending = must_calloc(1, sizeof *sending);
    sending->lane = lane;
    sending->file = -1;
    sending->next_ms = INT64_MAX;
    sending->job.work = take;
    sending->job.finish = on_taken;
    sending->next = deliver->sendings;
    deliver->sendings = sending;
    deliver->n_sendings++;
    lane->sending = sending;
    blocking_submit(deliver->blocking, &sending->job);
}
