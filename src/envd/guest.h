/* SPDX-License-Identifier: Apache-2.0 */
/* What this envd knows: its loop and server, what /init told it, its processes. One per program;
 * main.c makes it, everything else borrows it. */
#ifndef ENVD_GUEST_H
#define ENVD_GUEST_H

#include "envd/env.h"
#include "envd/messages.h"
#include "envd/metrics.h"
#include "envd/process.h"
#include "envd/users.h"
#include "envd/watcher.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/socket.h"

enum guest_tag { /* exchange_tag(): where a request came from */
                 TAG_PORT,
                 TAG_CONTROL,
};

enum {
    GUEST_INTERNAL_ENVS = 4,
    GUEST_PORT = 49983,
    GUEST_CONTROL_FD = 3,
    GUEST_CONFIG_MAX = 1 << 20, /* bytes that the answers to /init may hold */
};

struct guest {
    struct loop *loop;
    struct http_server *server;
    struct listener listeners[2], control;
    struct arena config_arena; /* owns what `config` points to */
    struct init_request config;
    struct process_table processes;
    struct watchers watchers;
    struct metrics_sample sample;
    const char *path_env; /* PATH that processes start with */
    char *title;          /* spaces among the arguments, for the id: `ps` of the host shows it */
    struct timer settling;
    bool is_init;     /* PID 1 of a sandbox: may change hostname and /etc */
    bool had_service; /* service.h */
    bool is_settled;  /* files of /etc and /run agree with `config` */

    bool is_waiting;         /* for /init, which may come late: until then it is nobody's */
    struct watch node_watch; /* the node's end of the control socket, meanwhile */
};

/* Listen on the port, IPv4 and IPv6; where there is no IPv6, on IPv4 only. As PID 1 also for the
 * node, which comes back after a restore: io/control.h. */
must_check int guest_listen(struct guest *g, uint16_t port, struct err *err);

/* The variables that nobody can change: E2B_SANDBOX and so on. */
must_check int guest_internal_envs(const struct guest *g, struct env *e, struct err *err);
/* All of the sandbox's variables as map entries, the internal ones included. In arena `a`. */
must_check int guest_envs(const struct guest *g, struct arena *a, struct codec_list *out,
                          struct err *err);

/* The user called `name`, or the default user when `name` is empty. ERR_UNAUTHENTICATED with the
 * text that clients expect when there is none. Strings are in `a`. */
must_check int guest_user(const struct guest *g, struct str name, struct arena *a, struct user *out,
                          struct err *err);

/* Make /etc/hostname, /etc/hosts and /run/e2b agree with the last /init. Start-up must not wait for
 * a disk: it is done a moment later, while the first request is on its way, and at the latest
 * before a request that could see them. */
void guest_settle(struct guest *g);
void guest_settle_soon(struct guest *g);

/* Do ahead what need not know whose sandbox this will be, and wait for /init: until it comes only
 * the control socket is answered, and when the node closes that, envd ends. */
void guest_prepare(struct guest *g);
void guest_claimed(struct guest *g); /* /init is here; harmless when it was not waiting */

#endif
