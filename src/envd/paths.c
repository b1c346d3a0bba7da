/* SPDX-License-Identifier: Apache-2.0 */
/* Path rules of the guest protocol. Used by the filesystem RPCs, by /files and by process Start. */
#include "envd/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

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

struct str path_trim(struct str path, struct arena *a)
{
    return arena_str(a, without_slashes(path));
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

struct str path_follow(struct str path, struct arena *a, struct stat *out_st)
{
    char name[32], target[PATH_LEN_MAX + 1];
    auto_fd int fd = open(path.at, O_PATH | O_CLOEXEC);
    ssize_t len;

    if (fd < 0 || (out_st != NULL && fstat(fd, out_st) != 0))
        return path;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    len = readlink(name, target, sizeof(target));
    return len <= 0 ? path : arena_str(a, (struct str){target, (size_t)len});
}

/* One level: 0 when the directory is there afterwards. */
static int make_dir(const char *path, const struct user *u, bool *out_made, struct err *err)
{
    struct stat st;

    *out_made = mkdir(path, 0755) == 0;
    if (*out_made) {
        if (lchown(path, u->uid, u->gid) != 0)
            return err_sys(err, errno, "change owner of '%.150s'", path);
        return 0;
    }
    if (errno != EEXIST && errno != EROFS && errno != EISDIR)
        return err_sys(err, errno, "create directory '%.150s'", path);
    if (stat(path, &st) != 0)
        return err_set(err, ERR_INVALID,
                       "create directory '%.150s': it is there, and leads nowhere", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "path is a file, not a directory: %.150s", path);
    return 0;
}

void path_unmake_dirs(const char *path, size_t first)
{
    char part[PATH_LEN_MAX + 1];
    size_t len = strlen(path);

    if (first == 0 || !str_to_c(str_of(path), part, sizeof(part)))
        return;
    for (; len >= first; len--) {
        if (part[len] != '/' && part[len] != '\0')
            continue;
        part[len] = '\0';
        if (part[len - 1] != '/')
            ignore(rmdir(part)); /* it was not made, or somebody uses it already */
    }
}

/* One level, and note where the first new one ends. */
static int make_noted(const char *part, const struct user *u, size_t *first, struct err *err)
{
    bool is_made;
    int rc = make_dir(part, u, &is_made, err);

    if (is_made && *first == 0)
        *first = strlen(part);
    return rc;
}

int path_make_dirs_noted(const char *path, const struct user *u, size_t *out_first, struct err *err)
{
    char part[PATH_LEN_MAX + 1];
    size_t first = 0;
    struct stat st;
    int rc = 0;

    *out_first = 0;
    if (!str_to_c(str_of(path), part, sizeof(part)))
        return err_set(err, ERR_INVALID, "path is longer than %d bytes", PATH_LEN_MAX);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0; /* the usual case, one call */
    for (char *at = part + 1; rc == 0 && *at != '\0'; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        rc = make_noted(part, u, &first, err);
        *at = '/';
    }
    if (rc == 0)
        rc = make_noted(part, u, &first, err);
    if (rc != 0)
        path_unmake_dirs(path, first);
    else
        *out_first = first;
    return rc;
}

int path_make_dirs(const char *path, const struct user *u, struct err *err)
{
    size_t first;

    return path_make_dirs_noted(path, u, &first, err);
}
