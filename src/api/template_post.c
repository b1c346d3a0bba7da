/* SPDX-License-Identifier: Apache-2.0 */
/* New builds of templates, in all the words that were ever used for it, and their tags (wire.md
 * 2.3, 5.1). Called by the gate. */
#include "api/errors.h"
#include "api/template_json.h"
#include "base/clock.h"

struct template_body { /* TemplateBuildRequestV3, and what came before it */
    struct str name, alias;
    struct codec_list tags;
    int64_t cpu_count, vcpu_count, memory_mb, min_free_disk_mb;
    bool has_cpu_count, has_memory_mb;
    struct str dockerfile, start_cmd, start_command, description;
    struct codec_list aliases;
    bool is_public;
};

struct template_request_reply {
    struct str template_id, build_id;
    bool is_public;
    struct codec_list names, tags, aliases;
};

struct template_tags_body {
    struct str target, name;
    struct codec_list tags;
};

struct template_tags_reply {
    struct codec_list tags;
    struct str build_id;
};

/* clang-format off */
static const struct codec_field template_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct template_body, name)},
    {2, "alias", CODEC_STRING, 0, offsetof(struct template_body, alias)},
    {3, "tags", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_body, tags)},
    {4, "cpuCount", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct template_body, cpu_count), offsetof(struct template_body, has_cpu_count)},
    {5, "vcpuCount", CODEC_NUMBER, 0, offsetof(struct template_body, vcpu_count)},
    {6, "memoryMB", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct template_body, memory_mb), offsetof(struct template_body, has_memory_mb)},
    {7, "minFreeDiskMb", CODEC_NUMBER, 0, offsetof(struct template_body, min_free_disk_mb)},
    {8, "dockerfile", CODEC_STRING, 0, offsetof(struct template_body, dockerfile)},
    {9, "startCmd", CODEC_STRING, 0, offsetof(struct template_body, start_cmd)},
    {10, "startCommand", CODEC_STRING, 0, offsetof(struct template_body, start_command)},
    {11, "description", CODEC_STRING, 0, offsetof(struct template_body, description)},
    {12, "aliases", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_body, aliases)},
    {13, "public", CODEC_BOOL, 0, offsetof(struct template_body, is_public)},
};
static const struct codec_message template_message =
    {"template", sizeof(struct template_body), template_fields, COUNT_OF(template_fields)};

static const struct codec_field template_request_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_request_reply, template_id)},
    {2, "buildID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_request_reply, build_id)},
    {3, "public", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct template_request_reply, is_public)},
    {4, "names", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct template_request_reply, names)},
    {5, "tags", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct template_request_reply, tags)},
    {6, "aliases", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct template_request_reply, aliases)},
};
static const struct codec_message template_request_message =
    {"template_request", sizeof(struct template_request_reply), template_request_fields, COUNT_OF(template_request_fields)};

static const struct codec_field template_tags_fields[] = {
    {1, "target", CODEC_STRING, 0, offsetof(struct template_tags_body, target)},
    {2, "name", CODEC_STRING, 0, offsetof(struct template_tags_body, name)},
    {3, "tags", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_tags_body, tags)},
};
static const struct codec_message template_tags_message =
    {"template_tags", sizeof(struct template_tags_body), template_tags_fields, COUNT_OF(template_tags_fields)};

static const struct codec_field template_tagged_fields[] = {
    {1, "tags", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct template_tags_reply, tags)},
    {2, "buildID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_tags_reply, build_id)},
};
static const struct codec_message template_tagged_message =
    {"template_tagged", sizeof(struct template_tags_reply), template_tagged_fields, COUNT_OF(template_tagged_fields)};
/* clang-format on */

/* TemplateLegacy of those routes, TemplateBuildRequest's answer of this one: the same members. */
static void on_requested(void *ctx, const struct team_template *t, const struct build *b,
                         const struct err *err)
{
    struct call *c = ctx;
    struct template_request_reply reply;
    struct str full;
    struct arena mem;

    if (err != NULL) {
        template_fail(c, err);
        return;
    }
    if (t == NULL || b == NULL) {
        call_error(c, 409, NULL, "the template was removed meanwhile");
        return;
    }
    arena_init(&mem, 4096);
    full = str_of(arena_printf(&mem, "%.*s/%.*s", STR_ARG(t->team->r.name), STR_ARG(t->r.name)));
    reply = (struct template_request_reply){
        .template_id = t->r.id,
        .build_id = b->r.id,
        .is_public = t->r.is_public,
        .names = {&full,                         1},
        .tags = b->r.tags,
        .aliases = {(void *)(uintptr_t)&t->r.name, 1},
    };
    call_reply(c, 202, &template_request_message, &reply);
    arena_done(&mem);
}

static int check_sizes(struct call *c, const struct template_body *body)
{
    if (body->has_cpu_count && body->cpu_count < 1)
        call_error(c, 400, NULL, "CPU count must be at least 1");
    else if (body->has_memory_mb && body->memory_mb < TEMPLATE_MEMORY_MB_MIN)
        call_error(c, 400, NULL, "Memory must be at least %d MiB", TEMPLATE_MEMORY_MB_MIN);
    else if (body->min_free_disk_mb < 0)
        call_error(c, 400, NULL, "minFreeDiskMb must not be negative");
    else
        return 0;
    return -1;
}

static void request(struct call *c, const struct template_body *body)
{
    struct template_request q = {
        .team = c->team,
        .name = body->name.len > 0 ? body->name : body->alias,
        .tags = body->tags,
        .cpu_count = body->has_cpu_count ? body->cpu_count : body->vcpu_count,
        .memory_mb = body->memory_mb,
        .disk_mb = body->min_free_disk_mb,
    };
    struct err err = {0};

    if (q.name.len == 0)
        call_error(c, 400, NULL, "Error when parsing request: name or alias is needed");
    else if (check_sizes(c, body) == 0 &&
             template_request(c->api->domain, &q, on_requested, c, &err) != 0)
        template_fail(c, &err);
}

/* POST /v3/templates, and /v2/templates, which knew an alias only. */
void template_post(struct call *c)
{
    struct template_body body = {0};

    if (call_body(c, &template_message, false, &body) == 0)
        request(c, &body);
}

static void on_made(void *ctx, const struct team_template *t, const struct build *b,
                    const struct err *err)
{
    struct call *c = ctx;
    struct buf json;

    ignore(b == NULL);
    if (err != NULL || t == NULL || c->x == NULL) {
        if (err != NULL)
            template_fail(c, err);
        else
            call_error(c, 409, NULL, "the template was removed meanwhile");
        return;
    }
    buf_init(&json, REPLY_MAX);
    template_json(c, t, &json);
    call_reply_text(c, 201, buf_str(&json));
    buf_done(&json);
}

/* AgentCube's: a name that is new (AC-23). Its builds are asked for by themselves. */
static void make(struct call *c, const struct template_body *body)
{
    struct template_request q = {
        .team = c->team,
        .name = body->name,
        .cpu_count = body->has_cpu_count ? body->cpu_count : body->vcpu_count,
        .memory_mb = body->has_memory_mb ? body->memory_mb : 4096,
        .must_be_new = true,
        .has_no_build = true,
        .description = body->description,
        .start_cmd = body->start_command,
        .dockerfile = body->dockerfile,
        .aliases = body->aliases,
        .is_public = body->is_public,
    };
    struct err err = {0};

    if (check_sizes(c, body) == 0 && template_request(c->api->domain, &q, on_made, c, &err) != 0)
        template_fail(c, &err);
}

/* POST /templates: AgentCube gives a name, old clients of E2B a Dockerfile and perhaps an alias.
 * The latter are told a template and a build to push an image for. */
void template_post_v1(struct call *c)
{
    struct template_body body = {0};

    if (call_body(c, &template_message, false, &body) != 0)
        return;
    if (body.name.len > 0)
        make(c, &body);
    else if (body.dockerfile.len == 0)
        call_error(c, 400, NULL, "Error when parsing request: name or dockerfile is needed");
    else if (body.alias.len == 0)
        call_error(c, 400, NULL, "Error when parsing request: alias is needed");
    else
        request(c, &body);
}

/* POST /templates/:id: another build of it. */
void template_rebuild_v1(struct call *c)
{
    struct template_body body = {0};
    const struct team_template *t;
    struct err err = {0};

    if (call_body(c, &template_message, false, &body) != 0)
        return;
    t = team_template_require(c->api->domain, c->team, call_param(c, 0), &err);
    if (t == NULL) {
        template_fail(c, &err);
        return;
    }
    body.name = t->r.name;
    request(c, &body);
}

/* Tags */

static void on_assigned(void *ctx, const struct team_template *t, const struct build *b,
                        const struct err *err)
{
    struct call *c = ctx;
    const struct template_tag *tags;
    struct template_tags_reply reply = {0};
    struct str *names;

    if (err != NULL) {
        template_fail(c, err);
        return;
    }
    if (t == NULL || b == NULL || c->x == NULL) {
        call_error(c, 404, NULL, "the template was removed meanwhile");
        return;
    }
    tags = t->r.tags.items;
    names = arena_array(exchange_arena(c->x), t->r.tags.count + 1, sizeof(*names));
    for (size_t i = 0; i < t->r.tags.count && names != NULL; i++)
        if (str_eq(tags[i].build_id, b->r.id))
            names[reply.tags.count++] = tags[i].name;
    reply.tags.items = names;
    reply.build_id = b->r.id;
    call_reply(c, 201, &template_tagged_message, &reply);
}

void template_tags_post(struct call *c)
{
    struct template_tags_body body = {0};
    struct err err = {0};

    if (call_body(c, &template_tags_message, false, &body) != 0)
        return;
    if (template_tag_assign(c->api->domain, c->team, body.target, &body.tags, on_assigned, c,
                            &err) != 0)
        template_fail(c, &err);
}

static void on_untagged(void *ctx, const struct team_template *t, const struct build *b,
                        const struct err *err)
{
    ignore(t == NULL && b == NULL);
    if (err != NULL)
        template_fail(ctx, err);
    else
        call_reply_empty(ctx, 204);
}

void template_tags_delete(struct call *c)
{
    struct template_tags_body body = {0};
    struct err err = {0};

    if (call_body(c, &template_tags_message, false, &body) != 0)
        return;
    if (template_tag_remove(c->api->domain, c->team, body.name, &body.tags, on_untagged, c, &err) !=
        0)
        template_fail(c, &err);
}

void template_tags_get(struct call *c)
{
    struct err err = {0};
    const struct team_template *t =
        team_template_require(c->api->domain, c->team, call_param(c, 0), &err);
    const struct template_tag *tags;
    char created[RFC3339_MAX];
    struct buf json;

    if (t == NULL) {
        template_fail(c, &err);
        return;
    }
    tags = t->r.tags.items;
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < t->r.tags.count; i++) {
        rfc3339_format_ms(tags[i].created_at_ms, created);
        buf_add_text(&json, i > 0 ? ",{\"tag\":" : "{\"tag\":");
        json_quote(&json, tags[i].name);
        buf_printf(&json, ",\"buildID\":\"%.*s\",\"createdAt\":\"%s\"}", STR_ARG(tags[i].build_id),
                   created);
    }
    buf_add_byte(&json, ']');
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}
