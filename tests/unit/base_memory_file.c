/* SPDX-License-Identifier: Apache-2.0
 *
 * A file in memory holds all its bytes, however little the kernel takes at once and however often a signal comes between; a
 * write that fails leaves no descriptor open. The writes are doubles. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory_file.h"
#include "base/must.h"

enum { PIECE_BYTES = 3 };

static struct {
    int n_writes, fails_with; /* 0: it does not */
    int last_fd;
} kernel;

/* In the place of the C library's: every second one is interrupted, the others take a piece. */
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    kernel.last_fd = fd;
    kernel.n_writes++;
    if (kernel.fails_with != 0 || kernel.n_writes % 2 != 0) {
        errno = kernel.fails_with != 0 ? kernel.fails_with : EINTR;
        return -1;
    }
    must(lseek(fd, at, SEEK_SET) == at);
    ssize_t n = write(fd, bytes, length < PIECE_BYTES ? length : PIECE_BYTES);
    must(lseek(fd, 0, SEEK_SET) == 0);
    return n;
}

static void all_bytes_are_there(void **state)
{
    (void)state;
    static const char text[] = "a text in pieces";
    char read_back[sizeof(text) + 1];
    kernel.fails_with = 0;
    CLEANUP(close_fd) int fd = memory_file_new("test", text, sizeof(text));
    assert_true(fd >= 0);
    assert_int_equal(read(fd, read_back, sizeof(read_back)), sizeof(text));
    assert_memory_equal(read_back, text, sizeof(text));
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void it_may_be_empty(void **state)
{
    (void)state;
    char byte;
    kernel.n_writes = 0;
    CLEANUP(close_fd) int fd = memory_file_new("test", NULL, 0);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &byte, 1), 0);
    assert_int_equal(kernel.n_writes, 0);
}

static void a_fault_leaves_nothing_open(void **state)
{
    (void)state;
    kernel.fails_with = ENOSPC;
    assert_int_equal(memory_file_new("test", "text", 4), -ENOSPC);
    assert_int_equal(fcntl(kernel.last_fd, F_GETFD), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_bytes_are_there),
        cmocka_unit_test(it_may_be_empty),
        cmocka_unit_test(a_fault_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
