/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes did with the network, as egress tells it (egress/audit.h) where it was asked for:
 * the team's egressAuditPercent, else egress.audit_percent. Beside the event log, so that what a
 * sandbox does over and over pushes no other event out, and bounded as that: by number, of one
 * sandbox and of all, and by age. In memory for reading and in the store to survive; what came in
 * the last EVENT_FLUSH_MS before a crash is lost, and what comes while this process is away. */
#ifndef DOMAIN_NET_LOG_H
#define DOMAIN_NET_LOG_H

#include "base/arena.h"
#include "base/list.h"
#include "domain/domain.h"
#include "ipc/egress_messages.h"

enum {
    NET_LOG_MAX = 20000,        /* default of domain_config.audit_records_max */
    NET_LOG_SANDBOX_MAX = 2000, /* of one sandbox */
    NET_LOG_KEY_LEN = 16,
    NET_LOG_PAGE_MAX = 1000,
    NET_LOG_TEXT_MAX = 256, /* bytes of each text that are kept */
};

struct net_record {
    struct str key; /* hex; they sort by the time they came, and are the cursor of readers */
    struct str team_id;
    struct egress_record r;
};

struct net_log;
struct net_subject;

struct net_row {
    struct net_record record;
    struct list_node in_all, of_subject; /* oldest first */
    struct net_subject *subject;
};

struct net_query {
    struct str sandbox_id;
    struct str after; /* key to go on behind; empty: from the beginning */
    bool is_denied;   /* these alone */
    size_t limit;     /* 1 to NET_LOG_PAGE_MAX */
};

/* Rows are good until control returns to the loop. NULL: the arena is too small. */
const struct net_row **net_log_query(const struct domain *d, const struct net_query *q,
                                     struct arena *a, size_t *out_count);
size_t net_log_count(const struct domain *d); /* of all that are kept */
/* Of a sandbox that nobody knows it is ignored. */
void net_log_add(struct domain *d, const struct egress_record *r);

/* For domain.c. */
struct net_log *net_log_new(struct domain *d);
void net_log_free(struct net_log *l);
must_check int net_log_load(struct domain *d, struct err *err);

#endif
