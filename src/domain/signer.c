/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the signer of a URL; see signer.h. */
#include "domain/signer.h"

#include "base/clock.h"
#include "base/digest.h"
#include "domain/domain_internal.h"

enum {
    SIGNATURE_DIGITS = 43, /* 32 bytes in base64 without padding */
};

static const char version[] = "v1_";

struct signers {
    struct loop *loop;
    struct list sandboxes; /* to be tried, likeliest first */
    struct list asks;      /* first come, first served */
    size_t ask_count;
    struct sandbox *next; /* to be tried for the first of asks; NULL: all were */
    bool has_begun;       /* the first of asks is being worked on */
    struct timer step;
};

struct ask {
    struct list_node node;
    struct sha256 before; /* of the text before the token */
    uint8_t wanted[SHA256_SIZE];
    char behind[24]; /* ":<expiration>", or nothing */
    size_t behind_len;
    signer_fn *fn;
    void *ctx;
};

struct signers *signers_new(struct loop *l)
{
    struct signers *g = mem_zero(sizeof(*g));

    g->loop = l;
    return g;
}

void signers_free(struct signers *g)
{
    struct list_node *at;

    if (g == NULL)
        return;
    timer_stop(&g->step);
    while ((at = list_pop(&g->asks)) != NULL)
        free(container_of(at, struct ask, node));
    free(g);
}

static struct sandbox *sandbox_at(struct list_node *at)
{
    return at == NULL ? NULL : container_of(at, struct sandbox, in_signers);
}

void signer_remove(struct sandbox *s)
{
    struct signers *g = s->domain->signers;

    if (!s->is_signer)
        return;
    if (g->next == s)
        g->next = sandbox_at(list_next(&g->sandboxes, &s->in_signers));
    list_remove(&s->in_signers);
    s->is_signer = false;
}

void signer_set(struct sandbox *s)
{
    bool may_sign = sandbox_state_row(s->state)->shown != SANDBOX_PUBLIC_NONE && s->r.is_secure &&
                    s->r.access_token.len > 0;

    if (may_sign && !s->is_signer) {
        list_push_first(&s->domain->signers->sandboxes, &s->in_signers);
        s->is_signer = true;
    }
    if (!may_sign)
        signer_remove(s);
}

static bool try(const struct ask *ask, const struct sandbox *s)
{
    struct sha256 hash = ask->before;
    uint8_t digest[SHA256_SIZE];

    sha256_add(&hash, s->r.access_token.at, s->r.access_token.len);
    sha256_add(&hash, ask->behind, ask->behind_len);
    sha256_end(&hash, digest);
    return str_eq_secret((struct str){(const char *)digest, sizeof(digest)},
                         (struct str){(const char *)ask->wanted, sizeof(ask->wanted)});
}

static void answer(struct signers *g, struct ask *ask, struct sandbox *found)
{
    signer_fn *fn = ask->fn;
    void *ctx = ask->ctx;
    struct err err = {0};

    list_remove(&ask->node);
    g->ask_count--;
    g->has_begun = false;
    free(ask);
    if (found == NULL) {
        err_set(&err, ERR_NOT_FOUND, "no sandbox made this signature");
        fn(ctx, NULL, &err);
        return;
    }
    signer_remove(found); /* to the front */
    signer_set(found);
    fn(ctx, found, NULL);
}

static void on_step(void *ctx)
{
    struct signers *g = ctx;
    struct list_node *first;
    int left = SIGNER_SLICE;

    while (left > 0 && (first = list_first(&g->asks)) != NULL) {
        struct ask *ask = container_of(first, struct ask, node);
        struct sandbox *s;

        if (!g->has_begun)
            g->next = sandbox_at(list_first(&g->sandboxes));
        g->has_begun = true;
        s = g->next;
        left--;
        if (s == NULL) {
            answer(g, ask, NULL);
            continue;
        }
        g->next = sandbox_at(list_next(&g->sandboxes, &s->in_signers));
        if (try(ask, s))
            answer(g, ask, s);
    }
    if (list_first(&g->asks) != NULL)
        timer_start(g->loop, &g->step, SIGNER_STEP_MS, on_step, g);
}

/* "v1_" and the digest; a text of another form is nobody's. */
static bool read_signature(struct str text, uint8_t out[SHA256_SIZE])
{
    uint8_t bytes[SHA256_SIZE + 4];

    if (!str_has_prefix(text, version) || text.len != sizeof(version) - 1 + SIGNATURE_DIGITS ||
        base64_decode(str_from(text, sizeof(version) - 1), bytes) != SHA256_SIZE)
        return false;
    memcpy(out, bytes, SHA256_SIZE);
    return true;
}

static void hash_before(struct sha256 *h, const struct signed_url *url)
{
    const struct str parts[] = {url->path, url->operation, url->user};

    sha256_init(h);
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        sha256_add(h, parts[i].at, parts[i].len);
        sha256_add(h, ":", 1);
    }
}

static int check(const struct signers *g, const struct signed_url *url, struct ask *ask,
                 struct err *err)
{
    int64_t expires;

    if (!read_signature(url->signature, ask->wanted))
        return err_set(err, ERR_NOT_FOUND, "not a signature");
    if (url->has_expiration) {
        if (!str_to_i64(url->expiration, &expires) ||
            url->expiration.len >= sizeof(ask->behind) - 1)
            return err_set(err, ERR_NOT_FOUND, "not a time");
        if (expires < clock_wall_ms() / 1000)
            return err_set(err, ERR_DENIED, "signature is already expired");
        ask->behind[0] = ':';
        memcpy(ask->behind + 1, url->expiration.at, url->expiration.len);
        ask->behind_len = url->expiration.len + 1;
    }
    if (g->ask_count >= SIGNER_ASKS_MAX)
        return err_set(err, ERR_LIMIT, "too many signatures to look at");
    return 0;
}

/* The sandbox is known: one try. */
static void check_one(struct domain *d, const struct ask *ask, struct str id, signer_fn *fn,
                      void *ctx)
{
    struct sandbox *s = sandbox_find(d, id);
    struct err err = {0};

    if (s != NULL && s->is_signer && try(ask, s)) {
        fn(ctx, s, NULL);
        return;
    }
    err_set(&err, ERR_NOT_FOUND, "the sandbox did not make this signature");
    fn(ctx, NULL, &err);
}

void signer_find(struct domain *d, const struct signed_url *url, signer_fn *fn, void *ctx)
{
    struct signers *g = d->signers;
    struct ask ask = {.fn = fn, .ctx = ctx}, *kept;
    struct err err = {0};

    if (check(g, url, &ask, &err) != 0) {
        fn(ctx, NULL, &err);
        return;
    }
    hash_before(&ask.before, url);
    if (url->id.len > 0) {
        check_one(d, &ask, url->id, fn, ctx);
        return;
    }
    kept = mem_zero(sizeof(*kept));
    *kept = ask;
    list_push(&g->asks, &kept->node);
    g->ask_count++;
    if (!timer_running(&g->step))
        on_step(g); /* few sandboxes: the answer is there at once */
}
