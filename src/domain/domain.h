/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane without HTTP: sandboxes, templates, keys, teams, quotas, deadlines, and the
 * conversation with node. Users: api/.
 *
 * Everything lives in memory and is written through to the store; a call that changes something
 * answers by callback once the change is durable. One thread: all calls and callbacks are made on
 * the loop. Pointers to sandboxes, teams and keys are good until control returns to the loop; keep
 * the id. */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "domain/event.h"
#include "domain/sandbox.h"
#include "store/store.h"

struct domain_config {
    const char *node_socket;
    const char *templates_dir;
    uint64_t timeout_default_s;  /* 0: 300 (RX-02) */
    uint64_t timeout_max_s;      /* 0: 86400 (RX-03) */
    uint64_t team_sandboxes_max; /* concurrent ones; 0: 1000 */
    uint64_t start_timeout_ms;   /* for node to start one; 0: 30 s */
};

struct domain_hooks {
    void (*on_event)(void *ctx, const struct event *e);
    /* What edges may have cached about it changed; sandbox_state_row(s->state)->route says to what.
     */
    void (*on_route)(void *ctx, const struct sandbox *s);
};

/* Level of the guest protocol that is really offered (wire.md section 4). */
extern const char domain_envd_version[];

/* Reads all records; creates the team "default" in an empty store. Texts of `config`, the hooks and
 * the store must outlive the domain. */
must_check int domain_new(struct loop *l, struct store *store, const struct domain_config *config,
                          const struct domain_hooks *hooks, void *hooks_ctx, struct domain **out,
                          struct err *err);
void domain_free(struct domain *d); /* after store_close(); leaves sandboxes running */

uint64_t domain_timeout_default_s(const struct domain *d);
bool domain_node_is_ready(const struct domain *d);
size_t domain_sandbox_count(const struct domain *d);

#endif
