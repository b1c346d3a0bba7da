/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, fork and rollback over REST (wire.md 2.8). Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "api/sandbox_json.h"
#include "domain/fork.h"
#include "domain/quota.h"
#include "domain/sandbox_rollback.h"
#include "domain/snapshot.h"

enum {
    PAGE_MAX = 100,
    ID_TEXT_MAX = 512,
};

/* Appends one SnapshotInfo. */
static void put(const struct call *c, const struct snapshot *s, struct buf *out)
{
    struct snapshot_reply reply = {0};
    struct buf id;
    struct str text;

    buf_init(&id, ID_TEXT_MAX);
    snapshot_put_id(c->api->domain, s, &id);
    text = buf_str(&id);
    reply.id = text;
    if (s->r.name.len > 0)
        reply.names = (struct codec_list){&text, 1};
    json_encode(&snapshot_reply_message, &reply, out);
    buf_done(&id);
}

static void on_snapshot(void *ctx, const struct snapshot *s, const struct err *err)
{
    struct call *c = ctx;
    struct buf json;

    if (err != NULL) {
        call_error(c, error_status(err->kind), NULL, "Error creating snapshot template: %s",
                   err->text);
        return;
    }
    buf_init(&json, REPLY_MAX);
    put(c, s, &json);
    call_reply_text(c, 201, buf_str(&json));
    buf_done(&json);
}

void snapshot_post(struct call *c)
{
    struct snapshot_body body = {0};
    struct snapshot_ask ask = {.fn = on_snapshot, .ctx = c};
    struct err err = {0};
    struct str id;

    if (call_body(c, &snapshot_message, true, &body) != 0 || call_sandbox_id(c, &id) != 0)
        return;
    ask.name = body.name;
    ask.keeps_memory = !body.has_memory || body.memory;
    if (sandbox_snapshot(c->api->domain, c->team, id, &ask, &err) != 0)
        call_fail(c, &err);
}

static int parse_limit(struct call *c, size_t *out)
{
    struct str limit = call_query(c, "limit");
    uint64_t count = PAGE_MAX;

    if (limit.len > 0 && (!str_to_u64(limit, &count) || count < 1 || count > PAGE_MAX)) {
        call_error(c, 400, NULL, "validation error: limit must be between 1 and %d", PAGE_MAX);
        return -1;
    }
    *out = (size_t)count;
    return 0;
}

void snapshot_list_get(struct call *c)
{
    struct snapshot_query q = {.team = c->team,
                               .sandbox_id = call_query(c, "sandboxID"),
                               .name = call_query(c, "name"),
                               .after = call_query(c, "nextToken")};
    const struct snapshot **list;
    struct http_field next;
    bool has_more = false;
    size_t count = 0;
    struct buf json;

    if (parse_limit(c, &q.limit) != 0)
        return;
    list = snapshot_list(c->api->domain, &q, exchange_arena(c->x), &count, &has_more);
    if (list == NULL) {
        call_error(c, 500, "internal_server_error", "too many snapshots for one answer");
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_byte(&json, ',');
        put(c, list[i], &json);
    }
    buf_add_byte(&json, ']');
    if (has_more)
        next = (struct http_field){STR("X-Next-Token"), list[count - 1]->r.id};
    call_reply_fields(c, 200, buf_str(&json), &next, has_more);
    buf_done(&json);
}

static void on_removed(void *ctx, const struct err *err)
{
    struct call *c = ctx;

    if (err == NULL)
        call_reply_empty(c, 204);
    else
        call_fail(c, err);
}

/* Snapshots are deleted as the templates they are. */
void snapshot_delete(struct call *c)
{
    struct err err = {0};

    if (snapshot_remove(c->api->domain, c->team, call_param(c, 0), on_removed, c, &err) != 0)
        call_fail(c, &err);
}

static void on_forked(void *ctx, const struct fork_result *results, size_t count,
                      const struct err *err)
{
    struct call *c = ctx;
    struct buf json;

    if (err != NULL) {
        call_error(c, error_status(err->kind), NULL, "Error forking sandbox: %s", err->text);
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&json, i > 0 ? ",{" : "{");
        if (results[i].sandbox != NULL) {
            buf_add_text(&json, "\"sandbox\":");
            sandbox_json_put(c, results[i].sandbox, &json);
        } else {
            buf_printf(&json,
                       "\"error\":{\"code\":%u,\"message\":", error_status(results[i].err.kind));
            json_quote(&json, str_of(results[i].err.text));
            buf_add_byte(&json, '}');
        }
        buf_add_byte(&json, '}');
    }
    buf_add_byte(&json, ']');
    call_reply_text(c, 201, buf_str(&json));
    buf_done(&json);
}

static int check_count(struct call *c, int64_t count)
{
    uint64_t most = quota_max(c->api->domain, c->team);

    if (count < 1)
        call_error(c, 400, NULL, "Count must be at least 1");
    else if (count > FORK_MAX)
        call_error(c, 400, NULL, "Count cannot be greater than %d", FORK_MAX);
    else if (most > 0 && (uint64_t)count >= most)
        call_error(c, 400, NULL,
                   "Count must be lower than the maximum number of concurrent sandboxes (%llu)",
                   (unsigned long long)most);
    else
        return 0;
    return -1;
}

void sandbox_fork_post(struct call *c)
{
    struct fork_body body = {0};
    struct fork_ask ask = {.fn = on_forked, .ctx = c};
    struct err err = {0};
    struct str id;

    if (call_body(c, &fork_message, true, &body) != 0 || call_sandbox_id(c, &id) != 0)
        return;
    if (!body.has_count)
        body.count = 1;
    if (check_count(c, body.count) != 0)
        return;
    ask.count = (size_t)body.count;
    /* The document says 15 s; new clients leave it out, and would lose their forks at once. */
    ask.seconds =
        body.has_timeout ? body.timeout : (int64_t)domain_timeout_default_s(c->api->domain);
    ask.keeps_memory = !body.has_memory || body.memory;
    if (sandbox_fork(c->api->domain, c->team, id, &ask, &err) != 0)
        call_fail(c, &err);
}

static void on_rolled_back(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct call *c = ctx;

    if (err == NULL)
        sandbox_json_reply(c, 200, s);
    else
        call_fail(c, err);
}

void sandbox_rollback_post(struct call *c)
{
    struct rollback_body body = {0};
    struct resume_ask ask = {.running = on_rolled_back, .resumed = on_rolled_back, .ctx = c};
    struct err err = {0};
    struct str id;

    if (call_body(c, &rollback_message, false, &body) != 0 || call_sandbox_id(c, &id) != 0)
        return;
    ask.seconds =
        body.has_timeout ? body.timeout : (int64_t)domain_timeout_default_s(c->api->domain);
    if (sandbox_rollback(c->api->domain, c->team, id, body.snapshot_id, &ask, &err) != 0)
        call_fail(c, &err);
}
