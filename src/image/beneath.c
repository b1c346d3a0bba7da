/* SPDX-License-Identifier: Apache-2.0 */
/* See beneath.h. */
#include "image/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int refuse(struct err *err, struct str path, const char *why)
{
    return err_set(err, ERR_INVALID, "path '%.*s' %s", STR_ARG(str_upto(path, 80)), why);
}

int beneath_clean(struct str path, char out[BENEATH_PATH_MAX], struct err *err)
{
    struct str rest = path;
    size_t len = 0;

    if (str_find(path, '\0') >= 0)
        return refuse(err, path, "holds a NUL byte");
    while (rest.len > 0) {
        struct str name = str_cut(rest, '/', &rest);

        if (name.len == 0 || str_is(name, "."))
            continue;
        if (str_is(name, ".."))
            return refuse(err, path, "leaves its directory");
        if (name.len > BENEATH_NAME_MAX || len + name.len + 2 > BENEATH_PATH_MAX)
            return refuse(err, path, "is too long");
        if (len > 0)
            out[len++] = '/';
        memcpy(out + len, name.at, name.len);
        len += name.len;
    }
    out[len] = '\0';
    return 0;
}

void beneath_split(char *path, const char **out_dir, const char **out_name)
{
    char *slash = strrchr(path, '/');

    *out_dir = slash == NULL ? "" : path;
    *out_name = slash == NULL ? path : slash + 1;
    if (slash != NULL)
        *slash = '\0';
}

int beneath_open(int root, const char *path, int flags, int *out_fd, struct err *err)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    int fd = (int)syscall(SYS_openat2, root, path[0] == '\0' ? "." : path, &how, sizeof how);

    if (fd < 0)
        return err_sys(err, errno, "open '%.100s'", path);
    *out_fd = fd;
    return 0;
}

bool beneath_is_whiteout(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == 0;
}
