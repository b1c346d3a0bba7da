/* SPDX-License-Identifier: Apache-2.0 */
/* http/url: percent-encoding, query parameters, segments. */
#include "base/arena.h"
#include "http/head.h"
#include "test.h"

static void decodes(void)
{
    static const struct {
        const char *in;
        bool plus_is_space;
        const char *out; /* NULL: malformed */
    } cases[] = {
        {"",          false, ""      },
        {"abc",       false, "abc"   },
        {"a%20b",     false, "a b"   },
        {"%2F%2f",    false, "//"    },
        {"a+b",       false, "a+b"   },
        {"a+b%2B",    true,  "a b+"  },
        {"%e2%82%ac", false, "\u20ac"},
        {"%25%32%35", false, "%25"   },
        {"%",         false, NULL    },
        {"%2",        false, NULL    },
        {"a%2",       false, NULL    },
        {"%g0",       false, NULL    },
        {"%0g",       false, NULL    },
        {"%00",       false, NULL    },
        {"%-1",       false, NULL    },
        {"%%41",      false, NULL    },
    };
    char out[32];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ssize_t len = url_decode(str_of(cases[i].in), cases[i].plus_is_space, out);

        test_note("%s", cases[i].in);
        if (cases[i].out == NULL)
            CHECK(len == -1);
        else
            CHECK(len >= 0 && str_is((struct str){out, (size_t)len}, cases[i].out));
    }
}

static void decodes_in_place(void)
{
    char text[] = "a%20b%21";
    ssize_t len = url_decode(str_of(text), false, text);

    CHECK(len == 4 && memcmp(text, "a b!", 4) == 0);
}

static void finds_parameters(void)
{
    struct str q = STR("a=1&b=x%20y&empty=&flag&a=2&=nameless&c=d=e");

    CHECK(str_is(url_query(q, "a"), "1"));
    CHECK(str_is(url_query(q, "b"), "x%20y"));
    CHECK(url_query(q, "empty").at != NULL && url_query(q, "empty").len == 0);
    CHECK(url_query(q, "flag").at != NULL && url_query(q, "flag").len == 0);
    CHECK(str_is(url_query(q, "c"), "d=e"));
    CHECK(url_query(q, "nope").at == NULL);
    CHECK(url_query(q, "fla").at == NULL && url_query(q, "flags").at == NULL);
    CHECK(url_query(STR(""), "a").at == NULL);
    CHECK(url_query((struct str){NULL, 0}, "a").at == NULL);
    CHECK(url_query(STR("x"), "x").at != NULL);
}

static void splits_before_it_decodes(void)
{
    struct arena a;
    struct str parts[4];

    arena_init(&a, 10000);
    CHECK(url_split(&a, STR("/"), parts, 4) == 1 && parts[0].len == 0);
    CHECK(url_split(&a, STR("/a"), parts, 4) == 1 && str_is(parts[0], "a"));
    CHECK(url_split(&a, STR("/templates/team%2Fname%3Av1/x"), parts, 4) == 3);
    CHECK(str_is(parts[1], "team/name:v1") && parts[1].at[parts[1].len] == '\0');
    CHECK(url_split(&a, STR("/a//b/"), parts, 4) == 4 && parts[1].len == 0 && parts[3].len == 0);
    CHECK(url_split(&a, STR("/a/b/c/d/e"), parts, 4) == -1);
    CHECK(url_split(&a, STR("a/b"), parts, 4) == -1);
    CHECK(url_split(&a, STR(""), parts, 4) == -1);
    CHECK(url_split(&a, STR("/a/%zz"), parts, 4) == -1);
    CHECK(url_split(&a, STR("/a/%00"), parts, 4) == -1);
    arena_done(&a);
}

static void stops_at_the_arena(void)
{
    struct arena a;
    struct str parts[4];

    arena_init(&a, 16);
    CHECK(url_split(&a, STR("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), parts, 4) == -1);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"decodes",                  decodes                 },
        {"decodes in place",         decodes_in_place        },
        {"finds parameters",         finds_parameters        },
        {"splits before it decodes", splits_before_it_decodes},
        {"stops at the arena",       stops_at_the_arena      },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
