/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the link keys: made once, kept, rotated; and a rotation cut off at each of its
 * steps, which this program does by defining renameat() and fsync() itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asset/link_keys.h"
#include "base/must.h"

enum { DAY_S = 24 * 3600, LIFE_MS = 7 * DAY_S * 1000, STEPS_MAX = 40, CUT_OFF = 77 };

static const int64_t now_s = 1767225600; /* 2026-01-01T00:00:00Z */

/* ---- the power switch ---- */

static int steps_left = -1; /* of this process; negative: for ever */

static void take_step(void)
{
    if (steps_left == 0)
        _exit(CUT_OFF);
    if (steps_left > 0)
        steps_left--;
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    take_step();
    return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

int fsync(int fd)
{
    take_step();
    return (int)syscall(SYS_fsync, fd);
}

/* ---- a data directory ---- */

struct folder {
    char path[80];
    char current[100], previous[100];
};

static void folder_init(struct folder *folder)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof(folder->path), "%.50s/filmgate-XXXXXX",
             base != NULL ? base : "/tmp");
    must(mkdtemp(folder->path) != NULL);
    snprintf(folder->current, sizeof(folder->current), "%s/link.key", folder->path);
    snprintf(folder->previous, sizeof(folder->previous), "%s/link.key.old", folder->path);
}

static void folder_fini(struct folder *folder)
{
    (void)unlink(folder->current);
    (void)unlink(folder->previous);
    must(rmdir(folder->path) == 0); /* nothing else was left in it */
}

static struct link_keys open_keys(const struct folder *folder)
{
    struct link_keys keys = {.previous_until_s = -1};
    char error[LINK_KEYS_ERROR_SIZE] = "";
    if (link_keys_open(folder->path, LIFE_MS, &keys, error) != 0)
        fail_msg("%s", error);
    return keys;
}

/* Says that the last rotation was then. */
static void set_rotated(const struct folder *folder, int64_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    assert_int_equal(utimensat(AT_FDCWD, folder->previous, times, 0), 0);
}

static int rotate(const struct folder *folder, int64_t at_s, bool is_forced, int64_t *ret_until_s)
{
    char error[LINK_KEYS_ERROR_SIZE] = "";
    int outcome =
        link_keys_rotate(folder->path, LIFE_MS, at_s * 1000, is_forced, ret_until_s, error);
    if (outcome < 0)
        fail_msg("%s", error);
    return outcome;
}

static void assert_key(const struct link_key *key, const struct link_key *expected)
{
    assert_memory_equal(key->bytes, expected->bytes, LINK_KEY_SIZE);
}

/* ---- making and reading ---- */

static void keys_are_made_once_and_kept(void **state)
{
    (void)state;
    CLEANUP(folder_fini) struct folder folder;
    struct stat found;
    folder_init(&folder);
    struct link_keys first = open_keys(&folder);
    struct link_keys second = open_keys(&folder);
    assert_key(&first.current, &second.current);
    assert_int_equal(first.previous_until_s, 0);
    assert_int_equal(stat(folder.current, &found), 0);
    assert_int_equal(found.st_mode, S_IFREG | 0600);
    assert_int_equal(found.st_size, LINK_KEY_SIZE);
    assert_int_equal(unlink(folder.current), 0);
    second = open_keys(&folder);
    assert_memory_not_equal(first.current.bytes, second.current.bytes, LINK_KEY_SIZE);
}

static void expect_refusal(const struct folder *folder, int error, const char *words)
{
    static const struct link_keys untouched = {.previous_until_s = 7};
    struct link_keys keys = untouched;
    char text[LINK_KEYS_ERROR_SIZE] = "";
    int64_t until_s;
    assert_int_equal(link_keys_open(folder->path, LIFE_MS, &keys, text), error);
    assert_non_null(strstr(text, words));
    assert_memory_equal(&keys, &untouched, sizeof(keys));
    assert_int_equal(link_keys_rotate(folder->path, LIFE_MS, now_s * 1000, true, &until_s, text),
                     error);
    assert_non_null(strstr(text, words));
}

static void unfit_keys_are_refused(void **state)
{
    (void)state;
    CLEANUP(folder_fini) struct folder folder;
    folder_init(&folder);
    int64_t until_s;
    (void)open_keys(&folder);
    assert_int_equal(rotate(&folder, now_s, false, &until_s), LINK_ROTATED);
    const char *const files[] = {folder.previous, folder.current};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        assert_int_equal(chmod(files[i], 0640), 0);
        expect_refusal(&folder, -EPERM, "0600");
        assert_int_equal(chmod(files[i], 0600), 0);
        assert_int_equal(truncate(files[i], LINK_KEY_SIZE - 1), 0);
        expect_refusal(&folder, -EINVAL, "32 bytes");
        assert_int_equal(unlink(files[i]), 0);
        assert_int_equal(symlink("/nowhere", files[i]), 0);
        expect_refusal(&folder, -ELOOP, strrchr(files[i], '/') + 1);
        assert_int_equal(unlink(files[i]), 0);
    }
    struct link_keys keys;
    char error[LINK_KEYS_ERROR_SIZE] = "";
    assert_int_equal(link_keys_open(folder.current, LIFE_MS, &keys, error), -ENOENT);
}

/* ---- rotation ---- */

static void a_rotation_keeps_the_key_before(void **state)
{
    (void)state;
    CLEANUP(folder_fini) struct folder folder;
    struct stat found;
    folder_init(&folder);
    struct link_keys before = open_keys(&folder);
    int64_t until_s = 0;
    assert_int_equal(rotate(&folder, now_s, false, &until_s), LINK_ROTATED);
    assert_int_equal(until_s, now_s + LIFE_MS / 1000);
    struct link_keys after = open_keys(&folder);
    assert_key(&after.previous, &before.current);
    assert_memory_not_equal(after.current.bytes, before.current.bytes, LINK_KEY_SIZE);
    const char *const files[] = {folder.previous, folder.current};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        assert_int_equal(stat(files[i], &found), 0);
        assert_int_equal(found.st_mode, S_IFREG | 0600);
    }
    set_rotated(&folder, now_s);
    assert_int_equal(open_keys(&folder).previous_until_s, now_s + LIFE_MS / 1000);
}

static void a_second_rotation_waits_for_the_last_link(void **state)
{
    (void)state;
    CLEANUP(folder_fini) struct folder folder;
    folder_init(&folder);
    (void)open_keys(&folder);
    int64_t until_s = 0;
    assert_int_equal(rotate(&folder, now_s, false, &until_s), LINK_ROTATED);
    set_rotated(&folder, now_s);
    struct link_keys keys = open_keys(&folder);

    assert_int_equal(rotate(&folder, now_s + LIFE_MS / 1000 - 1, false, &until_s), LINK_TOO_EARLY);
    assert_int_equal(until_s, now_s + LIFE_MS / 1000);
    struct link_keys same = open_keys(&folder);
    assert_key(&same.current, &keys.current);
    assert_key(&same.previous, &keys.previous);

    assert_int_equal(rotate(&folder, now_s + 1, true, &until_s), LINK_ROTATED_EARLY);
    assert_int_equal(until_s, now_s + LIFE_MS / 1000);
    struct link_keys forced = open_keys(&folder);
    assert_key(&forced.previous, &keys.current);

    set_rotated(&folder, now_s);
    assert_int_equal(rotate(&folder, now_s + LIFE_MS / 1000, false, &until_s), LINK_ROTATED);
    struct link_keys last = open_keys(&folder);
    assert_key(&last.previous, &forced.current);
}

static void without_a_key_there_is_nothing_to_rotate(void **state)
{
    (void)state;
    CLEANUP(folder_fini) struct folder folder;
    char error[LINK_KEYS_ERROR_SIZE] = "";
    int64_t until_s;
    folder_init(&folder);
    assert_int_equal(link_keys_rotate(folder.path, LIFE_MS, 0, false, &until_s, error), -ENOENT);
    assert_non_null(strstr(error, "link.key"));
    assert_int_equal(access(folder.current, F_OK), -1);
}

/* Rotates in a process that ends without a word before its step number `steps`. */
static bool rotate_until(const struct folder *folder, int steps)
{
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        int64_t until_s;
        char error[LINK_KEYS_ERROR_SIZE];
        steps_left = steps;
        _exit(link_keys_rotate(folder->path, LIFE_MS, now_s * 1000, false, &until_s, error) == 0
                  ? 0
                  : 1);
    }
    int status;
    must(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    int code = WEXITSTATUS(status);
    assert_true(code == 0 || code == CUT_OFF);
    return code == 0;
}

static bool holds(const struct link_keys *keys, const struct link_key *key)
{
    return memcmp(keys->current.bytes, key->bytes, LINK_KEY_SIZE) == 0 ||
           (keys->previous_until_s > 0 &&
            memcmp(keys->previous.bytes, key->bytes, LINK_KEY_SIZE) == 0);
}

static void a_rotation_cut_off_loses_no_key(void **state)
{
    (void)state;
    bool is_done = false;
    int steps = 0;
    for (; !is_done; steps++) {
        CLEANUP(folder_fini) struct folder folder;
        int64_t until_s;
        folder_init(&folder);
        struct link_keys before = open_keys(&folder);
        must(steps < STEPS_MAX);
        is_done = rotate_until(&folder, steps);
        struct link_keys cut = open_keys(&folder);
        assert_true(holds(&cut, &before.current));

        /* The next one finishes the work; only a whole one makes it wait. */
        bool was_whole = memcmp(cut.current.bytes, before.current.bytes, LINK_KEY_SIZE) != 0;
        assert_int_equal(rotate(&folder, now_s, false, &until_s),
                         was_whole ? LINK_TOO_EARLY : LINK_ROTATED);
        struct link_keys after = open_keys(&folder);
        assert_key(&after.previous, &before.current);
        assert_memory_not_equal(after.current.bytes, before.current.bytes, LINK_KEY_SIZE);
    }
    assert_true(steps > 6); /* two files, two renames, two times the directory */
}

static void a_full_disk_changes_nothing(void **state)
{
    (void)state;
    CLEANUP(folder_fini) struct folder folder;
    struct rlimit limit;
    char error[LINK_KEYS_ERROR_SIZE] = "";
    int64_t until_s;
    folder_init(&folder);
    struct link_keys before = open_keys(&folder);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 8, .rlim_max = limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int outcome = link_keys_rotate(folder.path, LIFE_MS, now_s * 1000, false, &until_s, error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(outcome, -EFBIG);
    assert_non_null(strstr(error, "cannot rotate"));
    struct link_keys after = open_keys(&folder);
    assert_key(&after.current, &before.current);
    assert_int_equal(after.previous_until_s, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_made_once_and_kept),
        cmocka_unit_test(unfit_keys_are_refused),
        cmocka_unit_test(a_rotation_keeps_the_key_before),
        cmocka_unit_test(a_second_rotation_waits_for_the_last_link),
        cmocka_unit_test(without_a_key_there_is_nothing_to_rotate),
        cmocka_unit_test(a_rotation_cut_off_loses_no_key),
        cmocka_unit_test(a_full_disk_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
