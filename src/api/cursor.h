/* SPDX-License-Identifier: Apache-2.0 */
/* The token that says where the next page of a list begins. Opaque to clients: base64url of
 * "<started_at_ms>__<id>", with "__asc" behind it when the list ascends. */
#ifndef API_CURSOR_H
#define API_CURSOR_H

#include "domain/sandbox_query.h"

enum {
    CURSOR_MAX = 128, /* characters, decoded */
};

void cursor_put(const struct sandbox *s, bool is_ascending, struct buf *out);
/* Sets the cursor of `q`, whose order is known. -1: not a token of ours, or of the other order. */
must_check int cursor_parse(struct str token, struct arena *a, struct sandbox_query *q);

#endif
