/* SPDX-License-Identifier: Apache-2.0 */
/* Private to io/: what connections share. tls_context.c makes it, tls.c uses it. */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "io/cert_internal.h"
#include "io/tls.h"

enum {
    TLS_RECORD = 16 << 10, /* payload of a record */
};

struct tls_context {
    SSL_CTX *ssl;
    unsigned uses; /* its owner, and connections */
    bool is_client;
    tls_choose_fn *choose;
    void *choose_ctx;
    unsigned char protocols[TLS_PROTOCOLS_MAX * 16]; /* as ALPN has them */
    unsigned protocols_len;
    char record[TLS_RECORD]; /* where small parts become one record */
};

void tls_context_leave(struct tls_context *c);

#endif
