/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials that are not sent but sign what is sent. A signature is good for some minutes, and a request may wait between
 * its making and its sending, so it is made last. The body is read back from the file that will be sent, a piece at a time,
 * once: nobody writes to it any more. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/codec.h"
#include "net/volcengine.h"
#include "upstream/request_part.h"

enum { PIECE_SIZE = 16 * 1024, AUTHORIZATION_MAX = 8 * 1024 };

/* 0 or negative errno; a file that is shorter than the body is -EIO. */
static int add_body(struct crypt_sha256 *sha, int body, int64_t bytes)
{
    char piece[PIECE_SIZE];
    for (int64_t at = 0; at < bytes;) {
        size_t length = bytes - at < PIECE_SIZE ? (size_t)(bytes - at) : PIECE_SIZE;
        ssize_t n = pread(body, piece, length, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        crypt_sha256_add(sha, piece, (size_t)n);
        at += n;
    }
    return 0;
}

static int digest_body(struct request *request, int body)
{
    uint8_t digest[CRYPT_SHA256_SIZE];
    if (request->body_sha256[0] != '\0')
        return 0;
    struct crypt_sha256 *sha = crypt_sha256_new();
    int fault = add_body(sha, body, request->body_bytes);
    sha = crypt_sha256_end(sha, digest);
    if (fault == 0)
        codec_hex_encode(digest, sizeof(digest), request->body_sha256);
    return fault;
}

static const char *value_of(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

int request_sign(struct request *request, const struct channel *channel,
                 const struct channel_credential *credential, int body, int64_t now_s)
{
    if (channel->auth != AUTH_WAY_VOLCENGINE || credential == NULL)
        return 0;
    int fault = digest_body(request, body);
    if (fault < 0)
        return fault;
    const struct volcengine_request wish = {
        .method = request->method,
        .url = request->url,
        .content_type = value_of(request, "Content-Type"),
        .body_sha256 = request->body_sha256,
        .service = channel->auth_service,
        .region = channel->auth_region,
        .key = credential->key,
        .secret = credential->secret,
    };
    char date[VOLCENGINE_DATE_SIZE];
    CLEANUP(buf_fini) struct buf authorization;
    buf_init(&authorization, AUTHORIZATION_MAX);
    if (!volcengine_sign(&wish, now_s, date, &authorization) || authorization.overflowed ||
        !request_set_header(request, "X-Date", date) ||
        !request_set_header(request, "X-Content-Sha256", request->body_sha256) ||
        !request_set_header(request, "Authorization", buf_text(&authorization)))
        return -EINVAL;
    return 0;
}
