/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104), base64 (RFC 4648), hex. libc only, because envd
 * checks signatures too. SHA-1 only for the handshake of WebSockets, which protects nothing. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/buf.h"

enum {
    SHA1_SIZE = 20,
    SHA256_SIZE = 32,
};

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
};

void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *data, size_t len);
void sha256_end(struct sha256 *h, uint8_t out[SHA256_SIZE]);
void sha256_of(struct str data, uint8_t out[SHA256_SIZE]);
void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_SIZE]);

void sha1_of(struct str data, uint8_t out[SHA1_SIZE]);

/* Standard alphabet with padding. */
void base64_encode(struct buf *out, const void *data, size_t len);
size_t base64_encoded_len(size_t len);
/* Accepts the standard and the URL-safe alphabet, padded or not; rejects anything else, stray bits
 * in the last digit included. `out` has room for base64_decoded_max(len) bytes. -1 when invalid. */
ssize_t base64_decode(struct str text, uint8_t *out);
size_t base64_decoded_max(size_t len);

/* Is it well-formed UTF-8 (no surrogates, no overlong forms)? */
bool utf8_valid(struct str text);
/* Bytes of the well-formed character at the front; 0 when there is none. */
size_t utf8_first(struct str text);

#endif
