/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and the two written forms of a time. The calendar is computed here rather than by the C
 * library, whose functions look at the time zone and take locks; this way the log may write a
 * time even as the process dies. Stateless; any thread. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

enum { DAY_SECONDS = 86400, MICROS = 1000000 };

static const int64_t LAST_SECOND = INT64_C(253402300799); /* 9999-12-31T23:59:59Z */

static int64_t read_clock(clockid_t clock, int64_t per_second)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        return 0; /* cannot be for these clocks */
    return (int64_t)now.tv_sec * per_second + now.tv_nsec / (INT64_C(1000000000) / per_second);
}

int64_t clock_wall_micros(void)
{
    return read_clock(CLOCK_REALTIME, MICROS);
}

int64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

int64_t clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_mono_micros(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to January 1st of `year`, 1970 or later. */
static int64_t days_before_year(int year)
{
    int past = year - 1;
    return (int64_t)(year - 1970) * 365 + (past / 4 - past / 100 + past / 400) - 477;
}

static void put_digits(char *at, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Writes the 19 characters up to the seconds, no NUL. */
static void put_date_time(char *at, int64_t seconds)
{
    int64_t day = seconds / DAY_SECONDS;
    int64_t rest = seconds % DAY_SECONDS;
    int year = 1970 + (int)(day / 366); /* never too late; at most 22 years too early */
    while (days_before_year(year + 1) <= day)
        year++;
    day -= days_before_year(year);
    int month = 1;
    while (day >= month_days(year, month))
        day -= month_days(year, month++);

    static const char FORM[] = "0000-00-00T00:00:00";
    for (size_t i = 0; i < sizeof(FORM) - 1; i++)
        at[i] = FORM[i];
    put_digits(at, year, 4);
    put_digits(at + 5, month, 2);
    put_digits(at + 8, day + 1, 2);
    put_digits(at + 11, rest / 3600, 2);
    put_digits(at + 14, rest / 60 % 60, 2);
    put_digits(at + 17, rest % 60, 2);
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

void clock_iso_micros(int64_t micros, char ret_text[CLOCK_ISO_MICROS_SIZE])
{
    micros = clamp(micros, 0, LAST_SECOND * MICROS + MICROS - 1);
    put_date_time(ret_text, micros / MICROS);
    ret_text[19] = '.';
    put_digits(ret_text + 20, micros % MICROS, 6);
    memcpy(ret_text + 26, "Z", 2);
}

void clock_iso_seconds(int64_t seconds, char ret_text[CLOCK_ISO_SECONDS_SIZE])
{
    put_date_time(ret_text, clamp(seconds, 0, LAST_SECOND));
    memcpy(ret_text + 19, "Z", 2);
}

/* The number in `digits` characters, already known to be digits. */
static int take_digits(const char *at, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

static bool has_shape(const char *text, const char *shape)
{
    if (strlen(text) != strlen(shape))
        return false;
    for (size_t i = 0; shape[i] != '\0'; i++) {
        bool fits = shape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
        if (!fits)
            return false;
    }
    return true;
}

bool clock_parse_iso_seconds(const char *text, int64_t *ret_seconds)
{
    if (!has_shape(text, "0000-00-00T00:00:00Z"))
        return false;
    int year = take_digits(text, 4);
    int month = take_digits(text + 5, 2);
    int day = take_digits(text + 8, 2);
    int hour = take_digits(text + 11, 2);
    int minute = take_digits(text + 14, 2);
    int second = take_digits(text + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    int64_t days = days_before_year(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += month_days(year, m);
    *ret_seconds = days * DAY_SECONDS + (hour * INT64_C(60) + minute) * 60 + second;
    return true;
}
