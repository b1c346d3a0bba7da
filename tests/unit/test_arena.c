/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena: alignment, zeroes, the maximum. */
#include <stdalign.h>

#include "base/arena.h"
#include "test.h"

static void aligns_and_zeroes(void)
{
    struct arena a;
    unsigned char *before = NULL;

    arena_init(&a, 1 << 20);
    for (size_t size = 0; size < 700; size++) {
        unsigned char *p = arena_alloc(&a, size);

        CHECK(p != NULL && p != before);
        CHECK((uintptr_t)p % alignof(max_align_t) == 0);
        for (size_t i = 0; i < size; i++)
            CHECK(p[i] == 0);
        memset(p, 0xff, size);
        before = p;
    }
    arena_done(&a);
}

static void stops_at_the_maximum(void)
{
    struct arena a;

    arena_init(&a, 1024);
    CHECK(arena_alloc(&a, 1025) == NULL);
    CHECK(arena_alloc(&a, 1000) != NULL);
    CHECK(arena_alloc(&a, 100) == NULL);
    CHECK(arena_alloc(&a, 16) != NULL);
    CHECK(arena_alloc(&a, 1) == NULL);
    CHECK(a.used <= a.max);
    arena_done(&a);
    CHECK(a.used == 0);
    CHECK(arena_alloc(&a, 1024) != NULL);
    arena_done(&a);
}

static void refuses_overflow(void)
{
    struct arena a;

    arena_init(&a, SIZE_MAX);
    CHECK(arena_array(&a, SIZE_MAX / 2, 3) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX - 4) == NULL);
    CHECK(arena_array(&a, 10, 8) != NULL);
    arena_done(&a);
}

static void copies_texts(void)
{
    struct arena a;
    struct str s;

    arena_init(&a, 200);
    s = arena_str(&a, STR("a\0b"));
    CHECK(str_eq(s, STR("a\0b")) && s.at[3] == '\0');
    s = arena_str(&a, (struct str){NULL, 0});
    CHECK(s.at != NULL && s.len == 0 && s.at[0] == '\0');
    CHECK(strcmp(arena_printf(&a, "%s-%d", "x", 4), "x-4") == 0);
    CHECK(arena_printf(&a, "%0200d", 4) == NULL);
    while (a.used < a.max - 15)
        CHECK(arena_alloc(&a, 1) != NULL);
    s = arena_str(&a, STR("12345678901234567"));
    CHECK(s.at == NULL && s.len == 0);
    arena_done(&a);
}

static void serves_large_after_small(void)
{
    struct arena a;
    char *small, *large;

    arena_init(&a, 1 << 20);
    small = arena_alloc(&a, 10);
    large = arena_alloc(&a, 200000);
    CHECK(small != NULL && large != NULL);
    memset(large, 1, 200000);
    CHECK(small[9] == 0);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"aligns and zeroes",        aligns_and_zeroes       },
        {"stops at the maximum",     stops_at_the_maximum    },
        {"refuses overflow",         refuses_overflow        },
        {"copies texts",             copies_texts            },
        {"serves large after small", serves_large_after_small},
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
