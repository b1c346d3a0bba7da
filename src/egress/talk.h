/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox asks without a connection, UDP and ICMP echo: a talk is a connected socket of
 * the host for a pair of places, ended by silence. The way's own words about what was sent (ICMP
 * errors: refused, unreachable, too big, out of hops) are passed on as they came, from whom they
 * came; from the relay itself where that is a place that sandboxes may not know. */
#ifndef EGRESS_TALK_H
#define EGRESS_TALK_H

#include "egress/outlet.h"

struct talk {
    struct list_node node; /* in the outlet's list of its kind */
    struct outlet *outlet;
    enum talk_kind kind;
    struct pair pair;
    int fd;
    int hops, is_rigid; /* as the socket is set; -1: as it was born */
    struct watch watch;
    struct timer silence;
    uint64_t active_ms, began_ms;
    uint64_t up, down; /* bytes of data */
    int error;         /* it could not begin */
    bool is_denied;    /* by a policy that came later */
};

/* The one there is, else a new one, when the policy allows it; the longest silent one makes room.
 * NULL: *out_error says why. */
struct talk *talk_get(struct outlet *o, enum talk_kind kind, const struct pair *pair,
                      int *out_error);
void talk_touch(struct talk *t);
/* Of what is sent next: how far it may go, and (IPv4) whether routers may cut it. */
void talk_set_hops(struct talk *t, unsigned hops);
void talk_set_rigid(struct talk *t, bool is_rigid);
/* 0, or an errno; what the way said before is told first, and is no failure of this. */
int talk_send(struct talk *t, struct str data);
/* What it will not carry, told by the relay itself: `w` needs fragments. */
void talk_too_big(struct talk *t, const struct wire *w);
/* What `error` means for `packet`, which was not sent; nothing when it is only lost. */
void talk_refuse(struct outlet *o, struct str packet, int error);

void talks_recheck(struct outlet *o); /* ends what the policy of now does not allow */
void talks_end_all(struct outlet *o);

/* udp.c, echo.c: reads answers until there are none; and a packet to quote, with `sent` of what
 * went out, as far as that is known. Returns its size, 0: none. */
void udp_answers(struct talk *t);
size_t udp_quote(const struct talk *t, struct str sent, char *out);
void echo_answers(struct talk *t);
size_t echo_quote(const struct talk *t, struct str sent, char *out);

#endif
