/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps in a directory tree: each names one entry of an open folder and follows no symbolic link,
 * so nobody who can write below it leads us out of it. No state; any thread. */
#include "asset/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/crypt.h"
#include "base/must.h"

enum {
    COPY_BYTES = 256 * 1024,
    FOLDER_MODE = 0700,
    FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
};

int tree_sync(int fd)
{
    return fsync(fd) < 0 ? -errno : 0;
}

int tree_open(int parent, const char *name, bool must_make)
{
    if (must_make && mkdirat(parent, name, FOLDER_MODE) == 0) {
        int error = tree_sync(parent);
        if (error < 0)
            return error;
    } else if (must_make && errno != EEXIST) {
        return -errno;
    }
    int fd = openat(parent, name, FOLDER_FLAGS);
    return fd < 0 ? -errno : fd;
}

int tree_write(int fd, const void *data, size_t length)
{
    const char *at = data;
    while (length > 0) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

int tree_digest(int source, int target, char ret_sha256[65], int64_t *ret_bytes)
{
    CLEANUP(free_pointer) char *block = must_calloc(1, COPY_BYTES);
    struct crypt_sha256 *sha = crypt_sha256_new();
    int64_t bytes = 0;
    int error = 0;
    while (error == 0) {
        ssize_t length = pread(source, block, COPY_BYTES, (off_t)bytes);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0) {
            error = length < 0 ? -errno : 0;
            break;
        }
        crypt_sha256_add(sha, block, (size_t)length);
        bytes += length;
        if (target >= 0)
            error = tree_write(target, block, (size_t)length);
    }
    uint8_t digest[CRYPT_SHA256_SIZE];
    crypt_sha256_end(sha, digest);
    if (error < 0)
        return error;
    codec_hex_encode(digest, sizeof(digest), ret_sha256);
    *ret_bytes = bytes;
    return 0;
}

/* Opens a stream over a folder; `ret_fd` is the stream's. NULL with errno set. */
static DIR *open_stream(int parent, const char *name, int *ret_fd)
{
    int fd = openat(parent, name, FOLDER_FLAGS);
    if (fd < 0)
        return NULL;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    *ret_fd = fd;
    return stream;
}

int tree_walk(int parent, const char *name, tree_visit_fn *visit, void *context)
{
    int fd;
    DIR *stream = open_stream(parent, name, &fd);
    if (stream == NULL)
        return -errno;
    int error = 0;
    while (error == 0) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            error = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            error = visit(context, fd, entry->d_name);
    }
    closedir(stream);
    return error;
}

/* Removes an entry, and folders as deep as `*depth` says. Links go, not what they point at. */
static int remove_entry(void *context, int folder, const char *name)
{
    int depth = *(const int *)context;
    if (unlinkat(folder, name, 0) == 0)
        return 0;
    if (errno != EISDIR || depth == 0)
        return -errno;
    depth--;
    int error = tree_walk(folder, name, remove_entry, &depth);
    if (error == 0 && unlinkat(folder, name, AT_REMOVEDIR) < 0)
        error = -errno;
    return error;
}

int tree_remove(int parent, const char *name, int depth)
{
    return remove_entry(&depth, parent, name);
}
