/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream runs over when it is not a descriptor: TLS (io/tls.h), one stream of an HTTP/2
 * connection (http/h2.h). The same promises as a non-blocking socket in a level-triggered loop, so
 * that its user does not see the difference.
 *
 * It has one owner (a stream, a relay), who sets `fn` and `ctx` when it takes it, and ends it by
 * close(). Events come from the loop, never from inside a call; fn may close the transport. */
#ifndef IO_TRANSPORT_H
#define IO_TRANSPORT_H

#include <sys/uio.h>

#include "io/loop.h"

struct transport;

struct transport_ops {
    /* As read(2): fewer bytes than asked for mean that there are no more now. */
    ssize_t (*read)(struct transport *t, void *data, size_t size);
    /* As writev(2). After EAGAIN the same bytes must come again, and more may follow them. */
    ssize_t (*write)(struct transport *t, const struct iovec *parts, size_t count);
    /* EPOLLIN, EPOLLOUT: tell when it can be done, each turn anew. 0: nothing; after an EPOLLHUP
     * that is told for ever this silences it. */
    void (*want)(struct transport *t, uint32_t events);
    void (*end)(struct transport *t);   /* half-close: the peer sees an end */
    void (*close)(struct transport *t); /* frees it; with SO_LINGER 0 on `fd` as a reset */
};

struct transport {
    const struct transport_ops *ops;
    struct loop *loop;
    int fd; /* of the connection below: for its addresses and options, not to be read or written */
    uint32_t events; /* what was wanted last */
    watch_fn *fn;
    void *ctx;
};

static inline void transport_take(struct transport *t, watch_fn *fn, void *ctx)
{
    t->fn = fn;
    t->ctx = ctx;
}

#endif
