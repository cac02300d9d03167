/* SPDX-License-Identifier: Apache-2.0
 *
 * Assets in a directory. Below the directory that was opened:
 *
 *     assets/<xx>/task_…/source.mp4         the content; <xx> ends the task's id
 *     assets/<xx>/task_…/source.mp4.meta    one line of JSON: type, sha256, bytes, stored_ms
 *     spool/.tmp-<16 hex>-<key>             content on its way; '-' stands for '/'
 *     spool/.tmp-<16 hex>-meta              its sidecar
 *
 * A write syncs both files in the spool, renames the sidecar into place, then the content, and
 * syncs the folder. Cut off between the two renames, the content is still in the spool, and the
 * next open finishes the move when it is what the sidecar promises; whatever else is in the
 * spool goes. So an asset is the old one or the new one, whole. Who opens the spool first may
 * clear it; everybody with the store open holds a shared lock on it.
 *
 * Every step below assets/ is an openat() that follows no symbolic link. Any thread: `writers`
 * serialises what changes folders, `view` keeps a reader from seeing one half of a replacement. */
#include "asset/asset.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "asset/sidecar.h"
#include "asset/tree.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/id.h"
#include "base/must.h"

enum {
    NONCE_HEX = 16,
    TEMPORARY_SIZE = 256, /* NAME_MAX and NUL */
    FOLDER_PARTS = 3,     /* <xx>, task, gen */
    PART_SIZE = ID_SHORT_SIZE,
    LOCK_TRIES = 500, /* with LOCK_PAUSE_MS between: another start clears the spool */
    LOCK_PAUSE_MS = 10,
    FILE_MODE = 0600,
    FOLDER_MODE = 0700,
    DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
    TEMPORARY_FLAGS = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
};

static const char temporary_prefix[] = ".tmp-";

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

static void find_task_folder(const char *task_id, size_t length, struct place *ret_place)
{
    must(length > 2 && length < PART_SIZE);
    *ret_place = (struct place){.n_folders = 2};
    memcpy(ret_place->folders[0], task_id + length - 2, 2);
    memcpy(ret_place->folders[1], task_id, length);
}

/* Of a good key. */
static void find_place(const char *key, struct place *ret_place)
{
    size_t length = strcspn(key, "/");
    find_task_folder(key, length, ret_place);
    key += length + 1;
    const char *slash = strchr(key, '/');
    if (slash != NULL) {
        must((size_t)(slash - key) < PART_SIZE);
        memcpy(ret_place->folders[ret_place->n_folders++], key, (size_t)(slash - key));
        key = slash + 1;
    }
    snprintf(ret_place->name, sizeof(ret_place->name), "%s", key);
    snprintf(ret_place->sidecar, sizeof(ret_place->sidecar), "%s.meta", key);
}

/* The innermost folder of a place, up to `depth` parts. A descriptor or negative errno. */
static int open_place(const struct asset_store *store, const struct place *place, int depth,
                      bool must_make)
{
    int fd = tree_open(store->assets_fd, place->folders[0], must_make);
    for (int i = 1; i < depth && fd >= 0; i++) {
        int inner = tree_open(fd, place->folders[i], must_make);
        close(fd);
        fd = inner;
    }
    return fd;
}

/* Makes a file of a fresh name in the spool. Its descriptor or negative errno. */
static int make_temporary(const struct asset_store *store, const char *key,
                          char ret_name[TEMPORARY_SIZE])
{
    uint8_t nonce[NONCE_HEX / 2];
    char hex[NONCE_HEX + 1];
    crypt_random(nonce, sizeof(nonce));
    codec_hex_encode(nonce, sizeof(nonce), hex);
    snprintf(ret_name, TEMPORARY_SIZE, "%s%s-%s", temporary_prefix, hex, key);
    for (char *c = ret_name; *c != '\0'; c++) {
        if (*c == '/')
            *c = '-';
    }
    int fd = openat(store->spool_fd, ret_name, TEMPORARY_FLAGS, FILE_MODE);
    return fd < 0 ? -errno : fd;
}

static int make_sidecar(const struct asset_store *store, const struct asset_info *info,
                        char ret_name[TEMPORARY_SIZE])
{
    CLEANUP(close_fd) int fd = make_temporary(store, "meta", ret_name);
    if (fd < 0) {
        ret_name[0] = '\0';
        return fd;
    }
    int error = sidecar_write(fd, info);
    return error < 0 ? error : tree_sync(fd);
}

/* What a write has in the spool; an empty name: nothing. */
struct pending {
    char content[TEMPORARY_SIZE];
    char sidecar[TEMPORARY_SIZE];
};

static int move_in(struct asset_store *store, const struct place *place, int folder,
                   struct pending *pending)
{
    int error = 0;
    pthread_rwlock_wrlock(&store->view);
    if (renameat(store->spool_fd, pending->sidecar, folder, place->sidecar) < 0) {
        error = -errno;
    } else {
        pending->sidecar[0] = '\0';
        if (renameat(store->spool_fd, pending->content, folder, place->name) < 0) {
            error = -errno;
            (void)unlinkat(folder, place->sidecar, 0); /* no asset rather than a wrong one */
        } else {
            pending->content[0] = '\0';
        }
    }
    pthread_rwlock_unlock(&store->view);
    return error;
}

static int commit(struct asset_store *store, const struct place *place, struct pending *pending)
{
    pthread_mutex_lock(&store->writers);
    CLEANUP(close_fd) int folder = open_place(store, place, place->n_folders, true);
    int error = folder < 0 ? folder : move_in(store, place, folder, pending);
    if (error == 0)
        error = tree_sync(folder);
    pthread_mutex_unlock(&store->writers);
    return error;
}

static void drop_temporary(const struct asset_store *store, const char *name)
{
    if (name[0] != '\0')
        (void)unlinkat(store->spool_fd, name, 0);
}

/* Where the bytes of a write come from. */
struct source {
    int fd; /* -1: from memory */
    const void *bytes;
    size_t length;
};

static int write_content(const struct source *source, int target, struct asset_info *info)
{
    int error;
    if (source->fd >= 0) {
        error = tree_digest(source->fd, target, info->sha256, &info->bytes);
    } else {
        uint8_t digest[CRYPT_SHA256_SIZE];
        crypt_sha256(source->bytes, source->length, digest);
        codec_hex_encode(digest, sizeof(digest), info->sha256);
        info->bytes = (int64_t)source->length;
        error = tree_write(target, source->bytes, source->length);
    }
    return error < 0 ? error : tree_sync(target);
}

static int write_pending(struct asset_store *store, const char *key, const struct source *source,
                         struct asset_info *info, struct pending *pending)
{
    CLEANUP(close_fd) int target = make_temporary(store, key, pending->content);
    if (target < 0) {
        pending->content[0] = '\0';
        return target;
    }
    int error = write_content(source, target, info);
    return error < 0 ? error : make_sidecar(store, info, pending->sidecar);
}

static int put(struct asset_store *store, const char *key, const char *type,
               const struct source *source, struct asset_info *ret_info)
{
    if (!asset_is_key(key))
        return ASSET_BAD_KEY;
    if (!sidecar_is_type(type))
        return -EINVAL;
    struct asset_info info = {.stored_ms = clock_wall_ms()};
    snprintf(info.type, sizeof(info.type), "%s", type);
    struct place place;
    find_place(key, &place);

    struct pending pending = {.content = "", .sidecar = ""};
    int error = write_pending(store, key, source, &info, &pending);
    if (error == 0)
        error = commit(store, &place, &pending);
    drop_temporary(store, pending.content);
    drop_temporary(store, pending.sidecar);
    if (error < 0)
        return error;
    *ret_info = info;
    return ASSET_OK;
}

int asset_put_fd(struct asset_store *store, const char *key, const char *type, int fd,
                 struct asset_info *ret_info)
{
    if (fd < 0)
        return -EBADF;
    struct source source = {.fd = fd};
    return put(store, key, type, &source, ret_info);
}

int asset_put_bytes(struct asset_store *store, const char *key, const char *type, const void *bytes,
                    size_t length, struct asset_info *ret_info)
{
    struct source source = {.fd = -1, .bytes = bytes, .length = length};
    return put(store, key, type, &source, ret_info);
}

/* Opens content and sidecar of a folder as one view. A descriptor or negative errno. */
static int open_asset(struct asset_store *store, const struct place *place, int folder,
                      struct asset_info *ret_info)
{
    pthread_rwlock_rdlock(&store->view);
    int error = sidecar_read(folder, place->sidecar, ret_info);
    int fd = -1;
    if (error == 0) {
        fd = openat(folder, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        error = fd < 0 ? -errno : 0;
    }
    pthread_rwlock_unlock(&store->view);
    return error < 0 ? error : fd;
}

int asset_get(struct asset_store *store, const char *key, int *ret_fd, struct asset_info *ret_info)
{
    if (!asset_is_key(key))
        return ASSET_BAD_KEY;
    struct place place;
    find_place(key, &place);
    CLEANUP(close_fd) int folder = open_place(store, &place, place.n_folders, false);
    if (folder < 0)
        return folder == -ENOENT ? ASSET_NOT_FOUND : folder;
    struct asset_info info;
    CLEANUP(close_fd) int fd = open_asset(store, &place, folder, &info);
    if (fd < 0)
        return fd == -ENOENT ? ASSET_NOT_FOUND : fd;
    struct stat found;
    if (fstat(fd, &found) < 0)
        return -errno;
    if (!S_ISREG(found.st_mode) || found.st_size != info.bytes)
        return -EBADMSG;
    *ret_info = info;
    *ret_fd = fd;
    fd = -1;
    return ASSET_OK;
}

/* ASSET_OK, ASSET_NOT_FOUND or negative errno. */
static int unlink_in(int folder, const char *name)
{
    if (unlinkat(folder, name, 0) == 0)
        return ASSET_OK;
    return errno == ENOENT ? ASSET_NOT_FOUND : -errno;
}

static int erase_pair(const struct asset_store *store, const struct place *place)
{
    CLEANUP(close_fd) int folder = open_place(store, place, place->n_folders, false);
    if (folder < 0)
        return folder == -ENOENT ? ASSET_NOT_FOUND : folder;
    int sidecar = unlink_in(folder, place->sidecar);
    if (sidecar < 0)
        return sidecar;
    int content = unlink_in(folder, place->name);
    if (content < 0)
        return content;
    int error = tree_sync(folder);
    if (error < 0)
        return error;
    return sidecar == ASSET_OK || content == ASSET_OK ? ASSET_OK : ASSET_NOT_FOUND;
}

int asset_erase(struct asset_store *store, const char *key)
{
    if (!asset_is_key(key))
        return ASSET_BAD_KEY;
    struct place place;
    find_place(key, &place);
    pthread_mutex_lock(&store->writers);
    int result = erase_pair(store, &place);
    pthread_mutex_unlock(&store->writers);
    return result;
}

static int erase_folder(const struct asset_store *store, const struct place *place)
{
    CLEANUP(close_fd) int outer = open_place(store, place, 1, false);
    if (outer < 0)
        return outer == -ENOENT ? ASSET_NOT_FOUND : outer;
    int error = tree_remove(outer, place->folders[1], FOLDER_PARTS - 1);
    if (error < 0)
        return error == -ENOENT ? ASSET_NOT_FOUND : error;
    return tree_sync(outer);
}

int asset_erase_task(struct asset_store *store, const char *task_id)
{
    if (!id_is_typeid(task_id, "task"))
        return ASSET_BAD_KEY;
    struct place place;
    find_task_folder(task_id, strlen(task_id), &place);
    pthread_mutex_lock(&store->writers);
    int result = erase_folder(store, &place);
    pthread_mutex_unlock(&store->writers);
    return result;
}

int asset_spool_file(struct asset_store *store, int *ret_fd)
{
    int fd = openat(store->spool_fd, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        char name[TEMPORARY_SIZE];
        fd = make_temporary(store, "spool", name);
        if (fd < 0)
            return fd;
        drop_temporary(store, name);
    }
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

/* The key in the name of a left-over, or false when it holds none. */
static bool key_of_temporary(const char *name, char ret_key[TEMPORARY_SIZE])
{
    size_t begin = sizeof(temporary_prefix) - 1 + NONCE_HEX + 1;
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
    find_place(key, &place);
    CLEANUP(close_fd) int folder = open_place(store, &place, place.n_folders, false);
    if (folder < 0 || !is_promised(store, name, folder, &place))
        return 0;
    if (renameat(store->spool_fd, name, folder, place.name) < 0)
        return -errno;
    return tree_sync(folder);
}

static int clear_left_over(void *context, int spool, const char *name)
{
    if (strncmp(name, temporary_prefix, sizeof(temporary_prefix) - 1) != 0)
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
