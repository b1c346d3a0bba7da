/* SPDX-License-Identifier: Apache-2.0 */
/* The request side of a client's connection. */
#include <assert.h>

#include "http/client_internal.h"

static struct sink choose_framing(const struct call_request *r)
{
    if (r->length < 0)
        return (struct sink){HTTP_CHUNKED, 0};
    if (r->length == 0)
        return (struct sink){HTTP_NO_BODY, 0};
    return (struct sink){HTTP_LENGTH, (uint64_t)r->length};
}

/* Methods whose requests have a body as a rule: servers want to be told that there is none. */
static bool expects_body(struct str method)
{
    return str_is(method, "POST") || str_is(method, "PUT") || str_is(method, "PATCH");
}

static void put_head(const struct call_request *r, const struct sink *k, struct buf *out)
{
    http_put_request_line(out, r->method, r->target);
    http_put_fields(out, r->fields, r->field_count);
    if (k->framing == HTTP_CHUNKED)
        http_put_field_text(out, "Transfer-Encoding", "chunked");
    else if (k->framing == HTTP_LENGTH || expects_body(r->method))
        http_put_field_u64(out, "Content-Length", k->left);
    if (r->is_upgrade) {
        http_put_field_text(out, "Connection", "Upgrade");
        http_put_field(out, STR("Upgrade"), r->upgrade);
    }
    buf_add_str(out, STR("\r\n"));
}

void http_conn_call(struct http_conn *c, const struct call_request *r,
                    const struct call_events *events, void *ctx)
{
    struct buf head;
    struct str part;

    assert(c->state == CONN_IDLE || c->state == CONN_SPENT);
    c->events = *events;
    c->ctx = ctx;
    c->sink = choose_framing(r);
    c->is_head_call = str_is(r->method, "HEAD");
    c->is_upgrade_call = r->is_upgrade;
    c->is_request_ended = r->length == 0;
    c->is_fresh = true;
    c->is_paused = c->is_short = false;
    c->interims = 0;
    c->seen = 0;
    buf_init(&head, 2 * HTTP_HEAD_MAX);
    put_head(r, &c->sink, &head);
    part = buf_str(&head);
    if (c->state == CONN_SPENT)
        part.len = 0; /* closed by the peer in this very turn; told below */
    c->is_broken_call = !buf_ok(&head) || part.len == 0;
    c->state = CONN_HEAD;
    if (!c->is_broken_call && c->is_request_ended)
        ignore(outbox_send(&c->out, &part, 1)); /* failure comes from the loop */
    else if (!c->is_broken_call)
        ignore(outbox_put(&c->out, &part, 1)); /* waits for the body */
    buf_done(&head);
    conn_wake(c);
}

bool http_conn_write(struct http_conn *c, struct str data)
{
    if (c->state >= CONN_SPENT || c->is_broken_call)
        return false;
    assert(!c->is_request_ended);
    conn_wake(c);
    return sink_write(&c->sink, &c->out, data);
}

void http_conn_end(struct http_conn *c)
{
    http_conn_end_with(c, (struct str){NULL, 0});
}

void http_conn_end_with(struct http_conn *c, struct str trailers)
{
    if (c->state >= CONN_SPENT || c->is_request_ended)
        return;
    c->is_request_ended = true;
    if (sink_end(&c->sink, &c->out, trailers) != 0)
        c->is_short = true;
    conn_wake(c);
    if (c->state == CONN_TAIL) {
        outbox_flush(&c->out);
        conn_settle(c);
    }
}
