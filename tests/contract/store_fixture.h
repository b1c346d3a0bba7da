/* SPDX-License-Identifier: Apache-2.0 */
/* A store on a loop in a folder of its own, for the store's contract suites. One at a time; what a
 * failed case leaves behind goes with the next begin or at exit. */
#ifndef TESTS_CONTRACT_STORE_FIXTURE_H
#define TESTS_CONTRACT_STORE_FIXTURE_H

#include "store/driver.h"

enum {
    FIXTURE_PATH_MAX = 128,
    FIXTURE_WAIT_MS = 60000, /* 256 MiB go through a queue, and TSan looks at each byte */
};

struct fixture {
    const struct store_engine *engine;
    char folder[FIXTURE_PATH_MAX / 2];
    char path[FIXTURE_PATH_MAX];
    struct loop *loop;
    struct store *store; /* NULL while closed */
    size_t called;       /* callbacks so far */
    struct err err;      /* of the last callback */
};

struct fixture *fixture_begin(const struct store_engine *engine);
void fixture_end(void);
void fixture_open(void);
void fixture_close(void);

/* For store_commit(): counts, keeps the error, ends fixture_wait(). */
void fixture_called(void *ctx, const struct err *err);
/* Runs the loop until so many callbacks have come in all. */
void fixture_wait(size_t called);
/* Commits and waits; the kind of error, ERR_NONE when durable. */
enum err_kind fixture_commit(void);

void fixture_put(enum store_kind kind, const char *key, const char *value);
void fixture_remove(enum store_kind kind, const char *key);
bool fixture_has(enum store_kind kind, const char *key, const char *value);
bool fixture_lacks(enum store_kind kind, const char *key);

#endif
