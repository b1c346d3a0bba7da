/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds processes: bytes of SendInput are written in order of arrival; a call is answered when its
 * last byte is in the pipe, so that a client that waits is slowed to the program's pace. */
#include <errno.h>
#include <fcntl.h>

#include "envd/process.h"

/* A SendInput call whose bytes are not all written yet. */
struct input_wait {
    struct list_node node;
    struct process *process;
    struct rpc_peer peer;
    uint64_t until; /* answered when `written` reaches this */
};

static void input_ready(void *ctx, uint32_t events);

void input_open(struct process *p, int fd)
{
    p->input.fd = fd;
    ignore(fcntl(fd, F_SETFL, O_NONBLOCK)); /* cannot fail on a descriptor of ours */
}

static struct input_wait *first_wait(struct process_input *in)
{
    struct list_node *n = list_first(&in->waits);

    return n == NULL ? NULL : container_of(n, struct input_wait, node);
}

/* Take it out of the queue; the caller answers. */
static struct rpc_peer wait_end(struct input_wait *w)
{
    struct rpc_peer peer = w->peer;

    list_remove(&w->node);
    w->process->input.wait_count--;
    exchange_on_gone(peer.x, NULL, NULL);
    free(w);
    return peer;
}

static void wait_gone(void *ctx, struct exchange *x)
{
    struct input_wait *w = ctx;

    (void)x; /* the bytes were accepted; they are written all the same */
    list_remove(&w->node);
    w->process->input.wait_count--;
    free(w);
}

static void answer_written(struct process_input *in)
{
    const struct empty nothing = {0};
    struct input_wait *w;

    while ((w = first_wait(in)) != NULL && w->until <= in->written)
        rpc_reply(wait_end(w), &empty_message, &nothing);
}

/* False: the reader is gone. */
static bool write_some(struct process_input *in, struct str data, size_t *out_written)
{
    ssize_t put;

    *out_written = 0;
    while (*out_written < data.len) {
        put = write(in->fd, data.at + *out_written, data.len - *out_written);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno == EAGAIN;
        *out_written += (size_t)put;
    }
    return true;
}

void input_close(struct process *p)
{
    struct process_input *in = &p->input;
    struct input_wait *w;

    if (in->fd >= 0) {
        watch_stop(&in->watch);
        close(in->fd);
        in->fd = -1;
    }
    buf_done(&in->waiting);
    while ((w = first_wait(in)) != NULL)
        rpc_fail(wait_end(w), CONNECT_INTERNAL, "error writing to stdin: it is closed");
}

void input_end(struct process *p)
{
    if (p->input.waiting.len == 0)
        input_close(p);
    else
        p->input.is_closing = true;
}

static void input_ready(void *ctx, uint32_t events)
{
    struct process *p = ctx;
    struct process_input *in = &p->input;
    size_t written;

    if (!write_some(in, buf_str(&in->waiting), &written) || (events & EPOLLERR) != 0) {
        input_close(p);
        return;
    }
    in->written += written;
    buf_consume(&in->waiting, written);
    answer_written(in);
    if (in->waiting.len > 0)
        return;
    watch_stop(&in->watch);
    if (in->is_closing)
        input_close(p);
}

/* Keep what could not be written, and the call with it. */
static int queue(struct process *p, struct str rest, struct rpc_call *call, struct err *err)
{
    struct process_input *in = &p->input;
    struct input_wait *w;

    if (in->wait_count == INPUT_WAITS_MAX || rest.len > buf_left(&in->waiting))
        return err_set(err, ERR_LIMIT, "too much input is waiting for the process to read");
    if (in->watch.loop == NULL &&
        watch_start(p->table->loop, &in->watch, in->fd, EPOLLOUT, input_ready, p, err) != 0)
        return -1;
    w = calloc(1, sizeof(*w));
    if (w != NULL)
        buf_add_str(&in->waiting, rest);
    if (w == NULL || !buf_ok(&in->waiting)) {
        free(w);
        in->waiting.failed = false; /* nothing was appended */
        return err_set(err, ERR_LIMIT, "out of memory");
    }
    in->accepted += rest.len;
    *w = (struct input_wait){.process = p, .peer = call->peer, .until = in->accepted};
    list_push(&in->waits, &w->node);
    in->wait_count++;
    exchange_on_gone(call->peer.x, wait_gone, w);
    return 0;
}

void input_send(struct process *p, struct str data, struct rpc_call *call)
{
    const struct empty nothing = {0};
    struct process_input *in = &p->input;
    size_t written = 0;
    struct err err;

    if (in->fd < 0 || in->is_closing) {
        rpc_fail(call->peer, CONNECT_INTERNAL,
                 "error writing to %s: stdin is not enabled or closed",
                 p->is_pty ? "pty" : "stdin");
        return;
    }
    if (in->waiting.len == 0 && !write_some(in, data, &written)) {
        input_close(p);
        rpc_fail(call->peer, CONNECT_INTERNAL, "error writing to stdin: broken pipe");
        return;
    }
    in->accepted += written;
    in->written += written;
    if (written == data.len)
        rpc_reply(call->peer, &empty_message, &nothing);
    else if (queue(p, str_from(data, written), call, &err) != 0)
        rpc_fail_err(call->peer, &err);
}
