/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys in memory: open addressing over an immutable table, filled to a half at most. `swap` guards
 * the pointer to it: readers hold it for one look-up, the one who refreshes for one assignment. `refresh`
 * lets only one thread at a time ask the store. A thread of ours asks once a second whether anything was
 * committed, so that a key made or revoked by another process is seen; a key that is not in the table
 * makes us ask at once, which costs a look at the store's version and no more while nothing changed.
 * Only hashes are kept and compared, so the time of a look-up tells nothing about a key. */
#include "api/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/crypt.h"
#include "base/log.h"
#include "base/must.h"

struct key_slot {
    bool is_taken;
    struct auth_identity identity;
};

struct key_table {
    size_t mask; /* slots - 1; slots are a power of two */
    struct key_slot slots[];
};

struct auth {
    struct store *store;
    pthread_rwlock_t swap;
    struct key_table *table; /* under swap */
    pthread_mutex_t refresh;
    int64_t version; /* under refresh: the store's at the last reading */
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_signal;
    bool is_stopping; /* under stop_lock */
    pthread_t thread;
};

static size_t first_slot(const struct key_table *table, const uint8_t *hash)
{
    uint64_t start;
    memcpy(&start, hash, sizeof(start));
    return (size_t)start & table->mask;
}

static struct key_table *build_table(const struct store_key *keys, size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count + 2)
        slots *= 2;
    struct key_table *table = must_calloc(1, sizeof(*table) + slots * sizeof(struct key_slot));
    table->mask = slots - 1;
    for (size_t i = 0; i < count; i++) {
        if (keys[i].revoked_ms != 0)
            continue;
        size_t at = first_slot(table, keys[i].hash);
        while (table->slots[at].is_taken)
            at = (at + 1) & table->mask;
        struct key_slot *slot = &table->slots[at];
        slot->is_taken = true;
        memcpy(slot->identity.hash, keys[i].hash, sizeof(slot->identity.hash));
        memcpy(slot->identity.name, keys[i].name, sizeof(slot->identity.name));
        memcpy(slot->identity.tenant, keys[i].tenant, sizeof(slot->identity.tenant));
        slot->identity.is_operator = keys[i].is_operator;
    }
    return table;
}

/* Reads all keys and swaps the table. Called with `refresh` held. */
static int read_keys(struct auth *auth)
{
    struct store_key *keys = NULL;
    size_t count = 0;
    int r = store_keys(auth->store, &keys, &count);
    if (r != 0)
        return r;
    struct key_table *fresh = build_table(keys, count);
    free(keys);
    pthread_rwlock_wrlock(&auth->swap);
    struct key_table *old = auth->table;
    auth->table = fresh;
    pthread_rwlock_unlock(&auth->swap);
    free(old);
    return 0;
}

/* Reads the keys if the store says that something changed. The version is taken first: a commit
 * between the two readings is then seen at the next turn. */
static void follow_store(struct auth *auth)
{
    pthread_mutex_lock(&auth->refresh);
    int64_t version = 0;
    int r = store_version(auth->store, &version);
    if (r == 0 && version != auth->version) {
        r = read_keys(auth);
        if (r == 0)
            auth->version = version;
    }
    pthread_mutex_unlock(&auth->refresh);
    if (r < 0)
        log_warn("reading the API keys failed: %s", strerror(-r));
}

static void *follow(void *context)
{
    struct auth *auth = context;
    pthread_mutex_lock(&auth->stop_lock);
    while (!auth->is_stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += AUTH_REFRESH_MS / 1000;
        pthread_cond_timedwait(&auth->stop_signal, &auth->stop_lock, &until);
        if (auth->is_stopping)
            break;
        pthread_mutex_unlock(&auth->stop_lock);
        follow_store(auth);
        pthread_mutex_lock(&auth->stop_lock);
    }
    pthread_mutex_unlock(&auth->stop_lock);
    return NULL;
}

static void fini(struct auth *auth)
{
    pthread_rwlock_destroy(&auth->swap);
    pthread_mutex_destroy(&auth->refresh);
    pthread_mutex_destroy(&auth->stop_lock);
    pthread_cond_destroy(&auth->stop_signal);
    free(auth->table);
    free(auth);
}

int auth_new(struct store *store, struct auth **ret_auth)
{
    struct auth *auth = must_calloc(1, sizeof(*auth));
    auth->store = store;
    pthread_rwlock_init(&auth->swap, NULL);
    pthread_mutex_init(&auth->refresh, NULL);
    pthread_mutex_init(&auth->stop_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&auth->stop_signal, &attributes);
    pthread_condattr_destroy(&attributes);

    int r = store_version(store, &auth->version);
    if (r == 0)
        r = read_keys(auth);
    if (r == 0)
        r = -pthread_create(&auth->thread, NULL, follow, auth);
    if (r != 0) {
        fini(auth);
        return r;
    }
    *ret_auth = auth;
    return 0;
}

struct auth *auth_free(struct auth *auth)
{
    if (auth == NULL)
        return NULL;
    pthread_mutex_lock(&auth->stop_lock);
    auth->is_stopping = true;
    pthread_cond_signal(&auth->stop_signal);
    pthread_mutex_unlock(&auth->stop_lock);
    pthread_join(auth->thread, NULL);
    fini(auth);
    return NULL;
}

const char *auth_scope(const struct auth_identity *identity)
{
    return identity->is_operator ? NULL : identity->tenant;
}

const char *auth_bearer(const char *authorization, size_t *ret_length)
{
    static const char SCHEME[] = "Bearer";
    enum { SCHEME_LENGTH = sizeof(SCHEME) - 1 };
    if (authorization == NULL || strncasecmp(authorization, SCHEME, SCHEME_LENGTH) != 0)
        return NULL;
    const char *key = authorization + SCHEME_LENGTH;
    if (*key != ' ' && *key != '\t')
        return NULL;
    key += strspn(key, " \t");
    size_t length = strcspn(key, " \t");
    if (length < 1 || length > AUTH_KEY_MAX || key[length + strspn(key + length, " \t")] != '\0')
        return NULL;
    *ret_length = length;
    return key;
}

static bool look_up(struct auth *auth, const uint8_t *hash, struct auth_identity *ret_identity)
{
    bool is_found = false;
    pthread_rwlock_rdlock(&auth->swap);
    const struct key_table *table = auth->table;
    size_t at = first_slot(table, hash);
    for (; !is_found && table->slots[at].is_taken; at = (at + 1) & table->mask) {
        if (memcmp(table->slots[at].identity.hash, hash, CRYPT_SHA256_SIZE) == 0) {
            *ret_identity = table->slots[at].identity;
            is_found = true;
        }
    }
    pthread_rwlock_unlock(&auth->swap);
    return is_found;
}

bool auth_holds(struct auth *auth, const struct auth_identity *identity)
{
    struct auth_identity now;
    return look_up(auth, identity->hash, &now);
}

bool auth_find(struct auth *auth, const uint8_t hash[32], struct auth_identity *ret_identity)
{
    return look_up(auth, hash, ret_identity);
}

bool auth_check(struct auth *auth, const char *authorization, struct auth_identity *ret_identity)
{
    size_t length;
    const char *key = auth_bearer(authorization, &length);
    if (key == NULL)
        return false;
    uint8_t hash[CRYPT_SHA256_SIZE];
    crypt_sha256(key, length, hash);
    if (look_up(auth, hash, ret_identity))
        return true;
    follow_store(auth); /* it may have been made a moment ago */
    return look_up(auth, hash, ret_identity);
}
