/* SPDX-License-Identifier: Apache-2.0 */
/* Durable records. What callers may do; what an engine must supply is in driver.h.
 *
 * The caller keeps its working set in memory and reads the store once, at start. Writes are queued
 * by store_put()/store_remove(), become one transaction at store_commit(), and are durable when the
 * callback says so: nothing is acknowledged before. Commits that arrive while one is being written
 * are written together by the next (group commit). Order is kept. Records are opaque bytes (protobuf
 * of the owner's table) under a kind and a key, plus the columns that queries need. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

struct store;

enum store_kind {
    STORE_TEAM = 1,
    STORE_KEY,      /* key: SHA-256 of the API key, in hex */
    STORE_SANDBOX,
    STORE_TEMPLATE,
    STORE_EVENT,    /* key: sortable time and sequence */
    STORE_SETTING,
};

enum {
    STORE_KEY_MAX = 200,
    STORE_VALUE_MAX = 1 << 20,
    STORE_QUEUE_MAX = 100000, /* writes waiting: put fails with ERR_LIMIT above it */
};

struct store_config {
    const char *engine; /* "sqlite" or "memory" */
    const char *path;   /* sqlite: the database file */
};

typedef void store_commit_fn(void *ctx, const struct err *err); /* err NULL: durable */
/* Return false to stop. Slices are valid during the call. */
typedef bool store_row_fn(void *ctx, struct str key, struct str value);

/* Opens and migrates. A database from a newer version is refused with a clear error. */
must_check int store_open(struct loop *l, const struct store_config *config, struct store **out,
                          struct err *err);
/* Waits for queued commits. */
void store_close(struct store *s);

/* Reads see what is committed. Blocking and quick: at start, and single keys on a cache miss. */
must_check int store_each(struct store *s, enum store_kind kind, store_row_fn *fn, void *ctx,
                          struct err *err);
/* ERR_NOT_FOUND when absent; the value is appended to `out`. */
struct buf;
must_check int store_get(struct store *s, enum store_kind kind, struct str key, struct buf *out,
                         struct err *err);

/* Copies. Part of the next commit. */
must_check int store_put(struct store *s, enum store_kind kind, struct str key, struct str value,
                         struct err *err);
must_check int store_remove(struct store *s, enum store_kind kind, struct str key,
                            struct err *err);
/* All writes since the last commit, as one transaction. fn may be NULL. Always calls back from the
 * loop, never from inside. After a failed commit its writes are gone and the caller must answer an
 * error. */
void store_commit(struct store *s, store_commit_fn *fn, void *ctx);
/* Copy of the database while in use. */
must_check int store_backup(struct store *s, const char *path, struct err *err);

#endif
