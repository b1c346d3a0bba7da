/* SPDX-License-Identifier: Apache-2.0 */
/* See saver.h. */
#include "runtime/linux/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"

/* CRIU's own scripts are the only way to be called between its steps. */
static const char hook[] = "#!/bin/sh\n"
                           "case $CRTOOLS_SCRIPT_ACTION in\n"
                           "setup-namespaces | pre-resume) ;;\n"
                           "*) exit 0 ;;\n"
                           "esac\n"
                           "echo \"$CRTOOLS_INIT_PID\" >\"${0%hook}asked\"\n"
                           "read -r answer <\"${0%hook}told\"\n"
                           "[ \"$answer\" = go ]\n";

static const char run_path[] = "/run";

/* Two reasons for a /run of our own: CRIU remembers what it knows of the kernel there, but only on
 * a tmpfs (without one it finds it out each time, for a third of a second); and what it restores,
 * which is nobody on this host, must reach the stage. */
static int move_stage(const struct linux_driver *d, struct err *err)
{
    auto_fd int stage = -1;

    if (path_is_below(d->data_dir, str_of(run_path)))
        return err_set(err, ERR_UNSUPPORTED, "no checkpoints: data_dir is below %s", run_path);
    stage = open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (stage < 0 || mount("sandlot", run_path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=2m"))
        return err_sys(err, errno, "mount %s", run_path);
    if (mkdir(SAVER_STAGE, 0755) != 0 ||
        move_mount(stage, "", AT_FDCWD, SAVER_STAGE, MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
        chdir(SAVER_STAGE) != 0 || chmod(".", 0755) != 0)
        return err_sys(err, errno, "move the stage");
    return 0;
}

/* Of a network namespace like a sandbox's: what it shows of it is loopback. */
static int mount_sys(const struct linux_driver *d, int *out_net_fd, struct err *err)
{
    struct netns like = netns_none;
    int result = netns_make(&d->wish, &like, err);

    if (result != 0)
        return -1;
    if (move_mount(like.sys_fd, "", AT_FDCWD, "sys", MOVE_MOUNT_F_EMPTY_PATH) != 0)
        result = err_sys(err, errno, "mount sysfs");
    if (result == 0)
        *out_net_fd = take_fd(&like.fd);
    netns_done(&like);
    return result;
}

static int make_hook(struct err *err)
{
    if (mkfifo("guest/asked", 0600) != 0 || mkfifo("guest/told", 0600) != 0)
        return err_sys(err, errno, "make the pipes of criu's script");
    if (file_create(AT_FDCWD, "guest/hook", str_of(hook), err) != 0)
        return -1;
    return chmod("guest/hook", 0700) == 0 ? 0 : err_sys(err, errno, "chmod criu's script");
}

int saver_prepare(struct linux_driver *d, int *out_net_fd, struct err *err)
{
    if (move_stage(d, err) != 0 || mount_sys(d, out_net_fd, err) != 0)
        return -1;
    return make_hook(err);
}

static const char knowledge_path[] = "/run/criu.kdat";

enum { KNOWLEDGE_MAX = 256 << 10 };

void saver_tell(struct linux_driver *d)
{
    struct knowledge *k = &d->knowledge;
    struct err unused;

    pthread_mutex_lock(&d->savers.lock);
    if (k->text != NULL && access(knowledge_path, F_OK) != 0)
        ignore(file_create(AT_FDCWD, knowledge_path, (struct str){k->text, k->len}, &unused));
    pthread_mutex_unlock(&d->savers.lock);
}

void saver_note(struct linux_driver *d)
{
    struct knowledge *k = &d->knowledge;
    struct err unused;

    pthread_mutex_lock(&d->savers.lock);
    if (k->text == NULL && file_load(knowledge_path, KNOWLEDGE_MAX, &k->text, &k->len, &unused))
        k->text = NULL; /* CRIU did not run yet */
    pthread_mutex_unlock(&d->savers.lock);
}

/* The file stays as long as it is the same one: those that were restored with it have it mounted,
 * and CRIU cannot restore a mount of a file that was removed. */
int saver_set_guest(const char *envd, struct err *err)
{
    char was[PATH_MAX];
    ssize_t len = readlink("guest/from", was, sizeof(was));

    if (len > 0 && (size_t)len < sizeof(was) && (size_t)len == strlen(envd) &&
        memcmp(was, envd, (size_t)len) == 0)
        return 0;
    ignore(unlink("guest/from")); /* there is none at first */
    if (file_copy(envd, "guest/envd", 0755, err) != 0)
        return -1;
    return symlink(envd, "guest/from") == 0 ? 0 : err_sys(err, errno, "note the guest's file");
}
