/* SPDX-License-Identifier: Apache-2.0 */
/* An address and a port of either family, in one form: IPv4 as ::ffff:a.b.c.d. No padding, so two
 * can be compared as bytes. */
#ifndef EGRESS_PLACE_H
#define EGRESS_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

struct place {
    uint8_t address[16];
    uint16_t port;
};

/* Who talks to whom: the key of what is remembered. */
struct pair {
    struct place from, to;
};

static inline struct str pair_key(const struct pair *p)
{
    return (struct str){(const char *)p, sizeof(*p)};
}

enum {
    PLACE_TEXT_MAX = 56, /* "[…]:65535" and a NUL */
};

bool place_is_v4(const struct place *p);
struct place place_v4(const uint8_t address[4], uint16_t port);
/* Of another family than AF_INET and AF_INET6: all zeroes. */
struct place place_of(const struct sockaddr *address);
/* Returns the size. An IPv4 place is AF_INET. */
socklen_t place_to(const struct place *p, struct sockaddr_storage *out);
void place_text(const struct place *p, char out[PLACE_TEXT_MAX]);

/* A block of addresses. */
struct range {
    uint8_t address[16];
    uint8_t bits; /* of 128 */
};

/* "10.0.0.0/8", "192.0.2.1", "fd00::/8". False: something else. */
bool range_read(struct str text, struct range *out);
bool range_has(const struct range *r, const struct place *p);

#endif
