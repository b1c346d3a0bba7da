/* SPDX-License-Identifier: Apache-2.0 */
/* The real api role for api_test.py: options in, port out.
 *
 *   api_main DIR ENGINE NODE_SOCKET [key=value …]
 *
 * DIR holds templates/, sandlot.db and routes.sock. The HTTP listener is a free port of 127.0.0.1,
 * printed on the first line. SIGTERM ends it at once, SIGUSR1 when what runs has ended. */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "api/api.h"
#include "base/config.h"
#include "base/log.h"
#include "io/socket.h"

enum {
    PATH_SIZE = 200,
};

/* clang-format off */
static const struct config_key keys[] = {
    {"timeout_max_s", CONFIG_NUMBER, offsetof(struct api_config, timeout_max_s), "86400",
     1, 1000000000},
    {"team_sandboxes_max", CONFIG_NUMBER, offsetof(struct api_config, team_sandboxes_max), "1000",
     1, 1000000000},
    {"start_timeout_ms", CONFIG_NUMBER, offsetof(struct api_config, start_timeout_ms), "30000",
     1, 1000000000},
    {"compare_ms", CONFIG_NUMBER, offsetof(struct api_config, compare_ms), "30000",
     1, 1000000000},
    {"may_be_unlimited", CONFIG_BOOL, offsetof(struct api_config, may_be_unlimited), "false"},
    {"is_idle_default", CONFIG_BOOL, offsetof(struct api_config, is_idle_default), "false"},
    {"requests_max", CONFIG_NUMBER, offsetof(struct api_config, requests_max), "4096",
     1, 1000000000},
    {"key_rate_per_s", CONFIG_NUMBER, offsetof(struct api_config, key_rate_per_s), "5000",
     1, 1000000000},
    {"peer_rate_per_s", CONFIG_NUMBER, offsetof(struct api_config, peer_rate_per_s), "20000",
     1, 1000000000},
    {"body_max", CONFIG_NUMBER, offsetof(struct api_config, body_max), "1048576", 1, 1000000000},
    {"team_vcpus_max", CONFIG_NUMBER, offsetof(struct api_config, team_vcpus_max), "0",
     0, 1000000000},
    {"team_keys_max", CONFIG_NUMBER, offsetof(struct api_config, team_keys_max), "1000",
     0, 1000000000},
    {"events_max", CONFIG_NUMBER, offsetof(struct api_config, events_max), "0", 0, 1000000000},
    {"webhook_retry_ms", CONFIG_NUMBER, offsetof(struct api_config, webhook_retry_ms), "0",
     0, 1000000000},
    {"webhook_ca_file", CONFIG_TEXT, offsetof(struct api_config, webhook_ca_file), "", 0, 0, NULL, ""},
    {"webhook_tries_max", CONFIG_NUMBER, offsetof(struct api_config, webhook_tries_max), "0",
     0, 1000},
    {"team_builds_max", CONFIG_NUMBER, offsetof(struct api_config, team_builds_max), "0",
     0, 1000000000},
    {"build_keep_s", CONFIG_NUMBER, offsetof(struct api_config, build_keep_s), "3600",
     0, 1000000000},
    {"builds_max", CONFIG_NUMBER, offsetof(struct api_config, builds_max), "5000", 0, 1000000000},
    {"build_sweep_s", CONFIG_NUMBER, offsetof(struct api_config, build_sweep_s), "300",
     0, 1000000000},
    {"upload_max", CONFIG_NUMBER, offsetof(struct api_config, upload_max), "1048576",
     1, 1000000000},
    {"push_max", CONFIG_NUMBER, offsetof(struct api_config, push_max), "1048576", 1, 1000000000000},
    {"metrics_listen", CONFIG_TEXT, offsetof(struct api_config, metrics_listen), ""},
    {"logs_requests", CONFIG_BOOL, offsetof(struct api_config, logs_requests), "false"},
    {"domain", CONFIG_TEXT, offsetof(struct api_config, domain), ""},
};
/* clang-format on */

struct server {
    struct loop *loop;
    struct api *api;
};

static void on_drained(void *ctx)
{
    struct server *s = ctx;

    loop_stop(s->loop);
}

static void on_term(void *ctx)
{
    struct server *s = ctx;

    loop_stop(s->loop);
}

/* Ends as the role does: what runs is finished, what comes is sent away. */
static void on_drain(void *ctx)
{
    struct server *s = ctx;

    api_drain(s->api, on_drained, s);
}

static int configure(struct api_config *c, int argc, char **argv, struct err *err)
{
    static const struct config_table table = {keys, COUNT_OF(keys)};

    if (config_defaults(&table, c, err) != 0)
        return -1;
    for (int i = 4; i < argc; i++) {
        struct str value, name = str_cut(str_of(argv[i]), '=', &value);

        if (config_set(&table, c, name, value, err) != 0)
            return -1;
    }
    return 0;
}

static int serve(struct api_config *c, struct err *err)
{
    struct server s = {0};

    printf("%u\n", socket_port(c->http_fd));
    fflush(stdout);
    if (loop_new(&s.loop, err) != 0 || loop_on_signal(s.loop, SIGTERM, on_term, &s, err) != 0 ||
        loop_on_signal(s.loop, SIGUSR1, on_drain, &s, err) != 0 ||
        api_new(s.loop, c, &s.api, err) != 0 || loop_run(s.loop, err) != 0)
        return -1;
    api_free(s.api);
    loop_free(s.loop);
    return 0;
}

int main(int argc, char **argv)
{
    char templates[PATH_SIZE], uploads[PATH_SIZE], pushes[PATH_SIZE], database[PATH_SIZE],
        routes[PATH_SIZE];
    struct api_config c = {.routes_fd = -1,
                           .templates_dir = templates,
                           .uploads_dir = uploads,
                           .pushes_dir = pushes,
                           .admin_token = "admin"};
    struct err err = {0};

    if (argc < 4)
        return 2;
    log_setup("api", LOG_LEVEL_DEBUG, LOG_FORMAT_HUMAN);
    snprintf(templates, sizeof(templates), "%s/templates", argv[1]);
    snprintf(uploads, sizeof(uploads), "%s/uploads", argv[1]);
    snprintf(pushes, sizeof(pushes), "%s/registry", argv[1]);
    snprintf(database, sizeof(database), "%s/sandlot.db", argv[1]);
    snprintf(routes, sizeof(routes), "%s/routes.sock", argv[1]);
    c.store = (struct store_config){argv[2], database};
    c.node_socket = argv[3];
    if (configure(&c, argc, argv, &err) != 0 ||
        socket_listen_tcp("127.0.0.1:0", false, &c.http_fd, &err) != 0 ||
        socket_listen_unix(routes, SOCK_SEQPACKET, &c.routes_fd, &err) != 0 ||
        serve(&c, &err) != 0) {
        fprintf(stderr, "api_main: %s\n", err.text);
        return 1;
    }
    return 0;
}
