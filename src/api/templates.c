/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: lists, one of them, its visibility, its end, its existence (wire.md 2.3). Called by
 * the gate. */
#include <stdio.h>
#include <stdlib.h>

#include "api/errors.h"
#include "api/template_json.h"
#include "domain/snapshot.h"
#include "domain/template.h"

enum {
    PAGE_MAX = 100,
};

struct page {
    size_t limit;
    struct str after; /* the last id of the page before */
};

struct template_patch_body {
    bool is_public, has_public;
    struct str description;
    bool has_description;
    struct codec_list aliases;
    int64_t cpu_count, vcpu_count, memory_mb;
};

/* clang-format off */
static const struct codec_field template_patch_fields[] = {
    {1, "public", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct template_patch_body, is_public), offsetof(struct template_patch_body, has_public)},
    {2, "description", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct template_patch_body, description), offsetof(struct template_patch_body, has_description)},
    {3, "aliases", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_patch_body, aliases)},
    {4, "cpuCount", CODEC_NUMBER, 0, offsetof(struct template_patch_body, cpu_count)},
    {5, "vcpuCount", CODEC_NUMBER, 0, offsetof(struct template_patch_body, vcpu_count)},
    {6, "memoryMB", CODEC_NUMBER, 0, offsetof(struct template_patch_body, memory_mb)},
};
static const struct codec_message template_patch_message =
    {"template_patch", sizeof(struct template_patch_body), template_patch_fields, COUNT_OF(template_patch_fields)};
/* clang-format on */

/* One line of a list: either kind. */
struct listed {
    struct str id;
    const struct template *shared;
    const struct team_template *own;
};

/* A key speaks for one team; asking for another's list is a mistake to hear about. */
static int check_asked_team(struct call *c)
{
    struct str asked = call_query(c, "teamID");

    if (asked.len == 0 || str_eq(asked, c->team->r.id) || str_eq(asked, c->team->r.name))
        return 0;
    call_error(c, 403, NULL, "this API key is not of team '%.*s'", STR_ARG(str_upto(asked, 64)));
    return -1;
}

static int by_id(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    return template_id_compare(x->id, y->id);
}

/* The operator's and the team's own together, by id; NULL: too many. */
static const struct listed *collect(struct call *c, struct str after, size_t *out_count)
{
    struct arena *a = exchange_arena(c->x);
    size_t shared_count = 0, own_count = 0;
    const struct template **shared = template_list(c->api->domain, after, a, &shared_count);
    const struct team_template **own =
        team_template_list(c->api->domain, c->team, after, a, &own_count);
    struct listed *all = arena_array(a, shared_count + own_count + 1, sizeof(*all));

    if (shared == NULL || own == NULL || all == NULL)
        return NULL;
    for (size_t i = 0; i < shared_count; i++)
        all[i] = (struct listed){shared[i]->r.id, shared[i], NULL};
    for (size_t i = 0; i < own_count; i++)
        all[shared_count + i] = (struct listed){own[i]->r.id, NULL, own[i]};
    *out_count = shared_count + own_count;
    qsort(all, *out_count, sizeof(*all), by_id);
    return all;
}

static void answer(struct call *c, const struct page *p)
{
    size_t count = 0, shown;
    const struct listed *list = collect(c, p->after, &count);
    struct http_field next;
    struct buf json;

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
        if (list[i].own != NULL)
            template_json(c, list[i].own, &json);
        else
            template_json_shared(c, list[i].shared, &json);
    }
    buf_add_byte(&json, ']');
    if (shown < count)
        next = (struct http_field){STR("X-Next-Token"), list[shown - 1].id};
    if (buf_ok(&json))
        call_reply_fields(c, 200, buf_str(&json), &next, shown < count);
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(&json);
}

void template_list_v1(struct call *c)
{
    if (check_asked_team(c) == 0)
        answer(c, &(struct page){.limit = TEMPLATES_MAX + TEAM_TEMPLATES_MAX});
}

void template_list_v2(struct call *c)
{
    struct page p = {.after = call_query(c, "nextToken")};
    uint64_t limit = PAGE_MAX;

    if (check_asked_team(c) != 0 ||
        query_number(c, "limit", &(struct number_range){1, PAGE_MAX}, &limit) != 0)
        return;
    p.limit = (size_t)limit;
    answer(c, &p);
}

/* One of the operator's: with the one build that it is. */
static int answer_shared(struct call *c, struct str reference)
{
    const struct template *t;
    struct buf json;

    if (template_resolve(c->api->domain, c->team, reference, &t, NULL) != 0)
        return -1;
    buf_init(&json, REPLY_MAX);
    template_json_shared(c, t, &json);
    buf_truncate(&json, json.len - 1);
    buf_printf(&json,
               ",\"builds\":[{\"buildID\":\"%.*s\",\"status\":\"ready\",\"createdAt\":\"%.*s\","
               "\"updatedAt\":\"%.*s\",\"finishedAt\":\"%.*s\",\"cpuCount\":%d,\"memoryMB\":%d,"
               "\"diskSizeMB\":%d}]}",
               STR_ARG(t->r.build_id), STR_ARG(t->r.created_at), STR_ARG(t->r.created_at),
               STR_ARG(t->r.created_at), t->r.cpu_count, t->r.memory_mb, t->r.disk_mb);
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
    return 0;
}

void template_get(struct call *c)
{
    struct str reference = call_param(c, 0), token = call_query(c, "nextToken");
    struct builds_page page = {.limit = BUILDS_SHOWN_MAX};
    uint64_t limit = BUILDS_SHOWN_MAX, offset = 0;
    const struct team_template *t;
    struct http_field next;
    char text[24];
    struct buf json;
    size_t rest = 0;
    struct err err = {0};

    if (query_number(c, "limit", &(struct number_range){1, BUILDS_SHOWN_MAX}, &limit) != 0)
        return;
    if (token.len > 0 && !str_to_u64(token, &offset)) {
        call_error(c, 400, NULL, "validation error: nextToken is not one of ours");
        return;
    }
    page = (struct builds_page){(size_t)limit, (size_t)offset};
    t = team_template_require(c->api->domain, c->team, reference, &err);
    if (t == NULL) {
        if (answer_shared(c, reference) != 0)
            template_fail(c, &err);
        return;
    }
    buf_init(&json, REPLY_MAX);
    template_json_with_builds(c, t, &page, &json, &rest);
    ignore(snprintf(text, sizeof(text), "%zu", rest));
    next = (struct http_field){STR("X-Next-Token"), str_of(text)};
    call_reply_fields(c, 200, buf_str(&json), &next, rest > 0);
    buf_done(&json);
}

static void on_removed(void *ctx, const struct team_template *t, const struct build *b,
                       const struct err *err)
{
    ignore(t == NULL && b == NULL);
    if (err != NULL)
        template_fail(ctx, err);
    else
        call_reply_empty(ctx, 204);
}

void template_delete(struct call *c)
{
    struct err err = {0};
    const struct team_template *t =
        team_template_require(c->api->domain, c->team, call_param(c, 0), &err);

    if (t == NULL && snapshot_find(c->api->domain, c->team, call_param(c, 0)) != NULL)
        snapshot_delete(c);
    else if (t == NULL || template_remove(c->api->domain, t, on_removed, c, &err) != 0)
        template_fail(c, &err);
}

static void on_changed(void *ctx, const struct team_template *t, const struct build *b,
                       const struct err *err)
{
    struct call *c = ctx;
    struct buf json;

    ignore(b == NULL);
    if (err != NULL || c->x == NULL || t == NULL) {
        if (err != NULL)
            template_fail(c, err);
        else
            call_error(c, 404, NULL, "the template was removed meanwhile");
        return;
    }
    buf_init(&json, REPLY_MAX);
    template_json(c, t, &json);
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}

/* Both generations and AgentCube's (AC-23): the answer is the object, which has names[] in it. */
void template_patch(struct call *c)
{
    struct template_patch_body body = {0};
    struct template_alter alter;
    const struct team_template *t;
    struct err err = {0};

    if (call_body(c, &template_patch_message, false, &body) != 0)
        return;
    alter = (struct template_alter){
        .has_public = body.has_public,
        .is_public = body.is_public,
        .has_description = body.has_description,
        .description = body.description,
        .has_aliases = body.aliases.items != NULL,
        .aliases = body.aliases,
        .cpu_count = body.cpu_count != 0 ? body.cpu_count : body.vcpu_count,
        .memory_mb = body.memory_mb,
    };
    t = team_template_require(c->api->domain, c->team, call_param(c, 0), &err);
    if (t == NULL || template_alter(c->api->domain, t, &alter, on_changed, c, &err) != 0)
        template_fail(c, &err);
}

/* 403 says that it exists, and is not yours. */
void template_alias_get(struct call *c)
{
    struct str id = {0};
    bool is_public = false;
    struct err err = {0};
    struct buf json;

    switch (template_presence(c->api->domain, c->team, call_param(c, 0), &id, &is_public, &err)) {
    case TEMPLATE_VISIBLE:
        buf_init(&json, REPLY_MAX);
        buf_add_text(&json, "{\"templateID\":");
        json_quote(&json, id);
        buf_printf(&json, ",\"public\":%s}", is_public ? "true" : "false");
        call_reply_text(c, 200, buf_str(&json));
        buf_done(&json);
        return;
    case TEMPLATE_FOREIGN:
        call_error(c, 403, NULL, "You don't have access to this template alias");
        return;
    case TEMPLATE_ABSENT: break;
    }
    if (err.kind == ERR_NONE)
        err_set(&err, ERR_NOT_FOUND, "template '%.*s' not found",
                STR_ARG(str_upto(call_param(c, 0), 128)));
    template_fail(c, &err);
}
