/* SPDX-License-Identifier: Apache-2.0 */
/* Making, changing, tagging and removing templates of teams. Called by api/. */
#include "base/clock.h"
#include "base/id.h"
#include "domain/build_internal.h"
#include "domain/quota.h"
#include "domain/template_name.h"

enum {
    REQUEST_MEM_MAX = 256 << 10,
};

static const char tag_default[] = "default";

/* A request, checked: names in lower case, tags without repetition, sizes decided. */
struct checked {
    struct template_name name;
    struct codec_list tags, aliases; /* of struct str */
    int32_t cpu_count, memory_mb, disk_mb;
    struct arena mem;
};

static int settle(struct change *change, int result)
{
    if (result == 0)
        change_commit(change);
    else
        change_abandon(change);
    return result;
}

static bool is_among(const struct str *items, size_t count, struct str item)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(items[i], item))
            return true;
    return false;
}

static int check_space(const struct team *team, const struct template_name *n, struct err *err)
{
    if (n->space.len == 0 || str_eq(n->space, team->r.name))
        return 0;
    return err_set(err, ERR_INVALID, "namespace '%.*s' must match your team '%.*s'",
                   STR_ARG(n->space), STR_ARG(team->r.name));
}

/* That of the name comes first (CT-03); with none at all it is "default". */
static int check_tags(const struct codec_list *asked, struct str first, struct arena *a,
                      struct codec_list *out, struct err *err)
{
    struct str *tags = arena_array(a, asked->count + 1, sizeof(*tags));
    const struct str *items = asked->items;
    size_t count = 0;

    if (tags == NULL || asked->count > TEMPLATE_TAGS_MAX)
        return err_set(err, ERR_INVALID, "at most %d tags", TEMPLATE_TAGS_MAX);
    if (first.len > 0)
        tags[count++] = first;
    for (size_t i = 0; i < asked->count; i++) {
        struct str tag;

        if (template_tag_parse(items[i], a, &tag, err) != 0)
            return -1;
        if (!is_among(tags, count, tag))
            tags[count++] = tag;
    }
    if (count == 0)
        tags[count++] = str_of(tag_default);
    *out = (struct codec_list){tags, count};
    return 0;
}

/* Names that lead to `t` already, or to nothing yet. */
static int check_aliases(const struct domain *d, const struct team *team,
                         const struct codec_list *asked, struct checked *c, struct err *err)
{
    struct str *aliases = arena_array(&c->mem, asked->count + 1, sizeof(*aliases));
    const struct str *items = asked->items;
    size_t count = 0;

    if (aliases == NULL || asked->count > TEMPLATE_ALIASES_MAX)
        return err_set(err, ERR_INVALID, "at most %d aliases", TEMPLATE_ALIASES_MAX);
    for (size_t i = 0; i < asked->count; i++) {
        struct template_name n;

        if (template_name_parse(items[i], &c->mem, &n, err) != 0 || check_space(team, &n, err) != 0)
            return -1;
        if (!str_eq(n.name, c->name.name) && !is_among(aliases, count, n.name))
            aliases[count++] = n.name;
    }
    c->aliases = (struct codec_list){aliases, count};
    for (size_t i = 0; i < count; i++) {
        const struct team_template *t = team_template_require(d, team, aliases[i], NULL);

        if (t != NULL && !str_eq(t->r.name, c->name.name))
            return err_set(err, ERR_EXISTS, "Alias '%.*s' is already used", STR_ARG(aliases[i]));
    }
    return 0;
}

static int check_sizes(const struct domain *d, const struct template_request *q,
                       const struct team_template *t, struct checked *c, struct err *err)
{
    int64_t cpu = q->cpu_count, memory = q->memory_mb, disk = q->disk_mb;

    if (cpu == 0)
        cpu = t != NULL && t->r.cpu_count > 0 ? t->r.cpu_count : TEMPLATE_CPU_DEFAULT;
    if (memory == 0)
        memory = t != NULL && t->r.memory_mb > 0 ? t->r.memory_mb : TEMPLATE_MEMORY_MB_DEFAULT;
    if (disk < TEMPLATE_DISK_MB_DEFAULT)
        disk = TEMPLATE_DISK_MB_DEFAULT;
    if (cpu < 1)
        return err_set(err, ERR_INVALID, "CPU count must be at least 1");
    if (memory < TEMPLATE_MEMORY_MB_MIN)
        return err_set(err, ERR_INVALID, "Memory must be at least %d MiB", TEMPLATE_MEMORY_MB_MIN);
    if (cpu > INT32_MAX / 100 || memory > INT32_MAX || disk > INT32_MAX)
        return err_set(err, ERR_INVALID, "cpuCount, memoryMB or disk size is too large");
    c->cpu_count = (int32_t)cpu;
    c->memory_mb = (int32_t)memory;
    c->disk_mb = (int32_t)disk;
    return quota_check_size(d, q->team,
                            &(struct quota_size){c->cpu_count, c->memory_mb, c->disk_mb}, err);
}

static int check_request(struct domain *d, const struct template_request *q,
                         const struct team_template **out_t, struct checked *c, struct err *err)
{
    struct str trimmed = str_trim(q->name);
    struct str first = {0};

    if (template_name_parse(trimmed, &c->mem, &c->name, err) != 0 ||
        check_space(q->team, &c->name, err) != 0)
        return -1;
    if (str_find(trimmed, ':') >= 0)
        first = c->name.tag;
    if (q->description.len > TEMPLATE_TEXT_MAX || q->dockerfile.len > TEMPLATE_TEXT_MAX ||
        q->start_cmd.len > TEMPLATE_TEXT_MAX)
        return err_set(err, ERR_INVALID, "texts of a template have at most %d bytes",
                       TEMPLATE_TEXT_MAX);
    *out_t = team_template_require(d, q->team, c->name.name, NULL);
    if (*out_t != NULL && q->must_be_new)
        return err_set(err, ERR_EXISTS, "Template '%.*s' already exists", STR_ARG(c->name.name));
    if (*out_t == NULL && d->builds->templates.count >= TEAM_TEMPLATES_MAX)
        return err_set(err, ERR_LIMIT, "there are %d templates already", TEAM_TEMPLATES_MAX);
    if (check_tags(&q->tags, first, &c->mem, &c->tags, err) != 0 ||
        check_aliases(d, q->team, &q->aliases, c, err) != 0)
        return -1;
    return check_sizes(d, q, *out_t, c, err);
}

/* The template as it will be: made, or touched. */
static void fill_template(const struct template_request *q, const struct team_template *t,
                          const struct checked *c, struct str new_id,
                          struct team_template_record *r)
{
    int64_t now = clock_wall_ms();

    if (t != NULL) {
        *r = t->r;
    } else {
        *r = (struct team_template_record){
            .id = new_id,
            .team_id = q->team->r.id,
            .name = c->name.name,
            .description = q->description,
            .start_cmd = q->start_cmd,
            .dockerfile = q->dockerfile,
            .aliases = c->aliases,
            .is_public = q->is_public,
            .created_at_ms = now,
        };
    }
    r->cpu_count = c->cpu_count;
    r->memory_mb = c->memory_mb;
    r->updated_at_ms = now;
}

static int make(struct domain *d, const struct template_request *q, const struct team_template *t,
                const struct checked *c, struct change *change, struct err *err)
{
    char id[TEMPLATE_ID_LEN + 1], build_id[UUID_LEN + 1] = "";
    struct team_template_record r;
    struct build_record b;

    id_text(id, TEMPLATE_ID_LEN);
    id[TEMPLATE_ID_LEN] = '\0';
    if (t != NULL)
        ignore(str_to_c(t->r.id, id, sizeof(id)));
    fill_template(q, t, c, str_of(id), &r);
    if (change_template(change, &r, err) != 0)
        return -1;
    t = team_template_find(d, str_of(id));
    if (!q->has_no_build) {
        id_uuid(build_id);
        b = (struct build_record){
            .id = str_of(build_id),
            .template_id = str_of(id),
            .team_id = q->team->r.id,
            .state = BUILD_WAITING,
            .created_at_ms = clock_wall_ms(),
            .updated_at_ms = clock_wall_ms(),
            .cpu_count = c->cpu_count,
            .memory_mb = c->memory_mb,
            .disk_mb = c->disk_mb,
            .tags = c->tags,
        };
        if (build_supersede(change, t, &c->tags, err) != 0 || change_build(change, &b, err) != 0)
            return -1;
    }
    change_about(change, str_of(id), str_of(build_id));
    return 0;
}

int template_request(struct domain *d, const struct template_request *q, template_done_fn *fn,
                     void *ctx, struct err *err)
{
    const struct team_template *t = NULL;
    struct checked c = {0};
    struct change *change;
    int result;

    arena_init(&c.mem, REQUEST_MEM_MAX);
    result = check_request(d, q, &t, &c, err);
    if (result == 0) {
        change = change_new(d, fn, ctx);
        if (t == NULL)
            change_event(change, EVENT_TEMPLATE_CREATED, NULL);
        result = settle(change, make(d, q, t, &c, change, err));
    }
    arena_done(&c.mem);
    if (result == 0)
        build_evict(d);
    return result;
}

int template_alter(struct domain *d, const struct team_template *t, const struct template_alter *a,
                   template_done_fn *fn, void *ctx, struct err *err)
{
    struct template_request q = {
        .team = t->team, .cpu_count = a->cpu_count, .memory_mb = a->memory_mb};
    struct checked c = {.name.name = t->r.name};
    struct team_template_record r = t->r;
    struct change *change;
    int result;

    arena_init(&c.mem, REQUEST_MEM_MAX);
    result = check_sizes(d, &q, t, &c, err);
    if (result == 0 && a->has_aliases)
        result = check_aliases(d, t->team, &a->aliases, &c, err);
    if (result == 0 && a->description.len > TEMPLATE_TEXT_MAX)
        result = err_set(err, ERR_INVALID, "description has at most %d bytes", TEMPLATE_TEXT_MAX);
    if (result == 0) {
        r.cpu_count = c.cpu_count;
        r.memory_mb = c.memory_mb;
        r.is_public = a->has_public ? a->is_public : r.is_public;
        r.description = a->has_description ? a->description : r.description;
        r.aliases = a->has_aliases ? c.aliases : r.aliases;
        r.updated_at_ms = clock_wall_ms();
        change = change_new(d, fn, ctx);
        change_about(change, t->r.id, (struct str){0});
        change_event(change, EVENT_TEMPLATE_CHANGED, NULL);
        result = settle(change, change_template(change, &r, err));
    }
    arena_done(&c.mem);
    return result;
}

static bool is_in_use(const struct domain *d, struct str template_id)
{
    size_t cursor = 0;
    const struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL)
        if (str_eq(s->r.template_id, template_id) &&
            sandbox_state_row(s->state)->shown != SANDBOX_PUBLIC_NONE)
            return true;
    return false;
}

int template_remove(struct domain *d, const struct team_template *t, template_done_fn *fn,
                    void *ctx, struct err *err)
{
    char id[TEMPLATE_ID_LEN + 1];
    struct change *change;
    struct list_node *at;
    int result = 0;

    if (is_in_use(d, t->r.id))
        return err_set(err, ERR_INVALID,
                       "cannot delete template '%.*s' because there are sandboxes using it",
                       STR_ARG(t->r.id));
    ignore(str_to_c(t->r.id, id, sizeof(id)));
    change = change_new(d, fn, ctx);
    change_about(change, str_of(id), (struct str){0});
    change_event(change, EVENT_TEMPLATE_REMOVED, NULL);
    while (result == 0 && (at = list_first(&t->builds)) != NULL) {
        struct build *b = container_of(at, struct build, node);

        build_stop(d, b);
        result = change_drop_build(change, b->r.id, err);
    }
    if (result == 0)
        result = change_drop_template(change, str_of(id), err);
    return settle(change, result);
}

/* Tags */

static int change_tags(const struct team_template *t, const struct codec_list *names,
                       const struct build *b, struct change *change, struct err *err)
{
    struct team_template_record r = t->r;
    char build_id[UUID_LEN + 1] = "";
    struct arena mem;
    int result;

    if (b != NULL)
        ignore(str_to_c(b->r.id, build_id, sizeof(build_id)));
    arena_init(&mem, REQUEST_MEM_MAX);
    r.tags.items =
        (void *)(uintptr_t)template_tags_with(t, names, str_of(build_id), &mem, &r.tags.count);
    r.updated_at_ms = clock_wall_ms();
    if (r.tags.items == NULL)
        result = err_set(err, ERR_INVALID, "a template has at most %d tags", TEMPLATE_TAGS_MAX);
    else
        result = change_template(change, &r, err);
    arena_done(&mem);
    if (result == 0)
        change_about(change, t->r.id, str_of(build_id));
    return result;
}

/* The build that "name:tag" or "name:build id" is. */
static const struct build *target_build(const struct domain *d, const struct team_template *t,
                                        const struct template_name *n, struct err *err)
{
    const struct template_tag *tag = n->is_build ? NULL : team_template_tag(t, n->tag);
    const struct build *b = build_find(d, n->is_build   ? n->tag
                                          : tag != NULL ? tag->build_id
                                                        : (struct str){0});

    if (b != NULL && b->template == t && build_shown(b) == BUILD_READY)
        return b;
    err_set(err, ERR_NOT_FOUND, "tag '%.*s' does not exist for template '%.*s'", STR_ARG(n->tag),
            STR_ARG(n->name));
    return NULL;
}

int template_tag_assign(struct domain *d, const struct team *team, struct str target,
                        const struct codec_list *tags, template_done_fn *fn, void *ctx,
                        struct err *err)
{
    const struct team_template *t = NULL;
    const struct build *b = NULL;
    struct codec_list names = {0};
    struct template_name n;
    struct arena mem;
    struct change *change;
    int result = -1;

    arena_init(&mem, REQUEST_MEM_MAX);
    if (tags->count == 0)
        result = err_set(err, ERR_INVALID, "at least one tag is needed");
    else if (template_ref_parse(target, &mem, &n, err) == 0 &&
             check_tags(tags, (struct str){0}, &mem, &names, err) == 0 &&
             (t = team_template_require(d, team, target, err)) != NULL)
        b = target_build(d, t, &n, err);
    if (b != NULL) {
        change = change_new(d, fn, ctx);
        change_event(change, EVENT_TEMPLATE_CHANGED, "tags assigned");
        result = settle(change, change_tags(t, &names, b, change, err));
    }
    arena_done(&mem);
    return result;
}

int template_tag_remove(struct domain *d, const struct team *team, struct str name,
                        const struct codec_list *tags, template_done_fn *fn, void *ctx,
                        struct err *err)
{
    const struct team_template *t = NULL;
    struct codec_list names = {0};
    struct arena mem;
    struct change *change;
    int result = -1;

    arena_init(&mem, REQUEST_MEM_MAX);
    if (tags->count == 0)
        err_set(err, ERR_INVALID, "at least one tag is needed");
    else if (check_tags(tags, (struct str){0}, &mem, &names, err) == 0)
        t = team_template_require(d, team, name, err);
    for (size_t i = 0; i < names.count && t != NULL; i++) {
        struct str tag = ((const struct str *)names.items)[i];

        if (str_is(tag, tag_default)) {
            err_set(err, ERR_INVALID, "the tag 'default' cannot be removed");
            t = NULL;
        } else if (team_template_tag(t, tag) == NULL) {
            err_set(err, ERR_NOT_FOUND, "tag '%.*s' does not exist for template '%.*s'",
                    STR_ARG(tag), STR_ARG(t->r.name));
            t = NULL;
        }
    }
    if (t != NULL) {
        change = change_new(d, fn, ctx);
        change_event(change, EVENT_TEMPLATE_CHANGED, "tags removed");
        result = settle(change, change_tags(t, &names, NULL, change, err));
    }
    arena_done(&mem);
    return result;
}
