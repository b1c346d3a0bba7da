/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of one sandbox and what comes out of them; see outlet.h. Called by egress.c. */
#include "egress/outlet.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include "base/log.h"
#include "egress/dns.h"
#include "egress/route.h"
#include "egress/shown.h"
#include "egress/talk.h"
#include "egress/verdict.h"

enum {
    HOPS = 64, /* of a datagram when the kernel does not tell */
};

struct outlet *outlet_find(struct egress *e, struct str id)
{
    return map_get(&e->outlets, id);
}

struct outlet *outlet_get(struct egress *e, struct str id)
{
    struct outlet *o = outlet_find(e, id);

    if (o != NULL)
        return o;
    o = mem_zero(sizeof(*o));
    if (id.len == 0 || !str_to_c(id, o->id, sizeof(o->id))) {
        free(o);
        return NULL;
    }
    o->egress = e;
    o->datagram = o->shown = o->raw = o->raw6 = -1;
    for (size_t i = 0; i < COUNT_OF(o->fds); i++)
        o->fds[i] = -1;
    ignore(map_put(&e->outlets, str_of(o->id), o) != NULL); /* it was not there, see above */
    return o;
}

static void stop_serving(struct outlet *o)
{
    if (o->is_open)
        listener_stop(&o->stream);
    watch_stop(&o->datagram_watch);
    watch_stop(&o->shown_watch);
    own_close_fd(&o->datagram);
    own_close_fd(&o->shown);
    own_close_fd(&o->raw);
    own_close_fd(&o->raw6);
    o->datagram = o->shown = o->raw = o->raw6 = -1;
    o->is_open = false;
}

static void drop_fds(struct outlet *o)
{
    for (size_t i = 0; i < COUNT_OF(o->fds); i++) {
        own_close_fd(&o->fds[i]);
        o->fds[i] = -1;
    }
}

void outlet_free(struct outlet *o)
{
    tcp_end_all(o);
    talks_end_all(o);
    dns_forget(o);
    stop_serving(o);
    drop_fds(o);
    policy_done(&o->policy);
    vault_free(o->vault);
    ignore(map_remove(&o->egress->outlets, str_of(o->id)) != NULL); /* it is o */
    free(o);
}

void outlet_send(struct outlet *o, const char *packet, size_t size)
{
    struct sockaddr_storage address;
    struct place to;
    socklen_t address_size;

    if (!wire_destination((struct str){packet, size}, &to))
        return;
    address_size = place_to(&to, &address);
    ignore(sendto(address.ss_family == AF_INET ? o->raw : o->raw6, packet, size, MSG_DONTWAIT,
                  (const struct sockaddr *)&address, address_size));
}

int outlet_check_named(struct outlet *o, const struct place *to, struct str name)
{
    struct egress *e = o->egress;
    const char *rule;

    if (verdict(&e->site, &o->policy, to, name, &rule) == VERDICT_ALLOW)
        return route_check(e->route_fd, to);
    log_debug("egress.denied", "id=%s rule=\"%s\"", o->id, rule);
    return EACCES;
}

int outlet_check_site(struct outlet *o, const struct place *to)
{
    static const struct policy all;

    if (verdict(&o->egress->site, &all, to, (struct str){0}, NULL) == VERDICT_ALLOW)
        return route_check(o->egress->route_fd, to);
    return EACCES;
}

int outlet_check(struct outlet *o, const struct place *to)
{
    return outlet_check_named(o, to, (struct str){0});
}

bool outlet_allows_name(const struct outlet *o, const struct place *to, struct str name)
{
    return verdict(&o->egress->site, &o->policy, to, name, NULL) == VERDICT_ALLOW;
}

bool outlet_goes_by_name(const struct outlet *o, const struct place *to)
{
    return verdict(&o->egress->site, &o->policy, to, (struct str){0}, NULL) == VERDICT_BY_NAME;
}

/* What holds for addresses that no rule of the sandbox means in particular. */
static enum verdict usual(const struct outlet *o, struct str name)
{
    static const struct place somewhere = {
        {[10] = 0xff, [11] = 0xff, 1},
        0
    };
    static const struct site none;

    return verdict(&none, &o->policy, &somewhere, name, NULL);
}

bool outlet_may_ask(const struct outlet *o)
{
    return o->policy.allow.count > 0 || usual(o, (struct str){0}) != VERDICT_DENY;
}

bool outlet_may_ask_name(const struct outlet *o, struct str name)
{
    if (usual(o, (struct str){0}) == VERDICT_BY_NAME)
        return usual(o, name) == VERDICT_ALLOW;
    return outlet_may_ask(o);
}

static void on_shown(void *ctx, uint32_t events)
{
    struct outlet *o = ctx;
    char *message = o->egress->packet;

    ignore((long)events);
    for (int i = 0; i < PACKETS_BATCH; i++) {
        struct sockaddr_nl from = {.nl_pid = UINT32_MAX};
        socklen_t from_size = sizeof(from);
        ssize_t n = recvfrom(o->shown, message, WIRE_MAX + SHOWN_EXTRA, MSG_TRUNC,
                             (struct sockaddr *)&from, &from_size);
        struct str packet;
        struct wire w;

        if (n < 0)
            return; /* nothing more; or what came was more than there was room for */
        if (from.nl_pid != 0 || n > WIRE_MAX + SHOWN_EXTRA ||
            !shown_packet((struct str){message, (size_t)n}, &packet) || !wire_read(packet, &w))
            continue;
        if (w.kind == WIRE_SYN)
            tcp_begin(o, &w);
        else if (w.kind == WIRE_ECHO)
            echo_request(o, &w);
    }
}

/* The destination that the datagram was sent to, and how far it may go; false when the kernel did
 * not tell. */
static bool original(struct msghdr *m, struct place *out, unsigned *out_hops)
{
    bool is_found = false;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        struct sockaddr_storage address = {0};
        bool is_it = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
                     (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR);

        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT))
            memcpy(out_hops, CMSG_DATA(c), sizeof(*out_hops));
        if (!is_it || c->cmsg_len - CMSG_LEN(0) > sizeof(address))
            continue;
        memcpy(&address, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        *out = place_of((const struct sockaddr *)&address);
        is_found = true;
    }
    return is_found;
}

static void on_datagram(void *ctx, uint32_t events)
{
    struct outlet *o = ctx;

    ignore((long)events);
    for (int i = 0; i < PACKETS_BATCH; i++) {
        _Alignas(8) char control[256];
        struct sockaddr_storage from;
        struct iovec iov = {o->egress->packet, WIRE_MAX};
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof(from),
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(o->datagram, &m, 0);
        struct str data = {o->egress->packet, n < 0 ? 0 : (size_t)n};
        unsigned hops = HOPS;
        struct pair pair;

        if (n < 0)
            return; /* nothing more */
        pair.from = place_of((const struct sockaddr *)&from);
        if (!original(&m, &pair.to, &hops))
            continue;
        if (pair.to.port == DNS_PORT)
            dns_datagram(o, &pair, data);
        else
            udp_datagram(o, &pair, hops, data);
    }
}

static void on_accept(void *ctx, int fd)
{
    tcp_accepted(ctx, fd);
}

int outlet_open(struct outlet *o, struct err *err)
{
    struct loop *l = o->egress->loop;

    stop_serving(o);
    o->datagram = take_fd(&o->fds[EGRESS_DATAGRAM]);
    o->shown = take_fd(&o->fds[EGRESS_SHOWN]);
    o->raw = take_fd(&o->fds[EGRESS_RAW]);
    o->raw6 = take_fd(&o->fds[EGRESS_RAW6]);
    if (listener_start(&o->stream, l, take_fd(&o->fds[EGRESS_STREAM]), on_accept, o, err) != 0)
        return -1;
    o->is_open = true;
    if (watch_start(l, &o->datagram_watch, o->datagram, EPOLLIN, on_datagram, o, err) != 0)
        return -1;
    return watch_start(l, &o->shown_watch, o->shown, EPOLLIN, on_shown, o, err);
}

int outlet_set_policy(struct outlet *o, struct str policy, struct err *err)
{
    struct policy p;

    if (policy_read(policy, &o->egress->defaults, &p, err) != 0)
        return -1;
    policy_done(&o->policy);
    o->policy = p;
    o->up.bytes_per_s = o->down.bytes_per_s = p.bytes_per_s;
    tcp_recheck(o);
    talks_recheck(o);
    return 0;
}

int outlet_set_secrets(struct outlet *o, struct str secrets, struct err *err)
{
    struct vault *v;

    if (vault_new(secrets, &v, err) != 0)
        return -1;
    vault_free(o->vault);
    o->vault = v;
    return 0;
}

bool outlet_is_complete(struct outlet *o)
{
    for (size_t i = 0; i < COUNT_OF(o->fds); i++) {
        if (o->fds[i] < 0 && i != EGRESS_RAW6) {
            drop_fds(o); /* node cannot make others while these are there */
            return false;
        }
    }
    return true;
}
