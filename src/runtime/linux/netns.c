/* SPDX-License-Identifier: Apache-2.0 */
/* See netns.h. Made by the pool's thread ahead of need, because one costs half a millisecond. */
#include "runtime/linux/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/str.h"
#include "runtime/linux/files.h"

struct sysctl_row {
    const char *path, *value;
};

/* Users are root in no namespace that owns this one, so what root may do anywhere else is allowed
 * to all here. The group range is in host ids and covers every sandbox's. */
static const struct sysctl_row sysctls[] = {
    {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"           },
    {"/proc/sys/net/ipv4/ping_group_range",           "0 2147483647"},
};

static int lo_up(struct err *err)
{
    auto_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

    if (fd < 0)
        return err_sys(err, errno, "socket");
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        return err_sys(err, errno, "bring lo up");
    return 0;
}

static int sysfs_open(int *out_fd, struct err *err)
{
    const unsigned attributes =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    auto_fd int fs = fsopen("sysfs", FSOPEN_CLOEXEC);

    if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        return err_sys(err, errno, "sysfs");
    *out_fd = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    if (*out_fd < 0)
        return err_sys(err, errno, "fsmount sysfs");
    return 0;
}

static int configure(int *out_sys_fd, struct err *err)
{
    if (lo_up(err) != 0)
        return -1;
    for (size_t i = 0; i < COUNT_OF(sysctls); i++) {
        const struct sysctl_row *row = &sysctls[i];

        if (file_write(AT_FDCWD, row->path, str_of(row->value), err) != 0)
            return -1;
    }
    return sysfs_open(out_sys_fd, err);
}

int netns_make(int host_fd, int *out_fd, int *out_sys_fd, struct err *err)
{
    auto_fd int fd = -1;
    int result;

    if (unshare(CLONE_NEWNET) != 0)
        return err_sys(err, errno, "unshare the network namespace");
    fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    result =
        fd < 0 ? err_sys(err, errno, "open the network namespace") : configure(out_sys_fd, err);
    if (setns(host_fd, CLONE_NEWNET) != 0)
        abort(); /* a thread that serves the host from inside a sandbox must not go on */
    if (result != 0)
        return -1;
    *out_fd = take_fd(&fd);
    return 0;
}

/* Loopback answers before connect(2) returns, so a refusal is known at once: *out_error is the
 * errno, 0 while connected or still connecting. */
static int try_address(int fd, const struct sockaddr *address, socklen_t size)
{
    int error = 0;
    socklen_t error_size = sizeof(error);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    if (connect(fd, address, size) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&ready, 1, 0) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
        return errno;
    return error;
}

int netns_connect(int host_fd, int netns_fd, uint16_t port, int *out_fd, struct err *err)
{
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    auto_fd int fd4 = -1;
    auto_fd int fd6 = -1;
    int error;

    if (setns(netns_fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    fd4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    error = fd4 < 0 ? errno : try_address(fd4, (const struct sockaddr *)&v4, sizeof(v4));
    if (error == ECONNREFUSED) {
        fd6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* without IPv6 the first refusal stands */
        if (fd6 >= 0)
            error = try_address(fd6, (const struct sockaddr *)&v6, sizeof(v6));
    }
    if (setns(host_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns_make() */
    if (error == ECONNREFUSED || error == EADDRNOTAVAIL)
        return err_set(err, ERR_UNAVAILABLE, "nobody listens on port %u", port);
    if (error != 0)
        return err_sys(err, error, "connect to port %u", port);
    *out_fd = fd6 >= 0 ? take_fd(&fd6) : take_fd(&fd4);
    return 0;
}
