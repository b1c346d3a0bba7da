/* SPDX-License-Identifier: Apache-2.0 */
/* UDP of a sandbox: datagrams out through a talk, answers back as packets that come from where
 * they came from. See egress.h. */
#include <errno.h>

#include "egress/talk.h"

void udp_answers(struct talk *t)
{
    struct egress *e = t->outlet->egress;

    for (int i = 0; i < PACKETS_BATCH; i++) {
        ssize_t n = recv(t->fd, e->packet, WIRE_MAX, 0);

        if (n < 0)
            return; /* nothing more, or a fault that is told in the next turn */
        talk_touch(t);
        t->down += (uint64_t)n;
        outlet_send(
            t->outlet, e->answer,
            wire_udp(&t->pair.to, &t->pair.from, (struct str){e->packet, (size_t)n}, e->answer));
    }
}

size_t udp_quote(const struct talk *t, struct str sent, char *out)
{
    ignore((long)sent.len); /* what is quoted of a datagram are its ports */
    return wire_udp(&t->pair.from, &t->pair.to, (struct str){0}, out);
}

static void refuse(struct outlet *o, const struct pair *pair, int error)
{
    char quote[WIRE_QUOTE_MAX];

    talk_refuse(o, (struct str){quote, wire_udp(&pair->from, &pair->to, (struct str){0}, quote)},
                error);
}

void udp_datagram(struct outlet *o, const struct pair *pair, unsigned hops, struct str data)
{
    int error = 0;
    struct talk *t = talk_get(o, TALK_UDP, pair, &error);

    if (t != NULL) {
        talk_set_hops(t, hops);
        error = talk_send(t, data);
    }
    if (error != 0)
        refuse(o, pair, error);
}
