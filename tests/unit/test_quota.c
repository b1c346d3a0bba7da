/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of a team: exact, never leaked. */
#include "domain/quota.h"
#include "domain_help.h"
#include "test.h"

static void the_last_slot_is_the_last(void)
{
    struct domain_help h;
    struct sandbox s[3] = {0};
    struct err err = {0};

    domain_help_open(&h);
    h.team->r.sandboxes_max = 2;
    for (size_t i = 0; i < COUNT_OF(s); i++)
        s[i].team = h.team;
    CHECK(quota_take(h.domain, &s[0], &err) == 0);
    CHECK(quota_take(h.domain, &s[1], &err) == 0);
    CHECK(quota_take(h.domain, &s[2], &err) == -1);
    CHECK(err.kind == ERR_LIMIT);
    CHECK(str_is(str_of(err.text),
                 "you have reached the maximum number of concurrent E2B sandboxes (2). If you "
                 "need more, please visit 'https://e2b.dev/docs/billing'"));
    CHECK(!s[2].has_slot);
    quota_give_back(&s[0]);
    quota_give_back(&s[0]); /* twice is once */
    CHECK(h.team->slots_used == 1);
    CHECK(quota_take(h.domain, &s[2], &err) == 0);
    domain_help_close(&h);
}

static void the_default_is_the_servers(void)
{
    struct domain_help h;

    domain_help_open(&h);
    CHECK(quota_max(h.domain, h.team) == 1000);
    h.team->r.sandboxes_max = 7;
    CHECK(quota_max(h.domain, h.team) == 7);
    domain_help_close(&h);
}

static void freeing_gives_back(void)
{
    struct domain_help h;
    struct sandbox *s;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, 1, INT64_MAX / 2);
    CHECK(h.team->slots_used == 1);
    sandbox_move(s, SANDBOX_KILLING);
    sandbox_move(s, SANDBOX_KILLED);
    CHECK(h.team->slots_used == 1); /* until it is really gone */
    sandbox_free(s);
    CHECK(h.team->slots_used == 0);
    domain_help_close(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"the last slot is the last",   the_last_slot_is_the_last },
        {"the default is the server's", the_default_is_the_servers},
        {"freeing gives back",          freeing_gives_back        },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
