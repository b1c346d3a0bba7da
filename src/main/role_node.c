/* SPDX-License-Identifier: Apache-2.0 */
/* The node process, the only one that stays root: wiring only. Started by supervisor.c. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/log.h"
#include "main/envd_path.h"
#include "main/layout.h"
#include "main/program_path.h"
#include "main/role.h"
#include "node/node.h"

enum { RUN_PATH_MAX = 128 }; /* run_dir is short, see config.c */

struct node_role {
    struct loop *loop;
    struct node *node;
    bool is_ending;
};

static void on_stop(void *ctx)
{
    struct node_role *r = ctx;

    loop_stop(r->loop);
}

static void on_stop_all(void *ctx)
{
    struct node_role *r = ctx;

    if (r->is_ending)
        return;
    r->is_ending = true;
    log_info("node.stopping_all", "sandboxes=%zu", node_count(r->node));
    node_stop_all(r->node, on_stop, r);
}

static int fill(const struct config *c, struct node_config *out, struct err *err)
{
    struct user api, edge;

    if (user_find(c->api_user, &api, err) != 0 || user_find(c->edge_user, &edge, err) != 0)
        return -1;
    out->api_uid = api.uid;
    out->edge_uid = edge.uid;
    return 0;
}

/* The store's commit of a resume is a sync of its device. */
static bool is_store_beside(const struct config *c)
{
    auto_fd int data = open(c->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat files, store;

    return strcmp(c->store_engine, "sqlite") == 0 && fstatat(data, "api", &store, 0) == 0 &&
           (fstatat(data, "sandboxes", &files, 0) == 0 || fstat(data, &files) == 0) &&
           files.st_dev == store.st_dev;
}

int role_node(const struct invocation *v)
{
    struct program *program = v->ctx;
    struct config *c = &program->config;
    char rootfs[PATH_MAX], layers[PATH_MAX], envd[PATH_MAX], images[PROGRAM_PATH_MAX];
    char egress[RUN_PATH_MAX], policies[RUN_PATH_MAX];
    struct node_config config = {
        .command_fd = ROLE_FD_FIRST,
        .dial_fd = ROLE_FD_FIRST + 1,
        .rootfs_dir = rootfs,
        .layers_dir = layers,
        .egress_socket = egress,
        .policy_dir = policies,
        .has_probe = strcmp(c->checkpoint_probe, "auto") == 0,
        .runtime = c->runtime,
    };
    struct node_role r = {0};
    struct err err;

    if (role_begin(v, "node", on_stop, &r, &r.loop) != 0)
        return EXIT_FAILURE;
    config_path(rootfs, sizeof rootfs, c->data_dir, "rootfs");
    config_path(layers, sizeof layers, c->data_dir, "layers");
    if (image_program_path(images, sizeof images, &err) == 0)
        config.image_program = images; /* else jobs on images say that it is missing */
    config_path(egress, sizeof egress, c->run_dir, "egress.sock");
    config_path(policies, sizeof policies, c->run_dir, "policies");
    config.runtime.envd_path = envd;
    config.runtime.is_synced_after = is_store_beside(c);
    if (envd_path(c->runtime.envd_path, envd, sizeof envd, &err) != 0 ||
        fill(c, &config, &err) != 0 ||
        loop_on_signal(r.loop, SIGUSR2, on_stop_all, &r, &err) != 0 ||
        node_new(r.loop, &config, &r.node, &err) != 0) {
        log_error("node.failed", "error=\"%s\"", err.text);
        return EXIT_FAILURE;
    }
    log_info("node.ready", "sandboxes=%zu", node_count(r.node));
    role_ready();
    if (loop_run(r.loop, &err) != 0)
        log_error("node.failed", "error=\"%s\"", err.text);
    node_free(r.node);
    loop_free(r.loop);
    return EXIT_SUCCESS;
}
