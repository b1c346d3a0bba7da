/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of a sandbox say of one request: which of them is meant, whether it passes, and
 * what is put into it. Pure. */
#ifndef EGRESS_RULES_H
#define EGRESS_RULES_H

#include "ipc/egress_messages.h"

/* Of struct egress_rule. The name itself beats a pattern, the longest pattern the others; they are
 * never merged (wire.md 2.9). NULL: none. */
const struct egress_rule *rules_find(const struct codec_list *rules, struct str host);
/* May this request pass? `path` as it was sent. With paths to compare, one that could mean another
 * to the server (dot segments, an escaped slash or dot, a backslash) does not. */
bool rules_allow(const struct egress_rule *r, struct str method, struct str path);
/* The value of a header with its placeholders filled, appended. ERR_NOT_FOUND names the secret that
 * is not there; ERR_LIMIT: too long. */
must_check int rules_fill(struct str value, const struct codec_list *secrets, struct buf *out,
                          struct err *err);

#endif
