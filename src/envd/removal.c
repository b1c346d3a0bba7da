/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a tree with one open directory per level; filesystem_rpc.c drives it, a batch per turn.
 *
 * A tree may be deeper than descriptors and path lengths allow. What is REMOVE_DEPTH_MAX levels
 * down is moved up to the root of the tree, which goes anyway, and removed from there. */
#include "envd/removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/id.h"
#include "base/str.h"

enum {
    REMOVE_DEPTH_MAX = 64,   /* directories open at once */
    REMOVE_PASSES_MAX = 100, /* over one directory in which others go on making files */
    RAISED_LEN = 24,         /* random characters in the name of what was moved up */
};

struct removal_level {
    DIR *dir;
    char *name; /* in the level above */
    unsigned passes;
};

/* Where a removal stands: the directories from the root of the tree down to the current one. */
struct removal {
    struct removal_level levels[REMOVE_DEPTH_MAX];
    size_t depth;
    bool has_raised; /* something was moved up since the root was last read from its start */
};

/* Move the directory `name` of the deepest level to the root of the tree. */
static int raise_dir(struct removal *r, int parent, const char *name, struct err *err)
{
    char raised[RAISED_LEN + 1];

    id_text(raised, RAISED_LEN);
    if (renameat(parent, name, dirfd(r->levels[0].dir), raised) != 0)
        return errno == ENOENT ? 0 : err_sys(err, errno, "remove '%.100s'", name);
    r->has_raised = true;
    return 0;
}

static int enter(struct removal *r, int parent, const char *name, struct err *err)
{
    auto_free char *copy = NULL;
    struct removal_level *level;
    int fd;

    if (r->depth == REMOVE_DEPTH_MAX)
        return raise_dir(r, parent, name, err);
    copy = strdup(name);
    if (copy == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): auto_free, which it does not know */
        return errno == ENOENT ? 0 : err_sys(err, errno, "remove '%.100s'", name);
    level = &r->levels[r->depth];
    level->dir = fdopendir(fd);
    if (level->dir == NULL) {
        close(fd);
        return err_set(err, ERR_LIMIT, "out of memory");
    }
    level->passes = 0;
    level->name = take_ptr(&copy);
    r->depth++;
    return 0;
}

/* Remove the deepest directory, which was read to its end, from its parent; read it again if it
 * got new entries meanwhile. */
static int leave(struct removal *r, int parent, struct err *err)
{
    struct removal_level *level = &r->levels[r->depth - 1];
    bool is_root = r->depth == 1;

    if (unlinkat(parent, level->name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
        bool is_expected = is_root && r->has_raised;

        if (errno != ENOTEMPTY || (!is_expected && level->passes++ == REMOVE_PASSES_MAX))
            return err_sys(err, errno, "remove '%.100s'", level->name);
        rewinddir(level->dir);
        r->has_raised = r->has_raised && !is_root;
        return 0;
    }
    closedir(level->dir);
    free(level->name);
    r->depth--;
    return 0;
}

/* One entry of the deepest directory, or its end. */
static int remove_step(struct removal *r, struct err *err)
{
    DIR *dir = r->levels[r->depth - 1].dir;
    int parent = r->depth > 1 ? dirfd(r->levels[r->depth - 2].dir) : AT_FDCWD;
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
    struct str text = str_of(path);
    struct removal *r;

    *out = NULL;
    if (str_is(text, ".") || str_is(text, "..") || str_has_suffix(text, "/.") ||
        str_has_suffix(text, "/.."))
        return err_set(err, ERR_INVALID, "remove: the last part of '%.150s' is no name", path);
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
        struct removal_level *level = &r->levels[--r->depth];

        closedir(level->dir);
        free(level->name);
    }
    free(r);
}
