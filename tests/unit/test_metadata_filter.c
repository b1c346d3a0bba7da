/* SPDX-License-Identifier: Apache-2.0 */
/* The triple-encoded metadata filter (wire.md 2.8). Input here is what the ordinary query decoding
 * leaves. */
#include "domain/metadata.h"
#include "test.h"

static void parses(void)
{
    static const struct {
        const char *in;
        size_t count;
        const char *key, *value; /* of the first pair */
    } cases[] = {
        {"",                           0, "",         ""            },
        {"a=b",                        1, "a",        "b"           },
        {"a=b&c=d",                    2, "a",        "b"           },
        {"k%25201=v%25262",            1, "k 1",      "v&2"         }, /* what the JS SDK sends */
        {"user%3Dabc",                 1, "user",     "abc"         }, /* encoded once: curl */
        {"a=b+c",                      1, "a",        "b c"         },
        {"a",                          1, "a",        ""            },
        {"a=",                         1, "a",        ""            },
        {"a=b=c",                      1, "a",        "b=c"         },
        {"&&a=b&",                     1, "a",        "b"           },
        {"%25C3%25A4=%25E2%2582%25AC", 1, "\xc3\xa4", "\xe2\x82\xac"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct codec_list list = {0};
        struct err err = {0};
        const struct codec_pair *pairs;

        arena_init(&a, 1 << 16);
        test_note("%s", cases[i].in);
        CHECK(metadata_parse(str_of(cases[i].in), &a, &list, &err) == 0);
        CHECK(list.count == cases[i].count);
        pairs = list.items;
        if (list.count > 0) {
            CHECK(str_is(pairs[0].key, cases[i].key));
            CHECK(str_is(pairs[0].value, cases[i].value));
        }
        arena_done(&a);
    }
}

static void refuses(void)
{
    static const char *const cases[] = {"%", "%4", "%zz=1", "a=%25z0", "a%2=1", "%25"};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct codec_list list = {0};
        struct err err = {0};

        arena_init(&a, 1 << 16);
        test_note("%s", cases[i]);
        CHECK(metadata_parse(str_of(cases[i]), &a, &list, &err) == -1);
        CHECK(err.kind == ERR_INVALID);
        CHECK(str_is(str_of(err.text), "Error parsing metadata"));
        arena_done(&a);
    }
}

static void is_bounded(void)
{
    char text[4 * (METADATA_FILTER_MAX + 2)];
    struct arena a;
    struct codec_list list = {0};
    struct err err = {0};
    size_t len = 0;

    for (int i = 0; i <= METADATA_FILTER_MAX; i++) {
        memcpy(text + len, "a=b&", 4);
        len += 4;
    }
    arena_init(&a, 1 << 16);
    CHECK(metadata_parse((struct str){text, len}, &a, &list, &err) == -1);
    CHECK(metadata_parse((struct str){text, len - 4}, &a, &list, &err) == 0);
    CHECK(list.count == METADATA_FILTER_MAX);
    arena_done(&a);
}

static void all_pairs_must_match(void)
{
    struct codec_pair have[] = {
        {STR("a"), STR("1")},
        {STR("b"), STR("2")}
    };
    struct codec_pair same[] = {
        {STR("b"), STR("2")},
        {STR("a"), STR("1")}
    };
    struct codec_pair other[] = {
        {STR("a"), STR("1")},
        {STR("b"), STR("3")}
    };
    struct codec_pair more[] = {
        {STR("c"), STR("")}
    };
    struct codec_list h = {have, 2}, none = {0}, l;

    CHECK(metadata_matches(&h, &none));
    CHECK(metadata_matches(&none, &none));
    l = (struct codec_list){same, 2};
    CHECK(metadata_matches(&h, &l));
    CHECK(!metadata_matches(&none, &l));
    l = (struct codec_list){other, 2};
    CHECK(!metadata_matches(&h, &l));
    l = (struct codec_list){more, 1};
    CHECK(!metadata_matches(&h, &l));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"parses",               parses              },
        {"refuses",              refuses             },
        {"is bounded",           is_bounded          },
        {"all pairs must match", all_pairs_must_match},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
