/* SPDX-License-Identifier: Apache-2.0 */
/* See boot_id.h. Used by launch.c. */
#include "runtime/linux/boot_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/linux/files.h"

enum {
    BUSY_TRIES = 1000, /* with the pause below: a second */
    BUSY_PAUSE_NS = 1000000,
};

const char boot_id_place[] = "boot", boot_id_file[] = "boot_id";
const char boot_id_target[] = "proc/sys/kernel/random/boot_id";

static int mount_empty(int *out_fd, struct err *err)
{
    static const char *const options[][2] = {
        {"size", "4k"  },
        {"mode", "0755"}
    };
    auto_fd int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (fs < 0)
        return err_sys(err, errno, "fsopen tmpfs");
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (fsconfig(fs, FSCONFIG_SET_STRING, options[i][0], options[i][1], 0) != 0)
            return err_sys(err, errno, "tmpfs option %s", options[i][0]);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        return err_sys(err, errno, "tmpfs");
    *out_fd =
        fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    return *out_fd >= 0 ? 0 : err_sys(err, errno, "fsmount tmpfs");
}

/* A program that another thread starts just now has the file open for writing, too, until it is
 * executed. */
static int make_read_only(int mount)
{
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};
    struct mount_attr fixed = {.attr_set = MOUNT_ATTR_RDONLY};

    for (unsigned tries = 0; tries < BUSY_TRIES; tries++) {
        if (mount_setattr(mount, "", AT_EMPTY_PATH, &fixed, sizeof(fixed)) == 0)
            return 0;
        if (errno != EBUSY)
            return -1;
        nanosleep(&pause, NULL);
    }
    return -1;
}

int boot_id_make(const char id[BOOT_ID_SIZE], int *out_fd, struct err *err)
{
    char text[BOOT_ID_SIZE + 1];
    auto_fd int mount = -1;
    int len = snprintf(text, sizeof(text), "%s\n", id);

    if (mount_empty(&mount, err) != 0 ||
        file_create(mount, boot_id_file, (struct str){text, (size_t)len}, err) != 0)
        return -1;
    if (fchmodat(mount, boot_id_file, 0444, 0) != 0 || make_read_only(mount) != 0)
        return err_sys(err, errno, "protect %s", boot_id_file);
    *out_fd = take_fd(&mount);
    return 0;
}
