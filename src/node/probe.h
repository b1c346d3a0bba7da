/* SPDX-License-Identifier: Apache-2.0 */
/* A while after node has started: do pauses with memory work here? Tried with a sandbox of a
 * runtime apart (runtime/roundtrip.h), below data_dir/probe and run_dir/probe. Where they do not,
 * the runtime refuses them at once, with the reason, and it is tried again from time to time. That
 * they do is remembered in run_dir until the next boot, for this CRIU. Called by node.c. */
#ifndef NODE_PROBE_H
#define NODE_PROBE_H

#include "node/node.h"

struct probe;

struct probe *probe_new(struct loop *l, const struct runtime_config *config, struct runtime *r);
/* Begins none any more; `fn` is called when none is under way: maybe at once. */
void probe_end(struct probe *p, loop_fn *fn, void *ctx);
void probe_free(struct probe *p); /* what is under way is left to the next one */

#endif
