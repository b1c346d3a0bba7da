/* SPDX-License-Identifier: Apache-2.0 */
/* See stats.h. Names follow Prometheus: base units, "_total" for what only grows. */
#include "api/stats.h"

#include <string.h>

#include "api/call.h"
#include "api/feed.h"
#include "base/clock.h"
#include "base/log.h"
#include "domain/event_log.h"
#include "domain/nodes.h"
#include "domain/webhook.h"

static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* Upper bounds in microseconds; the last bucket has none. */
static const uint64_t bounds_us[STATS_BUCKETS - 1] = {500,   1000,   2500,   5000,    10000,
                                                      25000, 100000, 500000, 2500000, 10000000};

void stats_answer(struct call *c, unsigned status)
{
    struct api_stats *s = &c->api->stats;
    uint64_t took = clock_mono_us() - c->began_us;
    size_t bucket = 0;

    while (bucket < STATS_BUCKETS - 1 && took > bounds_us[bucket])
        bucket++;
    s->buckets[bucket]++;
    s->took_us += took;
    s->answers[status / 100 < STATS_CLASSES ? status / 100 : 0]++;
    if (!c->api->config.logs_requests || c->x == NULL)
        return;

    const struct http_head *h = exchange_head(c->x);

    /* Never the query: it may name what is nobody else's business. */
    log_info("request", "id=%s method=%.*s path=\"%.*s\" status=%u took_us=%llu team=%.*s actor=%s",
             c->request_id, STR_ARG(h->method), STR_ARG(str_upto(h->path, 512)), status,
             (unsigned long long)took, STR_ARG(c->team != NULL ? c->team->r.id : (struct str){0}),
             c->actor);
}

enum kind {
    COUNTER,
    GAUGE,
};

static void head(struct buf *out, const char *name, enum kind kind, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
               kind == COUNTER ? "counter" : "gauge");
}

static void one(struct buf *out, const char *name, enum kind kind, uint64_t value, const char *help)
{
    head(out, name, kind, help);
    buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void labelled(struct buf *out, const char *name, const char *label, const char *value,
                     uint64_t number)
{
    buf_printf(out, "%s{%s=\"%s\"} %llu\n", name, label, value, (unsigned long long)number);
}

static const char *const status_classes[STATS_CLASSES] = {"gone", "1xx", "2xx",
                                                          "3xx",  "4xx", "5xx"};

static void put_requests(const struct api *a, struct buf *out)
{
    static const char name[] = "sandlot_api_request_duration_seconds";
    uint64_t sum = 0;

    head(out, "sandlot_api_requests_total", COUNTER, "Requests answered, by class of status.");
    for (size_t i = 0; i < STATS_CLASSES; i++)
        labelled(out, "sandlot_api_requests_total", "status", status_classes[i],
                 a->stats.answers[i]);
    one(out, "sandlot_api_requests_running", GAUGE, a->call_count, "Requests not answered yet.");
    buf_printf(out,
               "# HELP %s Time from the head of a request to its answer.\n"
               "# TYPE %s histogram\n",
               name, name);
    for (size_t i = 0; i < STATS_BUCKETS; i++) {
        sum += a->stats.buckets[i];
        if (i < STATS_BUCKETS - 1)
            buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name, (double)bounds_us[i] / 1e6,
                       (unsigned long long)sum);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
               (unsigned long long)sum, name, (double)a->stats.took_us / 1e6, name,
               (unsigned long long)sum);
}

static void put_domain(const struct domain *d, struct buf *out)
{
    const struct domain_counters *c = domain_counters(d);
    struct domain_allocation taken = domain_allocation(d);

    one(out, "sandlot_sandboxes", GAUGE, taken.sandboxes, "Sandboxes running or paused.");
    one(out, "sandlot_allocated_cpus", GAUGE, taken.cpus, "Processors promised to them.");
    one(out, "sandlot_allocated_memory_bytes", GAUGE, taken.memory_bytes,
        "Memory promised to them.");
    one(out, "sandlot_sandboxes_created_total", COUNTER, c->created, "Sandboxes started.");
    one(out, "sandlot_sandbox_create_failures_total", COUNTER, c->create_failed,
        "Starts that failed.");
    head(out, "sandlot_sandboxes_killed_total", COUNTER, "Sandboxes ended, by reason.");
    for (int i = KILL_NONE + 1; i < KILL_REASON_COUNT; i++)
        labelled(out, "sandlot_sandboxes_killed_total", "reason",
                 kill_reason_name((enum kill_reason)i), c->killed[i]);
    one(out, "sandlot_kill_failures_total", COUNTER, c->kills_failed,
        "Tries to end one that failed.");
    one(out, "sandlot_kill_alarms_total", COUNTER, c->kill_alarms, "Sandboxes that do not end.");
    one(out, "sandlot_sandboxes_lost_total", COUNTER, c->lost, "Records whose sandbox was gone.");
    one(out, "sandlot_sandboxes_orphaned_total", COUNTER, c->orphaned,
        "Sandboxes without a record.");
    one(out, "sandlot_sweeper_wakes_total", COUNTER, c->sweeper_wakes,
        "Turns of the expiry queue.");
    one(out, "sandlot_sweeper_visits_total", COUNTER, c->sweeper_visits, "Sandboxes it looked at.");
    one(out, "sandlot_node_connected", GAUGE, domain_node_is_ready(d), "1: api has its node.");
}

static void put_lasting(const struct domain *d, struct buf *out)
{
    const struct domain_counters *c = domain_counters(d);

    one(out, "sandlot_pauses_total", COUNTER, c->paused, "Sandboxes paused.");
    one(out, "sandlot_pause_failures_total", COUNTER, c->pauses_failed,
        "Pauses that failed; the sandbox goes on.");
    one(out, "sandlot_resumes_total", COUNTER, c->resumed, "Sandboxes resumed.");
    one(out, "sandlot_resume_failures_total", COUNTER, c->resumes_failed,
        "Resumes that failed; the sandbox stays paused.");
    one(out, "sandlot_snapshots_made_total", COUNTER, c->snapshots, "Snapshots made.");
    one(out, "sandlot_snapshot_failures_total", COUNTER, c->snapshots_failed,
        "Snapshots that failed.");
    one(out, "sandlot_forks_total", COUNTER, c->forks, "Sandboxes made by fork.");
    one(out, "sandlot_rollbacks_total", COUNTER, c->rollbacks, "Sandboxes put back.");
    one(out, "sandlot_sandboxes_healed_total", COUNTER, c->healed,
        "Records that followed what node had paused or resumed.");
}

static void put_events(const struct domain *d, struct buf *out)
{
    const struct event_log_counters *e = event_log_counters(d);
    struct webhook_totals w = webhook_totals(d);

    one(out, "sandlot_events", GAUGE, e->kept, "Events kept.");
    one(out, "sandlot_events_total", COUNTER, e->total, "Events that happened.");
    one(out, "sandlot_events_evicted_total", COUNTER, e->evicted,
        "Events dropped to hold the bounds.");
    one(out, "sandlot_events_unsaved_total", COUNTER, e->lost,
        "Times the store did not take events.");
    one(out, "sandlot_webhooks", GAUGE, w.webhooks, "Webhooks.");
    one(out, "sandlot_webhook_deliveries_pending", GAUGE, w.pending, "Deliveries owed.");
    one(out, "sandlot_webhook_dead_letters", GAUGE, w.dead, "Deliveries given up.");
    one(out, "sandlot_webhook_delivered_total", COUNTER, w.delivered, "Deliveries taken.");
    one(out, "sandlot_webhook_failed_tries_total", COUNTER, w.failed, "Tries that failed.");
    one(out, "sandlot_webhook_lost_total", COUNTER, w.lost,
        "Deliveries dropped to hold the bounds.");
}

static void put_node(const struct domain *d, struct buf *out)
{
    struct node_info info;
    const struct node_report *r = &info.report;

    nodes_get(d, &info);
    if (!info.has_report)
        return;
    one(out, "sandlot_node_sandboxes", GAUGE, r->sandboxes, "Sandboxes node has.");
    one(out, "sandlot_node_starting", GAUGE, r->starting, "Starts under way.");
    one(out, "sandlot_node_starts_total", COUNTER, r->starts, "Starts that node finished.");
    one(out, "sandlot_node_start_failures_total", COUNTER, r->start_failures,
        "Starts that failed there.");
    one(out, "sandlot_node_stops_total", COUNTER, r->stops, "Sandboxes stopped.");
    one(out, "sandlot_node_dials_total", COUNTER, r->dials, "Sockets made inside sandboxes.");
    one(out, "sandlot_node_samples_total", COUNTER, r->samples, "Looks at what sandboxes use.");
    one(out, "sandlot_node_cpus", GAUGE, r->cpu_count, "Processors of the machine.");
    head(out, "sandlot_node_cpu_ratio", GAUGE, "Busy share of them, 0 to 1.");
    buf_printf(out, "sandlot_node_cpu_ratio %.3f\n", r->cpu_permille / 1000.0);
    one(out, "sandlot_node_memory_bytes", GAUGE, r->memory_total, "Memory of the machine.");
    one(out, "sandlot_node_memory_used_bytes", GAUGE, r->memory_used, "Of it in use.");
    one(out, "sandlot_node_disk_bytes", GAUGE, r->disk_total, "The file system of data_dir.");
    one(out, "sandlot_node_disk_used_bytes", GAUGE, r->disk_used, "Of it in use.");
}

/* By enum traffic_class of edge. */
static const char *const edge_classes[FEED_CLASSES] = {"control", "envd", "port", "tunnel",
                                                       "refused"};

static void put_edge_classes(const struct feed_counters *c, struct buf *out)
{
    static const char *const ways[] = {"in", "out"};
    static const char answers[] = "sandlot_edge_answers_total",
                      bytes[] = "sandlot_edge_bytes_total",
                      running[] = "sandlot_edge_requests_running",
                      seconds[] = "sandlot_edge_answer_seconds_total";

    head(out, answers, COUNTER, "Answers of edge, by class of route and of status.");
    for (size_t i = 0; i < FEED_CLASSES * FEED_STATUSES; i++)
        buf_printf(out, "%s{class=\"%s\",status=\"%s\"} %llu\n", answers,
                   edge_classes[i / FEED_STATUSES], status_classes[i % FEED_STATUSES],
                   (unsigned long long)c->cells[FEED_ANSWERS + i]);
    head(out, running, GAUGE, "Requests and tunnels that edge carries now.");
    for (size_t i = 0; i < FEED_CLASSES; i++)
        labelled(out, running, "class", edge_classes[i], c->cells[FEED_RUNNING + i]);
    head(out, bytes, COUNTER, "Bytes of bodies from clients (in) and to them (out).");
    for (size_t i = 0; i < FEED_CLASSES * 2; i++)
        buf_printf(out, "%s{class=\"%s\",way=\"%s\"} %llu\n", bytes, edge_classes[i / 2],
                   ways[i % 2], (unsigned long long)c->cells[FEED_BYTES + i]);
    head(out, seconds, COUNTER, "Time from heads to ends of answers, together.");
    for (size_t i = 0; i < FEED_CLASSES; i++)
        buf_printf(out, "%s{class=\"%s\"} %.6f\n", seconds, edge_classes[i],
                   (double)c->cells[FEED_TOOK + i] / 1e6);
}

static void put_edge(const struct api *a, struct buf *out)
{
    static const char name[] = "sandlot_edge_requests_total",
                      limits[] = "sandlot_edge_refused_total";
    struct feed_counters c = feed_counters(a->feed);
    const uint64_t *n = c.numbers;

    one(out, "sandlot_edge_loops", GAUGE, c.loops, "Loops of edge that are connected to api.");
    head(out, name, COUNTER, "Requests that came in, by where they belong.");
    labelled(out, name, "to", "control", n[FEED_CONTROL]);
    labelled(out, name, "to", "sandbox", n[FEED_SANDBOX]);
    labelled(out, name, "to", "nowhere", n[FEED_REFUSED]);
    one(out, "sandlot_edge_connections", GAUGE, n[FEED_CONNECTIONS], "Connections of clients.");
    one(out, "sandlot_edge_routes", GAUGE, n[FEED_ROUTES], "Routes that edge remembers.");
    head(out, limits, COUNTER, "Refused by a limit: connections of an address, of a sandbox.");
    labelled(out, limits, "limit", "peer", n[FEED_REFUSED_PEERS]);
    labelled(out, limits, "limit", "sandbox", n[FEED_REFUSED_SANDBOXES]);
    one(out, "sandlot_edge_stalled_total", COUNTER, n[FEED_STALLED], "Uploads that were given up.");
    one(out, "sandlot_edge_woken_total", COUNTER, n[FEED_WOKEN],
        "Requests that waited until their sandbox ran.");
    one(out, "sandlot_edge_wake_failures_total", COUNTER, n[FEED_WAKE_FAILURES],
        "Those that waited in vain.");
    put_edge_classes(&c, out);
}

void stats_text(const struct api *a, struct buf *out)
{
    head(out, "sandlot_build_info", GAUGE, "The version, as a label.");
    labelled(out, "sandlot_build_info", "version",
             a->config.version == NULL ? "" : a->config.version, 1);
    put_requests(a, out);
    put_domain(a->domain, out);
    put_lasting(a->domain, out);
    put_events(a->domain, out);
    put_node(a->domain, out);
    put_edge(a, out);
}

void metrics_get(struct call *c)
{
    const struct http_field field = {STR("Content-Type"), str_of(text_type)};
    struct buf out;

    buf_init(&out, REPLY_MAX);
    stats_text(c->api, &out);
    call_reply_fields(c, 200, buf_str(&out), &field, 1);
    buf_done(&out);
}

/* The listener for scrapers */

struct scrape {
    struct api *api;
    struct http_server *http;
    struct listener listener;
    bool is_listening;
};

static void on_request(void *ctx, struct exchange *x)
{
    struct scrape *s = ctx;
    const struct http_head *h = exchange_head(x);
    bool is_read = str_is(h->method, "GET") || str_is(h->method, "HEAD");
    struct buf out;

    if (!str_is(h->path, "/metrics") || !is_read) {
        exchange_reply(x, is_read ? 404 : 405, "text/plain", STR("GET /metrics is all there is\n"));
        return;
    }
    buf_init(&out, REPLY_MAX);
    stats_text(s->api, &out);
    exchange_reply(x, 200, text_type, buf_str(&out));
    buf_done(&out);
}

static void on_accept(void *ctx, int fd)
{
    struct scrape *s = ctx;

    http_server_adopt(s->http, fd, 0);
}

int scrape_new(struct loop *l, struct api *a, const char *address, struct scrape **out,
               struct err *err)
{
    static const struct http_limits limits = {.stall_ms = 10000, .connections_max = 32};
    struct scrape *s;
    int fd;

    *out = NULL;
    if (address == NULL || *address == '\0')
        return 0;
    s = mem_zero(sizeof(*s));
    s->api = a;
    if (socket_listen_tcp(address, false, &fd, err) != 0 ||
        listener_start(&s->listener, l, fd, on_accept, s, err) != 0) {
        free(s);
        return err_wrap(err, "metrics.listen '%s'", address);
    }
    s->is_listening = true;
    if (http_server_new(l, &limits, on_request, s, &s->http, err) != 0) {
        scrape_free(s);
        return -1;
    }
    *out = s;
    return 0;
}

void scrape_free(struct scrape *s)
{
    if (s == NULL)
        return;
    if (s->is_listening)
        listener_stop(&s->listener);
    if (s->http != NULL)
        http_server_free(s->http);
    free(s);
}
