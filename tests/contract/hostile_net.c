/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks by sockets: families that know no network namespace, the host's kernel by netlink, the
 * settings of a network that is the host's, names of the host. */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostile.h"

enum {
    FAMILIES = 64,
    PROTOCOLS = 64,
    NETLINK_ROUTE = 0,
    NETLINK_SOCK_DIAG = 4,
    NETLINK_NETFILTER = 12,
    NETLINK_GENERIC = 16,
    BRIDGE_ADD = 0x89a0,
    NEW_LINK = 16,
    NEW_ADDRESS = 20,
    NEW_ROUTE = 24,
    REQUEST = 1 | 4 | 0x400, /* with an acknowledgement, to be made */
    ERROR = 2,
};

static const int refusals[] = {EPERM, EACCES, 0};

static void families(const struct hostile_row *row)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};

    (void)row;
    for (int family = 0; family < FAMILIES; family++) {
        if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK)
            continue;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            if (socket(family, types[i], 0) >= 0)
                broke("family %d, type %d", family, types[i]);
            if (errno != EAFNOSUPPORT)
                broke("family %d, type %d: %s", family, types[i], strerror(errno));
        }
    }
    held("none");
}

/* Of netlink what programs ask for their own network, and nothing that reaches further. */
static void netlinks(const struct hostile_row *row)
{
    (void)row;
    for (int protocol = 0; protocol < PROTOCOLS; protocol++) {
        int fd;

        if (protocol == NETLINK_ROUTE || protocol == NETLINK_SOCK_DIAG ||
            protocol == NETLINK_NETFILTER || protocol == NETLINK_GENERIC)
            continue;
        fd = socket(AF_NETLINK, SOCK_RAW, protocol);
        if (fd >= 0)
            broke("protocol %d", protocol);
        if (errno != EPROTONOSUPPORT)
            broke("protocol %d: %s", protocol, strerror(errno));
    }
    held("none");
}

static void open_raw(const struct hostile_row *row)
{
    expect_refused(socket((int)row->numbers[0], SOCK_RAW, (int)row->numbers[1]), refusals);
}

static void set_option(const struct hostile_row *row)
{
    int one = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);

    expect_refused(setsockopt(fd, (int)row->numbers[0], (int)row->numbers[1], &one, sizeof(one)),
                   refusals);
}

static void set_interface(const struct hostile_row *row)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    expect_refused(ioctl(fd, (int)row->numbers[0], &request), refusals);
}

/* A new link, address or route: the answer says why not. */
static void ask_route(const struct hostile_row *row)
{
    struct {
        uint32_t size;
        uint16_t type, flags;
        uint32_t sequence, port;
        unsigned char body[32];
    } request = {
        sizeof(request), (uint16_t)row->numbers[0], REQUEST, 1, 0, {AF_INET, 32}
    };
    struct {
        uint32_t size;
        uint16_t type, flags;
        uint32_t sequence, port;
        int32_t error;
        unsigned char rest[256];
    } answer = {0};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    if (fd < 0 || send(fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request) ||
        recv(fd, &answer, sizeof(answer), 0) < 20 || answer.type != ERROR)
        broke("no answer: %s", strerror(errno));
    errno = -answer.error;
    expect_refused(answer.error == 0 ? 0 : -1, refusals);
}

/* A table of rules, and to hear of others' rules. */
static void filter_rules(const struct hostile_row *row)
{
    struct {
        uint32_t size;
        uint16_t type, flags;
        uint32_t sequence, port;
        uint8_t family, version;
        uint16_t resource;
    } batch[3] = {
        {20, 16,      1,       1, 0, 0, 0, 10 << 8},
        {20, 10 << 8, REQUEST, 2, 0, 2, 0, 0      },
        {20, 17,      1,       3, 0, 0, 0, 10 << 8}
    };
    struct {
        uint32_t size;
        uint16_t type, flags;
        uint32_t sequence, port;
        int32_t error;
        unsigned char rest[256];
    } answer = {0};
    const struct timeval soon = {1, 0};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);

    (void)row;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    if (send(fd, batch, sizeof(batch), 0) < 0)
        expect_refused(-1, refusals);
    if (recv(fd, &answer, sizeof(answer), 0) < 20 || answer.type != ERROR)
        broke("no answer: %s", strerror(errno));
    errno = -answer.error;
    expect_refused(answer.error == 0 ? 0 : -1, refusals);
}

/* A name without a file that a process of the host listens on. */
static void connect_to(const struct hostile_row *row)
{
    static const int wanted[] = {ECONNREFUSED, 0};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(at.sun_path + 1, row->text, strlen(row->text));
    expect_refused(
        connect(fd, (struct sockaddr *)&at,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(row->text))),
        wanted);
}

/* clang-format off */
static const struct hostile_row sockets[] = {
    {"other families", families},
    {"netlink", netlinks},
    {"raw ICMP", open_raw, .numbers = {AF_INET, IPPROTO_ICMP}},
    {"raw IP", open_raw, .numbers = {AF_INET, IPPROTO_RAW}},
    {"raw IPv6", open_raw, .numbers = {AF_INET6, IPPROTO_RAW}},
    {"marks", set_option, .numbers = {SOL_SOCKET, SO_MARK}},
    {"large buffers", set_option, .numbers = {SOL_SOCKET, SO_RCVBUFFORCE}},
    {"others' addresses", set_option, .numbers = {IPPROTO_IP, IP_TRANSPARENT}},
    {"interface down", set_interface, .numbers = {SIOCSIFFLAGS}},
    {"its size", set_interface, .numbers = {SIOCSIFMTU}},
    {"another address", set_interface, .numbers = {SIOCSIFADDR}},
    {"a new link", ask_route, .numbers = {NEW_LINK}},
    {"a new address", ask_route, .numbers = {NEW_ADDRESS}},
    {"a new route", ask_route, .numbers = {NEW_ROUTE}},
    {"rules", filter_rules},
    {"a name of the host", connect_to, HOSTILE_NAME},
};
/* clang-format on */

const struct hostile_list hostile_sockets = {sockets, sizeof(sockets) / sizeof(sockets[0])};
