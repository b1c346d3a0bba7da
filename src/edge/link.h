/* SPDX-License-Identifier: Apache-2.0 */
/* A channel to another role that comes back by itself: connects to a unix socket, and when the peer
 * goes away connects again with backoff. The supervisor keeps the listening socket over the peer's
 * restart, so what is sent meanwhile waits there. Used by routes.c and dial.c. */
#ifndef EDGE_LINK_H
#define EDGE_LINK_H

#include "ipc/channel.h"

enum {
    LINK_RETRY_MIN_MS = 5,
    LINK_RETRY_MAX_MS = 250,
};

struct link_spec {
    const char *path; /* borrowed for the link's life */
    const struct channel_protocol *protocol;
    channel_message_fn *on_message;
    loop_fn *on_up; /* connected (again): send once more what was not answered */
    void *ctx;
};

struct link {
    struct link_spec spec;
    struct loop *loop;
    struct channel *channel; /* NULL while down */
    struct timer retry;
    uint64_t retry_ms;
};

/* Never fails: a peer that is not there yet is waited for. */
void link_start(struct link *k, struct loop *l, const struct link_spec *spec);
void link_stop(struct link *k);
bool link_is_up(const struct link *k);
/* False when down or when the peer does not read: ask again from on_up. */
bool link_send(struct link *k, unsigned type, const void *message);

#endif
