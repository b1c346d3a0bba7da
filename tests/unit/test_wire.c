/* SPDX-License-Identifier: Apache-2.0 */
/* Packets to and from a sandbox's loopback: read strictly, written with checksums that fit. */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>

#include "egress/shown.h"
#include "egress/wire.h"
#include "test.h"

/* From 192.0.0.8:40000 to 1.2.3.4:443, as a kernel leaves it on loopback: without TCP checksum. */
static const unsigned char syn4[] = {
    0x45, 0,    0,    44,   0x12, 0x34, 0x40, 0, 64, 6,
    0x66, 0x8e, 192,  0,    0,    8,    1,    2, 3,  4, /* IP */
    0x9c, 0x40, 0x01, 0xbb, 0,    0,    0,    9, 0,  0,
    0,    0,    0x60, 0x02, 0xff, 0xff, 0,    0, 0,  0, /* TCP */
    2,    4,    0x05, 0xb4,
};

static size_t make_syn6(char *out)
{
    static const unsigned char head[] = {0x60, 0, 0, 0, 0, 20, 6, 64};
    static const unsigned char tcp[] = {0x9c, 0x40, 0,    80, 0,   0,   0, 9, 0, 0,
                                        0,    0,    0x50, 2,  255, 255, 0, 0, 0, 0};

    memset(out, 0, 60);
    memcpy(out, head, sizeof(head));
    out[8] = (char)0xfd;
    out[23] = 0x21;
    out[24] = 0x2a;
    out[39] = 1;
    memcpy(out + 40, tcp, sizeof(tcp));
    return 60;
}

static struct str bytes(const void *at, size_t len)
{
    return (struct str){at, len};
}

static uint32_t sum(uint32_t s, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s += (uint32_t)(uint8_t)at[i] << (i % 2 == 0 ? 8 : 0);
    while (s >> 16 != 0)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

/* All sums of a packet are right. */
static bool is_good(const char *p, size_t len)
{
    bool is_v4 = (p[0] & 0xf0) == 0x40;
    size_t head = is_v4 ? 20 : 40;
    unsigned protocol = (uint8_t)(is_v4 ? p[9] : p[6]);
    uint32_t s = 0;

    if (is_v4 && sum(0, p, head) != 0xffff)
        return false;
    if (protocol != IPPROTO_ICMP)
        s = sum((uint32_t)(len - head) + protocol, p + (is_v4 ? 12 : 8), is_v4 ? 8 : 32);
    return sum(s, p + head, len - head) == 0xffff;
}

static void reads_what_begins(void)
{
    char six[64];
    struct wire w;

    CHECK(wire_read(bytes(syn4, sizeof(syn4)), &w) && w.kind == WIRE_SYN && w.head == 20);
    CHECK(w.from.port == 40000 && w.to.port == 443 && w.sequence == 9 && place_is_v4(&w.to));
    CHECK(wire_read(bytes(six, make_syn6(six)), &w) && w.kind == WIRE_SYN && w.to.port == 80);
    CHECK(!place_is_v4(&w.to) && w.to.address[0] == 0x2a);
}

static void refuses_what_is_not_whole(void)
{
    char p[sizeof(syn4) + 1], six[64];
    size_t six_len = make_syn6(six);
    struct wire w;

    for (size_t len = 0; len < sizeof(syn4); len++)
        CHECK(!wire_read(bytes(syn4, len), &w));
    for (size_t len = 0; len < six_len; len++)
        CHECK(!wire_read(bytes(six, len), &w));
    memcpy(p, syn4, sizeof(syn4));
    CHECK(!wire_read(bytes(p, sizeof(p)), &w)); /* longer than it says */
    p[6] = 0x20;                                /* more fragments */
    CHECK(!wire_read(bytes(p, sizeof(syn4)), &w));
    p[6] = 0;
    p[7] = 1; /* not the first fragment */
    CHECK(!wire_read(bytes(p, sizeof(syn4)), &w));
    p[7] = 0;
    p[0] = 0x4f; /* a head longer than all */
    CHECK(!wire_read(bytes(p, sizeof(syn4)), &w));
    p[0] = 0x45;
    p[33] = 0x12; /* SYN and ACK */
    CHECK(wire_read(bytes(p, sizeof(syn4)), &w) && w.kind == WIRE_OTHER);
    /* an IPv4 address inside an IPv6 head would pass as that address */
    memset(six + 24, 0, 10);
    six[34] = six[35] = (char)0xff;
    CHECK(!wire_read(bytes(six, six_len), &w));
}

static void writes_with_good_sums(void)
{
    static const enum wire_why whys[] = {WIRE_NO_NETWORK, WIRE_NO_HOST, WIRE_NO_PORT,
                                         WIRE_FORBIDDEN};
    static char out[WIRE_MAX];
    char six[64];
    struct wire seen[2], back;
    size_t len;

    CHECK(wire_read(bytes(syn4, sizeof(syn4)), &seen[0]));
    CHECK(wire_read(bytes(six, make_syn6(six)), &seen[1]));
    for (size_t i = 0; i < 2; i++) {
        len = wire_reset(&seen[i], out);
        CHECK(is_good(out, len));
        len = wire_udp(&seen[i].to, &seen[i].from, STR("odd"), out);
        CHECK(is_good(out, len));
        CHECK(wire_udp(&seen[i].to, &seen[i].from, bytes(out, WIRE_UDP_MAX + 1), out) == 0);
        for (size_t k = 0; k < COUNT_OF(whys); k++) {
            len = wire_unreachable(&seen[i], whys[k], out);
            CHECK(is_good(out, len) && wire_read(bytes(out, len), &back));
            CHECK(memcmp(&back.to.address, &seen[i].from.address, 16) == 0);
        }
    }
    len = wire_again(&seen[1], out);
    CHECK(is_good(out, len) && wire_read(bytes(out, len), &back) && back.kind == WIRE_SYN);
    for (size_t i = 0; i < 2; i++) {
        CHECK(wire_destination(seen[i].packet, &back.to));
        CHECK(memcmp(back.to.address, seen[i].to.address, 16) == 0 && back.to.port == 0);
    }
    CHECK(!wire_destination(STR("E"), &back.to));
}

/* What is asked is read as it was written, with the number that the asker has. */
static void asks_and_answers_echo(void)
{
    static char out[WIRE_MAX];
    struct wire seen[2], back;
    char six[60];
    size_t len;

    CHECK(wire_read(bytes(syn4, sizeof(syn4)), &seen[0]) && seen[0].hops == 64);
    CHECK(wire_read(bytes(six, make_syn6(six)), &seen[1]) && seen[1].hops == 64);
    CHECK(seen[0].is_rigid && !seen[1].is_rigid);
    for (size_t i = 0; i < 2; i++) {
        struct pair asked = {seen[i].from, seen[i].to};

        len = wire_echo(&asked, false, STR("nnssword"), out);
        CHECK(is_good(out, len) && wire_read(bytes(out, len), &back) && back.kind == WIRE_ECHO);
        CHECK(back.from.port == seen[i].from.port && back.to.port == 0);
        CHECK(memcmp(out + back.head + 6, "ssword", 6) == 0);
        len = wire_echo(&asked, true, STR("nnssword"), out);
        CHECK(is_good(out, len) && wire_read(bytes(out, len), &back) && back.kind == WIRE_OTHER);
        CHECK(memcmp(back.to.address, seen[i].from.address, 16) == 0);
        CHECK(wire_echo(&asked, true, STR("nns"), out) == 0);
        CHECK(wire_echo(&asked, true, bytes(out, WIRE_UDP_MAX + 1), out) == 0);
    }
}

/* The same of both families: who says so, how wide the way is, and the packet that it is about. */
static void says_what_is_too_big(void)
{
    static char out[WIRE_MAX];
    struct wire seen[2], back;
    char six[60];
    size_t len;

    CHECK(wire_read(bytes(syn4, sizeof(syn4)), &seen[0]));
    CHECK(wire_read(bytes(six, make_syn6(six)), &seen[1]));
    for (size_t i = 0; i < 2; i++) {
        len = wire_too_big(&seen[i], &seen[i].from, 1280, out);
        CHECK(is_good(out, len) && wire_read(bytes(out, len), &back));
        CHECK(memcmp(back.from.address, seen[i].from.address, 16) == 0);
        CHECK(out[back.head] == (i == 0 ? 3 : 2) && out[back.head + 1] == (i == 0 ? 4 : 0));
        CHECK(out[back.head + 6] == 5 && out[back.head + 7] == 0); /* 1280 */
        CHECK(memcmp(out + back.head + 8, seen[i].packet.at, seen[i].head) == 0);
    }
}

/* A message with an attribute of `extra` bytes before the packet. */
static size_t make_shown(char *out, size_t extra)
{
    const struct nlattr prefix = {(uint16_t)(sizeof(prefix) + extra), NFULA_PREFIX};
    const struct nlattr payload = {sizeof(payload) + sizeof(syn4), NFULA_PAYLOAD};
    struct nlmsghdr head = {.nlmsg_type = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET};
    size_t at = NLMSG_LENGTH(sizeof(struct nfgenmsg));

    memset(out, 0, at + sizeof(prefix) + extra + 3);
    memcpy(out + at, &prefix, sizeof(prefix));
    at += (size_t)NLA_ALIGN(prefix.nla_len);
    memcpy(out + at, &payload, sizeof(payload));
    memcpy(out + at + sizeof(payload), syn4, sizeof(syn4));
    head.nlmsg_len = (uint32_t)(at + payload.nla_len);
    memcpy(out, &head, sizeof(head));
    return head.nlmsg_len;
}

static void finds_what_is_shown(void)
{
    _Alignas(8) char message[256];
    struct str packet;
    size_t len;

    for (size_t extra = 0; extra < 6; extra++) {
        len = make_shown(message, extra);
        CHECK(shown_packet(bytes(message, len), &packet));
        CHECK(packet.len == sizeof(syn4) && memcmp(packet.at, syn4, sizeof(syn4)) == 0);
        for (size_t cut = 0; cut < len; cut++)
            CHECK(!shown_packet(bytes(message, cut), &packet));
    }
    message[NLMSG_LENGTH(sizeof(struct nfgenmsg))] = 3; /* an attribute shorter than its head */
    CHECK(!shown_packet(bytes(message, len), &packet));
    len = make_shown(message, 1);
    message[4] ^= 1; /* a message of another type */
    CHECK(!shown_packet(bytes(message, len), &packet));
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"reads what begins a connection", reads_what_begins        },
        {"refuses what is not whole",      refuses_what_is_not_whole},
        {"writes with sums that fit",      writes_with_good_sums    },
        {"finds what is shown",            finds_what_is_shown      },
        {"asks and answers echo",          asks_and_answers_echo    },
        {"says what is too big",           says_what_is_too_big     },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
