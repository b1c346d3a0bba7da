/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP to a port of a sandbox, for commands. The socket comes from node (dial.sock), as edge's do:
 * it works whatever `listen` and tls.* are, and needs no token of the sandbox. */
#ifndef CLI_GUEST_PORT_H
#define CLI_GUEST_PORT_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

struct guest_port {
    struct loop *loop; /* runs during calls; who stops it ends the call with ERR_CONFLICT */
    const char *run_dir, *id;
    uint16_t port;
};

/* Bytes of an answer with status 200. False: no more are wanted, the call ends as if it were whole.
 */
typedef bool guest_data_fn(void *ctx, struct str data);

struct guest_call {
    const char *method, *path;
    struct str body, token; /* X-Access-Token; empty: none */
    uint32_t timeout_ms;    /* of all of it */
    guest_data_fn *on_data; /* NULL: the body is not wanted */
    void *ctx;
};

/* Blocks until the answer ended. Another status than 200 is an error with the answer's text;
 * ERR_TIMEOUT, and what went wrong on the way. */
must_check int guest_port_call(const struct guest_port *g, const struct guest_call *c,
                               struct err *err);

#endif
