/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of store/ share: a directory that goes away, sound tasks, and writes that are
 * waited for. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/must.h"
#include "store/backend.h"
#include "store/store.h"
#include "task/task.h"

enum { FIXTURE_PATH_SIZE = 256 };

#define FIXTURE_MICROS INT64_C(1759763426875729)
#define FIXTURE_MS (FIXTURE_MICROS / 1000)
#define FIXTURE_DAY_MS INT64_C(86400000)

/* ---- directories ---- */

static inline void fixture_make_directory(char ret_path[FIXTURE_PATH_SIZE])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(ret_path, FIXTURE_PATH_SIZE, "%s/filmgate-store-XXXXXX",
                   base != NULL ? base : "/tmp");
    must(mkdtemp(ret_path) != NULL);
}

static inline void fixture_remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    must(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
            (void)unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    }
    closedir(directory);
    must(rmdir(path) == 0);
}

static inline void fixture_database(const char *directory, char ret_path[FIXTURE_PATH_SIZE + 16])
{
    (void)snprintf(ret_path, FIXTURE_PATH_SIZE + 16, "%s/filmgate.db", directory);
}

/* ---- tasks ---- */

/* A queued task with a fresh id. `prompt_bytes` makes its record as large as wanted. */
static inline struct task *fixture_large_task(const char *tenant, int64_t created_micros,
                                              size_t prompt_bytes)
{
    struct task_request *request = task_request_new();
    id_new("task", request->id, sizeof request->id);
    request->tenant = must_strdup(tenant);
    request->model = must_strdup("sora-2");
    request->request_id = must_strdup("req-1");
    request->prompt = must_calloc(1, prompt_bytes + 1);
    memset(request->prompt, 'p', prompt_bytes);
    request->orientation = must_strdup("portrait");
    request->size = must_strdup("small");
    request->operation = must_strdup("simple_compose");
    request->created_micros = created_micros;
    request->duration_s = 4;
    request->width = 352;
    request->height = 640;
    request->n_frames = 120;
    request->priority = 2;
    request->n_variants = 1;
    return task_new(request, created_micros / 1000 + 600000);
}

static inline struct task *fixture_task(const char *tenant, int64_t created_micros)
{
    return fixture_large_task(tenant, created_micros, 100);
}

/* The next revision of `task`, ended as completed at `ended_ms`, expired at `expired_ms` unless 0.
 */
static inline struct task *fixture_completed(const struct task *task, int64_t ended_ms,
                                             int64_t expired_ms)
{
    struct task *copy = task_copy(task);
    copy->state = TASK_COMPLETED;
    copy->revision++;
    copy->attempts = 1;
    copy->is_local = true;
    shared_text_set(&copy->channel, "local");
    copy->started_ms = task->request->created_micros / 1000;
    copy->progress = 1.0;
    copy->ended_ms = ended_ms;
    copy->expired_ms = expired_ms;
    copy->status_update_ms = expired_ms != 0 ? expired_ms : ended_ms;
    (void)snprintf(copy->result.generation_id, sizeof copy->result.generation_id, "%s",
                   "gen_01k6x1bffaf3dr786harh8maqt");
    copy->result.width = 352;
    copy->result.height = 640;
    copy->result.n_frames = 120;
    copy->result.duration_ms = 4000;
    copy->result.stored_micros = ended_ms * 1000;
    return copy;
}

/* ---- writes ---- */

struct fixture_write {
    struct store_write write;
    pthread_mutex_t lock; /* guards is_done */
    pthread_cond_t was_done;
    bool is_done;
};

static inline void fixture_done(struct store_write *write)
{
    struct fixture_write *mine = CONTAINER_OF(write, struct fixture_write, write);
    pthread_mutex_lock(&mine->lock);
    mine->is_done = true;
    pthread_cond_signal(&mine->was_done);
    pthread_mutex_unlock(&mine->lock);
}

static inline void fixture_write_init(struct fixture_write *write, enum store_write_kind kind,
                                      const struct task *task)
{
    memset(write, 0, sizeof *write);
    write->write.kind = kind;
    write->write.task = task;
    write->write.done = fixture_done;
    write->write.result = -1000;
    write->write.idempotency_keep_ms = FIXTURE_DAY_MS;
    must(pthread_mutex_init(&write->lock, NULL) == 0);
    must(pthread_cond_init(&write->was_done, NULL) == 0);
}

/* Waits for done() and yields the result; the write is over. */
static inline int fixture_wait(struct fixture_write *write)
{
    pthread_mutex_lock(&write->lock);
    while (!write->is_done)
        pthread_cond_wait(&write->was_done, &write->lock);
    pthread_mutex_unlock(&write->lock);
    pthread_cond_destroy(&write->was_done);
    pthread_mutex_destroy(&write->lock);
    return write->write.result;
}

static inline int fixture_write_now(struct store *store, enum store_write_kind kind,
                                    const struct task *task)
{
    struct fixture_write write;
    fixture_write_init(&write, kind, task);
    int refused = store_submit(store, &write.write);
    return refused != 0 ? refused : fixture_wait(&write);
}

/* Creates with an idempotency key; `digest` fills the digest. */
static inline int fixture_create_keyed(struct store *store, const struct task *task,
                                       const char *key, int digest,
                                       char ret_existing[ID_SHORT_SIZE])
{
    struct fixture_write write;
    fixture_write_init(&write, STORE_CREATE, task);
    write.write.idempotency_key = key;
    memset(write.write.digest, digest, sizeof write.write.digest);
    int refused = store_submit(store, &write.write);
    if (refused != 0)
        return refused;
    int result = fixture_wait(&write);
    (void)snprintf(ret_existing, ID_SHORT_SIZE, "%s", write.write.existing_id);
    return result;
}
