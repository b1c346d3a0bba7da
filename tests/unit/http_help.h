/* SPDX-License-Identifier: Apache-2.0 */
/* A server on loopback and raw peers of it, all on one loop, for the tests of http/. */
#ifndef TESTS_UNIT_HTTP_HELP_H
#define TESTS_UNIT_HTTP_HELP_H

#include "http/server.h"
#include "http/server_internal.h"
#include "io/socket.h"
#include "test.h"

enum {
    RIG_GOT_MAX = 64 << 20,
    RIG_WAIT_MS = 5000,
};

struct rig {
    struct loop *loop;
    struct http_server *server;
    struct listener listener;
    uint16_t port;
    int peer;       /* the client's end, non-blocking */
    struct buf got; /* what it received */
    bool is_ended;  /* and then the end, or a reset */
    bool is_reset;
};

void rig_open(struct rig *g, const struct http_limits *limits, request_fn *on_request, void *ctx);
void rig_done(struct rig *g); /* closes all; no descriptor may be left */
int rig_connect(struct rig *g);
void rig_hang_up(struct rig *g); /* close the peer */
void rig_reset(struct rig *g);   /* close it with a RST */

void rig_turn(struct rig *g);                   /* a millisecond of the loop, without reading */
void rig_read(struct rig *g);                   /* a turn, then take what came */
void rig_wait(struct rig *g, int ms);           /* that long, reading */
void rig_send(struct rig *g, const char *text); /* all of it, reading meanwhile */
/* Until `text` was received and no more than it; what was received is dropped. */
void rig_expect(struct rig *g, const char *text);
void rig_expect_part(struct rig *g, const char *text); /* until it is somewhere; kept */
void rig_expect_end(struct rig *g);                    /* until the server closed */
void rig_until(struct rig *g, bool (*is_so)(void *ctx), void *ctx);

struct session *rig_session(struct rig *g); /* the first, or NULL */

#endif
