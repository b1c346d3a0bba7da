/* SPDX-License-Identifier: Apache-2.0 */
/* The machines that run sandboxes: one, today. What it reported last, and what the operator wants
 * of it. Users: domain.c, sandbox_create.c, api/nodes.c. */
#ifndef DOMAIN_NODES_H
#define DOMAIN_NODES_H

#include "base/err.h"
#include "ipc/node_messages.h"

struct domain;

enum node_status {
    NODE_STATUS_READY,
    NODE_STATUS_DRAINING,   /* takes no new sandboxes; those it has live on */
    NODE_STATUS_STANDBY,    /* the same */
    NODE_STATUS_CONNECTING, /* seen, never set: api has no connection to it */
    NODE_STATUS_COUNT,
};

const char *node_status_name(enum node_status status);
/* False: no such word. */
bool node_status_parse(struct str word, enum node_status *out);

enum {
    NODE_ID_MAX = 63,
};

struct node_info {
    char id[NODE_ID_MAX + 1];       /* its host name; "node" until it has reported */
    char instance[NODE_ID_MAX + 1]; /* changes when the process does */
    enum node_status status;
    int64_t status_changed_ms;
    bool has_report;
    struct node_report report; /* zeros before the first */
};

/* Texts are good until control returns to the loop. */
void nodes_get(const struct domain *d, struct node_info *out);

/* NULL before the first. */
const struct node_report *nodes_last_report(const struct domain *d);

typedef void nodes_done_fn(void *ctx, const struct err *err);
/* ERR_INVALID for a status that cannot be set. `fn` when it is durable. */
must_check int nodes_set_status(struct domain *d, enum node_status status, nodes_done_fn *fn,
                                void *ctx, struct err *err);
/* ERR_UNAVAILABLE while no node takes new sandboxes. */
must_check int nodes_check_placing(const struct domain *d, struct err *err);

/* For domain.c. */
struct nodes *nodes_new(struct domain *d);
void nodes_free(struct nodes *n);
must_check int nodes_load(struct domain *d, struct err *err);
void nodes_report(struct domain *d, const struct node_report *r);

#endif
