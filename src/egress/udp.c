/* SPDX-License-Identifier: Apache-2.0 */
/* UDP of a sandbox: a session is a connected socket of the host for a pair of places. Its answers
 * go back as packets that come from where they came from. See egress.h. */
#include <errno.h>
#include <netinet/in.h>

#include "egress/outlet.h"
#include "egress/route.h"

enum {
    SESSIONS_MAX = 256,     /* of one sandbox; the longest silent one makes room */
    SILENCE_MS = 60 * 1000, /* without a datagram either way a session ends */
};

struct session {
    struct list_node node; /* in outlet->recent */
    struct outlet *outlet;
    struct pair pair;
    int fd;
    struct watch watch;
    struct timer silence;
    uint64_t active_ms;
};

static void session_free(struct session *s)
{
    ignore(map_remove(&s->outlet->sessions, pair_key(&s->pair)) != NULL); /* it is s */
    list_remove(&s->node);
    watch_stop(&s->watch);
    timer_stop(&s->silence);
    own_close_fd(&s->fd);
    free(s);
}

static void refuse(struct outlet *o, const struct pair *pair, int error)
{
    char *out = o->egress->answer;
    enum wire_why why = WIRE_FORBIDDEN;

    if (error == ECONNREFUSED)
        why = WIRE_NO_PORT;
    else if (error == EHOSTUNREACH || error == EHOSTDOWN)
        why = WIRE_NO_HOST;
    else if (error == ENETUNREACH || error == ENETDOWN)
        why = WIRE_NO_NETWORK;
    outlet_send(o, out, wire_udp_unreachable(&pair->from, &pair->to, why, out));
}

static void on_silence(void *ctx)
{
    struct session *s = ctx;
    struct loop *l = s->outlet->egress->loop;
    uint64_t quiet_ms = loop_now_ms(l) - s->active_ms;

    if (quiet_ms < SILENCE_MS)
        timer_start(l, &s->silence, SILENCE_MS - quiet_ms, on_silence, s);
    else
        session_free(s);
}

static void touch(struct session *s)
{
    s->active_ms = loop_now_ms(s->outlet->egress->loop);
    list_remove(&s->node);
    list_push(&s->outlet->recent, &s->node);
}

static void on_answer(void *ctx, uint32_t events)
{
    struct session *s = ctx;
    struct egress *e = s->outlet->egress;

    ignore((long)events);
    for (int i = 0; i < PACKETS_BATCH; i++) {
        ssize_t n = recv(s->fd, e->packet, WIRE_MAX, 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) { /* what an ICMP error told */
            refuse(s->outlet, &s->pair, errno);
            return;
        }
        touch(s);
        outlet_send(
            s->outlet, e->answer,
            wire_udp(&s->pair.to, &s->pair.from, (struct str){e->packet, (size_t)n}, e->answer));
    }
}

/* A connected socket, so that the kernel lets in nothing from elsewhere. 0, or an errno. */
static int session_open(struct session *s)
{
    struct sockaddr_storage address;
    socklen_t size = place_to(&s->pair.to, &address);

    s->fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return errno == EAFNOSUPPORT ? ENETUNREACH : errno;
    if (connect(s->fd, (const struct sockaddr *)&address, size) != 0)
        return errno;
    if (watch_start(s->outlet->egress->loop, &s->watch, s->fd, EPOLLIN, on_answer, s, NULL) != 0)
        return ENOBUFS;
    return 0;
}

static struct session *session_new(struct outlet *o, const struct pair *pair, int *out_error)
{
    struct session *s;

    *out_error = outlet_check(o, &pair->to);
    if (*out_error != 0)
        return NULL;
    if (o->sessions.count >= SESSIONS_MAX)
        session_free(container_of(list_first(&o->recent), struct session, node));
    s = mem_zero(sizeof(*s));
    s->outlet = o;
    s->pair = *pair;
    s->fd = -1;
    ignore(map_put(&o->sessions, pair_key(&s->pair), s) != NULL); /* the caller has looked */
    list_push(&o->recent, &s->node);
    timer_start(o->egress->loop, &s->silence, SILENCE_MS, on_silence, s);
    *out_error = session_open(s);
    if (*out_error == 0)
        return s;
    session_free(s);
    return NULL;
}

void udp_datagram(struct outlet *o, const struct pair *pair, struct str data)
{
    struct session *s = map_get(&o->sessions, pair_key(pair));
    int error;

    if (s == NULL)
        s = session_new(o, pair, &error);
    if (s == NULL) {
        refuse(o, pair, error);
        return;
    }
    touch(s);
    if (send(s->fd, data.at, data.len, 0) < 0 && errno != EAGAIN && errno != EINTR)
        refuse(o, pair, errno);
}

void udp_recheck(struct outlet *o)
{
    struct list_node *next;

    for (struct list_node *i = list_first(&o->recent); i != NULL; i = next) {
        struct session *s = container_of(i, struct session, node);

        next = list_next(&o->recent, i);
        if (outlet_check(o, &s->pair.to) != 0)
            session_free(s);
    }
}

void udp_end_all(struct outlet *o)
{
    struct list_node *i;

    while ((i = list_first(&o->recent)) != NULL)
        session_free(container_of(i, struct session, node));
    map_done(&o->sessions);
}
