/* SPDX-License-Identifier: Apache-2.0 */
/* See template_json.h. */
#include "api/template_json.h"

#include "api/build_words.h"
#include "api/errors.h"
#include "api/fields.h"
#include "base/clock.h"
#include "domain/template_use.h"

struct template_build_reply { /* TemplateBuild */
    struct str id, status, created_at, updated_at, finished_at;
    int32_t cpu_count, memory_mb, disk_mb;
    struct str envd_version;
};

/* clang-format off */
static const struct codec_field template_build_fields[] = {
    {1, "buildID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_build_reply, id)},
    {2, "status", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_build_reply, status)},
    {3, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_build_reply, created_at)},
    {4, "updatedAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_build_reply, updated_at)},
    {5, "finishedAt", CODEC_STRING, 0, offsetof(struct template_build_reply, finished_at)},
    {6, "cpuCount", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_build_reply, cpu_count)},
    {7, "memoryMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_build_reply, memory_mb)},
    {8, "diskSizeMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_build_reply, disk_mb)},
    {9, "envdVersion", CODEC_STRING, 0, offsetof(struct template_build_reply, envd_version)},
};
static const struct codec_message template_build_message =
    {"template_build", sizeof(struct template_build_reply), template_build_fields, COUNT_OF(template_build_fields)};
/* clang-format on */

/* Texts that a reply borrows while it is encoded. */
struct times {
    char created[RFC3339_MAX], updated[RFC3339_MAX], other[RFC3339_MAX];
};

static void put_use(const struct call *c, struct template_reply *reply, struct times *times)
{
    struct template_use_record use;

    template_use(c->api->domain, reply->template_id, &use);
    reply->spawn_count = use.spawn_count;
    reply->was_spawned = use.spawn_count > 0;
    if (reply->was_spawned)
        rfc3339_format_ms(use.spawned_at_ms, times->other);
    reply->spawned_at = str_of(reply->was_spawned ? times->other : "");
}

/* Made on this machine, by its operator, for every team: hence public, by nobody, and built once
 * each time the record is replaced. */
void template_json_shared(const struct call *c, const struct template *t, struct buf *out)
{
    struct times times;
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
        .exposed_ports = t->r.ports,
        .is_public = true,
        .state = STR("ready"),
    };

    put_use(c, &reply, &times);
    json_encode(&template_reply_message, &reply, out);
}

/* What is shown of a template is its default build; while it has none, the newest. */
static const struct build *shown_build(const struct call *c, const struct team_template *t)
{
    const struct template_tag *tag = team_template_tag(t, STR("default"));
    const struct build *b = tag == NULL ? NULL : build_find(c->api->domain, tag->build_id);

    return b != NULL ? b : team_template_newest(t);
}

/* In the arena of the call. */
static struct codec_list all_names(const struct call *c, const struct team_template *t)
{
    struct arena *a = exchange_arena(c->x);
    struct str *names = arena_array(a, 1 + t->r.aliases.count, sizeof(*names));

    if (names == NULL)
        return (struct codec_list){0};
    names[0] = t->r.name;
    if (t->r.aliases.count > 0)
        memcpy(names + 1, t->r.aliases.items, t->r.aliases.count * sizeof(*names));
    return (struct codec_list){names, 1 + t->r.aliases.count};
}

static void fill(const struct call *c, const struct team_template *t, struct template_reply *reply,
                 struct times *times)
{
    static const struct build_words none = {"waiting", "pending", "pending"};
    struct arena *a = exchange_arena(c->x);
    struct str *full = arena_array(a, 1, sizeof(*full));
    const struct build *b = shown_build(c, t);
    const struct build_words *words = b == NULL ? &none : build_words(build_shown(b));

    if (full != NULL)
        *full = str_of(arena_printf(a, "%.*s/%.*s", STR_ARG(t->team->r.name), STR_ARG(t->r.name)));
    rfc3339_format_ms(t->r.created_at_ms, times->created);
    rfc3339_format_ms(t->r.updated_at_ms, times->updated);
    *reply = (struct template_reply){
        .template_id = t->r.id,
        .build_id = b != NULL ? b->r.id : STR("00000000-0000-0000-0000-000000000000"),
        .build_status = str_of(words->status),
        .aliases = all_names(c, t),
        .names = {full, full != NULL},
        .created_at = str_of(times->created),
        .updated_at = str_of(times->updated),
        .envd_version = str_of(domain_envd_version),
        .cpu_count = t->r.cpu_count,
        .memory_mb = t->r.memory_mb,
        .disk_mb = b != NULL ? b->r.disk_mb : TEMPLATE_DISK_MB_DEFAULT,
        .build_count = (int32_t)t->build_count,
        .is_public = t->r.is_public,
        .name = t->r.name,
        .description = t->r.description,
        .state = str_of(words->template),
        .start_command = t->r.start_cmd,
        .exposed_ports = b != NULL ? b->r.ports : (struct codec_list){0   },
    };
    put_use(c, reply, times);
}

void template_json(const struct call *c, const struct team_template *t, struct buf *out)
{
    struct template_reply reply;
    struct times times;

    fill(c, t, &reply, &times);
    json_encode(&template_reply_message, &reply, out);
}

static void put_build(const struct build *b, struct buf *out)
{
    struct times times = {0};
    struct template_build_reply reply = {
        .id = b->r.id,
        .status = str_of(build_words(build_shown(b))->status),
        .cpu_count = b->r.cpu_count,
        .memory_mb = b->r.memory_mb,
        .disk_mb = b->r.disk_mb,
    };

    rfc3339_format_ms(b->r.created_at_ms, times.created);
    rfc3339_format_ms(b->r.updated_at_ms, times.updated);
    if (build_has_ended(b))
        rfc3339_format_ms(b->r.finished_at_ms, times.other);
    if (build_shown(b) == BUILD_READY)
        reply.envd_version = str_of(domain_envd_version);
    reply.created_at = str_of(times.created);
    reply.updated_at = str_of(times.updated);
    reply.finished_at = str_of(times.other);
    json_encode(&template_build_message, &reply, out);
}

void template_json_with_builds(const struct call *c, const struct team_template *t,
                               const struct builds_page *page, struct buf *out, size_t *out_next)
{
    const struct list_node *head = &t->builds.head;
    size_t place = 0, shown = 0;

    template_json(c, t, out);
    buf_truncate(out, out->len - 1); /* its brace: the builds are one more member */
    buf_add_text(out, ",\"builds\":[");
    if (list_first(&t->builds) != NULL)
        for (struct list_node *at = head->prev; at != head && shown < page->limit; at = at->prev) {
            if (place++ < page->offset)
                continue;
            if (shown++ > 0)
                buf_add_byte(out, ',');
            put_build(container_of(at, struct build, node), out);
        }
    buf_add_text(out, "]}");
    *out_next = page->offset + shown < t->build_count && shown > 0 ? page->offset + shown : 0;
}

static void fail(struct call *c, const struct err *err, const char *missing)
{
    static const struct {
        enum err_kind kind;
        const char *name;
    } names[] = {
        {ERR_INVALID, "invalid_request"        },
        {ERR_EXISTS,  "template_already_exists"},
        {ERR_SYSTEM,  "internal_error"         },
    };
    const char *name = err->kind == ERR_NOT_FOUND ? missing : NULL;

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (names[i].kind == err->kind)
            name = names[i].name;
    call_fail_named(c, 0, name, err);
}

void template_fail(struct call *c, const struct err *err)
{
    fail(c, err, "template_not_found");
}

struct build *template_build_of(struct call *c)
{
    struct domain *d = c->api->domain;
    struct err err = {0};
    struct build *b;

    if (team_template_require(d, c->team, call_param(c, 0), &err) == NULL) {
        template_fail(c, &err);
        return NULL;
    }
    b = build_require(d, c->team, call_param(c, 0), call_param(c, 1), &err);
    if (b == NULL)
        fail(c, &err, "build_not_found");
    return b;
}

int query_number(struct call *c, const char *name, const struct number_range *range, uint64_t *out)
{
    struct str text = call_query(c, name);
    uint64_t value = 0;

    if (text.len == 0)
        return 0;
    if (!str_to_u64(text, &value) || value < range->min || value > range->max) {
        call_error(c, 400, NULL, "validation error: %s must be between %llu and %llu", name,
                   (unsigned long long)range->min, (unsigned long long)range->max);
        return -1;
    }
    *out = value;
    return 0;
}
