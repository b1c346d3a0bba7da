/* SPDX-License-Identifier: Apache-2.0 */
/* See tree_merge.h. Used by flats.c. Goes through the layers as the kernel's overlay does
 * (fs/overlayfs/namei.c): a name is what the highest layer has of it; directories of one name are
 * one, down to a layer where it is opaque, or something else; a directory that was moved is looked
 * for below under the name it had ("redirect"), which may be a path from the top. */
#include "runtime/linux/tree_merge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "runtime/linux/files.h"
#include "runtime/linux/tree_copy_internal.h"

static const char opaque[] = "trusted.overlay.opaque";
static const char redirect[] = "trusted.overlay.redirect";

/* One directory as the layers have it, the highest first. */
struct parts {
    int fds[TREE_MERGE_MAX];
    size_t layers[TREE_MERGE_MAX]; /* whose it is, counted from the highest */
    size_t count;
};

/* What to look for in the next layer down. */
struct search {
    char key[PATH_MAX]; /* a name beside where it was, or a path from the top with '/' */
    bool has_ended;     /* nothing below shows through */
};

struct merge {
    struct copy copy;
    struct parts top; /* the layers */
    const atomic_bool *is_over;
};

static void parts_close(struct parts *p)
{
    while (p->count > 0)
        own_close_fd(&p->fds[--p->count]);
}

static void parts_add(struct parts *p, int fd, size_t layer)
{
    p->layers[p->count] = layer;
    p->fds[p->count++] = fd;
}

/* What its attributes say of the layers below; `prefix` and `rest` are of the key around its name,
 * as in ovl_check_redirect(). */
static int heed(struct search *s, int dir, size_t prefix, const char *rest, struct err *err)
{
    char value[PATH_MAX], key[PATH_MAX];
    ssize_t len = fgetxattr(dir, opaque, value, sizeof(value));

    if (len == 1 && value[0] == 'y')
        s->has_ended = true;
    len = fgetxattr(dir, redirect, value, sizeof(value) - 1);
    if (len < 0)
        return errno == ENODATA || errno == ENOTSUP ? 0 : err_sys(err, errno, "read %s", redirect);
    value[len] = '\0';
    if (snprintf(key, sizeof(key), "%.*s%s%s", value[0] == '/' ? 0 : (int)prefix, s->key, value,
                 rest) >= (int)sizeof(key))
        return err_set(err, ERR_LIMIT, "the former path of a directory is too long");
    memcpy(s->key, key, sizeof(key));
    return 0;
}

/* The directory of this name. *out_fd -1: there is none; has_ended: and something else is. */
static int open_part(struct search *s, int parent, const char *name, int *out_fd, struct err *err)
{
    struct stat st;

    *out_fd = -1;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "stat");
    if (!S_ISDIR(st.st_mode)) {
        s->has_ended = true;
        return 0;
    }
    *out_fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *out_fd >= 0 ? 0 : err_sys(err, errno, "open");
}

/* The key is a path: each directory on the way may say something about those further down. */
static int open_path(struct search *s, int top, int *out_fd, struct err *err)
{
    char path[PATH_MAX];
    char *name = path + 1, *next;
    auto_fd int at = -1;

    memcpy(path, s->key, sizeof(path));
    *out_fd = -1;
    for (; name != NULL; name = next) {
        size_t left =
            strlen(name); /* the key ends with the same from here on, whatever it becomes */
        const char *rest = strchr(name, '/');
        int fd, result;

        next = rest == NULL ? NULL : name + (rest - name) + 1;
        rest = rest == NULL ? "" : s->key + strlen(s->key) - (left - (size_t)(rest - name));
        if (next != NULL)
            next[-1] = '\0';
        if (open_part(s, at < 0 ? top : at, name, &fd, err) != 0)
            return -1;
        own_close_fd(&at);
        at = fd;
        if (fd < 0)
            return 0;

        auto_free char *after = mem_text(rest);

        result = heed(s, fd, strlen(s->key) - left, after, err);
        if (result != 0)
            return -1;
    }
    *out_fd = take_fd(&at);
    return 0;
}

/* In one layer: beside where it was, if the parent is there, or from the top. */
static int look_in(struct merge *m, struct search *s, const struct parts *parent, size_t layer,
                   struct parts *out, struct err *err)
{
    int fd = -1;

    if (s->key[0] == '/') {
        if (open_path(s, m->top.fds[layer], &fd, err) != 0)
            return -1;
    } else {
        for (size_t i = 0; i < parent->count; i++) {
            if (parent->layers[i] != layer)
                continue;
            if (open_part(s, parent->fds[i], s->key, &fd, err) != 0)
                return -1;
            if (fd >= 0 && heed(s, fd, 0, "", err) != 0) {
                own_close_fd(&fd);
                return -1;
            }
        }
    }
    if (fd >= 0)
        parts_add(out, fd, layer);
    return 0;
}

static int merge_dir(struct merge *m, const struct parts *parts, int out, unsigned depth,
                     struct err *err);

/* Says of the result what is to be known of what is below all the layers. */
static int mark(int dir, const char *name, const struct search *s, struct err *err)
{
    auto_fd int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool has_moved = !s->has_ended && strcmp(s->key, name) != 0;

    if (fd < 0)
        return err_sys(err, errno, "open");
    if (s->has_ended)
        return fsetxattr(fd, opaque, "y", 1, 0) == 0 &&
                       (fremovexattr(fd, redirect) == 0 || errno == ENODATA)
                   ? 0
                   : err_sys(err, errno, "mark it opaque");
    if ((fremovexattr(fd, opaque) != 0 && errno != ENODATA) ||
        (has_moved ? fsetxattr(fd, redirect, s->key, strlen(s->key), 0) != 0
                   : fremovexattr(fd, redirect) != 0 && errno != ENODATA))
        return err_sys(err, errno, "mark where it was");
    return 0;
}

static int merge_subdir(struct merge *m, const struct parts *parent, int out, const char *name,
                        unsigned depth, struct err *err)
{
    auto_free struct parts *parts = mem_zero(sizeof(*parts));
    auto_free struct search *s = mem_zero(sizeof(*s));
    size_t len = m->copy.path.len;
    auto_fd int made = -1;
    struct stat st;
    int result = 0;

    ignore(snprintf(s->key, sizeof(s->key), "%s", name)); /* a name is shorter */
    for (size_t layer = parent->layers[0]; layer < m->top.count && !s->has_ended; layer++) {
        result = look_in(m, s, parent, layer, parts, err);
        if (result != 0)
            break;
    }
    buf_printf(&m->copy.path, "%s/", name);
    if (result == 0 && (!buf_ok(&m->copy.path) || depth >= COPY_DEPTH_MAX))
        result = err_set(err, ERR_LIMIT, "deeper than %d directories", COPY_DEPTH_MAX);
    if (result == 0 && (fstat(parts->fds[0], &st) != 0 || mkdirat(out, name, 0700) != 0))
        result = err_sys(err, errno, "mkdir");
    if (result == 0) {
        made = openat(out, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        result = made < 0 ? err_sys(err, errno, "open") : merge_dir(m, parts, made, depth + 1, err);
    }
    if (result == 0)
        result = copy_rest(parts->fds[0], made, ".", &st, err);
    if (result == 0)
        result = mark(out, name, s, err);
    buf_truncate(&m->copy.path, len);
    parts_close(parts);
    return result;
}

static int merge_entry(struct merge *m, const struct parts *parts, int out, const char *name,
                       unsigned depth, struct err *err)
{
    struct stat st;

    if (atomic_load(m->is_over))
        return err_set(err, ERR_UNAVAILABLE, "it is not wanted any more");
    for (size_t i = 0; i < parts->count; i++) {
        const int dirs[2] = {parts->fds[i], out};

        if (fstatat(parts->fds[i], name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return S_ISDIR(st.st_mode) ? merge_subdir(m, parts, out, name, depth, err)
                                       : copy_one(&m->copy, dirs, name, &st, err);
        if (errno != ENOENT)
            break;
    }
    return err_sys(err, errno, "stat");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int merge_dir(struct merge *m, const struct parts *parts, int out, unsigned depth,
                     struct err *err)
{
    struct names all = {.count = 0};
    int result = 0;

    for (size_t i = 0; i < parts->count && result == 0; i++)
        result = names_read(parts->fds[i], &all, err);
    if (result == 0 && all.count > 0)
        qsort(all.at, all.count, sizeof(*all.at), by_text);
    for (size_t i = 0; i < all.count && result == 0; i++) {
        if (i > 0 && strcmp(all.at[i], all.at[i - 1]) == 0)
            continue;
        result = merge_entry(m, parts, out, all.at[i], depth, err);
        if (result != 0)
            result = err_wrap(err, "%s", all.at[i]);
    }
    names_done(&all);
    return result;
}

static int open_layers(struct merge *m, const char *const layers[], size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        int fd = -1;

        if (dir_open(AT_FDCWD, layers[count - 1 - i], &fd, err) != 0)
            return -1;
        parts_add(&m->top, fd, i);
    }
    return 0;
}

int tree_merge(const char *const layers[], size_t count, int to_dir, const char *to,
               const atomic_bool *is_over, struct err *err)
{
    auto_free struct merge *m = mem_zero(sizeof(*m));
    auto_fd int out = -1;
    struct stat st;
    int result;

    if (count == 0 || count > TREE_MERGE_MAX)
        return err_set(err, ERR_INVALID, "cannot merge %zu layers", count);
    m->is_over = is_over;
    result = open_layers(m, layers, count, err);
    if (result == 0 && (fstat(m->top.fds[0], &st) != 0 || mkdirat(to_dir, to, 0700) != 0))
        result = err_sys(err, errno, "make %s", to);
    if (result == 0 && dir_open(to_dir, to, &out, err) == 0) {
        copy_init(&m->copy, out);
        result = merge_dir(m, &m->top, out, 0, err);
        if (result == 0)
            result = copy_rest(m->top.fds[0], out, ".", &st, err);
        copy_done(&m->copy);
    } else {
        result = -1;
    }
    parts_close(&m->top);
    return result;
}
