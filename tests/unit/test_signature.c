/* SPDX-License-Identifier: Apache-2.0 */
/* envd/signature: values made by another implementation (openssl dgst -sha256 -binary | base64),
 * and every refusal. */
#include "envd/signature.h"
#include "test.h"

static const struct signature_input plain = {
    {"/a b.txt", 8},
    "read", {"user",     4},
    {"secret",   6},
    {NULL,       0}
};

static void known_values(void)
{
    struct signature_input in = plain;
    char out[SIGNATURE_LEN + 1];

    signature_make(&in, out);
    CHECK(str_is(str_of(out), "v1_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OQ"));
    in.expiration = STR("1700000000");
    signature_make(&in, out);
    CHECK(str_is(str_of(out), "v1_gM2jkdx2H9qXGH3pbT2jXPJ+7sxGYD6JKH3+sRAOhfg"));
    in = (struct signature_input){.operation = "write", .token = STR("t")};
    signature_make(&in, out);
    CHECK(str_is(str_of(out), "v1_dfahhNbqCfcJiBAATIEu+2A9yQ4Xid1Wb6lu0GVgCos"));
}

static void refusals(void)
{
    struct signature_input in = plain;
    char right[SIGNATURE_LEN + 1], padded[SIGNATURE_LEN + 2];

    signature_make(&in, right);
    CHECK(signature_check(str_of(right), &in, 0) == NULL);
    CHECK(str_is(str_of(signature_check((struct str){0}, &in, 0)),
                 "missing signature query parameter"));
    memcpy(padded, right, SIGNATURE_LEN);
    padded[SIGNATURE_LEN] = '=';
    padded[SIGNATURE_LEN + 1] = '\0';
    CHECK(str_is(str_of(signature_check(str_of(padded), &in, 0)), "invalid signature"));
    in.operation = "write";
    CHECK(signature_check(str_of(right), &in, 0) != NULL);
    in = plain;
    in.user = STR("root");
    CHECK(signature_check(str_of(right), &in, 0) != NULL);
    in = plain;
    in.expiration = STR("100");
    CHECK(signature_check(str_of(right), &in, 0) != NULL);
}

static void expiry(void)
{
    struct signature_input in = plain;
    char right[SIGNATURE_LEN + 1];

    in.expiration = STR("100");
    signature_make(&in, right);
    CHECK(signature_check(str_of(right), &in, 99) == NULL);
    CHECK(signature_check(str_of(right), &in, 100) == NULL);
    CHECK(str_is(str_of(signature_check(str_of(right), &in, 101)), "signature is already expired"));
    in.expiration = STR("soon");
    signature_make(&in, right);
    CHECK(signature_check(str_of(right), &in, 0) != NULL);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"known values", known_values},
        {"refusals",     refusals    },
        {"expiry",       expiry      },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
