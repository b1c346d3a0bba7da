/* SPDX-License-Identifier: Apache-2.0 */
/* tree_remove(): what a sandbox leaves on disk. Its shape is the sandbox's choice, so depth and
 * descriptors are bounded: what lies too deep is moved up and taken in the next round. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "runtime/linux/files.h"

enum {
    DEPTH_MAX = 32,
    NAME_SIZE = 64,
};

struct removal {
    int top;          /* directory that too deep ones are moved to */
    unsigned lifted;  /* names given to them */
    bool must_repeat; /* something was moved up */
};

static int remove_content(struct removal *r, int dir, unsigned depth, struct err *err);

static int remove_dir(struct removal *r, int dir, const char *name, unsigned depth)
{
    char up[NAME_SIZE];
    struct err ignored;

    if (depth < DEPTH_MAX) {
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        /* a failure shows as ENOTEMPTY of the rmdir below */
        if (fd >= 0)
            ignore(remove_content(r, fd, depth + 1, &ignored));
        return unlinkat(dir, name, AT_REMOVEDIR);
    }
    do {
        ignore(snprintf(up, sizeof(up), ".lifted-%u", r->lifted++));
        if (renameat(dir, name, r->top, up) == 0) {
            r->must_repeat = true;
            return 0;
        }
    } while (errno == ENOTEMPTY);
    return -1;
}

/* Takes `dir`. */
static int remove_content(struct removal *r, int dir, unsigned depth, struct err *err)
{
    DIR *entries = fdopendir(dir);
    struct dirent *e;
    int error = 0;

    if (entries == NULL) {
        own_close_fd(&dir);
        return err_sys(err, errno, "fdopendir");
    }
    while ((e = readdir(entries)) != NULL) {
        const char *name = e->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (e->d_type != DT_DIR && unlinkat(dir, name, 0) == 0)
            continue;
        if (remove_dir(r, dir, name, depth) != 0 && errno != ENOENT)
            error = errno;
    }
    closedir(entries);
    if (error != 0)
        return err_sys(err, error, "remove");
    return 0;
}

int tree_remove(int dir, const char *name, struct err *err)
{
    struct removal r = {.top = -1};

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;

    auto_fd int top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (top < 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "remove %s", name);
    r.top = top;
    do {
        int again = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        r.must_repeat = false;
        if (again < 0)
            return err_sys(err, errno, "remove %s", name);
        if (remove_content(&r, again, 0, err) != 0 && !r.must_repeat)
            return err_wrap(err, "remove %s", name);
    } while (r.must_repeat);
    if (unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return err_sys(err, errno, "remove %s", name);
    return 0;
}
