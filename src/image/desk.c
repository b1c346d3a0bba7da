/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of the conversation with the keeper; see desk.h. */
#include "image/desk.h"

#include <poll.h>

#include "io/socket.h"

static int send_request(struct desk *d, const struct desk_head *head, struct str text,
                        struct err *err)
{
    auto_free char *packet = mem_zero(sizeof *head + text.len + 1);

    if (text.len > DESK_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "more than %d bytes for the keeper", DESK_TEXT_MAX);
    memcpy(packet, head, sizeof *head);
    if (text.len > 0)
        memcpy(packet + sizeof *head, text.at, text.len);
    if (packet_send(d->fd, (struct str){packet, sizeof *head + text.len}, NULL, 0, err) != 0)
        return err_set(err, ERR_UNAVAILABLE, "the keeper is gone");
    return 0;
}

/* The answer's text is appended to `out`; its descriptor (or -1) is the caller's. */
static int take_answer(struct desk *d, struct buf *out, int *out_fd, struct err *err)
{
    auto_free char *packet = mem_zero(PACKET_MAX);
    int fds[PACKET_FDS_MAX];
    size_t fd_count = 0;
    struct pollfd wait = {d->fd, POLLIN, 0};
    struct desk_head head;
    struct str text;
    ssize_t got;

    while (poll(&wait, 1, -1) < 0) {
        /* only a signal can do that; the keeper's end wakes us */
    }
    got = packet_receive(d->fd, packet, PACKET_MAX, fds, &fd_count, err);
    if (got < (ssize_t)sizeof head)
        return err_set(err, ERR_UNAVAILABLE, "the keeper is gone");
    memcpy(&head, packet, sizeof head);
    text = (struct str){packet + sizeof head, (size_t)got - sizeof head};
    for (size_t i = out_fd == NULL ? 0 : 1; i < fd_count; i++)
        own_close_fd(&fds[i]);
    if (out_fd != NULL)
        *out_fd = fd_count > 0 ? fds[0] : -1;
    if (head.kind != ERR_NONE)
        return err_set(err, (enum err_kind)head.kind, "%.*s", STR_ARG(text));
    if (out != NULL)
        buf_add_str(out, text);
    return 0;
}

static int ask(struct desk *d, enum desk_op op, const struct digest *layer, struct str text,
               struct err *err)
{
    struct desk_head head = {.op = op, .text = (uint32_t)text.len, .layer = *layer};

    if (send_request(d, &head, text, err) != 0)
        return -1;
    return take_answer(d, NULL, NULL, err);
}

int desk_find(struct desk *d, const struct digest *layer, struct desk_layer *out, struct err *err)
{
    struct desk_head head = {.op = DESK_FIND, .layer = *layer};
    struct buf text;
    int result = -1;

    buf_init(&text, sizeof *out);
    if (send_request(d, &head, (struct str){0}, err) == 0 && take_answer(d, &text, NULL, err) == 0)
        result = text.len == sizeof *out ? 0 : err_set(err, ERR_SYSTEM, "bad answer");
    if (result == 0)
        memcpy(out, text.at, sizeof *out);
    buf_done(&text);
    return result;
}

int desk_begin(struct desk *d, const struct digest *layer, int *out_fd, struct err *err)
{
    struct desk_head head = {.op = DESK_BEGIN, .layer = *layer};
    int fd = -1;

    if (send_request(d, &head, (struct str){0}, err) != 0 || take_answer(d, NULL, &fd, err) != 0)
        return -1;
    if (fd < 0)
        return err_set(err, ERR_SYSTEM, "the keeper gave no directory");
    *out_fd = fd;
    return 0;
}

int desk_opaque(struct desk *d, const struct digest *layer, const char *path, struct err *err)
{
    return ask(d, DESK_OPAQUE, layer, str_of(path), err);
}

int desk_name(struct desk *d, const struct digest *key, struct buf *out, struct err *err)
{
    struct desk_head head = {.op = DESK_NAME, .layer = *key};

    if (send_request(d, &head, (struct str){0}, err) != 0)
        return -1;
    return take_answer(d, out, NULL, err);
}

int desk_done(struct desk *d, const struct desk_layer *layers, size_t count, struct str record,
              struct err *err)
{
    struct desk_head head = {.op = DESK_DONE, .count = (uint32_t)count};
    struct buf text;
    int result = -1;

    buf_init(&text, DESK_TEXT_MAX);
    buf_add(&text, layers, count * sizeof *layers);
    buf_add_str(&text, record);
    head.text = (uint32_t)text.len;
    if (!buf_ok(&text))
        err_set(err, ERR_LIMIT, "the image's configuration is too large");
    else if (send_request(d, &head, buf_str(&text), err) == 0)
        result = take_answer(d, NULL, NULL, err);
    buf_done(&text);
    return result;
}

void desk_fail(struct desk *d, const struct err *why)
{
    struct desk_head head = {.op = DESK_FAIL, .kind = why->kind};
    struct err unused;

    head.text = (uint32_t)strlen(why->text);
    ignore(send_request(d, &head, str_of(why->text), &unused)); /* it is gone: nobody to tell */
}
