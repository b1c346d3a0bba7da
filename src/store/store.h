/* SPDX-License-Identifier: Apache-2.0 */
/* Durable records. What callers may do; what an engine must supply is in driver.h.
 *
 * The caller keeps its working set in memory and reads the store once, at start. Writes are queued
 * by store_put()/store_remove(), become one transaction at store_commit(), and are durable when the
 * callback says so: nothing is acknowledged before. Commits that arrive while one is being written
 * are written together by the next (group commit). Order is kept. Records are opaque bytes
 * (protobuf of the owner's table) under a kind and a key, plus the columns that queries need. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct store;

enum store_kind {
    STORE_TEAM = 1,
    STORE_KEY, /* key: SHA-256 of the API key, in hex */
    STORE_SANDBOX,
    STORE_TEMPLATE,
    STORE_EVENT, /* key: an id that sorts by time */
    STORE_SETTING,
    STORE_CREATION, /* key: team and SHA-256 of an Idempotency-Key */
    STORE_WEBHOOK,
    STORE_DELIVERY, /* key: event and webhook */
    STORE_SECRET,
    STORE_TEAM_TEMPLATE = 20,
    STORE_BUILD,
    STORE_BUILD_LOG, /* key: id of the build */
    STORE_LAYER,     /* key: team and digest of what made it */
    STORE_SNAPSHOT = 30,
    STORE_CONNECTION = 40, /* key: an id that sorts by time */
    STORE_KIND_COUNT,      /* numbers below it may be nobody's */
};

enum {
    STORE_KEY_MAX = 200,
    STORE_VALUE_MAX = 1 << 20,
    STORE_QUEUE_MAX = 100000, /* writes not yet called back: put fails with ERR_LIMIT above it */
    STORE_QUEUE_BYTES_MAX = 256 << 20, /* the same for their keys and values */
};

struct store_config {
    const char *engine; /* "sqlite" or "memory" */
    const char *path;   /* sqlite: the database file */
    /* Kinds that hold secrets are sealed with the keys of this file (crypto/seal.h), which is made
     * when it is not there; what lies there as it is, or sealed with an older key, is sealed anew
     * when the store is opened. NULL: nothing is sealed. */
    const char *key_file;
};

typedef void store_commit_fn(void *ctx, const struct err *err); /* err NULL: durable */
/* Return false to stop. Slices are valid during the call. */
typedef bool store_row_fn(void *ctx, struct str key, struct str value);

/* Opens and migrates. A database from a newer version is refused with a clear error, one that
 * another process holds open with ERR_CONFLICT. */
must_check int store_open(struct loop *l, const struct store_config *config, struct store **out,
                          struct err *err);
/* Waits for queued commits and calls their callbacks; writes that were not committed are dropped.
 * A callback may put and commit, but that fails. Not to be called from a callback. Before
 * loop_free(). NULL is fine. */
void store_close(struct store *s);

/* Reads see what is committed. Blocking and quick: at start, and single keys on a cache miss.
 * Rows come in the order of their keys, byte by byte. fn may read and put. */
must_check int store_each(struct store *s, enum store_kind kind, store_row_fn *fn, void *ctx,
                          struct err *err);
/* ERR_NOT_FOUND when absent; the value is appended to `out`, ERR_LIMIT when it does not fit. */
must_check int store_get(struct store *s, enum store_kind kind, struct str key, struct buf *out,
                         struct err *err);

/* Copies. Part of the next commit. An empty key is ERR_INVALID, a size over its limit ERR_LIMIT.
 * Removing what is not there is fine. */
must_check int store_put(struct store *s, enum store_kind kind, struct str key, struct str value,
                         struct err *err);
must_check int store_remove(struct store *s, enum store_kind kind, struct str key, struct err *err);
/* All writes since the last commit, as one transaction. fn may be NULL. Always calls back from the
 * loop (or from store_close), never from inside, in the order of the commits. After a failed commit
 * its writes are gone and the caller must answer an error; commits that were written together fail
 * together. */
void store_commit(struct store *s, store_commit_fn *fn, void *ctx);
/* Copy of the database while in use, whole or not there at all. ERR_EXISTS when `path` is taken,
 * ERR_UNSUPPORTED by the memory engine. */
must_check int store_backup(struct store *s, const char *path, struct err *err);

#endif
