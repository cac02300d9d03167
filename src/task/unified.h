/* SPDX-License-Identifier: Apache-2.0
 *
 * The unified dialect: `POST /v1/video/create` read, `GET /v1/video/query` written. Pure: links are
 * signed by a function that the caller passes. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "task/task.h"

/* What a request that does not say gets. */
struct unified_defaults {
    const char *model; /* NULL: it must say */
    int duration_s;    /* 0: 10 */
    const char *size;  /* where neither size nor shape is asked for; NULL: small and portrait */
};

struct unified_limits {
    size_t images; /* at most this many */
    size_t prompt_bytes;
    int duration_s; /* longest; shortest is 1 */
    struct unified_defaults defaults;
};

/* Why a request was not understood: an API error's code, the parameter and one sentence. */
struct unified_fault {
    const char *code; /* invalid_request, or more precise: a static string */
    char param[64];
    char message[300];
};

/* An image as found in the request, before its bytes were looked at. `text` borrows from the
 * decoded JSON: a URL, a data URI or bare base64; for a file part it is NULL and `part` its index. */
struct unified_image {
    enum task_image_role role;
    const char *text;
    size_t part;
    bool is_url; /* http(s) */
};

struct unified_decoded {
    struct task_request *request; /* all but id, tenant, request_id, created_micros, images */
    struct unified_image *images; /* n_images, malloc'ed */
    size_t n_images;
    json_t *parsed; /* keeps alive what images borrow from fields that held JSON as text */
};

/* Reads a create request: JSON fields, or multipart ones as a JSON object of strings, file parts being
 * {"$part": n} with n < n_parts (with n_parts 0 such an object is a fault). Only model and prompt are
 * required; synonyms, loose types (numbers and booleans as strings) and unknown fields as protocol section
 * 10.2 has it. 0, or 1 with the fault filled. The caller frees with unified_decoded_fini(). */
CHECKED int unified_decode(const json_t *body, size_t n_parts, const struct unified_limits *limits,
                           struct unified_decoded *ret_decoded, struct unified_fault *ret_fault);
/* The first of all names of a field that unified_decode() reads: `duration` for `seconds` or `metadata.seconds`. NULL for one that it does
 * not know, for `metadata` itself and for images. */
const char *unified_field(const char *key);
void unified_decoded_fini(struct unified_decoded *decoded);

/* Was a field given a value? Neither absent, null nor the empty string is one. */
bool unified_is_asked(const json_t *value);

/* Writes an absolute signed link for an asset key; `attachment` names the file for a download (else NULL).
 * malloc'ed, never NULL. */
typedef char *unified_link_fn(void *context, const char *key, const char *attachment);

struct unified_view {
    unified_link_fn *link;
    void *link_context;
    const char *user;       /* user-… of the tenant */
    int64_t queue_position; /* 1-based; 0: not waiting or unknown */
    double wait_s;          /* estimated; negative: unknown */
    bool waits_upstream;    /* it waits for an upstream, not for a local slot */
    int64_t keep_ms;        /* from a task's end until its files leave the answers; 0: kept */
    int attempts;           /* how often a task may be tried */
};

/* The answer to a query in the task's state, every key of the page. A new reference, never NULL.
 * It holds only what a tenant may see. */
json_t *unified_render(const struct task *task, const struct unified_view *view);
/* What an event tells: the answer's keys without `detail`, and our word for the state. As unified_render(). */
json_t *unified_render_event(const struct task *task, const struct unified_view *view);
/* The answer to a create: made from the request alone, so that it is the same whenever it is asked for. */
json_t *unified_render_created(const struct task_request *request);

enum { UNIFIED_ASSET_KEY_SIZE = 2 * ID_SHORT_SIZE + 32 };

/* The key of a file of the result: `<task id>/<generation id>/<file>`. */
void unified_asset_key(const struct task *task, const char *file,
                       char ret_key[UNIFIED_ASSET_KEY_SIZE]);
/* The film that is shown: UNIFIED_SOURCE, or UNIFIED_MARKED where a mark was asked for. */
const char *unified_video_file(const struct task *task);

/* Names of a result's files. */
#define UNIFIED_SOURCE "src.mp4"
#define UNIFIED_MARKED "wm.mp4"
#define UNIFIED_MEDIUM "md.mp4"
#define UNIFIED_PREVIEW "preview.gif"
#define UNIFIED_SPRITESHEET "spritesheet.jpg"
#define UNIFIED_THUMBNAIL "thumbnail.webp"
