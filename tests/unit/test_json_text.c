/* SPDX-License-Identifier: Apache-2.0 */
/* codec: what is JSON and what is not, how deep, and how text is quoted. */
#include <string.h>

#include "codec/codec.h"
#include "messages.h"
#include "test.h"

enum { ROOM = 1 << 20 };

/* clang-format off */
static const char *const valid[] = {
    "null", "true", "false", "0", "-0", "1", "-1", "10", "123456789012345678901234567890", "0.0",
    "-0.0", "1.5", "-1.5", "0e0", "0E0", "0e+0", "0e-0", "1e1", "1E1", "1e+1", "1e-1", "1.0e10",
    "1.23456789e-123", "1e999", "-1e-999", "0.00000000000000000000000000000000001", "20e1", "0e1",
    "\"\"", "\"a\"", "\" \"", "\"\\\"\"", "\"\\\\\"", "\"\\/\"", "\"/\"", "\"\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"", "\"\\u0012\"", "\"\\uabcd\"", "\"\\uABCD\"", "\"\\uAbCd\"", "\"\\uD801\\udc37\"",
    "\"\\ud83d\\ude39\\ud83d\\udc8d\"", "\"\\uDBFF\\uDFFF\"", "\"\\uFFFF\"", "\"\\uFDD0\"",
    "\"\\u2028\"", "\"\x7f\"", "\"\xc2\x80\"", "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"",
    "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"", "\"\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"",
    "\"\xf4\x8f\xbf\xbf\"", "\"\xe2\x82\xac\"", "\"\xef\xbb\xbf\"", "\"a/*b*/c/*d//e\"",
    "\"\\\\a\"", "\"\\\\u0000\"", "\"new\\u000Aline\"", "\"0123456789abcdef\xc3\xa9\"",
    "\"0123456\\n\"", "\"01234567\\n\"", "\"012345678\\n\"", "[]", "[ ]", "[[]]", "[[[[]]]]", "[1]",
    "[1,2]", "[ 1 , 2 ]", "[1\n,2]", "[\"\"]", "[null]", "[null,1,\"1\",{}]", "[true,false]",
    "[[],[]]", "{}", "{ }", "{\"\":0}", "{\"a\":1}", "{\"a\":1,\"b\":2}", "{\"a\":{}}",
    "{\"a\":[{}]}", "{\"a\" : 1 }", "{ \"a\":null,\"b\":true}", "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"a\":1}", "{\"\\u0061\":1}", "{\"a\\u0000b\":1}", "{\"a\":\"b\\n\"}",
    "{\"x\":[{\"id\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]}", "\t1", "1\n", " 1 ", "\r\n 1\r\n",
    " [] ", "\n{\n}\n", "[-0]", "[-1]", "[1e0]", "{\"min\":-1.0e+28,\"max\":1.0e+28}",
};

static const char *const invalid[] = {
    "", " ", "\n", "nul", "nulll", "NULL", "Null", "tru", "truee", "True", "fals", "FALSE",
    "undefined", "NaN", "Infinity", "-Infinity", "-NaN", "Inf", "-", "+", "+1", "++1", "-+1", "--1",
    "01", "-01", "00", "012", "-012", "1.", "-1.", ".1", "-.1", "1.e1", "1.e", "1e", "1e+", "1e-",
    "1E", "1ee1", "1e1e1", "1.1.1", "1e1.1", "0x1", "0x", "1a", "1_000", "1 000", "0e", "0e+",
    "2.e3", "2.e+3", "9.e+", "1eE2", "1+2", "-a", "- 1", "\xef\xbc\x91", "\"", "\"a", "'a'", "a",
    "\"\\\"", "\"\\", "\"\\x\"", "\"\\x00\"", "\"\\a\"", "\"\\v\"", "\"\\0\"", "\"\\'\"",
    "\"\\U0041\"", "\"\\u\"", "\"\\u0\"", "\"\\u00\"", "\"\\u000\"", "\"\\u000g\"", "\"\\u 000\"",
    "\"\\u+123\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\n\"", "\"\\uD800\\uD800\"",
    "\"\\uD800\\u0041\"", "\"\\uD800a\"", "\"\\uDC00\\uD800\"", "\"\\uD800\\\"", "\"\\uD800\\u\"",
    "\"\\uD800\\u1\"", "\"\\uD800\\uDC0\"", "\"\n\"", "\"\t\"", "\"\x01\"", "\"\x1f\"",
    "\"0123456789\x1f\"", "\"\x80\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xc1\xbf\"", "\"\xc2\"",
    "\"\xc2\x41\"", "\"\xe0\x80\x80\"", "\"\xe0\x9f\xbf\"", "\"\xe2\x82\"", "\"\xed\xa0\x80\"",
    "\"\xed\xbf\xbf\"", "\"\xf0\x80\x80\x80\"", "\"\xf0\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"", "\"\xf0\x9f\x98\"", "\"\xf8\x88\x80\x80\x80\"", "\"\xfe\"", "\"a\"b",
    "\"a\" \"b\"", "\"a\"]", "[", "]", "[1", "[1,", "[,", "[,1]", "[1,]", "[1,,2]", "[1 2]",
    "[1;2]", "[\"a\" \"b\"]", "[1}", "[1]]", "[[]", "[*]", "[\"", "[-]", "[1 true]",
    "[\"a\",\n4\n,1,", "{", "}", "{]", "{a", "{a:1}", "{1:1}", "{'a':1}", "{\"a\"}", "{\"a\" 1}",
    "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{,}", "{\"a\":1,,}", "{\"a\"::1}", "{\"a\":1 \"b\":2}",
    "{null:1}", "{\"a\":1}}", "{\"a\":\"a\"1}", "{\"\\uD800\":1}", "{\"a\":/*c*/1}", "// c\n1",
    "1 // c", "/**/1", "# c\n1", "\v1", "\f1", "\xc2\xa0[]", "\xe2\x80\x83[]",
    "\xef\xbb\xbf{}", "<null>", "@", "1 1", "{} {}", "[][]", "true false", "nullnull", "\\n",
    "\\u0031", "[1,\n1\n,1", "{\"asd\":\"asd\"", "[\\u000A\"\"]",
};
/* clang-format on */

/* The same verdict for a document alone and as an unknown member. */
static void check_verdict(struct str text, bool expected)
{
    struct sample_all all = {0};
    struct arena a;
    struct buf b;
    struct err err = {0};
    int result;

    if (json_valid(text) != expected)
        test_note("alone: %.*s", STR_ARG(text));
    CHECK(json_valid(text) == expected);
    arena_init(&a, ROOM);
    buf_init(&b, ROOM);
    buf_add_text(&b, "{\"unknown\":");
    buf_add_str(&b, text);
    buf_add_byte(&b, '}');
    result = json_decode(&sample_all_message, buf_str(&b), &a, &all, &err);
    buf_done(&b);
    arena_done(&a);
    if ((result == 0) != expected)
        test_note("within: %.*s (%s)", STR_ARG(text), err.text);
    CHECK((result == 0) == expected);
    CHECK(expected || err.kind == ERR_INVALID);
}

static void takes_valid_documents(void)
{
    for (size_t i = 0; i < COUNT_OF(valid); i++)
        check_verdict(str_of(valid[i]), true);
}

static void refuses_invalid_documents(void)
{
    for (size_t i = 0; i < COUNT_OF(invalid); i++)
        check_verdict(str_of(invalid[i]), false);
    check_verdict(STR("1\0"), false);
    check_verdict(STR("\0"), false);
    check_verdict(STR("\"a\0b\""), false);
    check_verdict(STR("[1]\0[2]"), false);
    check_verdict((struct str){NULL, 0}, false);
}

static void bounds_depth(void)
{
    char text[4 * CODEC_DEPTH_MAX];
    struct err err;
    struct arena a;

    for (size_t depth = CODEC_DEPTH_MAX - 1; depth <= CODEC_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK(json_valid((struct str){text, 2 * depth}) == (depth <= CODEC_DEPTH_MAX));
    }
    for (size_t depth = 1; depth <= CODEC_DEPTH_MAX + 1; depth++) {
        struct sample_all all = {0};
        struct buf b;
        int result;

        buf_init(&b, ROOM);
        for (size_t i = 1; i < depth; i++)
            buf_add_text(&b, "{\"child\":");
        buf_add_text(&b, "{}");
        for (size_t i = 1; i < depth; i++)
            buf_add_byte(&b, '}');
        arena_init(&a, ROOM);
        err.kind = ERR_NONE;
        result = json_decode(&sample_all_message, buf_str(&b), &a, &all, &err);
        arena_done(&a);
        buf_done(&b);
        CHECK((result == 0) == (depth <= CODEC_DEPTH_MAX));
        CHECK(result == 0 || err.kind == ERR_LIMIT);
    }
}

static void quotes(void)
{
    static const struct {
        struct str in;
        const char *out;
    } cases[] = {
        {{NULL, 0},                         "\"\""                                          },
        {{"plain text of some length", 25}, "\"plain text of some length\""                 },
        {{"\"\\\b\f\n\r\t\0\x1f\x7f/", 11}, "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\x7f/\""},
        {{"\xc3\xa9\xf0\x9f\x98\xb9", 6},   "\"\xc3\xa9\xf0\x9f\x98\xb9\""                  },
        {{"a\xff", 2},                      "\"a\xef\xbf\xbd\""                             },
        {{"\xe2\x82", 2},                   "\"\xef\xbf\xbd\xef\xbf\xbd\""                  },
        {{"\xed\xa0\x80z", 4},              "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\""     },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        bool same;

        buf_init(&b, 200);
        json_quote(&b, cases[i].in);
        same = str_is(buf_str(&b), cases[i].out) && json_valid(buf_str(&b));
        buf_done(&b);
        CHECK(same);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"takes valid documents",     takes_valid_documents    },
        {"refuses invalid documents", refuses_invalid_documents},
        {"bounds depth",              bounds_depth             },
        {"quotes",                    quotes                   },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
