/* SPDX-License-Identifier: Apache-2.0
 *
 * Durable creates a second: many threads, each waiting for its own commit, through the front with
 * its group commit; beside it one thread that commits row after row into the same tables (same file
 * settings: WAL, synchronous=FULL). Both include making the record's documents. Usage: store
 * [where]: a new directory is made there (by default in TMPDIR) and removed again. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/must.h"
#include "bench_request.h"
#include "store/backend.h"
#include "store/store.h"

enum {
    THREADS = 64,
    RUN_MS = 3000,
    PATH_SIZE = 512,
};

struct sender {
    pthread_t thread;
    struct store *store;
    struct store_write write;
    pthread_mutex_t lock; /* guards is_done */
    pthread_cond_t was_done;
    bool is_done;
    int64_t until_ms;
    int64_t created;
};

/* With one image. */
static struct task *bench_task(void)
{
    struct task_request *request = bench_request();

    request->images = must_calloc(1, sizeof *request->images);
    request->n_images = 1;
    id_new("media", request->images[0].media_id, sizeof request->images[0].media_id);
    request->images[0].url = must_strdup("https://example.com/pictures/first.png");
    return task_new(request, request->created_micros / 1000 + 600000);
}

static void bench_done(struct store_write *write)
{
    struct sender *sender = CONTAINER_OF(write, struct sender, write);

    pthread_mutex_lock(&sender->lock);
    sender->is_done = true;
    pthread_cond_signal(&sender->was_done);
    pthread_mutex_unlock(&sender->lock);
}

static void *bench_send(void *argument)
{
    struct sender *sender = argument;

    while (clock_mono_ms() < sender->until_ms) {
        struct task *task = bench_task();
        sender->is_done = false;
        sender->write =
            (struct store_write){.kind = STORE_CREATE, .task = task, .done = bench_done};
        must(store_submit(sender->store, &sender->write) == 0);
        pthread_mutex_lock(&sender->lock);
        while (!sender->is_done)
            pthread_cond_wait(&sender->was_done, &sender->lock);
        pthread_mutex_unlock(&sender->lock);
        must(sender->write.result == STORE_WRITTEN);
        sender->created++;
        task_unref(task);
    }
    return NULL;
}

static double bench_grouped(const char *directory, double *ret_rows_a_commit)
{
    static struct sender senders[THREADS];
    char error[STORE_ERROR_SIZE];
    struct store *store = NULL;
    int64_t created = 0;

    must(store_open(directory, &store, error) == 0);
    int64_t begun_ms = clock_mono_ms();
    for (size_t i = 0; i < THREADS; i++) {
        senders[i].store = store;
        senders[i].until_ms = begun_ms + RUN_MS;
        must(pthread_mutex_init(&senders[i].lock, NULL) == 0);
        must(pthread_cond_init(&senders[i].was_done, NULL) == 0);
        must(pthread_create(&senders[i].thread, NULL, bench_send, &senders[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        must(pthread_join(senders[i].thread, NULL) == 0);
        created += senders[i].created;
    }
    int64_t took_ms = clock_mono_ms() - begun_ms;
    *ret_rows_a_commit = (double)created / (double)atomic_load(&store_counts(store)->commits);
    store = store_close(store);
    return (double)created * 1000.0 / (double)took_ms;
}

static double bench_single(const char *directory)
{
    const struct store_backend *backend = &store_sqlite;
    char error[STORE_ERROR_SIZE];
    void *self = NULL;
    int64_t created = 0;

    must(backend->open(directory, &self, error) == 0);
    int64_t begun_ms = clock_mono_ms();
    while (clock_mono_ms() < begun_ms + RUN_MS) {
        struct task *task = bench_task();
        struct store_write write = {.kind = STORE_CREATE, .task = task};
        write.request_json = task_encode_request(task->request);
        write.status_json = task_encode_status(task);
        must(backend->begin(self) == 0);
        must(backend->apply(self, &write) == STORE_WRITTEN);
        must(backend->commit(self) == 0);
        free(write.request_json);
        free(write.status_json);
        task_unref(task);
        created++;
    }
    int64_t took_ms = clock_mono_ms() - begun_ms;
    backend->close(self);
    return (double)created * 1000.0 / (double)took_ms;
}

static void bench_clean(const char *directory)
{
    static const char *const names[] = {"filmgate.db", "filmgate.db-wal", "filmgate.db-shm"};
    char path[PATH_SIZE + 32];

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

int main(int argc, char **argv)
{
    char directory[PATH_SIZE];
    const char *temporary = getenv("TMPDIR");
    const char *where = argc > 1 ? argv[1] : temporary != NULL ? temporary : "/tmp";
    double rows_a_commit = 0;

    (void)snprintf(directory, sizeof directory, "%s/filmgate-bench-XXXXXX", where);
    if (mkdtemp(directory) == NULL) {
        (void)fprintf(stderr, "no directory can be made in \"%s\": name one that you may write\n",
                      where);
        return 1;
    }
    double single = bench_single(directory);
    double grouped = bench_grouped(directory, &rows_a_commit);
    bench_clean(directory);
    (void)printf("one thread, one row a commit: %.0f creates/s\n", single);
    (void)printf("%d threads, group commit:     %.0f creates/s (%.1f rows a commit)\n",
                 (int)THREADS, grouped, rows_a_commit);
    (void)printf("ratio: %.2f\n", grouped / single);
    return 0;
}
