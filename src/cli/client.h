/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's API as commands use it: one call at a time, each with a deadline, each failure a
 * sentence for people. One thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"

enum { CLIENT_SENTENCE_SIZE = 600, CLIENT_CODE_SIZE = 64, CLIENT_HINT_SIZE = 200 };

struct client;

/* `url` and `key` NULL: from the environment (FILMGATE_URL, FILMGATE_KEY). Blocks SIGINT and
 * SIGTERM, which from now on interrupt calls and pauses instead of ending the process. NULL with a
 * sentence when one of them cannot be used. */
struct client *client_new(const char *url, const char *key, char ret_error[CLIENT_SENTENCE_SIZE]);
/* What every command is told that asks a gateway. */
struct client_order {
    const char *url, *key; /* as client_new() has them */
    bool json;             /* print the whole answer */
};
/* Their letters, and rows for getopt_long(): the last ones of a command's table. Letters of its own begin at CLIENT_OPTION_NEXT. */
enum { CLIENT_OPTION_JSON = 256, CLIENT_OPTION_URL, CLIENT_OPTION_KEY, CLIENT_OPTION_NEXT };
#define CLIENT_OPTIONS                                                                             \
    {"json", no_argument, NULL, CLIENT_OPTION_JSON},                                               \
        {"url", required_argument, NULL, CLIENT_OPTION_URL},                                       \
        {"key", required_argument, NULL, CLIENT_OPTION_KEY}, {"help", no_argument, NULL, 'h'},     \
        {NULL, 0, NULL, 0},
/* CLI_OK, or CLI_USAGE for an option that is none of them. */
CHECKED int client_take_option(struct client_order *order, int option);
/* As client_new(), for `command`; NULL after complaining: its exit status is CLI_USAGE. */
struct client *client_open(const char *command, const struct client_order *order);
struct client *client_free(struct client *client);
/* From now on no call takes longer than that. */
void client_hurry(struct client *client, int64_t most_ms);
const char *client_url(const struct client *client);

/* One field of a multipart body: a text, or a file that is sent from the disk. */
struct client_part {
    const char *name;
    const char *value; /* NULL: a file */
    const char *file;
};

/* With none of the three bodies (`json`, `text`, `parts`) it is a GET. */
struct client_call {
    const char *path;                /* with its query */
    const char *method;              /* NULL: GET, or POST with a body */
    const json_t *json;              /* body of a POST, or NULL */
    const struct buf *text;          /* the same as it stands, or NULL */
    const struct client_part *parts; /* body of a multipart POST, or NULL */
    size_t n_parts;
    const char *idempotency_key; /* NULL: none */
    const char *last_event_id;   /* of a stream that goes on; NULL: none */
};

enum client_outcome {
    CLIENT_OK,
    CLIENT_REFUSED, /* 4xx */
    CLIENT_TROUBLE, /* 5xx, or an answer that is not the gateway's */
    CLIENT_AWAY,    /* no connection, or it broke off: the call may have been carried out */
    CLIENT_LOCAL,   /* a file cannot be read */
    CLIENT_INTERRUPTED,
};

struct client_answer {
    long status;           /* 0: there was none */
    json_t *json;          /* the caller's; NULL without one */
    int64_t retry_after_s; /* -1: not said */
    bool may_have_arrived; /* no answer came, but the request may have reached the gateway */
    char sentence[CLIENT_SENTENCE_SIZE]; /* what went wrong */
    char code[CLIENT_CODE_SIZE];         /* for programs: the server's, or ours; may be empty */
    char hint[CLIENT_HINT_SIZE];         /* what to do about it; may be empty */
};

/* `ret_answer` is always written. */
CHECKED enum client_outcome client_call(struct client *client, const struct client_call *call,
                                        struct client_answer *ret_answer);
/* Reads an event stream; each piece of it goes to `take`. CLIENT_OK when the gateway has ended it (`ret_answer->status` is 200, or
 * 204: there is nothing more); CLIENT_AWAY also when it was silent for long. As client_call() otherwise. */
CHECKED enum client_outcome client_stream(struct client *client, const struct client_call *call,
                                          void (*take)(void *context, const char *data,
                                                       size_t length),
                                          void *context, struct client_answer *ret_answer);
void client_answer_fini(struct client_answer *answer); /* usable with CLEANUP */
/* Fetches a link, without the key, into `fd`. */
CHECKED enum client_outcome client_download(struct client *client, const char *link, int fd,
                                            struct client_answer *ret_answer);
/* Waits; false when interrupted. */
CHECKED bool client_pause(struct client *client, int64_t wait_ms);
/* Tells why a call did not end well; returns the exit status. */
int client_complain(enum client_outcome outcome, const struct client_answer *answer);
/* The exit status for an outcome. */
int client_exit(enum client_outcome outcome);
