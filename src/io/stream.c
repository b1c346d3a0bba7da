/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams on the loop: every connection, pipe and terminal goes through here.
 *
 * Bits are added to the watch when they are needed but dropped only when an event comes that finds
 * nothing to do: a consumer that keeps up costs no epoll_ctl at all. A hang-up with nothing to do
 * takes the descriptor off the loop (it would be reported for ever) until something is wanted. */
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum {
    STREAM_PAUSED = 1,     /* by hand */
    STREAM_BULK = 2,       /* the last read filled its room: ask for more at once */
    STREAM_ABOVE_HIGH = 4, /* on_drain is owed */
    STREAM_NOT_SOCKET = 8, /* sendmsg(2) said so */
    STREAM_ENDING = 16,    /* stream_end() was called */
    STREAM_ENDED = 32,     /* and done */
    STREAM_FAILED = 64,
    STREAM_TELL_DATA = 128, /* callbacks to be made */
    STREAM_TELL_DRAIN = 256,
    STREAM_TELL_FAIL = 512,
    STREAM_WRITE_ONLY = 1024,  /* the writing end of a pipe */
    STREAM_AWAITS_ROOM = 2048, /* stream_send_file() found none */
    STREAM_PULLED = 4096,      /* bytes are taken by stream_pull(), not into `in` */

    STREAM_READ_FIRST = 4 << 10, /* room for the first read: most messages are small */
    STREAM_READS = 4,            /* reads in one event, then the others have their turn */
    STREAM_LAST_READS = 64,      /* reads when saving what a broken peer had sent */
    STREAM_PARTS = 16,           /* parts in one writev */
};

static void on_event(void *ctx, uint32_t events);
static void on_wake(void *ctx);
static void fail(struct stream *s, int sys);

struct transport *stream_over(const struct stream *s)
{
#ifdef IO_WITHOUT_TRANSPORT /* envd has no use for them, and no room */
    ignore(s->fd);
    return NULL;
#else
    return s->over;
#endif
}

static bool is_dead(const struct stream *s)
{
    return s->events == NULL || s->fd < 0 || (s->flags & STREAM_FAILED) != 0;
}

static bool may_read(const struct stream *s)
{
    return !s->eof && !s->connecting && (s->flags & (STREAM_PAUSED | STREAM_WRITE_ONLY)) == 0 &&
           buf_left(&s->in) > 0;
}

static bool has_output(const struct stream *s)
{
    return s->out.len > 0 || (s->flags & STREAM_AWAITS_ROOM) != 0;
}

static uint32_t wanted(const struct stream *s)
{
    uint32_t events = 0;

    if (s->connecting || has_output(s))
        events |= EPOLLOUT;
    if (may_read(s))
        events |= EPOLLIN;
    return events;
}

static void set_mask(struct stream *s, uint32_t events)
{
    if (stream_over(s) != NULL)
        stream_over(s)->ops->want(stream_over(s), events);
    else
        watch_set(&s->watch, events);
}

/* Add what is missing from the mask. */
static void arm(struct stream *s)
{
    uint32_t events = wanted(s);
    struct err err;

    if (is_dead(s) || events == 0)
        return;
    if (stream_over(s) != NULL) {
        stream_over(s)->ops->want(stream_over(s), stream_over(s)->events | events);
        return;
    }
    if (s->watch.loop != NULL) {
        watch_set(&s->watch, s->watch.events | events);
        return;
    }
    if (watch_start(s->loop, &s->watch, s->fd, events, on_event, s, &err) != 0)
        fail(s, err.sys == 0 ? EIO : err.sys);
}

/* Make one callback, as the last thing that is done with the stream: it may be freed by it. The
 * others wait for the end of the turn. */
static void tell(struct stream *s)
{
    uint16_t may = s->flags & (STREAM_TELL_DATA | STREAM_TELL_DRAIN | STREAM_TELL_FAIL);
    loop_fn *fn;

    if ((s->flags & STREAM_FAILED) != 0)
        may &= (uint16_t)~STREAM_TELL_DRAIN;
    else if ((s->flags & STREAM_PAUSED) != 0)
        may &= (uint16_t)~STREAM_TELL_DATA; /* kept for stream_resume() */
    if (may == 0)
        return;
    if ((may & STREAM_TELL_DATA) != 0) {
        fn = s->events->on_data;
        may &= (uint16_t)~STREAM_TELL_DATA;
        s->flags &= (uint16_t)~STREAM_TELL_DATA;
    } else if ((may & STREAM_TELL_FAIL) != 0) {
        fn = s->events->on_fail;
        may = 0;
        s->flags &= (uint16_t) ~(STREAM_TELL_FAIL | STREAM_TELL_DRAIN);
    } else {
        fn = s->events->on_drain;
        may = 0;
        s->flags &= (uint16_t)~STREAM_TELL_DRAIN;
    }
    if (may != 0)
        task_defer(s->loop, &s->wake, on_wake, s);
    fn(s->ctx);
}

static void on_wake(void *ctx)
{
    tell(ctx);
}

/* One read. True: there may be more at once. */
static bool read_once(struct stream *s, int *out_sys)
{
    size_t want = (s->flags & STREAM_BULK) != 0 ? STREAM_READ : STREAM_READ_FIRST;
    char *room;
    ssize_t n;

    *out_sys = 0;
    if (want > buf_left(&s->in))
        want = buf_left(&s->in);
    room = buf_room(&s->in, want);
    if (room == NULL) {
        *out_sys = ENOMEM;
        return false;
    }
    n = stream_over(s) != NULL ? stream_over(s)->ops->read(stream_over(s), room, want)
                               : read(s->fd, room, want);
    if (n > 0) {
        buf_fill(&s->in, (size_t)n);
        s->flags |= STREAM_TELL_DATA;
        if ((size_t)n == want)
            s->flags |= STREAM_BULK;
        else if (n < STREAM_READ_FIRST)
            s->flags &= (uint16_t)~STREAM_BULK;
        return (size_t)n == want;
    }
    *out_sys = n < 0 ? errno : 0;
    if (s->in.len == 0)
        buf_done(&s->in);
    /* A terminal whose other side is closed says EIO. */
    if (n == 0 || *out_sys == EIO) {
        s->eof = true;
        s->flags |= STREAM_TELL_DATA;
        *out_sys = 0;
    }
    return *out_sys == EINTR;
}

static void fill(struct stream *s)
{
    int sys = 0;

    if ((s->flags & STREAM_PULLED) != 0) {
        s->flags |= STREAM_TELL_DATA;
        return;
    }
    for (int i = 0; i < STREAM_READS && may_read(s); i++) {
        if (!read_once(s, &sys))
            break;
    }
    if (s->eof)
        set_mask(s, wanted(s)); /* the end is readable for ever */
    if (sys != 0 && sys != EAGAIN && sys != EINTR)
        fail(s, sys);
}

static void fail(struct stream *s, int sys)
{
    bool was_connecting = s->connecting;

    if (is_dead(s))
        return;
    s->flags |= STREAM_FAILED | STREAM_TELL_FAIL;
    s->sys = sys;
    s->connecting = false;
    set_mask(s, 0);
    watch_stop(&s->watch);
    buf_done(&s->out);
    /* A server that refuses an upload answers and closes: that answer is worth more than our
     * broken pipe, so take what is there. */
    for (int i = 0, unused; !was_connecting && i < STREAM_LAST_READS; i++) {
        s->flags &= (uint16_t)~STREAM_PAUSED;
        if (!may_read(s) || !read_once(s, &unused))
            break;
    }
    task_defer(s->loop, &s->wake, on_wake, s);
}

static ssize_t put(struct stream *s, struct iovec *iov, size_t count)
{
    if (stream_over(s) != NULL)
        return stream_over(s)->ops->write(stream_over(s), iov, count);
    if ((s->flags & STREAM_NOT_SOCKET) == 0) {
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL);

        if (n >= 0 || errno != ENOTSOCK)
            return n;
        s->flags |= STREAM_NOT_SOCKET;
    }
    return writev(s->fd, iov, (int)count);
}

static bool is_later(int sys)
{
    return sys == EAGAIN || sys == EINTR;
}

static void end_now(struct stream *s)
{
    struct stat st;

    s->flags |= STREAM_ENDED;
    if (stream_over(s) != NULL) {
        stream_over(s)->ops->end(stream_over(s));
        return;
    }
    if (shutdown(s->fd, SHUT_WR) == 0 || errno != ENOTSOCK)
        return; /* not connected any more: the peer knows */
    if (fstat(s->fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
        watch_stop(&s->watch);
        own_close_fd(&s->fd);
        s->fd = -1;
    }
}

static void flush(struct stream *s)
{
    s->flags &= (uint16_t)~STREAM_AWAITS_ROOM;
    while (s->out.len > 0) {
        struct iovec iov = {s->out.at, s->out.len};
        ssize_t n = put(s, &iov, 1);

        if (n < 0) {
            if (!is_later(errno))
                fail(s, errno);
            break;
        }
        buf_consume(&s->out, (size_t)n);
    }
    if (is_dead(s))
        return;
    if (s->out.len == 0)
        buf_done(&s->out);
    if ((s->flags & STREAM_ABOVE_HIGH) != 0 && s->out.len <= STREAM_LOW) {
        s->flags &= (uint16_t)~STREAM_ABOVE_HIGH;
        if (s->events->on_drain != NULL)
            s->flags |= STREAM_TELL_DRAIN;
    }
    if (s->out.len == 0 && (s->flags & (STREAM_ENDING | STREAM_ENDED)) == STREAM_ENDING)
        end_now(s);
}

static void finish_connect(struct stream *s)
{
    int sys = 0;
    socklen_t size = sizeof(sys);

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &sys, &size) != 0)
        sys = errno;
    if (sys != 0) {
        fail(s, sys);
        return;
    }
    s->connecting = false;
    flush(s);
    arm(s);
}

static void on_event(void *ctx, uint32_t events)
{
    struct stream *s = ctx;
    const uint32_t hung = EPOLLHUP | EPOLLERR;
    bool is_useful = false;

    if (s->connecting) {
        finish_connect(s);
        tell(s);
        return;
    }
    /* Reading first: a write that fails must not cost us what had arrived. */
    if ((events & (EPOLLIN | hung)) != 0 && may_read(s)) {
        is_useful = true;
        fill(s);
    }
    if ((events & (EPOLLOUT | hung)) != 0 && has_output(s) && !is_dead(s)) {
        is_useful = true;
        flush(s);
    }
    if ((events & hung) != 0 && !is_dead(s) && !may_read(s) && !s->hung) {
        s->hung = true;
        s->flags |= STREAM_TELL_DATA;
    }
    if (!is_dead(s)) {
        if (!is_useful || wanted(s) == 0)
            set_mask(s, wanted(s));
        if (wanted(s) == 0 && (events & hung) != 0)
            watch_stop(&s->watch);
        arm(s);
    }
    tell(s);
}

/* Keep what could not be sent. */
static void queue(struct stream *s, const struct iovec *iov, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (iov[i].iov_len > buf_left(&s->out)) {
            fail(s, ENOBUFS);
            return;
        }
        buf_add(&s->out, iov[i].iov_base, iov[i].iov_len);
    }
    if (!buf_ok(&s->out)) {
        fail(s, ENOMEM);
        return;
    }
    if (s->out.len > STREAM_HIGH) {
        s->flags |= STREAM_ABOVE_HIGH;
        s->flags &= (uint16_t)~STREAM_TELL_DRAIN; /* full again before it was told */
    }
}

/* Send as much as the kernel takes now, then queue the rest. */
static void send_parts(struct stream *s, struct iovec *iov, size_t count)
{
    ssize_t n = 0;

    if (s->out.len == 0 && !s->connecting) {
        n = put(s, iov, count);
        if (n < 0 && !is_later(errno)) {
            fail(s, errno);
            return;
        }
    }
    while (n > 0 && count > 0) {
        size_t take = (size_t)n < iov->iov_len ? (size_t)n : iov->iov_len;

        iov->iov_base = (char *)iov->iov_base + take;
        iov->iov_len -= take;
        n -= (ssize_t)take;
        if (iov->iov_len > 0)
            break;
        iov++;
        count--;
    }
    queue(s, iov, count);
}

int stream_open(struct stream *s, struct loop *l, int fd, bool is_connecting,
                const struct stream_events *events, void *ctx, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);
    uint32_t mask = is_connecting ? EPOLLOUT : EPOLLIN;

    *s = (struct stream){.fd = -1};
    if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) {
        int sys = errno;

        own_close_fd(&fd);
        return err_sys(err, sys, "open stream");
    }
    if (watch_start(l, &s->watch, fd, mask, on_event, s, err) != 0) {
        own_close_fd(&fd);
        return err_wrap(err, "open stream");
    }
    s->fd = fd;
    s->loop = l;
    s->connecting = is_connecting;
    s->flags = (flags & O_ACCMODE) == O_WRONLY ? STREAM_WRITE_ONLY : 0;
    s->events = events;
    s->ctx = ctx;
    buf_init(&s->in, events->in_max);
    buf_init(&s->out, events->out_max);
    return 0;
}

#ifndef IO_WITHOUT_TRANSPORT
void stream_open_over(struct stream *s, struct transport *t, const struct stream_events *events,
                      void *ctx)
{
    *s = (struct stream){.fd = t->fd, .loop = t->loop, .over = t, .events = events, .ctx = ctx};
    buf_init(&s->in, events->in_max);
    buf_init(&s->out, events->out_max);
    transport_take(t, on_event, s);
    arm(s);
}

struct transport *stream_detach_over(struct stream *s)
{
    assert(s->out.len == 0);
    set_mask(s, 0);
    task_cancel(&s->wake);
    s->fd = -1;
    return take_ptr(&s->over);
}
#endif

void stream_close(struct stream *s)
{
    if (s->events == NULL)
        return;
    watch_stop(&s->watch);
    task_cancel(&s->wake);
    if (stream_over(s) != NULL)
        stream_over(s)->ops->close(stream_over(s));
    else
        own_close_fd(&s->fd);
    s->over = NULL;
    s->fd = -1;
    buf_done(&s->in);
    buf_done(&s->out);
    s->events = NULL;
}

int stream_detach(struct stream *s)
{
    assert(s->out.len == 0);
    watch_stop(&s->watch);
    task_cancel(&s->wake);
    return take_fd(&s->fd);
}

bool stream_write(struct stream *s, struct str data)
{
    return stream_writev(s, &data, 1);
}

bool stream_writev(struct stream *s, const struct str *parts, size_t count)
{
    struct iovec iov[STREAM_PARTS];
    size_t used = 0;

    if (is_dead(s) || (s->flags & STREAM_ENDING) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len == 0)
            continue;
        if (used == STREAM_PARTS) {
            send_parts(s, iov, used);
            used = 0;
        }
        /* writev(2) has no const; it does not write there */
        iov[used++] = (struct iovec){(void *)(uintptr_t)parts[i].at, parts[i].len};
    }
    if (used > 0 && !is_dead(s))
        send_parts(s, iov, used);
    arm(s);
    return !is_dead(s) && s->out.len <= STREAM_HIGH;
}

/* Is this the file's failure? Otherwise it is the socket's. */
static bool is_of_file(int sys)
{
    return sys == EINVAL || sys == EIO || sys == ENOMEM || sys == EOVERFLOW || sys == ENODATA;
}

/* The socket takes from `fd`, by sendfile(2) or splice(2), unless something waits before it. */
static ssize_t send_from(struct stream *s, int fd, size_t len, bool is_pipe)
{
    ssize_t n = -1;

    if (is_dead(s) || (s->flags & STREAM_ENDING) != 0)
        return 0;
    errno = stream_over(s) != NULL ? EINVAL : EAGAIN;
    if (s->out.len == 0 && !s->connecting && stream_over(s) == NULL)
        n = is_pipe ? splice(fd, NULL, s->fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                    : sendfile(s->fd, fd, NULL, len);
    if (n == 0)
        errno = 0;
    if (n > 0 || n == 0 || (!is_pipe && is_of_file(errno)))
        return n > 0 ? n : -1;
    if (!is_later(errno)) {
        fail(s, errno);
        return 0;
    }
    s->flags |= STREAM_ABOVE_HIGH | STREAM_AWAITS_ROOM;
    s->flags &= (uint16_t)~STREAM_TELL_DRAIN; /* full again before it was told */
    arm(s);
    return 0;
}

ssize_t stream_send_file(struct stream *s, int fd, size_t len)
{
    return send_from(s, fd, len, false);
}

size_t stream_push(struct stream *s, int pipe_fd, size_t len)
{
    ssize_t n = send_from(s, pipe_fd, len, true);

    return n > 0 ? (size_t)n : 0;
}

void stream_set_pulled(struct stream *s, bool is_pulled)
{
    s->flags &= (uint16_t)~STREAM_PULLED;
    if (is_pulled)
        s->flags |= STREAM_PULLED;
    arm(s);
}

size_t stream_pull(struct stream *s, int pipe_fd, size_t len)
{
    ssize_t n;

    if (is_dead(s) || s->eof || s->in.len > 0)
        return 0;
    n = splice(s->fd, NULL, pipe_fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0)
        return (size_t)n;
    if (n == 0)
        s->eof = true;
    else if (!is_later(errno))
        fail(s, errno);
    return 0;
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.len;
}

void stream_end(struct stream *s)
{
    if (is_dead(s) || (s->flags & STREAM_ENDING) != 0)
        return;
    s->flags |= STREAM_ENDING;
    if (s->out.len == 0 && !s->connecting)
        end_now(s);
}

void stream_consume(struct stream *s, size_t len)
{
    bool keeps_memory = (s->flags & STREAM_BULK) != 0 && !s->eof && !is_dead(s);

    if (keeps_memory && len == s->in.len)
        buf_clear(&s->in);
    else
        buf_consume(&s->in, len);
    if (s->in.len == 0 && !keeps_memory)
        buf_done(&s->in);
    arm(s);
}

void stream_rest(struct stream *s)
{
    s->flags &= (uint16_t)~STREAM_BULK;
    if (s->in.len == 0)
        buf_done(&s->in);
}

void stream_pause(struct stream *s)
{
    s->flags |= STREAM_PAUSED; /* the mask follows when an event comes */
}

void stream_resume(struct stream *s)
{
    s->flags &= (uint16_t)~STREAM_PAUSED;
    if (is_dead(s))
        return;
    if (s->in.len > 0)
        s->flags |= STREAM_TELL_DATA;
    if ((s->flags & STREAM_TELL_DATA) != 0)
        task_defer(s->loop, &s->wake, on_wake, s);
    arm(s);
}
