/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's look at the data directory. Nothing is opened for writing and no lock is taken: who
 * holds the directory is read from the kernel's list, for even a shared lock, held for a moment,
 * could turn away a server that starts just then. */
#include <errno.h>
#include <linux/magic.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "asset/link_keys.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "store/inspect.h"

enum {
    CHECK_MS = 10000,      /* for the database's soundness */
    FUTURE_MS = 60 * 1000, /* a file may be so much newer than now */
    LOCK_LINES_MOST = 100000,
};

static const int64_t SPACE_LEAST = INT64_C(256) << 20; /* a few results and the log */
static const int64_t SPACE_SCARCE = INT64_C(2) << 30;

static const char DIRECTORY[] = "data directory";

/* False when it does not fit. */
static bool join(const struct doctor *doctor, const char *name, char ret_path[PATH_MAX])
{
    int length = snprintf(ret_path, PATH_MAX, "%s/%s", doctor->data, name);
    return length > 0 && length < PATH_MAX;
}

/* ---- the directory ---- */

static void look_at_rights(struct doctor *doctor, const struct stat *status)
{
    const char *data = doctor->data;
    if (access(data, R_OK | W_OK | X_OK) != 0)
        doctor_say(doctor, DOCTOR_PROBLEM, DIRECTORY,
                   "give it to the user that the gateway runs as, or run doctor as that user",
                   "\"%s\" cannot be read and written by this user (%s)", data, strerror(errno));
    else if (status->st_uid != geteuid())
        doctor_say(doctor, DOCTOR_WARNING, DIRECTORY, "chown it to the user of the gateway",
                   "\"%s\" belongs to user %u, not to this one (%u)", data,
                   (unsigned)status->st_uid, (unsigned)geteuid());
    else if ((status->st_mode & 077) != 0)
        doctor_say(doctor, DOCTOR_WARNING, DIRECTORY, "chmod it to 0700",
                   "\"%s\" is open to other users (mode %04o)", data,
                   (unsigned)status->st_mode & 07777u);
    else
        doctor_say(doctor, DOCTOR_OK, DIRECTORY, NULL, "\"%s\" is ours alone, and writable%s", data,
                   doctor->is_served ? "; a server uses it now" : "");
}

/* The kernel's list names the file of a lock by its inode; of a directory with a server, `lock`. */
static bool is_held(const struct doctor *doctor)
{
    char path[PATH_MAX];
    char line[256];
    struct stat status;
    bool found = false;
    FILE *locks = fopen("/proc/locks", "re");
    if (locks == NULL)
        return false;
    if (join(doctor, "lock", path) && stat(path, &status) == 0) {
        for (int i = 0; !found && i < LOCK_LINES_MOST && fgets(line, sizeof(line), locks); i++) {
            unsigned long long inode = 0;
            /* NOLINTNEXTLINE(cert-err34-c): the kernel's number fits */
            found = sscanf(line, "%*s FLOCK %*s WRITE %*s %*[^:]:%*[^:]:%llu", &inode) == 1 &&
                    inode == status.st_ino;
        }
    }
    fclose(locks);
    return found;
}

/* ---- its disk ---- */

struct file_system {
    uint32_t magic;
    enum doctor_verdict verdict;
    const char *name;
    const char *advice;
};

static const char NETWORK[] =
    "use a local disk: the database's log needs memory shared between processes";
static const char VANISHING[] = "mount a volume there: what it holds is gone with the next start";

static const struct file_system FILE_SYSTEMS[] = {
    {NFS_SUPER_MAGIC, DOCTOR_PROBLEM, "NFS", NETWORK},
    {SMB_SUPER_MAGIC, DOCTOR_PROBLEM, "SMB", NETWORK},
    {CIFS_SUPER_MAGIC, DOCTOR_PROBLEM, "CIFS", NETWORK},
    {SMB2_SUPER_MAGIC, DOCTOR_PROBLEM, "SMB 2", NETWORK},
    {AFS_SUPER_MAGIC, DOCTOR_PROBLEM, "AFS", NETWORK},
    {CODA_SUPER_MAGIC, DOCTOR_PROBLEM, "Coda", NETWORK},
    {V9FS_MAGIC, DOCTOR_PROBLEM, "9P", NETWORK},
    {CEPH_SUPER_MAGIC, DOCTOR_PROBLEM, "Ceph", NETWORK},
    {0x0bd00bd0, DOCTOR_PROBLEM, "Lustre",
     NETWORK}, /* the kernel names neither this nor the next */
    {0x47504653, DOCTOR_PROBLEM, "GPFS", NETWORK},
    {FUSE_SUPER_MAGIC, DOCTOR_WARNING, "FUSE",
     "make sure that it is no network file system in disguise, such as sshfs"},
    {TMPFS_MAGIC, DOCTOR_WARNING, "tmpfs, in memory", VANISHING},
    {RAMFS_MAGIC, DOCTOR_WARNING, "ramfs, in memory", VANISHING},
    {OVERLAYFS_SUPER_MAGIC, DOCTOR_WARNING, "overlayfs, a container's own layer", VANISHING},
};

static void look_at_file_system(struct doctor *doctor, const char *directory)
{
    struct statfs status;
    if (statfs(directory, &status) != 0)
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(FILE_SYSTEMS); i++) {
        const struct file_system *known = &FILE_SYSTEMS[i];
        if (known->magic == (uint32_t)status.f_type) {
            doctor_say(doctor, known->verdict, "file system", known->advice, "\"%s\" lies on %s",
                       directory, known->name);
            return;
        }
    }
    doctor_say(doctor, DOCTOR_OK, "file system", NULL, "no network file system, not in memory");
}

static void look_at_space(struct doctor *doctor, const char *directory)
{
    struct statvfs status;
    if (statvfs(directory, &status) != 0) {
        doctor_say(doctor, DOCTOR_WARNING, "disk", NULL, "its free space is not known (%s)",
                   strerror(errno));
        return;
    }
    int64_t unit = (int64_t)(status.f_frsize > 0 ? status.f_frsize : status.f_bsize);
    int64_t space = (int64_t)status.f_bavail * unit;
    bool lacks_files = status.f_files > 0 && status.f_favail < 1000;
    enum doctor_verdict verdict = space < SPACE_LEAST || lacks_files ? DOCTOR_PROBLEM
                                  : space < SPACE_SCARCE             ? DOCTOR_WARNING
                                                                     : DOCTOR_OK;
    const char *advice =
        verdict == DOCTOR_OK ? NULL : "free some, or let results go sooner (tasks.retention)";
    if (lacks_files)
        doctor_say(doctor, verdict, "disk", advice, "hardly a new file can be made (inodes)");
    else
        doctor_say(doctor, verdict, "disk", advice, "%" PRId64 " MiB are free", space >> 20);
}

/* What making a directory in `parent` would come to, without making it: an errno, or 0. The kernel's own file systems
 * let root write, and have no directories but theirs. */
static int making_fault(const char *parent)
{
    struct statfs status;
    if (access(parent, W_OK | X_OK) != 0 || statfs(parent, &status) != 0)
        return errno;
    bool is_kernels = status.f_type == PROC_SUPER_MAGIC || status.f_type == SYSFS_MAGIC;
    return is_kernels ? ENOENT : 0;
}

/* Where the directory would be made. */
static void look_at_parent(struct doctor *doctor)
{
    char parent[PATH_MAX];
    const char *data = doctor->data;
    snprintf(parent, sizeof(parent), "%s", data);
    for (size_t length = strlen(parent); length > 1 && parent[length - 1] == '/';)
        parent[--length] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        snprintf(parent, sizeof(parent), ".");
    else
        slash[slash == parent ? 1 : 0] = '\0';
    int fault = making_fault(parent);
    if (fault != 0) {
        doctor_say(doctor, DOCTOR_PROBLEM, DIRECTORY,
                   "make it, mode 0700, for the user that the gateway runs as, or choose another",
                   "the data directory \"%s\" cannot be made: %s", data, strerror(fault));
        return;
    }
    doctor_say(doctor, DOCTOR_OK, DIRECTORY, NULL,
               "\"%s\" is not there yet, and can be made by `serve`", data);
    look_at_file_system(doctor, parent);
    look_at_space(doctor, parent);
}

/* ---- what lies in it ---- */

static void look_at_database(struct doctor *doctor)
{
    struct store_inspection found;
    char error[STORE_ERROR_SIZE] = "";
    int fault = store_inspect(doctor->data, CHECK_MS, &found, error);
    if (fault == -ENOENT)
        doctor_say(doctor, DOCTOR_OK, "database", NULL,
                   "there is none yet; `serve` and `keys create` make one");
    else if (fault == -ENOTSUP)
        doctor_say(doctor, DOCTOR_PROBLEM, "database", "start that version or a later one", "%s",
                   error);
    else if (fault < 0)
        doctor_say(doctor, DOCTOR_PROBLEM, "database", "`serve` would not start with it", "%s",
                   error);
    else if (!found.is_checked)
        doctor_say(doctor, DOCTOR_WARNING, "database",
                   "look again when it is less busy, or check it by `PRAGMA quick_check`",
                   "schema %" PRId64 "; it is too large to be checked for damage in %d s",
                   found.schema, CHECK_MS / 1000);
    else if (found.schema < found.latest)
        doctor_say(doctor, DOCTOR_OK, "database", NULL,
                   "sound; `serve` will bring its schema from %" PRId64 " to %" PRId64,
                   found.schema, found.latest);
    else
        doctor_say(doctor, DOCTOR_OK, "database", NULL, "sound, schema %" PRId64, found.schema);
}

static void look_at_link_key(struct doctor *doctor)
{
    char error[LINK_KEYS_ERROR_SIZE] = "";
    const char *check = "link key";
    int fault = link_keys_check(doctor->data, error);
    if (fault == -ENOENT)
        doctor_say(doctor, DOCTOR_OK, check, NULL, "there is none yet; `serve` makes one");
    else if (fault < 0)
        doctor_say(doctor, DOCTOR_PROBLEM, check,
                   "`serve` would not start: mend it, or restore it from a backup; without it all "
                   "links end, and a new one is made",
                   "%s", error);
    else
        doctor_say(doctor, DOCTOR_OK, check, NULL, "there, mode 0600");
}

/* Files of the future: then this clock is wrong, or was when they were written. */
static void look_at_times(struct doctor *doctor)
{
    static const char *const names[] = {"filmgate.db", "filmgate.db-wal", "link.key", "assets"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[PATH_MAX];
        struct stat status;
        if (!join(doctor, names[i], path) || stat(path, &status) != 0)
            continue;
        int64_t ahead_ms = (int64_t)status.st_mtim.tv_sec * 1000 - clock_wall_ms();
        if (ahead_ms <= FUTURE_MS)
            continue;
        doctor_say(doctor, DOCTOR_WARNING, "file times",
                   "set the clock (NTP): links, retention and the order of tasks go by it",
                   "\"%s\" was written %" PRId64 " s in the future", path, ahead_ms / 1000);
        return;
    }
}

void doctor_look_at_data(struct doctor *doctor)
{
    struct stat status;
    const char *data = doctor->data;
    if (stat(data, &status) != 0 && errno == ENOENT) {
        look_at_parent(doctor);
        return;
    }
    if (stat(data, &status) != 0) {
        doctor_say(doctor, DOCTOR_PROBLEM, DIRECTORY,
                   "give the user that the gateway runs as the right to go there",
                   "\"%s\" cannot be looked at (%s)", data, strerror(errno));
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        doctor_say(doctor, DOCTOR_PROBLEM, DIRECTORY, "move it away, or choose another --data",
                   "\"%s\" is not a directory", data);
        return;
    }
    doctor->is_served = is_held(doctor);
    look_at_rights(doctor, &status);
    look_at_file_system(doctor, data);
    look_at_space(doctor, data);
    look_at_database(doctor);
    look_at_link_key(doctor);
    look_at_times(doctor);
}
