/* SPDX-License-Identifier: Apache-2.0 */
/* Series hold a whole life in bounded memory, and what they merge is right. */
#include "domain/series.h"
#include "test.h"

static const enum series_merge merge[SERIES_VALUES] = {SERIES_LAST, SERIES_MEAN, SERIES_HIGH,
                                                       SERIES_LAST};

static void add(struct series *s, int64_t at_ms, uint32_t value)
{
    const uint32_t values[SERIES_VALUES] = {value, value, value, 7};

    series_add(s, at_ms, values);
}

static void points_keep_their_distance(void)
{
    struct series s;

    series_init(&s, merge);
    CHECK(series_wants(&s, 1000));
    add(&s, 1000, 1);
    CHECK(!series_wants(&s, 1000 + SERIES_STEP_MS - 10));
    add(&s, 1000 + SERIES_STEP_MS - 10, 2);
    add(&s, 500, 3); /* the clock went back */
    CHECK(s.count == 1);
    add(&s, 1000 + SERIES_STEP_MS, 4);
    CHECK(s.count == 2 && series_time(&s, 1) == 1000 + SERIES_STEP_MS);
    CHECK(s.points[1].values[0] == 4);
    series_done(&s);
}

static void a_year_fits(void)
{
    const int64_t year_ms = (int64_t)365 * 24 * 3600 * 1000, begin = 1764000000000;
    struct series s;

    series_init(&s, merge);
    for (int64_t at = 0; at <= year_ms; at += 60 * 1000)
        add(&s, begin + at, (uint32_t)(at / 60000));
    CHECK(s.count > SERIES_MAX / 2 && s.count <= SERIES_MAX && s.room == SERIES_MAX);
    for (size_t i = 1; i < s.count; i++) /* the point that made room keeps the older step */
        CHECK(series_time(&s, i) - series_time(&s, i - 1) >= s.step_ms / 2);
    CHECK(series_time(&s, (size_t)s.count - 1) > begin + year_ms - 2 * (int64_t)s.step_ms);
    series_done(&s);
}

static void neighbours_merge_by_kind(void)
{
    struct series s;

    series_init(&s, merge);
    for (uint32_t i = 0; i <= SERIES_MAX; i++)
        add(&s, (int64_t)i * SERIES_STEP_MS, i % 2 == 0 ? 30 : 10);
    CHECK(s.count == SERIES_MAX / 2 + 1 && s.step_ms == 2 * SERIES_STEP_MS);
    CHECK(s.points[0].values[0] == 10);           /* the later */
    CHECK(s.points[0].values[1] == 20);           /* the mean */
    CHECK(s.points[0].values[2] == 30);           /* the higher */
    CHECK(series_time(&s, 0) == SERIES_STEP_MS);  /* at the time of the later */
    CHECK(s.points[s.count - 1].values[0] == 30); /* the one that made room necessary */
    series_done(&s);
}

static void seeking_finds_the_first_not_before(void)
{
    struct series s;

    series_init(&s, merge);
    CHECK(series_seek(&s, 5) == 0);
    for (int64_t i = 1; i <= 10; i++)
        add(&s, i * 10000, 1);
    CHECK(series_seek(&s, 0) == 0);
    CHECK(series_seek(&s, 10000) == 0);
    CHECK(series_seek(&s, 10001) == 1);
    CHECK(series_seek(&s, 100000) == 9);
    CHECK(series_seek(&s, 100001) == 10);
    series_done(&s);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"points keep their distance",         points_keep_their_distance        },
        {"a year fits",                        a_year_fits                       },
        {"neighbours merge by kind",           neighbours_merge_by_kind          },
        {"seeking finds the first not before", seeking_finds_the_first_not_before},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
