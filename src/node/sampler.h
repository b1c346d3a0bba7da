/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at what each sandbox uses and tells every command peer (NODE_USAGE with seq 0). One that
 * does something is looked at every SAMPLE_MS; one whose processor time stands still ever less
 * often, up to SAMPLE_IDLE_MS. A look costs about five small reads; at most SAMPLE_BATCH of them
 * are done in one turn of the loop, so that a start never waits for more. Used by node.c. */
#ifndef NODE_SAMPLER_H
#define NODE_SAMPLER_H

#include "io/loop.h"

struct node;
struct sampler;

enum {
    SAMPLE_FIRST_MS = 500, /* after it was seen for the first time */
    SAMPLE_MS = 5 * 1000,
    SAMPLE_IDLE_MS = 30 * 1000,
    SAMPLE_BATCH = 16,
    SAMPLE_PAUSE_MS = 5,   /* between two batches */
    SAMPLE_SCAN_MS = 1000, /* between two looks for new sandboxes */
};

struct sampler *sampler_new(struct node *n);
void sampler_free(struct sampler *s);
uint64_t sampler_count(const struct sampler *s); /* looks since the process started */

#endif
