/* SPDX-License-Identifier: Apache-2.0 */
/* Private to engine*.c: engine.c has the connection, engine_words.c what is said on it. */
#ifndef WORKER_ENGINE_INTERNAL_H
#define WORKER_ENGINE_INTERNAL_H

#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "http/websocket.h"
#include "worker/engine.h"

struct engine_call {
    struct engine *engine;
    char id[UUID_LEN + 1];
    struct timer timer;
    const char *failure; /* code it ends with when the timer fires */
    engine_result_fn *fn;
    void *ctx;
};

struct engine {
    struct loop *loop;
    struct dialer *dialer;
    struct engine_spec spec;
    const struct engine_events *events;
    void *ctx;
    struct outdial *dial;
    struct websocket *socket; /* NULL: there is no connection */
    uint64_t round;           /* of the socket; counts when one is open */
    struct timer retry, ping;
    struct timer shake; /* until the socket is open */
    uint64_t heard_ms, lost_ms;
    uint64_t delay_ms;
    bool is_retired, is_leaving, is_over;
    loop_fn *left;
    void *left_ctx;
    char worker_id[ENGINE_ID_MAX + 1];
    char token[ENGINE_TRACE_MAX + 1]; /* to reattach with; never logged */
    struct map calls;                 /* struct engine_call by id */
};

/* One text message of the engine. */
void engine_hear(struct engine *e, struct str text);
/* What is said first in a round. */
void engine_greet(struct engine *e);
void engine_say(struct engine *e, struct buf *text); /* and releases it */
void engine_call_end(struct engine_call *c, struct str result, const struct engine_error *error);
void engine_refused(struct engine *e, const char *why); /* for good */

#endif
