/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are given as text. */
#include "domain/key_text.h"
#include "test.h"

static void entries_are_found(void)
{
    struct str rest = STR("  a-key-of-sixteen-1 ,\n\n# no, no\nb-key\r\n,c-key:team");
    struct str entry;
    static const char *const want[] = {"a-key-of-sixteen-1", "b-key", "c-key:team"};

    for (size_t i = 0; i < COUNT_OF(want); i++) {
        test_note("%s", want[i]);
        CHECK(key_text_next(&rest, &entry) && str_is(entry, want[i]));
    }
    CHECK(!key_text_next(&rest, &entry));
}

static void parts_are_told_apart(void)
{
    static const char hashed[] = "sha256:9f86d081884c7d659a2feaa0c55ad015"
                                 "a3bf4f1b2b0b822cd15d6c15b0f00a08:ops";
    static const struct {
        const char *entry, *team;
        uint32_t scopes;
        bool is_hashed;
    } cases[] = {
        {"e2b_0123456789abcdef",              "",    0,                     false},
        {"e2b_0123456789abcdef:ops",          "ops", 0,                     false},
        {"e2b_0123456789abcdef:ops:read",     "ops", KEY_READ,              false},
        {"e2b_0123456789abcdef::write+admin", "",    KEY_WRITE | KEY_ADMIN, false},
        {hashed,                              "ops", 0,                     true },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key_entry e;
        struct err err = {0};

        test_note("%s", cases[i].entry);
        CHECK(key_text_parse(str_of(cases[i].entry), &e, &err) == 0);
        CHECK(str_is(e.team, cases[i].team) && e.scopes == cases[i].scopes);
        CHECK((e.text.len == 0) == cases[i].is_hashed);
        CHECK(strlen(e.hash) == KEY_HASH_LEN);
    }
}

/* SHA-256 of "test-key-16-chars". */
static void a_key_and_its_hash_are_the_same(void)
{
    struct key_entry plain, hashed;
    struct err err = {0};
    char text[80] = "sha256:";

    CHECK(key_text_parse(STR("test-key-16-chars"), &plain, &err) == 0);
    CHECK(strcmp(plain.hash, "8509abf940ba5a2f6666d5974b5f914b28ac87ae6a3dab755ddd53469f55a01d") ==
          0);
    memcpy(text + 7, plain.hash, KEY_HASH_LEN + 1);
    CHECK(key_text_parse(str_of(text), &hashed, &err) == 0);
    CHECK(strcmp(plain.hash, hashed.hash) == 0);
}

static void errors_do_not_quote_the_key(void)
{
    static const char *const bad[] = {
        "tooshort",
        "key with blanks in it",
        "secret-of-some-length:-bad-team",
        "secret-of-some-length:UPPER",
        "secret-of-some-length:ops:root",
        "sha256:1234",
        "sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct key_entry e;
        struct err err = {0};

        test_note("%s", bad[i]);
        CHECK(key_text_parse(str_of(bad[i]), &e, &err) == -1 && err.kind == ERR_INVALID);
        CHECK(strstr(err.text, "secret") == NULL && strstr(err.text, "tooshort") == NULL);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"entries are found",                 entries_are_found              },
        {"AC-34 parts are told apart",        parts_are_told_apart           },
        {"a key and its hash are the same",   a_key_and_its_hash_are_the_same},
        {"AC-34 errors do not quote the key", errors_do_not_quote_the_key    },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
