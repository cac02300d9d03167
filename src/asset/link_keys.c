/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the link keys. A rotation first writes both files it is about to put in place, so
 * a full disk stops it before anything changed; then it puts a copy of the present key over
 * `link.key.old`, syncs the directory, and only then the new key over `link.key`. Cut off in
 * between, both files hold the present key, which is how the next rotation knows. Any thread. */
#include "asset/link_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asset/tree.h"
#include "base/codec.h"
#include "base/crypt.h"

static const char current_name[] = "link.key";
static const char previous_name[] = "link.key.old";
static const char fresh_current_name[] = ".tmp-link.key";
static const char fresh_previous_name[] = ".tmp-link.key.old";

static int fail(char *ret_error, int error, const char *what, const char *path)
{
    char reason[64] = "";
    const char *text = strerror_r(-error, reason, sizeof(reason));
    snprintf(ret_error, LINK_KEYS_ERROR_SIZE, "%s \"%.160s\": %s", what, path, text);
    return error;
}

static int fail_file(char *ret_error, int error, const char *verb, const char *name,
                     const char *directory)
{
    char what[60];
    snprintf(what, sizeof(what), "cannot %s %s in", verb, name);
    return fail(ret_error, error, what, directory);
}

static int write_key(int folder, const char *name, const struct link_key *key)
{
    CLEANUP(close_fd)
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int error = tree_write(fd, key->bytes, sizeof(key->bytes));
    return error < 0 ? error : tree_sync(fd);
}

/* Writes a fresh key under a name of its own and links it to `link.key`: whole or not at all,
 * and when two start at a time the first one's counts. */
static int make_current(int folder)
{
    struct link_key key;
    uint8_t nonce[8];
    char hex[2 * sizeof(nonce) + 1];
    char name[64];
    crypt_random(key.bytes, sizeof(key.bytes));
    crypt_random(nonce, sizeof(nonce));
    codec_hex_encode(nonce, sizeof(nonce), hex);
    snprintf(name, sizeof(name), ".tmp-%s-link.key", hex);
    int error = write_key(folder, name, &key);
    if (error == 0 && linkat(folder, name, folder, current_name, 0) < 0 && errno != EEXIST)
        error = -errno;
    (void)unlinkat(folder, name, 0);
    return error < 0 ? error : tree_sync(folder);
}

/* 0 with the key and the file's time, -ENOENT without a word, or negative errno with a sentence. */
static int read_key(int folder, const char *name, const char *directory, struct link_key *ret_key,
                    int64_t *ret_changed_s, char *ret_error)
{
    struct stat stat;
    struct link_key key;
    CLEANUP(close_fd) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENOENT : fail_file(ret_error, -errno, "open", name, directory);
    if (fstat(fd, &stat) < 0)
        return fail_file(ret_error, -errno, "read", name, directory);
    if (!S_ISREG(stat.st_mode) || stat.st_size != LINK_KEY_SIZE) {
        snprintf(ret_error, LINK_KEYS_ERROR_SIZE, "%s in \"%.160s\" is not a file of %d bytes",
                 name, directory, (int)LINK_KEY_SIZE);
        return -EINVAL;
    }
    if ((stat.st_mode & 077) != 0) {
        snprintf(ret_error, LINK_KEYS_ERROR_SIZE,
                 "%s in \"%.160s\" is open to others: its mode should be 0600", name, directory);
        return -EPERM;
    }
    ssize_t length = pread(fd, key.bytes, sizeof(key.bytes), 0);
    if (length != LINK_KEY_SIZE)
        return fail_file(ret_error, length < 0 ? -errno : -EIO, "read", name, directory);
    *ret_key = key;
    *ret_changed_s = stat.st_mtim.tv_sec;
    return 0;
}

static int open_directory(const char *directory, char *ret_error)
{
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? fail(ret_error, -errno, "cannot open the directory", directory) : folder;
}

static int read_or_make_current(int folder, const char *directory, struct link_key *ret_key,
                                char *ret_error)
{
    int64_t changed_s = 0;
    int error = read_key(folder, current_name, directory, ret_key, &changed_s, ret_error);
    if (error != -ENOENT)
        return error;
    error = make_current(folder);
    if (error < 0)
        return fail_file(ret_error, error, "make", current_name, directory);
    error = read_key(folder, current_name, directory, ret_key, &changed_s, ret_error);
    return error == -ENOENT ? fail_file(ret_error, error, "open", current_name, directory) : error;
}

/* The key that verifies only; without one, `previous_until_s` is 0. */
static int read_previous(int folder, const char *directory, int64_t longest_ms,
                         struct link_keys *keys, char *ret_error)
{
    int64_t changed_s = 0;
    int error = read_key(folder, previous_name, directory, &keys->previous, &changed_s, ret_error);
    keys->previous_until_s = error == 0 ? changed_s + longest_ms / 1000 : 0;
    return error == -ENOENT ? 0 : error;
}

int link_keys_open(const char *directory, int64_t longest_ms, struct link_keys *ret_keys,
                   char ret_error[LINK_KEYS_ERROR_SIZE])
{
    struct link_keys keys = {.previous_until_s = 0};
    CLEANUP(close_fd) int folder = open_directory(directory, ret_error);
    if (folder < 0)
        return folder;
    int error = read_or_make_current(folder, directory, &keys.current, ret_error);
    if (error == 0)
        error = read_previous(folder, directory, longest_ms, &keys, ret_error);
    if (error == 0)
        *ret_keys = keys;
    return error;
}

int link_keys_check(const char *directory, char ret_error[LINK_KEYS_ERROR_SIZE])
{
    struct link_keys keys;
    int64_t changed_s;
    CLEANUP(close_fd) int folder = open_directory(directory, ret_error);
    if (folder < 0)
        return folder;
    int error = read_previous(folder, directory, 0, &keys, ret_error);
    return error < 0
               ? error
               : read_key(folder, current_name, directory, &keys.current, &changed_s, ret_error);
}

static int write_fresh(int folder, const char *name, const struct link_key *key)
{
    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT) /* of a rotation that was cut off */
        return -errno;
    return write_key(folder, name, key);
}

static int put(int folder, const char *fresh_name, const char *name)
{
    return renameat(folder, fresh_name, folder, name) < 0 ? -errno : tree_sync(folder);
}

/* In this order: see the top of the file. */
static int replace_keys(int folder, const struct link_key *current)
{
    struct link_key fresh;
    crypt_random(fresh.bytes, sizeof(fresh.bytes));
    int error = write_fresh(folder, fresh_current_name, &fresh);
    if (error == 0)
        error = write_fresh(folder, fresh_previous_name, current);
    if (error == 0)
        error = put(folder, fresh_previous_name, previous_name);
    if (error == 0)
        error = put(folder, fresh_current_name, current_name);
    if (error < 0) {
        (void)unlinkat(folder, fresh_current_name, 0);
        (void)unlinkat(folder, fresh_previous_name, 0);
    }
    return error;
}

/* Are there two keys? Not so after a rotation that was cut off. */
static bool has_previous(const struct link_keys *keys)
{
    return keys->previous_until_s > 0 &&
           !crypt_is_equal(keys->previous.bytes, keys->current.bytes, LINK_KEY_SIZE);
}

int link_keys_rotate(const char *directory, int64_t longest_ms, int64_t now_ms, bool is_forced,
                     int64_t *ret_until_s, char ret_error[LINK_KEYS_ERROR_SIZE])
{
    struct link_keys keys = {.previous_until_s = 0};
    int64_t changed_s = 0;
    CLEANUP(close_fd) int folder = open_directory(directory, ret_error);
    if (folder < 0)
        return folder;
    int error = read_key(folder, current_name, directory, &keys.current, &changed_s, ret_error);
    if (error == -ENOENT)
        return fail_file(ret_error, error, "rotate", current_name, directory);
    if (error == 0)
        error = read_previous(folder, directory, longest_ms, &keys, ret_error);
    if (error < 0)
        return error;
    bool is_early = has_previous(&keys) && now_ms / 1000 < keys.previous_until_s;
    *ret_until_s = is_early ? keys.previous_until_s : (now_ms + longest_ms) / 1000;
    if (is_early && !is_forced)
        return LINK_TOO_EARLY;
    error = replace_keys(folder, &keys.current);
    if (error < 0)
        return fail_file(ret_error, error, "rotate", current_name, directory);
    return is_early ? LINK_ROTATED_EARLY : LINK_ROTATED;
}
