/* SPDX-License-Identifier: Apache-2.0
 *
 * The hot table: a hash of shards, each under a reader-writer lock that is held for a look-up or a
 * swap of pointers, never across rendering or I/O. Ended tasks of a shard form a list in order of
 * age; when it is over its bound, its head goes, unless it was asked for since it was last looked
 * at: then it gets one more round (second chance). */
#include "engine/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/must.h"

enum { TABLE_SHARDS = 16, TABLE_FIRST_BUCKETS = 64 };

struct node {
    const struct task *task; /* one reference; swapped under the shard's write lock */
    struct node *chain;      /* on its bucket */
    struct node *younger;    /* on the shard's list of ended tasks */
    _Atomic int64_t queue_position;
    _Atomic double wait_s;
    atomic_bool was_asked;
    atomic_bool waits_upstream;
    size_t bytes;  /* once ended: what it counts for */
    bool is_ended; /* is on the list of ended tasks */
};

struct shard {
    pthread_rwlock_t lock; /* guards all below but the nodes' atomics */
    struct node **buckets;
    size_t n_buckets, n_nodes, n_ended;
    size_t bytes_ended; /* of the requests of ended tasks */
    struct node *oldest_ended, *youngest_ended;
};

struct table {
    struct shard shards[TABLE_SHARDS];
    size_t max_ended, max_bytes; /* of one shard */
};

/* Ids are ours and random, so nobody can aim at a bucket. */
static uint64_t hash_id(const char *id)
{
    uint64_t hash = hash_text64(id);
    return hash ^ (hash >> 32);
}

static struct shard *shard_of(struct table *table, uint64_t hash)
{
    return &table->shards[hash % TABLE_SHARDS];
}

static struct node **bucket_of(struct shard *shard, uint64_t hash)
{
    return &shard->buckets[(hash / TABLE_SHARDS) % shard->n_buckets];
}

static struct node *find_node(struct shard *shard, uint64_t hash, const char *id)
{
    struct node *node = *bucket_of(shard, hash);
    while (node && strcmp(node->task->request->id, id) != 0) {
        node = node->chain;
    }
    return node;
}

struct table *table_new(size_t max_ended, size_t max_bytes)
{
    struct table *table = must_calloc(1, sizeof *table);
    table->max_ended = max_ended / TABLE_SHARDS + 1;
    table->max_bytes = max_bytes / TABLE_SHARDS + 1;
    for (size_t i = 0; i < TABLE_SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        must(pthread_rwlock_init(&shard->lock, NULL) == 0);
        shard->n_buckets = TABLE_FIRST_BUCKETS;
        shard->buckets = must_calloc(shard->n_buckets, sizeof(struct node *));
    }
    return table;
}

static void free_node(struct node *node)
{
    task_unref(node->task);
    free(node);
}

static void free_shard(struct shard *shard)
{
    for (size_t i = 0; i < shard->n_buckets; i++) {
        for (struct node *node = shard->buckets[i]; node;) {
            struct node *next = node->chain;
            free_node(node);
            node = next;
        }
    }
    free(shard->buckets);
    pthread_rwlock_destroy(&shard->lock);
}

struct table *table_free(struct table *table)
{
    if (!table) {
        return NULL;
    }
    for (size_t i = 0; i < TABLE_SHARDS; i++) {
        free_shard(&table->shards[i]);
    }
    free(table);
    return NULL;
}

static void grow(struct shard *shard)
{
    size_t n_old = shard->n_buckets;
    struct node **old = shard->buckets;
    must(n_old > 0);
    shard->n_buckets = n_old * 2;
    shard->buckets = must_calloc(shard->n_buckets, sizeof(struct node *));
    for (size_t i = 0; i < n_old; i++) {
        for (struct node *node = old[i]; node;) {
            struct node *next = node->chain;
            struct node **bucket = bucket_of(shard, hash_id(node->task->request->id));
            node->chain = *bucket;
            *bucket = node;
            node = next;
        }
    }
    free(old);
}

static struct node *add_node(struct shard *shard, uint64_t hash, const struct task *task)
{
    if (shard->n_nodes >= shard->n_buckets) {
        grow(shard);
    }
    struct node *node = must_calloc(1, sizeof *node);
    node->task = task_ref(task);
    atomic_init(&node->wait_s, -1.0);
    struct node **bucket = bucket_of(shard, hash);
    node->chain = *bucket;
    *bucket = node;
    shard->n_nodes++;
    return node;
}

static void append_ended(struct shard *shard, struct node *node)
{
    node->younger = NULL;
    if (shard->youngest_ended) {
        shard->youngest_ended->younger = node;
    } else {
        shard->oldest_ended = node;
    }
    shard->youngest_ended = node;
}

static struct node *pop_oldest_ended(struct shard *shard)
{
    struct node *node = shard->oldest_ended;
    must(node != NULL);
    shard->oldest_ended = node->younger;
    if (!shard->oldest_ended) {
        shard->youngest_ended = NULL;
    }
    return node;
}

static void remove_node(struct shard *shard, struct node *node)
{
    struct node **link = bucket_of(shard, hash_id(node->task->request->id));
    while (*link != node) {
        link = &(*link)->chain;
    }
    *link = node->chain;
    shard->n_nodes--;
    free_node(node);
}

static void evict(struct table *table, struct shard *shard)
{
    size_t second_chances = shard->n_ended;
    while (shard->n_ended > table->max_ended || shard->bytes_ended > table->max_bytes) {
        struct node *node = pop_oldest_ended(shard);
        if (second_chances > 0 && atomic_exchange(&node->was_asked, false)) {
            second_chances--;
            append_ended(shard, node);
            continue;
        }
        shard->n_ended--;
        shard->bytes_ended -= node->bytes;
        remove_node(shard, node);
    }
}

/* A task that was deleted stays so, whatever an older version's revision is. */
static bool is_newer(const struct task *task, const struct task *than)
{
    if ((task->deleted_ms != 0) != (than->deleted_ms != 0)) {
        return task->deleted_ms != 0;
    }
    return task->revision > than->revision;
}

void table_publish(struct table *table, const struct task *task)
{
    uint64_t hash = hash_id(task->request->id);
    struct shard *shard = shard_of(table, hash);
    const struct task *old = NULL;
    pthread_rwlock_wrlock(&shard->lock);
    struct node *node = find_node(shard, hash, task->request->id);
    if (!node) {
        node = add_node(shard, hash, task);
    } else if (is_newer(task, node->task)) {
        old = node->task;
        node->task = task_ref(task);
    }
    if (!node->is_ended && task_state_is_end(node->task->state)) {
        node->is_ended = true;
        shard->n_ended++;
        node->bytes = sizeof *node + task_request_bytes(task->request);
        shard->bytes_ended += node->bytes;
        append_ended(shard, node);
        evict(table, shard);
    }
    pthread_rwlock_unlock(&shard->lock);
    task_unref(old);
}

bool table_find(struct table *table, const char *id, const struct task **ret_task,
                struct engine_figures *ret_figures)
{
    uint64_t hash = hash_id(id);
    struct shard *shard = shard_of(table, hash);
    pthread_rwlock_rdlock(&shard->lock);
    struct node *node = find_node(shard, hash, id);
    if (node) {
        *ret_task = task_ref(node->task);
        ret_figures->queue_position = atomic_load(&node->queue_position);
        ret_figures->wait_s = atomic_load(&node->wait_s);
        ret_figures->waits_upstream = atomic_load(&node->waits_upstream);
        if (node->is_ended) {
            atomic_store(&node->was_asked, true);
        }
    }
    pthread_rwlock_unlock(&shard->lock);
    return node != NULL;
}

void table_set_figures(struct table *table, const char *id, const struct engine_figures *figures)
{
    uint64_t hash = hash_id(id);
    struct shard *shard = shard_of(table, hash);
    pthread_rwlock_rdlock(&shard->lock);
    struct node *node = find_node(shard, hash, id);
    if (node) {
        atomic_store(&node->queue_position, figures->queue_position);
        atomic_store(&node->wait_s, figures->wait_s);
        atomic_store(&node->waits_upstream, figures->waits_upstream);
    }
    pthread_rwlock_unlock(&shard->lock);
}

size_t table_count(struct table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < TABLE_SHARDS; i++) {
        pthread_rwlock_rdlock(&table->shards[i].lock);
        count += table->shards[i].n_nodes;
        pthread_rwlock_unlock(&table->shards[i].lock);
    }
    return count;
}
