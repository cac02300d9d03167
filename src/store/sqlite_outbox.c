/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox of webhooks in the SQLite store, the writing half. Rows are put in the transaction that ends
 * their task, once: by a look at the task as it was before. All rows of one end bear one event's id.
 * What a try came to is a transaction of its own. The puts are the writer's; the rest any thread's. */
#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

#include "base/must.h"

enum { OUTBOX_SWEEP_MAX = 500 }; /* deliveries erased in one transaction */

/* ---- what ends of tasks put ---- */

int sqlite_has_ended(struct sqlite *sqlite, const char *task_id, bool *ret_has_ended)
{
    sqlite3_stmt *statement;
    int result = sqlite_use(&sqlite->writer, STATEMENT_TASK_HAS_ENDED, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, task_id);
    result = sqlite_step(&sqlite->writer, statement);
    if (result < 0)
        return result;
    *ret_has_ended = result > 0 && sqlite3_column_int64(statement, 0) != 0;
    if (result > 0)
        sqlite_rest(statement);
    return 0;
}

static int sqlite_insert_delivery(struct sqlite *sqlite, const struct store_delivery *delivery)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_DELIVERY_INSERT, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, delivery->id);
    sqlite_bind_text(statement, 2, delivery->event_id);
    sqlite_bind_text(statement, 3, delivery->tenant);
    sqlite_bind_text(statement, 4, delivery->endpoint);
    sqlite_bind_text(statement, 5, delivery->task_id);
    sqlite_bind_text(statement, 6, delivery->type);
    sqlite_bind_text(statement, 7, delivery->url);
    sqlite_bind_text(statement, 8, delivery->base);
    sqlite_bind_text(statement, 9, store_delivery_state_name(delivery->state));
    sqlite_bind_int(statement, 10, delivery->next_ms);
    sqlite_bind_int(statement, 11, delivery->created_ms);
    sqlite_bind_int(statement, 12, delivery->ended_ms);
    sqlite_bind_text(statement, 13, delivery->note); /* NULL stays NULL */
    return sqlite_run(&sqlite->writer, statement);
}

/* How many of the tenant's there are, or wait; counts to `most`. */
static int sqlite_count(struct sqlite *sqlite, enum sqlite_statement which, const char *tenant,
                        int64_t most, int64_t *ret_count)
{
    sqlite3_stmt *statement;
    int result = sqlite_use(&sqlite->writer, which, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, tenant);
    sqlite_bind_int(statement, 2, most);
    result = sqlite_step(&sqlite->writer, statement);
    if (result <= 0)
        return result;
    *ret_count = sqlite3_column_int64(statement, 0);
    sqlite_rest(statement);
    return 0;
}

static int sqlite_count_waiting(struct sqlite *sqlite, const char *tenant, int64_t *ret_count)
{
    return sqlite_count(sqlite, STATEMENT_DELIVERIES_WAITING, tenant, STORE_DELIVERIES_WAITING_MAX,
                        ret_count);
}

/* The news of one end, on its way into the outbox. */
struct outbox_news {
    struct sqlite *sqlite;
    struct store_write *write;
    struct store_delivery row; /* what all of its rows share */
    int64_t n_waiting;         /* of the tenant */
};

/* Texts are borrowed. */
static int sqlite_tell(struct outbox_news *news, const char *endpoint, char *url, char *base)
{
    char too_many[] = "too many deliveries of this tenant wait already";
    struct store_delivery row = news->row;
    bool is_admitted = news->n_waiting < STORE_DELIVERIES_WAITING_MAX;

    id_new("dlv", row.id, sizeof row.id);
    (void)snprintf(row.endpoint, sizeof row.endpoint, "%s", endpoint);
    row.url = url;
    row.base = base;
    if (is_admitted) {
        news->write->n_deliveries++;
        news->n_waiting++;
    } else {
        row.state = STORE_DELIVERY_GIVEN_UP;
        row.ended_ms = row.created_ms;
        row.note = too_many;
    }
    return sqlite_insert_delivery(news->sqlite, &row);
}

/* On the writer's connection: an endpoint that was added by the commit before counts. */
static int sqlite_writer_endpoints(struct sqlite *sqlite, const char *tenant,
                                   struct store_endpoint *ret_endpoints, size_t *ret_count)
{
    sqlite3_stmt *statement;
    size_t count = 0;
    int result = sqlite_use(&sqlite->writer, STATEMENT_ENDPOINTS, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, tenant);
    while (count < STORE_ENDPOINTS_MAX && (result = sqlite_step(&sqlite->writer, statement)) > 0) {
        struct store_endpoint *endpoint = &ret_endpoints[count];
        if (sqlite3_column_int64(statement, 4) != 0) /* disabled */
            continue;
        *endpoint = (struct store_endpoint){
            .url = must_strdup(sqlite_text(statement, 1)),
            .base = must_strdup(sqlite_text(statement, 2)),
        };
        (void)snprintf(endpoint->id, sizeof endpoint->id, "%s", sqlite_text(statement, 0));
        count++;
    }
    if (result > 0)
        sqlite_rest(statement);
    *ret_count = count;
    return result < 0 ? result : 0;
}

/* Everybody once: an endpoint with the task's own URL hears of it as that endpoint. */
static int sqlite_tell_all(struct outbox_news *news, const struct store_endpoint *endpoints,
                           size_t count)
{
    const struct task_request *request = news->write->task->request;
    bool is_told = request->webhook_url == NULL;
    int fault = count > 0 || !is_told
                    ? sqlite_count_waiting(news->sqlite, news->row.tenant, &news->n_waiting)
                    : 0;

    for (size_t i = 0; fault == 0 && i < count; i++) {
        const struct store_endpoint *endpoint = &endpoints[i];
        is_told = is_told || strcmp(endpoint->url, request->webhook_url) == 0;
        fault = sqlite_tell(news, endpoint->id, endpoint->url, endpoint->base);
    }
    if (fault == 0 && !is_told) {
        char none[] = "";
        fault = sqlite_tell(news, "", request->webhook_url,
                            request->base_url != NULL ? request->base_url : none);
    }
    return fault;
}

int sqlite_put_deliveries(struct sqlite *sqlite, struct store_write *write)
{
    const struct task *task = write->task;
    struct store_endpoint endpoints[STORE_ENDPOINTS_MAX] = {0};
    struct outbox_news news = {
        .sqlite = sqlite,
        .write = write,
        .row = {.state = STORE_DELIVERY_WAITING,
                .next_ms = task->ended_ms,
                .created_ms = task->ended_ms},
    };
    struct store_delivery *row = &news.row;
    size_t count = 0;

    id_new("evt", row->event_id, sizeof row->event_id);
    (void)snprintf(row->tenant, sizeof row->tenant, "%s",
                   task->request->tenant != NULL ? task->request->tenant : "");
    (void)snprintf(row->task_id, sizeof row->task_id, "%s", task->request->id);
    (void)snprintf(row->type, sizeof row->type, "%s", task_state_event(task->state));
    int fault = sqlite_writer_endpoints(sqlite, row->tenant, endpoints, &count);
    if (fault == 0)
        fault = sqlite_tell_all(&news, endpoints, count);
    for (size_t i = 0; i < count; i++)
        store_endpoint_fini(&endpoints[i]);
    return fault;
}

/* ---- what people put ---- */

/* Within a transaction. */
static int sqlite_add_delivery(struct sqlite *sqlite, const struct store_delivery *delivery)
{
    int64_t n_waiting = 0, n_all = 0;
    int fault = sqlite_count_waiting(sqlite, delivery->tenant, &n_waiting);

    if (fault == 0)
        fault = sqlite_count(sqlite, STATEMENT_DELIVERIES_COUNT, delivery->tenant,
                             STORE_DELIVERIES_ASKED_MAX, &n_all);
    if (fault < 0)
        return fault;
    if (n_waiting >= STORE_DELIVERIES_WAITING_MAX || n_all >= STORE_DELIVERIES_ASKED_MAX)
        return STORE_NOT_ADMITTED;
    return sqlite_insert_delivery(sqlite, delivery);
}

int sqlite_delivery_add(void *self, const struct store_delivery *delivery)
{
    struct sqlite *sqlite = self;
    int result = sqlite_begin(sqlite);

    if (result < 0)
        return result;
    result = sqlite_add_delivery(sqlite, delivery);
    int fault = sqlite_end(sqlite, result < 0 ? result : 0);
    return fault < 0 ? fault : result;
}

/* ---- what a try came to ---- */

static int sqlite_insert_try(struct sqlite *sqlite, const struct store_tried *tried)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_TRY_INSERT, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tried->id);
    sqlite_bind_int(statement, 2, tried->try.number);
    sqlite_bind_int(statement, 3, tried->try.at_ms);
    sqlite_bind_int(statement, 4, tried->try.took_ms);
    sqlite_bind_int(statement, 5, tried->try.status);
    sqlite_bind_text(statement, 6, tried->try.error);
    sqlite_bind_text(statement, 7, tried->try.answer);
    return sqlite_run(&sqlite->writer, statement);
}

static int sqlite_update_tried(struct sqlite *sqlite, const struct store_tried *tried)
{
    bool waits_on = tried->state == STORE_DELIVERY_WAITING;
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, STATEMENT_DELIVERY_TRIED, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tried->id);
    sqlite_bind_int(statement, 2, tried->try.number);
    sqlite_bind_text(statement, 3, tried->body);
    sqlite_bind_text(statement, 4, store_delivery_state_name(tried->state));
    sqlite_bind_int(statement, 5, tried->next_ms);
    sqlite_bind_int(statement, 6, waits_on ? 0 : tried->try.at_ms + tried->try.took_ms);
    sqlite_bind_text(statement, 7, waits_on ? NULL : tried->note);
    return sqlite_run(&sqlite->writer, statement);
}

/* `which` takes tenant, URL, time and reason. */
static int sqlite_disable(struct sqlite *sqlite, enum sqlite_statement which,
                          const struct store_tried *tried)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, which, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, tried->tenant);
    sqlite_bind_text(statement, 2, tried->url);
    sqlite_bind_int(statement, 3, tried->try.at_ms + tried->try.took_ms);
    sqlite_bind_text(statement, 4, "the receiver answered 410: it wants no more");
    return sqlite_run(&sqlite->writer, statement);
}

static int sqlite_read_lane(struct sqlite *sqlite, const struct store_tried *tried,
                            int64_t *ret_next_ms)
{
    sqlite3_stmt *statement;
    int result = sqlite_use(&sqlite->writer, STATEMENT_LANE, &statement);

    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, tried->tenant);
    sqlite_bind_text(statement, 2, tried->url);
    result = sqlite_step(&sqlite->writer, statement);
    if (result < 0)
        return result;
    bool waits = result > 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    *ret_next_ms = waits ? sqlite3_column_int64(statement, 0) : INT64_MAX;
    if (result > 0)
        sqlite_rest(statement);
    return 0;
}

int sqlite_delivery_tried(void *self, const struct store_tried *tried, int64_t *ret_next_ms)
{
    struct sqlite *sqlite = self;
    int64_t next_ms = INT64_MAX;
    int fault = sqlite_begin(sqlite);

    if (fault < 0)
        return fault;
    if (tried->try.number > 0)
        fault = sqlite_insert_try(sqlite, tried);
    if (fault == 0)
        fault = sqlite_update_tried(sqlite, tried);
    if (fault == 0 && tried->is_gone)
        fault = sqlite_disable(sqlite, STATEMENT_ENDPOINT_DISABLE, tried);
    if (fault == 0 && tried->is_gone)
        fault = sqlite_disable(sqlite, STATEMENT_DELIVERIES_DISABLE_LANE, tried);
    if (fault == 0)
        fault = sqlite_read_lane(sqlite, tried, &next_ms);
    fault = sqlite_end(sqlite, fault);
    if (fault == 0)
        *ret_next_ms = next_ms;
    return fault;
}

/* ---- letting go ---- */

int sqlite_drop_deliveries(struct sqlite *sqlite, const char *task_id, int64_t now_ms)
{
    sqlite3_stmt *statement;
    int fault = sqlite_run_for(sqlite, STATEMENT_TRIES_ERASE, task_id);

    if (fault != 0)
        return fault;
    fault = sqlite_use(&sqlite->writer, STATEMENT_DELIVERIES_ERASE, &statement);
    if (fault < 0)
        return fault;
    sqlite_bind_text(statement, 1, task_id);
    sqlite_bind_int(statement, 2, now_ms);
    sqlite_bind_text(statement, 3, "the task was erased");
    return sqlite_run(&sqlite->writer, statement);
}

static int sqlite_run_sweep(struct sqlite *sqlite, enum sqlite_statement which, int64_t before_ms)
{
    sqlite3_stmt *statement;
    int fault = sqlite_use(&sqlite->writer, which, &statement);

    if (fault < 0)
        return fault;
    sqlite_bind_int(statement, 1, before_ms);
    if (which != STATEMENT_SECRETS_SWEEP)
        sqlite_bind_int(statement, 2, OUTBOX_SWEEP_MAX);
    return sqlite_run(&sqlite->writer, statement);
}

/* Erases up to OUTBOX_SWEEP_MAX deliveries with their tries, and tells how many. */
static int sqlite_sweep_outbox(struct sqlite *sqlite, int64_t before_ms, int *ret_erased)
{
    int fault = sqlite_begin(sqlite);

    if (fault < 0)
        return fault;
    fault = sqlite_run_sweep(sqlite, STATEMENT_TRIES_SWEEP, before_ms);
    if (fault == 0)
        fault = sqlite_run_sweep(sqlite, STATEMENT_DELIVERIES_SWEEP, before_ms);
    if (fault == 0)
        *ret_erased = sqlite3_changes(sqlite->writer.db);
    return sqlite_end(sqlite, fault);
}

/* In pieces, so that creates get their turns between. */
int sqlite_sweep_deliveries(void *self, int64_t before_ms, int64_t now_ms)
{
    struct sqlite *sqlite = self;
    int erased = 0;
    int fault;

    do {
        fault = sqlite_sweep_outbox(sqlite, before_ms, &erased);
    } while (fault == 0 && erased == OUTBOX_SWEEP_MAX);
    if (fault < 0)
        return fault;
    (void)pthread_mutex_lock(&sqlite->write_lock);
    fault = sqlite_run_sweep(sqlite, STATEMENT_SECRETS_SWEEP, now_ms);
    (void)pthread_mutex_unlock(&sqlite->write_lock);
    return fault;
}
