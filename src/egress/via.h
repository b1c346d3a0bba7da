/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to a proxy before a connection is the client's: SOCKS5 (RFC 1928, RFC 1929) and HTTP
 * CONNECT (RFC 9110 9.3.6). Pure; bytes are looked at. */
#ifndef EGRESS_VIA_H
#define EGRESS_VIA_H

#include "base/buf.h"
#include "egress/place.h"

enum {
    VIA_SAY_MAX = 2 << 10,  /* bytes that are said at once */
    VIA_HEAR_MAX = 8 << 10, /* bytes of one answer */
};

enum via_kind {
    VIA_SOCKS5,
    VIA_HTTP,
};

struct via_target {
    const char *name; /* NULL: the place */
    struct place to;
    struct str username, password; /* empty: none */
};

/* A zeroed one is at its beginning; the rest is what the last step said. */
struct via {
    enum via_kind kind;
    unsigned step;
    size_t used;     /* bytes of what was heard that are done with */
    int error;       /* VIA_FAILED: an errno for the client, */
    const char *why; /* and a text for people */
};

enum via_next {
    VIA_MORE, /* say what is in `say`, if anything, and hear more */
    VIA_DONE, /* the connection is the client's */
    VIA_FAILED,
};

/* "host:port" behind an optional "socks5://" or "http://". False: something else. */
bool via_read(struct str address, enum via_kind *kind, struct str *host, uint16_t *port);

/* `heard`: what has come and was not used up yet; at the beginning nothing. Appends to `say`. */
enum via_next via_step(struct via *v, const struct via_target *t, struct str heard,
                       struct buf *say);

#endif
