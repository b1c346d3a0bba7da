/* SPDX-License-Identifier: Apache-2.0 */
/* Channels of the engine, for contents that are too large for a message: a WebSocket to each end.
 * What a caller writes is gathered; what it may read is sent while it does, when its call was
 * answered long ago. */
#ifndef WORKER_CONDUIT_H
#define WORKER_CONDUIT_H

#include "worker/worker_internal.h"

enum {
    CHANNEL_MS = 5 * 60 * 1000, /* the engine forgets a channel that nobody joins */
    CHANNEL_PIECE = 64 << 10,
    CHANNELS_MAX = 64,             /* that are being written */
    CHANNEL_BYTES_MAX = 256 << 20, /* of these */
};

typedef void conduit_bytes_fn(struct job *j, struct str bytes);
typedef void conduit_ref_fn(struct job *j, struct str ref);

/* All that comes from a channel, at most `max` bytes. Or the job ends with S218. */
void conduit_read(struct job *j, struct str ref, size_t max, conduit_bytes_fn *then);
/* Makes a channel whose reader gets these bytes (taken); `ref` is the reader's, JSON. */
void conduit_give(struct job *j, struct buf *bytes, conduit_ref_fn *then);
void conduit_free(struct conduit *c); /* NULL is fine */
void conduits_end(struct worker *w);  /* those that are being written are cut */

#endif
