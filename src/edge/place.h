/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a loop that has little to do on the processor where its clients' packets arrive. Each
 * request that is relayed takes four wake-ups; one of a thread on another processor takes an
 * interrupt, tens of microseconds in a virtual machine, where one on the same takes a few. A loop
 * that has several requests at once hardly sleeps, and is left to the scheduler. Used by edge.c. */
#ifndef EDGE_PLACE_H
#define EDGE_PLACE_H

#include "http/server.h"

enum {
    PLACE_EVERY = 16,    /* requests between two looks */
    PLACE_AFTER = 4,     /* looks in a row that find us elsewhere */
    PLACE_PAUSE_MS = 50, /* between two moves: the scheduler may know better */
};

struct place {
    unsigned requests, away;
    uint64_t moved_ms;
};

/* For each request, on the loop's thread. */
void place_follow(struct place *p, const struct exchange *x, uint64_t now_ms);

#endif
