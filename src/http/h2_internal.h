/* SPDX-License-Identifier: Apache-2.0 */
/* Private to http/: a connection (h2.c) and its streams. h2_stream.c is the transport: bytes of
 * HTTP/1.1 one way, a message of HTTP/2 the other; h2_request.c makes a head of fields. */
#ifndef HTTP_H2_INTERNAL_H
#define HTTP_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "base/bucket.h"
#include "http/body_internal.h"
#include "http/h2.h"

enum {
    H2_FRAMED_MAX = 16 << 10,            /* payload of one chunk */
    H2_FIELDS_OUT = HTTP_FIELDS_MAX + 1, /* fields of one message */
};

struct h2_server {
    struct loop *loop;
    struct http_server *server;
    struct http_limits limits;
    struct list connections;
    size_t count;
    bool is_draining;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    close_fn *on_close;
    void *close_ctx;
};

struct h2 {
    struct list_node node;
    struct h2_server *server;
    struct loop *loop;
    struct stream stream;
    nghttp2_session *session;
    struct list streams;
    size_t count;
    struct task wake;
    struct timer timer;
    struct bucket budget;
    unsigned tag, stream_tag;
    bool has_begun;   /* the preface is complete */
    bool is_in_head;  /* a field section has begun and not ended */
    bool is_ending;   /* nothing more will be read */
    bool is_leaving;  /* the peer knows that it should ask elsewhere, */
    bool is_last;     /* and which of its streams is the last */
    uint64_t head_ms; /* since when one of the two is waited for */
};

/* The request as it was told, field by field; then the text of its head. */
struct h2_request {
    struct str method, path, authority, protocol; /* into text */
    struct str scheme;
    struct buf text;   /* copies of the above */
    struct buf lines;  /* fields, as HTTP/1.1 has them */
    struct buf cookie; /* one field again */
    size_t field_count;
    bool has_length, has_host, is_too_large, is_bad;
};

enum h2_framing {
    H2_NO_BODY, /* of the request, as the server sees it */
    H2_LENGTH,
    H2_CHUNKED,
    H2_RAW, /* a tunnel */
};

struct h2_stream {
    struct transport transport; /* what the server's session runs over */
    struct list_node node;
    struct h2 *h2; /* NULL: the connection is gone */
    int32_t id;
    struct task wake;
    /* request */
    struct h2_request *request; /* until its head is complete */
    struct buf in;              /* framed, to be read */
    struct buf data;            /* to be framed */
    struct buf trailers;
    uint8_t framing;
    bool is_head_request; /* the method is HEAD */
    bool has_request_end, is_end_read;
    /* answer */
    struct buf head; /* until it is complete */
    struct body body;
    struct buf out;
    bool has_head, has_answer_end, is_end_sent;
    bool is_deferred; /* nghttp2 waits for more of it */
    bool is_adopted;  /* a session of the server has it, and closes it */
    bool is_reset;    /* the stream is closed */
};

/* h2.c */
void h2_later(struct h2 *h2); /* send what there is at the end of this turn */

/* h2_stream.c */
struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id);
void h2_stream_free(struct h2_stream *s);
void h2_stream_begin(struct h2_stream *s); /* the head is complete: give it to the server */
void h2_stream_take(struct h2_stream *s, struct str data);
void h2_stream_request_end(struct h2_stream *s);
void h2_stream_closed(struct h2_stream *s); /* by either side, or with its connection */

/* h2_request.c */
struct h2_request *h2_request_new(void);
void h2_request_free(struct h2_request *r);
void h2_request_field(struct h2_request *r, struct str name, struct str value);
void h2_trailer_field(struct buf *out, struct str name, struct str value);
/* 0 and the head's text appended; otherwise the status that it deserves. */
unsigned h2_request_head(const struct h2_request *r, bool has_body, struct buf *out,
                         enum h2_framing *framing);

/* h2_fields.c */
void h2_put_nv(nghttp2_nv *nv, struct str name, struct str value); /* both are borrowed */
struct str h2_lower(struct str name);                              /* in place: it must be ours */
size_t h2_take(struct buf *b, char *to, size_t size);
/* One chunk of what is in `data`, which loses it. How many bytes that were. */
size_t h2_put_chunk(struct buf *out, struct buf *data);
/* What nghttp2 has to send, as far as the peer reads. */
int h2_send(nghttp2_session *session, struct stream *to);

#endif
