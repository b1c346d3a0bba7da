/* SPDX-License-Identifier: Apache-2.0 */
/* Connect-RPC (https://connectrpc.com/docs/protocol) as envd's clients use it: unary calls and
 * envelopes of streams, JSON and protobuf, over http/server.h. See wire.md 3.2. */
#ifndef HTTP_CONNECT_H
#define HTTP_CONNECT_H

#include "base/buf.h"
#include "base/err.h"

enum connect_code {
    CONNECT_OK,
    CONNECT_CANCELED,
    CONNECT_UNKNOWN,
    CONNECT_INVALID_ARGUMENT,
    CONNECT_DEADLINE_EXCEEDED,
    CONNECT_NOT_FOUND,
    CONNECT_ALREADY_EXISTS,
    CONNECT_PERMISSION_DENIED,
    CONNECT_RESOURCE_EXHAUSTED,
    CONNECT_FAILED_PRECONDITION,
    CONNECT_ABORTED,
    CONNECT_OUT_OF_RANGE,
    CONNECT_UNIMPLEMENTED,
    CONNECT_INTERNAL,
    CONNECT_UNAVAILABLE,
    CONNECT_DATA_LOSS,
    CONNECT_UNAUTHENTICATED,
};

const char *connect_code_name(enum connect_code code); /* "not_found" */
unsigned connect_code_status(enum connect_code code);  /* 404 */
enum connect_code connect_code_of(enum err_kind kind); /* for errors of lower layers */

enum connect_form {
    CONNECT_JSON,         /* application/json */
    CONNECT_PROTO,        /* application/proto */
    CONNECT_STREAM_JSON,  /* application/connect+json */
    CONNECT_STREAM_PROTO, /* application/connect+proto */
    CONNECT_OTHER,        /* answer 415 */

    /* Not of this protocol: how envd answers by its other door (envd/agentcube.h). No Content-Type
     * of a request names them. */
    CONNECT_REST,   /* one JSON value */
    CONNECT_LINES,  /* application/x-ndjson */
    CONNECT_EVENTS, /* text/event-stream */
};

enum connect_form connect_form_of(struct str content_type);
const char *connect_form_type(enum connect_form form);

enum {
    ENVELOPE_HEAD = 5,
    ENVELOPE_COMPRESSED = 1,
    ENVELOPE_END = 2,
    ENVELOPE_MAX = 4 << 20, /* largest message accepted from a peer */
};

/* One envelope at the front of `in`. >0: bytes used, *payload inside `in`; 0: more needed; -1:
 * longer than `max` or compressed. */
ssize_t envelope_parse(struct str in, size_t max, uint8_t *out_flags, struct str *payload);

struct envelope {
    bool is_whole; /* the rest is set */
    uint8_t flags;
    struct str payload;
};

/* The same for a body whose pieces are cut anywhere: how many bytes of `in` belong to the first
 * envelope, which is kept in `gathered` (empty at first, its max at least max + ENVELOPE_HEAD)
 * until it is whole; -1 as above, or without memory. The payload is inside `in` or `gathered`: use
 * it, then buf_done(gathered). */
ssize_t envelope_gather(struct buf *gathered, struct str in, size_t max, struct envelope *out);
/* Five bytes to put in front of `len` bytes. */
void envelope_head(uint8_t flags, uint32_t len, uint8_t out[ENVELOPE_HEAD]);
/* The end-of-stream envelope: {} or {"error":{"code":…,"message":…}}. */
void envelope_end(struct buf *out, enum connect_code code, struct str message);
/* Body of a unary error: {"code":"not_found","message":"…"}. */
void connect_error_body(struct buf *out, enum connect_code code, struct str message);

#endif
