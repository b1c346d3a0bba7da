/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of our own kernels (kernels/): requests on their standard input, events as JSON lines
 * on descriptor 3, and what the code prints as bytes on 1 and 2.
 *
 * A program writes to its pipes before it tells that it is done, so what is in them when an event
 * comes belongs in front of it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "codec/codec.h"
#include "interpreter/ascii.h"
#include "interpreter/bodies.h"
#include "interpreter/driver.h"
#include "interpreter/lines.h"
#include "interpreter/variables.h"
#include "io/stream.h"

enum {
    REQUESTS_MAX = 96 << 20,
    EVENT_MAX = 32 << 20,
    READ_SIZE = 32 << 10,
    DRAIN_MAX = 64, /* reads in front of an event: others of the sandbox may print without end */
    CARRY_MAX = 3,  /* bytes of a character that is not complete */
    EVENTS_FD = 3,
    PRINTS = 2,
    INTERRUPT_AGAIN_MS = 500,
};

/* What the code prints on one descriptor. */
struct print {
    struct pipes *of;
    int fd;
    bool is_stderr, is_ended;
    struct watch watch;
    size_t carry_len;
    char carry[CARRY_MAX];
};

struct pipes {
    struct kernel *k;
    struct stream requests, events;
    struct print prints[PRINTS];
    int64_t count;
    bool is_paused;
    struct timer again;
    struct buf out;
};

static void read_events(void *ctx);

static void forward(struct pipes *p)
{
    kernel_output(p->k, buf_str(&p->out));
    buf_done(&p->out);
}

/* What is printed. */

static void print_bytes(struct print *t, struct str bytes, bool is_last)
{
    size_t open = is_last ? 0 : ascii_unfinished(bytes);

    t->carry_len = open;
    memcpy(t->carry, bytes.at + bytes.len - open, open);
    bytes.len -= open;
    if (bytes.len == 0)
        return;
    line_stream_bytes(&t->of->out, t->is_stderr, bytes);
    forward(t->of);
}

/* False: nothing more now. */
static bool print_some(struct print *t)
{
    char bytes[CARRY_MAX + READ_SIZE / 4];
    size_t held = t->carry_len;
    ssize_t n;

    if (t->is_ended)
        return false;
    memcpy(bytes, t->carry, held);
    n = read(t->fd, bytes + held, sizeof(bytes) - held);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        t->is_ended = true;
        watch_stop(&t->watch);
    }
    print_bytes(t, (struct str){bytes, held + (n > 0 ? (size_t)n : 0)}, n <= 0);
    return n > 0;
}

static void on_print(void *ctx, uint32_t events)
{
    struct print *t = ctx;

    ignore((long)events); /* the read tells the rest */
    ignore(print_some(t));
}

static void watch_print(struct print *t)
{
    struct err err;

    if (!t->is_ended && t->fd >= 0 &&
        watch_start(t->of->k->place.loop, &t->watch, t->fd, EPOLLIN, on_print, t, &err) != 0)
        kernel_lost(t->of->k, err.text);
}

/* True: nothing printed waits any more. */
static bool drain(struct pipes *p)
{
    for (size_t i = 0; i < PRINTS; i++) {
        for (int n = 0; n < DRAIN_MAX && !p->is_paused; n++) {
            if (!print_some(&p->prints[i]))
                break;
        }
    }
    return !p->is_paused;
}

/* The rest of a character that will not come any more. */
static void end_prints(struct pipes *p)
{
    for (size_t i = 0; i < PRINTS; i++) {
        char rest[CARRY_MAX];
        size_t len = p->prints[i].carry_len;

        memcpy(rest, p->prints[i].carry, len);
        print_bytes(&p->prints[i], (struct str){rest, len}, true);
    }
}

/* Events. */

static void on_result(struct pipes *p, const struct kernel_event *e, struct arena *a)
{
    struct codec_list data = {0};
    struct err err;

    if (json_members(e->data, a, &data, &err) == 0)
        line_result(&p->out, e->is_main, &data);
    else
        line_error(&p->out, STR("UnreadableOutput"), str_of(err.text), STR(""));
}

static void on_error(struct pipes *p, const struct kernel_event *e, struct arena *a)
{
    ignore(a == NULL); /* not needed here */
    line_error(&p->out, e->name, e->value, e->traceback);
}

static void on_ready(struct pipes *p, const struct kernel_event *e, struct arena *a)
{
    ignore(e == NULL || a == NULL); /* nothing in it */
    kernel_ready(p->k);
}

/* A shell's status is told as its error, as Jupyter's kernel for bash does. */
static void on_done(struct pipes *p, const struct kernel_event *e, struct arena *a)
{
    char status[32];

    ignore(a == NULL); /* not needed here */
    if (e->of != 0 && e->of != p->count)
        return; /* told again of one that was done */
    timer_stop(&p->again);
    end_prints(p);
    snprintf(status, sizeof(status), "%lld", (long long)e->status);
    if (e->status != 0)
        line_error(&p->out, STR("ExitStatus"), str_of(status), STR(""));
    forward(p);
    kernel_done(p->k);
}

struct kind {
    const char *type;
    void (*handle)(struct pipes *p, const struct kernel_event *e, struct arena *a);
};

static const struct kind kinds[] = {
    {"ready",  on_ready },
    {"result", on_result},
    {"error",  on_error },
    {"done",   on_done  },
};

static int handle(struct pipes *p, struct str line)
{
    struct kernel_event e = {0};
    struct arena a;
    struct err err;
    int result;

    arena_init(&a, 2 * EVENT_MAX);
    result = json_decode(&kernel_event_message, line, &a, &e, &err);
    for (size_t i = 0; result == 0 && i < COUNT_OF(kinds); i++) {
        if (str_is(e.type, kinds[i].type)) {
            kinds[i].handle(p, &e, &a);
            break;
        }
    }
    arena_done(&a);
    forward(p);
    return result;
}

static void read_events(void *ctx)
{
    struct pipes *p = ctx;
    struct stream *s = &p->events;

    while (s->fd >= 0 && !p->k->is_closed) {
        struct str in = buf_str(&s->in), rest;
        ssize_t end = str_find(in, '\n');

        if (end < 0)
            break;
        if (!drain(p))
            return; /* pipes_pause() comes back here */
        rest = str_upto(in, (size_t)end);
        if (handle(p, rest) != 0) {
            kernel_lost(p->k, "it says what cannot be read");
            return;
        }
        if (s->fd < 0)
            return; /* the event was the last */
        stream_consume(s, (size_t)end + 1);
    }
    if (s->fd >= 0 && (s->eof || s->in.len == s->in.max)) {
        ignore(drain(p)); /* the rest is lost to a reader that is behind */
        kernel_lost(p->k, "it has closed its events");
    }
}

static void on_broken(void *ctx)
{
    struct pipes *p = ctx;

    kernel_lost(p->k, "the connection is broken");
}

static void on_nothing(void *ctx)
{
    ignore(ctx == NULL); /* standard input is written to only */
}

/* The pipe's end for us stays, the other one goes to the process as `number`. */
static int open_pipe(int number, bool is_ours_to_read, struct child_fd *out_child, int *out_ours,
                     struct err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_sys(err, errno, "make a pipe");
    *out_ours = ends[is_ours_to_read ? 0 : 1];
    *out_child = (struct child_fd){ends[is_ours_to_read ? 1 : 0], number};
    ignore(fcntl(*out_ours, F_SETFL, O_NONBLOCK)); /* cannot fail */
    return 0;
}

static int open_prints(struct pipes *p, struct child_fd *fds, size_t *count, struct err *err)
{
    for (size_t i = 0; i < PRINTS; i++) {
        struct print *t = &p->prints[i];

        if (open_pipe((int)i + 1, true, &fds[*count], &t->fd, err) != 0)
            return -1;
        (*count)++;
        if (watch_start(p->k->place.loop, &t->watch, t->fd, EPOLLIN, on_print, t, err) != 0)
            return -1;
    }
    return 0;
}

static int pipes_open(struct kernel *k, struct child_fd *fds, size_t *fd_count, struct err *err)
{
    static const struct stream_events requests = {
        .on_data = on_nothing, .on_fail = on_broken, .in_max = 1, .out_max = REQUESTS_MAX};
    static const struct stream_events events = {
        .on_data = read_events, .on_fail = on_broken, .in_max = EVENT_MAX, .out_max = 1};
    struct pipes *p = mem_zero(sizeof(*p));
    int fd;

    k->state = p;
    p->k = k;
    p->requests.fd = p->events.fd = -1;
    buf_init(&p->out, DRIVER_LINE_MAX);
    for (size_t i = 0; i < PRINTS; i++)
        p->prints[i] = (struct print){.of = p, .fd = -1, .is_stderr = i == 1};
    if (open_prints(p, fds, fd_count, err) != 0)
        return -1;
    if (open_pipe(0, false, &fds[*fd_count], &fd, err) != 0)
        return -1;
    (*fd_count)++;
    if (stream_open(&p->requests, k->place.loop, fd, false, &requests, p, err) != 0)
        return -1;
    stream_pause(&p->requests);
    if (open_pipe(EVENTS_FD, true, &fds[*fd_count], &fd, err) != 0)
        return -1;
    (*fd_count)++;
    return stream_open(&p->events, k->place.loop, fd, false, &events, p, err);
}

/* One JSON line for a kernel that reads JSON. */
static void lines_execute(struct kernel *k, const struct kernel_job *job)
{
    struct pipes *p = k->state;
    struct buf line;

    line_count(&p->out, ++p->count);
    forward(p);
    buf_init(&line, REQUESTS_MAX);
    buf_add_text(&line, "{\"code\":");
    ascii_quote(&line, job->code);
    buf_add_text(&line, ",\"envs\":");
    ascii_json(&line, job->envs.len > 0 ? job->envs : STR("{}"));
    buf_add_text(&line, ",\"globals\":");
    ascii_json(&line, job->globals.len > 0 ? job->globals : STR("{}"));
    buf_add_text(&line, "}\n");
    ignore(stream_write(&p->requests, buf_str(&line))); /* a failure is told by on_broken */
    buf_done(&line);
}

/* A word of a shell, whatever is in it; a NUL cannot be. */
static void add_word(struct buf *out, struct str text)
{
    buf_add_byte(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\'')
            buf_add_text(out, "'\\''");
        else if (text.at[i] != '\0')
            buf_add_byte(out, text.at[i]);
    }
    buf_add_byte(out, '\'');
}

/* `command` 'NAME' 'VALUE' for each member of the JSON object. */
static void add_variables(struct buf *out, const char *command, struct str json)
{
    const struct codec_pair *pairs;
    struct variables v;

    if (json.len == 0)
        return;
    if (variables_read(&v, json, EVENT_MAX)) {
        pairs = v.all.items;
        for (size_t i = 0; i < v.all.count; i++) {
            buf_add_text(out, command);
            add_word(out, pairs[i].key);
            buf_add_byte(out, ' ');
            add_word(out, pairs[i].value);
            buf_add_byte(out, '\n');
        }
    }
    variables_done(&v);
}

static void add_done(struct buf *out, const char *status, const struct pipes *p)
{
    buf_printf(out, "__sandlot_done %s %lld\n", status, (long long)p->count);
}

/* Lines for kernels/bash.rc. An interrupt ends the line that is running, not those behind it. */
static void shell_execute(struct kernel *k, const struct kernel_job *job)
{
    struct pipes *p = k->state;
    struct buf lines;

    line_count(&p->out, ++p->count);
    forward(p);
    buf_init(&lines, REQUESTS_MAX);
    add_variables(&lines, "__sandlot_global ", job->globals);
    add_variables(&lines, "__sandlot_env ", job->envs);
    buf_add_text(&lines, "eval ");
    add_word(&lines, job->code);
    buf_add_text(&lines, " </dev/null\n");
    add_done(&lines, "$?", p);
    ignore(stream_write(&p->requests, buf_str(&lines))); /* a failure is told by on_broken */
    buf_done(&lines);
}

static void pipes_interrupt(struct kernel *k)
{
    kernel_signal(k, SIGINT);
}

/* A shell may take an interrupt for that of a command which ends by itself at that moment, and go
 * on with the next one. Or it takes one for two, and the second ends the line that tells us. */
static void interrupt_again(void *ctx)
{
    struct kernel *k = ctx;
    struct pipes *p = k->state;
    struct buf line;

    kernel_signal(k, SIGINT);
    buf_init(&line, 128);
    add_done(&line, "130", p);
    ignore(stream_write(&p->requests, buf_str(&line))); /* a failure is told by on_broken */
    buf_done(&line);
    timer_start(k->place.loop, &p->again, INTERRUPT_AGAIN_MS, interrupt_again, k);
}

static void shell_interrupt(struct kernel *k)
{
    struct pipes *p = k->state;

    kernel_signal(k, SIGINT);
    timer_start(k->place.loop, &p->again, INTERRUPT_AGAIN_MS, interrupt_again, k);
}

static void pipes_pause(struct kernel *k, bool is_paused)
{
    struct pipes *p = k->state;

    if (p->is_paused == is_paused)
        return;
    p->is_paused = is_paused;
    /* Stopped and not merely masked: a pipe whose writers are gone would tell so in each turn. */
    for (size_t i = 0; i < PRINTS; i++) {
        watch_stop(&p->prints[i].watch);
        if (!is_paused)
            watch_print(&p->prints[i]);
    }
    if (is_paused)
        stream_pause(&p->events);
    else
        stream_resume(&p->events);
}

static void pipes_close(struct kernel *k)
{
    struct pipes *p = k->state;

    timer_stop(&p->again);
    stream_close(&p->requests);
    stream_close(&p->events);
    for (size_t i = 0; i < PRINTS; i++) {
        watch_stop(&p->prints[i].watch);
        own_close_fd(&p->prints[i].fd);
        p->prints[i].fd = -1;
    }
}

static void pipes_free(struct kernel *k)
{
    struct pipes *p = k->state;

    buf_done(&p->out);
    free(p);
}

const struct driver lines_driver = {
    pipes_open, NULL, lines_execute, pipes_interrupt, pipes_pause, pipes_close, pipes_free,
};
const struct driver shell_driver = {
    pipes_open, NULL, shell_execute, shell_interrupt, pipes_pause, pipes_close, pipes_free,
};
