/* SPDX-License-Identifier: Apache-2.0
 *
 * What every backend of the store must do, seen through the front: records, lists, idempotency
 * keys, API keys. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "store_scene.h"

enum { LISTED = 57, PAGE = 10 };

/* ---- records ---- */

static void a_created_task_is_there_after_reopening(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    scene_reopen(scene);
    const struct task *loaded = NULL;
    assert_int_equal(store_task(scene->store, task->request->id, &loaded), 0);
    assert_string_equal(loaded->request->id, task->request->id);
    assert_string_equal(loaded->request->tenant, "tenant-1");
    assert_string_equal(loaded->request->prompt, task->request->prompt);
    assert_int_equal(loaded->state, TASK_QUEUED);
    assert_int_equal(loaded->revision, task->revision);
    task_unref(loaded);
    task_unref(task);
}

static void an_unknown_id_is_not_found(void **state)
{
    struct scene *scene = *state;
    const struct task *loaded = NULL;
    assert_int_equal(store_task(scene->store, "task_01k6x15vhrff09dkkqjrzwhm60", &loaded),
                     STORE_NOT_FOUND);
    assert_null(loaded);
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, task), STORE_NOT_FOUND);
    assert_int_equal(store_mark_erased(scene->store, task->request->id), STORE_NOT_FOUND);
    task_unref(task);
}

static void a_second_create_of_one_id_is_a_fault_of_its_own(void **state)
{
    struct scene *scene = *state;
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), -EEXIST);
    assert_false(store_is_ailing(scene->store));
    task_unref(task);
}

static void updates_never_go_back(void **state)
{
    struct scene *scene = *state;
    struct task *queued = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *done = fixture_completed(queued, FIXTURE_MS + 100, 0);
    struct task *expired = fixture_completed(done, FIXTURE_MS + 100, FIXTURE_MS + 900);
    struct task *again = task_copy(queued);
    again->revision = expired->revision + 10;
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, queued), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    /* an older revision, and a newer one that would leave the end */
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, queued), STORE_CONFLICT);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, again), STORE_CONFLICT);
    /* the same once more, as after an answer that was lost */
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, expired), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_CONFLICT);
    const struct task *loaded = NULL;
    assert_int_equal(store_task(scene->store, queued->request->id, &loaded), 0);
    assert_int_equal(loaded->state, TASK_COMPLETED);
    assert_int_equal(loaded->revision, expired->revision);
    assert_int_equal(loaded->expired_ms, FIXTURE_MS + 900);
    task_unref(loaded);
    task_unref(again);
    task_unref(expired);
    task_unref(done);
    task_unref(queued);
}

/* ---- lists ---- */

/* Pages through `tenant`, putting a newer task in before each page; counts what it sees and
 * checks the order. */
static size_t page_through(struct scene *scene, const char *tenant)
{
    struct store_list_query query = {.tenant = tenant, .limit = PAGE};
    const struct task *page[PAGE];
    char last_id[ID_SHORT_SIZE] = "";
    int64_t last_micros = INT64_MAX;
    size_t seen = 0;
    size_t count = 0;

    do {
        assert_int_equal(store_list(scene->store, &query, page, &count), 0);
        for (size_t i = 0; i < count; i++) {
            const struct task_request *request = page[i]->request;
            if (tenant != NULL)
                assert_string_equal(request->tenant, tenant);
            assert_true(
                request->created_micros < last_micros ||
                (request->created_micros == last_micros && strcmp(request->id, last_id) < 0));
            last_micros = request->created_micros;
            (void)snprintf(last_id, sizeof last_id, "%s", request->id);
            seen++;
            task_unref(page[i]);
        }
        query.before_micros = last_micros;
        query.before_id = last_id;
        scene_create(scene, tenant != NULL ? tenant : "tenant-1", FIXTURE_MICROS + 1000000);
    } while (count == PAGE);
    return seen;
}

static void pages_neither_skip_nor_repeat(void **state)
{
    struct scene *scene = *state;
    /* Many share a microsecond, so that pages end inside a tie. */
    for (int i = 0; i < LISTED; i++) {
        scene_create(scene, "tenant-1", FIXTURE_MICROS + i / 7);
        if (i % 3 == 0)
            scene_create(scene, "tenant-2", FIXTURE_MICROS + i / 7);
    }
    assert_int_equal(page_through(scene, "tenant-1"), LISTED);
    assert_int_equal(page_through(scene, "tenant-2"), LISTED / 3);
    /* the newer ones that paging put in: six pages of ten, two pages of ten */
    assert_int_equal(page_through(scene, NULL), LISTED + LISTED / 3 + 6 + 2);
    assert_int_equal(page_through(scene, "nobody"), 0);
}

struct walk {
    size_t count;
    int64_t last_micros;
    bool is_ordered;
};

static void walk_each(void *context, const struct task *task)
{
    struct walk *walk = context;
    walk->is_ordered = walk->is_ordered && task->request->created_micros >= walk->last_micros;
    walk->last_micros = task->request->created_micros;
    walk->count++;
}

static void the_walk_meets_the_unfinished_oldest_first(void **state)
{
    struct scene *scene = *state;
    struct walk walk = {.is_ordered = true};
    size_t damaged = 99;
    for (int i = 20; i > 0; i--)
        scene_create(scene, "tenant-1", FIXTURE_MICROS + i);
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS + 10);
    struct task *done = fixture_completed(task, FIXTURE_MS + 5, 0);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    assert_int_equal(store_walk_unfinished(scene->store, walk_each, &walk, &damaged), 0);
    assert_int_equal(walk.count, 20);
    assert_true(walk.is_ordered);
    assert_int_equal(damaged, 0);
    int64_t counts[TASK_STATE_COUNT];
    assert_int_equal(store_count_states(scene->store, counts), 0);
    assert_int_equal(counts[TASK_QUEUED], 20);
    assert_int_equal(counts[TASK_COMPLETED], 1);
    assert_int_equal(counts[TASK_FAILED], 0);
    task_unref(done);
    task_unref(task);
}

/* How many old ones there are, and the id of the first. */
static size_t count_old(struct scene *scene, bool expired, int64_t before_ms,
                        char ret_first[ID_SHORT_SIZE])
{
    const struct task *found[4];
    size_t count = 0;
    assert_int_equal(store_list_old(scene->store, expired, before_ms, 4, found, &count), 0);
    ret_first[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (i == 0)
            (void)snprintf(ret_first, ID_SHORT_SIZE, "%s", found[i]->request->id);
        task_unref(found[i]);
    }
    return count;
}

static void retention_lists_what_is_due(void **state)
{
    struct scene *scene = *state;
    char first[ID_SHORT_SIZE];
    struct task *tasks[6];
    for (int i = 0; i < 6; i++) { /* the last made ended first */
        tasks[i] = fixture_task("tenant-1", FIXTURE_MICROS);
        struct task *done = fixture_completed(tasks[i], FIXTURE_MS + 600 - 100 * i, 0);
        assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, tasks[i]), STORE_WRITTEN);
        assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
        task_unref(tasks[i]);
        tasks[i] = done;
    }
    scene_create(scene, "tenant-1", FIXTURE_MICROS); /* unfinished: never due */
    assert_int_equal(count_old(scene, false, FIXTURE_MS + 100, first), 0);
    assert_int_equal(count_old(scene, false, FIXTURE_MS + 301, first), 3);
    assert_string_equal(first, tasks[5]->request->id);
    assert_int_equal(count_old(scene, false, FIXTURE_MS + 9999, first), 4); /* the limit */
    assert_int_equal(count_old(scene, true, FIXTURE_MS + 9999, first), 0);

    struct task *expired = fixture_completed(tasks[5], FIXTURE_MS + 100, FIXTURE_MS + 2000);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, expired), STORE_WRITTEN);
    assert_int_equal(count_old(scene, false, FIXTURE_MS + 301, first), 2);
    assert_int_equal(count_old(scene, true, FIXTURE_MS + 2000, first), 0);
    assert_int_equal(count_old(scene, true, FIXTURE_MS + 2001, first), 1);
    assert_string_equal(first, tasks[5]->request->id);
    assert_int_equal(store_mark_erased(scene->store, tasks[4]->request->id), STORE_NOT_FOUND);
    assert_int_equal(store_mark_erased(scene->store, first), 0);
    assert_int_equal(count_old(scene, true, FIXTURE_MS + 2001, first), 0);
    task_unref(expired);
    for (int i = 0; i < 6; i++)
        task_unref(tasks[i]);
}

struct creations {
    char text[200];
};

static void note_creations(void *context, const char *tenant, int64_t count)
{
    struct creations *creations = context;
    size_t length = strlen(creations->text);
    (void)snprintf(creations->text + length, sizeof creations->text - length, "%s:%d ", tenant,
                   (int)count);
}

static void creations_are_counted_by_tenant(void **state)
{
    struct scene *scene = *state;
    struct creations creations = {""};
    assert_int_equal(store_count_created(scene->store, 0, INT64_MAX, note_creations, &creations),
                     0);
    assert_string_equal(creations.text, "");
    for (int i = -2; i < 12; i++)
        scene_create(scene, "tenant-2", FIXTURE_MICROS + i);
    scene_create(scene, "old", FIXTURE_MICROS - 1);
    scene_create(scene, "young", FIXTURE_MICROS + 10);
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    struct task *task = fixture_task("tenant-1", FIXTURE_MICROS + 9);
    struct task *done = fixture_completed(task, FIXTURE_MS + 5, 0);
    assert_int_equal(fixture_write_now(scene->store, STORE_CREATE, task), STORE_WRITTEN);
    assert_int_equal(fixture_write_now(scene->store, STORE_UPDATE, done), STORE_WRITTEN);
    assert_int_equal(store_count_created(scene->store, FIXTURE_MICROS, FIXTURE_MICROS + 10,
                                         note_creations, &creations),
                     0);
    assert_string_equal(creations.text, "tenant-1:2 tenant-2:10 ");
    task_unref(done);
    task_unref(task);
}

/* ---- idempotency ---- */

static void a_key_makes_one_task(void **state)
{
    struct scene *scene = *state;
    char existing[ID_SHORT_SIZE];
    struct task *first = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *second = fixture_task("tenant-1", FIXTURE_MICROS + 1000);
    struct task *other = fixture_task("tenant-2", FIXTURE_MICROS);
    const struct task *loaded = NULL;
    assert_int_equal(fixture_create_keyed(scene->store, first, "key", 1, existing), STORE_WRITTEN);
    assert_int_equal(fixture_create_keyed(scene->store, second, "key", 1, existing),
                     STORE_REPEATED);
    assert_string_equal(existing, first->request->id);
    assert_int_equal(fixture_create_keyed(scene->store, second, "key", 2, existing),
                     STORE_CONFLICT);
    assert_int_equal(store_task(scene->store, second->request->id, &loaded), STORE_NOT_FOUND);
    /* the key is the tenant's own */
    assert_int_equal(fixture_create_keyed(scene->store, other, "key", 2, existing), STORE_WRITTEN);
    task_unref(other);
    task_unref(second);
    task_unref(first);
}

static void an_old_key_is_free_again(void **state)
{
    struct scene *scene = *state;
    char existing[ID_SHORT_SIZE];
    struct task *first = fixture_task("tenant-1", FIXTURE_MICROS);
    struct task *just = fixture_task("tenant-1", FIXTURE_MICROS + FIXTURE_DAY_MS * 1000);
    struct task *late = fixture_task("tenant-1", FIXTURE_MICROS + (FIXTURE_DAY_MS + 1) * 1000);
    struct task *after = fixture_task("tenant-1", late->request->created_micros + 1000);
    assert_int_equal(fixture_create_keyed(scene->store, first, "key", 1, existing), STORE_WRITTEN);
    assert_int_equal(fixture_create_keyed(scene->store, just, "key", 1, existing), STORE_REPEATED);
    assert_int_equal(fixture_create_keyed(scene->store, late, "key", 9, existing), STORE_WRITTEN);
    assert_int_equal(fixture_create_keyed(scene->store, after, "key", 9, existing), STORE_REPEATED);
    assert_string_equal(existing, late->request->id);
    /* the sweep leaves what is not older, then takes it */
    int64_t made_ms = late->request->created_micros / 1000;
    assert_int_equal(store_sweep_idempotency(scene->store, made_ms), 0);
    assert_int_equal(fixture_create_keyed(scene->store, after, "key", 9, existing), STORE_REPEATED);
    assert_int_equal(store_sweep_idempotency(scene->store, made_ms + 1), 0);
    assert_int_equal(fixture_create_keyed(scene->store, after, "key", 9, existing), STORE_WRITTEN);
    task_unref(after);
    task_unref(late);
    task_unref(just);
    task_unref(first);
}

/* ---- numbers, secret, keys ---- */

static void numbers_and_the_secret_stay(void **state)
{
    struct scene *scene = *state;
    uint8_t before[32], after[32];
    static const uint8_t zeros[32];
    int64_t value = -1;
    store_secret(scene->store, before);
    assert_memory_not_equal(before, zeros, 32);
    assert_int_equal(store_number(scene->store, "secret", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(store_set_number(scene->store, "secret", 5), 0);
    assert_int_equal(store_set_number(scene->store, "secret", INT64_C(1) << 40), 0);
    scene_reopen(scene);
    assert_int_equal(store_number(scene->store, "secret", &value), 0);
    assert_int_equal(value, INT64_C(1) << 40);
    store_secret(scene->store, after);
    assert_memory_equal(before, after, 32);
}

static struct store_key a_key(const char *name, int hash)
{
    struct store_key key = {.created_ms = FIXTURE_MS + hash};
    id_new("key", key.id, sizeof key.id);
    (void)snprintf(key.name, sizeof key.name, "%s", name);
    (void)snprintf(key.tenant, sizeof key.tenant, "%s", "tenant-1");
    memset(key.hash, hash, sizeof key.hash);
    key.is_operator = hash == 1;
    return key;
}

static void keys_are_added_and_revoked(void **state)
{
    struct scene *scene = *state;
    struct store_key one = a_key("one", 1);
    struct store_key two = a_key("two", 2);
    struct store_key new_one = a_key("one", 3);
    struct store_key *keys = NULL;
    size_t count = 99;
    assert_int_equal(store_keys(scene->store, &keys, &count), 0);
    assert_int_equal(count, 0);
    free(TAKE(keys));
    assert_int_equal(store_key_add(scene->store, &one), 0);
    assert_int_equal(store_key_add(scene->store, &two), 0);
    assert_int_equal(store_key_add(scene->store, &new_one), STORE_CONFLICT);
    assert_int_equal(store_key_revoke(scene->store, "three", FIXTURE_MS), STORE_NOT_FOUND);
    assert_int_equal(store_key_revoke(scene->store, "one", FIXTURE_MS + 50), 0);
    assert_int_equal(store_key_revoke(scene->store, "one", FIXTURE_MS + 60), STORE_NOT_FOUND);
    assert_int_equal(store_key_revoke(scene->store, two.id, FIXTURE_MS + 70), 0);
    assert_int_equal(store_key_add(scene->store, &new_one), 0);
    memcpy(new_one.hash, one.hash, sizeof one.hash);
    (void)snprintf(new_one.name, sizeof new_one.name, "%s", "other");
    assert_int_equal(store_key_add(scene->store, &new_one), STORE_CONFLICT);
    assert_int_equal(store_keys(scene->store, &keys, &count), 0);
    assert_int_equal(count, 3);
    assert_string_equal(keys[0].id, one.id);
    assert_string_equal(keys[0].name, "one");
    assert_string_equal(keys[0].tenant, "tenant-1");
    assert_memory_equal(keys[0].hash, one.hash, 32);
    assert_true(keys[0].is_operator);
    assert_false(keys[1].is_operator);
    assert_int_equal(keys[0].revoked_ms, FIXTURE_MS + 50);
    assert_int_equal(keys[1].revoked_ms, FIXTURE_MS + 70);
    assert_int_equal(keys[2].revoked_ms, 0);
    assert_int_equal(keys[2].created_ms, FIXTURE_MS + 3);
    free(keys);
}

static void names_have_an_alphabet(void **state)
{
    (void)state;
    char longest[STORE_NAME_SIZE + 1];
    assert_true(store_is_name("a"));
    assert_true(store_is_name("Tenant_1.b-c@d"));
    assert_false(store_is_name(""));
    assert_false(store_is_name("a b"));
    assert_false(store_is_name("a\n"));
    assert_false(store_is_name("a/b"));
    assert_false(store_is_name("\xc3\xa4"));
    memset(longest, 'x', sizeof longest);
    longest[STORE_NAME_SIZE - 1] = '\0';
    assert_true(store_is_name(longest));
    longest[STORE_NAME_SIZE - 1] = 'x';
    longest[STORE_NAME_SIZE] = '\0';
    assert_false(store_is_name(longest));
}

/* A second store on the directory stands for another process. */
static void the_version_tells_of_others_only(void **state)
{
    struct scene *scene = *state;
    struct store *other = NULL;
    char error[STORE_ERROR_SIZE];
    int64_t first, second;
    struct store_key key = a_key("one", 1);
    assert_int_equal(store_open_with(scene->backend, scene->directory, &other, error), 0);
    assert_int_equal(store_version(scene->store, &first), 0);
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    assert_int_equal(store_set_number(scene->store, "n", 1), 0);
    assert_int_equal(store_version(scene->store, &second), 0);
    assert_int_equal(first, second);
    assert_int_equal(store_key_add(other, &key), 0);
    assert_int_equal(store_version(scene->store, &second), 0);
    assert_int_not_equal(first, second);
    struct store_key *keys = NULL;
    size_t count = 0;
    assert_int_equal(store_keys(scene->store, &keys, &count), 0);
    assert_int_equal(count, 1);
    free(keys);
    other = store_close(other);
    /* its end did not take our locks along */
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
}

/* A backend may keep other files than filmgate.db; none is for others to read. */
static void files_are_private(void **state)
{
    struct scene *scene = *state;
    size_t seen = 0;
    scene_create(scene, "tenant-1", FIXTURE_MICROS);
    DIR *directory = opendir(scene->directory);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        assert_int_equal(fstatat(dirfd(directory), entry->d_name, &status, 0), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        seen++;
    }
    closedir(directory);
    assert_true(seen > 0);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(a_created_task_is_there_after_reopening),
        SCENE_CASE(an_unknown_id_is_not_found),
        SCENE_CASE(a_second_create_of_one_id_is_a_fault_of_its_own),
        SCENE_CASE(updates_never_go_back),
        SCENE_CASE(pages_neither_skip_nor_repeat),
        SCENE_CASE(the_walk_meets_the_unfinished_oldest_first),
        SCENE_CASE(retention_lists_what_is_due),
        SCENE_CASE(creations_are_counted_by_tenant),
        SCENE_CASE(a_key_makes_one_task),
        SCENE_CASE(an_old_key_is_free_again),
        SCENE_CASE(numbers_and_the_secret_stay),
        SCENE_CASE(keys_are_added_and_revoked),
        SCENE_CASE(names_have_an_alphabet),
        SCENE_CASE(the_version_tells_of_others_only),
        SCENE_CASE(files_are_private),
    };

    return scene_run(cases, ARRAY_LENGTH(cases));
}
