/* SPDX-License-Identifier: Apache-2.0
 *
 * Running an operator's program for a task: docs/upstreams/command.md says what it is given and what is made of what it
 * says. A helper (`filmgate helper command`, two processes) stands between: it starts the program in a session of its own, reads what it
 * says, and ends it with all that it has started, however it hides: when it is done, out of time, or when the gateway lets
 * go or is gone. On the loop's thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/loop.h"

enum command_end {
    COMMAND_DONE,      /* the video lies in the output */
    COMMAND_DIED,      /* a status other than 0, or a signal */
    COMMAND_TIMED_OUT, /* and was killed */
    COMMAND_SAID_REFUSED,
    COMMAND_SAID_MODERATED,
    COMMAND_SAID_FAILED, /* its own words */
    COMMAND_NO_VIDEO,    /* status 0, and no file */
    COMMAND_BAD_VIDEO,   /* no regular file within its directory */
    COMMAND_TOO_LARGE,
    COMMAND_NO_SPACE, /* the video cannot be brought home */
    COMMAND_LOST,     /* the helper itself has failed */
    COMMAND_END_COUNT
};

const char *command_end_name(enum command_end end);

enum { COMMAND_WORDS_SIZE = 512 };

#define COMMAND_OUTPUT "output.mp4" /* where the video is when the program names no other file */

enum {
    COMMAND_GRACE_MS = 5000,    /* between SIGTERM and SIGKILL when the time is out */
    COMMAND_DESCRIPTORS = 4096, /* open at a time */
    COMMAND_IMAGES_MAX = 32,
    COMMAND_DIRECTORY_SIZE = 4096, /* bytes of a path, with NUL */
};

/* What a channel says of its program. */
struct command_program {
    const char *const *argv; /* the first is an absolute path */
    size_t n_argv;
    const char *const *environment; /* `NAME=value`, on top of what every program gets */
    size_t n_environment;
    int64_t timeout_ms;
};

struct command_task {
    const char *directory; /* command_directory_new(); the helper removes it */
    int input;             /* what it reads from its standard input, from the descriptor's offset */
    int output;            /* an empty file */
    const int *images;     /* readable files, by COMMAND_IMAGES_MAX at most */
    const char *const *image_names; /* under which they lie in the directory */
    size_t n_images;
    int64_t file_bytes; /* the largest file that it may write */
};

/* Borrowed. */
struct command_outcome {
    enum command_end end;
    int status; /* COMMAND_DIED, COMMAND_LOST (the helper's): a status, or a signal's number made negative */
    const char *code, *message; /* SAID_…: its own, for whoever asked; may be empty */
    int64_t n_passed_over;      /* lines that are none of ours */
    const char *passed_over;    /* the first of them */
    const json_t *log;          /* the last lines of its standard error; NULL: none */
    bool has_left;              /* some process of it could not be killed */
};

/* What the program did, for operators: what follows the words «the program». */
void command_describe_end(const struct command_outcome *outcome,
                          char ret_words[COMMAND_WORDS_SIZE]);

struct command_handler {
    void (*progress)(void *context, double progress); /* 0..1 */
    /* The last callback; not after command_stop(). */
    void (*ended)(void *context, const struct command_outcome *outcome);
    void *context;
};

struct command;

/* 0 or negative errno; never calls back from within. All is borrowed for the time of the call. */
CHECKED int command_start(struct loop *loop, const struct command_program *program,
                          const struct command_task *task, const struct command_handler *handler,
                          struct command **ret_command);
/* Ends it: the program is killed, a moment later. Takes NULL, returns NULL. */
struct command *command_stop(struct command *command);

/* A directory for one run, below `<data>/work` (both 0700): its absolute path. 0 or negative errno. */
CHECKED int command_directory_new(const char *data, const char *name,
                                  char ret_path[COMMAND_DIRECTORY_SIZE]);
/* Removes one with all that is in it; no link is followed. 0 or negative errno. */
int command_directory_remove(const char *path);
/* Removes those that a crash has left behind. 0, also when there are none, or negative errno. */
CHECKED int command_directories_clear(const char *data);

/* The helper's main: `filmgate helper command`. Returns an exit status, or exits by proc_finish(). */
int command_helper_main(void);
