/* SPDX-License-Identifier: Apache-2.0 */
/* A build under way, as template build and template import tell it: its lines as they come. */
#include <stdio.h>
#include <time.h>

#include "cli/template_call.h"

enum { POLL_MS = 200 };

struct line {
    struct str message;
};

struct reason {
    struct str message, step;
};

struct status {
    struct str status;
    struct codec_list lines;
    struct reason *reason;
};

struct made {
    struct str template_id, build_id;
};

/* clang-format off */
static const struct codec_field line_fields[] = {
    {1, "message", CODEC_STRING, 0, offsetof(struct line, message)},
};
static const struct codec_message line_message =
    {"line", sizeof(struct line), line_fields, COUNT_OF(line_fields)};

static const struct codec_field reason_fields[] = {
    {1, "message", CODEC_STRING, 0, offsetof(struct reason, message)},
    {2, "step", CODEC_STRING, 0, offsetof(struct reason, step)},
};
static const struct codec_message reason_message =
    {"reason", sizeof(struct reason), reason_fields, COUNT_OF(reason_fields)};

static const struct codec_field status_fields[] = {
    {1, "status", CODEC_STRING, CODEC_REQUIRED, offsetof(struct status, status)},
    {2, "logEntries", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct status, lines), 0, &line_message},
    {3, "reason", CODEC_MESSAGE, 0, offsetof(struct status, reason), 0, &reason_message},
};
static const struct codec_message status_message =
    {"status", sizeof(struct status), status_fields, COUNT_OF(status_fields)};

static const struct codec_field made_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct made, template_id)},
    {2, "buildID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct made, build_id)},
};
static const struct codec_message made_message =
    {"made", sizeof(struct made), made_fields, COUNT_OF(made_fields)};
/* clang-format on */

int template_call_request(struct template_call *c, const struct invocation *v,
                          struct template_build_ids *out, struct err *err)
{
    struct made made = {0};

    if (template_call_run(c, v, &made_message, &made, err) != 0)
        return -1;
    if (!str_to_c(made.template_id, out->template_id, sizeof out->template_id) ||
        !str_to_c(made.build_id, out->build_id, sizeof out->build_id))
        return err_set(err, ERR_SYSTEM, "the server's ids are too long");
    return 0;
}

static int explain(const struct status *s, struct err *err)
{
    struct str step = s->reason == NULL ? (struct str){0} : s->reason->step;
    struct str why = s->reason == NULL ? STR("no reason was given") : s->reason->message;

    return err_set(err, ERR_INVALID, "the build failed%s%.*s: %.*s",
                   step.len > 0 ? " at step " : "", STR_ARG(step), STR_ARG(why));
}

int template_call_follow(struct template_call *c, const struct invocation *v,
                         const struct template_build_ids *ids, bool is_quiet, struct err *err)
{
    const struct timespec pause = {0, POLL_MS * 1000000L};
    size_t offset = 0;

    for (;;) {
        struct status s = {0};
        const struct line *lines;
        bool has_ended;

        template_call_set(c, "GET", 200, "/templates/%s/builds/%s/status?logsOffset=%zu",
                          ids->template_id, ids->build_id, offset);
        if (template_call_run(c, v, &status_message, &s, err) != 0)
            return -1;
        lines = s.lines.items;
        offset += s.lines.count;
        for (size_t i = 0; i < s.lines.count && !is_quiet; i++)
            printf("%.*s\n", STR_ARG(lines[i].message));
        ignore(fflush(stdout)); /* a reader that is gone ends us by a signal */
        has_ended = str_is(s.status, "ready") || str_is(s.status, "error");
        if (has_ended && s.lines.count == 0)
            return str_is(s.status, "ready") ? 0 : explain(&s, err);
        if (s.lines.count == 0)
            ignore(nanosleep(&pause, NULL)); /* shorter is fine */
    }
}

void template_call_text(struct buf *json, const char *name, struct str value)
{
    if (value.len == 0)
        return;
    buf_printf(json, ",\"%s\":", name);
    json_quote(json, value);
}
