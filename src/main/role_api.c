/* SPDX-License-Identifier: Apache-2.0 */
/* The api process: wiring only. Started by supervisor.c. */
#include <limits.h>

#include "api/api.h"
#include "base/id.h"
#include "base/log.h"
#include "main/role.h"

struct api_role {
    struct loop *loop;
    struct api *api;
    struct timer deadline;
};

static void on_drained(void *ctx)
{
    struct api_role *r = ctx;

    loop_stop(r->loop);
}

static void on_stop(void *ctx)
{
    struct api_role *r = ctx;

    if (timer_running(&r->deadline))
        return;
    timer_start(r->loop, &r->deadline, ROLE_DRAIN_MS, on_drained, r);
    api_drain(r->api, on_drained, r);
}

/* From a pipe, so that it is in no argument list and no environment. */
static void read_token(char token[TOKEN_HEX_LEN + 1])
{
    ssize_t got = read(ROLE_FD_TOKEN, token, TOKEN_HEX_LEN);

    token[got == TOKEN_HEX_LEN ? got : 0] = '\0'; /* none: admin routes stay closed */
    close(ROLE_FD_TOKEN);
}

int role_api(const struct invocation *v)
{
    const struct program *program = v->ctx;
    const struct config *c = &program->config;
    char node[PATH_MAX], database[PATH_MAX], templates[PATH_MAX];
    char token[TOKEN_HEX_LEN + 1];
    struct api_config config = {
        .http_fd = ROLE_FD_FIRST,
        .routes_fd = ROLE_FD_FIRST + 1,
        .node_socket = node,
        .store = {c->store_engine, database},
        .templates_dir = templates,
        .admin_token = token,
        .version = v->table->version,
        .metrics_listen = c->metrics_listen,
        .logs_requests = c->log_requests,
        .events_max = c->events_max,
        .events_days = c->events_days,
        .webhook_tries_max = c->webhook_tries_max,
        .domain = c->domain,
        .timeout_default_s = c->timeout_default_s,
        .timeout_max_s = c->timeout_max_s,
        .may_be_unlimited = c->may_be_unlimited,
        .replay_kb = c->replay_kb,
        .is_idle_default = strcmp(c->timeout_mode, "idle") == 0,
        .team_sandboxes_max = c->team_sandboxes_max,
    };
    struct api_role r = {0};
    struct err err;

    if (role_begin(v, "api", on_stop, &r, &r.loop) != 0)
        return EXIT_FAILURE;
    read_token(token);
    config_path(node, sizeof node, c->run_dir, "node.sock");
    config_path(database, sizeof database, c->data_dir, "api/sandlot.db");
    config_path(templates, sizeof templates, c->data_dir, "templates");
    if (api_new(r.loop, &config, &r.api, &err) != 0) {
        log_error("api.failed", "error=\"%s\"", err.text);
        return EXIT_FAILURE;
    }
    role_ready();
    if (loop_run(r.loop, &err) != 0)
        log_error("api.failed", "error=\"%s\"", err.text);
    api_free(r.api);
    loop_free(r.loop);
    return EXIT_SUCCESS;
}
