/* SPDX-License-Identifier: Apache-2.0
 *
 * A balanced tree of the C library (tsearch): whoever chooses his addresses cannot make it slow. Its lock is taken
 * when a connection comes and goes, never for a request. */
#include "api/peer.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"

enum { PREFIX_BYTES = 8 }; /* of an IPv6 address: its /64 */

struct peer {
    uint8_t address[16];
    int64_t n_connections; /* under the table's lock; never 0 in the tree */
};

struct peer_table {
    int64_t most;
    const struct origin_proxies *proxies;
    pthread_mutex_t lock; /* owns the tree */
    void *root;
};

struct peer_table *peer_table_new(int64_t most, const struct origin_proxies *proxies)
{
    struct peer_table *table = must_calloc(1, sizeof(*table));
    table->most = most;
    table->proxies = proxies;
    pthread_mutex_init(&table->lock, NULL);
    return table;
}

struct peer_table *peer_table_free(struct peer_table *table)
{
    if (table == NULL)
        return NULL;
    must(table->root == NULL);
    pthread_mutex_destroy(&table->lock);
    free(table);
    return NULL;
}

static int compare(const void *left, const void *right)
{
    const struct peer *a = left;
    const struct peer *b = right;
    return memcmp(a->address, b->address, sizeof(a->address));
}

/* Under which address a connection counts. False: it does not. */
static bool find_key(const struct peer_table *table, const struct sockaddr *address,
                     struct peer *ret_key)
{
    static const uint8_t IPV4[12] = {[10] = 0xff, [11] = 0xff};
    struct peer key = {0};
    if (address == NULL || !origin_address(address, key.address) ||
        origin_is_trusted(table->proxies, address))
        return false;
    if (memcmp(key.address, IPV4, sizeof(IPV4)) != 0)
        memset(key.address + PREFIX_BYTES, 0, sizeof(key.address) - PREFIX_BYTES);
    *ret_key = key;
    return true;
}

bool peer_has_room(struct peer_table *table, const struct sockaddr *address)
{
    struct peer key;
    if (!find_key(table, address, &key))
        return true;
    pthread_mutex_lock(&table->lock);
    struct peer **found = tfind(&key, &table->root, compare);
    bool has_room = found == NULL || (*found)->n_connections < table->most;
    pthread_mutex_unlock(&table->lock);
    return has_room;
}

/* With the lock held. */
static struct peer *find_or_add(struct peer_table *table, const struct peer *key)
{
    struct peer **found = tfind(key, &table->root, compare);
    if (found != NULL)
        return *found;
    struct peer *peer = must_calloc(1, sizeof(*peer));
    *peer = *key;
    must(tsearch(peer, &table->root, compare) != NULL);
    return peer;
}

bool peer_enter(struct peer_table *table, const struct sockaddr *address, struct peer **ret_peer)
{
    struct peer key;
    *ret_peer = NULL;
    if (!find_key(table, address, &key))
        return true;
    pthread_mutex_lock(&table->lock);
    struct peer *peer = find_or_add(table, &key);
    bool had_room = peer->n_connections++ < table->most;
    pthread_mutex_unlock(&table->lock);
    *ret_peer = peer;
    return had_room;
}

void peer_leave(struct peer_table *table, struct peer *peer)
{
    if (peer == NULL)
        return;
    pthread_mutex_lock(&table->lock);
    if (--peer->n_connections == 0) {
        tdelete(peer, &table->root, compare);
        free(peer);
    }
    pthread_mutex_unlock(&table->lock);
}
