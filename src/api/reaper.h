/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends connections that are past a deadline. The library's own time-out starts anew with every byte, so that a
 * client that sends one every few seconds could stay for ever; here the time is a total one. A thread looks at all connections
 * once a second and shuts the sockets of the overdue ones down, upon which the library closes them;
 * so with those whose client has closed his half and waits for no answer. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

struct reaper;

#define REAPER_NEVER INT64_MAX

/* Embedded in what belongs to a connection. */
struct reaper_entry {
    struct reaper_entry *next, *previous; /* in the reaper; under its lock */
    int fd;
    bool is_cut;             /* under its lock */
    int64_t eof_deadline_ms; /* under its lock: the deadline at which end of file was first seen */
    _Atomic int64_t deadline_ms; /* clock_mono_ms(), or REAPER_NEVER; set without a lock */
};

CHECKED int reaper_new(struct reaper **ret_reaper);
/* Ends the thread. All must be forgotten. Takes NULL, returns NULL. */
struct reaper *reaper_free(struct reaper *reaper);

void reaper_watch(struct reaper *reaper, struct reaper_entry *entry, int fd, int64_t deadline_ms);
/* Before the socket is closed: its number may be another's at once. */
void reaper_forget(struct reaper *reaper, struct reaper_entry *entry);
/* By the thread that serves the connection. */
void reaper_set(struct reaper_entry *entry, int64_t deadline_ms);
int64_t reaper_deadline(const struct reaper_entry *entry);
