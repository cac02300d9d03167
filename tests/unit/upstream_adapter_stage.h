/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs at work through real helpers: folders with them, and calls. The program that includes this is its own helper when
 * it is started as `… helper adapter`. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/must.h"
#include "proc/proc.h"
#include "upstream/adapter.h"
#include "upstream/program.h"

enum { TURN_MS = 20, PATIENCE_MS = 60000, MANY = 50 };

/* The functions that every program needs, of little use. */
#define REST "def submitted: {}; def poll: {}; def polled: {}; def about: {}; "

/* ---- a folder with programs ---- */

struct folder {
    char path[64];
    struct adapter_set *set;
};

static inline void write_file(const char *folder, const char *name, const char *text, size_t length)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline void remove_folder(const char *path)
{
    char command[100];
    (void)snprintf(command, sizeof command, "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline void make_folder(char path[64])
{
    (void)snprintf(path, 64, "/tmp/filmgate-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

/* One program, as the adapter "it". */
static inline void folder_init(struct folder *folder, const char *program)
{
    char error[ADAPTER_ERROR_SIZE] = "";
    make_folder(folder->path);
    write_file(folder->path, "it.jq", program, strlen(program));
    folder->set = adapter_set_new(folder->path, error);
    assert_string_equal(error, "");
    assert_non_null(folder->set);
}

static inline void folder_fini(struct folder *folder)
{
    adapter_set_free(folder->set);
    remove_folder(folder->path);
}

/* ---- calls ---- */

struct scene {
    struct folder folder;
    const struct adapter *adapter;
    struct loop *loop;
    struct adapter_host *host;
};

struct answer {
    struct scene *scene;
    int n; /* times that it came */
    json_t *result;
    char fault[ADAPTER_ERROR_SIZE];
    struct adapter_blob blobs[ADAPTER_BLOBS_MAX];
    size_t n_blobs;
    bool is_passing;
    struct adapter_call *stop; /* another call, stopped within the callback */
    bool frees_host;
};

static inline void on_done(void *context, const struct adapter_outcome *outcome)
{
    struct answer *answer = context;
    answer->n++;
    answer->result = json_deep_copy(outcome->result);
    assert_true((outcome->result == NULL) == (outcome->fault != NULL));
    (void)snprintf(answer->fault, sizeof answer->fault, "%s", outcome->fault ? outcome->fault : "");
    answer->is_passing = outcome->is_passing;
    memcpy(answer->blobs, outcome->blobs, sizeof answer->blobs);
    answer->n_blobs = outcome->n_blobs;
    answer->stop = adapter_call_stop(answer->stop);
    if (answer->frees_host)
        answer->scene->host = adapter_host_free(answer->scene->host);
}

static inline void answer_fini(struct answer *answer)
{
    json_decref(answer->result);
    *answer = (struct answer){.scene = answer->scene};
}

static inline void scene_init(struct scene *scene, const char *program)
{
    folder_init(&scene->folder, program);
    scene->adapter = adapter_find(scene->folder.set, "it");
    assert_int_equal(loop_new(&scene->loop), 0);
    assert_int_equal(adapter_host_new(scene->loop, &scene->host), 0);
}

static inline void await_no_watches(struct scene *scene)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (loop_watches(scene->loop) > 0 && clock_mono_ms() < until_ms)
        loop_turn(scene->loop, TURN_MS);
    assert_int_equal(loop_watches(scene->loop), 0);
}

static inline void scene_fini(struct scene *scene)
{
    scene->host = adapter_host_free(scene->host);
    await_no_watches(scene);
    loop_free(scene->loop);
    folder_fini(&scene->folder);
}

static inline struct adapter_call *begin_with(struct scene *scene, const char *function,
                                              const json_t *input, int body, int64_t body_bytes,
                                              int blobs, struct answer *answer)
{
    struct adapter_call *call = NULL;
    const struct adapter_input order = {scene->adapter, function, input,   NULL,  body,
                                        body_bytes,     blobs,    on_done, answer};
    answer->scene = scene;
    assert_int_equal(adapter_call(scene->host, &order, &call), 0);
    assert_int_equal(answer->n, 0);
    return call;
}

static inline struct adapter_call *begin(struct scene *scene, const char *function,
                                         const char *input, struct answer *answer)
{
    CLEANUP(json_unref_pointer) json_t *json = input ? json_loads(input, 0, NULL) : NULL;
    return begin_with(scene, function, json, -1, -1, -1, answer);
}

static inline void await(struct scene *scene, const struct answer *answer)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (answer->n == 0 && clock_mono_ms() < until_ms)
        loop_turn(scene->loop, TURN_MS);
    assert_int_equal(answer->n, 1);
}

/* submit with {"x": x} gives this. */
static inline void assert_gives(struct scene *scene, const char *x, const char *expected)
{
    char input[200];
    struct answer answer = {0};
    (void)snprintf(input, sizeof input, "{\"x\":%s}", x);
    (void)begin(scene, "submit", input, &answer);
    await(scene, &answer);
    assert_string_equal(answer.fault, "");
    CLEANUP(json_unref_pointer) json_t *json = json_loads(expected, JSON_DECODE_ANY, NULL);
    if (!json_equal(answer.result, json))
        fail_msg("%s gives %s", x, json_dumps(answer.result, JSON_ENCODE_ANY));
    answer_fini(&answer);
}

/* submit with {"x": x} fails with exactly this sentence. */
static inline void assert_fails(struct scene *scene, const char *x, const char *fault)
{
    char input[200];
    struct answer answer = {0};
    (void)snprintf(input, sizeof input, "{\"x\":%s}", x);
    (void)begin(scene, "submit", input, &answer);
    await(scene, &answer);
    assert_string_equal(answer.fault, fault);
    answer_fini(&answer);
}

static inline int file_with(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    return fd;
}
