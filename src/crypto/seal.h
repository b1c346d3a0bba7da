/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that are encrypted at rest: AES-256-GCM (OpenSSL) with the keys of a file.
 *
 * The file holds a key per line, 64 hexadecimal digits; "#" begins a comment. The first key seals,
 * all of them open: to change the key, put a new line in front of the old ones. What is sealed says
 * which key it needs, and opens only for the purpose it was sealed for (`about`), so that one
 * record cannot be put in the place of another. */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include "base/buf.h"
#include "base/err.h"

struct seal;

enum {
    SEAL_KEY_SIZE = 32,
    SEAL_KEYS_MAX = 16,
    SEAL_OVERHEAD = 2 + 8 + 12 + 16, /* mark, name of the key, nonce, tag */
};

/* Makes the file, readable for its owner alone, when it is not there. ERR_INVALID: not such a
 * file, or others may read it. */
must_check int seal_new(const char *path, struct seal **out, struct err *err);
void seal_free(struct seal *s); /* NULL is fine */

/* Both append to `out`, which must not be where `bytes` are. A buf that has no room fails as bufs
 * do. */
must_check int seal_close(const struct seal *s, struct str about, struct str bytes, struct buf *out,
                          struct err *err);
/* ERR_INVALID: changed, sealed about something else, or by a key that is not in the file. */
must_check int seal_open(const struct seal *s, struct str about, struct str sealed, struct buf *out,
                         struct err *err);
/* Does it begin as sealed bytes do? No protobuf message does. */
bool seal_is_sealed(struct str bytes);
/* Sealed with the first key? */
bool seal_is_fresh(const struct seal *s, struct str sealed);

#endif
