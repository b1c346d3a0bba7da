/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a team's sandboxes a list shows: filters, order, one page. */
#ifndef DOMAIN_SANDBOX_QUERY_H
#define DOMAIN_SANDBOX_QUERY_H

#include "domain/sandbox.h"

struct sandbox_query {
    bool shows_running, shows_paused;
    bool is_ascending;
    int64_t started_after_ms;   /* inclusive; 0: no limit */
    struct str template_ref;    /* id or alias; empty: any */
    struct codec_list metadata; /* of struct codec_pair: all must match */
    bool has_cursor;            /* go on behind this one */
    int64_t cursor_ms;
    struct str cursor_id;
    size_t limit; /* 0: all */
};

struct sandbox_page {
    const struct sandbox **items; /* in the arena */
    size_t count;
    size_t running_total; /* running ones that pass the filters, all pages */
    bool has_more;
};

/* ERR_LIMIT when the arena is too small. */
must_check int sandbox_query(const struct domain *d, const struct team *t,
                             const struct sandbox_query *q, struct arena *a,
                             struct sandbox_page *out, struct err *err);

#endif
