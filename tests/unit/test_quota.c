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
    h.team->r.limits[TEAM_SANDBOXES] = 2;
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
    h.team->r.limits[TEAM_SANDBOXES] = 7;
    CHECK(quota_max(h.domain, h.team) == 7);
    domain_help_close(&h);
}

static void every_shared_limit_counts(void)
{
    static const struct {
        enum team_limit limit;
        int64_t max; /* room for two of the sandboxes below */
        const char *text;
    } cases[] = {
        {TEAM_VCPUS,     5,    "maximum number of vCPUs of all sandboxes (5)"  },
        {TEAM_MEMORY_MB, 1024, "maximum memory of all sandboxes (1024 MiB)"    },
        {TEAM_DISK_MB,   5000, "maximum disk space of all sandboxes (5000 MiB)"},
        {TEAM_SANDBOXES, 2,    "maximum number of concurrent E2B sandboxes (2)"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct domain_help h;
        struct sandbox s[3] = {0};
        struct err err = {0};

        test_note("%s", quota_name(cases[i].limit));
        domain_help_open(&h);
        h.team->r.limits[cases[i].limit] = cases[i].max;
        for (size_t n = 0; n < COUNT_OF(s); n++) {
            s[n].team = h.team;
            s[n].r.cpu_count = 2;
            s[n].r.memory_mb = 512;
            s[n].r.disk_mb = 2048;
        }
        CHECK(quota_take(h.domain, &s[0], &err) == 0 && quota_take(h.domain, &s[1], &err) == 0);
        CHECK(quota_take(h.domain, &s[2], &err) == -1);
        CHECK(err.kind == ERR_LIMIT && strstr(err.text, cases[i].text) != NULL);
        quota_give_back(&s[0]);
        CHECK(quota_take(h.domain, &s[2], &err) == 0);
        quota_give_back(&s[1]);
        quota_give_back(&s[2]);
        for (size_t n = 0; n <= TEAM_DISK_MB; n++)
            CHECK(quota_used(h.team, (enum team_limit)n) == 0);
        domain_help_close(&h);
    }
}

static void one_may_be_too_large(void)
{
    struct domain_help h;
    struct sandbox s = {
        .r = {.cpu_count = 9, .memory_mb = 512, .disk_mb = 1024}
    };
    struct err err = {0};

    domain_help_open(&h);
    s.team = h.team;
    h.team->r.tier = STR("base_v1");
    CHECK(quota_take(h.domain, &s, &err) == -1 && err.kind == ERR_INVALID);
    CHECK(str_is(str_of(err.text), "CPU count can't be higher than 8 (if you need to increase this "
                                   "limit, please contact support)"));
    s.r.cpu_count = 8;
    s.r.memory_mb = 8193;
    CHECK(quota_take(h.domain, &s, &err) == -1 && err.kind == ERR_INVALID);
    CHECK(strstr(err.text, "Memory can't be higher than 8192 MiB") != NULL);
    s.r.memory_mb = 8192;
    CHECK(quota_take(h.domain, &s, &err) == 0);
    domain_help_close(&h);
}

/* The team's own, else its tier's, else the server's. */
static void limits_have_an_order(void)
{
    struct domain_help h;

    domain_help_open(&h);
    CHECK(quota_limit(h.domain, h.team, TEAM_SANDBOXES) == 1000);
    h.team->r.tier = STR("base_v1");
    CHECK(quota_limit(h.domain, h.team, TEAM_SANDBOXES) == 20);
    CHECK(team_timeout_max_s(h.domain, h.team) == 3600);
    h.team->r.limits[TEAM_SANDBOXES] = 21;
    CHECK(quota_limit(h.domain, h.team, TEAM_SANDBOXES) == 21);
    CHECK(quota_is_tier(STR("pro_v1")) && !quota_is_tier(STR("gold")));
    domain_help_close(&h);
}

static void builds_are_counted(void)
{
    struct domain_help h;
    struct err err = {0};

    domain_help_open(&h);
    h.team->r.limits[TEAM_BUILDS] = 1;
    CHECK(quota_take_build(h.domain, h.team, &err) == 0);
    CHECK(quota_take_build(h.domain, h.team, &err) == -1 && err.kind == ERR_LIMIT);
    CHECK(str_is(str_of(err.text), "you have reached the maximum number of concurrent template "
                                   "builds (1). Please wait for existing builds to complete or "
                                   "contact support if you need more concurrent builds."));
    quota_give_back_build(h.team);
    CHECK(quota_take_build(h.domain, h.team, &err) == 0);
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
        {"every shared limit counts",   every_shared_limit_counts },
        {"one may be too large",        one_may_be_too_large      },
        {"limits have an order",        limits_have_an_order      },
        {"builds are counted",          builds_are_counted        },
        {"freeing gives back",          freeing_gives_back        },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
