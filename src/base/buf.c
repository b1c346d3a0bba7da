/* SPDX-License-Identifier: Apache-2.0 */
/* The growing buffer. Used for bodies, in- and outboxes, and building text. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>

enum {
    BUF_FIRST = 256,      /* smallest allocation */
    BUF_KEEP_MAX = 4096,  /* allocations above this are released when the buffer is emptied */
    BUF_SHORT_TEXT = 256, /* printed without asking for the length first */
};

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    size_t max = b->max;

    free(b->base);
    buf_init(b, max);
}

void buf_clear(struct buf *b)
{
    b->at = b->base;
    b->len = 0;
    b->failed = false;
}

/* One byte more than cap is allocated, for the NUL that vsnprintf insists on. */
static bool grow(struct buf *b, size_t needed)
{
    size_t cap = b->cap < BUF_FIRST ? BUF_FIRST : b->cap;
    char *base;

    while (cap < needed)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    base = malloc(cap + 1);
    if (base == NULL)
        return false;
    if (b->len > 0)
        memcpy(base, b->at, b->len);
    free(b->base);
    b->base = b->at = base;
    b->cap = cap;
    return true;
}

char *buf_room(struct buf *b, size_t len)
{
    size_t eaten = b->base == NULL ? 0 : (size_t)(b->at - b->base);
    size_t needed;

    if (b->failed || len > buf_left(b) || b->max == SIZE_MAX) {
        b->failed = true;
        return NULL;
    }
    needed = b->len + len;
    if (b->base == NULL || needed > b->cap - eaten) {
        /* Move down only when that frees as much as it copies, else eating byte by byte would
         * be quadratic; at the full size there is no choice. */
        bool may_move =
            b->base != NULL && needed <= b->cap && (eaten >= b->len || b->cap >= b->max);

        if (may_move) {
            memmove(b->base, b->at, b->len);
            b->at = b->base;
        } else if (!grow(b, needed)) {
            b->failed = true;
            return NULL;
        }
    }
    return b->at + b->len;
}

void buf_fill(struct buf *b, size_t len)
{
    assert(len == 0 || (b->base != NULL && (size_t)(b->at - b->base) + b->len + len <= b->cap));
    b->len += len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    char *room;

    if (len == 0)
        return;
    room = buf_room(b, len);
    if (room == NULL)
        return;
    memcpy(room, data, len);
    buf_fill(b, len);
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.at, s.len);
}

void buf_add_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_add_byte(struct buf *b, char byte)
{
    buf_add(b, &byte, 1);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    char text[BUF_SHORT_TEXT];
    va_list again;
    char *room;
    int len;

    va_copy(again, args);
    len = vsnprintf(text, sizeof(text), format, args);
    if (len < 0) {
        b->failed = true;
    } else if ((size_t)len < sizeof(text)) {
        buf_add(b, text, (size_t)len);
    } else if ((room = buf_room(b, (size_t)len)) != NULL) {
        ignore(vsnprintf(room, (size_t)len + 1, format, again)); /* same text, known length */
        buf_fill(b, (size_t)len);
    }
    va_end(again);
}

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (b->len > 0) {
        b->at += len;
    } else if (b->cap > BUF_KEEP_MAX) {
        free(b->base);
        b->base = b->at = NULL;
        b->cap = 0;
    } else {
        b->at = b->base;
    }
}

void buf_truncate(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len = len;
}
