/* SPDX-License-Identifier: Apache-2.0 */
/* envd/conditions: dates, entity tags, and who gets 304 or 412 (RFC 9110, 13.2.2). */
#include "envd/conditions.h"
#include "test.h"

static void dates(void)
{
    static const struct {
        int64_t when_s;
        const char *text;
    } rows[] = {
        {784111777,    "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0,            "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1,           "Wed, 31 Dec 1969 23:59:59 GMT"},
        {951782400,    "Tue, 29 Feb 2000 00:00:00 GMT"},
        {1795222400,   "Sat, 21 Nov 2026 00:53:20 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {253402300800, ""                             },
        {INT64_MIN,    ""                             },
    };
    static const char *const bad[] = {
        "",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
    };
    char text[HTTP_DATE_MAX];
    int64_t when_s;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        test_note("%s", rows[i].text);
        http_date(rows[i].when_s, text);
        CHECK(str_is(str_of(text), rows[i].text));
        if (rows[i].text[0] != '\0')
            CHECK(http_date_parse(str_of(text), &when_s) && when_s == rows[i].when_s);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        test_note("%s", bad[i]);
        CHECK(!http_date_parse(str_of(bad[i]), &when_s));
    }
}

/* Of 2001-09-09 01:46:40: inode 1a, 10 bytes. */
static struct validators sample(void)
{
    struct stat st = {
        .st_ino = 0x1a, .st_size = 16, .st_mtim = {1000000000, 5}
    };
    struct validators v;

    validators_init(&v, &st);
    return v;
}

enum { TAG_LEN = sizeof("\"1a-10-de0b6b3a7640005\"") - 1 };

static void tags(void)
{
    struct validators v = sample();

    CHECK(str_is(str_of(v.etag), "\"1a-10-de0b6b3a7640005\""));
    CHECK(str_is(str_of(v.date), "Sun, 09 Sep 2001 01:46:40 GMT"));
    CHECK(strlen(v.etag) == TAG_LEN);
}

static struct http_head parsed(const char *fields)
{
    struct http_head h = {0};
    struct str rest = str_of(fields);

    while (rest.len > 0) {
        struct str value, line = str_cut(rest, '\n', &rest);

        h.fields[h.field_count].name = str_cut(line, ':', &value);
        h.fields[h.field_count++].value = str_trim(value);
    }
    return h;
}

static void conditions(void)
{
    enum { OK = CONDITION_HOLDS, SAME = CONDITION_NOT_MODIFIED, FAIL = CONDITION_FAILED };

    static const struct {
        const char *fields;
        unsigned want;
    } rows[] = {
        {"",                                                                       OK  },
        {"If-None-Match: \"1a-10-de0b6b3a7640005\"",                               SAME},
        {"If-None-Match: W/\"1a-10-de0b6b3a7640005\"",                             SAME},
        {"If-None-Match: *",                                                       SAME},
        {"If-None-Match: \"x,y\", W/\"z\" ,\"1a-10-de0b6b3a7640005\"",             SAME},
        {"If-None-Match: \"x\"\nIf-None-Match: \"1a-10-de0b6b3a7640005\"",         SAME},
        {"If-None-Match: \"other\"",                                               OK  },
        {"If-None-Match: 1a-10-de0b6b3a7640005",                                   OK  },
        {"If-None-Match: \"1a-10-de0b6b3a7640005",                                 OK  },
        {"If-None-Match: \"x\"\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT", OK  },
        {"If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT",                       SAME},
        {"If-Modified-Since: Sun, 09 Sep 2001 01:46:41 GMT",                       SAME},
        {"If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT",                       OK  },
        {"If-Modified-Since: yesterday",                                           OK  },
        {"If-Match: \"1a-10-de0b6b3a7640005\"",                                    OK  },
        {"If-Match: *",                                                            OK  },
        {"If-Match: W/\"1a-10-de0b6b3a7640005\"",                                  FAIL},
        {"If-Match: \"other\"",                                                    FAIL},
        {"If-Match: \"other\"\nIf-None-Match: *",                                  FAIL},
        {"If-Match: *\nIf-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT",        OK  },
        {"If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT",                     OK  },
        {"If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT",                     FAIL},
        {"If-Unmodified-Since: never",                                             OK  },
    };
    struct validators v = sample();

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head h = parsed(rows[i].fields);

        test_note("%s", rows[i].fields);
        CHECK(condition_check(&h, &v) == rows[i].want);
        CHECK(condition_is_asked(&h) == (rows[i].fields[0] != '\0'));
    }
}

static void ranges(void)
{
    static const struct {
        const char *fields;
        bool want;
    } rows[] = {
        {"",                                        true },
        {"If-Range: \"1a-10-de0b6b3a7640005\"",     true },
        {"If-Range: W/\"1a-10-de0b6b3a7640005\"",   false},
        {"If-Range: \"other\"",                     false},
        {"If-Range: Sun, 09 Sep 2001 01:46:40 GMT", true },
        {"If-Range: Sun, 09 Sep 2001 01:46:41 GMT", false},
        {"If-Range:",                               false},
    };
    struct validators v = sample();

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head h = parsed(rows[i].fields);

        test_note("%s", rows[i].fields);
        CHECK(condition_allows_range(&h, &v) == rows[i].want);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"dates",       dates     },
        {"entity tags", tags      },
        {"conditions",  conditions},
        {"ranges",      ranges    },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
