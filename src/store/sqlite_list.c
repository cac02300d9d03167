/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of tasks from the SQLite store. A statement is put together from arms, each a walk along one index from the cursor
 * on, merged in order of age:
 *
 *     any state                        tasks_of_tenant, or tasks_by_age
 *     not ended                        tasks_unfinished: as short as the queue
 *     one arm for each state of an end tasks_ended_of_tenant, or tasks_ended
 *
 * Everything asked is bound. What no index knows (model, text) is looked at row by row here, not by SQLite, so that the look
 * can end at any row and go on from there. Any thread. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"

enum {
    SQL_BYTES = 4096,
    CLOCK_EVERY = 32, /* rows between looks at the clock */
    ALL_STATES = (1u << TASK_STATE_COUNT) - 1,
};

/* As the columns of an arm; the first four as sqlite_row_task() wants them. */
enum column {
    COLUMN_ID,
    COLUMN_REQUEST,
    COLUMN_STATUS,
    COLUMN_CHANGE,
    COLUMN_CREATED,
    COLUMN_STATE,
    COLUMN_MODEL,
    COLUMN_DELETED,
};

/* As an arm names them; what comes after FIRST_STATE are the further states. */
enum parameter { NEAR_MICROS = 1, NEAR_ID, FAR_MICROS, TENANT, FIRST_STATE };

/* ---- the statement ---- */

static void sqlite_add_arm(const struct store_list_query *query, const char *index,
                           const char *condition, struct buf *sql)
{
    buf_puts(sql, sql->length > 0 ? " UNION ALL " : "");
    buf_printf(
        sql,
        "SELECT id, request, status, change, created_micros, state, model, deleted_ms FROM tasks"
        " INDEXED BY %s WHERE (created_micros, id) %s (?%d, ?%d) AND created_micros %s ?%d",
        index, query->ascending ? ">" : "<", NEAR_MICROS, NEAR_ID,
        query->ascending ? "<" : ">=", FAR_MICROS);
    if (query->tenant != NULL)
        buf_printf(sql, " AND tenant = ?%d", TENANT);
    buf_puts(sql, condition);
}

static bool sqlite_wants(const struct store_list_query *query, enum task_state state)
{
    return query->states == 0 || (query->states & 1u << state) != 0;
}

static bool sqlite_wants_all(const struct store_list_query *query)
{
    return query->states == 0 || (query->states & ALL_STATES) == ALL_STATES;
}

static bool sqlite_wants_unfinished(const struct store_list_query *query)
{
    bool wants = false;

    for (unsigned state = 0; state < TASK_STATE_COUNT; state++)
        wants = wants || (!task_state_is_end(state) && sqlite_wants(query, state));
    return wants;
}

/* The ends asked for, in the order of their parameters. */
static size_t sqlite_wanted_ends(const struct store_list_query *query,
                                 enum task_state ret_ends[TASK_STATE_COUNT])
{
    size_t count = 0;

    for (unsigned state = 0; state < TASK_STATE_COUNT; state++)
        if (task_state_is_end(state) && sqlite_wants(query, state))
            ret_ends[count++] = state;
    return count;
}

static void sqlite_add_ends(const struct store_list_query *query, struct buf *sql)
{
    enum task_state ends[TASK_STATE_COUNT];
    size_t count = sqlite_wanted_ends(query, ends);

    for (size_t i = 0; i < count; i++) {
        char condition[80];
        (void)snprintf(condition, sizeof condition,
                       " AND is_end = 1 AND deleted_ms = 0 AND state = ?%d", FIRST_STATE + (int)i);
        sqlite_add_arm(query, query->tenant != NULL ? "tasks_ended_of_tenant" : "tasks_ended",
                       condition, sql);
    }
}

void sqlite_list_sql(const struct store_list_query *query, struct buf *sql)
{
    const char *order = query->ascending ? "ASC" : "DESC";

    if (sqlite_wants_all(query)) {
        sqlite_add_arm(query, query->tenant != NULL ? "tasks_of_tenant" : "tasks_by_age", "", sql);
    } else {
        if (sqlite_wants_unfinished(query))
            sqlite_add_arm(query, "tasks_unfinished", " AND is_end = 0", sql);
        sqlite_add_ends(query, sql);
    }
    buf_printf(sql, " ORDER BY %d %s, %d %s", COLUMN_CREATED + 1, order, COLUMN_ID + 1, order);
    must(!sql->overflowed);
}

/* Where the walk begins: at the cursor, or at the bound of time that lies behind it. No id is smaller than an empty one. */
static void sqlite_bind_near(const struct store_list_query *query, sqlite3_stmt *statement)
{
    int64_t micros = query->before_micros;
    const char *id = query->before_id != NULL ? query->before_id : "";
    int64_t bound = query->ascending          ? query->from_micros
                    : query->until_micros > 0 ? query->until_micros
                                              : INT64_MAX;

    if (micros == 0 || (query->ascending ? micros < bound : micros >= bound)) {
        micros = bound;
        id = "";
    }
    sqlite_bind_int(statement, NEAR_MICROS, micros);
    sqlite_bind_text(statement, NEAR_ID, id);
}

static void sqlite_bind_list(const struct store_list_query *query, sqlite3_stmt *statement)
{
    enum task_state ends[TASK_STATE_COUNT];
    int64_t until = query->until_micros > 0 ? query->until_micros : INT64_MAX;

    sqlite_bind_near(query, statement);
    sqlite_bind_int(statement, FAR_MICROS, query->ascending ? until : query->from_micros);
    if (query->tenant != NULL)
        sqlite_bind_text(statement, TENANT, query->tenant);
    size_t count = sqlite_wants_all(query) ? 0 : sqlite_wanted_ends(query, ends);
    for (size_t i = 0; i < count; i++)
        sqlite_bind_text(statement, FIRST_STATE + (int)i, task_state_name(ends[i]));
}

/* ---- the rows ---- */

/* One look at a list. */
struct look {
    const struct store_list_query *query;
    char *needle; /* the text as it stands within a document; NULL: none is asked for */
    size_t rows;  /* passed over so far */
    int64_t until_ms;
};

/* Documents escape character by character, so what stands in a prompt stands, escaped, in its document. */
static int sqlite_escape(const char *text, char **ret_needle)
{
    CLEANUP(json_unref_pointer) json_t *string = json_string(text);
    char *quoted = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;

    if (quoted == NULL) /* not UTF-8 */
        return -EINVAL;
    size_t length = strlen(quoted);
    memmove(quoted, quoted + 1, length - 2);
    quoted[length - 2] = '\0';
    *ret_needle = quoted;
    return 0;
}

static bool sqlite_is_model(const struct store_list_query *query, const char *model)
{
    if (query->model == NULL)
        return true;
    return query->is_model_prefix ? strncmp(model, query->model, strlen(query->model)) == 0
                                  : strcmp(model, query->model) == 0;
}

static bool sqlite_is_state(const struct store_list_query *query, const char *name)
{
    enum task_state state;

    return query->states == 0 || (task_state_parse(name, &state) && sqlite_wants(query, state));
}

/* The task of this row if it is wanted, else NULL. What is cheap to ask is asked first. */
static const struct task *sqlite_wanted_task(const struct look *look, sqlite3_stmt *statement)
{
    const struct store_list_query *query = look->query;

    if (sqlite3_column_int64(statement, COLUMN_DELETED) != 0 ||
        !sqlite_is_state(query, sqlite_text(statement, COLUMN_STATE)) ||
        !sqlite_is_model(query, sqlite_text(statement, COLUMN_MODEL)))
        return NULL;
    if (look->needle != NULL &&
        strcasestr(sqlite_text(statement, COLUMN_REQUEST), look->needle) == NULL)
        return NULL;
    const struct task *task = sqlite_row_task(statement);
    /* it may stand in the document, but elsewhere */
    if (task != NULL && query->text != NULL &&
        strcasestr(task->request->prompt, query->text) == NULL)
        task = task_unref(task);
    return task;
}

static bool sqlite_is_tired(const struct look *look)
{
    size_t most = look->query->look_rows > 0 ? look->query->look_rows : STORE_LOOK_ROWS;

    return look->rows >= most ||
           (look->rows > 0 && look->rows % CLOCK_EVERY == 0 && clock_mono_ms() >= look->until_ms);
}

/* The look goes on behind this row. */
static void sqlite_pass(struct look *look, sqlite3_stmt *statement, struct store_list_end *end)
{
    look->rows++;
    end->micros = sqlite3_column_int64(statement, COLUMN_CREATED);
    (void)snprintf(end->id, sizeof end->id, "%s", sqlite_text(statement, COLUMN_ID));
}

/* Goes on to the next wanted row: 1 with its task, 0 at the end or when tired of it, or negative errno. */
static int sqlite_look_on(struct sqlite_connection *connection, sqlite3_stmt *statement,
                          struct look *look, const struct task **ret_task,
                          struct store_list_end *end)
{
    for (;;) {
        if (sqlite_is_tired(look)) {
            end->has_more = true;
            sqlite_rest(statement);
            return 0;
        }
        int result = sqlite_step(connection, statement);
        if (result <= 0)
            return result;
        *ret_task = sqlite_wanted_task(look, statement);
        if (*ret_task != NULL)
            return 1;
        sqlite_pass(look, statement, end);
    }
}

/* Up to `limit` tasks; one more that fits is only told of. On a fault nothing is kept. */
static int sqlite_collect_list(struct sqlite_connection *connection, sqlite3_stmt *statement,
                               struct look *look, const struct task **ret_tasks, size_t *ret_count,
                               struct store_list_end *ret_end)
{
    struct store_list_end end = {0};
    const struct task *task = NULL;
    size_t count = 0;
    int result;

    while ((result = sqlite_look_on(connection, statement, look, &task, &end)) > 0) {
        if (count == look->query->limit) {
            end.has_more = true;
            task_unref(task);
            sqlite_rest(statement);
            break;
        }
        sqlite_pass(look, statement, &end);
        ret_tasks[count++] = task;
    }
    for (size_t i = 0; result < 0 && i < count; i++)
        ret_tasks[i] = task_unref(ret_tasks[i]);
    if (result < 0)
        return result;
    *ret_count = count;
    *ret_end = end;
    return 0;
}

static int sqlite_list_with(struct sqlite_connection *connection, struct look *look,
                            const struct task **ret_tasks, size_t *ret_count,
                            struct store_list_end *ret_end)
{
    CLEANUP(buf_fini) struct buf sql;
    sqlite3_stmt *statement = NULL;

    buf_init(&sql, SQL_BYTES);
    sqlite_list_sql(look->query, &sql);
    int fault = sqlite_fault(
        connection->db, sqlite3_prepare_v2(connection->db, buf_text(&sql), -1, &statement, NULL));
    if (fault < 0)
        return fault;
    sqlite_bind_list(look->query, statement);
    fault = sqlite_collect_list(connection, statement, look, ret_tasks, ret_count, ret_end);
    (void)sqlite3_finalize(statement);
    return fault;
}

int sqlite_list(void *self, const struct store_list_query *query, const struct task **ret_tasks,
                size_t *ret_count, struct store_list_end *ret_end)
{
    struct sqlite *sqlite = self;
    struct sqlite_reader *reader;
    struct look look = {.query = query, .until_ms = clock_mono_ms() + STORE_LOOK_MS};
    int fault = query->text != NULL ? sqlite_escape(query->text, &look.needle) : 0;

    if (fault == 0)
        fault = sqlite_borrow(sqlite, &reader);
    if (fault == 0) {
        fault = sqlite_list_with(&reader->connection, &look, ret_tasks, ret_count, ret_end);
        sqlite_give_back(sqlite, reader);
    }
    free(look.needle);
    return fault;
}
