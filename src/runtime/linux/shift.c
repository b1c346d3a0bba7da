/* SPDX-License-Identifier: Apache-2.0 */
/* See shift.h. A copy is named by the template's device, inode and change time, so a template that
 * is replaced gets a new one. */
#include "runtime/linux/shift.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "runtime/linux/files.h"

enum {
    NAME_SIZE = 128,
    PATH_SIZE = 1400,
    LINK_SIZE = 4096,
    DEPTH_MAX = 128,
    CHUNK_SIZE = 1 << 20,
};

static const char cap_name[] = "security.capability";

/* File capabilities count only for the namespace of the root they name. */
static int copy_caps(int from, int to, uint32_t uid, struct err *err)
{
    struct vfs_ns_cap_data caps = {0};
    ssize_t size = fgetxattr(from, cap_name, &caps, sizeof(caps));

    if (size < (ssize_t)sizeof(struct vfs_cap_data))
        return 0; /* most files have none */
    caps.magic_etc = (caps.magic_etc & ~(uint32_t)VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_3;
    caps.rootid = uid;
    if (fsetxattr(to, cap_name, &caps, sizeof(caps), 0) != 0)
        return err_sys(err, errno, "copy file capabilities");
    return 0;
}

static int copy_bytes(int from, int to, struct err *err)
{
    ssize_t n;

    do {
        n = copy_file_range(from, NULL, to, NULL, CHUNK_SIZE, 0);
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        return err_sys(err, errno, "copy");
    return 0;
}

/* Owner first: changing it clears the set-user bits that the mode brings. */
static int set_owner(int fd, const struct stat *st, uint32_t uid, struct err *err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if (fchown(fd, st->st_uid + uid, st->st_gid + uid) != 0 ||
        fchmod(fd, st->st_mode & 07777) != 0 || futimens(fd, times) != 0)
        return err_sys(err, errno, "set the owner");
    return 0;
}

struct copy {
    int from, to; /* directories */
    uint32_t uid;
    unsigned depth;
};

static int copy_file(const struct copy *c, const char *name, const struct stat *st, struct err *err)
{
    auto_fd int from = openat(c->from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    auto_fd int to = openat(c->to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (from < 0 || to < 0)
        return err_sys(err, errno, "open");
    if (copy_bytes(from, to, err) != 0 || set_owner(to, st, c->uid, err) != 0)
        return -1;
    return copy_caps(from, to, c->uid, err);
}

static int copy_link(const struct copy *c, const char *name, const struct stat *st, struct err *err)
{
    char target[LINK_SIZE];
    ssize_t len = readlinkat(c->from, name, target, sizeof(target) - 1);

    if (len < 0)
        return err_sys(err, errno, "readlink");
    target[len] = '\0';
    if (symlinkat(target, c->to, name) != 0 ||
        fchownat(c->to, name, st->st_uid + c->uid, st->st_gid + c->uid, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "symlink");
    return 0;
}

static int copy_dir(const struct copy *c, struct err *err);

static int copy_subdir(const struct copy *c, const char *name, const struct stat *st,
                       struct err *err)
{
    auto_fd int from = openat(c->from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    auto_fd int to = -1;

    if (from < 0 || mkdirat(c->to, name, 0700) != 0)
        return err_sys(err, errno, "mkdir");
    to = openat(c->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return err_sys(err, errno, "open");
    if (c->depth >= DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "deeper than %d directories", DEPTH_MAX);

    const struct copy below = {from, to, c->uid, c->depth + 1};

    if (copy_dir(&below, err) != 0)
        return -1;
    return set_owner(to, st, c->uid, err);
}

static int copy_entry(const struct copy *c, const char *name, struct err *err)
{
    struct stat st;

    if (fstatat(c->from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "stat");
    switch (st.st_mode & S_IFMT) {
    case S_IFREG: return copy_file(c, name, &st, err);
    case S_IFLNK: return copy_link(c, name, &st, err);
    case S_IFDIR: return copy_subdir(c, name, &st, err);
    default: return 0; /* devices, sockets, pipes: no use in a template */
    }
}

static int copy_dir(const struct copy *c, struct err *err)
{
    int again = openat(c->from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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
        if (copy_entry(c, e->d_name, err) != 0)
            result = err_wrap(err, "%s", e->d_name);
    }
    closedir(entries);
    return result;
}

static int make(const struct shift *s, int dir, const char *name, struct err *err)
{
    char fresh[NAME_SIZE + sizeof(".new")];
    const struct copy root = {.from = -1, .to = dir, .uid = s->uid};
    struct copy top = root;
    auto_fd int from = open(s->rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd int to = -1;
    struct stat st;

    ignore(snprintf(fresh, sizeof(fresh), "%s.new", name));
    if (tree_remove(dir, fresh, err) != 0) /* of an interrupted copy */
        return -1;
    if (from < 0 || fstat(from, &st) != 0 || mkdirat(dir, fresh, 0700) != 0)
        return err_sys(err, errno, "mkdir");
    to = openat(dir, fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        return err_sys(err, errno, "open");
    top.from = from;
    top.to = to;
    if (copy_dir(&top, err) == 0 && set_owner(to, &st, s->uid, err) == 0) {
        if (renameat(dir, fresh, dir, name) == 0)
            return 0;
        ignore(err_sys(err, errno, "rename"));
    }

    struct err ignored;

    ignore(tree_remove(dir, fresh, &ignored)); /* the copy's error is the one to tell */
    return -1;
}

int shift_template(const struct shift *s, char **out, struct err *err)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    auto_fd int dir = -1;
    struct stat st;
    int result = 0;

    if (stat(s->rootfs, &st) != 0)
        return err_sys(err, errno, "template %s", s->rootfs);
    if (dir_make(s->dir, err) != 0 || dir_open(AT_FDCWD, s->dir, &dir, err) != 0)
        return -1;
    if (fchmod(dir, 0700) != 0)
        return err_sys(err, errno, "chmod %s", s->dir);
    ignore(snprintf(name, sizeof(name), "%llx-%llx-%llx-%u", (unsigned long long)st.st_dev,
                    (unsigned long long)st.st_ino, (unsigned long long)st.st_ctim.tv_sec, s->uid));
    pthread_mutex_lock(s->lock);
    if (faccessat(dir, name, F_OK, 0) != 0)
        result = make(s, dir, name, err);
    pthread_mutex_unlock(s->lock);
    if (result != 0)
        return err_wrap(err, "copy template %s", s->rootfs);
    ignore(snprintf(path, sizeof(path), "%s/%s", s->dir, name));
    *out = mem_text(path);
    return 0;
}
