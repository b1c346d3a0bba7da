/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to api that take their time: each has a number, a deadline, and is asked again after a
 * reconnect. Bounded. Used by wake.c; routes.c owns the channel. */
#ifndef EDGE_ASKS_H
#define EDGE_ASKS_H

#include "base/map.h"
#include "edge/link.h"
#include "ipc/route_messages.h"

enum {
    ASKS_MAX = 8192, /* open at once; further ones fail at once with ERR_UNAVAILABLE */
};

struct ask;

/* Sends the question as number `seq`; called again after each reconnect. */
typedef void ask_send_fn(void *ctx, struct link *link, uint64_t seq);
/* ERR_NONE or what api says; ERR_TIMEOUT: the deadline passed. Texts are valid during the call. */
typedef void ask_fn(void *ctx, enum err_kind kind, const struct route_answer *answer);

struct asks {
    struct loop *loop;
    struct link *link;
    struct map by_seq; /* struct ask */
    uint64_t next_seq;
};

struct ask {
    struct asks *asks; /* NULL while not waiting */
    ask_send_fn *send;
    ask_fn *fn;
    void *ctx;
    uint64_t seq;
    struct timer deadline;
};

void asks_init(struct asks *a, struct loop *l, struct link *link);
void asks_done(struct asks *a);
void asks_again(struct asks *a); /* the link is up */
void asks_answer(struct asks *a, const struct route_answer *answer);

/* fn is called once, from the loop. */
void ask_start(struct asks *a, struct ask *one, uint64_t wait_ms, ask_send_fn *send, ask_fn *fn,
               void *ctx);
void ask_forget(struct ask *one); /* harmless when not waiting */

#endif
