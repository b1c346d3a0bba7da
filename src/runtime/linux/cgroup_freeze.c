/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still: by cgroup.freeze where there is a cgroup2, else by the v1 freezer. */
#include <errno.h>
#include <time.h>

#include "runtime/linux/cgroup_internal.h"
#include "runtime/linux/files.h"

enum {
    FREEZE_TRIES = 5000, /* with the pause below: five seconds */
    FREEZE_PAUSE_NS = 1000000,
    STATE_TEXT_SIZE = 256,
};

/* A freezer's files: what to write to, what to write, where and how it says that it is done. */
struct freezer {
    const char *control, *words[2], *told_in, *told;
};

static const struct freezer freezers[] = {
    [1] = {"freezer.state", {"THAWED", "FROZEN"}, "freezer.state", "FROZEN\n"  },
    [2] = {"cgroup.freeze", {"0", "1"},           "cgroup.events", "\nfrozen 1"},
};

static const struct cgroup_dir *freezer_dir(const struct cgroups *g)
{
    if (g->unified >= 0)
        return &g->dirs[g->unified];
    return g->place[CGROUP_FREEZER] >= 0 ? &g->dirs[g->place[CGROUP_FREEZER]] : NULL;
}

bool cgroup_can_freeze(const struct cgroups *g)
{
    return freezer_dir(g) != NULL;
}

int cgroup_freezer_open(const struct cgroups *g, const char *name, int *out_fd, struct err *err)
{
    const struct cgroup_dir *dir = freezer_dir(g);

    if (dir == NULL && g->dir_count > 0)
        dir = &g->dirs[0];
    if (dir == NULL)
        return err_set(err, ERR_UNSUPPORTED, "no cgroups here");
    return dir_open(dir->fd, name, out_fd, err);
}

static bool has_done(const struct cgroup_dir *dir, const char *path, const char *word)
{
    char space[STATE_TEXT_SIZE];
    struct str text;
    struct err unused;

    return file_read(dir->fd, path, space, sizeof(space), &text, &unused) == 0 &&
           strstr(space, word) != NULL;
}

int cgroup_freeze(const struct cgroups *g, const char *name, bool is_frozen, struct err *err)
{
    const struct timespec pause = {.tv_nsec = FREEZE_PAUSE_NS};
    const struct cgroup_dir *dir = freezer_dir(g);
    char control[CGROUP_PATH_SIZE], told_in[CGROUP_PATH_SIZE];
    const struct freezer *f;

    if (dir == NULL)
        return err_set(err, ERR_UNSUPPORTED, "no freezer: mount cgroup2");
    f = &freezers[dir->version];
    cgroup_path(control, name, f->control);
    if (!is_frozen) /* they are woken; when each of them runs is the scheduler's business */
        return file_write(dir->fd, control, str_of(f->words[false]), err);
    cgroup_path(told_in, name, f->told_in);
    for (size_t i = 0; i < FREEZE_TRIES; i++) {
        /* v1 gives up on a group that forks meanwhile, and has to be told again */
        if ((i == 0 || dir->version == 1) &&
            file_write(dir->fd, control, str_of(f->words[true]), err) != 0)
            return -1;
        if (has_done(dir, told_in, f->told))
            return 0;
        nanosleep(&pause, NULL);
    }
    return err_set(err, ERR_TIMEOUT, "its processes do not stand still");
}
