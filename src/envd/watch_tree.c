/* SPDX-License-Identifier: Apache-2.0 */
/* Roots, and what the kernel says about their directories. watcher.c is the user. */
#include "envd/watch_tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "envd/watch_internal.h"

static void fail_with(struct watch_root *r, enum connect_code code, const char *text)
{
    if (r->is_over)
        return;
    r->is_over = true;
    r->sink->fail(r->ctx, code, text);
}

void watch_root_fail(struct watch_root *r, enum connect_code code, const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fail_with(r, code, text);
}

void watch_tell(struct watch_mark *m, enum watch_kind kind, struct str name)
{
    struct watch_root *r = m->root;
    char room[WATCH_PATH_SIZE];
    struct str path;

    if (!r->is_ready || r->is_over)
        return;
    path = mark_path(m, name, false, room);
    if (path.at == NULL)
        watch_root_fail(r, CONNECT_RESOURCE_EXHAUSTED, "a path is longer than %d bytes", PATH_MAX);
    else
        r->sink->tell(r->ctx, kind, path.len == 0 ? STR(".") : path);
}

static void tell_all(struct watch_mark *m, uint32_t mask, struct str name)
{
    enum watch_kind kinds[WATCH_KINDS_MAX];
    size_t count = watch_kinds(mask, kinds);

    for (size_t i = 0; i < count; i++)
        watch_tell(m, kinds[i], name);
}

/* About the directory itself. Its parent has told already, unless it is the root. */
static void serve_self(struct watch_mark *m, uint32_t mask)
{
    static const struct {
        uint32_t mask;
        const char *what;
    } ends[] = {
        {IN_DELETE_SELF, "removed"  },
        {IN_MOVE_SELF,   "moved"    },
        {IN_UNMOUNT,     "unmounted"},
    };

    if (m->parent != NULL)
        return;
    tell_all(m, mask, (struct str){NULL, 0});
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        if ((mask & ends[i].mask) != 0)
            watch_root_fail(m->root, CONNECT_NOT_FOUND, "the watched directory '%.200s' was %s",
                            m->root->path, ends[i].what);
    }
}

/* A directory has appeared under this name. */
static void enter(struct watch_mark *m, struct str name)
{
    struct watch_mark *child = mark_child(m, name);
    struct err err;

    if (child != NULL)
        mark_drop(child); /* it was replaced, and what the kernel says of the old one is behind */
    if (mark_add(m->root, m, name, &child, &err) != 0)
        watch_root_fail(m->root, CONNECT_RESOURCE_EXHAUSTED, "%s", err.text);
    else if (child != NULL)
        walk_want(child);
}

static struct watch_mark *find_moving(struct watch_mark *m, uint32_t cookie)
{
    struct watch_hub *h = m->root->hub;

    for (struct list_node *n = list_first(&h->moving); n != NULL; n = list_next(&h->moving, n)) {
        struct watch_mark *moving = container_of(n, struct watch_mark, moving);

        if (moving->cookie == cookie && moving->root == m->root)
            return moving;
    }
    return NULL;
}

/* The second half of a rename. */
static void arrive(struct watch_mark *m, struct str name, uint32_t cookie)
{
    struct watch_mark *moved = find_moving(m, cookie), *replaced = mark_child(m, name);

    if (moved == NULL) {
        enter(m, name);
        return;
    }
    list_remove(&moved->moving);
    if (replaced != NULL)
        mark_drop(replaced);
    if (!mark_rename(moved, m, name))
        watch_root_fail(m->root, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
    else if (!moved->is_read)
        walk_want(moved); /* under its old name it may have been another one that was read */
}

static void expire_moves(void *ctx)
{
    struct watch_hub *h = ctx;
    uint64_t now = loop_now_ms(h->loop);
    struct list_node *n;

    while ((n = list_first(&h->moving)) != NULL) {
        struct watch_mark *m = container_of(n, struct watch_mark, moving);

        if (now - m->moved_at_ms < WATCH_MOVE_MS) {
            timer_start(h->loop, &h->move_timer, WATCH_MOVE_MS, expire_moves, h);
            return;
        }
        mark_drop(m); /* it left the tree */
    }
}

static void depart(struct watch_mark *m, struct str name, uint32_t cookie)
{
    struct watch_mark *child = mark_child(m, name);
    struct watch_hub *h = m->root->hub;

    if (child == NULL)
        return;
    child->cookie = cookie;
    child->moved_at_ms = loop_now_ms(h->loop);
    list_push(&h->moving, &child->moving);
    if (!timer_running(&h->move_timer))
        timer_start(h->loop, &h->move_timer, WATCH_MOVE_MS, expire_moves, h);
}

/* Keep the tree of a recursive root as the file system has it. */
static void follow(struct watch_mark *m, struct str name, const struct inotify_event *e)
{
    struct watch_mark *child;

    if ((e->mask & IN_CREATE) != 0)
        enter(m, name);
    if ((e->mask & IN_MOVED_FROM) != 0)
        depart(m, name, e->cookie);
    if ((e->mask & IN_MOVED_TO) != 0)
        arrive(m, name, e->cookie);
    if ((e->mask & IN_DELETE) != 0 && (child = mark_child(m, name)) != NULL)
        mark_drop(child);
}

static void serve_mark(struct watch_mark *m, const struct inotify_event *e)
{
    static const uint32_t names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    struct watch_root *r = m->root;
    struct str name = str_of(e->name);

    if (r->is_over)
        return;
    if (e->len == 0) {
        serve_self(m, e->mask);
        return;
    }
    if (!m->is_read && (e->mask & names) != 0 && !mark_note(m, name)) {
        watch_root_fail(r, CONNECT_DATA_LOSS, "too many changes at once, events were lost");
        return;
    }
    tell_all(m, e->mask, name);
    if (r->is_recursive && (e->mask & IN_ISDIR) != 0 && !r->is_over)
        follow(m, name, e);
}

/* Serving one mark may drop others, so start over: those served have the event's number. */
static struct watch_mark *next_mark(const struct watch_place *p, uint32_t event)
{
    for (struct list_node *n = list_first(&p->marks); n != NULL; n = list_next(&p->marks, n)) {
        struct watch_mark *m = container_of(n, struct watch_mark, of_place);

        if (m->served != event)
            return m;
    }
    return NULL;
}

static void fail_all(struct watch_hub *h)
{
    for (struct list_node *n = list_first(&h->roots); n != NULL; n = list_next(&h->roots, n))
        watch_root_fail(container_of(n, struct watch_root, node), CONNECT_DATA_LOSS,
                        "the kernel's queue of events overflowed, events were lost");
}

/* The kernel removed the watch: deleted or unmounted. */
static void lose(struct watch_place *p)
{
    struct list_node *n;

    p->is_lost = true;
    p->is_busy = true;
    while ((n = list_first(&p->marks)) != NULL) {
        struct watch_mark *m = container_of(n, struct watch_mark, of_place);

        if (m->parent == NULL)
            serve_self(m, IN_DELETE_SELF); /* if no event has said so */
        mark_drop(m);
    }
    p->is_busy = false;
    place_settle(p);
}

static void serve(struct watch_hub *h, const struct inotify_event *e)
{
    struct watch_place *p;
    struct watch_mark *m;

    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        fail_all(h);
        return;
    }
    p = place_find(h, e->wd);
    if (p == NULL)
        return; /* said before its watch was removed */
    if ((e->mask & IN_IGNORED) != 0) {
        lose(p);
        return;
    }
    h->event++;
    p->is_busy = true;
    while ((m = next_mark(p, h->event)) != NULL) {
        m->served = h->event;
        serve_mark(m, e);
    }
    p->is_busy = false;
    place_settle(p);
}

bool watch_hub_read(struct watch_hub *h)
{
    union {
        struct inotify_event align;
        char bytes[WATCH_READ];
    } in;

    for (int i = 0; i < WATCH_READS; i++) {
        ssize_t got = read(h->fd, in.bytes, sizeof(in.bytes));

        if (got <= 0)
            return true;
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *e = (const void *)(in.bytes + at);

            serve(h, e);
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    }
    return false;
}

static void readable(void *ctx, uint32_t events)
{
    (void)events;
    ignore(watch_hub_read(ctx)); /* what is left shows in the next turn */
}

void watch_hub_init(struct watch_hub *h, struct loop *l)
{
    *h = (struct watch_hub){.loop = l, .fd = -1};
}

void watch_hub_done(struct watch_hub *h)
{
    if (h->fd < 0)
        return;
    timer_stop(&h->move_timer);
    watch_stop(&h->watch);
    close(h->fd);
    h->fd = -1;
    free(h->places);
    h->places = NULL;
}

static int open_hub(struct watch_hub *h, struct err *err)
{
    if (h->fd >= 0)
        return 0;
    h->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (h->fd < 0)
        return err_set(err, ERR_LIMIT, "the host allows no more inotify instances: %s",
                       strerror(errno));
    h->places = calloc(WATCH_BUCKETS, sizeof(struct watch_place *));
    if (h->places != NULL && watch_start(h->loop, &h->watch, h->fd, EPOLLIN, readable, h, err) == 0)
        return 0;
    watch_hub_done(h);
    return err_set(err, ERR_LIMIT, "out of memory");
}

int watch_root_open(struct watch_hub *h, const struct watch_target *target,
                    const struct watch_sink *sink, void *ctx, struct watch_root **out,
                    struct err *err)
{
    struct watch_root *r = calloc(1, sizeof(*r));

    if (r != NULL)
        r->path = strdup(target->path);
    if (r == NULL || r->path == NULL || open_hub(h, err) != 0) {
        bool is_ours = r == NULL || r->path == NULL;

        if (r != NULL)
            free(r->path);
        free(r);
        return is_ours ? err_set(err, ERR_LIMIT, "out of memory") : -1;
    }
    r->hub = h;
    r->sink = sink;
    r->ctx = ctx;
    r->is_recursive = target->is_recursive;
    r->may_be_network = target->may_be_network;
    list_push(&h->roots, &r->node);
    ignore(watch_hub_read(h)); /* what happened before is not for this root */
    if (mark_add(r, NULL, (struct str){NULL, 0}, &r->top, err) != 0) {
        watch_root_close(r);
        return -1;
    }
    r->top->is_read = !r->is_recursive;
    if (r->is_recursive)
        walk_want(r->top);
    walk_start(r);
    *out = r;
    return 0;
}

void watch_root_resume(struct watch_root *r)
{
    walk_start(r);
}

void watch_root_close(struct watch_root *r)
{
    struct watch_hub *h;

    if (r == NULL)
        return;
    h = r->hub;
    r->is_over = true;
    timer_stop(&r->walk);
    if (r->top != NULL)
        mark_drop(r->top);
    list_remove(&r->node);
    if (list_first(&h->roots) == NULL)
        watch_hub_done(h);
    free(r->path);
    free(r);
}
