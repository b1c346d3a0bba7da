/* SPDX-License-Identifier: Apache-2.0 */
/* See netns.h. Made by the pool's thread ahead of need, because one costs half a millisecond. */
#include "runtime/linux/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/str.h"
#include "runtime/linux/files.h"
#include "runtime/linux/outward.h"

struct sysctl_row {
    const char *name, *value;
};

/* Users are root in no namespace that owns this one, so what root may do anywhere else is allowed
 * to all here. The group range is in host ids and covers every sandbox's. */
static const struct sysctl_row sysctls[] = {
    {"ip_unprivileged_port_start", "0"           },
    {"ping_group_range",           "0 2147483647"},
};

const struct netns netns_none = {-1, -1, {{-1, -1, -1, -1, -1}}};
_Static_assert(RUNTIME_SOCKETS == 5, "netns_none has one number for each");

static int configure(const struct netns_wish *wish, struct err *err)
{
    auto_fd int dir = open("/proc/sys/net/ipv4", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return err_sys(err, errno, "/proc/sys/net/ipv4");
    for (size_t i = 0; i < COUNT_OF(sysctls); i++) {
        if (file_write(dir, sysctls[i].name, str_of(sysctls[i].value), err) != 0)
            return -1;
    }
    return outward_loopback(wish->is_outward, err);
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

void netns_done(struct netns *n)
{
    own_close_fd(&n->fd);
    own_close_fd(&n->sys_fd);
    runtime_outlet_close(&n->outlet);
    *n = netns_none;
}

int netns_make(const struct netns_wish *wish, struct netns *out, struct err *err)
{
    struct netns made = netns_none;
    int result;

    if (unshare(CLONE_NEWNET) != 0)
        return err_sys(err, errno, "unshare the network namespace");
    made.fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    result = made.fd < 0 ? err_sys(err, errno, "open the network namespace") : configure(wish, err);
    if (result == 0)
        result = sysfs_open(&made.sys_fd, err);
    /* here, where nobody waits: a start waits for what opens them in a namespace that runs */
    if (result == 0 && wish->is_outward)
        result = outward_open(&made.outlet, err);
    if (setns(wish->host_fd, CLONE_NEWNET) != 0)
        abort(); /* a thread that serves the host from inside a sandbox must not go on */
    if (result != 0) {
        netns_done(&made);
        return -1;
    }
    *out = made;
    return 0;
}

int netns_outlet(const struct netns_wish *wish, struct netns *n, struct runtime_outlet *out,
                 struct err *err)
{
    if (n->outlet.fds[RUNTIME_STREAM] < 0)
        return outward_open_in(wish->host_fd, n->fd, out, err);
    *out = n->outlet;
    n->outlet = netns_none.outlet;
    return 0;
}

void netns_prepare(const struct netns_wish *wish, struct netns *n)
{
    struct err unused;

    if (!wish->is_outward || n->outlet.fds[RUNTIME_STREAM] >= 0)
        return;
    if (outward_open_in(wish->host_fd, n->fd, &n->outlet, &unused) != 0)
        n->outlet = netns_none.outlet;
}

void netns_unprepare(struct netns *n)
{
    runtime_outlet_close(&n->outlet);
    n->outlet = netns_none.outlet;
}

int netns_configure(const struct netns_wish *wish, int netns_fd, struct err *err)
{
    int result;

    if (setns(netns_fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    result = configure(wish, err);
    if (setns(wish->host_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns_make() */
    return result;
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

static int try_one(int family, const char *text, uint16_t port, int *out_fd)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    auto_fd int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0)
        return errno;
    if (family == AF_INET) {
        ignore(inet_pton(family, text, &v4.sin_addr)); /* ours, and good */
        error = try_address(fd, (const struct sockaddr *)&v4, sizeof(v4));
    } else {
        ignore(inet_pton(family, text, &v6.sin6_addr));
        error = try_address(fd, (const struct sockaddr *)&v6, sizeof(v6));
    }
    if (error == 0)
        *out_fd = take_fd(&fd);
    return error;
}

/* The first refusal stands when nothing better comes: without IPv6 the others have another error.
 * An address that a namespace does not have is nobody's. */
static int try_all(uint16_t port, bool is_outward, int *out_fd)
{
    const struct {
        int family;
        const char *text;
    } rows[] = {
        {AF_INET,  "127.0.0.1"     },
        {AF_INET6, "::1"           },
        {AF_INET,  outward_address },
        {AF_INET6, outward_address6},
    };
    int first = 0;

    for (size_t i = 0; i < (is_outward ? COUNT_OF(rows) : 2); i++) {
        int error = try_one(rows[i].family, rows[i].text, port, out_fd);

        if (error == 0 || (i == 0 && error != ECONNREFUSED))
            return error;
        first = first == 0 ? error : first;
    }
    return first;
}

int netns_connect(const struct netns_wish *wish, int netns_fd, uint16_t port, int *out_fd,
                  struct err *err)
{
    int error;

    if (setns(netns_fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    error = try_all(port, wish->is_outward, out_fd);
    if (setns(wish->host_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns_make() */
    if (error == ECONNREFUSED || error == EADDRNOTAVAIL)
        return err_set(err, ERR_UNAVAILABLE, "nobody listens on port %u", port);
    if (error != 0)
        return err_sys(err, error, "connect to port %u", port);
    return 0;
}
