/* SPDX-License-Identifier: Apache-2.0 */
/* Pages over a team's sandboxes: each exactly once, in order, filters before pages. */
#include <stdio.h>

#include "base/clock.h"
#include "domain/sandbox_query.h"
#include "domain_help.h"
#include "test.h"

enum {
    SANDBOXES = 250,
};

/* Walk all pages; returns how many were seen, and checks the order on the way. */
static size_t walk(struct domain_help *h, bool is_ascending, size_t limit)
{
    struct sandbox_query q = {.shows_running = true, .is_ascending = is_ascending, .limit = limit};
    struct arena a;
    size_t seen = 0;

    arena_init(&a, 1 << 20);
    for (;;) {
        struct sandbox_page page;
        struct err err = {0};
        const struct sandbox *last;

        CHECK(sandbox_query(h->domain, h->team, &q, &a, &page, &err) == 0);
        CHECK(page.running_total == SANDBOXES);
        for (size_t i = 0; i < page.count; i++, seen++) {
            unsigned expected = (unsigned)(is_ascending ? seen : SANDBOXES - 1 - seen);
            char id[32];

            snprintf(id, sizeof(id), "s%06u", expected);
            CHECK(str_is(page.items[i]->r.id, id));
        }
        if (!page.has_more)
            break;
        CHECK(page.count == limit);
        last = page.items[page.count - 1];
        q.has_cursor = true;
        q.cursor_ms = last->r.started_at_ms;
        q.cursor_id = last->r.id;
    }
    arena_done(&a);
    return seen;
}

static void fill(struct domain_help *h)
{
    int64_t now = clock_wall_ms();

    /* Several share a millisecond; inserted out of order. */
    for (unsigned i = 0; i < SANDBOXES; i++) {
        unsigned n = (i * 7) % SANDBOXES;

        ignore(domain_help_sandbox(h, n, now + n / 10, now + 100000) == NULL);
    }
}

static void pages_hold_each_once(void)
{
    static const size_t limits[] = {1, 7, 100, 249, 250, 251};
    struct domain_help h;

    domain_help_open(&h);
    fill(&h);
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        CHECK(walk(&h, true, limits[i]) == SANDBOXES);
        CHECK(walk(&h, false, limits[i]) == SANDBOXES);
    }
    domain_help_close(&h);
}

static void a_cursor_whose_sandbox_is_gone_goes_on(void)
{
    struct domain_help h;
    struct sandbox *s;
    struct sandbox_query q = {.shows_running = true, .limit = 10, .has_cursor = true};
    struct sandbox_page page;
    struct arena a;
    struct err err = {0};

    domain_help_open(&h);
    fill(&h);
    s = sandbox_find(h.domain, STR("s000100"));
    arena_init(&a, 1 << 20);
    q.cursor_ms = s->r.started_at_ms;
    q.cursor_id = STR("s000100");
    sandbox_move(s, SANDBOX_KILLING);
    CHECK(sandbox_query(h.domain, h.team, &q, &a, &page, &err) == 0);
    CHECK(str_is(page.items[0]->r.id, "s000099"));
    q.is_ascending = true;
    CHECK(sandbox_query(h.domain, h.team, &q, &a, &page, &err) == 0);
    CHECK(str_is(page.items[0]->r.id, "s000101"));
    arena_done(&a);
    domain_help_close(&h);
}

static void started_after_is_inclusive(void)
{
    struct domain_help h;
    struct sandbox_query q = {.shows_running = true};
    struct sandbox_page page;
    struct arena a;
    struct err err = {0};

    domain_help_open(&h);
    fill(&h);
    arena_init(&a, 1 << 20);
    q.started_after_ms = sandbox_find(h.domain, STR("s000245"))->r.started_at_ms;
    CHECK(sandbox_query(h.domain, h.team, &q, &a, &page, &err) == 0);
    CHECK(page.count == 10); /* those of the same millisecond */
    CHECK(page.running_total == 10);
    arena_done(&a);
    domain_help_close(&h);
}

static void a_page_costs_no_read(void)
{
    struct domain_help h;
    struct sandbox_query q = {.shows_running = true, .shows_paused = true, .limit = 100};
    struct sandbox_page page;
    struct arena a;
    struct err err = {0};
    size_t before;

    domain_help_open(&h);
    CHECK(domain_help_reads() > 0); /* the counter counts */
    for (unsigned i = 0; i < 10000; i++)
        ignore(domain_help_sandbox(&h, i, clock_wall_ms(), clock_wall_ms() + 3600000) == NULL);
    arena_init(&a, 1 << 20);
    before = domain_help_reads();
    CHECK(sandbox_query(h.domain, h.team, &q, &a, &page, &err) == 0);
    CHECK(page.count == 100 && page.has_more && page.running_total == 10000);
    q.limit = 0;
    CHECK(sandbox_query(h.domain, h.team, &q, &a, &page, &err) == 0);
    CHECK(page.count == 10000 && !page.has_more);
    CHECK(domain_help_reads() == before);
    arena_done(&a);
    domain_help_close(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"RX-23 pages hold each once",                          pages_hold_each_once                  },
        {"a cursor whose sandbox is gone goes on",              a_cursor_whose_sandbox_is_gone_goes_on},
        {"CL-16 a page among 10000 costs no read of the store", a_page_costs_no_read                  },
        {"started after is inclusive",                          started_after_is_inclusive            },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
