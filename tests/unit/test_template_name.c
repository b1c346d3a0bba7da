/* SPDX-License-Identifier: Apache-2.0 */
/* References to templates (RX-10, AC-07). */
#include "domain/template_name.h"
#include "test.h"

static void parses(void)
{
    static const struct {
        const char *in, *space, *name, *tag;
    } cases[] = {
        {"base",                "",     "base",      "default" },
        {"  Base ",             "",     "base",      "default" },
        {"base:default",        "",     "base",      "default" },
        {"base:v1.2-x_y",       "",     "base",      "v1.2-x_y"},
        {"team/base",           "team", "base",      "default" },
        {"Team/My_Base-2:Prod", "team", "my_base-2", "prod"    },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct template_name n;
        struct err err = {0};

        arena_init(&a, 4096);
        test_note("%s", cases[i].in);
        CHECK(template_name_parse(str_of(cases[i].in), &a, &n, &err) == 0);
        CHECK(str_is(n.space, cases[i].space));
        CHECK(str_is(n.name, cases[i].name));
        CHECK(str_is(n.tag, cases[i].tag));
        arena_done(&a);
    }
}

static void refuses(void)
{
    static const char *const cases[] = {
        "",
        "   ",
        "/base",
        "team/",
        "a/b/c",
        "base:",
        "base:a:b",
        "ba se",
        "bäse",
        "base\n",
        "../base",
        "base:a/b",
        "base.",
        ":tag",
        "a//b",
        "%2e",
        "base:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct template_name n;
        struct err err = {0};

        arena_init(&a, 4096);
        test_note("%zu", i);
        CHECK(template_name_parse(str_of(cases[i]), &a, &n, &err) == -1);
        CHECK(err.kind == ERR_INVALID);
        CHECK(str_has_prefix(str_of(err.text), "Invalid template reference: "));
        arena_done(&a);
    }
}

static void has_a_maximum(void)
{
    char text[TEMPLATE_NAME_MAX + 1];
    struct arena a;
    struct template_name n;
    struct err err = {0};

    memset(text, 'a', sizeof(text));
    arena_init(&a, 4096);
    CHECK(template_name_parse((struct str){text, TEMPLATE_NAME_MAX}, &a, &n, &err) == 0);
    CHECK(template_name_parse((struct str){text, sizeof(text)}, &a, &n, &err) == -1);
    arena_done(&a);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"RX-10 parses",  parses       },
        {"AC-07 refuses", refuses      },
        {"has a maximum", has_a_maximum},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
