/* SPDX-License-Identifier: Apache-2.0
 *
 * What an adapter says about itself: the least that is enough, what is added to it, and a sentence for all that is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "upstream/about.h"

#define LEAST "\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"bearer\"}"

static json_t *complete(const char *text, char error[ABOUT_ERROR_SIZE])
{
    json_t *about = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(about);
    error[0] = '\0';
    if (about_complete(about, error))
        return about;
    assert_int_not_equal(error[0], '\0');
    json_decref(about);
    return NULL;
}

static void test_defaults(void **state)
{
    char error[ABOUT_ERROR_SIZE];
    (void)state;
    CLEANUP(json_unref_pointer) json_t *about = complete("{" LEAST "}", error);
    CLEANUP(json_unref_pointer)
    json_t *expected = json_loads(
        "{" LEAST ",\"base_url\":null,\"hosts\":[],\"job\":{\"chosen\":false,\"certain\":false},"
        "\"submit\":{\"total_s\":60},"
        "\"poll\":{\"first_s\":10,\"every_s\":5,\"longest_s\":60},"
        "\"result\":{\"life_s\":null,\"renews\":false,\"auth\":false},\"cancel\":{\"while\":[]},"
        "\"callback\":false,\"models\":[]}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(about, expected));
}

static void test_all_members(void **state)
{
    static const char TEXT[] =
        "{\"summary\":\"s\",\"evidence\":\"third-party\",\"base_url\":\"https://api.example.com/"
        "v1\","
        "\"hosts\":[\"rest.example.com\",\"other.example.com:8443\"],"
        "\"auth\":{\"kind\":\"header\",\"name\":\"x-api-key\",\"prefix\":\"Key "
        "\"},\"job\":{\"chosen\":true,\"certain\":true},"
        "\"submit\":{\"total_s\":30.5},\"poll\":{\"first_s\":0,\"every_s\":0.5,\"longest_s\":30},"
        "\"result\":{\"life_s\":3600,\"renews\":true,\"auth\":true},\"cancel\":{\"while\":["
        "\"pending\",\"rendering\"]},\"callback\":true,"
        "\"models\":[{\"name\":\"a*\",\"durations\":[4,6,8],\"sizes\":[\"1280x720\"],\"aspect_"
        "ratios\":[\"16:9\"],"
        "\"resolutions\":[\"720p\"],\"images\":{\"least\":0,\"most\":1}},"
        "{\"name\":\"b\",\"durations\":{\"least\":3,\"most\":15},\"durations_with_images\":[5]},{"
        "\"name\":\"c\",\"durations_with_images\":{\"least\":1,\"most\":5}},{\"name\":\"*\"}]}";
    char error[ABOUT_ERROR_SIZE];
    (void)state;
    CLEANUP(json_unref_pointer) json_t *about = complete(TEXT, error);
    CLEANUP(json_unref_pointer) json_t *expected = json_loads(TEXT, 0, NULL);
    assert_string_equal(error, "");
    assert_true(json_equal(about, expected));
}

#define SIGNED(scope)                                                                              \
    "{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"volcengine\"," scope "}}"

static void test_signed(void **state)
{
    char error[ABOUT_ERROR_SIZE];
    (void)state;
    CLEANUP(json_unref_pointer)
    json_t *about = complete(SIGNED("\"service\":\"cv\",\"region\":\"cn-north-1\""), error);
    assert_string_equal(error, "");
    assert_string_equal(json_text(json_object_get(about, "auth"), "region"), "cn-north-1");
}

static void test_sentences(void **state)
{
    static const struct {
        const char *text, *error;
    } CASES[] = {
        {"1", "about must give an object"},
        {"{}", "about.summary is missing"},
        {"{\"summary\":\"\"}", "about.summary must be a text of 1 to 500 characters"},
        {"{\"summary\":\"s\"}", "about.evidence is missing"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\"}", "about.auth is missing"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{}}", "about.auth.kind is missing"},
        {"{\"summary\":\"s\",\"evidence\":\"rumour\",\"auth\":{\"kind\":\"none\"}}",
         "about.evidence must be one of wire, sdk, documented, third-party"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"basic\"}}",
         "about.auth.kind must be one of none, bearer, header, query, volcengine, "
         "google_service_account, jwt_hs256"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":"
         "\"google_service_account\"}}",
         "about.auth.scope is missing: what tokens are for"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"query\"}}",
         "about.auth.name is missing: what the header or the argument is called"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"header\",\"name\":\"a "
         "b\"}}",
         "about.auth.name must be the name of a header or of an argument"},
        {SIGNED("\"region\":\"cn-north-1\""),
         "about.auth.service is missing: it is part of what is signed"},
        {SIGNED("\"service\":\"cv\""),
         "about.auth.region is missing: it is part of what is signed"},
        {SIGNED("\"service\":\"cv\",\"region\":\"a/b\""),
         "about.auth.region must be of a-z, 0-9, - and _"},
        {SIGNED("\"service\":\"CV\",\"region\":\"a\""),
         "about.auth.service must be of a-z, 0-9, - and _"},
        {SIGNED("\"service\":\"\",\"region\":\"a\""),
         "about.auth.service must be a text of 1 to 40 characters"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"bearer\",\"region\":\"a\"}"
         "}",
         "about.auth.region does not belong to the kind bearer"},
        {"{\"summary\":\"s\",\"evidence\":\"wire\",\"auth\":{\"kind\":\"query\",\"name\":\"key\","
         "\"prefix\":\"Key \"}}",
         "about.auth.prefix does not belong to the kind query"},
        {"{" LEAST ",\"pol\":{}}", "about has no member \"pol\""},
        {"{" LEAST ",\"poll\":{\"each_s\":5}}", "about.poll has no member \"each_s\""},
        {"{" LEAST ",\"poll\":{\"every_s\":0}}",
         "about.poll.every_s must be a number from 0.1 to 86400"},
        {"{" LEAST ",\"poll\":{\"every_s\":\"5\"}}",
         "about.poll.every_s must be a number from 0.1 to 86400"},
        {"{" LEAST ",\"poll\":{\"every_s\":90}}",
         "about.poll.every_s is more than about.poll.longest_s"},
        {"{" LEAST ",\"base_url\":\"ftp://a\"}",
         "about.base_url must be null or begin with https:// and a host, without ? or #"},
        {"{" LEAST ",\"base_url\":\"https://a@b\"}",
         "about.base_url must be null or begin with https:// and a host, without ? or #"},
        {"{" LEAST ",\"base_url\":7}",
         "about.base_url must be a text of 1 to 500 characters or null"},
        {"{" LEAST ",\"hosts\":[\"https://a\"]}",
         "about.hosts[0] must be a host in lower case, or host:port"},
        {"{" LEAST ",\"hosts\":[\"a\",7]}",
         "about.hosts[1] must be a host in lower case, or host:port"},
        {"{" LEAST ",\"hosts\":\"a\"}", "about.hosts must be a list of 0 to 20 elements"},
        {"{" LEAST ",\"job\":true}", "about.job must be an object"},
        {"{" LEAST ",\"job\":{\"chosen\":1}}", "about.job.chosen must be true or false"},
        {"{" LEAST ",\"callback\":\"url\"}", "about.callback must be true or false"},
        {"{" LEAST ",\"result\":{\"life_s\":0}}",
         "about.result.life_s must be a number from 1 to 3.16224e+07 or null"},
        {"{" LEAST ",\"cancel\":{\"while\":[\"done\"]}}",
         "about.cancel.while[0] must be \"pending\" or \"rendering\""},
        {"{" LEAST ",\"models\":[7]}", "about.models[0] must be an object"},
        {"{" LEAST ",\"models\":[{}]}", "about.models[0].name is missing"},
        {"{" LEAST ",\"models\":[{\"name\":\"a\"},{\"name\":\"b\",\"sizes\":[\"720p\"]}]}",
         "about.models[1].sizes[0] must be a text like \"1280x720\""},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"aspect_ratios\":[\"16:9:1\"]}]}",
         "about.models[0].aspect_ratios[0] must be a text like \"16:9\""},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"resolutions\":[1]}]}",
         "about.models[0].resolutions[0] must be a text like \"720p\""},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"durations\":[4.5]}]}",
         "about.models[0].durations[0] must be a whole number from 1 to 3600"},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"durations_with_images\":[5,0]}]}",
         "about.models[0].durations_with_images[1] must be a whole number from 1 to 3600"},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"durations_with_images\":{\"least\":5}}]}",
         "about.models[0].durations_with_images.most is missing"},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"durations\":{\"least\":5,\"most\":4}}]}",
         "about.models[0].durations.least is more than about.models[0].durations.most"},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"images\":{\"least\":0}}]}",
         "about.models[0].images.most is missing"},
        {"{" LEAST ",\"models\":[{\"name\":\"a\",\"images\":[]}]}",
         "about.models[0].images must be an object"},
    };
    char error[ABOUT_ERROR_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(CASES); i++) {
        json_t *about = complete(CASES[i].text, error);
        if (about || strcmp(error, CASES[i].error) != 0)
            fail_msg("%s: %s", CASES[i].text, error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_members),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests_name("upstream_about", tests, NULL, NULL);
}
