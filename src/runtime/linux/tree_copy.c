/* SPDX-License-Identifier: Apache-2.0 */
/* See tree_copy.h. Used by snapshot.c; nobody writes to what is copied meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "runtime/linux/tree_copy_internal.h"

enum {
    CHUNK_SIZE = 8 << 20,
    LINK_SIZE = 4097,
    NAMES_SIZE = 64 << 10,
    VALUE_SIZE = 64 << 10,
    KEY_SIZE = 32,
    FD_PATH_SIZE = 64,
};

/* A file with several names: where its first one went. */
struct known {
    char key[KEY_SIZE];
    char *path;
};

static int copy_dir(struct copy *c, int from, int to, unsigned depth, struct err *err);

static int copy_range(int from, int to, off_t at, off_t end, struct err *err)
{
    off_t out = at;

    while (at < end) {
        size_t size = end - at < CHUNK_SIZE ? (size_t)(end - at) : CHUNK_SIZE;
        ssize_t n = copy_file_range(from, &at, to, &out, size, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "copy");
        if (n == 0)
            break; /* shorter than it said */
    }
    return 0;
}

static int copy_data(int from, int to, off_t size, struct err *err)
{
    off_t at = 0;

    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    while (at < size) {
        off_t data = lseek(from, at, SEEK_DATA);
        off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

        if (data < 0)
            break; /* the rest is a hole */
        if (hole < 0)
            return err_sys(err, errno, "find holes");
        if (copy_range(from, to, data, hole, err) != 0)
            return -1;
        at = hole;
    }
    return ftruncate(to, size) == 0 ? 0 : err_sys(err, errno, "set the size");
}

/* By paths below /proc, which serve for files that cannot be opened, too. */
static int copy_attributes(const char *from, const char *to, struct err *err)
{
    auto_free char *names = mem_zero(NAMES_SIZE);
    auto_free char *value = mem_zero(VALUE_SIZE);
    ssize_t len = llistxattr(from, names, NAMES_SIZE);

    if (len < 0)
        return errno == ENOTSUP ? 0 : err_sys(err, errno, "list attributes");
    for (const char *name = names; name < names + len; name += strlen(name) + 1) {
        ssize_t size = lgetxattr(from, name, value, VALUE_SIZE);

        if (size < 0 || lsetxattr(to, name, value, (size_t)size, 0) != 0)
            return err_sys(err, errno, "copy attribute %s", name);
    }
    return 0;
}

/* Owner first: changing it clears the set-user bits that the mode brings, and file capabilities. */
int copy_rest(int from, int to, const char *name, const struct stat *st, struct err *err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    char from_path[FD_PATH_SIZE + NAME_MAX], to_path[FD_PATH_SIZE + NAME_MAX];

    ignore(snprintf(from_path, sizeof(from_path), "/proc/self/fd/%d/%s", from, name));
    ignore(snprintf(to_path, sizeof(to_path), "/proc/self/fd/%d/%s", to, name));
    if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "set the owner");
    if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) != 0)
        return err_sys(err, errno, "set the mode");
    if (copy_attributes(from_path, to_path, err) != 0)
        return -1;
    if (utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "set the times");
    return 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st, struct err *err)
{
    auto_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
    auto_fd int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (in < 0 || out < 0)
        return err_sys(err, errno, "open");
    return copy_data(in, out, st->st_size, err);
}

static int copy_link(int from, int to, const char *name, struct err *err)
{
    char target[LINK_SIZE];
    ssize_t len = readlinkat(from, name, target, sizeof(target) - 1);

    if (len < 0)
        return err_sys(err, errno, "readlink");
    target[len] = '\0';
    return symlinkat(target, to, name) == 0 ? 0 : err_sys(err, errno, "symlink");
}

static int copy_subdir(struct copy *c, const int dirs[2], const char *name, unsigned depth,
                       struct err *err)
{
    size_t len = c->path.len;
    auto_fd int in = openat(dirs[0], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    auto_fd int out = -1;
    int result;

    buf_printf(&c->path, "%s/", name);
    if (!buf_ok(&c->path) || depth >= COPY_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "deeper than %d directories", COPY_DEPTH_MAX);
    if (in < 0 || mkdirat(dirs[1], name, 0700) != 0)
        return err_sys(err, errno, "mkdir");
    out = openat(dirs[1], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out < 0)
        return err_sys(err, errno, "open");
    result = copy_dir(c, in, out, depth + 1, err);
    buf_truncate(&c->path, len);
    return result;
}

/* Has this file been copied under another name? Then *out_result is that of linking it. */
static bool is_linked(struct copy *c, int to, const char *name, const struct stat *st,
                      int *out_result)
{
    struct known *k;
    char key[KEY_SIZE];

    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return false;
    ignore(snprintf(key, sizeof(key), "%llx", (unsigned long long)st->st_ino));
    k = map_get(&c->links, str_of(key));
    if (k != NULL) {
        *out_result = linkat(c->top, k->path, to, name, 0);
        return true;
    }
    k = mem_zero(sizeof(*k));
    memcpy(k->key, key, sizeof(key));
    k->path = mem_zero(c->path.len + strlen(name) + 1);
    memcpy(k->path, c->path.at == NULL ? "" : c->path.at, c->path.len);
    memcpy(k->path + c->path.len, name, strlen(name));
    ignore(map_put(&c->links, str_of(k->key), k) != NULL); /* it was not there */
    return false;
}

int copy_one(struct copy *c, const int dirs[2], const char *name, const struct stat *st,
             struct err *err)
{
    int from = dirs[0], to = dirs[1], result = 0;

    if (is_linked(c, to, name, st, &result))
        return result == 0 ? 0 : err_sys(err, errno, "link");
    switch (st->st_mode & S_IFMT) {
    case S_IFREG: result = copy_file(from, to, name, st, err); break;
    case S_IFLNK: result = copy_link(from, to, name, err); break;
    case S_IFSOCK: return 0; /* whoever listened on it is not there */
    default:
        if (mknodat(to, name, st->st_mode & (S_IFMT | 0600), st->st_rdev) != 0)
            result = err_sys(err, errno, "mknod");
    }
    return result == 0 ? copy_rest(from, to, name, st, err) : -1;
}

static int copy_entry(struct copy *c, const int dirs[2], const char *name, unsigned depth,
                      struct err *err)
{
    struct stat st;

    if (fstatat(dirs[0], name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "stat");
    if (!S_ISDIR(st.st_mode))
        return copy_one(c, dirs, name, &st, err);
    return copy_subdir(c, dirs, name, depth, err) == 0 ? copy_rest(dirs[0], dirs[1], name, &st, err)
                                                       : -1;
}

static int copy_dir(struct copy *c, int from, int to, unsigned depth, struct err *err)
{
    const int dirs[2] = {from, to};
    int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    struct dirent *e;
    int result = 0;

    if (entries == NULL) {
        own_close_fd(&again);
        return err_sys(err, errno, "open a directory");
    }
    while (result == 0 && (e = readdir(entries)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (copy_entry(c, dirs, e->d_name, depth, err) != 0)
            result = err_wrap(err, "%s", e->d_name);
    }
    closedir(entries);
    return result;
}

static void forget_links(struct map *links)
{
    struct known *k;
    size_t cursor = 0;

    while ((k = map_next(links, &cursor)) != NULL) {
        ignore(map_remove(links, str_of(k->key)) != NULL); /* it was just there */
        free(k->path);
        free(k);
    }
    map_done(links);
}

void copy_init(struct copy *c, int top)
{
    *c = (struct copy){.top = top};
    buf_init(&c->path, COPY_PATH_MAX);
}

void copy_done(struct copy *c)
{
    forget_links(&c->links);
    buf_done(&c->path);
}

int tree_copy_layer(int from_dir, const char *from, int to_dir, const char *to, struct err *err)
{
    struct copy c;
    auto_fd int in = openat(from_dir, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    auto_fd int out = -1;
    struct stat st;
    int result;

    if (in < 0 || fstat(in, &st) != 0 || mkdirat(to_dir, to, 0700) != 0)
        return err_sys(err, errno, "copy %s", from);
    out = openat(to_dir, to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out < 0)
        return err_sys(err, errno, "copy %s", from);
    copy_init(&c, out);
    result = copy_dir(&c, in, out, 0, err);
    if (result == 0)
        result = copy_rest(in, out, ".", &st, err);
    copy_done(&c);
    return result;
}
