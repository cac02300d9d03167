/* SPDX-License-Identifier: Apache-2.0
 *
 * What can go wrong under the SQLite store: a full disk, a lock that stays, a file that is damaged,
 * foreign, from the future or not ours to write, and rows that are no records. Each must end in an
 * answer, and nothing in half. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "store/migrate.h"
#include "store_fixture.h"

enum {
    WRITES = 20,
    OPENERS = 8,
    ROUNDS = 20,
    NOBODY = 65534,
    RECOVERY_MAX_MS = 30000,
};

struct scene {
    char directory[FIXTURE_PATH_SIZE];
    char database[FIXTURE_PATH_SIZE + 16];
    struct store *store;
};

static int set_up(void **state)
{
    struct scene *scene = must_calloc(1, sizeof *scene);
    fixture_make_directory(scene->directory);
    fixture_database(scene->directory, scene->database);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    scene->store = store_close(scene->store);
    fixture_remove_directory(scene->directory);
    free(scene);
    return 0;
}

static void scene_open(struct scene *scene)
{
    char error[STORE_ERROR_SIZE] = "";
    if (store_open(scene->directory, &scene->store, error) != 0)
        fail_msg("%s", error);
}

/* Opening must fail with `fault` and a sentence that names the file and holds `word`. */
static void assert_refused(struct scene *scene, int fault, const char *word)
{
    char error[STORE_ERROR_SIZE] = "";
    assert_int_equal(store_open(scene->directory, &scene->store, error), fault);
    assert_null(scene->store);
    assert_non_null(strstr(error, scene->database));
    if (strstr(error, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error, word);
}

/* Runs SQL on the file as a stranger would. */
static void run_sql(struct scene *scene, const char *sql)
{
    sqlite3 *db = NULL;
    char *error = NULL;
    assert_int_equal(sqlite3_open(scene->database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, STORE_BUSY_TIMEOUT_MS), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s", error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Creates some tasks and closes the store, so that all of it lies in the main file. */
static void fill(struct scene *scene, int count)
{
    scene_open(scene);
    for (int i = 0; i < count; i++) {
        struct task *task = fixture_large_task("tenant-1", FIXTURE_MICROS + i, 2000);
        assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
        task_unref(task);
    }
    scene->store = store_close(scene->store);
}

/* ---- a full disk ---- */

/* No file of this process can grow past `bytes`: what a full disk looks like to it. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void limit_to_log(struct scene *scene)
{
    char path[FIXTURE_PATH_SIZE + 32];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s-wal", scene->database);
    must(stat(path, &status) == 0);
    limit_files((rlim_t)status.st_size);
}

static void submit_all(struct scene *scene, struct fixture_write *writes, struct task **tasks)
{
    for (size_t i = 0; i < WRITES; i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS);
        fixture_write_init(&writes[i], STORE_CREATE, tasks[i]);
        assert_int_equal(store_submit(scene->store, &writes[i].write), 0);
    }
}

static void a_full_disk_fails_writes_and_mends(void **state)
{
    struct scene *scene = *state;
    struct fixture_write writes[WRITES];
    struct task *tasks[WRITES];
    int results[WRITES];
    const struct task *loaded = NULL;
    scene_open(scene);
    struct task *before = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, before), STORE_WRITTEN);

    limit_to_log(scene); /* assertions wait until the limit is off: they write */
    submit_all(scene, writes, tasks);
    for (size_t i = 0; i < WRITES; i++)
        results[i] = fixture_wait(&writes[i]);
    bool was_ailing = store_is_ailing(scene->store);
    int number_result = store_set_number(scene->store, "n", 1);
    int read_result = store_task(scene->store, before->request->id, &loaded);
    limit_files(RLIM_INFINITY);

    for (size_t i = 0; i < WRITES; i++)
        assert_int_equal(results[i], -ENOSPC);
    assert_true(was_ailing);
    assert_int_equal(number_result, -ENOSPC);
    assert_int_equal(read_result, 0); /* reading goes on */
    loaded = task_unref(loaded);
    for (size_t i = 0; i < WRITES; i++) {
        assert_int_equal(store_task(scene->store, tasks[i]->request->id, &loaded), STORE_NOT_FOUND);
        assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, tasks[i]), STORE_WRITTEN);
        task_unref(tasks[i]);
    }
    assert_false(store_is_ailing(scene->store));
    task_unref(before);
}

/* Creates are refused while the store ails, so it must find out by itself that it is well again. */
static void an_ailing_store_heals_unasked(void **state)
{
    struct scene *scene = *state;
    scene_open(scene);
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *other = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    limit_to_log(scene);
    int result = fixture_write_now(scene->store, STORE_CREATE, other);
    bool was_ailing = store_is_ailing(scene->store);
    limit_files(RLIM_INFINITY);
    assert_int_equal(result, -ENOSPC);
    assert_true(was_ailing);
    int64_t until_ms = clock_mono_ms() + RECOVERY_MAX_MS;
    while (store_is_ailing(scene->store) && clock_mono_ms() < until_ms)
        usleep(10000);
    assert_false(store_is_ailing(scene->store));
    task_unref(other);
    task_unref(task);
}

/* ---- locks ---- */

static void a_lock_that_stays_is_told(void **state)
{
    struct scene *scene = *state;
    struct fixture_write writes[WRITES];
    struct task *tasks[WRITES];
    sqlite3 *holder = NULL;
    scene_open(scene);
    assert_int_equal(sqlite3_open(scene->database, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    submit_all(scene, writes, tasks);
    for (size_t i = 0; i < WRITES; i++)
        assert_int_equal(fixture_wait(&writes[i]), -EBUSY);
    assert_true(store_is_ailing(scene->store));
    assert_int_equal(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(holder), SQLITE_OK);
    for (size_t i = 0; i < WRITES; i++) {
        assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, tasks[i]), STORE_WRITTEN);
        task_unref(tasks[i]);
    }
    assert_false(store_is_ailing(scene->store));
}

static void a_file_that_another_holds_is_not_opened(void **state)
{
    struct scene *scene = *state;
    sqlite3 *holder = NULL;
    fill(scene, 1);
    assert_int_equal(sqlite3_open(scene->database, &holder), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(holder, "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE", NULL, NULL, NULL),
        SQLITE_OK);
    assert_refused(scene, -EBUSY, "locked by another process");
    assert_int_equal(sqlite3_close(holder), SQLITE_OK);
    scene_open(scene);
}

/* In the child: opens, tells the secret, closes. */
static _Noreturn void open_and_tell(struct scene *scene, int out)
{
    char error[STORE_ERROR_SIZE];
    uint8_t secret[32];
    if (store_open(scene->directory, &scene->store, error) != 0)
        _exit(1);
    store_secret(scene->store, secret);
    if (write(out, secret, sizeof secret) != (ssize_t)sizeof secret)
        _exit(2);
    scene->store = store_close(scene->store);
    _exit(0);
}

static void open_many(struct scene *scene)
{
    uint8_t secrets[OPENERS][32];
    pid_t children[OPENERS];
    int ends[2];
    must(pipe(ends) == 0);
    for (size_t i = 0; i < OPENERS; i++) {
        children[i] = fork();
        must(children[i] >= 0);
        if (children[i] == 0)
            open_and_tell(scene, ends[1]);
    }
    for (size_t i = 0; i < OPENERS; i++) {
        int status = -1;
        must(waitpid(children[i], &status, 0) == children[i]);
        assert_int_equal(status, 0);
        assert_int_equal(read(ends[0], secrets[i], 32), 32);
        assert_memory_equal(secrets[i], secrets[0], 32);
    }
    close(ends[0]);
    close(ends[1]);
}

/* Several processes meet on an empty directory: one makes the file, all get the same secret. Many
 * rounds, because what it guards against is a race. */
static void many_may_open_at_once(void **state)
{
    struct scene *scene = *state;
    for (int round = 0; round < ROUNDS; round++) {
        open_many(scene);
        assert_int_equal(unlink(scene->database), 0);
    }
}

/* ---- files that are not as they should be ---- */

static void overwrite(struct scene *scene, long offset, size_t length)
{
    FILE *file = fopen(scene->database, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    for (size_t i = 0; i < length; i++)
        assert_int_not_equal(fputc(0xa5, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static void a_damaged_header_is_refused(void **state)
{
    struct scene *scene = *state;
    fill(scene, 5);
    overwrite(scene, 0, 100);
    assert_refused(scene, -EBADMSG, "damaged");
}

static void damaged_pages_are_refused(void **state)
{
    struct scene *scene = *state;
    fill(scene, 200);
    overwrite(scene, 40960, 200000);
    assert_refused(scene, -EBADMSG, "damaged");
}

static void a_cut_file_is_refused(void **state)
{
    struct scene *scene = *state;
    fill(scene, 200);
    assert_int_equal(truncate(scene->database, 81920), 0);
    assert_refused(scene, -EBADMSG, "damaged");
}

static void a_text_is_refused(void **state)
{
    struct scene *scene = *state;
    FILE *file = fopen(scene->database, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs("this is no database\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_refused(scene, -EBADMSG, "damaged");
}

static void an_empty_file_is_a_beginning(void **state)
{
    struct scene *scene = *state;
    FILE *file = fopen(scene->database, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    scene_open(scene);
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    task_unref(task);
}

static void the_database_of_another_program_is_refused(void **state)
{
    struct scene *scene = *state;
    run_sql(scene, "CREATE TABLE recipes(name TEXT)");
    assert_refused(scene, -EINVAL, "another program");
    run_sql(scene, "INSERT INTO recipes VALUES('untouched')");
}

static void a_newer_schema_is_refused(void **state)
{
    struct scene *scene = *state;
    char sql[60];
    fill(scene, 1);
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %lld", (long long)migrate_latest() + 1);
    run_sql(scene, sql);
    assert_refused(scene, -ENOTSUP, "newer");
}

static void a_directory_in_its_place_is_refused(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(mkdir(scene->database, 0700), 0);
    assert_refused(scene, -EISDIR, "is a directory");
}

static void a_missing_directory_is_told(void **state)
{
    struct scene *scene = *state;
    char kept[FIXTURE_PATH_SIZE];
    memcpy(kept, scene->directory, sizeof kept);
    (void)snprintf(scene->directory, sizeof scene->directory, "%.200s/none", kept);
    fixture_database(scene->directory, scene->database);
    assert_refused(scene, -ENOENT, "must exist");
    memcpy(scene->directory, kept, sizeof kept);
}

/* In the child: as a user who may read the file but not write it. */
static _Noreturn void open_as_nobody(struct scene *scene)
{
    char error[STORE_ERROR_SIZE] = "";
    if (geteuid() == 0 && setuid(NOBODY) != 0)
        _exit(9);
    int result = store_open(scene->directory, &scene->store, error);
    if (result != -EROFS && result != -EACCES)
        _exit(1);
    if (strstr(error, scene->database) == NULL)
        _exit(2);
    _exit(strstr(error, "right to write") != NULL ? 0 : 3);
}

static void a_file_that_cannot_be_written_is_told(void **state)
{
    struct scene *scene = *state;
    int status = -1;
    fill(scene, 1);
    assert_int_equal(chmod(scene->database, 0444), 0);
    assert_int_equal(chmod(scene->directory, 0555), 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        open_as_nobody(scene);
    must(waitpid(child, &status, 0) == child);
    assert_int_equal(chmod(scene->directory, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- rows that are no records ---- */

static void count_each(void *context, const struct task *task)
{
    size_t *count = context;
    assert_non_null(task);
    ++*count;
}

static void damaged_rows_hide_no_others(void **state)
{
    struct scene *scene = *state;
    struct task *tasks[5];
    scene_open(scene);
    for (int i = 0; i < 5; i++) {
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS + i);
        assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, tasks[i]), STORE_WRITTEN);
    }
    char sql[400];
    (void)snprintf(sql, sizeof sql,
                   "UPDATE tasks SET status = '{' WHERE id = '%s';"
                   "UPDATE tasks SET request = (SELECT request FROM tasks WHERE id = '%s')"
                   " WHERE id = '%s';",
                   tasks[1]->request->id, tasks[0]->request->id, tasks[3]->request->id);
    run_sql(scene, sql);

    size_t walked = 0, damaged = 0, listed = 0;
    const struct task *loaded = NULL;
    const struct task *page[3];
    assert_int_equal(store_walk_unfinished(scene->store, count_each, &walked, &damaged), 0);
    assert_int_equal(walked, 3);
    assert_int_equal(damaged, 2);
    assert_int_equal(store_task(scene->store, tasks[1]->request->id, &loaded), -EBADMSG);
    assert_int_equal(store_task(scene->store, tasks[3]->request->id, &loaded), -EBADMSG);
    assert_null(loaded);
    assert_int_equal(store_list(scene->store,
                                &(struct store_list_query){.tenant = "tenant-1", .limit = 3}, page,
                                &listed),
                     0);
    assert_int_equal(listed, 3);
    assert_string_equal(page[2]->request->id, tasks[0]->request->id);
    for (size_t i = 0; i < listed; i++)
        task_unref(page[i]);
    for (int i = 0; i < 5; i++)
        task_unref(tasks[i]);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(a_full_disk_fails_writes_and_mends),
        CASE(an_ailing_store_heals_unasked),
        CASE(a_lock_that_stays_is_told),
        CASE(a_file_that_another_holds_is_not_opened),
        CASE(many_may_open_at_once),
        CASE(a_damaged_header_is_refused),
        CASE(damaged_pages_are_refused),
        CASE(a_cut_file_is_refused),
        CASE(a_text_is_refused),
        CASE(an_empty_file_is_a_beginning),
        CASE(the_database_of_another_program_is_refused),
        CASE(a_newer_schema_is_refused),
        CASE(a_directory_in_its_place_is_refused),
        CASE(a_missing_directory_is_told),
        CASE(a_file_that_cannot_be_written_is_told),
        CASE(damaged_rows_hide_no_others),
    };

    (void)signal(SIGXFSZ, SIG_IGN); /* a write past the limit is to fail, not to kill */
    return cmocka_run_group_tests(cases, NULL, NULL);
}
