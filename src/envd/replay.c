/* SPDX-License-Identifier: Apache-2.0 */
/* The ring behind replay.h: process_output.c adds, process_stream.c reads. A record is a head of
 * four bytes (kind and length) and its bytes; both may wrap. */
#include "envd/replay.h"

#include <stdlib.h>

enum {
    RECORD_HEAD = 4,
    RECORD_MAX = (1 << 24) - 1, /* bytes of one record: what 24 bits say */
};

static size_t power_below(size_t max)
{
    size_t size = REPLAY_FIRST;

    if (max < REPLAY_FIRST)
        return 0;
    while (size <= max / 2)
        size *= 2;
    return size;
}

void replay_init(struct replay *r, size_t max, size_t *total)
{
    *r = (struct replay){.max = power_below(max), .total = total};
}

void replay_done(struct replay *r)
{
    free(r->at);
    *r->total -= r->size;
    r->at = NULL;
    r->size = 0;
    r->tail = r->head = r->latest = 0;
    r->first = r->end;
}

static void put(struct replay *r, uint64_t position, const char *data, size_t len)
{
    size_t place = (size_t)position & (r->size - 1);
    size_t before_end = r->size - place < len ? r->size - place : len;

    memcpy(r->at + place, data, before_end);
    memcpy(r->at, data + before_end, len - before_end);
}

static void get(const struct replay *r, uint64_t position, char *out, size_t len)
{
    size_t place = (size_t)position & (r->size - 1);
    size_t before_end = r->size - place < len ? r->size - place : len;

    memcpy(out, r->at + place, before_end);
    memcpy(out + before_end, r->at, len - before_end);
}

static void put_head(struct replay *r, uint64_t position, enum data_kind kind, size_t len)
{
    const uint32_t head = (uint32_t)kind << 24 | (uint32_t)len;

    put(r, position, (const char *)&head, sizeof(head));
}

static size_t get_head(const struct replay *r, uint64_t position, enum data_kind *out_kind)
{
    uint32_t head;

    get(r, position, (char *)&head, sizeof(head));
    *out_kind = (enum data_kind)(head >> 24);
    return head & RECORD_MAX;
}

/* Doubled until `needed` more bytes fit, as far as the bounds and the memory allow. */
static void grow(struct replay *r, size_t needed)
{
    size_t used = (size_t)(r->head - r->tail), size = r->size;
    struct replay larger = *r;

    while (size < r->max && size - used < needed)
        size = size == 0 ? REPLAY_FIRST : size * 2;
    while (size > r->size && *r->total + size - r->size > REPLAY_TOTAL)
        size = size == REPLAY_FIRST ? 0 : size / 2;
    if (size <= r->size)
        return;
    larger.at = malloc(size);
    if (larger.at == NULL)
        return;
    larger.size = size;
    for (uint64_t position = r->tail; position < r->head;) {
        size_t place = (size_t)position & (r->size - 1);
        size_t run = r->size - place;

        run = run < r->head - position ? run : (size_t)(r->head - position);
        put(&larger, position, r->at + place, run);
        position += run;
    }
    free(r->at);
    *r->total += size - r->size;
    *r = larger;
}

static void drop_oldest(struct replay *r)
{
    enum data_kind kind;
    size_t len = get_head(r, r->tail, &kind);

    r->tail += RECORD_HEAD + len;
    r->first += len;
}

/* Small writes of one kind share a record. */
static bool extend_latest(struct replay *r, enum data_kind kind, struct str data)
{
    enum data_kind last;
    size_t len;

    if (r->head == r->tail)
        return false;
    len = get_head(r, r->latest, &last);
    if (last != kind || len + data.len > REPLAY_PIECE ||
        r->size - (size_t)(r->head - r->tail) < data.len)
        return false;
    put_head(r, r->latest, kind, len + data.len);
    put(r, r->head, data.at, data.len);
    r->head += data.len;
    r->end += data.len;
    return true;
}

void replay_add(struct replay *r, enum data_kind kind, struct str data)
{
    size_t needed = RECORD_HEAD + data.len;

    if (data.len == 0)
        return;
    grow(r, needed);
    if (data.len > RECORD_MAX || needed > r->size) {
        /* More than it can keep at all: its end, if it has room for that. */
        size_t fits = r->size > RECORD_HEAD ? r->size - RECORD_HEAD : 0;

        fits = fits < RECORD_MAX ? fits : RECORD_MAX;
        r->tail = r->latest = r->head;
        r->end += data.len - fits;
        r->first = r->end;
        data = str_from(data, data.len - fits);
        needed = RECORD_HEAD + data.len;
        if (data.len == 0)
            return;
    }
    if (extend_latest(r, kind, data))
        return;
    while (r->size - (size_t)(r->head - r->tail) < needed)
        drop_oldest(r);
    r->latest = r->head;
    put_head(r, r->head, kind, data.len);
    put(r, r->head + RECORD_HEAD, data.at, data.len);
    r->head += needed;
    r->end += data.len;
}

bool replay_seek(const struct replay *r, uint64_t offset, struct replay_cursor *out)
{
    uint64_t at = r->first;
    enum data_kind kind;

    *out = (struct replay_cursor){.position = r->tail, .offset = r->first};
    while (out->position < r->head) {
        size_t len = get_head(r, out->position, &kind);

        if (offset < at + len || out->position == r->latest) {
            out->skip = offset > at ? offset - at : 0;
            out->skip = out->skip < len ? out->skip : len; /* the latest may still grow */
            out->offset = at + out->skip;
            break;
        }
        at += len;
        out->position += RECORD_HEAD + len;
    }
    return out->offset < r->end;
}

ssize_t replay_next(const struct replay *r, struct replay_cursor *c, char *out,
                    enum data_kind *out_kind)
{
    while (c->position >= r->tail && c->position < r->head) {
        size_t len = get_head(r, c->position, out_kind);
        size_t left = c->skip < len ? len - (size_t)c->skip : 0;

        if (left > 0) {
            left = left < REPLAY_PIECE ? left : REPLAY_PIECE;
            get(r, c->position + RECORD_HEAD + c->skip, out, left);
            c->skip += left;
            c->offset += left;
            return (ssize_t)left;
        }
        if (c->position == r->latest)
            break; /* it may still grow */
        c->position += RECORD_HEAD + len;
        c->skip = 0;
    }
    return c->offset == r->end ? 0 : -1;
}
