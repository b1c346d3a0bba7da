/* SPDX-License-Identifier: Apache-2.0 */
/* What `serve` prepares on the machine before it starts a role: users, directories with the right
 * owners, the admin token, the lock, and every listening socket. */
#ifndef MAIN_LAYOUT_H
#define MAIN_LAYOUT_H

#include <sys/types.h>

#include "base/id.h"
#include "edge/edge.h"
#include "main/config.h"

struct user {
    uid_t uid;
    gid_t gid;
};

/* Name or number; "root" is allowed. ERR_NOT_FOUND says which command makes the user. */
must_check int user_find(const char *name, struct user *out, struct err *err);

struct layout {
    struct user api, edge, egress;
    int lock_fd;
    char admin_token[TOKEN_HEX_LEN + 1];
    int listen_fds[EDGE_LOOPS_MAX]; /* one per loop of edge */
    size_t listen_count;
    int data_fds[EDGE_LOOPS_MAX]; /* the same for the data plane alone */
    size_t data_count;            /* 0 where one listener serves both */
    uint16_t port;
    int api_fd, routes_fd, node_fd, dial_fd, egress_fd, serve_fd;
};

must_check int layout_open(const struct config *c, struct layout *out, struct err *err);
void layout_close(struct layout *l);

#endif
