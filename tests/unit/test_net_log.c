/* SPDX-License-Identifier: Apache-2.0 */
/* The log of connections: whose, in which order, how many of them, and what a start finds. */
#include "base/clock.h"
#include "domain/net_log.h"
#include "domain/sandbox.h"
#include "domain_help.h"
#include "test.h"

enum { DAY_MS = 24 * 3600 * 1000 };

static void tell(struct domain_help *h, const struct sandbox *s, uint32_t port, bool is_denied)
{
    const struct egress_record r = {.id = s->r.id,
                                    .at_ms = clock_wall_ms(),
                                    .protocol = STR("tcp"),
                                    .address = STR("192.0.2.1"),
                                    .port = port,
                                    .name = STR("a.test"),
                                    .rule = STR("default"),
                                    .is_denied = is_denied};

    net_log_add(h->domain, &r);
}

/* How many are on a page; the port of the first, the key of the last. */
static size_t page(struct domain_help *h, const struct net_query *q, uint32_t *out_first,
                   char out_last[NET_LOG_KEY_LEN + 1])
{
    const struct net_row **rows;
    struct arena mem;
    size_t count = 0;

    arena_init(&mem, 1 << 20);
    rows = net_log_query(h->domain, q, &mem, &count);
    CHECK(rows != NULL);
    *out_first = count > 0 ? rows[0]->record.r.port : 0;
    if (count > 0)
        CHECK(str_to_c(rows[count - 1]->record.key, out_last, NET_LOG_KEY_LEN + 1));
    for (size_t i = 1; i < count; i++)
        CHECK(memcmp(rows[i - 1]->record.key.at, rows[i]->record.key.at, NET_LOG_KEY_LEN) < 0);
    arena_done(&mem);
    return count;
}

static void pages_go_on_behind_their_cursor(void)
{
    struct domain_help h;
    const struct sandbox *s, *other;
    struct net_query q = {.limit = 4};
    char last[NET_LOG_KEY_LEN + 1];
    uint32_t first;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, clock_wall_ms(), clock_wall_ms() + DAY_MS);
    other = domain_help_sandbox(&h, 2, clock_wall_ms(), clock_wall_ms() + DAY_MS);
    for (uint32_t i = 1; i <= 6; i++) {
        tell(&h, s, i, i % 2 == 0);
        tell(&h, other, 100 + i, false);
    }
    q.sandbox_id = s->r.id;
    CHECK(page(&h, &q, &first, last) == 4 && first == 1);
    q.after = str_of(last);
    CHECK(page(&h, &q, &first, last) == 2 && first == 5);
    CHECK(page(&h, &q, &first, last) == 0);
    q = (struct net_query){.sandbox_id = s->r.id, .limit = 10, .is_denied = true};
    CHECK(page(&h, &q, &first, last) == 3 && first == 2);
    q.sandbox_id = STR("nobody");
    CHECK(page(&h, &q, &first, last) == 0);
    net_log_add(h.domain, &(struct egress_record){.id = STR("nobody"), .at_ms = clock_wall_ms()});
    CHECK(net_log_count(h.domain) == 12);
    domain_help_close(&h);
}

static void one_sandbox_pushes_out_its_own_alone(void)
{
    struct domain_help h;
    const struct sandbox *s, *other;
    struct net_query q = {.limit = NET_LOG_PAGE_MAX};
    char last[NET_LOG_KEY_LEN + 1];
    uint32_t first;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, clock_wall_ms(), clock_wall_ms() + DAY_MS);
    other = domain_help_sandbox(&h, 2, clock_wall_ms(), clock_wall_ms() + DAY_MS);
    tell(&h, other, 7, false);
    for (uint32_t i = 1; i <= NET_LOG_SANDBOX_MAX + 5; i++)
        tell(&h, s, i, false);
    CHECK(net_log_count(h.domain) == NET_LOG_SANDBOX_MAX + 1);
    q.sandbox_id = s->r.id;
    CHECK(page(&h, &q, &first, last) == NET_LOG_PAGE_MAX && first == 6);
    q.sandbox_id = other->r.id;
    CHECK(page(&h, &q, &first, last) == 1 && first == 7);
    domain_help_close(&h);
}

static void all_together_and_their_age_are_bounded(void)
{
    struct domain_help h;
    const struct sandbox *s;
    enum { SANDBOXES = NET_LOG_MAX / 1000 + 1 };

    domain_help_open(&h);
    for (unsigned i = 0; i < SANDBOXES; i++) {
        s = domain_help_sandbox(&h, i, clock_wall_ms(), clock_wall_ms() + DAY_MS);
        for (uint32_t n = 0; n < 1000; n++)
            tell(&h, s, n + 1, false);
    }
    CHECK(net_log_count(h.domain) == NET_LOG_MAX);
    domain_help_run(&h, 100); /* what was put is committed */
    clock_shift_ms(8ull * DAY_MS);
    tell(&h, domain_help_sandbox(&h, SANDBOXES, clock_wall_ms(), clock_wall_ms() + DAY_MS), 1,
         false);
    CHECK(net_log_count(h.domain) == 1);
    domain_help_close(&h);
}

static void a_start_finds_them(void)
{
    struct domain_help h;
    const struct sandbox *s;
    struct net_query q = {.limit = 10};
    char last[NET_LOG_KEY_LEN + 1], newest[NET_LOG_KEY_LEN + 1];
    uint32_t first;
    struct err err;

    domain_help_open(&h);
    s = domain_help_sandbox(&h, 1, clock_wall_ms(), clock_wall_ms() + DAY_MS);
    for (uint32_t i = 1; i <= 3; i++)
        tell(&h, s, i, false);
    q.sandbox_id = s->r.id;
    CHECK(page(&h, &q, &first, newest) == 3);
    domain_help_run(&h, 200);
    net_log_free(h.domain->net_log);
    h.domain->net_log = net_log_new(h.domain);
    CHECK(net_log_load(h.domain, &err) == 0);
    CHECK(page(&h, &q, &first, last) == 3 && first == 1 && strcmp(last, newest) == 0);
    tell(&h, s, 4, false);
    q.after = str_of(newest);
    CHECK(page(&h, &q, &first, last) == 1 && first == 4);
    domain_help_close(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"pages go on behind their cursor",        pages_go_on_behind_their_cursor       },
        {"one sandbox pushes out its own alone",   one_sandbox_pushes_out_its_own_alone  },
        {"a start finds them",                     a_start_finds_them                    },
        {"all together and their age are bounded", all_together_and_their_age_are_bounded},
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
