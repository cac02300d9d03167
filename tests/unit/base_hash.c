/* SPDX-License-Identifier: Apache-2.0
 *
 * Records hold these numbers, so they are those of everybody's FNV-1a. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/hash.h"

static void a_text_has_its_known_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t short_one;
        uint64_t long_one;
    } rows[] = {
        {"", 0x811c9dc5U, 0xcbf29ce484222325U},
        {"a", 0xe40c292cU, 0xaf63dc4c8601ec8cU},
        {"foobar", 0xbf9cf968U, 0x85944171f73967e8U},
        {"\xff", 0x7a0b824eU, 0xaf64724c8602eb6eU},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(hash_text32(rows[i].text), rows[i].short_one);
        assert_int_equal(hash_text64(rows[i].text), rows[i].long_one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_text_has_its_known_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
