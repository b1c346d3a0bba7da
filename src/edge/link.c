/* SPDX-License-Identifier: Apache-2.0 */
/* A channel that reconnects; see link.h. */
#include "edge/link.h"

#include <sys/socket.h>

#include "io/socket.h"

static void connect_now(void *ctx);

static void go_down(struct link *k)
{
    channel_free(k->channel);
    k->channel = NULL;
    timer_start(k->loop, &k->retry, k->retry_ms, connect_now, k);
    k->retry_ms = k->retry_ms * 2 < LINK_RETRY_MAX_MS ? k->retry_ms * 2 : LINK_RETRY_MAX_MS;
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct link *k = ctx;

    k->retry_ms = LINK_RETRY_MIN_MS; /* the peer is alive, not merely its socket */
    k->spec.on_message(k->spec.ctx, type, message, fd);
}

static void on_gone(void *ctx, const struct err *why)
{
    struct link *k = ctx;

    ignore(why->kind); /* a restart; whoever waits has its own deadline */
    go_down(k);
}

static void connect_now(void *ctx)
{
    struct link *k = ctx;
    struct err err;
    int fd;

    if (socket_connect_unix(k->spec.path, SOCK_SEQPACKET, &fd, &err) != 0) {
        go_down(k);
        return;
    }
    if (channel_new(k->loop, fd, k->spec.protocol, on_message, on_gone, k, &k->channel, &err) !=
        0) {
        k->channel = NULL;
        go_down(k);
        return;
    }
    k->spec.on_up(k->spec.ctx);
}

void link_start(struct link *k, struct loop *l, const struct link_spec *spec)
{
    *k = (struct link){.spec = *spec, .loop = l, .retry_ms = LINK_RETRY_MIN_MS};
    connect_now(k);
}

void link_stop(struct link *k)
{
    timer_stop(&k->retry);
    channel_free(k->channel);
    k->channel = NULL;
}

bool link_is_up(const struct link *k)
{
    return k->channel != NULL;
}

bool link_send(struct link *k, unsigned type, const void *message)
{
    struct err err;

    if (k->channel == NULL)
        return false;
    return channel_send(k->channel, type, message, -1, &err) == 0;
}
