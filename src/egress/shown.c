/* SPDX-License-Identifier: Apache-2.0 */
/* See shown.h. */
#include "egress/shown.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

/* The kernel's own bytes; still nothing is read that lies outside of them. */
bool shown_packet(struct str message, struct str *out)
{
    const size_t head = NLMSG_LENGTH(sizeof(struct nfgenmsg));
    struct nlmsghdr h;
    struct str rest;

    if (message.len < head)
        return false;
    memcpy(&h, message.at, sizeof(h));
    if (h.nlmsg_type != ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET) ||
        h.nlmsg_len > message.len || h.nlmsg_len < head)
        return false;
    rest = str_from((struct str){message.at, h.nlmsg_len}, head);
    while (rest.len >= sizeof(struct nlattr)) {
        struct nlattr a;
        size_t step;

        memcpy(&a, rest.at, sizeof(a));
        if (a.nla_len < sizeof(a) || a.nla_len > rest.len)
            return false;
        if ((a.nla_type & NLA_TYPE_MASK) == NFULA_PAYLOAD) {
            *out = (struct str){rest.at + sizeof(a), a.nla_len - sizeof(a)};
            return true;
        }
        step = (size_t)NLA_ALIGN(a.nla_len);
        rest = str_from(rest, step < rest.len ? step : rest.len);
    }
    return false;
}
