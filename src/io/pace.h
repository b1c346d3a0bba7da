/* SPDX-License-Identifier: Apache-2.0 */
/* So many bytes per second, for whoever shares it. What was moved is paid afterwards, so one read
 * may overdraw it and the next one waits for that. */
#ifndef IO_PACE_H
#define IO_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t bytes_per_s; /* 0: no limit; may be changed at any time */
    int64_t left;
    uint64_t at_ms; /* when `left` was true */
};

enum {
    PACE_BURST_MS = 100, /* what an idle one saves up */
    PACE_WAIT_MAX_MS = 1000,
};

bool pace_ready(struct pace *p, uint64_t now_ms);
void pace_spend(struct pace *p, uint64_t bytes);
/* After pace_ready() said no: when to ask again. */
uint64_t pace_wait_ms(const struct pace *p);

#endif
