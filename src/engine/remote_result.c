/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing a result home. What the upstream named (outputs) stands in the task's record, so that a restart goes on from
 * here. A download that breaks off is gone on with where it broke, if the file can be shown to be the same; a link that
 * has died is named anew by another poll, where the upstream does that. The job is paid: nothing here gives up while there
 * is a way, and nothing here buys it again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "engine/remote_own.h"

enum { VALIDATOR_MAX = 255, RANGE_SIZE = 40 };

static void bring(struct remote *remote);

/* ---- what was cut out of an answer ---- */

void remote_drop_blobs(struct remote *remote)
{
    if (remote->blobs) {
        close_fd(&remote->blobs->file);
        free(TAKE(remote->blobs));
    }
}

void remote_keep_blobs(struct remote *remote, const struct dialogue_outcome *outcome)
{
    if (outcome->n_blobs == 0 || (remote->blobs && outcome->blob_file == remote->blobs->file)) {
        return;
    }
    int file = fcntl(outcome->blob_file, F_DUPFD_CLOEXEC, 0);
    remote_drop_blobs(remote);
    if (file >= 0) {
        remote->blobs = must_calloc(1, sizeof *remote->blobs);
        remote->blobs->file = file;
        remote->blobs->n = outcome->n_blobs;
        memcpy(remote->blobs->list, outcome->blobs, outcome->n_blobs * sizeof *outcome->blobs);
    }
}

void remote_hold(struct remote *remote, const json_t *polled,
                 const struct dialogue_outcome *outcome)
{
    if (json_is_object(polled)) {
        remote_keep_blobs(remote, outcome);
        remote->held = json_deep_copy(polled);
    }
}

/* ---- ends ---- */

static void tell_failure(struct remote *remote, enum task_failure failure, const char *note)
{
    remote_tell(remote,
                &(struct task_event){.kind = TASK_EVENT_FAILED, .failure = failure, .note = note});
}

static void lose(struct remote *remote, const char *why)
{
    remote_explain(remote, LOG_ERROR, "the result cannot be had", why);
    tell_failure(remote, TASK_FAILURE_RESULT_LOST, NULL);
}

static void ask_anew(struct remote *remote, const char *why)
{
    if (remote->fetch->n_renewals >= REMOTE_RENEWALS) {
        lose(remote, why);
        return;
    }
    remote->fetch->n_downloads = 0;
    remote_note(remote, LOG_WARN, "the result is asked for anew", why);
    remote_poll_soon(remote, ++remote->fetch->n_renewals);
}

/* The link has died: another poll names it anew, where the upstream does that. */
static void renew(struct remote *remote, const char *why)
{
    if (remote->channel->renews_result) {
        ask_anew(remote, why);
    } else {
        lose(remote, why);
    }
}

/* ---- the result in the store ---- */

static void store_again(struct remote *remote);

static void on_result(void *context, const struct result_outcome *outcome)
{
    struct remote *remote = context;
    if (outcome->result) {
        remote_tell(remote,
                    &(struct task_event){.kind = TASK_EVENT_STORED, .result = *outcome->result});
        return;
    }
    remote->fetch->result = result_stop(remote->fetch->result, false);
    bool is_patient =
        outcome->failure == TASK_FAILURE_STORAGE || remote->fetch->n_stores < REMOTE_STORE_TRIES;
    if (outcome->may_retry && is_patient) {
        remote_retry(remote, store_again, ++remote->fetch->n_stores);
    } else {
        remote_explain(remote, LOG_ERROR, "the result cannot be kept", outcome->reason);
        tell_failure(remote, outcome->failure, outcome->note);
    }
}

static void store_again(struct remote *remote)
{
    const struct result_handler handler = {on_result, remote};
    remote->fetch->result =
        result_start(remote->room, remote->task, remote->fetch->video, &handler);
}

/* ---- the download ---- */

static void drop_request(struct remote *remote)
{
    if (remote->fetch->request) {
        request_fini(remote->fetch->request);
        free(TAKE(remote->fetch->request));
    }
}

static void begin_anew(struct remote *remote)
{
    remote->fetch->video_bytes = 0;
    free(TAKE(remote->fetch->validator));
    (void)!ftruncate(remote->fetch->video, 0);
}

/* Only a strong validator shows that the rest belongs to the beginning (RFC 9110, 13.1.5). */
static void note_validator(struct remote *remote, const struct exchange_answer *answer)
{
    const char *etag = exchange_answer_value(answer, "etag");
    bool is_fit = etag && etag[0] == '"' && strlen(etag) <= VALIDATOR_MAX;
    free(TAKE(remote->fetch->validator));
    remote->fetch->validator = is_fit ? must_strdup(etag) : NULL;
}

/* An outage of an hour costs an hour: it is waited for until the deadline, and while the link lives. */
static void wait_for_upstream(struct remote *remote, const char *why)
{
    remote_note(remote, LOG_WARN, "the result is out of reach", why);
    remote_judge_unreached(remote, ++remote->fetch->n_unreached, why);
    remote_retry(remote, bring, remote->fetch->n_unreached);
}

static void on_broken(struct remote *remote, const struct exchange_answer *answer)
{
    if (answer->status == 200) {
        note_validator(remote, answer);
        remote->fetch->video_bytes = answer->body_bytes;
    } else if (answer->status == 206) {
        remote->fetch->video_bytes += answer->body_bytes;
    }
    if (answer->end == EXCHANGE_TOO_LARGE) {
        tell_failure(remote, TASK_FAILURE_OUTPUT_TOO_LARGE, NULL);
    } else if (answer->end == EXCHANGE_FORBIDDEN) {
        char told[EXCHANGE_TOLD_SIZE];
        exchange_tell_operator(answer->note, answer->blocked, "fetch.allow", told);
        lose(remote, told);
    } else if (!answer->has_headers) {
        wait_for_upstream(remote, answer->note);
    } else if (++remote->fetch->n_downloads >= REMOTE_DOWNLOAD_TRIES) {
        renew(remote, answer->note);
    } else {
        remote_note(remote, LOG_WARN, "a download broke off", answer->note);
        remote_retry(remote, bring, remote->fetch->n_downloads);
    }
}

/* A part that is not the rest of what is here is worth nothing. */
static bool is_whole(const struct remote *remote, const struct exchange_answer *answer)
{
    const char *range = exchange_answer_value(answer, "content-range");
    char wanted[48];
    if (answer->status == 200) {
        return true;
    }
    int length =
        snprintf(wanted, sizeof wanted, "bytes %lld-", (long long)remote->fetch->video_bytes);
    return answer->status == 206 && range && strncmp(range, wanted, (size_t)length) == 0;
}

static void on_refused(struct remote *remote, const struct exchange_answer *answer)
{
    char why[80];
    snprintf(why, sizeof why, "its link answered with status %ld", answer->status);
    begin_anew(remote);
    if (exchange_is_passing(answer->status)) {
        wait_for_upstream(remote, why);
    } else if (!remote->channel->renews_result &&
               ++remote->fetch->n_downloads < REMOTE_REFUSED_TRIES) {
        remote_note(remote, LOG_WARN, "a download was put off", why);
        remote_retry(remote, bring, remote->fetch->n_downloads);
    } else {
        renew(remote, why);
    }
}

static void on_downloaded(void *context, const struct exchange_answer *answer)
{
    struct remote *remote = context;
    bool was_resumed = remote->fetch->video_bytes > 0;
    remote->fetch->download = NULL;
    if (answer->status == 401 && remote->identity->account) {
        tokens_note_refusal(remote->room->tokens, remote->channel, remote->identity);
    }
    remote->fetch->n_unreached = answer->status / 100 == 2 ? 0 : remote->fetch->n_unreached;
    drop_request(remote);
    if (answer->status >= 300) {
        on_refused(remote, answer);
    } else if (was_resumed && answer->status == 200) {
        /* The whole file came where its rest should stand. */
        begin_anew(remote);
        remote_retry(remote, bring, ++remote->fetch->n_downloads);
    } else if (answer->end != EXCHANGE_DONE) {
        on_broken(remote, answer);
    } else if (!is_whole(remote, answer)) {
        begin_anew(remote);
        renew(remote, "its link answered with another part than the one asked for");
    } else {
        remote->fetch->video_bytes += answer->body_bytes;
        store_again(remote);
    }
}

/* Adds Range and If-Range to the request's headers, which have room for two more. How many there are then. */
static size_t add_range(const struct remote *remote, struct exchange_header *headers,
                        size_t n_headers, char range[RANGE_SIZE])
{
    if (remote->fetch->video_bytes > 0 && remote->fetch->validator) {
        snprintf(range, RANGE_SIZE, "bytes=%lld-", (long long)remote->fetch->video_bytes);
        headers[n_headers++] = (struct exchange_header){"Range", range};
        headers[n_headers++] = (struct exchange_header){"If-Range", remote->fetch->validator};
    }
    return n_headers;
}

static int send_request(struct remote *remote)
{
    struct exchange_header headers[EXCHANGE_HEADERS_MAX];
    char range[RANGE_SIZE];
    const struct request *request = remote->fetch->request;
    const struct settings *settings = remote->room->settings;
    if (request->n_headers + 2 > EXCHANGE_HEADERS_MAX) {
        return -E2BIG;
    }
    memcpy(headers, request->headers, request->n_headers * sizeof *headers);
    /* Nothing is left of the bound when it broke off just there: then from the beginning, too. */
    if (!remote->fetch->validator || remote->fetch->video_bytes >= settings->upstream_result) {
        begin_anew(remote);
    }
    size_t n_headers = add_range(remote, headers, request->n_headers, range);
    const struct exchange_request exchange = {
        .method = request->method,
        .url = request->url,
        .headers = headers,
        .n_headers = n_headers,
        .body = -1,
        .sink = remote->fetch->video,
        .sink_offset = remote->fetch->video_bytes,
        .max_bytes = settings->upstream_result - remote->fetch->video_bytes,
        .connect_ms = remote->channel->connect_ms,
        .total_ms = settings->upstream_download,
        .max_redirects = request->max_redirects,
        .secrets = request->secrets,
        .road = &remote->channel->road,
        /* Where the operator sent us we go; where an answer sends us only if it is a public place. */
        .guard = request_is_home(remote->channel, request->url) ? NULL : remote->room->guard,
        .guard_away = remote->room->guard,
        .done = on_downloaded,
        .context = remote,
    };
    return exchange_send(remote->room->exchanges, &exchange, &remote->fetch->download);
}

/* ---- what the upstream named ---- */

enum { URL_REDIRECTS = 5 };

/* The first output as a request. What it does not say of the credential is true of a request, as of any other of this
 * upstream, and of a URL what the adapter says of its results. */
static json_t *request_spec(const struct channel *channel, const json_t *output, bool *ret_has_auth)
{
    json_t *request = json_object_get(output, "request");
    *ret_has_auth = json_flag(output, "auth", request != NULL || channel->result_needs_auth);
    if (request) {
        return json_incref(request);
    }
    json_t *spec = json_object();
    json_set_text(spec, "method", "GET");
    json_set_text(spec, "url", json_text(output, "url"));
    json_set(spec, "redirects", json_integer(URL_REDIRECTS));
    return spec;
}

static void on_token(void *context, const struct token_outcome *outcome)
{
    struct remote *remote = context;
    remote->fetch->token = NULL;
    if (outcome->is_granted) {
        bring(remote);
    } else {
        wait_for_upstream(remote, outcome->note);
    }
}

/* What goes along with a download. False: its token is to come first, and is waited for. */
static bool take_identity(struct remote *remote, struct channel_credential *identity)
{
    const struct token_query query = {remote->channel, remote->identity, on_token, remote};
    *identity = *remote->identity;
    if (!identity->account) {
        return true;
    }
    remote->fetch->token = token_wait_stop(remote->fetch->token);
    identity->token = tokens_at_hand(remote->room->tokens, remote->channel, remote->identity);
    if (!identity->token && tokens_wait(remote->room->tokens, &query, &remote->fetch->token) < 0) {
        wait_for_upstream(remote, "too many wait for its access token");
    }
    return identity->token != NULL;
}

static void download(struct remote *remote, const json_t *output)
{
    bool has_auth;
    struct channel_credential identity;
    char wrong[REQUEST_ERROR_SIZE];
    CLEANUP(json_unref_pointer) json_t *spec = request_spec(remote->channel, output, &has_auth);
    const char *url = json_text(spec, "url");
    if (url && !request_is_home(remote->channel, url)) {
        has_auth = false; /* the credential goes to its own hosts only */
    }
    if (has_auth && !take_identity(remote, &identity)) {
        return;
    }
    struct request made;
    const struct channel_credential *sent = has_auth ? &identity : NULL;
    int64_t now_s = clock_wall_ms() / 1000;
    if (!request_make(spec, remote->channel, sent, NULL, 0, -1, now_s, &made, wrong)) {
        lose(remote, wrong);
        return;
    }
    remote->fetch->request = must_calloc(1, sizeof *remote->fetch->request);
    *remote->fetch->request = made;
    int fault = request_sign(remote->fetch->request, remote->channel, sent, -1, now_s);
    if (fault == 0) {
        fault = send_request(remote);
    }
    if (fault < 0) {
        drop_request(remote);
        remote_note(remote, LOG_ERROR, "a download cannot begin", strerror(-fault));
        remote_retry(remote, bring, ++remote->fetch->n_unreached);
    }
}

static int copy_range(int from, const struct adapter_blob *blob, int to)
{
    off_t in = blob->offset, out = 0;
    int64_t left = blob->bytes;
    while (left > 0) {
        ssize_t n = copy_file_range(from, &in, to, &out, (size_t)left, 0);
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        left -= n;
    }
    return 0;
}

static void take_blob(struct remote *remote, int64_t number)
{
    const struct remote_blobs *blobs = remote->blobs;
    if (number < 0 || !blobs || (size_t)number >= blobs->n) {
        /* It went with the process that had it. */
        ask_anew(remote, "it came within an answer that is not at hand any more");
        return;
    }
    begin_anew(remote);
    int fault = copy_range(blobs->file, &blobs->list[number], remote->fetch->video);
    if (fault < 0) {
        remote_note(remote, LOG_ERROR, "the result cannot be kept", strerror(-fault));
        remote_retry(remote, bring, ++remote->fetch->n_unreached);
        return;
    }
    store_again(remote);
}

/* Nothing new is begun by a process that ends: what the record names is brought home after the next start. */
static void bring(struct remote *remote)
{
    if (remote->room->is_closing) {
        return;
    }
    const struct attempt_job *job = remote->task->attempt.job;
    CLEANUP(json_unref_pointer)
    json_t *outputs = job && job->outputs ? json_loads(job->outputs, 0, NULL) : NULL;
    const json_t *output = json_array_get(outputs, 0);
    const json_t *blob = json_object_get(output, "blob");
    if (remote->fetch->video < 0 &&
        asset_spool_file(remote->room->assets, &remote->fetch->video) < 0) {
        remote->fetch->video = -1;
        remote_retry(remote, bring, ++remote->fetch->n_unreached);
    } else if (blob) {
        take_blob(remote, json_int(blob, "$blob", -1));
    } else if (json_text(output, "url") || json_object_get(output, "request")) {
        download(remote, output);
    } else {
        lose(remote, "the adapter named neither a URL nor a request nor a blob");
    }
}

void remote_store(struct remote *remote, const struct task *task)
{
    remote_take(remote, task);
    if (!remote->fetch) {
        remote->fetch = must_calloc(1, sizeof *remote->fetch);
        remote->fetch->video = -1;
    }
    remote_later(remote, bring, 0);
}

bool remote_is_bringing(const struct remote *remote)
{
    return remote->fetch && (remote->fetch->download || remote->fetch->result);
}

void remote_halt_result(struct remote *remote, bool is_kept)
{
    if (!remote->fetch) {
        return;
    }
    remote->fetch->download = exchange_stop(remote->fetch->download);
    remote->fetch->token = token_wait_stop(remote->fetch->token);
    drop_request(remote);
    remote->fetch->result = result_stop(remote->fetch->result, is_kept);
    close_fd(&remote->fetch->video);
    free(remote->fetch->validator);
    free(TAKE(remote->fetch));
}
