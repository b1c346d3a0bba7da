/* SPDX-License-Identifier: Apache-2.0 */
/* See outlets.h. */
#include "node/outlets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/map.h"
#include "ipc/egress_messages.h"
#include "node/peer.h"

enum {
    RETRY_MS = 50,
    NAME_SIZE = 80,
};

struct outlets {
    struct node *node;
    const char *socket; /* the configuration's */
    int dir_fd;
    struct map secrets;      /* of each sandbox that has some; in no file */
    struct channel *channel; /* NULL: egress is away */
    struct timer retry;
};

struct secrets {
    char id[NAME_SIZE];
    struct str bytes; /* behind it */
};

static void connect_now(void *ctx);

static void lose(struct outlets *o)
{
    channel_free(o->channel);
    o->channel = NULL;
    timer_start(o->node->loop, &o->retry, RETRY_MS, connect_now, o);
}

static void on_gone(void *ctx, const struct err *why)
{
    log_debug("node.egress_left", "error=\"%s\"", why->text);
    lose(ctx);
}

/* False: egress is away, and will be told all when it is back. */
static bool tell(struct outlets *o, unsigned type, const void *message, int fd)
{
    struct err err;

    if (o->channel == NULL)
        return false;
    if (channel_send(o->channel, type, message, fd, &err) == 0)
        return true;
    log_warn("node.egress_dropped", "error=\"%s\"", err.text);
    lose(o);
    return false;
}

static int read_policy(struct outlets *o, const char *id, struct buf *out, struct err *err)
{
    auto_fd int fd = openat(o->dir_fd, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *room;
    ssize_t n;

    if (fd < 0)
        return err_sys(err, errno, "policy of %s", id);
    do {
        room = buf_room(out, 1);
        n = room == NULL ? 0 : read(fd, room, 1 + (out->cap - (size_t)(room - out->base) - 1));
        if (n > 0)
            buf_fill(out, (size_t)n);
    } while (n > 0);
    return n < 0 || !buf_ok(out) ? err_sys(err, errno, "read policy of %s", id) : 0;
}

static void complain(const char *id, const struct err *err)
{
    if (err->kind != ERR_UNSUPPORTED && err->kind != ERR_NOT_FOUND) /* it has just ended */
        log_warn("node.no_way_out", "id=%s error=\"%s\"", id, err->text);
}

static void tell_secrets(struct outlets *o, const char *id)
{
    const struct secrets *s = map_get(&o->secrets, str_of(id));
    const struct egress_open m = {str_of(id), s != NULL ? s->bytes : (struct str){0}};

    if (s != NULL)
        ignore(tell(o, EGRESS_SECRETS, &m, -1)); /* lost: all are told again */
}

/* What is lost on the way is told again: egress was away. */
static void name_one(void *ctx, const char *id, enum runtime_state state)
{
    struct outlets *o = ctx;
    struct egress_open m = {.id = str_of(id)};
    struct buf policy;
    struct err err;

    if (state == RUNTIME_PAUSED)
        return;
    buf_init(&policy, EGRESS_POLICY_MAX + EGRESS_LIMITS_MAX);
    if (read_policy(o, id, &policy, &err) == 0) {
        tell_secrets(o, id);
        m.policy = buf_str(&policy);
        ignore(tell(o, EGRESS_OPEN, &m, -1));
    } else {
        complain(id, &err);
    }
    buf_done(&policy);
}

_Static_assert((int)RUNTIME_STREAM == EGRESS_STREAM && (int)RUNTIME_DATAGRAM == EGRESS_DATAGRAM &&
                   (int)RUNTIME_SHOWN == EGRESS_SHOWN && (int)RUNTIME_RAW == EGRESS_RAW &&
                   (int)RUNTIME_RAW6 == EGRESS_RAW6 && (int)RUNTIME_SOCKETS == EGRESS_SOCKET_KINDS,
               "the runtime's sockets are egress's");

static int open_one(struct outlets *o, const char *id, struct err *err)
{
    struct runtime_outlet outlet;

    if (o->channel == NULL)
        return 0;
    if (runtime_outlet(o->node->runtime, id, &outlet, err) != 0)
        return -1;
    for (uint32_t i = 0; i < EGRESS_SOCKET_KINDS; i++) {
        const struct egress_socket m = {str_of(id), i};

        if (outlet.fds[i] >= 0)
            ignore(tell(o, EGRESS_SOCKET, &m, outlet.fds[i]));
    }
    runtime_outlet_close(&outlet);
    name_one(o, id, RUNTIME_RUNNING);
    return 0;
}

/* Nobody there: it is lost, as the manual says. */
static void pass_on(struct outlets *o, const struct egress_record *r)
{
    struct list *peers = &o->node->command.peers;
    struct list_node *next;

    for (struct list_node *i = list_first(peers); i != NULL; i = next) {
        next = list_next(peers, i);
        ignore(peer_send(container_of(i, struct peer, node), NODE_CONNECTION, r, -1));
    }
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    const struct egress_close *m = message;
    char id[NAME_SIZE];
    struct err err;

    own_close_fd(&fd); /* nothing that egress says has one */
    if (type == EGRESS_RECORD)
        pass_on(ctx, message);
    else if (type == EGRESS_WANTED && str_to_c(m->id, id, sizeof(id)) &&
             open_one(ctx, id, &err) != 0)
        complain(id, &err);
}

static void connect_now(void *ctx)
{
    struct outlets *o = ctx;
    const struct egress_close listed = {0};
    struct err err;
    auto_fd int fd = -1;

    if (socket_connect_unix(o->socket, SOCK_SEQPACKET, &fd, &err) != 0 ||
        channel_new(o->node->loop, take_fd(&fd), &egress_protocol, on_message, on_gone, o,
                    &o->channel, &err) != 0) {
        o->channel = NULL;
        timer_start(o->node->loop, &o->retry, RETRY_MS, connect_now, o);
        return;
    }
    runtime_each(o->node->runtime, name_one, o);
    ignore(tell(o, EGRESS_LISTED, &listed, -1)); /* lost: all are told again */
}

struct known {
    const char *name;
    bool is_there;
};

static void compare(void *ctx, const char *id, enum runtime_state state)
{
    struct known *k = ctx;

    k->is_there = k->is_there || (state != RUNTIME_PAUSED && strcmp(k->name, id) == 0);
}

/* Those of sandboxes that ended while no node was there. */
static int sweep(struct outlets *o, struct err *err)
{
    int fd = openat(o->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (entries == NULL) {
        own_close_fd(&fd);
        return err_sys(err, errno, "list policies");
    }
    while ((e = readdir(entries)) != NULL) {
        struct known k = {.name = e->d_name};

        runtime_each(o->node->runtime, compare, &k);
        if (!k.is_there && e->d_name[0] != '.')
            ignore(unlinkat(o->dir_fd, e->d_name, 0)); /* the next start tries again */
    }
    closedir(entries);
    return 0;
}

int outlets_new(struct node *n, const char *socket, const char *dir, struct outlets **out,
                struct err *err)
{
    struct outlets *o = mem_zero(sizeof(*o));

    o->node = n;
    o->socket = socket;
    o->dir_fd = -1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        err_sys(err, errno, "make '%s'", dir);
    else if ((o->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        err_sys(err, errno, "open '%s'", dir);
    else if (sweep(o, err) == 0) {
        timer_start(n->loop, &o->retry, 0, connect_now, o);
        *out = o;
        return 0;
    }
    outlets_free(o);
    return -1;
}

static void forget(struct outlets *o, const char *id)
{
    struct secrets *s = map_remove(&o->secrets, str_of(id));

    if (s != NULL)
        explicit_bzero(s + 1, s->bytes.len);
    free(s);
}

void outlets_free(struct outlets *o)
{
    size_t cursor = 0;
    struct secrets *s;

    if (o == NULL)
        return;
    while ((s = map_next(&o->secrets, &cursor)) != NULL)
        forget(o, s->id);
    map_done(&o->secrets);
    channel_free(o->channel);
    timer_stop(&o->retry);
    own_close_fd(&o->dir_fd);
    free(o);
}

/* Whole or not at all. */
static int write_policy(struct outlets *o, const char *id, struct str policy, struct err *err)
{
    char fresh[NAME_SIZE];
    auto_fd int fd = -1;

    if (policy.len > EGRESS_POLICY_MAX + EGRESS_LIMITS_MAX)
        return err_set(err, ERR_LIMIT, "network rules take %zu bytes, at most %d", policy.len,
                       EGRESS_POLICY_MAX);
    ignore(snprintf(fresh, sizeof(fresh), ".%s", id));
    fd = openat(o->dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    errno = fd < 0 ? errno : ENOSPC; /* of a write that is only short */
    if (fd < 0 || (policy.len > 0 && write(fd, policy.at, policy.len) != (ssize_t)policy.len) ||
        renameat(o->dir_fd, fresh, o->dir_fd, id) != 0)
        return err_sys(err, errno, "keep policy of %s", id);
    return 0;
}

int outlets_keep(struct outlets *o, const char *id, struct str policy, struct err *err)
{
    return write_policy(o, id, policy, err);
}

void outlets_open(struct outlets *o, const char *id)
{
    struct err err;

    if (open_one(o, id, &err) == 0 || err.kind == ERR_UNSUPPORTED)
        return;
    /* It ran before, and egress has not read yet that those sockets are to go: it will ask. */
    name_one(o, id, RUNTIME_RUNNING);
}

void outlets_close(struct outlets *o, const char *id)
{
    const struct egress_close m = {str_of(id)};

    ignore(unlinkat(o->dir_fd, id, 0)); /* it may never have come so far */
    forget(o, id);
    ignore(tell(o, EGRESS_CLOSE, &m, -1));
}

int outlets_change(struct outlets *o, const char *id, struct str policy, struct err *err)
{
    const struct egress_open m = {str_of(id), policy};

    if (faccessat(o->dir_fd, id, F_OK, 0) != 0)
        return err_sys(err, errno, "policy of %s", id);
    if (write_policy(o, id, policy, err) != 0)
        return -1;
    ignore(tell(o, EGRESS_POLICY, &m, -1)); /* away: it is told the new one */
    return 0;
}

int outlets_secrets(struct outlets *o, const char *id, struct str bytes, struct err *err)
{
    struct secrets *s;

    if (bytes.len > EGRESS_SECRETS_MAX)
        return err_set(err, ERR_LIMIT, "secrets take %zu bytes, at most %d", bytes.len,
                       EGRESS_SECRETS_MAX);
    if (o->secrets.count >= OUTLETS_SECRETS_MAX && map_get(&o->secrets, str_of(id)) == NULL)
        return err_set(err, ERR_LIMIT, "too many sandboxes with secrets");
    forget(o, id);
    s = mem_zero(sizeof(*s) + bytes.len);
    ignore(str_to_c(str_of(id), s->id, sizeof(s->id))); /* ids are shorter */
    s->bytes = (struct str){(const char *)(s + 1), bytes.len};
    if (bytes.len > 0)
        memcpy(s + 1, bytes.at, bytes.len);
    ignore(map_put(&o->secrets, str_of(s->id), s) != NULL); /* the old ones are gone */
    tell_secrets(o, s->id);
    return 0;
}
