/* SPDX-License-Identifier: Apache-2.0 */
/* So many bytes per second, for whoever shares it. What was moved is paid afterwards, so one read
 * may overdraw it and the next one waits for that. Those who wait get their turns in the order they
 * came, one each: nobody starves beside others who move more. */
#ifndef IO_PACE_H
#define IO_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"

/* Of one who may have to wait; zeroed at first. */
struct pace_turn {
    struct list_node node; /* in pace->waiting */
    struct pace *pace;
    loop_fn *fn;
    void *ctx;
};

struct pace {
    uint64_t bytes_per_s; /* 0: no limit; may be changed at any time */
    int64_t left;
    uint64_t at_ms;      /* when `left` was true */
    struct list waiting; /* struct pace_turn */
    struct loop *loop;
    struct timer timer; /* while somebody waits */
    const struct pace_turn *served;
};

enum {
    PACE_BURST_MS = 100, /* what an idle one saves up */
    PACE_WAIT_MAX_MS = 1000,
};

/* May `turn` (NULL: of one who never waits) move bytes now? Not before those who wait already. */
bool pace_ready(struct pace *p, const struct pace_turn *turn, uint64_t now_ms);
void pace_spend(struct pace *p, uint64_t bytes);
/* After pace_ready() said no: fn is called once, when it is its turn; pace_ready() says yes then.
 * The pace outlives the wait. */
void pace_wait(struct pace *p, struct loop *l, struct pace_turn *turn, loop_fn *fn, void *ctx);
bool pace_waits(const struct pace_turn *turn);
void pace_leave(struct pace_turn *turn); /* harmless when it does not wait */
/* When to ask again, had nobody to be waited for. */
uint64_t pace_wait_ms(const struct pace *p);

#endif
