/* SPDX-License-Identifier: Apache-2.0 */
/* The name service of sandboxes: a forwarder. A question that is well-formed goes to the host's
 * resolvers under a number and from a port of our own; the answer must fit the question. What has
 * answered is kept as long as its records live, at most CACHE_LIFE_MS.
 *
 * Over UDP a resolver is asked DNS_TRIES times, then the next one; over TCP once each. Without an
 * answer the sandbox is told SERVFAIL; when it may not ask at all, REFUSED. */
#ifndef EGRESS_DNS_H
#define EGRESS_DNS_H

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

struct dns;
struct dns_lookup;
struct dns_stream;
struct outlet;
struct pair;
struct place;

enum {
    DNS_WAITING_MAX = 64, /* questions of one sandbox at once; more are told SERVFAIL */
    DNS_ALL_MAX = 4096,   /* of all */
    DNS_CACHE_MAX = 4096, /* answers */
    DNS_PLACES_MAX = 8,
};

/* `resolvers`: addresses with optional port, blanks or commas between; empty: the nameserver lines
 * of /etc/resolv.conf, read again when it changes. */
must_check int dns_new(struct loop *l, const char *resolvers, struct dns **out, struct err *err);
void dns_free(struct dns *d);

void dns_datagram(struct outlet *o, const struct pair *pair, struct str data);
/* Questions and answers over TCP, each with its length in front, any number on one connection.
 * Takes the descriptor. on_end: once, later; it has freed itself then. */
struct dns_stream *dns_stream_new(struct outlet *o, int fd, loop_fn *on_end, void *ctx);
void dns_stream_free(struct dns_stream *s); /* NULL is fine; no callback */
/* The addresses of a name, as the resolvers tell them now, for this role itself: of the family of
 * `to`, or of the other one when the name has none, and with its port. At most DNS_PLACES_MAX, or
 * none: no such name, or no answer. Valid during the call. `found` is called once, and may be so
 * before dns_lookup_start() returns; *out is set before. Not limited to what `o` may ask. */
typedef void dns_found_fn(void *ctx, const struct place *places, size_t count);
void dns_lookup_start(struct outlet *o, struct str name, const struct place *to,
                      dns_found_fn *found, void *ctx, struct dns_lookup **out);
void dns_lookup_stop(struct dns_lookup *l); /* NULL is fine; not once it was found */
/* The outlet goes: nobody waits for its answers any more. */
void dns_forget(struct outlet *o);

#endif
