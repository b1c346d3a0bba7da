/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of sandboxes: filters, pages, cursors (wire.md 2.8). Called by the gate. */
#include <stdio.h>

#include "api/call.h"
#include "api/cursor.h"
#include "api/errors.h"
#include "api/sandbox_json.h"
#include "base/clock.h"
#include "domain/metadata.h"
#include "domain/sandbox_query.h"

enum {
    LIMIT_MAX = 100,
};

static int refuse(struct call *c, const char *text)
{
    call_error(c, 400, NULL, "%s", text);
    return -1;
}

static int parse_states(struct call *c, struct sandbox_query *q)
{
    struct str rest = call_query(c, "state");

    if (rest.at == NULL || rest.len == 0) {
        q->shows_running = q->shows_paused = true;
        return 0;
    }
    while (rest.len > 0) {
        struct str state = str_cut(rest, ',', &rest);

        if (str_is(state, "running"))
            q->shows_running = true;
        else if (str_is(state, "paused"))
            q->shows_paused = true;
        else
            return refuse(c, "validation error: state must be 'running' or 'paused'");
    }
    return 0;
}

static int parse_metadata(struct call *c, struct sandbox_query *q)
{
    struct str text = url_query(exchange_head(c->x)->query, "metadata");
    struct err err = {0};

    if (text.at == NULL)
        return 0;
    text = call_query(c, "metadata");
    if (text.at == NULL)
        return refuse(c, "Error parsing metadata");
    if (metadata_parse(text, exchange_arena(c->x), &q->metadata, &err) == 0)
        return 0;
    call_fail(c, &err);
    return -1;
}

static int parse_order(struct call *c, struct sandbox_query *q)
{
    struct str order = call_query(c, "order");

    if (order.len == 0 || str_is(order, "desc"))
        return 0;
    if (str_is(order, "asc")) {
        q->is_ascending = true;
        return 0;
    }
    call_error(c, 400, NULL, "Invalid order parameter: %.*s", STR_ARG(str_upto(order, 64)));
    return -1;
}

static int parse_limits(struct call *c, struct sandbox_query *q)
{
    struct str limit = call_query(c, "limit"), after = call_query(c, "startedAfter");
    struct str token = call_query(c, "nextToken");
    uint64_t count = LIMIT_MAX;
    int64_t seconds;
    uint32_t nanos;

    if (limit.len > 0 && (!str_to_u64(limit, &count) || count < 1 || count > LIMIT_MAX))
        return refuse(c, "validation error: limit must be between 1 and 100");
    q->limit = (size_t)count;
    if (after.len > 0) {
        if (!rfc3339_parse(after, &seconds, &nanos))
            return refuse(c, "validation error: startedAfter must be an RFC 3339 date-time");
        /* Inclusive; what we store has whole milliseconds, so a finer limit rounds up. */
        q->started_after_ms = seconds * 1000 + (nanos + 999999) / 1000000;
    }
    q->template_ref = call_query(c, "template");
    if (str_find(q->template_ref, ':') >= 0) { /* an ID or alias, no tag (wire.md 2.8) */
        call_error(c, 400, NULL, "Invalid template: %.*s", STR_ARG(str_upto(q->template_ref, 64)));
        return -1;
    }
    if (token.len > 0 && cursor_parse(token, exchange_arena(c->x), q) != 0)
        return refuse(c, "Invalid next token");
    return 0;
}

static void answer(struct call *c, const struct sandbox_query *q, bool has_fields)
{
    struct http_field fields[2];
    struct sandbox_page page;
    struct buf json, cursor;
    struct err err = {0};
    char total[24];
    size_t n = 0;

    if (sandbox_query(c->api->domain, c->team, q, exchange_arena(c->x), &page, &err) != 0) {
        call_fail(c, &err);
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_init(&cursor, 2 * CURSOR_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < page.count; i++) {
        if (i > 0)
            buf_add_byte(&json, ',');
        sandbox_json_listed(page.items[i], &json);
    }
    buf_add_byte(&json, ']');
    if (has_fields && q->shows_running) {
        snprintf(total, sizeof(total), "%zu", page.running_total);
        fields[n++] = (struct http_field){STR("X-Total-Running"), str_of(total)};
    }
    if (page.has_more) {
        cursor_put(page.items[page.count - 1], q->is_ascending, &cursor);
        fields[n++] = (struct http_field){STR("X-Next-Token"), buf_str(&cursor)};
    }
    if (buf_ok(&json))
        call_reply_fields(c, 200, buf_str(&json), fields, n);
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(&json);
    buf_done(&cursor);
}

void sandbox_list_v1(struct call *c)
{
    struct sandbox_query q = {.shows_running = true};

    if (parse_metadata(c, &q) == 0)
        answer(c, &q, false);
}

void sandbox_list_v2(struct call *c)
{
    struct sandbox_query q = {0};

    if (parse_states(c, &q) == 0 && parse_metadata(c, &q) == 0 && parse_order(c, &q) == 0 &&
        parse_limits(c, &q) == 0)
        answer(c, &q, true);
}
