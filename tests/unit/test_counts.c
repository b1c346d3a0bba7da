/* SPDX-License-Identifier: Apache-2.0 */
/* Counters by key: exact limits, numbers that come back, many threads at once. */
#include <stdio.h>

#include "edge/counts.h"
#include "test.h"

enum {
    KEYS = 500,
    THREADS = 4,
    ROUNDS = 20000,
};

static void without_a_limit_nothing_is_counted(void)
{
    struct counts c;

    counts_init(&c, 0);
    for (int i = 0; i < 100; i++)
        CHECK(counts_take(&c, STR("a")) == COUNT_NONE);
    CHECK(c.by_key.count == 0);
    counts_give(&c, COUNT_NONE);
    counts_give(&c, COUNT_FULL);
    counts_done(&c);
}

static void each_key_has_its_own_limit(void)
{
    struct counts c;
    uint32_t first, second, other;

    counts_init(&c, 2);
    first = counts_take(&c, STR("a"));
    second = counts_take(&c, STR("a"));
    CHECK(first >= COUNT_FIRST && first == second);
    CHECK(counts_take(&c, STR("a")) == COUNT_FULL);
    other = counts_take(&c, STR(""));
    CHECK(other >= COUNT_FIRST && other != first);
    counts_give(&c, first);
    CHECK(counts_take(&c, STR("a")) == first);
    CHECK(counts_take(&c, STR("a")) == COUNT_FULL);
    counts_give(&c, first);
    counts_give(&c, second);
    CHECK(c.by_key.count == 1);
    counts_give(&c, other);
    CHECK(c.by_key.count == 0);
    counts_done(&c);
}

static void numbers_are_used_again(void)
{
    static uint32_t slots[KEYS];
    struct counts c;
    char key[16];

    counts_init(&c, 1);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < KEYS; i++) {
            ignore(snprintf(key, sizeof key, "k%zu-%d", i, round));
            slots[i] = counts_take(&c, str_of(key));
            CHECK(slots[i] >= COUNT_FIRST && slots[i] < KEYS + COUNT_FIRST);
        }
        CHECK(c.by_key.count == KEYS);
        for (size_t i = 0; i < KEYS; i++)
            counts_give(&c, slots[i]);
        CHECK(c.by_key.count == 0);
    }
    counts_done(&c);
}

static void *work(void *arg)
{
    struct counts *c = arg;

    for (int i = 0; i < ROUNDS; i++) {
        uint32_t slot = counts_take(c, i % 2 == 0 ? STR("even") : STR("odd"));

        counts_give(c, slot);
    }
    return NULL;
}

static void threads_share_it(void)
{
    struct counts c;
    pthread_t threads[THREADS];

    counts_init(&c, 2);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, &c) == 0);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(c.by_key.count == 0);
    counts_done(&c);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"without a limit nothing is counted", without_a_limit_nothing_is_counted},
        {"each key has its own limit",         each_key_has_its_own_limit        },
        {"numbers are used again",             numbers_are_used_again            },
        {"threads share it",                   threads_share_it                  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
