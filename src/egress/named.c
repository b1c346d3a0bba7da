/* SPDX-License-Identifier: Apache-2.0 */
/* See named.h. */
#include "egress/named.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/asked_name.h"

enum {
    TLS_FIRST_BYTE = 22,
};

struct named {
    struct outlet *outlet;
    int fd, upstream;
    struct watch watch, upstream_watch;
    struct timer patience;
    size_t seen;
    char name[HOST_NAME_MAX_LEN + 1];
    named_fn *fn;
    void *ctx;
};

static void reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1};

    if (fd >= 0)
        ignore(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
    own_close_fd(&fd);
}

void named_free(struct named *n)
{
    if (n == NULL)
        return;
    watch_stop(&n->watch);
    watch_stop(&n->upstream_watch);
    timer_stop(&n->patience);
    reset(take_fd(&n->fd));
    free(n);
}

/* More bytes than were seen wake us, or the end. */
static void set_least(int fd, size_t bytes)
{
    const int least = (int)bytes;

    ignore(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least))); /* else it is busier */
}

static void succeed(struct named *n, const char *name, bool is_tls)
{
    struct named_result result = {.name = name, .is_tls = is_tls};
    named_fn *fn = n->fn;
    void *ctx = n->ctx;

    watch_stop(&n->watch);
    watch_stop(&n->upstream_watch);
    set_least(n->fd, 1);
    result.fd = take_fd(&n->fd);
    fn(ctx, &result);
    own_close_fd(&result.fd);
    named_free(n);
}

static void refuse(struct named *n, const char *why)
{
    named_fn *fn = n->fn;
    void *ctx = n->ctx;

    if (n->upstream >= 0) {
        succeed(n, NULL, false);
        return;
    }
    log_debug("egress.denied", "id=%s rule=\"%s\"", n->outlet->id, why);
    named_free(n);
    fn(ctx, &(struct named_result){.fd = -1, .why = why});
}

static void on_patience(void *ctx)
{
    refuse(ctx, "too slow");
}

/* The server speaks first, or has gone: names are none of its business. */
static void on_upstream(void *ctx, uint32_t events)
{
    ignore((long)events);
    refuse(ctx, "the server speaks first");
}

static void on_data(void *ctx, uint32_t events)
{
    struct named *n = ctx;
    char *bytes = n->outlet->egress->packet;
    ssize_t got = recv(n->fd, bytes, WIRE_MAX, MSG_PEEK | MSG_DONTWAIT);
    const char *why = NULL;

    ignore((long)events);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || (size_t)got == n->seen) {
        refuse(n, "ended before it said a name");
        return;
    }
    n->seen = (size_t)got;
    switch (asked_name_read((struct str){bytes, n->seen}, n->name, &why)) {
    case ASKED_MORE: set_least(n->fd, n->seen + 1); return;
    case ASKED_REFUSED: refuse(n, why); return;
    case ASKED_NAME: succeed(n, n->name, bytes[0] == TLS_FIRST_BYTE); return;
    }
}

void named_start(struct outlet *o, int fd, int upstream, named_fn *fn, void *ctx,
                 struct named **out)
{
    struct named *n = mem_zero(sizeof(*n));
    struct loop *l = o->egress->loop;
    bool is_watched;

    n->outlet = o;
    n->fd = fd;
    n->upstream = upstream;
    n->fn = fn;
    n->ctx = ctx;
    *out = n;
    is_watched = watch_start(l, &n->watch, fd, EPOLLIN, on_data, n, NULL) == 0 &&
                 (upstream < 0 ||
                  watch_start(l, &n->upstream_watch, upstream, EPOLLIN, on_upstream, n, NULL) == 0);
    timer_start(l, &n->patience, is_watched ? NAMED_ASK_MS : 0, on_patience, n);
}
