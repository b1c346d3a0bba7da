/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the parts of the control plane together. Called by api/api.c. */
#include "domain/domain.h"

#include "domain/authority.h"
#include "domain/build_internal.h"
#include "domain/creation.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/event_log.h"
#include "domain/fork.h"
#include "domain/key_import.h"
#include "domain/metrics.h"
#include "domain/net_log.h"
#include "domain/nodes.h"
#include "domain/sandbox_wake.h"
#include "domain/secret.h"
#include "domain/signer.h"
#include "domain/snapshot.h"
#include "domain/template_use.h"
#include "domain/webhook.h"

enum {
    TIMEOUT_DEFAULT_S = 300,
    TIMEOUT_MAX_S = 86400,
    TEAM_SANDBOXES_MAX = 1000,
    START_TIMEOUT_MS = 30 * 1000,
    COMPARE_MS = 30 * 1000,
};

const char actor_system[] = "system";
const char domain_envd_version[] = "0.6.13";

static void on_lost(void *ctx, const struct err *why)
{
    event_emit(ctx, (struct event){.kind = EVENT_NODE_LOST, .detail = why->text});
}

static void on_usage(void *ctx, const struct node_usage *u)
{
    metrics_usage(ctx, u);
}

static void on_connection(void *ctx, const struct egress_record *r)
{
    net_log_add(ctx, r);
}

static void on_report(void *ctx, const struct node_report *r)
{
    nodes_report(ctx, r);
}

static const struct node_client_hooks node_hooks = {recover_list, recover_exited, on_lost,
                                                    on_report,    on_usage,       on_connection};

static uint64_t either(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

int domain_new(struct loop *l, struct store *store, const struct domain_config *config,
               const struct domain_hooks *hooks, void *hooks_ctx, struct domain **out,
               struct err *err)
{
    struct domain *d = mem_zero(sizeof(*d));

    d->loop = l;
    d->store = store;
    d->hooks = hooks;
    d->hooks_ctx = hooks_ctx;
    d->config = *config;
    d->config.timeout_default_s = either(config->timeout_default_s, TIMEOUT_DEFAULT_S);
    d->config.timeout_max_s = either(config->timeout_max_s, TIMEOUT_MAX_S);
    d->config.team_sandboxes_max = either(config->team_sandboxes_max, TEAM_SANDBOXES_MAX);
    d->config.start_timeout_ms = either(config->start_timeout_ms, START_TIMEOUT_MS);
    d->config.compare_ms = either(config->compare_ms, COMPARE_MS);
    d->events = event_log_new(d);
    d->net_log = net_log_new(d);
    d->webhooks = webhooks_new(d);
    d->secrets = secrets_new();
    d->metrics = metrics_new(d);
    d->nodes = nodes_new(d);
    d->signers = signers_new(l);
    d->builds = builds_new(d);
    d->templates = templates_new(d, config->templates_dir);
    d->node = node_client_new(l, config->node_socket, d->config.compare_ms, &node_hooks, d);
    if (event_log_load(d, err) != 0 || net_log_load(d, err) != 0 || webhooks_load(d, err) != 0 ||
        nodes_load(d, err) != 0 || team_load(d, err) != 0 || key_load(d, err) != 0 ||
        secret_load(d, err) != 0 || template_use_load(d, err) != 0 || creation_load(d, err) != 0 ||
        snapshot_load(d, err) != 0 || builds_load(d, err) != 0 || recover_load(d, err) != 0) {
        domain_free(d);
        return -1;
    }
    key_import_start(d);
    *out = d;
    return 0;
}

static void ops_done(struct list *ops)
{
    struct list_node *at;

    while ((at = list_pop(ops)) != NULL)
        free(container_of(at, struct op, node));
}

void domain_free(struct domain *d)
{
    size_t cursor = 0;
    struct list_node *at;
    struct sandbox *s;

    if (d == NULL)
        return;
    node_client_free(d->node);
    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        ops_done(&s->waiters);
        ops_done(&s->creators);
        ops_done(&s->pausers);
        resumers_done(s);
        wakers_done(s);
        sandbox_free(s);
    }
    map_done(&d->sandboxes);
    creation_done(d);
    fork_done(d);
    snapshot_done(d);
    builds_free(d->builds);
    while ((at = list_first(&d->trusts)) != NULL)
        authority_free(container_of(at, struct trust, node));
    ops_done(&d->ops);
    deadline_done(d);
    key_import_done(d);
    key_done(d);
    team_kill_done(d);
    team_done(d);
    template_use_done(d);
    templates_free(d->templates);
    nodes_free(d->nodes);
    signers_free(d->signers);
    metrics_free(d->metrics);
    webhooks_free(d->webhooks);
    secrets_free(d->secrets);
    net_log_free(d->net_log);
    event_log_free(d->events);
    free(d);
}

int domain_dial(struct domain *d, struct str id, uint16_t port, domain_dialed_fn *fn, void *ctx,
                struct err *err)
{
    const struct node_dial to = {.id = id, .port = port};

    return node_client_dial(d->node, &to, d->config.start_timeout_ms, fn, ctx, err);
}

void domain_flush(struct domain *d)
{
    key_uses_flush(d);
}

uint64_t domain_timeout_default_s(const struct domain *d)
{
    return d->config.timeout_default_s;
}

bool domain_node_is_ready(const struct domain *d)
{
    return node_client_is_ready(d->node);
}

size_t domain_sandbox_count(const struct domain *d)
{
    return d->sandboxes.count;
}

const struct domain_counters *domain_counters(const struct domain *d)
{
    return &d->counters;
}

struct domain_allocation domain_allocation(const struct domain *d)
{
    struct domain_allocation sum = {0};
    size_t cursor = 0;
    const struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        if (sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_NONE)
            continue;
        sum.sandboxes++;
        sum.cpus += (uint64_t)s->r.cpu_count;
        sum.memory_bytes += (uint64_t)s->r.memory_mb << 20;
    }
    return sum;
}

void domain_act_as(struct domain *d, struct str actor)
{
    if (!str_to_c(actor, d->actor, sizeof(d->actor)))
        d->actor[0] = '\0';
}

struct str domain_actor(const struct domain *d)
{
    return str_of(d->actor[0] != '\0' ? d->actor : actor_system);
}

void domain_sign(struct sandbox *s)
{
    if (s->domain->actor[0] != '\0')
        memcpy(s->actor, s->domain->actor, sizeof(s->actor));
}

void domain_route(const struct sandbox *s)
{
    const struct domain *d = s->domain;

    if (d->hooks->on_route != NULL)
        d->hooks->on_route(d->hooks_ctx, s);
}
