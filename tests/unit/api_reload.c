/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/reload: what its caller hears of the callback that main gives the server. The real server
 * over the engine's stage. */
#include "engine_stage.h"

#include <curl/curl.h>

#include "api/server.h"
#include "asset/asset.h"
#include "asset/link_keys.h"
#include "base/buf.h"
#include "base/crypt.h"

enum { ANSWER_BYTES = 10000 };

struct reloads {
    int result; /* of the next one */
    atomic_int n_calls;
    atomic_bool is_held, is_inside;
};

static int reload(void *context, char ret_error[SERVER_ERROR_SIZE])
{
    struct reloads *reloads = context;
    atomic_fetch_add(&reloads->n_calls, 1);
    atomic_store(&reloads->is_inside, true);
    while (atomic_load(&reloads->is_held))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_store(&reloads->is_inside, false);
    if (reloads->result != 0)
        (void)snprintf(ret_error, SERVER_ERROR_SIZE, "x.yaml:3: \"slots\" is no number");
    return reloads->result;
}

struct scene {
    struct stage *stage;
    struct link_keys link_keys;
    struct reloads reloads;
    struct server *server;
};

static void add_key(struct store *store, const char *text, bool is_operator)
{
    struct store_key key = {.created_ms = 1, .is_operator = is_operator};
    id_new("key", key.id, sizeof key.id);
    (void)snprintf(key.name, sizeof key.name, "%s", text);
    (void)snprintf(key.tenant, sizeof key.tenant, "%s", text);
    crypt_sha256(text, strlen(text), key.hash);
    assert_int_equal(store_key_add(store, &key), STORE_WRITTEN);
}

static void open_server(struct scene *scene, bool can_reload)
{
    struct stage *stage = scene->stage;
    char error[SERVER_ERROR_SIZE] = "";
    const struct server_parts parts = {
        .settings = stage->settings,
        .store = stage->store,
        .assets = stage->assets,
        .link_keys = &scene->link_keys,
        .engine = stage->engine,
        .hub = stage->hub,
        .reload = can_reload ? reload : NULL,
        .reload_context = &scene->reloads,
    };
    if (server_start(&parts, &scene->server, error) != 0)
        fail_msg("%s", error);
}

static int set_up(void **state)
{
    struct scene *scene = must_calloc(1, sizeof *scene);
    char error[LINK_KEYS_ERROR_SIZE] = "";
    void *stage = NULL;
    (void)stage_set_up(&stage);
    scene->stage = stage;
    stage_load(scene->stage, "listen: 127.0.0.1:0\nlog:\n  level: error\n");
    stage_start(scene->stage);
    must(link_keys_open(scene->stage->directory, 1000, &scene->link_keys, error) == 0);
    add_key(scene->stage->store, "operator", true);
    add_key(scene->stage->store, "tenant", false);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;
    void *stage = scene->stage;
    atomic_store(&scene->reloads.is_held, false);
    if (scene->server != NULL)
        server_quiesce(scene->server, 1000);
    scene->server = server_stop(scene->server);
    (void)stage_tear_down(&stage);
    free(scene);
    return 0;
}

static size_t take(char *bytes, size_t size, size_t count, void *context)
{
    struct buf *answer = context;
    buf_add(answer, bytes, size * count);
    return size * count;
}

/* The status of POST /v1/reload; the body must hold `word`. */
static long post(const struct scene *scene, const char *key, const char *word)
{
    char url[200], authorization[100];
    long status = 0;
    struct buf answer;
    CURL *curl = curl_easy_init();
    buf_init(&answer, ANSWER_BYTES);
    (void)snprintf(url, sizeof url, "%s/v1/reload", server_url(scene->server));
    (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", key);
    struct curl_slist *headers = curl_slist_append(NULL, authorization);
    must(curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK);
    must(curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK);
    must(curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)FAKE_PATIENCE_MS) == CURLE_OK);
    must(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK);
    must(curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "") == CURLE_OK);
    must(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK);
    must(curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer) == CURLE_OK);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    must(curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    if (strstr(buf_text(&answer), word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", buf_text(&answer), word);
    buf_fini(&answer);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

static void it_is_done_for_operators(void **state)
{
    struct scene *scene = *state;
    open_server(scene, true);
    assert_int_equal(post(scene, "tenant", "forbidden"), 403);
    assert_int_equal(post(scene, "nobody", "invalid_api_key"), 401);
    assert_int_equal(atomic_load(&scene->reloads.n_calls), 0);
    assert_int_equal(post(scene, "operator", "{\"status\":\"ok\"}"), 200);
    assert_int_equal(atomic_load(&scene->reloads.n_calls), 1);
}

static void what_is_wrong_is_told(void **state)
{
    struct scene *scene = *state;
    open_server(scene, true);
    scene->reloads.result = -EINVAL;
    assert_int_equal(post(scene, "operator", "configuration_invalid"), 409);
    assert_int_equal(post(scene, "operator", "x.yaml:3: \\\"slots\\\" is no number"), 409);
    scene->reloads.result = 0;
    assert_int_equal(post(scene, "operator", "ok"), 200);
}

static void *post_first(void *context)
{
    const struct scene *scene = context;
    return (void *)(intptr_t)post(scene, "operator", "ok");
}

static void there_are_never_two_at_once(void **state)
{
    struct scene *scene = *state;
    pthread_t first;
    void *status = NULL;
    scene->stage->settings->http_threads = 4; /* the first one's is held up */
    open_server(scene, true);
    atomic_store(&scene->reloads.is_held, true);
    must(pthread_create(&first, NULL, post_first, scene) == 0);
    AWAIT(atomic_load(&scene->reloads.is_inside));
    assert_int_equal(post(scene, "operator", "A reload is under way"), 503);
    assert_int_equal(atomic_load(&scene->reloads.n_calls), 1);
    atomic_store(&scene->reloads.is_held, false);
    must(pthread_join(first, &status) == 0);
    assert_int_equal((intptr_t)status, 200);
    assert_int_equal(post(scene, "operator", "ok"), 200);
}

static void without_a_callback_it_is_not_there_yet(void **state)
{
    struct scene *scene = *state;
    open_server(scene, false);
    assert_int_equal(post(scene, "operator", "not_implemented"), 501);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(it_is_done_for_operators),
        CASE(what_is_wrong_is_told),
        CASE(there_are_never_two_at_once),
        CASE(without_a_callback_it_is_not_there_yet),
    };

    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    return cmocka_run_group_tests(cases, NULL, NULL);
}
