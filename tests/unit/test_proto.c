/* SPDX-License-Identifier: Apache-2.0 */
/* codec: protobuf. Bytes in, bytes out, what is refused, and the way through both encodings. */
#include <string.h>

#include "codec/codec.h"
#include "messages.h"
#include "test.h"

enum { ROOM = 1 << 20 };

union sample {
    struct sample_all all;
    struct sample_start start;
    struct sample_event event;
    struct sample_entry entry;
    struct sample_config config;
};

/* Bytes to JSON, or "!" and the error. */
static void describe(const struct codec_message *m, struct str bytes, struct buf *out)
{
    union sample sample;
    struct err err = {0};
    struct arena a;

    memset(&sample, 0, sizeof(sample));
    arena_init(&a, ROOM);
    if (proto_decode(m, bytes, &a, &sample, &err) != 0)
        buf_printf(out, "!%s", err.text);
    else
        json_encode(m, &sample, out);
    arena_done(&a);
}

struct pair {
    struct str bytes;
    const char *expected;
};

static void check_table(const struct codec_message *m, const struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf b;
        bool same;

        buf_init(&b, ROOM);
        describe(m, pairs[i].bytes, &b);
        same = str_is(buf_str(&b), pairs[i].expected);
        if (!same)
            test_note("case %zu: %.*s, not %s", i, STR_ARG(buf_str(&b)), pairs[i].expected);
        buf_done(&b);
        CHECK(same);
    }
}

static void decodes_each_type(void)
{
    /* clang-format off */
    static const struct pair pairs[] = {
        {STR(""), "{}"},
        {STR("\x0a\x02hi"), "{\"text\":\"hi\"}"},
        {STR("\x0a\x00"), "{}"},
        {STR("\x12\x02\xff\x00"), "{\"bytes\":\"/wA=\"}"},
        {STR("\x18\x01"), "{\"flag\":true}"},
        {STR("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "{\"flag\":true}"},
        {STR("\x20\x05"), "{\"i32\":5}"},
        {STR("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"i32\":-1}"},
        {STR("\x20\xff\xff\xff\xff\x0f"), "{\"i32\":-1}"},
        {STR("\x28\x01"), "{\"s32\":-1}"},
        {STR("\x28\x02"), "{\"s32\":1}"},
        {STR("\x28\xff\xff\xff\xff\x0f"), "{\"s32\":-2147483648}"},
        {STR("\x30\xff\xff\xff\xff\x0f"), "{\"u32\":4294967295}"},
        {STR("\x38\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "{\"i64\":\"-9223372036854775808\"}"},
        {STR("\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"u64\":\"18446744073709551615\"}"},
        {STR("\x49\x00\x00\x00\x00\x00\x00\xf8\x3f"), "{\"real\":1.5}"},
        {STR("\x50\x09"), "{\"kind\":\"KIND_NINE\"}"},
        {STR("\x50\x4d"), "{\"kind\":77}"},
        {STR("\x5a\x02\x20\x01"), "{\"child\":{\"i32\":1}}"},
        {STR("\x5a\x00"), "{\"child\":{}}"},
        {STR("\x62\x04\x08\x01\x10\x05"), "{\"time\":\"1970-01-01T00:00:01.000000005Z\"}"},
        {STR("\x6a\x06\x0a\x01k\x12\x01v"), "{\"map\":{\"k\":\"v\"}}"},
        {STR("\x6a\x06\x12\x01v\x0a\x01k"), "{\"map\":{\"k\":\"v\"}}"},
        {STR("\x6a\x00"), "{\"map\":{\"\":\"\"}}"},
        {STR("\x6a\x09\x0a\x01k\x1a\x01x\x12\x01v"), "{\"map\":{\"k\":\"v\"}}"},
        {STR("\x72\x01\x61\x72\x00"), "{\"texts\":[\"a\",\"\"]}"},
        {STR("\xd0\x01\x00"), "{\"maybeI32\":0}"},
        {STR("\xda\x01\x00"), "{\"maybeText\":\"\"}"},
        {STR("\xe2\x01\x00"), "{\"oneText\":\"\"}"},
        {STR("\xc2\x3e\x02\x08\x07"), "{\"oneSize\":{\"cols\":7}}"},
    };
    /* clang-format on */

    check_table(&sample_all_message, pairs, COUNT_OF(pairs));
}

static void takes_packed_and_unpacked(void)
{
    /* clang-format off */
    static const struct pair pairs[] = {
        {STR("\x8a\x01\x03\x01\x02\x03"), "{\"i32s\":[1,2,3]}"},
        {STR("\x88\x01\x01\x88\x01\x02"), "{\"i32s\":[1,2]}"},
        {STR("\x88\x01\x01\x8a\x01\x02\x02\x03\x88\x01\x04"), "{\"i32s\":[1,2,3,4]}"},
        {STR("\x8a\x01\x00"), "{}"},
        {STR("\x92\x01\x02\x01\x02"), "{\"s32s\":[-1,1]}"},
        {STR("\x82\x01\x02\x00\x01"), "{\"flags\":[false,true]}"},
        {STR("\xb2\x01\x08\x00\x00\x00\x00\x00\x00\xf8\x3f"), "{\"reals\":[1.5]}"},
        {STR("\xba\x01\x02\x09\x00"), "{\"kinds\":[\"KIND_NINE\",\"KIND_NONE\"]}"},
        {STR("\x8a\x01\x02\x01\x80"), "!unexpected end of input at byte 5"},
        {STR("\xb2\x01\x07\x00\x00\x00\x00\x00\x00\xf8"), "!unexpected end of input at byte 3"},
    };
    /* clang-format on */

    check_table(&sample_all_message, pairs, COUNT_OF(pairs));
}

static void merges_as_protobuf_does(void)
{
    /* clang-format off */
    static const struct pair pairs[] = {
        {STR("\x20\x01\x20\x02"), "{\"i32\":2}"},
        {STR("\x0a\x01\x61\x0a\x01\x62"), "{\"text\":\"b\"}"},
        {STR("\x5a\x02\x20\x01\x5a\x02\x28\x02"), "{\"child\":{\"i32\":1,\"s32\":1}}"},
        {STR("\x62\x02\x08\x01\x62\x02\x10\x05"), "{\"time\":\"1970-01-01T00:00:01.000000005Z\"}"},
        {STR("\x6a\x06\x0a\x01k\x12\x01v\x6a\x06\x0a\x01k\x12\x01w"), "{\"map\":{\"k\":\"w\"}}"},
        {STR("\xe2\x01\x01\x61\xe8\x01\x02"), "{\"oneI32\":2}"},
        {STR("\xe8\x01\x02\xe2\x01\x01\x61"), "{\"oneText\":\"a\"}"},
        {STR("\xc2\x3e\x02\x08\x07\xc2\x3e\x02\x10\x08"), "{\"oneSize\":{\"cols\":7,\"rows\":8}}"},
        {STR("\xc2\x3e\x02\x08\x07\xe8\x01\x02\xc2\x3e\x02\x10\x08"), "{\"oneSize\":{\"rows\":8}}"},
        {STR("\x5a\x08\x6a\x06\x0a\x01k\x12\x01v\x5a\x08\x6a\x06\x0a\x01k\x12\x01w"),
         "{\"child\":{\"map\":{\"k\":\"w\"}}}"},
    };
    /* clang-format on */

    check_table(&sample_all_message, pairs, COUNT_OF(pairs));
}

static void skips_unknown_fields(void)
{
    /* clang-format off */
    static const struct pair pairs[] = {
        {STR("\xf8\x07\x05\x20\x01"), "{\"i32\":1}"},
        {STR("\xfa\x07\x02zz\x20\x01"), "{\"i32\":1}"},
        {STR("\xf9\x07zzzzzzzz\x20\x01"), "{\"i32\":1}"},
        {STR("\xfd\x07zzzz\x20\x01"), "{\"i32\":1}"},
        {STR("\xf8\xff\xff\xff\x0f\x01"), "{}"}, /* the largest field number */
    };
    /* clang-format on */

    check_table(&sample_all_message, pairs, COUNT_OF(pairs));
}

static void refuses_broken_bytes(void)
{
    /* clang-format off */
    static const struct pair pairs[] = {
        {STR("\x80"), "!unexpected end of input at byte 1"},
        {STR("\x20"), "!unexpected end of input at byte 1"},
        {STR("\x20\x80"), "!unexpected end of input at byte 2"},
        {STR("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "!varint too long at byte 11"},
        {STR("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "!varint too long at byte 11"},
        {STR("\x00\x01"), "!bad field number at byte 0"},
        {STR("\x80\x80\x80\x80\x10\x00"), "!bad field number at byte 0"},
        {STR("\x0a\x05hi"), "!length beyond the end of input at byte 2"},
        {STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
         "!length beyond the end of input at byte 11"},
        {STR("\x0a\x01\xff"), "!text: not valid UTF-8"},
        {STR("\x0a\x03\xed\xa0\x80"), "!text: not valid UTF-8"},
        {STR("\x72\x00\x72\x01\xc0"), "!texts[1]: not valid UTF-8"},
        {STR("\x6a\x03\x0a\x01\xff"), "!map[0]: not valid UTF-8"},
        {STR("\x5a\x03\x0a\x01\xff"), "!child.text: not valid UTF-8"},
        {STR("\x08\x01"), "!text: wrong wire type"},
        {STR("\x22\x01\x01"), "!i32: wrong wire type"},
        {STR("\x48\x01"), "!real: wrong wire type"},
        {STR("\x6a\x02\x08\x01"), "!map[0]: wrong wire type"},
        {STR("\x62\x03\x0a\x01\x01"), "!time: wrong wire type"},
        {STR("\x62\x06\x10\x80\x94\xeb\xdc\x03"), "!time: time out of range"},
        {STR("\x62\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "!time: time out of range"},
        {STR("\x0b\x0c"), "!text: wrong wire type"},
        {STR("\xfb\x07\xfc\x07"), "!unsupported wire type at byte 2"},
        {STR("\xfc\x07"), "!unsupported wire type at byte 2"},
        {STR("\xfe\x07"), "!unsupported wire type at byte 2"},
        {STR("\xff\x07"), "!unsupported wire type at byte 2"},
        {STR("\x5a\x03\x20\x01"), "!length beyond the end of input at byte 2"},
        {STR("\x5a\x01\x20\x01"), "!unexpected end of input at byte 3"},
    };
    /* clang-format on */

    check_table(&sample_all_message, pairs, COUNT_OF(pairs));
}

static void bounds_depth(void)
{
    for (size_t depth = CODEC_DEPTH_MAX; depth <= CODEC_DEPTH_MAX + 1; depth++) {
        struct sample_all all = {0};
        struct err err = {0};
        uint8_t bytes[4 * CODEC_DEPTH_MAX];
        size_t at = sizeof(bytes);
        struct arena a;
        int result;

        for (size_t i = 1; i < depth; i++) {
            size_t len = sizeof(bytes) - at;

            bytes[--at] = (uint8_t)len;
            bytes[--at] = 0x5a;
        }
        arena_init(&a, ROOM);
        result = proto_decode(&sample_all_message,
                              (struct str){(const char *)bytes + at, sizeof(bytes) - at}, &a, &all,
                              &err);
        arena_done(&a);
        CHECK((result == 0) == (depth == CODEC_DEPTH_MAX));
        CHECK(result == 0 || err.kind == ERR_LIMIT);
    }
}

static void bounds_items(void)
{
    for (size_t count = CODEC_ITEMS_MAX; count <= CODEC_ITEMS_MAX + 1; count++) {
        struct sample_all all = {0};
        struct err err = {0};
        struct arena a;
        struct buf b;
        int result;

        buf_init(&b, ROOM);
        for (size_t i = 0; i < count; i++)
            buf_add(&b, "\x80\x01\x01", 3);
        arena_init(&a, ROOM);
        result = proto_decode(&sample_all_message, buf_str(&b), &a, &all, &err);
        arena_done(&a);
        buf_done(&b);
        CHECK((result == 0) == (count == CODEC_ITEMS_MAX));
        CHECK(result == 0 || err.kind == ERR_LIMIT);
    }
}

/* A map that comes in very many parts must not cost more than its size. */
static void settles_large_maps(void)
{
    struct sample_all all = {0};
    struct err err = {0};
    struct arena a;
    struct buf b;

    buf_init(&b, ROOM);
    for (size_t i = 0; i < 50000; i++) {
        buf_add(&b, "\x5a\x0b\x6a\x09\x0a\x04", 6);
        buf_printf(&b, "%04zu", i % 1000);
        buf_add(&b, "\x12\x01v", 3);
    }
    CHECK(buf_ok(&b));
    arena_init(&a, 16 * ROOM);
    CHECK(proto_decode(&sample_all_message, buf_str(&b), &a, &all, &err) == 0);
    CHECK(all.child->map.count == 1000);
    arena_done(&a);
    buf_done(&b);
}

/* JSON to struct to bytes to struct to JSON, with every type in it. */
static const char everything[] =
    "{\"text\":\"\xc3\xa9\\u0000\",\"bytes\":\"AP8=\",\"flag\":true,\"i32\":-2147483648,"
    "\"s32\":-2147483648,\"u32\":4294967295,\"i64\":\"-9223372036854775808\","
    "\"u64\":\"18446744073709551615\",\"real\":-0,\"kind\":\"KIND_MINUS\","
    "\"child\":{\"text\":\"x\",\"child\":{},\"oneSize\":{\"cols\":1}},"
    "\"time\":\"1969-12-31T23:59:59.000000001Z\",\"map\":{\"k\":\"v\",\"\":\"\"},"
    "\"texts\":[\"\",\"a\"],\"blobs\":[\"\",\"AA==\"],\"flags\":[true,false],\"i32s\":[0,-1,1],"
    "\"s32s\":[0,-1,1,2147483647],\"u32s\":[0,300],\"i64s\":[\"0\",\"-1\"],\"u64s\":[\"1\"],"
    "\"reals\":[0,-1.5,\"NaN\",\"Infinity\"],\"kinds\":[\"KIND_NONE\",\"KIND_NINE\",5],"
    "\"children\":[{},{\"i32\":1,\"children\":[{}]}],"
    "\"times\":[\"1970-01-01T00:00:00Z\",\"9999-12-31T23:59:59.999999999Z\"],"
    "\"maybeI32\":0,\"maybeText\":\"\",\"oneSize\":{}}";

static const char start[] =
    "{\"process\":{\"cmd\":\"/bin/bash\",\"args\":[\"-l\",\"-c\",\"echo hi\"],"
    "\"envs\":{\"A\":\"1\",\"B\":\"\"},\"cwd\":\"/\"},\"pty\":{\"size\":{\"cols\":80,\"rows\":24}},"
    "\"tag\":\"t\",\"stdin\":false}";

static const char entry[] =
    "{\"name\":\"a\",\"type\":\"FILE_TYPE_SYMLINK\",\"path\":\"/a\",\"size\":\"4294967296\","
    "\"mode\":511,\"permissions\":\"Lrwxrwxrwx\",\"owner\":\"root\",\"group\":\"root\","
    "\"modifiedTime\":\"2026-11-20T18:49:00.123Z\",\"symlinkTarget\":\"\","
    "\"metadata\":{\"k\":\"v\"}}";

static const struct {
    const struct codec_message *message;
    const char *json;
} trips[] = {
    {&sample_all_message,   everything                                                  },
    {&sample_all_message,   "{}"                                                        },
    {&sample_start_message, start                                                       },
    {&sample_entry_message, entry                                                       },
    {&sample_event_message, "{\"start\":{\"pid\":1}}"                                   },
    {&sample_event_message, "{\"data\":{\"stdout\":\"aGk=\"}}"                          },
    {&sample_event_message, "{\"data\":{\"pty\":\"\"}}"                                 },
    {&sample_event_message, "{\"end\":{\"exitCode\":-1,\"exited\":true,\"error\":\"\"}}"},
    {&sample_event_message, "{\"keepalive\":{}}"                                        },
};

static bool encode_trip(size_t i, struct buf *out)
{
    union sample sample;
    struct err err = {0};
    struct arena a;
    int result;

    memset(&sample, 0, sizeof(sample));
    arena_init(&a, ROOM);
    result = json_decode(trips[i].message, str_of(trips[i].json), &a, &sample, &err);
    if (result == 0)
        proto_encode(trips[i].message, &sample, out);
    else
        test_note("%s", err.text);
    arena_done(&a);
    return result == 0 && buf_ok(out);
}

static void goes_round(void)
{
    for (size_t i = 0; i < COUNT_OF(trips); i++) {
        struct buf bytes, text;
        bool passed;

        buf_init(&bytes, ROOM);
        buf_init(&text, ROOM);
        passed = encode_trip(i, &bytes);
        describe(trips[i].message, buf_str(&bytes), &text);
        if (!str_is(buf_str(&text), trips[i].json))
            test_note("%s\n# became %.*s", trips[i].json, STR_ARG(buf_str(&text)));
        passed = passed && str_is(buf_str(&text), trips[i].json);
        buf_done(&bytes);
        buf_done(&text);
        CHECK(passed);
    }
}

/* Every prefix, on its own memory: it decodes or it is an error, and nothing behind it is read. */
static void survives_truncation(void)
{
    for (size_t i = 0; i < COUNT_OF(trips); i++) {
        struct buf bytes, text;
        size_t refused = 0;

        buf_init(&bytes, ROOM);
        buf_init(&text, ROOM);
        CHECK(encode_trip(i, &bytes));
        for (size_t len = 0; len < bytes.len; len++) {
            char *copy = malloc(len == 0 ? 1 : len);

            CHECK(copy != NULL);
            if (len > 0)
                memcpy(copy, bytes.at, len);
            buf_clear(&text);
            describe(trips[i].message, (struct str){copy, len}, &text);
            free(copy);
            refused += text.at[0] == '!';
        }
        CHECK(refused * 2 >= bytes.len);
        buf_done(&bytes);
        buf_done(&text);
    }
}

static void bounds_memory(void)
{
    struct buf bytes;
    bool passed = false;

    buf_init(&bytes, ROOM);
    CHECK(encode_trip(0, &bytes));
    for (size_t max = 0; max < 16384 && !passed; max += 16) {
        struct sample_all all = {0};
        struct err err = {0};
        struct arena a;

        arena_init(&a, max);
        passed = proto_decode(&sample_all_message, buf_str(&bytes), &a, &all, &err) == 0;
        arena_done(&a);
        CHECK(passed || err.kind == ERR_LIMIT);
    }
    buf_done(&bytes);
    CHECK(passed);
}

/* Lengths of one, two and three bytes: the part has to move. */
static void encodes_long_parts(void)
{
    static const size_t lens[] = {0, 1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 16380, 20000};
    static char text[20000];

    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        struct sample_all inner = {
            .text = {text, lens[i]},
              .i32 = 1
        };
        struct sample_all middle = {.child = &inner, .s32 = 1};
        struct sample_all outer = {.child = &middle, .flag = true}, back = {0};
        struct err err = {0};
        struct arena a;
        struct buf b;

        buf_init(&b, ROOM);
        arena_init(&a, ROOM);
        proto_encode(&sample_all_message, &outer, &b);
        CHECK(buf_ok(&b));
        CHECK(proto_decode(&sample_all_message, buf_str(&b), &a, &back, &err) == 0);
        CHECK(back.flag && back.child->s32 == 1 && back.child->child->i32 == 1);
        CHECK(str_eq(back.child->child->text, inner.text));
        arena_done(&a);
        for (size_t max = 0; max < 8 && max < b.len; max++) {
            struct buf full;

            buf_init(&full, b.len - 1 - max);
            proto_encode(&sample_all_message, &outer, &full);
            CHECK(!buf_ok(&full));
            buf_done(&full);
        }
        buf_done(&b);
    }
}

/* A receiver refuses strings that are not UTF-8: they leave with U+FFFD, as in JSON. */
static void replaces_bad_bytes(void)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"plain",        "plain"                               },
        {"\xff",         "\xef\xbf\xbd"                        },
        {"a\xff\xfe"
         "b",   "a\xef\xbf\xbd\xef\xbf\xbd"
         "b"                             },
        {"\xc3\xa4\xc3", "\xc3\xa4\xef\xbf\xbd"                },
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sample_all all = {.text = str_of(rows[i].text)}, back = {0};
        struct err err = {0};
        struct arena a;
        struct buf b;

        buf_init(&b, ROOM);
        arena_init(&a, ROOM);
        proto_encode(&sample_all_message, &all, &b);
        CHECK(proto_decode(&sample_all_message, buf_str(&b), &a, &back, &err) == 0);
        CHECK(str_is(back.text, rows[i].want));
        arena_done(&a);
        buf_done(&b);
    }
}

static void leaves_json_only_fields_out(void)
{
    struct sample_rest rest = {.timeout = 5, .raw = STR("{}"), .note = STR("n")};
    struct sample_rest back = {0};
    struct err err = {0};
    struct arena a;
    struct buf b;

    buf_init(&b, ROOM);
    arena_init(&a, ROOM);
    proto_encode(&sample_rest_message, &rest, &b);
    CHECK(str_eq(buf_str(&b), STR("\x32\x01n")));
    CHECK(proto_decode(&sample_rest_message, STR("\x10\x05\x22\x02{}\x32\x01n"), &a, &back, &err) ==
          0);
    CHECK(back.timeout == 0 && back.raw.len == 0 && str_is(back.note, "n"));
    arena_done(&a);
    buf_done(&b);
}

static void refuses_a_loop_of_structs(void)
{
    struct sample_all all = {.i32 = 1};
    struct buf b;

    all.child = &all;
    buf_init(&b, ROOM);
    proto_encode(&sample_all_message, &all, &b);
    CHECK(!buf_ok(&b));
    buf_done(&b);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"decodes each type",           decodes_each_type          },
        {"takes packed and unpacked",   takes_packed_and_unpacked  },
        {"merges as protobuf does",     merges_as_protobuf_does    },
        {"skips unknown fields",        skips_unknown_fields       },
        {"refuses broken bytes",        refuses_broken_bytes       },
        {"bounds depth",                bounds_depth               },
        {"bounds items",                bounds_items               },
        {"settles large maps",          settles_large_maps         },
        {"goes round",                  goes_round                 },
        {"survives truncation",         survives_truncation        },
        {"bounds memory",               bounds_memory              },
        {"encodes long parts",          encodes_long_parts         },
        {"replaces bad bytes",          replaces_bad_bytes         },
        {"leaves JSON-only fields out", leaves_json_only_fields_out},
        {"refuses a loop of structs",   refuses_a_loop_of_structs  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
