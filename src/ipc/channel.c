/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between roles over SOCK_SEQPACKET. The kernel keeps packets whole and in order, so there
 * is no framing; what it cannot take now waits in a bounded queue. */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/list.h"
#include "io/socket.h"

enum {
    CHANNEL_BATCH = 64,              /* packets received in one event */
    CHANNEL_ARENA_MAX = 1 << 20,     /* memory of one decoded message */
    CHANNEL_KERNEL = 2 * PACKET_MAX, /* socket buffer: a full packet and the kernel's overhead */
};

struct packet {
    struct list_node node;
    int fd; /* our duplicate, or -1 */
    size_t len;
    char bytes[];
};

struct channel {
    struct loop *loop;
    int fd;
    struct watch watch;
    const struct channel_protocol *protocol;
    channel_message_fn *on_message;
    channel_gone_fn *on_gone;
    void *ctx;
    struct list queue;
    size_t queue_count, queue_bytes;
    struct buf out;  /* the message being encoded */
    char *in;        /* PACKET_MAX bytes; pages that no packet reached cost nothing */
    bool is_dead;    /* on_gone was called, or is about to be */
    bool is_calling; /* in a callback: freeing waits */
    bool is_freed;   /* in a callback */
};

static void on_event(void *ctx, uint32_t events);

static void drop_queue(struct channel *c)
{
    struct list_node *n;

    while ((n = list_pop(&c->queue)) != NULL) {
        struct packet *p = container_of(n, struct packet, node);

        own_close_fd(&p->fd);
        free(p);
    }
    c->queue_count = c->queue_bytes = 0;
}

static void release(struct channel *c)
{
    watch_stop(&c->watch);
    own_close_fd(&c->fd);
    c->fd = -1;
    drop_queue(c);
    buf_done(&c->out);
    if (c->is_calling) {
        c->is_freed = true;
        return;
    }
    free(c->in);
    free(c);
}

static void die(struct channel *c, const struct err *why)
{
    c->is_dead = true;
    watch_stop(&c->watch);
    drop_queue(c);
    c->is_calling = true;
    c->on_gone(c->ctx, why);
    c->is_calling = false;
    if (c->is_freed)
        release(c);
}

/* Receiving */

static int call(struct channel *c, size_t len, int *fd, struct err *err)
{
    unsigned type = (unsigned char)c->in[0];
    const struct codec_message *m = type < c->protocol->count ? c->protocol->messages[type] : NULL;
    struct arena arena;
    void *message;
    int rc = -1;

    if (m == NULL)
        return err_set(err, ERR_INVALID, "message of unknown type %u", type);
    arena_init(&arena, CHANNEL_ARENA_MAX);
    message = arena_alloc(&arena, m->size);
    if (message == NULL) {
        err_set(err, ERR_LIMIT, "%s: no memory", m->name);
    } else if (proto_decode(m, (struct str){c->in + 1, len - 1}, &arena, message, err) != 0) {
        err_wrap(err, "%s", m->name);
    } else {
        c->is_calling = true;
        c->on_message(c->ctx, type, message, take_fd(fd));
        c->is_calling = false;
        rc = 0;
    }
    arena_done(&arena);
    return rc;
}

/* 1 received, 0 nothing there, -1 failed */
static int receive_one(struct channel *c, struct err *err)
{
    int fds[PACKET_FDS_MAX];
    size_t fd_count = 0;
    ssize_t n = packet_receive(c->fd, c->in, PACKET_MAX, fds, &fd_count, err);
    auto_fd int fd = -1;

    if (n == -2)
        return 0;
    if (n == 0)
        return err_set(err, ERR_UNAVAILABLE, "the peer has closed the channel");
    if (n < 0)
        return -1;
    for (size_t i = 1; i < fd_count; i++)
        own_close_fd(&fds[i]);
    if (fd_count > 0)
        fd = fds[0];
    return call(c, (size_t)n, &fd, err) == 0 ? 1 : -1;
}

/* Sending */

static int flush(struct channel *c, struct err *err)
{
    struct list_node *n;

    while ((n = list_first(&c->queue)) != NULL) {
        struct packet *p = container_of(n, struct packet, node);
        int rc = packet_send(c->fd, (struct str){p->bytes, p->len}, &p->fd, p->fd >= 0, err);

        if (rc > 0)
            break;
        if (rc < 0)
            return -1;
        list_remove(n);
        c->queue_count--;
        c->queue_bytes -= p->len;
        own_close_fd(&p->fd);
        free(p);
    }
    watch_set(&c->watch, n == NULL ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return 0;
}

static int enqueue(struct channel *c, struct str bytes, int pass_fd, struct err *err)
{
    struct packet *p;

    if (c->queue_count >= CHANNEL_QUEUE_MAX || bytes.len > CHANNEL_QUEUE_BYTES - c->queue_bytes)
        return err_set(err, ERR_LIMIT, "%zu packets (%zu bytes) wait for a peer that does not read",
                       c->queue_count, c->queue_bytes);
    p = malloc(sizeof(*p) + bytes.len);
    if (p == NULL)
        return err_sys(err, ENOMEM, "queue packet");
    *p = (struct packet){.fd = -1, .len = bytes.len};
    if (pass_fd >= 0 && (p->fd = fcntl(pass_fd, F_DUPFD_CLOEXEC, 3)) < 0) {
        int sys = errno;

        free(p);
        return err_sys(err, sys, "queue packet with a descriptor");
    }
    memcpy(p->bytes, bytes.at, bytes.len);
    list_push(&c->queue, &p->node);
    c->queue_count++;
    c->queue_bytes += bytes.len;
    watch_set(&c->watch, EPOLLIN | EPOLLOUT);
    return 0;
}

static int send_now(struct channel *c, struct str bytes, int pass_fd, struct err *err)
{
    int rc = 1;

    if (c->queue_count == 0)
        rc = packet_send(c->fd, bytes, &pass_fd, pass_fd >= 0, err);
    return rc > 0 ? enqueue(c, bytes, pass_fd, err) : rc;
}

int channel_send(struct channel *c, unsigned type, const void *message, int pass_fd,
                 struct err *err)
{
    const struct codec_message *m = type < c->protocol->count ? c->protocol->messages[type] : NULL;
    int rc;

    if (m == NULL)
        return err_set(err, ERR_INVALID, "message of unknown type %u", type);
    if (c->is_dead || c->is_freed)
        return err_set(err, ERR_UNAVAILABLE, "send %s: the channel is closed", m->name);
    buf_add_byte(&c->out, (char)type);
    proto_encode(m, message, &c->out);
    if (!buf_ok(&c->out)) {
        buf_done(&c->out);
        return err_set(err, ERR_LIMIT, "%s is larger than %d bytes", m->name, PACKET_MAX);
    }
    rc = send_now(c, buf_str(&c->out), pass_fd, err);
    buf_consume(&c->out, c->out.len); /* keeps a small allocation for the next message */
    return rc == 0 ? 0 : err_wrap(err, "send %s", m->name);
}

/* Life */

static void on_event(void *ctx, uint32_t events)
{
    struct channel *c = ctx;
    struct err err;
    int rc = 1;

    /* Receiving first, also after a hang-up: what the peer said before is still to be heard. */
    for (int i = 0; i < CHANNEL_BATCH && rc > 0 && !c->is_freed; i++)
        rc = receive_one(c, &err);
    if (!c->is_freed && rc >= 0 && (events & EPOLLOUT) != 0 && flush(c, &err) != 0 && rc == 0)
        rc = -1;
    if (c->is_freed)
        release(c);
    else if (rc < 0)
        die(c, &err);
}

static void widen(int fd)
{
    const int size = CHANNEL_KERNEL;

    /* Beyond the system's limit when we may, up to it when not. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
        ignore(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
}

int channel_new(struct loop *l, int fd, const struct channel_protocol *protocol,
                channel_message_fn *on_message, channel_gone_fn *on_gone, void *ctx,
                struct channel **out, struct err *err)
{
    struct channel *c = calloc(1, sizeof(*c));
    char *in = malloc(PACKET_MAX);

    if (c == NULL || in == NULL || watch_start(l, &c->watch, fd, EPOLLIN, on_event, c, err) != 0) {
        if (c == NULL || in == NULL)
            err_sys(err, ENOMEM, "allocate");
        own_close_fd(&fd);
        free(in);
        free(c);
        return err_wrap(err, "open channel");
    }
    widen(fd);
    c->loop = l;
    c->fd = fd;
    c->protocol = protocol;
    c->on_message = on_message;
    c->on_gone = on_gone;
    c->ctx = ctx;
    c->in = in;
    buf_init(&c->out, PACKET_MAX);
    *out = c;
    return 0;
}

void channel_free(struct channel *c)
{
    if (c == NULL || c->is_freed)
        return;
    release(c);
}
