/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints and signing secrets of webhooks in the SQLite store. Secrets stand here as they are: whoever
 * signs needs them. Small transactions of their own. Any thread. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypt.h"
#include "base/must.h"

/* ---- endpoints ---- */

int sqlite_endpoint_add(void *self, const struct store_endpoint *endpoint, size_t most)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_ENDPOINT_INSERT, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, endpoint->id);
        sqlite_bind_text(statement, 2, endpoint->tenant);
        sqlite_bind_text(statement, 3, endpoint->url);
        sqlite_bind_text(statement, 4, endpoint->base);
        sqlite_bind_int(statement, 5, endpoint->created_ms);
        sqlite_bind_int(statement, 6, (int64_t)most);
        result = sqlite_run(&sqlite->writer, statement);
    }
    if (result == 0 && sqlite3_changes(sqlite->writer.db) == 0)
        result = STORE_NOT_ADMITTED;
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result == -EEXIST ? (int)STORE_CONFLICT : result;
}

/* Within a transaction. */
static int sqlite_drop_endpoint(struct sqlite *sqlite, const char *tenant, const char *id,
                                int64_t now_ms, bool *ret_was_there)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_ENDPOINT_DELETE, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_text(statement, 2, id);
    fault = sqlite_run(&sqlite->writer, statement);
    *ret_was_there = fault == 0 && sqlite3_changes(sqlite->writer.db) > 0;
    if (!*ret_was_there)
        return fault;
    fault = sqlite_use(&sqlite->writer, STATEMENT_DELIVERIES_DISABLE_ENDPOINT, &statement);
    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_text(statement, 2, id);
    sqlite_bind_int(statement, 3, now_ms);
    sqlite_bind_text(statement, 4, "the endpoint was removed");
    return sqlite_run(&sqlite->writer, statement);
}

int sqlite_endpoint_remove(void *self, const char *tenant, const char *id, int64_t now_ms)
{
    struct sqlite *sqlite = self;
    bool was_there = false;
    int fault = sqlite_begin(sqlite);

    if (fault < 0)
        return fault;
    fault = sqlite_end(sqlite, sqlite_drop_endpoint(sqlite, tenant, id, now_ms, &was_there));
    return fault < 0 ? fault : was_there ? 0 : (int)STORE_NOT_FOUND;
}

int sqlite_endpoint_enable(void *self, const char *tenant, const char *id)
{
    struct sqlite *sqlite = self;
    sqlite3_stmt *statement;

    (void)pthread_mutex_lock(&sqlite->write_lock);
    int result = sqlite_use(&sqlite->writer, STATEMENT_ENDPOINT_ENABLE, &statement);
    if (result == 0) {
        sqlite_bind_text(statement, 1, tenant);
        sqlite_bind_text(statement, 2, id);
        result = sqlite_run(&sqlite->writer, statement);
    }
    if (result == 0 && sqlite3_changes(sqlite->writer.db) == 0)
        result = STORE_NOT_FOUND;
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return result;
}

/* False when the row is damaged. */
static bool sqlite_row_endpoint(sqlite3_stmt *statement, const char *tenant,
                                struct store_endpoint *ret_endpoint)
{
    const char *why = (const char *)sqlite3_column_text(statement, 5);
    struct store_endpoint endpoint = {
        .created_ms = sqlite3_column_int64(statement, 3),
        .disabled_ms = sqlite3_column_int64(statement, 4),
    };

    if (!id_is_typeid(sqlite_text(statement, 0), "whk"))
        return false;
    (void)snprintf(endpoint.id, sizeof endpoint.id, "%s", sqlite_text(statement, 0));
    (void)snprintf(endpoint.tenant, sizeof endpoint.tenant, "%s", tenant);
    endpoint.url = must_strdup(sqlite_text(statement, 1));
    endpoint.base = must_strdup(sqlite_text(statement, 2));
    endpoint.why = why != NULL ? must_strdup(why) : NULL;
    *ret_endpoint = endpoint;
    return true;
}

int sqlite_endpoints(void *self, const char *tenant, struct store_endpoint *ret_endpoints,
                     size_t *ret_count)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    size_t count = 0;
    int result = sqlite_begin_read(sqlite, STATEMENT_ENDPOINTS, &reader, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, tenant);
    while (count < STORE_ENDPOINTS_MAX &&
           (result = sqlite_step(&reader->connection, statement)) > 0)
        count += sqlite_row_endpoint(statement, tenant, &ret_endpoints[count]);
    if (result > 0)
        sqlite_rest(statement);
    sqlite_give_back(sqlite, reader);
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            store_endpoint_fini(&ret_endpoints[i]);
        return result;
    }
    *ret_count = count;
    return 0;
}

/* ---- secrets ---- */

/* 0 or negative errno; damaged rows are passed over. */
static int sqlite_read_secrets(struct sqlite *sqlite, const char *tenant, int64_t now_ms,
                               struct store_secret *ret_secrets, size_t *ret_count)
{
    struct sqlite_reader *reader;
    sqlite3_stmt *statement;
    size_t count = 0;
    int result = sqlite_begin_read(sqlite, STATEMENT_SECRETS, &reader, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_int(statement, 2, now_ms);
    while (count < STORE_SECRETS_MAX &&
           (result = sqlite_step(&reader->connection, statement)) > 0) {
        struct store_secret *secret = &ret_secrets[count];
        if (sqlite3_column_bytes(statement, 0) != (int)sizeof secret->bytes)
            continue;
        memcpy(secret->bytes, sqlite3_column_blob(statement, 0), sizeof secret->bytes);
        secret->created_ms = sqlite3_column_int64(statement, 1);
        secret->expires_ms = sqlite3_column_int64(statement, 2);
        count++;
    }
    if (result > 0)
        sqlite_rest(statement);
    sqlite_give_back(sqlite, reader);
    *ret_count = count;
    return result < 0 ? result : 0;
}

/* Under write_lock. With STATEMENT_SECRET_FIRST it stays without effect where there is one. */
static int sqlite_put_secret(struct sqlite *sqlite, enum sqlite_statement which, const char *tenant,
                             int64_t now_ms)
{
    uint8_t fresh[STORE_SECRET_BYTES];
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, which, &statement);

    if (fault < 0)
        return fault;
    crypt_random(fresh, sizeof fresh);
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_blob(statement, 2, fresh, sizeof fresh);
    sqlite_bind_int(statement, 3, now_ms);
    return sqlite_run(&sqlite->writer, statement);
}

int sqlite_secrets(void *self, const char *tenant, int64_t now_ms, struct store_secret *ret_secrets,
                   size_t *ret_count)
{
    struct sqlite *sqlite = self;
    size_t count = 0;
    int fault = sqlite_read_secrets(sqlite, tenant, now_ms, ret_secrets, &count);

    if (fault == 0 && (count == 0 || ret_secrets[0].expires_ms != 0)) {
        (void)pthread_mutex_lock(&sqlite->write_lock);
        fault = sqlite_put_secret(sqlite, STATEMENT_SECRET_FIRST, tenant, now_ms);
        (void)pthread_mutex_unlock(&sqlite->write_lock);
        if (fault == 0)
            fault = sqlite_read_secrets(sqlite, tenant, now_ms, ret_secrets, &count);
    }
    if (fault < 0)
        return fault;
    *ret_count = count;
    return count > 0 ? 0 : -EIO;
}

/* Within a transaction. */
static int sqlite_rotate(struct sqlite *sqlite, const char *tenant, int64_t now_ms,
                         int64_t overlap_ms)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_SECRET_RETIRE, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_int(statement, 2, now_ms + overlap_ms);
    fault = sqlite_run(&sqlite->writer, statement);
    if (fault == 0)
        fault = sqlite_put_secret(sqlite, STATEMENT_SECRET_INSERT, tenant, now_ms);
    if (fault == 0)
        fault = sqlite_use(&sqlite->writer, STATEMENT_SECRETS_TRIM, &statement);
    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_int(statement, 2, STORE_SECRETS_MAX);
    return sqlite_run(&sqlite->writer, statement);
}

int sqlite_secret_rotate(void *self, const char *tenant, int64_t now_ms, int64_t overlap_ms)
{
    struct sqlite *sqlite = self;
    int fault = sqlite_begin(sqlite);

    return fault < 0 ? fault
                     : sqlite_end(sqlite, sqlite_rotate(sqlite, tenant, now_ms, overlap_ms));
}
