/* SPDX-License-Identifier: Apache-2.0
 *
 * Moments as people and programs write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/moment.h"

static void moments_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t micros;
    } cases[] = {
        {"0", 0},
        {"1759763426", INT64_C(1759763426000000)},
        {"1759763426.875729", INT64_C(1759763426875729)},
        {"1759763426.5", INT64_C(1759763426500000)},
        {"1759763426.123456789", INT64_C(1759763426123456)},
        {"99999999999", INT64_C(99999999999000000)},
        {"100000000000", INT64_C(100000000000000)},
        {"1759763426875", INT64_C(1759763426875000)},
        {"2025-10-06", INT64_C(1759708800000000)},
        {"2025-10-06T15:10", INT64_C(1759763400000000)},
        {"2025-10-06T15:10:26", INT64_C(1759763426000000)},
        {"2025-10-06T15:10:26Z", INT64_C(1759763426000000)},
        {"2025-10-06t15:10:26z", INT64_C(1759763426000000)},
        {"2025-10-06 15:10:26", INT64_C(1759763426000000)},
        {"2025-10-06T15:10:26.875729Z", INT64_C(1759763426875729)},
        {"2025-10-06T17:10:26+02:00", INT64_C(1759763426000000)},
        {"2025-10-06T17:10:26 02:00", INT64_C(1759763426000000)},
        {"2025-10-06T17:10:26.5+0200", INT64_C(1759763426500000)},
        {"2025-10-06T17:10+02", INT64_C(1759763400000000)},
        {"2025-10-06T11:40:26-03:30", INT64_C(1759763426000000)},
        {"1970-01-01", 0},
        {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t micros = -1;
        if (!moment_parse(cases[i].text, &micros) || micros != cases[i].micros)
            fail_msg("%s: %lld", cases[i].text, (long long)micros);
    }
}

static void what_is_none_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        " ",
        "yesterday",
        "-1",
        "+1",
        "1.",
        ".5",
        "1.1234567890",
        "1759763426875.5",
        "1759763426x",
        "1e9",
        "9999999999999999",
        "999999999999999999999999",
        "300000000000000",
        "2025-10",
        "2025-10-06T",
        "2025-10-06T15",
        "2025-10-06T15:1",
        "2025-10-06T15:10:2",
        "2025-10-06Z",
        "2025-10-06T15:10:26.Z",
        "2025-10-06T15:10:26+",
        "2025-10-06T15:10:26+2",
        "2025-10-06T15:10:26+24:00",
        "2025-10-06T15:10:26+02:60",
        "2025-10-06T15:10:26+02:00x",
        "2025-10-06T15:10:26ZZ",
        "2025-10-06T24:00:00Z",
        "2025-02-29",
        "1969-12-31",
        "1970-01-01T00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t micros = 77;
        if (moment_parse(cases[i], &micros) || micros != 77)
            fail_msg("\"%s\" was read as %lld", cases[i], (long long)micros);
    }
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(what_is_none_is_refused),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
