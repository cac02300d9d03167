/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/shared_text.h"

static void a_text_is_shared(void **state)
{
    (void)state;
    const struct shared_text *text = shared_text_new("main"), *same = shared_text_ref(text);
    assert_ptr_equal(same, text);
    assert_null(shared_text_unref(text));
    assert_string_equal(shared_text_of(same), "main");
    assert_null(shared_text_unref(same));
}

static void nothing_is_the_empty_text(void **state)
{
    (void)state;
    assert_null(shared_text_new(NULL));
    assert_null(shared_text_new(""));
    assert_null(shared_text_ref(NULL));
    assert_null(shared_text_unref(NULL));
    assert_string_equal(shared_text_of(NULL), "");
}

static void one_takes_the_place_of_another(void **state)
{
    (void)state;
    const struct shared_text *place = NULL;
    shared_text_set(&place, "first one");
    const struct shared_text *first = shared_text_ref(place);
    shared_text_set(&place, shared_text_of(place) + 6); /* a part of what it replaces */
    assert_string_equal(shared_text_of(place), "one");
    assert_string_equal(shared_text_of(first), "first one");
    shared_text_unref(first);
    shared_text_set(&place, NULL);
    assert_null(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_shared),
        cmocka_unit_test(nothing_is_the_empty_text),
        cmocka_unit_test(one_takes_the_place_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
