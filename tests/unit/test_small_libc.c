/* SPDX-License-Identifier: Apache-2.0 */
/* envd/small_libc: does what libc's own do. */
#include <stdint.h>
#include <string.h>

#include "envd/small_libc.h"
#include "test.h"

enum { ITEMS = 700 };

struct item {
    uint32_t key;
    char rest[9];
};

static int compare(const void *a, const void *b)
{
    uint32_t left = ((const struct item *)a)->key, right = ((const struct item *)b)->key;

    return left < right ? -1 : left > right;
}

static size_t calls;

static int count_and_compare(const void *a, const void *b)
{
    calls++;
    return compare(a, b);
}

static void make(struct item *items, size_t count, uint32_t range)
{
    for (size_t i = 0; i < count; i++) {
        items[i].key = (uint32_t)(i * 2654435761u) % range;
        memset(items[i].rest, (int)(items[i].key % 251), sizeof(items[i].rest));
    }
}

static void sorts_as_libc_does(void)
{
    static struct item ours[ITEMS], theirs[ITEMS];
    static const uint32_t ranges[] = {1, 2, 10, UINT32_MAX};

    for (size_t r = 0; r < COUNT_OF(ranges); r++) {
        for (size_t count = 0; count <= ITEMS; count += count < 40 ? 1 : 33) {
            make(ours, ITEMS, ranges[r]);
            memcpy(theirs, ours, sizeof(ours));
            sort_items(ours, count, sizeof(ours[0]), compare);
            qsort(theirs, count, sizeof(theirs[0]), compare);
            for (size_t i = 0; i < ITEMS; i++) {
                CHECK(ours[i].key == theirs[i].key);
                CHECK(ours[i].rest[8] == theirs[i].rest[8]);
            }
        }
    }
}

/* No order of names makes a listing slow. */
static void takes_n_log_n_at_worst(void)
{
    static struct item items[65536];

    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT_OF(items); i++)
            items[i].key = round == 0 ? i : round == 1 ? (uint32_t)COUNT_OF(items) - i : i % 3;
        calls = 0;
        sort_items(items, COUNT_OF(items), sizeof(items[0]), count_and_compare);
        CHECK(calls < 3 * 16 * COUNT_OF(items));
        for (size_t i = 1; i < COUNT_OF(items); i++)
            CHECK(items[i - 1].key <= items[i].key);
    }
}

static void errors_have_their_texts(void)
{
    size_t known = 0;

    for (int number = 1; number < 134; number++) {
        const char *text = error_text(number);

        if (strcmp(text, "Unknown error") == 0)
            continue;
        known++;
        CHECK(strcmp(text, strerror(number)) == 0);
    }
    CHECK(known > 25);
    CHECK(strcmp(error_text(0), "Unknown error") == 0);
    CHECK(strcmp(error_text(-1), "Unknown error") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sorts as libc does",      sorts_as_libc_does     },
        {"takes n log n at worst",  takes_n_log_n_at_worst },
        {"errors have their texts", errors_have_their_texts},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
