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

/* From a pipe, so that they are in no argument list and no environment. */
static void read_secrets(char token[TOKEN_HEX_LEN + 1], struct buf *keys)
{
    ssize_t got = read(ROLE_FD_TOKEN, token, TOKEN_HEX_LEN);
    char *room;

    token[got == TOKEN_HEX_LEN ? got : 0] = '\0'; /* none: admin routes stay closed */
    buf_init(keys, ROLE_KEYS_MAX);
    room = buf_room(keys, ROLE_KEYS_MAX);
    while (room != NULL && buf_left(keys) > 0 &&
           (got = read(ROLE_FD_TOKEN, keys->at + keys->len, buf_left(keys))) > 0)
        buf_fill(keys, (size_t)got);
    close(ROLE_FD_TOKEN);
}

static void forget(struct buf *secret)
{
    if (secret->at != NULL)
        explicit_bzero(secret->at, secret->len);
    buf_done(secret);
}

/* Where the role finds its things. */
struct places {
    char node[PATH_MAX], database[PATH_MAX], keys[PATH_MAX], templates[PATH_MAX], uploads[PATH_MAX],
        pushes[PATH_MAX];
};

static struct places *places_new(const struct config *c)
{
    struct places *p = mem_zero(sizeof(*p));

    config_path(p->node, PATH_MAX, c->run_dir, "node.sock");
    config_path(p->database, PATH_MAX, c->data_dir, "api/sandlot.db");
    config_path(p->keys, PATH_MAX, c->data_dir, "api/store.key");
    config_path(p->templates, PATH_MAX, c->data_dir, "templates");
    config_path(p->uploads, PATH_MAX, c->data_dir, "api/uploads");
    config_path(p->pushes, PATH_MAX, c->data_dir, "registry");
    return p;
}

int role_api(const struct invocation *v)
{
    const struct program *program = v->ctx;
    const struct config *c = &program->config;
    auto_free struct places *p = places_new(c);
    char token[TOKEN_HEX_LEN + 1];
    struct api_config config = {
        .http_fd = ROLE_FD_FIRST,
        .routes_fd = ROLE_FD_FIRST + 1,
        .node_socket = p->node,
        .store = {c->store_engine, p->database, p->keys},
        .templates_dir = p->templates,
        .admin_token = token,
        .version = v->table->version,
        .metrics_listen = c->metrics_listen,
        .logs_requests = c->log_requests,
        .events_max = c->events_max,
        .events_days = c->events_days,
        .audit_percent = c->audit_percent,
        .audit_records_max = c->audit_records_max,
        .webhook_ca_file = c->webhook_ca_file,
        .webhook_tries_max = c->webhook_tries_max,
        .domain = c->domain,
        .timeout_default_s = c->timeout_default_s,
        .timeout_max_s = c->timeout_max_s,
        .may_be_unlimited = c->may_be_unlimited,
        .replay_kb = c->replay_kb,
        .paused_retention_s = c->paused_retention_s,
        .is_idle_default = strcmp(c->timeout_mode, "idle") == 0,
        .team_sandboxes_max = c->team_sandboxes_max,
        .team_vcpus_max = c->team_vcpus_max,
        .team_memory_mb_max = c->team_memory_mb_max,
        .team_disk_mb_max = c->team_disk_mb_max,
        .team_builds_max = c->team_builds_max,
        .build_keep_s = c->build_keep_s,
        .builds_max = c->builds_max,
        .build_sweep_s = c->build_sweep_s,
        .uploads_dir = p->uploads,
        .pushes_dir = p->pushes,
        .push_max = c->push_max_mb << 20,
        .push_host = c->push_host,
        .push_prefix = c->push_prefix,
        .upload_max = c->upload_max_mb << 20,
        .team_keys_max = c->team_keys_max,
        .requests_max = c->requests_max,
        .key_rate_per_s = c->key_rate,
        .peer_rate_per_s = c->peer_rate,
        .body_max = c->body_max,
        .keys_file = c->keys_file,
        .keys_team = c->keys_team,
    };
    struct api_role r = {0};
    struct buf keys;
    int result;
    struct err err;

    if (role_begin(v, "api", on_stop, &r, &r.loop) != 0)
        return EXIT_FAILURE;
    read_secrets(token, &keys);
    config.keys_text = buf_str(&keys);
    result = api_new(r.loop, &config, &r.api, &err);
    forget(&keys);
    if (result != 0) {
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
