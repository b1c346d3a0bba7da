/* SPDX-License-Identifier: Apache-2.0 */
/* The api role: REST over HTTP on one listener, routes for edges on another. Users: src/main and
 * the API tests. */
#ifndef API_API_H
#define API_API_H

#include "base/err.h"
#include "io/loop.h"
#include "store/store.h"

struct api;

struct api_config {
    int http_fd;   /* listening sockets, taken over; any kind of stream */
    int routes_fd; /* listening SOCK_SEQPACKET for edges; -1: none */
    const char *node_socket;
    struct store_config store;
    const char *templates_dir;
    const char *admin_token; /* NULL or "": admin routes are closed */
    const char *version;     /* of the program; NULL: none */
    const char *domain;      /* base domain told to clients; NULL or "": none (RX-21) */
    /* Zero: the default. */
    uint64_t timeout_default_s;  /* 300 */
    uint64_t timeout_max_s;      /* 86400 */
    uint64_t team_sandboxes_max; /* 1000 */
    uint64_t start_timeout_ms;   /* 30000 */
    const char *metrics_listen;  /* address for scrapers; NULL or "": none */
    bool logs_requests;          /* one line per request, and X-Request-Id in answers */
    uint64_t events_max;         /* kept: 50000 */
    uint64_t events_days;        /* the same in days: 7 */
    uint64_t audit_percent;      /* of connections that are recorded; see domain/net_log.h */
    uint64_t audit_records_max;  /* kept: 20000 */
    uint64_t webhook_retry_ms;   /* after the first failed try: 1000 */
    const char *webhook_ca_file; /* see sender_new(); it outlives the api */
    uint64_t webhook_tries_max;  /* then a dead letter: 20 */
    uint64_t compare_ms;         /* between two comparisons with node: 30000 */
    bool may_be_unlimited;       /* a timeout of -1 means never (RX-03) */
    bool is_idle_default;        /* timeouts count from the last activity (RX-01) */
    uint64_t paused_retention_s; /* until paused sandboxes are killed; 0: never */
    uint64_t replay_kb;          /* of output, per process of a sandbox: 1024 */
    uint64_t requests_max;       /* at once, all routes together: 4096 */
    uint64_t key_rate_per_s;     /* requests per key: 10000; the burst is twice that */
    uint64_t peer_rate_per_s;    /* requests per address: 20000; the burst is twice that */
    uint64_t body_max;           /* bytes, for routes that would take more: 1 MiB */
    /* Of a team without limits of its own; 0: no limit. See domain.h. */
    uint64_t team_vcpus_max, team_memory_mb_max, team_disk_mb_max, team_builds_max, team_keys_max;
    /* Of builds that ended and that no tag leads to; 0: no limit, or never. See domain/build.h. */
    uint64_t build_keep_s, builds_max, build_sweep_s;
    const char *uploads_dir;           /* of files for COPY steps; made when needed */
    uint64_t upload_max;               /* bytes of one of them: 1 GiB */
    const char *pushes_dir;            /* of images that are pushed; NULL: none are taken */
    uint64_t push_max;                 /* bytes of one of them: 10 GiB */
    const char *push_host;             /* told to those who push; NULL or "": the one they asked */
    const char *push_prefix;           /* of repositories; NULL or "": "e2b" */
    const char *keys_file, *keys_team; /* see domain/key_import.h; NULL or "": none, "default" */
    struct str keys_text;              /* the same format; only looked at by api_new() */
};

/* Texts of the config must live as long as the api. */
must_check int api_new(struct loop *l, const struct api_config *config, struct api **out,
                       struct err *err);
/* Stop accepting, let running requests end, then call on_done (for SIGTERM). */
void api_drain(struct api *a, loop_fn *on_done, void *ctx);
/* Sandboxes keep running. */
void api_free(struct api *a);

#endif
