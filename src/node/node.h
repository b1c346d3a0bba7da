/* SPDX-License-Identifier: Apache-2.0 */
/* The node role: the only root. Turns the messages of ipc/node_messages.h into calls of the runtime
 * and reports what ends by itself. It knows nothing of tenants, names of templates or time. Used by
 * src/main/role_node.c. */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "runtime/runtime.h"

struct node_config {
    int command_fd; /* SEQPACKET listeners, inherited; taken */
    int dial_fd;
    uid_t api_uid; /* who may connect to each; root always may */
    uid_t edge_uid;
    const char *egress_socket; /* where the egress role listens; NULL: there is none */
    const char *policy_dir;    /* of what each sandbox may reach; gone after a reboot */
    const char *image_program; /* sandlot-image; NULL: there is none */
    const char *rootfs_dir;    /* node_start.rootfs names a directory in it */
    const char *layers_dir;    /* the same for node_start.layers; NULL: there are none */
    bool has_probe;            /* probe.h */
    struct runtime_config runtime;
};

enum {
    NODE_PEERS_MAX = 64,        /* connections on both sockets together */
    NODE_ROOTFS_NAME_MAX = 100, /* of a layer too */
};

struct node;

/* Adopts the sandboxes that an earlier process left. */
must_check int node_new(struct loop *l, const struct node_config *config, struct node **out,
                        struct err *err);
void node_free(struct node *n); /* sandboxes keep running */
/* Take no more commands, stop every sandbox that runs (those paused stay), then call `fn`. */
void node_stop_all(struct node *n, loop_fn *fn, void *ctx);
size_t node_count(const struct node *n);

#endif
