/* SPDX-License-Identifier: Apache-2.0 */
/* A pace lets through what it says, over seconds, whatever the size of the steps. */
#include "io/pace.h"
#include "test.h"

/* Bytes in `seconds` when each step moves `step` and asks again as told. */
static uint64_t run(uint64_t bytes_per_s, uint64_t step, uint64_t seconds)
{
    struct pace p = {.bytes_per_s = bytes_per_s};
    uint64_t moved = 0;

    for (uint64_t now = 5000; now < 5000 + seconds * 1000;) {
        if (pace_ready(&p, now)) {
            pace_spend(&p, step);
            moved += step;
        } else {
            CHECK(pace_wait_ms(&p) > 0 && pace_wait_ms(&p) <= PACE_WAIT_MAX_MS);
            now += pace_wait_ms(&p);
        }
    }
    return moved;
}

static void keeps_its_rate(void)
{
    static const struct {
        uint64_t bytes_per_s, step;
    } rows[] = {
        {1 << 10,   100     },
        {10 << 10,  64 << 10},
        {1 << 20,   1       },
        {1 << 20,   64 << 10},
        {100 << 20, 64 << 10},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t moved = run(rows[i].bytes_per_s, rows[i].step, 20);
        uint64_t want = rows[i].bytes_per_s * 20;

        CHECK(moved >= want * 9 / 10 && moved <= want * 11 / 10 + 2 * rows[i].step);
    }
}

static void saves_up_no_more_than_a_burst(void)
{
    struct pace p = {.bytes_per_s = 1000000};
    uint64_t moved = 0;

    CHECK(pace_ready(&p, 1000));
    CHECK(pace_ready(&p, 1000000)); /* silent for long */
    for (; pace_ready(&p, 1000000); moved += 1000)
        pace_spend(&p, 1000);
    CHECK(moved <= 1000000 * PACE_BURST_MS / 1000 + 1000);
}

static void is_free_without_a_limit(void)
{
    struct pace p = {0};

    for (int i = 0; i < 100; i++) {
        CHECK(pace_ready(&p, 1));
        pace_spend(&p, UINT64_MAX);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"keeps its rate",                keeps_its_rate               },
        {"saves up no more than a burst", saves_up_no_more_than_a_burst},
        {"is free without a limit",       is_free_without_a_limit      },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
