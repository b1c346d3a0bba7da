/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on files that are the kernel's: what of /proc and /sys can be written or says too much,
 * device nodes, mounts, ways out of the root directory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "hostile.h"

enum {
    CALL_OPEN_TREE = 428,
    CALL_MOVE_MOUNT = 429,
    CALL_FSOPEN = 430,
    CALL_FSPICK = 433,
    CALL_MOUNT_SETATTR = 442,
    DEPTH_MAX = 12,
    PATH_SIZE = 1024,
    TEXT_SIZE = 512,
    STEPS_UP = 64,
};

static const int refusals[] = {EPERM, EACCES, EROFS, ENOSYS, ENOENT, 0};

/* ---- every file of the kernel's file systems ---- */

/* Whose writing is harmless: it changes how long the writer itself waits. */
static const char *const writable[] = {"/proc/pressure/"};

static bool is_writable(const char *path)
{
    for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++) {
        if (strncmp(path, writable[i], strlen(writable[i])) == 0)
            return true;
    }
    return false;
}

/* Processes have a file system each: they are other rows. */
static bool is_of_a_process(const char *path, const char *name)
{
    return strcmp(path, "/proc") == 0 &&
           (strspn(name, "0123456789") == strlen(name) || strcmp(name, "self") == 0 ||
            strcmp(name, "thread-self") == 0);
}

static void walk(const char *path, unsigned depth, unsigned *count)
{
    DIR *dir = opendir(path);
    struct dirent *e;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        char below[PATH_SIZE];
        struct stat st;
        int fd;

        if (e->d_name[0] == '.' || is_of_a_process(path, e->d_name))
            continue;
        snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
        if (lstat(below, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0)
            walk(below, depth - 1, count);
        if (!S_ISREG(st.st_mode) || is_writable(below))
            continue;
        ++*count;
        fd = open(below, O_WRONLY | O_NONBLOCK);
        if (fd >= 0)
            broke("%s can be written", below);
        if (chmod(below, 0666) == 0)
            broke("the mode of %s can be set", below);
    }
    if (dir != NULL)
        closedir(dir);
}

static void writes_below(const struct hostile_row *row)
{
    char text[TEXT_SIZE];
    unsigned count = 0;

    walk(row->text, DEPTH_MAX, &count);
    if (count < (unsigned)row->numbers[0])
        broke("only %u files were seen", count);
    snprintf(text, sizeof(text), "%u files", count);
    held(text);
}

static void write_to(const struct hostile_row *row)
{
    int fd = open(row->text, O_WRONLY);

    expect_refused(fd < 0 ? fd : write(fd, "-1", 2), refusals);
}

/* Nothing comes from it: it is absent, refused or empty. */
static void read_from(const struct hostile_row *row)
{
    char text[TEXT_SIZE];
    int fd = open(row->text, O_RDONLY | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    if (n > 0)
        broke("it can be read");
    held(n == 0 ? "empty" : strerror(errno));
}

/* Addresses of the kernel read as zero. */
static void read_zeros(const struct hostile_row *row)
{
    char line[TEXT_SIZE];
    FILE *f = fopen(row->text, "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *at = line + strspn(line, " ");
        size_t digits = strspn(at, "0123456789abcdef");

        if (strspn(at, "0") != digits)
            broke("it says %s", line);
    }
    held(f == NULL ? strerror(errno) : "zeros");
}

/* ---- devices ---- */

static void make_device(const struct hostile_row *row)
{
    static const char *const places[] = {"/tmp", "/dev", "/dev/shm", "/root", "/dev/mqueue"};
    mode_t kind = row->numbers[0] == 'b' ? S_IFBLK : S_IFCHR;
    dev_t device = makedev((unsigned)row->numbers[1], (unsigned)row->numbers[2]);

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), "%s/hostile-node", places[i]);
        if (mknod(path, kind | 0666, device) != 0)
            continue;
        if (open(path, O_RDONLY | O_NONBLOCK) >= 0)
            broke("%s can be opened", path);
        if (errno != EACCES && errno != EPERM)
            broke("%s: %s", path, strerror(errno));
        unlink(path);
    }
    held("nowhere");
}

static void make_whiteout(const struct hostile_row *row)
{
    expect_refused(mknod(row->text, S_IFCHR, 0), refusals);
}

static void open_device(const struct hostile_row *row)
{
    static const int absent[] = {ENOENT, ENXIO, EACCES, EPERM, 0};

    expect_refused(open(row->text, O_RDWR | O_NONBLOCK), absent);
}

/* The devices of /dev are no way to change how others find them. */
static void change_device(const struct hostile_row *row)
{
    if (chmod(row->text, 0600) == 0 || chown(row->text, 1000, 1000) == 0 ||
        unlink(row->text) == 0 || rename(row->text, "/dev/other") == 0)
        broke("it was changed");
    expect_refused(-1, refusals);
}

/* ---- mounts ---- */

static void mount_type(const struct hostile_row *row)
{
    static const int absent[] = {EPERM, EACCES, ENODEV, 0};
    const char *type = row->text;

    expect_refused(mount(type, "/mnt", type, 0, ""), absent);
}

static void mount_old(const struct hostile_row *row)
{
    expect_refused(mount(row->numbers[1] == 0 ? NULL : (const char *)row->numbers[1], row->text,
                         NULL, (unsigned long)row->numbers[0], NULL),
                   refusals);
}

static void unmount(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, EINVAL, ENOENT, 0}; /* EINVAL: nothing is mounted there */

    expect_refused(umount2(row->text, (int)row->numbers[0]), wanted);
}

static void new_mount(const struct hostile_row *row)
{
    const long *n = row->numbers;

    if (n[0] == CALL_FSOPEN)
        expect_refused(syscall(n[0], row->text, 0), refusals);
    expect_refused(syscall(n[0], AT_FDCWD, row->text, n[1]), refusals);
}

static void set_attributes(const struct hostile_row *row)
{
    const unsigned long attr[4] = {0, 1, 0, 0}; /* writable */

    expect_refused(syscall(CALL_MOUNT_SETATTR, AT_FDCWD, row->text, 0, attr, sizeof(attr)),
                   refusals);
}

static void move_a_mount(const struct hostile_row *row)
{
    expect_refused(syscall(CALL_MOVE_MOUNT, AT_FDCWD, row->text, AT_FDCWD, "/mnt", 0), refusals);
}

static void turn_root(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, 0};

    (void)row;
    expect_refused(syscall(SYS_pivot_root, "/dev/shm", "/dev/shm"), wanted);
}

/* Up from where chroot() left us outside: no further than to the root of our own mounts. */
static void leave_root(const struct hostile_row *row)
{
    struct stat before, after;
    int outside = open("/", O_RDONLY | O_DIRECTORY);

    (void)row;
    stat("/", &before);
    mkdir("/tmp/hostile-root", 0755);
    if (chroot("/tmp/hostile-root") != 0)
        broke("chroot: %s", strerror(errno));
    if (fchdir(outside) != 0)
        broke("fchdir: %s", strerror(errno));
    for (int i = 0; i < STEPS_UP; i++)
        if (chdir("..") != 0)
            broke("chdir: %s", strerror(errno));
    if (chroot(".") != 0 || stat("/", &after) != 0)
        broke("chroot: %s", strerror(errno));
    if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
        broke("another root");
    held("our own root");
}

/* The first process's root, by its link in /proc and up: ours. */
static void root_of_first(const struct hostile_row *row)
{
    struct stat ours, its;

    stat("/", &ours);
    if (stat(row->text, &its) != 0)
        held(strerror(errno));
    if (ours.st_dev != its.st_dev || ours.st_ino != its.st_ino)
        broke("another root");
    held("our own root");
}

/* clang-format off */
static const struct hostile_row kernel[] = {
    {"all of /proc", writes_below, "/proc", {20}},
    {"all of /sys", writes_below, "/sys", {20}},
    {"sysrq", write_to, "/proc/sysrq-trigger"},
    {"core_pattern", write_to, "/proc/sys/kernel/core_pattern"},
    {"modprobe", write_to, "/proc/sys/kernel/modprobe"},
    {"hotplug", write_to, "/proc/sys/kernel/hotplug"},
    {"user namespaces", write_to, "/proc/sys/user/max_user_namespaces"},
    {"binfmt_misc", write_to, "/proc/sys/fs/binfmt_misc/register"},
    {"drop_caches", write_to, "/proc/sys/vm/drop_caches"},
    {"uevent_helper", write_to, "/sys/kernel/uevent_helper"},
    {"power state", write_to, "/sys/power/state"},
    {"release_agent", write_to, "/sys/fs/cgroup/release_agent"},
    {"its own group", write_to, "/sys/fs/cgroup/cgroup.procs"},
    {"its own limit", write_to, "/sys/fs/cgroup/memory.limit_in_bytes"},
    {"its own maximum", write_to, "/sys/fs/cgroup/memory.max"},
    {"dearer to kill", write_to, "/proc/1/oom_score_adj"},
    {"its own map", write_to, "/proc/self/uid_map"},
    {"kcore", read_from, "/proc/kcore"},
    {"kmsg", read_from, "/proc/kmsg"},
    {"keys", read_from, "/proc/keys"},
    {"timers", read_from, "/proc/timer_list"},
    {"slabs", read_from, "/proc/slabinfo"},
    {"page flags", read_from, "/proc/kpageflags"},
    {"page groups", read_from, "/proc/kpagecgroup"},
    {"vmalloc", read_from, "/proc/vmallocinfo"},
    {"firmware", read_from, "/sys/firmware/acpi/tables/DSDT"},
    {"symbols", read_zeros, "/proc/kallsyms"},
    {"modules", read_from, "/sys/module/overlay/sections/.text"},
    {"memory map", read_zeros, "/proc/iomem"},
    {"ports", read_zeros, "/proc/ioports"},
};

static const struct hostile_row devices[] = {
    {"disk sda", make_device, .numbers = {'b', 8, 0}},
    {"disk vda", make_device, .numbers = {'b', 254, 0}},
    {"loop disk", make_device, .numbers = {'b', 7, 0}},
    {"memory", make_device, .numbers = {'c', 1, 1}},
    {"kernel memory", make_device, .numbers = {'c', 1, 2}},
    {"ports", make_device, .numbers = {'c', 1, 4}},
    {"kernel log", make_device, .numbers = {'c', 1, 11}},
    {"console", make_device, .numbers = {'c', 5, 1}},
    {"first terminal", make_device, .numbers = {'c', 4, 1}},
    {"serial line", make_device, .numbers = {'c', 4, 64}},
    {"tun", make_device, .numbers = {'c', 10, 200}},
    {"fuse", make_device, .numbers = {'c', 10, 229}},
    {"kvm", make_device, .numbers = {'c', 10, 232}},
    {"loop control", make_device, .numbers = {'c', 10, 237}},
    {"a whiteout", make_whiteout, "/tmp/hostile-whiteout"},
    {"/dev/mem", open_device, "/dev/mem"},
    {"/dev/kmsg", open_device, "/dev/kmsg"},
    {"/dev/console", open_device, "/dev/console"},
    {"/dev/fuse", open_device, "/dev/fuse"},
    {"/dev/kvm", open_device, "/dev/kvm"},
    {"/dev/net/tun", open_device, "/dev/net/tun"},
    {"/dev/vhost-vsock", open_device, "/dev/vhost-vsock"},
    {"/dev/userfaultfd", open_device, "/dev/userfaultfd"},
    {"a terminal of somebody", open_device, "/dev/tty"},
    {"/dev/null", change_device, "/dev/null"},
    {"/dev/envd", change_device, "/dev/envd"},
};

static const struct hostile_row mounts[] = {
    {"tmpfs", mount_type, "tmpfs"},
    {"proc", mount_type, "proc"},
    {"sysfs", mount_type, "sysfs"},
    {"cgroup", mount_type, "cgroup"},
    {"cgroup2", mount_type, "cgroup2"},
    {"devpts", mount_type, "devpts"},
    {"devtmpfs", mount_type, "devtmpfs"},
    {"debugfs", mount_type, "debugfs"},
    {"tracefs", mount_type, "tracefs"},
    {"securityfs", mount_type, "securityfs"},
    {"bpf", mount_type, "bpf"},
    {"binfmt_misc", mount_type, "binfmt_misc"},
    {"overlay", mount_type, "overlay"},
    {"fuse", mount_type, "fuse"},
    {"mqueue", mount_type, "mqueue"},
    {"ext4", mount_type, "ext4"},
    {"a bind", mount_old, "/mnt", {MS_BIND, (long)"/etc"}},
    {"all, bound", mount_old, "/mnt", {MS_BIND | MS_REC, (long)"/"}},
    {"a move", mount_old, "/mnt", {MS_MOVE, (long)"/proc"}},
    {"shared propagation", mount_old, "/", {MS_SHARED | MS_REC}},
    {"private propagation", mount_old, "/", {MS_PRIVATE | MS_REC}},
    {"writable /proc/sys", mount_old, "/proc/sys", {MS_REMOUNT | MS_BIND}},
    {"writable /sys", mount_old, "/sys", {MS_REMOUNT | MS_BIND}},
    {"a root with devices", mount_old, "/", {MS_REMOUNT | MS_BIND}},
    {"writable envd", mount_old, "/dev/envd", {MS_REMOUNT | MS_BIND}},
    {"unmount kcore", unmount, "/proc/kcore", {MNT_DETACH}},
    {"unmount sysrq", unmount, "/proc/sysrq-trigger", {MNT_DETACH}},
    {"unmount keys", unmount, "/proc/keys", {MNT_DETACH}},
    {"unmount /proc/sys", unmount, "/proc/sys", {MNT_DETACH}},
    {"unmount /proc", unmount, "/proc", {MNT_DETACH}},
    {"unmount /dev", unmount, "/dev", {MNT_DETACH}},
    {"unmount all", unmount, "/", {MNT_DETACH}},
    {"unmount, expired", unmount, "/proc", {MNT_EXPIRE}},
    {"fsopen tmpfs", new_mount, "tmpfs", {CALL_FSOPEN}},
    {"fsopen proc", new_mount, "proc", {CALL_FSOPEN}},
    {"fsopen overlay", new_mount, "overlay", {CALL_FSOPEN}},
    {"fspick /proc", new_mount, "/proc", {CALL_FSPICK}},
    {"a clone of a tree", new_mount, "/", {CALL_OPEN_TREE, 1 | O_CLOEXEC | 0x8000}},
    {"attributes of /proc/sys", set_attributes, "/proc/sys"},
    {"attributes of /sys", set_attributes, "/sys"},
    {"move_mount", move_a_mount, "/proc"},
    {"pivot_root", turn_root},
    {"out of a chroot", leave_root},
    {"the first one's root", root_of_first, "/proc/1/root"},
    {"above its root", root_of_first, "/proc/1/root/.."},
    {"above its directory", root_of_first, "/proc/1/cwd/../../../.."},
};
/* clang-format on */

const struct hostile_list hostile_kernel = {kernel, sizeof(kernel) / sizeof(kernel[0])};
const struct hostile_list hostile_devices = {devices, sizeof(devices) / sizeof(devices[0])};
const struct hostile_list hostile_mounts = {mounts, sizeof(mounts) / sizeof(mounts[0])};
