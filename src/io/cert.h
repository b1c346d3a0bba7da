/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate with its key and chain: read from PEM, or made here (a local authority, and what it
 * signs). Keys made here are P-256. */
#ifndef IO_CERT_H
#define IO_CERT_H

#include "base/buf.h"
#include "base/err.h"

struct cert;

enum {
    CERT_PEM_MAX = 256 << 10, /* of a file */
    CERT_NAMES_MAX = 100,     /* of one certificate */
};

/* The certificate first, then those that signed it; the key may be in the same text. Refused: a key
 * that belongs to another certificate, a key with a passphrase. */
must_check int cert_parse(struct str chain_pem, struct str key_pem, struct cert **out,
                          struct err *err);
must_check int cert_read(const char *chain_file, const char *key_file, struct cert **out,
                         struct err *err);
void cert_free(struct cert *c);

/* Is it for this host name (or address as text)? As RFC 6125 has it: a "*" is one label. */
bool cert_is_for(const struct cert *c, struct str host);
/* Seconds until it ends, less than 0 afterwards. */
int64_t cert_seconds_left(const struct cert *c);

/* An authority that may sign leaves and nothing else. */
must_check int cert_make_authority(const char *name, unsigned days, struct cert **out,
                                   struct err *err);
/* A leaf for these names and addresses, which begins an hour ago so that a clock may be behind. */
must_check int cert_issue(const struct cert *authority, const struct str *names, size_t count,
                          unsigned days, struct cert **out, struct err *err);
/* As PEM, appended: the certificate with its chain; the key. */
must_check int cert_put_chain(const struct cert *c, struct buf *out, struct err *err);
must_check int cert_put_key(const struct cert *c, struct buf *out, struct err *err);

#endif
