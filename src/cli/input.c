/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole texts, bounded and checked. On a terminal too: it is read until its end (Ctrl-D). */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "cli/cli.h"

int input_read(const char *file, const char *what, struct buf *text)
{
    bool is_stdin = strcmp(file, "-") == 0;
    const char *name = is_stdin ? "standard input" : file;
    char piece[16384];
    CLEANUP(close_fd) int opened = is_stdin ? -1 : open(file, O_RDONLY | O_CLOEXEC);
    int fd = is_stdin ? STDIN_FILENO : opened;
    if (fd < 0)
        return cli_complain(CLI_LOCAL, "%s cannot be read from \"%s\": %s", what, name,
                            strerror(errno));
    for (ssize_t n = 1; n != 0 && !text->overflowed;) {
        n = read(fd, piece, sizeof(piece));
        if (n > 0)
            buf_add(text, piece, (size_t)n);
        else if (n < 0 && errno != EINTR)
            return cli_complain(CLI_LOCAL, "%s cannot be read from \"%s\": %s", what, name,
                                strerror(errno));
    }
    if (text->overflowed)
        return cli_complain(CLI_LOCAL, "%s in \"%s\" is longer than %zu bytes", what, name,
                            text->max);
    if (text->length == 0)
        return cli_complain(CLI_LOCAL, "%s is missing: \"%s\" is empty", what, name);
    if (!codec_is_utf8(buf_text(text), text->length))
        return cli_complain(CLI_LOCAL, "%s in \"%s\" is not a text in UTF-8", what, name);
    return CLI_OK;
}

int input_read_prompt(struct buf *prompt)
{
    int status = input_read("-", "the prompt", prompt);
    while (prompt->length > 0 && strchr("\r\n", prompt->data[prompt->length - 1]) != NULL)
        prompt->data[--prompt->length] = '\0';
    if (status == CLI_OK && prompt->length == 0)
        return cli_complain(CLI_LOCAL, "the prompt is missing: \"standard input\" holds an empty "
                                       "line only");
    return status;
}
