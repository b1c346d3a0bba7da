/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of templates (wire.md 2.3 and 2.7). Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "base/clock.h"
#include "domain/template.h"
#include "domain/template_use.h"

enum {
    PAGE_MAX = 100,
};

struct page {
    size_t limit;
    struct str after; /* the last id of the page before */
};

/* Templates are made on this machine, by its operator, for every team: hence public, by nobody, and
 * built once each time the record is replaced. */
static void put(const struct call *c, const struct template *t, struct buf *json)
{
    struct template_use_record use;
    char spawned[RFC3339_MAX] = "";
    struct template_reply reply = {
        .template_id = t->r.id,
        .build_id = t->r.build_id,
        .build_status = STR("ready"),
        .aliases = t->r.aliases,
        .names = t->r.names,
        .created_at = t->r.created_at,
        .updated_at = t->r.created_at,
        .envd_version = str_of(domain_envd_version),
        .cpu_count = t->r.cpu_count,
        .memory_mb = t->r.memory_mb,
        .disk_mb = t->r.disk_mb,
        .build_count = 1,
        .is_public = true,
    };

    template_use(c->api->domain, t->r.id, &use);
    reply.spawn_count = use.spawn_count;
    reply.was_spawned = use.spawn_count > 0;
    if (reply.was_spawned)
        rfc3339_format_ms(use.spawned_at_ms, spawned);
    reply.spawned_at = str_of(spawned);
    json_encode(&template_reply_message, &reply, json);
}

/* A key speaks for one team; asking for another's list is a mistake to hear about. */
static int check_asked_team(struct call *c)
{
    struct str asked = call_query(c, "teamID");

    if (asked.len == 0 || str_eq(asked, c->team->r.id) || str_eq(asked, c->team->r.name))
        return 0;
    call_error(c, 403, NULL, "this API key is not of team '%.*s'", STR_ARG(str_upto(asked, 64)));
    return -1;
}

static void answer(struct call *c, const struct page *p)
{
    const struct template **list;
    size_t count = 0, shown;
    struct http_field next;
    struct buf json;

    list = template_list(c->api->domain, p->after, exchange_arena(c->x), &count);
    if (list == NULL) {
        call_error(c, 500, "internal_server_error", "too many templates for one answer");
        return;
    }
    shown = count < p->limit ? count : p->limit;
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            buf_add_byte(&json, ',');
        put(c, list[i], &json);
    }
    buf_add_byte(&json, ']');
    if (shown < count)
        next = (struct http_field){STR("X-Next-Token"), list[shown - 1]->r.id};
    if (buf_ok(&json))
        call_reply_fields(c, 200, buf_str(&json), &next, shown < count);
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(&json);
}

void template_list_v1(struct call *c)
{
    if (check_asked_team(c) == 0)
        answer(c, &(struct page){.limit = TEMPLATES_MAX});
}

void template_list_v2(struct call *c)
{
    struct page p = {.limit = PAGE_MAX, .after = call_query(c, "nextToken")};
    struct str limit = call_query(c, "limit");
    uint64_t count = PAGE_MAX;

    if (check_asked_team(c) != 0)
        return;
    if (limit.len > 0 && (!str_to_u64(limit, &count) || count < 1 || count > PAGE_MAX)) {
        call_error(c, 400, NULL, "validation error: limit must be between 1 and %d", PAGE_MAX);
        return;
    }
    p.limit = (size_t)count;
    answer(c, &p);
}
