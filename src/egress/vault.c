/* SPDX-License-Identifier: Apache-2.0 */
/* See vault.h. Used by outlet.c and web.c. */
#include "egress/vault.h"

#include "base/host_name.h"
#include "base/list.h"
#include "base/map.h"
#include "io/cert.h"

enum {
    VAULT_MEM_MAX = 1 << 20, /* while it is decoded */
    DAY_S = 24 * 3600,
};

struct leaf {
    struct list_node node; /* in vault->used, the longest not used first */
    char name[HOST_NAME_MAX_LEN + 1];
    struct cert *cert;
};

struct vault {
    struct arena mem;
    struct egress_secrets secrets;
    struct cert *authority; /* NULL: none */
    struct tls_context *server;
    struct map leaves;
    struct list used;
};

static void leaf_free(struct vault *v, struct leaf *l)
{
    ignore(map_remove(&v->leaves, str_of(l->name)) != NULL); /* it is l */
    list_remove(&l->node);
    cert_free(l->cert);
    free(l);
}

static struct leaf *leaf_new(struct vault *v, struct str name)
{
    struct leaf *l;
    struct cert *c;
    struct err err;

    if (!host_name_is_good(name) ||
        cert_issue(v->authority, &name, 1, VAULT_LEAF_DAYS, &c, &err) != 0)
        return NULL;
    if (v->leaves.count >= VAULT_LEAVES_MAX)
        leaf_free(v, container_of(list_first(&v->used), struct leaf, node));
    l = mem_zero(sizeof(*l));
    ignore(str_to_c(name, l->name, sizeof(l->name))); /* a good name fits */
    l->cert = c;
    ignore(map_put(&v->leaves, str_of(l->name), l) != NULL); /* the caller has looked */
    return l;
}

/* A tls_choose_fn. */
static const struct cert *choose(void *ctx, struct str name)
{
    struct vault *v = ctx;
    struct leaf *l = map_get(&v->leaves, name);

    if (l != NULL && cert_seconds_left(l->cert) < DAY_S) {
        leaf_free(v, l);
        l = NULL;
    }
    if (l == NULL)
        l = leaf_new(v, name);
    if (l == NULL)
        return NULL;
    list_remove(&l->node);
    list_push(&v->used, &l->node);
    return l->cert;
}

static int open_authority(struct vault *v, struct err *err)
{
    static const char *const protocols[] = {"http/1.1", NULL};
    const struct egress_authority *a = v->secrets.authority;
    const struct tls_server_spec spec = {.choose = choose, .ctx = v, .protocols = protocols};

    if (a == NULL)
        return 0;
    if (cert_parse(a->certificate, a->key, &v->authority, err) != 0)
        return -1;
    return tls_server_context(&spec, &v->server, err);
}

int vault_new(struct str encoded, struct vault **out, struct err *err)
{
    struct vault *v = mem_zero(sizeof(*v));

    arena_init(&v->mem, VAULT_MEM_MAX);
    if (proto_decode(&egress_secrets_message, encoded, &v->mem, &v->secrets, err) == 0 &&
        open_authority(v, err) == 0) {
        *out = v;
        return 0;
    }
    vault_free(v);
    return err_wrap(err, "secrets");
}

void vault_free(struct vault *v)
{
    struct list_node *n;

    if (v == NULL)
        return;
    tls_context_free(v->server);
    while ((n = list_first(&v->used)) != NULL)
        leaf_free(v, container_of(n, struct leaf, node));
    map_done(&v->leaves);
    cert_free(v->authority);
    arena_done(&v->mem);
    free(v);
}

const struct egress_secrets *vault_secrets(const struct vault *v)
{
    static const struct egress_secrets none;

    return v == NULL ? &none : &v->secrets;
}

struct tls_context *vault_server(struct vault *v)
{
    return v == NULL ? NULL : v->server;
}
