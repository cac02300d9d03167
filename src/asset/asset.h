/* SPDX-License-Identifier: Apache-2.0
 *
 * Where results, inputs and uploaded files live. A port with one implementation a file (asset/directory.c). A
 * key is `task_<26>/name.ext`, `task_<26>/gen_<26>/name.ext` or `file_<26>/name.ext`: [a-z0-9_.] only, an extension,
 * no `..`, not `.meta`; anything else is refused. Written once, whole or not at all. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum { ASSET_KEY_MAX = 160, ASSET_TYPE_SIZE = 40, ASSET_ETAG_SIZE = 67, ASSET_ERROR_SIZE = 300 };

enum asset_outcome { ASSET_OK = 0, ASSET_NOT_FOUND = 1, ASSET_BAD_KEY = 2 };

struct asset_info {
    char type[ASSET_TYPE_SIZE]; /* content type */
    char sha256[65];            /* hex of the content; the ETag is this in quotes */
    int64_t bytes;
    int64_t stored_ms;
};

struct asset_store;

/* The directory implementation below `<directory>/assets` (made 0700). Clears left-overs of
 * writes that a crash cut off. */
CHECKED int asset_open_directory(const char *directory, struct asset_store **ret_store,
                                 char ret_error[ASSET_ERROR_SIZE]);
struct asset_store *asset_close(struct asset_store *store);

/* Stores what the descriptor holds (from offset 0, `fd` stays the caller's) under `key`: synced,
 * then renamed into place. An existing key is replaced. -ENOSPC and the like leave nothing
 * behind; -EINVAL when the type is too long or not plain ASCII. */
CHECKED int asset_put_fd(struct asset_store *store, const char *key, const char *type, int fd,
                         struct asset_info *ret_info);
CHECKED int asset_put_bytes(struct asset_store *store, const char *key, const char *type,
                            const void *bytes, size_t length, struct asset_info *ret_info);
/* Opens for reading: a descriptor of the caller's (O_CLOEXEC, at offset 0). -EBADMSG when what
 * is stored is damaged: an unreadable sidecar, or one that does not fit the content. */
CHECKED int asset_get(struct asset_store *store, const char *key, int *ret_fd,
                      struct asset_info *ret_info);
/* Stores what is under `from` under `to`, too: each lives on when the other is erased. Takes no room of its own where the
 * file system can give a content two names. As asset_put_fd(), or ASSET_NOT_FOUND. */
CHECKED int asset_copy(struct asset_store *store, const char *from, const char *to,
                       struct asset_info *ret_info);
/* Erases all assets of a task (`task_<26>`), or one key. What does not exist is ASSET_NOT_FOUND. */
CHECKED int asset_erase_task(struct asset_store *store, const char *task_id);
/* The same of an uploaded file (`file_<26>`). */
CHECKED int asset_erase_file(struct asset_store *store, const char *file_id);
CHECKED int asset_erase(struct asset_store *store, const char *key);
bool asset_is_key(const char *key);

/* A private place for work in progress on the same file system: `<directory>/spool`. Unnamed
 * (O_TMPFILE, or created and unlinked), read-write, gone with its last descriptor. 0 or negative
 * errno. */
CHECKED int asset_spool_file(struct asset_store *store, int *ret_fd);
