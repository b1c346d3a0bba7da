/* SPDX-License-Identifier: Apache-2.0 */
/* See wire.h. Heads are written as bytes in network order: no struct is laid over a packet. */
#include "egress/wire.h"

#include <assert.h>
#include <netinet/in.h>

enum {
    V4_HEAD = 20,
    V6_HEAD = 40,
    TCP_HEAD = 20,
    UDP_HEAD = 8,
    ICMP_HEAD = 8,
    TCP_CHECKSUM = 16, /* offsets */
    UDP_CHECKSUM = 6,
    ICMP_CHECKSUM = 2,
    TCP_SYN = 0x02,
    TCP_ACK = 0x10,
    TCP_RST = 0x04,
    ICMP4_ANSWER = 0, /* types */
    ICMP4_UNREACHABLE = 3,
    ICMP4_ECHO = 8,
    ICMP6_UNREACHABLE = 1,
    ICMP6_TOO_BIG = 2,
    ICMP6_ECHO = 128,
    ICMP6_ANSWER = 129,
    ICMP4_NEEDS_FRAGMENTS = 4, /* code of unreachable */
    TTL = 64,
    QUOTE4 = 8,    /* bytes behind the head that an ICMP error repeats */
    QUOTE6 = 1232, /* bytes in all: what fits the smallest MTU */
};

static unsigned get16(const char *at)
{
    return (unsigned)(uint8_t)at[0] << 8 | (uint8_t)at[1];
}

static uint32_t get32(const char *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(char *at, unsigned value)
{
    at[0] = (char)(value >> 8);
    at[1] = (char)value;
}

static void put32(char *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

/* RFC 1071. `sum` is what was added before. */
static uint32_t add(uint32_t sum, const char *at, size_t len)
{
    uint64_t wide = sum;

    for (; len > 1; at += 2, len -= 2)
        wide += get16(at);
    if (len > 0)
        wide += (unsigned)(uint8_t)at[0] << 8;
    while (wide >> 16 != 0)
        wide = (wide & 0xffff) + (wide >> 16);
    return (uint32_t)wide;
}

/* Of what is behind the head: the pseudo head is part of it, except with ICMP of IPv4. */
static void put_checksum(char *packet, size_t head, size_t len, unsigned protocol, size_t offset)
{
    bool is_v4 = head < V6_HEAD;
    char *body = packet + head;
    uint32_t sum = 0;

    put16(body + offset, 0);
    if (protocol != IPPROTO_ICMP) {
        const size_t at = is_v4 ? 12 : 8, addresses = is_v4 ? 8 : 32;

        sum = add((uint32_t)(len - head) + protocol, packet + at, addresses);
    }
    sum = ~add(sum, body, len - head) & 0xffff;
    put16(body + offset, sum == 0 && protocol == IPPROTO_UDP ? 0xffff : sum);
}

/* Writes the head of a packet with `size` bytes behind it; returns the head's size. */
static size_t put_head(char *out, const struct place *from, const struct place *to,
                       unsigned protocol, size_t size)
{
    if (place_is_v4(to)) {
        memset(out, 0, V4_HEAD);
        out[0] = 0x45;
        put16(out + 2, (unsigned)(V4_HEAD + size));
        out[6] = 0x40; /* do not fragment */
        out[8] = TTL;
        out[9] = (char)protocol;
        memcpy(out + 12, from->address + 12, 4);
        memcpy(out + 16, to->address + 12, 4);
        put16(out + 10, ~add(0, out, V4_HEAD) & 0xffff);
        return V4_HEAD;
    }
    memset(out, 0, V6_HEAD);
    out[0] = 0x60;
    put16(out + 4, (unsigned)size);
    out[6] = (char)protocol;
    out[7] = TTL;
    memcpy(out + 8, from->address, 16);
    memcpy(out + 24, to->address, 16);
    return V6_HEAD;
}

/* True: w has its places (without ports) and where the head ends. */
static bool read_head(struct str p, struct wire *w, unsigned *out_protocol)
{
    unsigned version = p.len > 0 ? (unsigned)(uint8_t)p.at[0] >> 4 : 0;

    if (version == 4 && p.len >= V4_HEAD) {
        w->head = (size_t)(p.at[0] & 0xf) * 4;
        *out_protocol = (uint8_t)p.at[9];
        w->hops = (uint8_t)p.at[8];
        w->is_rigid = (p.at[6] & 0x40) != 0;
        w->from = place_v4((const uint8_t *)p.at + 12, 0);
        w->to = place_v4((const uint8_t *)p.at + 16, 0);
        /* a fragment is not whole */
        return w->head >= V4_HEAD && w->head < V6_HEAD && w->head <= p.len &&
               get16(p.at + 2) == p.len && (get16(p.at + 6) & 0x3fff) == 0;
    }
    if (version == 6 && p.len >= V6_HEAD) {
        w->head = V6_HEAD;
        w->hops = (uint8_t)p.at[7];
        *out_protocol = (uint8_t)p.at[6];
        memcpy(w->from.address, p.at + 8, 16);
        memcpy(w->to.address, p.at + 24, 16);
        /* an IPv4 address in disguise is none that comes or goes as IPv6 */
        return get16(p.at + 4) + V6_HEAD == p.len && !place_is_v4(&w->from) && !place_is_v4(&w->to);
    }
    return false;
}

bool wire_read(struct str packet, struct wire *out)
{
    struct wire w = {.packet = packet};
    unsigned protocol;
    struct str body;

    if (packet.len > WIRE_MAX || !read_head(packet, &w, &protocol))
        return false;
    body = str_from(packet, w.head);
    if (protocol == IPPROTO_TCP && body.len >= TCP_HEAD &&
        (body.at[13] & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
        w.kind = WIRE_SYN;
        w.from.port = (uint16_t)get16(body.at);
        w.to.port = (uint16_t)get16(body.at + 2);
        w.sequence = get32(body.at + 4);
    } else if (body.len >= ICMP_HEAD && body.at[1] == 0 &&
               (place_is_v4(&w.to)
                    ? protocol == IPPROTO_ICMP && body.at[0] == ICMP4_ECHO
                    : protocol == IPPROTO_ICMPV6 && (uint8_t)body.at[0] == ICMP6_ECHO)) {
        w.kind = WIRE_ECHO;
        w.from.port = (uint16_t)get16(body.at + 4);
    }
    *out = w;
    return true;
}

bool wire_destination(struct str packet, struct place *out)
{
    struct wire w;
    unsigned protocol;

    if (!read_head(packet, &w, &protocol))
        return false;
    *out = w.to;
    return true;
}

size_t wire_again(const struct wire *seen, char *out)
{
    assert(seen->kind == WIRE_SYN);
    memcpy(out, seen->packet.at, seen->packet.len);
    put_checksum(out, seen->head, seen->packet.len, IPPROTO_TCP, TCP_CHECKSUM);
    return seen->packet.len;
}

size_t wire_reset(const struct wire *syn, char *out)
{
    size_t head = put_head(out, &syn->to, &syn->from, IPPROTO_TCP, TCP_HEAD);
    char *tcp = out + head;

    memset(tcp, 0, TCP_HEAD);
    put16(tcp, syn->to.port);
    put16(tcp + 2, syn->from.port);
    put32(tcp + 8, syn->sequence + 1);
    tcp[12] = (TCP_HEAD / 4) << 4;
    tcp[13] = TCP_RST | TCP_ACK;
    put_checksum(out, head, head + TCP_HEAD, IPPROTO_TCP, TCP_CHECKSUM);
    return head + TCP_HEAD;
}

size_t wire_fault(const struct wire *w, const struct wire_fault *fault, char *out)
{
    bool is_v4 = place_is_v4(&w->to);
    unsigned protocol = is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    size_t quote = is_v4 ? w->head + QUOTE4 : QUOTE6, head;

    if (quote > w->packet.len)
        quote = w->packet.len;
    head = put_head(out, &fault->from, &w->from, protocol, ICMP_HEAD + quote);
    memset(out + head, 0, ICMP_HEAD);
    out[head] = (char)fault->type;
    out[head + 1] = (char)fault->code;
    put32(out + head + 4, fault->mtu);
    memcpy(out + head + ICMP_HEAD, w->packet.at, quote);
    put_checksum(out, head, head + ICMP_HEAD + quote, protocol, ICMP_CHECKSUM);
    return head + ICMP_HEAD + quote;
}

size_t wire_unreachable(const struct wire *w, enum wire_why why, char *out)
{
    static const struct {
        uint8_t v4, v6;
    } codes[] = {
        [WIRE_NO_NETWORK] = {0,  0},
        [WIRE_NO_HOST] = {1,  3},
        [WIRE_NO_PORT] = {3,  4},
        [WIRE_FORBIDDEN] = {13, 1},
    };
    bool is_v4 = place_is_v4(&w->to);
    const struct wire_fault fault = {
        .from = w->to,
        .type = is_v4 ? ICMP4_UNREACHABLE : ICMP6_UNREACHABLE,
        .code = is_v4 ? codes[why].v4 : codes[why].v6,
    };

    return wire_fault(w, &fault, out);
}

size_t wire_too_big(const struct wire *w, const struct place *from, uint32_t mtu, char *out)
{
    bool is_v4 = place_is_v4(&w->to);
    const struct wire_fault fault = {
        .from = *from,
        .type = is_v4 ? ICMP4_UNREACHABLE : ICMP6_TOO_BIG,
        .code = is_v4 ? ICMP4_NEEDS_FRAGMENTS : 0,
        .mtu = mtu,
    };

    return wire_fault(w, &fault, out);
}

size_t wire_udp(const struct place *from, const struct place *to, struct str data, char *out)
{
    size_t head;
    char *udp;

    if (data.len > WIRE_UDP_MAX)
        return 0;
    head = put_head(out, from, to, IPPROTO_UDP, UDP_HEAD + data.len);
    udp = out + head;
    put16(udp, from->port);
    put16(udp + 2, to->port);
    put16(udp + 4, (unsigned)(UDP_HEAD + data.len));
    if (data.len > 0)
        memcpy(udp + UDP_HEAD, data.at, data.len);
    put_checksum(out, head, head + UDP_HEAD + data.len, IPPROTO_UDP, UDP_CHECKSUM);
    return head + UDP_HEAD + data.len;
}

size_t wire_echo(const struct pair *asked, bool is_answer, struct str body, char *out)
{
    bool is_v4 = place_is_v4(&asked->to);
    unsigned protocol = is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    size_t head;
    char *icmp;

    if (body.len < 4 || body.len > WIRE_UDP_MAX)
        return 0;
    head = is_answer ? put_head(out, &asked->to, &asked->from, protocol, 4 + body.len)
                     : put_head(out, &asked->from, &asked->to, protocol, 4 + body.len);
    icmp = out + head;
    memset(icmp, 0, 4);
    if (is_v4)
        icmp[0] = is_answer ? ICMP4_ANSWER : ICMP4_ECHO;
    else
        icmp[0] = (char)(is_answer ? ICMP6_ANSWER : ICMP6_ECHO);
    memcpy(icmp + 4, body.at, body.len);
    put16(icmp + 4, asked->from.port);
    put_checksum(out, head, head + 4 + body.len, protocol, ICMP_CHECKSUM);
    return head + 4 + body.len;
}
