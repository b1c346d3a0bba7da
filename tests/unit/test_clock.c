/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock: both clocks, RFC 3339 both ways. */
#include <time.h>

#include "base/clock.h"
#include "test.h"

struct stamp {
    const char *text;
    int64_t seconds;
    uint32_t nanos;
};

static void parses(void)
{
    static const struct stamp rows[] = {
        {"1970-01-01T00:00:00Z",           0,            0        },
        {"1970-01-01T00:00:00.000000001Z", 0,            1        },
        {"1969-12-31T23:59:59.5Z",         -1,           500000000},
        {"2026-11-20T18:49:00.123Z",       1795200540,   123000000},
        {"2026-11-20T19:49:00.123+01:00",  1795200540,   123000000},
        {"2026-11-20T13:19:00-05:30",      1795200540,   0        },
        {"2026-11-20t18:49:00z",           1795200540,   0        },
        {"2000-02-29T00:00:00Z",           951782400,    0        },
        {"2024-02-29T12:00:00+00:00",      1709208000,   0        },
        {"1900-03-01T00:00:00Z",           -2203891200,  0        },
        {"0000-01-01T00:00:00Z",           -62167219200, 0        },
        {"0000-12-31T00:00:00Z",           -62135683200, 0        },
        {"0001-01-01T00:00:00Z",           -62135596800, 0        },
        {"9999-12-31T23:59:59.999999999Z", 253402300799, 999999999},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t seconds = 1;
        uint32_t nanos = 1;

        test_note("%s", rows[i].text);
        CHECK(rfc3339_parse(str_of(rows[i].text), &seconds, &nanos));
        CHECK(seconds == rows[i].seconds && nanos == rows[i].nanos);
    }
}

static void refuses(void)
{
    static const char *const rows[] = {
        "",
        "2026-11-20",
        "2026-11-20T18:49:00",
        "2026-11-20 18:49:00Z",
        "2026-11-20T18:49Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T18:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-11-20T18:49:00.Z",
        "2026-11-20T18:49:00.1234567890Z",
        "2026-11-20T18:49:00+24:00",
        "2026-11-20T18:49:00+01:60",
        "2026-11-20T18:49:00+0100",
        "2026-11-20T18:49:00ZZ",
        "+026-11-20T18:49:00Z",
        "2026-1-20T18:49:00Z",
        "20261-11-20T18:49:00Z",
        " 2026-11-20T18:49:00Z",
    };
    int64_t seconds = 5;
    uint32_t nanos = 6;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        test_note("%s", rows[i]);
        CHECK(!rfc3339_parse(str_of(rows[i]), &seconds, &nanos));
    }
    CHECK(seconds == 5 && nanos == 6);
}

static void formats(void)
{
    char out[RFC3339_MAX];

    CHECK(rfc3339_format_ms(1795200540123, out) == 24);
    CHECK(strcmp(out, "2026-11-20T18:49:00.123Z") == 0);
    ignore((long)rfc3339_format_ms(0, out));
    CHECK(strcmp(out, "1970-01-01T00:00:00.000Z") == 0);
    ignore((long)rfc3339_format_ms(-1, out));
    CHECK(strcmp(out, "1969-12-31T23:59:59.999Z") == 0);
    CHECK(rfc3339_format_ns(1, 0, out) == 20 && strcmp(out, "1970-01-01T00:00:01Z") == 0);
    CHECK(rfc3339_format_ns(1, 120000000, out) == 24);
    CHECK(strcmp(out, "1970-01-01T00:00:01.120Z") == 0);
    CHECK(rfc3339_format_ns(1, 120000, out) == 27);
    CHECK(strcmp(out, "1970-01-01T00:00:01.000120Z") == 0);
    CHECK(rfc3339_format_ns(1, 1, out) == 30);
    CHECK(strcmp(out, "1970-01-01T00:00:01.000000001Z") == 0);
}

static void clamps_to_four_digit_years(void)
{
    char out[RFC3339_MAX];

    CHECK(rfc3339_format_ms(INT64_MAX, out) == 24);
    CHECK(strcmp(out, "9999-12-31T23:59:59.999Z") == 0);
    CHECK(rfc3339_format_ms(INT64_MIN, out) == 24);
    CHECK(strcmp(out, "0000-01-01T00:00:00.000Z") == 0);
    CHECK(rfc3339_format_ns(INT64_MAX, 0, out) == 20);
    CHECK(rfc3339_format_ns(INT64_MIN, UINT32_MAX, out) > 0);
}

/* Every day from year 0 to 9999, against timegm(). */
static void agrees_with_the_c_library(void)
{
    for (int64_t day = -719528; day < 2932897; day += 7) {
        char out[RFC3339_MAX], expected[RFC3339_MAX];
        time_t seconds = (time_t)(day * 86400 + (day & 65535));
        struct tm tm;
        int64_t back;
        uint32_t nanos;

        CHECK(gmtime_r(&seconds, &tm) != NULL);
        CHECK(strftime(expected, sizeof(expected), "%m-%dT%H:%M:%SZ", &tm) == 15);
        CHECK(rfc3339_format_ns(seconds, 0, out) == 20);
        CHECK(strcmp(out + 5, expected) == 0);
        CHECK(rfc3339_parse(str_of(out), &back, &nanos) && back == seconds && nanos == 0);
    }
}

static void runs(void)
{
    uint64_t before = clock_mono_ms();
    uint64_t before_us = clock_mono_us();
    int64_t wall = clock_wall_ms();

    CHECK(clock_mono_ms() >= before && clock_mono_us() >= before_us);
    CHECK(before_us / 1000 - before < 1000);
    CHECK(wall > 1700000000000);
    clock_shift_ms(3600000);
    CHECK(clock_mono_ms() >= before + 3600000);
    CHECK(clock_mono_ms() < before + 3660000);
    CHECK(clock_wall_ms() >= wall + 3600000);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"parses",                     parses                    },
        {"refuses",                    refuses                   },
        {"formats",                    formats                   },
        {"clamps to four digit years", clamps_to_four_digit_years},
        {"agrees with the C library",  agrees_with_the_c_library },
        {"runs",                       runs                      },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
