/* SPDX-License-Identifier: Apache-2.0 */
/* Records of templates and builds that change together; see build_internal.h. */
#include "base/id.h"
#include "domain/build_internal.h"
#include "domain/image_fetch.h"

enum {
    CHANGE_RECORD_MAX = STORE_VALUE_MAX,
    CHANGE_ID_MAX = UUID_LEN,
};

/* What one record was before. */
struct row {
    struct list_node node; /* newest first */
    enum store_kind kind;  /* STORE_TEAM_TEMPLATE or STORE_BUILD */
    char id[CHANGE_ID_MAX + 1];
    struct buf old;
    bool was_there;
    bool holds_image; /* the layers of one stay as long as the build does */
};

struct change {
    struct list_node node;
    struct domain *domain;
    struct list rows;
    char template_id[CHANGE_ID_MAX + 1], build_id[CHANGE_ID_MAX + 1];
    char team_id[CHANGE_ID_MAX + 1], actor[ACTOR_MAX + 1];
    bool has_event;
    enum event_kind event;
    char detail[160];
    template_done_fn *fn; /* NULL: nobody waits */
    void *ctx;
};

static void change_free(struct change *c)
{
    struct list_node *at;

    list_remove(&c->node);
    while ((at = list_pop(&c->rows)) != NULL) {
        struct row *row = container_of(at, struct row, node);

        buf_done(&row->old);
        free(row);
    }
    free(c);
}

struct change *change_new(struct domain *d, template_done_fn *fn, void *ctx)
{
    struct change *c = mem_zero(sizeof(*c));

    c->domain = d;
    c->fn = fn;
    c->ctx = ctx;
    ignore(str_to_c(domain_actor(d), c->actor, sizeof(c->actor))); /* it fits */
    list_push(&d->builds->changes, &c->node);
    return c;
}

static void keep_old(struct change *c, enum store_kind kind, struct str id)
{
    struct row *row = mem_zero(sizeof(*row));

    row->kind = kind;
    ignore(str_to_c(id, row->id, sizeof(row->id))); /* ids of records are ours */
    buf_init(&row->old, CHANGE_RECORD_MAX);
    if (kind == STORE_BUILD) {
        const struct build *b = build_find(c->domain, id);

        row->was_there = b != NULL;
        row->holds_image = b != NULL && build_holds_image(&b->r);
        if (b != NULL)
            proto_encode(&build_message, &b->r, &row->old);
    } else {
        const struct team_template *t = team_template_find(c->domain, id);

        row->was_there = t != NULL;
        if (t != NULL)
            proto_encode(&team_template_message, &t->r, &row->old);
    }
    list_push_first(&c->rows, &row->node);
}

static int put(struct domain *d, enum store_kind kind, struct str record, struct err *err)
{
    return kind == STORE_BUILD ? build_put(d, record, err) : team_template_put(d, record, err);
}

static void drop(struct domain *d, enum store_kind kind, struct str id)
{
    if (kind == STORE_BUILD)
        build_drop(d, id);
    else
        team_template_drop(d, id);
}

static int change_record(struct change *c, enum store_kind kind, struct str id,
                         const struct buf *bytes, struct err *err)
{
    if (!buf_ok(bytes))
        return err_set(err, ERR_INVALID, "the template is too large");
    keep_old(c, kind, id);
    if (put(c->domain, kind, buf_str(bytes), err) != 0)
        return -1;
    return store_put(c->domain->store, kind, id, buf_str(bytes), err);
}

int change_template(struct change *c, const struct team_template_record *r, struct err *err)
{
    char id[CHANGE_ID_MAX + 1];
    struct buf bytes;
    int result;

    ignore(str_to_c(r->id, id, sizeof(id))); /* the record that r was made from goes away */
    buf_init(&bytes, CHANGE_RECORD_MAX);
    proto_encode(&team_template_message, r, &bytes);
    result = change_record(c, STORE_TEAM_TEMPLATE, str_of(id), &bytes, err);
    buf_done(&bytes);
    return result;
}

int change_build(struct change *c, const struct build_record *r, struct err *err)
{
    char id[CHANGE_ID_MAX + 1];
    struct buf bytes;
    int result;

    ignore(str_to_c(r->id, id, sizeof(id)));
    buf_init(&bytes, CHANGE_RECORD_MAX);
    proto_encode(&build_message, r, &bytes);
    result = change_record(c, STORE_BUILD, str_of(id), &bytes, err);
    buf_done(&bytes);
    return result;
}

static int change_drop(struct change *c, enum store_kind kind, struct str id, struct err *err)
{
    char copy[CHANGE_ID_MAX + 1];

    ignore(str_to_c(id, copy, sizeof(copy)));
    keep_old(c, kind, str_of(copy));
    drop(c->domain, kind, str_of(copy));
    return store_remove(c->domain->store, kind, str_of(copy), err);
}

int change_drop_template(struct change *c, struct str id, struct err *err)
{
    return change_drop(c, STORE_TEAM_TEMPLATE, id, err);
}

int change_drop_build(struct change *c, struct str id, struct err *err)
{
    if (store_remove(c->domain->store, STORE_BUILD_LOG, id, err) != 0)
        return -1;
    return change_drop(c, STORE_BUILD, id, err);
}

void change_about(struct change *c, struct str template_id, struct str build_id)
{
    const struct team_template *t = team_template_find(c->domain, template_id);

    ignore(str_to_c(template_id, c->template_id, sizeof(c->template_id)));
    ignore(str_to_c(build_id, c->build_id, sizeof(c->build_id)));
    if (t != NULL)
        ignore(str_to_c(t->r.team_id, c->team_id, sizeof(c->team_id)));
}

void change_event(struct change *c, enum event_kind kind, const char *detail)
{
    c->has_event = true;
    c->event = kind;
    ignore(str_to_c(str_upto(str_of(detail), sizeof(c->detail) - 1), c->detail, sizeof(c->detail)));
}

/* Memory as it was; the store too, over what is queued: a later record may have taken the lost
 * values along. */
static void take_back(struct change *c)
{
    struct domain *d = c->domain;

    for (struct list_node *at = list_first(&c->rows); at != NULL; at = list_next(&c->rows, at)) {
        const struct row *row = container_of(at, struct row, node);
        struct str id = str_of(row->id);

        if (row->was_there) {
            ignore(put(d, row->kind, buf_str(&row->old), NULL)); /* it was decoded before */
            ignore(store_put(d->store, row->kind, id, buf_str(&row->old), NULL));
        } else {
            drop(d, row->kind, id);
            ignore(store_remove(d->store, row->kind, id, NULL));
        }
    }
}

/* Builds that are no more need their image no more. */
static void release_images(struct change *c)
{
    for (struct list_node *at = list_first(&c->rows); at != NULL; at = list_next(&c->rows, at)) {
        const struct row *row = container_of(at, struct row, node);

        if (row->holds_image && build_find(c->domain, str_of(row->id)) == NULL)
            image_release(c->domain, str_of(row->id));
    }
}

static void tell(struct change *c)
{
    struct str subject = str_of(c->build_id[0] != '\0' ? c->build_id : c->template_id);

    if (c->has_event)
        event_emit(c->domain, (struct event){.kind = c->event,
                                             .subject = subject,
                                             .team_id = str_of(c->team_id),
                                             .actor = str_of(c->actor),
                                             .detail = c->detail[0] != '\0' ? c->detail : NULL});
}

static void on_stored(void *ctx, const struct err *err)
{
    struct change *c = ctx;
    struct domain *d = c->domain;
    template_done_fn *fn = c->fn;
    void *fn_ctx = c->ctx;
    const struct team_template *t = NULL;
    const struct build *b = NULL;

    if (err != NULL) {
        take_back(c);
        store_commit(d->store, NULL, NULL);
        event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
    } else {
        tell(c);
        release_images(c);
        t = team_template_find(d, str_of(c->template_id));
        b = build_find(d, str_of(c->build_id));
    }
    change_free(c);
    if (fn != NULL)
        fn(fn_ctx, t, b, err);
}

void change_commit(struct change *c)
{
    store_commit(c->domain->store, on_stored, c);
}

void change_abandon(struct change *c)
{
    take_back(c);
    change_free(c);
}

void changes_done(struct builds *b)
{
    struct list_node *at;

    while ((at = list_first(&b->changes)) != NULL)
        change_free(container_of(at, struct change, node));
}
