/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories: all of them when a recursive root is opened, later those that appear. A
 * batch per turn, so that a large tree keeps nobody waiting; none while the client is behind.
 *
 * A batch is read, then the kernel's queue is: an entry that was made after the watch has its event
 * there by now, and the kernel's word counts. What it did not mention was there before the watch
 * and is told here. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "envd/watch_internal.h"

enum {
    WALK_ENTRIES = 256, /* of one batch */
    WALK_BATCH_MAX = WALK_ENTRIES * (NAME_MAX + 2),
};

static void close_dir(struct watch_root *r)
{
    if (r->walking == NULL)
        return;
    closedir(r->dir);
    buf_done(&r->batch);
    r->walking = NULL;
}

void walk_leave(struct watch_mark *m)
{
    list_remove(&m->waiting);
    if (m->root->walking == m)
        close_dir(m->root);
}

static void finish(struct watch_mark *m)
{
    walk_leave(m);
    m->is_read = true;
    mark_forget_told(m);
}

/* What was removed or replaced meanwhile has nothing to tell. False: a limit. */
static bool open_dir(struct watch_mark *m)
{
    struct watch_root *r = m->root;
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (m->parent != NULL ? O_NOFOLLOW : 0);
    char room[WATCH_PATH_SIZE];
    struct str path = mark_path(m, (struct str){NULL, 0}, true, room);
    int fd = path.at == NULL ? -1 : open(path.at, flags);

    if (fd < 0) {
        bool is_fine = path.at == NULL || (errno != EMFILE && errno != ENFILE);

        finish(m);
        return is_fine;
    }
    r->dir = fdopendir(fd);
    if (r->dir == NULL) {
        close(fd);
        return false;
    }
    buf_init(&r->batch, WALK_BATCH_MAX);
    list_remove(&m->waiting);
    r->walking = m;
    return true;
}

static bool is_dir(int dir, const struct dirent *e)
{
    struct stat st;

    if (e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* False: no memory. An empty batch is the end of the directory. */
static bool read_batch(struct watch_root *r)
{
    const struct dirent *e;

    for (size_t i = 0; i < WALK_ENTRIES && (e = readdir(r->dir)) != NULL; i++) {
        if (str_is(str_of(e->d_name), ".") || str_is(str_of(e->d_name), ".."))
            continue;
        buf_add_byte(&r->batch, is_dir(dirfd(r->dir), e) ? 'd' : '-');
        buf_add(&r->batch, e->d_name, strlen(e->d_name) + 1);
    }
    return buf_ok(&r->batch);
}

static void tell_one(struct watch_mark *m, char type, struct str name)
{
    struct watch_mark *child;
    struct err err;

    if (mark_was_told(m, name))
        return;
    watch_tell(m, WATCH_CREATE, name);
    if (type != 'd')
        return;
    if (mark_add(m->root, m, name, &child, &err) != 0)
        watch_root_fail(m->root, CONNECT_RESOURCE_EXHAUSTED, "%s", err.text);
    else if (child != NULL)
        walk_want(child);
}

static void tell_batch(struct watch_root *r)
{
    struct watch_mark *m = r->walking;

    for (const char *at = r->batch.at; at < r->batch.at + r->batch.len && !r->is_over;) {
        struct str name = str_of(at + 1);

        tell_one(m, *at, name);
        at += name.len + 2;
    }
    buf_clear(&r->batch);
}

/* One step. False: all is read. */
static bool step(struct watch_root *r)
{
    struct list_node *n = list_first(&r->waiting);
    bool is_fine = true;

    if (r->walking == NULL && n == NULL)
        return false;
    if (r->walking == NULL) {
        is_fine = open_dir(container_of(n, struct watch_mark, waiting));
    } else if (r->batch.len > 0) {
        if (!watch_hub_read(r->hub))
            return true; /* more events: in the next turn */
        if (r->walking != NULL && !r->is_over)
            tell_batch(r);
    } else {
        is_fine = read_batch(r);
        if (is_fine && r->batch.len == 0)
            finish(r->walking);
    }
    if (!is_fine)
        watch_root_fail(r, CONNECT_RESOURCE_EXHAUSTED, "out of memory or file descriptors");
    return true;
}

static void turn(void *ctx)
{
    enum { STEPS = 16 }; /* small directories, a few at a time */
    struct watch_root *r = ctx;
    size_t steps = 0;

    while (!r->is_over && !(r->is_ready && r->sink->is_behind(r->ctx))) {
        if (!step(r)) {
            if (!r->is_ready) {
                r->is_ready = true;
                r->sink->ready(r->ctx);
            }
            return;
        }
        if (++steps == STEPS) {
            timer_start(r->hub->loop, &r->walk, 0, turn, r);
            return;
        }
    }
}

void walk_start(struct watch_root *r)
{
    if (!timer_running(&r->walk))
        timer_start(r->hub->loop, &r->walk, 0, turn, r);
}

void walk_want(struct watch_mark *m)
{
    walk_leave(m);
    m->is_read = false;
    list_push(&m->root->waiting, &m->waiting);
    walk_start(m->root);
}
