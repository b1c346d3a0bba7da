/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's log: what happened to it, from the event log, also after its end. What its processes
 * print is not in it, as in the reference (wire.md 7.9). Called by the gate. */
#include <stdio.h>

#include "api/call.h"
#include "api/errors.h"
#include "api/sandbox_json.h"
#include "base/clock.h"
#include "domain/event_log.h"

enum {
    LIMIT_MAX = 1000,
    SEARCH_MAX = 256,
    MESSAGE_MAX = 512,
};

struct entry_reply { /* SandboxLogEntry */
    struct str timestamp, message, level;
    struct codec_list fields; /* of struct codec_pair */
};

/* clang-format off */
static const struct codec_field entry_fields[] = {
    {1, "timestamp", CODEC_STRING, CODEC_ALWAYS, offsetof(struct entry_reply, timestamp)},
    {2, "message", CODEC_STRING, CODEC_ALWAYS, offsetof(struct entry_reply, message)},
    {3, "level", CODEC_STRING, CODEC_ALWAYS, offsetof(struct entry_reply, level)},
    {4, "fields", CODEC_MAP, CODEC_ALWAYS, offsetof(struct entry_reply, fields)},
};
static const struct codec_message entry_message =
    {"log_entry", sizeof(struct entry_reply), entry_fields, COUNT_OF(entry_fields)};
/* clang-format on */

static const char *const levels[] = {
    [EVENT_NOTE] = "info",
    [EVENT_WARNING] = "warn",
    [EVENT_ALARM] = "error",
};

/* Of each kind that a sandbox has; others are shown by their type. */
static const struct {
    enum event_kind kind;
    const char *text;
} messages[] = {
    {EVENT_SANDBOX_CREATED,           "Sandbox started"                                             },
    {EVENT_SANDBOX_CREATE_FAILED,     "Sandbox could not start"                                     },
    {EVENT_SANDBOX_UPDATED,           "Sandbox changed"                                             },
    {EVENT_SANDBOX_KILLED,            "Sandbox ended"                                               },
    {EVENT_SANDBOX_KILL_FAILED,       "Sandbox could not be ended yet"                              },
    {EVENT_SANDBOX_KILL_ALARM,        "Sandbox cannot be ended"                                     },
    {EVENT_SANDBOX_PAUSED,            "Sandbox paused"                                              },
    {EVENT_SANDBOX_PAUSE_FAILED,      "Sandbox could not be paused"                                 },
    {EVENT_SANDBOX_RESUMED,           "Sandbox resumed"                                             },
    {EVENT_SANDBOX_RESUME_FAILED,     "Sandbox could not be resumed"                                },
    {EVENT_SANDBOX_CHECKPOINTED,      "Snapshot made of the sandbox"                                },
    {EVENT_SANDBOX_CHECKPOINT_FAILED, "Snapshot could not be made of the sandbox"                   },
    {EVENT_SANDBOX_ROLLED_BACK,       "Sandbox rolled back to a snapshot"                           },
    {EVENT_SANDBOX_FROZEN,            "Memory stays in RAM: a reboot of the node ends its processes"},
};

struct log_query {
    struct event_query events;
    struct str search;
    size_t limit;
};

static struct str message_of(const struct event_record *r, char out[MESSAGE_MAX])
{
    struct str text = r->type;
    int len;

    for (size_t i = 0; i < COUNT_OF(messages); i++)
        if (str_is(r->type, event_type(messages[i].kind)))
            text = str_of(messages[i].text);
    len =
        snprintf(out, MESSAGE_MAX, "%.*s%s%.*s%s%.*s", STR_ARG(text), r->reason.len > 0 ? ": " : "",
                 STR_ARG(r->reason), r->detail.len > 0 ? ": " : "", STR_ARG(r->detail));
    return (struct str){out, len < MESSAGE_MAX ? (size_t)len : MESSAGE_MAX - 1};
}

static int refuse(struct call *c, const char *text)
{
    call_error(c, 400, NULL, "validation error: %s", text);
    return -1;
}

static int parse_ms(struct call *c, const char *name, int64_t *out)
{
    struct str text = call_query(c, name);

    if (text.len > 0 && (!str_to_i64(text, out) || *out < 0)) {
        call_error(c, 400, NULL, "validation error: %s must be milliseconds since 1970", name);
        return -1;
    }
    return 0;
}

static int parse_limit(struct call *c, struct log_query *q)
{
    struct str text = call_query(c, "limit");
    uint64_t limit = LIMIT_MAX;

    if (text.len > 0 && (!str_to_u64(text, &limit) || limit > LIMIT_MAX))
        return refuse(c, "limit must be between 0 and 1000");
    q->limit = (size_t)limit;
    return 0;
}

static int parse_v2(struct call *c, struct log_query *q)
{
    struct str direction = call_query(c, "direction"), level = call_query(c, "level");
    int64_t cursor = 0;

    if (parse_ms(c, "cursor", &cursor) != 0 || parse_limit(c, q) != 0)
        return -1;
    if (direction.len > 0 && !str_is(direction, "forward") && !str_is(direction, "backward"))
        return refuse(c, "direction must be 'forward' or 'backward'");
    q->events.is_descending = str_is(direction, "backward");
    if (q->events.is_descending)
        q->events.until_ms = cursor;
    else
        q->events.from_ms = cursor;
    q->search = call_query(c, "search");
    if (q->search.len > SEARCH_MAX)
        return refuse(c, "search has at most 256 characters");
    if (level.len == 0 || str_is(level, "debug"))
        return 0;
    for (size_t i = 0; i < COUNT_OF(levels); i++)
        if (str_is(level, levels[i])) {
            q->events.weight_min = (int32_t)i;
            return 0;
        }
    return refuse(c, "level must be 'debug', 'info', 'warn' or 'error'");
}

/* Rows that pass, in the arena of the call. NULL: answered already. */
static const struct event_row **find(struct call *c, struct log_query *q, size_t *out_count)
{
    const struct domain *d = c->api->domain;
    const struct event_row **rows;
    char text[MESSAGE_MAX];
    size_t count, kept = 0;
    struct str id;

    if (call_sandbox_id(c, &id) != 0)
        return NULL;
    if (sandbox_get(d, c->team, id) == NULL && !event_log_knows(d, c->team->r.id, id)) {
        sandbox_json_missing(c, id);
        return NULL;
    }
    q->events.team_id = c->team->r.id;
    q->events.subject = id;
    q->events.limit = EVENT_PAGE_MAX;
    rows = event_log_query(d, &q->events, exchange_arena(c->x), &count);
    if (rows == NULL) {
        call_error(c, 500, "internal_server_error", "answer too large");
        return NULL;
    }
    for (size_t i = 0; i < count && kept < q->limit; i++) {
        struct str message = message_of(&rows[i]->r, text);

        if (q->search.len == 0 ||
            memmem(message.at, message.len, q->search.at, q->search.len) != NULL)
            rows[kept++] = rows[i];
    }
    *out_count = kept;
    return rows;
}

/* The CLI reads a line as JSON and needs `level` and `logger` in it (wire.md 2.7). */
static void put_line(const struct entry_reply *e, struct buf *out)
{
    const struct codec_pair *pairs = e->fields.items;
    struct buf line;

    buf_init(&line, REPLY_MAX);
    buf_add_text(&line, "{\"level\":");
    json_quote(&line, e->level);
    buf_add_text(&line, ",\"message\":");
    json_quote(&line, e->message);
    for (size_t i = 0; i < e->fields.count; i++) {
        buf_add_byte(&line, ',');
        json_quote(&line, pairs[i].key);
        buf_add_byte(&line, ':');
        json_quote(&line, pairs[i].value);
    }
    buf_add_byte(&line, '}');
    buf_add_text(out, "{\"timestamp\":");
    json_quote(out, e->timestamp);
    buf_add_text(out, ",\"line\":");
    json_quote(out, buf_str(&line));
    buf_add_byte(out, '}');
    buf_done(&line);
}

static void put(const struct event_record *r, bool as_line, struct buf *out)
{
    const struct codec_pair all[] = {
        {STR("logger"),  STR("lifecycle")},
        {STR("event"),   r->type         },
        {STR("eventID"), r->id           },
        {STR("actor"),   r->actor        },
        {STR("reason"),  r->reason       },
        {STR("detail"),  r->detail       },
    };
    struct codec_pair pairs[COUNT_OF(all)];
    char at[RFC3339_MAX], text[MESSAGE_MAX];
    struct entry_reply e = {
        .message = message_of(r, text), .fields = {pairs, 0}
    };

    e.level = str_of(levels[(size_t)r->weight < COUNT_OF(levels) ? (size_t)r->weight : 0]);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i].value.len > 0)
            pairs[e.fields.count++] = all[i];
    rfc3339_format_ms(r->at_ms, at);
    e.timestamp = str_of(at);
    if (as_line)
        put_line(&e, out);
    else
        json_encode(&entry_message, &e, out);
}

static void put_all(const struct event_row **rows, size_t count, bool as_lines, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_byte(out, ',');
        put(&rows[i]->r, as_lines, out);
    }
}

static void finish(struct call *c, struct buf *out)
{
    buf_add_text(out, "]}");
    if (buf_ok(out))
        call_reply_text(c, 200, buf_str(out));
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(out);
}

void sandbox_logs_v1(struct call *c)
{
    struct log_query q = {0};
    const struct event_row **rows;
    struct buf out;
    size_t count;

    if (parse_ms(c, "start", &q.events.from_ms) != 0 || parse_limit(c, &q) != 0 ||
        (rows = find(c, &q, &count)) == NULL)
        return;
    buf_init(&out, REPLY_MAX);
    buf_add_text(&out, "{\"logs\":[");
    put_all(rows, count, true, &out);
    buf_add_text(&out, "],\"logEntries\":[");
    put_all(rows, count, false, &out);
    finish(c, &out);
}

void sandbox_logs_v2(struct call *c)
{
    struct log_query q = {0};
    const struct event_row **rows;
    struct buf out;
    size_t count;

    if (parse_v2(c, &q) != 0 || (rows = find(c, &q, &count)) == NULL)
        return;
    buf_init(&out, REPLY_MAX);
    buf_add_text(&out, "{\"logs\":[");
    put_all(rows, count, false, &out);
    finish(c, &out);
}
