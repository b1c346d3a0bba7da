/* SPDX-License-Identifier: Apache-2.0 */
/* A team's visible sandboxes in the order they started: what lists and pages walk. A sorted array:
 * nearly every insert is at the end, every search is a bisection. */
#ifndef DOMAIN_SANDBOX_INDEX_H
#define DOMAIN_SANDBOX_INDEX_H

#include "base/str.h"

struct sandbox;
struct team;

void sandbox_index_set(struct sandbox *s); /* in or out, as its state asks */
/* Place of the first sandbox that is not before (started_at_ms, id). */
size_t sandbox_index_seek(const struct team *t, int64_t started_at_ms, struct str id);

#endif
