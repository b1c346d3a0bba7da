/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate as registries write it. */
#include "image/challenge.h"
#include "test.h"

static void schemes(void)
{
    /* clang-format off */
    static const struct {
        const char *field;
        enum challenge_scheme scheme;
        const char *realm, *service, *scope; /* NULL: absent */
    } samples[] = {
        {"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
         "scope=\"repository:a/b:pull\"",
         CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
         "repository:a/b:pull"},
        {"bearer  REALM = \"x\" , Service=y", CHALLENGE_BEARER, "x", "y", NULL},
        {"Basic realm=\"a \\\"b\\\" c\"", CHALLENGE_BASIC, "a \"b\" c", NULL, NULL},
        {"Basic", CHALLENGE_BASIC, NULL, NULL, NULL},
        {"Basic realm=\"r\", Bearer realm=\"t\"", CHALLENGE_BEARER, "t", NULL, NULL},
        {"Bearer realm=\"t\",scope=\"a,b\", Basic realm=\"r\"", CHALLENGE_BEARER, "t", NULL, "a,b"},
        {"Negotiate abc==, Basic realm=\"r\"", CHALLENGE_BASIC, "r", NULL, NULL},
        {"Digest realm=\"d\",nonce=\"1\"", CHALLENGE_NONE, NULL, NULL, NULL},
        {"Bearer service=\"x\"", CHALLENGE_NONE, NULL, NULL, NULL},
        {"Bearer realm=\"never closed", CHALLENGE_NONE, NULL, NULL, NULL},
        {"Bearer realm=\"a\",realm=\"b\"", CHALLENGE_BEARER, "a", NULL, NULL},
        {"", CHALLENGE_NONE, NULL, NULL, NULL},
        {",,,=\"", CHALLENGE_NONE, NULL, NULL, NULL},
    };
    /* clang-format on */

    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        struct challenge c;
        struct arena mem;

        test_note("%s", samples[i].field);
        arena_init(&mem, 1 << 20);
        challenge_read(str_of(samples[i].field), &mem, &c);
        CHECK(c.scheme == samples[i].scheme);
        if (c.scheme != CHALLENGE_NONE) {
            CHECK(str_eq(c.realm, str_of(samples[i].realm)));
            CHECK(str_eq(c.service, str_of(samples[i].service)));
            CHECK(str_eq(c.scope, str_of(samples[i].scope)));
        }
        arena_done(&mem);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"the best challenge that is understood is taken", schemes},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
