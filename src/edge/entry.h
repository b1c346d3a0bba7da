/* SPDX-License-Identifier: Apache-2.0 */
/* From an accepted connection to the server that speaks its protocol: TLS or clear text by its
 * first byte, HTTP/2 or HTTP/1.1 by ALPN or by the preface. Internal to src/edge. */
#ifndef EDGE_ENTRY_H
#define EDGE_ENTRY_H

#include "edge/certs.h"
#include "http/h2.h"
#include "io/tls.h"

struct entry_config {
    const char *certificates; /* see certs.h; "" or NULL: clear text only */
    bool is_tls_only;         /* clear text is cut off */
    bool is_1_3_only;
    bool has_h2;
    const uint8_t *ticket_keys; /* the same for each loop; borrowed, see entry_renew_tickets() */
};

/* The ways in of one loop. */
struct entry {
    struct loop *loop;
    struct entry_config config;
    struct http_limits limits;
    struct http_server *server;
    struct h2_server *h2; /* NULL: not spoken */
    struct certs certs;
    struct tls_context *tls; /* NULL: not spoken */
    struct list guests;      /* struct guest: not known yet what they speak */
    size_t count;
    uint64_t failures; /* handshakes that were not completed */
    close_fn *on_close;
    void *ctx;
};

/* on_close as http_server_on_close(), for all; streams of HTTP/2 have TAG_STREAM in their tags,
 * what came by TLS TAG_SECURE. */
must_check int entry_open(struct entry *e, struct loop *l, const struct entry_config *config,
                          const struct http_limits *limits, struct http_server *server,
                          struct err *err);
void entry_on_close(struct entry *e, close_fn *fn, void *ctx);
void entry_take(struct entry *e, int fd, unsigned tag);
void entry_renew_tickets(struct entry *e); /* config.ticket_keys has changed */
void entry_drain(struct entry *e);
void entry_retire(struct entry *e); /* as http_server_retire() */
void entry_close(struct entry *e);  /* before the server is freed */

#endif
