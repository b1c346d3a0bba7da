/* SPDX-License-Identifier: Apache-2.0 */
/* The transition table of sandboxes. */
#include "domain_help.h"
#include "test.h"

static void killed_is_final(void)
{
    for (int to = SANDBOX_STARTING; to < SANDBOX_STATE_COUNT; to++)
        CHECK(!sandbox_state_may(SANDBOX_KILLED, (enum sandbox_state)to));
}

static void killing_only_ends(void)
{
    for (int to = SANDBOX_STARTING; to < SANDBOX_STATE_COUNT; to++)
        CHECK(sandbox_state_may(SANDBOX_KILLING, (enum sandbox_state)to) == (to == SANDBOX_KILLED));
}

static void every_state_can_be_killed(void)
{
    for (int from = SANDBOX_STARTING; from < SANDBOX_KILLING; from++)
        CHECK(sandbox_state_may((enum sandbox_state)from, SANDBOX_KILLING));
}

static void nothing_starts_again(void)
{
    for (int from = SANDBOX_STARTING; from < SANDBOX_STATE_COUNT; from++)
        CHECK(!sandbox_state_may((enum sandbox_state)from, SANDBOX_STARTING));
}

static void legal_moves(void)
{
    static const struct {
        enum sandbox_state from, to;
        bool may;
    } moves[] = {
        {SANDBOX_STARTING,     SANDBOX_RUNNING,      true },
        {SANDBOX_STARTING,     SANDBOX_PAUSED,       false},
        {SANDBOX_RUNNING,      SANDBOX_PAUSING,      true },
        {SANDBOX_RUNNING,      SANDBOX_PAUSED,       false},
        {SANDBOX_RUNNING,      SANDBOX_SNAPSHOTTING, true },
        {SANDBOX_PAUSING,      SANDBOX_PAUSED,       true },
        {SANDBOX_PAUSING,      SANDBOX_RUNNING,      true }, /* a failed pause thaws it */
        {SANDBOX_PAUSED,       SANDBOX_RESUMING,     true },
        {SANDBOX_PAUSED,       SANDBOX_RUNNING,      false},
        {SANDBOX_RESUMING,     SANDBOX_RUNNING,      true },
        {SANDBOX_SNAPSHOTTING, SANDBOX_RUNNING,      true },
    };

    for (size_t i = 0; i < COUNT_OF(moves); i++)
        CHECK(sandbox_state_may(moves[i].from, moves[i].to) == moves[i].may);
}

static void paused_sandboxes_do_not_expire(void)
{
    CHECK(sandbox_state_row(SANDBOX_RUNNING)->has_deadline);
    CHECK(!sandbox_state_row(SANDBOX_PAUSED)->has_deadline);
    CHECK(!sandbox_state_row(SANDBOX_KILLING)->has_deadline);
}

static void a_move_does_what_the_columns_ask(void)
{
    struct domain_help h;
    struct sandbox *s;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, 1000, INT64_MAX / 2);
    CHECK(h.team->sandbox_count == 1);
    CHECK(heap_has(&s->deadline));
    sandbox_move(s, SANDBOX_KILLING);
    CHECK(h.routes_pushed == 1);
    CHECK(h.team->sandbox_count == 0);
    CHECK(!heap_has(&s->deadline));
    sandbox_move(s, SANDBOX_KILLED);
    CHECK(h.routes_pushed == 1); /* edges have forgotten it already */
    domain_help_close(&h);
}

static void reasons_have_names(void)
{
    CHECK(str_is(str_of(kill_reason_name(KILL_TIMEOUT)), "timeout"));
    CHECK(str_is(str_of(kill_reason_name(KILL_ORPHANED)), "orphaned"));
    CHECK(str_is(str_of(kill_reason_name(KILL_REQUEST)), "request"));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"CL-22 killed is final",                killed_is_final                 },
        {"CL-23 killing only ends",              killing_only_ends               },
        {"every state can be killed",            every_state_can_be_killed       },
        {"nothing starts again",                 nothing_starts_again            },
        {"CL-08 legal moves",                    legal_moves                     },
        {"CL-29 paused sandboxes do not expire", paused_sandboxes_do_not_expire  },
        {"a move does what the columns ask",     a_move_does_what_the_columns_ask},
        {"CL-05 reasons have names",             reasons_have_names              },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
