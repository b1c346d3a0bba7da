/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of teams in memory: found by name, shown, started from. Changes are in
 * template_change.c. Called by template.c, build.c and api/. */
#include "domain/team_template.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "domain/build_internal.h"
#include "domain/template_name.h"

enum {
    TEMPLATE_RECORD_MEM_MAX = 1 << 20,
    NAME_KEY_MAX = 200, /* "<team id>/<name>" */
    VIEW_MEM_MAX = 16 << 10,
};

/* The key of a name in builds->names; empty when it is too long to be one. */
static struct str name_key(char buffer[NAME_KEY_MAX], struct str team_id, struct str name)
{
    int len = snprintf(buffer, NAME_KEY_MAX, "%.*s/%.*s", STR_ARG(team_id), STR_ARG(name));

    return len > 0 && len < NAME_KEY_MAX ? (struct str){buffer, (size_t)len} : (struct str){0};
}

struct team_template *team_template_find(const struct domain *d, struct str id)
{
    return map_get(&d->builds->templates, id);
}

static struct team_template *find_name(const struct domain *d, struct str team_id, struct str name)
{
    char buffer[NAME_KEY_MAX];

    return map_get(&d->builds->names, name_key(buffer, team_id, name));
}

/* The n-th of its names: first the one it was made under, then its aliases. */
static struct str name_at(const struct team_template *t, size_t n)
{
    const struct str *aliases = t->r.aliases.items;

    return n == 0 ? t->r.name : aliases[n - 1];
}

static void index_names(struct builds *b, struct team_template *t)
{
    char buffer[NAME_KEY_MAX];

    for (size_t i = 0; i < 1 + t->r.aliases.count; i++) {
        struct str key = arena_str(&t->mem, name_key(buffer, t->r.team_id, name_at(t, i)));

        if (key.len > 0 && map_get(&b->names, key) == NULL)
            map_put(&b->names, key, t);
    }
}

static void forget_names(struct builds *b, const struct team_template *t)
{
    char buffer[NAME_KEY_MAX];

    for (size_t i = 0; i < 1 + t->r.aliases.count; i++) {
        struct str key = name_key(buffer, t->r.team_id, name_at(t, i));

        if (map_get(&b->names, key) == t)
            map_remove(&b->names, key);
    }
}

int team_template_put(struct domain *d, struct str record, struct err *err)
{
    struct team_template_record r = {0};
    struct arena mem;
    struct team_template *t;
    struct team *team;

    arena_init(&mem, TEMPLATE_RECORD_MEM_MAX);
    if (proto_decode(&team_template_message, record, &mem, &r, err) != 0) {
        arena_done(&mem);
        return -1;
    }
    team = team_find(d, r.team_id);
    if (r.id.len == 0 || r.name.len == 0 || team == NULL) {
        arena_done(&mem);
        return err_set(err, ERR_INVALID, "not a template of a team");
    }
    t = team_template_find(d, r.id);
    if (t != NULL) {
        forget_names(d->builds, t);
        map_remove(&d->builds->templates, t->r.id);
        arena_done(&t->mem);
    } else {
        t = mem_zero(sizeof(*t));
    }
    t->r = r;
    t->mem = mem;
    t->team = team;
    map_put(&d->builds->templates, t->r.id, t);
    index_names(d->builds, t);
    return 0;
}

void team_template_drop(struct domain *d, struct str id)
{
    struct team_template *t = team_template_find(d, id);
    struct list_node *at;

    if (t == NULL)
        return;
    while ((at = list_first(&t->builds)) != NULL)
        build_drop(d, container_of(at, struct build, node)->r.id);
    forget_names(d->builds, t);
    map_remove(&d->builds->templates, t->r.id);
    arena_done(&t->mem);
    free(t);
}

/* "space/name" means the team of that name; its private ones are for itself only. */
static struct team_template *find(const struct domain *d, const struct team *team,
                                  const struct template_name *n)
{
    struct team_template *t;
    const struct team *owner = team;

    if (n->space.len > 0)
        owner = str_eq(n->space, team->r.name) ? team : team_find(d, n->space);
    if (owner == NULL)
        return NULL;
    t = find_name(d, owner->r.id, n->name);
    if (t == NULL && n->space.len == 0)
        t = team_template_find(d, n->name);
    return t;
}

static bool is_visible(const struct team_template *t, const struct team *team)
{
    return t->team == team || t->r.is_public;
}

struct team_template *team_template_require(const struct domain *d, const struct team *team,
                                            struct str reference, struct err *err)
{
    struct template_name n;
    struct arena mem;
    struct team_template *t = NULL;

    arena_init(&mem, 4096);
    if (template_ref_parse(reference, &mem, &n, err) == 0) {
        t = find(d, team, &n);
        if (t != NULL && t->team != team)
            t = NULL;
        if (t == NULL)
            err_set(err, ERR_NOT_FOUND, "template '%.*s' not found",
                    STR_ARG(str_upto(str_trim(reference), TEMPLATE_NAME_MAX)));
    }
    arena_done(&mem);
    return t;
}

static int by_id(const void *a, const void *b)
{
    const struct team_template *const *one = a, *const *other = b;

    return memcmp((*one)->r.id.at, (*other)->r.id.at, TEMPLATE_ID_LEN);
}

const struct team_template **team_template_list(const struct domain *d, const struct team *team,
                                                struct str after, struct arena *a,
                                                size_t *out_count)
{
    const struct team_template **list, *t;
    size_t cursor = 0, count = 0;

    list = arena_array(a, d->builds->templates.count + 1, sizeof(*list));
    if (list == NULL)
        return NULL;
    while ((t = map_next(&d->builds->templates, &cursor)) != NULL)
        if (t->team == team && template_id_compare(t->r.id, after) > 0)
            list[count++] = t;
    qsort(list, count, sizeof(*list), by_id);
    *out_count = count;
    return list;
}

const struct template_tag *team_template_tag(const struct team_template *t, struct str tag)
{
    const struct template_tag *tags = t->r.tags.items;

    for (size_t i = 0; i < t->r.tags.count; i++)
        if (str_eq(tags[i].name, tag))
            return &tags[i];
    return NULL;
}

const struct build *team_template_newest(const struct team_template *t)
{
    struct list_node *last = t->builds.head.prev;

    return list_first(&t->builds) == NULL ? NULL : container_of(last, struct build, node);
}

enum template_presence template_presence(struct domain *d, const struct team *team,
                                         struct str reference, struct str *out_id,
                                         bool *out_is_public, struct err *err)
{
    const struct team_template *t;
    const struct template *shared;
    struct template_name n;
    struct arena mem;
    enum template_presence result = TEMPLATE_ABSENT;

    arena_init(&mem, 4096);
    if (template_ref_parse(reference, &mem, &n, err) == 0) {
        t = find(d, team, &n);
        shared = t == NULL ? template_shared(d, team, &n) : NULL;
        if (t != NULL) {
            result = is_visible(t, team) ? TEMPLATE_VISIBLE : TEMPLATE_FOREIGN;
            *out_id = t->r.id;
            *out_is_public = t->r.is_public;
        } else if (shared != NULL) {
            result = TEMPLATE_VISIBLE;
            *out_id = shared->r.id;
            *out_is_public = true;
        }
    }
    arena_done(&mem);
    return result;
}

/* The build that a reference means; NULL: it has none that is ready. */
static const struct build *build_of(const struct domain *d, const struct team_template *t,
                                    const struct template_name *n)
{
    const struct template_tag *tag = n->is_build ? NULL : team_template_tag(t, n->tag);
    const struct build *b = NULL;

    if (n->is_build)
        b = build_find(d, n->tag);
    else if (tag != NULL)
        b = build_find(d, tag->build_id);
    return b != NULL && b->template == t && build_shown(b) == BUILD_READY ? b : NULL;
}

/* The texts stay the records'; only the lists of names are made here. */
static const struct template *view(struct domain *d, const struct team_template *t,
                                   const struct build *b)
{
    struct template *v = &d->builds->view;
    struct str *aliases, *names;
    char *full;

    arena_done(&v->mem);
    arena_init(&v->mem, VIEW_MEM_MAX);
    aliases = arena_array(&v->mem, 1 + t->r.aliases.count, sizeof(*aliases));
    names = arena_array(&v->mem, 1, sizeof(*names));
    full = arena_printf(&v->mem, "%.*s/%.*s", STR_ARG(t->team->r.name), STR_ARG(t->r.name));
    if (aliases == NULL || names == NULL || full == NULL)
        return NULL;
    for (size_t i = 0; i < 1 + t->r.aliases.count; i++)
        aliases[i] = name_at(t, i);
    names[0] = str_of(full);
    v->r = (struct template_record){
        .id = t->r.id,
        .build_id = b->r.id,
        .aliases = {aliases, 1 + t->r.aliases.count},
        .names = {names,       1},
        .rootfs = b->r.rootfs,
        .layers = b->r.layers,
        .snapshot = b->r.snapshot,
        .cpu_count = b->r.cpu_count,
        .memory_mb = b->r.memory_mb,
        .disk_mb = b->r.disk_mb,
        .user = b->r.user,
        .workdir = b->r.workdir,
        .env = b->r.env,
        .start_cmd = b->r.has_memory ? (struct str){0}
          : b->r.start_cmd,
        .ready_cmd = b->r.ready_cmd,
        .ports = b->r.ports,
    };
    return v;
}

const struct template *team_template_use(struct domain *d, const struct team *team,
                                         const struct template_name *n, struct err *err)
{
    const struct team_template *t = team == NULL ? NULL : find(d, team, n);
    const struct template *v;
    const struct build *b;

    err->kind = ERR_NONE;
    if (t == NULL || !is_visible(t, team))
        return NULL;
    b = build_of(d, t, n);
    if (b == NULL) {
        err_set(err, ERR_NOT_FOUND, "tag '%.*s' does not exist for template '%.*s'",
                STR_ARG(n->tag), STR_ARG(n->name));
        return NULL;
    }
    v = view(d, t, b);
    if (v == NULL)
        err_set(err, ERR_LIMIT, "template '%.*s' is too large", STR_ARG(n->name));
    return v;
}

const struct template_tag *template_tags_with(const struct team_template *t,
                                              const struct codec_list *names, struct str build_id,
                                              struct arena *a, size_t *out_count)
{
    const struct template_tag *old = t->r.tags.items;
    const struct str *wanted = names->items;
    struct template_tag *tags = arena_array(a, t->r.tags.count + names->count + 1, sizeof(*tags));
    size_t count = 0;
    int64_t now = clock_wall_ms();

    if (tags == NULL)
        return NULL;
    for (size_t i = 0; i < t->r.tags.count; i++) {
        bool is_moved = false;

        for (size_t k = 0; k < names->count; k++)
            is_moved = is_moved || str_eq(wanted[k], old[i].name);
        if (!is_moved)
            tags[count++] = old[i];
    }
    for (size_t k = 0; k < names->count && build_id.len > 0; k++)
        tags[count++] = (struct template_tag){wanted[k], build_id, now};
    *out_count = count;
    return count <= TEMPLATE_TAGS_MAX ? tags : NULL;
}
