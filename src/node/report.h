/* SPDX-License-Identifier: Apache-2.0 */
/* The machine and what node did on it, for NODE_REPORT: every REPORT_MS, and at once to a peer that
 * connects. Used by node.c. */
#ifndef NODE_REPORT_H
#define NODE_REPORT_H

struct node;
struct peer;
struct reporter;

enum {
    REPORT_MS = 5 * 1000,
};

struct reporter *reporter_new(struct node *n);
void reporter_free(struct reporter *r);
void reporter_tell(struct reporter *r, struct peer *p); /* p may be gone afterwards */

#endif
