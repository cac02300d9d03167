/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients send, for measurements. */
#pragma once

#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/must.h"
#include "task/task.h"

/* A request with a prompt of a few hundred bytes. */
static inline struct task_request *bench_request(void)
{
    struct task_request *request = task_request_new();
    id_new("task", request->id, sizeof request->id);
    request->tenant = must_strdup("bench");
    request->model = must_strdup("sora-2");
    request->request_id = must_strdup("req_01k6x15vhrff09dkkqjrzwhm60");
    request->prompt = must_calloc(1, 301);
    memset(request->prompt, 'p', 300);
    request->orientation = must_strdup("portrait");
    request->size = must_strdup("small");
    request->operation = must_strdup("simple_compose");
    request->created_micros = clock_wall_micros();
    request->duration_s = 4;
    request->width = 352;
    request->height = 640;
    request->n_frames = 120;
    request->priority = 2;
    request->n_variants = 1;
    return request;
}
