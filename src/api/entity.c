/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of RFC 9110 that conditional and partial answers need. Pure; any thread. */
#include "api/entity.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Takes one entity tag, quotes included, and moves behind it. False when there is none. */
static bool take_tag(const char **at, const char **ret_tag, size_t *ret_length, bool *ret_is_weak)
{
    const char *c = *at;
    bool is_weak = strncmp(c, "W/", 2) == 0;
    c += is_weak ? 2 : 0;
    const char *tag = c;
    if (*c++ != '"')
        return false;
    while (*c != '"') {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) /* the end of the text, too */
            return false;
        c++;
    }
    *at = c + 1;
    *ret_tag = tag;
    *ret_length = (size_t)(c + 1 - tag);
    *ret_is_weak = is_weak;
    return true;
}

bool entity_list_has_tag(const char *list, const char *tag, enum entity_comparison comparison)
{
    static const char between[] = " \t,";
    if (list == NULL)
        return false;
    list += strspn(list, between);
    if (*list == '*')
        return list[1 + strspn(list + 1, " \t")] == '\0';
    const char *one;
    size_t length;
    bool is_weak;
    while (take_tag(&list, &one, &length, &is_weak)) {
        if (length == strlen(tag) && memcmp(one, tag, length) == 0 &&
            (comparison == ENTITY_WEAK || !is_weak))
            return true;
        size_t blank = strspn(list, " \t");
        if (list[blank] != ',')
            return false;
        list += strspn(list, between);
    }
    return false;
}

static const char MONTHS[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void entity_date(int64_t seconds, char ret_date[ENTITY_DATE_SIZE])
{
    /* strftime() would speak the locale's language. */
    static const char DAYS[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    time_t when = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&when, &tm);
    snprintf(ret_date, ENTITY_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT",
             DAYS[tm.tm_wday % 7], tm.tm_mday % 100, MONTHS[tm.tm_mon % 12],
             (tm.tm_year + 1900) % 10000, tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
}

/* Fits the parts to a moment; `month` by its name. */
static bool fit_moment(struct tm *tm, const char *month, int64_t *ret_seconds)
{
    tm->tm_mon = 0;
    while (tm->tm_mon < 12 && strcmp(MONTHS[tm->tm_mon], month) != 0)
        tm->tm_mon++;
    tm->tm_year -= 1900;
    if (tm->tm_mon == 12 || tm->tm_year < 70 || tm->tm_mday < 1 || tm->tm_mday > 31 ||
        tm->tm_hour < 0 || tm->tm_hour > 23 || tm->tm_min < 0 || tm->tm_min > 59 ||
        tm->tm_sec < 0 || tm->tm_sec > 60)
        return false;
    *ret_seconds = (int64_t)timegm(tm);
    return true;
}

bool entity_read_date(const char *text, int64_t *ret_seconds)
{
    struct tm tm = {0};
    char month[4] = "";
    int end = 0;
    int *day = &tm.tm_mday, *year = &tm.tm_year;
    int *hour = &tm.tm_hour, *minute = &tm.tm_min, *second = &tm.tm_sec;
    (void)sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", day, month, year, hour,
                 minute, second, &end);
    if (end == 0) /* RFC 850: two digits of the year */
        (void)sscanf(text, "%*[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", day, month, year,
                     hour, minute, second, &end);
    if (end == 0) /* asctime() */
        (void)sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, day, hour, minute,
                     second, year, &end);
    if (end == 0 || text[end] != '\0')
        return false;
    if (tm.tm_year < 100)
        tm.tm_year += tm.tm_year < 70 ? 2000 : 1900;
    return fit_moment(&tm, month, ret_seconds);
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
