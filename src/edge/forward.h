/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields of a message travel on, and which do not. Pure. */
#ifndef EDGE_FORWARD_H
#define EDGE_FORWARD_H

#include "http/client.h"
#include "http/server.h"

struct forward_rule {
    bool is_data_plane;    /* X-Forwarded-* of clients are removed: the guest sees what it would see
                            * without a proxy */
    bool is_secure;        /* TLS ended here: told to the control plane, whatever the client says */
    struct str peer;       /* told to the control plane; empty: not */
    struct str request_id; /* the same; replaces what the client calls it */
    struct str mask_host;  /* replaces Host, which moves to X-Forwarded-Host; empty: Host is kept */
};

struct forward_fields {
    struct http_field at[HTTP_FIELDS_MAX + 5];
    size_t count;
};

/* The result has one Host in any case: a request of HTTP/1.0 may come without. `a` holds it then.
 */
void forward_request(const struct http_head *h, const struct forward_rule *rule, struct arena *a,
                     struct forward_fields *out);
void forward_answer(const struct http_head *h, struct forward_fields *out);

/* Appends those trailer lines that may travel: none that frames, routes, authorises or describes
 * the body (RFC 9110 6.5.1), as a server may merge them into its head. */
void forward_trailers(struct str lines, struct buf *out);

/* "${PORT}" in a mask expanded, in the arena. */
struct str forward_mask(struct arena *a, struct str mask, uint16_t port);

#endif
