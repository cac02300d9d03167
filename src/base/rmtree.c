/* SPDX-License-Identifier: Apache-2.0
 *
 * A tree is made flat while it is removed, so that no path gets long, nothing recurs, and nothing is remembered:
 *
 *     top/a/b/c   -->   top/a, top/0/c   -->   top/0, top/1   -->   top   -->   nothing
 *
 * Each folder right below the top is emptied: what is in it goes, and a folder that is not empty moves up to the top, under
 * a number, to be emptied in its turn. Each folder moves once. Every step names one entry of an open folder and
 * follows no symbolic link, and none goes upwards: nobody who writes below the top leads us out of it. */
#include "base/rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { NUMBER_SIZE = 24 };

struct removal {
    int64_t until_ms;
    int top;           /* descriptor */
    uint64_t next;     /* number to move a folder to */
    bool has_moved_on; /* something went, or moved up, since this was last unset */
    int fault;         /* the first since then: 0 or negative errno */
};

typedef void visit_fn(struct removal *removal, int folder, const char *name);

static bool is_late(const struct removal *removal)
{
    return clock_mono_ms() >= removal->until_ms;
}

static void note(struct removal *removal, int fault)
{
    if (fault == 0)
        removal->has_moved_on = true;
    else if (removal->fault == 0)
        removal->fault = fault;
}

/* Changes a folder's mode, a link's target's never. */
static bool unlock(int parent, const char *name)
{
    return fchmodat(parent, name, S_IRWXU, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A descriptor or negative errno. */
static int open_folder(int parent, const char *name)
{
    static const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd < 0 && errno == EACCES && unlock(parent, name))
        fd = openat(parent, name, flags);
    if (fd < 0)
        return -errno;
    (void)fchmod(fd, S_IRWXU); /* one that can be read may forbid to take out what is in it */
    return fd;
}

/* 0 when it is gone, -ENOTEMPTY for a folder with something in it, or another negative errno. */
static int remove_one(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return -errno;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    return errno == EEXIST ? -ENOTEMPTY : -errno;
}

/* To the top, under the next number. One that is taken is an entry that goes in this round: the next round has another. 0 or
 * negative errno. */
static int move_up(struct removal *removal, int folder, const char *name)
{
    char number[NUMBER_SIZE];
    (void)snprintf(number, sizeof(number), "%" PRIu64, removal->next++);
    if (renameat(folder, name, removal->top, number) == 0)
        return 0;
    /* A folder that moves must be writable. */
    if (errno == EACCES && unlock(folder, name) &&
        renameat(folder, name, removal->top, number) == 0)
        return 0;
    return errno == ENOENT ? 0 : -errno;
}

static void walk(struct removal *removal, int parent, const char *name, visit_fn *visit)
{
    int fd = open_folder(parent, name);
    DIR *entries = fd >= 0 ? fdopendir(fd) : NULL;
    if (entries == NULL) {
        note(removal, fd < 0 ? fd : -errno);
        close_fd(&fd);
        return;
    }
    for (struct dirent *entry; !is_late(removal) && (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(removal, fd, entry->d_name);
    }
    (void)closedir(entries);
}

static void clear_inner(struct removal *removal, int folder, const char *name)
{
    int fault = remove_one(folder, name);
    note(removal, fault == -ENOTEMPTY ? move_up(removal, folder, name) : fault);
}

static void clear_outer(struct removal *removal, int top, const char *name)
{
    int fault = remove_one(top, name);
    if (fault == -ENOTEMPTY) {
        walk(removal, top, name, clear_inner);
        fault = remove_one(top, name);
    }
    note(removal, fault);
}

/* Rounds, as a folder that moves up may come to lie behind where the reading of the top is. */
static int clear(struct removal *removal, const char *path)
{
    for (;;) {
        removal->has_moved_on = false;
        removal->fault = 0;
        walk(removal, removal->top, ".", clear_outer);
        int fault = remove_one(AT_FDCWD, path);
        if (fault == 0)
            return 0;
        if (is_late(removal))
            return -ETIME;
        if (!removal->has_moved_on)
            return removal->fault < 0 ? removal->fault : fault;
    }
}

int rmtree(const char *path, int64_t until_ms)
{
    int fault = remove_one(AT_FDCWD, path);
    if (fault != -ENOTEMPTY)
        return fault;
    CLEANUP(close_fd) int top = open_folder(AT_FDCWD, path);
    struct removal removal = {.until_ms = until_ms, .top = top};
    return top < 0 ? top : clear(&removal, path);
}
