/* SPDX-License-Identifier: Apache-2.0 */
/* See outward_rules.h. */
#include "runtime/linux/outward_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/own.h"
#include "runtime/linux/netlink.h"
#include "runtime/linux/outward.h"

enum {
    PRIORITY = -150, /* where rules that choose a socket are customary ("mangle") */
    TCP_FLAGS = 13,  /* offset in its head */
    SYN = 0x02,
    SYN_ACK = 0x12,
    IP_TO = 16, /* offsets of destinations */
    IP6_TO = 24,
    ECHO4 = 8, /* types of ICMP */
    ECHO6 = 128,
    GROUP = 1,      /* of netfilter's log, in every sandbox */
    WHOLE = 0xffff, /* bytes of a packet that are shown */
};

enum piece_kind {
    META,      /* load the value `at` of the packet */
    NETWORK,   /* load `len` bytes at `at` of its IP head */
    TRANSPORT, /* the same of the head behind it */
    MASK,      /* keep these bits of what was loaded */
    EQUAL,     /* else the next rule */
    DIFFERENT,
    SHOW,
    CAPTURE, /* to the socket of family `at` that is bound to OUTWARD_PORT */
    VERDICT, /* `at`; ends the rule */
};

struct piece {
    enum piece_kind kind;
    uint32_t at;
    unsigned char len;
    unsigned char value[16];
};

/* clang-format off */
static const struct piece pieces[] = {
    /* all but the first packet of a connection: its socket is found by its addresses */
    {META, NFT_META_L4PROTO, 0, {0}}, {EQUAL, 0, 1, {IPPROTO_TCP}},
    {TRANSPORT, TCP_FLAGS, 1, {0}}, {MASK, 0, 1, {SYN_ACK}}, {DIFFERENT, 0, 1, {SYN}},
    {VERDICT, NF_ACCEPT, 0, {0}},
    /* what stays inside */
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV4}},
    {NETWORK, IP_TO, 1, {0}}, {EQUAL, 0, 1, {127}},
    {VERDICT, NF_ACCEPT, 0, {0}},
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV4}},
    {NETWORK, IP_TO, 4, {0}}, {EQUAL, 0, 4, {192, 0, 0, 8}},
    {VERDICT, NF_ACCEPT, 0, {0}},
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV6}},
    {NETWORK, IP6_TO, 16, {0}}, {EQUAL, 0, 16, {[15] = 1}},
    {VERDICT, NF_ACCEPT, 0, {0}},
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV6}},
    {NETWORK, IP6_TO, 16, {0}},
    {EQUAL, 0, 16, {0xfd, 0x73, 0x61, 0x6e, 0x64, 0x6c, 0x6f, 0x74, [15] = 0x21}},
    {VERDICT, NF_ACCEPT, 0, {0}},
    /* answers of the relay, to whatever address the asker has bound to */
    {META, NFT_META_MARK, 0, {0}}, {EQUAL, 0, 4, {0x58, 0x4f, 0x42, 0x53}},
    {META, NFT_META_L4PROTO, 0, {0}}, {DIFFERENT, 0, 1, {IPPROTO_TCP}},
    {VERDICT, NF_ACCEPT, 0, {0}},
    {META, NFT_META_L4PROTO, 0, {0}}, {EQUAL, 0, 1, {IPPROTO_UDP}},
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV4}},
    {CAPTURE, NFPROTO_IPV4, 0, {0}}, {VERDICT, NF_ACCEPT, 0, {0}},
    {META, NFT_META_L4PROTO, 0, {0}}, {EQUAL, 0, 1, {IPPROTO_UDP}},
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV6}},
    {CAPTURE, NFPROTO_IPV6, 0, {0}}, {VERDICT, NF_ACCEPT, 0, {0}},
    /* what begins something: shown, and perhaps sent again by the relay */
    {META, NFT_META_L4PROTO, 0, {0}}, {EQUAL, 0, 1, {IPPROTO_TCP}},
    {META, NFT_META_MARK, 0, {0}}, {DIFFERENT, 0, 4, {0x58, 0x4f, 0x42, 0x53}},
    {SHOW, 0, 0, {0}}, {VERDICT, NF_DROP, 0, {0}},
    {META, NFT_META_L4PROTO, 0, {0}}, {EQUAL, 0, 1, {IPPROTO_ICMP}},
    {TRANSPORT, 0, 1, {0}}, {EQUAL, 0, 1, {ECHO4}},
    {SHOW, 0, 0, {0}}, {VERDICT, NF_DROP, 0, {0}},
    {META, NFT_META_L4PROTO, 0, {0}}, {EQUAL, 0, 1, {IPPROTO_ICMPV6}},
    {TRANSPORT, 0, 1, {0}}, {EQUAL, 0, 1, {ECHO6}},
    {SHOW, 0, 0, {0}}, {VERDICT, NF_DROP, 0, {0}},
    {META, NFT_META_L4PROTO, 0, {0}}, {DIFFERENT, 0, 1, {IPPROTO_TCP}},
    {VERDICT, NF_DROP, 0, {0}},
    /* our own SYN */
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV4}},
    {CAPTURE, NFPROTO_IPV4, 0, {0}}, {VERDICT, NF_ACCEPT, 0, {0}},
    {META, NFT_META_NFPROTO, 0, {0}}, {EQUAL, 0, 1, {NFPROTO_IPV6}},
    {CAPTURE, NFPROTO_IPV6, 0, {0}}, {VERDICT, NF_ACCEPT, 0, {0}},
    {VERDICT, NF_DROP, 0, {0}},
};
/* clang-format on */

_Static_assert(OUTWARD_MARK == 0x53424f58 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the mark is compared as the bytes of this machine");

static const char table_name[] = "sandlot", chain_name[] = "outward";

static void put_value(struct netlink *n, unsigned type, const void *value, size_t len)
{
    size_t data = netlink_open(n, type);

    netlink_put(n, NFTA_DATA_VALUE, value, len);
    netlink_close(n, data);
}

static void put_load(struct netlink *n, const struct piece *p)
{
    if (p->kind == META) {
        netlink_put_be32(n, NFTA_META_DREG, NFT_REG_1);
        netlink_put_be32(n, NFTA_META_KEY, p->at);
        return;
    }
    netlink_put_be32(n, NFTA_PAYLOAD_DREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_PAYLOAD_BASE,
                     p->kind == NETWORK ? NFT_PAYLOAD_NETWORK_HEADER
                                        : NFT_PAYLOAD_TRANSPORT_HEADER);
    netlink_put_be32(n, NFTA_PAYLOAD_OFFSET, p->at);
    netlink_put_be32(n, NFTA_PAYLOAD_LEN, p->len);
}

static void put_mask(struct netlink *n, const struct piece *p)
{
    static const char nothing[16];

    netlink_put_be32(n, NFTA_BITWISE_SREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_BITWISE_DREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_BITWISE_LEN, p->len);
    put_value(n, NFTA_BITWISE_MASK, p->value, p->len);
    put_value(n, NFTA_BITWISE_XOR, nothing, p->len);
}

static void put_compare(struct netlink *n, const struct piece *p)
{
    netlink_put_be32(n, NFTA_CMP_SREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_CMP_OP, p->kind == EQUAL ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_value(n, NFTA_CMP_DATA, p->value, p->len);
}

static void put_verdict(struct netlink *n, const struct piece *p)
{
    size_t data, verdict;

    netlink_put_be32(n, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    data = netlink_open(n, NFTA_IMMEDIATE_DATA);
    verdict = netlink_open(n, NFTA_DATA_VERDICT);
    netlink_put_be32(n, NFTA_VERDICT_CODE, p->at);
    netlink_close(n, verdict);
    netlink_close(n, data);
}

/* The port comes from a register. */
static void put_port(struct netlink *n, const struct piece *p)
{
    const uint16_t port = htons(OUTWARD_PORT);

    ignore((long)p->at); /* the same for all */
    netlink_put_be32(n, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    put_value(n, NFTA_IMMEDIATE_DATA, &port, sizeof(port));
}

static void put_show(struct netlink *n, const struct piece *p)
{
    ignore((long)p->at); /* the same for all */
    netlink_put_be16(n, NFTA_LOG_GROUP, GROUP);
}

static void put_capture(struct netlink *n, const struct piece *p)
{
    netlink_put_be32(n, NFTA_TPROXY_FAMILY, p->at);
    netlink_put_be32(n, NFTA_TPROXY_REG_PORT, NFT_REG_1);
}

static void put_expression(struct netlink *n, const char *name, const struct piece *p,
                           void (*put)(struct netlink *n, const struct piece *p))
{
    size_t element = netlink_open(n, NFTA_LIST_ELEM), data;

    netlink_put_text(n, NFTA_EXPR_NAME, name);
    data = netlink_open(n, NFTA_EXPR_DATA);
    put(n, p);
    netlink_close(n, data);
    netlink_close(n, element);
}

static void put_piece(struct netlink *n, const struct piece *p)
{
    static const struct {
        const char *name;
        void (*put)(struct netlink *n, const struct piece *p);
    } rows[] = {
        [META] = {"meta",      put_load   },
          [NETWORK] = {"payload",   put_load   },
        [TRANSPORT] = {"payload",   put_load   },
          [MASK] = {"bitwise",   put_mask   },
        [EQUAL] = {"cmp",       put_compare},
          [DIFFERENT] = {"cmp",       put_compare},
        [CAPTURE] = {"tproxy",    put_capture},
          [VERDICT] = {"immediate", put_verdict},
        [SHOW] = {"log",       put_show   },
    };

    if (p->kind == CAPTURE)
        put_expression(n, "immediate", p, put_port);
    put_expression(n, rows[p->kind].name, p, rows[p->kind].put);
}

static const struct nfgenmsg inet = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};

static void begin(struct netlink *n, unsigned type, unsigned flags)
{
    netlink_message(n, (NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_CREATE | flags, &inet,
                    sizeof(inet));
}

static void put_chain(struct netlink *n)
{
    size_t hook;

    begin(n, NFT_MSG_NEWCHAIN, 0);
    netlink_put_text(n, NFTA_CHAIN_TABLE, table_name);
    netlink_put_text(n, NFTA_CHAIN_NAME, chain_name);
    hook = netlink_open(n, NFTA_CHAIN_HOOK);
    netlink_put_be32(n, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
    netlink_put_be32(n, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
    netlink_close(n, hook);
    netlink_put_text(n, NFTA_CHAIN_TYPE, "filter");
}

static void put_rules(struct netlink *n)
{
    const struct piece *const end = pieces + COUNT_OF(pieces);

    for (const struct piece *p = pieces; p < end;) {
        size_t expressions;
        bool is_last;

        begin(n, NFT_MSG_NEWRULE, NLM_F_APPEND | NLM_F_ACK);
        netlink_put_text(n, NFTA_RULE_TABLE, table_name);
        netlink_put_text(n, NFTA_RULE_CHAIN, chain_name);
        expressions = netlink_open(n, NFTA_RULE_EXPRESSIONS);
        do {
            is_last = p->kind == VERDICT;
            put_piece(n, p++);
        } while (!is_last);
        netlink_close(n, expressions);
    }
}

int outward_rules(struct err *err)
{
    const struct nfgenmsg whole = {
        .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    struct netlink n;

    netlink_init(&n);
    netlink_message(&n, NFNL_MSG_BATCH_BEGIN, 0, &whole, sizeof(whole));
    begin(&n, NFT_MSG_NEWTABLE, 0);
    netlink_put_text(&n, NFTA_TABLE_NAME, table_name);
    put_chain(&n);
    put_rules(&n);
    netlink_message(&n, NFNL_MSG_BATCH_END, 0, &whole, sizeof(whole));
    return netlink_talk(&n, NETLINK_NETFILTER, err) == 0 ? 0 : err_wrap(err, "rules");
}

int outward_shown_socket(int *out_fd, struct err *err)
{
    const struct nfgenmsg group = {
        .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(GROUP)};
    const struct nfulnl_msg_config_cmd bind = {NFULNL_CFG_CMD_BIND};
    const struct nfulnl_msg_config_mode whole = {htonl(WHOLE), NFULNL_COPY_PACKET, 0};
    auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    struct netlink n;

    if (fd < 0)
        return err_sys(err, errno, "netlink socket");
    netlink_init(&n);
    netlink_message(&n, (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG, NLM_F_ACK, &group,
                    sizeof(group));
    netlink_put(&n, NFULA_CFG_CMD, &bind, sizeof(bind));
    netlink_put(&n, NFULA_CFG_MODE, &whole, sizeof(whole));
    netlink_put_be32(&n, NFULA_CFG_QTHRESH, 1); /* each at once, not a hundred in a second */
    if (netlink_ask(&n, fd, err) != 0)
        return -1;
    *out_fd = take_fd(&fd);
    return 0;
}
