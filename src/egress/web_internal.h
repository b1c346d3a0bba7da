/* SPDX-License-Identifier: Apache-2.0 */
/* What web.c and web_call.c share. */
#ifndef EGRESS_WEB_INTERNAL_H
#define EGRESS_WEB_INTERNAL_H

#include "base/host_name.h"
#include "egress/reach.h"
#include "egress/rules.h"
#include "egress/web.h"
#include "http/client.h"
#include "http/server.h"

enum {
    WEB_TEXT_MAX = 512, /* of what is said in the place of a server */
};

struct web {
    struct outlet *outlet;
    bool is_tls;
    struct place to;
    char name[HOST_NAME_MAX_LEN + 1]; /* of the connection */
    char host[HOST_NAME_MAX_LEN + 1]; /* of the request that is under way, or was the last */
    int fd; /* number of the sandbox's socket, which is the server's: to be reset */
    struct tls *shaking, *shaking_out;
    struct http_server *server;
    struct exchange *x; /* NULL: none, or the sandbox has gone */
    struct http_conn *conn;
    char conn_host[HOST_NAME_MAX_LEN + 1]; /* that conn leads to */
    struct reach *reach;
    struct relay *tunnel;
    const struct http_field *fields; /* of the request on its way, in the exchange's arena */
    size_t field_count;
    struct pace_turn pause_up, pause_down;
    struct timer end;
    bool is_reused;       /* conn has served before: its peer may have closed it meanwhile */
    bool has_head;        /* of the answer */
    bool wants_body;      /* the sandbox's half was asked for */
    bool has_request_end; /* its body is complete */
    bool is_up_stopped, is_down_stopped;
    struct web_counts *counts;
    loop_fn *on_end;
    void *ctx;
};

/* web.c */
void web_end_soon(struct web *w);
/* Not a word: as a connection to a name that is not allowed gets none. */
void web_cut(struct web *w, const char *why);
/* Answers in the place of the server. */
void web_refuse(struct web *w, unsigned status, const char *why);

/* web_call.c: w->x goes out as `rule` says (NULL: as it is). */
void web_call(struct web *w, const struct egress_rule *rule);
void web_call_drop(struct web *w); /* who asked is gone */

#endif
