/* SPDX-License-Identifier: Apache-2.0 */
/* At start-up: sandboxes that an earlier process left running are taken over; what it left of dead
 * ones, and of launches it did not finish, is freed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/pidfd.h>

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"
#include "runtime/linux/kept.h"
#include "runtime/linux/state.h"

enum {
    PATH_SIZE = 64,
    DUMP_MS = 60000,
};

/* Is the process of the file still the same one? Then *out_pidfd holds it. */
static bool is_alive(struct linux_driver *d, const struct state *state, int *out_pidfd)
{
    auto_fd int pidfd = pidfd_open((pid_t)state->pid, 0);
    uint64_t start_time;
    struct err ignored;

    if (pidfd < 0 || process_start_time(d->proc_fd, (int)state->pid, &start_time, &ignored) != 0 ||
        start_time != state->start_time)
        return false;
    *out_pidfd = take_fd(&pidfd);
    return true;
}

/* NULL when it has none now: sandboxes_max was lowered, or uid_base is another. */
static struct slot *slot_of(struct linux_driver *d, const struct state *state)
{
    struct slot *slot = slots_claim(&d->slots, state->slot);

    if (slot == NULL || slot->uid == state->uid)
        return slot;
    slots_give(&d->slots, slot);
    return NULL;
}

/* Its own directory, and those under it. */
static void hold_files(struct guest *s)
{
    struct linux_driver *d = s->driver;
    char path[SANDBOX_PATH_SIZE], place[PLACE_SIZE];
    struct err unused;

    place_of_sandbox(s->dir, place);
    place_hold(&d->places, place);
    ignore(snprintf(path, sizeof(path), "%s/layers", s->dir));
    ignore(stack_read(d->files_fd, path, &s->layers, &unused)); /* it is whole, or nobody's */
    places_hold_stack(&d->places, &s->layers);
}

/* A dump that the earlier process began goes on without it: cut off, it would break them. */
static void wait_for_dump(struct linux_driver *d, const struct guest *s)
{
    auto_fd int group = -1;
    struct err unused;

    if (cgroup_freezer_open(&d->cgroups, s->cell.cgroup, &group, &unused) == 0)
        ignore((long)file_lock(group, LOCK_EX, DUMP_MS)); /* it is taken up all the same */
}

/* Was it paused, and its processes only kept for a while? Or for good: *out_is_frozen. */
static bool is_kept(struct linux_driver *d, const char *name, bool *out_is_frozen)
{
    auto_fd int dir = -1;
    struct err unused;
    struct kept k;

    if (dir_open(d->files_fd, name, &dir, &unused) != 0 || kept_read(dir, &k, &unused) != 0)
        return false;
    *out_is_frozen = k.is_frozen;
    kept_done(&k);
    return true;
}

static struct guest *sandbox_of(struct linux_driver *d, const char *id, const struct state *state)
{
    struct guest *s = guest_new(d, id);

    ignore(snprintf(s->dir, sizeof(s->dir), "%s", state->dir));
    ignore(snprintf(s->cell.cgroup, sizeof(s->cell.cgroup), "%s", state->cgroup));
    s->limits = state->limits;
    s->start_time = state->start_time;
    memcpy(s->boot_id, state->boot_id, sizeof(s->boot_id));
    s->slot = slot_of(d, state);
    s->has_state = true;
    s->disk.below = state->below_bytes;
    if (state->rootfs[0] != '\0') {
        s->rootfs = mem_text(state->rootfs);
        free(s->envd);
        s->envd = mem_text(state->envd);
    }
    hold_files(s);
    launch_adopt(s);
    return s;
}

static int take_over(struct guest *s, const struct state *state, int pidfd, struct err *err)
{
    struct linux_driver *d = s->driver;
    char path[PATH_SIZE];

    s->pid = (int)state->pid;
    s->pidfd = pidfd;
    /* its ids may be given to another */
    if (s->slot == NULL)
        return err_set(err, ERR_LIMIT, "its range of user ids is not ours");
    ignore(snprintf(path, sizeof(path), "%d/ns/net", s->pid));
    s->cell.net.fd = openat(d->proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (s->cell.net.fd < 0)
        return err_sys(err, errno, "open its network namespace");
    return lifecycle_watch(s, err);
}

/* By the reaper, once all is known: it may not write what is_known() reads. */
static void free_remains(struct guest *s)
{
    state_remove(s);
    s->state = SANDBOX_REAPING;
}

static void reap_remains(struct linux_driver *d)
{
    for (struct list_node *n = list_first(&d->all); n != NULL; n = list_next(&d->all, n)) {
        struct guest *s = container_of(n, struct guest, all);

        if (s->state == SANDBOX_REAPING || s->state == SANDBOX_COOLING)
            reaper_put(d, s);
    }
}

/* Its processes end; its files and its record are what there is of it. */
static void let_cool(struct guest *s)
{
    watch_stop(&s->pid_watch);
    state_remove(s);
    s->state = SANDBOX_COOLING;
    s->keeps_files = true;
}

static void let_run(struct guest *s)
{
    const struct sandbox_limits limits = {.cpu_percent = s->limits.cpu_percent};
    struct linux_driver *d = s->driver;
    struct err ignored;

    s->state = SANDBOX_RUNNING;
    /* a dump does without it */
    ignore(cgroup_limit(&d->cgroups, s->cell.cgroup, &limits, &ignored));
    /* it may stand still for a pause that was not to be */
    ignore(cgroup_freeze(&d->cgroups, s->cell.cgroup, false, &ignored));
    guest_watch_disk(s);
}

static void adopt_state(struct linux_driver *d, const char *id, const struct state *state)
{
    struct guest *s = sandbox_of(d, id, state);
    struct err ignored;
    bool is_frozen = false, is_paused;
    int pidfd;
    bool is_there = is_alive(d, state, &pidfd) && take_over(s, state, pidfd, &ignored) == 0;

    if (is_there)
        wait_for_dump(d, s);
    is_paused = is_kept(d, s->dir, &is_frozen);
    if (!is_there && !is_paused) {
        /* a dead one, or one we cannot hold, is undone like any other: its process is ended too */
        watch_stop(&s->pid_watch);
        free_remains(s);
        return;
    }
    if (!is_paused) {
        let_run(s);
    } else if (is_there && is_frozen) {
        s->state = SANDBOX_HOT;
        s->is_frozen = true;
    } else {
        let_cool(s);
    }
    ignore(map_put(&d->sandboxes, str_of(s->id), s) != NULL); /* ids are file names: unique */
}

static void adopt_file(struct linux_driver *d, const char *id)
{
    char space[STATE_SIZE];
    struct str text;
    struct state state;
    struct err ignored;

    if (strlen(id) < SANDBOX_ID_SIZE &&
        file_read(d->state_fd, id, space, sizeof(space), &text, &ignored) == 0 &&
        state_parse(text, &state, &ignored) == 0)
        adopt_state(d, id, &state);
    else
        ignore(unlinkat(d->state_fd, id, 0)); /* next time, then */
}

static int each_entry(int dir, void (*fn)(struct linux_driver *d, const char *name),
                      struct linux_driver *d, struct err *err)
{
    struct names all = {.count = 0};

    if (names_read(dir, &all, err) != 0)
        return -1;
    for (size_t i = 0; i < all.count; i++)
        fn(d, all.at[i]);
    names_done(&all);
    return 0;
}

static bool is_known(struct linux_driver *d, const char *dir, const char *cgroup)
{
    for (struct list_node *n = list_first(&d->all); n != NULL; n = list_next(&d->all, n)) {
        const struct guest *s = container_of(n, struct guest, all);

        if ((dir != NULL && strcmp(s->dir, dir) == 0) ||
            (cgroup != NULL && strcmp(s->cell.cgroup, cgroup) == 0))
            return true;
    }
    return false;
}

/* Files of a launch that was cut off: an object with nothing but that, for the reaper. */
static void sweep_dir(struct linux_driver *d, const char *name)
{
    struct guest *s;

    char place[PLACE_SIZE];

    place_of_sandbox(name, place);
    if (strlen(name) >= SANDBOX_DIR_SIZE || place_holders(&d->places, place) > 0)
        return;
    s = guest_new(d, "");
    ignore(snprintf(s->dir, sizeof(s->dir), "%s", name));
    place_hold(&d->places, place);
    launch_adopt(s);
    free_remains(s);
}

/* What was left of snapshots is rare, and mostly empty. */
static void sweep_snapshot(struct linux_driver *d, const char *name)
{
    char place[PLACE_SIZE];
    struct err unused;

    place_of_snapshot(name, place);
    if (place_holders(&d->places, place) == 0)
        ignore(tree_remove(d->snapshots_fd, name, &unused)); /* next time, then */
}

static bool is_younger(const struct guest *a, const char *dir)
{
    return strcmp(a->dir, dir) >= 0; /* of one id, they differ by their serial numbers */
}

static void adopt_kept(struct linux_driver *d, const char *name)
{
    char place[PLACE_SIZE];
    struct err unused;
    struct guest *s, *other;
    struct kept k;
    int dir;

    if (strlen(name) >= SANDBOX_DIR_SIZE || dir_open(d->files_fd, name, &dir, &unused) != 0)
        return;
    if (kept_read(dir, &k, &unused) != 0) {
        own_close_fd(&dir);
        return;
    }
    other = map_get(&d->sandboxes, str_of(k.id));
    if (other != NULL && (!asleep_is_paused(other) || is_younger(other, name))) {
        kept_remove(dir); /* it went on from here */
        own_close_fd(&dir);
        kept_done(&k);
        return;
    }
    own_close_fd(&dir);
    s = guest_new(d, k.id);
    ignore(snprintf(s->dir, sizeof(s->dir), "%s", name));
    place_of_sandbox(s->dir, place);
    place_hold(&d->places, place);
    free(k.layers.paths[--k.layers.count]); /* its own */
    s->limits = k.limits;
    guest_take_kept(s, &k);
    s->state = SANDBOX_PAUSED;
    asleep_only_files(s);
    if (other != NULL)
        asleep_remove(other);
    ignore(map_put(&d->sandboxes, str_of(s->id), s) != NULL); /* nobody is there now */
}

static void adopt_paused(struct linux_driver *d, const char *name)
{
    if (!is_known(d, name, NULL))
        adopt_kept(d, name);
}

/* Groups of such a launch, or of the old pool. Whoever is in there goes: nobody knows of it. */
static void sweep_cgroup(void *ctx, const char *name)
{
    struct linux_driver *d = ctx;
    struct guest *s;

    if (strlen(name) >= CGROUP_NAME_SIZE || is_known(d, NULL, name))
        return;
    cgroup_kill(&d->cgroups, name);
    s = guest_new(d, "");
    ignore(snprintf(s->cell.cgroup, sizeof(s->cell.cgroup), "%s", name));
    s->keeps_files = true; /* it has none */
    launch_adopt(s);
    free_remains(s);
}

int adopt_all(struct linux_driver *d, struct err *err)
{
    int result = each_entry(d->state_fd, adopt_file, d, err);

    if (result == 0)
        result = each_entry(d->files_fd, adopt_paused, d, err);
    if (result == 0)
        result = shelf_open(d, err);
    if (result == 0)
        result = flats_adopt(d, err);
    if (result == 0) {
        cgroup_each(&d->cgroups, d->cgroup_prefix, sweep_cgroup, d);
        result = each_entry(d->files_fd, sweep_dir, d, err);
    }
    if (result == 0)
        result = each_entry(d->snapshots_fd, sweep_snapshot, d, err);
    reap_remains(d);
    return result;
}
