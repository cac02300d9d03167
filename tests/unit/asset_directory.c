/* SPDX-License-Identifier: Apache-2.0
 *
 * Assets in a directory: round trips, replacement under readers, damage, keys, links, a full
 * disk (a file size limit in a child) and what a crash leaves behind. Each case has a directory
 * of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asset/asset.h"
#include "base/crypt.h"
#include "base/codec.h"
#include "base/must.h"

#define TASK "task_01h455vb4pex5vsknk084sn02q"
#define GEN "gen_01h455vb4pex5vsknk084sn02r"
#define OTHER_TASK "task_01h455vb4pex5vsknk084sn03q"
#define UPLOAD "file_01h455vb4pex5vsknk084sn02s"
#define UPLOAD_KEY UPLOAD "/original.png"
#define KEY TASK "/source.mp4"
#define GEN_KEY TASK "/" GEN "/preview.gif"
#define NONCE "0123456789abcdef"

enum { PATH_SIZE = 400, BIG_BYTES = 700001, REPLACEMENTS = 200 };

struct fixture {
    char directory[PATH_SIZE / 4];
    struct asset_store *store;
};

static void open_store(struct fixture *fixture)
{
    char error[ASSET_ERROR_SIZE] = "";
    if (asset_open_directory(fixture->directory, &fixture->store, error) != 0)
        fail_msg("%s", error);
}

static int set_up(void **state)
{
    struct fixture *fixture = must_calloc(1, sizeof(*fixture));
    const char *base = getenv("TMPDIR");
    snprintf(fixture->directory, sizeof(fixture->directory), "%.60s/filmgate-XXXXXX",
             base != NULL ? base : "/tmp");
    must(mkdtemp(fixture->directory) != NULL);
    open_store(fixture);
    *state = fixture;
    return 0;
}

static void remove_below(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0)
        return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fdopendir(fd);
    must(stream != NULL);
    for (const struct dirent *e = readdir(stream); e != NULL; e = readdir(stream)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_below(fd, e->d_name);
    }
    closedir(stream);
    must(unlinkat(parent, name, AT_REMOVEDIR) == 0);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    fixture->store = asset_close(fixture->store);
    remove_below(AT_FDCWD, fixture->directory);
    free(fixture);
    return 0;
}

static const char *path_of(const struct fixture *fixture, const char *rest,
                           char ret_path[PATH_SIZE])
{
    snprintf(ret_path, PATH_SIZE, "%s/%s", fixture->directory, rest);
    return ret_path;
}

static void write_file(const struct fixture *fixture, const char *rest, const void *data,
                       size_t length)
{
    char path[PATH_SIZE];
    int fd = open(path_of(fixture, rest, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, data, length) == (ssize_t)length);
    close(fd);
}

static void write_text(const struct fixture *fixture, const char *rest, const char *text)
{
    write_file(fixture, rest, text, strlen(text));
}

static bool exists(const struct fixture *fixture, const char *rest)
{
    char path[PATH_SIZE];
    struct stat found;
    return lstat(path_of(fixture, rest, path), &found) == 0;
}

static size_t count_entries(const struct fixture *fixture, const char *rest)
{
    char path[PATH_SIZE];
    size_t count = 0;
    DIR *stream = opendir(path_of(fixture, rest, path));
    must(stream != NULL);
    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count - 2;
}

static void put_text(struct asset_store *store, const char *key, const char *text)
{
    struct asset_info info;
    assert_int_equal(asset_put_bytes(store, key, "text/plain", text, strlen(text), &info),
                     ASSET_OK);
}

static void expect_text(struct asset_store *store, const char *key, const char *text)
{
    char got[200] = "";
    int fd = -1;
    struct asset_info info;
    assert_int_equal(asset_get(store, key, &fd, &info), ASSET_OK);
    assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(text));
    assert_string_equal(got, text);
    assert_int_equal(info.bytes, strlen(text));
    close(fd);
}

static int get(struct asset_store *store, const char *key)
{
    int fd = -1;
    struct asset_info info;
    int result = asset_get(store, key, &fd, &info);
    assert_int_equal(fd >= 0, result == ASSET_OK);
    close_fd(&fd);
    return result;
}

static void digest_of(const void *data, size_t length, char ret_hex[CRYPT_SHA256_HEX_SIZE])
{
    uint8_t digest[CRYPT_SHA256_SIZE];
    crypt_sha256(data, length, digest);
    codec_hex_encode(digest, sizeof(digest), ret_hex);
}

/* Writes a sidecar as it would stand beside this text. */
static void write_sidecar(const struct fixture *fixture, const char *rest, const char *text)
{
    char sha256[CRYPT_SHA256_HEX_SIZE];
    char line[400];
    digest_of(text, strlen(text), sha256);
    snprintf(line, sizeof(line),
             "{\"type\":\"text/plain\",\"sha256\":\"%s\",\"bytes\":%zu,\"stored_ms\":1}\n", sha256,
             strlen(text));
    write_text(fixture, rest, line);
}

static void bytes_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct asset_info put;
    struct asset_info got;
    char sha256[CRYPT_SHA256_HEX_SIZE];
    int fd = -1;
    assert_int_equal(asset_put_bytes(fixture->store, GEN_KEY, "image/gif", "GIF89a", 6, &put),
                     ASSET_OK);
    expect_text(fixture->store, GEN_KEY, "GIF89a");
    assert_int_equal(asset_get(fixture->store, GEN_KEY, &fd, &got), ASSET_OK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    digest_of("GIF89a", 6, sha256);
    assert_string_equal(got.sha256, sha256);
    assert_string_equal(got.type, "image/gif");
    assert_true(got.stored_ms > 0);
    assert_string_equal(put.sha256, got.sha256);
    assert_string_equal(put.type, got.type);
    assert_int_equal(put.bytes, got.bytes);
    assert_int_equal(put.stored_ms, got.stored_ms);

    put_text(fixture->store, KEY, "");
    expect_text(fixture->store, KEY, "");
    assert_int_equal(get(fixture->store, TASK "/other.mp4"), ASSET_NOT_FOUND);
    assert_int_equal(get(fixture->store, OTHER_TASK "/source.mp4"), ASSET_NOT_FOUND);
}

static void descriptors_are_read_from_their_beginning(void **state)
{
    struct fixture *fixture = *state;
    char *big = must_calloc(1, BIG_BYTES);
    char *back = must_calloc(1, BIG_BYTES);
    char sha256[CRYPT_SHA256_HEX_SIZE];
    struct asset_info info;
    int spool = -1;
    int fd = -1;
    for (size_t i = 0; i < BIG_BYTES; i++)
        big[i] = (char)(i * 31 >> 3);
    assert_int_equal(asset_spool_file(fixture->store, &spool), 0);
    assert_int_equal(write(spool, big, BIG_BYTES), BIG_BYTES); /* its offset is at the end now */
    assert_int_equal(asset_put_fd(fixture->store, KEY, "video/mp4", spool, &info), ASSET_OK);
    assert_int_equal(lseek(spool, 0, SEEK_CUR), BIG_BYTES);
    close(spool);
    digest_of(big, BIG_BYTES, sha256);
    assert_int_equal(info.bytes, BIG_BYTES);
    assert_string_equal(info.sha256, sha256);
    assert_int_equal(asset_get(fixture->store, KEY, &fd, &info), ASSET_OK);
    assert_int_equal(pread(fd, back, BIG_BYTES, 0), BIG_BYTES);
    assert_memory_equal(big, back, BIG_BYTES);
    assert_string_equal(info.sha256, sha256);
    close(fd);
    assert_int_equal(asset_put_fd(fixture->store, KEY, "video/mp4", -1, &info), -EBADF);
    free(big);
    free(back);
}

static void files_are_private_and_stand_where_they_should(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *path;
        unsigned mode;
    } cases[] = {
        {"assets", S_IFDIR | 0700},
        {"spool", S_IFDIR | 0700},
        {"assets/2q", S_IFDIR | 0700},
        {"assets/2q/" TASK, S_IFDIR | 0700},
        {"assets/2q/" TASK "/" GEN, S_IFDIR | 0700},
        {"assets/2q/" GEN_KEY, S_IFREG | 0600},
        {"assets/2q/" GEN_KEY ".meta", S_IFREG | 0600},
    };
    put_text(fixture->store, GEN_KEY, "x");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char path[PATH_SIZE];
        struct stat found;
        assert_int_equal(stat(path_of(fixture, cases[i].path, path), &found), 0);
        assert_int_equal(found.st_mode, cases[i].mode);
    }
    assert_int_equal(count_entries(fixture, "spool"), 0);
}

static void stores_open_again(void **state)
{
    struct fixture *fixture = *state;
    put_text(fixture->store, KEY, "kept");
    fixture->store = asset_close(fixture->store);
    open_store(fixture);
    expect_text(fixture->store, KEY, "kept");
}

struct readers {
    struct asset_store *store;
    atomic_bool must_stop;
    atomic_long reads, failures;
};

/* Every read must see one of the two contents, with its own digest. */
static void *read_on(void *context)
{
    struct readers *readers = context;
    do {
        char text[64];
        char sha256[CRYPT_SHA256_HEX_SIZE];
        struct asset_info info;
        int fd = -1;
        int result = asset_get(readers->store, KEY, &fd, &info);
        ssize_t length = result == ASSET_OK ? read(fd, text, sizeof(text)) : -1;
        digest_of(text, length > 0 ? (size_t)length : 0, sha256);
        if (length < 0 || strcmp(sha256, info.sha256) != 0)
            atomic_fetch_add(&readers->failures, 1);
        atomic_fetch_add(&readers->reads, 1);
        close_fd(&fd);
    } while (!atomic_load(&readers->must_stop));
    return NULL;
}

static void replacement_is_atomic_for_readers(void **state)
{
    struct fixture *fixture = *state;
    struct readers readers = {.store = fixture->store};
    pthread_t thread;
    put_text(fixture->store, KEY, "the first");
    assert_int_equal(pthread_create(&thread, NULL, read_on, &readers), 0);
    for (int i = 0; i < REPLACEMENTS || atomic_load(&readers.reads) < REPLACEMENTS; i++)
        put_text(fixture->store, KEY, i % 2 == 0 ? "a second" : "the third");
    atomic_store(&readers.must_stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&readers.failures), 0);
}

static void bad_keys_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char long_name[ASSET_KEY_MAX + 40];
    memset(long_name, 'a', sizeof(long_name));
    memcpy(long_name, TASK "/", strlen(TASK "/"));
    memcpy(long_name + ASSET_KEY_MAX - 3, ".mp4", 5); /* one too long */
    const char *const keys[] = {
        "",
        "/",
        "source.mp4",
        TASK,
        TASK "/",
        TASK "/source", /* no extension: could be a folder */
        TASK "//source.mp4",
        "/" KEY,
        "./" KEY,
        "../" KEY,
        TASK "/../source.mp4",
        TASK "/..",
        TASK "/.",
        TASK "/.mp4",
        TASK "/.tmp-a.mp4",
        TASK "/source.",
        TASK "/a..mp4",
        TASK "/source.mp4/",
        TASK "/source.mp4.meta",
        TASK "/" GEN,
        TASK "/" GEN "/",
        TASK "/" GEN "/../a.mp4",
        TASK "/" GEN "/" GEN "/a.mp4",
        TASK "/" TASK "/a.mp4",
        TASK "/gen_x/a.mp4",
        UPLOAD "/",
        UPLOAD "/" GEN "/a.mp4",
        UPLOAD "/../" KEY,
        "file_01h455vb4pex5vsknk084sn02/a.png",
        GEN "/a.mp4",
        "task_01h455vb4pex5vsknk084sn02/a.mp4", /* 25 characters */
        "task_01h455vb4pex5vsknk084sn02qq/a.mp4",
        "task_01h455vb4pex5vsknk084sn0il/a.mp4", /* not in the alphabet */
        "task_81h455vb4pex5vsknk084sn02q/a.mp4", /* beyond 128 bits */
        "TASK_01h455vb4pex5vsknk084sn02q/a.mp4",
        "task_01H455VB4PEX5VSKNK084SN02Q/a.mp4",
        TASK "/Source.mp4",
        TASK "/so urce.mp4",
        TASK "/so-urce.mp4",
        TASK "/source.mp4\n",
        TASK "/source.mp4 ",
        TASK "\\source.mp4",
        TASK "/..\\source.mp4",
        TASK "/%2e%2e/source.mp4",
        TASK "%2fsource.mp4",
        TASK "/source%00.mp4",
        TASK "/source.mp4?x",
        TASK "/source.mp4#x",
        TASK "/s\xc3\xb6urce.mp4",
        TASK "/\x01.mp4",
        long_name,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        struct asset_info info;
        if (asset_is_key(keys[i]))
            fail_msg("%s was taken", keys[i]);
        assert_int_equal(asset_put_bytes(fixture->store, keys[i], "a/b", "x", 1, &info),
                         ASSET_BAD_KEY);
        assert_int_equal(asset_put_fd(fixture->store, keys[i], "a/b", 0, &info), ASSET_BAD_KEY);
        assert_int_equal(get(fixture->store, keys[i]), ASSET_BAD_KEY);
        assert_int_equal(asset_erase(fixture->store, keys[i]), ASSET_BAD_KEY);
    }
    assert_false(asset_is_key(NULL));
    assert_int_equal(count_entries(fixture, "assets"), 0);
    assert_int_equal(count_entries(fixture, "spool"), 0);
}

static void good_keys_are_taken(void **state)
{
    struct fixture *fixture = *state;
    char long_name[ASSET_KEY_MAX + 1];
    memset(long_name, 'a', sizeof(long_name));
    memcpy(long_name, TASK "/", strlen(TASK "/"));
    memcpy(long_name + ASSET_KEY_MAX - 4, ".mp4", 5);
    const char *const keys[] = {KEY,         GEN_KEY,    TASK "/a_1.tar.gz",
                                TASK "/_.x", UPLOAD_KEY, long_name};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        assert_true(asset_is_key(keys[i]));
        put_text(fixture->store, keys[i], keys[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        expect_text(fixture->store, keys[i], keys[i]);
}

static void a_copy_outlives_what_it_was_made_from(void **state)
{
    struct fixture *fixture = *state;
    struct asset_info original, copy;
    struct stat one, other;
    char path[PATH_SIZE];
    assert_int_equal(
        asset_put_bytes(fixture->store, UPLOAD_KEY, "image/png", "bytes", 5, &original), ASSET_OK);
    assert_int_equal(asset_copy(fixture->store, UPLOAD_KEY, TASK "/in.png", &copy), ASSET_OK);
    assert_string_equal(copy.type, "image/png");
    assert_string_equal(copy.sha256, original.sha256);
    assert_int_equal(copy.bytes, 5);
    /* one content, two names */
    assert_int_equal(stat(path_of(fixture, "assets/2s/" UPLOAD_KEY, path), &one), 0);
    assert_int_equal(stat(path_of(fixture, "assets/2q/" TASK "/in.png", path), &other), 0);
    assert_int_equal(one.st_ino, other.st_ino);
    assert_int_equal(count_entries(fixture, "spool"), 0);

    put_text(fixture->store, UPLOAD_KEY, "others");
    expect_text(fixture->store, TASK "/in.png", "bytes");
    assert_int_equal(asset_erase_file(fixture->store, UPLOAD), ASSET_OK);
    assert_int_equal(get(fixture->store, UPLOAD_KEY), ASSET_NOT_FOUND);
    expect_text(fixture->store, TASK "/in.png", "bytes");
}

static void copies_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct asset_info info;
    put_text(fixture->store, UPLOAD_KEY, "1");
    put_text(fixture->store, KEY, "2");
    assert_int_equal(asset_copy(fixture->store, UPLOAD_KEY, "x/y.png", &info), ASSET_BAD_KEY);
    assert_int_equal(asset_copy(fixture->store, "../" KEY, KEY, &info), ASSET_BAD_KEY);
    assert_int_equal(asset_copy(fixture->store, UPLOAD "/other.png", KEY, &info), ASSET_NOT_FOUND);
    expect_text(fixture->store, KEY, "2");
    assert_int_equal(asset_copy(fixture->store, UPLOAD_KEY, KEY, &info), ASSET_OK);
    expect_text(fixture->store, KEY, "1");
    /* again, where both names are the same file already */
    assert_int_equal(asset_copy(fixture->store, UPLOAD_KEY, KEY, &info), ASSET_OK);
    expect_text(fixture->store, KEY, "1");
    assert_int_equal(count_entries(fixture, "spool"), 0);
    write_text(fixture, "assets/2s/" UPLOAD_KEY, "longer");
    assert_int_equal(asset_copy(fixture->store, UPLOAD_KEY, TASK "/in.png", &info), -EBADMSG);
    assert_int_equal(get(fixture->store, TASK "/in.png"), ASSET_NOT_FOUND);
}

static void types_are_checked(void **state)
{
    struct fixture *fixture = *state;
    static const char *const types[] = {
        "", "a/\"b", "a/\\b", "a/b\n", "a/\xc3\xb6", "application/a-type-that-is-much-too-long"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        struct asset_info info;
        assert_int_equal(asset_put_bytes(fixture->store, KEY, types[i], "x", 1, &info), -EINVAL);
    }
    assert_int_equal(get(fixture->store, KEY), ASSET_NOT_FOUND);
}

static void damaged_sidecars_are_seen(void **state)
{
    struct fixture *fixture = *state;
#define DIGEST "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" /* of "x" */
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "\",\"bytes\":1,\"stored_ms\":5}\n", ASSET_OK},
        {"", -EBADMSG},
        {"{", -EBADMSG},
        {"[]", -EBADMSG},
        {"{}", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "\",\"bytes\":1,\"stored", -EBADMSG},
        {"{\"sha256\":\"" DIGEST "\",\"bytes\":1,\"stored_ms\":5}\n", -EBADMSG},
        {"{\"type\":7,\"sha256\":\"" DIGEST "\",\"bytes\":1,\"stored_ms\":5}\n", -EBADMSG},
        {"{\"type\":\"a\\r\\nb\",\"sha256\":\"" DIGEST "\",\"bytes\":1,\"stored_ms\":5}", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"2d71\",\"bytes\":1,\"stored_ms\":5}\n", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "0\",\"bytes\":1,\"stored_ms\":5}\n", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "\",\"bytes\":2,\"stored_ms\":5}\n", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "\",\"bytes\":-1,\"stored_ms\":5}\n", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "\",\"bytes\":\"1\",\"stored_ms\":5}", -EBADMSG},
        {"{\"type\":\"a/b\",\"sha256\":\"" DIGEST "\",\"bytes\":1}\n", -EBADMSG},
    };
    put_text(fixture->store, KEY, "x");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        write_text(fixture, "assets/2q/" KEY ".meta", cases[i].text);
        if (get(fixture->store, KEY) != cases[i].result)
            fail_msg("wrong about %s", cases[i].text);
    }
    char blank[5000];
    memset(blank, ' ', sizeof(blank));
    memcpy(blank, cases[0].text, strlen(cases[0].text));
    write_file(fixture, "assets/2q/" KEY ".meta", blank, sizeof(blank));
    assert_int_equal(get(fixture->store, KEY), -EBADMSG);
    put_text(fixture->store, KEY, "healed");
    expect_text(fixture->store, KEY, "healed");
}

static void halves_are_not_assets(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_SIZE];
    put_text(fixture->store, KEY, "x");
    assert_int_equal(unlink(path_of(fixture, "assets/2q/" KEY, path)), 0);
    assert_int_equal(get(fixture->store, KEY), ASSET_NOT_FOUND);
    put_text(fixture->store, KEY, "x");
    assert_int_equal(unlink(path_of(fixture, "assets/2q/" KEY ".meta", path)), 0);
    assert_int_equal(get(fixture->store, KEY), ASSET_NOT_FOUND);
    put_text(fixture->store, KEY, "longer");
    write_text(fixture, "assets/2q/" KEY, "long");
    assert_int_equal(get(fixture->store, KEY), -EBADMSG);
}

static void links_are_not_followed(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_SIZE];
    char target[PATH_SIZE];
    struct asset_info info;
    put_text(fixture->store, KEY, "x");
    write_text(fixture, "outside", "x");
    path_of(fixture, "outside", target);

    assert_int_equal(unlink(path_of(fixture, "assets/2q/" KEY, path)), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_true(get(fixture->store, KEY) < 0);
    put_text(fixture->store, KEY, "new"); /* takes the link's place */
    expect_text(fixture->store, KEY, "new");
    char left[8] = "";
    int fd = open(target, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, left, sizeof(left) - 1), 1);
    assert_string_equal(left, "x");
    close(fd);

    /* A task's folder that is a link elsewhere. */
    assert_int_equal(mkdir(path_of(fixture, "elsewhere", target), 0700), 0);
    write_text(fixture, "elsewhere/a.txt", "x");
    assert_int_equal(mkdir(path_of(fixture, "assets/3q", path), 0700), 0);
    assert_int_equal(symlink(target, path_of(fixture, "assets/3q/" OTHER_TASK, path)), 0);
    assert_true(asset_put_bytes(fixture->store, OTHER_TASK "/b.txt", "a/b", "x", 1, &info) < 0);
    assert_true(get(fixture->store, OTHER_TASK "/a.txt") < 0);
    assert_true(asset_erase(fixture->store, OTHER_TASK "/a.txt") < 0);
    assert_int_equal(count_entries(fixture, "elsewhere"), 1);
    assert_int_equal(asset_erase_task(fixture->store, OTHER_TASK), ASSET_OK); /* only the link */
    assert_int_equal(count_entries(fixture, "elsewhere"), 1);
    assert_int_equal(count_entries(fixture, "spool"), 0);
}

static void erasing_takes_all_and_only_what_was_named(void **state)
{
    struct fixture *fixture = *state;
    put_text(fixture->store, KEY, "1");
    put_text(fixture->store, TASK "/thumbnail.webp", "2");
    put_text(fixture->store, GEN_KEY, "3");
    put_text(fixture->store, OTHER_TASK "/source.mp4", "4");
    assert_int_equal(asset_erase(fixture->store, KEY), ASSET_OK);
    assert_int_equal(asset_erase(fixture->store, KEY), ASSET_NOT_FOUND);
    assert_int_equal(get(fixture->store, KEY), ASSET_NOT_FOUND);
    assert_false(exists(fixture, "assets/2q/" KEY));
    assert_false(exists(fixture, "assets/2q/" KEY ".meta"));
    expect_text(fixture->store, GEN_KEY, "3");

    assert_int_equal(asset_erase_task(fixture->store, TASK), ASSET_OK);
    assert_int_equal(asset_erase_task(fixture->store, TASK), ASSET_NOT_FOUND);
    assert_int_equal(get(fixture->store, GEN_KEY), ASSET_NOT_FOUND);
    assert_false(exists(fixture, "assets/2q/" TASK));
    expect_text(fixture->store, OTHER_TASK "/source.mp4", "4");

    static const char *const bad[] = {"", "..", ".", "2q", GEN, TASK "/", TASK "/" GEN, "task_.."};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(asset_erase_task(fixture->store, bad[i]), ASSET_BAD_KEY);
    put_text(fixture->store, KEY, "again");
    expect_text(fixture->store, KEY, "again");
    put_text(fixture->store, UPLOAD_KEY, "5");
    assert_int_equal(asset_erase_task(fixture->store, UPLOAD), ASSET_BAD_KEY);
    assert_int_equal(asset_erase_file(fixture->store, TASK), ASSET_BAD_KEY);
    expect_text(fixture->store, UPLOAD_KEY, "5");
}

/* In the child: writing more than `limit` bytes to any file fails. */
static int put_with_little_room(const struct fixture *fixture, size_t limit)
{
    static const char text[1000] = "more than there is room for";
    struct asset_info info;
    struct rlimit room = {.rlim_cur = limit, .rlim_max = limit};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &room) != 0)
        return 1;
    if (asset_put_bytes(fixture->store, KEY, "a/b", text, sizeof(text), &info) != -EFBIG)
        return 2;
    return asset_put_bytes(fixture->store, TASK "/new.txt", "a/b", text, sizeof(text), &info) ==
                   -EFBIG
               ? 0
               : 3;
}

static void a_full_disk_leaves_the_old_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    static const size_t limits[] = {0, 100, 999};
    put_text(fixture->store, KEY, "the old one");
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        int status = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(put_with_little_room(fixture, limits[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(count_entries(fixture, "spool"), 0);
        assert_int_equal(count_entries(fixture, "assets/2q/" TASK), 2);
        expect_text(fixture->store, KEY, "the old one");
        assert_int_equal(get(fixture->store, TASK "/new.txt"), ASSET_NOT_FOUND);
    }
}

static void left_overs_are_cleared(void **state)
{
    struct fixture *fixture = *state;
    put_text(fixture->store, KEY, "kept");
    write_text(fixture, "spool/.tmp-", "");
    write_text(fixture, "spool/.tmp-" NONCE "-meta", "{");
    write_text(fixture, "spool/.tmp-" NONCE "-spool", "bytes");
    write_text(fixture, "spool/.tmp-" NONCE "-" TASK "-source.mp4", "half");
    write_text(fixture, "spool/.tmp-" NONCE "-" TASK "-new.mp4", "whole but not promised");
    write_text(fixture, "spool/.tmp-" NONCE "-..-..-..-source.mp4", "x");
    write_text(fixture, "spool/mine", "an operator's");

    /* Another store is open here: what is in the spool may be its work. */
    struct fixture second = *fixture;
    open_store(&second);
    assert_int_equal(count_entries(fixture, "spool"), 7);
    asset_close(second.store);

    fixture->store = asset_close(fixture->store);
    open_store(fixture);
    assert_int_equal(count_entries(fixture, "spool"), 1);
    assert_true(exists(fixture, "spool/mine"));
    expect_text(fixture->store, KEY, "kept");
    assert_int_equal(get(fixture->store, TASK "/new.mp4"), ASSET_NOT_FOUND);
}

/* A crash after the sidecar's rename, before the content's. */
static void cut_off_moves_are_finished(void **state)
{
    struct fixture *fixture = *state;
    put_text(fixture->store, KEY, "old one");
    put_text(fixture->store, GEN_KEY, "gif");
    put_text(fixture->store, TASK "/same.txt", "same size");
    fixture->store = asset_close(fixture->store);
    write_sidecar(fixture, "assets/2q/" KEY ".meta", "new one"); /* of the same length */
    write_text(fixture, "spool/.tmp-" NONCE "-" TASK "-source.mp4", "new one");
    write_sidecar(fixture, "assets/2q/" TASK "/" GEN "/fresh.gif.meta", "fresh");
    write_text(fixture, "spool/.tmp-" NONCE "-" TASK "-" GEN "-fresh.gif", "fresh");
    write_text(fixture, "spool/.tmp-" NONCE "-" TASK "-same.txt", "SAME SIZE");
    open_store(fixture);
    expect_text(fixture->store, KEY, "new one");
    expect_text(fixture->store, TASK "/" GEN "/fresh.gif", "fresh");
    expect_text(fixture->store, GEN_KEY, "gif");
    expect_text(fixture->store, TASK "/same.txt", "same size");
    assert_int_equal(count_entries(fixture, "spool"), 0);
}

static void spool_files_leave_nothing(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;
    char back[4] = "";
    assert_int_equal(asset_spool_file(fixture->store, &fd), 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(pread(fd, back, 3, 0), 3);
    assert_string_equal(back, "abc");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(count_entries(fixture, "spool"), 0);
    close(fd);
}

static void opening_says_what_is_wrong(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_SIZE];
    char error[ASSET_ERROR_SIZE] = "";
    struct asset_store *store = NULL;
    path_of(fixture, "nowhere", path);
    assert_int_equal(asset_open_directory(path, &store, error), -ENOENT);
    assert_non_null(strstr(error, "nowhere"));
    assert_int_equal(mkdir(path, 0700), 0);
    write_text(fixture, "nowhere/assets", "a file");
    assert_int_equal(asset_open_directory(path, &store, error), -ENOTDIR);
    assert_non_null(strstr(error, "assets/"));
    assert_null(store);
    assert_null(asset_close(NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(bytes_come_back),
        CASE(descriptors_are_read_from_their_beginning),
        CASE(files_are_private_and_stand_where_they_should),
        CASE(stores_open_again),
        CASE(replacement_is_atomic_for_readers),
        CASE(bad_keys_are_refused),
        CASE(a_copy_outlives_what_it_was_made_from),
        CASE(copies_are_checked),
        CASE(good_keys_are_taken),
        CASE(types_are_checked),
        CASE(damaged_sidecars_are_seen),
        CASE(halves_are_not_assets),
        CASE(links_are_not_followed),
        CASE(erasing_takes_all_and_only_what_was_named),
        CASE(a_full_disk_leaves_the_old_and_nothing_else),
        CASE(left_overs_are_cleared),
        CASE(cut_off_moves_are_finished),
        CASE(spool_files_leave_nothing),
        CASE(opening_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
