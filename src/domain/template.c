/* SPDX-License-Identifier: Apache-2.0 */
/* Reads template files and finds templates by any of their names. Called by sandbox_create.c. */
#include "domain/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/map.h"
#include "domain/domain_internal.h"
#include "domain/snapshot.h"
#include "domain/team_template.h"
#include "domain/template_name.h"

struct templates {
    struct domain *domain;
    const char *dir;
    struct map names; /* id, alias, name -> struct template, several entries for one */
    struct template *all[TEMPLATES_MAX];
    size_t count;
    uint64_t scanned_ms;     /* monotonic time of the last scan */
    uint64_t looked_ms;      /* and of the last look at the directory's mtime */
    struct timespec changed; /* the directory's mtime then */
};

/* clang-format off */
static const struct codec_field template_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct template_record, id)},
    {2, "buildID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct template_record, build_id)},
    {3, "aliases", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_record, aliases)},
    {4, "names", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_record, names)},
    {5, "rootfs", CODEC_STRING, CODEC_REQUIRED, offsetof(struct template_record, rootfs)},
    {6, "cpuCount", CODEC_INT32, 0, offsetof(struct template_record, cpu_count)},
    {7, "memoryMB", CODEC_INT32, 0, offsetof(struct template_record, memory_mb)},
    {8, "diskSizeMB", CODEC_INT32, 0, offsetof(struct template_record, disk_mb)},
    {9, "defaultUser", CODEC_STRING, 0, offsetof(struct template_record, user)},
    {10, "defaultWorkdir", CODEC_STRING, 0, offsetof(struct template_record, workdir)},
    {11, "envVars", CODEC_MAP, 0, offsetof(struct template_record, env)},
    {12, "createdAt", CODEC_STRING, 0, offsetof(struct template_record, created_at)},
    {13, "exposedPorts", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_record, ports)},
};
/* clang-format on */

static const struct codec_message template_message = {"template", sizeof(struct template_record),
                                                      template_fields, COUNT_OF(template_fields)};

static void template_free(struct template *t)
{
    if (t == NULL)
        return;
    arena_done(&t->mem);
    free(t);
}

static void clear(struct templates *ts)
{
    for (size_t i = 0; i < ts->count; i++)
        template_free(ts->all[i]);
    ts->count = 0;
    map_done(&ts->names);
    ts->names = (struct map){0};
}

static int read_file(int dir_fd, const char *name, struct buf *out, struct stat *st,
                     struct err *err)
{
    auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", name);
    if (fstat(fd, st) != 0)
        return err_sys(err, errno, "look at '%s'", name);
    for (;;) {
        char *room = buf_room(out, 4096);

        if (room == NULL)
            return err_set(err, ERR_LIMIT, "'%s' is larger than %d bytes", name, TEMPLATE_FILE_MAX);
        n = read(fd, room, 4096);
        if (n < 0)
            return err_sys(err, errno, "read '%s'", name);
        if (n == 0)
            return 0;
        buf_fill(out, (size_t)n);
    }
}

/* One that could not be asked for is a mistake of who wrote the file. */
static int check_id(struct str id, struct err *err)
{
    struct template_name n;
    struct arena mem;
    bool is_plain;

    arena_init(&mem, 4096);
    is_plain = template_name_parse(id, &mem, &n, err) == 0 && str_eq(n.name, id);
    arena_done(&mem);
    return is_plain ? 0 : err_set(err, ERR_INVALID, "templateID is not usable");
}

/* Defaults for what the file leaves out; refuse what node could not run. */
static int complete(struct template_record *r, struct err *err)
{
    if (r->cpu_count == 0)
        r->cpu_count = 2;
    if (r->memory_mb == 0)
        r->memory_mb = 1024;
    if (r->disk_mb == 0)
        r->disk_mb = 10240;
    if (r->user.len == 0)
        r->user = STR("user");
    if (r->workdir.len == 0)
        r->workdir = STR("/home/user");
    if (check_id(r->id, err) != 0)
        return -1;
    if (r->rootfs.len == 0 || str_find(r->rootfs, '/') >= 0)
        return err_set(err, ERR_INVALID, "rootfs is not usable");
    if (r->cpu_count < 1 || r->memory_mb < 1 || r->disk_mb < 1)
        return err_set(err, ERR_INVALID, "cpuCount, memoryMB and diskSizeMB must be positive");
    return 0;
}

/* Lists must say when; a file that a person wrote may not. */
static void date(struct template *t, const struct stat *st)
{
    char text[RFC3339_MAX];
    int64_t seconds;
    uint32_t nanos;

    if (rfc3339_parse(t->r.created_at, &seconds, &nanos))
        return;
    rfc3339_format_ms((int64_t)st->st_mtim.tv_sec * 1000, text);
    t->r.created_at = arena_str(&t->mem, str_of(text));
}

static struct template *load(int dir_fd, const char *name, struct err *err)
{
    struct template *t = mem_zero(sizeof(*t));
    struct stat st = {0};
    struct buf text;
    bool is_good;

    arena_init(&t->mem, 4 * TEMPLATE_FILE_MAX);
    buf_init(&text, TEMPLATE_FILE_MAX);
    is_good = read_file(dir_fd, name, &text, &st, err) == 0 &&
              json_decode(&template_message, buf_str(&text), &t->mem, &t->r, err) == 0 &&
              complete(&t->r, err) == 0;
    buf_done(&text);
    if (is_good) {
        date(t, &st);
        return t;
    }
    template_free(t);
    return NULL;
}

static void add(struct templates *ts, struct template *t)
{
    const struct str *aliases = t->r.aliases.items, *names = t->r.names.items;

    ts->all[ts->count++] = t;
    map_put(&ts->names, t->r.id, t);
    for (size_t i = 0; i < t->r.aliases.count; i++)
        map_put(&ts->names, aliases[i], t);
    for (size_t i = 0; i < t->r.names.count; i++)
        map_put(&ts->names, names[i], t);
}

static void report(struct templates *ts, const char *name, const struct err *err)
{
    event_emit(
        ts->domain,
        (struct event){.kind = EVENT_TEMPLATE_BAD, .subject = str_of(name), .detail = err->text});
}

static void scan(struct templates *ts)
{
    struct err err = {0};
    struct stat st = {0};
    struct dirent *entry;
    DIR *dir = opendir(ts->dir);

    ts->scanned_ms = ts->looked_ms = clock_mono_ms();
    if (dir != NULL && fstat(dirfd(dir), &st) == 0)
        ts->changed = st.st_mtim;
    if (dir == NULL) {
        ignore(err_sys(&err, errno, "open templates directory"));
        report(ts, ts->dir, &err);
        return;
    }
    clear(ts);
    while ((entry = readdir(dir)) != NULL && ts->count < TEMPLATES_MAX) {
        struct template *t;

        if (entry->d_name[0] == '.' || !str_has_suffix(str_of(entry->d_name), ".json"))
            continue;
        t = load(dirfd(dir), entry->d_name, &err);
        if (t != NULL)
            add(ts, t);
        else
            report(ts, entry->d_name, &err);
    }
    closedir(dir);
}

/* Files are replaced by rename, which shows in the directory's mtime. */
static void rescan(struct templates *ts, bool is_miss)
{
    uint64_t now = clock_mono_ms();
    struct stat st;

    if (now - (is_miss ? ts->scanned_ms : ts->looked_ms) < TEMPLATES_RESCAN_MS)
        return;
    if (is_miss || stat(ts->dir, &st) != 0 || st.st_mtim.tv_sec != ts->changed.tv_sec ||
        st.st_mtim.tv_nsec != ts->changed.tv_nsec)
        scan(ts);
    else
        ts->looked_ms = now;
}

struct templates *templates_new(struct domain *d, const char *dir)
{
    struct templates *ts = mem_zero(sizeof(*ts));

    ts->domain = d;
    ts->dir = dir;
    scan(ts);
    return ts;
}

void templates_free(struct templates *ts)
{
    if (ts == NULL)
        return;
    clear(ts);
    free(ts);
}

const struct template *template_by_name(const struct domain *d, struct str name)
{
    return map_get(&d->templates->names, name);
}

int template_id_compare(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_id(const void *a, const void *b)
{
    const struct template *const *one = a, *const *other = b;

    return template_id_compare((*one)->r.id, (*other)->r.id);
}

const struct template **template_list(struct domain *d, struct str after, struct arena *a,
                                      size_t *out_count)
{
    struct templates *ts = d->templates;
    const struct template **list;
    size_t count = 0;

    rescan(ts, false);
    list = arena_array(a, ts->count + 1, sizeof(*list));
    if (list == NULL)
        return NULL;
    for (size_t i = 0; i < ts->count; i++)
        if (template_id_compare(ts->all[i]->r.id, after) > 0)
            list[count++] = ts->all[i];
    qsort(list, count, sizeof(*list), by_id);
    *out_count = count;
    return list;
}

struct str template_alias(const struct template *t)
{
    const struct str *aliases = t->r.aliases.items;

    return t->r.aliases.count > 0 ? aliases[0] : (struct str){0};
}

/* "space/name" as listed in the file; the team's own name as space means the plain name. */
static const struct template *find(const struct domain *d, const struct team *team,
                                   const struct template_name *n)
{
    char both[TEMPLATE_NAME_MAX + 2];
    int len;
    const struct template *t;

    if (n->space.len == 0)
        return template_by_name(d, n->name);
    len = snprintf(both, sizeof(both), "%.*s/%.*s", STR_ARG(n->space), STR_ARG(n->name));
    t = template_by_name(d, (struct str){both, (size_t)len});
    if (t == NULL && team != NULL && str_eq(n->space, team->r.name))
        t = template_by_name(d, n->name);
    return t;
}

const struct template *template_shared(struct domain *d, const struct team *team,
                                       const struct template_name *n)
{
    const struct template *t;

    rescan(d->templates, false);
    t = find(d, team, n);
    if (t != NULL)
        return t;
    rescan(d->templates, true);
    return find(d, team, n);
}

/* A team's own templates hide those of the operator. */
static const struct template *resolve(struct domain *d, const struct team *team,
                                      const struct template_name *n, struct err *err)
{
    const struct template *t = team_template_use(d, team, n, err);
    const struct snapshot *made;

    if (t != NULL || err->kind != ERR_NONE)
        return t;
    t = template_shared(d, team, n);
    made = t == NULL && team != NULL ? snapshot_named(d, team, n) : NULL;
    if (made != NULL)
        return &made->as;
    if (t == NULL || (n->is_build ? str_eq(n->tag, t->r.build_id) : str_is(n->tag, "default")))
        return t;
    err_set(err, ERR_NOT_FOUND, "tag '%.*s' does not exist for template '%.*s'", STR_ARG(n->tag),
            STR_ARG(n->name));
    return NULL;
}

int template_resolve(struct domain *d, const struct team *team, struct str reference,
                     const struct template **out, struct err *err)
{
    const struct template *t = NULL;
    struct template_name n;
    struct arena mem;
    struct err why = {0};

    arena_init(&mem, 4096);
    if (template_ref_parse(reference, &mem, &n, &why) == 0) {
        t = resolve(d, team, &n, &why);
        if (t == NULL && why.kind == ERR_NONE)
            err_set(&why, ERR_NOT_FOUND, "template '%.*s' not found", STR_ARG(str_trim(reference)));
    }
    arena_done(&mem);
    if (t == NULL)
        return err_set(err, why.kind, "%s", why.text);
    *out = t;
    return 0;
}
