/* SPDX-License-Identifier: Apache-2.0
 *
 * A new wish over an old one, as the requests that both become. Requests stand here as JSON with single quotes for double ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/json.h"
#include "base/must.h"
#include "task/remix.h"
#include "task/unified.h"

static const struct unified_limits limits = {.images = 4, .prompt_bytes = 100, .duration_s = 30};

static json_t *parse(const char *text)
{
    char *quoted = must_strdup(text);
    for (char *p = quoted; *p != '\0'; p++)
        if (*p == '\'')
            *p = '"';
    json_t *json = json_loads(quoted, 0, NULL);
    if (json == NULL)
        fail_msg("bad test: %s", text);
    free(quoted);
    return json;
}

static struct unified_decoded decode(const json_t *body)
{
    struct unified_fault fault = {0};
    struct unified_decoded decoded;
    if (unified_decode(body, 0, &limits, &decoded, &fault) != 0)
        fail_msg("%s: %s", fault.param, fault.message);
    return decoded;
}

/* What becomes of `asked`, laid over what `then` asked for. */
static struct unified_decoded remixed(const char *then, const char *asked)
{
    CLEANUP(json_unref_pointer) json_t *first = parse(then);
    struct unified_decoded original = decode(first);
    CLEANUP(json_unref_pointer) json_t *second = parse(asked);
    CLEANUP(json_unref_pointer) json_t *fields = remix_fields(original.request, second);
    struct unified_decoded decoded = decode(fields);
    unified_decoded_fini(&original);
    return decoded;
}

static void what_is_not_asked_for_is_as_it_was(void **context)
{
    (void)context;
    struct unified_decoded decoded =
        remixed("{'model':'m','prompt':'old','duration':7,'size':'large','orientation':'landscape',"
                "'title':'t','style':'s','negative_prompt':'n','seed':5,'watermark':false,"
                "'private':true,'enhance_prompt':true,'priority':4,'tags':['a'],"
                "'character_url':'https://example.com/c.mp4','character_timestamps':'1,3',"
                "'vendor':{'deep':1},'metadata':{'mood':'dark','seconds':9}}",
                "{'prompt':'new'}");
    const struct task_request *request = decoded.request;
    assert_string_equal(request->prompt, "new");
    assert_string_equal(request->model, "m");
    assert_int_equal(request->duration_s, 7);
    assert_string_equal(request->size, "large");
    assert_string_equal(request->orientation, "landscape");
    assert_int_equal(request->width, 1280);
    assert_string_equal(request->title, "t");
    assert_string_equal(request->style, "s");
    assert_string_equal(request->negative_prompt, "n");
    assert_int_equal(request->seed, 5);
    assert_true(request->has_watermark_wish && !request->watermark);
    assert_true(request->private_result && request->enhance_prompt);
    assert_int_equal(request->priority, 4);
    assert_int_equal(json_array_size(request->tags), 1);
    assert_string_equal(request->character_url, "https://example.com/c.mp4");
    assert_string_equal(request->character_timestamps, "1,3");
    assert_int_equal(json_int(json_object_get(request->extra, "vendor"), "deep", 0), 1);
    assert_string_equal(json_text(json_object_get(request->extra, "metadata"), "mood"), "dark");
    unified_decoded_fini(&decoded);
}

static void the_prompt_has_to_be_asked_for(void **context)
{
    (void)context;
    CLEANUP(json_unref_pointer) json_t *then = parse("{'model':'m','prompt':'old'}");
    CLEANUP(json_unref_pointer) json_t *asked = parse("{'model':'m','prompt':''}");
    struct unified_decoded original = decode(then), decoded;
    struct unified_fault fault = {0};
    CLEANUP(json_unref_pointer) json_t *fields = remix_fields(original.request, asked);
    assert_int_equal(unified_decode(fields, 0, &limits, &decoded, &fault), 1);
    assert_string_equal(fault.param, "prompt");
    unified_decoded_fini(&original);
}

static void any_name_of_a_wish_replaces_it(void **context)
{
    (void)context;
    static const char *const asked[] = {
        "{'prompt':'new','seconds':'3'}",
        "{'prompt':'new','video_length':3}",
        "{'prompt':'new','metadata':{'duration':3}}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(asked); i++) {
        struct unified_decoded decoded =
            remixed("{'model':'m','prompt':'old','duration':7,'metadata':{'seconds':7}}", asked[i]);
        assert_int_equal(decoded.request->duration_s, 3);
        unified_decoded_fini(&decoded);
    }
    struct unified_decoded decoded =
        remixed("{'model':'m','prompt':'old','seed':5,'size':'large'}",
                "{'prompt':'new','model':'n','seed':6,'size':'','aspect_ratio':null}");
    assert_string_equal(decoded.request->model, "n");
    assert_int_equal(decoded.request->seed, 6);
    assert_string_equal(decoded.request->size, "large"); /* what is empty is not asked for */
    unified_decoded_fini(&decoded);
}

static void another_shape_replaces_the_old_one(void **context)
{
    (void)context;
    static const struct {
        const char *then, *asked;
        int width, height;
    } cases[] = {
        {"'size':'large','orientation':'landscape'", "'orientation':'portrait'", 704, 1280},
        {"'size':'large','aspect_ratio':'16:9'", "'orientation':'portrait'", 704, 1280},
        {"'size':'large','metadata':{'aspect_ratio':'16:9'}", "'orientation':'portrait'", 704,
         1280},
        {"'size':'large','video_config':{'aspect_ratio':'16:9'}", "'orientation':'portrait'", 704,
         1280},
        {"'size':'large','orientation':'landscape'", "'size':'small'", 640, 352},
        {"'size':'large','orientation':'landscape'", "'resolution':'720P'", 640, 352},
        {"'size':'small','orientation':'landscape'", "'size':'100x200'", 100, 200},
        {"'size':'100x200'", "'size':'300x200'", 300, 200},
        {"'size':'100x200'", "'orientation':'landscape'", 640, 352},
        {"'size':'100x200'", "'aspect_ratio':'1:1'", 480, 480},
        {"'size':'100x200'", "'metadata':{'ratio':'1:1'}", 480, 480},
        {"'size':'200x100'", "'size':'large'", 1280, 704},
        {"'aspect_ratio':'1:1'", "'size':'16:9'", 640, 352},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char then[300], asked[300];
        (void)snprintf(then, sizeof then, "{'model':'m','prompt':'old',%s}", cases[i].then);
        (void)snprintf(asked, sizeof asked, "{'prompt':'new',%s}", cases[i].asked);
        struct unified_decoded decoded = remixed(then, asked);
        if (decoded.request->width != cases[i].width || decoded.request->height != cases[i].height)
            fail_msg("%s and %s: %d x %d", then, asked, decoded.request->width,
                     decoded.request->height);
        unified_decoded_fini(&decoded);
    }
}

static void names_of_tasks_and_storyboards_stay_behind(void **context)
{
    (void)context;
    struct unified_decoded decoded = remixed(
        "{'model':'m','prompt':'old','storyboard':[{'prompt':'a','duration':1}]}",
        "{'prompt':'new','task_id':'x','id':'x','video_id':'x','parent_post_id':'x','more':1}");
    assert_false(decoded.request->storyboard);
    assert_int_equal(json_object_size(decoded.request->extra), 1);
    assert_int_equal(json_int(decoded.request->extra, "more", 0), 1);
    unified_decoded_fini(&decoded);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_not_asked_for_is_as_it_was),
        cmocka_unit_test(the_prompt_has_to_be_asked_for),
        cmocka_unit_test(any_name_of_a_wish_replaces_it),
        cmocka_unit_test(another_shape_replaces_the_old_one),
        cmocka_unit_test(names_of_tasks_and_storyboards_stay_behind),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
