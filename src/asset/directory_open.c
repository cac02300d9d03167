/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a directory of assets: its two folders, and what a crash left in the spool. On the thread that opens it. */
#include "asset/directory_own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "asset/sidecar.h"
#include "asset/tree.h"
#include "base/must.h"

enum {
    LOCK_TRIES = 500, /* with LOCK_PAUSE_MS between: another start clears the spool */
    LOCK_PAUSE_MS = 10,
    FOLDER_MODE = 0700,
    DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
};

/* The key in the name of a left-over, or false when it holds none. */
static bool key_of_temporary(const char *name, char ret_key[TEMPORARY_SIZE])
{
    size_t begin = sizeof(TEMPORARY_PREFIX) - 1 + NONCE_HEX + 1;
    if (strlen(name) <= begin || name[begin - 1] != '-')
        return false;
    snprintf(ret_key, TEMPORARY_SIZE, "%s", name + begin);
    for (char *c = ret_key; *c != '\0'; c++) {
        if (*c == '-')
            *c = '/';
    }
    return asset_is_key(ret_key);
}

/* Is this the content that the sidecar in place promises? */
static bool is_promised(const struct asset_store *store, const char *name, int folder,
                        const struct place *place)
{
    struct asset_info promised;
    struct asset_info found = {.bytes = 0};
    struct stat stat;
    CLEANUP(close_fd) int fd = openat(store->spool_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && sidecar_read(folder, place->sidecar, &promised) == 0 &&
           fstat(fd, &stat) == 0 && stat.st_size == promised.bytes &&
           tree_digest(fd, -1, found.sha256, &found.bytes) == 0 && found.bytes == promised.bytes &&
           strcmp(found.sha256, promised.sha256) == 0;
}

/* Finishes a write that was cut off between its renames; any other left-over is not touched. */
static int finish_move(const struct asset_store *store, const char *name)
{
    char key[TEMPORARY_SIZE];
    struct place place;
    if (!key_of_temporary(name, key))
        return 0;
    directory_place(key, &place);
    CLEANUP(close_fd) int folder = directory_folder(store, &place, place.n_folders, false);
    if (folder < 0 || !is_promised(store, name, folder, &place))
        return 0;
    if (renameat(store->spool_fd, name, folder, place.name) < 0)
        return -errno;
    return tree_sync(folder);
}

static int clear_left_over(void *context, int spool, const char *name)
{
    if (strncmp(name, TEMPORARY_PREFIX, sizeof(TEMPORARY_PREFIX) - 1) != 0)
        return 0; /* not ours */
    int error = finish_move(context, name);
    if (error < 0)
        return error;
    return unlinkat(spool, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Clears the spool when nobody else uses it, and from then on counts as its user. */
static int enter_spool(struct asset_store *store)
{
    if (flock(store->spool_fd, LOCK_EX | LOCK_NB) == 0) {
        int error = tree_walk(store->spool_fd, ".", clear_left_over, store);
        if (error < 0)
            return error;
    }
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(store->spool_fd, LOCK_SH | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        nanosleep(&pause, NULL);
    }
    return -EBUSY;
}

/* Makes `directory/name` when it is not there, and opens it. The operator may have put a link
 * here. */
static int open_top(int directory, const char *name)
{
    if (mkdirat(directory, name, FOLDER_MODE) == 0) {
        int error = tree_sync(directory);
        if (error < 0)
            return error;
    } else if (errno != EEXIST) {
        return -errno;
    }
    int fd = openat(directory, name, DIRECTORY_FLAGS);
    return fd < 0 ? -errno : fd;
}

/* Returns `error` with its sentence. */
static int explain(char ret_error[ASSET_ERROR_SIZE], int error, const char *what,
                   const char *directory)
{
    char reason[64] = "";
    const char *text = strerror_r(-error, reason, sizeof(reason));
    snprintf(ret_error, ASSET_ERROR_SIZE, "%s \"%.160s\": %s", what, directory, text);
    return error;
}

static int is_same_file_system(const struct asset_store *store)
{
    struct stat assets;
    struct stat spool;
    if (fstat(store->assets_fd, &assets) < 0 || fstat(store->spool_fd, &spool) < 0)
        return -errno;
    return assets.st_dev == spool.st_dev ? 0 : -EXDEV;
}

static int open_parts(struct asset_store *store, const char *directory, char *ret_error)
{
    CLEANUP(close_fd) int top = open(directory, DIRECTORY_FLAGS);
    if (top < 0)
        return explain(ret_error, -errno, "cannot open the directory", directory);
    store->assets_fd = open_top(top, "assets");
    if (store->assets_fd < 0)
        return explain(ret_error, store->assets_fd, "cannot open assets/ in", directory);
    store->spool_fd = open_top(top, "spool");
    if (store->spool_fd < 0)
        return explain(ret_error, store->spool_fd, "cannot open spool/ in", directory);
    int error = is_same_file_system(store);
    if (error < 0)
        return explain(ret_error, error, "assets/ and spool/ must share a file system in",
                       directory);
    error = enter_spool(store);
    if (error < 0)
        return explain(ret_error, error, "cannot clear spool/ in", directory);
    return 0;
}

int asset_open_directory(const char *directory, struct asset_store **ret_store,
                         char ret_error[ASSET_ERROR_SIZE])
{
    struct asset_store *store = must_calloc(1, sizeof(*store));
    store->assets_fd = -1;
    store->spool_fd = -1;
    must(pthread_mutex_init(&store->writers, NULL) == 0);
    must(pthread_rwlock_init(&store->view, NULL) == 0);
    int error = open_parts(store, directory, ret_error);
    if (error < 0) {
        asset_close(store);
        return error;
    }
    *ret_store = store;
    return 0;
}

struct asset_store *asset_close(struct asset_store *store)
{
    if (store == NULL)
        return NULL;
    close_fd(&store->assets_fd);
    close_fd(&store->spool_fd);
    must(pthread_mutex_destroy(&store->writers) == 0);
    must(pthread_rwlock_destroy(&store->view) == 0);
    free(store);
    return NULL;
}
