/* SPDX-License-Identifier: Apache-2.0 */
/* The provider's snapshot and expose_port. */
#include <stdio.h>

#include "worker/worker_internal.h"

enum {
    RESULT_MAX = 64 << 10,
    SNAPSHOT_MS = 10 * 60 * 1000, /* all of a sandbox's memory goes to a disk */
};

struct snapshot {
    struct str snapshot_id;
};

static const struct codec_field snapshot_field = {1, "snapshotID", CODEC_STRING, CODEC_REQUIRED,
                                                  offsetof(struct snapshot, snapshot_id)};
static const struct codec_message snapshot_table = {NULL, sizeof(struct snapshot), &snapshot_field,
                                                    1};

static void give_snapshot(struct job *j, struct str id)
{
    struct buf out;

    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"snapshot_id\":");
    json_quote(&out, id);
    buf_add_byte(&out, '}');
    job_done(j, &out);
}

static void ask_box(struct job *j, const char *what, job_answer_fn *then)
{
    char target[128] = "";
    struct upstream_ask ask = api_ask(j->worker, "POST", target);
    struct buf body;

    buf_init(&body, 16);
    buf_add_text(&body, "{}");
    ignore(snprintf(target, sizeof(target), "/sandboxes/%s/%s", j->box->id, what));
    api_add_json(&ask, &body);
    ask.timeout_ms = SNAPSHOT_MS;
    job_ask(j, &ask, then);
}

static void on_paused(struct job *j, const struct upstream_answer *a)
{
    if ((a->status >= 200 && a->status < 300) || a->status == 409) /* it was already */
        give_snapshot(j, str_of(j->box->id));
    else
        job_upstream_fault(j, a, FAULT_NO_SANDBOX);
}

static void on_snapshot(struct job *j, const struct upstream_answer *a)
{
    struct snapshot s = {0};

    if (a->status == 404 || a->status == 405) {
        ask_box(j, "pause", on_paused); /* an API without snapshots (RX-24) */
        return;
    }
    if (a->status < 200 || a->status > 299 || a->is_cut)
        job_upstream_fault(j, a, FAULT_NO_SANDBOX);
    else if (json_decode(&snapshot_table, a->body, &j->arena, &s, NULL) != 0)
        job_fault(j, FAULT_UPSTREAM, "the upstream's answer is not understood");
    else
        give_snapshot(j, s.snapshot_id);
}

static void take_snapshot(struct job *j)
{
    ask_box(j, "snapshots", on_snapshot);
}

void run_snapshot(struct job *j)
{
    api_with_box(j, j->args[0].text, take_snapshot);
}

/* By host name, else by path where that is configured; empty: neither. */
static void put_url(const struct job *j, unsigned port, struct buf *out)
{
    const struct settings *s = &j->worker->settings;
    const char *domain = j->box->domain[0] != '\0' ? j->box->domain : s->domain;
    const struct address *at = domain[0] != '\0' ? &s->api_base : &s->sandbox_url;
    bool is_usual = at->port == (at->is_tls ? 443 : 80);

    if (domain[0] != '\0' && strchr(domain, ':') == NULL && !is_usual)
        buf_printf(out, "%s://%u-%s.%s:%u", at->is_tls ? "https" : "http", port, j->box->id, domain,
                   at->port);
    else if (domain[0] != '\0')
        buf_printf(out, "%s://%u-%s.%s", at->is_tls ? "https" : "http", port, j->box->id, domain);
    else if (s->has_port_paths)
        buf_printf(out, "%s://%s/sandbox/%s/%u/", at->is_tls ? "https" : "http", at->authority,
                   j->box->id, port);
}

static void expose(struct job *j)
{
    struct buf url, out;

    buf_init(&url, 1024);
    put_url(j, (unsigned)j->args[1].number, &url);
    if (url.len == 0) {
        buf_done(&url);
        job_fault(j, FAULT_CAPABILITY,
                  "the upstream names no domain for ports; see 'domain' and 'port_paths'");
        return;
    }
    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"url\":");
    json_quote(&out, buf_str(&url));
    if (j->box->traffic_token[0] != '\0') { /* the sandbox is private: the caller needs it */
        buf_add_text(&out, ",\"headers\":{\"e2b-traffic-access-token\":");
        json_quote(&out, str_of(j->box->traffic_token));
        buf_add_byte(&out, '}');
    }
    buf_add_byte(&out, '}');
    buf_done(&url);
    job_done(j, &out);
}

void run_expose(struct job *j)
{
    api_with_box(j, j->args[0].text, expose);
}
