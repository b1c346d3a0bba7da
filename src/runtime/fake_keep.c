/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake driver has on the disk: an empty directory for each paused sandbox and snapshot, so
 * that a new process finds them. Called by fake.c and fake_work.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/fake_internal.h"

static const char *const place_names[FAKE_PLACE_COUNT] = {
    [FAKE_PAUSED] = "sandboxes",
    [FAKE_SNAPSHOTS] = "snapshots",
};

int fake_keep_open(struct fake *f, struct err *err)
{
    auto_fd int dir = -1;

    if (f->data_dir == NULL)
        return 0;
    dir = open(f->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, errno, "open '%s'", f->data_dir);
    for (size_t i = 0; i < FAKE_PLACE_COUNT; i++) {
        if (mkdirat(dir, place_names[i], 0700) != 0 && errno != EEXIST)
            return err_sys(err, errno, "mkdir %s/%s", f->data_dir, place_names[i]);
        f->places[i] = openat(dir, place_names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (f->places[i] < 0)
            return err_sys(err, errno, "open %s/%s", f->data_dir, place_names[i]);
    }
    return 0;
}

void fake_keep_close(struct fake *f)
{
    for (size_t i = 0; i < FAKE_PLACE_COUNT; i++)
        own_close_fd(&f->places[i]);
}

int fake_keep(struct fake *f, enum fake_place place, const char *name, struct err *err)
{
    if (f->places[place] < 0)
        return err_set(err, ERR_UNSUPPORTED, "nothing is kept without a data directory");
    if (mkdirat(f->places[place], name, 0700) != 0 || fsync(f->places[place]) != 0)
        return err_sys(err, errno, "keep %s/%s", place_names[place], name);
    return 0;
}

bool fake_is_kept(const struct fake *f, enum fake_place place, const char *name)
{
    return f->places[place] >= 0 && faccessat(f->places[place], name, F_OK, 0) == 0;
}

void fake_drop(struct fake *f, enum fake_place place, const char *name)
{
    if (f->places[place] >= 0)
        ignore(unlinkat(f->places[place], name, AT_REMOVEDIR)); /* absence is fine */
}

void fake_each_kept(const struct fake *f, enum fake_place place, runtime_name_fn *fn, void *ctx)
{
    int fd = f->places[place] < 0
                 ? -1
                 : openat(f->places[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    while (entries != NULL && (e = readdir(entries)) != NULL) {
        if (e->d_name[0] != '.')
            fn(ctx, e->d_name);
    }
    if (entries != NULL)
        closedir(entries);
    else
        own_close_fd(&fd);
}
