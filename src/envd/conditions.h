/* SPDX-License-Identifier: Apache-2.0 */
/* Validators of files and the conditions that requests put on them (RFC 9110, 8.8 and 13). */
#ifndef ENVD_CONDITIONS_H
#define ENVD_CONDITIONS_H

#include <sys/stat.h>

#include "http/head.h"

enum {
    HTTP_DATE_MAX = 32,
    ETAG_MAX = 64,
};

struct validators {
    char etag[ETAG_MAX];      /* strong: file, size and time of change in nanoseconds */
    char date[HTTP_DATE_MAX]; /* Last-Modified; empty outside the years 1 to 9999 */
    int64_t modified_s;
};

void validators_init(struct validators *v, const struct stat *st);

/* "Sun, 06 Nov 1994 08:49:37 GMT"; empty when the year has no four digits. */
void http_date(int64_t when_s, char out[HTTP_DATE_MAX]);
/* That form only: no other has been allowed to send since 1999. */
bool http_date_parse(struct str text, int64_t *out_s);

enum condition {
    CONDITION_HOLDS,        /* or there is none: send */
    CONDITION_NOT_MODIFIED, /* 304 */
    CONDITION_FAILED,       /* 412 */
};

/* If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, in the order of RFC 9110,
 * 13.2.2. A date that is none is as if it were not there. */
enum condition condition_check(const struct http_head *h, const struct validators *v);
/* May a Range be answered with a part? Not when If-Range names another state of the file. */
bool condition_allows_range(const struct http_head *h, const struct validators *v);
/* Is there a Range or one of the conditions above? */
bool condition_is_asked(const struct http_head *h);

#endif
