/* SPDX-License-Identifier: Apache-2.0 */
/* Template trees by name; see rootfs.h. Called by commands.c. */
#include "node/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "node/node.h"

static int check_name(struct str name, struct err *err)
{
    if (name.len == 0 || name.len > NODE_ROOTFS_NAME_MAX || name.at[0] == '.' ||
        str_find(name, '/') >= 0 || str_find(name, '\0') >= 0)
        return err_set(err, ERR_INVALID, "'%.*s' is not the name of a template tree",
                       STR_ARG(name));
    return 0;
}

int rootfs_path(const char *dir, struct str name, char *out, size_t size, struct err *err)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    char text[NODE_ROOTFS_NAME_MAX + 1];
    auto_fd int dir_fd = -1;
    auto_fd int fd = -1;
    int len;

    if (check_name(name, err) != 0)
        return -1;
    if (!str_to_c(name, text, sizeof text))
        return err_set(err, ERR_INVALID, "name of a template tree is too long");
    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return err_sys(err, errno, "open '%s'", dir);
    fd = (int)syscall(SYS_openat2, dir_fd, text, &how, sizeof how);
    if (fd < 0)
        return err_sys(err, errno, "template tree '%s'", text);
    len = snprintf(out, size, "%s/%s", dir, text);
    if (len < 0 || (size_t)len >= size)
        return err_set(err, ERR_INVALID, "path of template tree '%s' is too long", text);
    return 0;
}
