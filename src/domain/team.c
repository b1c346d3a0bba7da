/* SPDX-License-Identifier: Apache-2.0 */
/* Teams: read at start, the first one made then. Used by api/gate.c and the files of this folder.
 */
#include "domain/team.h"

#include "base/clock.h"
#include "base/id.h"
#include "domain/domain_internal.h"

enum {
    TEAMS_MAX = 100000,
};

static const char default_name[] = "default";

static void team_free(struct team *t)
{
    free(t->sandboxes);
    arena_done(&t->mem);
    free(t);
}

static int add(struct domain *d, struct str record, struct err *err)
{
    struct team *t = mem_zero(sizeof(*t));

    arena_init(&t->mem, TEAM_MEM_MAX);
    if (proto_decode(&team_record_message, record, &t->mem, &t->r, err) != 0)
        goto fail;
    if (t->r.id.len == 0 || map_get(&d->teams, t->r.id) != NULL || d->teams.count >= TEAMS_MAX) {
        err_set(err, ERR_INVALID, "not a team record, or too many teams");
        goto fail;
    }
    map_put(&d->teams, t->r.id, t);
    if (d->team_default == NULL || str_is(t->r.name, default_name))
        d->team_default = t;
    return 0;
fail:
    team_free(t);
    return -1;
}

struct load {
    struct domain *domain;
    struct err *err;
    bool is_bad;
};

static bool on_row(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;

    if (add(load->domain, value, load->err) == 0)
        return true;
    err_wrap(load->err, "team '%.*s'", STR_ARG(str_upto(key, 64)));
    load->is_bad = true;
    return false;
}

static void on_first_stored(void *ctx, const struct err *err)
{
    struct domain *d = ctx;

    if (err != NULL)
        event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
}

static int add_default(struct domain *d, struct err *err)
{
    char id[UUID_LEN + 1];
    struct team_record r = {.name = str_of(default_name), .created_at_ms = clock_wall_ms()};
    struct buf bytes;
    int result = 0;

    id_uuid(id);
    r.id = str_of(id);
    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&team_record_message, &r, &bytes);
    if (!buf_ok(&bytes) || store_put(d->store, STORE_TEAM, r.id, buf_str(&bytes), err) != 0 ||
        add(d, buf_str(&bytes), err) != 0)
        result = -1;
    buf_done(&bytes);
    if (result != 0)
        return -1;
    store_commit(d->store, on_first_stored, d);
    event_emit(d, (struct event){.kind = EVENT_TEAM_CREATED, .subject = r.name});
    return 0;
}

int team_load(struct domain *d, struct err *err)
{
    struct load load = {d, err, false};

    if (store_each(d->store, STORE_TEAM, on_row, &load, err) != 0 || load.is_bad)
        return -1;
    return d->teams.count == 0 ? add_default(d, err) : 0;
}

void team_done(struct domain *d)
{
    size_t cursor = 0;
    struct team *t;

    while ((t = map_next(&d->teams, &cursor)) != NULL)
        team_free(t);
    map_done(&d->teams);
}

struct team *team_find(const struct domain *d, struct str id_or_name)
{
    struct team *t = map_get(&d->teams, id_or_name);
    size_t cursor = 0;

    if (t != NULL)
        return t;
    while ((t = map_next(&d->teams, &cursor)) != NULL)
        if (str_eq(t->r.name, id_or_name))
            return t;
    return NULL;
}

struct team *team_default(const struct domain *d)
{
    return d->team_default;
}

uint64_t team_timeout_max_s(const struct domain *d, const struct team *t)
{
    uint64_t max = d->config.timeout_max_s;

    return t->r.timeout_max_s > 0 ? (uint64_t)t->r.timeout_max_s : max;
}
