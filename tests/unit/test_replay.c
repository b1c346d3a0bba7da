/* SPDX-License-Identifier: Apache-2.0 */
/* envd/replay: what a ring returns beside a plain record of everything that was added. */
#include <stdlib.h>

#include "envd/replay.h"
#include "test.h"

enum {
    MODEL_MAX = 1 << 20,
    ROUNDS = 4000,
};

/* Everything that was added, byte by byte. */
struct model {
    char bytes[MODEL_MAX];
    uint8_t kinds[MODEL_MAX];
    size_t len;
};

static void add(struct replay *r, struct model *m, enum data_kind kind, size_t len)
{
    char *data = m->bytes + m->len;

    for (size_t i = 0; i < len; i++)
        data[i] = (char)(m->len + i * 7);
    memset(m->kinds + m->len, (int)kind, len);
    m->len += len;
    replay_add(r, kind, (struct str){data, len});
}

/* From `offset` to the end: bytes, kinds and offsets are the model's. */
static void check_from(const struct replay *r, const struct model *m, uint64_t offset)
{
    static char piece[REPLAY_PIECE];
    struct replay_cursor c;
    enum data_kind kind = DATA_NONE;
    bool is_some = replay_seek(r, offset, &c);
    uint64_t at = c.offset;
    ssize_t got;

    CHECK(r->end == m->len && r->first <= r->end);
    CHECK(at == (offset > r->first ? offset : r->first) || (!is_some && at == r->end));
    CHECK(is_some == (at < r->end));
    while ((got = replay_next(r, &c, piece, &kind)) > 0) {
        CHECK(memcmp(piece, m->bytes + at, (size_t)got) == 0);
        for (ssize_t i = 0; i < got; i++)
            CHECK(m->kinds[at + (size_t)i] == (uint8_t)kind);
        at += (uint64_t)got;
        CHECK(c.offset == at);
    }
    CHECK(got == 0 && at == m->len);
}

static void random_adds(void)
{
    static const size_t limits[] = {REPLAY_FIRST, 4 * REPLAY_FIRST, 64 * REPLAY_FIRST};
    static struct model m;
    size_t total = 0;

    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct replay r;

        srand(7);
        m.len = 0;
        replay_init(&r, limits[i], &total);
        check_from(&r, &m, 0);
        for (int round = 0; round < ROUNDS && m.len < MODEL_MAX - 4096; round++) {
            size_t most = rand() % 20 == 0 ? 4000 : 60;

            add(&r, &m, (enum data_kind)(1 + rand() % 2), (size_t)rand() % most);
            CHECK(r.size <= limits[i] && total == r.size);
            if (round % 16 == 0)
                check_from(&r, &m, m.len == 0 ? 0 : (uint64_t)rand() % m.len);
        }
        check_from(&r, &m, 0);
        check_from(&r, &m, m.len);
        CHECK(r.end - r.first > limits[i] / 4);
        replay_done(&r);
        CHECK(total == 0 && r.first == r.end);
    }
}

static void a_reader_beside_a_writer(void)
{
    static struct model m;
    static char piece[REPLAY_PIECE];
    struct replay_cursor c;
    enum data_kind kind = DATA_NONE;
    struct replay r;
    size_t total = 0;
    ssize_t got = 0;

    m.len = 0;
    replay_init(&r, 8192, &total);
    CHECK(!replay_seek(&r, 0, &c));
    for (int round = 0; round < 500; round++) {
        uint64_t before = c.offset;

        add(&r, &m, round % 3 == 0 ? DATA_STDERR : DATA_STDOUT, 1 + (size_t)round % 90);
        got = replay_next(&r, &c, piece, &kind);
        CHECK(got > 0 && memcmp(piece, m.bytes + before, (size_t)got) == 0);
        CHECK(replay_next(&r, &c, piece, &kind) == 0 && c.offset == m.len);
    }
    for (int round = 0; round < 100; round++)
        add(&r, &m, DATA_STDOUT, 200);
    CHECK(replay_next(&r, &c, piece, &kind) == -1); /* overwritten meanwhile */
    CHECK(replay_seek(&r, c.offset, &c) && c.offset == r.first);
    replay_done(&r);
    CHECK(replay_next(&r, &c, piece, &kind) == -1 && !replay_seek(&r, 0, &c) && c.offset == m.len);
}

static void nothing_is_kept(void)
{
    struct replay_cursor c;
    struct replay r;
    size_t total = REPLAY_TOTAL;

    replay_init(&r, 0, &total);
    replay_add(&r, DATA_STDOUT, STR("lost"));
    CHECK(r.end == 4 && !replay_seek(&r, 0, &c) && c.offset == 4 && r.at == NULL);
    replay_init(&r, REPLAY_DEFAULT, &total); /* the others took all there is */
    replay_add(&r, DATA_STDOUT, STR("lost too"));
    CHECK(r.end == 8 && !replay_seek(&r, 0, &c) && c.offset == 8 && total == REPLAY_TOTAL);
    total = REPLAY_TOTAL - REPLAY_FIRST;
    replay_add(&r, DATA_STDOUT, STR("kept"));
    CHECK(replay_seek(&r, 0, &c) && c.offset == 8 && total == REPLAY_TOTAL);
    replay_done(&r);
    CHECK(total == REPLAY_TOTAL - REPLAY_FIRST);
}

static void more_than_fits_keeps_its_end(void)
{
    static struct model m;
    struct replay r;
    size_t total = 0;

    m.len = 0;
    replay_init(&r, 3000, &total); /* rounded down to 2048 */
    add(&r, &m, DATA_STDERR, 100);
    add(&r, &m, DATA_STDOUT, 50000);
    CHECK(r.size == 2048 && r.end == 50100 && r.end - r.first == 2044);
    check_from(&r, &m, 0);
    add(&r, &m, DATA_STDOUT, 1);
    check_from(&r, &m, 0);
    replay_done(&r);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"random adds beside a model",      random_adds                 },
        {"a reader beside a writer",        a_reader_beside_a_writer    },
        {"nothing is kept",                 nothing_is_kept             },
        {"more than fits: its end is kept", more_than_fits_keeps_its_end},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}
