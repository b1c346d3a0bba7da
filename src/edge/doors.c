/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners of a loop and the way from one to another; see doors.h. */
#include "edge/doors.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "edge/worker.h"

enum { IPV6_NETWORK = 8 /* bytes of an address that name the network */ };

/* Accepted by one loop for another. */
struct arrival {
    struct list_node node;
    int fd;
    unsigned tag;
};

/* An IPv6 peer is its /64, as that is what one customer has. `out` has room for one address. */
static struct str peer_key(int fd, char *out)
{
    struct in6_addr address;

    socket_peer_address(fd, out);
    if (inet_pton(AF_INET6, out, &address) != 1)
        return str_of(out);
    memcpy(out, &address, IPV6_NETWORK);
    return (struct str){out, IPV6_NETWORK};
}

/* The one with the fewest; `w` itself when no other has fewer. */
static struct worker *lightest(struct worker *w)
{
    struct worker *found = w;
    uint32_t least = atomic_load_explicit(&w->doors.load, memory_order_relaxed);

    for (size_t i = 0; i < w->sibling_count; i++) {
        uint32_t load = atomic_load_explicit(&w->siblings[i].doors.load, memory_order_relaxed);

        if (load < least) {
            least = load;
            found = &w->siblings[i];
        }
    }
    return found;
}

static void lock(struct doors *d)
{
    int failure = pthread_mutex_lock(&d->mutex);

    assert(failure == 0); /* fails for misuse only */
}

static void unlock(struct doors *d)
{
    int failure = pthread_mutex_unlock(&d->mutex);

    assert(failure == 0);
}

static struct arrival *next_arrival(struct doors *d, bool rearms)
{
    struct list_node *n;

    lock(d);
    n = list_pop(&d->arrivals);
    if (n == NULL && rearms)
        d->has_rung = false;
    unlock(d);
    return n == NULL ? NULL : container_of(n, struct arrival, node);
}

static void on_bell(void *ctx)
{
    struct worker *w = ctx;
    struct arrival *a;

    while ((a = next_arrival(&w->doors, true)) != NULL) {
        entry_take(&w->entry, a->fd, a->tag);
        free(a);
    }
}

static void hand_over(struct worker *to, int fd, unsigned tag)
{
    struct doors *d = &to->doors;
    struct arrival *a = mem_zero(sizeof *a);
    bool rings;

    a->fd = fd;
    a->tag = tag;
    lock(d);
    list_push(&d->arrivals, &a->node);
    rings = !d->has_rung;
    d->has_rung = true;
    unlock(d);
    if (rings)
        loop_post(to->loop, &d->bell, on_bell, to);
}

static void on_accept(void *ctx, int fd)
{
    const struct door *door = ctx;
    struct worker *w = door->worker, *to;
    char address[SOCKET_ADDRESS_MAX];
    uint32_t slot = w->peers->max > 0 ? counts_take(w->peers, peer_key(fd, address)) : COUNT_NONE;
    unsigned tag = (unsigned)door->plane | slot << TAG_BITS;

    if (slot == COUNT_FULL) {
        w->traffic.refused_peers++;
        own_close_fd(&fd);
        return;
    }
    worker_entered(w);
    to = lightest(w);
    atomic_fetch_add_explicit(&to->doors.load, 1, memory_order_relaxed);
    if (to == w)
        entry_take(&w->entry, fd, tag);
    else
        hand_over(to, fd, tag);
}

static int listen_fd(const int *fds, size_t count, size_t index, int *out_fd, struct err *err)
{
    *out_fd = index < count ? fds[index] : fcntl(fds[index % count], F_DUPFD_CLOEXEC, 3);
    if (*out_fd < 0)
        return err_sys(err, errno, "share the listening socket");
    return 0;
}

static int open_door(struct worker *w, struct door *door, enum target_plane plane, int fd,
                     struct err *err)
{
    *door = (struct door){.worker = w, .plane = plane};
    if (listener_start(&door->listener, w->loop, fd, on_accept, door, err) != 0)
        return -1;
    door->is_open = true;
    return 0;
}

void doors_init(struct doors *d)
{
    *d = (struct doors){.mutex = PTHREAD_MUTEX_INITIALIZER};
}

int doors_open(struct worker *w, struct err *err)
{
    const struct edge_config *c = w->config;
    enum target_plane plane = c->data_count > 0 ? TARGET_CONTROL_ONLY : TARGET_ANY;
    int fd;

    if (listen_fd(c->listen_fds, c->listen_count, w->index, &fd, err) != 0 ||
        open_door(w, &w->doors.at[0], plane, fd, err) != 0)
        return -1;
    if (c->data_count == 0)
        return 0;
    if (listen_fd(c->data_fds, c->data_count, w->index, &fd, err) != 0)
        return -1;
    return open_door(w, &w->doors.at[1], TARGET_DATA_ONLY, fd, err);
}

void doors_shut(struct worker *w)
{
    for (size_t i = 0; i < DOORS_MAX; i++) {
        struct door *door = &w->doors.at[i];

        if (door->is_open)
            listener_stop(&door->listener);
        door->is_open = false;
    }
}

void doors_done(struct worker *w)
{
    struct arrival *a;

    doors_shut(w);
    while ((a = next_arrival(&w->doors, false)) != NULL) {
        own_close_fd(&a->fd);
        counts_give(w->peers, a->tag >> TAG_BITS);
        free(a);
    }
}

void doors_leave(struct worker *w, uint32_t slot)
{
    counts_give(w->peers, slot);
    atomic_fetch_sub_explicit(&w->doors.load, 1, memory_order_relaxed);
    worker_left(w);
}
