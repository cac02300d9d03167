/* SPDX-License-Identifier: Apache-2.0
 *
 * Input images of a create request: judged by their bytes and stored before the engine sees the task. */
#pragma once

#include <stddef.h>

#include "api/multipart.h"
#include "api/request.h"
#include "base/compiler.h"
#include "task/unified.h"

enum input_outcome {
    INPUT_STORED = 0,
    INPUT_INVALID = 1,      /* not a usable image or URL: the fault is filled */
    INPUT_NO_MEMORY = 2,    /* beyond what all bodies may take together */
    INPUT_STORE_FAILED = 3, /* the asset store did not take it */
};

/* Fills `decoded->request->images` in order; `decoded->request->id` is already given. `files` are the form's. Unless all went well, nothing stays
 * stored. Blocks on the disk. */
CHECKED enum input_outcome input_store(struct api_request *request,
                                       const struct unified_decoded *decoded,
                                       const struct multipart_file *files,
                                       struct unified_fault *ret_fault);
