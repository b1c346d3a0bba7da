/* SPDX-License-Identifier: Apache-2.0 */
/* See image_fetch.h. */
#include "domain/image_fetch.h"

#include <stdio.h>
#include <sys/socket.h>

#include "domain/domain_internal.h"
#include "io/socket.h"
#include "io/stream.h"

enum { EVENT_MEM_MAX = 8 * IMAGE_EVENT_MAX };

struct image_fetch {
    struct stream stream;
    const struct image_fetch_events *events;
    void *ctx;
};

static void end(struct image_fetch *f, const struct image_result *result, const struct err *err)
{
    stream_close(&f->stream);
    f->events->on_end(f->ctx, result, err);
    free(f);
}

static void fail(struct image_fetch *f, enum err_kind kind, const char *text)
{
    struct err err = {0};

    err_set(&err, kind, "%s", text);
    end(f, NULL, &err);
}

/* False: that was the end. */
static bool take_event(struct image_fetch *f, struct str line)
{
    struct image_event e = {0};
    struct arena mem;
    struct err err = {0};
    bool goes_on = false;

    arena_init(&mem, EVENT_MEM_MAX);
    if (json_decode(&image_event_message, line, &mem, &e, &err) != 0) {
        end(f, NULL, &err);
    } else if (e.error != NULL) {
        err_set(&err, e.error->kind > ERR_SYSTEM ? ERR_SYSTEM : (enum err_kind)e.error->kind,
                "%.*s", STR_ARG(e.error->text));
        end(f, NULL, &err);
    } else if (e.result != NULL) {
        end(f, e.result, NULL);
    } else {
        goes_on = true;
        if (f->events->on_line != NULL)
            f->events->on_line(f->ctx, e.line);
    }
    arena_done(&mem);
    return goes_on;
}

static void on_data(void *ctx)
{
    struct image_fetch *f = ctx;

    for (;;) {
        struct buf *in = &f->stream.in;
        ssize_t newline = str_find(buf_str(in), '\n');
        struct str line = str_upto(buf_str(in), newline < 0 ? 0 : (size_t)newline);

        if (newline < 0)
            break;
        if (!take_event(f, line))
            return;
        stream_consume(&f->stream, (size_t)newline + 1);
    }
    if (f->stream.in.len == f->stream.in.max)
        fail(f, ERR_SYSTEM, "the job on the image wrote too long a line");
    else if (f->stream.eof)
        fail(f, ERR_UNAVAILABLE, "the job on the image ended without a word");
}

static void on_fail(void *ctx)
{
    fail(ctx, ERR_UNAVAILABLE, "the job on the image was cut off");
}

static const struct stream_events stream_events = {
    .on_data = on_data,
    .on_fail = on_fail,
    .in_max = IMAGE_EVENT_MAX,
    .out_max = 2 * IMAGE_REQUEST_MAX,
};

static int send_request(struct image_fetch *f, const struct image_request *request, struct err *err)
{
    struct buf text;
    int result = 0;

    buf_init(&text, IMAGE_REQUEST_MAX);
    json_encode(&image_request_message, request, &text);
    if (buf_ok(&text))
        ignore((long)stream_write(&f->stream, buf_str(&text))); /* it fits */
    else
        result = err_set(err, ERR_LIMIT, "the request for an image is too large");
    stream_end(&f->stream);
    if (text.at != NULL)
        explicit_bzero(text.at, text.len); /* it may hold a password */
    buf_done(&text);
    return result;
}

int image_fetch_start(struct domain *d, const struct image_request *request,
                      const struct image_fetch_events *events, void *ctx, struct image_fetch **out,
                      struct err *err)
{
    struct image_fetch *f;
    int ends[2];
    int result;

    if (socket_pair(SOCK_STREAM, ends, err) != 0)
        return -1;
    f = mem_zero(sizeof *f);
    f->events = events;
    f->ctx = ctx;
    result = stream_open(&f->stream, d->loop, ends[0], false, &stream_events, f, err);
    if (result == 0)
        result = send_request(f, request, err);
    if (result == 0)
        result = node_client_image(d->node, ends[1], err);
    own_close_fd(&ends[1]);
    if (result != 0) {
        image_fetch_cancel(f);
        return -1;
    }
    *out = f;
    return 0;
}

void image_fetch_cancel(struct image_fetch *f)
{
    if (f == NULL)
        return;
    stream_close(&f->stream);
    free(f);
}

const char image_rootfs[] = "empty";

void image_holder(struct str build_id, char out[IMAGE_HOLDER_MAX + 1])
{
    ignore(snprintf(out, IMAGE_HOLDER_MAX + 1, "build-%.*s", STR_ARG(build_id)));
}

static void on_released(void *ctx, const struct image_result *result, const struct err *err)
{
    ignore((long)(ctx == NULL && result == NULL && err == NULL)); /* nobody waits */
}

void image_release(struct domain *d, struct str build_id)
{
    static const struct image_fetch_events events = {NULL, on_released};
    char holder[IMAGE_HOLDER_MAX + 1];
    struct image_request request = {.op = STR("drop")};
    struct image_fetch *f;

    image_holder(build_id, holder);
    request.holder = str_of(holder);
    ignore(image_fetch_start(d, &request, &events, NULL, &f, NULL)); /* it ends by itself */
}
