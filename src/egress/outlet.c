/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of one sandbox and what comes out of them; see outlet.h. Called by egress.c. */
#include "egress/outlet.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>

#include "base/log.h"
#include "egress/dns.h"
#include "egress/route.h"
#include "egress/verdict.h"

enum {
    LOOPBACK = 1, /* index of lo, in every namespace */
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
    o->datagram = o->packet = -1;
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
    watch_stop(&o->packet_watch);
    own_close_fd(&o->datagram);
    closer_put(o->egress->closer, o->packet);
    o->datagram = o->packet = -1;
    o->is_open = false;
}

void outlet_free(struct outlet *o)
{
    tcp_end_all(o);
    udp_end_all(o);
    dns_forget(o);
    stop_serving(o);
    for (size_t i = 0; i < COUNT_OF(o->fds); i++)
        closer_put(o->egress->closer, o->fds[i]);
    policy_done(&o->policy);
    ignore(map_remove(&o->egress->outlets, str_of(o->id)) != NULL); /* it is o */
    free(o);
}

void outlet_send(struct outlet *o, const char *packet, size_t size)
{
    bool is_v4 = size > 0 && ((unsigned)(uint8_t)packet[0] >> 4) == 4;
    const struct sockaddr_ll lo = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(is_v4 ? ETH_P_IP : ETH_P_IPV6),
        .sll_ifindex = LOOPBACK,
        .sll_halen = ETH_ALEN,
    };

    if (size > 0 && o->packet >= 0)
        ignore(sendto(o->packet, packet, size, MSG_DONTWAIT, (const struct sockaddr *)&lo,
                      sizeof(lo)));
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

static void on_packet(void *ctx, uint32_t events)
{
    struct outlet *o = ctx;
    char *packet = o->egress->packet;

    ignore((long)events);
    for (int i = 0; i < PACKETS_BATCH; i++) {
        ssize_t n = recv(o->packet, packet, WIRE_MAX, MSG_TRUNC);
        struct wire w;

        if (n < 0)
            return; /* nothing more */
        if (n > WIRE_MAX || !wire_read((struct str){packet, (size_t)n}, &w))
            continue;
        if (w.kind == WIRE_SYN)
            tcp_begin(o, &w);
        else if (w.kind == WIRE_ECHO)
            echo_request(o, &w);
    }
}

/* The destination that the datagram was sent to; false when the kernel did not tell. */
static bool original(struct msghdr *m, struct place *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        struct sockaddr_storage address = {0};
        bool is_it = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
                     (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR);

        if (!is_it || c->cmsg_len - CMSG_LEN(0) > sizeof(address))
            continue;
        memcpy(&address, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        *out = place_of((const struct sockaddr *)&address);
        return true;
    }
    return false;
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
        struct pair pair;

        if (n < 0)
            return; /* nothing more */
        pair.from = place_of((const struct sockaddr *)&from);
        if (!original(&m, &pair.to))
            continue;
        if (pair.to.port == DNS_PORT)
            dns_datagram(o, &pair, data);
        else
            udp_datagram(o, &pair, data);
    }
}

static void on_accept(void *ctx, int fd)
{
    tcp_accepted(ctx, fd);
}

static int serve(struct outlet *o, struct err *err)
{
    struct loop *l = o->egress->loop;

    stop_serving(o);
    o->datagram = take_fd(&o->fds[EGRESS_DATAGRAM]);
    o->packet = take_fd(&o->fds[EGRESS_PACKET]);
    if (listener_start(&o->stream, l, take_fd(&o->fds[EGRESS_STREAM]), on_accept, o, err) != 0)
        return -1;
    o->is_open = true;
    if (watch_start(l, &o->datagram_watch, o->datagram, EPOLLIN, on_datagram, o, err) != 0)
        return -1;
    return watch_start(l, &o->packet_watch, o->packet, EPOLLIN, on_packet, o, err);
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
    udp_recheck(o);
    return 0;
}

int outlet_open(struct outlet *o, struct str policy, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(o->fds); i++) {
        if (o->fds[i] < 0)
            return err_set(err, ERR_INVALID, "socket %zu did not come", i);
    }
    if (outlet_set_policy(o, policy, err) != 0)
        return -1;
    return serve(o, err);
}
