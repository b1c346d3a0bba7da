/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that a build writes. They are numbered from 0 for ever; the oldest fall out when there
 * are BUILD_LINES_MAX or BUILD_LOG_BYTES_MAX, without renumbering the rest (CT-16, CT-29). A line
 * has the time at which it was written (CT-28). Users: build.c, api/build_logs.c. */
#ifndef DOMAIN_BUILD_LOG_H
#define DOMAIN_BUILD_LOG_H

#include "base/buf.h"
#include "base/err.h"

enum build_level {
    BUILD_DEBUG,
    BUILD_INFO,
    BUILD_WARN,
    BUILD_ERROR,
};

enum {
    BUILD_LINES_MAX = 10000,
    BUILD_LOG_BYTES_MAX = 4 << 20,
    BUILD_LINE_MAX = 4 << 10, /* a longer one is cut */
    BUILD_STEP_MAX = 15,      /* characters of what a step is called */
};

struct build_line {
    int64_t at_ms;
    enum build_level level;
    struct str step; /* empty: none */
    struct str text;
};

struct build_log;

struct build_log *build_log_new(void);
void build_log_free(struct build_log *l);
/* Bytes that are not UTF-8 are replaced when it is shown. Line ends belong to no line. */
void build_log_add(struct build_log *l, enum build_level level, struct str step, struct str text);
/* One more than the number of the newest line; the number of the oldest that is kept. */
size_t build_log_end(const struct build_log *l);
size_t build_log_first(const struct build_log *l);
/* One of first <= n < end: constant time, no copy. Texts are good until the next line is added. */
struct build_line build_log_line(const struct build_log *l, size_t n);

/* Encoded, with as many of the newest lines as fit into `max` bytes. */
void build_log_encode(const struct build_log *l, struct buf *out, size_t max);
must_check int build_log_decode(struct str bytes, struct build_log **out, struct err *err);

#endif
