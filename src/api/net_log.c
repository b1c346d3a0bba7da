/* SPDX-License-Identifier: Apache-2.0 */
/* GET /sandboxes/:id/network/log of a team, GET /admin/sandboxes/:id/network/log of all: what a
 * sandbox did with the network (domain/net_log.h), oldest first, also after its end. Called by the
 * gate.
 *
 * `cursor` is the id of a record; the page begins behind it. The answer's is where to go on, also
 * at the end, so that following the log is asking with it again. */
#include "domain/net_log.h"

#include "api/call.h"
#include "api/errors.h"
#include "api/sandbox_json.h"
#include "base/clock.h"
#include "base/id.h"
#include "domain/event_log.h"
#include "ipc/connection.h"

enum { LIMIT_DEFAULT = 100 };

static int refuse(struct call *c, const char *text)
{
    call_error(c, 400, NULL, "validation error: %s", text);
    return -1;
}

static bool is_key(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (hex_digit(text.at[i]) < 0)
            return false;
    return text.len == NET_LOG_KEY_LEN;
}

static int parse(struct call *c, struct net_query *q)
{
    struct str limit = call_query(c, "limit"), verdict = call_query(c, "verdict");
    uint64_t count = LIMIT_DEFAULT;

    if (limit.len > 0 && (!str_to_u64(limit, &count) || count < 1 || count > NET_LOG_PAGE_MAX))
        return refuse(c, "limit must be between 1 and 1000");
    q->limit = (size_t)count;
    if (verdict.len > 0 && !str_is(verdict, "denied") && !str_is(verdict, "any"))
        return refuse(c, "verdict must be 'denied' or 'any'");
    q->is_denied = str_is(verdict, "denied");
    q->after = call_query(c, "cursor");
    if (q->after.len > 0 && !is_key(q->after))
        return refuse(c, "cursor must be the id of a record");
    return call_sandbox_id(c, &q->sandbox_id);
}

static void fill(struct connection *to, char time[RFC3339_MAX], const struct net_record *from)
{
    const struct egress_record *r = &from->r;

    rfc3339_format_ms(r->at_ms, time);
    to->time = str_of(time);
    to->id = from->key;
    to->protocol = r->protocol;
    to->address = r->address;
    to->name = r->name;
    to->rule = r->rule;
    to->verdict = r->is_denied ? STR("denied") : STR("allowed");
    to->detail = r->detail;
    to->took_ms = (int64_t)r->took_ms;
    to->port = r->port;
    to->up = (int64_t)r->up;
    to->down = (int64_t)r->down;
    to->missed = r->missed;
}

static void answer(struct call *c, const struct net_query *q)
{
    struct arena *a = exchange_arena(c->x);
    struct connections all = {.cursor = q->after};
    const struct net_row **rows;
    struct connection *shown;
    char(*times)[RFC3339_MAX];
    size_t count;

    rows = net_log_query(c->api->domain, q, a, &count);
    shown = rows == NULL ? NULL : arena_array(a, count + 1, sizeof(*shown));
    times = shown == NULL ? NULL : arena_array(a, count + 1, sizeof(*times));
    if (times == NULL) {
        call_error(c, 413, NULL, "too many records for one answer; ask for fewer");
        return;
    }
    for (size_t i = 0; i < count; i++)
        fill(&shown[i], times[i], &rows[i]->record);
    if (count > 0)
        all.cursor = rows[count - 1]->record.key;
    all.rows = (struct codec_list){shown, count};
    call_reply(c, 200, &connections_message, &all);
}

void net_log_get(struct call *c)
{
    struct net_query q = {0};

    if (parse(c, &q) != 0)
        return;
    if (sandbox_get(c->api->domain, c->team, q.sandbox_id) == NULL &&
        !event_log_knows(c->api->domain, c->team->r.id, q.sandbox_id))
        sandbox_json_missing(c, q.sandbox_id);
    else
        answer(c, &q);
}

void net_log_get_any(struct call *c)
{
    struct net_query q = {0};

    if (parse(c, &q) != 0)
        return;
    if (event_log_team(c->api->domain, q.sandbox_id).len == 0)
        sandbox_json_missing(c, q.sandbox_id);
    else
        answer(c, &q);
}
