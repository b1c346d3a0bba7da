/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes DEFLATE data for gunzip.c.
 *
 * Every step needs at most 48 bits and the bit buffer holds 56, so a step either has all it needs
 * or changes nothing and waits for more: there is no state within a step. */
#include "codec/inflate.h"

#include <endian.h>

enum {
    CODE_BITS_MAX = 15,
    LENGTH_CODES = 19,
    END_OF_BLOCK = 256,
    LENGTH_SYMBOLS = 29,
    DISTANCE_SYMBOLS = 30,
};

enum state {
    BLOCK_HEAD,
    STORED_HEAD,
    STORED,
    DYNAMIC_HEAD,
    CODE_LENGTHS,
    LENGTHS,
    CODES,
    DONE,
};

/* What a step says. */
enum outcome {
    WENT_ON,
    WAITS, /* for more input; nothing was changed */
    BROKEN,
    STOPPED, /* by the receiver, which has said why */
};

static const uint16_t length_base[LENGTH_SYMBOLS] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                     15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                     67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[LENGTH_SYMBOLS] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                     2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[DISTANCE_SYMBOLS] = {
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
/* The order in which the lengths of the code of lengths come. */
static const uint8_t length_order[LENGTH_CODES] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                   11, 4,  12, 3, 13, 2, 14, 1, 15};

void inflate_init(struct inflate *z, inflate_fn *fn, void *ctx)
{
    /* the window needs no zeroing: no distance reaches what was not written */
    memset(z, 0, offsetof(struct inflate, window));
    z->fn = fn;
    z->ctx = ctx;
    z->state = BLOCK_HEAD;
}

void inflate_next(struct inflate *z)
{
    z->state = BLOCK_HEAD;
    z->is_done = z->is_filled = false;
    z->at = z->flushed = 0;
}

/* Bring the bit buffer to 56 bits or more, or the input to its end. Of a word, what does not fit is
 * put in all the same and put in again later: it is the same bits. */
static void refill(struct inflate *z, struct str *in)
{
    uint64_t word;

    if (in->len >= sizeof(word)) {
        unsigned bytes = (63 - z->bit_count) / 8;

        memcpy(&word, in->at, sizeof(word));
        z->bits |= le64toh(word) << z->bit_count;
        z->bit_count += bytes * 8;
        *in = (struct str){in->at + bytes, in->len - bytes};
        return;
    }
    while (z->bit_count < 56 && in->len > 0) {
        z->bits |= (uint64_t)(uint8_t)in->at[0] << z->bit_count;
        z->bit_count += 8;
        *in = (struct str){in->at + 1, in->len - 1};
    }
}

static unsigned take(struct inflate *z, unsigned count)
{
    unsigned value = (unsigned)(z->bits & ((1u << count) - 1));

    z->bits >>= count;
    z->bit_count -= count;
    return value;
}

/* Codes come with their first bit first, so they stand mirrored in the bit buffer. */
static unsigned mirror(unsigned code, unsigned len)
{
    unsigned out = 0;

    for (unsigned bit = 0; bit < len; bit++)
        out |= (code >> bit & 1) << (len - 1 - bit);
    return out;
}

static void make_fast(struct inflate_code *c)
{
    unsigned code = 0, index = 0;

    memset(c->fast, 0, sizeof(c->fast));
    for (unsigned len = 1; len <= INFLATE_FAST_BITS; len++, code <<= 1) {
        for (unsigned i = 0; i < c->counts[len]; i++, code++, index++) {
            for (unsigned at = mirror(code, len); at < COUNT_OF(c->fast); at += 1u << len)
                c->fast[at] = (uint16_t)(c->symbols[index] << 4 | len);
        }
    }
}

/* Which codes are taken: the same as by zlib. */
enum completeness {
    CODE_COMPLETE,
    CODE_SPARSE, /* one symbol of one bit, or none: what encoders write for a single distance */
    CODE_BAD,
};

/* The code whose symbols have these lengths (0: unused). */
static enum completeness make_code(struct inflate_code *c, const uint8_t *lengths, unsigned count)
{
    uint16_t offsets[CODE_BITS_MAX + 1] = {0};
    unsigned used = 0;
    int left = 1;

    memset(c->counts, 0, sizeof(c->counts));
    for (unsigned i = 0; i < count; i++)
        c->counts[lengths[i]]++;
    c->counts[0] = 0;
    for (unsigned len = 1; len <= CODE_BITS_MAX; len++) {
        left = (left << 1) - c->counts[len];
        if (left < 0)
            return CODE_BAD;
        offsets[len] = (uint16_t)used;
        used += c->counts[len];
    }
    if (left > 0 && used > c->counts[1])
        return CODE_BAD;
    for (unsigned i = 0; i < count; i++) {
        if (lengths[i] > 0)
            c->symbols[offsets[lengths[i]]++] = (uint16_t)i;
    }
    make_fast(c);
    return left > 0 ? CODE_SPARSE : CODE_COMPLETE;
}

enum { /* instead of a symbol */
       NEEDS_BITS = -1,
       NO_SUCH_CODE = -2,
};

/* The next symbol, or one of the above. */
static int decode(struct inflate *z, const struct inflate_code *c)
{
    unsigned found = c->fast[z->bits & ((1u << INFLATE_FAST_BITS) - 1)];
    unsigned code = 0, first = 0, index = 0;

    if (found != 0 && (found & 15) <= z->bit_count) {
        ignore((long)take(z, found & 15)); /* the symbol is known */
        return (int)(found >> 4);
    }
    for (unsigned len = 1; len <= CODE_BITS_MAX; len++) {
        if (len > z->bit_count)
            return NEEDS_BITS;
        code |= (unsigned)(z->bits >> (len - 1)) & 1;
        if (code - first < c->counts[len]) {
            ignore((long)take(z, len)); /* the symbol is known */
            return c->symbols[index + code - first];
        }
        index += c->counts[len];
        first = (first + c->counts[len]) << 1;
        code <<= 1;
    }
    return NO_SUCH_CODE;
}

static int flush(struct inflate *z, struct err *err)
{
    struct str data = {(const char *)z->window + z->flushed, z->at - z->flushed};

    z->flushed = z->at;
    return data.len == 0 ? 0 : z->fn(z->ctx, data, err);
}

/* The window's end is reached: tell it and begin again. */
static int wrap(struct inflate *z, struct err *err)
{
    if (flush(z, err) != 0)
        return -1;
    z->at = z->flushed = 0;
    z->is_filled = true;
    return 0;
}

/* Repeat `length` bytes from `distance` back; they may overlap, which is how runs are made. */
static int copy(struct inflate *z, size_t distance, size_t length, struct err *err)
{
    size_t from = (z->at - distance) & (INFLATE_WINDOW - 1);

    while (length > 0) {
        size_t run = INFLATE_WINDOW - (from > z->at ? from : z->at);

        if (run > length)
            run = length;
        if (from + run <= z->at || from >= z->at + run) {
            memcpy(z->window + z->at, z->window + from, run);
        } else {
            for (size_t i = 0; i < run; i++)
                z->window[z->at + i] = z->window[from + i];
        }
        z->at += run;
        from = (from + run) & (INFLATE_WINDOW - 1);
        length -= run;
        if (z->at == INFLATE_WINDOW && wrap(z, err) != 0)
            return -1;
    }
    return 0;
}

static enum outcome block_head(struct inflate *z)
{
    if (z->bit_count < 3)
        return WAITS;
    z->is_last = take(z, 1);
    switch (take(z, 2)) {
    case 0:
        ignore((long)take(z, z->bit_count & 7)); /* to the next whole byte */
        z->state = STORED_HEAD;
        return WENT_ON;
    case 1:
        memset(z->lengths, 8, 144);
        memset(z->lengths + 144, 9, 112);
        memset(z->lengths + 256, 7, 24);
        memset(z->lengths + 280, 8, 8);
        memset(z->lengths + INFLATE_LITERALS, 5, INFLATE_DISTANCES);
        break;
    case 2: z->state = DYNAMIC_HEAD; return WENT_ON;
    default: return BROKEN;
    }
    ignore((long)make_code(&z->literals, z->lengths, INFLATE_LITERALS)); /* good: fixed */
    ignore((long)make_code(&z->distances, z->lengths + INFLATE_LITERALS, INFLATE_DISTANCES));
    z->state = CODES;
    return WENT_ON;
}

static enum outcome stored_head(struct inflate *z)
{
    unsigned len, check;

    if (z->bit_count < 32)
        return WAITS;
    len = take(z, 16);
    check = take(z, 16);
    if (len != (check ^ 0xffff))
        return BROKEN;
    z->stored_left = len;
    z->state = STORED;
    return WENT_ON;
}

static enum outcome end_block(struct inflate *z)
{
    z->state = z->is_last ? DONE : BLOCK_HEAD;
    return WENT_ON;
}

bool inflate_byte(struct inflate *z, struct str *in, uint8_t *out)
{
    if (z->bit_count >= 8) {
        *out = (uint8_t)take(z, 8);
        return true;
    }
    z->bits = z->bit_count = 0; /* what is above comes again */
    if (in->len == 0)
        return false;
    *out = (uint8_t)in->at[0];
    *in = str_from(*in, 1);
    return true;
}

static enum outcome stored(struct inflate *z, struct str *in, struct err *err)
{
    size_t run;
    uint8_t byte;

    while (z->stored_left > 0 && z->bit_count >= 8 && inflate_byte(z, in, &byte)) {
        z->window[z->at++] = byte;
        z->stored_left--;
        if (z->at == INFLATE_WINDOW && wrap(z, err) != 0)
            return STOPPED;
    }
    if (z->stored_left == 0)
        return end_block(z);
    z->bits = 0; /* what is above comes again */
    run = INFLATE_WINDOW - z->at;
    if (run > z->stored_left)
        run = z->stored_left;
    if (run > in->len)
        run = in->len;
    if (run == 0)
        return WAITS;
    memcpy(z->window + z->at, in->at, run);
    *in = str_from(*in, run);
    z->at += run;
    z->stored_left -= (uint32_t)run;
    return z->at == INFLATE_WINDOW && wrap(z, err) != 0 ? STOPPED : WENT_ON;
}

static enum outcome dynamic_head(struct inflate *z)
{
    if (z->bit_count < 14)
        return WAITS;
    z->literal_count = take(z, 5) + 257;
    z->distance_count = take(z, 5) + 1;
    z->length_count = take(z, 4) + 4;
    z->have = 0;
    memset(z->lengths, 0, LENGTH_CODES);
    z->state = CODE_LENGTHS;
    return z->literal_count > 286 || z->distance_count > DISTANCE_SYMBOLS ? BROKEN : WENT_ON;
}

static enum outcome code_length(struct inflate *z)
{
    if (z->have == z->length_count) {
        z->have = 0;
        z->state = LENGTHS;
        return make_code(&z->distances, z->lengths, LENGTH_CODES) == CODE_COMPLETE ? WENT_ON
                                                                                   : BROKEN;
    }
    if (z->bit_count < 3)
        return WAITS;
    z->lengths[length_order[z->have++]] = (uint8_t)take(z, 3);
    return WENT_ON;
}

static enum outcome end_of_lengths(struct inflate *z)
{
    z->state = CODES;
    return z->lengths[END_OF_BLOCK] > 0 &&
                   make_code(&z->literals, z->lengths, z->literal_count) != CODE_BAD &&
                   make_code(&z->distances, z->lengths + z->literal_count, z->distance_count) !=
                       CODE_BAD
               ? WENT_ON
               : BROKEN;
}

static enum outcome one_length(struct inflate *z)
{
    static const uint8_t extra[] = {2, 3, 7}, base[] = {3, 3, 11};
    unsigned total = z->literal_count + z->distance_count;
    unsigned repeat = 1;
    uint8_t value;
    int symbol;

    if (z->have == total)
        return end_of_lengths(z);
    symbol = decode(z, &z->distances);
    if (symbol < 0)
        return symbol == NEEDS_BITS ? WAITS : BROKEN;
    value = symbol < 16 ? (uint8_t)symbol : 0;
    if (symbol >= 16 && z->bit_count < extra[symbol - 16])
        return WAITS;
    if (symbol >= 16)
        repeat = base[symbol - 16] + take(z, extra[symbol - 16]);
    if (symbol == 16 && z->have == 0)
        return BROKEN;
    if (symbol == 16)
        value = z->lengths[z->have - 1];
    if (repeat > total - z->have)
        return BROKEN;
    memset(z->lengths + z->have, value, repeat);
    z->have += repeat;
    return WENT_ON;
}

/* A length was read: its extra bits, then the distance. */
static enum outcome repeated(struct inflate *z, unsigned symbol, struct err *err)
{
    unsigned length, distance, extra;
    int code;

    if (symbol >= LENGTH_SYMBOLS)
        return BROKEN;
    if (z->bit_count < length_extra[symbol])
        return WAITS;
    length = length_base[symbol] + take(z, length_extra[symbol]);
    code = decode(z, &z->distances);
    if (code < 0)
        return code == NEEDS_BITS ? WAITS : BROKEN;
    if (code >= DISTANCE_SYMBOLS)
        return BROKEN;
    extra = code < 4 ? 0 : (unsigned)code / 2 - 1;
    if (z->bit_count < extra)
        return WAITS;
    distance = distance_base[code] + take(z, extra);
    if (distance > z->at && !z->is_filled)
        return BROKEN; /* before the start of the content */
    return copy(z, distance, length, err) != 0 ? STOPPED : WENT_ON;
}

static enum outcome one_symbol(struct inflate *z, struct err *err)
{
    int symbol = decode(z, &z->literals);

    if (symbol < 0)
        return symbol == NEEDS_BITS ? WAITS : BROKEN;
    if (symbol == END_OF_BLOCK)
        return end_block(z);
    if (symbol > END_OF_BLOCK)
        return repeated(z, (unsigned)symbol - END_OF_BLOCK - 1, err);
    z->window[z->at++] = (uint8_t)symbol;
    return z->at == INFLATE_WINDOW && wrap(z, err) != 0 ? STOPPED : WENT_ON;
}

static enum outcome step(struct inflate *z, struct str *in, struct err *err)
{
    switch ((enum state)z->state) {
    case BLOCK_HEAD: return block_head(z);
    case STORED_HEAD: return stored_head(z);
    case STORED: return stored(z, in, err);
    case DYNAMIC_HEAD: return dynamic_head(z);
    case CODE_LENGTHS: return code_length(z);
    case LENGTHS: return one_length(z);
    case CODES: return one_symbol(z, err);
    case DONE: break; /* no step follows */
    }
    return BROKEN;
}

int inflate_run(struct inflate *z, struct str *in, struct err *err)
{
    enum outcome outcome = WENT_ON;

    while (outcome == WENT_ON && z->state != DONE) {
        uint64_t bits;
        unsigned bit_count;

        if (z->state != STORED)
            refill(z, in);
        bits = z->bits;
        bit_count = z->bit_count;
        outcome = step(z, in, err);
        if (outcome == WAITS && z->state != STORED) {
            z->bits = bits;
            z->bit_count = bit_count;
        }
    }
    if (outcome == STOPPED)
        return -1;
    if (z->state == DONE && !z->is_done) {
        ignore((long)take(z, z->bit_count & 7)); /* to the next whole byte */
        z->is_done = true;
    }
    if (flush(z, err) != 0)
        return -1;
    return outcome == BROKEN ? err_set(err, ERR_INVALID, "malformed compressed data") : 0;
}
