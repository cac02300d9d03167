/* SPDX-License-Identifier: Apache-2.0
 *
 * Tickets for event streams: what a page puts into a URL in the place of its key, because a browser's EventSource sends no
 * Authorization. A ticket names the key that asked for it and the tasks that it is for, lives for a minute, and opens one stream. It is signed
 * by a secret of the database's and of this start, so that none outlives the process that knows whether it was used. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/id.h"
#include "task/task.h"

enum {
    TICKET_VALID_MS = 60 * 1000,
    TICKET_TEXT_SIZE = 2048, /* of the longest, with NUL */
    TICKET_KEY_BYTES = 32,
    TICKET_USED_MAX = 16384,  /* remembered as used, for as long as they are valid */
    TICKET_USED_OF_KEY = 512, /* of them by one key: nobody uses up the room of others */
};

struct ticket_office;

/* What a ticket says. */
struct ticket {
    uint8_t key[TICKET_KEY_BYTES]; /* the hash of the key that asked for it */
    int64_t until_ms;              /* wall clock */
    size_t n_ids;                  /* 0: all tasks that the key may see */
    char ids[TASK_IDS_MAX][ID_SHORT_SIZE];
};

/* `secret` is the store's, 32 bytes. */
struct ticket_office *ticket_office_new(const uint8_t *secret);
struct ticket_office *ticket_office_free(struct ticket_office *office); /* takes and returns NULL */
/* Any thread. */
void ticket_write(const struct ticket_office *office, const struct ticket *ticket,
                  char ret_text[TICKET_TEXT_SIZE]);
/* Uses a ticket up. False: it is none of ours, expired, used, or too many are remembered, in all or of its key. Any thread. */
CHECKED bool ticket_use(struct ticket_office *office, const char *text, int64_t now_ms,
                        struct ticket *ret_ticket);
