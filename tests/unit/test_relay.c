/* SPDX-License-Identifier: Apache-2.0 */
/* io/relay: every byte both ways, half-close, bounded memory, all the ways to end. */
#include <errno.h>
#include <sys/socket.h>

#include "io/relay.h"
#include "io/socket.h"
#include "io/stream.h"
#include "io_help.h"
#include "test.h"

enum {
    BULK = 3 << 20,
    BOX = 256 << 10,
};

/* The two far ends; the relay stands between. */
struct far {
    struct loop *loop;
    struct stream stream;
    size_t got, left;
    size_t sent;     /* bytes produced: their pattern tells order and loss */
    bool is_pattern; /* what comes is such a pattern */
    bool eats, answers_end;
};

struct bench {
    struct loop *loop;
    struct relay *relay;
    struct far far[2];
    int inner[2];
    int ends;
};

static char pattern_at(size_t at)
{
    return (char)(at * 131 + (at >> 9));
}

static void produce(struct far *f)
{
    static char block[20000];
    bool may_go_on = true;

    while (f->left > 0 && may_go_on) {
        size_t len = f->left < sizeof(block) ? f->left : sizeof(block);

        for (size_t i = 0; i < len; i++)
            block[i] = pattern_at(f->sent++);
        may_go_on = stream_write(&f->stream, (struct str){block, len});
        f->left -= len;
    }
    if (f->left == 0)
        stream_end(&f->stream);
}

static void on_data(void *ctx)
{
    struct far *f = ctx;

    if (!f->eats)
        return;
    for (size_t i = 0; f->is_pattern && i < f->stream.in.len; i++)
        CHECK(f->stream.in.at[i] == pattern_at(f->got + i));
    f->got += f->stream.in.len;
    stream_consume(&f->stream, f->stream.in.len);
    if (f->stream.eof && f->answers_end)
        stream_end(&f->stream);
}

static void on_drain(void *ctx)
{
    produce(ctx);
}

static void on_fail(void *ctx)
{
    struct far *f = ctx;

    stream_close(&f->stream);
}

static const struct stream_events events = {on_data, on_drain, on_fail, BOX, BOX};

static void on_end(void *ctx)
{
    struct bench *b = ctx;

    b->ends++;
    CHECK(!help_is_open(b->inner[0]) && !help_is_open(b->inner[1]));
    relay_abort(b->relay); /* harmless: it is over */
    loop_stop(b->loop);
}

static void set_up(struct bench *b, struct str to_a, struct str to_b, uint64_t idle_ms)
{
    struct relay_spec spec;
    struct err err;

    *b = (struct bench){.loop = help_loop()};
    for (int i = 0; i < 2; i++) {
        int fds[2];

        help_pair(fds);
        b->inner[i] = fds[0];
        b->far[i] = (struct far){.loop = b->loop, .eats = true, .answers_end = true};
        CHECK(stream_open(&b->far[i].stream, b->loop, fds[1], false, &events, &b->far[i], &err) ==
              0);
    }
    spec = (struct relay_spec){b->inner[0], b->inner[1], to_a, to_b, idle_ms, on_end, b};
    CHECK(relay_start(b->loop, &spec, &b->relay, &err) == 0);
}

static void tear_down(struct bench *b)
{
    for (int i = 0; i < 2; i++)
        stream_close(&b->far[i].stream);
    loop_free(b->loop);
}

static void carries_both_ways_to_the_end(void)
{
    struct bench b;

    set_up(&b, (struct str){0}, (struct str){0}, 0);
    for (int i = 0; i < 2; i++) {
        b.far[i].is_pattern = true;
        b.far[i].left = BULK + (size_t)i;
        produce(&b.far[i]);
    }
    help_run(b.loop);
    help_spin(b.loop, 20);
    CHECK(b.ends == 1 && b.far[0].got == BULK + 1 && b.far[1].got == BULK);
    tear_down(&b);
}

static void early_bytes_go_first(void)
{
    struct bench b;
    static char early[200 << 10];

    set_up(&b, STR("abc"), (struct str){early, sizeof(early)}, 0);
    help_spin(b.loop, 20);
    CHECK(b.far[0].got == 3 && b.far[1].got == sizeof(early));
    stream_end(&b.far[0].stream);
    help_run(b.loop);
    tear_down(&b);
}

static void half_close_is_kept(void)
{
    struct bench b;

    set_up(&b, (struct str){0}, (struct str){0}, 0);
    b.far[1].answers_end = false;
    stream_write(&b.far[0].stream, STR("request"));
    stream_end(&b.far[0].stream);
    help_spin(b.loop, 20);
    CHECK(b.ends == 0 && b.far[1].got == 7 && b.far[1].stream.eof && !b.far[0].stream.eof);
    b.far[0].is_pattern = true;
    b.far[1].left = BULK;
    produce(&b.far[1]);
    help_run(b.loop);
    help_spin(b.loop, 20);
    CHECK(b.ends == 1 && b.far[0].got == BULK && b.far[0].stream.eof);
    tear_down(&b);
}

static void stalled_reader_stalls_the_writer(void)
{
    struct bench b;
    size_t passed;

    set_up(&b, (struct str){0}, (struct str){0}, 0);
    b.far[1].eats = false;
    b.far[1].is_pattern = true;
    b.far[0].left = BULK;
    produce(&b.far[0]);
    help_spin(b.loop, 50);
    passed = BULK - b.far[0].left - stream_unsent(&b.far[0].stream);
    /* What the far box, the kernel and one read of ours hold. */
    CHECK(passed < (size_t)BOX + (600 << 10));
    CHECK(b.ends == 0);
    b.far[1].eats = true;
    stream_resume(&b.far[1].stream);
    help_run(b.loop);
    help_spin(b.loop, 20);
    CHECK(b.far[1].got == BULK && b.ends == 1);
    tear_down(&b);
}

/* One side vanishes while the other stays silent: no way to deliver, so it is over. */
static void vanished_side_ends_it(void)
{
    struct bench b;

    set_up(&b, (struct str){0}, (struct str){0}, 0);
    b.far[1].answers_end = false;
    stream_write(&b.far[0].stream, STR("last words"));
    stream_close(&b.far[0].stream);
    help_run(b.loop);
    help_spin(b.loop, 20);
    CHECK(b.ends == 1 && b.far[1].got == 10 && b.far[1].stream.eof);
    tear_down(&b);
}

static void idle_tunnel_ends(void)
{
    struct bench b;

    set_up(&b, (struct str){0}, (struct str){0}, 400);
    help_spin(b.loop, 200);
    stream_write(&b.far[0].stream, STR("still here"));
    help_spin(b.loop, 250);
    CHECK(b.ends == 0 && b.far[1].got == 10);
    help_run(b.loop);
    CHECK(b.ends == 1);
    tear_down(&b);
}

static void abort_is_silent(void)
{
    struct bench b;

    set_up(&b, STR("pending"), (struct str){0}, 1000);
    relay_abort(b.relay);
    CHECK(!help_is_open(b.inner[0]) && !help_is_open(b.inner[1]));
    help_spin(b.loop, 10);
    CHECK(b.ends == 0);
    tear_down(&b);
}

static void bad_descriptor_is_an_error(void)
{
    struct loop *l = help_loop();
    struct relay_spec spec;
    struct relay *r;
    struct err err;
    int fds[2];

    help_pair(fds);
    spec = (struct relay_spec){fds[0], 999, STR("x"), STR("y"), 10, on_end, NULL};
    CHECK(relay_start(l, &spec, &r, &err) == -1);
    CHECK(!help_is_open(fds[0])); /* taken all the same */
    own_close_fd(&fds[1]);
    loop_free(l);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"carries both ways to the end",       carries_both_ways_to_the_end    },
        {"early bytes go first",               early_bytes_go_first            },
        {"half-close is kept",                 half_close_is_kept              },
        {"a stalled reader stalls the writer", stalled_reader_stalls_the_writer},
        {"a vanished side ends it",            vanished_side_ends_it           },
        {"an idle tunnel ends",                idle_tunnel_ends                },
        {"abort is silent",                    abort_is_silent                 },
        {"a bad descriptor is an error",       bad_descriptor_is_an_error      },
        {"no descriptor is left open",         help_no_leak                    },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}
