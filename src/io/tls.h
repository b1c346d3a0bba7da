/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2 and 1.3 on a loop, by OpenSSL: a transport (io/transport.h) over a connected descriptor,
 * either side. tls_open() shakes hands; then its transport goes to whoever shall talk over it:
 * http_server_adopt_over(), http_conn_new_over(), stream_open_over(), relay_spec.over_a.
 *
 * Bounded: one record each way, nothing while idle (14 KB stay with OpenSSL). An end without
 * close_notify is ECONNRESET: a body that was cut does not look whole. Never: compression,
 * renegotiation, early data, sessions kept by us. One context belongs to one loop. SIGPIPE must be
 * ignored. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/str.h"
#include "io/cert.h"
#include "io/transport.h"

struct tls_context; /* what connections of one kind share */
struct tls;         /* one connection */

enum {
    TLS_TICKET_KEYS = 80,  /* bytes */
    TLS_PROTOCOLS_MAX = 4, /* names that ALPN chooses from */
    TLS_HOST_MAX = 255,
    TLS_SHAKE_MS = 10 * 1000 /* deadline of a handshake when none is given */
};

/* The certificate for a client that asks for this name (empty: it did not say). NULL: none, which
 * ends the handshake. It may be made in this call, and must live until the call returns. */
typedef const struct cert *tls_choose_fn(void *ctx, struct str server_name);

struct tls_server_spec {
    tls_choose_fn *choose;
    void *ctx;
    const char *const *protocols; /* ALPN, the best first; NULL at the end. NULL: none. A client
                                   * that offers only others is refused */
    bool is_1_3_only;
    const uint8_t *ticket_keys; /* TLS_TICKET_KEYS of them, the same for each loop, or NULL: clients
                                 * resume nothing */
};

struct tls_client_spec {
    struct str roots_pem;   /* whom to believe; empty: the file, */
    const char *roots_file; /* or with NULL this machine's store */
    const char *const *protocols;
};

must_check int tls_server_context(const struct tls_server_spec *spec, struct tls_context **out,
                                  struct err *err);
must_check int tls_client_context(const struct tls_client_spec *spec, struct tls_context **out,
                                  struct err *err);
/* From now on; who has a ticket of the old ones shakes hands in full. */
void tls_set_ticket_keys(struct tls_context *c, const uint8_t keys[TLS_TICKET_KEYS]);
/* Connections go on; handshakes that need `choose` fail. */
void tls_context_free(struct tls_context *c);

/* Once, from the loop. err NULL: the handshake is done, take the transport or close. Otherwise what
 * failed, for people: "the certificate of 'host' is not trusted: …"; then only tls_close() is left.
 */
typedef void tls_fn(void *ctx, struct tls *t, const struct err *err);

struct tls_spec {
    int fd; /* taken, also when it fails */
    struct tls_context *context;
    const char *host;     /* client: the name or address that the certificate must be for */
    struct str first;     /* server: bytes that were read from fd before; copied */
    uint64_t deadline_ms; /* 0: TLS_SHAKE_MS; counts from now, a connect in progress included */
    tls_fn *fn;
    void *ctx;
};

must_check int tls_open(struct loop *l, const struct tls_spec *spec, struct tls **out,
                        struct err *err);
/* Once it is not wanted any more, or failed; not after its transport was taken. NULL is fine. */
void tls_close(struct tls *t);

/* After the handshake. */
struct transport *tls_transport(struct tls *t);
struct str tls_protocol(const struct tls *t);    /* what ALPN chose; empty: nothing */
struct str tls_server_name(const struct tls *t); /* server: the name that was asked for, or empty */
const char *tls_version(const struct tls *t);    /* "TLSv1.3" */

#endif
