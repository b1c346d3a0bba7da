/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to node, and what its messages do. Internal to src/node. */
#ifndef NODE_PEER_H
#define NODE_PEER_H

#include "io/socket.h"
#include "ipc/node_messages.h"
#include "node/node.h"

enum { NODE_WORK_COUNT = RUNTIME_SNAPSHOT + 1 };

struct peer {
    struct list_node node;
    struct node *owner;
    struct channel *channel;
    uint64_t number; /* names it across turns: it may be gone when an answer is ready */
};

struct gate {
    struct listener listener;
    struct node *owner;
    uid_t uid; /* root may too */
    channel_message_fn *on_message;
    struct list peers;
};

struct node {
    struct loop *loop;
    struct node_config config;
    struct runtime *runtime;
    struct gate command, dial;
    size_t peer_count;
    uint64_t last_number;
    struct sampler *sampler;
    struct reporter *reporter;
    struct image_jobs *images;
    struct probe *probe;     /* or NULL */
    struct outlets *outlets; /* NULL: without egress */
    int64_t started_at_ms;
    uint64_t starting, starts, start_failures, stops, dials; /* since then; starting: right now */
    uint64_t works[NODE_WORK_COUNT], work_failures[NODE_WORK_COUNT]; /* by enum runtime_work */
    size_t stopping;
    bool is_ending;
    loop_fn *on_stopped;
    void *on_stopped_ctx;
};

/* False: the peer does not read; it was closed and must not be touched. */
bool peer_send(struct peer *p, unsigned type, const void *message, int fd);
/* NULL when it left meanwhile. Command peers only: dials are answered at once. */
struct peer *peer_find(struct node *n, uint64_t number);

/* commands.c: ctx is the peer. */
void command_message(void *ctx, unsigned type, const void *message, int fd);
void dial_message(void *ctx, unsigned type, const void *message, int fd);

#endif
