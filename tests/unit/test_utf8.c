/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 of base/digest: every code point, and every way to be wrong. */
#include "base/digest.h"
#include "test.h"

/* Encodes without asking whether it is allowed. */
static struct str encode(uint32_t code, size_t len, char to[4])
{
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = len; i-- > 1; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(marks[len] | code);
    return (struct str){to, len};
}

static size_t shortest(uint32_t code)
{
    if (code < 0x80)
        return 1;
    if (code < 0x800)
        return 2;
    return code < 0x10000 ? 3 : 4;
}

static void knows_every_code_point(void)
{
    for (uint32_t code = 0; code < 0x200000; code++) {
        bool is_good = code < 0x110000 && (code < 0xd800 || code > 0xdfff);
        char to[4];
        struct str s = encode(code, shortest(code), to);

        CHECK(utf8_valid(s) == is_good);
        CHECK(utf8_first(s) == (is_good ? s.len : 0));
    }
}

static void refuses_overlong_forms(void)
{
    for (uint32_t code = 0; code < 0x10000; code++) {
        char to[4];

        for (size_t len = shortest(code) + 1; len <= 4; len++)
            CHECK(!utf8_valid(encode(code, len, to)));
    }
}

static void judges_whole_texts(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {"",                                         true },
        {"plain",                                    true },
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 end", true },
        {"\x80",                                     false},
        {"\xbf x",                                   false},
        {"ab\xc3",                                   false},
        {"\xc3(",                                    false},
        {"\xe2\x82",                                 false},
        {"\xe2\x82(",                                false},
        {"\xe2(\xac",                                false},
        {"\xf0\x9f\x98",                             false},
        {"\xf0\x9f\x98(",                            false},
        {"\xf8\x88\x80\x80\x80",                     false},
        {"\xfe",                                     false},
        {"\xff",                                     false},
        {"\xed\xa0\xbd\xed\xb8\x80",                 false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK(utf8_valid(str_of(rows[i].text)) == rows[i].is_good);
    CHECK(utf8_valid((struct str){NULL, 0}));
    CHECK(utf8_first((struct str){NULL, 0}) == 0);
    CHECK(utf8_valid(STR("a\0b")));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"knows every code point", knows_every_code_point},
        {"refuses overlong forms", refuses_overlong_forms},
        {"judges whole texts",     judges_whole_texts    },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
