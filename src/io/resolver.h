/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts to addresses without blocking the loop: `getent ahosts` runs as a child, so that
 * /etc/hosts, DNS and whatever else the host is set up with count. Answers are remembered for a
 * short while. Users: api/sender.c, worker/outdial.c. */
#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

struct resolver;
struct lookup;

enum {
    RESOLVER_TTL_MS = 30 * 1000,
    RESOLVER_KEPT_MAX = 256,
    RESOLVER_WAIT_MS = 5 * 1000,
    RESOLVER_ADDRESS_MAX = 48, /* an IPv6 address in brackets and its NUL */
};

/* err NULL: `address` is an IPv4 address, or an IPv6 one in brackets. */
typedef void resolver_fn(void *ctx, const char *address, const struct err *err);

struct resolver *resolver_new(struct loop *l);
void resolver_free(struct resolver *r); /* without calling back */
/* Always answers from the loop. The lookup is good until then. `name` is a host name of letters,
 * digits, '.', '-' and '_', or an address already. */
struct lookup *resolver_ask(struct resolver *r, struct str name, resolver_fn *fn, void *ctx);
void resolver_cancel(struct lookup *l); /* NULL is fine */

/* The first address in what getent prints; for tests. False: there is none. */
bool resolver_parse(struct str text, char out[RESOLVER_ADDRESS_MAX]);

#endif
