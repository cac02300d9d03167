/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendering views and keeping them. The cache is cut into shards by the task's id; each has a mutex that is
 * held for a look-up or an insert, never while rendering: two threads may render the same view, and the
 * last one's stays. Bytes outlive their view while a connection still sends them, so they are counted
 * by themselves: view -> responses -> text. Any thread. */
#include "api/view.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/id.h"
#include "base/json.h"
#include "base/must.h"
#include "task/policy.h"

enum {
    SHARDS_MAX = 16,
    SHARD_LEAST_BYTES = 1024 * 1024, /* a cache too small for that has fewer shards */
    BUCKETS_LEAST = 64,
    BYTES_PER_BUCKET = 1024,
    ENTRY_OVERHEAD_BYTES = 1500, /* entry, view, two response objects and their headers */
    USER_LETTERS = 24,
    ETAG_SIZE = 35,
};

/* Asked for by the OpenAI SDKs: when to look again, in ms. */
static const char look_again_header[] = "openai-poll-after-ms";

struct view_bytes {
    atomic_uint references;
    size_t length;
    char etag[ETAG_SIZE];
    char *text;
};

struct view {
    atomic_uint references;
    int64_t revision;
    int64_t made_ms, expires_ms; /* wall clock: [made, expires) is when it holds */
    int64_t look_again_ms;       /* what its header says; 0: none */
    struct view_bytes *bytes;
    struct MHD_Response *response, *not_modified;
};

/* ---- rendering ---- */

static json_t *render(const struct view_source *source, const struct task *task,
                      const struct engine_figures *figures, struct link_signer *ret_signer)
{
    link_signer_init(ret_signer, source->link_key, source->base, source->now_ms,
                     source->valid_for_ms);
    char user[5 + USER_LETTERS + 1] = "user-";
    id_opaque(source->secret, task->request->tenant, user + 5, USER_LETTERS);
    struct unified_view unified = {
        .link = link_signer_sign,
        .link_context = ret_signer,
        .user = user,
        .queue_position = figures->queue_position,
        .wait_s = figures->wait_s,
        .waits_upstream = figures->waits_upstream,
        .keep_ms = source->keep_ms,
        .attempts = source->attempts,
    };
    return dialect_render(source->dialect, task, &unified);
}

json_t *view_tree(const struct view_source *source, const struct task *task,
                  const struct engine_figures *figures)
{
    struct link_signer signer;
    return render(source, task, figures, &signer);
}

static struct view_bytes *bytes_unref(struct view_bytes *bytes)
{
    if (bytes != NULL && atomic_fetch_sub(&bytes->references, 1) == 1) {
        free(bytes->text);
        free(bytes);
    }
    return NULL;
}

static void drop_bytes(void *context)
{
    bytes_unref(context);
}

static struct view_bytes *bytes_new(char *text)
{
    struct view_bytes *bytes = must_calloc(1, sizeof(*bytes));
    atomic_init(&bytes->references, 1);
    bytes->text = text;
    bytes->length = strlen(text);
    uint8_t digest[CRYPT_SHA256_SIZE];
    crypt_sha256(text, bytes->length, digest);
    bytes->etag[0] = '"';
    codec_hex_encode(digest, (ETAG_SIZE - 3) / 2, bytes->etag + 1);
    bytes->etag[ETAG_SIZE - 2] = '"';
    return bytes;
}

static bool add_look_again(struct MHD_Response *response, int64_t ms)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, ms);
    return ms == 0 || MHD_add_response_header(response, look_again_header, text) == MHD_YES;
}

static struct MHD_Response *make_response(struct view_bytes *bytes, bool is_known,
                                          int64_t look_again_ms)
{
    struct MHD_Response *response;
    if (is_known) {
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else {
        atomic_fetch_add(&bytes->references, 1);
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            bytes->length, bytes->text, drop_bytes, bytes);
        if (response == NULL)
            bytes_unref(bytes);
    }
    if (response == NULL)
        return NULL;
    bool is_whole =
        add_look_again(response, look_again_ms) &&
        MHD_add_response_header(response, "ETag", bytes->etag) == MHD_YES &&
        MHD_add_response_header(response, "Cache-Control", "private, no-cache") == MHD_YES;
    if (!is_known)
        is_whole =
            is_whole &&
            MHD_add_response_header(response, "Content-Type", "application/json; charset=utf-8") ==
                MHD_YES &&
            MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
    must(is_whole);
    return response;
}

static void add_cors(struct MHD_Response *response)
{
    must(MHD_add_response_header(response, "Access-Control-Allow-Origin", "*") == MHD_YES);
    must(MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                 "ETag, openai-poll-after-ms") == MHD_YES);
}

/* What this dialect's clients are told; 0: nothing. */
static int64_t look_again(const struct view_source *source, const struct task *task,
                          const struct engine_figures *figures)
{
    if (source->dialect != DIALECT_OPENAI || task_state_is_end(task->state))
        return 0;
    struct policy_outlook outlook = {
        .wait_s = figures->wait_s,
        .typical_s = source->typical_s,
        .elapsed_s = -1,
        .progress = task->progress,
    };
    if (task->started_ms != 0)
        outlook.elapsed_s = fmax(0, (double)(source->now_ms - task->started_ms) / 1000);
    return policy_look_again(&outlook);
}

/* Links must have a day left whenever they are shown; figures of a waiting task, and when to look again, age in a second. */
static int64_t expiry(const struct link_signer *signer, int64_t now_ms, const struct task *task,
                      bool has_look_again)
{
    int64_t expires_ms = INT64_MAX;
    if (signer->is_used)
        expires_ms = signer->se_s * 1000 - VIEW_LINK_LEFT_MS;
    int64_t figures_ms = now_ms + VIEW_FIGURES_MS;
    if ((task->state == TASK_QUEUED || has_look_again) && figures_ms < expires_ms)
        expires_ms = figures_ms;
    return expires_ms;
}

struct view *view_new(const struct view_source *source, const struct task *task,
                      const struct engine_figures *figures, bool cors)
{
    struct link_signer signer;
    json_t *tree = render(source, task, figures, &signer);
    char *text = json_dumps(tree, JSON_WRITE_FLAGS);
    json_decref(tree);
    must(text != NULL);

    struct view *view = must_calloc(1, sizeof(*view));
    atomic_init(&view->references, 1);
    view->revision = task->revision;
    view->made_ms = source->now_ms;
    view->look_again_ms = look_again(source, task, figures);
    view->expires_ms = expiry(&signer, source->now_ms, task, view->look_again_ms != 0);
    view->bytes = bytes_new(text);
    view->response = make_response(view->bytes, false, view->look_again_ms);
    view->not_modified = make_response(view->bytes, true, view->look_again_ms);
    if (view->response == NULL || view->not_modified == NULL)
        return view_unref(view);
    if (cors) {
        add_cors(view->response);
        add_cors(view->not_modified);
    }
    return view;
}

struct view *view_unref(struct view *view)
{
    if (view == NULL || atomic_fetch_sub(&view->references, 1) != 1)
        return NULL;
    if (view->response != NULL)
        MHD_destroy_response(view->response);
    if (view->not_modified != NULL)
        MHD_destroy_response(view->not_modified);
    bytes_unref(view->bytes);
    free(view);
    return NULL;
}

size_t view_length(const struct view *view)
{
    return view->bytes->length;
}

const char *view_text(const struct view *view)
{
    return view->bytes->text;
}

const char *view_etag(const struct view *view)
{
    return view->bytes->etag;
}

struct MHD_Response *view_response(const struct view *view, bool is_known)
{
    return is_known ? view->not_modified : view->response;
}

struct MHD_Response *view_own_response(const struct view *view, bool is_known)
{
    return make_response(view->bytes, is_known, view->look_again_ms);
}

/* ---- the cache ---- */

struct entry {
    char id[ID_SHORT_SIZE];
    char *base;
    enum dialect dialect;
    struct view *view;
    size_t cost;
    int64_t order;               /* when it was put: the oldest of a task's goes first */
    struct entry *next;          /* in its bucket */
    struct entry *newer, *older; /* in the order of use */
};

struct shard {
    pthread_mutex_t lock; /* owns the rest */
    struct entry **buckets;
    size_t mask;
    struct entry *newest, *oldest;
    size_t bytes, max_bytes;
    int64_t puts;
};

struct view_cache {
    size_t n_shards;
    struct shard shards[SHARDS_MAX];
};

static uint64_t hash_id(const char *id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * UINT64_C(1099511628211);
    return hash;
}

static struct shard *shard_of(struct view_cache *cache, uint64_t hash)
{
    return &cache->shards[(hash >> 32) % cache->n_shards];
}

struct view_cache *view_cache_new(size_t max_bytes)
{
    struct view_cache *cache = must_calloc(1, sizeof(*cache));
    cache->n_shards = max_bytes / SHARD_LEAST_BYTES;
    if (cache->n_shards < 1)
        cache->n_shards = 1;
    if (cache->n_shards > SHARDS_MAX)
        cache->n_shards = SHARDS_MAX;
    for (size_t i = 0; i < cache->n_shards; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->max_bytes = max_bytes / cache->n_shards;
        size_t buckets = BUCKETS_LEAST;
        while (buckets < shard->max_bytes / BYTES_PER_BUCKET)
            buckets *= 2;
        shard->buckets = must_calloc(buckets, sizeof(struct entry *));
        shard->mask = buckets - 1;
    }
    return cache;
}

static void use_unlink(struct shard *shard, struct entry *entry)
{
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        shard->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        shard->oldest = entry->newer;
}

static void use_link(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    if (shard->newest != NULL)
        shard->newest->newer = entry;
    else
        shard->oldest = entry;
    shard->newest = entry;
}

static void erase(struct shard *shard, struct entry *entry)
{
    struct entry **link = &shard->buckets[hash_id(entry->id) & shard->mask];
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    use_unlink(shard, entry);
    shard->bytes -= entry->cost;
    view_unref(entry->view);
    free(entry->base);
    free(entry);
}

struct view_cache *view_cache_free(struct view_cache *cache)
{
    if (cache == NULL)
        return NULL;
    for (size_t i = 0; i < cache->n_shards; i++) {
        struct shard *shard = &cache->shards[i];
        while (shard->oldest != NULL)
            erase(shard, shard->oldest);
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
    free(cache);
    return NULL;
}

static struct entry *find(struct shard *shard, uint64_t hash, const char *id,
                          const struct view_source *source)
{
    struct entry *entry = shard->buckets[hash & shard->mask];
    while (entry != NULL && (strcmp(entry->id, id) != 0 || entry->dialect != source->dialect ||
                             strcmp(entry->base, source->base) != 0))
        entry = entry->next;
    return entry;
}

struct view *view_cache_find(struct view_cache *cache, const struct task *task,
                             const struct view_source *source)
{
    uint64_t hash = hash_id(task->request->id);
    struct shard *shard = shard_of(cache, hash);
    struct view *view = NULL;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = find(shard, hash, task->request->id, source);
    if (entry != NULL && entry->view->revision == task->revision &&
        source->now_ms >= entry->view->made_ms && source->now_ms < entry->view->expires_ms) {
        view = entry->view;
        atomic_fetch_add(&view->references, 1);
        use_unlink(shard, entry);
        use_link(shard, entry);
    }
    pthread_mutex_unlock(&shard->lock);
    return view;
}

/* Keeps a task's views to one less than the bound. */
static void make_room_for_one(struct shard *shard, uint64_t hash, const char *id)
{
    struct entry *oldest = NULL;
    int count = 0;
    for (struct entry *at = shard->buckets[hash & shard->mask]; at != NULL; at = at->next) {
        if (strcmp(at->id, id) != 0)
            continue;
        count++;
        if (oldest == NULL || at->order < oldest->order)
            oldest = at;
    }
    if (count >= VIEW_KEPT_MAX)
        erase(shard, oldest);
}

static void put_locked(struct shard *shard, uint64_t hash, const char *id,
                       const struct view_source *source, struct view *view)
{
    size_t cost = view->bytes->length + strlen(source->base) + ENTRY_OVERHEAD_BYTES;
    struct entry *old = find(shard, hash, id, source);
    if (cost > shard->max_bytes || (old != NULL && old->view->revision > view->revision))
        return;
    if (old != NULL)
        erase(shard, old);
    make_room_for_one(shard, hash, id);
    while (shard->bytes + cost > shard->max_bytes) {
        must(shard->oldest != NULL); /* else it would be empty */
        erase(shard, shard->oldest);
    }

    struct entry *entry = must_calloc(1, sizeof(*entry));
    must(strlen(id) < sizeof(entry->id));
    memcpy(entry->id, id, strlen(id) + 1);
    entry->base = must_strdup(source->base);
    entry->dialect = source->dialect;
    atomic_fetch_add(&view->references, 1);
    entry->view = view;
    entry->cost = cost;
    entry->order = shard->puts++;
    struct entry **bucket = &shard->buckets[hash & shard->mask];
    entry->next = *bucket;
    *bucket = entry;
    use_link(shard, entry);
    shard->bytes += cost;
}

void view_cache_put(struct view_cache *cache, const struct task *task,
                    const struct view_source *source, struct view *view)
{
    uint64_t hash = hash_id(task->request->id);
    struct shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->lock);
    put_locked(shard, hash, task->request->id, source, view);
    pthread_mutex_unlock(&shard->lock);
}

void view_cache_forget(struct view_cache *cache, const char *id)
{
    uint64_t hash = hash_id(id);
    struct shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->lock);
    for (struct entry *at = shard->buckets[hash & shard->mask], *next; at != NULL; at = next) {
        next = at->next;
        if (strcmp(at->id, id) == 0)
            erase(shard, at);
    }
    pthread_mutex_unlock(&shard->lock);
}

size_t view_cache_bytes(struct view_cache *cache)
{
    size_t bytes = 0;
    for (size_t i = 0; i < cache->n_shards; i++) {
        pthread_mutex_lock(&cache->shards[i].lock);
        bytes += cache->shards[i].bytes;
        pthread_mutex_unlock(&cache->shards[i].lock);
    }
    return bytes;
}
