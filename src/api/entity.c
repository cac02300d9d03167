/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of RFC 9110 that conditional and partial answers need. Pure; any thread. */
#include "api/entity.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool entity_list_has_tag(const char *list, const char *tag)
{
    if (list == NULL)
        return false;
    size_t length = strlen(tag);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        if (*list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        size_t taken = strcspn(list, ",");
        if (taken >= length && strncmp(list, tag, length) == 0 &&
            strspn(list + length, " \t") >= taken - length)
            return true;
        list += taken;
    }
    return false;
}

void entity_date(int64_t seconds, char ret_date[ENTITY_DATE_SIZE])
{
    /* strftime() would speak the locale's language. */
    static const char DAYS[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char MONTHS[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t when = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&when, &tm);
    snprintf(ret_date, ENTITY_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT",
             DAYS[tm.tm_wday % 7], tm.tm_mday % 100, MONTHS[tm.tm_mon % 12],
             (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
}

/* Digits up to something else; a number beyond 18 digits is cut to the greatest one. */
static bool read_number(const char **at, int64_t *ret_number)
{
    size_t digits = strspn(*at, "0123456789");
    if (digits == 0)
        return false;
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++)
        number = number > INT64_MAX / 10 - 1 ? INT64_MAX / 10 : number * 10 + ((*at)[i] - '0');
    *at += digits;
    *ret_number = number;
    return true;
}

enum entity_range entity_read_range(const char *header, int64_t size, int64_t *ret_first,
                                    int64_t *ret_length)
{
    static const char UNIT[] = "bytes=";
    if (header == NULL || strncasecmp(header, UNIT, sizeof(UNIT) - 1) != 0)
        return ENTITY_WHOLE;
    const char *at = header + sizeof(UNIT) - 1;
    at += strspn(at, " \t");
    int64_t first = 0;
    int64_t last = size - 1;
    bool has_first = read_number(&at, &first);
    if (*at++ != '-')
        return ENTITY_WHOLE;
    int64_t second = 0;
    bool has_second = read_number(&at, &second);
    if (at[strspn(at, " \t")] != '\0' || (!has_first && !has_second) ||
        (has_first && has_second && second < first))
        return ENTITY_WHOLE;
    if (!has_first)
        first = second < size ? size - second : 0;
    else if (has_second && second < last)
        last = second;
    if (first >= size || (!has_first && second == 0))
        return ENTITY_OUTSIDE;
    *ret_first = first;
    *ret_length = last - first + 1;
    return ENTITY_PART;
}
