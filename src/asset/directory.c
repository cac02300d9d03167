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
#include "asset/directory_own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asset/sidecar.h"
#include "asset/tree.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

enum {
    FILE_MODE = 0600,
    TEMPORARY_FLAGS = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
};

static void find_owner_folder(const char *owner, size_t length, struct place *ret_place)
{
    must(length > 2 && length < PART_SIZE);
    *ret_place = (struct place){.n_folders = 2};
    memcpy(ret_place->folders[0], owner + length - 2, 2);
    memcpy(ret_place->folders[1], owner, length);
}

void directory_place(const char *key, struct place *ret_place)
{
    size_t length = strcspn(key, "/");
    find_owner_folder(key, length, ret_place);
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

int directory_folder(const struct asset_store *store, const struct place *place, int depth,
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

static void name_temporary(const char *key, char ret_name[TEMPORARY_SIZE])
{
    uint8_t nonce[NONCE_HEX / 2];
    char hex[NONCE_HEX + 1];
    crypt_random(nonce, sizeof(nonce));
    codec_hex_encode(nonce, sizeof(nonce), hex);
    snprintf(ret_name, TEMPORARY_SIZE, "%s%s-%s", TEMPORARY_PREFIX, hex, key);
    for (char *c = ret_name; *c != '\0'; c++) {
        if (*c == '/')
            *c = '-';
    }
}

/* Makes a file of a fresh name in the spool. Its descriptor or negative errno. */
static int make_temporary(const struct asset_store *store, const char *key,
                          char ret_name[TEMPORARY_SIZE])
{
    name_temporary(key, ret_name);
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
        } /* else its name in the spool is gone, unless both were names of one content: dropped later */
    }
    pthread_rwlock_unlock(&store->view);
    return error;
}

static int commit(struct asset_store *store, const struct place *place, struct pending *pending)
{
    pthread_mutex_lock(&store->writers);
    CLEANUP(close_fd) int folder = directory_folder(store, place, place->n_folders, true);
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

/* Moves into place what is whole in the spool (`error` 0), and leaves nothing behind. */
static int finish_put(struct asset_store *store, const struct place *place, struct pending *pending,
                      int error)
{
    if (error == 0)
        error = commit(store, place, pending);
    drop_temporary(store, pending->content);
    drop_temporary(store, pending->sidecar);
    return error;
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
    directory_place(key, &place);

    struct pending pending = {.content = "", .sidecar = ""};
    int error = write_pending(store, key, source, &info, &pending);
    error = finish_put(store, &place, &pending, error);
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
    directory_place(key, &place);
    CLEANUP(close_fd) int folder = directory_folder(store, &place, place.n_folders, false);
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

/* A second name, in the spool, for the very content that is open: nobody can put another in its place meanwhile, and a
 * content never changes. False where there is no such thing. */
static bool share_content(const struct asset_store *store, int fd, const char *key,
                          char ret_name[TEMPORARY_SIZE])
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    name_temporary(key, ret_name);
    if (linkat(AT_FDCWD, path, store->spool_fd, ret_name, AT_SYMLINK_FOLLOW) == 0)
        return true;
    ret_name[0] = '\0';
    return false;
}

int asset_copy(struct asset_store *store, const char *from, const char *to,
               struct asset_info *ret_info)
{
    if (!asset_is_key(to))
        return ASSET_BAD_KEY;
    CLEANUP(close_fd) int fd = -1;
    struct asset_info info;
    int result = asset_get(store, from, &fd, &info);
    if (result != ASSET_OK)
        return result;
    struct pending pending = {.content = "", .sidecar = ""};
    if (!share_content(store, fd, to, pending.content))
        return asset_put_fd(store, to, info.type, fd, ret_info);
    struct place place;
    directory_place(to, &place);
    info.stored_ms = clock_wall_ms();
    int error = make_sidecar(store, &info, pending.sidecar);
    error = finish_put(store, &place, &pending, error);
    if (error < 0)
        return error;
    *ret_info = info;
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
    CLEANUP(close_fd) int folder = directory_folder(store, place, place->n_folders, false);
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
    directory_place(key, &place);
    pthread_mutex_lock(&store->writers);
    int result = erase_pair(store, &place);
    pthread_mutex_unlock(&store->writers);
    return result;
}

static int erase_folder(const struct asset_store *store, const struct place *place)
{
    CLEANUP(close_fd) int outer = directory_folder(store, place, 1, false);
    if (outer < 0)
        return outer == -ENOENT ? ASSET_NOT_FOUND : outer;
    int error = tree_remove(outer, place->folders[1], FOLDER_PARTS - 1);
    if (error < 0)
        return error == -ENOENT ? ASSET_NOT_FOUND : error;
    return tree_sync(outer);
}

static int erase_all_of(struct asset_store *store, const char *owner, const char *prefix)
{
    if (!id_is_typeid(owner, prefix))
        return ASSET_BAD_KEY;
    struct place place;
    find_owner_folder(owner, strlen(owner), &place);
    pthread_mutex_lock(&store->writers);
    int result = erase_folder(store, &place);
    pthread_mutex_unlock(&store->writers);
    return result;
}

int asset_erase_task(struct asset_store *store, const char *task_id)
{
    return erase_all_of(store, task_id, "task");
}

int asset_erase_file(struct asset_store *store, const char *file_id)
{
    return erase_all_of(store, file_id, "file");
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
