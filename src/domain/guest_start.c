/* SPDX-License-Identifier: Apache-2.0 */
/* From a record to node's command; see guest_start.h. */
#include "domain/guest_start.h"

#include "domain/domain_internal.h"
#include "domain/guest_init.h"

enum {
    INIT_MAX = 150 << 10, /* fits one packet to node with the rest of the command */
};

static void from_record(struct guest_start *g, const struct sandbox_record *r, uint64_t replay_kb)
{
    g->m = (struct node_start){
        .id = r->id,
        .rootfs = r->rootfs,
        .layers = r->layers,
        .snapshot = r->snapshot,
        .hostname = r->id,
        .memory_bytes = (uint64_t)r->memory_mb << 20,
        .disk_bytes = (uint64_t)r->disk_mb << 20,
        .cpu_percent = (uint32_t)r->cpu_count * 100,
        .pids_max = SANDBOX_PIDS_MAX,
    };
    buf_init(&g->init, INIT_MAX);
    buf_init(&g->policy, EGRESS_POLICY_MAX + EGRESS_LIMITS_MAX);
    guest_init_json(r, &r->template_env, replay_kb, &g->init);
}

static int take_texts(struct guest_start *g, struct err *err)
{
    if (!buf_ok(&g->policy))
        return err_set(err, ERR_INVALID, "network rules are too many");
    if (!buf_ok(&g->init))
        return err_set(err, ERR_INVALID, "envVars are too large");
    g->m.policy = buf_str(&g->policy);
    g->m.init = buf_str(&g->init);
    return 0;
}

int guest_start_init(struct guest_start *g, struct sandbox *s, struct err *err)
{
    from_record(g, &s->r, s->domain->config.replay_kb);
    egress_policy_bytes(s, &g->policy);
    if (take_texts(g, err) != 0)
        return -1;
    egress_begin(s);
    return 0;
}

int guest_start_init_build(struct guest_start *g, const struct sandbox_record *r, struct err *err)
{
    from_record(g, r, 0);
    return take_texts(g, err);
}

void guest_start_done(struct guest_start *g)
{
    if (g->init.at != NULL)
        explicit_bzero(g->init.at, g->init.len); /* tokens */
    buf_done(&g->init);
    buf_done(&g->policy);
}
