/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane's end of node.sock: connects, reconnects with backoff, keeps commands until
 * they are answered.
 *
 * A command given while node is away waits for it; one in flight when node goes away is settled
 * after the reconnect: NODE_LIST tells whether it has happened, what has not is sent again.
 * Every command has a deadline that includes the waiting, after which it fails with ERR_TIMEOUT, or
 * with ERR_UNAVAILABLE while node is away; a late answer is ignored. */
#ifndef DOMAIN_NODE_CLIENT_H
#define DOMAIN_NODE_CLIENT_H

#include "base/err.h"
#include "base/map.h"
#include "io/loop.h"
#include "ipc/egress_messages.h"
#include "ipc/node_messages.h"

struct node_client;

enum {
    NODE_COMMANDS_MAX = 20000, /* waiting for an answer; more are refused with ERR_UNAVAILABLE */
    NODE_LIST_MS = 10 * 1000,
    NODE_RETRY_MIN_MS = 20,
    NODE_RETRY_MAX_MS = 1000,
};

/* The values of the maps that on_list gets. */
struct node_id {
    char text[64];
    size_t len;
    bool is_paused, is_pausing;
};

/* All that node has, as struct node_id by its text. */
struct node_listing {
    const struct map *sandboxes;
    const struct map *snapshots;
    bool is_first; /* since it was connected */
};

struct node_client_hooks {
    /* After each connect and every compare_ms. */
    void (*on_list)(void *ctx, const struct node_listing *listing);
    void (*on_exited)(void *ctx, struct str id, unsigned reason);    /* enum exit_reason */
    void (*on_lost)(void *ctx, const struct err *why);               /* once per loss */
    void (*on_report)(void *ctx, const struct node_report *r);       /* the same */
    void (*on_usage)(void *ctx, const struct node_usage *u);         /* sampled by node, unasked */
    void (*on_connection)(void *ctx, const struct egress_record *r); /* the same, of egress */
};

struct node_result {
    const struct err *err; /* NULL: done */
    uint64_t took_us;      /* there */
    bool is_frozen;        /* a pause: nothing but its processes keeps its memory */
};

/* All of it is valid during the call. */
typedef void node_done_fn(void *ctx, struct str id, const struct node_result *result);

/* err NULL: fd is the callee's, a socket that is connecting. */
typedef void node_dial_fn(void *ctx, struct str id, int fd, const struct err *err);

struct node_client *node_client_new(struct loop *l, const char *path, uint64_t compare_ms,
                                    const struct node_client_hooks *hooks, void *ctx);
void node_client_free(struct node_client *c); /* forgets commands without calling back */
bool node_client_is_ready(const struct node_client *c);

/* Answer by `fn`, always from the loop. The message is copied; its seq is set here. */
must_check int node_client_start(struct node_client *c, const struct node_start *m,
                                 uint64_t timeout_ms, node_done_fn *fn, struct err *err);
must_check int node_client_stop(struct node_client *c, struct str id, uint64_t timeout_ms,
                                node_done_fn *fn, struct err *err);
/* The message is that of a start; its trees do not count. */
must_check int node_client_resume(struct node_client *c, const struct node_start *m,
                                  uint64_t timeout_ms, node_done_fn *fn, struct err *err);
must_check int node_client_pause(struct node_client *c, const struct node_keep *m,
                                 uint64_t timeout_ms, node_done_fn *fn, struct err *err);
must_check int node_client_snapshot(struct node_client *c, const struct node_keep *m,
                                    uint64_t timeout_ms, node_done_fn *fn, struct err *err);
/* `fn` gets the name for an id. */
must_check int node_client_snapshot_remove(struct node_client *c, struct str name,
                                           uint64_t timeout_ms, node_done_fn *fn, struct err *err);
/* What a running sandbox may reach from now on. */
must_check int node_client_policy(struct node_client *c, const struct node_policy *m,
                                  uint64_t timeout_ms, node_done_fn *fn, struct err *err);
/* A socket into a sandbox that runs, as runtime_connect() makes it. */
must_check int node_client_dial(struct node_client *c, const struct node_dial *m,
                                uint64_t timeout_ms, node_dial_fn *fn, void *ctx, struct err *err);
/* What its policy stands on and no file may hold: a struct egress_secrets. Before the start or the
 * policy that needs it. */
must_check int node_client_secrets(struct node_client *c, const struct node_policy *m,
                                   uint64_t timeout_ms, node_done_fn *fn, struct err *err);

/* A job on images (ipc/image_messages.h) that talks over the stream socket `fd`, which stays the
 * caller's. Not repeated after a lost connection: the socket's end tells. */
must_check int node_client_image(struct node_client *c, int fd, struct err *err);

#endif
