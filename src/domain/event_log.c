/* SPDX-License-Identifier: Apache-2.0 */
/* The event log: rows in order of their ids, a list per subject, records in the store. Fed by
 * event.c; read by api/events.c and api/logs.c. */
#include "domain/event_log.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/domain_internal.h"
#include "domain/metrics.h"
#include "domain/pack.h"
#include "domain/webhook.h"

enum {
    ROW_MEM_MAX = 64 << 10, /* texts of one event */
    DATA_MAX = 4 << 10,
    EVICT_MS = 10 * 60 * 1000, /* between two looks for rows that are too old */
    DAY_MS = 24 * 3600 * 1000,
    COUNT_BITS = 0xfff, /* events in one millisecond that sort by themselves */
};

struct subject {
    char *name;
    struct list rows; /* struct event_row, oldest first */
};

/* Its row is in the log, hidden. */
struct event_draft {
    struct list_node node;
    struct event event;
    struct event_row *row;
};

struct event_log {
    struct domain *domain;
    struct event_row **rows; /* ring, in the order of ids */
    size_t first, room;
    size_t rows_max;
    int64_t age_max_ms;
    struct map subjects;
    struct list drafts; /* struct event_draft, oldest first */
    int64_t id_ms;      /* time and count of the newest id */
    unsigned id_count;
    struct timer flush, evict;
    struct event_log_counters counters;
};

/* clang-format off */
static const struct codec_field event_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct event_record, id)},
    {2, "atMs", CODEC_INT64, 0, offsetof(struct event_record, at_ms)},
    {3, "type", CODEC_STRING, 0, offsetof(struct event_record, type)},
    {4, "weight", CODEC_INT32, 0, offsetof(struct event_record, weight)},
    {5, "teamId", CODEC_STRING, 0, offsetof(struct event_record, team_id)},
    {6, "actor", CODEC_STRING, 0, offsetof(struct event_record, actor)},
    {7, "subject", CODEC_STRING, 0, offsetof(struct event_record, subject)},
    {8, "reason", CODEC_STRING, 0, offsetof(struct event_record, reason)},
    {9, "detail", CODEC_STRING, 0, offsetof(struct event_record, detail)},
    {10, "templateId", CODEC_STRING, 0, offsetof(struct event_record, template_id)},
    {11, "buildId", CODEC_STRING, 0, offsetof(struct event_record, build_id)},
    {12, "data", CODEC_STRING, 0, offsetof(struct event_record, data)},
    {13, "isOfSandbox", CODEC_BOOL, 0, offsetof(struct event_record, is_of_sandbox)},
};
/* clang-format on */

static const struct codec_message event_message = {"event", sizeof(struct event_record),
                                                   event_fields, COUNT_OF(event_fields)};

static struct event_row *at(const struct event_log *l, size_t index)
{
    return l->rows[(l->first + index) % l->room];
}

static struct event_row *row_new(const struct event_record *r)
{
    return pack_new(&event_message, r, sizeof(struct event_row), offsetof(struct event_row, r));
}

static void link_subject(struct event_log *l, struct event_row *row)
{
    struct subject *s = map_get(&l->subjects, row->r.subject);

    if (row->r.subject.len == 0)
        return;
    if (s == NULL) {
        s = mem_zero(sizeof(*s));
        s->name = mem_zero(row->r.subject.len + 1);
        memcpy(s->name, row->r.subject.at, row->r.subject.len);
        map_put(&l->subjects, (struct str){s->name, row->r.subject.len}, s);
    }
    row->subject = s;
    list_push(&s->rows, &row->of_subject);
}

static void subject_free(struct subject *s)
{
    free(s->name);
    free(s);
}

static void row_free(struct event_log *l, struct event_row *row)
{
    struct subject *s = row->subject;

    if (s != NULL) {
        list_remove(&row->of_subject);
        if (list_first(&s->rows) == NULL) {
            map_remove(&l->subjects, row->r.subject);
            subject_free(s);
        }
    }
    free(row);
}

static void evict_first(struct event_log *l)
{
    struct event_row *row = at(l, 0);

    /* When the store is behind, the record stays until the next start evicts it again. */
    ignore(store_remove(l->domain->store, STORE_EVENT, row->r.id, NULL));
    row_free(l, row);
    l->first = (l->first + 1) % l->room;
    l->counters.kept--;
    l->counters.evicted++;
    event_log_touch(l->domain);
}

/* Readers go on behind the last id they saw, so what is behind a draft waits for it. */
static bool is_hidden(const struct event_log *l, const struct event_record *r)
{
    struct list_node *n = list_first(&l->drafts);

    return n != NULL &&
           memcmp(container_of(n, struct event_draft, node)->row->r.id.at, r->id.at, UUID_LEN) <= 0;
}

static void evict_old(struct event_log *l)
{
    int64_t oldest = clock_wall_ms() - l->age_max_ms;

    while (l->counters.kept > 0 && !is_hidden(l, &at(l, 0)->r) &&
           (l->counters.kept > l->rows_max || at(l, 0)->r.at_ms < oldest))
        evict_first(l);
}

static void on_evict(void *ctx)
{
    struct event_log *l = ctx;

    evict_old(l);
    timer_start(l->domain->loop, &l->evict, EVICT_MS, on_evict, l);
}

static void append(struct event_log *l, struct event_row *row)
{
    if (l->counters.kept == l->room) {
        size_t room = l->room == 0 ? 64 : l->room * 2;
        struct event_row **more = mem_array(room, sizeof(struct event_row *));

        for (size_t i = 0; i < l->counters.kept; i++)
            more[i] = at(l, i);
        free(l->rows);
        l->rows = more;
        l->room = room;
        l->first = 0;
    }
    l->rows[(l->first + l->counters.kept) % l->room] = row;
    l->counters.kept++;
    link_subject(l, row);
}

/* Ids never go back, whatever the clock does. */
static void next_id(struct event_log *l, int64_t now_ms, char id[UUID_LEN + 1])
{
    if (now_ms > l->id_ms) {
        l->id_ms = now_ms;
        l->id_count = 0;
    } else if (++l->id_count > COUNT_BITS) {
        l->id_ms++;
        l->id_count = 0;
    }
    id_uuid_at(l->id_ms, l->id_count, id);
}

static void on_flushed(void *ctx, const struct err *err)
{
    struct domain *d = ctx;

    /* No event about it: that would be one more to store. Who needs to know sees the counter. */
    if (err != NULL)
        d->events->counters.lost++;
    webhook_on_durable(d);
}

static void on_flush(void *ctx)
{
    struct domain *d = ctx;

    webhook_before_flush(d);
    store_commit(d->store, on_flushed, d);
}

void event_log_touch(struct domain *d)
{
    if (!timer_running(&d->events->flush))
        timer_start(d->loop, &d->events->flush, EVENT_FLUSH_MS, on_flush, d);
}

void event_log_flush(struct domain *d)
{
    if (d == NULL || !timer_running(&d->events->flush))
        return;
    timer_stop(&d->events->flush);
    store_commit(d->store, NULL, NULL);
}

/* Index of the first row whose id is not below. */
static size_t seek(const struct event_log *l, struct str id)
{
    size_t low = 0, high = l->counters.kept;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct str other = at(l, middle)->r.id;
        size_t common = other.len < id.len ? other.len : id.len;

        if (memcmp(other.at, id.at, common) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int save(struct event_log *l, const struct event_row *row, struct err *err)
{
    struct buf bytes;
    int result;

    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&event_message, &row->r, &bytes);
    if (buf_ok(&bytes))
        result = store_put(l->domain->store, STORE_EVENT, row->r.id, buf_str(&bytes), err);
    else
        result = err_set(err, ERR_LIMIT, "record of an event too large");
    buf_done(&bytes);
    return result;
}

/* event_data of wire.md 8, as far as we know it. */
static void put_data(const struct event *e, const struct sandbox *s, struct buf *out)
{
    char started[RFC3339_MAX], end[RFC3339_MAX];

    if (s == NULL || s->r.started_at_ms == 0)
        return;
    rfc3339_format_ms(s->r.started_at_ms, started);
    rfc3339_format_ms(s->r.end_at_ms, end);
    buf_printf(out, "{\"execution\":{\"started_at\":\"%s\",\"vcpu_count\":%d,\"memory_mb\":%d",
               started, s->r.cpu_count, s->r.memory_mb);
    if (e->kind == EVENT_SANDBOX_KILLED)
        buf_printf(out, ",\"execution_time\":%lld", (long long)(e->at_ms - s->r.started_at_ms));
    buf_add_byte(out, '}');
    if (e->kind == EVENT_SANDBOX_KILLED)
        buf_printf(out, ",\"kill_reason\":\"%s\"", kill_reason_name(e->reason));
    else
        buf_printf(out, ",\"end_at\":\"%s\"", end);
    buf_add_byte(out, '}');
}

/* Who asked for it, when the event comes later than the request. */
static struct str actor_of(const struct event *e, const struct sandbox *s)
{
    bool is_ours = e->reason != KILL_NONE && e->reason != KILL_REQUEST;

    if (s == NULL || is_ours || s->actor[0] == '\0' || !str_is(e->actor, actor_system))
        return is_ours ? str_of(actor_system) : e->actor;
    return str_of(s->actor);
}

static struct event_row *row_of(struct domain *d, const struct event *e)
{
    const struct sandbox *s = event_is_of_sandbox(e->kind) ? sandbox_find(d, e->subject) : NULL;
    char id[UUID_LEN + 1];
    struct event_record r = {
        .id = {id, UUID_LEN},
        .at_ms = e->at_ms,
        .type = str_of(event_type(e->kind)),
        .weight = (int32_t)event_weight(e->kind),
        .team_id = e->team_id,
        .actor = actor_of(e, s),
        .subject = e->subject,
        .reason = e->reason != KILL_NONE ? str_of(kill_reason_name(e->reason)) : (struct str){0 },
        .detail = str_of(e->detail),
        .is_of_sandbox = event_is_of_sandbox(e->kind),
    };
    struct event_row *row;
    struct buf data;

    next_id(d->events, e->at_ms, id);
    buf_init(&data, DATA_MAX);
    put_data(e, s, &data);
    r.data = buf_str(&data);
    if (s != NULL) {
        r.template_id = s->r.template_id;
        r.build_id = s->r.build_id;
        if (r.team_id.len == 0)
            r.team_id = s->r.team_id;
    }
    row = row_new(&r);
    buf_done(&data);
    return row;
}

void event_log_add(struct domain *d, const struct event *e)
{
    struct event_log *l = d->events;
    struct event_row *row = row_of(d, e);

    append(l, row);
    l->counters.total++;
    if (save(l, row, NULL) != 0)
        l->counters.lost++; /* kept in memory, gone at the next start */
    webhook_add(d, row);
    metrics_note(d, e->kind, row->r.team_id, row->r.subject);
    evict_old(l);
    event_log_touch(d);
}

int event_log_prepare(struct domain *d, const struct event *e, struct event_draft **out,
                      struct err *err)
{
    struct event_row *row = row_of(d, e);
    struct event_draft *draft;

    if (save(d->events, row, err) != 0) {
        free(row);
        return -1;
    }
    draft = mem_zero(sizeof(*draft));
    draft->row = row;
    draft->event = *e;
    draft->event.subject = row->r.subject;
    draft->event.team_id = row->r.team_id;
    draft->event.actor = row->r.actor;
    append(d->events, row);
    list_push(&d->events->drafts, &draft->node);
    webhook_add(d, row);
    webhook_before_flush(d);
    *out = draft;
    return 0;
}

struct event event_log_publish(struct domain *d, struct event_draft *draft)
{
    struct event e = draft->event;

    list_remove(&draft->node);
    free(draft);
    d->events->counters.total++;
    metrics_note(d, e.kind, e.team_id, e.subject);
    evict_old(d->events);
    return e;
}

void event_log_discard(struct domain *d, struct event_draft *draft)
{
    struct event_log *l = d->events;
    struct event_row *row = draft->row;

    list_remove(&draft->node);
    free(draft);
    webhook_unmake(d, row->r.id);
    for (size_t i = seek(l, row->r.id); i + 1 < l->counters.kept; i++)
        l->rows[(l->first + i) % l->room] = at(l, i + 1);
    l->counters.kept--;
    row_free(l, row);
}

/* Reading */

static bool passes(const struct event_log *l, const struct event_query *q,
                   const struct event_record *r)
{
    if (is_hidden(l, r))
        return false;
    if (q->team_id.len > 0 && !str_eq(q->team_id, r->team_id))
        return false;
    if (q->subject.len > 0 && !str_eq(q->subject, r->subject))
        return false;
    if (r->at_ms < q->from_ms || (q->until_ms > 0 && r->at_ms > q->until_ms))
        return false;
    return r->weight >= q->weight_min && event_type_matches(r->type, q->type);
}

/* What a subject went through is short, the whole log is not. */
static const struct event_row **all_of(const struct event_log *l, struct str name, struct arena *a,
                                       size_t *out_count)
{
    const struct subject *s = map_get(&l->subjects, name);
    const struct event_row **rows;
    struct list_node *n;
    size_t count = 0;

    for (n = s == NULL ? NULL : list_first(&s->rows); n != NULL; n = list_next(&s->rows, n))
        count++;
    rows = arena_array(a, count + 1, sizeof(struct event_row *));
    *out_count = count;
    count = 0;
    if (rows == NULL || s == NULL)
        return rows;
    for (n = list_first(&s->rows); n != NULL; n = list_next(&s->rows, n))
        rows[count++] = container_of(n, struct event_row, of_subject);
    return rows;
}

static const struct event_row **query_subject(const struct event_log *l,
                                              const struct event_query *q, struct arena *a,
                                              size_t *out_count)
{
    size_t count, kept = 0;
    const struct event_row **rows = all_of(l, q->subject, a, &count);
    const struct event_row **found = arena_array(a, count + 1, sizeof(struct event_row *));

    if (rows == NULL || found == NULL)
        return NULL;
    for (size_t i = 0; i < count && kept < q->limit; i++) {
        const struct event_row *row = rows[q->is_descending ? count - 1 - i : i];
        int order = q->after.len != UUID_LEN ? 0 : memcmp(row->r.id.at, q->after.at, UUID_LEN);
        bool is_behind = q->after.len != UUID_LEN || (q->is_descending ? order < 0 : order > 0);

        if (is_behind && passes(l, q, &row->r))
            found[kept++] = row;
    }
    *out_count = kept;
    return found;
}

static const struct event_row **query_all(const struct event_log *l, const struct event_query *q,
                                          struct arena *a, size_t *out_count)
{
    size_t kept = l->counters.kept, count = 0, first = q->is_descending ? kept : 0;
    size_t room = q->limit < kept ? q->limit : kept;
    const struct event_row **found = arena_array(a, room + 1, sizeof(struct event_row *));

    if (found == NULL)
        return NULL;
    if (q->after.len > 0) {
        first = seek(l, q->after);
        if (!q->is_descending && first < kept && str_eq(at(l, first)->r.id, q->after))
            first++;
    }
    if (q->is_descending)
        for (size_t i = first; i > 0 && count < room; i--)
            if (passes(l, q, &at(l, i - 1)->r))
                found[count++] = at(l, i - 1);
    if (!q->is_descending)
        for (size_t i = first; i < kept && count < room; i++)
            if (passes(l, q, &at(l, i)->r))
                found[count++] = at(l, i);
    *out_count = count;
    return found;
}

const struct event_row **event_log_query(const struct domain *d, const struct event_query *q,
                                         struct arena *a, size_t *out_count)
{
    if (q->subject.len > 0)
        return query_subject(d->events, q, a, out_count);
    return query_all(d->events, q, a, out_count);
}

struct str event_log_team(const struct domain *d, struct str sandbox_id)
{
    const struct subject *s = map_get(&d->events->subjects, sandbox_id);
    const struct event_row *row;

    if (s == NULL)
        return (struct str){0};
    row = container_of(list_first(&s->rows), struct event_row, of_subject);
    return row->r.is_of_sandbox ? row->r.team_id : (struct str){0};
}

bool event_log_knows(const struct domain *d, struct str team_id, struct str sandbox_id)
{
    struct str known = event_log_team(d, sandbox_id);

    return known.len > 0 && str_eq(known, team_id);
}

const struct event_log_counters *event_log_counters(const struct domain *d)
{
    return &d->events->counters;
}

/* Life */

struct event_log *event_log_new(struct domain *d)
{
    struct event_log *l = mem_zero(sizeof(*l));
    uint64_t max = d->config.events_max, days = d->config.events_days;

    l->domain = d;
    l->rows_max = max == 0 ? EVENTS_MAX : (size_t)max;
    l->age_max_ms = (int64_t)(days == 0 ? EVENTS_DAYS : days) * DAY_MS;
    timer_start(d->loop, &l->evict, EVICT_MS, on_evict, l);
    return l;
}

void event_log_free(struct event_log *l)
{
    struct list_node *n;

    if (l == NULL)
        return;
    timer_stop(&l->flush);
    timer_stop(&l->evict);
    while ((n = list_pop(&l->drafts)) != NULL)
        free(container_of(n, struct event_draft, node));
    for (size_t i = 0; i < l->counters.kept; i++)
        row_free(l, at(l, i));
    free(l->rows);
    map_done(&l->subjects);
    free(l);
}

struct load {
    struct event_log *log;
    struct err *err;
    bool is_bad;
};

static bool on_row(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;
    struct event_record r = {0};
    struct arena mem;

    arena_init(&mem, ROW_MEM_MAX);
    if (proto_decode(&event_message, value, &mem, &r, load->err) != 0 || r.id.len != UUID_LEN ||
        !str_eq(r.id, key)) {
        if (r.id.len > 0)
            err_set(load->err, ERR_INVALID, "not an event record");
        err_wrap(load->err, "event '%.*s'", STR_ARG(str_upto(key, UUID_LEN)));
        load->is_bad = true;
    } else {
        append(load->log, row_new(&r));
        load->log->id_ms = r.at_ms > load->log->id_ms ? r.at_ms : load->log->id_ms;
    }
    arena_done(&mem);
    return !load->is_bad;
}

int event_log_load(struct domain *d, struct err *err)
{
    struct load load = {d->events, err, false};

    if (store_each(d->store, STORE_EVENT, on_row, &load, err) != 0 || load.is_bad)
        return -1;
    if (d->events->counters.kept > 0)
        d->events->id_ms++; /* behind all of that millisecond */
    evict_old(d->events);
    return 0;
}
