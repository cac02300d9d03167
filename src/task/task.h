/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a task: what was asked (struct task_request, never changes) and how it stands
 * (struct task). Both are reference-counted and immutable once others can see them: the engine,
 * the only writer, copies the task, changes the copy and publishes it. Pure: no I/O, no clock. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/id.h"
#include "base/shared_text.h"
#include "task/attempt.h"
#include "task/state.h"

enum {
    TASK_IDS_MAX = 64,     /* tasks that one question, stream or ticket names */
    TASK_IMAGES_MAX = 32,  /* a hard bound; the operator's limit lies below */
    TASK_MODEL_SIZE = 129, /* longest model name + NUL */
    TASK_TENANT_SIZE = 65,
    TASK_PUBLIC_ID_SIZE = TASK_MODEL_SIZE + ID_SHORT_SIZE, /* `<model>:task_<26>` + NUL */
    TASK_REFUSALS_MAX = 8, /* channels that may refuse one task for good before it fails */
    TASK_NOTE_SIZE = 256,
    TASK_SENTENCE_SIZE = 512 + TASK_NOTE_SIZE,
    TASK_FPS = 30,
};

enum task_image_role {
    TASK_IMAGE_INPUT,     /* from `images`, `image`, `input_reference` */
    TASK_IMAGE_FIRST,     /* first_frame_image */
    TASK_IMAGE_LAST,      /* last_frame_image, metadata.image_end, metadata.lastFrame */
    TASK_IMAGE_REFERENCE, /* reference_images and its relatives */
};

/* One input image. Exactly one of `url` (as the client gave it) and `key` (bytes that the client
 * sent, stored as an asset) is set. */
struct task_image {
    enum task_image_role role;
    char media_id[ID_SHORT_SIZE]; /* media_<26>, given at create */
    char *url;
    char *key;    /* asset key: task_…/media_….png */
    char *sha256; /* of the bytes, hex; NULL for a URL: part of the request's digest */
};

/* What was asked. Strings are owned, UTF-8 and NULL where not asked unless noted. */
struct task_request {
    _Atomic unsigned references;
    char id[ID_SHORT_SIZE]; /* task_<26> */
    char *tenant;
    char *model;        /* as asked */
    char *request_id;   /* X-Request-Id of the create */
    char *prompt;       /* never NULL */
    char *orientation;  /* portrait | landscape | square: as asked, else chosen; never NULL */
    char *size;         /* as asked (small, large, 720P, 1280x720 …), else chosen; never NULL */
    char *aspect_ratio; /* "16:9" … */
    char *title, *style, *negative_prompt, *character_url, *character_timestamps;
    char *operation; /* simple_compose | remix | extend | edit; never NULL */
    char *
        webhook_url; /* http(s): who is told of the end; NULL: nobody beside the tenant's endpoints */
    /* Where the create came by, for links in what is told to webhook_url; NULL: `public_url` says so, or nobody is told. */
    char *base_url;
    json_t *remix_config; /* {source_task_id, prompt} or NULL */
    json_t *tags;         /* array or NULL */
    /* Every field of the request that we do not know, as it came: an object; NULL: none. */
    json_t *extra;
    struct task_image *images;
    size_t n_images;
    int64_t created_micros;
    int64_t seed; /* meaningful when has_seed */
    int duration_s;
    int width, height; /* planned pixels */
    int n_frames;      /* planned: duration * 30 */
    int priority;      /* 0..9, default 2; of a tenant's own, the higher goes first */
    int n_variants;    /* 1 */
    bool has_seed, has_watermark_wish,
        watermark; /* a file with a mark is made when watermark is true */
    bool private_result, storyboard, enhance_prompt;
    /* Holds the texts above since task_request_pack(); NULL: each is on its own. */
    char *packed;
};

/* The result, known once stored. Its files are assets under `<task id>/<generation id>/`. */
struct task_result {
    char generation_id[ID_SHORT_SIZE]; /* gen_<26> */
    int width, height, n_frames;       /* of the source file, probed */
    int64_t duration_ms;
    int64_t stored_micros;
    bool has_watermark; /* wm.mp4 exists */
};

/* How it stands. Plain values but for the request, the texts and what `attempt` refers to, so that a copy is one
 * assignment and some references. Everything a client can see change bumps `status_update_ms`. */
struct task {
    _Atomic unsigned references;
    struct task_request *request; /* one reference of it is ours */
    enum task_state state;
    int64_t revision; /* grows by one with every published change */
    int64_t
        change; /* the store's number of the commit that made this version; 0: not committed, or before they were counted.
                       No part of the record's text */
    int64_t status_update_ms; /* never decreases */
    int64_t deadline_ms;      /* wall clock, ms */
    int64_t started_ms;    /* first time an engine worked on it; 0 before. Never goes back to 0 */
    int64_t not_before_ms; /* earliest time of the next attempt; 0: at once */
    int64_t ended_ms;      /* 0 until an end */
    int64_t expired_ms;    /* when retention took its files from the answers; 0 before */
    int64_t deleted_ms;    /* when its owner had it erased: nobody is shown it any more; 0 before */
    double progress;       /* 0..1, never falls */
    int attempts;          /* begun so far */
    const struct shared_text
        *channel;    /* of the attempt under way or the last one; NULL before the first */
    bool is_local;   /* the attempt ran here, not at an upstream: interrupted work costs nothing */
    bool is_command; /* and it was an operator's program that ran, not animatic */
    struct attempt_record attempt; /* at an upstream; its id is empty when there was none */
    /* Channels that refused it for good, as task_channel_mark(): they are not asked again. */
    uint32_t refused_by[TASK_REFUSALS_MAX];
    int n_refused;
    int n_put_off; /* times in a row that an upstream was busy or out of reach: for the pause before the next try */
    bool may_have_cost; /* an attempt before `attempt` may have been taken by an upstream */
    enum task_failure failure;
    /* One more sentence for this case («image 2: …»), or NULL. */
    const struct shared_text *failure_note;
    struct task_result result; /* meaningful when completed */
};

struct task_request *task_request_new(void); /* zeroed, one reference */
/* Moves the texts, but not those of images, into one piece of memory. Once, before it is
 * published: from then on none may be replaced. */
void task_request_pack(struct task_request *request);
struct task_request *task_request_ref(const struct task_request *request);
/* About how much memory it takes, its texts included. */
size_t task_request_bytes(const struct task_request *request);
struct task_request *task_request_unref(struct task_request *request); /* takes and returns NULL */
/* What is kept of a request once its owner had it erased: ids, tenant, model, time, size and duration; nothing that he wrote.
 * A new one. */
struct task_request *task_request_skeleton(const struct task_request *request);

/* A fresh task in state queued, with one reference; takes over the caller's reference of `request`.
 * Created at request->created_micros. */
struct task *task_new(struct task_request *request, int64_t deadline_ms);
/* A private copy to change before publishing. */
struct task *task_copy(const struct task *task);
const struct task *task_ref(const struct task *task);   /* thread-safe */
const struct task *task_unref(const struct task *task); /* thread-safe; takes and returns NULL */

/* Takes what its owner wrote, and what upstreams wrote for him, out of a copy that was not published yet. What an attempt that
 * is still open goes by stays until it is closed (task_erase_attempt()). */
void task_erase(struct task *task);
void task_erase_attempt(struct task *task);

/* Why it failed or was cancelled, whether an upstream may have charged for it, and the note of this case, for people. */
void task_failure_sentence(const struct task *task, char ret_text[TASK_SENTENCE_SIZE]);

/* A channel's name as one number, for `refused_by`. */
uint32_t task_channel_mark(const char *channel);
bool task_was_refused_by(const struct task *task, const char *channel);

/* `<model>:task_<26>` */
void task_public_id(const struct task_request *request, char ret_id[TASK_PUBLIC_ID_SIZE]);
/* Takes apart what a client gives as an id: `task_<26>` or `<model>:task_<26>` (the model part is
 * everything before the last colon), at most 255 bytes, percent escapes already decoded.
 * False: not an id of ours. `ret_model` is empty without a prefix. */
CHECKED bool task_parse_id(const char *text, char ret_model[TASK_MODEL_SIZE],
                           char ret_id[ID_SHORT_SIZE]);

/* The record as two JSON documents, for the store. Decoding accepts what encoding of any earlier
 * version wrote; NULL when the documents are damaged. */
char *task_encode_request(const struct task_request *request); /* malloc'ed */
char *task_encode_status(const struct task *task);             /* malloc'ed */
struct task *task_decode(const char *request_json, const char *status_json);

/* SHA-256 over everything that the client asked for (not over ids and times that we gave): equal
 * requests have equal digests, whatever their encoding. For idempotency keys. */
void task_request_digest(const struct task_request *request, uint8_t ret_digest[32]);
