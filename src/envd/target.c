/* SPDX-License-Identifier: Apache-2.0 */
/* Files being written; used by files_post.c and compose.c. */
#include "envd/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/id.h"
#include "envd/metadata.h"
#include "envd/paths.h"

enum {
    /* O_NONBLOCK: a fifo without a reader must not stop us. */
    WRITE_FLAGS = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    NEW_MODE = 0666,
    STEP_MAX = 16 << 20, /* bytes copied before others have their turn */
    SUFFIX_LEN = 16,
};

void target_init(struct target *t)
{
    *t = (struct target){.fd = -1, .real_fd = -1};
}

/* Of the path's file system; the file itself may not exist. */
static bool read_space(const char *path, struct statvfs *out)
{
    char parent[PATH_LEN_MAX + 1];
    struct str text = str_of(path);

    if (statvfs(path, out) == 0)
        return true;
    text.len -= path_base(text).len;
    return str_to_c(text, parent, sizeof(parent)) && statvfs(parent, out) == 0;
}

static uint64_t free_bytes(const struct statvfs *fs)
{
    return (uint64_t)fs->f_bavail * fs->f_frsize;
}

/* The disk, a quota, or the largest file that the sandbox may have. */
static int no_space(int sys, const char *path, uint64_t bytes, struct err *err)
{
    struct rlimit limit;
    struct statvfs fs;
    bool is_known = read_space(path, &fs);

    if (sys == EFBIG && getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return err_set(err, ERR_NO_SPACE,
                       "not enough disk space available: a file may have %llu bytes at most",
                       (unsigned long long)limit.rlim_cur);
    if (is_known && sys == ENOSPC && fs.f_files > 0 && fs.f_ffree == 0)
        return err_set(err, ERR_NO_SPACE, "not enough inodes available: all %llu are in use",
                       (unsigned long long)fs.f_files);
    return err_set(
        err, ERR_NO_SPACE,
        "not enough disk space available: attempted to write %llu bytes, %llu are free%s",
        (unsigned long long)bytes, is_known ? (unsigned long long)free_bytes(&fs) : 0ull,
        sys == EDQUOT ? " but the quota is exceeded" : "");
}

int target_error(int sys, const char *doing, const char *path, uint64_t bytes, struct err *err)
{
    if (sys == ENOSPC || sys == EDQUOT || sys == EFBIG)
        return no_space(sys, path, bytes, err);
    if (sys == EISDIR)
        return err_set(err, ERR_INVALID, "path is a directory: %.180s", path);
    if (sys == ENXIO)
        return err_set(err, ERR_INVALID, "path is not a regular file: %.180s", path);
    if (sys == ENAMETOOLONG || sys == ELOOP || sys == ENOTDIR)
        return err_set(err, ERR_INVALID, "%s '%.150s': %s", doing, path, strerror(sys));
    if (sys == ENOENT) /* its directory is there: /proc makes no files */
        return err_set(err, ERR_INVALID, "%s '%.150s': no file can be made there", doing, path);
    return err_sys(err, sys, "%s '%.150s'", doing, path);
}

static int open_error(const struct target *t, int sys, struct err *err)
{
    return target_error(sys, "error opening file", t->path.at, t->spec.expected, err);
}

/* Does what is announced fit? The blocks of the old file are free when it is cut. */
static int check_space(const struct target *t, const struct stat *st, struct err *err)
{
    bool is_aside = t->spec.flags != 0;
    uint64_t reused = is_aside ? 0 : (uint64_t)st->st_blocks * 512;
    struct statvfs fs;

    if (t->spec.expected == 0 || !S_ISREG(st->st_mode) || !read_space(t->path.at, &fs) ||
        t->spec.expected <= free_bytes(&fs) + reused)
        return 0;
    return no_space(ENOSPC, t->path.at, t->spec.expected, err);
}

/* A name beside the file that nobody has; in the arena. */
static char *make_temporary(struct str path, struct arena *a)
{
    uint8_t random[SUFFIX_LEN / 2];
    char suffix[SUFFIX_LEN + 1];
    struct str dir = str_upto(path, path.len - path_base(path).len);

    id_random(random, sizeof(random));
    hex_encode(random, sizeof(random), suffix);
    return arena_printf(a, "%.*s.%s.part", STR_ARG(dir), suffix);
}

static int open_aside(struct target *t, struct arena *a, struct err *err)
{
    char *name = make_temporary(t->path, a);
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;

    if (name == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    t->fd = open(name, flags, NEW_MODE);
    if (t->fd < 0)
        return open_error(t, errno, err);
    if ((t->spec.flags & TARGET_REPLACE) != 0)
        t->temporary = name;
    else
        ignore(unlink(name)); /* needed by its descriptor only */
    return 0;
}

/* The rename keeps what belongs to the name: mode bits of a file that was there, links to it. */
static int open_replacement(struct target *t, struct arena *a, struct err *err)
{
    struct stat st;

    if (lstat(t->path.at, &st) != 0)
        return errno == ENOENT ? open_aside(t, a, err) : open_error(t, errno, err);
    if (S_ISDIR(st.st_mode))
        return open_error(t, EISDIR, err);
    if (!S_ISREG(st.st_mode))
        return open_error(t, ENXIO, err);
    if (check_space(t, &st, err) != 0 || open_aside(t, a, err) != 0)
        return -1;
    if (fchmod(t->fd, st.st_mode & 07777) != 0)
        return open_error(t, errno, err);
    return 0;
}

/* In place, or staged when there is something to lose. */
static int open_in_place(struct target *t, struct arena *a, struct err *err)
{
    const char *path = t->path.at;
    struct stat st;

    t->fd = open(path, WRITE_FLAGS | O_CREAT | O_EXCL, NEW_MODE);
    t->is_new = t->fd >= 0;
    if (t->fd < 0 && errno == EEXIST)
        t->fd = open(path, WRITE_FLAGS | O_CREAT, NEW_MODE);
    if (t->fd < 0)
        return open_error(t, errno, err);
    if (fstat(t->fd, &st) != 0 || S_ISFIFO(st.st_mode))
        return open_error(t, ENXIO, err);
    if (check_space(t, &st, err) != 0)
        return -1;
    if ((t->spec.flags & TARGET_STAGED) != 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        t->real_fd = t->fd;
        t->fd = -1;
        return open_aside(t, a, err);
    }
    if (!t->is_new && S_ISREG(st.st_mode) && ftruncate(t->fd, 0) != 0)
        return open_error(t, errno, err);
    return 0;
}

/* Owner and metadata belong to the content: a staged file gets them with it. */
static int mark(struct target *t, int fd, struct err *err)
{
    const struct user *u = t->spec.user;

    if (fchown(fd, u->uid, u->gid) != 0 && errno != EPERM && errno != EROFS)
        return target_error(errno, "error changing ownership of", t->path.at, 0, err);
    return t->spec.metadata == NULL ? 0 : metadata_store(fd, t->spec.metadata, err);
}

int target_begin(struct target *t, const struct target_spec *spec, struct arena *a, struct err *err)
{
    struct str parent = path_parent(spec->path, a);

    target_init(t);
    t->spec = *spec;
    t->path = spec->path;
    if (str_has_suffix(spec->path, "/"))
        return err_set(err, ERR_INVALID, "path is a directory: %.180s", spec->path.at);
    if (parent.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (path_make_dirs(parent.at, spec->user, err) != 0)
        return -1;
    if ((spec->flags & TARGET_REPLACE) != 0 ? open_replacement(t, a, err) != 0
                                            : open_in_place(t, a, err) != 0)
        return -1;
    return t->real_fd >= 0 ? 0 : mark(t, t->fd, err);
}

int target_write(struct target *t, struct str data, struct err *err)
{
    while (t->fd >= 0 && data.len > 0) {
        ssize_t put = write(t->fd, data.at, data.len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return target_error(errno, "error writing file", t->path.at, t->written + data.len,
                                err);
        t->written += (size_t)put;
        data = str_from(data, (size_t)put);
    }
    return 0;
}

/* The staged content is good: make sure of the room, then cut the old one. */
static int begin_copy(struct target *t, struct err *err)
{
    struct stat st;

    if (fstat(t->real_fd, &st) != 0)
        return open_error(t, errno, err);
    /* not every file system can reserve; those find out on the way */
    if (t->written > 0 && fallocate(t->real_fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)t->written) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
        int sys = errno;

        ignore(ftruncate(t->real_fd, st.st_size)); /* gives back what was reserved behind it */
        return no_space(sys, t->path.at, t->written, err);
    }
    if (lseek(t->fd, 0, SEEK_SET) != 0 || ftruncate(t->real_fd, 0) != 0)
        return target_error(errno, "error writing file", t->path.at, t->written, err);
    t->copy = (struct copy){.from = t->fd, .to = t->real_fd};
    return mark(t, t->real_fd, err);
}

static int copy_in_place(struct target *t, bool *out_done, struct err *err)
{
    size_t copied = 0;
    ssize_t n = 1;

    if (!t->is_copying && begin_copy(t, err) != 0)
        return -1;
    t->is_copying = true;
    while (n > 0 && copied < STEP_MAX) {
        n = copy_some(&t->copy, STEP_MAX);
        if (n < 0)
            return target_error(errno, "error writing file", t->path.at, t->written, err);
        copied += (size_t)n;
    }
    *out_done = n == 0;
    return 0;
}

/* EDQUOT of network file systems comes here. */
static int close_now(struct target *t, int *fd, struct err *err)
{
    int sys = close(take_fd(fd)) != 0 ? errno : 0;

    return sys == 0 || sys == EINTR
               ? 0
               : target_error(sys, "error closing file", t->path.at, t->written, err);
}

int target_end(struct target *t, bool *out_done, struct err *err)
{
    *out_done = true;
    if (t->fd < 0)
        return 0;
    if (t->real_fd >= 0) {
        if (copy_in_place(t, out_done, err) != 0)
            return -1;
        if (!*out_done)
            return 0;
        copy_done(&t->copy);
        own_close_fd(&t->fd);
        t->fd = -1;
        return close_now(t, &t->real_fd, err);
    }
    if (close_now(t, &t->fd, err) != 0)
        return -1;
    t->is_new = false;
    if (t->temporary == NULL)
        return 0;
    if (rename(t->temporary, t->path.at) != 0)
        return target_error(errno, "error writing file", t->path.at, t->written, err);
    t->temporary = NULL;
    return 0;
}

void target_discard(struct target *t)
{
    copy_done(&t->copy);
    if (t->is_new)
        ignore(unlink(t->path.at)); /* somebody may have been faster */
    if (t->temporary != NULL)
        ignore(unlink(t->temporary));
    own_close_fd(&t->fd);
    own_close_fd(&t->real_fd);
    t->fd = t->real_fd = -1;
    t->is_new = false;
    t->temporary = NULL;
}
