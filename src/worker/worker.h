/* SPDX-License-Identifier: Apache-2.0 */
/* `sandlot worker`: offers sandboxes of an E2B-compatible API to an iii engine as functions, or is
 * the router in front of such workers. Everything runs on one loop: a call that takes long keeps no
 * other from being served. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "worker/engine.h"
#include "worker/settings.h"

struct worker;

enum {
    WORKER_JOBS_MAX = 1024,
    WORKER_BYTES_MAX = 160 << 20, /* of all payloads; more calls are told S400 */
    WORKER_KEY_MAX = 1024,
};

struct worker_spec {
    const struct settings *settings; /* borrowed */
    const char *key;                 /* the API's; copied, and told to nobody but the API */
    struct address engine;
    const char *version;
    loop_fn *on_end; /* drained and disconnected, or refused by the engine */
    void *ctx;
};

must_check int worker_new(struct loop *l, const struct worker_spec *spec, struct worker **out,
                          struct err *err);
void worker_free(struct worker *w);
/* No new calls; those that run have drain_secs. A second time: at once. */
void worker_drain(struct worker *w);
bool worker_was_refused(const struct worker *w);

#endif
