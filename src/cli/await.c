/* SPDX-License-Identifier: Apache-2.0
 *
 * The task itself ends by its own deadline; what is bounded here is how long a gateway may be away.
 * One thread. */
#include "cli/await.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/progress.h"

enum {
    FIRST_PAUSE_MS = 250,
    PAUSE_MS = 1000,
    AWAY_MS = 60000, /* a restart of the gateway is not the end of waiting */
    PATH_BYTES = 4096,
    TOO_MANY = 429,
    SERVER_ERROR = 500,
};

enum client_outcome await_query(struct client *client, const char *id,
                                struct client_answer *ret_answer)
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_puts(&path, "/v1/video/query?id=");
    buf_percent_encode(&path, id, "");
    const struct client_call call = {.path = buf_text(&path)};
    return client_call(client, &call, ret_answer);
}

/* `success` is what a gateway says instead to clients of some models. */
static bool has_completed(const json_t *view)
{
    const char *status = json_text(view, "status");
    return status != NULL && (strcmp(status, "completed") == 0 || strcmp(status, "success") == 0);
}

static bool has_ended(const json_t *view)
{
    const char *status = json_text(view, "status");
    return has_completed(view) || (status != NULL && strcmp(status, "failed") == 0);
}

static void show(struct progress *progress, const json_t *view)
{
    char word[40] = "waiting";
    double fraction = json_number(view, "progress", 0) / 100;
    const json_t *info = json_object_get(json_object_get(view, "detail"), "pending_info");
    const char *status = info != NULL ? json_text(info, "status") : NULL;
    long long place = info != NULL ? json_int(info, "progress_pos_in_queue", 0) : 0;
    if (status != NULL && strcmp(status, "processing") == 0)
        snprintf(word, sizeof(word), "processing");
    else if (place > 0)
        snprintf(word, sizeof(word), "queued, place %lld", place);
    else if (status != NULL && strcmp(status, "queued") == 0)
        snprintf(word, sizeof(word), "queued");
    if (info != NULL)
        fraction = json_number(info, "progress_pct", fraction);
    progress_show(progress, fraction, word, clock_mono_ms());
}

/* Is this a failure to wait out? Anything but a plain refusal or a stranger's answer, as long as
 * it is new. */
static bool can_wait_out(enum client_outcome outcome, const struct client_answer *answer,
                         int64_t away_ms)
{
    if (outcome == CLIENT_REFUSED)
        return answer->status == TOO_MANY;
    if (outcome == CLIENT_TROUBLE && answer->status < SERVER_ERROR)
        return false;
    return (outcome == CLIENT_AWAY || outcome == CLIENT_TROUBLE) && away_ms < AWAY_MS;
}

static int give_up(struct progress *progress, const struct client *client,
                   enum client_outcome outcome, const struct client_answer *answer, const char *id)
{
    progress_clear(progress);
    if (outcome == CLIENT_REFUSED)
        return client_complain(outcome, answer);
    CLEANUP(buf_fini) struct buf hint;
    buf_init(&hint, PATH_BYTES);
    buf_printf(&hint, "The task is not cancelled; go on with: filmgate watch --url %s %s",
               client_url(client), id);
    const struct cli_error error = {
        .exit_status = client_exit(outcome),
        .code = answer->code[0] != '\0' && outcome != CLIENT_INTERRUPTED ? answer->code : NULL,
        .hint = buf_text(&hint),
    };
    return cli_complain_error(&error, "%s",
                              outcome == CLIENT_INTERRUPTED ? "interrupted" : answer->sentence);
}

/* Somebody may be looking: once, the first time that no answer comes. */
static void say_away(struct progress *progress, const struct client_answer *answer, bool *has_said)
{
    if (*has_said)
        return;
    *has_said = true;
    progress_clear(progress);
    cli_note("%s; trying again, for a minute", answer->sentence);
}

int await_end(struct client *client, const char *id, const struct await_watcher *watcher,
              json_t **ret_view)
{
    struct progress progress;
    bool has_said = false;
    int64_t good_ms = clock_mono_ms();
    progress_init(&progress, stderr, good_ms);
    for (int64_t pause_ms = FIRST_PAUSE_MS;; pause_ms = PAUSE_MS) {
        CLEANUP(client_answer_fini) struct client_answer answer;
        enum client_outcome outcome = await_query(client, id, &answer);
        if (outcome == CLIENT_OK) {
            good_ms = clock_mono_ms();
            has_said = false;
            if (has_ended(answer.json)) {
                progress_clear(&progress);
                *ret_view = TAKE(answer.json);
                return CLI_OK;
            }
            if (watcher != NULL)
                watcher->see(watcher->context, answer.json);
            show(&progress, answer.json);
        } else if (!can_wait_out(outcome, &answer, clock_mono_ms() - good_ms)) {
            return give_up(&progress, client, outcome, &answer, id);
        } else {
            say_away(&progress, &answer, &has_said);
        }
        if (answer.retry_after_s > 0)
            pause_ms =
                answer.retry_after_s * 1000 < AWAY_MS ? answer.retry_after_s * 1000 : AWAY_MS;
        if (!client_pause(client, pause_ms))
            return give_up(&progress, client, CLIENT_INTERRUPTED, &answer, id);
    }
}

int await_verdict(const json_t *view)
{
    return has_completed(view) ? CLI_OK : CLI_TASK_FAILED;
}

void await_explain(const json_t *view)
{
    const json_t *error = json_object_get(view, "error");
    const char *message = error != NULL ? json_text(error, "message") : NULL;
    const char *code = error != NULL ? json_text(error, "code") : NULL;
    if (await_verdict(view) == CLI_OK)
        return;
    const struct cli_error tell = {.exit_status = CLI_TASK_FAILED, .code = code};
    cli_complain_error(&tell, "the task failed (%s): %s", code != NULL ? code : "unknown",
                       message != NULL ? message : "no reason was given");
}
