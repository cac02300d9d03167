/* SPDX-License-Identifier: Apache-2.0
 *
 * The stage on which every backend of the store is tested: a fresh directory and an open store for
 * each case, and the list of backends. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_fixture.h"

static const struct store_backend *const scene_backends[] = {&store_sqlite};

struct scene {
    const struct store_backend *backend;
    struct store *store;
    char directory[FIXTURE_PATH_SIZE];
};

static inline void scene_open(struct scene *scene)
{
    char error[STORE_ERROR_SIZE] = "";
    if (store_open_with(scene->backend, scene->directory, &scene->store, error) != 0)
        fail_msg("%s", error);
}

static inline void scene_reopen(struct scene *scene)
{
    scene->store = store_close(scene->store);
    scene_open(scene);
}

static inline int scene_set_up(void **state)
{
    struct scene *scene = must_calloc(1, sizeof *scene);
    scene->backend = *state;
    fixture_make_directory(scene->directory);
    scene_open(scene);
    *state = scene;
    return 0;
}

static inline int scene_tear_down(void **state)
{
    struct scene *scene = *state;
    scene->store = store_close(scene->store);
    fixture_remove_directory(scene->directory);
    free(scene);
    return 0;
}

static inline void scene_create(struct scene *scene, const char *tenant, int64_t micros)
{
    struct task *task = fixture_task(tenant, micros);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    task_unref(task);
}

/* Runs each case once for each backend; the number of failures. */
static inline int scene_run(const struct CMUnitTest *cases, size_t count)
{
    int failed = 0;
    struct CMUnitTest *bound = must_calloc(count, sizeof *bound);

    for (size_t i = 0; i < ARRAY_LENGTH(scene_backends); i++) {
        union {
            const struct store_backend *given;
            void *taken;
        } backend = {scene_backends[i]};
        memcpy(bound, cases, count * sizeof *bound);
        for (size_t j = 0; j < count; j++)
            bound[j].initial_state = backend.taken;
        failed += _cmocka_run_group_tests(scene_backends[i]->name, bound, count, NULL, NULL);
    }
    free(bound);
    return failed;
}

#define SCENE_CASE(f)                                                                              \
    {                                                                                              \
#f, f, scene_set_up, scene_tear_down, NULL                                                 \
    }
