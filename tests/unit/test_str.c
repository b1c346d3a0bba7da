/* SPDX-License-Identifier: Apache-2.0 */
/* base/str: comparing, cutting, strict numbers, C strings. */
#include "base/str.h"
#include "test.h"

static const struct str nothing = {NULL, 0};

static void compares(void)
{
    CHECK(str_eq(STR("ab"), STR("ab")));
    CHECK(!str_eq(STR("ab"), STR("aB")));
    CHECK(!str_eq(STR("ab"), STR("abc")));
    CHECK(str_eq(nothing, STR("")));
    CHECK(str_is(STR("a\0b"), "a") == false);
    CHECK(str_is(nothing, ""));
    CHECK(str_ieq(STR("Content-LENGTH"), STR("content-length")));
    CHECK(!str_ieq(STR("["), STR("{"))); /* differ by the case bit, but are no letters */
    CHECK(!str_ieq(STR("@"), STR("`")));
    CHECK(str_eq_secret(STR("tok"), STR("tok")));
    CHECK(!str_eq_secret(STR("tok"), STR("toK")));
    CHECK(!str_eq_secret(STR("tok"), STR("toke")));
    CHECK(str_eq_secret(nothing, nothing));
}

static void knows_prefix_and_suffix(void)
{
    CHECK(str_has_prefix(STR("abc"), "ab"));
    CHECK(str_has_prefix(STR("abc"), ""));
    CHECK(!str_has_prefix(STR("ab"), "abc"));
    CHECK(str_has_suffix(STR("abc"), "bc"));
    CHECK(!str_has_suffix(STR("bc"), "abc"));
    CHECK(str_has_suffix(nothing, ""));
    CHECK(!str_has_prefix(nothing, "a"));
}

static void finds_and_cuts(void)
{
    struct str rest;

    CHECK(str_find(STR("a=b"), '=') == 1);
    CHECK(str_find(STR("ab"), '=') == -1);
    CHECK(str_find(nothing, '=') == -1);
    CHECK(str_is(str_cut(STR("a=b=c"), '=', &rest), "a"));
    CHECK(str_is(rest, "b=c"));
    CHECK(str_is(str_cut(STR("abc"), '=', &rest), "abc"));
    CHECK(rest.len == 0);
    CHECK(str_is(str_cut(STR("a="), '=', &rest), "a"));
    CHECK(rest.len == 0);
    CHECK(str_is(str_cut(STR("=a"), '=', &rest), ""));
    CHECK(str_is(rest, "a"));
    CHECK(str_cut(nothing, '=', &rest).len == 0);
}

static void trims_and_slices(void)
{
    CHECK(str_is(str_trim(STR(" \t a b \t")), "a b"));
    CHECK(str_is(str_trim(STR(" \t ")), ""));
    CHECK(str_trim(nothing).len == 0);
    CHECK(str_is(str_from(STR("abc"), 1), "bc"));
    CHECK(str_from(STR("abc"), 9).len == 0);
    CHECK(str_is(str_upto(STR("abc"), 2), "ab"));
    CHECK(str_is(str_upto(STR("abc"), 9), "abc"));
}

static void reads_unsigned(void)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "18446744073709551616", "99999999999999999999"};
    uint64_t value = 7;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!str_to_u64(str_of(bad[i]), &value) && value == 7);
    CHECK(str_to_u64(STR("0"), &value) && value == 0);
    CHECK(str_to_u64(STR("007"), &value) && value == 7);
    CHECK(str_to_u64(STR("18446744073709551615"), &value) && value == UINT64_MAX);
}

static void reads_signed(void)
{
    static const char *const bad[] = {
        "", "-", "--1", "+1", "9223372036854775808", "-9223372036854775809", "1e3"};
    int64_t value = 7;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!str_to_i64(str_of(bad[i]), &value) && value == 7);
    CHECK(str_to_i64(STR("-0"), &value) && value == 0);
    CHECK(str_to_i64(STR("-12"), &value) && value == -12);
    CHECK(str_to_i64(STR("9223372036854775807"), &value) && value == INT64_MAX);
    CHECK(str_to_i64(STR("-9223372036854775808"), &value) && value == INT64_MIN);
}

static void copies_to_c(void)
{
    char to[4] = "zzz";

    CHECK(!str_to_c(STR("abcd"), to, sizeof(to)));
    CHECK(!str_to_c(STR("a\0b"), to, sizeof(to)));
    CHECK(strcmp(to, "zzz") == 0);
    CHECK(!str_to_c(nothing, to, 0));
    CHECK(str_to_c(STR("abc"), to, sizeof(to)) && strcmp(to, "abc") == 0);
    CHECK(str_to_c(nothing, to, sizeof(to)) && strcmp(to, "") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"compares",                compares               },
        {"knows prefix and suffix", knows_prefix_and_suffix},
        {"finds and cuts",          finds_and_cuts         },
        {"trims and slices",        trims_and_slices       },
        {"reads unsigned numbers",  reads_unsigned         },
        {"reads signed numbers",    reads_signed           },
        {"copies to a C string",    copies_to_c            },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
