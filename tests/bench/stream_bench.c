/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop, streams and the relay cost, all in one thread: bulk bytes per second through a
 * stream pair and through a relay, round trips of 64 bytes per second. Prints JSON.
 *
 *   stream_bench [seconds per measurement] */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "io/relay.h"
#include "io/socket.h"
#include "io/stream.h"

enum {
    BOX = 256 << 10,
    BLOCK = 32 << 10,
    MESSAGE = 64,
};

static const char block[BLOCK];

struct end {
    struct loop *loop;
    struct stream stream;
    size_t got;
    bool echoes, produces;
};

static void produce(struct end *e)
{
    while (stream_write(&e->stream, (struct str){block, sizeof(block)}))
        continue;
}

static void on_data(void *ctx)
{
    struct end *e = ctx;
    struct str in = buf_str(&e->stream.in);

    e->got += in.len;
    if (e->echoes)
        stream_write(&e->stream, in);
    stream_consume(&e->stream, in.len);
}

static void on_drain(void *ctx)
{
    struct end *e = ctx;

    if (e->produces)
        produce(e);
}

static void on_fail(void *ctx)
{
    struct end *e = ctx;

    fprintf(stderr, "stream_bench: a stream failed: %s\n", strerror(e->stream.sys));
    exit(1);
}

static const struct stream_events events = {on_data, on_drain, on_fail, BOX, BOX};

static void need(int rc, const struct err *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "stream_bench: %s\n", err->text);
    exit(1);
}

static void on_time(void *ctx)
{
    loop_stop(ctx);
}

/* Two ends, joined directly or by a relay; returns bytes per second that reached the second. */
static double run(bool is_relayed, bool is_bulk, uint64_t for_ms)
{
    struct loop *l;
    struct end ends[2] = {0};
    struct relay *relay = NULL;
    struct timer timer = {0};
    struct err err;
    int left[2], right[2];
    uint64_t began;

    need(loop_new(&l, &err), &err);
    need(socket_pair(SOCK_STREAM, left, &err), &err);
    if (is_relayed) {
        need(socket_pair(SOCK_STREAM, right, &err), &err);
        need(relay_start(l, &(struct relay_spec){.a = left[1], .b = right[0]}, &relay, &err), &err);
    }
    for (int i = 0; i < 2; i++) {
        int fd = i == 0 ? left[0] : is_relayed ? right[1] : left[1];

        ends[i] = (struct end){.loop = l, .echoes = !is_bulk, .produces = is_bulk && i == 0};
        need(stream_open(&ends[i].stream, l, fd, false, &events, &ends[i], &err), &err);
    }
    if (is_bulk)
        produce(&ends[0]);
    else
        stream_write(&ends[0].stream, (struct str){block, MESSAGE});
    timer_start(l, &timer, for_ms, on_time, l);
    began = clock_mono_us();
    need(loop_run(l, &err), &err);
    began = clock_mono_us() - began;
    relay_abort(relay);
    for (int i = 0; i < 2; i++)
        stream_close(&ends[i].stream);
    loop_free(l);
    return (double)ends[1].got * 1e6 / (double)began;
}

int main(int argc, char **argv)
{
    uint64_t seconds = 1;
    struct utsname host;

    if (argc > 2 || (argc == 2 && (!str_to_u64(str_of(argv[1]), &seconds) || seconds == 0))) {
        fprintf(stderr, "usage: stream_bench [seconds per measurement]\n");
        return 2;
    }
    uname(&host);
    printf("{\"kernel\": \"%s\", \"cores\": %d, \"seconds\": %llu,\n", host.release, get_nprocs(),
           (unsigned long long)seconds);
    printf(" \"bulk_mib_s\": %.0f,\n", run(false, true, seconds * 1000) / (1 << 20));
    printf(" \"bulk_relayed_mib_s\": %.0f,\n", run(true, true, seconds * 1000) / (1 << 20));
    printf(" \"round_trips_s\": %.0f,\n", run(false, false, seconds * 1000) / MESSAGE);
    printf(" \"round_trips_relayed_s\": %.0f}\n", run(true, false, seconds * 1000) / MESSAGE);
    return 0;
}
