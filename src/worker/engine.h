/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of the iii engine's protocol, of both eras (0.11 and 0.22): JSON messages over
 * one WebSocket. It connects, announces the worker, registers its functions, hands over what is
 * invoked, keeps the connection alive, and begins again when it is lost: at most
 * ENGINE_RETRY_MAX_MS later within the first minute, so that registrations are back within 2 s of
 * an engine's restart.
 *
 * Every connection is a round. What was invoked in a round that has ended was already answered to
 * its caller by the engine (invocation_stopped): a result of it is dropped here. */
#ifndef WORKER_ENGINE_H
#define WORKER_ENGINE_H

#include "codec/codec.h"
#include "worker/outdial.h"

enum {
    ENGINE_ID_MAX = 128,     /* of an invocation or a worker */
    ENGINE_TRACE_MAX = 1024, /* traceparent, baggage */
    ENGINE_FUNCTION_MAX = 256,
    ENGINE_PING_MS = 20 * 1000,
    ENGINE_SILENT_MS = 60 * 1000,
    ENGINE_RETRY_MIN_MS = 100,
    ENGINE_RETRY_MAX_MS = 1300,        /* +- 30 % */
    ENGINE_RETRY_LATER_MS = 30 * 1000, /* once it is away for a minute */
    ENGINE_CALLS_MAX = 4096,           /* that we wait for */
};

struct engine;

struct engine_function {
    const char *id;
    const char *description;
    struct str request_format, response_format, metadata; /* JSON, or empty */
};

struct engine_invocation {
    uint64_t round;
    struct str id; /* empty: nobody waits for a result */
    struct str function;
    struct str data; /* JSON */
    struct str traceparent, baggage;
};

struct engine_events {
    void (*on_invoke)(void *ctx, const struct engine_invocation *i);
    void (*on_round_end)(void *ctx, uint64_t round);   /* its callers are gone */
    void (*on_over)(void *ctx, const struct err *err); /* the engine does not want this worker */
};

struct engine_spec {
    struct address to;
    const char *name, *description, *version;
    const struct engine_function *functions; /* borrowed, with all they point to */
    size_t function_count;
};

struct engine *engine_new(struct loop *l, struct dialer *d, const struct engine_spec *spec,
                          const struct engine_events *events, void *ctx);
void engine_free(struct engine *e); /* NULL is fine; calls end without a callback */
void engine_start(struct engine *e);
/* No new work: what was registered is taken back. Results are still sent. */
void engine_retire(struct engine *e);
/* Says goodbye; `done` once the connection has ended, or there was none. */
void engine_leave(struct engine *e, loop_fn *done, void *ctx);

struct engine_error {
    struct str code, message, stacktrace; /* the last may be empty */
};

/* A result, JSON; or with `error` that. Dropped when the round is over, or id is empty. */
void engine_reply(struct engine *e, const struct engine_invocation *to, struct str result,
                  const struct engine_error *error);

/* Calls of ours. `result` is JSON, or `error` says what the callee or the engine said, untouched;
 * ours has code "timeout", "disconnected" or "busy". Once, from the loop. */
typedef void engine_result_fn(void *ctx, struct str result, const struct engine_error *error);
struct engine_call;
struct engine_call *engine_invoke(struct engine *e, struct str function, struct str data,
                                  uint64_t timeout_ms, engine_result_fn *fn, void *ctx);
void engine_call_cancel(struct engine_call *c); /* NULL is fine */

const struct address *engine_address(const struct engine *e); /* channels are below it */

#endif
