/* SPDX-License-Identifier: Apache-2.0 */
/* See outward.h. Called by netns.c. */
#include "runtime/linux/outward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/str.h"
#include "runtime/linux/files.h"
#include "runtime/linux/netlink.h"
#include "runtime/linux/outward_rules.h"

const char outward_address[] = "192.0.0.8";
const char outward_address6[] = "fd73:616e:646c:6f74::21";
const char outward_resolv_conf[] = "nameserver 192.0.0.1\n";

enum {
    LOOPBACK = 1, /* index of lo, in every namespace */
};

struct family {
    unsigned char family, size, bits;
    const char *address;
};

static const struct family families[] = {
    {AF_INET,  4,  32,  outward_address },
    {AF_INET6, 16, 128, outward_address6},
};

static pthread_once_t ipv6_asked = PTHREAD_ONCE_INIT;
static bool ipv6_is_there;

static void ask_ipv6(void)
{
    ipv6_is_there = access("/proc/sys/net/ipv6", F_OK) == 0;
}

/* Of the kernel, so the same for all. Every look at it would put entries of one more namespace
 * where all of them are looked up. */
static bool has_ipv6(void)
{
    ignore(pthread_once(&ipv6_asked, ask_ipv6));
    return ipv6_is_there;
}

static void put_address(struct netlink *n, const struct family *f)
{
    const struct ifaddrmsg head = {.ifa_family = f->family,
                                   .ifa_prefixlen = f->bits,
                                   .ifa_flags = IFA_F_NODAD,
                                   .ifa_index = LOOPBACK};
    unsigned char address[16];

    ignore(inet_pton(f->family, f->address, address)); /* ours, and good */
    netlink_message(n, RTM_NEWADDR, NLM_F_CREATE | NLM_F_ACK, &head, sizeof(head));
    netlink_put(n, IFA_LOCAL, address, f->size);
    netlink_put(n, IFA_ADDRESS, address, f->size);
}

static void put_route(struct netlink *n, const struct family *f)
{
    const struct rtmsg head = {.rtm_family = f->family,
                               .rtm_table = RT_TABLE_LOCAL,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_scope = f->family == AF_INET ? RT_SCOPE_HOST : 0,
                               .rtm_type = RTN_LOCAL};
    const uint32_t device = LOOPBACK;
    unsigned char address[16];

    ignore(inet_pton(f->family, f->address, address)); /* ours, and good */
    netlink_message(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, &head, sizeof(head));
    netlink_put(n, RTA_OIF, &device, sizeof(device));
    netlink_put(n, RTA_PREFSRC, address, f->size);
}

/* Answers come from addresses that are local: without this they were impossible packets. */
static void put_accept_local(struct netlink *n)
{
    const uint32_t yes = 1;
    size_t families_at = netlink_open(n, IFLA_AF_SPEC), inet = netlink_open(n, AF_INET);
    size_t settings = netlink_open(n, IFLA_INET_CONF);

    netlink_put(n, IPV4_DEVCONF_ACCEPT_LOCAL, &yes, sizeof(yes));
    netlink_close(n, settings);
    netlink_close(n, inet);
    netlink_close(n, families_at);
}

int outward_loopback(bool is_outward, struct err *err)
{
    const struct ifinfomsg up = {.ifi_index = LOOPBACK, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct netlink n;

    netlink_init(&n);
    netlink_message(&n, RTM_NEWLINK, NLM_F_ACK, &up, sizeof(up));
    if (is_outward)
        put_accept_local(&n);
    for (size_t i = 0; i < COUNT_OF(families) && is_outward; i++) {
        if (families[i].family == AF_INET6 && !has_ipv6())
            continue;
        put_address(&n, &families[i]);
        put_route(&n, &families[i]);
    }
    if (netlink_talk(&n, NETLINK_ROUTE, err) != 0)
        return err_wrap(err, "loopback, addresses and routes");
    return is_outward ? outward_rules(err) : 0;
}

static int set_options(int fd, int family, struct err *err)
{
    static const struct {
        int level, option, value;
        bool is_v6;
    } rows[] = {
        {SOL_SOCKET,   SO_REUSEADDR,         1, false},
        {SOL_SOCKET,   SO_REUSEPORT,         1, false}, /* while another process takes over */
        {IPPROTO_IPV6, IPV6_V6ONLY,          0, true },
        {IPPROTO_IP,   IP_TRANSPARENT,       1, false},
        {IPPROTO_IP,   IP_RECVORIGDSTADDR,   1, false},
        {IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1, true },
        {IPPROTO_IP,   IP_RECVTTL,           1, false},
        {IPPROTO_IPV6, IPV6_RECVHOPLIMIT,    1, true },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].is_v6 && family != AF_INET6)
            continue;
        if (setsockopt(fd, rows[i].level, rows[i].option, &rows[i].value, sizeof(int)) != 0)
            return err_sys(err, errno, "socket option %d", rows[i].option);
    }
    return 0;
}

static int open_bound(int type, int *out_fd, struct err *err)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(OUTWARD_PORT)};
    const struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(OUTWARD_PORT)};
    int family = has_ipv6() ? AF_INET6 : AF_INET;
    auto_fd int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int result;

    if (fd < 0)
        return err_sys(err, errno, "socket");
    if (set_options(fd, family, err) != 0)
        return -1;
    if (family == AF_INET6)
        result = bind(fd, (const struct sockaddr *)&any6, sizeof(any6));
    else
        result = bind(fd, (const struct sockaddr *)&any, sizeof(any));
    if (result != 0)
        return err_sys(err, errno, "bind");
    *out_fd = take_fd(&fd);
    return 0;
}

static int open_raw(int family, int *out_fd, struct err *err)
{
    const int mark = OUTWARD_MARK;
    auto_fd int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);

    if (fd < 0)
        return err_sys(err, errno, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0)
        return err_sys(err, errno, "mark");
    *out_fd = take_fd(&fd);
    return 0;
}

static int open_all(int fds[RUNTIME_SOCKETS], struct err *err)
{
    if (open_bound(SOCK_STREAM, &fds[RUNTIME_STREAM], err) != 0)
        return err_wrap(err, "stream");
    if (listen(fds[RUNTIME_STREAM], SOMAXCONN) != 0)
        return err_sys(err, errno, "listen");
    if (open_bound(SOCK_DGRAM, &fds[RUNTIME_DATAGRAM], err) != 0)
        return err_wrap(err, "datagram");
    if (outward_shown_socket(&fds[RUNTIME_SHOWN], err) != 0)
        return err_wrap(err, "shown");
    if (open_raw(AF_INET, &fds[RUNTIME_RAW], err) != 0 ||
        (has_ipv6() && open_raw(AF_INET6, &fds[RUNTIME_RAW6], err) != 0))
        return err_wrap(err, "raw");
    return 0;
}

int outward_open(struct runtime_outlet *out, struct err *err)
{
    struct runtime_outlet made;

    for (size_t i = 0; i < COUNT_OF(made.fds); i++)
        made.fds[i] = -1;
    if (open_all(made.fds, err) != 0) {
        runtime_outlet_close(&made);
        return -1;
    }
    *out = made;
    return 0;
}

int outward_open_in(int host_fd, int netns_fd, struct runtime_outlet *out, struct err *err)
{
    int result;

    if (setns(netns_fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    result = outward_open(out, err);
    if (setns(host_fd, CLONE_NEWNET) != 0)
        abort(); /* a thread that serves the host from inside a sandbox must not go on */
    return result;
}
