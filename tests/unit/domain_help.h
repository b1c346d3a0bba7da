/* SPDX-License-Identifier: Apache-2.0 */
/* A domain over the memory store for unit tests: no node, records made by hand. */
#ifndef TESTS_UNIT_DOMAIN_HELP_H
#define TESTS_UNIT_DOMAIN_HELP_H

#include "domain/domain_internal.h"

struct domain_help {
    struct loop *loop;
    struct store *store;
    struct domain *domain;
    struct team *team; /* the default one */
    char dir[64];      /* temporary; the templates directory */
    size_t routes_pushed, events[EVENT_COUNT];
};

/* An empty domain. Fails the test when it cannot. */
void domain_help_open(struct domain_help *h);
void domain_help_open_at(struct domain_help *h, const char *node_socket); /* with a node there */
void domain_help_close(struct domain_help *h);
/* A running sandbox "s<number>", started at started_ms and ending at end_ms, as if it had been
 * loaded. */
struct sandbox *domain_help_sandbox(struct domain_help *h, unsigned number, int64_t started_ms,
                                    int64_t end_ms);
/* How often any store was read since the program started. */
size_t domain_help_reads(void);
/* Let the loop run for about that long. */
void domain_help_run(struct domain_help *h, unsigned ms);

#endif
