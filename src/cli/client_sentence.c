/* SPDX-License-Identifier: Apache-2.0
 *
 * A table for the ways in which no answer comes, and a few rules for answers that are not what was
 * hoped for. Sentences name the URL that was tried, because a wrong one is the usual reason. */
#include "cli/client_sentence.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum {
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    NOT_FOUND = 404,
    SERVICE_UNAVAILABLE = 503,
    TOO_MANY = 429
};

static const char NOT_FILMGATE[] = "not_filmgate";
static const char ASK_URL[] = "Is the URL right? --url or FILMGATE_URL says where the gateway is.";

struct silence {
    CURLcode reason;
    const char *code;
    const char *predicate; /* of «the gateway at URL» */
    const char *hint;
};

static const struct silence SILENCES[] = {
    {CURLE_COULDNT_CONNECT, "connection_refused", "does not answer",
     "`filmgate serve` starts a gateway; --url or FILMGATE_URL names another one."},
    {CURLE_COULDNT_RESOLVE_HOST, "unknown_host", "has a host name that is not known", ASK_URL},
    {CURLE_OPERATION_TIMEDOUT, "timeout", "did not answer in time",
     "Is the URL right, and does a firewall let it through? The gateway's log may say more."},
    {CURLE_SSL_CONNECT_ERROR, "tls_failed", "takes no TLS connection",
     "Does it speak TLS at all? A gateway without a proxy before it is reached by http://."},
    {CURLE_PEER_FAILED_VERIFICATION, "tls_untrusted", "shows a certificate that is not trusted",
     "Is the host's name the one of the certificate, and its issuer known to this machine?"},
    {CURLE_GOT_NOTHING, "no_answer", "closed the connection without an answer",
     "Is it a gateway, and is it http:// or https:// that it speaks?"},
    {CURLE_UNSUPPORTED_PROTOCOL, NOT_FILMGATE, "is no HTTP server", ASK_URL},
    {CURLE_WEIRD_SERVER_REPLY, NOT_FILMGATE, "is no HTTP server", ASK_URL},
};

static const struct silence *find_silence(CURLcode reason)
{
    static const struct silence other = {CURLE_OK, "unreachable", "broke the connection off",
                                         "Try again; the gateway's log may say more."};
    for (size_t i = 0; i < ARRAY_LENGTH(SILENCES); i++) {
        if (SILENCES[i].reason == reason)
            return &SILENCES[i];
    }
    return &other;
}

enum client_outcome client_sentence_of_silence(CURLcode reason, const char *words, const char *url,
                                               struct client_answer *answer)
{
    if (reason == CURLE_ABORTED_BY_CALLBACK) {
        snprintf(answer->sentence, CLIENT_SENTENCE_SIZE, "interrupted");
        return CLIENT_INTERRUPTED;
    }
    if (reason == CURLE_READ_ERROR) {
        snprintf(answer->sentence, CLIENT_SENTENCE_SIZE,
                 "a file could not be read while it was sent");
        return CLIENT_LOCAL;
    }
    const struct silence *silence = find_silence(reason);
    snprintf(answer->code, CLIENT_CODE_SIZE, "%s", silence->code);
    snprintf(answer->sentence, CLIENT_SENTENCE_SIZE, "the gateway at %.250s %s: %.230s", url,
             silence->predicate,
             words != NULL && *words != '\0' ? words : curl_easy_strerror(reason));
    snprintf(answer->hint, CLIENT_HINT_SIZE, "%s", silence->hint);
    return CLIENT_AWAY;
}

/* ---- answers ---- */

static enum client_outcome of_status(long status)
{
    return status >= 400 && status < 500 ? CLIENT_REFUSED : CLIENT_TROUBLE;
}

/* Not in the words of a filmgate: a proxy's page, another server, a wrong path. */
static enum client_outcome judge_stranger(const struct client_sentence_head *head,
                                          struct client_answer *answer)
{
    const char *type = head->type != NULL ? head->type : "of no type";
    snprintf(answer->code, CLIENT_CODE_SIZE, "%s", NOT_FILMGATE);
    if (head->location != NULL) {
        snprintf(answer->sentence, CLIENT_SENTENCE_SIZE, "%.250s leads elsewhere (%ld), to %.250s",
                 head->url, answer->status, head->location);
        snprintf(answer->hint, CLIENT_HINT_SIZE,
                 "Give the base URL that it leads to by --url or FILMGATE_URL.");
    } else {
        snprintf(answer->sentence, CLIENT_SENTENCE_SIZE,
                 "what %.250s answered (%ld, %.60s) is not an answer of a filmgate", head->url,
                 answer->status, type);
        snprintf(answer->hint, CLIENT_HINT_SIZE, "%s",
                 answer->status >= 500 ? "Is the gateway behind this proxy running?" : ASK_URL);
    }
    return of_status(answer->status);
}

static void advise(const struct client_sentence_head *head, struct client_answer *answer)
{
    const char *hint = "";
    if (answer->status == UNAUTHORIZED && !head->has_key)
        hint = "Set FILMGATE_KEY or give --key.";
    else if (answer->status == UNAUTHORIZED)
        hint =
            "`filmgate keys create --data DIR --name NAME` makes one; is that the data directory "
            "of this server?";
    else if (answer->status == FORBIDDEN && strcmp(answer->code, "forbidden") == 0)
        hint =
            "It takes an operator's key: `filmgate keys create --data DIR --name ops --operator` "
            "makes one.";
    else if (answer->status == NOT_FOUND && strcmp(answer->code, "not_found") == 0)
        hint = ASK_URL;
    snprintf(answer->hint, CLIENT_HINT_SIZE, "%s", hint);
    if ((answer->status == SERVICE_UNAVAILABLE || answer->status == TOO_MANY) &&
        answer->retry_after_s > 0)
        snprintf(answer->hint, CLIENT_HINT_SIZE, "The gateway asks to come back in %lld s.",
                 (long long)answer->retry_after_s);
}

enum client_outcome client_sentence_of_answer(const struct client_sentence_head *head,
                                              struct client_answer *answer)
{
    if (answer->status >= 200 && answer->status < 300 && json_is_object(answer->json))
        return CLIENT_OK;
    const char *message = answer->json != NULL ? json_text(answer->json, "message") : NULL;
    const char *code = answer->json != NULL ? json_text(answer->json, "code") : NULL;
    if (message == NULL || code == NULL || answer->status < 400)
        return judge_stranger(head, answer);
    snprintf(answer->code, CLIENT_CODE_SIZE, "%s", code);
    snprintf(answer->sentence, CLIENT_SENTENCE_SIZE, "%ld %.60s: %.400s", answer->status, code,
             message);
    advise(head, answer);
    return of_status(answer->status);
}
