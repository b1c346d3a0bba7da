/* SPDX-License-Identifier: Apache-2.0 */
/* Builds: their start, how they are doing, what they say (wire.md 5). Called by the gate. */
#include <stdio.h>
#include <stdlib.h>

#include "api/build_words.h"
#include "api/errors.h"
#include "api/template_json.h"
#include "base/clock.h"
#include "domain/dockerfile.h"

enum {
    LINES_MAX = 100, /* of one answer */
    PLAN_MEM_MAX = 16 << 20,
};

struct dockerfile_body {
    struct str dockerfile, start_command, ready_command, files_hash;
};

/* clang-format off */
static const struct codec_field dockerfile_fields[] = {
    {1, "dockerfile", CODEC_STRING, 0, offsetof(struct dockerfile_body, dockerfile)},
    {2, "startCommand", CODEC_STRING, 0, offsetof(struct dockerfile_body, start_command)},
    {3, "readyCommand", CODEC_STRING, 0, offsetof(struct dockerfile_body, ready_command)},
    {4, "filesHash", CODEC_STRING, 0, offsetof(struct dockerfile_body, files_hash)},
};
static const struct codec_message dockerfile_message =
    {"dockerfile", sizeof(struct dockerfile_body), dockerfile_fields, COUNT_OF(dockerfile_fields)};
/* clang-format on */

static void on_started(void *ctx, const struct team_template *t, const struct build *b,
                       const struct err *err)
{
    ignore(t == NULL && b == NULL);
    if (err != NULL)
        template_fail(ctx, err);
    else
        call_reply_empty(ctx, 202);
}

static int check_hash(struct str hash, struct err *err)
{
    if (hash.len == 0 || build_hash_is_good(hash))
        return 0;
    return err_set(err, ERR_INVALID, "filesHash must be 64 hex digits");
}

/* A Dockerfile in place of a source and steps: Sandlot's own, for its command line. */
static int read_dockerfile(struct call *c, struct build_plan *plan, struct arena *mem)
{
    struct build_plan read = {0};
    struct err err = {0};

    if (plan->dockerfile.len == 0)
        return 0;
    if (plan->from_image.len > 0 || plan->from_template.len > 0 || plan->steps.count > 0) {
        call_error(c, 400, NULL, "with a dockerfile there is no other source, and no step");
        return -1;
    }
    if (check_hash(plan->files_hash, &err) != 0 ||
        dockerfile_read(plan->dockerfile, plan->files_hash, mem, &read, &err) != 0) {
        call_fail_named(c, 422, "invalid_dockerfile", &err);
        return -1;
    }
    plan->from_image = read.from_image;
    plan->steps = read.steps;
    if (plan->start_cmd.len == 0) {
        plan->start_cmd = read.start_cmd;
        plan->ready_cmd = plan->ready_cmd.len > 0 ? plan->ready_cmd : read.ready_cmd;
    }
    plan->dockerfile = plan->files_hash = (struct str){0};
    return 0;
}

/* POST /v2/templates/:id/builds/:build; the generation before had no body, as an image was pushed
 * for it. */
void build_start_post(struct call *c)
{
    struct build_plan plan = {0};
    struct build *b = template_build_of(c);
    struct arena mem;
    struct err err = {0};

    if (b == NULL || call_body(c, &build_plan_message, true, &plan) != 0)
        return;
    arena_init(&mem, PLAN_MEM_MAX);
    if (read_dockerfile(c, &plan, &mem) == 0 &&
        build_start(c->api->domain, b, &plan, on_started, c, &err) != 0)
        template_fail(c, &err);
    arena_done(&mem);
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

/* POST /templates/:id/builds: a build of a Dockerfile, of the template's own when none is given */

struct wanted {
    struct call *call;
    struct arena mem;
    struct build_plan plan;
};

static void wanted_free(struct wanted *w)
{
    arena_done(&w->mem);
    free(w);
}

static void on_begun(void *ctx, const struct team_template *t, const struct build *b,
                     const struct err *err)
{
    struct call *c = ctx;
    struct buf json;

    ignore(t == NULL);
    if (err != NULL) {
        template_fail(c, err);
        return;
    }
    if (b == NULL) {
        call_error(c, 409, NULL, "the template was removed meanwhile");
        return;
    }
    buf_init(&json, REPLY_MAX);
    put_build(b, NULL, &json);
    call_reply_text(c, 202, buf_str(&json));
    buf_done(&json);
}

static void on_wanted(void *ctx, const struct team_template *t, const struct build *b,
                      const struct err *err)
{
    struct wanted *w = ctx;
    struct call *c = w->call;
    struct build *found = b == NULL ? NULL : build_find(c->api->domain, b->r.id);
    struct err why = {0};

    ignore(t == NULL);
    if (err != NULL)
        template_fail(c, err);
    else if (found == NULL)
        call_error(c, 409, NULL, "the template was removed meanwhile");
    else if (build_start(c->api->domain, found, &w->plan, on_begun, c, &why) != 0)
        template_fail(c, &why);
    wanted_free(w);
}

static bool is_building(const struct team_template *t)
{
    for (struct list_node *at = list_first(&t->builds); at != NULL; at = list_next(&t->builds, at))
        if (build_shown(container_of(at, struct build, node)) == BUILD_BUILDING)
            return true;
    return false;
}

static int want(struct wanted *w, const struct team_template *t, const struct dockerfile_body *body,
                struct err *err)
{
    struct str text = body->dockerfile.len > 0 ? body->dockerfile : t->r.dockerfile;
    struct str start = body->start_command.len > 0 ? body->start_command : t->r.start_cmd;

    if (text.len == 0)
        return err_set(err, ERR_INVALID, "there is no Dockerfile");
    if (check_hash(body->files_hash, err) != 0 ||
        dockerfile_read(text, body->files_hash, &w->mem, &w->plan, err) != 0)
        return -1;
    if (start.len > 0) {
        w->plan.start_cmd = arena_str(&w->mem, start);
        w->plan.ready_cmd = (struct str){0};
    }
    if (body->ready_command.len > 0)
        w->plan.ready_cmd = arena_str(&w->mem, body->ready_command);
    return 0;
}

void build_post(struct call *c)
{
    struct dockerfile_body body = {0};
    struct domain *d = c->api->domain;
    const struct team_template *t;
    struct template_request q = {.team = c->team};
    struct wanted *w;
    struct err err = {0};

    if (call_body(c, &dockerfile_message, true, &body) != 0)
        return;
    t = team_template_require(d, c->team, call_param(c, 0), &err);
    if (t == NULL) {
        template_fail(c, &err);
        return;
    }
    if (is_building(t)) {
        err_set(&err, ERR_CONFLICT, "a build of this template is under way");
        call_fail_named(c, 409, "build_in_progress", &err);
        return;
    }
    w = mem_zero(sizeof(*w));
    w->call = c;
    arena_init(&w->mem, PLAN_MEM_MAX);
    q.name = t->r.name;
    if (want(w, t, &body, &err) != 0) {
        call_fail_named(c, 422, "invalid_dockerfile", &err);
        wanted_free(w);
    } else if (template_request(d, &q, on_wanted, w, &err) != 0) {
        template_fail(c, &err);
        wanted_free(w);
    }
}

/* POST /admin/teams/:team/builds/cancel */
void build_cancel_post(struct call *c)
{
    char json[64];

    ignore(snprintf(json, sizeof(json), "{\"cancelledCount\":%zu,\"failedCount\":0}",
                    build_cancel_all(c->api->domain, c->team)));
    call_reply_text(c, 200, str_of(json));
}
