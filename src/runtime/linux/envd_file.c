/* SPDX-License-Identifier: Apache-2.0 */
/* See envd_file.h. Copies are named by what tells versions apart; they are small and stay. */
#include "runtime/linux/envd_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/str.h"
#include "runtime/linux/files.h"

enum { PATH_SIZE = 1200 };

static int copy_to(const char *from, int dir, const char *place, const char *name, struct err *err)
{
    char fresh[PATH_SIZE + 8];
    auto_fd int fd = -1;

    ignore(snprintf(fresh, sizeof(fresh), "%s/.new", place));
    if (file_copy(from, fresh, 0755, err) != 0)
        return -1;
    fd = open(fresh, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0 || renameat(AT_FDCWD, fresh, dir, name) != 0 || fsync(dir) != 0)
        return err_sys(err, errno, "copy");
    return 0;
}

int envd_file_keep(const char *data_dir, const char *path, char **out, struct err *err)
{
    char place[PATH_SIZE], name[PATH_SIZE / 4];
    auto_fd int from = open(path, O_RDONLY | O_CLOEXEC);
    auto_fd int dir = -1;
    struct stat st;

    if (from < 0 || fstat(from, &st) != 0)
        return err_sys(err, errno, "envd '%s'", path);
    if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
        return err_set(err, ERR_INVALID, "envd '%s' is not an executable file", path);
    ignore(snprintf(place, sizeof(place), "%s/guests", data_dir));
    if (dir_make(place, err) != 0 || dir_open(AT_FDCWD, place, &dir, err) != 0)
        return -1;
    ignore(snprintf(name, sizeof(name), "envd-%llx-%llx-%lx", (unsigned long long)st.st_size,
                    (unsigned long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec));
    if (faccessat(dir, name, F_OK, 0) != 0 && copy_to(path, dir, place, name, err) != 0)
        return err_wrap(err, "keep envd in %s", place);
    ignore(snprintf(place, sizeof(place), "%s/guests/%s", data_dir, name));
    *out = mem_text(place);
    return 0;
}
