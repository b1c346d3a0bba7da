/* SPDX-License-Identifier: Apache-2.0 */
/* base/id: form, fairness, no repetition. */
#include "base/id.h"
#include "base/map.h"
#include "test.h"

static bool is_made_of(const char *text, const char *digits, size_t len)
{
    return strlen(text) == len && strspn(text, digits) == len;
}

static const char hex[] = "0123456789abcdef";
static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";

static void have_their_form(void)
{
    char sandbox[SANDBOX_ID_LEN + 1], uuid[UUID_LEN + 1], token[TOKEN_HEX_LEN + 1];
    char key[API_KEY_LEN + 1], text[301];

    for (int i = 0; i < 1000; i++) {
        id_sandbox(sandbox);
        CHECK(sandbox[0] == 'i' && is_made_of(sandbox, lower, SANDBOX_ID_LEN));
        id_uuid(uuid);
        CHECK(is_made_of(uuid, "0123456789abcdef-", UUID_LEN));
        CHECK(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        CHECK(uuid[14] == '4' && strchr("89ab", uuid[19]) != NULL);
        id_token(token);
        CHECK(is_made_of(token, hex, TOKEN_HEX_LEN));
        id_api_key(key);
        CHECK(memcmp(key, "e2b_", 4) == 0 && is_made_of(key + 4, hex, API_KEY_LEN - 4));
    }
    for (size_t len = 0; len <= 300; len++) {
        id_text(text, len);
        CHECK(is_made_of(text, lower, len));
    }
}

static void do_not_repeat(void)
{
    static char ids[2000][SANDBOX_ID_LEN + 1];
    struct map m = {0};

    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        id_sandbox(ids[i]);
        CHECK(map_put(&m, str_of(ids[i]), ids[i]) == NULL);
    }
    map_done(&m);
}

static void are_unbiased(void)
{
    static char text[360001];
    unsigned counts[256] = {0};

    id_text(text, sizeof(text) - 1);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        counts[(unsigned char)text[i]]++;
    /* 10000 each; a modulo bias would add 14 % to the first four, the noise is 1 % */
    for (size_t i = 0; i < sizeof(lower) - 1; i++)
        CHECK(counts[(unsigned char)lower[i]] > 9300 && counts[(unsigned char)lower[i]] < 10700);
}

static void encodes_hex(void)
{
    char out[9];

    hex_encode("\x00\xff\x1a\x80", 4, out);
    CHECK(strcmp(out, "00ff1a80") == 0);
    hex_encode("", 0, out);
    CHECK(strcmp(out, "") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"have their form", have_their_form},
        {"do not repeat",   do_not_repeat  },
        {"are unbiased",    are_unbiased   },
        {"encodes hex",     encodes_hex    },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
