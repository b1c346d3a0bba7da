/* SPDX-License-Identifier: Apache-2.0 */
/* GET /events of a team and GET /admin/events of all: pages with a cursor, or JSON lines. Called by
 * the gate.
 *
 * `cursor` is the id of an event; the page begins behind it. The answer's cursor is always where to
 * go on, also at the end, so that following the log is asking with it again. */
#include "api/call.h"
#include "api/errors.h"
#include "base/clock.h"
#include "base/id.h"
#include "domain/event_log.h"
#include "domain/webhook.h"

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,            /* of one page */
    EXPORT_MAX = EVENT_PAGE_MAX, /* of one page of JSON lines */
    WORD_MAX = 100,              /* characters of type and subject */
};

static int refuse(struct call *c, const char *text)
{
    call_error(c, 400, NULL, "validation error: %s", text);
    return -1;
}

static int parse_time(struct call *c, const char *name, int64_t *out_ms)
{
    struct str text = call_query(c, name);
    int64_t seconds;
    uint32_t nanos;

    if (text.len == 0)
        return 0;
    if (!rfc3339_parse(text, &seconds, &nanos))
        return refuse(c, "start and end must be RFC 3339 date-times");
    *out_ms = seconds * 1000 + nanos / 1000000;
    return 0;
}

static int parse(struct call *c, struct event_query *q, bool is_export)
{
    struct str limit = call_query(c, "limit"), order = call_query(c, "order");
    uint64_t max = is_export ? EXPORT_MAX : LIMIT_MAX;
    uint64_t count = is_export ? EXPORT_MAX : LIMIT_DEFAULT;

    if (limit.len > 0 && (!str_to_u64(limit, &count) || count < 1 || count > max))
        return refuse(c, is_export ? "limit must be between 1 and 10000"
                                   : "limit must be between 1 and 1000");
    q->limit = (size_t)count;
    if (order.len > 0 && !str_is(order, "asc") && !str_is(order, "desc"))
        return refuse(c, "order must be 'asc' or 'desc'");
    q->is_descending = str_is(order, "desc");
    q->after = call_query(c, "cursor");
    if (q->after.len > 0 && q->after.len != UUID_LEN)
        return refuse(c, "cursor must be the id of an event");
    q->type = call_query(c, "type");
    q->subject = call_query(c, "subject");
    if (q->type.len > WORD_MAX || q->subject.len > WORD_MAX)
        return refuse(c, "type and subject have at most 100 characters");
    return parse_time(c, "start", &q->from_ms) == 0 ? parse_time(c, "end", &q->until_ms) : -1;
}

/* A page must fit what one connection may hold; what does not comes with the next. */
static size_t put_rows(const struct event_row **rows, size_t count, bool is_export, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (out->len > HTTP_OUT_MAX / 2)
            return i;
        if (i > 0)
            buf_add_byte(out, is_export ? '\n' : ',');
        event_json(rows[i], out);
    }
    if (is_export && count > 0)
        buf_add_byte(out, '\n');
    return count;
}

static void answer(struct call *c, const struct event_query *q, bool is_export)
{
    struct http_field fields[] = {
        {STR("X-Next-Cursor"), q->after                   },
        {STR("Content-Type"),  STR("application/x-ndjson")},
    };
    const struct event_row **rows;
    struct buf out;
    size_t count;

    rows = event_log_query(c->api->domain, q, exchange_arena(c->x), &count);
    if (rows == NULL) {
        call_error(c, 413, NULL, "too many events for one answer; ask for fewer");
        return;
    }
    buf_init(&out, HTTP_OUT_MAX);
    if (!is_export)
        buf_add_text(&out, "{\"events\":[");
    count = put_rows(rows, count, is_export, &out);
    if (count > 0)
        fields[0].value = rows[count - 1]->r.id;
    if (!is_export) {
        buf_add_text(&out, "],\"cursor\":");
        json_quote(&out, fields[0].value);
        buf_add_byte(&out, '}');
    }
    if (!buf_ok(&out))
        call_error(c, 500, "internal_server_error", "answer too large");
    else if (is_export)
        call_reply_fields(c, 200, buf_str(&out), fields, COUNT_OF(fields));
    else
        call_reply_text(c, 200, buf_str(&out));
    buf_done(&out);
}

static void list(struct call *c, struct str team_id)
{
    struct str format = call_query(c, "format");
    struct event_query q = {.team_id = team_id};
    bool is_export = str_is(format, "jsonl");

    if (format.len > 0 && !is_export && !str_is(format, "json"))
        ignore(refuse(c, "format must be 'json' or 'jsonl'"));
    else if (parse(c, &q, is_export) == 0)
        answer(c, &q, is_export);
}

void event_list(struct call *c)
{
    list(c, c->team->r.id);
}

void event_list_all(struct call *c)
{
    list(c, (struct str){0});
}
