/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file in a directory of its own, where the test runs. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/settings.h"

static const char FILE_NAME[] = "filmgate.yaml";

static void write_named(const char *name, const char *text, size_t length)
{
    CLEANUP(close_fd) int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
}

static void write_file(const char *text, size_t length)
{
    write_named(FILE_NAME, text, length);
}

static struct settings *load(const char *text, char *ret_error)
{
    write_file(text, strlen(text));
    return settings_load(FILE_NAME, NULL, ret_error);
}

static struct settings *load_good(const char *text)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = load(text, error);
    if (settings == NULL)
        fail_msg("%s: %s", text, error);
    return settings;
}

static void assert_refused(const char *text, const char *expected)
{
    char error[SETTINGS_ERROR_SIZE] = "";
    struct settings *settings = load(text, error);
    if (settings != NULL)
        fail_msg("taken: %s", text);
    assert_string_equal(error, expected);
}

static char directory[] = "/tmp/filmgate-settings-XXXXXX";

static int enter_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
    (void)state;
    unlink(FILE_NAME);
    return chdir("/") == 0 ? rmdir(directory) : -1;
}

/* Cut and scrambled, it is a result or a sentence, never a crash. */
static inline void scramble(const char *whole)
{
    static const char noise[] = "[]{}:,#&*!|>'\"%@`-? \n\t$\\~";
    char error[SETTINGS_ERROR_SIZE];
    size_t refused = 0;
    for (size_t i = 0; whole[i] != '\0'; i++) {
        for (size_t k = 0; k < sizeof(noise); k += 1 + i % 3) {
            CLEANUP(free_pointer) char *text = must_strdup(whole);
            text[i] = noise[k];
            error[0] = '\0';
            struct settings *settings = load(text, error);
            assert_true((settings == NULL) == (error[0] != '\0'));
            refused += settings == NULL;
            settings_free(settings);
        }
    }
    assert_true(refused > 100);
}
