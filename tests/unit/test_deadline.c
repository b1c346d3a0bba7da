/* SPDX-License-Identifier: Apache-2.0 */
/* The expiry queue: order, moving ends, and what time passing costs. */
#include "base/clock.h"
#include "domain/deadline.h"
#include "domain_help.h"
#include "test.h"

static void the_earliest_end_comes_first(void)
{
    struct domain_help h;
    int64_t now = clock_wall_ms();
    struct sandbox *late, *soon;

    domain_help_open(&h);
    late = domain_help_sandbox(&h, 1, now, now + 60000);
    soon = domain_help_sandbox(&h, 2, now, now + 80);
    CHECK(heap_min(&h.domain->deadlines) == &soon->deadline);
    domain_help_run(&h, 40);
    CHECK(soon->state == SANDBOX_RUNNING);
    domain_help_run(&h, 100);
    CHECK(soon->state == SANDBOX_KILLING);
    CHECK(soon->kill_reason == KILL_TIMEOUT);
    CHECK(late->state == SANDBOX_RUNNING);
    domain_help_close(&h);
}

static void an_end_that_moves_moves_the_queue(void)
{
    struct domain_help h;
    int64_t now = clock_wall_ms();
    struct sandbox *s;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, now, now + 50);
    s->r.end_at_ms = now + 10000;
    deadline_set(s);
    domain_help_run(&h, 120);
    CHECK(s->state == SANDBOX_RUNNING);
    s->r.end_at_ms = now;
    deadline_set(s);
    domain_help_run(&h, 20);
    CHECK(s->state == SANDBOX_KILLING);
    domain_help_close(&h);
}

static void many_sandboxes_cost_no_scan(void)
{
    struct domain_help h;
    int64_t now = clock_wall_ms();

    domain_help_open(&h);
    for (unsigned i = 0; i < 10000; i++)
        ignore(domain_help_sandbox(&h, i, now, now + 3600000 + i) == NULL);
    domain_help_run(&h, 500);
    CHECK(h.domain->counters.sweeper_wakes <= 1);
    CHECK(h.domain->counters.sweeper_visits == 0);
    domain_help_close(&h);
}

static void many_ends_at_once_are_taken_in_batches(void)
{
    struct domain_help h;
    int64_t now = clock_wall_ms();
    size_t ended = 0, cursor = 0;
    struct sandbox *s;

    domain_help_open(&h);
    for (unsigned i = 0; i < 1000; i++)
        ignore(domain_help_sandbox(&h, i, now, now + 10) == NULL);
    domain_help_run(&h, 300);
    while ((s = map_next(&h.domain->sandboxes, &cursor)) != NULL)
        ended += s->state == SANDBOX_KILLING;
    CHECK(ended == 1000);
    CHECK(h.domain->counters.sweeper_visits == 1000);
    CHECK(h.domain->counters.sweeper_wakes >= 1000 / DEADLINE_BATCH);
    domain_help_close(&h);
}

static void an_expired_one_is_not_shown(void)
{
    struct domain_help h;
    int64_t now = clock_wall_ms();
    struct sandbox *s;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, now - 1000, now - 1);
    CHECK(s->state == SANDBOX_RUNNING); /* the timer has not fired yet */
    CHECK(sandbox_get(h.domain, h.team, s->r.id) == NULL);
    domain_help_close(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"the earliest end comes first",            the_earliest_end_comes_first          },
        {"AC-06 an end that moves moves the queue", an_end_that_moves_moves_the_queue     },
        {"CL-21 10000 sandboxes cost no scan",      many_sandboxes_cost_no_scan           },
        {"many ends at once are taken in batches",  many_ends_at_once_are_taken_in_batches},
        {"AC-05 an expired one is not shown",       an_expired_one_is_not_shown           },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
