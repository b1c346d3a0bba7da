/* SPDX-License-Identifier: Apache-2.0 */
/* What edge itself answers on the data plane: exact JSON bodies for programs, a small page for
 * people. Pure text; proxy.c sends it. */
#ifndef EDGE_PAGES_H
#define EDGE_PAGES_H

#include "http/head.h"

enum page_kind {
    PAGE_NOT_FOUND,     /* 502 or gone_status: no such sandbox, or it has ended */
    PAGE_PAUSED,        /* 502: it is there, but nothing resumes it from here */
    PAGE_PORT_CLOSED,   /* 502 */
    PAGE_TOKEN_MISSING, /* 403 */
    PAGE_TOKEN_WRONG,   /* 403 */
    PAGE_TRANSITION,    /* 409 */
    PAGE_PRIVATE,       /* 404: a route of envd that is not for clients */
    PAGE_BUSY,          /* 503: a part of the server is restarting */
    PAGE_SIGNATURE,     /* 401: a signed URL that no sandbox's token made */
    PAGE_EXPIRED,       /* 401: a signed URL whose time has passed */
    PAGE_RESUME_DENIED, /* 403: paused, and the request has no right to resume it */
    PAGE_RESUME_FAILED, /* 502: paused, and it could not be resumed; facts.message says why */
    PAGE_TEAM_LIMIT,    /* 429: paused, and the team may run no more; facts.message is api's */
    PAGE_FULL,          /* 429: facts.limit connections are open to it */
    PAGE_STALLED,       /* 408: the client stopped in the middle of its request */
    PAGE_COUNT,
};

struct page_facts {
    struct str sandbox_id;
    uint16_t port;
    struct str path;
    unsigned gone_status; /* 410 where clients expect that (RX-07); 0: 502 */
    unsigned limit;
    struct str message; /* of the pages that say so */
};

enum { PAGE_MAX = 8 << 10 };

unsigned page_status(enum page_kind kind, const struct page_facts *f);
/* X-Cube-Retcode of a sandbox that is gone, for clients of that product (RX-07); else NULL. */
const char *page_retcode(enum page_kind kind);
/* Whole seconds for Retry-After; 0 when trying again does not help. */
unsigned page_retry_s(enum page_kind kind);
/* JSON for programs, HTML for a browser's address bar. */
bool page_wants_html(const struct http_head *h);
/* Appends the body. */
void page_json(enum page_kind kind, const struct page_facts *f, struct buf *out);
void page_html(enum page_kind kind, const struct page_facts *f, struct buf *out);

extern const char page_json_type[]; /* application/json; charset=utf-8 */
extern const char page_html_type[]; /* text/html; charset=utf-8 */

#endif
