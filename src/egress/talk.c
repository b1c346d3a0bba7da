/* SPDX-License-Identifier: Apache-2.0 */
/* See talk.h. Used by udp.c, echo.c and outlet.c. */
#include "egress/talk.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>

enum {
    SILENCE_MS = 60 * 1000, /* without a packet either way a talk ends */
    HEAD_MAX = 64,          /* bytes of what was sent that a fault may quote */
    FAULT_MAX = 256,        /* and of what is said about it */
};

struct kind {
    const char *name;
    int protocol, protocol6;
    size_t max; /* of one sandbox; the longest silent one makes room */
    void (*answers)(struct talk *t);
    size_t (*quote)(const struct talk *t, struct str sent, char *out);
};

static const struct kind kinds[TALK_KINDS] = {
    [TALK_UDP] = {"udp",  0,            0,              256, udp_answers,  udp_quote },
    [TALK_ECHO] = {"icmp", IPPROTO_ICMP, IPPROTO_ICMPV6, 32,  echo_answers, echo_quote},
};

/* The relay in its own name: the name server of /etc/resolv.conf, and its like with IPv6. */
static const struct place *relay(const struct place *to)
{
    static const struct place v4 = {
        {[10] = 0xff, [11] = 0xff, 192, 0, 0, 1},
        0
    };
    static const struct place v6 = {
        {0xfd, 0x73, 0x61, 0x6e, 0x64, 0x6c, 0x6f, 0x74, [15] = 1},
        0
    };

    return place_is_v4(to) ? &v4 : &v6;
}

static void record(struct outlet *o, enum talk_kind kind, const struct pair *pair,
                   const struct audit_note *what)
{
    struct audit_note n = *what;
    struct place to = pair->to;

    if (!audit_is_on(o))
        return;
    if (kind == TALK_ECHO)
        to.port = 0; /* the number of the asker */
    n.protocol = kinds[kind].name;
    n.to = &to;
    if (n.is_denied && o->policy.proxy != NULL && n.rule == NULL)
        n.rule = "egressProxy";
    audit_tell(o, &n);
}

static void record_end(struct talk *t)
{
    record(t->outlet, t->kind, &t->pair,
           &(struct audit_note){.began_ms = t->began_ms,
                                .up = t->up,
                                .down = t->down,
                                .is_denied = t->is_denied,
                                .detail = t->error != 0 ? strerror(t->error) : NULL});
}

static void talk_free(struct talk *t)
{
    struct talks *all = &t->outlet->talks[t->kind];

    record_end(t);
    ignore(map_remove(&all->by_pair, pair_key(&t->pair)) != NULL); /* it is t */
    list_remove(&t->node);
    watch_stop(&t->watch);
    timer_stop(&t->silence);
    own_close_fd(&t->fd);
    free(t);
}

static void on_silence(void *ctx)
{
    struct talk *t = ctx;
    struct loop *l = t->outlet->egress->loop;
    uint64_t quiet_ms = loop_now_ms(l) - t->active_ms;

    if (quiet_ms < SILENCE_MS)
        timer_start(l, &t->silence, SILENCE_MS - quiet_ms, on_silence, t);
    else
        talk_free(t);
}

void talk_touch(struct talk *t)
{
    t->active_ms = loop_now_ms(t->outlet->egress->loop);
    list_remove(&t->node);
    list_push(&t->outlet->talks[t->kind].recent, &t->node);
}

void talk_refuse(struct outlet *o, struct str packet, int error)
{
    static const struct {
        int error;
        enum wire_why why;
    } rows[] = {
        {ECONNREFUSED, WIRE_NO_PORT   },
        {EHOSTUNREACH, WIRE_NO_HOST   },
        {EHOSTDOWN,    WIRE_NO_HOST   },
        {ENETUNREACH,  WIRE_NO_NETWORK},
        {ENETDOWN,     WIRE_NO_NETWORK},
    };
    char *out = o->egress->answer;
    enum wire_why why = WIRE_FORBIDDEN;
    struct wire w;

    if (error == EMSGSIZE || error == ENOBUFS || error == ENOMEM || !wire_read(packet, &w))
        return;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].error == error)
            why = rows[i].why;
    }
    outlet_send(o, out, wire_unreachable(&w, why, out));
}

/* False: it is not of the way, but of our own sending. */
static bool read_fault(struct msghdr *m, struct wire_fault *out)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        struct sockaddr_storage offender = {0};
        struct sock_extended_err e;
        size_t size = c->cmsg_len - CMSG_LEN(0);
        bool is_it = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                     (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);

        if (!is_it || size < sizeof(e) || size - sizeof(e) > sizeof(offender))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        memcpy(&offender, CMSG_DATA(c) + sizeof(e), size - sizeof(e));
        *out = (struct wire_fault){.from = place_of((const struct sockaddr *)&offender),
                                   .type = e.ee_type,
                                   .code = e.ee_code,
                                   .mtu = e.ee_errno == EMSGSIZE ? e.ee_info : 0};
        return e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6;
    }
    return false;
}

static void tell_fault(struct talk *t, struct wire_fault *fault, struct str sent)
{
    char quote[WIRE_QUOTE_MAX], *out = t->outlet->egress->answer;
    struct wire w;

    if (outlet_check_site(t->outlet, &fault->from) != 0)
        fault->from = *relay(&t->pair.to);
    if (wire_read((struct str){quote, kinds[t->kind].quote(t, sent, quote)}, &w))
        outlet_send(t->outlet, out, wire_fault(&w, fault, out));
}

/* True: there were some. */
static bool tell_faults(struct talk *t)
{
    for (int i = 0; i < PACKETS_BATCH; i++) {
        _Alignas(8) char control[FAULT_MAX];
        char sent[HEAD_MAX];
        struct iovec iov = {sent, sizeof(sent)};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        struct wire_fault fault;
        ssize_t n = recvmsg(t->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);

        if (n < 0)
            return i > 0;
        if (read_fault(&m, &fault))
            tell_fault(t, &fault, (struct str){sent, (size_t)n});
    }
    return true;
}

static void on_ready(void *ctx, uint32_t events)
{
    struct talk *t = ctx;

    if ((events & EPOLLERR) != 0)
        ignore(tell_faults(t));
    kinds[t->kind].answers(t);
}

/* A connected socket, so that the kernel lets in nothing from elsewhere. 0, or an errno. */
static int talk_open(struct talk *t)
{
    const struct kind *k = &kinds[t->kind];
    const int one = 1;
    struct sockaddr_storage address;
    socklen_t size = place_to(&t->pair.to, &address);
    bool is_v4 = address.ss_family == AF_INET;

    t->fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                   is_v4 ? k->protocol : k->protocol6);
    if (t->fd < 0)
        return errno == EAFNOSUPPORT ? ENETUNREACH : errno;
    ignore(setsockopt(t->fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_RECVERR : IPV6_RECVERR,
                      &one, sizeof(one))); /* else faults are only an errno of the next packet */
    if (connect(t->fd, (const struct sockaddr *)&address, size) != 0)
        return errno;
    if (watch_start(t->outlet->egress->loop, &t->watch, t->fd, EPOLLIN, on_ready, t, NULL) != 0)
        return ENOBUFS;
    return 0;
}

/* A proxy carries TCP: beside it nothing goes. */
static int check(struct outlet *o, const struct place *to)
{
    return o->policy.proxy != NULL ? EACCES : outlet_check(o, to);
}

struct talk *talk_get(struct outlet *o, enum talk_kind kind, const struct pair *pair,
                      int *out_error)
{
    struct talks *all = &o->talks[kind];
    struct talk *t = map_get(&all->by_pair, pair_key(pair));

    if (t != NULL) {
        talk_touch(t);
        return t;
    }
    *out_error = check(o, &pair->to);
    if (*out_error != 0) {
        record(o, kind, pair,
               &(struct audit_note){.is_denied = *out_error == EACCES,
                                    .detail = *out_error != EACCES ? strerror(*out_error) : NULL});
        return NULL;
    }
    if (all->by_pair.count >= kinds[kind].max)
        talk_free(container_of(list_first(&all->recent), struct talk, node));
    t = mem_zero(sizeof(*t));
    t->outlet = o;
    t->kind = kind;
    t->pair = *pair;
    t->began_ms = loop_now_ms(o->egress->loop);
    t->fd = t->hops = t->is_rigid = -1;
    ignore(map_put(&all->by_pair, pair_key(&t->pair), t) != NULL); /* see above */
    talk_touch(t);
    timer_start(o->egress->loop, &t->silence, SILENCE_MS, on_silence, t);
    *out_error = talk_open(t);
    if (*out_error == 0)
        return t;
    t->error = *out_error;
    talk_free(t);
    return NULL;
}

/* What cannot be set stays as it is: a packet that goes too far is better than none. */
static void set(struct talk *t, int option, int option6, int value)
{
    bool is_v4 = place_is_v4(&t->pair.to);

    ignore(setsockopt(t->fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? option : option6, &value,
                      sizeof(value)));
}

void talk_set_hops(struct talk *t, unsigned hops)
{
    if (t->hops == (int)hops)
        return;
    t->hops = (int)hops;
    set(t, IP_TTL, IPV6_UNICAST_HOPS, t->hops);
}

void talk_set_rigid(struct talk *t, bool is_rigid)
{
    if (t->is_rigid == (int)is_rigid)
        return;
    t->is_rigid = is_rigid;
    set(t, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, is_rigid ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
}

int talk_send(struct talk *t, struct str data)
{
    for (int i = 0; i < 2; i++) {
        ssize_t n = send(t->fd, data.at, data.len, 0);

        if (n >= 0)
            t->up += (uint64_t)n;
        if (n >= 0 || errno == EAGAIN || errno == EINTR)
            return 0;
        if (errno == EMSGSIZE || !tell_faults(t))
            break;
    }
    return errno;
}

void talk_too_big(struct talk *t, const struct wire *w)
{
    char *out = t->outlet->egress->answer;
    bool is_v4 = place_is_v4(&t->pair.to);
    int mtu = 0;
    socklen_t size = sizeof(mtu);

    if (getsockopt(t->fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_MTU : IPV6_MTU, &mtu,
                   &size) == 0)
        outlet_send(t->outlet, out, wire_too_big(w, relay(&t->pair.to), (uint32_t)mtu, out));
}

void talks_recheck(struct outlet *o)
{
    struct list_node *next;

    for (size_t k = 0; k < TALK_KINDS; k++) {
        for (struct list_node *i = list_first(&o->talks[k].recent); i != NULL; i = next) {
            struct talk *t = container_of(i, struct talk, node);

            next = list_next(&o->talks[k].recent, i);
            t->is_denied = check(o, &t->pair.to) != 0;
            if (t->is_denied)
                talk_free(t);
        }
    }
}

void talks_end_all(struct outlet *o)
{
    struct list_node *i;

    for (size_t k = 0; k < TALK_KINDS; k++) {
        while ((i = list_first(&o->talks[k].recent)) != NULL)
            talk_free(container_of(i, struct talk, node));
        map_done(&o->talks[k].by_pair);
    }
}
