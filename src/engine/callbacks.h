/* SPDX-License-Identifier: Apache-2.0
 *
 * Upstreams that call back: from an HTTP thread to the attempt that polls. What is heard is a hint and may be lost: of one
 * attempt it is kept once, of all at most CALLBACKS_MAX until the loop has taken them; whom nobody waits for is forgotten. */
#pragma once

#include <sys/queue.h>

#include "base/compiler.h"
#include "base/loop.h"

enum { CALLBACKS_MAX = 512 };

struct callbacks;

/* Embedded by who polls. Zeroed: it does not listen. */
struct callback_listener {
    const char *attempt_id;
    void (*called)(
        struct callback_listener *listener); /* on the loop; must neither add nor remove one */
    bool is_listening;
    LIST_ENTRY(callback_listener) others; /* on the list of the attempt's bucket */
};

struct callbacks *callbacks_new(struct loop *loop);
/* After loop_free(); nobody listens. Takes NULL, returns NULL. */
struct callbacks *callbacks_free(struct callbacks *callbacks);
/* Any thread. */
void callbacks_hear(struct callbacks *callbacks, const char *attempt_id);
/* On the loop. Both may come twice. */
void callbacks_add_listener(struct callbacks *callbacks, struct callback_listener *listener);
void callbacks_remove_listener(struct callback_listener *listener);
