/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of network options of a create request. */
#include "domain/network.h"
#include "test.h"

static void denied_addresses(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {"0.0.0.0/0",   true },
        {"1.2.3.4",     true },
        {"10.0.0.0/8",  true },
        {"::/0",        true },
        {"2001:db8::1", true },
        {"1.2.3.4/33",  false},
        {"1.2.3",       false},
        {"example.com", false},
        {"",            false},
        {"1.2.3.4/",    false},
        {"::/129",      false},
        {"1.2.3.4/-1",  false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str one = str_of(cases[i].text);
        struct codec_list list = {&one, 1};
        struct err err = {0};

        test_note("%s", cases[i].text);
        CHECK((network_check_deny(&list, &err) == 0) == cases[i].is_good);
        if (!cases[i].is_good)
            CHECK(str_has_prefix(str_of(err.text), "invalid denied CIDR "));
    }
}

static void allowed_addresses(void)
{
    static const struct {
        const char *text, *denied;
        const char *refusal; /* NULL: accepted */
    } cases[] = {
        {"1.2.3.4",       "",           NULL                      },
        {"10.0.0.0/8",    "",           NULL                      },
        {"2001:db8::/32", "",           NULL                      },
        {"example.com",   "0.0.0.0/0",  NULL                      },
        {"*.example.com", "0.0.0.0/0",  NULL                      },
        {"*",             "0.0.0.0/0",  NULL                      },
        {"example.com",   "",           "When specifying allowed" },
        {"example.com",   "10.0.0.0/8", "When specifying allowed" },
        {"1.2.3",         "0.0.0.0/0",  "invalid allowed address "},
        {"1.2.3.4/33",    "0.0.0.0/0",  "invalid allowed address "},
        {"",              "0.0.0.0/0",  "invalid allowed address "},
        {"a b",           "0.0.0.0/0",  "invalid allowed address "},
        {"a..b",          "0.0.0.0/0",  "invalid allowed address "},
        {".a",            "0.0.0.0/0",  "invalid allowed address "},
        {"a.",            "0.0.0.0/0",  "invalid allowed address "},
        {"-a.b",          "0.0.0.0/0",  "invalid allowed address "},
        {"*.",            "0.0.0.0/0",  "invalid allowed address "},
        {"a.*.b",         "0.0.0.0/0",  "invalid allowed address "},
        {"https://a.b",   "0.0.0.0/0",  "invalid allowed address "},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str one = str_of(cases[i].text), deny = str_of(cases[i].denied);
        struct codec_list allowed = {&one, 1}, denied = {&deny, deny.len > 0};
        struct err err = {0};

        test_note("%s", cases[i].text);
        CHECK((network_check_allow(&allowed, &denied, &err) == 0) == (cases[i].refusal == NULL));
        if (cases[i].refusal != NULL)
            CHECK(str_has_prefix(str_of(err.text), cases[i].refusal));
    }
}

static void masks(void)
{
    static const struct {
        const char *text;
        bool is_good;
    } cases[] = {
        {"",                  true },
        {"localhost",         true },
        {"localhost:${PORT}", true },
        {"a.b:80",            true },
        {"a b",               false},
        {":80",               false},
        {"a:0",               false},
        {"a:65536",           false},
        {"a:${X}",            false},
        {"a\r\nb",            false},
        {"h\xc3\xa4",         false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = {0};

        test_note("%zu", i);
        CHECK((network_check_mask(str_of(cases[i].text), &err) == 0) == cases[i].is_good);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"denied addresses",  denied_addresses },
        {"allowed addresses", allowed_addresses},
        {"masks",             masks            },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
