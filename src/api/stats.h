/* SPDX-License-Identifier: Apache-2.0 */
/* What the api role did: counted at every answer, shown as Prometheus text. Users: call.c, gate.c,
 * api.c. */
#ifndef API_STATS_H
#define API_STATS_H

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct api;
struct call;
struct scrape;

enum {
    STATS_CLASSES = 6,  /* by first digit of the status; 0: the client went away */
    STATS_BUCKETS = 11, /* of durations; the last is all */
};

struct api_stats {
    uint64_t answers[STATS_CLASSES];
    uint64_t buckets[STATS_BUCKETS]; /* not cumulative */
    uint64_t took_us;                /* all together */
};

/* One call was answered; `status` 0: nobody was there any more. Also the line of the request log.
 */
void stats_answer(struct call *c, unsigned status);

/* All roles in the text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats):
 * api's own, what node reported last, what edges reported last. */
void stats_text(const struct api *a, struct buf *out);

/* GET /metrics for scrapers on a listener of its own, without a key: `address` is for loopback or a
 * private network. NULL or "" opens nothing and gives NULL. */
must_check int scrape_new(struct loop *l, struct api *a, const char *address, struct scrape **out,
                          struct err *err);
void scrape_free(struct scrape *s);

#endif
