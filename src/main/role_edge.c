/* SPDX-License-Identifier: Apache-2.0 */
/* The edge process: wiring only. Started by supervisor.c. */
#include <limits.h>
#include <signal.h>

#include "base/log.h"
#include "edge/edge.h"
#include "main/role.h"

struct edge_role {
    struct loop *loop;
    struct edge *edge;
    struct timer deadline;
    uint64_t retire_ms;
    bool is_stopping;
};

static void on_drained(void *ctx)
{
    struct edge_role *r = ctx;

    loop_stop(r->loop);
}

static void on_stop(void *ctx)
{
    struct edge_role *r = ctx;

    if (r->is_stopping)
        return;
    r->is_stopping = true;
    timer_start(r->loop, &r->deadline, ROLE_DRAIN_MS, on_drained, r);
    edge_drain(r->edge, on_drained, r);
}

/* Another process serves the listeners already. */
static void on_retire(void *ctx)
{
    struct edge_role *r = ctx;

    if (r->is_stopping || timer_running(&r->deadline))
        return;
    timer_start(r->loop, &r->deadline, r->retire_ms, on_stop, r);
    edge_retire(r->edge, on_drained, r);
}

int role_edge(const struct invocation *v)
{
    const struct program *program = v->ctx;
    const struct config *c = &program->config;
    char api[PATH_MAX], routes[PATH_MAX], dial[PATH_MAX];
    int fds[2 * EDGE_LOOPS_MAX];
    struct edge_config config = {
        .listen_fds = fds,
        .loops = (unsigned)c->edge_loops,
        .api_socket = api,
        .routes_socket = routes,
        .dial_socket = dial,
        .domain = c->domain,
        .gone_status = strcmp(c->gone_status, "410") == 0 ? 410 : 0,
        .limits = {.head_ms = (uint32_t)c->edge_head_s * 1000,
                   .idle_ms = (uint32_t)c->edge_idle_s * 1000,
                   .head_max = (uint32_t)c->head_max},
        .certificates = c->tls_certificates,
        .is_tls_only = !c->tls_has_plain,
        .is_tls_1_3_only = strcmp(c->tls_min_version, "1.3") == 0,
        .has_h2 = c->edge_has_h2,
        .transition_ms = (uint32_t)c->edge_transition_s * 1000,
        .resume_ms = (uint32_t)c->edge_resume_s * 1000,
        .upload_stall_ms = (uint32_t)c->edge_upload_stall_s * 1000,
        .peer_max = (uint32_t)c->edge_peer_max,
        .sandbox_max = (uint32_t)c->edge_sandbox_max,
        .has_paths = c->edge_has_paths,
        .has_access_log = c->edge_has_access_log,
        .names_requests = c->log_requests,
    };
    struct edge_role r = {.retire_ms = c->edge_drain_s * 1000};
    uint64_t count, data_count = 0;
    struct err err;

    if (role_begin(v, "edge", on_stop, &r, &r.loop) != 0)
        return EXIT_FAILURE;
    if (!str_to_u64(str_of(v->words[0]), &count) || count == 0 || count > EDGE_LOOPS_MAX)
        return command_fail(v, "internal: %s listeners", v->words[0]);
    if (v->words[1] != NULL &&
        (!str_to_u64(str_of(v->words[1]), &data_count) || data_count > EDGE_LOOPS_MAX))
        return command_fail(v, "internal: %s listeners for data", v->words[1]);
    config.listen_count = count;
    config.data_fds = fds + count;
    config.data_count = data_count;
    for (size_t i = 0; i < count + data_count; i++)
        fds[i] = ROLE_FD_FIRST + (int)i;
    config.limits.connections_max =
        (uint32_t)(c->edge_connections_max / edge_loops(config.loops)) + 1;
    config_path(api, sizeof api, c->run_dir, cli_api_socket);
    config_path(routes, sizeof routes, c->run_dir, "routes.sock");
    config_path(dial, sizeof dial, c->run_dir, "dial.sock");
    if (loop_on_signal(r.loop, SIGUSR1, on_retire, &r, &err) != 0 ||
        edge_new(r.loop, &config, &r.edge, &err) != 0) {
        log_error("edge.failed", "error=\"%s\"", err.text);
        return EXIT_FAILURE;
    }
    role_ready();
    if (loop_run(r.loop, &err) != 0)
        log_error("edge.failed", "error=\"%s\"", err.text);
    edge_free(r.edge);
    loop_free(r.loop);
    return EXIT_SUCCESS;
}
