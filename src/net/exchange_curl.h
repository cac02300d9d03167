/* SPDX-License-Identifier: Apache-2.0
 *
 * What exchange_request.c and exchange_curl.c share. Nobody else includes this. */
#pragma once

#include "base/buf.h"
#include "net/exchange.h"
#include "net/exchange_head.h"
#include "net/exchange_pool.h"

struct request {
    struct exchange exchange;
    struct exchange_request wish; /* without url, method, headers and secrets */
    char *url;                    /* of the present hop */
    char *method;
    struct exchange_header *headers; /* owned, with their texts */
    bool *are_secret;                /* of the headers */
    struct curl_slist *lines;        /* the headers as curl takes them */
    struct exchange_head head;
    struct buf small; /* the answer's body, until it asks for a sink */
    int64_t deadline_ms;
    int64_t body_at; /* read of the request's body */
    int n_redirects;
    bool is_away;      /* a redirect led to another origin: secrets stay behind for good */
    bool was_sent;     /* on_send() let it go */
    bool was_hop_sent; /* the same, of the present hop */
    bool is_redirect;  /* the present answer is one that we follow */
    bool is_speed_watched;
    const char *fault; /* what broke it off, for the note; NULL: curl's word, or `end` says all */
};

/* What holds for the whole request, and what differs from hop to hop. */
CURLcode exchange_curl_set(struct request *request);
CURLcode exchange_curl_set_hop(struct request *request);
