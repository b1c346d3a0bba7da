/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request to the E2B-compatible API or to a sandbox's envd, with a deadline of its own and
 * a bound on its answer: none hangs, none grows. Each has a connection that ends with it. */
#ifndef WORKER_UPSTREAM_H
#define WORKER_UPSTREAM_H

#include "worker/outdial.h"

enum {
    UPSTREAM_FIELDS_MAX = 8,
    UPSTREAM_TARGET_MAX = 4096,
    UPSTREAM_TOKEN_MAX = 1024, /* of X-Next-Token */
    UPSTREAM_ANSWER_MAX = 8 << 20,
    UPSTREAM_BODY_MAX = 96 << 20, /* of a request */
};

struct upstream_call;

struct upstream_answer {
    unsigned status; /* 0: there was none, err says why */
    struct str body; /* what on_part did not get */
    char next_token[UPSTREAM_TOKEN_MAX];
    bool was_sent; /* status 0: the other end may have heard it */
    bool is_cut;   /* the body did not end, or not within answer_max; err says why */
    struct err err;
};

/* Once, from the loop; the call is gone when it returns. `a` is valid during it. */
typedef void upstream_fn(void *ctx, const struct upstream_answer *a);
/* Bytes of an answer's body with status 200. False: no more are wanted, and fn is not called:
 * upstream_cancel() was. */
typedef bool upstream_part_fn(void *ctx, struct str data);

struct upstream_ask {
    const struct address *to; /* copied */
    const char *method, *target;
    struct http_field fields[UPSTREAM_FIELDS_MAX]; /* Host and length are ours */
    size_t field_count;
    struct buf *body; /* taken; NULL: none */
    uint64_t timeout_ms;
    size_t answer_max;         /* 0: UPSTREAM_ANSWER_MAX */
    upstream_part_fn *on_part; /* or NULL */
};

struct upstream_call *upstream_start(struct dialer *d, struct loop *l, struct upstream_ask *ask,
                                     upstream_fn *fn, void *ctx);
void upstream_cancel(struct upstream_call *c); /* NULL is fine */

#endif
