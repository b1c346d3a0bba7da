/* SPDX-License-Identifier: Apache-2.0 */
/* base/map: against an array of flags, over many random operations. */
#include <stdio.h>

#include "base/map.h"
#include "test.h"

enum {
    KEYS = 500,
    ROUNDS = 40000,
};

struct entry {
    char key[16];
    bool is_inside;
    unsigned seen;
};

static struct entry entries[KEYS];

static unsigned draw(unsigned below)
{
    static unsigned state = 7;

    state = state * 1103515245 + 12345;
    return (state >> 16) % below;
}

static void check_walk(const struct map *m)
{
    size_t cursor = 0, count = 0;
    struct entry *e;

    for (size_t i = 0; i < KEYS; i++)
        entries[i].seen = 0;
    while ((e = map_next(m, &cursor)) != NULL) {
        CHECK(e->is_inside && e->seen++ == 0);
        count++;
    }
    CHECK(count == m->count);
    for (size_t i = 0; i < KEYS; i++)
        CHECK(entries[i].seen == (entries[i].is_inside ? 1 : 0));
}

static void behaves_like_an_array(void)
{
    struct map m = {0};

    for (int i = 0; i < KEYS; i++)
        ignore(snprintf(entries[i].key, sizeof(entries[i].key), "key-%d", i * i));
    for (int round = 0; round < ROUNDS; round++) {
        struct entry *e = &entries[draw(KEYS)];
        void *expected = e->is_inside ? e : NULL;

        CHECK(map_get(&m, str_of(e->key)) == expected);
        if (draw(10) < (round / 2000 % 2 == 0 ? 7U : 3U)) {
            CHECK(map_put(&m, str_of(e->key), e) == expected);
            e->is_inside = true;
        } else {
            CHECK(map_remove(&m, str_of(e->key)) == expected);
            e->is_inside = false;
        }
        if (round % 1000 == 0)
            check_walk(&m);
    }
    check_walk(&m);
    map_done(&m);
    CHECK(m.count == 0 && map_get(&m, STR("key-0")) == NULL);
}

static void does_not_grow_by_churn(void)
{
    struct map m = {0};
    int value;

    for (int i = 0; i < 100000; i++) {
        char key[16];

        ignore(snprintf(key, sizeof(key), "%d", i));
        CHECK(map_put(&m, str_of(key), &value) == NULL);
        CHECK(map_remove(&m, str_of(key)) == &value);
    }
    CHECK(m.count == 0 && m.room <= 64);
    map_done(&m);
}

static void replaces_the_key_too(void)
{
    struct map m = {0};
    char first[] = "same", second[] = "same";
    int a, b;

    CHECK(map_put(&m, str_of(first), &a) == NULL);
    CHECK(map_put(&m, str_of(second), &b) == &a);
    first[0] = 'X'; /* no longer referenced */
    CHECK(map_get(&m, STR("same")) == &b);
    CHECK(m.count == 1);
    map_done(&m);
}

static void takes_any_bytes(void)
{
    static const struct str keys[] = {
        {"",          0},
        {"\0",        1},
        {"\0\0",      2},
        {"a",         1},
        {"a\0",       2},
        {"12345678",  8},
        {"123456789", 9},
        {"1234567\0", 8},
        {"1234567",   7},
        {"\xff\xff",  2},
    };
    struct map m = {0};

    CHECK(map_remove(&m, STR("")) == NULL);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        CHECK(map_put(&m, keys[i], &entries[i]) == NULL);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        CHECK(map_get(&m, keys[i]) == &entries[i]);
    map_done(&m);
}

static void may_remove_while_walking(void)
{
    struct map m = {0};
    struct entry *e;
    size_t cursor = 0, count = 0;

    for (int i = 0; i < 100; i++)
        ignore(map_put(&m, str_of(entries[i].key), &entries[i]) == NULL);
    while ((e = map_next(&m, &cursor)) != NULL) {
        CHECK(map_remove(&m, str_of(e->key)) == e);
        count++;
    }
    CHECK(count == 100 && m.count == 0);
    map_done(&m);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"behaves like an array",    behaves_like_an_array   },
        {"does not grow by churn",   does_not_grow_by_churn  },
        {"replaces the key too",     replaces_the_key_too    },
        {"takes any bytes",          takes_any_bytes         },
        {"may remove while walking", may_remove_while_walking},
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
