/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes and teams used, over REST (wire.md 2.2, 2.5, 2.7). Called by the gate. */
#include "domain/metrics.h"

#include "api/call.h"
#include "api/errors.h"
#include "api/sandbox_json.h"
#include "base/clock.h"

enum {
    BATCH_MAX = 100,
    USAGE_MAX = 1000,
};

static const int64_t seconds_max = 253402300799; /* the end of the year 9999 */

struct metric_reply { /* SandboxMetric */
    struct str timestamp;
    int64_t timestamp_unix, cpu_count;
    double cpu_percent;
    int64_t memory_used, memory_total, memory_cache, disk_used, disk_total;
};

struct team_reply {
    struct str timestamp;
    int64_t timestamp_unix, concurrent;
    double start_rate;
};

struct max_reply {
    struct str timestamp;
    int64_t timestamp_unix;
    double value;
};

/* clang-format off */
static const struct codec_field metric_fields[] = {
    {1, "timestamp", CODEC_STRING, CODEC_ALWAYS, offsetof(struct metric_reply, timestamp)},
    {2, "timestampUnix", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, timestamp_unix)},
    {3, "cpuCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, cpu_count)},
    {4, "cpuUsedPct", CODEC_DOUBLE, CODEC_ALWAYS, offsetof(struct metric_reply, cpu_percent)},
    {5, "memUsed", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, memory_used)},
    {6, "memTotal", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, memory_total)},
    {7, "memCache", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, memory_cache)},
    {8, "diskUsed", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, disk_used)},
    {9, "diskTotal", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metric_reply, disk_total)},
};
static const struct codec_message metric_message =
    {"metric", sizeof(struct metric_reply), metric_fields, COUNT_OF(metric_fields)};

static const struct codec_field team_fields[] = {
    {1, "timestamp", CODEC_STRING, CODEC_ALWAYS, offsetof(struct team_reply, timestamp)},
    {2, "timestampUnix", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct team_reply, timestamp_unix)},
    {3, "concurrentSandboxes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct team_reply, concurrent)},
    {4, "sandboxStartRate", CODEC_DOUBLE, CODEC_ALWAYS, offsetof(struct team_reply, start_rate)},
};
static const struct codec_message team_metric_message =
    {"team_metric", sizeof(struct team_reply), team_fields, COUNT_OF(team_fields)};

static const struct codec_field max_fields[] = {
    {1, "timestamp", CODEC_STRING, CODEC_ALWAYS, offsetof(struct max_reply, timestamp)},
    {2, "timestampUnix", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct max_reply, timestamp_unix)},
    {3, "value", CODEC_DOUBLE, CODEC_ALWAYS, offsetof(struct max_reply, value)},
};
static const struct codec_message team_max_message =
    {"team_max", sizeof(struct max_reply), max_fields, COUNT_OF(max_fields)};
/* clang-format on */

static int parse_seconds(struct call *c, const char *name, int64_t *out_s, bool *out_is_set)
{
    struct str text = call_query(c, name);
    int64_t seconds;

    *out_is_set = text.len > 0;
    if (text.len == 0)
        return 0;
    if (!str_to_i64(text, &seconds) || seconds < 0 || seconds > seconds_max) {
        call_error(c, 400, NULL, "validation error: %s must be unix time in seconds", name);
        return -1;
    }
    *out_s = seconds;
    return 0;
}

/* `end` is a whole second: all of it belongs to the range. */
static int parse_range(struct call *c, struct metrics_range *out)
{
    int64_t start = 0, end = 0;
    bool has_start, has_end;

    if (parse_seconds(c, "start", &start, &has_start) != 0 ||
        parse_seconds(c, "end", &end, &has_end) != 0)
        return -1;
    if (has_start && has_end && start > end) {
        call_error(c, 400, NULL, "validation error: start must not be behind end");
        return -1;
    }
    *out = (struct metrics_range){start * 1000, has_end ? end * 1000 + 999 : 0};
    return 0;
}

static void put(const struct sandbox *s, const struct metrics_point *p, struct buf *out)
{
    char at[RFC3339_MAX];
    uint64_t used = p->memory_bytes > p->cache_bytes ? p->memory_bytes - p->cache_bytes : 0;
    struct metric_reply reply = {
        .timestamp_unix = p->at_ms / 1000,
        .cpu_count = s->r.cpu_count,
        .cpu_percent = p->cpu_percent,
        .memory_used = (int64_t)used,
        .memory_total = (int64_t)s->r.memory_mb << 20,
        .memory_cache = (int64_t)p->cache_bytes,
        .disk_used = (int64_t)p->disk_bytes,
        .disk_total = (int64_t)s->r.disk_mb << 20,
    };

    rfc3339_format_ms(p->at_ms, at);
    reply.timestamp = str_of(at);
    json_encode(&metric_message, &reply, out);
}

static void finish(struct call *c, struct buf *out)
{
    if (buf_ok(out))
        call_reply_text(c, 200, buf_str(out));
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(out);
}

void sandbox_metrics(struct call *c)
{
    const struct metrics_point *points;
    struct metrics_range range;
    const struct sandbox *s;
    struct str id;
    struct buf out;
    size_t count;

    if (call_sandbox_id(c, &id) != 0 || parse_range(c, &range) != 0)
        return;
    s = sandbox_get(c->api->domain, c->team, id);
    if (s == NULL) {
        sandbox_json_missing(c, id);
        return;
    }
    points = metrics_sandbox(c->api->domain, s, range, exchange_arena(c->x), &count);
    buf_init(&out, REPLY_MAX);
    buf_add_byte(&out, '[');
    for (size_t i = 0; points != NULL && i < count; i++) {
        if (i > 0)
            buf_add_byte(&out, ',');
        put(s, &points[i], &out);
    }
    buf_add_byte(&out, ']');
    finish(c, &out);
}

static int parse_ids(struct call *c, struct str ids[BATCH_MAX], size_t *out_count)
{
    struct str rest = call_query(c, "sandbox_ids");
    size_t count = 0;

    while (rest.len > 0 && count <= BATCH_MAX) {
        struct str id = str_cut(rest, ',', &rest);

        for (size_t i = 0; i < count; i++)
            if (str_eq(ids[i], id))
                id.len = 0;
        if (id.len == 0 || count == BATCH_MAX) {
            count = 0;
            break;
        }
        ids[count++] = id;
    }
    *out_count = count;
    if (count > 0)
        return 0;
    call_error(c, 400, NULL, "validation error: sandbox_ids must name 1 to %d sandboxes, each once",
               BATCH_MAX);
    return -1;
}

/* Unknown ones are left out, as are those that nothing is known of yet. */
void sandbox_metrics_batch(struct call *c)
{
    struct str ids[BATCH_MAX] = {
        {NULL, 0}
    };
    struct metrics_point point;
    size_t count, shown = 0;
    struct buf out;

    if (parse_ids(c, ids, &count) != 0)
        return;
    buf_init(&out, REPLY_MAX);
    buf_add_text(&out, "{\"sandboxes\":{");
    for (size_t i = 0; i < count; i++) {
        const struct sandbox *s = sandbox_get(c->api->domain, c->team, ids[i]);

        if (s == NULL || !metrics_latest(c->api->domain, s, &point))
            continue;
        if (shown++ > 0)
            buf_add_byte(&out, ',');
        json_quote(&out, s->r.id);
        buf_add_byte(&out, ':');
        put(s, &point, &out);
    }
    buf_add_text(&out, "}}");
    finish(c, &out);
}

/* Ours, for `sandlot top`: who uses most, of all teams. */
void usage_get(struct call *c)
{
    struct str text = call_query(c, "limit");
    uint64_t limit = BATCH_MAX;
    const struct metrics_top *top;
    struct buf out;
    size_t count;

    if (text.len > 0 && (!str_to_u64(text, &limit) || limit < 1 || limit > USAGE_MAX)) {
        call_error(c, 400, NULL, "validation error: limit must be between 1 and %d", USAGE_MAX);
        return;
    }
    top = metrics_top(c->api->domain, (size_t)limit, exchange_arena(c->x), &count);
    buf_init(&out, REPLY_MAX);
    buf_add_byte(&out, '[');
    for (size_t i = 0; top != NULL && i < count; i++) {
        const struct sandbox *s = top[i].sandbox;

        if (i > 0)
            buf_add_byte(&out, ',');
        buf_printf(&out,
                   "{\"sandboxID\":\"%.*s\",\"teamID\":\"%.*s\",\"templateID\":", STR_ARG(s->r.id),
                   STR_ARG(s->r.team_id));
        json_quote(&out, s->r.template_id);
        buf_add_text(&out, ",\"metric\":");
        put(s, &top[i].point, &out);
        buf_add_byte(&out, '}');
    }
    buf_add_byte(&out, ']');
    finish(c, &out);
}

/* The path names the team; keys see their own alone. */
static const struct team_point *team_points(struct call *c, size_t *out_count)
{
    struct str name = call_param(c, 0);
    const struct team_record *own = &c->team->r;
    const struct team_point *points;
    struct metrics_range range;

    if (!str_eq(name, own->id) && !str_eq(name, own->name)) {
        call_error(c, 403, NULL,
                   "You (%.*s) are not authorized to access this team's (%.*s) metrics",
                   STR_ARG(own->id), STR_ARG(str_upto(name, 64)));
        return NULL;
    }
    if (parse_range(c, &range) != 0)
        return NULL;
    points = metrics_team(c->api->domain, c->team, range, exchange_arena(c->x), out_count);
    if (points == NULL)
        call_error(c, 500, "internal_server_error", "answer too large");
    return points;
}

void team_metrics(struct call *c)
{
    size_t count;
    const struct team_point *points = team_points(c, &count);
    struct buf out;

    if (points == NULL)
        return;
    buf_init(&out, REPLY_MAX);
    buf_add_byte(&out, '[');
    for (size_t i = 0; i < count; i++) {
        char at[RFC3339_MAX];
        struct team_reply reply = {
            .timestamp_unix = points[i].at_ms / 1000,
            .concurrent = points[i].concurrent,
            .start_rate = points[i].start_rate,
        };

        rfc3339_format_ms(points[i].at_ms, at);
        reply.timestamp = str_of(at);
        if (i > 0)
            buf_add_byte(&out, ',');
        json_encode(&team_metric_message, &reply, &out);
    }
    buf_add_byte(&out, ']');
    finish(c, &out);
}

void team_metrics_max(struct call *c)
{
    struct str metric = call_query(c, "metric");
    bool is_rate = str_is(metric, "sandbox_start_rate");
    struct max_reply reply = {0};
    const struct team_point *points;
    char at[RFC3339_MAX];
    int64_t at_ms = clock_wall_ms(); /* of a zero: nothing happened until now */
    size_t count;

    if (!is_rate && !str_is(metric, "concurrent_sandboxes")) {
        call_error(c, 400, NULL,
                   "validation error: metric must be 'concurrent_sandboxes' or "
                   "'sandbox_start_rate'");
        return;
    }
    points = team_points(c, &count);
    if (points == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        double value = is_rate ? points[i].start_rate : (double)points[i].concurrent;

        if (i > 0 && value <= reply.value)
            continue;
        reply.value = value;
        at_ms = points[i].at_ms;
    }
    rfc3339_format_ms(at_ms, at);
    reply.timestamp = str_of(at);
    reply.timestamp_unix = at_ms / 1000;
    call_reply(c, 200, &team_max_message, &reply);
}
