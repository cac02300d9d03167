/* SPDX-License-Identifier: Apache-2.0
 *
 * Ready-made answers to queries. A view is one task's answer in one dialect for one base URL, rendered once and shared by every connection that
 * asks: immutable, reference-counted. The cache of them is bounded in bytes and forgets what was used least recently. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asset/link.h"
#include "base/compiler.h"
#include "engine/engine.h"
#include "task/dialect.h"
#include "task/task.h"

enum {
    VIEW_KEPT_MAX =
        4, /* views of one task, whatever dialects and bases; another replaces the oldest */
    VIEW_FIGURES_MS = 1000,                  /* how old a queued task's figures may be */
    VIEW_LINK_LEFT_MS = 24 * 60 * 60 * 1000, /* what every link in an answer has left at least */
};

struct view;
struct view_cache;

/* What rendering needs beside the task. */
struct view_source {
    const struct link_key *link_key;
    const uint8_t *secret; /* 32 bytes */
    int64_t valid_for_ms;  /* links */
    const char *base;
    enum dialect dialect;
    int64_t now_ms;   /* wall clock */
    int64_t keep_ms;  /* from a task's end until its files leave the answers; 0: kept */
    int attempts;     /* how often a task may be tried */
    double typical_s; /* of an engine's work, learned; negative: unknown */
};

/* The answer for a task as a tree; a new reference. */
json_t *view_tree(const struct view_source *source, const struct task *task,
                  const struct engine_figures *figures);
/* Renders it. One reference. NULL when memory is out. */
struct view *view_new(const struct view_source *source, const struct task *task,
                      const struct engine_figures *figures, bool cors);
struct view *view_unref(struct view *view); /* takes and returns NULL */
size_t view_length(const struct view *view);
const char *view_text(const struct view *view); /* for tests */
const char *view_etag(const struct view *view); /* with its quotes */
/* The shared response (or the one for 304): borrowed. */
struct MHD_Response *view_response(const struct view *view, bool is_known);
/* A response of the caller's over the same bytes, with the view's headers but for CORS. NULL when memory is out. */
struct MHD_Response *view_own_response(const struct view *view, bool is_known);

struct view_cache *view_cache_new(size_t max_bytes);
struct view_cache *view_cache_free(struct view_cache *cache);
/* The view of this task for the source's base and dialect if it still holds: the same revision, links and figures fresh enough.
 * A reference of the caller's, or NULL. */
struct view *view_cache_find(struct view_cache *cache, const struct task *task,
                             const struct view_source *source);
/* Keeps it (a reference of its own), unless a newer revision is already there or it is larger than the cache. */
void view_cache_put(struct view_cache *cache, const struct task *task,
                    const struct view_source *source, struct view *view);
/* Forgets all views of a task. */
void view_cache_forget(struct view_cache *cache, const char *id);
size_t view_cache_bytes(struct view_cache *cache);
