/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two sides of command.h have agreed on, private to them. The descriptors of a job: what the program reads, the file for
 * its video, and its images. */
#pragma once

#define COMMAND_KIND "command" /* of the helper */

/* The job. */
#define COMMAND_ARGV "argv"
#define COMMAND_ENVIRONMENT "environment" /* `NAME=value` */
#define COMMAND_DIRECTORY "directory"
#define COMMAND_IMAGES "images" /* names of files */
#define COMMAND_TIMEOUT "timeout_ms"
#define COMMAND_FILE_BYTES "file_bytes"

/* What it reports and ends with. */
#define COMMAND_PROGRESS "progress"
#define COMMAND_END "end"
#define COMMAND_STATUS "status" /* a signal's number made negative */
#define COMMAND_CODE "code"
#define COMMAND_MESSAGE "message"
#define COMMAND_PASSED_OVER "passed_over"
#define COMMAND_FIRST "first_passed_over"
#define COMMAND_LOG "log"   /* the last lines of its standard error */
#define COMMAND_LEFT "left" /* processes could not be killed */

enum {
    COMMAND_FD_INPUT,
    COMMAND_FD_OUTPUT,
    COMMAND_FD_IMAGES, /* the first of them */
};
