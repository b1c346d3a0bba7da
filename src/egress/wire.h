/* SPDX-License-Identifier: Apache-2.0 */
/* The packets that are exchanged with a sandbox's kernel (shown.h). Hostile input: nothing is
 * believed but what lies inside the bytes that came. */
#ifndef EGRESS_WIRE_H
#define EGRESS_WIRE_H

#include "egress/place.h"

enum {
    WIRE_MAX = 65535 + 40,     /* bytes of a packet */
    WIRE_UDP_MAX = 65535 - 28, /* of a datagram's content, of either family */
    WIRE_QUOTE_MAX = 64,       /* of a packet without content */
    WIRE_ECHO_HEAD = 8,        /* bytes of an echo message before its content */
};

enum wire_kind {
    WIRE_OTHER,
    WIRE_SYN,  /* begins a TCP connection */
    WIRE_ECHO, /* ICMP echo request; from.port is its identifier */
};

/* A packet that was seen; `packet` is the bytes it was read from. */
struct wire {
    enum wire_kind kind;
    struct place from, to;
    struct str packet;
    size_t head;       /* bytes of its IP head */
    uint32_t sequence; /* TCP */
    uint8_t hops;      /* it may take */
    bool is_rigid;     /* IPv4: routers may not cut it into fragments */
};

/* Why something does not arrive, as ICMP says it. */
enum wire_why {
    WIRE_NO_NETWORK,
    WIRE_NO_HOST,
    WIRE_NO_PORT,
    WIRE_FORBIDDEN, /* administratively prohibited: EHOSTUNREACH, with IPv6 EACCES */
};

/* What ICMP says of a packet, as it was told or is made up. */
struct wire_fault {
    struct place from; /* who says so */
    uint8_t type, code;
    uint32_t mtu; /* of "too big" */
};

/* False: not an IP packet that is whole. Other packets than those of the kinds are WIRE_OTHER. */
bool wire_read(struct str packet, struct wire *out);

/* Where it goes, without a port. False: it is no packet. */
bool wire_destination(struct str packet, struct place *out);

/* Each makes a packet in `out`, which has room for WIRE_MAX, and returns its size. */
size_t wire_again(const struct wire *seen, char *out); /* the same, its checksum made good */
size_t wire_reset(const struct wire *syn, char *out);  /* "connection refused" */
size_t wire_fault(const struct wire *w, const struct wire_fault *fault, char *out);
/* The same, said in the name of where it goes. */
size_t wire_unreachable(const struct wire *w, enum wire_why why, char *out);
/* Told by who sends on, `from`: IPv4 needs fragments and may not make them. */
size_t wire_too_big(const struct wire *w, const struct place *from, uint32_t mtu, char *out);
/* A datagram; 0: data is longer than WIRE_UDP_MAX. */
size_t wire_udp(const struct place *from, const struct place *to, struct str data, char *out);
/* Echo, asked or answered. `body` is the message behind its checksum, number and sequence first;
 * the number becomes the port of the one who asks. 0: it is too short or too long. */
size_t wire_echo(const struct pair *asked, bool is_answer, struct str body, char *out);

#endif
