/* SPDX-License-Identifier: Apache-2.0 */
/* The table of addresses: who counts as one, and that it does not grow. */
#include <stdio.h>

#include "api/peers.h"
#include "test.h"

static void an_address_is_one(void)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"192.0.2.1",                                                  "192.0.2.1",            true },
        {"192.0.2.1",                                                  "192.0.2.2",            false},
        {"2001:db8:1:2::1",                                            "2001:db8:1:2:ffff::9", true },
        {"2001:db8:1:2::1",                                            "2001:DB8:1:2:0:0:0:5", true },
        {"2001:db8:1:2::1",                                            "2001:db8:1:3::1",      false},
        {"no address but so long, longer than any address is ever, a", "other",                false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct peers p = {0};
        struct bucket *first, *second;

        test_note("%s %s", cases[i].a, cases[i].b);
        first = peers_get(&p, str_of(cases[i].a));
        second = peers_get(&p, str_of(cases[i].b));
        CHECK((first == second) == cases[i].is_same);
        peers_done(&p);
    }
}

static void the_quietest_is_forgotten(void)
{
    struct peers p = {0};
    char text[32];

    peers_get(&p, STR("10.9.9.9"))->at_ms = 7;
    for (unsigned i = 0; i < 3 * PEERS_MAX; i++) {
        snprintf(text, sizeof(text), "10.0.%u.%u", i / 256 % 256, i % 256);
        peers_get(&p, str_of(text))->at_ms = 9;
        if (i % 1000 == 0)
            CHECK(peers_get(&p, STR("10.9.9.9"))->at_ms == 7); /* who comes back is kept */
    }
    CHECK(p.by_address.count == PEERS_MAX);
    CHECK(peers_get(&p, STR("10.0.0.0"))->at_ms == 0); /* forgotten: full again */
    peers_done(&p);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"AC-33 an address is one",   an_address_is_one        },
        {"the quietest is forgotten", the_quietest_is_forgotten},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
