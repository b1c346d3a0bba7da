/* SPDX-License-Identifier: Apache-2.0 */
/* Whose token signed a URL (wire.md 1.4, 3.12): values of another implementation, refusals, bounded
 * steps over many sandboxes, sandboxes that end meanwhile. */
#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "domain/signer.h"
#include "domain_help.h"
#include "test.h"

enum {
    MANY = 20000,
};

struct asked {
    size_t answers;
    enum err_kind kind;
    char id[SANDBOX_KEY_MAX + 1];
};

static void on_answer(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct asked *a = ctx;

    a->answers++;
    a->kind = err == NULL ? ERR_NONE : err->kind;
    a->id[0] = '\0';
    if (s != NULL)
        CHECK(str_to_c(s->r.id, a->id, sizeof(a->id)));
}

static struct sandbox *secure(struct domain_help *h, unsigned number, const char *token)
{
    int64_t now = clock_wall_ms();
    struct sandbox *s = domain_help_sandbox(h, number, now, now + 600000);

    s->r.is_secure = true;
    s->r.access_token = arena_str(&s->mem, str_of(token));
    signer_set(s);
    return s;
}

static void free_all(struct domain_help *h)
{
    size_t cursor = 0;
    struct sandbox *s;

    while ((s = map_next(&h->domain->sandboxes, &cursor)) != NULL)
        sandbox_free(s);
    domain_help_close(h);
}

static const struct signed_url plain = {
    .path = STR("/a b.txt"),
    .operation = STR("read"),
    .user = STR("user"),
    .signature = STR("v1_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OQ"), /* of the token "secret" */
};

static void finds_whose_token_it_was(void)
{
    struct domain_help h;
    struct asked a = {0};
    struct signed_url url = plain;

    domain_help_open(&h);
    secure(&h, 1, "other");
    secure(&h, 2, "secret");
    secure(&h, 3, "third");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.answers == 1 && a.kind == ERR_NONE && strcmp(a.id, "s000002") == 0);
    url.id = STR("s000002");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.answers == 2 && a.kind == ERR_NONE && strcmp(a.id, "s000002") == 0);
    url.id = STR("s000003");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.answers == 3 && a.kind == ERR_NOT_FOUND);
    url = (struct signed_url){.operation = STR("write"),
                              .signature = STR("v1_dfahhNbqCfcJiBAATIEu+2A9yQ4Xid1Wb6lu0GVgCos")};
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.kind == ERR_NOT_FOUND);
    secure(&h, 4, "t");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.kind == ERR_NONE && strcmp(a.id, "s000004") == 0);
    free_all(&h);
}

static void refuses_what_is_none(void)
{
    static const char *const wrong[] = {
        "",
        "v1_",
        "v1_x",
        "v2_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OQ",
        "gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OQ",
        "v1_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98O",
        "v1_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OQ=",
        "v1_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OR",
        "v1_gcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSC Xr98OQ",
        "v1_hcfjiquQ51G4oe7WE9DoxCKCF5im29yn3wSCxXr98OQ",
    };
    struct domain_help h;
    struct signed_url url = plain;
    struct asked a = {0};

    domain_help_open(&h);
    secure(&h, 1, "secret");
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        url.signature = str_of(wrong[i]);
        signer_find(h.domain, &url, on_answer, &a);
        CHECK(a.answers == i + 1 && a.kind == ERR_NOT_FOUND);
    }
    url.signature = STR("v1_gM2jkdx2H9qXGH3pbT2jXPJ+7sxGYD6JKH3+sRAOhfg"); /* for 1700000000 */
    url.has_expiration = true;
    url.expiration = STR("1700000000");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.kind == ERR_DENIED);
    url.expiration = STR("17000000000");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.kind == ERR_NOT_FOUND);
    url.expiration = STR("soon");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.kind == ERR_NOT_FOUND);
    url.expiration = STR("");
    signer_find(h.domain, &url, on_answer, &a);
    CHECK(a.kind == ERR_NOT_FOUND);
    free_all(&h);
}

/* An ended sandbox signs nothing; one without a token never did. */
static void only_those_that_live(void)
{
    struct domain_help h;
    struct asked a = {0};
    struct sandbox *s;

    domain_help_open(&h);
    s = secure(&h, 1, "secret");
    sandbox_move(s, SANDBOX_PAUSING);
    sandbox_move(s, SANDBOX_PAUSED);
    signer_find(h.domain, &plain, on_answer, &a);
    CHECK(a.kind == ERR_NONE);
    sandbox_move(s, SANDBOX_KILLING);
    signer_find(h.domain, &plain, on_answer, &a);
    CHECK(a.kind == ERR_NOT_FOUND);
    s = secure(&h, 2, "secret");
    s->r.is_secure = false;
    signer_set(s);
    signer_find(h.domain, &plain, on_answer, &a);
    CHECK(a.kind == ERR_NOT_FOUND);
    free_all(&h);
}

static void tries_many_in_steps(void)
{
    struct domain_help h;
    struct asked a = {0}, b = {0}, none = {0};
    struct signed_url wrong = plain;
    char token[32];
    struct sandbox *s;

    domain_help_open(&h);
    s = secure(&h, 0, "secret"); /* the oldest: tried last */
    for (unsigned i = 1; i < MANY; i++) {
        ignore(snprintf(token, sizeof(token), "token %u", i));
        secure(&h, i, token);
    }
    wrong.user = STR("root");
    signer_find(h.domain, &wrong, on_answer, &none);
    signer_find(h.domain, &plain, on_answer, &a);
    signer_find(h.domain, &plain, on_answer, &b);
    CHECK(a.answers == 0 && none.answers == 0); /* not in one go */
    for (int i = 0; i < 200 && b.answers == 0; i++)
        domain_help_run(&h, 50);
    CHECK(none.answers == 1 && none.kind == ERR_NOT_FOUND);
    CHECK(a.answers == 1 && a.kind == ERR_NONE && strcmp(a.id, "s000000") == 0);
    CHECK(b.answers == 1 && b.kind == ERR_NONE);
    signer_find(h.domain, &plain, on_answer, &a); /* now the likeliest */
    CHECK(a.answers == 2 && a.kind == ERR_NONE);

    /* it ends while it is looked for, and the one that is next to be tried too */
    signer_find(h.domain, &wrong, on_answer, &none);
    CHECK(none.answers == 1);
    for (size_t i = 0; i < MANY / 2; i++) {
        char id[16];

        ignore(snprintf(id, sizeof(id), "s%06zu", MANY - 1 - i));
        sandbox_free(sandbox_find(h.domain, str_of(id)));
    }
    sandbox_free(s);
    for (int i = 0; i < 200 && none.answers == 1; i++)
        domain_help_run(&h, 50);
    CHECK(none.answers == 2 && none.kind == ERR_NOT_FOUND);
    signer_find(h.domain, &plain, on_answer, &a); /* left open at the end */
    free_all(&h);
}

static void waits_for_few(void)
{
    struct domain_help h;
    struct asked a = {0};
    struct signed_url wrong = plain;
    char token[32];

    domain_help_open(&h);
    for (unsigned i = 1; i < 2 * SIGNER_SLICE; i++) {
        ignore(snprintf(token, sizeof(token), "token %u", i));
        secure(&h, i, token);
    }
    for (int i = 0; i < SIGNER_ASKS_MAX; i++)
        signer_find(h.domain, &wrong, on_answer, &a);
    CHECK(a.answers == 0);
    signer_find(h.domain, &wrong, on_answer, &a);
    CHECK(a.answers == 1 && a.kind == ERR_LIMIT);
    for (int i = 0; i < 400 && a.answers <= SIGNER_ASKS_MAX; i++)
        domain_help_run(&h, 50);
    CHECK(a.answers == SIGNER_ASKS_MAX + 1);
    free_all(&h);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"finds whose token it was", finds_whose_token_it_was},
        {"refuses what is none",     refuses_what_is_none    },
        {"only those that live",     only_those_that_live    },
        {"tries many in steps",      tries_many_in_steps     },
        {"waits for few",            waits_for_few           },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
