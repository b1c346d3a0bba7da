/* SPDX-License-Identifier: Apache-2.0 */
/* envd/file_fields and envd/env: ranges, types, names, variables. */
#include "envd/env.h"
#include "envd/file_fields.h"
#include "test.h"

static void ranges(void)
{
    static const struct {
        const char *value;
        enum range_result want;
        uint64_t start, len;
    } rows[] = {
        {"bytes=0-0",                     RANGE_PART, 0,  1  },
        {"bytes=0-",                      RANGE_PART, 0,  100},
        {"bytes=99-",                     RANGE_PART, 99, 1  },
        {"bytes=10-19",                   RANGE_PART, 10, 10 },
        {"bytes=10-18446744073709551615", RANGE_PART, 10, 90 },
        {"bytes=-5",                      RANGE_PART, 95, 5  },
        {"bytes=-500",                    RANGE_PART, 0,  100},
        {"bytes=-0",                      RANGE_BAD,  0,  0  },
        {"bytes=100-",                    RANGE_BAD,  0,  0  },
        {"bytes=5-4",                     RANGE_NONE, 0,  0  },
        {"bytes=0-1,3-4",                 RANGE_NONE, 0,  0  },
        {"bytes=a-b",                     RANGE_NONE, 0,  0  },
        {"bytes=-",                       RANGE_NONE, 0,  0  },
        {"bytes=",                        RANGE_NONE, 0,  0  },
        {"lines=0-1",                     RANGE_NONE, 0,  0  },
        {"",                              RANGE_NONE, 0,  0  },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t start = 0, len = 0;

        test_note("%s", rows[i].value);
        CHECK(range_parse(str_of(rows[i].value), 100, &start, &len) == rows[i].want);
        CHECK(rows[i].want != RANGE_PART || (start == rows[i].start && len == rows[i].len));
    }
}

static void types(void)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"/a/b.json",      "application/json"         },
        {"/a/B.JPG",       "image/jpeg"               },
        {"a.tar.gz",       "application/gzip"         },
        {"a.htm",          "text/html; charset=utf-8" },
        {"b",              "application/octet-stream" },
        {"b.",             "application/octet-stream" },
        {"json",           "application/octet-stream" },
        {"/dir.json/name", "application/octet-stream" },
        {".txt",           "text/plain; charset=utf-8"},
        {"a.jso",          "application/octet-stream" },
        {"a.html htm",     "application/octet-stream" },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        test_note("%s", rows[i].name);
        CHECK(str_is(str_of(content_type_of(str_of(rows[i].name))), rows[i].want));
    }
}

static void dispositions(void)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"a-1_b.txt",  "inline; filename=a-1_b.txt"         },
        {"a b.txt",    "inline; filename=\"a b.txt\""       },
        {"q\"\\.txt",  "inline; filename=\"q\\\"\\\\.txt\"" },
        {"\xc3\xa4 b", "inline; filename*=utf-8''%C3%A4%20b"},
        {"a\nb",       "inline; filename*=utf-8''a%0Ab"     },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;

        buf_init(&out, 1024);
        content_disposition(&out, str_of(rows[i].name));
        CHECK(str_is(buf_str(&out), rows[i].want));
        buf_done(&out);
    }
}

static void variables(void)
{
    struct arena a;
    struct env e;
    struct err err;
    char **strings;

    arena_init(&a, 65536);
    CHECK(env_init(&e, &a, 2, &err) == 0);
    CHECK(env_set(&e, STR("A"), STR("1"), &err) == 0);
    CHECK(env_set(&e, STR("B"), STR("2=3"), &err) == 0);
    CHECK(env_set(&e, STR("A"), STR(""), &err) == 0);
    CHECK(env_set(&e, STR("C"), STR("x"), &err) != 0 && err.kind == ERR_LIMIT);
    CHECK(env_set(&e, STR(""), STR("x"), &err) != 0 && err.kind == ERR_INVALID);
    CHECK(env_set(&e, STR("A=B"), STR("x"), &err) != 0);
    CHECK(env_set(&e, STR("A"), STR("x\0y"), &err) != 0);
    strings = env_strings(&e);
    CHECK(strings != NULL && strings[2] == NULL);
    CHECK(str_is(str_of(strings[0]), "A=") && str_is(str_of(strings[1]), "B=2=3"));
    CHECK(env_init(&e, &a, ENV_VARS_MAX + 1, &err) != 0);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"ranges",                ranges      },
        {"types",                 types       },
        {"content disposition",   dispositions},
        {"environment variables", variables   },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
