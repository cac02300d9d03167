/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool for blocking work: one bounded queue, BLOCKING_THREADS threads, results by the loop's
 * inbox. */
#include "engine/blocking.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/must.h"

struct blocking {
    struct loop *loop;
    struct queue *queue;
    pthread_t threads[BLOCKING_THREADS];
    size_t n_threads;
};

static void hand_back(struct loop_job *handed_back)
{
    struct blocking_job *job = CONTAINER_OF(handed_back, struct blocking_job, handed_back);
    job->finish(job);
}

static void *run_thread(void *argument)
{
    struct blocking *pool = argument;
    while (!queue_is_drained(pool->queue)) {
        struct queue_item *item = queue_take(pool->queue, 1, -1);
        if (item) {
            struct blocking_job *job = CONTAINER_OF(item, struct blocking_job, item);
            job->work(job);
            loop_post(pool->loop, &job->handed_back);
        }
    }
    return NULL;
}

int blocking_new(struct loop *loop, struct blocking **ret_pool)
{
    struct blocking *pool = must_calloc(1, sizeof *pool);
    pool->loop = loop;
    pool->queue = queue_new(BLOCKING_QUEUE_MAX);
    while (pool->n_threads < BLOCKING_THREADS) {
        int fault = pthread_create(&pool->threads[pool->n_threads], NULL, run_thread, pool);
        if (fault) {
            blocking_free(pool);
            return -fault;
        }
        pool->n_threads++;
    }
    *ret_pool = pool;
    return 0;
}

struct blocking *blocking_free(struct blocking *pool)
{
    if (!pool) {
        return NULL;
    }
    queue_close(pool->queue);
    for (size_t i = 0; i < pool->n_threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    queue_free(pool->queue);
    free(pool);
    return NULL;
}

void blocking_submit(struct blocking *pool, struct blocking_job *job)
{
    job->handed_back.run = hand_back;
    must(queue_put_reserved(pool->queue, &job->item));
}
