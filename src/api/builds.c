/* SPDX-License-Identifier: Apache-2.0 */
/* Builds: their start, how they are doing, what they say (wire.md 5). Called by the gate. */
#include <stdio.h>

#include "api/build_words.h"
#include "api/errors.h"
#include "api/template_json.h"
#include "base/clock.h"

enum {
    LINES_MAX = 100, /* of one answer */
};

static void on_started(void *ctx, const struct team_template *t, const struct build *b,
                       const struct err *err)
{
    ignore(t == NULL && b == NULL);
    if (err != NULL)
        template_fail(ctx, err);
    else
        call_reply_empty(ctx, 202);
}

/* POST /v2/templates/:id/builds/:build; the generation before had no body, as an image was pushed
 * for it. */
void build_start_post(struct call *c)
{
    struct build_plan plan = {0};
    struct build *b = template_build_of(c);
    struct err err = {0};

    if (b == NULL || call_body(c, &build_plan_message, true, &plan) != 0)
        return;
    if (build_start(c->api->domain, b, &plan, on_started, c, &err) != 0)
        template_fail(c, &err);
}

static void put_line(const struct build_line *line, struct buf *out)
{
    char at[RFC3339_MAX];

    rfc3339_format_ms(line->at_ms, at);
    buf_printf(out, "{\"timestamp\":\"%s\",\"message\":", at);
    json_quote(out, line->text);
    buf_printf(out, ",\"level\":\"%s\"", build_level_name(line->level));
    if (line->step.len > 0) {
        buf_add_text(out, ",\"step\":");
        json_quote(out, line->step);
    }
    buf_add_byte(out, '}');
}

/* Numbers never change, so what fell out still counts: it is shown as lost, line by line, and who
 * counts what it got stays right (CT-16). */
static struct build_line line_at(const struct build_log *log, size_t n)
{
    struct build_line line = {.level = BUILD_DEBUG, .text = STR("(this line was dropped)")};

    if (n >= build_log_first(log))
        return build_log_line(log, n);
    line.at_ms = build_log_line(log, build_log_first(log)).at_ms;
    return line;
}

static void put_lines(const struct build_log *log, size_t offset, size_t limit, struct buf *out)
{
    size_t end = build_log_end(log);

    for (size_t n = offset, count = 0; n < end && count < limit; n++, count++) {
        struct build_line line = line_at(log, n);

        if (count > 0)
            buf_add_byte(out, ',');
        put_line(&line, out);
    }
}

/* The offset then counts lines of that level and above. */
static void put_lines_of(const struct build_log *log, enum build_level level, size_t offset,
                         size_t limit, struct buf *out)
{
    size_t end = build_log_end(log), passed = 0, count = 0;

    for (size_t n = build_log_first(log); n < end && count < limit; n++) {
        struct build_line line = build_log_line(log, n);

        if (line.level < level || passed++ < offset)
            continue;
        if (count++ > 0)
            buf_add_byte(out, ',');
        put_line(&line, out);
    }
}

static int parse_level(struct call *c, enum build_level *out)
{
    struct str text = call_query(c, "level");

    *out = BUILD_DEBUG;
    if (text.len == 0 || build_level_parse(text, out))
        return 0;
    call_error(c, 400, NULL, "validation error: level must be debug, info, warn or error");
    return -1;
}

static void put_reason(const struct build *b, struct buf *out)
{
    if (b->r.state != BUILD_FAILED && b->r.state != BUILD_CANCELLED)
        return;
    buf_add_text(out, ",\"reason\":{\"message\":");
    json_quote(out, b->r.reason);
    if (b->r.reason_step.len > 0) {
        buf_add_text(out, ",\"step\":");
        json_quote(out, b->r.reason_step);
    }
    buf_add_text(out, ",\"logEntries\":[]}");
}

void build_status_get(struct call *c)
{
    struct build *b = template_build_of(c);
    uint64_t offset = 0, limit = LINES_MAX;
    const struct build_log *log;
    enum build_level level;
    struct buf json;

    if (b == NULL || parse_level(c, &level) != 0 ||
        query_number(c, "logsOffset", &(struct number_range){0, INT64_MAX}, &offset) != 0 ||
        query_number(c, "limit", &(struct number_range){0, LINES_MAX}, &limit) != 0)
        return;
    log = build_lines(c->api->domain, b);
    buf_init(&json, REPLY_MAX);
    buf_printf(&json,
               "{\"templateID\":\"%.*s\",\"buildID\":\"%.*s\",\"status\":\"%s\",\"logs\":[],"
               "\"logEntries\":[",
               STR_ARG(b->template->r.id), STR_ARG(b->r.id), build_words(build_shown(b))->status);
    if (level == BUILD_DEBUG)
        put_lines(log, (size_t)offset, (size_t)limit, &json);
    else
        put_lines_of(log, level, (size_t)offset, (size_t)limit, &json);
    buf_add_byte(&json, ']');
    put_reason(b, &json);
    buf_add_byte(&json, '}');
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}

struct window {
    int64_t cursor_ms; /* 0: none */
    bool is_backward;
    enum build_level level;
    size_t limit;
};

static int parse_window(struct call *c, struct window *w)
{
    struct str direction = call_query(c, "direction"), source = call_query(c, "source");
    uint64_t limit = LINES_MAX, cursor = 0;

    if (parse_level(c, &w->level) != 0 ||
        query_number(c, "cursor", &(struct number_range){0, INT64_MAX}, &cursor) != 0 ||
        query_number(c, "limit", &(struct number_range){0, LINES_MAX}, &limit) != 0)
        return -1;
    if (direction.len > 0 && !str_is(direction, "forward") && !str_is(direction, "backward")) {
        call_error(c, 400, NULL, "validation error: direction must be forward or backward");
        return -1;
    }
    if (source.len > 0 && !str_is(source, "temporary") && !str_is(source, "persistent")) {
        call_error(c, 400, NULL, "validation error: source must be temporary or persistent");
        return -1;
    }
    w->cursor_ms = (int64_t)cursor;
    w->limit = (size_t)limit;
    w->is_backward = str_is(direction, "backward");
    return 0;
}

/* Both kinds of source are the one log that there is. */
void build_logs_get(struct call *c)
{
    struct build *b = template_build_of(c);
    struct window w = {0};
    const struct build_log *log;
    size_t first, end, count = 0;
    struct buf json;

    if (b == NULL || parse_window(c, &w) != 0)
        return;
    log = build_lines(c->api->domain, b);
    first = build_log_first(log);
    end = build_log_end(log);
    buf_init(&json, REPLY_MAX);
    buf_add_text(&json, "{\"logs\":[");
    for (size_t i = first; i < end && count < w.limit; i++) {
        struct build_line line = build_log_line(log, w.is_backward ? first + end - 1 - i : i);

        if (line.level < w.level || (w.cursor_ms > 0 && (w.is_backward ? line.at_ms > w.cursor_ms
                                                                       : line.at_ms < w.cursor_ms)))
            continue;
        if (count++ > 0)
            buf_add_byte(&json, ',');
        put_line(&line, &json);
    }
    buf_add_text(&json, "]}");
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}

/* AgentCube's words (AC-25) */

static void put_text(const struct build_log *log, struct buf *out)
{
    struct buf text;

    buf_init(&text, BUILD_LOG_BYTES_MAX);
    for (size_t n = build_log_first(log); n < build_log_end(log); n++) {
        buf_add_str(&text, build_log_line(log, n).text);
        buf_add_byte(&text, '\n');
    }
    json_quote(out, buf_str(&text));
    buf_done(&text);
}

/* `log` NULL: a list does not show it. */
static void put_build(const struct build *b, const struct build_log *log, struct buf *out)
{
    char at[RFC3339_MAX];

    rfc3339_format_ms(b->r.created_at_ms, at);
    buf_printf(
        out, "{\"buildID\":\"%.*s\",\"templateID\":\"%.*s\",\"state\":\"%s\",\"createdAt\":\"%s\"",
        STR_ARG(b->r.id), STR_ARG(b->template->r.id), build_words(build_shown(b))->state, at);
    if (build_has_ended(b)) {
        rfc3339_format_ms(b->r.finished_at_ms, at);
        buf_printf(out, ",\"completedAt\":\"%s\"", at);
    }
    buf_add_text(out, ",\"logs\":");
    if (log != NULL)
        put_text(log, out);
    else
        buf_add_text(out, "\"\"");
    buf_add_byte(out, '}');
}

void build_get(struct call *c)
{
    struct build *b = template_build_of(c);
    struct buf json;

    if (b == NULL)
        return;
    buf_init(&json, REPLY_MAX);
    put_build(b, build_lines(c->api->domain, b), &json);
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}

void build_list_get(struct call *c)
{
    struct err err = {0};
    const struct team_template *t =
        team_template_require(c->api->domain, c->team, call_param(c, 0), &err);
    uint64_t limit = LINES_MAX, offset = 0, place = 0, shown = 0;
    struct buf json;

    if (t == NULL) {
        template_fail(c, &err);
        return;
    }
    if (query_number(c, "limit", &(struct number_range){1, 1000}, &limit) != 0 ||
        query_number(c, "offset", &(struct number_range){0, INT64_MAX}, &offset) != 0)
        return;
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (struct list_node *at = t->builds.head.prev;
         at != NULL && at != &t->builds.head && shown < limit; at = at->prev) {
        if (place++ < offset)
            continue;
        if (shown++ > 0)
            buf_add_byte(&json, ',');
        put_build(container_of(at, struct build, node), NULL, &json);
    }
    buf_add_byte(&json, ']');
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}

/* POST /admin/teams/:team/builds/cancel */
void build_cancel_post(struct call *c)
{
    char json[64];

    ignore(snprintf(json, sizeof(json), "{\"cancelledCount\":%zu,\"failedCount\":0}",
                    build_cancel_all(c->api->domain, c->team)));
    call_reply_text(c, 200, str_of(json));
}
