/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/overlay.c where the disk is full: a file system that knows how many files it may
 * have still takes the two directories of a sandbox, and not what the kernel makes below them. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/linux/overlay.h"
#include "test.h"

enum { FULL_FILES = 7 }; /* its root, rootfs, box, u, w, upper and 0 */

static char dir[] = "/tmp/sandlot-overlay-XXXXXX";

/* In a mount namespace of our own, which is a creator's stage too: overlays are given by path. */
static void stage(void)
{
    static const char *const names[] = {"rootfs", "box", "box/u", "box/w", "upper", "0"};
    char options[64];

    snprintf(options, sizeof(options), "nr_inodes=%d", FULL_FILES);
    if (unshare(CLONE_NEWNS) != 0)
        test_skip("needs root");
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mkdtemp(dir) != NULL);
    CHECK(mount("tmpfs", dir, "tmpfs", 0, options) == 0 && chdir(dir) == 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        CHECK(mkdir(names[i], 0755) == 0);
}

static void full_is_an_error(void)
{
    char rootfs[64], box[64], room[] = "nr_inodes=100";
    const struct overlay_spec spec = {
        .rootfs = rootfs, .dir = box, .userns_fd = -1, .by_path = true};
    struct err err = {0};
    int fd = -1;

    stage();
    snprintf(rootfs, sizeof(rootfs), "%s/rootfs", dir);
    snprintf(box, sizeof(box), "%s/box", dir);
    CHECK(overlay_make(&spec, &fd, &err) == -1 && err.kind == ERR_NO_SPACE);
    CHECK(fd == -1);
    CHECK(mount(NULL, dir, NULL, MS_REMOUNT, room) == 0);
    CHECK(overlay_make(&spec, &fd, &err) == 0);
    CHECK(faccessat(fd, ".", W_OK, AT_EACCESS) == 0);
    own_close_fd(&fd);
    CHECK(chdir("/") == 0 && umount2(dir, MNT_DETACH) == 0 && rmdir(dir) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a full disk is an error, not an overlay that nobody can write", full_is_an_error},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
