/* SPDX-License-Identifier: Apache-2.0 */
/* THE table: what is served, for whom, with how large a body. Read by gate.c; the OpenAPI document
 * is checked against it. A row with not_implemented is a promise that has a number in wire.md. */
#include "api/api_internal.h"

enum {
    SMALL = 16 << 10,
    LARGE = 128 << 10, /* envVars and metadata; also what fits one packet to node */
};

/* clang-format off */
const struct route routes[] = {
    {{"GET",    "/health"},                            AUTH_NONE,       0,     health_get},
    {{"GET",    "/metrics"},                           AUTH_ADMIN,      0,     metrics_get},

    {{"POST",   "/sandboxes"},                         AUTH_TEAM,       LARGE, sandbox_post_v1},
    {{"POST",   "/v2/sandboxes"},                      AUTH_TEAM,       LARGE, sandbox_post_v2},
    {{"GET",    "/sandboxes"},                         AUTH_TEAM,       0,     sandbox_list_v1},
    {{"GET",    "/v2/sandboxes"},                      AUTH_TEAM,       0,     sandbox_list_v2},
    {{"GET",    "/sandboxes/metrics"},                 AUTH_TEAM,       0,     sandbox_metrics_batch},
    {{"GET",    "/sandboxes/:id"},                     AUTH_TEAM,       0,     sandbox_detail},
    {{"DELETE", "/sandboxes/:id"},                     AUTH_TEAM,       0,     sandbox_delete},
    {{"POST",   "/sandboxes/:id/connect"},             AUTH_TEAM,       SMALL, sandbox_connect_v1},
    {{"POST",   "/v2/sandboxes/:id/connect"},          AUTH_TEAM,       SMALL, sandbox_connect_v2},
    {{"POST",   "/sandboxes/:id/timeout"},             AUTH_TEAM,       SMALL, sandbox_timeout},
    {{"POST",   "/sandboxes/:id/refreshes"},           AUTH_TEAM,       SMALL, sandbox_refresh},
    {{"POST",   "/sandboxes/:id/refresh"},             AUTH_TEAM,       SMALL, sandbox_refresh},
    {{"GET",    "/sandboxes/:id/logs"},                AUTH_TEAM,       0,     sandbox_logs_v1},
    {{"GET",    "/v2/sandboxes/:id/logs"},             AUTH_TEAM,       0,     sandbox_logs_v2},
    {{"GET",    "/sandboxes/:id/metrics"},             AUTH_TEAM,       0,     sandbox_metrics},
    {{"POST",   "/sandboxes/:id/pause"},               AUTH_TEAM,       SMALL, sandbox_pause_post},
    {{"POST",   "/sandboxes/:id/resume"},              AUTH_TEAM,       SMALL, sandbox_resume_post},
    {{"POST",   "/sandboxes/:id/fork"},                AUTH_TEAM,       0,     not_implemented},
    {{"PUT",    "/sandboxes/:id/network"},             AUTH_TEAM,       LARGE, sandbox_network_put},
    {{"POST",   "/sandboxes/:id/snapshots"},           AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/snapshots"},                         AUTH_TEAM,       0,     not_implemented},

    {{"POST",   "/v3/templates"},                      AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/v2/templates"},                      AUTH_TEAM,       0,     template_list_v2},
    {{"GET",    "/templates"},                         AUTH_TEAM,       0,     template_list_v1},
    {{"POST",   "/templates/tags"},                    AUTH_TEAM,       0,     not_implemented},
    {{"DELETE", "/templates/tags"},                    AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/templates/aliases/:alias"},          AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/templates/:id"},                     AUTH_TEAM,       0,     not_implemented},
    {{"DELETE", "/templates/:id"},                     AUTH_TEAM,       0,     not_implemented},
    {{"PATCH",  "/templates/:id"},                     AUTH_TEAM,       0,     not_implemented},
    {{"PATCH",  "/v2/templates/:id"},                  AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/templates/:id/tags"},                AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/templates/:id/files/:hash"},         AUTH_TEAM,       0,     not_implemented},
    {{"POST",   "/v2/templates/:id/builds/:build"},    AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/templates/:id/builds/:build/status"}, AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/templates/:id/builds/:build/logs"},  AUTH_TEAM,       0,     not_implemented},

    {{"GET",    "/volumes"},                           AUTH_TEAM,       0,     not_implemented},
    {{"POST",   "/volumes"},                           AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/volumes/:id"},                       AUTH_TEAM,       0,     not_implemented},
    {{"DELETE", "/volumes/:id"},                       AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/secrets"},                           AUTH_TEAM,       0,     not_implemented},
    {{"POST",   "/secrets"},                           AUTH_TEAM,       0,     not_implemented},
    {{"GET",    "/secrets/:id"},                       AUTH_TEAM,       0,     not_implemented},
    {{"POST",   "/secrets/:id"},                       AUTH_TEAM,       0,     not_implemented},
    {{"DELETE", "/secrets/:id"},                       AUTH_TEAM,       0,     not_implemented},

    {{"GET",    "/events"},                            AUTH_TEAM,       0,     event_list},
    {{"GET",    "/admin/sandboxes/usage"},             AUTH_ADMIN,      0,     usage_get},
    {{"GET",    "/admin/events"},                      AUTH_ADMIN,      0,     event_list_all},
    {{"GET",    "/events/webhooks"},                   AUTH_TEAM,       0,     webhook_list_get},
    {{"POST",   "/events/webhooks"},                   AUTH_TEAM,       SMALL, webhook_post, KEY_ADMIN},
    {{"GET",    "/events/webhooks/:id"},               AUTH_TEAM,       0,     webhook_get},
    {{"PATCH",  "/events/webhooks/:id"},               AUTH_TEAM,       SMALL, webhook_patch, KEY_ADMIN},
    {{"DELETE", "/events/webhooks/:id"},               AUTH_TEAM,       0,     webhook_delete, KEY_ADMIN},
    {{"GET",    "/events/webhooks/:id/dead-letters"},  AUTH_TEAM,       0,     webhook_dead_get},
    {{"POST",   "/events/webhooks/:id/redeliver"},     AUTH_TEAM,       SMALL, webhook_redeliver_post, KEY_ADMIN},

    {{"GET",    "/api-keys"},                          AUTH_TEAM,       0,     key_list_get, KEY_ADMIN},
    {{"POST",   "/api-keys"},                          AUTH_TEAM,       SMALL, key_post, KEY_ADMIN},
    {{"DELETE", "/api-keys/:id"},                      AUTH_TEAM,       0,     key_delete, KEY_ADMIN},
    {{"PATCH",  "/api-keys/:id"},                      AUTH_TEAM,       SMALL, key_patch, KEY_ADMIN},
    {{"POST",   "/api-keys/:id/rotate"},               AUTH_TEAM,       SMALL, key_rotate_post, KEY_ADMIN},
    {{"GET",    "/admin/api-keys"},                    AUTH_ADMIN,      0,     key_list_all},
    {{"GET",    "/admin/teams"},                       AUTH_ADMIN,      0,     team_admin_list},
    {{"POST",   "/admin/teams"},                       AUTH_ADMIN,      SMALL, team_admin_post},
    {{"GET",    "/admin/teams/:team"},                 AUTH_ADMIN_TEAM, 0,     team_admin_get},
    {{"PATCH",  "/admin/teams/:team"},                 AUTH_ADMIN_TEAM, SMALL, team_admin_patch},
    {{"GET",    "/admin/teams/:team/api-keys"},        AUTH_ADMIN_TEAM, 0,     key_list_get},
    {{"POST",   "/admin/teams/:team/api-keys"},        AUTH_ADMIN_TEAM, SMALL, key_post},
    {{"DELETE", "/admin/teams/:team/api-keys/:id"},    AUTH_ADMIN_TEAM, 0,     key_delete},
    {{"PATCH",  "/admin/teams/:team/api-keys/:id"},    AUTH_ADMIN_TEAM, SMALL, key_patch},
    {{"POST",   "/admin/teams/:team/api-keys/:id/rotate"}, AUTH_ADMIN_TEAM, SMALL, key_rotate_post},
    {{"POST",   "/admin/teams/:team/sandboxes/kill"},  AUTH_ADMIN_TEAM, 0,     team_admin_kill},
    {{"POST",   "/admin/teams/:team/builds/cancel"},   AUTH_ADMIN_TEAM, 0,     not_implemented},
    {{"GET",    "/admin/sandboxes/running-counts"},    AUTH_ADMIN,      0,     team_admin_counts},
    {{"GET",    "/teams"},                             AUTH_TEAM,       0,     team_list_get},
    {{"GET",    "/teams/:team/metrics"},               AUTH_TEAM,       0,     team_metrics},
    {{"GET",    "/teams/:team/metrics/max"},           AUTH_TEAM,       0,     team_metrics_max},
    {{"GET",    "/nodes"},                             AUTH_ADMIN,      0,     node_list_get},
    {{"GET",    "/nodes/:id"},                         AUTH_ADMIN,      0,     node_get},
    {{"POST",   "/nodes/:id"},                         AUTH_ADMIN,      SMALL, node_post},
    {{"POST",   "/access-tokens"},                     AUTH_TEAM,       0,     access_token_post, KEY_ADMIN},
    {{"DELETE", "/access-tokens/:id"},                 AUTH_TEAM,       0,     access_token_delete, KEY_ADMIN},
};
/* clang-format on */

const size_t route_count = COUNT_OF(routes);
