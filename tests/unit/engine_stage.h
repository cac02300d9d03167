/* SPDX-License-Identifier: Apache-2.0
 *
 * The stage on which the engine is tested: the real engine over a real store and real assets in a
 * directory that goes away, with a scripted stand-in for media/ (it takes the place of
 * media/media.c at link time) and a database whose writes can be failed or held up.
 *
 * A task's prompt is its script: one letter for each attempt, the last one repeats; what follows a
 * colon only tells tasks apart. Nothing here depends on how fast anything is: tests wait for
 * conditions, FAKE_PATIENCE_MS at most. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/must.h"
#include "engine/engine.h"
#include "media/media.h"
#include "store/backend.h"
#include "task/unified.h"

enum {
    FAKE_PATIENCE_MS = 30000,
    FAKE_TICK_MS = 2,
    FAKE_SCRIPTS_MAX = 4096,
    FAKE_STARTS_MAX = 8,
    FAKE_PROMPT_SIZE = 40,
    FAKE_WIDTH = 352,
    FAKE_HEIGHT = 640,
    FAKE_FRAMES = 120,
    FAKE_DURATION_MS = 4000,
    STAGE_PATH_SIZE = 200,
};

/* ---- the stand-in for media/ ---- */

enum fake_way { FAKE_ENDS, FAKE_HANGS, FAKE_GATED, FAKE_REFUSES };

struct fake_script {
    char letter;
    enum fake_way render;
    enum media_end render_end;
    enum fake_way variants;
    enum media_end variants_end;
};

static const struct fake_script fake_scripts[] = {
    {'d', FAKE_ENDS, MEDIA_DONE, FAKE_ENDS, MEDIA_DONE},
    {'c', FAKE_ENDS, MEDIA_CRASHED, FAKE_ENDS, MEDIA_DONE},
    {'s', FAKE_ENDS, MEDIA_STALLED, FAKE_ENDS, MEDIA_DONE},
    {'b', FAKE_ENDS, MEDIA_BAD_IMAGE, FAKE_ENDS, MEDIA_DONE},
    {'u', FAKE_ENDS, MEDIA_BAD_IMAGE, FAKE_ENDS, MEDIA_DONE}, /* and its note is cut in a letter */
    {'f', FAKE_ENDS, MEDIA_FAILED, FAKE_ENDS, MEDIA_DONE},
    {'n', FAKE_ENDS, MEDIA_NO_SPACE, FAKE_ENDS, MEDIA_DONE},
    {'t', FAKE_ENDS, MEDIA_TOO_LARGE, FAKE_ENDS, MEDIA_DONE},
    {'m', FAKE_ENDS, MEDIA_NO_MEMORY, FAKE_ENDS, MEDIA_DONE},
    {'h', FAKE_HANGS, MEDIA_DONE, FAKE_ENDS, MEDIA_DONE},
    {'w', FAKE_GATED, MEDIA_DONE, FAKE_ENDS, MEDIA_DONE},
    {'r', FAKE_REFUSES, MEDIA_DONE, FAKE_ENDS, MEDIA_DONE},
    {'x', FAKE_ENDS, MEDIA_DONE, FAKE_ENDS, MEDIA_CRASHED},
    {'i', FAKE_ENDS, MEDIA_DONE, FAKE_ENDS, MEDIA_BAD_VIDEO},
    {'z', FAKE_ENDS, MEDIA_DONE, FAKE_ENDS, MEDIA_DONE}, /* of a video without frames */
    {'v', FAKE_ENDS, MEDIA_DONE, FAKE_REFUSES, MEDIA_DONE},
    {'y', FAKE_ENDS, MEDIA_DONE, FAKE_GATED, MEDIA_DONE},
};

/* One task's, by its prompt. */
struct fake_record {
    char prompt[FAKE_PROMPT_SIZE];
    int n_starts;
    int64_t started_ms[FAKE_STARTS_MAX]; /* clock_mono_ms() */
};

struct fake {
    atomic_bool gate_is_open;
    atomic_int percent; /* what renderers report of their progress */
    atomic_int n_live, n_reports, n_images, n_variants_ended;
    pthread_mutex_t lock; /* guards the records */
    struct fake_record records[FAKE_SCRIPTS_MAX];
    size_t n_records;
};

/* There is no context by which the engine's calls could bring it along. */
static struct fake fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct media_job {
    struct loop *loop;
    struct loop_timer tick;
    struct media_handler handler;
    char letter;
    enum fake_way way;
    enum media_end end;
    bool is_variants;
    int n_ticks;
};

static inline const struct fake_script *fake_script(char letter)
{
    size_t i = 0;
    while (i < ARRAY_LENGTH(fake_scripts) && fake_scripts[i].letter != letter) {
        i++;
    }
    must(i < ARRAY_LENGTH(fake_scripts));
    return &fake_scripts[i];
}

/* Call with the lock held. */
static inline struct fake_record *fake_record(const char *prompt)
{
    for (size_t i = 0; i < fake.n_records; i++) {
        if (strcmp(fake.records[i].prompt, prompt) == 0) {
            return &fake.records[i];
        }
    }
    must(fake.n_records < FAKE_SCRIPTS_MAX);
    struct fake_record *record = &fake.records[fake.n_records++];
    *record = (struct fake_record){.n_starts = 0};
    (void)snprintf(record->prompt, sizeof record->prompt, "%s", prompt);
    return record;
}

static inline char fake_count_start(const char *prompt)
{
    pthread_mutex_lock(&fake.lock);
    struct fake_record *record = fake_record(prompt);
    size_t n_letters = strcspn(prompt, ":");
    size_t letter = (size_t)record->n_starts < n_letters ? (size_t)record->n_starts : n_letters - 1;
    if (record->n_starts < FAKE_STARTS_MAX) {
        record->started_ms[record->n_starts] = clock_mono_ms();
    }
    record->n_starts++;
    pthread_mutex_unlock(&fake.lock);
    return prompt[letter];
}

static inline int fake_starts(const char *prompt)
{
    pthread_mutex_lock(&fake.lock);
    int n_starts = fake_record(prompt)->n_starts;
    pthread_mutex_unlock(&fake.lock);
    return n_starts;
}

/* Between the starts of attempts `n` - 1 and `n`, counted from 0. */
static inline int64_t fake_pause_ms(const char *prompt, int n)
{
    pthread_mutex_lock(&fake.lock);
    const struct fake_record *record = fake_record(prompt);
    must(n > 0 && n < FAKE_STARTS_MAX && n < record->n_starts);
    int64_t pause_ms = record->started_ms[n] - record->started_ms[n - 1];
    pthread_mutex_unlock(&fake.lock);
    return pause_ms;
}

static inline void fake_reset(void)
{
    must(atomic_load(&fake.n_live) == 0);
    pthread_mutex_lock(&fake.lock);
    fake.n_records = 0;
    pthread_mutex_unlock(&fake.lock);
    atomic_store(&fake.gate_is_open, false);
    atomic_store(&fake.percent, 70);
    atomic_store(&fake.n_reports, 0);
    atomic_store(&fake.n_images, 0);
    atomic_store(&fake.n_variants_ended, 0);
}

static inline void fake_end(struct media_job *job)
{
    const struct media_job was = *job;
    int n_frames = was.letter == 'z' ? 0 : FAKE_FRAMES;
    const struct media_facts facts = {FAKE_WIDTH, FAKE_HEIGHT, n_frames, FAKE_DURATION_MS};
    const char *note = was.letter == 'u' ? "Image 1: caf\xc3" : "Image 1: it is torn.";
    free(job);
    atomic_fetch_sub(&fake.n_live, 1);
    was.handler.ended(was.handler.context, was.end, was.end == MEDIA_DONE ? &facts : NULL,
                      was.end == MEDIA_DONE ? "" : note);
    atomic_fetch_add(&fake.n_variants_ended, was.is_variants);
}

static inline void fake_on_tick(struct loop_timer *timer)
{
    struct media_job *job = CONTAINER_OF(timer, struct media_job, tick);
    bool may_end =
        job->way == FAKE_ENDS || (job->way == FAKE_GATED && atomic_load(&fake.gate_is_open));
    job->n_ticks++;
    if (job->n_ticks > 2 && may_end) {
        fake_end(job);
        return;
    }
    loop_arm(job->loop, &job->tick, FAKE_TICK_MS);
    job->handler.progress(job->handler.context, atomic_load(&fake.percent) / 100.0);
    atomic_fetch_add(&fake.n_reports, 1);
}

static inline struct media_job *fake_job(struct loop *loop, const struct media_handler *handler)
{
    struct media_job *job = must_calloc(1, sizeof *job);
    job->loop = loop;
    job->handler = *handler;
    job->tick.fire = fake_on_tick;
    loop_arm(loop, &job->tick, FAKE_TICK_MS);
    atomic_fetch_add(&fake.n_live, 1);
    return job;
}

/* The source begins with the attempt's letter, so that its variants know it. */
int media_animatic_start(struct loop *loop, const struct media_animatic *animatic,
                         const struct media_limits *limits, const struct media_handler *handler,
                         struct media_job **ret_job)
{
    char letter = fake_count_start(animatic->prompt);
    const struct fake_script *script = fake_script(letter);
    must(limits->total_ms > 0 && limits->stall_ms > 0 && animatic->output >= 0);
    atomic_fetch_add(&fake.n_images, (int)animatic->n_images);
    if (script->render == FAKE_REFUSES) {
        return -EAGAIN;
    }
    must(pwrite(animatic->output, &letter, 1, 0) == 1);
    struct media_job *job = fake_job(loop, handler);
    job->letter = letter;
    job->way = script->render;
    job->end = script->render_end;
    *ret_job = job;
    return 0;
}

int media_variants_start(struct loop *loop, const struct media_variants *variants,
                         const struct media_limits *limits, const struct media_handler *handler,
                         struct media_job **ret_job)
{
    const int outputs[] = {variants->thumbnail, variants->preview, variants->spritesheet,
                           variants->medium, variants->marked};
    char letter = 0;
    must(limits->total_ms > 0 && pread(variants->source, &letter, 1, 0) == 1);
    const struct fake_script *script = fake_script(letter);
    if (script->variants == FAKE_REFUSES) {
        return -EAGAIN;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(outputs); i++) {
        bool is_wanted = outputs[i] >= 0;
        must(is_wanted || i == ARRAY_LENGTH(outputs) - 1);
        must(!is_wanted || pwrite(outputs[i], "some bytes", 10, 0) == 10);
    }
    struct media_job *job = fake_job(loop, handler);
    job->letter = letter;
    job->way = script->variants;
    job->end = script->variants_end;
    job->is_variants = true;
    *ret_job = job;
    return 0;
}

struct media_job *media_stop(struct media_job *job)
{
    if (job) {
        loop_disarm(job->loop, &job->tick);
        free(job);
        atomic_fetch_sub(&fake.n_live, 1);
    }
    return NULL;
}

int media_pid(const struct media_job *job)
{
    (void)job;
    return -1;
}

/* ---- a database that can be told to fail ---- */

/* Sets of writes: creates, and updates to a state. */
#define WRITES_CREATE 1U
#define WRITES_TO(state) (2U << (unsigned)(state))
#define WRITES_ALL (~0U)

struct ailment {
    _Atomic unsigned failing; /* these writes fail as on a full disk */
    _Atomic unsigned held;    /* these wait, and all behind them */
    atomic_int n_failed, n_held;
};

/* As for `fake`. */
static struct ailment ailment;

static inline int ailment_apply(void *self, struct store_write *write)
{
    unsigned bit = write->kind == STORE_CREATE ? WRITES_CREATE : WRITES_TO(write->task->state);
    if (atomic_load(&ailment.held) & bit) {
        atomic_fetch_add(&ailment.n_held, 1);
        while (atomic_load(&ailment.held) & bit) {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    if (atomic_load(&ailment.failing) & bit) {
        atomic_fetch_add(&ailment.n_failed, 1);
        return -ENOSPC;
    }
    return store_sqlite.apply(self, write);
}

static inline void ailment_reset(void)
{
    atomic_store(&ailment.failing, 0);
    atomic_store(&ailment.held, 0);
    atomic_store(&ailment.n_failed, 0);
    atomic_store(&ailment.n_held, 0);
}

/* ---- the stage ---- */

struct stage {
    char directory[STAGE_PATH_SIZE];
    struct settings *settings;
    struct channel_table *channels;
    struct guard *guard;
    struct store_backend backend;
    struct store *store;
    struct asset_store *assets;
    struct hub *hub;
    struct engine *engine;
};

static inline int stage_unlink(const char *path, const struct stat *status, int kind,
                               struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static inline void stage_load(struct stage *stage, const char *yaml)
{
    char path[STAGE_PATH_SIZE + 20];
    char error[SETTINGS_ERROR_SIZE] = "";
    (void)snprintf(path, sizeof path, "%s/filmgate.yaml", stage->directory);
    FILE *file = fopen(path, "w");
    must(file && fputs(yaml, file) >= 0 && fclose(file) == 0);
    stage->channels = channel_table_free(stage->channels);
    stage->settings = settings_free(stage->settings);
    stage->settings = settings_load(path, (const char *const[]){NULL}, error);
    must(stage->settings);
    stage->settings->render_slots = 2;
    stage->settings->backoff = 10;
    stage->channels = channel_table_new(stage->settings, NULL, error);
    must(stage->channels);
}

static inline void stage_open_store(struct stage *stage)
{
    char error[STORE_ERROR_SIZE] = "";
    stage->backend = store_sqlite;
    stage->backend.apply = ailment_apply;
    if (store_open_with(&stage->backend, stage->directory, &stage->store, error) != 0) {
        fail_msg("%s", error);
    }
}

static inline void stage_start(struct stage *stage)
{
    int64_t change = 0;
    assert_int_equal(store_change(stage->store, &change), 0);
    assert_int_equal(hub_new(&(struct hub_limits){100, 100}, change, &stage->hub), 0);
    const struct engine_parts parts = {
        .settings = stage->settings,
        .channels = stage->channels,
        .guard = stage->guard,
        .store = stage->store,
        .assets = stage->assets,
        .hub = stage->hub,
    };
    assert_int_equal(engine_start(&parts, &stage->engine), 0);
}

static inline void stage_stop(struct stage *stage, int64_t drain_ms)
{
    engine_stop(stage->engine, drain_ms);
    stage->engine = engine_free(stage->engine);
    stage->hub = hub_free(stage->hub);
    assert_int_equal(atomic_load(&fake.n_live), 0);
}

/* Everything but a running engine: tests may change the settings first. */
static inline int stage_set_up(void **state)
{
    char error[ASSET_ERROR_SIZE] = "";
    const char *base = getenv("TMPDIR");
    struct stage *stage = must_calloc(1, sizeof *stage);
    log_init(LOG_ERROR, LOG_TEXT);
    fake_reset();
    ailment_reset();
    (void)snprintf(stage->directory, sizeof stage->directory, "%s/filmgate-engine-XXXXXX",
                   base ? base : "/tmp");
    must(mkdtemp(stage->directory) != NULL);
    stage_load(stage, "log:\n  level: error\n");
    must(guard_new(NULL, 0, &stage->guard, error));
    stage_open_store(stage);
    must(asset_open_directory(stage->directory, &stage->assets, error) == 0);
    *state = stage;
    return 0;
}

static inline int stage_tear_down(void **state)
{
    struct stage *stage = *state;
    ailment_reset();
    if (stage->engine) {
        stage_stop(stage, 0);
    }
    stage->store = store_close(stage->store);
    stage->assets = asset_close(stage->assets);
    stage->guard = guard_free(stage->guard);
    stage->channels = channel_table_free(stage->channels);
    stage->settings = settings_free(stage->settings);
    must(nftw(stage->directory, stage_unlink, 16, FTW_DEPTH | FTW_PHYS) == 0);
    free(stage);
    return 0;
}

/* ---- waiting ---- */

/* Turns a loop that waits for a condition: false when patience is at its end. */
static inline bool stage_wait_more(int64_t since_ms)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return clock_mono_ms() - since_ms < FAKE_PATIENCE_MS;
}

/* Waits for a condition, an expression. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        const int64_t await_since_ms_ = clock_mono_ms();                                           \
        while (!(condition)) {                                                                     \
            if (!stage_wait_more(await_since_ms_)) {                                               \
                fail_msg("waited in vain for: %s", #condition);                                    \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static inline void stage_wait_answer(sem_t *done)
{
    struct timespec until;
    must(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_sec += FAKE_PATIENCE_MS / 1000;
    int result;
    do {
        result = sem_timedwait(done, &until);
    } while (result < 0 && errno == EINTR);
    must(result == 0);
}

/* ---- calls ---- */

static inline struct task_request *stage_request(const char *tenant, const char *prompt)
{
    struct task_request *request = task_request_new();
    id_new("task", request->id, sizeof request->id);
    request->tenant = must_strdup(tenant);
    request->model = must_strdup("sora-2");
    request->request_id = must_strdup("req-1");
    request->prompt = must_strdup(prompt);
    request->orientation = must_strdup("portrait");
    request->size = must_strdup("small");
    request->operation = must_strdup("simple_compose");
    request->created_micros = clock_wall_micros();
    request->duration_s = FAKE_DURATION_MS / 1000;
    request->width = FAKE_WIDTH;
    request->height = FAKE_HEIGHT;
    request->n_frames = FAKE_FRAMES;
    request->priority = 2;
    request->n_variants = 1;
    return request;
}

struct creating {
    struct engine_create create;
    sem_t done;
    atomic_int n_answers;
    struct store *store; /* NULL: not looked into */
    bool was_durable;    /* at the time of the answer */
};

static inline void creating_done(struct engine_create *create)
{
    struct creating *creating = CONTAINER_OF(create, struct creating, create);
    const struct task *task = NULL;
    if (creating->store && create->outcome == ENGINE_OK) {
        creating->was_durable =
            store_task(creating->store, create->task->request->id, &task) == STORE_WRITTEN;
        task_unref(task);
    }
    atomic_fetch_add(&creating->n_answers, 1);
    must(sem_post(&creating->done) == 0);
}

static inline void creating_begin(struct creating *creating, struct engine *engine,
                                  struct task_request *request, char *idempotency_key)
{
    creating->create = (struct engine_create){
        .request = request, .idempotency_key = idempotency_key, .done = creating_done};
    must(sem_init(&creating->done, 0, 0) == 0);
    engine_create(engine, &creating->create);
}

/* The outcome; `ret_id` is empty without a task. */
static inline enum engine_outcome creating_end(struct creating *creating,
                                               char ret_id[ID_SHORT_SIZE])
{
    stage_wait_answer(&creating->done);
    must(atomic_load(&creating->n_answers) == 1);
    const struct task *task = creating->create.task;
    bool has_task =
        creating->create.outcome == ENGINE_OK || creating->create.outcome == ENGINE_REPEATED;
    must(has_task == (task != NULL) && creating->create.request == NULL);
    (void)snprintf(ret_id, ID_SHORT_SIZE, "%s", task ? task->request->id : "");
    task_unref(task);
    (void)sem_destroy(&creating->done);
    return creating->create.outcome;
}

static inline enum engine_outcome stage_create(struct stage *stage, struct task_request *request,
                                               char *idempotency_key, char ret_id[ID_SHORT_SIZE])
{
    struct creating creating = {.store = NULL};
    creating_begin(&creating, stage->engine, request, idempotency_key);
    return creating_end(&creating, ret_id);
}

/* Creates a task of `tenant` that goes as `prompt` says. */
static inline void stage_add(struct stage *stage, const char *tenant, const char *prompt,
                             char ret_id[ID_SHORT_SIZE])
{
    assert_int_equal(stage_create(stage, stage_request(tenant, prompt), NULL, ret_id), ENGINE_OK);
}

struct cancelling {
    struct engine_cancel cancel;
    sem_t done;
};

static inline void cancelling_done(struct engine_cancel *cancel)
{
    must(sem_post(&CONTAINER_OF(cancel, struct cancelling, cancel)->done) == 0);
}

/* `done` ends in cancelling_done(). */
static inline void cancelling_begin_with(struct cancelling *cancelling, struct engine *engine,
                                         const char *tenant, const char *id,
                                         void (*done)(struct engine_cancel *cancel))
{
    *cancelling = (struct cancelling){.cancel = {.done = done}};
    (void)snprintf(cancelling->cancel.id, sizeof cancelling->cancel.id, "%s", id);
    (void)snprintf(cancelling->cancel.tenant, sizeof cancelling->cancel.tenant, "%s", tenant);
    must(sem_init(&cancelling->done, 0, 0) == 0);
    engine_cancel(engine, &cancelling->cancel);
}

static inline void cancelling_begin(struct cancelling *cancelling, struct engine *engine,
                                    const char *tenant, const char *id)
{
    cancelling_begin_with(cancelling, engine, tenant, id, cancelling_done);
}

static inline enum engine_outcome cancelling_end(struct cancelling *cancelling)
{
    stage_wait_answer(&cancelling->done);
    const struct task *task = cancelling->cancel.task;
    enum engine_outcome outcome = cancelling->cancel.outcome;
    must((task != NULL) == (outcome == ENGINE_OK || outcome == ENGINE_CONFLICT));
    must(outcome != ENGINE_OK || task->state == TASK_CANCELLED);
    must(outcome != ENGINE_CONFLICT || task->state == TASK_COMPLETED || task->state == TASK_FAILED);
    task_unref(task);
    (void)sem_destroy(&cancelling->done);
    return outcome;
}

static inline enum engine_outcome stage_cancel(struct stage *stage, const char *tenant,
                                               const char *id)
{
    struct cancelling cancelling;
    cancelling_begin(&cancelling, stage->engine, tenant, id);
    return cancelling_end(&cancelling);
}

/* ---- looking ---- */

/* What queries see; a reference of the caller's. */
static inline const struct task *stage_see(struct stage *stage, const char *id)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    must(engine_task(stage->engine, id, &task, &figures) == ENGINE_OK);
    return task;
}

static inline struct engine_figures stage_figures(struct stage *stage, const char *id)
{
    const struct task *task = NULL;
    struct engine_figures figures;
    must(engine_task(stage->engine, id, &task, &figures) == ENGINE_OK);
    task_unref(task);
    return figures;
}

static inline enum task_state stage_state(struct stage *stage, const char *id)
{
    const struct task *task = stage_see(stage, id);
    enum task_state state = task->state;
    task_unref(task);
    return state;
}

static inline double stage_progress(struct stage *stage, const char *id)
{
    const struct task *task = stage_see(stage, id);
    double progress = task->progress;
    task_unref(task);
    return progress;
}

static inline bool stage_has_ended(struct stage *stage, const char *id)
{
    return task_state_is_end(stage_state(stage, id));
}

/* What the database says; a reference of the caller's. */
static inline const struct task *stage_stored(struct stage *stage, const char *id)
{
    const struct task *task = NULL;
    must(store_task(stage->store, id, &task) == 0);
    return task;
}

static inline enum task_state stage_stored_state(struct stage *stage, const char *id)
{
    const struct task *task = stage_stored(stage, id);
    enum task_state state = task->state;
    task_unref(task);
    return state;
}

static inline int64_t stage_unfinished(struct stage *stage)
{
    struct engine_stats stats;
    engine_stats(stage->engine, &stats);
    return stats.unfinished;
}

static inline bool stage_has_file(struct stage *stage, const struct task *task, const char *name)
{
    char key[ASSET_KEY_MAX];
    struct asset_info info;
    int fd = -1;
    (void)snprintf(key, sizeof key, "%s/%s/%s", task->request->id, task->result.generation_id,
                   name);
    int outcome = asset_get(stage->assets, key, &fd, &info);
    close_fd(&fd);
    return outcome == ASSET_OK;
}

/* nftw() has no context either. */
static int stage_file_count;

static inline int stage_count_file(const char *path, const struct stat *status, int kind,
                                   struct FTW *walk)
{
    (void)path, (void)status, (void)walk;
    stage_file_count += kind == FTW_F;
    return 0;
}

static inline int stage_count_assets(const struct stage *stage)
{
    char path[STAGE_PATH_SIZE + 20];
    (void)snprintf(path, sizeof path, "%s/assets", stage->directory);
    stage_file_count = 0;
    must(nftw(path, stage_count_file, 16, FTW_PHYS) == 0);
    return stage_file_count;
}

#define STAGE_CASE(f)                                                                              \
    {                                                                                              \
#f, f, stage_set_up, stage_tear_down, NULL                                                 \
    }
