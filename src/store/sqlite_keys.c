/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of API keys in the SQLite store. Only the hash of a key is here. Each change is a
 * transaction of its own, so that key commands work beside a running server, which learns of them
 * through its version number. Any thread. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 100000 }; /* more than anyone has; a file with more is not ours */

int sqlite_key_add(void *self, const struct store_key *key)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_KEY_INSERT, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, key->id);
        sqlite_bind_text(statement, 2, key->name);
        sqlite_bind_text(statement, 3, key->tenant);
        sqlite_bind_blob(statement, 4, key->hash, sizeof key->hash);
        sqlite_bind_int(statement, 5, key->is_operator);
        sqlite_bind_int(statement, 6, key->created_ms);
        sqlite_bind_int(statement, 7, key->revoked_ms);
        result = sqlite_run(&sqlite->writer, statement);
    }
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result == -EEXIST ? (int)STORE_CONFLICT : result;
}

int sqlite_key_revoke(void *self, const char *name_or_id, int64_t now_ms)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_KEY_REVOKE, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, name_or_id);
        sqlite_bind_int(statement, 2, now_ms);
        result = sqlite_run(&sqlite->writer, statement);
    }
    if (result == 0 && sqlite3_changes(sqlite->writer.db) == 0)
        result = STORE_NOT_FOUND;
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

/* False when the row is damaged: a key with half a hash must not become one that opens. */
static bool sqlite_row_key(sqlite3_stmt *statement, struct store_key *ret_key)
{
    struct store_key key = {0};

    if (sqlite3_column_bytes(statement, 3) != (int)sizeof key.hash)
        return false;
    memcpy(key.hash, sqlite3_column_blob(statement, 3), sizeof key.hash);
    int id = snprintf(key.id, sizeof key.id, "%s", sqlite_text(statement, 0));
    int name = snprintf(key.name, sizeof key.name, "%s", sqlite_text(statement, 1));
    int tenant = snprintf(key.tenant, sizeof key.tenant, "%s", sqlite_text(statement, 2));
    if (id < 1 || (size_t)id >= sizeof key.id || name < 0 || (size_t)name >= sizeof key.name ||
        tenant < 0 || (size_t)tenant >= sizeof key.tenant)
        return false;
    key.is_operator = sqlite3_column_int64(statement, 4) == 1;
    key.created_ms = sqlite3_column_int64(statement, 5);
    key.revoked_ms = sqlite3_column_int64(statement, 6);
    *ret_key = key;
    return true;
}

/* Doubles the room when it is full. */
static int sqlite_keys_reserve(struct store_key **keys, size_t count, size_t *room)
{
    if (count < *room)
        return 0;
    size_t wanted = *room == 0 ? 16 : *room * 2;
    if (wanted > (size_t)KEYS_MAX * 2)
        return -EFBIG;
    struct store_key *grown = realloc(*keys, wanted * sizeof **keys);
    if (grown == NULL)
        return -ENOMEM;
    *keys = grown;
    *room = wanted;
    return 0;
}

static int sqlite_collect_keys(struct sqlite_connection *connection, sqlite3_stmt *statement,
                               struct store_key **keys, size_t *count)
{
    size_t room = 0;
    int result;

    while ((result = sqlite_step(connection, statement)) > 0) {
        int fault = sqlite_keys_reserve(keys, *count, &room);
        if (fault < 0) {
            sqlite_rest(statement);
            return fault;
        }
        if (sqlite_row_key(statement, &(*keys)[*count]))
            ++*count;
    }
    return result;
}

int sqlite_keys(void *self, struct store_key **ret_keys, size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    struct store_key *keys CLEANUP(free_pointer) = NULL;
    sqlite3_stmt *statement;
    size_t count = 0;
    int fault = sqlite_borrow(sqlite, &reader);

    if (fault < 0)
        return fault;
    fault = sqlite_use(&reader->connection, STATEMENT_KEYS, &statement);
    if (fault == 0)
        fault = sqlite_collect_keys(&reader->connection, statement, &keys, &count);
    sqlite_give_back(sqlite, reader);
    if (fault < 0)
        return fault;
    *ret_keys = TAKE(keys);
    *ret_count = count;
    return 0;
}
