/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a moment. What is ISO 8601 is brought to the one form that the clock reads, and the fraction and the zone are
 * added. Pure: any thread. */
#include "base/moment.h"

#include <string.h>

#include "base/clock.h"

enum { MICROS = 1000000, DIGITS_MAX = 15, FRACTION_MAX = 9 };

/* Numbers as large as this are milliseconds: seconds would lie in the year 5138. */
static const int64_t FIRST_MS = INT64_C(100000000000);
static const int64_t LAST_MICROS = INT64_C(253402300799) * MICROS + MICROS - 1; /* in 9999 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes `.` and 1 to 9 digits, if there are any; false when what stands behind the point is none. */
static bool take_fraction(const char **at, int64_t *ret_micros)
{
    int64_t unit = MICROS / 10;
    int n_digits = 0;
    *ret_micros = 0;
    if (**at != '.')
        return true;
    for ((*at)++; is_digit(**at); (*at)++, unit /= 10, n_digits++)
        *ret_micros += (**at - '0') * unit;
    return n_digits >= 1 && n_digits <= FRACTION_MAX;
}

static bool parse_number(const char *text, int64_t *ret_micros)
{
    int64_t value = 0, fraction = 0;
    const char *at = text;
    for (; is_digit(*at) && at - text < DIGITS_MAX; at++)
        value = value * 10 + (*at - '0');
    if (at == text || (value >= FIRST_MS && *at != '\0') || !take_fraction(&at, &fraction) ||
        *at != '\0')
        return false;
    *ret_micros = value >= FIRST_MS ? value * 1000 : value * MICROS + fraction;
    return *ret_micros <= LAST_MICROS;
}

/* Two digits of at most `most`. */
static bool take_two(const char **at, int most, int *ret_value)
{
    if (!is_digit((*at)[0]) || !is_digit((*at)[1]))
        return false;
    *ret_value = ((*at)[0] - '0') * 10 + ((*at)[1] - '0');
    *at += 2;
    return *ret_value <= most;
}

/* Nothing, `Z`, or `+02:00`, `+0200`, `+02` and the like: how far ahead of UTC. */
static bool parse_zone(const char *at, int64_t *ret_micros)
{
    int hours = 0, minutes = 0;
    const char sign = *at;
    *ret_micros = 0;
    if (sign == '\0' || strcmp(at, "Z") == 0 || strcmp(at, "z") == 0)
        return true;
    at++;
    if ((sign != '+' && sign != ' ' && sign != '-') || !take_two(&at, 23, &hours))
        return false;
    at += *at == ':';
    if (*at != '\0' && !take_two(&at, 59, &minutes))
        return false;
    *ret_micros = (sign == '-' ? -1 : 1) * (hours * INT64_C(3600) + minutes * INT64_C(60)) * MICROS;
    return *at == '\0';
}

/* Copies the characters of `at` that are of `shape` (0: a digit; T: T, t or a blank). How many. */
static size_t take_shape(const char *at, const char *shape, char *ret_text)
{
    size_t i = 0;
    for (; shape[i] != '\0'; i++) {
        bool fits = shape[i] == '0'   ? is_digit(at[i])
                    : shape[i] == 'T' ? at[i] != '\0' && strchr("Tt ", at[i]) != NULL
                                      : at[i] == shape[i];
        if (!fits)
            return 0;
        ret_text[i] = shape[i] == 'T' ? 'T' : at[i];
    }
    return i;
}

static bool parse_iso(const char *text, int64_t *ret_micros)
{
    char form[] = "0000-00-00T00:00:00Z";
    int64_t seconds = 0, fraction = 0, zone = 0;
    const char *at = text + take_shape(text, "0000-00-00", form);
    if (at == text)
        return false;
    if (*at != '\0') { /* a date alone has no zone */
        size_t taken = take_shape(at, "T00:00", form + 10);
        if (taken == 0)
            return false;
        at += taken;
        at += take_shape(at, ":00", form + 16);
        if (!take_fraction(&at, &fraction) || !parse_zone(at, &zone))
            return false;
    }
    if (!clock_parse_iso_seconds(form, &seconds))
        return false;
    *ret_micros = seconds * MICROS + fraction - zone;
    return *ret_micros >= 0 && *ret_micros <= LAST_MICROS;
}

bool moment_parse(const char *text, int64_t *ret_micros)
{
    int64_t micros;
    if (!parse_number(text, &micros) && !parse_iso(text, &micros))
        return false;
    *ret_micros = micros;
    return true;
}
