/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets: bursts, the steady rate, penalties, and how long to wait. */
#include "base/bucket.h"
#include "base/own.h"
#include "test.h"

static const struct bucket_rule rule = {100, 200};

static unsigned take_all(struct bucket *b, uint64_t now_ms, unsigned tries)
{
    unsigned got = 0;

    for (unsigned i = 0; i < tries; i++)
        got += bucket_take(b, &rule, 1, now_ms);
    return got;
}

static void a_new_one_is_full(void)
{
    struct bucket b = {0};

    CHECK(take_all(&b, 5000, 1000) == 200);
    CHECK(!bucket_take(&b, &rule, 1, 5000));
}

static void the_rate_is_kept(void)
{
    struct bucket b = {0};
    unsigned got = take_all(&b, 0, 300);

    CHECK(got == 200);
    for (uint64_t ms = 1; ms <= 10000; ms++)
        got += take_all(&b, ms, 5);
    CHECK(got >= 200 + 990 && got <= 200 + 1000);
}

static void a_pause_fills_no_more_than_the_burst(void)
{
    struct bucket b = {0};

    CHECK(take_all(&b, 1, 200) == 200);
    CHECK(take_all(&b, 1000 * 1000, 1000) == 200);
}

static void a_refusal_costs_nothing(void)
{
    struct bucket b = {0};

    CHECK(take_all(&b, 1, 200) == 200);
    CHECK(take_all(&b, 1, 100000) == 0);
    CHECK(take_all(&b, 101, 100) == 10);
}

static void a_penalty_takes_what_is_there(void)
{
    struct bucket b = {0};

    bucket_drain(&b, &rule, 150, 1);
    CHECK(bucket_level(&b, &rule, 1) > 49 && bucket_level(&b, &rule, 1) < 51);
    bucket_drain(&b, &rule, 150, 1);
    CHECK(bucket_level(&b, &rule, 1) < 1);
    CHECK(bucket_level(&b, &rule, 1001) > 99);
}

static void the_wait_is_in_whole_seconds(void)
{
    static const struct bucket_rule slow = {0.5, 10};
    struct bucket b = {0};

    CHECK(bucket_take(&b, &slow, 10, 1));
    CHECK(bucket_wait_s(&b, &slow, 1) == 2);
    CHECK(bucket_wait_s(&b, &slow, 3) == 6);
    b = (struct bucket){0};
    CHECK(take_all(&b, 1, 201) == 200);
    CHECK(bucket_wait_s(&b, &rule, 1) == 1);
}

/* A clock that stands or steps back gives nothing away and takes nothing. */
static void time_does_not_run_backwards(void)
{
    struct bucket b = {0};

    CHECK(take_all(&b, 5000, 200) == 200);
    CHECK(take_all(&b, 10, 10) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a new one is full",                    a_new_one_is_full                   },
        {"AC-33 the rate is kept",               the_rate_is_kept                    },
        {"a pause fills no more than the burst", a_pause_fills_no_more_than_the_burst},
        {"a refusal costs nothing",              a_refusal_costs_nothing             },
        {"a penalty takes what is there",        a_penalty_takes_what_is_there       },
        {"RX-22 the wait is in whole seconds",   the_wait_is_in_whole_seconds        },
        {"time does not run backwards",          time_does_not_run_backwards         },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
