/* SPDX-License-Identifier: Apache-2.0 */
/* See named.h. */
#include "egress/named.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "egress/dns.h"
#include "http/asked_name.h"

enum {
    READ_SIZE = 4 << 10,
};

struct named {
    struct outlet *outlet;
    int fd, upstream;
    struct place to;
    struct watch watch; /* of fd, then of upstream */
    struct timer patience;
    struct buf in;
    char name[HOST_NAME_MAX_LEN + 1];
    struct dns_lookup *lookup;
    struct place places[DNS_PLACES_MAX];
    size_t count, next;
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
    timer_stop(&n->patience);
    dns_lookup_stop(n->lookup);
    reset(take_fd(&n->fd));
    own_close_fd(&n->upstream);
    buf_done(&n->in);
    free(n);
}

static void refuse(struct named *n, const char *why)
{
    named_fn *fn = n->fn;
    void *ctx = n->ctx;

    log_debug("egress.denied", "id=%s name=\"%s\" rule=\"%s\"", n->outlet->id, n->name, why);
    named_free(n);
    fn(ctx, NULL);
}

static void on_patience(void *ctx)
{
    refuse(ctx, "too slow");
}

static void succeed(struct named *n)
{
    struct named_result result = {.fd = take_fd(&n->fd),
                                  .upstream = take_fd(&n->upstream),
                                  .first = buf_str(&n->in),
                                  .place = n->places[n->next - 1],
                                  .name = n->name};

    watch_stop(&n->watch);
    n->fn(n->ctx, &result);
    named_free(n);
}

static void dial_next(struct named *n);

static void on_dialled(void *ctx, uint32_t events)
{
    struct named *n = ctx;
    int error = 0;
    socklen_t size = sizeof(error);

    ignore((long)events);
    if (getsockopt(n->upstream, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        succeed(n);
    else
        dial_next(n);
}

/* False: this place is none, or not allowed. */
static bool dial_one(struct named *n, const struct place *to)
{
    struct sockaddr_storage address;
    socklen_t size = place_to(to, &address);

    if (outlet_check_named(n->outlet, to, str_of(n->name)) != 0)
        return false;
    n->upstream = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->upstream < 0)
        return false;
    tcp_set_alive(n->upstream);
    if (connect(n->upstream, (const struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS)
        return false;
    return watch_start(n->outlet->egress->loop, &n->watch, n->upstream, EPOLLOUT, on_dialled, n,
                       NULL) == 0;
}

static void dial_next(struct named *n)
{
    while (n->next < n->count) {
        watch_stop(&n->watch);
        own_close_fd(&n->upstream);
        n->upstream = -1;
        if (dial_one(n, &n->places[n->next++]))
            return;
    }
    refuse(n, n->count == 0 ? "no such name" : "nobody there that may be reached");
}

static void on_found(void *ctx, const struct place *places, size_t count)
{
    struct named *n = ctx;

    n->lookup = NULL;
    n->count = count;
    for (size_t i = 0; i < count; i++)
        n->places[i] = places[i];
    /* The sandbox's choice among them is as good as any. */
    for (size_t i = 1; i < count; i++) {
        if (memcmp(&places[i], &n->to, sizeof(n->to)) == 0) {
            n->places[i] = places[0];
            n->places[0] = places[i];
        }
    }
    dial_next(n);
}

static void look(struct named *n)
{
    const char *why = NULL;

    switch (asked_name_read(buf_str(&n->in), n->name, &why)) {
    case ASKED_MORE: return;
    case ASKED_REFUSED: refuse(n, why); return;
    case ASKED_NAME: break;
    }
    if (!outlet_allows_name(n->outlet, &n->to, str_of(n->name))) {
        refuse(n, "not in allowOut");
        return;
    }
    watch_stop(&n->watch);
    timer_start(n->outlet->egress->loop, &n->patience, NAMED_DIAL_MS, on_patience, n);
    dns_lookup_start(n->outlet, str_of(n->name), &n->to, on_found, n, &n->lookup);
}

static void on_data(void *ctx, uint32_t events)
{
    struct named *n = ctx;
    char bytes[READ_SIZE];
    ssize_t got = recv(n->fd, bytes, sizeof(bytes), 0);

    ignore((long)events);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        refuse(n, "ended before it said a name");
        return;
    }
    buf_add(&n->in, bytes, (size_t)got);
    if (buf_ok(&n->in))
        look(n);
    else
        refuse(n, "too much before a name");
}

void named_start(struct outlet *o, int fd, const struct place *to, named_fn *fn, void *ctx,
                 struct named **out)
{
    struct named *n = mem_zero(sizeof(*n));
    struct loop *l = o->egress->loop;

    n->outlet = o;
    n->fd = fd;
    n->upstream = -1;
    n->to = *to;
    n->fn = fn;
    n->ctx = ctx;
    buf_init(&n->in, ASKED_NAME_BYTES_MAX + READ_SIZE);
    *out = n;
    if (watch_start(l, &n->watch, fd, EPOLLIN, on_data, n, NULL) == 0)
        timer_start(l, &n->patience, NAMED_ASK_MS, on_patience, n);
    else
        timer_start(l, &n->patience, 0, on_patience, n);
}
