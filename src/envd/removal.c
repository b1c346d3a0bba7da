/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a tree with one open directory per level; filesystem_rpc.c drives it, a batch per turn. */
#include "envd/removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/str.h"

enum {
    REMOVE_DEPTH_MAX = 512 /* directories open at once while removing a tree */
};

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
static int remove_step(struct removal *r, struct err *err)
{
    DIR *dir = r->dirs[r->depth - 1];
    int parent = r->depth > 1 ? dirfd(r->dirs[r->depth - 2]) : AT_FDCWD;
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

int removal_new(const char *path, struct removal **out, struct err *err)
{
    struct removal *r;

    *out = NULL;
    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return err_sys(err, errno, "remove '%.150s'", path);
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (enter(r, AT_FDCWD, path, err) != 0) {
        removal_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

int removal_run(struct removal *r, unsigned steps, bool *out_done, struct err *err)
{
    while (r->depth > 0 && steps-- > 0) {
        if (remove_step(r, err) != 0)
            return -1;
    }
    *out_done = r->depth == 0;
    return 0;
}

void removal_free(struct removal *r)
{
    if (r == NULL)
        return;
    while (r->depth > 0) {
        r->depth--;
        closedir(r->dirs[r->depth]);
        free(r->names[r->depth]);
    }
    free(r);
}
