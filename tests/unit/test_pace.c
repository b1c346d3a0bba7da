/* SPDX-License-Identifier: Apache-2.0 */
/* A pace lets through what it says, over seconds, whatever the size of the steps. */
#include "io/pace.h"
#include "test.h"

/* Bytes in `seconds` when each step moves `step` and asks again as told. */
static uint64_t run(uint64_t bytes_per_s, uint64_t step, uint64_t seconds)
{
    struct pace p = {.bytes_per_s = bytes_per_s};
    uint64_t moved = 0;

    for (uint64_t now = 5000; now < 5000 + seconds * 1000;) {
        if (pace_ready(&p, NULL, now)) {
            pace_spend(&p, step);
            moved += step;
        } else {
            CHECK(pace_wait_ms(&p) > 0 && pace_wait_ms(&p) <= PACE_WAIT_MAX_MS);
            now += pace_wait_ms(&p);
        }
    }
    return moved;
}

static void keeps_its_rate(void)
{
    static const struct {
        uint64_t bytes_per_s, step;
    } rows[] = {
        {1 << 10,   100     },
        {10 << 10,  64 << 10},
        {1 << 20,   1       },
        {1 << 20,   64 << 10},
        {100 << 20, 64 << 10},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t moved = run(rows[i].bytes_per_s, rows[i].step, 20);
        uint64_t want = rows[i].bytes_per_s * 20;

        CHECK(moved >= want * 9 / 10 && moved <= want * 11 / 10 + 2 * rows[i].step);
    }
}

static void saves_up_no_more_than_a_burst(void)
{
    struct pace p = {.bytes_per_s = 1000000};
    uint64_t moved = 0;

    CHECK(pace_ready(&p, NULL, 1000));
    CHECK(pace_ready(&p, NULL, 1000000)); /* silent for long */
    for (; pace_ready(&p, NULL, 1000000); moved += 1000)
        pace_spend(&p, 1000);
    CHECK(moved <= 1000000 * PACE_BURST_MS / 1000 + 1000);
}

static void is_free_without_a_limit(void)
{
    struct pace p = {0};

    for (int i = 0; i < 100; i++) {
        CHECK(pace_ready(&p, NULL, 1));
        pace_spend(&p, UINT64_MAX);
    }
}

enum { BIG = 64 << 10, SMALL = 100, RATE = 4 << 20 };

struct mover {
    struct pace *pace;
    struct loop *loop;
    struct pace_turn turn;
    uint64_t step, moves;
};

/* As a relay does: it takes what it may and waits for more. */
static void move(void *ctx)
{
    struct mover *m = ctx;

    while (pace_ready(m->pace, &m->turn, loop_now_ms(m->loop))) {
        pace_spend(m->pace, m->step);
        m->moves++;
        if (m->step == SMALL)
            break; /* there was no more right now */
    }
    pace_wait(m->pace, m->loop, &m->turn, move, m);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

/* Also one who moves little at a time, and all of them, whoever began. */
static void gives_turns_to_all_who_wait(void)
{
    struct pace p = {.bytes_per_s = RATE};
    struct mover m[4] = {{.step = BIG}, {.step = BIG}, {.step = BIG}, {.step = SMALL}};
    struct timer end = {0};
    uint64_t moved = 0, began, took;
    struct loop *l;
    struct err err;

    CHECK(loop_new(&l, &err) == 0);
    for (size_t i = 0; i < COUNT_OF(m); i++) {
        m[i].pace = &p;
        m[i].loop = l;
        move(&m[i]);
    }
    began = loop_now_ms(l);
    timer_start(l, &end, 1000, stop, l);
    CHECK(loop_run(l, &err) == 0);
    took = loop_now_ms(l) - began;
    for (size_t i = 0; i < COUNT_OF(m); i++) {
        moved += m[i].moves * m[i].step;
        CHECK(m[i].moves >= 5);
        CHECK(i == 0 || m[i].moves <= m[i - 1].moves + 2);
    }
    CHECK(moved <= RATE / 1000 * (took + PACE_WAIT_MAX_MS + PACE_BURST_MS) + BIG);
    for (size_t i = 0; i < COUNT_OF(m); i++) {
        CHECK(pace_waits(&m[i].turn));
        pace_leave(&m[i].turn);
        pace_leave(&m[i].turn); /* twice is once */
    }
    CHECK(!timer_running(&p.timer));
    loop_free(l);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"keeps its rate",                keeps_its_rate               },
        {"saves up no more than a burst", saves_up_no_more_than_a_burst},
        {"is free without a limit",       is_free_without_a_limit      },
        {"gives turns to all who wait",   gives_turns_to_all_who_wait  },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}
