/* SPDX-License-Identifier: Apache-2.0 */
/* Which records are encrypted at rest, and how they are read again. Private to store/. */
#ifndef STORE_SEALED_H
#define STORE_SEALED_H

#include "crypto/seal.h"
#include "store/driver.h"

/* Does it hold tokens, secrets or values of variables? */
bool sealed_kind(enum store_kind kind);

/* Which record: it opens in no other's place. */
struct sealed_name {
    enum store_kind kind;
    struct str key;
};

must_check int sealed_put(const struct seal *s, const struct sealed_name *name, struct str value,
                          struct buf *out, struct err *err);
/* What was never sealed is given as it is. */
must_check int sealed_get(const struct seal *s, const struct sealed_name *name, struct str raw,
                          struct buf *out, struct err *err);

/* A store_row_fn between an engine and a caller, who gets opened values. */
struct sealed_rows {
    const struct seal *seal;
    enum store_kind kind;
    store_row_fn *fn;
    void *ctx;
    struct err err; /* with is_bad: what the last row had */
    bool is_bad;
};

bool sealed_row(void *rows, struct str key, struct str raw);
int sealed_fail(const struct sealed_rows *rows, struct err *err); /* -1, and why */

#endif
