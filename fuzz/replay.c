/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a harness over its seeds without libFuzzer, so that every build replays them, whatever its
 * compiler and sanitizer: replay_NAME DIRECTORY. Speaks TAP, one point a file; an input that breaks a
 * property ends the program, as it ends the fuzzer. */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SEED_MAX_BYTES = 16 * 1024 * 1024 };

/* Not every harness has one. */
extern int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* malloc'ed to the byte, so that a sanitizer sees what reads past the end. */
static uint8_t *read_seed(int directory, const char *name, size_t *ret_size)
{
    struct stat status;
    CLEANUP(close_fd) int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &status) == 0 && status.st_size <= SEED_MAX_BYTES);
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    must(data != NULL && pread(fd, data, size, 0) == (ssize_t)size);
    *ret_size = size;
    return data;
}

static void replay(int directory, const char *name)
{
    size_t size;
    CLEANUP(free_pointer) uint8_t *data = read_seed(directory, name, &size);
    must(LLVMFuzzerTestOneInput(data, size) == 0);
}

int main(int argc, char **argv)
{
    must(argc == 2);
    const char *path = argv[1];
    if (LLVMFuzzerInitialize != NULL)
        must(LLVMFuzzerInitialize(&argc, &argv) == 0);
    struct dirent **seeds = NULL;
    int count = scandir(path, &seeds, is_seed, alphasort);
    CLEANUP(close_fd) int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(count > 0 && directory >= 0);
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        replay(directory, seeds[i]->d_name);
        printf("ok %d - %s\n", i + 1, seeds[i]->d_name);
        fflush(stdout);
        free(seeds[i]);
    }
    free(seeds);
    return EXIT_SUCCESS;
}
