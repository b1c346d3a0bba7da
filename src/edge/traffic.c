/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and access log of one loop; see traffic.h. */
#include "edge/traffic.h"

#include "base/clock.h"
#include "codec/codec.h"

static const char *const class_names[ROUTE_CLASS_COUNT] = {
    [TRAFFIC_CONTROL] = "control", [TRAFFIC_ENVD] = "envd",       [TRAFFIC_PORT] = "port",
    [TRAFFIC_TUNNEL] = "tunnel",   [TRAFFIC_REFUSED] = "refused",
};

void traffic_init(struct traffic *t, struct loop *l, bool has_log)
{
    *t = (struct traffic){.loop = l, .has_log = has_log};
    buf_init(&t->lines, TRAFFIC_BATCH);
}

/* To standard error, as all that is logged. What does not go out is lost: a log that nobody reads
 * must not stop traffic. */
static void flush(void *ctx)
{
    struct traffic *t = ctx;

    if (t->lines.len > 0 && buf_ok(&t->lines))
        ignore(write(STDERR_FILENO, t->lines.at, t->lines.len));
    buf_clear(&t->lines);
}

void traffic_done(struct traffic *t)
{
    task_cancel(&t->flush);
    flush(t);
    buf_done(&t->lines);
}

enum traffic_class traffic_class_of(const struct target *t)
{
    if (t->kind == TARGET_CONTROL)
        return TRAFFIC_CONTROL;
    if (t->kind == TARGET_BAD)
        return TRAFFIC_REFUSED;
    return t->kind == TARGET_SIGNED || t->port == ENVD_PORT ? TRAFFIC_ENVD : TRAFFIC_PORT;
}

static void add_text(struct buf *out, const char *name, struct str value, size_t max)
{
    buf_printf(out, ",\"%s\":", name);
    json_quote(out, str_upto(value, max));
}

static void add_line(struct buf *out, struct exchange *x, const struct traffic_note *n)
{
    const struct http_head *h = exchange_head(x);
    char at[RFC3339_MAX];

    rfc3339_format_ms(clock_wall_ms(), at);
    buf_printf(out, "{\"time\":\"%s\",\"event\":\"access\",\"class\":\"%s\"", at,
               class_names[n->class]);
    add_text(out, "peer", exchange_peer(x), 64);
    add_text(out, "method", h->method, 32);
    add_text(out, "host", h->host, 256);
    add_text(out, "path", h->path, 512);
    if (n->request_id.len > 0)
        add_text(out, "requestID", n->request_id, HTTP_ID_MAX);
    if (n->sandbox_id.len > 0) {
        add_text(out, "sandboxID", n->sandbox_id, TARGET_ID_MAX);
        buf_printf(out, ",\"port\":%u", n->port);
    }
    buf_printf(out, ",\"status\":%u,\"bytesIn\":%llu,\"bytesOut\":%llu,\"tookUs\":%llu", n->status,
               (unsigned long long)n->bytes_in, (unsigned long long)n->bytes_out,
               (unsigned long long)n->took_us);
    if (n->end != NULL)
        buf_printf(out, ",\"endedBy\":\"%s\"", n->end);
    add_text(out, "userAgent", http_field(h, "User-Agent"), 200);
    buf_add_text(out, "}\n");
}

void traffic_note(struct traffic *t, struct exchange *x, const struct traffic_note *n)
{
    unsigned digit = n->status / 100;

    t->answers[n->class][digit < ROUTE_STATUS_COUNT ? digit : 0]++;
    t->bytes[n->class][0] += n->bytes_in;
    t->bytes[n->class][1] += n->bytes_out;
    t->took_us[n->class] += n->took_us;
    if (!t->has_log)
        return;
    if (t->lines.len > TRAFFIC_BATCH - TRAFFIC_LINE_MAX)
        flush(t);
    add_line(&t->lines, x, n);
    task_defer(t->loop, &t->flush, flush, t);
}

static struct codec_list list_of(uint64_t *items, size_t count)
{
    return (struct codec_list){items, count};
}

void traffic_report(struct traffic *t, struct route_counters *out)
{
    out->answers = list_of(t->answers[0], ROUTE_CLASS_COUNT * ROUTE_STATUS_COUNT);
    out->running = list_of(t->running, ROUTE_CLASS_COUNT);
    out->bytes = list_of(t->bytes[0], ROUTE_CLASS_COUNT * 2);
    out->took_us = list_of(t->took_us, ROUTE_CLASS_COUNT);
    out->refused_peers = t->refused_peers;
    out->refused_sandboxes = t->refused_sandboxes;
    out->stalled = t->stalled;
    out->woken = t->woken;
    out->wake_failures = t->wake_failures;
}
