/* SPDX-License-Identifier: Apache-2.0 */
/* See route.h. One question and its answer at a time; the kernel answers before send(2) returns. */
#include "egress/route.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct question {
    struct nlmsghdr head;
    struct rtmsg route;
    struct rtattr attribute;
    uint8_t address[16];
};

enum { ANSWER_SIZE = 2048 };

int route_table_open(int *out_fd, struct err *err)
{
    *out_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    return *out_fd < 0 ? err_sys(err, errno, "open the routing table") : 0;
}

static int ask(int fd, const struct place *to, uint32_t seq)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    bool is_v4 = place_is_v4(to);
    unsigned size = is_v4 ? 4 : 16;
    struct question q = {0};

    q.head.nlmsg_len = (uint32_t)(offsetof(struct question, address) + size);
    q.head.nlmsg_type = RTM_GETROUTE;
    q.head.nlmsg_flags = NLM_F_REQUEST;
    q.head.nlmsg_seq = seq;
    q.route.rtm_family = is_v4 ? AF_INET : AF_INET6;
    q.route.rtm_dst_len = (unsigned char)(size * 8);
    q.attribute.rta_len = (unsigned short)RTA_LENGTH(size);
    q.attribute.rta_type = RTA_DST;
    memcpy(q.address, to->address + 16 - size, size);
    if (sendto(fd, &q, q.head.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
        return errno;
    return 0;
}

/* The errno or route type in an answer. */
static int read_answer(char *answer, size_t len)
{
    struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer;
    struct rtmsg route;
    int error;

    if (h->nlmsg_type == NLMSG_ERROR && len >= NLMSG_LENGTH(sizeof(error))) {
        memcpy(&error, NLMSG_DATA(h), sizeof(error));
        return error == 0 ? EIO : -error;
    }
    if (h->nlmsg_type != RTM_NEWROUTE || len < NLMSG_LENGTH(sizeof(route)))
        return EIO;
    memcpy(&route, NLMSG_DATA(h), sizeof(route));
    return route.rtm_type == RTN_UNICAST ? 0 : EACCES;
}

int route_check(int table_fd, const struct place *to)
{
    static uint32_t last_seq;
    _Alignas(8) char answer[ANSWER_SIZE];
    const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answer;
    const uint32_t seq = ++last_seq;
    int error = ask(table_fd, to, seq);
    ssize_t n;

    if (error != 0)
        return error;
    do {
        n = recv(table_fd, answer, sizeof(answer), 0);
        if (n < (ssize_t)sizeof(*h))
            return n < 0 ? errno : EIO;
    } while (h->nlmsg_seq != seq); /* of a question whose answer was not waited for */
    return read_answer(answer, (size_t)n);
}
