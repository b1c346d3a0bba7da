/* SPDX-License-Identifier: Apache-2.0 */
/* Watchers: a watched directory, the events that wait for the client, and how the client gets them:
 * as a stream (WatchDir) or by asking (CreateWatcher, GetWatcherEvents) (wire.md 3.8).
 *
 * A streaming watcher lives as long as its call: until the client leaves, the deadline of the call,
 * or a failure. One that is asked lives until RemoveWatcher; after a failure it gives what it still
 * has, then answers with the error. Events that the kernel or we had to drop end it with data_loss.
 *
 * Events wait in their encoding, WATCH_QUEUE_MAX bytes per watcher: a client that takes them too
 * slowly loses none silently, its watcher ends with data_loss (a stream behind what waits, one that
 * is asked without it). All queues together hold WATCH_QUEUES_MAX bytes, or the longest goes with
 * its watcher. A stream that takes nothing at all for WATCH_STALL_MS is cut. A WRITE or CHMOD that
 * waits is replaced by the same about the same name right behind it. Names that are not UTF-8 are
 * told with U+FFFD for each bad byte, as everywhere in this protocol. */
#ifndef ENVD_WATCHER_H
#define ENVD_WATCHER_H

#include "envd/rpc.h"
#include "envd/watch_tree.h"

enum {
    WATCHERS_MAX = 256,
    WATCHER_ID_LEN = 21,       /* "w" + 20 of [a-z0-9] */
    WATCH_QUEUE_MAX = 4 << 20, /* bytes */
    WATCH_QUEUES_MAX = 16 << 20,
    WATCH_STALL_MS = 60000,
};

struct watcher;

/* All of this envd. */
struct watchers {
    struct loop *loop;
    struct watch_hub hub;
    struct list all;
    size_t count;
    size_t queued; /* bytes, of all */
};

void watchers_init(struct watchers *t, struct loop *l);
void watchers_done(struct watchers *t); /* the exchanges of the streams are gone already */

/* Watch, and answer the call once everything is watched: with the first message of its stream, or
 * with the id of the watcher. From now on the exchange is the watcher's. On failure it is still the
 * caller's, to be answered. */
must_check int watcher_open(struct watchers *t, const struct rpc_call *call,
                            const struct watch_target *target, bool has_entries, struct err *err);
/* One that is asked. NULL when there is none of this id. */
struct watcher *watcher_find(const struct watchers *t, struct str id);
/* Answer with the events that wait, and forget them; or with why there will be no more. */
void watcher_take(struct watcher *w, struct rpc_peer peer);
void watcher_close(struct watcher *w);

#endif
