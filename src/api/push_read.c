/* SPDX-License-Identifier: Apache-2.0 */
/* What was pushed, read back: clients look what they need not send again. Called by the gate. */
#include <errno.h>

#include "api/push.h"
#include "api/stats.h"

enum { PIECE = 8 << 10 };

struct reading {
    struct call *call;
    struct exchange *x;
    int fd;
    uint64_t left;
};

static void end(struct reading *r, bool is_whole)
{
    struct call *c = r->call;
    struct exchange *x = r->x;

    own_close_fd(&r->fd);
    free(r);
    if (x != NULL) {
        exchange_on_gone(x, NULL, NULL);
        exchange_on_drain(x, NULL, NULL);
        if (is_whole)
            exchange_end(x);
        else
            exchange_abort(x);
    }
    call_free(c);
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct reading *r = ctx;

    ignore((long)(x == r->x));
    r->x = NULL;
    end(r, false);
}

static void send_more(void *ctx, struct exchange *x)
{
    struct reading *r = ctx;
    char piece[PIECE];

    for (bool may_go_on = true; r->left > 0 && may_go_on;) {
        ssize_t got = read(r->fd, piece, r->left < sizeof(piece) ? r->left : sizeof(piece));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            end(r, false);
            return;
        }
        r->left -= (uint64_t)got;
        may_go_on = exchange_write(x, (struct str){piece, (size_t)got});
    }
    if (r->left == 0)
        end(r, true);
}

static void send_blob(struct call *c, int fd, uint64_t size)
{
    const struct http_field fields[] = {
        {STR("Docker-Distribution-Api-Version"), STR("registry/2.0")},
        {STR("Docker-Content-Digest"),           call_param(c,        2)},
        {STR("Content-Type"),                                      STR("application/octet-stream")                                      },
    };
    struct reading *r = mem_zero(sizeof(*r));
    bool is_head = str_is(exchange_head(c->x)->method, "HEAD");

    *r = (struct reading){.call = c, .x = c->x, .fd = fd, .left = is_head ? 0 : size};
    stats_answer(c, 200);
    exchange_on_gone(c->x, on_gone, r);
    exchange_on_drain(c->x, send_more, r);
    exchange_start(c->x, &(struct reply){.status = 200,
                                         .fields = fields,
                                         .field_count = COUNT_OF(fields),
                                         .length = (int64_t)size});
    send_more(r, c->x);
}

/* GET and HEAD */
void push_blob_get(struct call *c)
{
    const struct build *b = push_build(c);
    struct err err = {0};
    uint64_t size;
    int fd;

    if (b == NULL)
        return;
    if (push_blob_open(c->api->pushes, b->r.id, call_param(c, 2), &fd, &size, &err) == 0)
        send_blob(c, fd, size);
    else
        push_fail(c, err.kind == ERR_INVALID ? "DIGEST_INVALID" : "BLOB_UNKNOWN", &err);
}

void push_manifest_show(struct call *c)
{
    const struct build *b = push_build(c);
    char digest[PUSH_DIGEST_LEN + 1], type[PUSH_TYPE_MAX + 1];
    struct err err = {0};
    struct buf text;

    if (b == NULL)
        return;
    buf_init(&text, PUSH_MANIFEST_MAX);
    if (push_manifest_get(c->api->pushes, b->r.id, call_param(c, 2), &text, digest, &err) != 0) {
        push_fail(c, "MANIFEST_UNKNOWN", &err);
    } else {
        push_manifest_type(buf_str(&text), type);
        call_reply_fields(c, 200, buf_str(&text),
                          (struct http_field[]){
                              {STR("Docker-Distribution-Api-Version"), STR("registry/2.0")},
                              {STR("Docker-Content-Digest"),           str_of(digest)     },
                              {STR("Content-Type"),                    str_of(type)       },
        },
                          3);
    }
    buf_done(&text);
}
