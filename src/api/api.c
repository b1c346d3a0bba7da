/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the api role together: store, domain, routes feed, HTTP. Called by src/main. */
#include "api/api_internal.h"
#include "api/call.h"
#include "api/feed.h"
#include "api/sender.h"
#include "build/builder.h"
#include "build/push_store.h"
#include "domain/event_log.h"

enum {
    REQUESTS_MAX = 4096,
    KEY_RATE_PER_S = 10000,
    PEER_RATE_PER_S = 20000,
    BODY_MAX = 1 << 20,
    UPLOAD_MAX = 1 << 30,
};

static const uint64_t push_max = 10ULL << 30;
static const char push_prefix[] = "e2b";

static const struct http_limits http_limits = {
    .head_ms = 10 * 1000,
    .idle_ms = 640 * 1000,
    .stall_ms = 30 * 1000, /* a peer that stops in the middle of its body holds a call */
    .connections_max = 4096,
    .drain_max = 256 << 10,
};

static void on_route(void *ctx, const struct sandbox *s)
{
    struct api *a = ctx;

    feed_push(a->feed, s);
}

static const struct domain_hooks hooks = {log_event, on_route, trust_begin};

static void on_accept(void *ctx, int fd)
{
    struct api *a = ctx;

    http_server_adopt(a->http, fd, 0);
}

static int open_parts(struct loop *l, struct api *a, const struct api_config *config,
                      struct err *err)
{
    struct domain_config domain = {
        .node_socket = config->node_socket,
        .templates_dir = config->templates_dir,
        .timeout_default_s = config->timeout_default_s,
        .timeout_max_s = config->timeout_max_s,
        .team_sandboxes_max = config->team_sandboxes_max,
        .team_vcpus_max = config->team_vcpus_max,
        .team_memory_mb_max = config->team_memory_mb_max,
        .team_disk_mb_max = config->team_disk_mb_max,
        .team_builds_max = config->team_builds_max,
        .team_keys_max = config->team_keys_max,
        .keys_file = config->keys_file,
        .keys_team = config->keys_team,
        .keys_text = config->keys_text,
        .start_timeout_ms = config->start_timeout_ms,
        .compare_ms = config->compare_ms,
        .may_be_unlimited = config->may_be_unlimited,
        .is_idle_default = config->is_idle_default,
        .replay_kb = config->replay_kb,
        .paused_retention_s = config->paused_retention_s,
        .events_max = config->events_max,
        .events_days = config->events_days,
        .audit_percent = config->audit_percent,
        .audit_records_max = config->audit_records_max,
        .webhook_retry_ms = config->webhook_retry_ms,
        .webhook_tries_max = config->webhook_tries_max,
        .build_keep_s = config->build_keep_s,
        .builds_max = config->builds_max,
        .build_sweep_s = config->build_sweep_s,
    };

    if (store_open(l, &config->store, &a->store, err) != 0 ||
        feed_new(l, config->routes_fd, &a->feed, err) != 0 ||
        domain_new(l, a->store, &domain, &hooks, a, &a->domain, err) != 0 ||
        http_server_new(l, &http_limits, gate_request, a, &a->http, err) != 0)
        return -1;
    a->pushes = push_store_new(l, config->pushes_dir, a->config.push_max);
    a->builder = builder_new(&(struct work_host){l, a->domain, config->uploads_dir, a->pushes});
    feed_serve(a->feed, a->domain);
    a->sender = sender_new(l, a->domain, config->webhook_ca_file);
    if (scrape_new(l, a, config->metrics_listen, &a->scrape, err) != 0)
        return -1;
    return listener_start(&a->listener, l, config->http_fd, on_accept, a, err);
}

int api_new(struct loop *l, const struct api_config *config, struct api **out, struct err *err)
{
    struct api *a = mem_zero(sizeof(*a));

    a->loop = l;
    a->config = *config;
    if (a->config.requests_max == 0)
        a->config.requests_max = REQUESTS_MAX;
    if (a->config.key_rate_per_s == 0)
        a->config.key_rate_per_s = KEY_RATE_PER_S;
    if (a->config.peer_rate_per_s == 0)
        a->config.peer_rate_per_s = PEER_RATE_PER_S;
    if (a->config.body_max == 0)
        a->config.body_max = BODY_MAX;
    if (a->config.upload_max == 0)
        a->config.upload_max = UPLOAD_MAX;
    if (a->config.push_max == 0)
        a->config.push_max = push_max;
    if (a->config.push_prefix == NULL || a->config.push_prefix[0] == '\0')
        a->config.push_prefix = push_prefix;
    a->config.keys_text = (struct str){0};
    a->router = router_new(routes, route_count, sizeof(struct route));
    if (open_parts(l, a, config, err) != 0) {
        err_wrap(err, "start api");
        api_free(a);
        return -1;
    }
    *out = a;
    return 0;
}

void api_drain(struct api *a, loop_fn *on_done, void *ctx)
{
    a->is_draining = true;
    listener_stop(&a->listener);
    http_server_drain(a->http, on_done, ctx);
}

void api_free(struct api *a)
{
    struct list_node *at;

    if (a == NULL)
        return;
    listener_stop(&a->listener);
    http_server_free(a->http);
    if (a->domain != NULL)
        domain_flush(a->domain);
    scrape_free(a->scrape);
    builder_free(a->builder);
    push_store_free(a->pushes);
    sender_free(a->sender);
    event_log_flush(a->domain);
    if (a->store != NULL)
        store_close(a->store); /* waits for what is queued; its callbacks need the domain */
    domain_free(a->domain);
    trust_done(a);
    feed_free(a->feed);
    while ((at = list_first(&a->calls)) != NULL)
        call_free(container_of(at, struct call, node));
    peers_done(&a->peers);
    router_free(a->router);
    free(a);
}
