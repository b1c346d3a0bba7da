/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Never included from outside it. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include "api/api.h"
#include "api/peers.h"
#include "api/stats.h"
#include "base/id.h"
#include "domain/domain.h"
#include "domain/key.h"
#include "http/router.h"
#include "http/server.h"
#include "io/socket.h"

struct api {
    struct loop *loop;
    struct api_config config; /* zeros replaced by defaults */
    struct store *store;
    struct domain *domain;
    struct router *router;
    struct http_server *http;
    struct listener listener;
    struct feed *feed;
    struct sender *sender;
    struct push_store *pushes;
    struct builder *builder;
    struct scrape *scrape;
    struct api_stats stats;
    uint64_t request_count; /* names requests in the log */
    size_t upload_count;    /* uploads.c: running ones */
    struct list trusts;     /* trust.c: commands inside sandboxes */
    struct list calls;      /* running ones */
    size_t call_count;
    struct peers peers;
    bool is_draining; /* new requests are sent away */
};

struct route;

/* One request from the gate to its answer. It is freed by the function that answers it, and may
 * outlive the client: then x is NULL and the answer goes nowhere. Its texts (head, params, body)
 * live in the exchange, so use them before control returns to the loop. */
struct call {
    struct list_node node;
    struct api *api;
    struct exchange *x; /* NULL: the client went away */
    bool is_running;    /* its handler was called: an answer will come */
    const struct route *route;
    struct route_match match;
    struct team *team; /* NULL when the route asks for nobody */
    bool is_admin;
    uint32_t scopes; /* enum key_scope: what the caller may do */
    uint64_t began_us;
    char request_id[HTTP_ID_MAX + 1]; /* empty: requests are not logged */
    char actor[ACTOR_MAX + 1];        /* for events: "key:<id>" or "admin" */
    char build_id[UUID_LEN + 1];      /* AUTH_PUSH: whose credentials these are */
    int32_t rule; /* handlers: which of several similar things was asked (sandboxes.c) */
};

typedef void handler_fn(struct call *c);

enum auth {
    AUTH_NONE,
    AUTH_TEAM,       /* an API key; or the admin token, with X-Team-ID or for the default team */
    AUTH_ADMIN,      /* the admin token */
    AUTH_ADMIN_TEAM, /* the admin token; the first parameter names the team */
    AUTH_PUSH,       /* what a build was given to push an image with */
};

struct route {
    struct route_key key;
    enum auth auth;
    uint32_t body_max; /* bytes that are read; 0: a body is not looked at */
    handler_fn *handler;
    uint32_t scope; /* enum key_scope that a key needs; 0: KEY_READ for GET, else KEY_WRITE */
};

/* routes.c */
extern const struct route routes[];
extern const size_t route_count;

/* gate.c */
void gate_request(void *ctx, struct exchange *x); /* a request_fn; ctx is the struct api */
/* One request more, at `rate` per second. -1: answered already. */
must_check int gate_check_rate(struct call *c, struct bucket *b, uint64_t rate);
/* Guessing a credential costs more than asking. */
void gate_charge_guess(struct call *c);

/* Handlers. */
handler_fn health_get;
handler_fn sandbox_post_v1, sandbox_post_v2, sandbox_detail, sandbox_delete;
handler_fn snapshot_post, snapshot_list_get, snapshot_delete;
handler_fn sandbox_fork_post, sandbox_rollback_post;
handler_fn sandbox_pause_post, sandbox_resume_post;
handler_fn sandbox_connect_v1, sandbox_connect_v2, sandbox_timeout, sandbox_refresh;
handler_fn sandbox_list_v1, sandbox_list_v2, sandbox_network_put;
handler_fn template_list_v1, template_list_v2, template_get, template_delete, template_patch;
handler_fn template_alias_get, template_parts_get, template_post, template_post_v1,
    template_rebuild_v1;
handler_fn template_tags_post, template_tags_delete, template_tags_get;
handler_fn build_start_post, build_status_get, build_logs_get, build_cancel_post;
handler_fn build_list_get, build_get, build_post, upload_link_get, upload_put;
handler_fn push_grant_post, push_ping_get, push_denied_get, push_tags_get;
handler_fn push_manifest_store, push_manifest_show, push_blob_get, push_upload_post;
handler_fn push_upload_get, push_upload_patch, push_upload_put, push_upload_delete;
handler_fn key_list_get, key_list_all, key_post, key_patch, key_delete, key_rotate_post;
handler_fn team_list_get, access_token_post, access_token_delete;
handler_fn team_admin_list, team_admin_get, team_admin_post, team_admin_patch;
handler_fn team_admin_kill, team_admin_counts;
handler_fn metrics_get, usage_get;
handler_fn event_list, event_list_all;
handler_fn node_list_get, node_get, node_post;
handler_fn sandbox_metrics, sandbox_metrics_batch, team_metrics, team_metrics_max;
handler_fn sandbox_logs_v1, sandbox_logs_v2, net_log_get, net_log_get_any;
handler_fn webhook_post, webhook_list_get, webhook_get, webhook_patch, webhook_delete;
handler_fn secret_post, secret_list_get, secret_get, secret_update_post, secret_delete;
handler_fn webhook_dead_get, webhook_redeliver_post;
handler_fn not_implemented;

/* trust.c: the trust hook, and its end. */
void trust_begin(void *ctx, struct trust *t);
void trust_done(struct api *a);

/* log.c: the event hook. */
void log_event(void *ctx, const struct event *e);

#endif
