/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that stay in the workspace; agentcube_files.c and agentcube_process.c ask. The kernel walks
 * them (openat2, RESOLVE_BENEATH), so every link on the way is judged where it is. */
#include "envd/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "envd/paths.h"

static int leaves(struct str path, struct err *err)
{
    return err_set(err, ERR_DENIED, "path '%.*s' leaves the workspace",
                   STR_ARG(str_upto(path, 200)));
}

/* The part of a clean absolute path below `root`, without its slash; .at is NULL when it is not. */
static struct str below(struct str root, struct str path)
{
    size_t len = str_is(root, "/") ? 0 : root.len;

    if (!str_eq(str_upto(path, len), str_upto(root, len)) ||
        (path.len > len && path.at[len] != '/'))
        return (struct str){NULL, 0};
    return str_from(path, path.len > len ? len + 1 : len);
}

static int open_beneath(int root, struct str path)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    char text[PATH_LEN_MAX + 1] = ".";

    if (path.len > 0 && !str_to_c(path, text, sizeof(text))) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return (int)syscall(SYS_openat2, root, text, &how, sizeof(how));
}

/* Without its last part and the slash before it. */
static struct str above(struct str path)
{
    while (path.len > 0 && path.at[--path.len] != '/')
        continue;
    return path;
}

static int find(struct str root, struct str path, struct str known, struct arena *a,
                struct str *out, struct err *err)
{
    auto_fd int root_fd = open(root.at, O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_fd int fd = -1;
    char link[32], real[PATH_LEN_MAX + 1];
    ssize_t len;
    char *text;

    if (root_fd < 0)
        return err_sys(err, errno, "open workspace '%.150s'", root.at);
    while ((fd = open_beneath(root_fd, known)) < 0 && errno == ENOENT && known.len > 0)
        known = above(known); /* to be made */
    if (fd < 0)
        return errno == EXDEV ? leaves(path, err)
                              : err_sys(err, errno, "open '%.*s'", STR_ARG(str_upto(path, 150)));
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    len = readlink(link, real, sizeof(real));
    if (len < 0)
        return err_sys(err, errno, "open '%.*s'", STR_ARG(str_upto(path, 150)));
    path = str_from(path, known.len > 0 && known.len < path.len ? known.len + 1 : known.len);
    text = arena_printf(a, "%.*s%s%.*s", len == 1 ? 0 : (int)len, real, path.len > 0 ? "/" : "",
                        STR_ARG(path));
    if (text == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    *out = str_of(text[0] == '\0' ? "/" : text);
    return out->len <= PATH_LEN_MAX
               ? 0
               : err_set(err, ERR_INVALID, "path is longer than %d bytes", PATH_LEN_MAX);
}

int workspace_resolve(struct str root, struct str path, enum workspace_end end, struct arena *a,
                      struct str *out, struct err *err)
{
    bool is_absolute = path.len > 0 && path.at[0] == '/';
    char *joined =
        arena_printf(a, "%.*s/%.*s", is_absolute ? 0 : (int)root.len, root.at, STR_ARG(path));
    struct str clean;

    if (path.len > 0 && memchr(path.at, 0, path.len) != NULL)
        return err_set(err, ERR_INVALID, "path has a NUL byte in it");
    root = path_clean(root, a);
    clean = joined == NULL ? (struct str){NULL, 0} : path_clean(str_of(joined), a);
    if (root.at == NULL || clean.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    clean = below(root, clean);
    if (clean.at == NULL || (end == WORKSPACE_ITSELF && clean.len == 0))
        return leaves(path, err);
    return find(root, clean, end == WORKSPACE_ITSELF ? above(clean) : clean, a, out, err);
}
