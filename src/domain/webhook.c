/* SPDX-License-Identifier: Apache-2.0 */
/* Records of webhooks: reading, making, changing, removing. What they are owed is in delivery.c.
 * Called by api/webhooks.c and domain.c. */
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/event_log.h"
#include "domain/team.h"
#include "domain/webhook_internal.h"
#include "domain/webhook_url.h"

enum {
    WEBHOOK_MEM_MAX = 64 << 10,
    TYPE_MAX = 100,
};

static const char secret_prefix[] = "whsec_";

/* One change that waits for its commit. */
struct webhook_op {
    struct list_node node;
    struct domain *domain;
    enum event_kind kind; /* created, changed or removed */
    char actor[ACTOR_MAX + 1];
    struct webhook_record r; /* what it will be; texts in mem */
    struct arena mem;
    webhook_done_fn *fn;
    void *ctx;
};

/* clang-format off */
static const struct codec_field webhook_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct webhook_record, id)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct webhook_record, team_id)},
    {3, "name", CODEC_STRING, 0, offsetof(struct webhook_record, name)},
    {4, "url", CODEC_STRING, 0, offsetof(struct webhook_record, url)},
    {5, "secret", CODEC_STRING, 0, offsetof(struct webhook_record, secret)},
    {6, "types", CODEC_STRING, CODEC_REPEATED, offsetof(struct webhook_record, types)},
    {7, "createdAtMs", CODEC_INT64, 0, offsetof(struct webhook_record, created_at_ms)},
    {8, "isDisabled", CODEC_BOOL, 0, offsetof(struct webhook_record, is_disabled)},
};
/* clang-format on */

static const struct codec_message webhook_message = {"webhook", sizeof(struct webhook_record),
                                                     webhook_fields, COUNT_OF(webhook_fields)};

static struct webhook *find(const struct domain *d, const struct team *team, struct str id)
{
    struct webhook *w = map_get(&d->webhooks->by_id, id);

    return w != NULL && str_eq(w->r.team_id, team->r.id) ? w : NULL;
}

const struct webhook *webhook_find(const struct domain *d, const struct team *team, struct str id)
{
    return find(d, team, id);
}

static int missing(struct err *err, struct str id)
{
    return err_set(err, ERR_NOT_FOUND, "Webhook '%.*s' not found", STR_ARG(str_upto(id, UUID_LEN)));
}

static int by_age(const void *a, const void *b)
{
    const struct webhook *x = *(const struct webhook *const *)a;
    const struct webhook *y = *(const struct webhook *const *)b;

    if (x->r.created_at_ms != y->r.created_at_ms)
        return x->r.created_at_ms < y->r.created_at_ms ? -1 : 1;
    return memcmp(x->r.id.at, y->r.id.at, UUID_LEN);
}

const struct webhook **webhook_list(const struct domain *d, const struct team *team,
                                    struct arena *a, size_t *out_count)
{
    const struct webhooks *all = d->webhooks;
    const struct webhook **list = arena_array(a, all->by_id.count + 1, sizeof(struct webhook *));
    size_t cursor = 0, count = 0;
    const struct webhook *w;

    if (list == NULL)
        return NULL;
    while ((w = map_next(&all->by_id, &cursor)) != NULL)
        if (str_eq(w->r.team_id, team->r.id))
            list[count++] = w;
    qsort(list, count, sizeof(*list), by_age);
    *out_count = count;
    return list;
}

struct webhook_totals webhook_totals(const struct domain *d)
{
    struct webhook_totals sum = {.webhooks = d->webhooks->by_id.count};
    size_t cursor = 0;
    const struct webhook *w;

    while ((w = map_next(&d->webhooks->by_id, &cursor)) != NULL) {
        sum.pending += w->pending_count;
        sum.dead += w->dead_count;
        sum.delivered += w->delivered;
        sum.failed += w->failed;
        sum.lost += w->lost;
    }
    return sum;
}

/* Checking */

static int check_types(const struct codec_list *types, struct err *err)
{
    const struct str *items = types->items;

    if (types->count > WEBHOOK_EVENTS_MAX)
        return err_set(err, ERR_INVALID, "events: at most %d types", WEBHOOK_EVENTS_MAX);
    for (size_t i = 0; i < types->count; i++) {
        bool is_known = items[i].len > 0 && items[i].len <= TYPE_MAX && str_is(items[i], "*");

        for (int kind = 0; kind < EVENT_COUNT && items[i].len > 0 && !is_known; kind++)
            is_known = event_type_matches(str_of(event_type((enum event_kind)kind)), items[i]);
        if (!is_known)
            return err_set(err, ERR_INVALID, "events: there is no event '%.*s'",
                           STR_ARG(str_upto(items[i], TYPE_MAX)));
    }
    return 0;
}

static int check(const struct webhook_params *p, struct err *err)
{
    struct webhook_url url;

    if (p->name.len > WEBHOOK_NAME_MAX)
        return err_set(err, ERR_INVALID, "name must have at most %d characters", WEBHOOK_NAME_MAX);
    if (p->secret.len > 0 &&
        (p->secret.len < WEBHOOK_SECRET_MIN || p->secret.len > WEBHOOK_SECRET_MAX))
        return err_set(err, ERR_INVALID, "secret must have %d to %d characters", WEBHOOK_SECRET_MIN,
                       WEBHOOK_SECRET_MAX);
    return webhook_url_parse(p->url, &url, err) != 0 ? -1 : check_types(&p->types, err);
}

static int check_count(const struct domain *d, const struct team *team, struct err *err)
{
    size_t cursor = 0, count = 0;
    const struct webhook *w;
    const struct list *ops = &d->webhooks->ops;

    while ((w = map_next(&d->webhooks->by_id, &cursor)) != NULL)
        count += str_eq(w->r.team_id, team->r.id);
    for (struct list_node *n = list_first(ops); n != NULL; n = list_next(ops, n))
        count += container_of(n, struct webhook_op, node)->kind == EVENT_WEBHOOK_CREATED &&
                 str_eq(container_of(n, struct webhook_op, node)->r.team_id, team->r.id);
    if (count >= WEBHOOKS_PER_TEAM_MAX)
        return err_set(err, ERR_LIMIT, "a team may have %d webhooks", WEBHOOKS_PER_TEAM_MAX);
    if (d->webhooks->by_id.count >= WEBHOOKS_MAX)
        return err_set(err, ERR_LIMIT, "too many webhooks");
    return 0;
}

/* Changing */

static void op_done(struct webhook_op *op)
{
    list_remove(&op->node);
    arena_done(&op->mem);
    free(op);
}

static void webhook_free(struct webhooks *all, struct webhook *w, bool is_removed)
{
    deliveries_drop(all, w, is_removed);
    map_remove(&all->by_id, w->r.id);
    arena_done(&w->mem);
    free(w);
}

/* The record and its memory change hands. */
static struct webhook *publish(struct webhook_op *op)
{
    struct webhooks *all = op->domain->webhooks;
    struct webhook *w = map_remove(&all->by_id, op->r.id);

    if (w == NULL && op->kind != EVENT_WEBHOOK_CREATED)
        return NULL; /* removed meanwhile */
    if (w == NULL)
        w = mem_zero(sizeof(*w));
    else
        arena_done(&w->mem);
    w->r = op->r;
    w->mem = op->mem;
    op->mem = (struct arena){0};
    map_put(&all->by_id, w->r.id, w);
    deliveries_pump(all, w);
    return w;
}

static void on_stored(void *ctx, const struct err *err)
{
    struct webhook_op *op = ctx;
    struct domain *d = op->domain;
    struct webhook *w = NULL;

    if (err == NULL && op->kind == EVENT_WEBHOOK_REMOVED) {
        w = map_get(&d->webhooks->by_id, op->r.id);
        if (w != NULL)
            webhook_free(d->webhooks, w, true);
        w = NULL;
    } else if (err == NULL) {
        w = publish(op);
    }
    if (err == NULL)
        event_emit(d, (struct event){.kind = op->kind,
                                     .subject = op->r.id,
                                     .team_id = op->r.team_id,
                                     .actor = str_of(op->actor)});
    op->fn(op->ctx, w, err);
    op_done(op);
}

/* A record that owns its texts is a record that went through its own encoding. */
static int op_start(struct domain *d, const struct webhook_record *r,
                    const struct webhook_op *model, struct err *err)
{
    struct webhook_op *op = mem_zero(sizeof(*op));
    struct buf bytes;
    int result = -1;

    *op = *model;
    op->domain = d;
    ignore(str_to_c(domain_actor(d), op->actor, sizeof(op->actor))); /* an actor fits */
    arena_init(&op->mem, WEBHOOK_MEM_MAX);
    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&webhook_message, r, &bytes);
    if (!buf_ok(&bytes))
        err_set(err, ERR_LIMIT, "webhook record too large");
    else if (proto_decode(&webhook_message, buf_str(&bytes), &op->mem, &op->r, err) == 0)
        result = op->kind == EVENT_WEBHOOK_REMOVED
                     ? store_remove(d->store, STORE_WEBHOOK, r->id, err)
                     : store_put(d->store, STORE_WEBHOOK, r->id, buf_str(&bytes), err);
    if (bytes.at != NULL)
        explicit_bzero(bytes.at, bytes.len); /* the secret */
    buf_done(&bytes);
    if (result != 0) {
        op_done(op);
        return -1;
    }
    list_push(&d->webhooks->ops, &op->node);
    store_commit(d->store, on_stored, op);
    return 0;
}

int webhook_create(struct domain *d, const struct team *team, const struct webhook_params *p,
                   webhook_done_fn *fn, void *ctx, struct err *err)
{
    char id[UUID_LEN + 1], secret[sizeof(secret_prefix) + TOKEN_HEX_LEN];
    struct webhook_op op = {.kind = EVENT_WEBHOOK_CREATED, .fn = fn, .ctx = ctx};
    struct webhook_record r = {
        .team_id = team->r.id,
        .name = p->name,
        .url = p->url,
        .secret = p->secret,
        .types = p->types,
        .created_at_ms = clock_wall_ms(),
        .is_disabled = p->is_disabled,
    };

    if (check(p, err) != 0 || check_count(d, team, err) != 0)
        return -1;
    id_uuid(id);
    r.id = str_of(id);
    memcpy(secret, secret_prefix, sizeof(secret_prefix));
    id_token(secret + sizeof(secret_prefix) - 1);
    if (r.secret.len == 0)
        r.secret = str_of(secret);
    return op_start(d, &r, &op, err);
}

int webhook_change(struct domain *d, const struct team *team, struct str id,
                   const struct webhook_params *p, webhook_done_fn *fn, void *ctx, struct err *err)
{
    const struct webhook *w = find(d, team, id);
    struct webhook_op op = {.kind = EVENT_WEBHOOK_CHANGED, .fn = fn, .ctx = ctx};
    struct webhook_record r;

    if (w == NULL)
        return missing(err, id);
    if (check(p, err) != 0)
        return -1;
    r = w->r;
    r.name = p->name;
    r.url = p->url;
    r.types = p->types;
    r.is_disabled = p->is_disabled;
    if (p->secret.len > 0)
        r.secret = p->secret;
    return op_start(d, &r, &op, err);
}

int webhook_remove(struct domain *d, const struct team *team, struct str id, webhook_done_fn *fn,
                   void *ctx, struct err *err)
{
    const struct webhook *w = find(d, team, id);
    struct webhook_op op = {.kind = EVENT_WEBHOOK_REMOVED, .fn = fn, .ctx = ctx};

    if (w == NULL)
        return missing(err, id);
    return op_start(d, &w->r, &op, err);
}

/* Life */

void webhook_set_sender(struct domain *d, webhook_sender_fn *fn, void *ctx)
{
    d->webhooks->sender = fn;
    d->webhooks->sender_ctx = ctx;
    if (fn != NULL)
        deliveries_start(d->webhooks);
}

struct webhooks *webhooks_new(struct domain *d)
{
    struct webhooks *all = mem_zero(sizeof(*all));

    all->domain = d;
    return all;
}

void webhooks_free(struct webhooks *all)
{
    size_t cursor = 0;
    struct webhook *w;
    struct list_node *n;

    if (all == NULL)
        return;
    while ((n = list_first(&all->ops)) != NULL)
        op_done(container_of(n, struct webhook_op, node));
    while ((w = map_next(&all->by_id, &cursor)) != NULL)
        webhook_free(all, w, false);
    timer_stop(&all->timer);
    map_done(&all->by_id);
    map_done(&all->deliveries);
    heap_done(&all->due);
    free(all);
}

struct load {
    struct webhooks *all;
    struct err *err;
    bool is_bad;
};

static bool on_webhook(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;
    struct webhook *w = mem_zero(sizeof(*w));

    arena_init(&w->mem, WEBHOOK_MEM_MAX);
    if (proto_decode(&webhook_message, value, &w->mem, &w->r, load->err) == 0 &&
        str_eq(w->r.id, key)) {
        map_put(&load->all->by_id, w->r.id, w);
        return true;
    }
    if (w->r.id.len > 0)
        err_set(load->err, ERR_INVALID, "not a webhook record");
    err_wrap(load->err, "webhook '%.*s'", STR_ARG(str_upto(key, UUID_LEN)));
    arena_done(&w->mem);
    free(w);
    load->is_bad = true;
    return false;
}

static bool on_delivery(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;
    struct delivery_record r = {0};
    struct arena mem;

    arena_init(&mem, WEBHOOK_MEM_MAX);
    if (proto_decode(&delivery_record_message, value, &mem, &r, load->err) == 0 &&
        str_eq(r.id, key)) {
        delivery_load(load->all, &r);
    } else {
        if (r.id.len > 0)
            err_set(load->err, ERR_INVALID, "not a delivery record");
        err_wrap(load->err, "delivery '%.*s'", STR_ARG(str_upto(key, 2 * UUID_LEN + 1)));
        load->is_bad = true;
    }
    arena_done(&mem);
    return !load->is_bad;
}

int webhooks_load(struct domain *d, struct err *err)
{
    struct load load = {d->webhooks, err, false};

    if (store_each(d->store, STORE_WEBHOOK, on_webhook, &load, err) != 0 || load.is_bad)
        return -1;
    return store_each(d->store, STORE_DELIVERY, on_delivery, &load, err) != 0 || load.is_bad ? -1
                                                                                             : 0;
}

void event_json(const struct event_row *row, struct buf *out)
{
    const struct event_record *r = &row->r;
    const struct {
        const char *name;
        struct str value;
    } texts[] = {
        {"type",                r->type                                        },
        {"actor",               r->actor                                       },
        {"subject",             r->subject                                     },
        {"reason",              r->reason                                      },
        {"detail",              r->detail                                      },
        {"sandbox_id",          r->is_of_sandbox ? r->subject : (struct str){0}},
        {"sandbox_template_id", r->template_id                                 },
        {"sandbox_build_id",    r->build_id                                    },
        {"sandbox_team_id",     r->is_of_sandbox ? r->team_id : (struct str){0}},
        {"team_id",             r->team_id                                     },
    };
    char at[RFC3339_MAX];

    rfc3339_format_ms(r->at_ms, at);
    buf_printf(out, "{\"id\":\"%.*s\",\"version\":\"v2\",\"timestamp\":\"%s\"", STR_ARG(r->id), at);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i].value.len == 0)
            continue;
        buf_printf(out, ",\"%s\":", texts[i].name);
        json_quote(out, texts[i].value);
    }
    buf_add_text(out, ",\"event_data\":");
    buf_add_str(out, r->data.len > 0 ? r->data : STR("{}"));
    buf_add_byte(out, '}');
}
