/* SPDX-License-Identifier: Apache-2.0 */
/* Makes one entry of a layer on disk. Called by extract.c, with what a stranger wrote. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "image/extract_internal.h"
#include "runtime/linux/files.h"

enum {
    OWNER_MAX = 65535, /* of a sandbox's range */
    FILE_MODE = 0600,  /* until it is complete */
    DIR_MODE = 0755,   /* of those that the archive does not name */
    XATTR_MAX = 65536,
};

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";

void entry_forget_parent(struct extraction *x)
{
    own_close_fd(&x->parent_fd);
    x->parent_fd = -1;
}

static int make_opaque(struct extraction *x, const char *path, struct err *err)
{
    return x->spec->is_lowest ? 0 : x->spec->on_opaque(x->spec->ctx, path, err);
}

/* One step down: what is missing or only marked as gone is made. `path` is all up to here. */
static int step_down(struct extraction *x, int dir, const char *path, const char *name,
                     struct err *err)
{
    bool was_gone = beneath_is_whiteout(dir, name);

    if (was_gone && unlinkat(dir, name, 0) != 0)
        return err_sys(err, errno, "replace '%.100s'", path);
    if (mkdirat(dir, name, DIR_MODE) != 0)
        return errno == EEXIST ? 0 : err_sys(err, errno, "make '%.100s'", path);
    x->spec->usage->entries++;
    return was_gone ? make_opaque(x, path, err) : 0;
}

static int make_parents(struct extraction *x, const char *path, int *out_fd, struct err *err)
{
    char part[BENEATH_PATH_MAX];
    auto_fd int dir = -1;
    size_t len = 0;

    if (beneath_open(x->spec->root_fd, "", O_PATH | O_DIRECTORY, &dir, err) != 0)
        return -1;
    while (path[len] != '\0') {
        size_t start = len;
        int next;

        while (path[len] != '\0' && path[len] != '/')
            len++;
        memcpy(part, path, len);
        part[len] = '\0';
        if (step_down(x, dir, part, part + start, err) != 0)
            return -1;
        if (beneath_open(x->spec->root_fd, part, O_PATH | O_DIRECTORY, &next, err) != 0)
            return -1;
        own_close_fd(&dir);
        dir = next;
        len += path[len] == '/';
    }
    *out_fd = take_fd(&dir);
    return 0;
}

/* The directory at `path`, made with those above it where they are missing. Borrowed: good until
 * the next call. */
static int find_parent(struct extraction *x, const char *path, int *out_fd, struct err *err)
{
    struct err unused;

    if (x->parent_fd < 0 || strcmp(x->parent, path) != 0) {
        entry_forget_parent(x);
        if (beneath_open(x->spec->root_fd, path, O_PATH | O_DIRECTORY, &x->parent_fd, &unused) !=
                0 &&
            make_parents(x, path, &x->parent_fd, err) != 0) {
            err->kind = err->kind == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_INVALID;
            return -1;
        }
        memcpy(x->parent, path, strlen(path) + 1);
    }
    *out_fd = x->parent_fd;
    return 0;
}

/* Makes room for an entry. A directory stays where one is wanted; what a whiteout hid stays hidden:
 * *out_was_gone. */
static int clear_spot(struct extraction *x, const struct spot *s, bool wants_dir,
                      bool *out_was_gone, struct err *err)
{
    struct stat st;

    *out_was_gone = beneath_is_whiteout(s->dir, s->name);
    if (fstatat(s->dir, s->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "look at '%.100s'", s->name);
    if (S_ISDIR(st.st_mode) && wants_dir)
        return 0;
    entry_forget_parent(x); /* the way to it may end here */
    if (S_ISDIR(st.st_mode))
        return tree_remove(s->dir, s->name, err);
    if (unlinkat(s->dir, s->name, 0) != 0)
        return err_sys(err, errno, "replace '%.100s'", s->name);
    return 0;
}

static bool is_kept_xattr(const char *name)
{
    struct str n = str_of(name);

    if (strcmp(name, "security.capability") == 0)
        return true;
    return str_has_prefix(n, "user.") && !str_has_prefix(n, "user.overlay.");
}

static int set_xattrs(struct archive_entry *e, int fd, struct err *err)
{
    const char *name;
    const void *value;
    size_t size;

    ignore(archive_entry_xattr_reset(e)); /* a count */
    while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
        if (name == NULL || !is_kept_xattr(name))
            continue;
        if (size > XATTR_MAX)
            return err_set(err, ERR_LIMIT, "an attribute is too large");
        if (fsetxattr(fd, name, value, size, 0) != 0 && errno != EOPNOTSUPP)
            return err_sys(err, errno, "set attribute '%.60s'", name);
    }
    return 0;
}

static int check_owner(struct archive_entry *e, struct err *err)
{
    int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);

    if (uid >= 0 && uid <= OWNER_MAX && gid >= 0 && gid <= OWNER_MAX)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "owner %lld:%lld is above %d", (long long)uid,
                   (long long)gid, OWNER_MAX);
}

/* chown(2) clears set-user-id bits and capabilities, so they come behind it. */
static int describe(struct archive_entry *e, int fd, struct err *err)
{
    if (fchown(fd, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e)) != 0)
        return err_sys(err, errno, "set the owner");
    if (fchmod(fd, archive_entry_perm(e) & 07777) != 0)
        return err_sys(err, errno, "set the mode");
    return set_xattrs(e, fd, err);
}

static struct timespec time_of(struct archive_entry *e)
{
    return (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
}

struct dir_time {
    struct timespec time;
    size_t len;
};

static void remember_time(struct extraction *x, struct archive_entry *e, const char *path)
{
    struct dir_time t = {time_of(e), strlen(path) + 1};

    if (buf_left(&x->times) < sizeof t + t.len)
        return; /* more directories than we can remember: these have the time of now */
    buf_add(&x->times, &t, sizeof t);
    buf_add(&x->times, path, t.len);
}

void entry_set_times(struct extraction *x)
{
    struct str rest = buf_str(&x->times);
    struct dir_time t;

    while (rest.len >= sizeof t) {
        auto_fd int fd = -1;
        struct err err;

        memcpy(&t, rest.at, sizeof t);
        if (beneath_open(x->spec->root_fd, rest.at + sizeof t, O_RDONLY | O_DIRECTORY, &fd, &err) ==
            0)
            ignore(futimens(fd, (struct timespec[2]){t.time, t.time})); /* nothing depends on it */
        rest = str_from(rest, sizeof t + t.len);
    }
}

static int write_content(struct extraction *x, int fd, int64_t size, struct err *err)
{
    struct tarflow_part part;

    do {
        if (tarflow_data(x->tar, &part, err) != 0)
            return -1;
        if (part.offset < 0 || part.offset > size || part.len > (uint64_t)(size - part.offset))
            return err_set(err, ERR_INVALID, "damaged archive: content outside its file");
        for (size_t done = 0; done < part.len;) {
            ssize_t put = pwrite(fd, part.at + done, part.len - done, part.offset + (int64_t)done);

            if (put <= 0)
                return err_sys(err, put < 0 ? errno : ENOSPC, "write");
            done += (size_t)put;
        }
    } while (part.at != NULL);
    return 0;
}

static int make_file(struct extraction *x, struct archive_entry *e, const struct spot *s,
                     struct err *err)
{
    int64_t size = archive_entry_size(e);
    struct timespec time = time_of(e);
    auto_fd int fd = -1;

    if (size < 0)
        return err_set(err, ERR_INVALID, "its size is negative");
    if (entry_charge(x, (uint64_t)size, err) != 0)
        return -1;
    fd = openat(s->dir, s->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return err_sys(err, errno, "make it");
    if (ftruncate(fd, size) != 0)
        return err_sys(err, errno, "set its size");
    if (write_content(x, fd, size, err) != 0 || describe(e, fd, err) != 0)
        return -1;
    if (futimens(fd, (struct timespec[2]){time, time}) != 0)
        return err_sys(err, errno, "set its time");
    return 0;
}

static int make_dir(struct extraction *x, struct archive_entry *e, const struct spot *s,
                    struct err *err)
{
    auto_fd int fd = -1;

    ignore((long)(x != NULL));
    if (mkdirat(s->dir, s->name, DIR_MODE) != 0 && errno != EEXIST)
        return err_sys(err, errno, "make it");
    fd = openat(s->dir, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno, "open it");
    return describe(e, fd, err);
}

static int describe_node(struct archive_entry *e, const struct spot *s, struct err *err)
{
    struct timespec time = time_of(e);

    if (fchownat(s->dir, s->name, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e),
                 AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "set the owner");
    if (utimensat(s->dir, s->name, (struct timespec[2]){time, time}, AT_SYMLINK_NOFOLLOW) != 0)
        return err_sys(err, errno, "set its time");
    return 0;
}

static int make_symlink(struct extraction *x, struct archive_entry *e, const struct spot *s,
                        struct err *err)
{
    const char *target = archive_entry_symlink(e);

    entry_forget_parent(x); /* from now on a path may lead elsewhere; s->dir is a copy */
    if (target == NULL)
        target = archive_entry_symlink_utf8(e);
    if (target == NULL || target[0] == '\0')
        return err_set(err, ERR_INVALID, "a link to nothing");
    if (symlinkat(target, s->dir, s->name) != 0)
        return err_sys(err, errno, "make it");
    return describe_node(e, s, err);
}

static int make_fifo(struct extraction *x, struct archive_entry *e, const struct spot *s,
                     struct err *err)
{
    ignore((long)(x != NULL));
    if (mknodat(s->dir, s->name, S_IFIFO | 0600, 0) != 0)
        return err_sys(err, errno, "make it");
    if (describe_node(e, s, err) != 0)
        return -1;
    if (fchmodat(s->dir, s->name, archive_entry_perm(e) & 07777, 0) != 0)
        return err_sys(err, errno, "set the mode");
    return 0;
}

static int make_hardlink(struct extraction *x, struct archive_entry *e, const struct spot *s,
                         struct err *err)
{
    const char *target = archive_entry_hardlink(e);
    const char *dir_path, *name;
    char path[BENEATH_PATH_MAX];
    auto_fd int dir = -1;
    struct stat st;

    ignore((long)(e != NULL));
    if (beneath_clean(str_of(target), path, err) != 0)
        return -1;
    if (path[0] == '\0')
        return err_set(err, ERR_INVALID, "a link to the root");
    beneath_split(path, &dir_path, &name);
    if (beneath_open(x->spec->root_fd, dir_path, O_PATH | O_DIRECTORY, &dir, err) != 0 ||
        (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 && err_sys(err, errno, "link")))
        return err_set(err, ERR_INVALID, "a link to what is not in the layer: '%.80s'", target);
    if (S_ISDIR(st.st_mode) || beneath_is_whiteout(dir, name))
        return err_set(err, ERR_INVALID, "a hard link to a directory or a whiteout");
    if (linkat(dir, name, s->dir, s->name, 0) != 0)
        return err_sys(err, errno, "link");
    return 0;
}

/* `name` in the directory, as a path from the root. It is not longer than the entry's. */
static void name_path(const struct spot *s, const char *name, char out[BENEATH_PATH_MAX])
{
    size_t len = strlen(s->path);

    assert(len + strlen(name) + 2 <= BENEATH_PATH_MAX);
    memcpy(out, s->path, len);
    if (len > 0)
        out[len++] = '/';
    memcpy(out + len, name, strlen(name) + 1);
}

/* ".wh.NAME": NAME of the layers below is gone. What this layer itself brings stays, whatever the
 * order; a directory of it hides those below. */
static int make_whiteout(struct extraction *x, const struct spot *s, struct err *err)
{
    const char *name = s->name + sizeof whiteout_prefix - 1;
    char path[BENEATH_PATH_MAX];
    struct stat st;

    if (strcmp(s->name, opaque_name) == 0)
        return make_opaque(x, s->path, err);
    if (str_has_prefix(str_of(name), whiteout_prefix))
        return 0; /* aufs' own book-keeping */
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(err, ERR_INVALID, "a whiteout of nothing");
    if (x->spec->is_lowest)
        return 0;
    if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        name_path(s, name, path);
        return S_ISDIR(st.st_mode) ? make_opaque(x, path, err) : 0;
    }
    if (mknodat(s->dir, name, S_IFCHR, 0) != 0)
        return err_sys(err, errno, "make a whiteout");
    return 0;
}

typedef int make_fn(struct extraction *x, struct archive_entry *e, const struct spot *s,
                    struct err *err);

static make_fn *maker_of(struct archive_entry *e)
{
    static const struct {
        unsigned type;
        make_fn *fn;
    } makers[] = {
        {AE_IFREG, make_file   },
        {AE_IFDIR, make_dir    },
        {AE_IFLNK, make_symlink},
        {AE_IFIFO, make_fifo   },
    };

    if (archive_entry_hardlink(e) != NULL)
        return make_hardlink;
    for (size_t i = 0; i < COUNT_OF(makers); i++) {
        if (archive_entry_filetype(e) == makers[i].type)
            return makers[i].fn;
    }
    return NULL;
}

static int make_at(struct extraction *x, struct archive_entry *e, const struct spot *s,
                   struct err *err)
{
    make_fn *make = maker_of(e);
    char path[BENEATH_PATH_MAX];
    bool is_dir = make == make_dir;
    bool was_gone;

    if (make == NULL) {
        x->spec->usage->devices++;
        return 0;
    }
    if (check_owner(e, err) != 0 || clear_spot(x, s, is_dir, &was_gone, err) != 0 ||
        make(x, e, s, err) != 0)
        return -1;
    if (!is_dir)
        return 0;
    name_path(s, s->name, path);
    remember_time(x, e, path);
    return was_gone ? make_opaque(x, path, err) : 0;
}

static int make_root(struct extraction *x, struct archive_entry *e, struct err *err)
{
    if (archive_entry_filetype(e) != AE_IFDIR || archive_entry_hardlink(e) != NULL)
        return err_set(err, ERR_INVALID, "the root is not a directory");
    remember_time(x, e, "");
    return check_owner(e, err) != 0 ? -1 : describe(e, x->spec->root_fd, err);
}

static int make_named(struct extraction *x, struct archive_entry *e, const char *name,
                      struct err *err)
{
    const char *dir_path, *last;
    struct spot *s = &x->spot;
    auto_fd int dir = -1;
    int parent;

    if (beneath_clean(str_of(name), x->path, err) != 0)
        return -1;
    if (x->path[0] == '\0')
        return make_root(x, e, err);
    beneath_split(x->path, &dir_path, &last);
    memcpy(s->path, dir_path, strlen(dir_path) + 1);
    memcpy(s->name, last, strlen(last) + 1);
    if (x->spec->is_lowest && str_has_prefix(str_of(s->name), whiteout_prefix))
        return make_whiteout(x, s, err); /* it makes nothing, no directory either */
    if (find_parent(x, s->path, &parent, err) != 0)
        return -1;
    dir = fcntl(parent, F_DUPFD_CLOEXEC, 0);
    if (dir < 0)
        return err_sys(err, errno, "copy a descriptor");
    s->dir = dir;
    if (str_has_prefix(str_of(s->name), whiteout_prefix))
        return make_whiteout(x, s, err);
    return make_at(x, e, s, err);
}

int entry_make(struct extraction *x, struct archive_entry *e, struct err *err)
{
    const char *name = tarflow_name(e);

    if (name == NULL)
        return err_set(err, ERR_INVALID, "an entry's name cannot be read");
    if (make_named(x, e, name, err) != 0)
        return err_wrap(err, "entry '%.80s'", name);
    return 0;
}
