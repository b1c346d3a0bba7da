/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine supplies to the store. store.c owns the queue, the writer thread, the limits and
 * the callbacks; an engine only writes one transaction and reads. */
#ifndef STORE_DRIVER_H
#define STORE_DRIVER_H

#include "store/store.h"

struct store_write {
    struct store_write *next;
    enum store_kind kind;
    bool is_remove;
    struct str key, value; /* into bytes */
    char bytes[];
};

struct store_engine {
    const char *name;
    /* Loop's thread. `path` may be NULL when the configuration has none. */
    int (*open)(const char *path, void **out_db, struct err *err);
    void (*close)(void *db);
    /* Writer's thread. The whole list in its order as one durable transaction, or nothing of it. */
    int (*write)(void *db, const struct store_write *first, struct err *err);
    /* Loop's thread, also while write() runs in the other: they see all of a transaction or none.
     * each() may be nested and get() called in it. */
    int (*get)(void *db, enum store_kind kind, struct str key, struct buf *out, struct err *err);
    int (*each)(void *db, enum store_kind kind, store_row_fn *fn, void *ctx, struct err *err);
    int (*backup)(void *db, const char *path, struct err *err);
};

extern const struct store_engine store_sqlite;
extern const struct store_engine store_memory;

/* store_open() by engine: for tests that put an engine of their own in between. */
must_check int store_open_engine(struct loop *l, const struct store_engine *engine,
                                 const char *path, struct store **out, struct err *err);

#endif
