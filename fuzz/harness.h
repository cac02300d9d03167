/* SPDX-License-Identifier: Apache-2.0
 *
 * What every harness needs: libFuzzer's two entry points and ways to cut its bytes up. A property
 * that does not hold is a must() that fails, which libFuzzer reports with the input. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/must.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes not yet taken. */
struct harness_input {
    const char *at;
    size_t left;
};

/* The next line as a string of the caller's, without its line end; a NUL ends it early. NULL after
 * the last. */
static inline char *harness_line(struct harness_input *input)
{
    if (input->left == 0)
        return NULL;
    const char *end = memchr(input->at, '\n', input->left);
    size_t length = end != NULL ? (size_t)(end - input->at) : input->left;
    char *line = must_strndup(input->at, length);
    size_t taken = length + (end != NULL);
    input->at += taken;
    input->left -= taken;
    return line;
}

/* The next byte, or 0. */
static inline uint8_t harness_byte(struct harness_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return (uint8_t)*input->at++;
}

/* An unnamed file with these bytes; the descriptor is the caller's. */
static inline int harness_file(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0);
    must(size == 0 || pwrite(fd, data, size, 0) == (ssize_t)size);
    return fd;
}
