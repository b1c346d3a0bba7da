/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses answers of envd for clients that ask for it. A block: find repeats (hash of three
 * bytes, chains, greedy), count symbols, choose the cheapest of the three kinds of block. */
#include "codec/gzip.h"

#include <assert.h>

#include "codec/crc32.h"
#include "codec/prefix_code.h"

enum {
    RING = 64 << 10, /* the block and the 32 KiB before it, by position modulo its size */
    DISTANCE_MAX = 32 << 10,
    LENGTH_MIN = 3,
    LENGTH_LONGEST = 258,
    LENGTH_GOOD = 64, /* long enough to stop looking */
    CHAIN_MAX = 16,   /* candidates looked at */
    HASH_BITS = 13,

    LITERALS = 286,
    DISTANCES = 30,
    END_OF_BLOCK = 256,
    FIRST_LENGTH = 257,
    LENGTH_CODES = 19,
    LENGTH_CODE_BITS = 7,
    CODE_BITS = 15,
    STORED_BITS = 3 + 7 + 32, /* what a stored block costs besides its bytes */
};

/* Lengths of both codes as the head of a block tells them: symbol, and what goes with 16 to 18. */
struct length_run {
    uint8_t symbol, extra;
};

struct block {
    uint32_t literal_counts[LITERALS], distance_counts[DISTANCES], run_counts[LENGTH_CODES];
    struct prefix_code literals, distances, run_code;
    struct length_run runs[LITERALS + DISTANCES];
    unsigned run_count, literal_count, distance_count, code_count;
    uint32_t extra_bits; /* of lengths and distances */
};

struct gzip {
    struct crc32 check;
    uint32_t size; /* of the content so far, modulo 2^32 */
    bool has_head;
    uint64_t bits; /* not yet a whole byte */
    unsigned bit_count;
    uint8_t *to; /* where the next byte goes, in the caller's buffer */
    struct block block;
    unsigned token_count;
    uint32_t tokens[GZIP_BLOCK];                          /* a byte, or distance << 16 | length */
    uint16_t heads[1 << HASH_BITS], chains[DISTANCE_MAX]; /* positions, modulo RING */
    uint8_t ring[RING];
};

static const uint8_t length_order[LENGTH_CODES] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                   11, 4,  12, 3, 13, 2, 14, 1, 15};

struct gzip *gzip_new(void)
{
    struct gzip *z = calloc(1, sizeof(*z));

    if (z != NULL)
        crc32_init(&z->check);
    return z;
}

void gzip_free(struct gzip *z)
{
    free(z);
}

static void put(struct gzip *z, uint32_t value, unsigned count)
{
    z->bits |= (uint64_t)value << z->bit_count;
    z->bit_count += count;
    for (; z->bit_count >= 8; z->bit_count -= 8, z->bits >>= 8)
        *z->to++ = (uint8_t)z->bits;
}

/* To the next whole byte. */
static void align(struct gzip *z)
{
    put(z, 0, (8 - z->bit_count) & 7);
}

/* Symbol and extra bits of a length or distance: both grow by powers of two, a length in four steps
 * each and a distance in two. */
struct scaled {
    unsigned symbol, extra_bits, extra;
};

static unsigned highest_bit(unsigned value)
{
    return 31 - (unsigned)__builtin_clz(value);
}

static struct scaled scale(unsigned value, unsigned step_bits)
{
    unsigned high, bits;

    if (value < 2u << step_bits)
        return (struct scaled){value, 0, 0};
    high = highest_bit(value);
    bits = high - step_bits;
    return (struct scaled){(bits << step_bits) + (value >> bits), bits, value & ((1u << bits) - 1)};
}

static struct scaled scale_length(unsigned length)
{
    struct scaled s = scale(length - LENGTH_MIN, 2);

    if (length == LENGTH_LONGEST)
        s = (struct scaled){28, 0, 0};
    s.symbol += FIRST_LENGTH;
    return s;
}

static unsigned hash_at(const struct gzip *z, uint32_t at)
{
    uint32_t three = (uint32_t)z->ring[at % RING] | (uint32_t)z->ring[(at + 1) % RING] << 8 |
                     (uint32_t)z->ring[(at + 2) % RING] << 16;

    return (three * 0x9e3779b1u) >> (32 - HASH_BITS);
}

static unsigned match_length(const struct gzip *z, uint32_t a, uint32_t b, unsigned most)
{
    unsigned len = 0;

    while (len < most && z->ring[(a + len) % RING] == z->ring[(b + len) % RING])
        len++;
    return len;
}

/* Remember where these three bytes are; returns where they were last. */
static uint16_t remember(struct gzip *z, uint32_t at)
{
    unsigned hash = hash_at(z, at);
    uint16_t before = z->heads[hash];

    z->chains[at % DISTANCE_MAX] = before;
    z->heads[hash] = (uint16_t)at;
    return before;
}

/* The longest repeat at `at` with at most `most` bytes; its distance, 0: none. A candidate may be
 * wrong (positions come again after 64 KiB), which comparing finds out. */
static unsigned find_repeat(struct gzip *z, uint32_t at, unsigned most, unsigned *out_length)
{
    uint16_t candidate = remember(z, at);
    unsigned best = LENGTH_MIN - 1, best_distance = 0, last_distance = 0;

    for (int i = 0; i < CHAIN_MAX && best < LENGTH_GOOD && best < most; i++) {
        unsigned distance = (uint16_t)(at - candidate);
        unsigned len;

        if (distance <= last_distance || distance > DISTANCE_MAX || distance > at)
            break;
        last_distance = distance;
        len = match_length(z, at - distance, at, most);
        if (len > best) {
            best = len;
            best_distance = distance;
        }
        candidate = z->chains[candidate % DISTANCE_MAX];
    }
    *out_length = best;
    return best_distance;
}

static void find_tokens(struct gzip *z, size_t len)
{
    uint32_t at = z->size, end = z->size + (uint32_t)len;

    z->token_count = 0;
    while (at != end) {
        unsigned most = end - at < LENGTH_LONGEST ? end - at : LENGTH_LONGEST;
        unsigned length = 1, distance = 0;

        if (most >= LENGTH_MIN)
            distance = find_repeat(z, at, most, &length);
        if (distance == 0) {
            z->tokens[z->token_count++] = z->ring[at++ % RING];
            continue;
        }
        z->tokens[z->token_count++] = distance << 16 | length;
        for (at++; --length > 0; at++) {
            if (end - at >= LENGTH_MIN)
                ignore(remember(z, at)); /* repeats may begin inside of it */
        }
    }
}

static void count_symbols(struct gzip *z)
{
    struct block *b = &z->block;

    memset(b, 0, sizeof(*b));
    b->literal_counts[END_OF_BLOCK] = 1;
    for (unsigned i = 0; i < z->token_count; i++) {
        uint32_t token = z->tokens[i];
        struct scaled length, distance;

        if (token >> 16 == 0) {
            b->literal_counts[token]++;
            continue;
        }
        length = scale_length(token & 0xffff);
        distance = scale((token >> 16) - 1, 1);
        b->literal_counts[length.symbol]++;
        b->distance_counts[distance.symbol]++;
        b->extra_bits += length.extra_bits + distance.extra_bits;
    }
}

static void add_run(struct block *b, unsigned symbol, unsigned extra)
{
    b->runs[b->run_count++] = (struct length_run){(uint8_t)symbol, (uint8_t)extra};
    b->run_counts[symbol]++;
}

/* `count` equal lengths: 16 repeats the last one, 17 and 18 are zeros. */
static void add_runs(struct block *b, uint8_t length, unsigned count)
{
    if (length > 0) {
        add_run(b, length, 0);
        count--;
    }
    while (count >= 3) {
        unsigned symbol = length > 0 ? 16 : count > 10 ? 18 : 17;
        unsigned base = symbol == 18 ? 11 : 3;
        unsigned longest = symbol == 18 ? 138 : symbol == 17 ? 10 : 6;
        unsigned run = count < longest ? count : longest;

        add_run(b, symbol, run - base);
        count -= run;
    }
    for (; count > 0; count--)
        add_run(b, length, 0);
}

/* Both codes, and the code in which their lengths are told. */
static void make_codes(struct block *b)
{
    uint8_t all[LITERALS + DISTANCES];
    unsigned total;

    prefix_lengths(&b->literals, b->literal_counts, LITERALS, CODE_BITS);
    prefix_lengths(&b->distances, b->distance_counts, DISTANCES, CODE_BITS);
    for (b->literal_count = LITERALS; b->literals.lengths[b->literal_count - 1] == 0;)
        b->literal_count--;
    for (b->distance_count = DISTANCES; b->distances.lengths[b->distance_count - 1] == 0;)
        b->distance_count--;
    total = b->literal_count + b->distance_count;
    memcpy(all, b->literals.lengths, b->literal_count);
    memcpy(all + b->literal_count, b->distances.lengths, b->distance_count);
    for (unsigned i = 0, run; i < total; i += run) {
        for (run = 1; i + run < total && all[i + run] == all[i];)
            run++;
        add_runs(b, all[i], run);
    }
    prefix_lengths(&b->run_code, b->run_counts, LENGTH_CODES, LENGTH_CODE_BITS);
    for (b->code_count = LENGTH_CODES;
         b->code_count > 4 && b->run_code.lengths[length_order[b->code_count - 1]] == 0;)
        b->code_count--;
}

/* The codes that need not be told. */
static void make_fixed(struct prefix_code *literals, struct prefix_code *distances)
{
    for (unsigned i = 0; i < PREFIX_SYMBOLS_MAX; i++)
        literals->lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    memset(distances->lengths, 5, DISTANCES);
}

static uint64_t cost_of(const uint32_t *counts, const struct prefix_code *c, unsigned count)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < count; i++)
        bits += (uint64_t)counts[i] * c->lengths[i];
    return bits;
}

static unsigned run_extra_bits(unsigned symbol)
{
    return symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
}

static uint64_t cost_of_head(const struct block *b)
{
    uint64_t bits = 3 + 14 + 3 * (uint64_t)b->code_count;

    for (unsigned i = 0; i < b->run_count; i++)
        bits += b->run_code.lengths[b->runs[i].symbol] + run_extra_bits(b->runs[i].symbol);
    return bits;
}

static void put_head(struct gzip *z)
{
    struct block *b = &z->block;

    put(z, b->literal_count - FIRST_LENGTH, 5);
    put(z, b->distance_count - 1, 5);
    put(z, b->code_count - 4, 4);
    for (unsigned i = 0; i < b->code_count; i++)
        put(z, b->run_code.lengths[length_order[i]], 3);
    prefix_codes(&b->run_code, LENGTH_CODES);
    for (unsigned i = 0; i < b->run_count; i++) {
        unsigned symbol = b->runs[i].symbol;

        put(z, b->run_code.codes[symbol], b->run_code.lengths[symbol]);
        put(z, b->runs[i].extra, run_extra_bits(symbol));
    }
}

static void put_symbol(struct gzip *z, const struct prefix_code *c, struct scaled s)
{
    put(z, c->codes[s.symbol], c->lengths[s.symbol]);
    put(z, s.extra, s.extra_bits);
}

static void put_tokens(struct gzip *z)
{
    struct block *b = &z->block;

    prefix_codes(&b->literals, PREFIX_SYMBOLS_MAX);
    prefix_codes(&b->distances, DISTANCES);
    for (unsigned i = 0; i < z->token_count; i++) {
        uint32_t token = z->tokens[i];

        if (token >> 16 == 0) {
            put_symbol(z, &b->literals, (struct scaled){token, 0, 0});
            continue;
        }
        put_symbol(z, &b->literals, scale_length(token & 0xffff));
        put_symbol(z, &b->distances, scale((token >> 16) - 1, 1));
    }
    put_symbol(z, &b->literals, (struct scaled){END_OF_BLOCK, 0, 0});
}

static void put_stored(struct gzip *z, struct str data)
{
    put(z, 0, 3);
    align(z);
    put(z, (uint32_t)data.len, 16);
    put(z, (uint32_t)data.len ^ 0xffff, 16);
    memcpy(z->to, data.at, data.len);
    z->to += data.len;
}

static void put_block(struct gzip *z, struct str data)
{
    struct block *b = &z->block;
    struct prefix_code fixed_literals, fixed_distances;
    uint64_t dynamic, fixed, stored = STORED_BITS + 8 * (uint64_t)data.len;

    count_symbols(z);
    make_codes(b);
    make_fixed(&fixed_literals, &fixed_distances);
    dynamic = cost_of_head(b) + cost_of(b->literal_counts, &b->literals, LITERALS) +
              cost_of(b->distance_counts, &b->distances, DISTANCES) + b->extra_bits;
    fixed = 3 + cost_of(b->literal_counts, &fixed_literals, LITERALS) +
            cost_of(b->distance_counts, &fixed_distances, DISTANCES) + b->extra_bits;
    if (stored <= dynamic && stored <= fixed) {
        put_stored(z, data);
        return;
    }
    if (dynamic < fixed) {
        put(z, 2 << 1, 3);
        put_head(z);
    } else {
        put(z, 1 << 1, 3);
        memcpy(b->literals.lengths, fixed_literals.lengths, sizeof(fixed_literals.lengths));
        memcpy(b->distances.lengths, fixed_distances.lengths, DISTANCES);
    }
    put_tokens(z);
}

/* Room for what a call writes; false: no memory, and the buffer says so. */
static bool begin_call(struct gzip *z, struct buf *out)
{
    /* no time, no name, no flags; 255: the system is not told */
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

    z->to = (uint8_t *)buf_room(out, GZIP_OUT_MAX);
    if (z->to == NULL)
        return false;
    if (!z->has_head) {
        memcpy(z->to, head, sizeof(head));
        z->to += sizeof(head);
    }
    z->has_head = true;
    return true;
}

static void end_call(struct gzip *z, struct buf *out)
{
    const uint8_t *start = (const uint8_t *)out->at + out->len;

    buf_fill(out, (size_t)(z->to - start));
    z->to = NULL;
}

void gzip_add(struct gzip *z, struct str data, struct buf *out)
{
    assert(data.len <= GZIP_BLOCK);
    if (data.len == 0 || !begin_call(z, out))
        return;
    crc32_add(&z->check, data);
    for (size_t i = 0; i < data.len; i++)
        z->ring[(z->size + i) % RING] = (uint8_t)data.at[i];
    find_tokens(z, data.len);
    z->size += (uint32_t)data.len;
    put_block(z, data);
    end_call(z, out);
}

void gzip_end(struct gzip *z, struct buf *out)
{
    if (!begin_call(z, out))
        return;
    put(z, 1 | 1 << 1, 3); /* an empty block of the fixed kind, the last one */
    put(z, 0, 7);
    align(z);
    put(z, z->check.value & 0xffff, 16);
    put(z, z->check.value >> 16, 16);
    put(z, z->size & 0xffff, 16);
    put(z, z->size >> 16, 16);
    end_call(z, out);
}
