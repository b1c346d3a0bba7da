/* SPDX-License-Identifier: Apache-2.0 */
/* The gzip file format around inflate.c. Used by envd for bodies with Content-Encoding: gzip. */
#include "codec/gunzip.h"

#include "codec/crc32.h"

enum {
    HEAD_SIZE = 10,
    TRAILER_SIZE = 8,

    FLAG_HEAD_CHECK = 2,
    FLAG_EXTRA = 4,
    FLAG_NAME = 8,
    FLAG_COMMENT = 16,
    FLAGS_RESERVED = 0xe0,
};

/* Where in a member the next byte belongs. */
enum place {
    HEAD,
    EXTRA_SIZE,
    EXTRA,
    NAME,
    COMMENT,
    HEAD_CHECK,
    CONTENT,
    TRAILER,
};

struct gunzip {
    inflate_fn *fn;
    void *ctx;
    uint8_t place;
    uint8_t flags;
    bool is_between;    /* a member has ended, the next has not begun: a good place to end */
    unsigned have;      /* bytes of this place */
    unsigned extra;     /* size of the extra field */
    uint32_t size;      /* of the content, modulo 2^32 */
    uint64_t trailer;   /* check value, then length */
    struct crc32 check; /* of the content */
    struct crc32 head_check;
    struct inflate inflate;
};

static int on_content(void *ctx, struct str data, struct err *err)
{
    struct gunzip *g = ctx;

    crc32_add(&g->check, data);
    g->size += (uint32_t)data.len;
    return g->fn(g->ctx, data, err);
}

static void begin_member(struct gunzip *g)
{
    g->place = HEAD;
    g->have = 0;
    g->size = 0;
    g->trailer = 0;
    g->check.value = g->head_check.value = 0;
}

struct gunzip *gunzip_new(inflate_fn *fn, void *ctx)
{
    struct gunzip *g = malloc(sizeof(*g)); /* the window need not be zeroed */

    if (g == NULL)
        return NULL;
    memset(g, 0, offsetof(struct gunzip, check));
    g->fn = fn;
    g->ctx = ctx;
    crc32_init(&g->check);
    g->head_check = g->check;
    inflate_init(&g->inflate, on_content, g);
    begin_member(g);
    return g;
}

void gunzip_free(struct gunzip *g)
{
    free(g);
}

/* The next place of the head that this member has. */
static void advance(struct gunzip *g)
{
    static const uint8_t flags[] = {
        [EXTRA_SIZE] = FLAG_EXTRA, [EXTRA] = FLAG_EXTRA,           [NAME] = FLAG_NAME,
        [COMMENT] = FLAG_COMMENT,  [HEAD_CHECK] = FLAG_HEAD_CHECK,
    };

    do
        g->place++;
    while (g->place < CONTENT && (g->flags & flags[g->place]) == 0);
    g->have = 0;
}

static int head_byte(struct gunzip *g, uint8_t byte, struct err *err)
{
    static const uint8_t magic[] = {0x1f, 0x8b, 8}; /* and the only method there is */

    g->is_between = false;
    if (g->have < sizeof(magic) && byte != magic[g->have])
        return err_set(err, ERR_INVALID, "not gzip data");
    if (g->have == sizeof(magic) && (byte & FLAGS_RESERVED) != 0)
        return err_set(err, ERR_INVALID, "gzip data with unknown flags");
    if (g->have == sizeof(magic))
        g->flags = byte;
    if (++g->have == HEAD_SIZE)
        advance(g);
    return 0;
}

/* Two bytes, low one first: the size of the extra field, or the check value of the head. */
static int short_byte(struct gunzip *g, uint8_t byte, struct err *err)
{
    g->extra = g->have == 0 ? byte : g->extra | (unsigned)byte << 8;
    if (++g->have < 2)
        return 0;
    if (g->place == HEAD_CHECK && g->extra != (g->head_check.value & 0xffff))
        return err_set(err, ERR_INVALID, "gzip data with a damaged head");
    advance(g);
    if (g->place == EXTRA && g->extra == 0)
        advance(g);
    return 0;
}

static int trailer_byte(struct gunzip *g, uint8_t byte, struct err *err)
{
    g->trailer |= (uint64_t)byte << (8 * g->have);
    if (++g->have < TRAILER_SIZE)
        return 0;
    if (g->trailer != ((uint64_t)g->size << 32 | g->check.value))
        return err_set(err, ERR_INVALID, "gzip data is damaged: its check value is wrong");
    begin_member(g);
    inflate_next(&g->inflate);
    g->is_between = true;
    return 0;
}

/* A byte of anything but content. */
static int one_byte(struct gunzip *g, uint8_t byte, struct err *err)
{
    if (g->place < HEAD_CHECK)
        crc32_add(&g->head_check, (struct str){(const char *)&byte, 1});
    switch ((enum place)g->place) {
    case HEAD: return head_byte(g, byte, err);
    case EXTRA_SIZE:
    case HEAD_CHECK: return short_byte(g, byte, err);
    case EXTRA:
        if (++g->have == g->extra)
            advance(g);
        return 0;
    case NAME:
    case COMMENT:
        if (byte == 0)
            advance(g);
        return 0;
    case CONTENT: /* not byte by byte */
    case TRAILER: break;
    }
    return trailer_byte(g, byte, err);
}

int gunzip_feed(struct gunzip *g, struct str data, struct err *err)
{
    uint8_t byte;

    for (;;) {
        if (g->place == CONTENT) {
            if (inflate_run(&g->inflate, &data, err) != 0)
                return -1;
            if (!g->inflate.is_done)
                return 0;
            g->place = TRAILER;
            g->have = 0;
        }
        if (!inflate_byte(&g->inflate, &data, &byte))
            return 0;
        if (one_byte(g, byte, err) != 0)
            return -1;
    }
}

int gunzip_end(const struct gunzip *g, struct err *err)
{
    if (!g->is_between)
        return err_set(err, ERR_INVALID, "unexpected end of the gzip data");
    return 0;
}
