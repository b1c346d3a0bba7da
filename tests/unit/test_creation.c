/* SPDX-License-Identifier: Apache-2.0 */
/* What Idempotency-Keys have made: comparing requests, remembering for a bounded time. */
#include <stdio.h>

#include "base/clock.h"
#include "domain/creation.h"
#include "domain_help.h"
#include "test.h"

static void keys_are_visible_text(void)
{
    char longest[CREATION_REPEAT_KEY_MAX + 2];
    struct err err = {0};

    memset(longest, 'x', sizeof(longest));
    CHECK(creation_check(STR("a"), &err) == 0);
    CHECK(creation_check(STR("8f1c2f9e-\"quoted\"/~!"), &err) == 0);
    CHECK(creation_check((struct str){longest, CREATION_REPEAT_KEY_MAX}, &err) == 0);
    CHECK(creation_check((struct str){longest, CREATION_REPEAT_KEY_MAX + 1}, &err) != 0);
    CHECK(err.kind == ERR_INVALID);
    CHECK(creation_check(STR(""), &err) != 0);
    CHECK(creation_check(STR("a b"), &err) != 0);
    CHECK(creation_check(STR("a\n"), &err) != 0);
    CHECK(creation_check(STR("\x7f"), &err) != 0);
    CHECK(creation_check(STR("h\xc3\xa4"), &err) != 0);
}

static bool is_same(const struct sandbox_params *x, const struct sandbox_params *y)
{
    struct creation_ask a, b;

    creation_ask(x, &a);
    creation_ask(y, &b);
    CHECK(strcmp(a.key, b.key) == 0);
    return strcmp(a.digest, b.digest) == 0;
}

static void every_parameter_counts_but_no_order(void)
{
    struct codec_pair one[] = {
        {STR("a"), STR("1")},
        {STR("b"), STR("2")}
    };
    struct codec_pair turned[] = {
        {STR("b"), STR("2")},
        {STR("a"), STR("1")}
    };
    struct codec_pair joined[] = {
        {STR("a"), STR("1b")},
        {STR(""),  STR("2") }
    };
    struct str deny[] = {STR("1.1.1.1"), STR("2.2.2.2")};
    struct domain_help h;
    struct sandbox_params p, q;

    domain_help_open(&h);
    p = (struct sandbox_params){
        .team = h.team,
        .template_ref = STR("base"),
        .timeout_s = 300,
        .metadata = {one,  2},
        .env = {one,  1},
        .deny_out = {deny, 1},
        .repeat_key = STR("k")
    };
    q = p;
    q.metadata.items = turned;
    CHECK(is_same(&p, &q));
    q = p, q.metadata.items = joined;
    CHECK(!is_same(&p, &q));
    q = p, q.env.count = 2;
    CHECK(!is_same(&p, &q));
    q = p, q.metadata.count = 1, q.env.count = 2; /* the same texts, divided otherwise */
    CHECK(!is_same(&p, &q));
    q = p, q.deny_out.count = 2;
    CHECK(!is_same(&p, &q));
    q = p, q.allow_out = p.deny_out;
    CHECK(!is_same(&p, &q));
    q = p, q.timeout_s = 301;
    CHECK(!is_same(&p, &q));
    q = p, q.is_idle = true;
    CHECK(!is_same(&p, &q));
    q = p, q.is_offline = true;
    CHECK(!is_same(&p, &q));
    q = p, q.template_ref = STR("bas");
    CHECK(!is_same(&p, &q));
    q = p, q.mask_host = STR("e");
    CHECK(!is_same(&p, &q));
    domain_help_close(&h);
}

static struct creation *remember(struct domain_help *h, unsigned number)
{
    struct creation_ask ask = {.digest = "d"};
    struct creation *c;
    struct err err = {0};

    snprintf(ask.key, sizeof(ask.key), "team/%06u", number);
    c = creation_new(h->domain, &ask, STR("isandbox"));
    CHECK(creation_save(h->domain, c, &err) == 0);
    creation_keep(h->domain, c);
    store_commit(h->store, NULL, NULL);
    return c;
}

static void what_is_too_old_is_forgotten(void)
{
    struct domain_help h;
    struct buf out;
    struct err err = {0};

    domain_help_open(&h);
    remember(&h, 1);
    CHECK(creation_find(h.domain, STR("team/000001")) != NULL);
    clock_shift_ms(CREATION_KEPT_MS - 1000);
    CHECK(creation_find(h.domain, STR("team/000001")) != NULL);
    clock_shift_ms(2000);
    CHECK(creation_find(h.domain, STR("team/000001")) == NULL);
    CHECK(h.domain->creations.count == 1);
    remember(&h, 2); /* takes the old one away, from the store too */
    CHECK(h.domain->creations.count == 1);
    domain_help_run(&h, 1); /* a timer of before the shift ends it at once */
    domain_help_run(&h, 50);
    buf_init(&out, 1 << 10);
    CHECK(store_get(h.store, STORE_CREATION, STR("team/000001"), &out, &err) != 0);
    CHECK(err.kind == ERR_NOT_FOUND);
    CHECK(store_get(h.store, STORE_CREATION, STR("team/000002"), &out, &err) == 0);
    buf_done(&out);
    domain_help_close(&h);
}

static void no_more_than_the_most_are_kept(void)
{
    struct domain_help h;

    domain_help_open(&h);
    for (unsigned i = 0; i < CREATIONS_MAX + 100; i++) {
        remember(&h, i);
        if (i % 10000 == 0)
            domain_help_run(&h, 1); /* the store's queue has a limit too */
    }
    CHECK(h.domain->creations.count <= CREATIONS_MAX);
    CHECK(h.domain->creation_ages.count == h.domain->creations.count);
    CHECK(creation_find(h.domain, STR("team/000000")) == NULL);
    CHECK(creation_find(h.domain, STR("team/000200")) != NULL);
    domain_help_close(&h);
}

static void a_failed_one_is_forgotten(void)
{
    struct creation_ask ask = {.key = "team/x", .digest = "d"};
    struct domain_help h;

    domain_help_open(&h);
    creation_drop(h.domain, creation_new(h.domain, &ask, STR("i1")));
    CHECK(creation_find(h.domain, STR("team/x")) == NULL);
    creation_drop(h.domain, NULL);
    domain_help_close(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"keys are visible text",               keys_are_visible_text              },
        {"every parameter counts but no order", every_parameter_counts_but_no_order},
        {"a failed one is forgotten",           a_failed_one_is_forgotten          },
        {"what is too old is forgotten",        what_is_too_old_is_forgotten       },
        {"no more than the most are kept",      no_more_than_the_most_are_kept     },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
