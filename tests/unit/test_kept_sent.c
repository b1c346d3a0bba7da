/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/kept.c, KEPT_SENT: when the call returns the revocation is in the device, where
 * the end of the kernel does not reach it. The device is a loop over a file, so that it can be
 * looked at past the page cache of the file system on it. */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "runtime/linux/files.h"
#include "runtime/linux/kept.h"
#include "test.h"

enum { DEVICE_SIZE = 8 << 20, WORD = 11 };

static char dir[] = "/tmp/sandlot-sent-XXXXXX";
static char device[64], place[64];

static bool runs(const char *const argv[])
{
    pid_t pid;
    int status;

    return posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ) == 0 &&
           waitpid(pid, &status, 0) == pid && status == 0;
}

static void removes(void)
{
    struct err err = {0};

    ignore(umount2(place, MNT_DETACH)); /* its loop goes with it */
    CHECK(tree_remove(AT_FDCWD, dir, &err) == 0);
}

static void mounts(void)
{
    const char *const make[] = {"mkfs.ext4", "-q", "-F", device, NULL};
    const char *const mount[] = {"mount", "-o", "loop", device, place, NULL};
    int fd;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(device, sizeof(device), "%s/device", dir);
    snprintf(place, sizeof(place), "%s/place", dir);
    fd = open(device, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, DEVICE_SIZE) == 0 && close(fd) == 0);
    CHECK(mkdir(place, 0700) == 0);
    if (runs(make) && runs(mount))
        return;
    removes();
    test_skip("no loop device with an ext4 here (root, mkfs.ext4, loop)");
}

/* Of the first byte of the record in the device. */
static off_t find(int fd)
{
    union {
        struct fiemap map;
        char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
    } f = {
        .map = {.fm_length = 1, .fm_extent_count = 1}
    };

    CHECK(ioctl(fd, FS_IOC_FIEMAP, &f.map) == 0 && f.map.fm_mapped_extents == 1);
    return (off_t)f.map.fm_extents[0].fe_physical;
}

static bool device_has(off_t at, const char *word)
{
    auto_fd int fd = open(device, O_RDONLY | O_CLOEXEC);
    char found[WORD];

    CHECK(pread(fd, found, WORD, at) == WORD);
    return memcmp(found, word, WORD) == 0;
}

static void is_in_the_device(void)
{
    struct kept k = {.id = "abc", .rootfs = mem_text("/t"), .envd = mem_text("/g")}, back;
    struct err err = {0};
    int dir_fd, fd;
    off_t at;

    mounts();
    dir_fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stack_add(&k.layers, "/a");
    CHECK(dir_fd >= 0 && kept_write(dir_fd, &k, &err) == 0);
    kept_done(&k);
    fd = openat(dir_fd, "kept", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    at = find(fd);
    CHECK(device_has(at, "holds kept\n"));
    CHECK(pwrite(fd, "holds what\n", WORD, 0) == WORD);
    CHECK(device_has(at, "holds kept\n")); /* a write alone is not */
    CHECK(kept_revoke(dir_fd, KEPT_SENT, &err) == 0);
    CHECK(device_has(at, "holds gone\n"));
    CHECK(kept_read(dir_fd, &back, &err) == -1 && err.kind == ERR_NOT_FOUND);
    close(fd);
    close(dir_fd);
    removes();
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a revocation that was sent is in the device", is_in_the_device},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
