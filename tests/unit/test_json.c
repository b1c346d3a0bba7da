/* SPDX-License-Identifier: Apache-2.0 */
/* codec: JSON to structs and back. What each type takes and gives, what errors say. */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "messages.h"
#include "test.h"

enum { ROOM = 1 << 20 };

/* Decode, encode; the text must be `expected`, or the error must when that starts with '!'. */
static void check_with(const struct codec_message *m, struct str text, const char *expected)
{
    static uint64_t out[512]; /* room for any sample struct */
    struct err err = {0};
    struct arena a;
    struct buf b;
    bool same;

    CHECK(m->size <= sizeof(out));
    memset(out, 0, m->size);
    arena_init(&a, ROOM);
    buf_init(&b, ROOM);
    if (json_decode(m, text, &a, out, &err) != 0)
        buf_printf(&b, "!%s", err.text);
    else
        json_encode(m, out, &b);
    same = str_is(buf_str(&b), expected);
    if (!same)
        test_note("%.*s gave %.*s, not %s", STR_ARG(text), STR_ARG(buf_str(&b)), expected);
    buf_done(&b);
    arena_done(&a);
    CHECK(same);
}

struct pair {
    const char *text, *expected;
};

static void check_table(const struct codec_message *m, const struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_with(m, str_of(pairs[i].text), pairs[i].expected);
}

/* clang-format off */
static const struct pair scalars[] = {
    {"{}", "{}"},
    {"{\"text\":\"\"}", "{}"},
    {"{\"text\":\"a\\u00e9\\ud83d\\ude39\\n\\/\"}", "{\"text\":\"a\xc3\xa9\xf0\x9f\x98\xb9\\n/\"}"},
    {"{\"text\":\"\\u0000\\u001f\\b\\\"\\\\\"}", "{\"text\":\"\\u0000\\u001f\\b\\\"\\\\\"}"},
    {"{\"text\":null}", "{}"},
    {"{\"text\":1}", "!text: expected a string"},
    {"{\"text\":[]}", "!text: expected a string"},
    {"{\"text\":", "!unexpected end of input at byte 8"},
    {"{\"text\" \"\"}", "!unexpected character at byte 8"},
    {"{\"text\":\"\\ud800\"}", "!lone surrogate at byte 9"},
    {"[]", "!expected an object"},
    {"null", "!expected an object"},
    {"", "!unexpected end of input at byte 0"},
    {"{} x", "!unexpected character at byte 3"},
    {"{\"bytes\":\"aGk=\"}", "{\"bytes\":\"aGk=\"}"},
    {"{\"bytes\":\"aGk\"}", "{\"bytes\":\"aGk=\"}"},
    {"{\"bytes\":\"-_-_\"}", "{\"bytes\":\"+/+/\"}"},
    {"{\"bytes\":\"+\\/+\\u002f\"}", "{\"bytes\":\"+/+/\"}"},
    {"{\"bytes\":\"AAAA\"}", "{\"bytes\":\"AAAA\"}"},
    {"{\"bytes\":\"a\"}", "!bytes: not valid base64"},
    {"{\"bytes\":\"a b=\"}", "!bytes: not valid base64"},
    {"{\"bytes\":7}", "!bytes: expected a base64 string"},
    {"{\"flag\":true}", "{\"flag\":true}"},
    {"{\"flag\":false}", "{}"},
    {"{\"flag\":\"true\"}", "!flag: expected true or false"},
    {"{\"flag\":1}", "!flag: expected true or false"},
    {"{\"flag\":tru}", "!unexpected character at byte 11"},
    {"{\"kind\":\"KIND_NINE\"}", "{\"kind\":\"KIND_NINE\"}"},
    {"{\"kind\":9}", "{\"kind\":\"KIND_NINE\"}"},
    {"{\"kind\":-1}", "{\"kind\":\"KIND_MINUS\"}"},
    {"{\"kind\":77}", "{\"kind\":77}"},
    {"{\"kind\":0}", "{}"},
    {"{\"kind\":\"KIND_NONE\"}", "{}"},
    {"{\"kind\":\"KIND_TEN\"}", "!kind: unknown name"},
    {"{\"kind\":\"9\"}", "!kind: unknown name"},
    {"{\"kind\":2147483648}", "!kind: number out of range"},
    {"{\"kind\":true}", "!kind: expected a name"},
    {"{\"unknown\":[1,{\"a\":null}],\"i32\":1}", "{\"i32\":1}"},
};
/* clang-format on */

static void decodes_scalars(void)
{
    check_table(&sample_all_message, scalars, COUNT_OF(scalars));
}

/* clang-format off */
static const struct pair numbers[] = {
    {"{\"i32\":1}", "{\"i32\":1}"},
    {"{\"i32\":1.0}", "{\"i32\":1}"},
    {"{\"i32\":1e2}", "{\"i32\":100}"},
    {"{\"i32\":1.25e2}", "{\"i32\":125}"},
    {"{\"i32\":12500e-2}", "{\"i32\":125}"},
    {"{\"i32\":-0}", "{}"},
    {"{\"i32\":0e99999999999999999999}", "{}"},
    {"{\"i32\":0.000e5}", "{}"},
    {"{\"i32\":\"17\"}", "{\"i32\":17}"},
    {"{\"i32\":\"-1e1\"}", "{\"i32\":-10}"},
    {"{\"i32\":\"\\u0031\"}", "{\"i32\":1}"},
    {"{\"i32\":2147483647}", "{\"i32\":2147483647}"},
    {"{\"i32\":-2147483648}", "{\"i32\":-2147483648}"},
    {"{\"i32\":2147483648}", "!i32: number out of range"},
    {"{\"i32\":-2147483649}", "!i32: number out of range"},
    {"{\"i32\":1e99999999999999999999}", "!i32: number out of range"},
    {"{\"i32\":1e-99999999999999999999}", "!i32: expected an integer, not a fraction"},
    {"{\"i32\":1.5}", "!i32: expected an integer, not a fraction"},
    {"{\"i32\":125e-2}", "!i32: expected an integer, not a fraction"},
    {"{\"i32\":\"\"}", "!i32: expected an integer"},
    {"{\"i32\":\" 1\"}", "!i32: expected an integer"},
    {"{\"i32\":\"1 \"}", "!i32: expected an integer"},
    {"{\"i32\":\"01\"}", "!i32: expected an integer"},
    {"{\"i32\":\"0x1\"}", "!i32: expected an integer"},
    {"{\"i32\":\"+1\"}", "!i32: expected an integer"},
    {"{\"i32\":\"1\\u0000\"}", "!i32: expected an integer"},
    {"{\"i32\":true}", "!i32: expected an integer"},
    {"{\"i32\":{}}", "!i32: expected an integer"},
    {"{\"i32\":01}", "!unexpected character at byte 8"},
    {"{\"i32\":-}", "!unexpected character at byte 8"},
    {"{\"s32\":-2147483648}", "{\"s32\":-2147483648}"},
    {"{\"u32\":4294967295}", "{\"u32\":4294967295}"},
    {"{\"u32\":4294967296}", "!u32: number out of range"},
    {"{\"u32\":-1}", "!u32: number out of range"},
    {"{\"u32\":-0}", "{}"},
    {"{\"i64\":\"9223372036854775807\"}", "{\"i64\":\"9223372036854775807\"}"},
    {"{\"i64\":9223372036854775807}", "{\"i64\":\"9223372036854775807\"}"},
    {"{\"i64\":9.223372036854775807e18}", "{\"i64\":\"9223372036854775807\"}"},
    {"{\"i64\":-9223372036854775808}", "{\"i64\":\"-9223372036854775808\"}"},
    {"{\"i64\":9223372036854775808}", "!i64: number out of range"},
    {"{\"i64\":-9223372036854775809}", "!i64: number out of range"},
    {"{\"u64\":18446744073709551615}", "{\"u64\":\"18446744073709551615\"}"},
    {"{\"u64\":18446744073709551616}", "!u64: number out of range"},
    {"{\"u64\":1844674407370955161500e-2}", "{\"u64\":\"18446744073709551615\"}"},
    {"{\"real\":1}", "{\"real\":1}"},
    {"{\"real\":0.1}", "{\"real\":0.1}"},
    {"{\"real\":1e300}", "{\"real\":1e+300}"},
    {"{\"real\":5e-324}", "{\"real\":4.94065645841247e-324}"},
    {"{\"real\":0.30000000000000004}", "{\"real\":0.30000000000000004}"},
    {"{\"real\":-0}", "{\"real\":-0}"},
    {"{\"real\":0}", "{}"},
    {"{\"real\":\"1.5\"}", "{\"real\":1.5}"},
    {"{\"real\":\"NaN\"}", "{\"real\":\"NaN\"}"},
    {"{\"real\":\"Infinity\"}", "{\"real\":\"Infinity\"}"},
    {"{\"real\":\"-Infinity\"}", "{\"real\":\"-Infinity\"}"},
    {"{\"real\":\"inf\"}", "!real: expected a number"},
    {"{\"real\":\"0x1p3\"}", "!real: expected a number"},
    {"{\"real\":1e400}", "!real: number out of range"},
    {"{\"real\":NaN}", "!real: expected a number"},
};
/* clang-format on */

static void decodes_numbers(void)
{
    check_table(&sample_all_message, numbers, COUNT_OF(numbers));
}

/* clang-format off */
static const struct pair nested[] = {
    {"{\"child\":{\"child\":{\"i32\":1}}}", "{\"child\":{\"child\":{\"i32\":1}}}"},
    {"{\"child\":{}}", "{\"child\":{}}"},
    {"{\"child\":null}", "{}"},
    {"{\"child\":[]}", "!child: expected an object"},
    {"{\"child\":{\"child\":{\"i32\":\"x\"}}}", "!child.child.i32: expected an integer"},
    {"{\"children\":[{},{\"i32\":1}]}", "{\"children\":[{},{\"i32\":1}]}"},
    {"{\"children\":[{},{\"texts\":[\"a\",1]}]}", "!children[1].texts[1]: expected a string"},
    {"{\"children\":[null]}", "!children[0]: expected an object"},
    {"{\"children\":{}}", "!children: expected an array"},
    {"{\"texts\":[]}", "{}"},
    {"{\"texts\":[\"a\",\"\",\"\\n\"]}", "{\"texts\":[\"a\",\"\",\"\\n\"]}"},
    {"{\"texts\":[null]}", "!texts[0]: expected a string"},
    {"{\"texts\":\"a\"}", "!texts: expected an array"},
    {"{\"blobs\":[\"AA==\",\"\"]}", "{\"blobs\":[\"AA==\",\"\"]}"},
    {"{\"flags\":[true,false,true]}", "{\"flags\":[true,false,true]}"},
    {"{\"i32s\":[1,2,3,4,5,6,7,8,\"9\"]}", "{\"i32s\":[1,2,3,4,5,6,7,8,9]}"},
    {"{\"s32s\":[-1]}", "{\"s32s\":[-1]}"},
    {"{\"u32s\":[0,1]}", "{\"u32s\":[0,1]}"},
    {"{\"u32s\":[-1]}", "!u32s[0]: number out of range"},
    {"{\"i64s\":[1,-1]}", "{\"i64s\":[\"1\",\"-1\"]}"},
    {"{\"u64s\":[1]}", "{\"u64s\":[\"1\"]}"},
    {"{\"reals\":[1.5,0]}", "{\"reals\":[1.5,0]}"},
    {"{\"kinds\":[\"KIND_NINE\",0]}", "{\"kinds\":[\"KIND_NINE\",\"KIND_NONE\"]}"},
    {"{\"map\":{\"a\":\"1\",\"b\":\"\"}}", "{\"map\":{\"a\":\"1\",\"b\":\"\"}}"},
    {"{\"map\":{\"\":\"\"}}", "{\"map\":{\"\":\"\"}}"},
    {"{\"map\":{\"\\u0061\\n\":\"\\t\"}}", "{\"map\":{\"a\\n\":\"\\t\"}}"},
    {"{\"map\":{}}", "{}"},
    {"{\"map\":[]}", "!map: expected an object"},
    {"{\"map\":{\"a\":1}}", "!map: expected an object of strings"},
    {"{\"map\":{\"a\":null}}", "!map: expected an object of strings"},
    {"{\"map\":{\"a\":\"1\",\"\\u0061\":\"2\"}}", "!map: duplicate key"},
    {"{\"child\":{\"map\":3}}", "!child.map: expected an object"},
    {"{\"time\":\"1970-01-01T00:00:01Z\"}", "{\"time\":\"1970-01-01T00:00:01Z\"}"},
    {"{\"time\":\"2026-11-20T18:49:00.5+01:00\"}", "{\"time\":\"2026-11-20T17:49:00.500Z\"}"},
    {"{\"time\":\"9999-12-31T23:59:59.999999999Z\"}",
     "{\"time\":\"9999-12-31T23:59:59.999999999Z\"}"},
    {"{\"time\":\"0001-01-01T00:00:00Z\"}", "{\"time\":\"0001-01-01T00:00:00Z\"}"},
    {"{\"time\":\"0001-01-01T00:00:00+01:00\"}", "!time: expected an RFC 3339 time"},
    {"{\"time\":\"2026-02-29T00:00:00Z\"}", "!time: expected an RFC 3339 time"},
    {"{\"time\":\"2026-11-20\"}", "!time: expected an RFC 3339 time"},
    {"{\"time\":0}", "!time: expected an RFC 3339 time"},
    {"{\"times\":[\"1970-01-01T00:00:00Z\"]}", "{\"times\":[\"1970-01-01T00:00:00Z\"]}"},
};
/* clang-format on */

static void decodes_nested(void)
{
    check_table(&sample_all_message, nested, COUNT_OF(nested));
}

/* clang-format off */
static const struct pair presence[] = {
    {"{\"maybeI32\":0,\"maybeText\":\"\"}", "{\"maybeI32\":0,\"maybeText\":\"\"}"},
    {"{\"maybeI32\":null}", "{}"},
    {"{\"oneText\":\"\"}", "{\"oneText\":\"\"}"},
    {"{\"oneI32\":0}", "{\"oneI32\":0}"},
    {"{\"oneSize\":{}}", "{\"oneSize\":{}}"},
    {"{\"oneText\":null,\"oneI32\":3}", "{\"oneI32\":3}"},
    {"{\"oneI32\":3,\"oneText\":null}", "{\"oneI32\":3}"},
    {"{\"oneI32\":3,\"oneText\":\"\"}", "!oneText: only one member of its group may be given"},
    {"{\"oneI32\":3,\"oneI32\":3}", "!oneI32: duplicate member"},
    {"{\"i32\":1,\"i32\":1}", "!i32: duplicate member"},
    {"{\"i32\":null,\"i32\":1}", "!i32: duplicate member"},
    {"{\"i32\":1,\"\\u0069\\u0033\\u0032\":1}", "!i32: duplicate member"},
    {"{\"maybeI32\":1,\"maybe_i32\":1}", "{\"maybeI32\":1}"},
    {"{ \"maybeI32\" : 1 , \"i32\":2, \"m\\u0061ybe_i32\" : 1 }", "{\"i32\":2,\"maybeI32\":1}"},
    {"{\"maybe_i32\":null,\"maybeI32\":null}", "{}"},
    {"{\"maybeI32\":1,\"maybe_i32\":2}", "!maybeI32: both spellings are given, and differ"},
    {"{\"maybeI32\":1,\"maybe_i32\":null}", "!maybeI32: both spellings are given, and differ"},
    {"{\"maybeI32\":1,\"i32\":2,\"maybe_i32\":1,\"maybe_i32\":1}",
     "!maybeI32: duplicate member"},
    {"{\"maybeI32\":1,\"maybe_i32\":1,\"maybeI32\":1}", "!maybeI32: duplicate member"},
    {"{\"maybeI32\":1,\"maybe_i32\":", "!unexpected end of input at byte 26"},
    {"{\"oneSize\":{\"a\":[1]},\"one_size\":{\"a\":[1]}}", "{\"oneSize\":{}}"},
    {"{\"maybe_text\":\"x\"}", "{\"maybeText\":\"x\"}"},
    {"{\"maybe_Text\":\"x\"}", "{}"},
    {"{\"maybetext\":\"x\"}", "{}"},
    {"{\"maybe__text\":\"x\"}", "{}"},
    {"{\"maybe_text_\":\"x\"}", "{}"},
    {"{\"_maybe_text\":\"x\"}", "{}"},
    {"{\"m\\u0061ybe\\u005ftext\":\"x\"}", "{\"maybeText\":\"x\"}"},
    {"{\"\":1,\"i3\":1,\"i322\":1,\"i32\\u0000\":1}", "{}"},
};
/* clang-format on */

static void keeps_presence(void)
{
    check_table(&sample_all_message, presence, COUNT_OF(presence));
}

/* clang-format off */
static const struct pair rest[] = {
    {"{\"templateID\":\"t\"}",
     "{\"templateID\":\"t\",\"timeout\":0,\"list\":[],\"note\":\"\",\"at\":null,\"size\":null}"},
    {"{\"template_id\":\"t\",\"raw\": {\"a\" : [1 , 2]} ,\"timeout\":-5,\"list\":[1e1],"
     "\"size\":{}}",
     "{\"templateID\":\"t\",\"timeout\":-5,\"raw\":{\"a\" : [1 , 2]},\"list\":[10],"
     "\"note\":\"\",\"at\":null,\"size\":{}}"},
    {"{\"template_i_d\":\"t\",\"allow_internet_access\":false}",
     "{\"templateID\":\"t\",\"timeout\":0,\"allow_internet_access\":false,\"list\":[],"
     "\"note\":\"\",\"at\":null,\"size\":null}"},
    {"{\"templateID\":\"t\",\"allowInternetAccess\":true}",
     "{\"templateID\":\"t\",\"timeout\":0,\"allow_internet_access\":true,\"list\":[],"
     "\"note\":\"\",\"at\":null,\"size\":null}"},
    {"{\"templateID\":\"t\",\"allowInternetAccess\":true,\"allow_internet_access\":true}",
     "{\"templateID\":\"t\",\"timeout\":0,\"allow_internet_access\":true,\"list\":[],"
     "\"note\":\"\",\"at\":null,\"size\":null}"},
    {"{\"templateID\":\"t\",\"allowInternetAccess\":true,\"allow_internet_access\":false}",
     "!allowInternetAccess: both spellings are given, and differ"},
    {"{\"templateID\":\"t\",\"template_id\":\"t\",\"template_i_d\":\"t\"}",
     "!templateID: duplicate member"},
    {"{\"templateID\":\"\"}", /* what is required is written, else it could not be read back */
     "{\"templateID\":\"\",\"timeout\":0,\"list\":[],\"note\":\"\",\"at\":null,\"size\":null}"},
    {"{}", "!templateID: is required"},
    {"{\"templateID\":null}", "!templateID: is required"},
    {"{\"templateID\":\"t\",\"timeout\":\"5\"}", "!timeout: expected an integer"},
    {"{\"templateID\":\"t\",\"timeout\":9223372036854775808}", "!timeout: number out of range"},
    {"{\"templateID\":\"t\",\"raw\":[1,]}", "!unexpected character at byte 27"},
};
/* clang-format on */

static void serves_the_rest_side(void)
{
    check_table(&sample_rest_message, rest, COUNT_OF(rest));
}

static void names_the_path(void)
{
    /* clang-format off */
    static const struct pair pairs[] = {
        {"{\"process\":{\"envs\":[]}}", "!process.envs: expected an object"},
        {"{\"process\":{\"args\":[\"a\",{}]}}", "!process.args[1]: expected a string"},
        {"{\"pty\":{\"size\":{\"cols\":-1}}}", "!pty.size.cols: number out of range"},
        {"{\"process\":{\"cmd\":\"ls\"},\"stdin\":false}",
         "{\"process\":{\"cmd\":\"ls\"},\"stdin\":false}"},
    };
    /* clang-format on */

    check_table(&sample_start_message, pairs, COUNT_OF(pairs));
    check_with(&sample_event_message, STR("{\"keepalive\":{}}"), "{\"keepalive\":{}}");
    check_with(&sample_event_message, STR("{\"end\":{\"exit_code\":-1,\"exited\":true}}"),
               "{\"end\":{\"exitCode\":-1,\"exited\":true}}");
}

static void bounds_memory(void)
{
    struct str text = STR("{\"texts\":[\"aaaaaaaaaaaaaaaa\",\"b\",\"c\",\"d\",\"e\"],"
                          "\"map\":{\"\\n\":\"b\"},\"bytes\":\"aGk=\",\"child\":{}}");
    bool passed = false;

    for (size_t max = 0; max < 4096 && !passed; max += 8) {
        struct sample_all all = {0};
        struct err err = {0};
        struct arena a;

        arena_init(&a, max);
        passed = json_decode(&sample_all_message, text, &a, &all, &err) == 0;
        arena_done(&a);
        CHECK(passed || err.kind == ERR_LIMIT);
    }
    CHECK(passed);
}

static void bounds_items(void)
{
    static struct sample_all all;
    struct err err = {0};
    struct arena a;
    struct buf b;
    int result;

    for (size_t count = CODEC_ITEMS_MAX; count <= CODEC_ITEMS_MAX + 1; count++) {
        buf_init(&b, ROOM);
        buf_add_text(&b, "{\"flags\":[true");
        for (size_t i = 1; i < count; i++)
            buf_add_text(&b, ",true");
        buf_add_text(&b, "]}");
        CHECK(buf_ok(&b));
        arena_init(&a, ROOM);
        all = (struct sample_all){0};
        result = json_decode(&sample_all_message, buf_str(&b), &a, &all, &err);
        arena_done(&a);
        buf_done(&b);
        CHECK((result == 0) == (count == CODEC_ITEMS_MAX));
    }
    CHECK(err.kind == ERR_LIMIT);
    CHECK(strcmp(err.text, "flags[99999]: too large") == 0);
}

/* More pairs than are compared one by one. */
static void finds_doubles_in_large_maps(void)
{
    for (size_t twin = 0; twin <= 200; twin += 67) {
        struct sample_all all = {0};
        struct err err = {0};
        struct arena a;
        struct buf b;
        int result;

        buf_init(&b, ROOM);
        arena_init(&a, ROOM);
        buf_add_text(&b, "{\"map\":{");
        for (size_t i = 0; i < 200; i++)
            buf_printf(&b, "\"key%zu\":\"v\",", i);
        buf_printf(&b, "\"key%zu\":\"\"}}", twin);
        result = json_decode(&sample_all_message, buf_str(&b), &a, &all, &err);
        CHECK((result == 0) == (twin >= 200));
        CHECK(result != 0 || all.map.count == 201);
        buf_done(&b);
        arena_done(&a);
    }
}

static void ends_decoded_text_with_nul(void)
{
    struct sample_all all = {0};
    struct err err = {0};
    struct arena a;

    arena_init(&a, ROOM);
    CHECK(json_decode(&sample_all_message,
                      STR("{\"text\":\"plain\",\"maybeText\":\"es\\u0063aped\",\"bytes\":\"aGk\"}"),
                      &a, &all, &err) == 0);
    CHECK(strcmp(all.text.at, "plain") == 0 && all.text.len == 5);
    CHECK(strcmp(all.maybe_text.at, "escaped") == 0 && all.maybe_text.len == 7);
    CHECK(strcmp(all.bytes.at, "hi") == 0 && all.bytes.len == 2);
    arena_done(&a);
}

static void survives_a_full_buffer(void)
{
    struct sample_all child = {.i32 = 7, .text = STR("abc")};
    struct sample_all all = {.child = &child, .real = 0.1, .bytes = STR("xyz")};
    struct buf whole, part;

    buf_init(&whole, ROOM);
    json_encode(&sample_all_message, &all, &whole);
    CHECK(buf_ok(&whole));
    for (size_t max = 0; max < whole.len; max++) {
        buf_init(&part, max);
        json_encode(&sample_all_message, &all, &part);
        CHECK(!buf_ok(&part));
        buf_done(&part);
    }
    buf_done(&whole);
}

static void refuses_a_loop_of_structs(void)
{
    struct sample_all all = {.i32 = 1};
    struct buf b;

    all.child = &all;
    buf_init(&b, ROOM);
    json_encode(&sample_all_message, &all, &b);
    CHECK(!buf_ok(&b));
    buf_done(&b);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"decodes scalars",             decodes_scalars            },
        {"decodes numbers",             decodes_numbers            },
        {"decodes nested",              decodes_nested             },
        {"keeps presence",              keeps_presence             },
        {"serves the REST side",        serves_the_rest_side       },
        {"names the path",              names_the_path             },
        {"bounds memory",               bounds_memory              },
        {"bounds items",                bounds_items               },
        {"finds doubles in large maps", finds_doubles_in_large_maps},
        {"ends decoded text with NUL",  ends_decoded_text_with_nul },
        {"survives a full buffer",      survives_a_full_buffer     },
        {"refuses a loop of structs",   refuses_a_loop_of_structs  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
