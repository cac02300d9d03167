/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of programs: the built-in ones, and over them those of a folder. All texts are read and looked over when the
 * set is made, so that a broken one is told with its line before anything starts. Immutable afterwards: any thread. */
#include "upstream/adapter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/must.h"
#include "builtin.inc.h" /* upstream_builtin */
#include "upstream/about.h"
#include "upstream/scan.h"

enum {
    NAME_MAX_LENGTH = 40,
    PATH_BYTES = 4096,
    SET_MAX = 1000, /* programs */
    TURN_MS = 100,
    REAP_MS = 5000, /* longest wait for a killed helper */
};

struct adapter {
    char *name, *file, *text; /* file NULL: built in */
};

struct adapter_set {
    struct adapter **list; /* by name; each of its own, so that it stays where it is */
    size_t n;
};

/* Always NULL. */
static void *PRINTF_LIKE(2, 3) refuse(char ret_error[ADAPTER_ERROR_SIZE], const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(ret_error, ADAPTER_ERROR_SIZE, format, values);
    va_end(values);
    return NULL;
}

bool adapter_is_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= NAME_MAX_LENGTH && name[length] == '\0' && name[0] != '-';
}

/* ---- one program ---- */

static struct adapter *adapter_free(struct adapter *adapter)
{
    if (adapter) {
        free(adapter->name);
        free(adapter->file);
        free(adapter->text);
        free(adapter);
    }
    return NULL;
}

/* Steals the text. NULL with a sentence when it is not acceptable. */
static struct adapter *adapter_new(const char *name, const char *file, char *text, size_t length,
                                   char ret_error[ADAPTER_ERROR_SIZE])
{
    char problem[SCAN_ERROR_SIZE];
    struct adapter *adapter = must_calloc(1, sizeof *adapter);
    *adapter = (struct adapter){must_strdup(name), file ? must_strdup(file) : NULL, text};
    int line = scan_program(text, length, problem);
    if (line == 0)
        return adapter;
    if (file)
        (void)refuse(ret_error, "%.150s:%d: %s", file, line, problem);
    else
        (void)refuse(ret_error, "%s.jq:%d: %s", name, line, problem);
    return adapter_free(adapter);
}

/* The whole of a plain file, with a NUL behind it; NULL with a sentence. */
static char *read_text(const char *path, size_t *ret_length, char ret_error[ADAPTER_ERROR_SIZE])
{
    struct stat status;
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) < 0)
        return refuse(ret_error, "%.200s cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse(ret_error, "%.200s is no plain file", path);
    if (status.st_size > ADAPTER_PROGRAM_MAX)
        return refuse(ret_error, "%.200s is larger than %d KiB, the most of a program", path,
                      ADAPTER_PROGRAM_MAX / 1024);
    char *text = must_calloc(1, (size_t)status.st_size + 1);
    ssize_t length = pread(fd, text, (size_t)status.st_size, 0);
    if (length > 0) {
        *ret_length = (size_t)length;
        return text;
    }
    int error = errno;
    free(text);
    return length == 0 ? refuse(ret_error, "%.200s is empty", path)
                       : refuse(ret_error, "%.200s cannot be read: %s", path, strerror(error));
}

static struct adapter *read_adapter(const char *path, char ret_error[ADAPTER_ERROR_SIZE])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strlen(base), text_length = 0;
    bool is_program = length > 3 && strcmp(base + length - 3, ".jq") == 0;
    CLEANUP(free_pointer) char *name = must_strndup(base, is_program ? length - 3 : length);
    if (!is_program || !adapter_is_name(name))
        return refuse(
            ret_error,
            "%.200s: an adapter's file is called NAME.jq, NAME being 1 to %d of a-z 0-9 -", path,
            NAME_MAX_LENGTH);
    if (adapter_is_reserved(name))
        return refuse(ret_error,
                      "%.200s: \"%s\" is no adapter and cannot be replaced; give the file another "
                      "name",
                      path, name);
    char *text = read_text(path, &text_length, ret_error);
    return text ? adapter_new(name, path, text, text_length, ret_error) : NULL;
}

/* ---- the set ---- */

static struct adapter **find_place(const struct adapter_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->list[i]->name, name) == 0)
            return &set->list[i];
    }
    return NULL;
}

/* Steals it; one of the same name goes. */
static void put(struct adapter_set *set, struct adapter *adapter)
{
    struct adapter **place = find_place(set, adapter->name);
    if (place) {
        adapter_free(*place);
        *place = adapter;
        return;
    }
    set->list = must_realloc(set->list, (set->n + 1) * sizeof(struct adapter *));
    set->list[set->n++] = adapter;
}

static bool put_builtin(struct adapter_set *set, char ret_error[ADAPTER_ERROR_SIZE])
{
    for (size_t i = 0; upstream_builtin[i].name && upstream_builtin[i].text; i++) {
        const char *text = upstream_builtin[i].text;
        struct adapter *adapter =
            adapter_new(upstream_builtin[i].name, NULL, must_strdup(text), strlen(text), ret_error);
        if (!adapter)
            return false;
        put(set, adapter);
    }
    return true;
}

static bool is_program_name(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > 3 && strcmp(name + length - 3, ".jq") == 0;
}

static bool put_file(struct adapter_set *set, const char *folder, const char *name,
                     char ret_error[ADAPTER_ERROR_SIZE])
{
    CLEANUP(buf_fini) struct buf path;
    buf_init(&path, PATH_BYTES);
    buf_printf(&path, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    struct adapter *adapter = read_adapter(buf_text(&path), ret_error);
    if (!adapter)
        return false;
    put(set, adapter);
    if (set->n <= SET_MAX)
        return true;
    (void)refuse(ret_error, "there are more than %d adapters in %.200s", SET_MAX, folder);
    return false;
}

static bool put_folder(struct adapter_set *set, const char *folder,
                       char ret_error[ADAPTER_ERROR_SIZE])
{
    DIR *directory = folder[0] != '\0' ? opendir(folder) : NULL;
    if (!directory) {
        (void)refuse(ret_error, "the folder of adapters \"%.200s\" cannot be read: %s", folder,
                     strerror(folder[0] != '\0' ? errno : ENOENT));
        return false;
    }
    bool is_good = true;
    for (const struct dirent *entry; is_good && (entry = readdir(directory)) != NULL;) {
        if (is_program_name(entry->d_name))
            is_good = put_file(set, folder, entry->d_name, ret_error);
    }
    (void)closedir(directory);
    return is_good;
}

static int compare(const void *a, const void *b)
{
    const struct adapter *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

struct adapter_set *adapter_set_new(const char *folder, char ret_error[ADAPTER_ERROR_SIZE])
{
    struct adapter_set *set = must_calloc(1, sizeof *set);
    bool has_folder = folder != NULL && folder[0] != '\0';
    if (!put_builtin(set, ret_error) || (has_folder && !put_folder(set, folder, ret_error)))
        return adapter_set_free(set);
    if (set->n > 0)
        qsort(set->list, set->n, sizeof(struct adapter *), compare);
    return set;
}

struct adapter_set *adapter_set_file(const char *path, char ret_error[ADAPTER_ERROR_SIZE])
{
    struct adapter *adapter = read_adapter(path, ret_error);
    if (!adapter)
        return NULL;
    struct adapter_set *set = must_calloc(1, sizeof *set);
    put(set, adapter);
    return set;
}

struct adapter_set *adapter_set_free(struct adapter_set *set)
{
    if (set) {
        for (size_t i = 0; i < set->n; i++)
            adapter_free(set->list[i]);
        free(set->list);
        free(set);
    }
    return NULL;
}

const struct adapter *adapter_find(const struct adapter_set *set, const char *name)
{
    struct adapter **place = find_place(set, name);
    return place ? *place : NULL;
}

size_t adapter_count(const struct adapter_set *set)
{
    return set->n;
}

const struct adapter *adapter_at(const struct adapter_set *set, size_t index)
{
    must(index < set->n);
    return set->list[index];
}

const char *adapter_name(const struct adapter *adapter)
{
    return adapter->name;
}

const char *adapter_file(const struct adapter *adapter)
{
    return adapter->file;
}

const char *adapter_text(const struct adapter *adapter)
{
    return adapter->text;
}

/* ---- about ---- */

struct waiting {
    bool is_done;
    json_t *about;
    char fault[ADAPTER_ERROR_SIZE];
};

static void on_about(void *context, const struct adapter_outcome *outcome)
{
    struct waiting *waiting = context;
    waiting->is_done = true;
    waiting->about = json_deep_copy(outcome->result);
    (void)snprintf(waiting->fault, sizeof waiting->fault, "%s",
                   outcome->fault ? outcome->fault : "");
}

/* Lets the loop reap the helper that was killed. */
static void let_go(struct loop *loop)
{
    int64_t until_ms = clock_mono_ms() + REAP_MS;
    while (loop_watches(loop) > 0 && clock_mono_ms() < until_ms)
        loop_turn(loop, TURN_MS);
}

/* On a loop of its own: the budgets of the host bound the wait. */
static int call_about(const struct adapter *adapter, struct waiting *waiting)
{
    struct loop *loop = NULL;
    struct adapter_host *host = NULL;
    struct adapter_call *call = NULL;
    struct adapter_input input = {.adapter = adapter,
                                  .function = "about",
                                  .input = NULL,
                                  .body = -1,
                                  .blobs = -1,
                                  .done = on_about,
                                  .context = waiting};
    int error = loop_new(&loop);
    if (error < 0)
        return error;
    error = adapter_host_new(loop, &host);
    if (error == 0)
        error = adapter_call(host, &input, &call);
    while (error == 0 && !waiting->is_done)
        loop_turn(loop, TURN_MS);
    adapter_host_free(host);
    let_go(loop);
    loop_free(loop);
    return error;
}

json_t *adapter_about(const struct adapter *adapter, char ret_error[ADAPTER_ERROR_SIZE])
{
    char problem[ABOUT_ERROR_SIZE];
    struct waiting waiting = {0};
    int error = call_about(adapter, &waiting);
    if (error < 0)
        return refuse(ret_error, "adapter \"%s\": its helper cannot be started: %s", adapter->name,
                      strerror(-error));
    if (!waiting.about)
        return refuse(ret_error, "%s", waiting.fault);
    if (about_complete(waiting.about, problem))
        return waiting.about;
    json_decref(waiting.about);
    return refuse(ret_error, "adapter \"%s\": %s", adapter->name, problem);
}
