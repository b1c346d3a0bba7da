/* SPDX-License-Identifier: Apache-2.0 */
/* See netlink.h. Used by outward.c. */
#include "runtime/linux/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

void netlink_init(struct netlink *n)
{
    n->len = n->message = 0;
    n->seq = n->last_asked = 0;
    n->is_too_long = false;
}

/* Room for `size` bytes, zeroed up to the alignment; NULL when there is none. */
static char *take(struct netlink *n, size_t size)
{
    size_t whole = NLMSG_ALIGN(size);
    char *at = n->bytes + n->len;

    if (n->is_too_long || whole > sizeof(n->bytes) - n->len) {
        n->is_too_long = true;
        return NULL;
    }
    memset(at, 0, whole);
    n->len += whole;
    if (n->message < n->len)
        ((struct nlmsghdr *)(void *)(n->bytes + n->message))->nlmsg_len =
            (uint32_t)(n->len - n->message);
    return at;
}

void netlink_message(struct netlink *n, unsigned type, unsigned flags, const void *head,
                     size_t size)
{
    struct nlmsghdr *h;
    char *at;

    n->message = n->len;
    h = (struct nlmsghdr *)(void *)take(n, sizeof(*h));
    at = take(n, size);
    if (at == NULL)
        return;
    h->nlmsg_type = (uint16_t)type;
    h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    h->nlmsg_seq = ++n->seq;
    if ((flags & NLM_F_ACK) != 0)
        n->last_asked = n->seq;
    memcpy(at, head, size);
}

void netlink_put(struct netlink *n, unsigned type, const void *data, size_t size)
{
    char *at = take(n, sizeof(struct nlattr) + size);
    const struct nlattr a = {(uint16_t)(sizeof(a) + size), (uint16_t)type};

    if (at == NULL)
        return;
    memcpy(at, &a, sizeof(a));
    if (size > 0)
        memcpy(at + sizeof(a), data, size);
}

void netlink_put_text(struct netlink *n, unsigned type, const char *text)
{
    netlink_put(n, type, text, strlen(text) + 1);
}

void netlink_put_be16(struct netlink *n, unsigned type, uint16_t value)
{
    const uint16_t be = htons(value);

    netlink_put(n, type, &be, sizeof(be));
}

void netlink_put_be32(struct netlink *n, unsigned type, uint32_t value)
{
    const uint32_t be = htonl(value);

    netlink_put(n, type, &be, sizeof(be));
}

size_t netlink_open(struct netlink *n, unsigned type)
{
    size_t at = n->len;

    netlink_put(n, type | NLA_F_NESTED, NULL, 0);
    return at;
}

void netlink_close(struct netlink *n, size_t opened)
{
    uint16_t len = (uint16_t)(n->len - opened);

    if (!n->is_too_long)
        memcpy(n->bytes + opened, &len, sizeof(len));
}

static int read_answer(int fd, uint32_t last, struct err *err)
{
    _Alignas(8) char answer[NETLINK_SIZE];

    for (;;) {
        ssize_t got = recv(fd, answer, sizeof(answer), 0);
        struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer;
        unsigned len = got < 0 ? 0 : (unsigned)got;

        if (got < 0)
            return err_sys(err, errno, "netlink");
        for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
            struct nlmsgerr e;

            if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_len < NLMSG_LENGTH(sizeof(e)))
                continue;
            memcpy(&e, NLMSG_DATA(h), sizeof(e));
            if (e.error != 0)
                return err_sys(err, -e.error, "netlink message %u", h->nlmsg_seq);
            if (h->nlmsg_seq == last)
                return 0;
        }
    }
}

int netlink_ask(const struct netlink *n, int fd, struct err *err)
{
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    if (n->is_too_long)
        return err_set(err, ERR_LIMIT, "netlink request is too long");
    if (sendto(fd, n->bytes, n->len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
        return err_sys(err, errno, "netlink send");
    return read_answer(fd, n->last_asked, err);
}

int netlink_talk(const struct netlink *n, int protocol, struct err *err)
{
    const struct timeval limit = {.tv_sec = 5};
    auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
        return err_sys(err, errno, "netlink socket");
    return netlink_ask(n, fd, err);
}
