/* SPDX-License-Identifier: Apache-2.0 */
/* What node says, and the start and end of the role; see egress.h. */
#include "egress/egress.h"

#include <errno.h>

#include "base/log.h"
#include "egress/dns.h"
#include "egress/outlet.h"
#include "egress/route.h"
#include "egress/shown.h"

struct peer {
    struct list_node node;
    struct egress *egress;
    struct channel *channel;
};

static void peer_free(struct peer *p)
{
    channel_free(p->channel);
    list_remove(&p->node);
    free(p);
}

static void on_socket(struct egress *e, const void *message, int *fd)
{
    const struct egress_socket *m = message;
    struct outlet *o = outlet_get(e, m->id);

    if (o == NULL || m->kind >= EGRESS_SOCKET_KINDS || *fd < 0)
        return;
    own_close_fd(&o->fds[m->kind]);
    o->fds[m->kind] = take_fd(fd);
}

static void ask_for_sockets(struct egress *e, const struct outlet *o)
{
    struct peer *p = container_of(list_first(&e->peers), struct peer, node);
    const struct egress_close m = {str_of(o->id)};
    struct err err;

    if (channel_send(p->channel, EGRESS_WANTED, &m, -1, &err) == 0)
        return;
    log_warn("egress.peer_dropped", "error=\"%s\"", err.text);
    peer_free(p); /* it comes back and names all again */
}

/* One that does not read is dropped by what it must be told. */
bool egress_tell(struct egress *e, const struct egress_record *r)
{
    struct list_node *first = list_first(&e->peers);

    return first != NULL && channel_send(container_of(first, struct peer, node)->channel,
                                         EGRESS_RECORD, r, -1, NULL) == 0;
}

/* With a policy that is not understood nothing leaves. */
static void on_open(struct egress *e, const void *message, int *fd)
{
    const struct egress_open *m = message;
    struct outlet *o = outlet_get(e, m->id);
    struct err err;

    ignore(*fd);
    if (o == NULL)
        return;
    o->is_named = true;
    if (outlet_set_policy(o, m->policy, &err) == 0) {
        if (!outlet_is_complete(o)) {
            if (!o->is_open)
                ask_for_sockets(e, o);
            return;
        }
        if (outlet_open(o, &err) == 0)
            return;
    }
    log_error("egress.open_failed", "id=%s error=\"%s\"", o->id, err.text);
    outlet_free(o);
}

static void on_policy(struct egress *e, const void *message, int *fd)
{
    const struct egress_open *m = message;
    struct outlet *o = outlet_find(e, m->id);
    struct err err;

    ignore(*fd);
    if (o == NULL || outlet_set_policy(o, m->policy, &err) == 0)
        return;
    log_error("egress.policy_failed", "id=%s error=\"%s\"", o->id, err.text);
    outlet_free(o);
}

/* They come before the policy that stands on them; with none of them the rules refuse. */
static void on_secrets(struct egress *e, const void *message, int *fd)
{
    const struct egress_open *m = message;
    struct outlet *o = outlet_find(e, m->id);
    struct err err;

    ignore(*fd);
    if (o != NULL && outlet_set_secrets(o, m->policy, &err) != 0)
        log_error("egress.secrets_failed", "id=%s error=\"%s\"", o->id, err.text);
}

static void on_close(struct egress *e, const void *message, int *fd)
{
    const struct egress_close *m = message;
    struct outlet *o = outlet_find(e, m->id);

    ignore(*fd);
    if (o != NULL)
        outlet_free(o);
}

static void on_listed(struct egress *e, const void *message, int *fd)
{
    size_t cursor = 0;
    struct outlet *o;

    ignore(*fd);
    ignore(message == NULL);
    while ((o = map_next(&e->outlets, &cursor)) != NULL) {
        if (!o->is_named)
            outlet_free(o);
    }
    log_info("egress.listed", "sandboxes=%zu", e->outlets.count);
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    static void (*const rows[EGRESS_MESSAGE_COUNT])(struct egress * e, const void *message,
                                                    int *fd) = {
        [EGRESS_SOCKET] = on_socket, [EGRESS_OPEN] = on_open,     [EGRESS_POLICY] = on_policy,
        [EGRESS_CLOSE] = on_close,   [EGRESS_LISTED] = on_listed, [EGRESS_SECRETS] = on_secrets,
    };
    struct peer *p = ctx;
    auto_fd int passed = fd;

    if (type < EGRESS_MESSAGE_COUNT && rows[type] != NULL)
        rows[type](p->egress, message, &passed);
}

static void on_gone(void *ctx, const struct err *why)
{
    log_debug("egress.peer_left", "error=\"%s\"", why->text);
    peer_free(ctx); /* sandboxes go on; the next node names those that are left */
}

/* A new node: it will name all that run. */
static void on_accept(void *ctx, int accepted)
{
    struct egress *e = ctx;
    struct peer *p;
    struct list_node *i;
    size_t cursor = 0;
    struct outlet *o;
    auto_fd int fd = accepted;
    struct err err;
    uid_t uid;

    if (socket_peer_uid(fd, &uid, &err) != 0 || uid != 0) {
        log_warn("egress.peer_refused", "error=\"only root may connect\"");
        return;
    }
    while ((i = list_first(&e->peers)) != NULL)
        peer_free(container_of(i, struct peer, node)); /* there is one node */
    while ((o = map_next(&e->outlets, &cursor)) != NULL)
        o->is_named = false;
    p = mem_zero(sizeof(*p));
    p->egress = e;
    list_push(&e->peers, &p->node);
    if (channel_new(e->loop, take_fd(&fd), &egress_protocol, on_message, on_gone, p, &p->channel,
                    &err) != 0) {
        log_error("egress.peer_failed", "error=\"%s\"", err.text);
        peer_free(p);
    }
}

int egress_new(struct loop *l, const struct egress_config *config, struct egress **out,
               struct err *err)
{
    struct egress *e = mem_zero(sizeof(*e));

    e->loop = l;
    e->listener.fd = -1;
    e->route_fd = -1;
    e->packet = mem_zero(WIRE_MAX + SHOWN_EXTRA);
    e->answer = mem_zero(WIRE_MAX);
    e->defaults.bytes_per_s = config->bytes_per_s;
    e->defaults.connections_max = config->connections_max;
    if (roots_new(config->ca_file, &e->roots, err) != 0 ||
        site_read(config->allow, config->deny, &e->site, err) != 0 ||
        route_table_open(&e->route_fd, err) != 0 ||
        dns_new(l, config->resolvers, &e->dns, err) != 0 ||
        listener_start(&e->listener, l, config->listen_fd, on_accept, e, err) != 0) {
        egress_free(e);
        return -1;
    }
    *out = e;
    return 0;
}

void egress_free(struct egress *e)
{
    size_t cursor = 0;
    struct list_node *i;
    struct outlet *o;

    if (e == NULL)
        return;
    if (e->listener.fd >= 0)
        listener_stop(&e->listener);
    while ((i = list_first(&e->peers)) != NULL)
        peer_free(container_of(i, struct peer, node));
    while ((o = map_next(&e->outlets, &cursor)) != NULL)
        outlet_free(o);
    map_done(&e->outlets);
    dns_free(e->dns);
    own_close_fd(&e->route_fd);
    site_done(&e->site);
    roots_free(e->roots);
    free(e->packet);
    free(e->answer);
    free(e);
}
