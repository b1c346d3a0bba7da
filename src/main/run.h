/* SPDX-License-Identifier: Apache-2.0 */
/* One process of a role: started with what its role inherits, says when it serves, is told of when
 * it ends. Used by supervisor.c, which decides what follows. */
#ifndef MAIN_RUN_H
#define MAIN_RUN_H

#include "base/list.h"
#include "io/child.h"
#include "main/layout.h"

enum { RUN_FDS_MAX = 2 * EDGE_LOOPS_MAX };

struct role_spec {
    const char *name, *command;
    char count[4], data_count[4]; /* edge's arguments */
    struct user user;
    int fds[RUN_FDS_MAX]; /* listening sockets, the layout's */
    size_t fd_count;
    bool gets_token;
};

struct run;
typedef void run_fn(void *ctx, struct run *r);

struct run_events {
    run_fn *on_ready; /* it serves */
    run_fn *on_exit;  /* it has ended and was reaped; free it */
};

/* What is the same for all. */
struct run_home {
    struct loop *loop;
    const struct layout *layout;
    char **env;
    const char *program; /* path of the executable */
};

struct run {
    struct list_node node; /* the owner's */
    struct timer deadline; /* the same */
    struct loop *loop;
    const struct role_spec *spec;
    struct child child;
    int ready_fd; /* -1: nothing is expected from it any more */
    struct watch ready_watch;
    uint64_t started_ms;
    const struct run_events *events;
    void *ctx;
};

must_check int run_start(const struct run_home *home, const struct role_spec *spec,
                         const struct run_events *events, void *ctx, struct run **out,
                         struct err *err);
void run_signal(struct run *r, int signal); /* NULL is fine */
/* What still runs is asked to end, and not waited for. */
void run_free(struct run *r);

#endif
