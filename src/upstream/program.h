/* SPDX-License-Identifier: Apache-2.0
 *
 * What the adapter host and its helpers have agreed on, private to upstream/.
 *
 *     job       {"file": name for messages, "bytes": n}                   beside it: the program's text, a file for results
 *     progress  {"ready": true}                                           it is compiled
 *     result    {"fault": text}                                           instead: it cannot be
 *     message   {"call": id, "function": name, "bytes": n, "body": n | -1, "within": bool, "cut": bool}
 *               The input, and behind it the body if that is "within", are the attachment, or a file if they are more
 *               than PROGRAM_SMALL_MAX. Beside it: that file, the body's (if any byte and not within), the blobs' (if cut).
 *     progress  {"call": id, "blobs": [[offset, bytes], …]}               the result is the attachment, or with
 *               "bytes": n, as it is more than PROGRAM_SMALL_MAX, in the file for results
 *               {"call": id, "fault": text} */
#pragma once

#define PROGRAM_KIND "adapter"
#define PROGRAM_FILE "file"
#define PROGRAM_BYTES "bytes"
#define PROGRAM_READY "ready"
#define PROGRAM_FAULT "fault"
#define PROGRAM_CALL "call"
#define PROGRAM_FUNCTION "function"
#define PROGRAM_BODY "body"
#define PROGRAM_WITHIN "within"
#define PROGRAM_CUT "cut"
#define PROGRAM_BLOBS "blobs"

enum {
    PROGRAM_EXIT_MEMORY = 5,                  /* of a helper that has no more memory */
    PROGRAM_MEMORY_BYTES = 256 * 1024 * 1024, /* beyond what a helper begins with */
    PROGRAM_FAULT_SIZE = 300,
    PROGRAM_SMALL_MAX = 32 * 1024, /* bytes that travel within a message: cheaper than a file */
};
