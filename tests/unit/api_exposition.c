/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of labels, as Prometheus reads them. The rest of GET /metrics is tests/live/metrics.test.js's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/exposition.h"
#include "base/compiler.h"

static void what_would_end_a_value_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value, *text;
    } rows[] = {
        {"", ""},           {"kling-main", "kling-main"},
        {"a\"b", "a\\\"b"}, {"a\\b\\", "a\\\\b\\\\"},
        {"a\nb", "a\\nb"},  {"b\xc3\xb6se", "b\xc3\xb6se"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CLEANUP(buf_fini) struct buf out;
        buf_init(&out, 100);
        exposition_add_value(&out, rows[i].value);
        assert_string_equal(buf_text(&out), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_would_end_a_value_is_escaped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
