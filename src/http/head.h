/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 message head: parse, inspect, serialise. Pure functions on bytes, no I/O.
 *
 * Reject by default (RFC 9112): the parser is a security boundary, it must be at least as strict as
 * any server behind the proxy. Refused with 400: bare LF or CR, NUL, obs-fold, blanks around a
 * field name, Transfer-Encoding with Content-Length, anything but exactly "chunked" as coding,
 * repeated or non-digit Content-Length, missing, repeated or malformed Host, absolute-form
 * authority that differs from Host, bad characters in method or target, HTTP versions other
 * than 1.0 and 1.1 (505), chunked with HTTP/1.0. 431 when the head exceeds HTTP_HEAD_MAX or
 * HTTP_FIELDS_MAX; 501 for an unknown transfer coding and CONNECT; 417 for an unknown expectation.
 * Forgiven: one empty line in front of a request, a missing blank before an empty reason, no Host
 * with HTTP/1.0. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/buf.h"
#include "base/err.h"

enum {
    HTTP_HEAD_MAX = 32 << 10,
    HTTP_FIELDS_MAX = 100,
    HTTP_ID_MAX = 64,        /* of X-Request-Id */
    HTTP_OUT_MAX = 16 << 20, /* most unsent bytes of a connection: also the largest body of
                              * exchange_reply(); past it the connection is cut */
};

enum http_framing {
    HTTP_NO_BODY,
    HTTP_LENGTH, /* exactly body_length bytes */
    HTTP_CHUNKED,
    HTTP_UNTIL_CLOSE, /* responses only */
};

struct http_field {
    struct str name, value; /* value without blanks at its ends */
};

struct http_head {
    /* request */
    struct str method;
    struct str target;  /* as sent; origin-form ("/a?b"), or "*" */
    struct str path;    /* target up to '?', still percent-encoded */
    struct str query;   /* behind '?', or empty */
    struct str host;    /* Host value without port, lower/upper case as sent; "[::1]" keeps []s */
    uint16_t host_port; /* 0 when absent */
    /* response */
    uint16_t status;
    struct str reason;
    /* both */
    uint8_t minor; /* HTTP/1.minor */
    enum http_framing framing;
    uint64_t body_length; /* HTTP_LENGTH; also what an answer without body (HEAD) announces */
    bool keep_alive;      /* by version and Connection */
    bool expects_continue;
    bool is_upgrade; /* Connection: upgrade and an Upgrade field */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* >0: length of the head, empty line included; `out` points into `in`.
 *  0: more bytes needed.
 * <0: minus the status to answer with (400, 417, 431, 501, 505); *why is a static text for the
 * body. */
int http_parse_request(struct str in, struct http_head *out, const char **why);
/* The same for a response to a request of method `method` (HEAD and 1xx/204/304 have no body).
 * <0: -502. A 101 has HTTP_NO_BODY and is_upgrade set. */
int http_parse_response(struct str in, struct str method, struct http_head *out, const char **why);

/* Value of the first field of that name (case-insensitive); .at NULL when there is none. */
struct str http_field(const struct http_head *h, const char *name);
/* The client's or a proxy's X-Request-Id when it is harmless in a log line: 1 to HTTP_ID_MAX
 * letters, digits, '-', '_' and '.'. Empty otherwise. */
struct str http_request_id(const struct http_head *h);
/* Does a comma-separated list field hold this token (case-insensitive)? Looks at all of its lines.
 */
bool http_has_token(const struct http_head *h, const char *name, const char *token);
/* Fields of this connection only: Connection, Keep-Alive, Proxy-*, TE, Trailer,
 * Transfer-Encoding, Upgrade, and those that Connection names. Never forwarded (RFC 9110 7.6.1). */
bool http_is_hop_field(const struct http_head *h, struct str name);

/* Chunked decoding, one step. Strict: hex size of at most 15 digits, CRLF everywhere, extensions
 * skipped up to 1 KiB, trailers up to 8 KiB. */
struct http_chunks {
    struct buf *trailers; /* gets their lines, CRLF included; NULL: they are ignored. Empty and
                           * failed without memory */
    uint64_t left;        /* bytes of the current chunk still to come */
    uint32_t skipped;
    uint8_t state;
    bool is_done; /* last chunk and trailers were read */
};

/* Looks at `in`; sets *data to a run of payload inside it (may be empty) and returns how many bytes
 * of `in` are used up by it, framing included; call again while it returns >0 and not is_done.
 * 0: more bytes needed. -1: malformed. */
ssize_t http_chunks_next(struct http_chunks *c, struct str in, struct str *data);

/* Of a body that is spliced: so many bytes went; 0: the sink is full. Neither side may be touched.
 */
typedef void moved_fn(void *ctx, size_t len);

/* Serialise. Names and values are checked for CR, LF and NUL: a bad one sets out->failed. */
void http_put_request_line(struct buf *out, struct str method, struct str target);
void http_put_status_line(struct buf *out, unsigned status);
void http_put_field(struct buf *out, struct str name, struct str value);
void http_put_field_text(struct buf *out, const char *name, const char *value);
void http_put_field_u64(struct buf *out, const char *name, uint64_t value);

/* "Not Found"; "Unknown" for codes without a name. */
const char *http_reason(unsigned status);

/* Percent-decode into `out` (may be in.at itself). plus_is_space for query strings. -1 on a broken
 * escape or an encoded NUL; the length otherwise. */
ssize_t url_decode(struct str in, bool plus_is_space, char *out);
/* First value of a query parameter, still encoded; .at NULL when absent. */
struct str url_query(struct str query, const char *name);
/* Split "/a/b%2Fc" on '/', decode each part; parts and text in the arena. -1 when malformed. */
struct arena;
int url_split(struct arena *a, struct str path, struct str *parts, size_t parts_max);

#endif
