/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of uploaded files: who sees what and until when, how much a tenant may have, lists that
 * page, and what is due to go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "store_scene.h"

enum { LISTED = 25, PAGE = 10, HOUR_MS = 3600000 };

static const struct store_file_limits generous = {1000, 1000000};

static struct store_file file_of(const char *tenant, int64_t bytes)
{
    struct store_file file = {
        .name = "cat's “picture”.png",
        .purpose = "vision",
        .type = "image/png",
        .sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        .bytes = bytes,
        .width = 640,
        .height = 480,
        .created_ms = FIXTURE_MS,
        .expires_ms = FIXTURE_MS + HOUR_MS,
    };
    id_new("file", file.id, sizeof file.id);
    (void)snprintf(file.tenant, sizeof file.tenant, "%s", tenant);
    return file;
}

static void add(struct scene *scene, const struct store_file *file)
{
    assert_int_equal(store_file_add(scene->store, file, &generous), STORE_WRITTEN);
}

static struct store_file added(struct scene *scene, const char *tenant)
{
    struct store_file file = file_of(tenant, 100);
    add(scene, &file);
    assert_int_equal(store_file_show(scene->store, file.id), STORE_WRITTEN);
    return file;
}

static int look(struct scene *scene, const char *tenant, const char *id, int64_t now_ms)
{
    struct store_file found;
    return store_file(scene->store, tenant, id, now_ms, &found);
}

static void what_is_read_is_what_was_added(void **state)
{
    struct scene *scene = *state;
    struct store_file file = added(scene, "tenant-1");
    struct store_file found;
    scene_reopen(scene);
    assert_int_equal(store_file(scene->store, "tenant-1", file.id, FIXTURE_MS, &found), 0);
    assert_string_equal(found.id, file.id);
    assert_string_equal(found.tenant, "tenant-1");
    assert_string_equal(found.name, file.name);
    assert_string_equal(found.purpose, "vision");
    assert_string_equal(found.type, "image/png");
    assert_string_equal(found.sha256, file.sha256);
    assert_int_equal(found.bytes, 100);
    assert_int_equal(found.width, 640);
    assert_int_equal(found.height, 480);
    assert_int_equal(found.created_ms, FIXTURE_MS);
    assert_int_equal(found.expires_ms, FIXTURE_MS + HOUR_MS);
}

static void only_its_owner_sees_it_until_its_end(void **state)
{
    struct scene *scene = *state;
    struct store_file file = added(scene, "tenant-1");
    assert_int_equal(look(scene, "tenant-2", file.id, FIXTURE_MS), STORE_NOT_FOUND);
    assert_int_equal(look(scene, NULL, file.id, FIXTURE_MS), 0);
    assert_int_equal(look(scene, "tenant-1", file.id, file.expires_ms - 1), 0);
    assert_int_equal(look(scene, "tenant-1", file.id, file.expires_ms), STORE_NOT_FOUND);
    assert_int_equal(store_file_hide(scene->store, "tenant-2", file.id, FIXTURE_MS),
                     STORE_NOT_FOUND);
    assert_int_equal(store_file_hide(scene->store, "tenant-1", file.id, file.expires_ms),
                     STORE_NOT_FOUND);
    assert_int_equal(look(scene, "tenant-1", file.id, FIXTURE_MS), 0);
}

static void nobody_sees_it_before_and_after_its_bytes(void **state)
{
    struct scene *scene = *state;
    struct store_file file = file_of("tenant-1", 100);
    struct store_file listed[PAGE];
    size_t count = 1;
    struct store_files_query query = {.tenant = "tenant-1", .now_ms = FIXTURE_MS, .limit = PAGE};
    add(scene, &file);
    assert_int_equal(look(scene, "tenant-1", file.id, FIXTURE_MS), STORE_NOT_FOUND);
    assert_int_equal(store_file_hide(scene->store, NULL, file.id, FIXTURE_MS), STORE_NOT_FOUND);
    assert_int_equal(store_file_list(scene->store, &query, listed, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_file_show(scene->store, file.id), STORE_WRITTEN);
    assert_int_equal(store_file_show(scene->store, file.id), STORE_NOT_FOUND);
    assert_int_equal(look(scene, "tenant-1", file.id, FIXTURE_MS), 0);
    assert_int_equal(store_file_hide(scene->store, "tenant-1", file.id, FIXTURE_MS), STORE_WRITTEN);
    assert_int_equal(look(scene, NULL, file.id, FIXTURE_MS), STORE_NOT_FOUND);
    assert_int_equal(store_file_list(scene->store, &query, listed, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_file_forget(scene->store, file.id), STORE_WRITTEN);
    assert_int_equal(store_file_forget(scene->store, file.id), STORE_NOT_FOUND);
}

static void a_tenant_has_room_for_so_many(void **state)
{
    struct scene *scene = *state;
    struct store_file_limits two = {2, 1000000};
    struct store_file first = file_of("tenant-1", 100), second = file_of("tenant-1", 100);
    struct store_file third = file_of("tenant-1", 100), other = file_of("tenant-2", 100);
    assert_int_equal(store_file_add(scene->store, &first, &two), STORE_WRITTEN);
    assert_int_equal(store_file_add(scene->store, &second, &two), STORE_WRITTEN);
    assert_int_equal(store_file_add(scene->store, &third, &two), STORE_NOT_ADMITTED);
    assert_int_equal(store_file_add(scene->store, &other, &two), STORE_WRITTEN);
    assert_int_equal(store_file_forget(scene->store, first.id), STORE_WRITTEN);
    assert_int_equal(store_file_add(scene->store, &third, &two), STORE_WRITTEN);
    /* what has expired takes no room, swept or not */
    struct store_file later = file_of("tenant-1", 100);
    later.created_ms = second.expires_ms;
    later.expires_ms = later.created_ms + HOUR_MS;
    assert_int_equal(store_file_add(scene->store, &later, &two), STORE_WRITTEN);
}

static void a_tenant_has_room_for_so_many_bytes(void **state)
{
    struct scene *scene = *state;
    struct store_file_limits limits = {1000, 250};
    struct store_file first = file_of("tenant-1", 100), second = file_of("tenant-1", 150);
    struct store_file third = file_of("tenant-1", 1), other = file_of("tenant-2", 251);
    assert_int_equal(store_file_add(scene->store, &first, &limits), STORE_WRITTEN);
    assert_int_equal(store_file_add(scene->store, &second, &limits), STORE_WRITTEN);
    assert_int_equal(store_file_add(scene->store, &third, &limits), STORE_NOT_ADMITTED);
    assert_int_equal(store_file_add(scene->store, &other, &limits), STORE_NOT_ADMITTED);
}

/* Pages through, putting a newer one in before each further page; the number seen. */
static size_t page_through(struct scene *scene, struct store_files_query query, size_t most)
{
    struct store_file page[PAGE];
    char last[ID_SHORT_SIZE];
    size_t seen = 0, count = 0;
    (void)snprintf(last, sizeof last, "%s", query.oldest_first ? "" : "~");
    query.now_ms = FIXTURE_MS;
    query.limit = PAGE;
    do {
        assert_int_equal(store_file_list(scene->store, &query, page, &count), 0);
        for (size_t i = 0; i < count; i++, seen++) {
            int order = strcmp(page[i].id, last);
            assert_true(query.oldest_first ? order > 0 : order < 0);
            assert_true(query.tenant == NULL || strcmp(page[i].tenant, query.tenant) == 0);
            memcpy(last, page[i].id, sizeof last);
        }
        query.after_id = last;
        if (!query.oldest_first)
            (void)added(scene, "tenant-1");
    } while (count == PAGE && seen < most);
    return seen;
}

static void pages_neither_skip_nor_repeat(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < LISTED; i++) {
        (void)added(scene, "tenant-1");
        (void)added(scene, "tenant-2");
    }
    assert_int_equal(page_through(scene, (struct store_files_query){.tenant = "tenant-2"}, 1000),
                     LISTED);
    assert_int_equal(page_through(scene,
                                  (struct store_files_query){
                                      .tenant = "tenant-2",
                                      .oldest_first = true,
                                  },
                                  1000),
                     LISTED);
    /* three newer ones came with the pages before, and more with these */
    assert_int_equal(page_through(scene, (struct store_files_query){0}, 1000), 2 * LISTED + 3);
    assert_int_equal(page_through(scene, (struct store_files_query){.oldest_first = true}, 1000),
                     2 * LISTED + 3 + 6);
}

static void lists_show_one_purpose(void **state)
{
    struct scene *scene = *state;
    struct store_file listed[PAGE];
    size_t count = 0;
    struct store_file file = file_of("tenant-1", 100);
    (void)added(scene, "tenant-1");
    (void)snprintf(file.purpose, sizeof file.purpose, "user_data");
    add(scene, &file);
    assert_int_equal(store_file_show(scene->store, file.id), STORE_WRITTEN);
    struct store_files_query query = {
        .tenant = "tenant-1", .purpose = "user_data", .now_ms = FIXTURE_MS, .limit = PAGE};
    assert_int_equal(store_file_list(scene->store, &query, listed, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(listed[0].id, file.id);
    query.now_ms = file.expires_ms;
    query.purpose = NULL;
    assert_int_equal(store_file_list(scene->store, &query, listed, &count), 0);
    assert_int_equal(count, 0);
}

static size_t due(struct scene *scene, int64_t now_ms, int64_t hidden_before_ms)
{
    char ids[PAGE][ID_SHORT_SIZE];
    size_t count = 0;
    assert_int_equal(store_file_due(scene->store, now_ms, hidden_before_ms, PAGE, ids, &count), 0);
    return count;
}

static void the_expired_and_the_left_over_are_due(void **state)
{
    struct scene *scene = *state;
    struct store_file shown = added(scene, "tenant-1");
    struct store_file left = file_of("tenant-1", 100);
    add(scene, &left);
    assert_int_equal(due(scene, FIXTURE_MS, FIXTURE_MS), 0);
    assert_int_equal(due(scene, FIXTURE_MS, FIXTURE_MS + 1), 1); /* hidden for too long */
    assert_int_equal(due(scene, shown.expires_ms - 1, FIXTURE_MS), 0);
    assert_int_equal(due(scene, shown.expires_ms, FIXTURE_MS), 2);
    /* what its owner deleted is due at once */
    assert_int_equal(store_file_hide(scene->store, "tenant-1", shown.id, FIXTURE_MS),
                     STORE_WRITTEN);
    assert_int_equal(due(scene, FIXTURE_MS, FIXTURE_MS), 1);
    for (int i = 0; i < PAGE + 5; i++)
        (void)added(scene, "tenant-1");
    assert_int_equal(due(scene, shown.expires_ms, FIXTURE_MS), PAGE);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        SCENE_CASE(what_is_read_is_what_was_added),
        SCENE_CASE(only_its_owner_sees_it_until_its_end),
        SCENE_CASE(nobody_sees_it_before_and_after_its_bytes),
        SCENE_CASE(a_tenant_has_room_for_so_many),
        SCENE_CASE(a_tenant_has_room_for_so_many_bytes),
        SCENE_CASE(pages_neither_skip_nor_repeat),
        SCENE_CASE(lists_show_one_purpose),
        SCENE_CASE(the_expired_and_the_left_over_are_due),
    };

    return scene_run(cases, ARRAY_LENGTH(cases));
}
