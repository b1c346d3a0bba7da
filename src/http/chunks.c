/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked coding, decoded byte by byte (RFC 9112 7.1). Called by body.c for both directions. */
#include "base/id.h"
#include "http/parse_internal.h"

enum {
    SIZE_DIGITS_MAX = 15, /* never overflows 64 bits */
    EXTENSION_MAX = 1 << 10,
    TRAILERS_MAX = 8 << 10,
};

enum chunk_state {
    CHUNK_SIZE, /* a first digit must come */
    CHUNK_SIZE_MORE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_LF,
    CHUNK_TRAILER, /* at the start of a line behind the last chunk */
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_END_LF,
};

static int on_size(struct http_chunks *c, char byte)
{
    int digit = hex_digit(byte);

    if (digit >= 0) {
        if (++c->skipped > SIZE_DIGITS_MAX)
            return -1;
        c->left = c->left << 4 | (unsigned)digit;
        return CHUNK_SIZE_MORE;
    }
    if (c->state == CHUNK_SIZE)
        return -1;
    c->skipped = 0;
    if (byte == ';')
        return CHUNK_EXTENSION;
    return byte == '\r' ? CHUNK_SIZE_LF : -1;
}

static int on_trailer(struct http_chunks *c, char byte)
{
    if (++c->skipped > TRAILERS_MAX)
        return -1;
    if (c->state == CHUNK_TRAILER && byte == '\r')
        return CHUNK_END_LF;
    if (c->state == CHUNK_TRAILER_VALUE) {
        if (byte == '\r')
            return CHUNK_TRAILER_LF;
        return http_char_is(byte, CHAR_VALUE) ? CHUNK_TRAILER_VALUE : -1;
    }
    if (c->state == CHUNK_TRAILER_NAME && byte == ':')
        return CHUNK_TRAILER_VALUE;
    return http_char_is(byte, CHAR_TOKEN) ? CHUNK_TRAILER_NAME : -1;
}

/* The state behind one byte of framing, or -1. */
static int on_byte(struct http_chunks *c, char byte)
{
    switch ((enum chunk_state)c->state) {
    case CHUNK_SIZE:
    case CHUNK_SIZE_MORE: return on_size(c, byte);
    case CHUNK_EXTENSION:
        if (++c->skipped > EXTENSION_MAX)
            return -1;
        if (byte == '\r')
            return CHUNK_SIZE_LF;
        return http_char_is(byte, CHAR_VALUE) ? CHUNK_EXTENSION : -1;
    case CHUNK_SIZE_LF:
        c->skipped = 0;
        if (byte != '\n')
            return -1;
        return c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
    case CHUNK_DATA: /* all of it was taken: its line end */
        return byte == '\r' ? CHUNK_DATA_LF : -1;
    case CHUNK_DATA_LF: return byte == '\n' ? CHUNK_SIZE : -1;
    case CHUNK_TRAILER:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE: return on_trailer(c, byte);
    case CHUNK_TRAILER_LF: return byte == '\n' ? CHUNK_TRAILER : -1;
    case CHUNK_END_LF: c->is_done = byte == '\n'; return c->is_done ? CHUNK_END_LF : -1;
    }
    return -1;
}

/* The lines as they are, without the empty one that ends them. */
static void keep_trailer(struct http_chunks *c, int next, char byte)
{
    if (c->trailers == NULL || c->state < CHUNK_TRAILER || next == CHUNK_END_LF)
        return;
    if (c->trailers->max == 0)
        buf_init(c->trailers, 2 * TRAILERS_MAX); /* on_trailer() counts no line feeds */
    buf_add_byte(c->trailers, byte);
}

ssize_t http_chunks_next(struct http_chunks *c, struct str in, struct str *data)
{
    size_t used = 0;

    *data = (struct str){in.at, 0};
    while (used < in.len && !c->is_done) {
        int state;

        /* The state stays while the run is out: a consumer that takes less of it adds the rest
         * to `left` again (body.c). */
        if (c->state == CHUNK_DATA && c->left > 0) {
            *data = str_upto(str_from(in, used), c->left > SIZE_MAX ? SIZE_MAX : (size_t)c->left);
            c->left -= data->len;
            return (ssize_t)(used + data->len);
        }
        state = on_byte(c, in.at[used]);
        if (state < 0)
            return -1;
        keep_trailer(c, state, in.at[used]);
        c->state = (uint8_t)state;
        used++;
    }
    return (ssize_t)used;
}
