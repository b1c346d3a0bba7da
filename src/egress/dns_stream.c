/* SPDX-License-Identifier: Apache-2.0 */
/* Questions over TCP; see dns.h. Used by tcp.c. */
#include "egress/dns_internal.h"

enum {
    LENGTH = 2,        /* bytes in front of a message */
    SILENCE_MS = 10000 /* without a question or an answer it ends */
};

struct dns_stream {
    struct outlet *outlet;
    struct stream stream;
    struct timer silence;
    size_t waiting; /* answers that are owed */
    loop_fn *on_end;
    void *ctx;
};

void dns_stream_free(struct dns_stream *s)
{
    if (s == NULL)
        return;
    dns_forget_stream(s->outlet->egress->dns, s);
    timer_stop(&s->silence);
    stream_close(&s->stream);
    free(s);
}

static void end(void *ctx)
{
    struct dns_stream *s = ctx;
    loop_fn *on_end = s->on_end;
    void *end_ctx = s->ctx;

    dns_stream_free(s);
    on_end(end_ctx);
}

static void wait_on(struct dns_stream *s, uint64_t ms)
{
    timer_start(s->outlet->egress->loop, &s->silence, ms, end, s);
}

static void on_data(void *ctx)
{
    struct dns_stream *s = ctx;
    const struct dns_from from = {.outlet = s->outlet, .stream = s};

    /* the limit of a sandbox is kept by dns_ask(): an answer comes at once then */
    while (s->stream.in.len >= LENGTH) {
        const char *at = s->stream.in.at;
        size_t len = (size_t)(uint8_t)at[0] << 8 | (uint8_t)at[1];

        if (s->stream.in.len < LENGTH + len)
            break;
        s->waiting++;
        wait_on(s, SILENCE_MS);
        dns_ask(&from, (struct str){at + LENGTH, len});
        stream_consume(&s->stream, LENGTH + len);
    }
    if (s->stream.eof && s->waiting == 0)
        wait_on(s, 0);
}

void dns_stream_answer(struct dns_stream *s, struct str answer)
{
    const char length[LENGTH] = {(char)(answer.len >> 8), (char)answer.len};
    const struct str parts[] = {
        {length, LENGTH},
        answer
    };

    s->waiting--;
    wait_on(s, SILENCE_MS);
    /* who does not read his answers gets no more of them */
    if (!stream_writev(&s->stream, parts, COUNT_OF(parts)) ||
        (s->stream.eof && s->waiting == 0 && stream_unsent(&s->stream) == 0))
        wait_on(s, 0);
}

struct dns_stream *dns_stream_new(struct outlet *o, int fd, loop_fn *on_end, void *ctx)
{
    static const struct stream_events events = {.on_data = on_data,
                                                .on_fail = end,
                                                .in_max = LENGTH + DNS_MESSAGE_MAX,
                                                .out_max = 4 * DNS_MESSAGE_MAX};
    struct dns_stream *s = mem_zero(sizeof(*s));

    s->outlet = o;
    s->on_end = on_end;
    s->ctx = ctx;
    s->stream.fd = -1;
    wait_on(s, SILENCE_MS);
    if (stream_open(&s->stream, o->egress->loop, fd, false, &events, s, NULL) != 0)
        wait_on(s, 0);
    return s;
}
