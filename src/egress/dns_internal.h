/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the name service share. */
#ifndef EGRESS_DNS_INTERNAL_H
#define EGRESS_DNS_INTERNAL_H

#include <sys/stat.h>

#include "egress/dns.h"
#include "egress/dns_message.h"
#include "egress/outlet.h"
#include "io/stream.h"

enum {
    RESOLVERS_MAX = 4,
    CACHED_ANSWER_MAX = 4096, /* bytes of one that is kept */
};

struct dns {
    struct loop *loop;
    const char *configured; /* "" : /etc/resolv.conf */
    struct timespec read_at;
    struct place resolvers[RESOLVERS_MAX];
    size_t resolver_count;
    struct list asks;
    size_t ask_count;
    struct map cache;
    struct list aging; /* what is in the cache, the oldest first */
};

/* Who asks. */
struct dns_from {
    struct outlet *outlet;
    struct pair pair;          /* over UDP */
    struct dns_stream *stream; /* over TCP, else NULL */
    struct dns_lookup *lookup; /* this role itself, else NULL */
};

/* dns.c: noise is ignored, everything else answered once. */
void dns_ask(const struct dns_from *from, struct str message);
void dns_forget_stream(struct dns *d, const struct dns_stream *s);
void dns_forget_lookup(struct dns *d, const struct dns_lookup *l);

/* dns_stream.c */
void dns_stream_answer(struct dns_stream *s, struct str answer);

/* dns_lookup.c */
void dns_lookup_answer(struct dns_lookup *l, struct str answer);

/* resolvers.c */
must_check int resolvers_read(struct dns *d, struct err *err);
void resolvers_refresh(struct dns *d); /* when the file has changed; a broken one changes nothing */

/* dns_cache.c: by all of the question but its number and the spelling of its name. */
void dns_cache_put(struct dns *d, struct str question, size_t question_end, struct str answer);
bool dns_cache_get(struct dns *d, struct str question, size_t question_end, struct buf *out);
void dns_cache_done(struct dns *d);

#endif
