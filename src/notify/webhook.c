/* SPDX-License-Identifier: Apache-2.0
 *
 * The pure half of webhooks. What is signed is `id.timestamp.body`, so neither a body nor the time of
 * its sending can be changed on the way; which secrets sign is the caller's, and all of them do, so
 * that a receiver may hold the old or the new one while they are rotated. */
#include "notify/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/json.h"
#include "base/must.h"
#include "base/settings.h"

static const double jitter = 0.2; /* of a wait, to either side */

/* ---- the signature ---- */

void webhook_secret_text(const uint8_t secret[WEBHOOK_SECRET_BYTES],
                         char ret_text[WEBHOOK_SECRET_SIZE])
{
    static const char prefix[] = "whsec_";
    memcpy(ret_text, prefix, sizeof prefix);
    codec_base64_encode(secret, WEBHOOK_SECRET_BYTES, ret_text + sizeof prefix - 1);
}

void webhook_sign(const struct webhook_secrets *secrets, const char *id, int64_t timestamp_s,
                  const char *body, char ret_text[WEBHOOK_SIGNATURES_SIZE])
{
    size_t room = strlen(id) + strlen(body) + 32;
    CLEANUP(free_pointer) char *content = must_calloc(1, room);
    int length = snprintf(content, room, "%s.%" PRId64 ".%s", id, timestamp_s, body);
    must(secrets->count >= 1 && secrets->count <= WEBHOOK_SECRETS_MAX);
    must(length > 0 && (size_t)length < room);
    char *end = ret_text;
    for (size_t i = 0; i < secrets->count; i++) {
        uint8_t mac[CRYPT_SHA256_SIZE];
        const char *mark = i > 0 ? " v1," : "v1,";
        crypt_hmac_sha256(secrets->bytes[i], WEBHOOK_SECRET_BYTES, content, (size_t)length, mac);
        memcpy(end, mark, strlen(mark));
        end += strlen(mark);
        codec_base64_encode(mac, sizeof mac, end);
        end += codec_base64_length(sizeof mac);
    }
}

/* ---- when to try again ---- */

bool webhook_schedule_read(const char *const *items, size_t n_items,
                           struct webhook_schedule *ret_schedule,
                           char ret_error[WEBHOOK_ERROR_SIZE])
{
    enum { LONGEST_MS = 7 * 24 * 3600 * 1000 };
    struct webhook_schedule schedule = {.n_waits = n_items};
    if (n_items > WEBHOOK_WAITS_MAX) {
        snprintf(ret_error, WEBHOOK_ERROR_SIZE, "at most %d waits, not %zu", WEBHOOK_WAITS_MAX,
                 n_items);
        return false;
    }
    for (size_t i = 0; i < n_items; i++) {
        if (!settings_parse_span(items[i], &schedule.waits_ms[i]) || schedule.waits_ms[i] < 0 ||
            schedule.waits_ms[i] > LONGEST_MS) {
            snprintf(ret_error, WEBHOOK_ERROR_SIZE,
                     "\"%.40s\" must be a time (like 30s) of at most 7d", items[i]);
            return false;
        }
    }
    *ret_schedule = schedule;
    return true;
}

int64_t webhook_wait_ms(const struct webhook_schedule *schedule, int n_tries, double dice,
                        int64_t retry_after_ms)
{
    must(n_tries >= 1 && dice >= 0 && dice <= 1);
    if ((size_t)n_tries > schedule->n_waits)
        return -1;
    int64_t planned_ms = schedule->waits_ms[n_tries - 1];
    int64_t wait_ms = planned_ms + (int64_t)((double)planned_ms * jitter * (2 * dice - 1));
    if (retry_after_ms > WEBHOOK_RETRY_AFTER_MAX_MS)
        retry_after_ms = WEBHOOK_RETRY_AFTER_MAX_MS;
    return retry_after_ms > wait_ms ? retry_after_ms : wait_ms;
}

/* ---- what an answer means ---- */

enum webhook_verdict webhook_judge(bool has_headers, long status)
{
    enum { GONE = 410 };
    if (!has_headers)
        return WEBHOOK_FAILED;
    if (status >= 200 && status < 300)
        return WEBHOOK_DELIVERED;
    return status == GONE ? WEBHOOK_GONE : WEBHOOK_FAILED;
}

bool webhook_heeds_retry_after(long status)
{
    return status == 429 || status == 503;
}

/* ---- when to leave a receiver alone ---- */

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

void webhook_breaker_note(struct webhook_breaker *breaker, bool is_good, int64_t now_ms,
                          int64_t first_rest_ms, int64_t retry_after_ms)
{
    if (is_good) {
        *breaker = (struct webhook_breaker){0};
        return;
    }
    int64_t rest_ms = 0;
    if (breaker->n_failures < WEBHOOK_BREAK_AFTER)
        breaker->n_failures++;
    if (breaker->n_failures == WEBHOOK_BREAK_AFTER) {
        rest_ms = breaker->rest_ms > 0 ? 2 * breaker->rest_ms : first_rest_ms;
        rest_ms = breaker->rest_ms = at_most(rest_ms, WEBHOOK_REST_MAX_MS);
    }
    if (retry_after_ms > rest_ms)
        rest_ms = at_most(retry_after_ms, WEBHOOK_REST_MAX_MS);
    breaker->rests_until_ms = now_ms + rest_ms;
}

/* ---- what an event says ---- */

/* Takes over `data`. */
static char *write_body(const char *event_id, const char *type, int64_t created_ms, json_t *data)
{
    CLEANUP(json_unref_pointer) json_t *event = json_object();
    must(event != NULL);
    json_set_text(event, "id", event_id);
    json_set_text(event, "object", "event");
    json_set(event, "created_at", json_integer(created_ms / 1000));
    json_set_text(event, "type", type);
    json_set(event, "data", data);
    char *text = json_dumps(event, JSON_WRITE_FLAGS);
    must(text != NULL);
    return text;
}

char *webhook_task_body(const char *event_id, const char *type, int64_t created_ms,
                        const struct task *task, const struct unified_view *view)
{
    json_t *data = unified_render_event(task, view);
    json_set_text(data, "object", "video");
    return write_body(event_id, type, created_ms, data);
}

char *webhook_test_body(const char *event_id, const char *type, int64_t created_ms,
                        const char *endpoint_id)
{
    json_t *data = json_object();
    must(data != NULL);
    json_set_text(data, "id", endpoint_id);
    json_set_text(data, "object", "webhook");
    return write_body(event_id, type, created_ms, data);
}
