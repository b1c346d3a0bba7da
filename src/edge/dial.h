/* SPDX-License-Identifier: Apache-2.0 */
/* Asks node for a socket that is connected to a port inside a sandbox. Questions that were open
 * when node restarted are asked again. */
#ifndef EDGE_DIAL_H
#define EDGE_DIAL_H

#include "base/map.h"
#include "edge/link.h"
#include "ipc/node_messages.h"

enum {
    DIAL_WAITERS_MAX = 8192,
    DIAL_WAIT_MS = 3000,
};

/* kind ERR_NONE: fd is the callee's. ERR_UNAVAILABLE: nobody listens there. ERR_NOT_FOUND: no such
 * sandbox. ERR_TIMEOUT: node did not answer. */
typedef void dial_fn(void *ctx, enum err_kind kind, int fd);

struct dial_to {
    const char *id; /* the caller's, for as long as it waits */
    uint16_t port;
};

struct dial {
    struct dialer *dialer;
    dial_fn *fn; /* NULL while not waiting */
    void *ctx;
    uint64_t seq;
    struct dial_to to;
    struct timer deadline;
};

struct dialer {
    struct link link;
    struct loop *loop;
    struct map by_seq; /* struct dial */
    uint64_t next_seq;
};

void dialer_start(struct dialer *d, struct loop *l, const char *path);
void dialer_stop(struct dialer *d);

/* fn is called once, from the loop. */
void dial_start(struct dialer *d, struct dial *one, const struct dial_to *to, dial_fn *fn,
                void *ctx);
void dial_forget(struct dial *one); /* harmless when not waiting */

#endif
