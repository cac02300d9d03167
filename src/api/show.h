/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as clients see them: one line of JSON each, made once and shared by all streams of one base URL. */
#pragma once

#include "api/request.h"
#include "notify/hub.h"
#include "store/store.h"

struct show_place {
    const struct api *api;
    const char *base;
    int64_t now_ms; /* wall clock */
};

/* What is shown: borrowed from the event, unless `own` is set, which the caller frees. */
struct show_text {
    const char *data;
    size_t length;
    char *own;
};

struct show_text show_event(const struct show_place *place, struct hub_event *event);
/* The event that a row of the store tells of; NULL when its task is gone. One reference. */
struct hub_event *show_row(const struct api *api, const struct store_event *row);
