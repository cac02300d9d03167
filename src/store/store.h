/* SPDX-License-Identifier: Apache-2.0
 *
 * Where tasks live. One port (struct store_backend), this front before it: a single writer thread
 * gathers waiting writes into one transaction (group commit: one fsync serves many), reads run
 * beside it on connections of their own. A write is true when its `done` is called with
 * STORE_WRITTEN, never before. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/histogram.h"
#include "base/queue.h"
#include "task/task.h"

enum {
    STORE_QUEUE_MAX = 4096,          /* creates waiting for the writer; beyond: STORE_BUSY */
    STORE_BATCH_MAX = 256,           /* writes in one transaction */
    STORE_NOTES_MAX = 512,           /* notes waiting; beyond: lost */
    STORE_BUSY_TIMEOUT_MS = 5000,    /* patience with a lock that another process holds */
    STORE_READERS_MAX = 8,           /* reading connections */
    STORE_NAME_SIZE = 65,            /* names of keys and tenants, with NUL */
    STORE_IDEMPOTENCY_KEY_MAX = 255, /* bytes */
    STORE_EVENT_KIND_SIZE = 12,      /* with NUL */
    STORE_EVENTS_MAX = 256,          /* in one answer */
    STORE_FILE_NAME_SIZE = 256,      /* of an uploaded file's name, with NUL */
    STORE_FILE_TYPE_SIZE = 40,
};

struct store;

enum store_outcome {
    STORE_WRITTEN = 0,
    STORE_NOT_FOUND = 1,
    /* Create: the idempotency key already made `existing_id` from the same request. */
    STORE_REPEATED = 2,
    /* create: the idempotency key was used for another request; update: the stored record is newer
     * or has ended otherwise; key: a valid key of that name exists, or one (also revoked) with its
     * hash or id */
    STORE_CONFLICT = 3,
    STORE_BUSY = 4,         /* the queue is full or the store is closing: try later */
    STORE_NOT_ADMITTED = 5, /* create: its admit() said no; file: its tenant has no room */
};

/* ---- opening ---- */

enum { STORE_ERROR_SIZE = 300 };

/* Opens (and creates, mode 0600) `<directory>/filmgate.db`, migrates it, checks it. 0, or negative
 * errno with a sentence in `ret_error`: damaged file, newer schema, locked for good, not writable.
 * `directory` must exist. */
CHECKED int store_open(const char *directory, struct store **ret_store,
                       char ret_error[STORE_ERROR_SIZE]);
/* Commits what was submitted, ends the writer, closes. Takes NULL, returns NULL. */
struct store *store_close(struct store *store);
/* 32 random bytes made with the database: the root of what must stay the same for a tenant
 * (user-…). */
void store_secret(const struct store *store, uint8_t ret_secret[32]);
/* Small named numbers kept beside the tasks (longest link life …). 0 when absent. */
CHECKED int store_number(struct store *store, const char *name, int64_t *ret_value);
CHECKED int store_set_number(struct store *store, const char *name, int64_t value);
/* The last writes failed (disk full, locked), and none has worked since: /readyz says so.
 * Any thread. */
bool store_is_ailing(const struct store *store);
/* What the writer did since store_open(). */
struct store_counts {
    _Atomic uint64_t commits, failures; /* transactions */
    struct histogram batch;             /* writes in one that was committed */
    struct histogram seconds;           /* one took, committed or not */
};
/* The writer counts, any thread looks. Owned by the store. */
const struct store_counts *store_counts(const struct store *store);

/* ---- writes, asynchronous ---- */

enum store_write_kind {
    STORE_CREATE,
    STORE_UPDATE,
    STORE_ERASE, /* an ended task that was erased: the request is replaced too, texts of its attempts and its events go. Once */
    STORE_NOTE,  /* store_note() alone makes it */
};

/* Embedded by its owner; the store's from store_submit() until done(). */
struct store_write {
    struct queue_item item; /* on the writer's queue */
    enum store_write_kind kind;
    const struct task *task; /* borrowed until done */
    /* STORE_CREATE: the client's Idempotency-Key (NULL: none), scoped to the task's tenant, and the
     * digest of its request. An older entry than `idempotency_keep_ms` before the task's creation
     * counts as absent. */
    const char *idempotency_key;
    uint8_t digest[32];
    int64_t idempotency_keep_ms;
    /* STORE_CREATE, or NULL: asked on the writer's thread before the task is made, once its key is known to be new.
     * False: nothing is made, the result is STORE_NOT_ADMITTED. May be asked again: a group that failed is tried anew. */
    bool (*admit)(struct store_write *write);
    /* On the writer's thread, after the commit or when it failed for good. */
    void (*done)(struct store_write *write);
    int result; /* enum store_outcome, or negative errno (-ENOSPC, -EBUSY, -EIO …) */
    char existing_id[ID_SHORT_SIZE]; /* STORE_REPEATED */
    /* STORE_UPDATE: the state is another one than in the version committed before. A transition, as every create is,
     * becomes an event in the same transaction. */
    bool is_transition;
    const struct store_event *note; /* STORE_NOTE */
    int64_t
        change; /* with STORE_WRITTEN: the number of this change. Grows in the order of commits, never given twice */
    /* Out, STORE_UPDATE: webhooks that wait since this write, the one that ended the task (store/webhooks.h). */
    size_t n_deliveries;
    char *request_json,
        *status_json; /* the store's: the record as it goes to the file; NULL outside */
};

/* 0, or STORE_BUSY (then done is not called and the write is still the caller's). Updates and erasures never
 * meet a full queue (they are bounded by the tasks in flight); they are only refused while closing.
 */
CHECKED int store_submit(struct store *store, struct store_write *write);

/* ---- reads, synchronous, any thread ---- */

/* 0, STORE_NOT_FOUND, or negative errno: -EBADMSG when the record is damaged. The caller owns the reference. */
CHECKED int store_task(struct store *store, const char *id, const struct task **ret_task);

enum {
    STORE_LIST_MAX = 100,
    STORE_LOOK_ROWS = 10000, /* of the table that one look at a list passes over, … */
    STORE_LOOK_MS = 100,     /* … and about how long it takes, at most */
};

/* Which tasks, and from where on. Zero and NULL ask for nothing. */
struct store_list_query {
    const char *tenant;    /* NULL: all tenants (operators) */
    int64_t before_micros; /* the cursor: only tasks behind (created_micros, id), that is … */
    const char *before_id; /* … older ones, or with `ascending` younger ones */
    bool ascending;        /* oldest first */
    size_t limit;          /* 1..STORE_LIST_MAX */
    unsigned states;       /* 1u << enum task_state, of those asked for */
    int64_t from_micros;   /* created then or later */
    int64_t until_micros;  /* created before */
    const char *model;
    bool is_model_prefix; /* `model` is how it begins */
    const char *text;     /* stands in the prompt, A to Z as a to z; not empty, UTF-8 */
    size_t look_rows;     /* instead of STORE_LOOK_ROWS */
};

/* Where a list stopped. */
struct store_list_end {
    bool has_more;          /* there may be more behind it */
    int64_t micros;         /* with `has_more`: the cursor of what comes next … */
    char id[ID_SHORT_SIZE]; /* … */
};

/* Newest first, or oldest; nothing that was deleted. One look: it ends when it has `limit` and knows whether there is one
 * more, at the end, or when it has passed over so many rows or taken so long that the rest is left to the next look, even
 * when nothing was found; `ret_end` tells. Times of creation and ids never change: a walk by cursor meets no task twice, and
 * none is skipped that fits all along. 0 or negative errno; `ret_tasks` takes `limit` entries, each a reference of the
 * caller's. A damaged row is passed over. */
CHECKED int store_list_look(struct store *store, const struct store_list_query *query,
                            const struct task **ret_tasks, size_t *ret_count,
                            struct store_list_end *ret_end);
/* For tests: the same with as many looks as it takes; fewer than `limit` means that there are no more. */
CHECKED int store_list(struct store *store, const struct store_list_query *query,
                       const struct task **ret_tasks, size_t *ret_count);
/* Every task that has not ended, or whose attempt at an upstream is still open, oldest first; `each` borrows. For the engine's start. A damaged
 * row is passed over and counted in `ret_damaged`. */
CHECKED int store_walk_unfinished(struct store *store,
                                  void (*each)(void *context, const struct task *task),
                                  void *context, size_t *ret_damaged);
/* Up to `limit` tasks that ended before `before_ms` and are not yet expired
 * (`expired` false), or that were expired before that time and whose files are not yet marked
 * erased (`expired` true). Oldest first. As store_list_look(). */
CHECKED int store_list_old(struct store *store, bool expired, int64_t before_ms, size_t limit,
                           const struct task **ret_tasks, size_t *ret_count);
/* Up to `limit` tasks that were erased (STORE_ERASE) and whose files are not yet marked erased, oldest first. As
 * store_list_look(). */
CHECKED int store_list_deleted(struct store *store, size_t limit, const struct task **ret_tasks,
                               size_t *ret_count);
/* Sees to it that what was erased is nowhere in the store's files, its log included. May be refused while others read:
 * -EBUSY; then another time. */
CHECKED int store_scrub(struct store *store);
/* Marks an expired task's files as erased, so that store_list_old() does not name it again; its events go.
 * STORE_NOT_FOUND when there is no expired task of that id. */
CHECKED int store_mark_erased(struct store *store, const char *id);
/* Erases idempotency entries older than `before_ms`. For the engine's sweep. */
CHECKED int store_sweep_idempotency(struct store *store, int64_t before_ms);
/* How many tasks each tenant created from `from_micros` on and before `before_micros`: those that
 * created any, by name; `each` borrows. Costs as much as there are tenants and such tasks, however
 * many older ones there are. */
CHECKED int store_count_created(struct store *store, int64_t from_micros, int64_t before_micros,
                                void (*each)(void *context, const char *tenant, int64_t count),
                                void *context);
/* For tests: how many tasks are in each state, as the store counts along. */
CHECKED int store_count_states(struct store *store, int64_t ret_counts[TASK_STATE_COUNT]);

/* ---- attempts at upstreams ---- */

/* A row of the attempts table; it is written in the same transaction as the task whose `attempt` it is: every STORE_UPDATE
 * of a task whose attempt has an id puts it (insert or update by id). */
struct store_attempt {
    char id[ID_SHORT_SIZE], task_id[ID_SHORT_SIZE];
    char tenant[STORE_NAME_SIZE];
    char *model; /* as asked; freed by store_attempt_fini() */
    struct attempt_record record;
    int64_t resolved_ms; /* when an operator said what became of it; 0: never */
};
void store_attempt_fini(struct store_attempt *attempt);

struct store_attempts_query {
    bool only_unknown, only_open; /* at most one of them: an unknown one is not open */
    const char *task_id;          /* NULL: of any */
    const char *before_id;        /* NULL: from the newest */
    size_t limit;                 /* 1..100 */
};

/* Newest first. 0 or negative errno; each is the caller's to store_attempt_fini(). */
CHECKED int store_attempts(struct store *store, const struct store_attempts_query *query,
                           struct store_attempt *ret_attempts, size_t *ret_count);
/* An operator's word on an attempt that is `unknown`: taken under `job`, or (NULL) not taken. At once, beside a running
 * server. STORE_NOT_FOUND, STORE_CONFLICT (it is not unknown). */
CHECKED int store_attempt_resolve(struct store *store, const char *id, const char *job,
                                  int64_t now_ms);

/* ---- changes and events ---- */

/* The number of the last change committed; 0: none since they are counted. */
CHECKED int store_change(struct store *store, int64_t *ret_change);

/* What once happened to a task. */
struct store_event {
    int64_t number; /* of the change that it came with */
    char task_id[ID_SHORT_SIZE];
    char tenant[STORE_NAME_SIZE];
    char kind[STORE_EVENT_KIND_SIZE];
    int64_t at_ms, revision;
    char *body; /* a JSON object; freed by store_event_fini() */
};
void store_event_fini(struct store_event *event);

/* The kind of a transition; its body: state, progress, attempt, channel, failure, note. */
#define STORE_EVENT_STATE "state"

/* The kind of a note on an upstream's poll; its body: attempt, verdict, message. */
#define STORE_EVENT_POLL "poll"
/* The kind of a note on why an attempt ended; its body: is_local, attempt, is_submit (of the answer to one), message. Of one that was put off before it began:
 * channel, credential and message. */
#define STORE_EVENT_ATTEMPT "attempt"
/* The kind of a note on a result that is out of reach; its body: attempt, tries (in a row), message. */
#define STORE_EVENT_FETCH "fetch"

/* Writes an event of another kind than STORE_EVENT_STATE down, some time soon. Nobody waits for it, and it may be lost: when
 * many wait, when the store fails. What is noted of a deleted task is. */
void store_note(struct store *store, const struct task *task, const char *kind, const char *body,
                int64_t at_ms);

struct store_events_query {
    const char *tenant;  /* NULL: of all */
    const char *task_id; /* NULL: of any task */
    /* Instead of `task_id`, up to TASK_IDS_MAX; NULL: none. */
    const char *const *task_ids;
    size_t n_task_ids;
    int64_t after;    /* only events of larger numbers; 0: from the first */
    const char *kind; /* NULL: of any */
    size_t limit;     /* 1..STORE_EVENTS_MAX */
};

/* Oldest first. 0 or negative errno; each is the caller's to store_event_fini(). Fewer than `limit`: there are no more. */
CHECKED int store_events(struct store *store, const struct store_events_query *query,
                         struct store_event *ret_events, size_t *ret_count);

/* ---- uploaded files ---- */

/* A row of the files table. It and the bytes come and go in an order that leaves neither alone, wherever it is cut off:
 * store_file_add() puts a hidden row, the bytes are stored, store_file_show() lets it be seen; store_file_hide(), the bytes are
 * erased, store_file_forget(). What is hidden and old is the sweep's. */
struct store_file {
    char id[ID_SHORT_SIZE]; /* file_<26> */
    char tenant[STORE_NAME_SIZE];
    char name[STORE_FILE_NAME_SIZE]; /* as its owner calls it: UTF-8 */
    char purpose[STORE_NAME_SIZE];   /* in its owner's word */
    char type[STORE_FILE_TYPE_SIZE]; /* content type */
    char sha256[65];                 /* hex of the content */
    int64_t bytes, width, height;
    int64_t created_ms, expires_ms; /* whole seconds both */
};

/* What a tenant may have, hidden files and those that are not yet expired counted. */
struct store_file_limits {
    int64_t count, bytes;
};

/* A hidden row. STORE_NOT_ADMITTED: the tenant would have more than `limits` at `file->created_ms`. At once, as are all of these. */
CHECKED int store_file_add(struct store *store, const struct store_file *file,
                           const struct store_file_limits *limits);
/* STORE_NOT_FOUND: no such row, or it was shown before. */
CHECKED int store_file_show(struct store *store, const char *id);
/* Hides a file that is shown and has not expired at `now_ms`; of `tenant`, or NULL: of any. STORE_NOT_FOUND: there is none. */
CHECKED int store_file_hide(struct store *store, const char *tenant, const char *id,
                            int64_t now_ms);
/* STORE_NOT_FOUND: no such row. */
CHECKED int store_file_forget(struct store *store, const char *id);
/* One that is shown and has not expired, as store_file_hide() finds it. */
CHECKED int store_file(struct store *store, const char *tenant, const char *id, int64_t now_ms,
                       struct store_file *ret_file);

struct store_files_query {
    const char *tenant;   /* NULL: of any */
    const char *purpose;  /* NULL: any */
    const char *after_id; /* only what comes after it in this order; NULL: from the beginning */
    bool oldest_first;
    int64_t now_ms; /* none that has expired by then */
    size_t limit;   /* 1..100 */
};

/* Those that are shown. 0 or negative errno; fewer than `limit` means that there are no more. */
CHECKED int store_file_list(struct store *store, const struct store_files_query *query,
                            struct store_file *ret_files, size_t *ret_count);
/* Up to `limit` ids of files to erase: expired at `now_ms`, or hidden and created before `hidden_before_ms`. */
CHECKED int store_file_due(struct store *store, int64_t now_ms, int64_t hidden_before_ms,
                           size_t limit, char (*ret_ids)[ID_SHORT_SIZE], size_t *ret_count);

/* ---- keys ---- */

struct store_key {
    char id[ID_SHORT_SIZE]; /* key_<26> */
    char name[STORE_NAME_SIZE];
    char tenant[STORE_NAME_SIZE];
    uint8_t hash[32]; /* SHA-256 of the key */
    bool is_operator;
    int64_t created_ms;
    int64_t revoked_ms; /* 0: valid */
};

/* Names and tenants: 1..64 bytes of [A-Za-z0-9._@-]. */
bool store_is_name(const char *text);
/* Adds a key at once (a transaction of its own; works beside a running server). STORE_CONFLICT when
 * a valid key of that name exists. */
CHECKED int store_key_add(struct store *store, const struct store_key *key);
/* Revokes the valid key of that name or id. STORE_NOT_FOUND when there is none. */
CHECKED int store_key_revoke(struct store *store, const char *name_or_id, int64_t now_ms);
/* All keys, oldest first; `ret_keys` is malloc'ed. */
CHECKED int store_keys(struct store *store, struct store_key **ret_keys, size_t *ret_count);
/* A number that changes when another process, or another `struct store`, committed something
 * (PRAGMA data_version); commits through this one do not change it. Cheap, never waits. */
CHECKED int store_version(struct store *store, int64_t *ret_version);
