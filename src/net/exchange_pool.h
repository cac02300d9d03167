/* SPDX-License-Identifier: Apache-2.0
 *
 * What guarded fetches and requests share: the transfer that each of them begins with, the two lines that drive
 * transfers, and the callbacks and fences that hold for all of them. Private to net/exchange*.c. */
#pragma once

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"
#include "net/exchange.h"
#include "net/guard.h"

enum {
    EXCHANGE_NOTE_SIZE = 300,
    EXCHANGE_HOST_SHOWN_MAX = 100,
    EXCHANGE_HOST_SIZE = EXCHANGE_HOST_SHOWN_MAX + 3,
    EXCHANGE_ADDRESS_SIZE = INET6_ADDRSTRLEN + 8, /* `[address]:port` */
    EXCHANGE_FETCHES_MAX = 1024,                  /* at a time in one pool */
    EXCHANGE_REQUESTS_MAX = 4096,                 /* the same, of requests */
    /* Of all answers of one transfer; not every curl has a bound. */
    EXCHANGE_HEADERS_MAX_BYTES = 256 * 1024,
    EXCHANGE_IDLE_MAX = 256, /* connections kept for later */
};

/* curl asks nobody before it takes a connection that it kept. What is guarded, and what must not be sent twice, is
 * driven where none is ever kept. */
enum exchange_line_kind {
    EXCHANGE_LINE_ALONE,  /* each transfer has its own connection, which ends with it */
    EXCHANGE_LINE_POOLED, /* connections are kept and used again */
    EXCHANGE_LINES,
};

enum { EXCHANGE_KIND_FETCH, EXCHANGE_KIND_REQUEST, EXCHANGE_KINDS };

struct exchange_kind {
    /* The transfer has ended, for curl. Either calls the owner and exchange_free(), or starts it again. */
    void (*finish)(struct exchange *exchange, CURLcode code);
    void (*refuse)(
        struct exchange *exchange);          /* tells the owner what exchange_refuse() wrote down */
    void (*fini)(struct exchange *exchange); /* frees what the kind has added; NULL: nothing */
    size_t index, most; /* which of EXCHANGE_KINDS; how many at a time in one pool */
};

/* Begins the structs of both kinds. */
struct exchange {
    const struct exchange_kind *kind;
    struct exchange_pool *pool;
    struct exchange_line *line;
    struct exchange *next, *previous;    /* on the pool's list */
    CURL *easy;                          /* NULL until started */
    bool is_joined;                      /* curl drives it */
    bool is_delivering;                  /* within `done` */
    struct loop_timer refusal;           /* delivers what was clear at the start */
    const struct guard *guard;           /* NULL: any address */
    bool was_refused, was_dialled;       /* addresses of the present host */
    char blocked[EXCHANGE_ADDRESS_SIZE]; /* the first that was refused */
    bool is_ended;                       /* a callback broke the transfer off, with `end` */
    enum exchange_end end;
    int sink_errno;
    int64_t body_bytes, header_bytes;
    char note[EXCHANGE_NOTE_SIZE];
};

/* Puts a zeroed transfer on the pool's list. 0 or -EAGAIN. */
CHECKED int exchange_link(struct exchange_pool *pool, enum exchange_line_kind line,
                          const struct exchange_kind *kind, struct exchange *exchange);
/* An easy handle with what holds for every transfer; NULL when out of memory. */
CURL *exchange_easy_new(struct exchange *exchange);
/* Lets curl drive it. 0 or negative errno. */
CHECKED int exchange_join(struct exchange *exchange);
/* Takes it back from curl, to change its options. */
void exchange_leave(struct exchange *exchange);
/* From here on it has connections of its own, like those that began so. It must not be joined. */
CHECKED CURLcode exchange_go_alone(struct exchange *exchange);
/* Calls `refuse` from the loop, with `note` as it stands then. */
void exchange_refuse(struct exchange *exchange);
/* For callbacks of curl: remembers why, and returns what makes curl give up. */
size_t exchange_break_off(struct exchange *exchange, enum exchange_end end);
/* Counts a header line; false once they are too many bytes. */
CHECKED bool exchange_count_header(struct exchange *exchange, size_t length);
/* The host of the last URL asked for, in quotes, or "the host" when it is not fit to be shown. */
void exchange_find_host(const struct exchange *exchange, char ret_host[EXCHANGE_HOST_SIZE]);
/* Writes down the first address of the present host that was refused. */
void exchange_note_blocked(struct exchange *exchange, const struct curl_sockaddr *address);
/* What its answer says in `blocked`. */
const char *exchange_blocked(const struct exchange *exchange, enum exchange_end end);
/* From here on few bytes a second end it. May be called while it runs. */
CURLcode exchange_watch_speed(struct exchange *exchange);
/* Takes it off the list, off curl, and frees it. */
void exchange_free(struct exchange *exchange);

/* Sets one option; the first failure stays in `ret`. A macro, as curl_easy_setopt() checks its
 * argument's type by the option's name. */
#define EXCHANGE_SET(ret, easy, option, value)                                                     \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt(easy, option, value);                                    \
        if ((ret) == CURLE_OK)                                                                     \
            (ret) = code_;                                                                         \
    } while (0)
