/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls, streams and downloads, on one libcurl handle, one after the other. Those that change something get a
 * connection of their own, because libcurl silently repeats a request on a kept one that closed. libcurl's progress callback
 * looks for signals. One thread. */
#include "cli/client_own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "cli/client_sentence.h"

enum {
    ANSWER_BYTES = 64 * 1024 * 1024,
    CONNECT_MS = 10000,
    STREAM_SILENCE_MS = 60000, /* of a stream, whose heartbeats are more frequent */
    SILENCE_S = 120,           /* a server that moves nothing for so long is away */
    DOWNLOAD_MS = 6 * 60 * 60 * 1000,
    REDIRECTS = 3, /* of downloads */
    RETRY_AFTER_MOST_S = 3600,
};

/* ---- calls ---- */

static int on_transfer(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    const struct client *client = context;
    return client_is_interrupted(client, 0) ||
           (client->silent_ms != 0 && clock_mono_ms() >= client->silent_ms);
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct buf *body = context;
    buf_add(body, data, size * count);
    return body->overflowed ? 0 : size * count;
}

static void set_common(struct client *client, const char *url, long total_ms)
{
    CURL *curl = client->curl;
    curl_easy_reset(curl);
    client->curl_error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->curl_error);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, total_ms);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "filmgate/" FILMGATE_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_transfer);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(headers, line);
    must(longer != NULL);
    return longer;
}

static struct curl_slist *make_headers(const struct client *client, const struct client_call *call)
{
    struct curl_slist *headers = add_header(NULL, "Accept: application/json");
    if (client->authorization != NULL)
        headers = add_header(headers, client->authorization);
    if (call->json != NULL || call->text != NULL)
        headers = add_header(headers, "Content-Type: application/json");
    if (call->last_event_id != NULL) {
        CLEANUP(buf_fini) struct buf line;
        buf_init(&line, CLIENT_KEY_BYTES);
        buf_printf(&line, "Last-Event-ID: %s", call->last_event_id);
        headers = add_header(headers, buf_text(&line));
    }
    if (call->idempotency_key != NULL) {
        CLEANUP(buf_fini) struct buf line;
        buf_init(&line, CLIENT_KEY_BYTES);
        buf_printf(&line, "Idempotency-Key: %s", call->idempotency_key);
        headers = add_header(headers, buf_text(&line));
    }
    return headers;
}

/* False when a file cannot be read; `ret_answer` says which. */
static bool fill_mime(curl_mime *mime, const struct client_call *call,
                      struct client_answer *ret_answer)
{
    for (size_t i = 0; i < call->n_parts; i++) {
        const struct client_part *part = &call->parts[i];
        curl_mimepart *field = curl_mime_addpart(mime);
        must(field != NULL && curl_mime_name(field, part->name) == CURLE_OK);
        if (part->value != NULL) {
            must(curl_mime_data(field, part->value, CURL_ZERO_TERMINATED) == CURLE_OK);
        } else if (access(part->file, R_OK) != 0 ||
                   curl_mime_filedata(field, part->file) != CURLE_OK) {
            snprintf(ret_answer->sentence, CLIENT_SENTENCE_SIZE, "\"%.300s\" cannot be read: %s",
                     part->file, strerror(errno));
            return false;
        }
    }
    return true;
}

/* It was answered, or no connection to send it on came about. */
static bool has_not_got_lost(CURLcode code)
{
    return code == CURLE_OK || code == CURLE_COULDNT_CONNECT ||
           code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
}

/* The URL without its query, which may hold a signature. */
static void cut_query(const char *url, char ret_url[CLIENT_SENTENCE_SIZE])
{
    snprintf(ret_url, CLIENT_SENTENCE_SIZE, "%.*s", (int)strcspn(url, "?"), url);
}

static enum client_outcome judge(struct client *client, const struct buf *body,
                                 struct client_answer *answer)
{
    char url[CLIENT_SENTENCE_SIZE];
    char *called = NULL;
    char *type = NULL;
    char *location = NULL;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(client->curl, CURLINFO_EFFECTIVE_URL, &called);
    curl_easy_getinfo(client->curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(client->curl, CURLINFO_REDIRECT_URL, &location);
    if (retry_after > 0)
        answer->retry_after_s = retry_after < RETRY_AFTER_MOST_S ? retry_after : RETRY_AFTER_MOST_S;
    /* Our own server's answer: its size is bounded, the limits for requests do not apply. */
    answer->json = json_loadb(buf_text(body), body->length, JSON_REJECT_DUPLICATES, NULL);
    cut_query(called != NULL ? called : client->url, url);
    const struct client_sentence_head head = {url, type, location, client->authorization != NULL};
    return client_sentence_of_answer(&head, answer);
}

static enum client_outcome perform(struct client *client, struct client_answer *ret_answer)
{
    CLEANUP(buf_fini) struct buf body;
    buf_init(&body, ANSWER_BYTES);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl_easy_perform(client->curl);
    ret_answer->may_have_arrived = !has_not_got_lost(code);
    if (code != CURLE_OK)
        return client_sentence_of_silence(code, client->curl_error, client->url, ret_answer);
    return judge(client, &body, ret_answer);
}

static void set_post(struct client *client)
{
    curl_easy_setopt(client->curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(client->curl, CURLOPT_FORBID_REUSE, 1L);
}

static enum client_outcome perform_parts(struct client *client, const struct client_call *call,
                                         struct client_answer *ret_answer)
{
    curl_mime *mime = curl_mime_init(client->curl);
    must(mime != NULL);
    enum client_outcome outcome = CLIENT_LOCAL;
    if (fill_mime(mime, call, ret_answer)) {
        set_post(client);
        curl_easy_setopt(client->curl, CURLOPT_MIMEPOST, mime);
        outcome = perform(client, ret_answer);
    }
    curl_easy_setopt(client->curl, CURLOPT_MIMEPOST, NULL);
    curl_mime_free(mime);
    return outcome;
}

static enum client_outcome perform_text(struct client *client, const char *body, size_t length,
                                        struct client_answer *ret_answer)
{
    set_post(client);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, body);
    enum client_outcome outcome = perform(client, ret_answer);
    curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, NULL);
    return outcome;
}

static enum client_outcome perform_json(struct client *client, const json_t *json,
                                        struct client_answer *ret_answer)
{
    CLEANUP(free_pointer) char *body = json_dumps(json, JSON_WRITE_FLAGS);
    must(body != NULL);
    return perform_text(client, body, strlen(body), ret_answer);
}

enum client_outcome client_call(struct client *client, const struct client_call *call,
                                struct client_answer *ret_answer)
{
    *ret_answer = (struct client_answer){.retry_after_s = -1};
    CLEANUP(buf_fini) struct buf url;
    buf_init(&url, CLIENT_KEY_BYTES + 8192);
    buf_printf(&url, "%s%s", client->url, call->path);
    set_common(client, buf_text(&url), client->call_ms);
    struct curl_slist *headers = make_headers(client, call);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    if (call->method != NULL)
        curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, call->method);
    enum client_outcome outcome;
    if (call->method != NULL) /* it changes something, too */
        set_post(client);
    if (call->n_parts > 0)
        outcome = perform_parts(client, call, ret_answer);
    else if (call->json != NULL)
        outcome = perform_json(client, call->json, ret_answer);
    else if (call->text != NULL)
        outcome = perform_text(client, buf_text(call->text), call->text->length, ret_answer);
    else
        outcome = perform(client, ret_answer);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return outcome;
}

void client_answer_fini(struct client_answer *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
}

/* ---- streams ---- */

struct listener {
    struct client *client;
    void (*take)(void *context, const char *data, size_t length);
    void *context;
    struct buf other; /* an answer that is no stream */
};

static bool is_stream(CURL *curl)
{
    char *type = NULL;
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    return status == 200 && type != NULL && strncmp(type, "text/event-stream", 17) == 0;
}

static size_t on_piece(char *data, size_t size, size_t count, void *context)
{
    struct listener *listener = context;
    listener->client->silent_ms = clock_mono_ms() + STREAM_SILENCE_MS;
    if (!is_stream(listener->client->curl))
        return on_body(data, size, count, &listener->other);
    listener->take(listener->context, data, size * count);
    return size * count;
}

enum client_outcome client_stream(struct client *client, const struct client_call *call,
                                  void (*take)(void *context, const char *data, size_t length),
                                  void *context, struct client_answer *ret_answer)
{
    struct listener listener = {client, take, context, {0}};
    CLEANUP(buf_fini) struct buf url;
    *ret_answer = (struct client_answer){.retry_after_s = -1};
    buf_init(&url, CLIENT_KEY_BYTES + 8192);
    buf_init(&listener.other, ANSWER_BYTES);
    buf_printf(&url, "%s%s", client->url, call->path);
    set_common(client, buf_text(&url), 0);
    struct curl_slist *headers = make_headers(client, call);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 0L); /* a heartbeat is slow */
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_piece);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &listener);
    client->silent_ms = clock_mono_ms() + STREAM_SILENCE_MS;
    CURLcode code = curl_easy_perform(client->curl);
    client->silent_ms = 0;
    enum client_outcome outcome = CLIENT_OK;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    if (code == CURLE_ABORTED_BY_CALLBACK && !client_is_interrupted(client, 0))
        code = CURLE_OPERATION_TIMEDOUT;
    if (code != CURLE_OK)
        outcome = client_sentence_of_silence(code, client->curl_error, client->url, ret_answer);
    else if (!is_stream(client->curl) && ret_answer->status != 204)
        outcome = judge(client, &listener.other, ret_answer);
    buf_fini(&listener.other);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return outcome;
}

/* ---- downloads ---- */

struct sink {
    int fd;
    int error; /* errno of the write that failed */
};

static size_t on_file(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    size_t length = size * count;
    for (size_t done = 0; done < length;) {
        ssize_t n = write(sink->fd, data + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            sink->error = errno;
            return 0;
        }
        done += (size_t)n;
    }
    return length;
}

enum client_outcome client_download(struct client *client, const char *link, int fd,
                                    struct client_answer *ret_answer)
{
    struct sink sink = {.fd = fd};
    char url[CLIENT_SENTENCE_SIZE];
    *ret_answer = (struct client_answer){.retry_after_s = -1};
    set_common(client, link, DOWNLOAD_MS);
    curl_easy_setopt(client->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(client->curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(client->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(client->curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, on_file);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &sink);
    CURLcode code = curl_easy_perform(client->curl);
    if (code == CURLE_OK)
        return CLIENT_OK;
    if (sink.error != 0) {
        snprintf(ret_answer->sentence, CLIENT_SENTENCE_SIZE, "cannot be written: %s",
                 strerror(sink.error));
        return CLIENT_LOCAL;
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
        curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
        snprintf(ret_answer->sentence, CLIENT_SENTENCE_SIZE, "the link was answered with %ld",
                 ret_answer->status);
        return ret_answer->status >= 500 ? CLIENT_TROUBLE : CLIENT_REFUSED;
    }
    cut_query(link, url);
    return client_sentence_of_silence(code, client->curl_error, url, ret_answer);
}
