/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing the SQLite store: the file is made when there is none, checked, migrated, and
 * everything that can be wrong with it is said in a sentence that an operator can act on. By the
 * thread that opens or closes the store, while no other knows of it. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/must.h"
#include "store/migrate.h"

enum { TURN_POLL_MS = 5 };

/* Above it opening does not read the whole file to check it: a start must not take minutes. Damage
 * then shows as a fault of the statement that meets it. */
static const int64_t sqlite_check_max_bytes = INT64_C(1) << 30;

/* Openers of one directory take turns: SQLite does not wait when two turn a new file to WAL mode at
 * once, it fails one of them. The turn ends when the descriptor is closed. One that does not come
 * in time, or a file system without such locks, costs only that comfort. */
static int sqlite_take_turn(const char *directory, int *ret_fd)
{
    static const struct timespec pause = {.tv_nsec = TURN_POLL_MS * 1000000L};
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (int waited_ms = 0; waited_ms < STORE_BUSY_TIMEOUT_MS; waited_ms += TURN_POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            break;
        (void)nanosleep(&pause, NULL);
    }
    *ret_fd = fd;
    return 0;
}

/* Creates the file when there is none, readable to us alone whatever the umask; SQLite gives -wal
 * and -shm the same mode. An existing file is not opened here: closing it would drop the locks that
 * this process may hold on it through SQLite. */
static int sqlite_create_file(int directory_fd, const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0)
        return S_ISREG(status.st_mode) ? 0 : S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (errno != ENOENT)
        return -errno;
    int fd CLEANUP(close_fd) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) /* EEXIST: another process was faster, as good */
        return errno == EEXIST ? 0 : -errno;
    if (fchmod(fd, 0600) != 0 || fsync(fd) != 0 || fsync(directory_fd) != 0)
        return -errno;
    return 0;
}

static void sqlite_explain_file(int fault, const char *path, char ret_error[STORE_ERROR_SIZE])
{
    switch (-fault) {
    case EISDIR:
        (void)snprintf(ret_error, STORE_ERROR_SIZE,
                       "\"%s\" is a directory: move it away, the database is a file", path);
        return;
    case EINVAL:
        (void)snprintf(ret_error, STORE_ERROR_SIZE,
                       "\"%s\" is not a regular file: move it away, the database is one", path);
        return;
    case ENOENT:
    case ENOTDIR:
        (void)snprintf(ret_error, STORE_ERROR_SIZE,
                       "\"%s\" cannot be made: its directory must exist", path);
        return;
    default:
        (void)snprintf(
            ret_error, STORE_ERROR_SIZE,
            "\"%s\" cannot be made (%s): this user needs the right to write its directory", path,
            strerrordesc_np(-fault));
        return;
    }
}

static int sqlite_check(struct sqlite *sqlite, char ret_error[STORE_ERROR_SIZE])
{
    sqlite3 *db = sqlite->writer.db;
    sqlite3_stmt *statement = NULL;
    struct stat status;

    if (stat(sqlite->path, &status) == 0 && status.st_size > sqlite_check_max_bytes)
        return 0;
    int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int fault = sqlite_fault(db, code);
    if (code == SQLITE_ROW && strcmp(sqlite_text(statement, 0), "ok") != 0)
        fault = -EBADMSG;
    sqlite3_finalize(statement);
    if (fault < 0)
        sqlite_explain(db, fault, sqlite->path, ret_error);
    return fault;
}

/* Reads the secret, making it when this is the first start. */
static int sqlite_load_secret(struct sqlite *sqlite)
{
    struct sqlite_connection *writer = &sqlite->writer;
    uint8_t fresh[sizeof sqlite->secret];
    sqlite3_stmt *statement;
    int result = sqlite_use(writer, STATEMENT_META_ADD, &statement);

    if (result < 0)
        return result;
    crypt_random(fresh, sizeof fresh);
    sqlite_bind_text(statement, 1, "secret");
    sqlite_bind_blob(statement, 2, fresh, sizeof fresh);
    result = sqlite_run(writer, statement);
    if (result == 0)
        result = sqlite_use(writer, STATEMENT_META_READ, &statement);
    if (result < 0)
        return result;
    sqlite_bind_text(statement, 1, "secret");
    result = sqlite_step(writer, statement);
    if (result < 0)
        return result;
    bool is_sound = result > 0 && sqlite3_column_type(statement, 0) == SQLITE_BLOB &&
                    sqlite3_column_bytes(statement, 0) == (int)sizeof sqlite->secret;
    if (is_sound)
        memcpy(sqlite->secret, sqlite3_column_blob(statement, 0), sizeof sqlite->secret);
    sqlite_rest(statement);
    return is_sound ? 0 : -EBADMSG;
}

static int sqlite_prepare_file(struct sqlite *sqlite, const char *directory,
                               char ret_error[STORE_ERROR_SIZE])
{
    int directory_fd CLEANUP(close_fd) = -1;
    int fault = sqlite_take_turn(directory, &directory_fd);

    if (fault == 0)
        fault = sqlite_create_file(directory_fd, sqlite->path);
    if (fault < 0) {
        sqlite_explain_file(fault, sqlite->path, ret_error);
        return fault;
    }
    fault = sqlite_connect(sqlite->path, true, &sqlite->writer, ret_error);
    if (fault == 0)
        fault = sqlite_check(sqlite, ret_error);
    if (fault == 0)
        fault = migrate_run(sqlite->writer.db, sqlite->path, ret_error);
    if (fault < 0)
        return fault;
    fault = sqlite_load_secret(sqlite);
    if (fault == 0)
        fault = sqlite_refresh_version(sqlite);
    if (fault < 0)
        sqlite_explain(sqlite->writer.db, fault, sqlite->path, ret_error);
    return fault;
}

void sqlite_close(void *self)
{
    struct sqlite *sqlite = self;

    for (size_t i = 0; i < STORE_READERS_MAX; i++) {
        must(!sqlite->readers[i].is_lent);
        sqlite_disconnect(&sqlite->readers[i].connection);
    }
    /* Last: it carries the write-ahead log into the main file. */
    sqlite_disconnect(&sqlite->writer);
    (void)pthread_cond_destroy(&sqlite->readers_freed);
    (void)pthread_mutex_destroy(&sqlite->readers_lock);
    (void)pthread_mutex_destroy(&sqlite->write_lock);
    free(sqlite->path);
    free(sqlite);
}

int sqlite_open(const char *directory, void **ret_self, char ret_error[STORE_ERROR_SIZE])
{
    char path[PATH_MAX];
    pthread_condattr_t attributes;
    int length = snprintf(path, sizeof path, "%s/filmgate.db", directory);

    if (length < 0 || (size_t)length >= sizeof path) {
        (void)snprintf(ret_error, STORE_ERROR_SIZE,
                       "the data directory's name is too long: at most %d bytes", PATH_MAX - 20);
        return -ENAMETOOLONG;
    }
    struct sqlite *sqlite = must_calloc(1, sizeof *sqlite);
    sqlite->path = must_strdup(path);
    must(pthread_mutex_init(&sqlite->write_lock, NULL) == 0);
    must(pthread_mutex_init(&sqlite->readers_lock, NULL) == 0);
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&sqlite->readers_freed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    int fault = sqlite_prepare_file(sqlite, directory, ret_error);
    if (fault < 0) {
        sqlite_close(sqlite);
        return fault;
    }
    *ret_self = sqlite;
    return 0;
}
