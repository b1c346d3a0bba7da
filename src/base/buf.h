/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that is born with a maximum. It can also be eaten from the front, so it
 * serves as the in- and outbox of a stream.
 *
 * Failure is sticky: an append that would pass the maximum, or finds no memory, appends nothing and
 * sets `failed`; later appends do nothing. Build, then check once with buf_ok(). Never aborts. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
    char *at;   /* first byte not yet consumed; NULL while no memory is held */
    size_t len; /* bytes held */
    size_t max; /* most bytes it will ever hold */
    char *base; /* private: start and size of the allocation */
    size_t cap;
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* releases memory; the buffer is usable again, empty, same max */
void buf_clear(struct buf *b); /* empty and not failed; keeps the memory */

void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_str(struct buf *b, struct str s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_byte(struct buf *b, char byte);
void buf_add_u64(struct buf *b, uint64_t value); /* decimal */
void buf_printf(struct buf *b, const char *format, ...) printf_like(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args);

/* Room for `len` more bytes at the end, for read(2) to fill; then buf_fill() what arrived.
 * NULL when the maximum or the memory does not allow it (`failed` is set). */
char *buf_room(struct buf *b, size_t len);
void buf_fill(struct buf *b, size_t len);

/* Drop `len` bytes from the front. Emptying it releases allocations above 4 KiB, so that an idle
 * connection costs nothing. */
void buf_consume(struct buf *b, size_t len);
void buf_truncate(struct buf *b, size_t len);

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->at, b->len};
}

/* Bytes that may still be added. */
static inline size_t buf_left(const struct buf *b)
{
    return b->max - b->len;
}

#endif
