/* SPDX-License-Identifier: Apache-2.0 */
/* The tunnel behind an Upgrade: two descriptors, two ways. A way reads only when it holds nothing,
 * so that it never keeps more than one read and an idle tunnel keeps no memory at all. While bytes
 * come in bulk they go through a pipe of the loop instead of our memory. */
#include "io/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/buf.h"

enum {
    RELAY_READ_FIRST = 4 << 10,
    RELAY_READ = 64 << 10,
    RELAY_ROUNDS = 8, /* reads of one way in one event */
};

/* Bytes on their way from side i to side 1 - i. */
struct way {
    struct buf held;
    struct loop_pipe pipe; /* only while bulk is on its way */
    size_t piped;          /* bytes in it; then nothing is held */
    bool is_bulk;          /* the last read filled its room */
    bool is_copied;        /* one of its ends cannot be spliced */
    bool has_eof;          /* nothing more will be read */
    bool is_ended;         /* and the other side has been told */
    struct pace *pace;     /* or NULL */
    struct pace_turn turn; /* of it */
    uint64_t *bytes;       /* or NULL */
    struct relay *relay;
};

struct side {
    struct relay *relay;
    int fd;
    struct transport *over; /* or NULL: the descriptor itself, else its `fd` */
    struct watch watch;
};

struct relay {
    struct loop *loop;
    struct side sides[2];
    struct way ways[2]; /* ways[i] leaves side i */
    struct timer idle;
    uint64_t idle_ms;
    uint64_t active_ms; /* when a byte moved last */
    bool is_broken;     /* a side was reset: no use in going on */
    bool is_strict;
    bool was_cut; /* bytes were lost, or may have been */
    bool is_over;
    loop_fn *on_end;
    void *ctx;
};

static void on_side(void *ctx, uint32_t events);

static void close_side(struct side *s)
{
    watch_stop(&s->watch);
    if (s->over != NULL)
        s->over->ops->close(s->over);
    else
        own_close_fd(&s->fd);
    s->over = NULL;
    s->fd = -1;
}

static void close_all(struct relay *r)
{
    timer_stop(&r->idle);
    for (int i = 0; i < 2; i++) {
        close_side(&r->sides[i]);
        pace_leave(&r->ways[i].turn);
        buf_done(&r->ways[i].held);
        loop_give_pipe(r->loop, &r->ways[i].pipe, false);
    }
}

/* Closing sends a reset then. */
static void make_abrupt(const struct relay *r)
{
    const struct linger at_once = {.l_onoff = 1};

    for (int i = 0; i < 2; i++)
        ignore(setsockopt(r->sides[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
}

static void finish(struct relay *r)
{
    if (r->is_strict && (r->was_cut || !r->ways[0].is_ended || !r->ways[1].is_ended))
        make_abrupt(r);
    close_all(r);
    r->is_over = true;
    if (r->on_end != NULL)
        r->on_end(r->ctx);
    free(r);
}

static void kill_way(struct relay *r, struct way *w)
{
    r->was_cut = r->was_cut || !w->is_ended;
    buf_done(&w->held);
    loop_give_pipe(r->loop, &w->pipe, w->piped == 0);
    w->piped = 0;
    w->has_eof = w->is_ended = true;
}

static ssize_t read_side(struct side *s, void *data, size_t size)
{
    return s->over != NULL ? s->over->ops->read(s->over, data, size) : read(s->fd, data, size);
}

static ssize_t write_side(struct side *s, struct buf *data)
{
    const struct iovec part = {data->at, data->len};
    ssize_t n;

    if (s->over != NULL)
        return s->over->ops->write(s->over, &part, 1);
    n = send(s->fd, data->at, data->len, MSG_NOSIGNAL);
    return n < 0 && errno == ENOTSOCK ? write(s->fd, data->at, data->len) : n;
}

static void end_side(struct side *s)
{
    if (s->over != NULL)
        s->over->ops->end(s->over);
    else
        ignore(shutdown(s->fd, SHUT_WR)); /* not a socket, or gone: it knows */
}

/* True: something was read. */
static bool read_way(struct relay *r, int from)
{
    struct way *w = &r->ways[from];
    size_t want = w->is_bulk ? RELAY_READ : RELAY_READ_FIRST;
    char *room = buf_room(&w->held, want);
    ssize_t n;

    if (room == NULL) {
        r->is_broken = true; /* no memory */
        return false;
    }
    n = read_side(&r->sides[from], room, want);
    if (n > 0) {
        buf_fill(&w->held, (size_t)n);
        w->is_bulk = (size_t)n == want || (w->is_bulk && n >= RELAY_READ_FIRST);
        return true;
    }
    buf_done(&w->held);
    if (n == 0 || errno == EIO) /* EIO: a terminal whose other side is closed */
        w->has_eof = true;
    else if (errno != EAGAIN && errno != EINTR)
        r->is_broken = true;
    return false;
}

/* Out of the pipe again: the sink takes only what is written. */
static void unpipe(struct relay *r, struct way *w)
{
    char *room = buf_room(&w->held, w->piped);
    ssize_t n = room == NULL ? -1 : read(w->pipe.from, room, w->piped);

    w->is_copied = true;
    if (n == (ssize_t)w->piped)
        buf_fill(&w->held, w->piped);
    else
        r->is_broken = true;
    w->piped = 0;
}

/* As write_way() for what is in the pipe. */
static bool push_way(struct relay *r, int from)
{
    struct way *w = &r->ways[from];

    while (w->piped > 0) {
        ssize_t n = splice(w->pipe.from, NULL, r->sides[1 - from].fd, NULL, w->piped,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (n < 0 && errno == EINVAL) {
            unpipe(r, w);
        } else if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                kill_way(r, w);
            return false;
        } else {
            r->active_ms = loop_now_ms(r->loop);
            w->piped -= (size_t)n;
        }
    }
    return !r->is_broken;
}

/* True: something was moved into the pipe. */
static bool pull_way(struct relay *r, int from)
{
    struct way *w = &r->ways[from];
    struct err err;
    ssize_t n;

    if (w->pipe.to == 0 && loop_take_pipe(r->loop, &w->pipe, &err) != 0) {
        w->is_copied = true; /* out of descriptors: copying needs none */
        return read_way(r, from);
    }
    n = splice(r->sides[from].fd, NULL, w->pipe.to, NULL, RELAY_READ,
               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) {
        w->piped = (size_t)n;
        w->is_bulk = n >= RELAY_READ_FIRST;
        return true;
    }
    if (n < 0 && errno == EINVAL) {
        w->is_copied = true;
        return read_way(r, from);
    }
    if (n == 0 || errno == EIO)
        w->has_eof = true;
    else if (errno != EAGAIN && errno != EINTR)
        r->is_broken = true;
    return false;
}

/* True: nothing is held any more. */
static bool write_way(struct relay *r, int from)
{
    struct way *w = &r->ways[from];

    if (!push_way(r, from))
        return false;
    while (w->held.len > 0) {
        ssize_t n = write_side(&r->sides[1 - from], &w->held);

        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                kill_way(r, w); /* what comes the other way may still be delivered */
            return false;
        }
        r->active_ms = loop_now_ms(r->loop);
        buf_consume(&w->held, (size_t)n);
    }
    buf_done(&w->held);
    return true;
}

static void on_turn(void *ctx);

static bool may_read(struct relay *r, struct way *w)
{
    if (w->pace == NULL || pace_ready(w->pace, &w->turn, loop_now_ms(r->loop)))
        return true;
    if (!pace_waits(&w->turn))
        pace_wait(w->pace, r->loop, &w->turn, on_turn, w);
    return false;
}

static void pump(struct relay *r, int from)
{
    struct way *w = &r->ways[from];

    if (!write_way(r, from))
        return;
    for (int i = 0; i < RELAY_ROUNDS && !w->has_eof && may_read(r, w); i++) {
        bool has_come = w->is_bulk && !w->is_copied ? pull_way(r, from) : read_way(r, from);
        bool was_short = w->held.len + w->piped < RELAY_READ_FIRST; /* nothing is left to be read */

        if (has_come && w->pace != NULL)
            pace_spend(w->pace, w->held.len + w->piped);
        if (has_come && w->bytes != NULL)
            *w->bytes += w->held.len + w->piped;
        if (!has_come || !write_way(r, from) || was_short)
            break;
    }
    if (w->piped == 0)
        loop_give_pipe(r->loop, &w->pipe, true);
    if (w->has_eof && !w->is_ended && write_way(r, from)) {
        w->is_ended = true;
        end_side(&r->sides[1 - from]);
    }
}

static bool is_full(const struct way *w)
{
    return w->held.len > 0 || w->piped > 0;
}

static uint32_t wanted(const struct relay *r, int i)
{
    uint32_t events = 0;

    if (!r->ways[i].has_eof && !is_full(&r->ways[i]) && !pace_waits(&r->ways[i].turn))
        events |= EPOLLIN;
    if (is_full(&r->ways[1 - i]))
        events |= EPOLLOUT;
    return events;
}

static int arm(struct relay *r, int i, bool is_hung, struct err *err)
{
    struct side *s = &r->sides[i];
    uint32_t events = wanted(r, i);

    if (s->over != NULL) {
        s->over->ops->want(s->over, events);
        return 0;
    }
    if (s->watch.loop == NULL)
        return events == 0 ? 0 : watch_start(r->loop, &s->watch, s->fd, events, on_side, s, err);
    if (events == 0 && is_hung)
        watch_stop(&s->watch); /* a hang-up would be reported for ever */
    else
        watch_set(&s->watch, events);
    return 0;
}

static void on_turn(void *ctx)
{
    struct way *w = ctx;
    struct relay *r = w->relay;

    pump(r, w == &r->ways[1]);
    if (r->is_broken || (r->ways[0].is_ended && r->ways[1].is_ended) ||
        arm(r, 0, false, NULL) != 0 || arm(r, 1, false, NULL) != 0)
        finish(r);
}

static void on_side(void *ctx, uint32_t events)
{
    struct side *s = ctx;
    struct relay *r = s->relay;
    int i = s == &r->sides[1];
    bool is_hung = (events & (EPOLLHUP | EPOLLERR)) != 0;

    if ((events & EPOLLIN) != 0 || (is_hung && !is_full(&r->ways[i])))
        pump(r, i);
    if ((events & EPOLLOUT) != 0)
        pump(r, 1 - i);
    /* Hung up and read to its end: nobody is left to write to. */
    if ((events & EPOLLHUP) != 0 && r->ways[i].has_eof)
        kill_way(r, &r->ways[1 - i]);
    if (r->is_broken || (r->ways[0].is_ended && r->ways[1].is_ended) ||
        arm(r, i, is_hung, NULL) != 0 || arm(r, 1 - i, false, NULL) != 0)
        finish(r);
}

static void on_idle(void *ctx)
{
    struct relay *r = ctx;
    uint64_t quiet_ms = loop_now_ms(r->loop) - r->active_ms;

    if (quiet_ms < r->idle_ms)
        timer_start(r->loop, &r->idle, r->idle_ms - quiet_ms, on_idle, r);
    else
        finish(r);
}

static int set_non_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int set_up(struct relay *r, struct str to_a, struct str to_b, struct err *err)
{
    const struct str first[2] = {to_b, to_a}; /* ways[0] leaves a */

    for (int i = 0; i < 2; i++) {
        size_t max = first[i].len < RELAY_READ ? RELAY_READ : first[i].len;

        r->sides[i].relay = r;
        if (r->sides[i].over != NULL) {
            r->sides[i].fd = r->sides[i].over->fd;
            r->ways[0].is_copied = r->ways[1].is_copied = true;
            transport_take(r->sides[i].over, on_side, &r->sides[i]);
        }
        buf_init(&r->ways[i].held, max);
        buf_add_str(&r->ways[i].held, first[i]);
        if (!buf_ok(&r->ways[i].held))
            return err_sys(err, ENOMEM, "start relay");
        if (set_non_blocking(r->sides[i].fd) != 0)
            return err_sys(err, errno, "start relay");
    }
    return arm(r, 0, false, err) != 0 || arm(r, 1, false, err) != 0 ? -1 : 0;
}

int relay_start(struct loop *l, const struct relay_spec *spec, struct relay **out, struct err *err)
{
    struct relay *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        relay_refuse(spec);
        return err_sys(err, ENOMEM, "start relay");
    }
    *r = (struct relay){
        .loop = l,
        .is_strict = spec->is_strict,
        .idle_ms = spec->idle_ms,
        .active_ms = loop_now_ms(l),
        .on_end = spec->on_end,
        .ctx = spec->ctx,
    };
    r->sides[0] = (struct side){.fd = spec->a, .over = spec->over_a};
    r->sides[1] = (struct side){.fd = spec->b, .over = spec->over_b};
    r->ways[0] = (struct way){.pace = spec->pace_a, .bytes = spec->bytes_a, .relay = r};
    r->ways[1] = (struct way){.pace = spec->pace_b, .bytes = spec->bytes_b, .relay = r};
    if (set_up(r, spec->to_a, spec->to_b, err) != 0) {
        close_all(r);
        free(r);
        return -1;
    }
    if (r->idle_ms > 0)
        timer_start(l, &r->idle, r->idle_ms, on_idle, r);
    *out = r;
    return 0;
}

void relay_refuse(const struct relay_spec *spec)
{
    close_side(&(struct side){.fd = spec->a, .over = spec->over_a});
    close_side(&(struct side){.fd = spec->b, .over = spec->over_b});
}

void relay_abort(struct relay *r)
{
    if (r == NULL || r->is_over)
        return;
    if (r->is_strict)
        make_abrupt(r);
    close_all(r);
    free(r);
}
