/* SPDX-License-Identifier: Apache-2.0 */
/* Path rules of the guest protocol, and the two tree operations that need no answer. Used by the
 * filesystem RPCs, by /files and by process Start (cwd). */
#include "envd/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    REMOVE_DEPTH_MAX = 512 /* directories open at once while removing a tree */
};

struct str path_clean(struct str path, struct arena *a)
{
    char *out = arena_alloc(a, path.len + 2);
    size_t len = 0;

    if (out == NULL)
        return (struct str){NULL, 0};
    while (path.len > 0) {
        struct str part = str_cut(path, '/', &path);

        if (part.len == 0 || str_is(part, "."))
            continue;
        if (str_is(part, "..")) {
            while (len > 0 && out[--len] != '/')
                continue;
            continue;
        }
        out[len++] = '/';
        memcpy(out + len, part.at, part.len);
        len += part.len;
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0'; /* what ".." took back is still there */
    return (struct str){out, len};
}

static struct str join(struct str dir, struct str rest, struct arena *a)
{
    char *text = arena_printf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(rest));

    return text == NULL ? (struct str){NULL, 0} : path_clean(str_of(text), a);
}

int path_resolve(struct str path, const struct user *u, struct str workdir, struct arena *a,
                 struct str *out, struct err *err)
{
    struct str found;

    if (path.len > PATH_LEN_MAX)
        return err_set(err, ERR_INVALID, "path is longer than %d bytes", PATH_LEN_MAX);
    if (path.len > 0 && memchr(path.at, 0, path.len) != NULL)
        return err_set(err, ERR_INVALID, "path has a NUL byte in it");
    if (path.len == 0 && workdir.len == 0)
        found = arena_str(a, u->home);
    else if (path.len == 0 && workdir.at[0] == '/')
        found = arena_str(a, workdir);
    else if (path.len == 0)
        found = join(u->home, workdir, a);
    else if (path.at[0] == '/')
        found = arena_str(a, path);
    else if (path.at[0] == '~' && (path.len == 1 || path.at[1] == '/'))
        found = join(u->home, str_from(path, 1), a);
    else if (path.at[0] == '~')
        return err_set(err, ERR_INVALID, "path '%.*s': cannot expand the home of another user",
                       STR_ARG(str_upto(path, 100)));
    else
        found = join(u->home, path, a);
    if (found.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (found.len > PATH_LEN_MAX)
        return err_set(err, ERR_INVALID, "path is longer than %d bytes", PATH_LEN_MAX);
    *out = found;
    return 0;
}

static struct str without_slashes(struct str path)
{
    while (path.len > 1 && path.at[path.len - 1] == '/')
        path.len--;
    return path;
}

struct str path_base(struct str path)
{
    size_t start;

    path = without_slashes(path);
    if (str_is(path, "/"))
        return path;
    start = path.len;
    while (start > 0 && path.at[start - 1] != '/')
        start--;
    return str_from(path, start);
}

struct str path_parent(struct str path, struct arena *a)
{
    path = without_slashes(path);
    path.len -= path_base(path).len;
    return arena_str(a, path.len == 0 ? STR("/") : without_slashes(path));
}

/* One level: 0 when the directory is there afterwards. */
static int make_dir(const char *path, const struct user *u, struct err *err)
{
    struct stat st;

    if (mkdir(path, 0755) == 0) {
        if (lchown(path, u->uid, u->gid) != 0)
            return err_sys(err, errno, "change owner of '%.150s'", path);
        return 0;
    }
    if (errno != EEXIST && errno != EROFS && errno != EISDIR)
        return err_sys(err, errno, "create directory '%.150s'", path);
    if (stat(path, &st) != 0)
        return err_sys(err, errno, "create directory '%.150s'", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "path is a file, not a directory: %.150s", path);
    return 0;
}

int path_make_dirs(const char *path, const struct user *u, struct err *err)
{
    char part[PATH_LEN_MAX + 1];
    struct stat st;

    if (!str_to_c(str_of(path), part, sizeof(part)))
        return err_set(err, ERR_INVALID, "path is longer than %d bytes", PATH_LEN_MAX);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0; /* the usual case, one call */
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        if (make_dir(part, u, err) != 0)
            return -1;
        *at = '/';
    }
    return make_dir(part, u, err);
}

/* Where a removal stands: the directories from the root of the tree down to the current one. */
struct removal {
    DIR *dirs[REMOVE_DEPTH_MAX];
    char *names[REMOVE_DEPTH_MAX]; /* of dirs[i] in dirs[i - 1] */
    size_t depth;
};

static int enter(struct removal *r, int parent, const char *name, struct err *err)
{
    auto_free char *copy = strdup(name);
    int fd;

    if (r->depth == REMOVE_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "remove: deeper than %d directories", REMOVE_DEPTH_MAX);
    if (copy == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "remove '%.100s'", name);
    r->dirs[r->depth] = fdopendir(fd);
    if (r->dirs[r->depth] == NULL) {
        close(fd);
        return err_set(err, ERR_LIMIT, "out of memory");
    }
    r->names[r->depth++] = take_ptr(&copy);
    return 0;
}

/* Close the deepest directory and remove it from its parent. */
static int leave(struct removal *r, int parent, struct err *err)
{
    auto_free char *name = r->names[--r->depth];

    closedir(r->dirs[r->depth]);
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_sys(err, errno, "remove '%.100s'", name);
    return 0;
}

/* One entry of the deepest directory, or its end. */
static int remove_step(struct removal *r, int root_parent, struct err *err)
{
    DIR *dir = r->dirs[r->depth - 1];
    int parent = r->depth > 1 ? dirfd(r->dirs[r->depth - 2]) : root_parent;
    const struct dirent *e = readdir(dir);

    if (e == NULL)
        return leave(r, parent, err);
    if (str_is(str_of(e->d_name), ".") || str_is(str_of(e->d_name), ".."))
        return 0;
    if (e->d_type != DT_DIR && unlinkat(dirfd(dir), e->d_name, 0) == 0)
        return 0;
    if (e->d_type != DT_DIR && errno == ENOENT)
        return 0;
    if (e->d_type != DT_DIR && errno != EISDIR)
        return err_sys(err, errno, "remove '%.100s'", e->d_name);
    return enter(r, dirfd(dir), e->d_name, err);
}

static void removal_done(struct removal *r)
{
    while (r->depth > 0) {
        r->depth--;
        closedir(r->dirs[r->depth]);
        free(r->names[r->depth]);
    }
    free(r);
}

int path_remove(const char *path, struct err *err)
{
    struct removal *r;
    int rc;

    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_sys(err, errno, "remove '%.150s'", path);
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    rc = enter(r, AT_FDCWD, path, err);
    while (rc == 0 && r->depth > 0)
        rc = remove_step(r, AT_FDCWD, err);
    removal_done(r);
    return rc;
}
