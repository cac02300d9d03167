/* SPDX-License-Identifier: Apache-2.0
 *
 * Trees as a stranger might leave them: deeper than a path can be, wide, locked, full of links to what must stay. Root is
 * locked out of nothing, so the program goes on as nobody. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/rmtree.h"

enum {
    NOBODY = 65534,
    LEVELS = 300, /* of names of 15 bytes: more than PATH_MAX */
    ENTRIES = 99,
    DESCRIPTORS = 16, /* open at a time, those of the test included */
};

static char place[64]; /* a directory of the test's own, with what must stay: `kept/file` */
static char path[100]; /* the tree, within */

static int make_place(void **state)
{
    (void)state;
    if (geteuid() == 0 && setuid(NOBODY) != 0)
        return -1;
    const struct rlimit few = {DESCRIPTORS, DESCRIPTORS};
    (void)snprintf(place, sizeof(place), "/tmp/filmgate-rmtree-XXXXXX");
    if (setrlimit(RLIMIT_NOFILE, &few) != 0 || mkdtemp(place) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/kept", place);
    if (mkdir(path, 0500) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/tree", place);
    return 0;
}

static int remove_place(void **state)
{
    (void)state;
    return rmtree(place, INT64_MAX);
}

static int64_t soon(void)
{
    return clock_mono_ms() + 10 * 60 * 1000;
}

static int make_folder(int parent, const char *name)
{
    assert_int_equal(mkdirat(parent, name, 0700), 0);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void make_file(int parent, const char *name)
{
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void assert_gone(void)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), -1);
    assert_int_equal(errno, ENOENT);
}

/* Its mode is what it was, too. */
static void assert_kept(void)
{
    char kept[100];
    struct stat status;
    (void)snprintf(kept, sizeof(kept), "%s/kept", place);
    assert_int_equal(stat(kept, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0500);
}

static void test_nothing_and_others(void **state)
{
    (void)state;
    assert_int_equal(rmtree(path, soon()), 0);
    make_file(AT_FDCWD, path);
    assert_int_equal(rmtree(path, soon()), 0);
    assert_gone();
    assert_int_equal(symlink("kept", path), 0);
    assert_int_equal(rmtree(path, soon()), 0);
    assert_gone();
    assert_kept();
    assert_int_equal(close(make_folder(AT_FDCWD, path)), 0);
    assert_int_equal(rmtree(path, soon()), 0);
    assert_gone();
}

/* A file, and a link to what must stay, at each level. */
static void test_deep(void **state)
{
    (void)state;
    int fd = make_folder(AT_FDCWD, path);
    char target[100];
    (void)snprintf(target, sizeof(target), "%s/kept", place);
    for (int i = 0; i < LEVELS; i++) {
        make_file(fd, "a file");
        assert_int_equal(symlinkat(target, fd, "link"), 0);
        int next = make_folder(fd, "deep down below");
        assert_int_equal(close(fd), 0);
        fd = next;
    }
    assert_int_equal(close(fd), 0);
    assert_true(LEVELS * strlen("deep down below") > PATH_MAX);
    assert_int_equal(rmtree(path, soon()), 0);
    assert_gone();
    assert_kept();
}

/* Names are taken already under which folders would move up. */
static void test_numbers(void **state)
{
    (void)state;
    int top = make_folder(AT_FDCWD, path);
    for (int i = 0; i < ENTRIES; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%d", i);
        if (i % 3 == 0) {
            make_file(top, name);
            continue;
        }
        int folder = make_folder(top, name), inner = make_folder(folder, name);
        make_file(inner, name);
        assert_int_equal(mkdirat(folder, "empty", 0700), 0);
        assert_int_equal(close(inner) + close(folder), 0);
    }
    assert_int_equal(close(top), 0);
    assert_int_equal(rmtree(path, soon()), 0);
    assert_gone();
}

/* Whatever mode each folder has, the top's own included. */
static void test_locked(void **state)
{
    static const mode_t MODES[] = {0, 0100, 0200, 0300, 0400, 0500, 0600, 0700};
    (void)state;
    for (size_t outer = 0; outer < ARRAY_LENGTH(MODES); outer++) {
        int top = make_folder(AT_FDCWD, path);
        for (size_t i = 0; i < ARRAY_LENGTH(MODES); i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "folder-%zu", i);
            int folder = make_folder(top, name), inner = make_folder(folder, "inner");
            make_file(inner, "file");
            assert_int_equal(symlinkat("../../../kept", inner, "link"), 0);
            assert_int_equal(symlinkat("../../kept", folder, "link"), 0);
            assert_int_equal(fchmod(inner, MODES[i]) + fchmod(folder, MODES[i]), 0);
            assert_int_equal(close(inner) + close(folder), 0);
        }
        assert_int_equal(mkfifoat(top, "pipe", 0), 0);
        assert_int_equal(fchmod(top, MODES[outer]) + close(top), 0);
        assert_int_equal(rmtree(path, soon()), 0);
        assert_gone();
        assert_kept();
    }
}

static void test_out_of_time(void **state)
{
    (void)state;
    int top = make_folder(AT_FDCWD, path), folder = make_folder(top, "folder");
    make_file(folder, "file");
    assert_int_equal(close(folder) + close(top), 0);
    assert_int_equal(rmtree(path, clock_mono_ms() - 1), -ETIME);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(rmtree(path, soon()), 0);
    assert_gone();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_and_others),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_out_of_time),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
