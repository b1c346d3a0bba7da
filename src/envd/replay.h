/* SPDX-License-Identifier: Apache-2.0 */
/* The latest output of a process, kept for a Connect that asks to hear it again.
 *
 * Output is counted in bytes from the start of the process, stdout, stderr and terminal together in
 * the order they were read: that count is an offset. A ring keeps the last bytes with their kind;
 * the oldest are overwritten. It holds no memory before the first byte and grows by doubling, so a
 * quiet process costs nothing and a chatty one at most `max` (REPLAY_DEFAULT) bytes.
 *
 * All rings share one budget (REPLAY_TOTAL): beyond it a ring keeps what fits into the size it has.
 * Without memory it forgets, and counts on: offsets stay true. */
#ifndef ENVD_REPLAY_H
#define ENVD_REPLAY_H

#include "base/str.h"
#include "envd/messages.h"

enum {
    REPLAY_FIRST = 1 << 10,   /* bytes of a ring's first allocation; sizes are powers of two */
    REPLAY_DEFAULT = 1 << 20, /* largest ring, unless /init says otherwise (replayBytes) */
    REPLAY_MOST = 8 << 20,    /* largest that /init may say */
    REPLAY_TOTAL = 16 << 20,  /* bytes of all rings of this envd together */
    REPLAY_PIECE = 32 << 10,  /* most bytes that replay_next() returns at once */
};

struct replay {
    char *at;
    size_t size;
    size_t max;      /* 0: keep nothing */
    size_t *total;   /* bytes of all rings; the owner's */
    uint64_t tail;   /* position of the oldest record; they only grow, the place is modulo size */
    uint64_t head;   /* position behind the latest */
    uint64_t latest; /* position of the latest record, when there is one */
    uint64_t first;  /* offset of the oldest byte that is kept */
    uint64_t end;    /* offset behind the latest byte */
};

/* Where a reader is. Still good after more was added, as long as replay_next() says so. */
struct replay_cursor {
    uint64_t position; /* of a record */
    uint64_t skip;     /* bytes of it that were read */
    uint64_t offset;   /* of the next byte */
};

/* `max` is rounded down to a power of two. */
void replay_init(struct replay *r, size_t max, size_t *total);
void replay_done(struct replay *r);
void replay_add(struct replay *r, enum data_kind kind, struct str data);

/* To the byte at `offset`, or to the oldest there is when that was overwritten: then
 * out->offset > offset, and the difference is the gap. False: nothing is at or behind `offset`
 * (out->offset == end). */
bool replay_seek(const struct replay *r, uint64_t offset, struct replay_cursor *out);
/* The next bytes, all of one kind, copied to `out` (REPLAY_PIECE bytes); returns how many, 0 at the
 * end, -1 when they were overwritten meanwhile. */
ssize_t replay_next(const struct replay *r, struct replay_cursor *c, char *out,
                    enum data_kind *out_kind);

#endif
