/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what processes write and hands it to process_publish(). */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "envd/process.h"

enum {
    SMALL_READ = 8 << 10, /* read on the stack; more takes an allocation for a moment */
    DRAIN_READS_MAX = 4,  /* of OUTPUT_CHUNK: twice what a pipe holds */
};

static void publish(struct process_output *o, const char *data, size_t len)
{
    struct str bytes = {data, len};
    struct data_event chunk = {
        .which = o->kind, .stdout_bytes = bytes, .stderr_bytes = bytes, .pty_bytes = bytes};
    struct process_event event = {.which = EVENT_DATA, .data = &chunk};

    replay_add(&o->process->replay, o->kind, bytes);
    if (o->process->subscriber_count > 0)
        process_publish(o->process, &event);
}

/* Bytes read and published; 0 at the end of the stream; -1 when there is nothing now. */
static ssize_t read_once(struct process_output *o)
{
    size_t most = o->kind == DATA_PTY ? PTY_CHUNK : OUTPUT_CHUNK;
    auto_free char *large = NULL;
    char small[SMALL_READ];
    char *into = small;
    size_t size = sizeof(small);
    int waiting = 0;
    ssize_t got;

    if (ioctl(o->fd, FIONREAD, &waiting) == 0 && (size_t)waiting > size) {
        large = malloc(most);
        into = large != NULL ? large : small;
        size = large != NULL ? most : size;
    }
    do
        got = read(o->fd, into, size);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        publish(o, into, (size_t)got);
    if (got < 0 && errno != EAGAIN)
        return 0; /* EIO: the last holder of the terminal closed it */
    return got;
}

/* An end that was seen may be the end of the process. */
static void finish(struct process_output *o)
{
    output_close(o);
    process_check_end(o->process);
}

static void output_ready(void *ctx, uint32_t events)
{
    struct process_output *o = ctx;
    ssize_t got;

    /* After a hang-up the rest is read in this turn: its end is near. */
    do
        got = read_once(o);
    while (got > 0 && (events & EPOLLHUP) != 0 && !o->process->is_paused);
    if (got == 0)
        finish(o);
}

int output_open(struct process *p, size_t index, int fd, enum data_kind kind, struct err *err)
{
    struct process_output *o = &p->outputs[index];

    o->fd = fd;
    o->kind = kind;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return err_sys(err, errno, "start process: output");
    return watch_start(p->table->loop, &o->watch, fd, EPOLLIN, output_ready, o, err);
}

void output_close(struct process_output *o)
{
    if (o->fd < 0)
        return;
    watch_stop(&o->watch);
    close(o->fd);
    o->fd = -1;
}

void output_drain(struct process_output *o)
{
    ssize_t got = 1;

    for (int i = 0; got > 0 && i < DRAIN_READS_MAX && o->fd >= 0; i++)
        got = read_once(o);
    if (got == 0)
        output_close(o);
}

/* A watch with an empty mask would still report hang-ups, again and again: stop it. */
void process_pause(struct process *p)
{
    if (p->is_paused)
        return;
    p->is_paused = true;
    for (size_t i = 0; i < COUNT_OF(p->outputs); i++)
        watch_stop(&p->outputs[i].watch);
}

void process_resume(struct process *p)
{
    if (!p->is_paused)
        return;
    p->is_paused = false;
    for (size_t i = 0; i < COUNT_OF(p->outputs); i++) {
        struct process_output *o = &p->outputs[i];
        struct err err;

        if (o->fd >= 0 &&
            watch_start(p->table->loop, &o->watch, o->fd, EPOLLIN, output_ready, o, &err) != 0)
            finish(o); /* no memory to listen on: what it still writes is lost */
    }
}
