/* SPDX-License-Identifier: Apache-2.0 */
/* The egress process: wiring only. Started by supervisor.c. */
#include "base/log.h"
#include "egress/egress.h"
#include "main/role.h"

struct egress_role {
    struct loop *loop;
    struct egress *egress;
};

static void on_stop(void *ctx)
{
    struct egress_role *r = ctx;

    loop_stop(r->loop);
}

int role_egress(const struct invocation *v)
{
    const struct program *program = v->ctx;
    const struct config *c = &program->config;
    const struct egress_config config = {
        .listen_fd = ROLE_FD_FIRST,
        .allow = c->egress_allow,
        .deny = c->egress_deny,
        .resolvers = c->egress_resolvers,
        .ca_file = c->egress_ca_file,
        .bytes_per_s = c->egress_kb_per_s << 10,
        .connections_max = c->egress_connections_max,
    };
    struct egress_role r = {0};
    struct err err;

    if (role_begin(v, "egress", on_stop, &r, &r.loop) != 0)
        return EXIT_FAILURE;
    if (egress_new(r.loop, &config, &r.egress, &err) != 0) {
        log_error("egress.failed", "error=\"%s\"", err.text);
        return EXIT_FAILURE;
    }
    role_ready();
    if (loop_run(r.loop, &err) != 0)
        log_error("egress.failed", "error=\"%s\"", err.text);
    egress_free(r.egress);
    loop_free(r.loop);
    return EXIT_SUCCESS;
}
