/* SPDX-License-Identifier: Apache-2.0
 *
 * What the adapter host and its helpers have agreed on, private to upstream/.
 *
 *     job       {"file": name for messages, "bytes": n}                   the program's text beside it
 *     progress  {"ready": true}                                           it is compiled
 *     result    {"fault": text}                                           instead: it cannot be
 *     message   {"call": id, "function": name, "bytes": n, "body": n | -1, "cut": bool}
 *               beside it: the input, a file for the result, then the body (if any byte), then the blob file (if cut)
 *     progress  {"call": id, "bytes": n, "blobs": [[offset, bytes], …]}   the result is in its file
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
#define PROGRAM_CUT "cut"
#define PROGRAM_BLOBS "blobs"

enum {
    PROGRAM_EXIT_MEMORY = 5,                  /* of a helper that has no more memory */
    PROGRAM_MEMORY_BYTES = 256 * 1024 * 1024, /* beyond what a helper begins with */
    PROGRAM_FAULT_SIZE = 300,
};
