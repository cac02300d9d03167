/* SPDX-License-Identifier: Apache-2.0
 *
 * From what an adapter wants to ask to what goes over the wire: the URL joined and its host judged, the credential put
 * where the adapter's `about` says, images put into the body. No I/O but to the body's spool file. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/crypt.h"
#include "net/exchange.h"
#include "task/task.h"
#include "upstream/channel.h"

enum {
    REQUEST_URL_MAX = 16 * 1024,
    REQUEST_BODY_MAX = 1024 * 1024 * 1024,
    REQUEST_ERROR_SIZE = 300,
};

/* An input image of the task, as far as it is at hand. */
struct request_image {
    /* As the client gave it, or a signed link of ours that the upstream can reach; NULL: none. */
    const char *url;
    int fd; /* its bytes, from offset 0; -1: not at hand */
    int64_t bytes;
    const char *type; /* image/png … of the bytes; NULL with fd -1 */
};

/* Ready for exchange_send(); owns its texts. */
struct request {
    char *method, *url;
    struct exchange_header *headers;
    size_t n_headers;
    const char *const
        *secrets;       /* names of the headers that carry the credential, NULL-terminated */
    int64_t body_bytes; /* 0: no body */
    char body_sha256[CRYPT_SHA256_HEX_SIZE]; /* "" until it was signed */
    int max_redirects;
    bool buys; /* this exchange may make the upstream take the job (default true for submit) */
    bool heeds[600]; /* statuses 100..599 beyond the usual that the adapter wants to judge */
};

/* Which images (bits by index) must be at hand as bytes, and which by URL, for what `spec` refers to. */
CHECKED bool request_images_wanted(const json_t *spec, const struct request_image *images,
                                   size_t n_images, uint64_t *ret_bytes,
                                   char ret_error[REQUEST_ERROR_SIZE]);
/* Makes it from an adapter's request object; the body is written to `body` (an empty file). `now_s`: for tokens.
 * False with a sentence: the request is not valid (an adapter's fault), or 0/1 cannot be had from the images. */
CHECKED bool request_make(const json_t *spec, const struct channel *channel,
                          const struct channel_credential *credential,
                          const struct request_image *images, size_t n_images, int body,
                          int64_t now_s, struct request *ret_request,
                          char ret_error[REQUEST_ERROR_SIZE]);
/* To be called whenever it is sent, as the last thing before: where the channel's adapter says so, and there is a
 * credential, the request is signed as it is now, with `body` (-1: none) and the time; else nothing happens. A signature
 * of before is replaced. 0 or negative errno: the body cannot be read, or there is no room for the headers. */
CHECKED int request_sign(struct request *request, const struct channel *channel,
                         const struct channel_credential *credential, int body, int64_t now_s);
void request_fini(struct request *request);
/* Is `url` at the channel's base, or at one of the hosts that the adapter's `about` names for requests with the
 * credential? (scheme, host and port are compared) */
bool request_is_home(const struct channel *channel, const char *url);
