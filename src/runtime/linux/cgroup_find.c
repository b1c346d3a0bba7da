/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroup hierarchies the host has and which of them we may use; runs once at start-up.
 *
 * v2: our parent group is at the root of the mount if controllers can be handed down from there,
 * else below our own group. v1: below our own group, per hierarchy. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/linux/cgroup_internal.h"
#include "runtime/linux/files.h"
#include "runtime/linux/mountinfo.h"

enum {
    PATH_SIZE = 1024,
    OWN_SIZE = 4 << 10,
};

static const char *const names[CGROUP_CONTROLLERS] = {"memory", "cpu", "pids", "cpuacct",
                                                      "freezer"};
static const char leaf_name[] = "sandlot-host";

struct found {
    struct cgroups *g;
    char own[OWN_SIZE], before[OWN_SIZE]; /* /proc/self/cgroup, now and of an earlier process */
    struct str own_text, before_text;
    bool has_used_before;
    bool may_v1, may_v2;
    struct mountinfo unified; /* .point.len 0: none */
};

/* The group in the hierarchy that has `controller` ("" = cgroup2), of lines "4:memory:/path". */
static struct str group_in(struct str text, const char *controller)
{
    struct str rest = text;

    while (rest.len > 0) {
        struct str path, line = str_cut(rest, '\n', &rest);
        struct str id = str_cut(line, ':', &line);
        struct str list = str_cut(line, ':', &path);
        const struct mountinfo as_options = {.options = list};

        if (controller[0] == '\0' ? str_is(id, "0") && list.len == 0
                                  : mountinfo_has(&as_options, str_of(controller)))
            return path;
    }
    return STR("/");
}

/* The group's directory below the mount point, which may show a part of the hierarchy only. */
static int group_path(const struct mountinfo *m, struct str group, char out[PATH_SIZE])
{
    struct str root = m->root;
    int len;

    if (str_is(root, "/"))
        root.len = 0;
    if (group.len >= root.len && memcmp(group.at, root.at, root.len) == 0)
        group = str_from(group, root.len);
    else
        group.len = 0; /* we are outside of what is mounted: its root is all we can use */
    if (str_is(group, "/"))
        group.len = 0;
    len = snprintf(out, PATH_SIZE, "%.*s%.*s", STR_ARG(m->point), STR_ARG(group));
    return len > 0 && len < PATH_SIZE ? 0 : -1;
}

/* Where our parent group is, or is to be: where an earlier process left it, else in our own. */
static int place_path(struct found *f, const struct mountinfo *m, const char *controller,
                      char out[PATH_SIZE])
{
    char parent[PATH_SIZE + CGROUP_NAME_SIZE + 1];

    if (f->before_text.len > 0 && group_path(m, group_in(f->before_text, controller), out) == 0) {
        ignore(snprintf(parent, sizeof(parent), "%s/%s", out, f->g->parent));
        if (access(parent, F_OK) == 0) {
            f->has_used_before = true;
            return 0;
        }
    }
    return group_path(m, group_in(f->own_text, controller), out);
}

/* Adds a hierarchy with our parent group in `path`. Returns its index, or -1. */
static int add_dir(struct cgroups *g, const char *path, int version)
{
    auto_fd int above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd;

    if (above < 0 || (mkdirat(above, g->parent, 0755) != 0 && errno != EEXIST))
        return -1;
    fd = openat(above, g->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    g->dirs[g->dir_count] = (struct cgroup_dir){fd, take_fd(&above), version};
    return (int)g->dir_count++;
}

static bool hand_down(int dir, const char *controller)
{
    char text[PATH_SIZE];
    int len = snprintf(text, sizeof(text), "+%s", controller);
    struct err ignored;

    return file_write(dir, "cgroup.subtree_control", (struct str){text, (size_t)len}, &ignored) ==
           0;
}

static bool is_listed(int dir, const char *controller)
{
    char space[CGROUP_TEXT_SIZE];
    struct str text;
    struct err ignored;

    if (file_read(dir, "cgroup.controllers", space, sizeof(space), &text, &ignored) != 0)
        return false;
    text = str_trim(str_cut(text, '\n', &(struct str){0}));
    while (text.len > 0) {
        if (str_is(str_cut(text, ' ', &text), controller))
            return true;
    }
    return false;
}

/* A container's root group holds processes and so may not hand controllers down: they move into a
 * leaf, as container engines do when they run in a container. The real root has no cgroup.type. */
static void move_to_leaf(int dir)
{
    char space[CGROUP_TEXT_SIZE], path[CGROUP_PATH_SIZE];
    struct str procs;
    struct err ignored;

    if (faccessat(dir, "cgroup.type", F_OK, 0) != 0 ||
        (mkdirat(dir, leaf_name, 0755) != 0 && errno != EEXIST) ||
        file_read(dir, "cgroup.procs", space, sizeof(space), &procs, &ignored) != 0)
        return;
    cgroup_path(path, leaf_name, "cgroup.procs");
    while (procs.len > 0)
        ignore(file_write(dir, path, str_cut(procs, '\n', &procs), &ignored)); /* may be gone */
}

static void use_v2_controllers(struct found *f, int group, int parent, int index)
{
    for (size_t c = 0; c < CGROUP_CPUACCT; c++) {
        if (is_listed(group, names[c]) && hand_down(group, names[c]) && hand_down(parent, names[c]))
            f->g->place[c] = index;
    }
}

static bool has_controllers(const struct found *f)
{
    return f->g->place[CGROUP_MEMORY] >= 0 || f->g->place[CGROUP_PIDS] >= 0;
}

/* Takes the hierarchy at `path` as our cgroup2; false when we may not create groups there. */
static bool use_v2(struct found *f, const char *path, bool may_move)
{
    struct cgroups *g = f->g;
    int index = add_dir(g, path, 2);

    if (index < 0)
        return false;

    int group = g->dirs[index].above, parent = g->dirs[index].fd;

    use_v2_controllers(f, group, parent, index);
    if (!has_controllers(f) && may_move && is_listed(group, "memory")) {
        move_to_leaf(group);
        use_v2_controllers(f, group, parent, index);
    }
    g->unified = index;
    return true;
}

static void undo_v2(struct cgroups *g)
{
    struct cgroup_dir *dir = &g->dirs[--g->dir_count];

    ignore(unlinkat(dir->above, g->parent, AT_REMOVEDIR)); /* stays if it was in use */
    own_close_fd(&dir->above);
    own_close_fd(&dir->fd);
    g->unified = -1;
}

static void find_v2(struct found *f)
{
    char root[PATH_SIZE], own[PATH_SIZE];

    if (group_path(&f->unified, f->unified.root, root) != 0 ||
        place_path(f, &f->unified, "", own) != 0)
        return;
    if (use_v2(f, root, strcmp(root, own) == 0)) {
        if (has_controllers(f) || strcmp(root, own) == 0)
            return;
        undo_v2(f->g);
    }
    ignore(use_v2(f, own, false)); /* without it there is no cgroup2 for us */
}

static void use_v1(struct found *f, const struct mountinfo *m, size_t controller)
{
    struct cgroups *g = f->g;
    char path[PATH_SIZE];
    int shared = -1;

    for (size_t c = 0; c < CGROUP_CONTROLLERS; c++) {
        /* one hierarchy may carry several controllers ("cpu,cpuacct") */
        if (c != controller && g->place[c] >= 0 && mountinfo_has(m, str_of(names[c])))
            shared = g->place[c];
    }
    if (shared >= 0) {
        g->place[controller] = shared;
        return;
    }
    if (place_path(f, m, names[controller], path) == 0)
        g->place[controller] = add_dir(g, path, 1);
}

static void find_v1(struct found *f, char *mounts)
{
    struct mountinfo m;

    while (mountinfo_next(&mounts, &m)) {
        if (!str_is(m.type, "cgroup"))
            continue;
        for (size_t c = 0; c < CGROUP_CONTROLLERS; c++) {
            bool is_useless = c >= CGROUP_CPUACCT && f->g->unified >= 0;

            if (f->g->place[c] < 0 && !is_useless && mountinfo_has(&m, str_of(names[c])))
                use_v1(f, &m, c);
        }
    }
}

/* Without it, moving a process by a write waits 7 to 15 ms for RCU when the machine is idle. The
 * setting is global and cannot be asked for v1 hierarchies, but holds for them too. Other options
 * must be repeated, or reconfiguring would clear them. */
static bool favor_moves(const struct mountinfo *m)
{
    auto_fd int fs = -1;
    char option[CGROUP_PATH_SIZE];
    struct str rest = m->options;

    if (mountinfo_has(m, STR("favordynmods")))
        return true;
    fs = fspick(AT_FDCWD, m->point.at, FSPICK_CLOEXEC);
    if (fs < 0)
        return false;
    while (rest.len > 0) {
        struct str word = str_cut(rest, ',', &rest);

        if (str_is(word, "rw") || str_is(word, "ro") || !str_to_c(word, option, sizeof(option)))
            continue;
        if (fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0) != 0)
            return false;
    }
    return fsconfig(fs, FSCONFIG_SET_FLAG, "favordynmods", NULL, 0) == 0 &&
           fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0;
}

static bool uses_v1(const struct cgroups *g)
{
    for (size_t i = 0; i < g->dir_count; i++) {
        if (g->dirs[i].version == 1)
            return true;
    }
    return false;
}

/* Is cgroup.kill there? It is in every group but the root, so in our parent. */
static bool can_kill(const struct cgroups *g)
{
    return g->unified >= 0 && faccessat(g->dirs[g->unified].fd, "cgroup.kill", F_OK, 0) == 0;
}

static int read_own(struct found *f, const struct cgroup_source *source, struct err *err)
{
    struct err ignored;

    if (file_read(AT_FDCWD, source->before, f->before, sizeof(f->before), &f->before_text,
                  &ignored) != 0)
        f->before_text.len = 0; /* the first process here */
    return file_read(AT_FDCWD, source->own, f->own, sizeof(f->own), &f->own_text, err);
}

/* For the next process, unless this one is still where an earlier one began. */
static int remember_own(const struct found *f, const struct cgroup_source *source, struct err *err)
{
    if (f->has_used_before)
        return 0;
    if (unlink(source->before) != 0 && errno != ENOENT)
        return err_sys(err, errno, "remove %s", source->before);
    return file_create(AT_FDCWD, source->before, f->own_text, err);
}

int cgroups_find(struct cgroups *g, const struct cgroup_source *source, const char *mode,
                 struct err *err)
{
    struct found f = {.g = g, .may_v1 = strcmp(mode, "v2") != 0, .may_v2 = strcmp(mode, "v1") != 0};
    auto_free char *first = NULL;
    auto_free char *second = NULL;
    size_t len;
    char *at;
    struct mountinfo m;

    if (read_own(&f, source, err) != 0 ||
        file_load(source->mountinfo, MOUNTINFO_MAX, &first, &len, err) != 0)
        return -1;
    second = mem_text(first);
    at = first;
    while (mountinfo_next(&at, &m)) {
        if (str_is(m.type, "cgroup2") && f.unified.point.len == 0)
            f.unified = m;
    }
    if (f.may_v2 && f.unified.point.len > 0)
        find_v2(&f);
    if (f.may_v1)
        find_v1(&f, second);
    g->has_kill = can_kill(g);
    g->is_fast = !uses_v1(g) || (f.unified.point.len > 0 && favor_moves(&f.unified));
    return remember_own(&f, source, err);
}
