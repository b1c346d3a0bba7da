/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP echo of a sandbox, for programs like ping and traceroute: asked again by a ping socket of
 * the host, whose kernel gives it a number of its own, and answered only when the machine that was
 * asked answers. Where the host lets this role have no such socket (net.ipv4.ping_group_range) it
 * is refused as prohibited: loopback would answer in the name of any machine. See egress.h. */
#include <errno.h>
#include <sys/socket.h>

#include "base/bucket.h"
#include "egress/talk.h"

enum {
    BODY = 4, /* offset in a message: behind type, code and checksum */
};

/* Of a sandbox, each second; more is lost. ping -f is as fast as answers come, or 100. */
static const struct bucket_rule rate = {200, 400};

void echo_request(struct outlet *o, const struct wire *w)
{
    const struct pair pair = {w->from, w->to};
    int error = 0;
    struct talk *t;

    if (!bucket_take(&o->echoes, &rate, 1, loop_now_ms(o->egress->loop)))
        return;
    t = talk_get(o, TALK_ECHO, &pair, &error);
    if (t != NULL) {
        talk_set_hops(t, w->hops);
        if (place_is_v4(&w->to)) /* with IPv6 who sends makes the fragments: that is us */
            talk_set_rigid(t, w->is_rigid);
        error = talk_send(t, str_from(w->packet, w->head));
    }
    if (error == EMSGSIZE)
        talk_too_big(t, w);
    else if (error != 0)
        talk_refuse(o, w->packet, error);
}

/* The kernel lets in what has the number, whoever sends it. */
static bool is_from(const struct talk *t, const struct sockaddr_storage *from)
{
    struct place p = place_of((const struct sockaddr *)from);

    return memcmp(p.address, t->pair.to.address, sizeof(p.address)) == 0;
}

void echo_answers(struct talk *t)
{
    struct egress *e = t->outlet->egress;

    for (int i = 0; i < PACKETS_BATCH; i++) {
        struct sockaddr_storage from = {0};
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(t->fd, e->packet, WIRE_MAX, 0, (struct sockaddr *)&from, &size);

        if (n < 0)
            return; /* nothing more, or a fault that is told in the next turn */
        if (n < WIRE_ECHO_HEAD || !is_from(t, &from))
            continue;
        talk_touch(t);
        t->down += (uint64_t)n;
        outlet_send(
            t->outlet, e->answer,
            wire_echo(&t->pair, true, (struct str){e->packet + BODY, (size_t)n - BODY}, e->answer));
    }
}

size_t echo_quote(const struct talk *t, struct str sent, char *out)
{
    if (sent.len < WIRE_ECHO_HEAD)
        return 0;
    return wire_echo(&t->pair, false, (struct str){sent.at + BODY, WIRE_ECHO_HEAD - BODY}, out);
}
