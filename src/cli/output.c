/* SPDX-License-Identifier: Apache-2.0
 *
 * Files are written beside their final name and renamed once they are whole. answer.json comes
 * last, so where it stands all others do. One thread. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"

enum { TRIES = 3, PAUSE_MS = 1000, PATH_BYTES = 4096 };

struct wanted {
    const char *name;
    const char *path[5]; /* of the link in the view */
};

static const struct wanted WANTED[] = {
    {"video.mp4", {"video_url"}},
    {"md.mp4", {"detail", "draft_info", "encodings", "md", "path"}},
    {"preview.gif", {"detail", "gif_url"}},
    {"thumbnail.webp", {"thumbnail_url"}},
};

static const char *find_link(const json_t *view, const struct wanted *wanted)
{
    const json_t *at = view;
    for (size_t i = 0; i < ARRAY_LENGTH(wanted->path) && wanted->path[i] != NULL; i++)
        at = json_object_get(at, wanted->path[i]);
    return json_string_value(at);
}

int output_prepare(const char *directory)
{
    struct stat status;
    if (mkdir(directory, 0777) == 0)
        return CLI_OK;
    if (errno != EEXIST)
        return cli_complain(CLI_LOCAL, "the directory \"%s\" cannot be made: %s", directory,
                            strerror(errno));
    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode))
        return cli_complain(CLI_LOCAL, "\"%s\" is not a directory", directory);
    return CLI_OK;
}

static int complain_file(const char *directory, const char *name)
{
    return cli_complain(CLI_LOCAL, "\"%s/%s\" cannot be written: %s", directory, name,
                        strerror(errno));
}

/* A fresh `NAME.part`; what a broken run left there goes. */
static int open_part(int directory_fd, const char *name, char *ret_part, size_t size)
{
    snprintf(ret_part, size, "%s.part", name);
    return openat(directory_fd, ret_part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  0666);
}

static enum client_outcome fetch(struct client *client, const char *link, int fd,
                                 struct client_answer *ret_answer)
{
    enum client_outcome outcome = CLIENT_AWAY;
    for (int tries = 1; tries <= TRIES; tries++) {
        if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
            snprintf(ret_answer->sentence, CLIENT_SENTENCE_SIZE, "cannot be written: %s",
                     strerror(errno));
            return CLIENT_LOCAL;
        }
        outcome = client_download(client, link, fd, ret_answer);
        if (outcome != CLIENT_AWAY && outcome != CLIENT_TROUBLE)
            return outcome;
        if (tries < TRIES && !client_pause(client, (int64_t)tries * PAUSE_MS))
            return CLIENT_INTERRUPTED;
    }
    return outcome;
}

static int save_link(struct client *client, const char *link, const char *directory,
                     int directory_fd, const char *name)
{
    char part[64];
    struct client_answer answer = {.retry_after_s = -1};
    CLEANUP(close_fd) int fd = open_part(directory_fd, name, part, sizeof(part));
    if (fd < 0)
        return complain_file(directory, name);
    enum client_outcome outcome = fetch(client, link, fd, &answer);
    if (outcome == CLIENT_OK &&
        (fsync(fd) != 0 || renameat(directory_fd, part, directory_fd, name) != 0)) {
        unlinkat(directory_fd, part, 0);
        return complain_file(directory, name);
    }
    if (outcome == CLIENT_OK)
        return CLI_OK;
    unlinkat(directory_fd, part, 0);
    const struct cli_error error = {
        .exit_status = client_exit(outcome),
        .code = answer.code[0] != '\0' ? answer.code : NULL,
        .hint = answer.hint,
    };
    return cli_complain_error(&error, "\"%s/%s\": %s", directory, name, answer.sentence);
}

static int save_answer(const json_t *view, const char *directory, int directory_fd)
{
    static const char name[] = "answer.json";
    char part[64];
    CLEANUP(close_fd) int fd = open_part(directory_fd, name, part, sizeof(part));
    if (fd < 0)
        return complain_file(directory, name);
    if (json_dumpfd(view, fd, JSON_INDENT(2) | JSON_REAL_PRECISION(16)) != 0 ||
        write(fd, "\n", 1) != 1 || fsync(fd) != 0 ||
        renameat(directory_fd, part, directory_fd, name) != 0) {
        unlinkat(directory_fd, part, 0);
        return complain_file(directory, name);
    }
    return CLI_OK;
}

int output_save(struct client *client, const json_t *view, const char *directory)
{
    CLEANUP(close_fd) int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0)
        return cli_complain(CLI_LOCAL, "the directory \"%s\" cannot be opened: %s", directory,
                            strerror(errno));
    for (size_t i = 0; i < ARRAY_LENGTH(WANTED); i++) {
        const char *link = find_link(view, &WANTED[i]);
        if (link == NULL)
            return cli_complain(CLI_TASK_FAILED, "the task has no link to its %s any more",
                                WANTED[i].name);
        int status = save_link(client, link, directory, directory_fd, WANTED[i].name);
        if (status != CLI_OK)
            return status;
    }
    int status = save_answer(view, directory, directory_fd);
    if (status == CLI_OK)
        cli_note(
            "saved in \"%s\": video.mp4, a smaller copy, a preview, a thumbnail and the answer",
            directory);
    return status;
}
