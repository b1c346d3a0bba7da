/* SPDX-License-Identifier: Apache-2.0 */
/* io/stream: files on their way to a socket, and the memory of bulk. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "io/stream.h"
#include "io_help.h"
#include "test.h"

enum {
    IN_MAX = 64 << 10,
    OUT_MAX = 256 << 10,
    FILE_SIZE = 1 << 20,
};

struct end {
    struct loop *loop;
    struct stream stream;
    struct buf got;
    int drain_calls, fail_calls;
    bool stops_at_eof, stops_at_fail, stops_at_data;
    bool is_calling; /* our code is inside a stream_… call: no callback may come */
};

static void on_data(void *ctx)
{
    struct end *e = ctx;

    CHECK(!e->is_calling);
    buf_add_str(&e->got, buf_str(&e->stream.in));
    stream_consume(&e->stream, e->stream.in.len);
    if (e->stops_at_data || (e->stops_at_eof && e->stream.eof))
        loop_stop(e->loop);
}

static void on_fail(void *ctx)
{
    struct end *e = ctx;

    CHECK(!e->is_calling);
    e->fail_calls++;
    if (e->stops_at_fail)
        loop_stop(e->loop);
}

static const struct stream_events events = {on_data, NULL, on_fail, IN_MAX, OUT_MAX};

static void open_end(struct end *e, struct loop *l, int fd)
{
    struct err err;

    *e = (struct end){.loop = l};
    buf_init(&e->got, 64 << 20);
    CHECK(stream_open(&e->stream, l, fd, false, &events, e, &err) == 0);
}

static void close_end(struct end *e)
{
    stream_close(&e->stream);
    buf_done(&e->got);
}

/* Sends a file to the other end as its socket takes it. */
struct sender {
    struct end end;
    int file;
    bool has_ended;
};

static void send_more(struct sender *s)
{
    ssize_t n;

    do {
        s->end.is_calling = true;
        errno = EBADF;
        n = stream_send_file(&s->end.stream, s->file, FILE_SIZE);
        s->end.is_calling = false;
    } while (n > 0);
    if (n < 0) {
        CHECK(errno == 0); /* the file has ended */
        s->has_ended = true;
        stream_end(&s->end.stream);
    }
}

static void on_file_drain(void *ctx)
{
    struct sender *s = container_of(ctx, struct sender, end);

    CHECK(!s->end.is_calling);
    s->end.drain_calls++;
    send_more(s);
}

static const struct stream_events file_events = {on_data, on_file_drain, on_fail, IN_MAX, OUT_MAX};

static int make_file(size_t size)
{
    char path[] = "/tmp/test_stream.XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0 && unlink(path) == 0);
    for (size_t i = 0; i < size / sizeof(uint32_t);) {
        uint32_t words[1024];

        for (size_t k = 0; k < COUNT_OF(words); k++, i++)
            words[k] = (uint32_t)i * 2654435761u;
        CHECK(write(fd, words, sizeof(words)) == sizeof(words));
    }
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static void sends_a_file(void)
{
    struct loop *l = help_loop();
    struct sender a = {.file = make_file(FILE_SIZE)};
    struct end b;
    struct err err;
    int fds[2];

    help_pair(fds);
    a.end = (struct end){.loop = l};
    CHECK(stream_open(&a.end.stream, l, fds[0], false, &file_events, &a.end, &err) == 0);
    open_end(&b, l, fds[1]);
    b.stops_at_eof = true;
    stream_write(&a.end.stream, STR("in front "));
    send_more(&a);
    CHECK(!a.has_ended); /* small kernel buffers: it waits */
    help_run(l);
    CHECK(a.has_ended && a.end.drain_calls > 0 && a.end.fail_calls == 0);
    CHECK(b.got.len == 9 + FILE_SIZE && memcmp(b.got.at, "in front ", 9) == 0);
    for (size_t i = 0; i < FILE_SIZE / sizeof(uint32_t); i++) {
        uint32_t word;

        memcpy(&word, b.got.at + 9 + i * sizeof(word), sizeof(word));
        if (word != (uint32_t)i * 2654435761u)
            CHECK(false);
    }
    close_end(&a.end);
    close_end(&b);
    own_close_fd(&a.file);
    loop_free(l);
}

static void file_to_a_peer_that_left_fails(void)
{
    struct loop *l = help_loop();
    struct end a;
    int fds[2], file = make_file(4096);

    help_pair(fds);
    open_end(&a, l, fds[0]);
    a.stops_at_fail = true;
    close(fds[1]);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK(stream_send_file(&a.stream, file, 4096) == 0);
    help_run(l);
    CHECK(a.fail_calls == 1 && a.stream.sys == EPIPE);
    CHECK(stream_send_file(&a.stream, file, 4096) == 0); /* dead: nothing happens */
    close_end(&a);
    own_close_fd(&file);
    loop_free(l);
}

static void rest_gives_the_memory_back(void)
{
    static const char block[IN_MAX];
    struct loop *l = help_loop();
    struct end a;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    a.stops_at_data = true;
    for (int i = 0; i < 3; i++) { /* the first read is small, the others in bulk */
        CHECK(write(fds[1], block, 4096) == 4096);
        help_run(l);
    }
    CHECK(a.got.len == 3 * 4096 && a.stream.in.len == 0);
    stream_rest(&a.stream);
    CHECK(a.stream.in.at == NULL && a.stream.in.base == NULL);
    close_end(&a);
    own_close_fd(&fds[1]);
    loop_free(l);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"sends a file",                     sends_a_file                  },
        {"a file to a peer that left fails", file_to_a_peer_that_left_fails},
        {"rest gives the memory back",       rest_gives_the_memory_back    },
        {"no descriptor is left open",       help_no_leak                  },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}
