/* SPDX-License-Identifier: Apache-2.0 */
/* See net_log.h. Fed by domain.c, read by api/net_log.c. */
#include "domain/net_log.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/domain_internal.h"
#include "domain/event_log.h"
#include "domain/pack.h"
#include "domain/sandbox.h"

enum {
    ROW_MEM_MAX = 16 << 10, /* texts of one record while it is read */
    EVICT_MS = 10 * 60 * 1000,
    DAY_MS = 24 * 3600 * 1000,
    COUNT_BITS = 12, /* of a key, below the time */
};

struct net_subject {
    char id[64];
    struct list rows; /* struct net_row */
    size_t count;
};

struct net_log {
    struct domain *domain;
    struct map subjects; /* struct net_subject by id */
    struct list rows;    /* struct net_row */
    size_t count, count_max;
    int64_t age_max_ms;
    uint64_t key_last;
    struct timer evict;
};

/* clang-format off */
static const struct codec_field fields[] = {
    {1, "key", CODEC_STRING, 0, offsetof(struct net_record, key)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct net_record, team_id)},
    {3, "id", CODEC_STRING, 0, offsetof(struct net_record, r.id)},
    {4, "atMs", CODEC_INT64, 0, offsetof(struct net_record, r.at_ms)},
    {5, "tookMs", CODEC_UINT64, 0, offsetof(struct net_record, r.took_ms)},
    {6, "protocol", CODEC_STRING, 0, offsetof(struct net_record, r.protocol)},
    {7, "address", CODEC_STRING, 0, offsetof(struct net_record, r.address)},
    {8, "port", CODEC_UINT32, 0, offsetof(struct net_record, r.port)},
    {9, "name", CODEC_STRING, 0, offsetof(struct net_record, r.name)},
    {10, "rule", CODEC_STRING, 0, offsetof(struct net_record, r.rule)},
    {11, "isDenied", CODEC_BOOL, 0, offsetof(struct net_record, r.is_denied)},
    {12, "detail", CODEC_STRING, 0, offsetof(struct net_record, r.detail)},
    {13, "up", CODEC_UINT64, 0, offsetof(struct net_record, r.up)},
    {14, "down", CODEC_UINT64, 0, offsetof(struct net_record, r.down)},
    {15, "missed", CODEC_UINT32, 0, offsetof(struct net_record, r.missed)},
};
/* clang-format on */

static const struct codec_message message = {"connection", sizeof(struct net_record), fields,
                                             COUNT_OF(fields)};

static void remove_row(struct net_log *l, struct net_row *row)
{
    struct net_subject *s = row->subject;

    list_remove(&row->in_all);
    list_remove(&row->of_subject);
    l->count--;
    if (--s->count == 0) {
        ignore(map_remove(&l->subjects, str_of(s->id)) != NULL); /* it is s */
        free(s);
    }
    free(row);
}

static void evict(struct net_log *l, struct net_row *row)
{
    /* When the store is behind, the record stays until the next start evicts it again. */
    ignore(store_remove(l->domain->store, STORE_CONNECTION, row->record.key, NULL));
    event_log_touch(l->domain);
    remove_row(l, row);
}

static struct net_row *oldest(const struct net_log *l)
{
    struct list_node *n = list_first(&l->rows);

    return n == NULL ? NULL : container_of(n, struct net_row, in_all);
}

static void evict_old(struct net_log *l)
{
    int64_t least_ms = clock_wall_ms() - l->age_max_ms;
    struct net_row *row;

    while ((row = oldest(l)) != NULL && (l->count > l->count_max || row->record.r.at_ms < least_ms))
        evict(l, row);
}

static void on_evict(void *ctx)
{
    struct net_log *l = ctx;

    evict_old(l);
    timer_start(l->domain->loop, &l->evict, EVICT_MS, on_evict, l);
}

/* False: its id is none. */
static bool append(struct net_log *l, const struct net_record *r)
{
    struct net_subject *s = map_get(&l->subjects, r->r.id);
    struct net_row *row;

    if (s == NULL) {
        s = mem_zero(sizeof(*s));
        if (!str_to_c(r->r.id, s->id, sizeof(s->id))) {
            free(s);
            return false;
        }
        ignore(map_put(&l->subjects, str_of(s->id), s) != NULL); /* it was not there, see above */
    }
    row = pack_new(&message, r, sizeof(*row), offsetof(struct net_row, record));
    row->subject = s;
    list_push(&l->rows, &row->in_all);
    list_push(&s->rows, &row->of_subject);
    l->count++;
    s->count++;
    if (s->count > NET_LOG_SANDBOX_MAX)
        evict(l, container_of(list_first(&s->rows), struct net_row, of_subject));
    evict_old(l);
    return true;
}

static void save(struct net_log *l, const struct net_record *r)
{
    struct buf bytes;

    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&message, r, &bytes);
    if (buf_ok(&bytes)) /* else, or when the store takes no more, it is in memory only */
        ignore(store_put(l->domain->store, STORE_CONNECTION, r->key, buf_str(&bytes), NULL));
    buf_done(&bytes);
    event_log_touch(l->domain);
}

/* Keys never go back, whatever the clock does. */
static void next_key(struct net_log *l, char out[NET_LOG_KEY_LEN + 1])
{
    uint64_t now = (uint64_t)clock_wall_ms() << COUNT_BITS;

    l->key_last = now > l->key_last ? now : l->key_last + 1;
    ignore(snprintf(out, NET_LOG_KEY_LEN + 1, "%016llx", (unsigned long long)l->key_last));
}

static struct str team_of(const struct domain *d, struct str id)
{
    const struct sandbox *s = map_get(&d->sandboxes, id);

    return s != NULL ? s->r.team_id : event_log_team(d, id);
}

/* Egress reads what sandboxes send, so its texts are cut before they are kept. */
void net_log_add(struct domain *d, const struct egress_record *told)
{
    struct net_log *l = d->net_log;
    char key[NET_LOG_KEY_LEN + 1];
    struct net_record r = {.team_id = team_of(d, told->id), .r = *told};
    struct str *const texts[] = {&r.r.protocol, &r.r.address, &r.r.name, &r.r.rule, &r.r.detail};

    if (r.team_id.len == 0)
        return;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = str_upto(*texts[i], NET_LOG_TEXT_MAX);
    next_key(l, key);
    r.key = str_of(key);
    save(l, &r);
    ignore((long)append(l, &r)); /* an id that a sandbox has */
}

const struct net_row **net_log_query(const struct domain *d, const struct net_query *q,
                                     struct arena *a, size_t *out_count)
{
    const struct net_subject *s = map_get(&d->net_log->subjects, q->sandbox_id);
    const struct net_row **found = arena_array(a, q->limit + 1, sizeof(*found));
    size_t count = 0;

    if (found == NULL)
        return NULL;
    for (struct list_node *n = s == NULL ? NULL : list_first(&s->rows);
         n != NULL && count < q->limit; n = list_next(&s->rows, n)) {
        const struct net_row *row = container_of(n, struct net_row, of_subject);
        bool is_behind = q->after.len != NET_LOG_KEY_LEN ||
                         memcmp(row->record.key.at, q->after.at, NET_LOG_KEY_LEN) > 0;

        if (is_behind && (row->record.r.is_denied || !q->is_denied))
            found[count++] = row;
    }
    *out_count = count;
    return found;
}

size_t net_log_count(const struct domain *d)
{
    return d->net_log->count;
}

struct net_log *net_log_new(struct domain *d)
{
    struct net_log *l = mem_zero(sizeof(*l));
    uint64_t max = d->config.audit_records_max, days = d->config.events_days;

    l->domain = d;
    l->count_max = max == 0 ? NET_LOG_MAX : (size_t)max;
    l->age_max_ms = (int64_t)(days == 0 ? EVENTS_DAYS : days) * DAY_MS;
    timer_start(d->loop, &l->evict, EVICT_MS, on_evict, l);
    return l;
}

void net_log_free(struct net_log *l)
{
    struct net_row *row;

    if (l == NULL)
        return;
    timer_stop(&l->evict);
    while ((row = oldest(l)) != NULL)
        remove_row(l, row);
    map_done(&l->subjects);
    free(l);
}

static int on_record(struct domain *d, struct str value, struct err *err)
{
    struct net_log *l = d->net_log;
    struct net_record r = {0};
    struct arena mem;
    uint64_t key = 0;
    int result;

    arena_init(&mem, ROW_MEM_MAX);
    result = proto_decode(&message, value, &mem, &r, err);
    for (size_t i = 0; result == 0 && i < r.key.len && i < NET_LOG_KEY_LEN; i++)
        key = key << 4 | (uint64_t)(hex_digit(r.key.at[i]) & 0xf);
    if (result == 0 && (r.key.len != NET_LOG_KEY_LEN || !append(l, &r)))
        result = err_set(err, ERR_INVALID, "not a record of a connection");
    if (result == 0 && key > l->key_last)
        l->key_last = key;
    arena_done(&mem);
    return result;
}

int net_log_load(struct domain *d, struct err *err)
{
    return record_each(d, STORE_CONNECTION, "connection", on_record, err);
}
