/* SPDX-License-Identifier: Apache-2.0 */
/* See worker_internal.h: requests to the E2B-compatible API, and what it answers. */
#include <stdio.h>

#include "worker/worker_internal.h"

enum {
    ERROR_TEXT_MAX = 300,
    ANSWER_MEM_MAX = 16 << 20,
    TARGET_SIZE = 256,
};

struct error_body {
    struct str message;
};

/* clang-format off */
static const struct codec_field created_fields[] = {
    {1, "sandboxID", CODEC_STRING, 0, offsetof(struct created, sandbox_id)},
    {2, "templateID", CODEC_STRING, 0, offsetof(struct created, template_id)},
    {3, "alias", CODEC_STRING, 0, offsetof(struct created, alias)},
    {4, "envdAccessToken", CODEC_STRING, 0, offsetof(struct created, token)},
    {5, "trafficAccessToken", CODEC_STRING, 0, offsetof(struct created, traffic_token)},
    {6, "domain", CODEC_STRING, 0, offsetof(struct created, domain)},
    {7, "startedAt", CODEC_STRING, 0, offsetof(struct created, started_at)},
    {8, "state", CODEC_STRING, 0, offsetof(struct created, state)},
};
static const struct codec_message created_table =
    {NULL, sizeof(struct created), created_fields, COUNT_OF(created_fields)};

static const struct codec_field error_fields[] = {
    {1, "message", CODEC_STRING, 0, offsetof(struct error_body, message)},
};
static const struct codec_message error_table =
    {NULL, sizeof(struct error_body), error_fields, COUNT_OF(error_fields)};
/* clang-format on */

struct upstream_ask api_ask(const struct worker *w, const char *method, const char *target)
{
    return (struct upstream_ask){
        .to = &w->settings.api_base,
        .method = method,
        .target = target,
        .fields = {{STR("X-API-Key"), str_of(w->key)},
                   {STR("User-Agent"), STR("iii-sandbox-e2b/0.1")},
                   {STR("Accept"), STR("application/json")}},
        .field_count = 3,
        .timeout_ms = w->settings.request_timeout_ms,
    };
}

void api_add_json(struct upstream_ask *ask, struct buf *body)
{
    ask->fields[ask->field_count++] =
        (struct http_field){STR("Content-Type"), STR("application/json")};
    ask->body = body;
}

/* Without the key, should the other end have quoted it. */
static void add_scrubbed(const struct worker *w, struct str text, struct buf *out)
{
    size_t key_len = strlen(w->key);

    while (text.len > 0) {
        const char *found = key_len == 0 ? NULL : memmem(text.at, text.len, w->key, key_len);

        if (found == NULL) {
            buf_add_str(out, text);
            return;
        }
        buf_add(out, text.at, (size_t)(found - text.at));
        buf_add_text(out, "[key]");
        text = str_from(text, (size_t)(found - text.at) + key_len);
    }
}

void upstream_text(const struct worker *w, const struct upstream_answer *a, struct buf *out)
{
    struct error_body body = {0};
    struct arena arena;
    struct buf whole;

    if (a->status == 0 || a->is_cut) {
        buf_add_text(out, a->err.text);
        return;
    }
    arena_init(&arena, ANSWER_MEM_MAX);
    buf_init(&whole, UPSTREAM_ANSWER_MAX * 2);
    if (json_decode(&error_table, a->body, &arena, &body, NULL) == 0 && body.message.len > 0)
        add_scrubbed(w, body.message, &whole);
    else
        buf_add_text(&whole, "the upstream refused");
    buf_add_str(out, str_upto(buf_str(&whole), ERROR_TEXT_MAX));
    buf_done(&whole);
    arena_done(&arena);
}

bool api_read_box(struct str body, struct arena *a, struct created *out)
{
    *out = (struct created){0};
    return json_decode(&created_table, body, a, out, NULL) == 0 && box_id_is_good(out->sandbox_id);
}

static void put(struct str text, char *to, size_t size)
{
    if (!str_to_c(text, to, size))
        to[0] = '\0';
}

void api_fill_box(const struct created *c, struct box *out)
{
    put(c->sandbox_id, out->id, sizeof(out->id));
    put(c->alias.len > 0 ? c->alias : c->template_id, out->image, sizeof(out->image));
    put(c->domain, out->domain, sizeof(out->domain));
    put(c->token, out->token, sizeof(out->token));
    put(c->traffic_token, out->traffic_token, sizeof(out->traffic_token));
    put(c->started_at, out->started_at, sizeof(out->started_at));
    if (out->started_at[0] == '\0')
        rfc3339_format_ms(clock_wall_ms(), out->started_at);
}

static void go_on_with(struct job *j, const struct box *b)
{
    struct box *own = arena_alloc(&j->arena, sizeof(*own));

    if (own == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    *own = *b;
    j->box = own;
    j->with_box(j);
}

static void on_detail(struct job *j, const struct upstream_answer *a)
{
    struct box b = {0};
    struct created c;

    if (a->status != 200 || a->is_cut) {
        job_upstream_fault(j, a, FAULT_NO_SANDBOX);
        return;
    }
    if (!api_read_box(a->body, &j->arena, &c)) {
        job_fault(j, FAULT_UPSTREAM, "the upstream's answer is not understood");
        return;
    }
    api_fill_box(&c, &b);
    go_on_with(j, &b);
    explicit_bzero(&b, sizeof(b));
}

static void ask_detail(struct job *j, const char *id, job_answer_fn *then)
{
    char target[TARGET_SIZE] = "";
    struct upstream_ask ask = api_ask(j->worker, "GET", target);

    ignore(snprintf(target, sizeof(target), "/sandboxes/%s", id));
    job_ask(j, &ask, then);
}

void api_with_box(struct job *j, struct str id, job_fn *then)
{
    const struct box *known = seats_find(&j->worker->seats, id);
    char text[BOX_ID_MAX + 1];

    j->with_box = then;
    if (!box_id_is_good(id)) {
        job_fault(j, FAULT_INPUT, "field 'sandbox_id' is no id of a sandbox");
        return;
    }
    if (known != NULL) {
        go_on_with(j, known);
        return;
    }
    ignore(str_to_c(id, text, sizeof(text))); /* a good id fits */
    ask_detail(j, text, on_detail);
}

static void on_trouble_detail(struct job *j, const struct upstream_answer *a)
{
    struct created c;

    if (a->status == 404) {
        seats_end(&j->worker->seats, str_of(j->box->id));
        job_fault(j, FAULT_NO_SANDBOX, "there is no sandbox %s", j->box->id);
    } else if (a->status != 200) {
        job_upstream_fault(j, a, FAULT_NO_SANDBOX);
    } else if (api_read_box(a->body, &j->arena, &c) && str_is(c.state, "paused")) {
        job_fault(j, FAULT_STOPPED, "sandbox %s is paused", j->box->id);
    } else {
        job_fault(j, FAULT_UPSTREAM, "sandbox %s does not answer", j->box->id);
    }
}

void api_box_trouble(struct job *j, const struct upstream_answer *a)
{
    if (a->status == 401 || a->status == 403 || a->status == 402 || a->status == 429) {
        job_upstream_fault(j, a, FAULT_NO_SANDBOX);
        return;
    }
    ask_detail(j, j->box->id, on_trouble_detail);
}
