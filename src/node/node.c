/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the node role, its runtime and its end; see node.h. */
#include "node/node.h"

#include "base/clock.h"
#include "base/log.h"
#include "node/image_jobs.h"
#include "node/outlets.h"
#include "node/peer.h"
#include "node/probe.h"
#include "node/report.h"
#include "node/sampler.h"

static void peer_close(struct peer *p)
{
    channel_free(p->channel);
    list_remove(&p->node);
    p->owner->peer_count--;
    free(p);
}

bool peer_send(struct peer *p, unsigned type, const void *message, int fd)
{
    struct err err;

    if (channel_send(p->channel, type, message, fd, &err) == 0)
        return true;
    log_warn("node.peer_dropped", "error=\"%s\"", err.text);
    peer_close(p); /* it reconnects and asks what there is */
    return false;
}

struct peer *peer_find(struct node *n, uint64_t number)
{
    struct list *peers = &n->command.peers;

    for (struct list_node *i = list_first(peers); i != NULL; i = list_next(peers, i)) {
        struct peer *p = container_of(i, struct peer, node);

        if (p->number == number)
            return p;
    }
    return NULL;
}

static void on_gone(void *ctx, const struct err *why)
{
    log_debug("node.peer_left", "error=\"%s\"", why->text);
    peer_close(ctx);
}

/* The socket files are 0600 and owned by who may connect; this holds even if somebody changes
 * that. */
static int check_uid(const struct gate *g, int fd, struct err *err)
{
    uid_t uid;

    if (socket_peer_uid(fd, &uid, err) != 0)
        return -1;
    if (uid != 0 && uid != g->uid)
        return err_set(err, ERR_DENIED, "uid %u may not connect", uid);
    return 0;
}

static void on_accept(void *ctx, int accepted)
{
    struct gate *g = ctx;
    struct node *n = g->owner;
    auto_fd int fd = accepted;
    struct peer *p;
    struct err err;

    if (n->peer_count >= NODE_PEERS_MAX)
        err_set(&err, ERR_LIMIT, "more than %d connections", NODE_PEERS_MAX);
    else if (check_uid(g, fd, &err) == 0) {
        p = mem_zero(sizeof *p);
        p->owner = n;
        p->number = ++n->last_number;
        if (channel_new(n->loop, take_fd(&fd), &node_protocol, g->on_message, on_gone, p,
                        &p->channel, &err) == 0) {
            n->peer_count++;
            list_push(&g->peers, &p->node);
            return;
        }
        free(p);
    }
    log_warn("node.peer_refused", "error=\"%s\"", err.text);
}

static void on_exit_of(void *ctx, const char *id, enum exit_reason reason)
{
    struct node *n = ctx;
    struct list *peers = &n->command.peers;
    struct node_exited m = {.id = str_of(id), .reason = reason};
    struct list_node *next;

    if (n->outlets != NULL)
        outlets_close(n->outlets, id);
    log_info("sandbox.exited", "id=%s reason=%d", id, (int)reason);
    for (struct list_node *i = list_first(peers); i != NULL; i = next) {
        next = list_next(peers, i);
        ignore(peer_send(container_of(i, struct peer, node), NODE_EXITED, &m, -1));
    }
}

static int gate_open(struct gate *g, struct node *n, int fd, struct err *err)
{
    g->owner = n;
    return listener_start(&g->listener, n->loop, fd, on_accept, g, err);
}

static void gate_close(struct gate *g)
{
    struct list_node *i;

    if (g->owner != NULL)
        listener_stop(&g->listener);
    g->owner = NULL;
    while ((i = list_first(&g->peers)) != NULL)
        peer_close(container_of(i, struct peer, node));
}

int node_new(struct loop *l, const struct node_config *config, struct node **out, struct err *err)
{
    struct node *n = mem_zero(sizeof *n);

    n->loop = l;
    n->config = *config;
    n->started_at_ms = clock_wall_ms();
    n->command.uid = config->api_uid;
    n->command.on_message = command_message;
    n->dial.uid = config->edge_uid;
    n->dial.on_message = dial_message;
    if (runtime_new(l, &config->runtime, on_exit_of, n, &n->runtime, err) != 0) {
        n->runtime = NULL;
        node_free(n);
        return -1;
    }
    if (config->has_probe)
        n->probe = probe_new(l, &config->runtime, n->runtime);
    n->images = image_jobs_new(l, config->image_program);
    n->sampler = sampler_new(n);
    n->reporter = reporter_new(n);
    if (config->egress_socket != NULL &&
        outlets_new(n, config->egress_socket, config->policy_dir, &n->outlets, err) != 0) {
        node_free(n);
        return -1;
    }
    if (gate_open(&n->command, n, config->command_fd, err) != 0 ||
        gate_open(&n->dial, n, config->dial_fd, err) != 0) {
        node_free(n);
        return -1;
    }
    *out = n;
    return 0;
}

void node_free(struct node *n)
{
    if (n == NULL)
        return;
    gate_close(&n->command);
    gate_close(&n->dial);
    outlets_free(n->outlets);
    image_jobs_free(n->images);
    sampler_free(n->sampler);
    reporter_free(n->reporter);
    probe_free(n->probe);
    if (n->runtime != NULL)
        runtime_free(n->runtime);
    free(n);
}

size_t node_count(const struct node *n)
{
    return runtime_count(n->runtime);
}

/* The end with on_exit=kill. */

static void stopped_one(struct node *n)
{
    if (--n->stopping == 0)
        n->on_stopped(n->on_stopped_ctx);
}

static void on_last_stop(void *ctx, const char *id, const struct err *err)
{
    struct node *n = ctx;

    if (n->outlets != NULL)
        outlets_close(n->outlets, id);
    if (err != NULL && err->kind != ERR_NOT_FOUND)
        log_error("sandbox.stop_failed", "id=%s error=\"%s\"", id, err->text);
    stopped_one(ctx);
}

static void on_probe_end(void *ctx)
{
    stopped_one(ctx);
}

struct id_list {
    char (*ids)[64];
    size_t count, room;
};

static void collect(void *ctx, const char *id, enum runtime_state state)
{
    struct id_list *l = ctx;

    if (state != RUNTIME_PAUSED && l->count < l->room &&
        str_to_c(str_of(id), l->ids[l->count], sizeof l->ids[0]))
        l->count++;
}

void node_stop_all(struct node *n, loop_fn *fn, void *ctx)
{
    struct id_list l = {.room = runtime_count(n->runtime)};

    n->is_ending = true;
    n->on_stopped = fn;
    n->on_stopped_ctx = ctx;
    n->stopping = 1; /* ours, so that an early answer does not end it */
    l.ids = mem_array(l.room + 1, sizeof l.ids[0]);
    runtime_each(n->runtime, collect, &l);
    for (size_t i = 0; i < l.count; i++) {
        n->stopping++;
        runtime_stop(n->runtime, l.ids[i], on_last_stop, n);
    }
    free(l.ids);
    if (n->probe != NULL) {
        n->stopping++;
        probe_end(n->probe, on_probe_end, n);
    }
    stopped_one(n);
}
