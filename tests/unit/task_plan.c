/* SPDX-License-Identifier: Apache-2.0
 *
 * From words to pixels. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "task/plan.h"

static void words_become_pixels(void **context)
{
    (void)context;
    static const struct {
        const char *size, *orientation, *ratio;
        int width, height;
        const char *chosen;
    } rows[] = {
        {NULL, NULL, NULL, 352, 640, "portrait"},
        {"small", "portrait", NULL, 352, 640, "portrait"},
        {"small", "landscape", NULL, 640, 352, "landscape"},
        {"small", "square", NULL, 480, 480, "square"},
        {"large", NULL, NULL, 704, 1280, "portrait"},
        {"LARGE", "Landscape", NULL, 1280, 704, "landscape"},
        {"large", "square", NULL, 960, 960, "square"},
        {"720P", NULL, NULL, 352, 640, "portrait"},
        {"1080p", "landscape", NULL, 1280, 704, "landscape"},
        {"1280x720", "portrait", NULL, 1280, 720, "landscape"},
        {"720X1280", NULL, "1:1", 720, 1280, "portrait"},
        {"640*360", NULL, NULL, 640, 360, "landscape"},
        {"640\xc3\x97"
         "640",
         NULL, NULL, 640, 640, "square"},
        {"641x361", NULL, NULL, 642, 362, "landscape"},
        {"64x1919", NULL, NULL, 64, 1920, "portrait"},
        {"16x9", NULL, NULL, 640, 352, "landscape"},
        {"9:16", NULL, NULL, 352, 640, "portrait"},
        {"9:16", NULL, "16:9", 640, 352, "landscape"},
        {NULL, NULL, "9:16", 352, 640, "portrait"},
        {NULL, NULL, "32:18", 640, 352, "landscape"},
        {NULL, NULL, "1:1", 480, 480, "square"},
        {"large", NULL, "16:9", 1280, 704, "landscape"},
        {NULL, "portrait", "16:9", 640, 352, "landscape"},
        {NULL, NULL, "4:3", 544, 416, "landscape"},
        {NULL, NULL, "3:4", 416, 544, "portrait"},
        {NULL, NULL, "2:3", 384, 576, "portrait"},
        {NULL, NULL, "4:1", 944, 240, "landscape"},
        {"large", NULL, "1:4", 480, 1904, "portrait"},
        {"large", NULL, "21:9", 1456, 624, "landscape"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct plan plan;
        char error[200] = "";
        if (!plan_make(rows[i].size, rows[i].orientation, rows[i].ratio, &plan, error))
            fail_msg("row %zu: %s", i, error);
        if (plan.width != rows[i].width || plan.height != rows[i].height)
            fail_msg("row %zu: %dx%d", i, plan.width, plan.height);
        assert_string_equal(plan.orientation, rows[i].chosen);
    }
}

static void unknown_words_are_named(void **context)
{
    (void)context;
    static const struct {
        const char *size, *orientation, *ratio, *named;
    } rows[] = {
        {"", NULL, NULL, "\"size\""},
        {"medium", NULL, NULL, "\"size\""},
        {"720", NULL, NULL, "\"size\""},
        {"63x640", NULL, NULL, "\"size\""},
        {"640x1921", NULL, NULL, "\"size\""},
        {"640x", NULL, NULL, "\"size\""},
        {"x640", NULL, NULL, "\"size\""},
        {"640x640x", NULL, NULL, "\"size\""},
        {"-640x640", NULL, NULL, "\"size\""},
        {"640 x 640", NULL, NULL, "\"size\""},
        {"99999999999999999999x640", NULL, NULL, "\"size\""},
        {"0x0", NULL, NULL, "\"size\""},
        {"0:9", NULL, NULL, "\"size\""},
        {NULL, "tall", NULL, "\"orientation\""},
        {NULL, "", NULL, "\"orientation\""},
        {NULL, NULL, "wide", "\"aspect_ratio\""},
        {NULL, NULL, "0:1", "\"aspect_ratio\""},
        {NULL, NULL, "1:0", "\"aspect_ratio\""},
        {NULL, NULL, "101:100", "\"aspect_ratio\""},
        {NULL, NULL, "5:1", "\"aspect_ratio\""},
        {NULL, NULL, "1:5", "\"aspect_ratio\""},
        {NULL, NULL, "16:9:", "\"aspect_ratio\""},
        {NULL, NULL, "", "\"aspect_ratio\""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct plan plan = {.width = -1};
        char error[200] = "";
        if (plan_make(rows[i].size, rows[i].orientation, rows[i].ratio, &plan, error))
            fail_msg("row %zu passed", i);
        assert_non_null(strstr(error, rows[i].named));
        assert_int_equal(plan.width, -1);
    }
}

/* The one formula: every sane ratio gives aligned sides, the ratio to 10 % and the area to 10 %. */
static void every_ratio_keeps_its_area(void **context)
{
    (void)context;
    for (int w = 1; w <= 100; w++)
        for (int h = 1; h <= 100; h++) {
            if (w > 4 * h || h > 4 * w)
                continue;
            char ratio[32], error[200];
            struct plan plan;
            (void)snprintf(ratio, sizeof ratio, "%d:%d", w, h);
            assert_true(plan_make("large", NULL, ratio, &plan, error));
            assert_int_equal(plan.width % 16, 0);
            assert_int_equal(plan.height % 16, 0);
            assert_in_range(plan.width, 64, 1920);
            assert_in_range(plan.height, 64, 1920);
            assert_in_range(plan.width * plan.height, 811008, 991232);
            double off = (double)plan.width / plan.height / ((double)w / h);
            assert_true(off > 0.9 && off < 1.1);
        }
}

/* What was named is told apart from what we chose. */
static void words_become_wishes(void **context)
{
    (void)context;
    static const struct {
        const char *size, *orientation, *ratio;
        struct plan_wish wish;
    } rows[] = {
        {NULL, NULL, NULL, {0, 0, 9, 16, 720, false}},
        {"small", "landscape", NULL, {0, 0, 16, 9, 720, false}},
        {"large", "square", NULL, {0, 0, 1, 1, 1080, false}},
        {"720P", NULL, NULL, {0, 0, 9, 16, 720, true}},
        {"1080p", "landscape", NULL, {0, 0, 16, 9, 1080, true}},
        {"large", "portrait", "32:18", {0, 0, 16, 9, 1080, false}},
        {"16x9", "portrait", NULL, {0, 0, 16, 9, 720, false}},
        {"4:3", NULL, "1:1", {0, 0, 1, 1, 720, false}},
        {"1280x720", "portrait", "1:1", {1280, 720, 16, 9, 720, true}},
        {"641x361", NULL, NULL, {642, 362, 321, 181, 362, true}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct plan_wish wish = {0};
        assert_true(plan_read_wish(rows[i].size, rows[i].orientation, rows[i].ratio, &wish));
        assert_int_equal(wish.width, rows[i].wish.width);
        assert_int_equal(wish.height, rows[i].wish.height);
        assert_int_equal(wish.ratio_width, rows[i].wish.ratio_width);
        assert_int_equal(wish.ratio_height, rows[i].wish.ratio_height);
        assert_int_equal(wish.lines, rows[i].wish.lines);
        assert_int_equal(wish.has_lines, rows[i].wish.has_lines);
    }
    struct plan_wish wish = {.width = -1};
    assert_false(plan_read_wish("huge", NULL, NULL, &wish));
    assert_int_equal(wish.width, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_pixels),
        cmocka_unit_test(unknown_words_are_named),
        cmocka_unit_test(words_become_wishes),
        cmocka_unit_test(every_ratio_keeps_its_area),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
