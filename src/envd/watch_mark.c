/* SPDX-License-Identifier: Apache-2.0 */
/* Which directories are watched, and under which names: a tree of marks per root, a place per
 * directory. Used by watch_tree.c and watch_walk.c. */
#include <errno.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include "envd/watch_internal.h"

enum { NAME_BUCKETS = 64 };

struct name_item {
    struct name_item *next;
    uint32_t hash;
    size_t len;
    char text[];
};

struct name_set {
    struct name_item *buckets[NAME_BUCKETS];
};

static struct watch_mark *of_sibling(struct list_node *n)
{
    return container_of(n, struct watch_mark, sibling);
}

/* FNV-1a: whoever makes names collide slows down the watchers of his own sandbox. */
static uint32_t hash_of(struct str name)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (uint8_t)name.at[i]) * 16777619U;
    return hash;
}

static struct name_item **find_told(const struct watch_mark *m, struct str name, uint32_t hash)
{
    struct name_item **at = &m->told->buckets[hash % NAME_BUCKETS];

    while (*at != NULL &&
           ((*at)->hash != hash || !str_eq((struct str){(*at)->text, (*at)->len}, name)))
        at = &(*at)->next;
    return at;
}

bool mark_was_told(const struct watch_mark *m, struct str name)
{
    return m->told != NULL && *find_told(m, name, hash_of(name)) != NULL;
}

bool mark_note(struct watch_mark *m, struct str name)
{
    uint32_t hash = hash_of(name);
    struct name_item **at, *item;

    if (m->told == NULL)
        m->told = calloc(1, sizeof(*m->told));
    if (m->told == NULL)
        return false;
    at = find_told(m, name, hash);
    if (*at != NULL)
        return true;
    if (m->root->hub->name_count == WATCH_NAMES_MAX)
        return false;
    item = malloc(sizeof(*item) + name.len);
    if (item == NULL)
        return false;
    item->next = NULL;
    item->hash = hash;
    item->len = name.len;
    memcpy(item->text, name.at, name.len);
    *at = item;
    m->root->hub->name_count++;
    return true;
}

void mark_forget_told(struct watch_mark *m)
{
    for (size_t i = 0; m->told != NULL && i < NAME_BUCKETS; i++) {
        struct name_item *item = m->told->buckets[i];

        while (item != NULL) {
            struct name_item *next = item->next;

            free(item);
            m->root->hub->name_count--;
            item = next;
        }
    }
    free(m->told);
    m->told = NULL;
}

/* Put `part` in front of what is at room + *at. */
static bool prepend(char *room, size_t *at, struct str part)
{
    if (part.len > *at)
        return false;
    *at -= part.len;
    if (part.len > 0)
        memcpy(room + *at, part.at, part.len);
    return true;
}

struct str mark_path(const struct watch_mark *m, struct str name, bool is_absolute,
                     char room[WATCH_PATH_SIZE])
{
    size_t at = WATCH_PATH_SIZE - 1;
    struct str root = {NULL, 0};
    bool fits = prepend(room, &at, name);

    room[WATCH_PATH_SIZE - 1] = '\0';
    for (; fits && m->parent != NULL; m = m->parent) {
        if (room[at] != '\0')
            fits = prepend(room, &at, STR("/"));
        fits = fits && prepend(room, &at, str_of(m->name));
    }
    if (is_absolute)
        root = str_of(m->root->path);
    if (fits && root.len > 0 && room[at] != '\0' && !str_has_suffix(root, "/"))
        fits = prepend(room, &at, STR("/"));
    if (!fits || !prepend(room, &at, root))
        return (struct str){NULL, 0};
    return (struct str){room + at, WATCH_PATH_SIZE - 1 - at};
}

static struct watch_place **bucket_of(const struct watch_hub *h, int wd)
{
    return &h->places[(unsigned)wd % WATCH_BUCKETS];
}

struct watch_place *place_find(const struct watch_hub *h, int wd)
{
    struct watch_place *p = *bucket_of(h, wd);

    while (p != NULL && p->wd != wd)
        p = p->next;
    return p;
}

void place_settle(struct watch_place *p)
{
    struct watch_place **at = bucket_of(p->hub, p->wd);

    if (p->is_busy || list_first(&p->marks) != NULL)
        return;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (!p->is_lost)
        ignore(inotify_rm_watch(p->hub->fd, p->wd)); /* EINVAL: the directory is gone already */
    free(p);
}

static struct watch_place *place_enter(struct watch_hub *h, int wd)
{
    struct watch_place *p = place_find(h, wd), **at = bucket_of(h, wd);

    if (p != NULL)
        return p;
    p = calloc(1, sizeof(*p));
    if (p == NULL) {
        ignore(inotify_rm_watch(h->fd, wd)); /* nobody would */
        return NULL;
    }
    p->hub = h;
    p->wd = wd;
    p->next = *at;
    *at = p;
    return p;
}

/* False: there is nothing to be watched. */
static bool tells(const struct watch_root *r, const char *path)
{
    struct statfs fs;
    enum mount_kind kind;

    if (statfs(path, &fs) != 0)
        return false;
    kind = mount_kind((uint64_t)fs.f_type);
    return kind == MOUNT_TELLS || (kind == MOUNT_NETWORK && r->may_be_network);
}

static int refused(const char *path, struct err *err)
{
    if (errno == ENOSPC)
        return err_set(err, ERR_LIMIT, "watch '%.150s': the host allows no more watches", path);
    return err_sys(err, errno, "watch '%.150s'", path);
}

/* What is no directory any more was replaced; what may not be looked at is not ours to watch. */
static bool is_gone(int sys)
{
    return sys == ENOENT || sys == ENOTDIR || sys == ELOOP || sys == EACCES;
}

static struct watch_mark *mark_new(struct watch_root *r, struct watch_mark *parent, struct str name)
{
    struct watch_mark *m = calloc(1, sizeof(*m));

    if (m != NULL)
        m->name = strndup(name.at == NULL ? "" : name.at, name.len);
    if (m == NULL || m->name == NULL) {
        free(m);
        return NULL;
    }
    m->root = r;
    m->parent = parent;
    if (parent != NULL)
        list_push(&parent->children, &m->sibling);
    r->hub->dir_count++;
    return m;
}

/* In no place yet, or in one that others keep. */
static void mark_free(struct watch_mark *m)
{
    struct watch_root *r = m->root;

    list_remove(&m->of_place);
    list_remove(&m->sibling);
    list_remove(&m->moving);
    walk_leave(m);
    mark_forget_told(m);
    if (r->top == m)
        r->top = NULL;
    r->hub->dir_count--;
    if (m->place != NULL)
        place_settle(m->place);
    free(m->name);
    free(m);
}

int mark_add(struct watch_root *r, struct watch_mark *parent, struct str name,
             struct watch_mark **out, struct err *err)
{
    uint32_t mask = watch_mask() | IN_ONLYDIR | (parent != NULL ? IN_DONT_FOLLOW : 0);
    char room[WATCH_PATH_SIZE];
    struct watch_mark *m;
    struct str path;
    int wd;

    *out = NULL;
    if (r->hub->dir_count == WATCH_DIRS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d directories are watched", WATCH_DIRS_MAX);
    m = mark_new(r, parent, name);
    if (m == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    path = mark_path(m, (struct str){NULL, 0}, true, room);
    if (path.at == NULL || path.len >= PATH_MAX) {
        mark_free(m);
        return err_set(err, ERR_LIMIT, "a directory below has a path of more than %d bytes",
                       PATH_MAX - 1);
    }
    if (parent != NULL && !tells(r, path.at)) {
        mark_free(m);
        return 0;
    }
    wd = inotify_add_watch(r->hub->fd, path.at, mask);
    if (wd < 0) {
        int rc = parent != NULL && is_gone(errno) ? 0 : refused(path.at, err);

        mark_free(m);
        return rc;
    }
    m->place = place_enter(r->hub, wd);
    if (m->place == NULL) {
        mark_free(m);
        return err_set(err, ERR_LIMIT, "out of memory");
    }
    list_push(&m->place->marks, &m->of_place);
    m->served = r->hub->event;
    *out = m;
    return 0;
}

void mark_drop(struct watch_mark *m)
{
    struct watch_mark *at = m;

    for (;;) {
        struct list_node *n = list_first(&at->children);
        struct watch_mark *up = at->parent;
        bool is_last = at == m;

        if (n != NULL) {
            at = of_sibling(n);
            continue;
        }
        mark_free(at);
        if (is_last)
            return;
        at = up;
    }
}

struct watch_mark *mark_child(const struct watch_mark *m, struct str name)
{
    for (struct list_node *n = list_first(&m->children); n; n = list_next(&m->children, n)) {
        struct watch_mark *child = of_sibling(n);

        if (!list_linked(&child->moving) && str_is(name, child->name))
            return child;
    }
    return NULL;
}

bool mark_rename(struct watch_mark *m, struct watch_mark *parent, struct str name)
{
    char *copy = strndup(name.at, name.len);

    if (copy == NULL)
        return false;
    free(m->name);
    m->name = copy;
    m->parent = parent;
    list_remove(&m->sibling);
    list_push(&parent->children, &m->sibling);
    return true;
}
