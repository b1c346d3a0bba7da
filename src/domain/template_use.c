/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what was started from each template; see template_use.h. */
#include "domain/template_use.h"

#include "domain/domain_internal.h"

enum {
    USE_MEM_MAX = 4 << 10,
    USE_RECORD_MAX = 1 << 10,
    USES_MAX = 100000, /* templates that were ever used */
};

struct use {
    struct template_use_record r;
    struct arena mem;
};

static void use_free(struct use *u)
{
    arena_done(&u->mem);
    free(u);
}

/* A record that owns its texts is a record that went through its own encoding. */
static struct use *decode(struct str record, struct err *err)
{
    struct use *u = mem_zero(sizeof(*u));

    arena_init(&u->mem, USE_MEM_MAX);
    if (proto_decode(&template_use_record_message, record, &u->mem, &u->r, err) == 0) {
        if (u->r.template_id.len > 0 && u->r.spawn_count >= 0)
            return u;
        err_set(err, ERR_INVALID, "not a record of a template's use");
    }
    use_free(u);
    return NULL;
}

void template_use(const struct domain *d, struct str template_id, struct template_use_record *out)
{
    const struct use *u = map_get(&d->template_uses, template_id);

    *out = u != NULL ? u->r : (struct template_use_record){.template_id = template_id};
}

static int count(struct domain *d, struct str record, struct err *err)
{
    struct use *u = decode(record, err);

    if (u == NULL)
        return -1;
    if (map_get(&d->template_uses, u->r.template_id) == NULL &&
        d->template_uses.count >= USES_MAX) {
        use_free(u);
        return err_set(err, ERR_LIMIT, "more than %d templates were used", USES_MAX);
    }
    u = map_put(&d->template_uses, u->r.template_id, u);
    if (u != NULL)
        use_free(u);
    return 0;
}

int template_use_add(struct domain *d, struct str template_id, int64_t now_ms, struct err *err)
{
    struct template_use_record r;
    struct buf bytes;
    int result;

    template_use(d, template_id, &r);
    r.spawn_count++;
    r.spawned_at_ms = now_ms;
    buf_init(&bytes, USE_RECORD_MAX);
    proto_encode(&template_use_record_message, &r, &bytes);
    if (buf_ok(&bytes))
        result = store_put(d->store, STORE_TEMPLATE, template_id, buf_str(&bytes), err);
    else
        result = err_set(err, ERR_LIMIT, "template id too long");
    if (result == 0)
        result = count(d, buf_str(&bytes), err);
    buf_done(&bytes);
    return result;
}

int template_use_load(struct domain *d, struct err *err)
{
    return record_each(d, STORE_TEMPLATE, "use of template", count, err);
}

void template_use_done(struct domain *d)
{
    size_t cursor = 0;
    struct use *u;

    while ((u = map_next(&d->template_uses, &cursor)) != NULL)
        use_free(u);
    map_done(&d->template_uses);
}
