/* SPDX-License-Identifier: Apache-2.0 */
/* What the roles are to the supervisor and to themselves: names, inherited descriptors, signals. */
#ifndef MAIN_ROLE_H
#define MAIN_ROLE_H

#include "cli/command.h"
#include "cli/remote.h"
#include "main/config.h"

/* The ctx of every command. */
struct program {
    struct cli_places places; /* first: commands of src/cli know only this part */
    struct config config;
};

/* Numbers of what a role inherits. */
enum role_fd {
    ROLE_FD_READY = 3, /* a byte is written when the role serves */
    ROLE_FD_TOKEN = 4, /* api: the admin token, then E2B_API_KEYS, then the end */
    ROLE_FD_FIRST = 5, /* its listening sockets, in the order of the role's row */
};

enum {
    ROLE_KEYS_MAX = 60000,    /* bytes of E2B_API_KEYS: fit a pipe together with the token */
    ROLE_STOP_MS = 5000,      /* from SIGTERM until a role is killed */
    ROLE_DRAIN_MS = 3000,     /* of which running requests get this much */
    ROLE_KILL_ALL_MS = 60000, /* for node to stop every sandbox */
};

/* SIGTERM ends a role; node leaves sandboxes running then. SIGUSR2 makes node stop them first.
 * SIGUSR1 tells edge that another one serves its listeners. */

int role_edge(const struct invocation *v); /* how many listeners; how many for data */
int role_api(const struct invocation *v);
int role_egress(const struct invocation *v);
int role_node(const struct invocation *v);
int image_command(const struct invocation *v);         /* executes sandlot-image */
int template_make_command(const struct invocation *v); /* executes tools/make-template */
int job_image(const struct invocation *v); /* of sandlot-image: a request on 0, events on 1 */

/* For the roles: a session of its own (a terminal's Ctrl-C is the supervisor's business), log, file
 * limit, a loop that calls on_stop at SIGTERM. */
must_check int role_begin(const struct invocation *v, const char *name, loop_fn *on_stop, void *ctx,
                          struct loop **out);
void role_ready(void);

#endif
