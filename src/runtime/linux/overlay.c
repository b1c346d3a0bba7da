/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay, by the new mount interface. `volatile`: no sync when it is torn down or when a
 * program asks; a sandbox does not survive its machine. index and nfs_export: without them an
 * inotify watch cannot be checkpointed. */
#include "runtime/linux/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "runtime/linux/idmap.h"

enum {
    LOWERS_MAX = 129, /* a template and STACK_MAX layers */
    NAME_SIZE = 24,
    LOWERS_SIZE = 256, /* of a string for fsconfig */
};

struct layers {
    int lowers[LOWERS_MAX]; /* detached clones, the highest first */
    size_t count;
    int tree; /* a detached clone of the sandbox's directory */
    int upper, work;
};

struct option {
    const char *key, *value; /* value NULL: a flag */
};

static const struct option options[] = {
    {"volatile",     NULL},
    {"redirect_dir", "on"},
    {"index",        "on"},
    {"nfs_export",   "on"},
};

static int set_options(int fs, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        const struct option *o = &options[i];
        unsigned command = o->value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;

        if (fsconfig(fs, command, o->key, o->value, 0) != 0)
            return err_sys(err, errno, "overlay option %s", o->key);
    }
    return 0;
}

/* An idmapped upper belongs to the sandbox's root, so the work directory must be made by it too:
 * otherwise the kernel says EOVERFLOW and goes read-only. The creator keeps its capabilities while
 * its file-system ids change (SECBIT_NO_SETUID_FIXUP, see mounts.c). */
static int create(int fs, uint32_t uid, struct err *err)
{
    int result;

    ignore(setfsgid(uid));
    ignore(setfsuid(uid));
    result = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (result != 0)
        result = err_sys(err, errno, "overlay");
    ignore(setfsuid(0));
    ignore(setfsgid(0));
    return result;
}

/* A kernel that cannot make what it needs below the work directory (ovl_make_workdir(): ENOSPC,
 * EDQUOT) says so in its log, mounts all the same, and lets nobody write. */
static bool is_writable(int fd)
{
    struct statvfs now;

    return fstatvfs(fd, &now) == 0 && (now.f_flag & ST_RDONLY) == 0;
}

static int mount_fs(int fs, const struct overlay_spec *spec, int *out_fd, struct err *err)
{
    uint32_t uid = spec->userns_fd >= 0 ? spec->uid : 0;

    if (set_options(fs, err) != 0 || create(fs, uid, err) != 0)
        return -1;
    *out_fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV);
    if (*out_fd < 0)
        return err_sys(err, errno, "fsmount overlay");
    if (is_writable(*out_fd))
        return 0;
    own_close_fd(out_fd);
    *out_fd = -1;
    return err_set(err, ERR_NO_SPACE, "no overlay's own directories in %s: is the disk full?",
                   spec->dir);
}

static const char *lower_path(const struct overlay_spec *spec, size_t i)
{
    return i < spec->layer_count ? spec->layers[spec->layer_count - 1 - i] : spec->rootfs;
}

static int layers_open(const struct overlay_spec *spec, struct layers *l, struct err *err)
{
    if (spec->layer_count >= LOWERS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d layers", LOWERS_MAX - 1);
    for (; l->count <= spec->layer_count; l->count++) {
        if (tree_clone(lower_path(spec, l->count), 0, spec->userns_fd, &l->lowers[l->count], err) !=
            0)
            return -1;
    }
    if (tree_clone(spec->dir, 0, spec->userns_fd, &l->tree, err) != 0)
        return -1;
    l->upper = openat(l->tree, "u", O_PATH | O_DIRECTORY | O_CLOEXEC);
    l->work = openat(l->tree, "w", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (l->upper < 0 || l->work < 0)
        return err_sys(err, errno, "open the layers in %s", spec->dir);
    return 0;
}

static void layers_close(struct layers *l)
{
    own_close_fd(&l->upper);
    own_close_fd(&l->work);
    own_close_fd(&l->tree);
    while (l->count > 0)
        own_close_fd(&l->lowers[--l->count]);
}

static int by_descriptor(const struct overlay_spec *spec, struct layers *l, int *out_fd,
                         struct err *err)
{
    auto_fd int fs = fsopen("overlay", FSOPEN_CLOEXEC);

    if (fs < 0)
        return err_sys(err, errno, "fsopen overlay");
    for (size_t i = 0; i < l->count; i++) {
        if (fsconfig(fs, FSCONFIG_SET_FD, "lowerdir+", NULL, l->lowers[i]) != 0)
            return err_sys(err, errno, "overlay lower layer by descriptor");
    }
    if (fsconfig(fs, FSCONFIG_SET_FD, "upperdir", NULL, l->upper) != 0 ||
        fsconfig(fs, FSCONFIG_SET_FD, "workdir", NULL, l->work) != 0)
        return err_sys(err, errno, "overlay upper layer by descriptor");
    return mount_fs(fs, spec, out_fd, err);
}

static int set_path(int fs, const char *key, const char *path, struct err *err)
{
    if (fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0) != 0)
        return err_sys(err, errno, "overlay %s=%s", key, path);
    return 0;
}

static int attach(int tree, const char *path, struct err *err)
{
    if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return err_sys(err, errno, "attach the layer %s", path);
    return 0;
}

/* Attaches the lower layers at "0", "1" … and names them in one option, the highest first. */
static int attach_lowers(const struct layers *l, char out[LOWERS_SIZE], struct err *err)
{
    size_t len = 0;

    for (size_t i = 0; i < l->count; i++) {
        char name[NAME_SIZE];

        ignore(snprintf(name, sizeof(name), "%zu", i));
        if (mkdir(name, 0755) != 0 && errno != EEXIST)
            return err_sys(err, errno, "mkdir %s", name);
        if (attach(l->lowers[i], name, err) != 0)
            return -1;
        len += (size_t)snprintf(out + len, LOWERS_SIZE - len, "%s%s", i == 0 ? "" : ":", name);
        if (len >= LOWERS_SIZE)
            return err_set(err, ERR_LIMIT, "more layers than this kernel can be told of");
    }
    return 0;
}

/* For kernels that take paths only (before 6.8 and 6.13): the trees are attached for the moment in
 * the creator's own mount namespace. The paths are relative, for a sandbox can read them. */
static int by_path(const struct overlay_spec *spec, struct layers *l, int *out_fd, struct err *err)
{
    auto_fd int fs = fsopen("overlay", FSOPEN_CLOEXEC);
    char lowers[LOWERS_SIZE], name[NAME_SIZE];
    int result = -1;

    if (fs < 0)
        return err_sys(err, errno, "fsopen overlay");
    if (attach_lowers(l, lowers, err) == 0 && attach(l->tree, "upper", err) == 0 &&
        set_path(fs, "lowerdir", lowers, err) == 0 &&
        set_path(fs, "upperdir", "upper/u", err) == 0 &&
        set_path(fs, "workdir", "upper/w", err) == 0)
        result = mount_fs(fs, spec, out_fd, err);
    ignore(umount2("upper", MNT_DETACH)); /* not attached is fine */
    for (size_t i = 0; i < l->count; i++) {
        ignore(snprintf(name, sizeof(name), "%zu", i));
        ignore(umount2(name, MNT_DETACH));
    }
    return result;
}

int overlay_make(const struct overlay_spec *spec, int *out_fd, struct err *err)
{
    struct layers l = {.tree = -1, .upper = -1, .work = -1};
    int result = layers_open(spec, &l, err);

    if (result == 0 && !spec->by_path)
        result = by_descriptor(spec, &l, out_fd, err);
    else if (result == 0)
        result = by_path(spec, &l, out_fd, err);
    layers_close(&l);
    return result;
}
