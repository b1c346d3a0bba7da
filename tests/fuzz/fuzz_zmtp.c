/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz interpreter: what a kernel's socket says, from its greeting on. The first byte says where
 * the rest is cut in two; cutting must not matter, and all ends when the peer ends. */
#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interpreter/zmtp.h"
#include "io/socket.h"

enum {
    INPUT_MAX = 32 << 10, /* fits into the socket's buffer */
    PARTS = 256,
    PATIENCE_MS = 60 * 1000, /* a fuzzer may wait long for its processor */
};

struct record {
    struct zmtp z;
    uint64_t hash, messages, dropped, opened, failed;
};

static struct loop *loop;
static int listener;
static char path[64];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_open(void *ctx)
{
    struct record *r = ctx;

    assert(r->messages == 0 && r->failed == 0);
    r->opened++;
}

static void on_message(void *ctx, const struct str *frames, size_t count)
{
    struct record *r = ctx;

    assert(r->opened == 1 && r->failed == 0 && count > 0 && count <= ZMTP_FRAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        r->hash = r->hash * 31 + frames[i].len;
        for (size_t k = 0; k < frames[i].len; k++)
            r->hash = r->hash * 31 + (uint8_t)frames[i].at[k];
    }
    r->messages++;
}

static void on_dropped(void *ctx)
{
    struct record *r = ctx;

    assert(r->opened == 1 && r->failed == 0);
    r->dropped++;
}

static void on_fail(void *ctx, const char *why)
{
    struct record *r = ctx;

    assert(why != NULL);
    r->failed++;
    zmtp_close(&r->z);
    loop_stop(loop);
}

static void on_turn(void *ctx)
{
    ignore(ctx == NULL);
    loop_stop(loop);
}

static void on_patience(void *ctx)
{
    ignore(ctx == NULL);
    abort(); /* the peer's end was not noticed */
}

static void run(loop_fn *fn, uint64_t ms)
{
    struct timer timer = {0};
    struct err err;

    timer_start(loop, &timer, ms, fn, NULL);
    if (loop_run(loop, &err) != 0)
        abort();
    timer_stop(&timer);
}

static void hear(struct record *r, struct str first, struct str rest)
{
    static const struct zmtp_events events = {on_open, on_message, on_dropped, on_fail};
    struct err err;
    int peer;

    *r = (struct record){.hash = 7};
    if (zmtp_open(&r->z, loop, path, ZMTP_SUB, &events, r, &err) != 0)
        abort();
    peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0 || send(peer, first.at, first.len, MSG_NOSIGNAL) != (ssize_t)first.len)
        abort();
    if (rest.len > 0) {
        run(on_turn, 0);
        ignore(send(peer, rest.at, rest.len, MSG_NOSIGNAL)); /* it may have failed already */
    }
    close(peer);
    if (r->failed == 0)
        run(on_patience, PATIENCE_MS);
    assert(r->failed == 1);
}

static void forget_path(void)
{
    unlink(path);
}

static void prepare(void)
{
    struct err err;

    snprintf(path, sizeof(path), "/tmp/fuzz-zmtp.%d", (int)getpid());
    if (loop_new(&loop, &err) != 0 || socket_listen_unix(path, SOCK_STREAM, &listener, &err) != 0)
        abort();
    atexit(forget_path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record whole, cut;
    struct str all;
    size_t at;

    if (size < 1 || size > INPUT_MAX)
        return 0;
    if (loop == NULL)
        prepare();
    all = (struct str){(const char *)data + 1, size - 1};
    at = all.len * data[0] / PARTS;
    hear(&whole, all, STR(""));
    hear(&cut, str_upto(all, at), str_from(all, at));
    assert(whole.hash == cut.hash && whole.messages == cut.messages &&
           whole.dropped == cut.dropped && whole.opened == cut.opened);
    return 0;
}
