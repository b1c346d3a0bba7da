/* SPDX-License-Identifier: Apache-2.0 */
/* interpreter/ascii, lines, language: what clients of the code interpreter are written. */
#include "interpreter/ascii.h"
#include "interpreter/language.h"
#include "interpreter/lines.h"
#include "test.h"

static struct buf out;

static bool wrote(const char *text)
{
    bool is_same = buf_ok(&out) && str_is(buf_str(&out), text);

    if (!is_same)
        test_note("%.*s", STR_ARG(buf_str(&out)));
    buf_clear(&out);
    return is_same;
}

static void quotes(void)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"",                "\"\""                      },
        {"plain text",      "\"plain text\""            },
        {"a\"b\\c",         "\"a\\\"b\\\\c\""           },
        {"\b\t\n\f\r\x01",  "\"\\b\\t\\n\\f\\r\\u0001\""},
        {"\u00e9",          "\"\\u00e9\""               },
        {"\u6f22!",         "\"\\u6f22!\""              },
        {"\U0001f600",      "\"\\ud83d\\ude00\""        },
        {"a\xffz",          "\"a\\ufffdz\""             },
        {"\xe6\xbc",        "\"\\ufffd\\ufffd\""        },
        {"12345678\u00e99", "\"12345678\\u00e99\""      },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        ascii_quote(&out, str_of(cases[i].in));
        CHECK(wrote(cases[i].out));
    }
}

static void finds_unfinished(void)
{
    static const struct {
        const char *in;
        size_t open;
    } cases[] = {
        {"",                 0},
        {"abc",              0},
        {"ab\xc3",           1},
        {"ab\xc3\xa9",       0},
        {"\xe6\xbc",         2},
        {"\xe6",             1},
        {"\xf0\x9f\x98",     3},
        {"\xf0\x9f\x98\x80", 0},
        {"\x80\x80\x80\x80", 0},
        {"\xff",             1},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        CHECK(ascii_unfinished(str_of(cases[i].in)) == cases[i].open);
}

static void writes_results(void)
{
    struct codec_pair all[] = {
        {STR("text/plain"), STR("\"'quoted'\"")},
        {STR("e2b/data"),   STR("{\"a\":[1]}") },
        {STR("x/y"),        STR("\"\u00e9\"")  },
    };
    const struct codec_list data = {all, COUNT_OF(all)}, none = {NULL, 0};

    line_result(&out, true, &data);
    CHECK(wrote(
        "{\"type\":\"result\",\"is_main_result\":true,\"text\":\"quoted\",\"data\":{\"a\":[1]},"
        "\"extra\":{\"x/y\":\"\\u00e9\"}}\n"));
    line_result(&out, true, &none);
    CHECK(wrote(""));
    all[0].value = STR("\"\\\"double\\\"\"");
    line_result(&out, false, &(struct codec_list){all, 1});
    CHECK(wrote("{\"type\":\"result\",\"is_main_result\":false,\"text\":\"double\"}\n"));
    all[0].value = STR("\"'\"");
    line_result(&out, false, &(struct codec_list){all, 1});
    CHECK(wrote("{\"type\":\"result\",\"is_main_result\":false,\"text\":\"'\"}\n"));
}

static void writes_others(void)
{
    line_count(&out, 7);
    CHECK(wrote("{\"type\":\"number_of_executions\",\"execution_count\":7}\n"));
    line_error(&out, STR("E"), STR("v\n"), STR("t\""));
    CHECK(
        wrote("{\"type\":\"error\",\"name\":\"E\",\"value\":\"v\\n\",\"traceback\":\"t\\\"\"}\n"));
    line_keepalive(&out);
    line_end(&out);
    CHECK(wrote("{\"type\":\"keepalive\"}\n{\"type\":\"end_of_execution\"}\n"));
    line_stream_bytes(&out, true, STR("\xc3\xa9"));
    CHECK(str_has_prefix(buf_str(&out),
                         "{\"type\":\"stderr\",\"text\":\"\\u00e9\",\"timestamp\":\"2"));
    CHECK(str_has_suffix(buf_str(&out), "Z\"}\n"));
}

static void finds_languages(void)
{
    static const struct {
        const char *word, *name; /* NULL: unknown */
    } cases[] = {
        {"",           "python"    },
        {"python",     "python"    },
        {" Python\n",  "python"    },
        {"JS",         "javascript"},
        {"javascript", "javascript"},
        {"ts",         "typescript"},
        {"bash",       "bash"      },
        {"R",          "r"         },
        {"cobol",      NULL        },
        {"pytho",      NULL        },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct language *l = language_find(str_of(cases[i].word));

        CHECK(cases[i].name == NULL ? l == NULL : l != NULL && strcmp(l->name, cases[i].name) == 0);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"strings are ASCII",                quotes          },
        {"a character that is not complete", finds_unfinished},
        {"results by MIME type",             writes_results  },
        {"the other lines",                  writes_others   },
        {"languages by any of their names",  finds_languages },
    };

    buf_init(&out, 1 << 20);
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
