/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds processes: what SendInput and StreamInput bring is written in order of arrival; what the
 * process does not read yet stays where its sender keeps it, and the sender waits. */
#include <errno.h>
#include <fcntl.h>

#include "envd/process.h"

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

/* Out of the queue, then tell its owner: it may be gone afterwards. */
static void wait_end(struct input_wait *w, const struct err *err)
{
    struct process_input *in = &w->process->input;

    list_remove(&w->node);
    in->wait_count--;
    in->waiting -= w->data.len;
    w->fn(w->ctx, err);
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
    struct err err;

    if (in->fd >= 0) {
        watch_stop(&in->watch);
        close(in->fd);
        in->fd = -1;
    }
    ignore(err_set(&err, ERR_SYSTEM, "error writing to stdin: it is closed"));
    while ((w = first_wait(in)) != NULL)
        wait_end(w, &err);
}

void input_end(struct process *p)
{
    if (p->input.wait_count == 0)
        input_close(p);
    else
        p->input.is_closing = true;
}

static void input_ready(void *ctx, uint32_t events)
{
    struct process *p = ctx;
    struct process_input *in = &p->input;
    struct input_wait *w;
    size_t written;

    while ((w = first_wait(in)) != NULL) {
        if ((events & EPOLLERR) != 0 || !write_some(in, w->data, &written)) {
            input_close(p);
            return;
        }
        w->data = str_from(w->data, written);
        in->waiting -= written;
        if (w->data.len > 0)
            return;
        wait_end(w, NULL);
    }
    watch_stop(&in->watch);
    if (in->is_closing)
        input_close(p);
}

ssize_t input_write(struct process *p, struct str data, struct err *err)
{
    struct process_input *in = &p->input;
    size_t written = 0;

    if (in->fd < 0 || in->is_closing)
        return err_set(err, ERR_SYSTEM, "error writing to %s: stdin is not enabled or closed",
                       p->is_pty ? "pty" : "stdin");
    if (in->wait_count == 0 && !write_some(in, data, &written)) {
        input_close(p);
        return err_set(err, ERR_SYSTEM, "error writing to stdin: broken pipe");
    }
    return (ssize_t)written;
}

int input_wait(struct process *p, struct input_wait *w, struct err *err)
{
    struct process_input *in = &p->input;

    if (in->wait_count == INPUT_WAITS_MAX)
        return err_set(err, ERR_LIMIT, "too much input is waiting for the process to read");
    if (in->watch.loop == NULL &&
        watch_start(p->table->loop, &in->watch, in->fd, EPOLLOUT, input_ready, p, err) != 0)
        return -1;
    w->process = p;
    list_push(&in->waits, &w->node);
    in->wait_count++;
    in->waiting += w->data.len;
    return 0;
}

struct str input_bytes(const struct process *p, const struct process_input_data *input,
                       enum connect_code *out_code, const char **out_why)
{
    *out_code = CONNECT_INTERNAL;
    *out_why = NULL;
    if (input == NULL || input->which == INPUT_NONE) {
        *out_code = CONNECT_UNIMPLEMENTED;
        *out_why = "invalid input type: neither stdin nor pty";
    } else if (input->which == INPUT_STDIN && p->is_pty) {
        *out_why = "error writing to stdin: the process has a pty, send pty input";
    } else if (input->which == INPUT_PTY && !p->is_pty) {
        *out_why = "error writing to tty: tty is not assigned";
    } else {
        return p->is_pty ? input->pty_bytes : input->stdin_bytes;
    }
    return (struct str){NULL, 0};
}
