/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of sandboxes: a heap ordered by endAt and one timer for the earliest. Cost per change is
 * O(log n), cost of time passing is nothing (CL-21). */
#ifndef DOMAIN_DEADLINE_H
#define DOMAIN_DEADLINE_H

struct domain;
struct sandbox;

enum {
    /* Wall time may be set while we sleep on monotonic time: look again at least this often. */
    DEADLINE_LOOK_MS = 30 * 1000,
    DEADLINE_BATCH = 256, /* ends handled in one turn of the loop */
};

/* Put, move or remove it, as its state and end ask. */
void deadline_set(struct sandbox *s);
void deadline_done(struct domain *d);

#endif
