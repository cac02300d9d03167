/* SPDX-License-Identifier: Apache-2.0
 *
 * Input images of a create request: judged by their bytes and stored before the engine sees the task. */
#pragma once

#include <stddef.h>

#include "api/multipart.h"
#include "api/request.h"
#include "base/compiler.h"
#include "task/image.h"
#include "task/unified.h"

enum { INPUT_WHY_SIZE = 200 };

/* Is this an image that is taken as an input? By its bytes, and within the limits of the settings. False with a sentence
 * that goes on after «image 1: ». */
CHECKED bool input_judge(const struct settings *settings, const uint8_t *bytes, size_t length,
                         struct image_info *ret_info, char ret_why[INPUT_WHY_SIZE]);

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
/* The same with the images of an earlier task, for `task`, which has its id. */
CHECKED enum input_outcome input_carry(struct api_request *request,
                                       const struct task_request *original,
                                       struct task_request *task, struct unified_fault *ret_fault);
/* The bytes that a data URI or bare base64 holds, malloc'ed and charged to the request: INPUT_STORED here means decoded. INPUT_INVALID
 * with a sentence as of input_judge(), or INPUT_NO_MEMORY. */
CHECKED enum input_outcome input_decode(struct api_request *request, const char *text,
                                        uint8_t **ret_bytes, size_t *ret_length,
                                        char ret_why[INPUT_WHY_SIZE]);
