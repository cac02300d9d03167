/* SPDX-License-Identifier: Apache-2.0
 *
 * Assets in a directory, from within: what directory.c and directory_open.c share. Nobody else includes it. */
#pragma once

#include <fcntl.h>
#include <pthread.h>

#include "asset/asset.h"
#include "base/id.h"

enum {
    NONCE_HEX = 16,
    TEMPORARY_SIZE = 256, /* NAME_MAX and NUL */
    FOLDER_PARTS = 3,     /* <xx>, task, gen */
    PART_SIZE = ID_SHORT_SIZE,
};

#define TEMPORARY_PREFIX ".tmp-"

struct asset_store {
    int assets_fd;
    int spool_fd;
    pthread_mutex_t writers; /* taken before `view` */
    pthread_rwlock_t view;
};

/* A key taken apart: the folders from assets/ down, and the names within the last. */
struct place {
    char folders[FOLDER_PARTS][PART_SIZE];
    int n_folders;
    char name[ASSET_KEY_MAX + 1];
    char sidecar[ASSET_KEY_MAX + 1 + sizeof(".meta")];
};

/* Of a good key. */
void directory_place(const char *key, struct place *ret_place);
/* The innermost folder of a place, up to `depth` parts. A descriptor or negative errno. */
CHECKED int directory_folder(const struct asset_store *store, const struct place *place, int depth,
                             bool must_make);
