/* SPDX-License-Identifier: Apache-2.0 */
/* Private to io/: what a certificate is, and how OpenSSL says why. */
#ifndef IO_CERT_INTERNAL_H
#define IO_CERT_INTERNAL_H

#include <openssl/x509v3.h>

#include "io/cert.h"

struct cert {
    X509 *leaf;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* those that signed it, or empty */
};

/* Takes the oldest error out of OpenSSL's queue, which is empty afterwards. */
int err_ssl(struct err *err, enum err_kind kind, const char *what);

#endif
