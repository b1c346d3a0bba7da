/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and RFC 3339. Used by the loop, the log and every record. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { DAY_S = 86400 };

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what four digits of year can say. */
static const int64_t first_second = -62167219200;
static const int64_t last_second = 253402300799;

static _Atomic uint64_t shift_ms; /* tests only */

uint64_t clock_mono_us(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        abort();
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 +
           atomic_load_explicit(&shift_ms, memory_order_relaxed) * 1000;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        abort();
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 +
           (int64_t)atomic_load_explicit(&shift_ms, memory_order_relaxed);
}

void clock_shift_ms(uint64_t forward_ms)
{
    atomic_fetch_add(&shift_ms, forward_ms);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of January of the year. */
static int64_t days_to_year(int year)
{
    int64_t before = (int64_t)year - 1;
    /* rounded down also for year 0, where before is -1 */
    int64_t leaps = year == 0 ? -1 : before / 4 - before / 100 + before / 400;

    return before * 365 + leaps - 719162;
}

struct date {
    int year, month, day;
};

static struct date date_of_days(int64_t days)
{
    struct date d = {.year = (int)(1970 + days / 366), .month = 1};

    /* the guess is short by a few years at most: days / 366 against days / 365.2425 */
    while (d.year > 0 && days_to_year(d.year) > days)
        d.year--;
    while (days_to_year(d.year + 1) <= days)
        d.year++;
    days -= days_to_year(d.year);
    while (days >= month_days(d.year, d.month))
        days -= month_days(d.year, d.month++);
    d.day = (int)days + 1;
    return d;
}

/* "2026-11-20T18:49:00" */
static size_t format_seconds(int64_t seconds, char out[RFC3339_MAX])
{
    int64_t days = seconds / DAY_S - (seconds % DAY_S < 0);
    int second = (int)(seconds - days * DAY_S);
    struct date d = date_of_days(days);

    return (size_t)snprintf(out, RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", d.year, d.month,
                            d.day, second / 3600, second / 60 % 60, second % 60);
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    if (value < low)
        return low;
    return value > high ? high : value;
}

size_t rfc3339_format_ms(int64_t wall_ms, char out[RFC3339_MAX])
{
    int64_t seconds, millis;
    size_t len;

    wall_ms = clamp(wall_ms, first_second * 1000, last_second * 1000 + 999);
    seconds = wall_ms / 1000 - (wall_ms % 1000 < 0);
    millis = wall_ms - seconds * 1000;
    len = format_seconds(seconds, out);
    return len + (size_t)snprintf(out + len, RFC3339_MAX - len, ".%03uZ", (unsigned)millis);
}

size_t rfc3339_format_ns(int64_t seconds, uint32_t nanos, char out[RFC3339_MAX])
{
    size_t len = format_seconds(clamp(seconds, first_second, last_second), out);
    char *at = out + len;
    size_t size = RFC3339_MAX - len;

    nanos %= 1000000000;
    if (nanos == 0)
        return len + (size_t)snprintf(at, size, "Z");
    if (nanos % 1000000 == 0)
        return len + (size_t)snprintf(at, size, ".%03uZ", nanos / 1000000);
    if (nanos % 1000 == 0)
        return len + (size_t)snprintf(at, size, ".%06uZ", nanos / 1000);
    return len + (size_t)snprintf(at, size, ".%09uZ", nanos);
}

/* Takes exactly `count` digits off the front. */
static bool take_digits(struct str *s, size_t count, int *out)
{
    uint64_t value = 0;

    if (s->len < count || !str_to_u64(str_upto(*s, count), &value))
        return false;
    *s = str_from(*s, count);
    *out = (int)value;
    return true;
}

/* Takes one byte off the front when it is `a` or `b`. */
static bool take_either(struct str *s, char a, char b)
{
    if (s->len == 0 || (s->at[0] != a && s->at[0] != b))
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_date(struct str *s, int64_t *days)
{
    struct date d;

    if (!take_digits(s, 4, &d.year) || !take_either(s, '-', '-') || !take_digits(s, 2, &d.month) ||
        !take_either(s, '-', '-') || !take_digits(s, 2, &d.day))
        return false;
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > month_days(d.year, d.month))
        return false;
    *days = days_to_year(d.year) + d.day - 1;
    for (int month = 1; month < d.month; month++)
        *days += month_days(d.year, month);
    return true;
}

static bool take_time(struct str *s, int *second)
{
    int hour = 0, minute = 0;

    if (!take_digits(s, 2, &hour) || !take_either(s, ':', ':') || !take_digits(s, 2, &minute) ||
        !take_either(s, ':', ':') || !take_digits(s, 2, second))
        return false;
    if (hour > 23 || minute > 59 || *second > 59) /* a leap second has no number since 1970 */
        return false;
    *second += hour * 3600 + minute * 60;
    return true;
}

static bool take_fraction(struct str *s, uint32_t *nanos)
{
    unsigned digits = 0;

    *nanos = 0;
    if (!take_either(s, '.', '.'))
        return true;
    for (; s->len > 0 && s->at[0] >= '0' && s->at[0] <= '9'; digits++) {
        if (digits == 9)
            return false;
        *nanos = *nanos * 10 + (uint32_t)(s->at[0] - '0');
        *s = str_from(*s, 1);
    }
    if (digits == 0)
        return false;
    for (; digits < 9; digits++)
        *nanos *= 10;
    return true;
}

static bool take_offset(struct str *s, int *offset)
{
    bool is_west = s->len > 0 && s->at[0] == '-';
    int hour = 0, minute = 0;

    *offset = 0;
    if (take_either(s, 'Z', 'z'))
        return true;
    if (!take_either(s, '+', '-') || !take_digits(s, 2, &hour) || !take_either(s, ':', ':') ||
        !take_digits(s, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *offset = (hour * 3600 + minute * 60) * (is_west ? -1 : 1);
    return true;
}

bool rfc3339_parse(struct str text, int64_t *out_seconds, uint32_t *out_nanos)
{
    int64_t days = 0;
    uint32_t nanos = 0;
    int second = 0, offset = 0;

    if (!take_date(&text, &days) || !take_either(&text, 'T', 't') || !take_time(&text, &second) ||
        !take_fraction(&text, &nanos) || !take_offset(&text, &offset) || text.len > 0)
        return false;
    *out_seconds = days * DAY_S + second - offset;
    *out_nanos = nanos;
    return true;
}
