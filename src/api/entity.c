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

static bool take_digits(const char **at, size_t count, int *ret_number)
{
    int number = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        number = number * 10 + (**at - '0');
    }
    *ret_number = number;
    return true;
}

static bool take_word(const char **at)
{
    size_t length = strspn(*at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    *at += length;
    return length >= 3;
}

static bool take_month(const char **at, struct tm *tm)
{
    for (tm->tm_mon = 0; tm->tm_mon < 12; tm->tm_mon++) {
        if (strncmp(*at, MONTHS[tm->tm_mon], 3) == 0) {
            *at += 3;
            return true;
        }
    }
    return false;
}

static bool take_year(const char **at, size_t digits, struct tm *tm)
{
    int year;
    if (!take_digits(at, digits, &year))
        return false;
    tm->tm_year = digits == 4 ? year - 1900 : year < 70 ? year + 100 : year;
    return true;
}

/* A part of a pattern: w a day's name, d the day (one digit after a blank), b the month's name, Y
 * and y the year with four digits and two, h m s the time; else the character itself. */
static bool take_part(const char **at, char part, struct tm *tm)
{
    switch (part) {
    case 'w':
        return take_word(at);
    case 'd':
        if (**at != ' ')
            return take_digits(at, 2, &tm->tm_mday);
        (*at)++;
        return take_digits(at, 1, &tm->tm_mday);
    case 'b':
        return take_month(at, tm);
    case 'Y':
        return take_year(at, 4, tm);
    case 'y':
        return take_year(at, 2, tm);
    case 'h':
        return take_digits(at, 2, &tm->tm_hour) && tm->tm_hour <= 23;
    case 'm':
        return take_digits(at, 2, &tm->tm_min) && tm->tm_min <= 59;
    case 's':
        return take_digits(at, 2, &tm->tm_sec) && tm->tm_sec <= 60;
    default:
        return *(*at)++ == part;
    }
}

static bool read_pattern(const char *text, const char *pattern, int64_t *ret_seconds)
{
    struct tm tm = {0};
    for (; *pattern != '\0'; pattern++) {
        if (!take_part(&text, *pattern, &tm))
            return false;
    }
    if (*text != '\0' || tm.tm_year < 70 || tm.tm_mday < 1 || tm.tm_mday > 31)
        return false;
    *ret_seconds = (int64_t)timegm(&tm);
    return true;
}

bool entity_read_date(const char *text, int64_t *ret_seconds)
{
    return read_pattern(text, "w, d b Y h:m:s GMT", ret_seconds) ||
           read_pattern(text, "w, d-b-y h:m:s GMT", ret_seconds) || /* RFC 850 */
           read_pattern(text, "w b d h:m:s Y", ret_seconds);        /* asctime() */
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
