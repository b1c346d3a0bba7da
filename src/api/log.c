/* SPDX-License-Identifier: Apache-2.0 */
/* Domain events to log lines. */
#include "base/log.h"

#include "api/api_internal.h"

static void (*const writers[])(const char *event, const char *format, ...) = {
    [EVENT_NOTE] = log_info,
    [EVENT_WARNING] = log_warn,
    [EVENT_ALARM] = log_error,
};

void log_event(void *ctx, const struct event *e)
{
    bool has_reason = e->reason != KILL_NONE;

    ignore(ctx == NULL);
    writers[event_weight(e->kind)](
        event_name(e->kind), "id=%.*s team=%.*s%s%s took_us=%llu%s%s%s", STR_ARG(e->subject),
        STR_ARG(e->team_id), has_reason ? " reason=" : "",
        has_reason ? kill_reason_name(e->reason) : "", (unsigned long long)e->took_us,
        e->detail != NULL ? " detail=\"" : "", e->detail != NULL ? e->detail : "",
        e->detail != NULL ? "\"" : "");
}
