/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as a table of steps, on a saver. One that runs stands still while its memory is
 * written and its own layer is copied (by reference where the file system can): a layer that is
 * written to cannot be shared. The layer of one that is paused is shared as it is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/linux/files.h"
#include "runtime/linux/images.h"
#include "runtime/linux/save.h"
#include "runtime/linux/tree_copy.h"

static void directories_undo(void *ctx)
{
    struct guest *s = ctx;
    char place[PLACE_SIZE];

    place_of_snapshot(s->saving.dir, place);
    place_leave(&s->driver->places, place);
}

static int directories_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct linux_driver *d = s->driver;
    char images[PLACE_SIZE], place[PLACE_SIZE];

    ignore(snprintf(images, sizeof(images), "%s/images", s->saving.dir));
    if (mkdirat(d->snapshots_fd, s->saving.dir, 0700) != 0)
        return err_sys(err, errno, "mkdir %s", s->saving.dir);
    place_of_snapshot(s->saving.dir, place);
    place_hold(&d->places, place);
    if (mkdirat(d->snapshots_fd, images, 0700) == 0)
        return 0;
    ignore(err_sys(err, errno, "mkdir %s", images));
    directories_undo(s);
    return -1;
}

static int share_images(struct guest *s, struct err *err)
{
    char from[SANDBOX_PATH_SIZE], to[SANDBOX_PATH_SIZE];
    auto_fd int from_fd = -1;
    auto_fd int to_fd = -1;

    ignore(snprintf(from, sizeof(from), "%s/images", s->dir));
    ignore(snprintf(to, sizeof(to), "%s/images", s->saving.dir));
    if (dir_open(s->driver->files_fd, from, &from_fd, err) != 0 ||
        dir_open(s->driver->snapshots_fd, to, &to_fd, err) != 0)
        return -1;
    return images_link(from_fd, to_fd, false, 0, err);
}

static int checkpoint_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    char images[SANDBOX_PATH_SIZE];

    if (!s->saving.keeps_memory)
        return 0;
    ignore(snprintf(images, sizeof(images), "%s/snapshots/%s/images", s->driver->data_dir,
                    s->saving.dir));
    return s->saving.has_paused ? share_images(s, err) : save_checkpoint(s, images, err);
}

static int files_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct linux_driver *d = s->driver;
    char from[SANDBOX_PATH_SIZE], to[PLACE_SIZE];

    if (s->saving.has_paused)
        return 0;
    ignore(snprintf(from, sizeof(from), "%s/u", s->dir));
    ignore(snprintf(to, sizeof(to), "%s/u", s->saving.dir));
    return tree_copy_layer(d->files_fd, from, d->snapshots_fd, to, err);
}

static int thaw_run(void *ctx, struct err *err)
{
    (void)err;
    save_thaw(ctx);
    return 0;
}

static int record_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct linux_driver *d = s->driver;
    auto_fd int dir = -1;
    auto_free char *own = NULL;
    char place[PLACE_SIZE];
    struct kept k;
    int result;

    if (s->rootfs == NULL || s->envd == NULL || s->layers.count >= STACK_MAX)
        return err_set(err, ERR_UNSUPPORTED, "nothing is known of its template");
    if (dir_open(d->snapshots_fd, s->saving.dir, &dir, err) != 0)
        return -1;
    if (s->saving.has_paused)
        place_of_sandbox(s->dir, place);
    else
        place_of_snapshot(s->saving.dir, place);
    own = place_layer(&d->places, place);
    save_describe(s, s->saving.name, &k);
    stack_add(&k.layers, own);
    result = kept_write(dir, &k, err);
    kept_done(&k);
    if (result == 0 && fsync(d->snapshots_fd) != 0)
        return err_sys(err, errno, "sync the snapshots");
    return result;
}

static const struct step snapshot[] = {
    {"snapshot settle",      save_settle,     NULL            },
    {"snapshot space",       save_space,      NULL            },
    {"snapshot directories", directories_run, directories_undo},
    {"snapshot freeze",      save_freeze,     save_thaw       },
    {"snapshot checkpoint",  checkpoint_run,  NULL            },
    {"snapshot files",       files_run,       NULL            },
    {"snapshot thaw",        thaw_run,        NULL            },
    {"snapshot sync",        save_sync,       NULL            },
    {"snapshot record",      record_run,      NULL            },
};

const char *const snapshot_step_names[] = {"snapshot settle",      "snapshot space",
                                           "snapshot directories", "snapshot freeze",
                                           "snapshot checkpoint",  "snapshot files",
                                           "snapshot thaw",        "snapshot sync",
                                           "snapshot record",      NULL};

_Static_assert(COUNT_OF(snapshot_step_names) == COUNT_OF(snapshot) + 1, "a name for each step");

void snapshot_job(struct guest *s, const struct err *broken)
{
    save_run(s, snapshot, COUNT_OF(snapshot), broken);
}
