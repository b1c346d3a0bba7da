/* SPDX-License-Identifier: Apache-2.0 */
/* Creations by Idempotency-Key. Used by sandbox_create.c; read at start by domain.c. */
#include "domain/creation.h"

#include <stdio.h>

#include "base/clock.h"
#include "domain/domain_internal.h"

enum {
    CREATION_RECORD_MAX = 1 << 10,
    EXPIRED_BATCH = 64, /* removed with one new one, so that they cost nobody a long turn */
};

int creation_check(struct str repeat_key, struct err *err)
{
    bool is_good = repeat_key.len > 0 && repeat_key.len <= CREATION_REPEAT_KEY_MAX;

    for (size_t i = 0; i < repeat_key.len; i++)
        is_good = is_good && repeat_key.at[i] > ' ' && repeat_key.at[i] <= '~';
    if (is_good)
        return 0;
    return err_set(err, ERR_INVALID, "Idempotency-Key must have 1 to %d visible ASCII characters",
                   CREATION_REPEAT_KEY_MAX);
}

static void hex_of(const struct sha256 *hash, char out[2 * SHA256_SIZE + 1])
{
    struct sha256 copy = *hash;
    uint8_t sum[SHA256_SIZE];

    sha256_end(&copy, sum);
    hex_encode(sum, sizeof(sum), out);
}

/* With its length, so that no two lists of texts read the same. */
static void add_text(struct sha256 *h, struct str text)
{
    uint64_t len = text.len;

    sha256_add(h, &len, sizeof(len));
    if (len > 0)
        sha256_add(h, text.at, text.len);
}

static int compare_pairs(const void *a, const void *b)
{
    struct str x = ((const struct codec_pair *)a)->key, y = ((const struct codec_pair *)b)->key;
    size_t len = x.len < y.len ? x.len : y.len;
    int order = len == 0 ? 0 : memcmp(x.at, y.at, len);

    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

/* Keys of a decoded map are unique, so sorting by them is one order. */
static void add_pairs(struct sha256 *h, const struct codec_list *list)
{
    struct codec_pair *sorted = mem_array(list->count + 1, sizeof(*sorted));
    uint64_t count = list->count;

    if (count > 0)
        memcpy(sorted, list->items, list->count * sizeof(*sorted));
    qsort(sorted, list->count, sizeof(*sorted), compare_pairs);
    sha256_add(h, &count, sizeof(count));
    for (size_t i = 0; i < list->count; i++) {
        add_text(h, sorted[i].key);
        add_text(h, sorted[i].value);
    }
    free(sorted);
}

static void add_texts(struct sha256 *h, const struct codec_list *texts)
{
    const struct str *rows = texts->items;
    uint64_t count = texts->count;

    sha256_add(h, &count, sizeof(count));
    for (size_t i = 0; i < texts->count; i++)
        add_text(h, rows[i]);
}

/* Nothing when there is none, as for those that were stored before there were rules. */
static void add_network(struct sha256 *h, const struct sandbox_params *p)
{
    const struct egress_policy rules = {.rules = p->rules, .proxy = p->proxy};
    struct buf bytes;

    buf_init(&bytes, EGRESS_POLICY_MAX);
    proto_encode(&egress_policy_message, &rules, &bytes);
    if (bytes.len > 0)
        add_text(h, buf_str(&bytes));
    buf_done(&bytes);
}

static void digest(const struct sandbox_params *p, char out[2 * SHA256_SIZE + 1])
{
    const uint8_t flags[] = {p->is_secure, p->is_private, p->is_offline, p->is_idle};
    const uint8_t lasting[] = {p->pauses_at_end, p->pauses_files_only, p->may_resume};
    struct sha256 h;

    sha256_init(&h);
    add_text(&h, p->template_ref);
    sha256_add(&h, &p->timeout_s, sizeof(p->timeout_s));
    sha256_add(&h, flags, sizeof(flags));
    add_text(&h, p->mask_host);
    add_texts(&h, &p->deny_out);
    if (p->allow_out.count > 0) /* as before, for those that were stored without */
        add_texts(&h, &p->allow_out);
    add_network(&h, p);
    add_pairs(&h, &p->metadata);
    add_pairs(&h, &p->env);
    if (lasting[0] || lasting[1] || lasting[2]) /* the same */
        sha256_add(&h, lasting, sizeof(lasting));
    hex_of(&h, out);
}

void creation_ask(const struct sandbox_params *p, struct creation_ask *out)
{
    char hash[2 * SHA256_SIZE + 1];
    uint8_t sum[SHA256_SIZE];

    sha256_of(p->repeat_key, sum);
    hex_encode(sum, sizeof(sum), hash);
    snprintf(out->key, sizeof(out->key), "%.*s/%s", STR_ARG(str_upto(p->team->r.id, UUID_LEN)),
             hash);
    digest(p, out->digest);
}

struct creation *creation_find(const struct domain *d, struct str key)
{
    struct creation *c = map_get(&d->creations, key);

    if (c != NULL && heap_has(&c->age) && c->r.created_at_ms + CREATION_KEPT_MS <= clock_wall_ms())
        return NULL; /* the next creation removes it */
    return c;
}

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.len};

    if (text.len > 0)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return kept;
}

static struct creation *add(struct domain *d, const struct creation_record *r)
{
    struct creation *c = mem_zero(sizeof(*c) + r->key.len + r->digest.len + r->sandbox_id.len);
    char *at = c->text;

    creation_drop(d, map_get(&d->creations, r->key));
    c->r.key = keep(&at, r->key);
    c->r.digest = keep(&at, r->digest);
    c->r.sandbox_id = keep(&at, r->sandbox_id);
    c->r.created_at_ms = r->created_at_ms;
    map_put(&d->creations, c->r.key, c);
    return c;
}

struct creation *creation_new(struct domain *d, const struct creation_ask *ask,
                              struct str sandbox_id)
{
    struct creation_record r = {str_of(ask->key), str_of(ask->digest), sandbox_id, clock_wall_ms()};

    return add(d, &r);
}

void creation_drop(struct domain *d, struct creation *c)
{
    if (c == NULL)
        return;
    heap_remove(&d->creation_ages, &c->age);
    map_remove(&d->creations, c->r.key);
    free(c);
}

void creation_forget(struct domain *d, struct creation *c)
{
    if (c == NULL)
        return;
    /* A store that cannot take it has not taken the record either, or says "ended" until then. */
    ignore(store_remove(d->store, STORE_CREATION, c->r.key, NULL));
    creation_drop(d, c);
}

static void drop_old(struct domain *d)
{
    int64_t limit = clock_wall_ms() - CREATION_KEPT_MS;
    struct heap_node *oldest;

    for (int i = 0; i < EXPIRED_BATCH && (oldest = heap_min(&d->creation_ages)) != NULL; i++) {
        struct creation *c = container_of(oldest, struct creation, age);

        if (c->r.created_at_ms > limit && d->creation_ages.count < CREATIONS_MAX)
            return;
        if (store_remove(d->store, STORE_CREATION, c->r.key, NULL) != 0)
            return; /* the next creation tries again */
        creation_drop(d, c);
    }
}

int creation_save(struct domain *d, const struct creation *c, struct err *err)
{
    struct buf bytes;
    int result;

    buf_init(&bytes, CREATION_RECORD_MAX);
    proto_encode(&creation_record_message, &c->r, &bytes);
    if (buf_ok(&bytes))
        result = store_put(d->store, STORE_CREATION, c->r.key, buf_str(&bytes), err);
    else
        result = err_set(err, ERR_LIMIT, "record of a creation too large");
    buf_done(&bytes);
    if (result == 0)
        drop_old(d);
    return result;
}

void creation_keep(struct domain *d, struct creation *c)
{
    heap_put(&d->creation_ages, &c->age, (uint64_t)c->r.created_at_ms);
}

struct load {
    struct domain *domain;
    struct err *err;
    bool is_bad;
};

static bool on_row(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;
    struct creation_record r = {0};
    struct arena mem;

    arena_init(&mem, 4 * CREATION_RECORD_MAX);
    if (proto_decode(&creation_record_message, value, &mem, &r, load->err) != 0) {
        load->is_bad = true;
    } else if (!str_eq(r.key, key) || r.created_at_ms < 0) {
        err_set(load->err, ERR_INVALID, "not a record of a creation");
        load->is_bad = true;
    } else {
        creation_keep(load->domain, add(load->domain, &r));
    }
    arena_done(&mem);
    if (load->is_bad)
        err_wrap(load->err, "creation '%.*s'", STR_ARG(str_upto(key, CREATION_KEY_MAX)));
    return !load->is_bad;
}

int creation_load(struct domain *d, struct err *err)
{
    struct load load = {d, err, false};

    if (store_each(d->store, STORE_CREATION, on_row, &load, err) != 0 || load.is_bad)
        return -1;
    return 0;
}

void creation_done(struct domain *d)
{
    size_t cursor = 0;
    struct creation *c;

    heap_done(&d->creation_ages);
    while ((c = map_next(&d->creations, &cursor)) != NULL)
        free(c);
    map_done(&d->creations);
}
