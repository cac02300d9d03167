/* SPDX-License-Identifier: Apache-2.0
 *
 * What a command is told in a file or on standard input. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"

/* Adds all of a file, or of standard input when it is called `-`, to `text`, whose ceiling bounds
 * it. CLI_OK; or CLI_LOCAL after complaining of `what`: unreadable, empty, too long, not UTF-8. */
CHECKED int input_read(const char *file, const char *what, struct buf *text);
/* A prompt on standard input, without the end of its last line. As input_read(). */
CHECKED int input_read_prompt(struct buf *prompt);
