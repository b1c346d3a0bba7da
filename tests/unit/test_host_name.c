/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts and the patterns of egress rules (semantics.md 13.3, wire.md 7.5). */
#include "base/host_name.h"
#include "test.h"

static void names(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {"example.com",   true },
        {"localhost",     true },
        {"a-b.c_d.e1",    true },
        {"1.2.3.a",       true },
        {"xn--bcher-kva", true },
        {"",              false},
        {".",             false},
        {"example.com.",  false},
        {".example.com",  false},
        {"a..b",          false},
        {"-a.b",          false},
        {"a-.b",          false},
        {"a b",           false},
        {"1.2.3.4",       false},
        {"1.2.3",         false},
        {"0x7f.1",        false},
        {"[::1]",         false},
        {"::1",           false},
        {"a.b:80",        false},
        {"*.a",           false},
        {"b\xc3\xbc.de",  false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_note("%s", cases[i].text);
        CHECK(host_name_is_good(str_of(cases[i].text)) == cases[i].is_good);
    }
    CHECK(!host_name_is_good((struct str){"a\0b", 3}));
}

static void lengths(void)
{
    char text[300];

    memset(text, 'a', sizeof(text));
    CHECK(host_name_is_good((struct str){text, 63}));
    CHECK(!host_name_is_good((struct str){text, 64}));
    for (size_t i = 50; i < sizeof(text); i += 50)
        text[i] = '.';
    CHECK(host_name_is_good((struct str){text, 253}));
    CHECK(!host_name_is_good((struct str){text, 254}));
}

static void matches(void)
{
    static const struct {
        const char *pattern, *name;
        bool is_match;
    } cases[] = {
        {"example.com",   "example.com",       true },
        {"example.com",   "EXAMPLE.com",       true },
        {"Example.COM",   "example.com",       true },
        {"example.com",   "www.example.com",   false},
        {"example.com",   "notexample.com",    false},
        {"example.com",   "example.org",       false},
        {"example.com",   "example.com.",      false}, /* trailing dot */
        {"example.com",   "example.com.evil",  false},
        {"example.com",   "",                  false},
        {"*",             "example.com",       true },
        {"*",             "a",                 true },
        {"*",             "",                  false},
        {"*",             "1.2.3.4",           false}, /* an address is not a name */
        {"*",             "a.",                false},
        {"*.example.com", "www.example.com",   true },
        {"*.example.com", "WWW.Example.Com",   true },
        {"*.EXAMPLE.com", "www.example.com",   true },
        {"*.example.com", "a.b.example.com",   true }, /* nested */
        {"*.example.com", "example.com",       false}, /* apex */
        {"*.example.com", ".example.com",      false}, /* empty label */
        {"*.example.com", "a..example.com",    false},
        {"*.example.com", "notexample.com",    false}, /* a part of a label */
        {"*.example.com", "www.example.com.",  false},
        {"*.example.com", "www.example.com.x", false},
        {"*.example.com", "*.example.com",     false},
        {"*.com",         "example.com",       true },
        {"*.com",         "com",               false},
        {"",              "example.com",       false},
        {"*.",            "example.com",       false},
        {"a.*",           "a.b",               false},
        {"**",            "a",                 false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        test_note("%s matches %s", cases[i].pattern, cases[i].name);
        CHECK(host_pattern_matches(str_of(cases[i].pattern), str_of(cases[i].name)) ==
              cases[i].is_match);
    }
}

static void patterns(void)
{
    CHECK(host_pattern_is_good(STR("*")));
    CHECK(host_pattern_is_good(STR("*.a.b")));
    CHECK(host_pattern_is_good(STR("a.b")));
    CHECK(!host_pattern_is_good(STR("")));
    CHECK(!host_pattern_is_good(STR("*.")));
    CHECK(!host_pattern_is_good(STR("*.*.a")));
    CHECK(!host_pattern_is_good(STR("a*.b")));
    CHECK(!host_pattern_is_good(STR("1.2.3.4")));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"names",    names   },
        {"lengths",  lengths },
        {"matches",  matches },
        {"patterns", patterns},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
