/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the row of a request in a table of routes.
 *
 * A pattern is "/sandboxes/:id/timeout": ':' parts match one non-empty segment. Segments are split
 * before they are percent-decoded (wire.md 1.7), so "team%2Fname" is one segment. A trailing slash
 * and repeated slashes do not match. Of two patterns that fit, the one with the earlier literal
 * wins; HEAD falls back to GET. */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "base/arena.h"
#include "http/head.h"

enum { ROUTE_PARAMS_MAX = 4 };

/* The first member of each row of the caller's table. */
struct route_key {
    const char *method;
    const char *pattern;
};

struct route_match {
    size_t row;
    struct str params[ROUTE_PARAMS_MAX]; /* decoded, in the arena, in the order of the pattern */
    size_t param_count;
};

enum route_result {
    ROUTE_FOUND,
    ROUTE_UNKNOWN,    /* no such path: 404 */
    ROUTE_NOT_METHOD, /* path known, method not: 405 */
    ROUTE_MALFORMED,  /* bad escape: 400 */
};

struct router;

/* Compile a table of `count` rows, each `stride` bytes and starting with a struct route_key. Kept
 * by reference. Aborts on two equal rows (a programming error). */
struct router *router_new(const void *rows, size_t count, size_t stride);
void router_free(struct router *r);
enum route_result router_find(const struct router *r, struct arena *a, struct str method,
                              struct str path, struct route_match *out);

#endif
