/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks and helpers of media: spool files are real ones in memory, of assets it is only known that they are there, and
 * what takes a helper a while takes a while. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim.h"

#include "asset/asset.h"
#include "base/must.h"
#include "engine/blocking.h"
#include "media/media.h"

/* ---- assets ---- */

static struct node *node_of(struct asset_store *store)
{
    return (struct node *)store;
}

int asset_spool_file(struct asset_store *store, int *ret_fd)
{
    struct node *node = node_of(store);
    if (world_now_ms() < node->world->store_down_until_ms) {
        return -ENOSPC;
    }
    *ret_fd = memfd_create("spool", MFD_CLOEXEC);
    return *ret_fd < 0 ? -errno : 0;
}

/* `task_…/gen_…/name`: whose it is, and of which generation. */
static struct life *owner_of(const struct node *node, const char *key,
                             char ret_generation[ID_SHORT_SIZE])
{
    struct world *world = node->world;
    const char *slash = strchr(key, '/');
    const char *next = slash ? strchr(slash + 1, '/') : NULL;
    must(next && next - slash - 1 < ID_SHORT_SIZE);
    snprintf(ret_generation, ID_SHORT_SIZE, "%.*s", (int)(next - slash - 1), slash + 1);
    for (int i = 0; i < world->n_lives; i++) {
        if (strncmp(world->lives[i].id, key, (size_t)(slash - key)) == 0) {
            return &world->lives[i];
        }
    }
    world_fail("a file of a task that was never made is stored: %s", key);
}

int asset_put_fd(struct asset_store *store, const char *key, const char *type, int fd,
                 struct asset_info *ret_info)
{
    (void)type, (void)fd, (void)ret_info;
    struct node *node = node_of(store);
    char generation[ID_SHORT_SIZE];
    if (node->is_dead) {
        return -EIO;
    }
    if (world_now_ms() < node->world->store_down_until_ms) {
        return -ENOSPC;
    }
    struct life *life = owner_of(node, key, generation);
    memcpy(life->stored, generation, sizeof life->stored);
    return 0;
}

int asset_get(struct asset_store *store, const char *key, int *ret_fd, struct asset_info *ret_info)
{
    (void)store, (void)key, (void)ret_fd, (void)ret_info;
    return ASSET_NOT_FOUND;
}

int asset_erase(struct asset_store *store, const char *key)
{
    struct node *node = node_of(store);
    char generation[ID_SHORT_SIZE];
    if (!node->is_dead) {
        struct life *life = owner_of(node, key, generation);
        if (life->state == TASK_COMPLETED && strcmp(life->stored, generation) == 0) {
            world_fail("life %d: the result of a completed task is erased", life->number);
        }
    }
    return 0;
}

int asset_erase_task(struct asset_store *store, const char *task_id)
{
    (void)store, (void)task_id;
    return 0;
}

int asset_erase_file(struct asset_store *store, const char *file_id)
{
    (void)store, (void)file_id;
    return ASSET_NOT_FOUND;
}

/* ---- media ---- */

struct media_job {
    struct node *node;
    struct loop_timer timer;
    struct media_handler handler;
    bool is_variants;
    int n_steps;
};

static void on_media(struct loop_timer *timer)
{
    struct media_job *job = CONTAINER_OF(timer, struct media_job, timer);
    struct node *node = job->node;
    if (node_dies(node, "while a helper works")) {
        return;
    }
    if (--job->n_steps > 0) {
        world_arm(timer, world_between(100, 3000));
        if (job->handler.progress) {
            job->handler.progress(job->handler.context, 1.0 / (1 + job->n_steps));
        }
        return;
    }
    static const enum media_end ends[] = {MEDIA_CRASHED, MEDIA_STALLED, MEDIA_NO_SPACE,
                                          MEDIA_BAD_VIDEO};
    node->n_variants -= job->is_variants;
    const struct media_handler handler = job->handler;
    const struct media_facts facts = {640, 352, 120, 4000};
    bool is_bad = world_fault(node->world->faults.media_failure);
    enum media_end end = is_bad ? ends[world_between(0, job->is_variants ? 3 : 2)] : MEDIA_DONE;
    free(job);
    handler.ended(handler.context, end, end == MEDIA_DONE ? &facts : NULL, "");
}

static int start(struct loop *loop, const struct media_handler *handler, bool is_variants,
                 struct media_job **ret_job)
{
    struct media_job *job = must_calloc(1, sizeof *job);
    job->node = loop_node(loop);
    job->handler = *handler;
    job->is_variants = is_variants;
    job->n_steps = is_variants ? 1 : (int)world_between(2, 6);
    job->timer.fire = on_media;
    world_arm(&job->timer, world_between(50, 2000));
    *ret_job = job;
    return 0;
}

int media_animatic_start(struct loop *loop, const struct media_animatic *animatic,
                         const struct media_limits *limits, const struct media_handler *handler,
                         struct media_job **ret_job)
{
    (void)animatic, (void)limits;
    return start(loop, handler, false, ret_job);
}

int media_variants_start(struct loop *loop, const struct media_variants *variants,
                         const struct media_limits *limits, const struct media_handler *handler,
                         struct media_job **ret_job)
{
    (void)variants, (void)limits;
    struct node *node = loop_node(loop);
    if (++node->n_variants > node->world->settings.render_slots) {
        world_fail("node %d has %d helpers at work that make variants", node->number,
                   node->n_variants);
    }
    return start(loop, handler, true, ret_job);
}

struct media_job *media_stop(struct media_job *job)
{
    if (job) {
        job->node->n_variants -= job->is_variants;
        loop_disarm(NULL, &job->timer);
        free(job);
    }
    return NULL;
}

const char *media_end_name(enum media_end end)
{
    return end == MEDIA_DONE ? "done" : "not done";
}

/* ---- work that waits for a disk ---- */

enum { WORK_MAX = 2 * LIVES_MAX };

struct blocking {
    struct loop *loop;
    struct loop_timer timer;
    struct blocking_job *jobs[WORK_MAX];
    size_t n_jobs;
};

static void do_first(struct blocking *pool)
{
    struct blocking_job *job = pool->jobs[0];
    pool->n_jobs--;
    memmove(pool->jobs, pool->jobs + 1, pool->n_jobs * sizeof(struct blocking_job *));
    job->work(job);
    (void)node_dies(loop_node(pool->loop), "after files were stored");
    loop_post(pool->loop, &job->handed_back);
}

static void on_work(struct loop_timer *timer)
{
    struct blocking *pool = CONTAINER_OF(timer, struct blocking, timer);
    do_first(pool);
    if (pool->n_jobs > 0) {
        world_arm(timer, world_between(1, 50));
    }
}

static void hand_back(struct loop_job *handed_back)
{
    struct blocking_job *job = CONTAINER_OF(handed_back, struct blocking_job, handed_back);
    job->finish(job);
}

int blocking_new(struct loop *loop, struct blocking **ret_pool)
{
    struct blocking *pool = must_calloc(1, sizeof *pool);
    pool->loop = loop;
    pool->timer.fire = on_work;
    *ret_pool = pool;
    return 0;
}

struct blocking *blocking_free(struct blocking *pool)
{
    if (pool) {
        loop_disarm(NULL, &pool->timer);
        while (pool->n_jobs > 0) {
            do_first(pool);
        }
        free(pool);
    }
    return NULL;
}

void blocking_submit(struct blocking *pool, struct blocking_job *job)
{
    must(pool->n_jobs < WORK_MAX);
    job->pool = pool;
    job->handed_back.run = hand_back;
    pool->jobs[pool->n_jobs++] = job;
    if (!loop_is_armed(&pool->timer)) {
        world_arm(&pool->timer, world_between(1, 50));
    }
}
