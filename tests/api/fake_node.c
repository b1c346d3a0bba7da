/* SPDX-License-Identifier: Apache-2.0 */
/* A node that only remembers: speaks node.sock, fails and delays on request. For api_test.py.
 *
 *   fake_node NODE_SOCKET CONTROL_SOCKET
 *
 * Behaviour of a start is the name of its rootfs: "ok", "slow" (300 ms), "never" (no answer),
 * "fail", "nospace", "busy", "late" (answers after 1500 ms). Control, one datagram each, answered
 * by one: "list" (ids), "starts", "stops" (counts), "init ID" (its init JSON), "exit ID REASON",
 * "snapshots" (names), "envd PORT" (where every dial leads), "usage ID CPU_US MEMORY CACHE DISK" (a
 * sample), "add ID", "forget ID", "stopfail N" (the next N stops fail), "drop" (cut the
 * connection), "quit".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/map.h"
#include "io/socket.h"
#include "ipc/node_messages.h"

enum {
    TEXT_MAX = 1 << 20,
    SLOW_MS = 300,
    LATE_MS = 1500,
};

struct guest {
    char id[64];
    char *init;
};

struct fake {
    struct loop *loop;
    struct listener listener;
    struct channel *channel; /* the latest; NULL: none */
    struct watch control;
    int control_fd;
    struct map guests, snapshots; /* of snapshots only the names */
    uint64_t envd_port;
    unsigned starts, stops, stops_to_fail;
};

struct delayed {
    struct timer timer;
    struct fake *fake;
    uint64_t seq;
};

static void done(struct fake *f, uint64_t seq, enum err_kind kind, const char *text)
{
    struct node_done m = {seq, kind, str_of(text), 1200};

    if (f->channel != NULL)
        ignore(channel_send(f->channel, NODE_DONE, &m, -1, NULL));
}

static void put(struct map *guests, struct str id, struct str init)
{
    struct guest *g = mem_zero(sizeof(*g));

    ignore(str_to_c(id, g->id, sizeof(g->id)));
    g->init = mem_zero(init.len + 1);
    if (init.len > 0)
        memcpy(g->init, init.at, init.len);
    map_put(guests, str_of(g->id), g);
}

static bool drop(struct fake *f, struct str id)
{
    struct guest *g = map_remove(&f->guests, id);

    if (g == NULL)
        return false;
    free(g->init);
    free(g);
    return true;
}

static void on_delay(void *ctx)
{
    struct delayed *d = ctx;

    done(d->fake, d->seq, ERR_NONE, "");
    free(d);
}

static void later(struct fake *f, uint64_t seq, uint64_t ms)
{
    struct delayed *d = mem_zero(sizeof(*d));

    d->fake = f;
    d->seq = seq;
    timer_start(f->loop, &d->timer, ms, on_delay, d);
}

static void start(struct fake *f, const struct node_start *m)
{
    static const struct {
        const char *rootfs;
        enum err_kind kind;
        const char *text;
    } failures[] = {
        {"fail",    ERR_SYSTEM,   "step 'rootfs': mount: Input/output error"},
        {"nospace", ERR_NO_SPACE, "step 'rootfs': No space left on device"  },
        {"busy",    ERR_LIMIT,    "too many sandboxes"                      },
    };

    f->starts++;
    if (map_get(&f->guests, m->id) != NULL) {
        done(f, m->seq, ERR_EXISTS, "it runs already");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(failures); i++)
        if (str_is(m->rootfs, failures[i].rootfs)) {
            done(f, m->seq, failures[i].kind, failures[i].text);
            return;
        }
    put(&f->guests, m->id, m->init);
    if (str_is(m->rootfs, "slow"))
        later(f, m->seq, SLOW_MS);
    else if (str_is(m->rootfs, "late"))
        later(f, m->seq, LATE_MS);
    else if (!str_is(m->rootfs, "never"))
        done(f, m->seq, ERR_NONE, "");
}

static void stop(struct fake *f, const struct node_stop *m)
{
    f->stops++;
    if (f->stops_to_fail > 0) {
        f->stops_to_fail--;
        done(f, m->seq, ERR_SYSTEM, "cgroup.kill: Device or resource busy");
        return;
    }
    done(f, m->seq, drop(f, m->id) ? ERR_NONE : ERR_NOT_FOUND, "no such sandbox");
}

static void snapshot(struct fake *f, const struct node_keep *m)
{
    if (map_get(&f->guests, m->id) == NULL) {
        done(f, m->seq, ERR_NOT_FOUND, "no such sandbox");
        return;
    }
    put(&f->snapshots, m->name, (struct str){0});
    done(f, m->seq, ERR_NONE, "");
}

static void snapshot_remove(struct fake *f, const struct node_stop *m)
{
    struct guest *g = map_remove(&f->snapshots, m->id);

    if (g != NULL)
        free(g->init);
    free(g);
    done(f, m->seq, ERR_NONE, "");
}

static void dial(struct fake *f, const struct node_dial *m)
{
    struct node_done answer = {.seq = m->seq};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->envd_port)};
    auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0 && errno != EINPROGRESS)
        answer.kind = ERR_UNAVAILABLE;
    ignore(channel_send(f->channel, NODE_DIALED, &answer, answer.kind == 0 ? fd : -1, NULL));
}

static void list(struct fake *f, uint64_t seq)
{
    size_t cursor = 0;
    struct guest *g;

    while ((g = map_next(&f->snapshots, &cursor)) != NULL) {
        struct node_item item = {seq, str_of(g->id), NODE_ITEM_SNAPSHOT};

        ignore(channel_send(f->channel, NODE_ITEM, &item, -1, NULL));
    }
    cursor = 0;

    while ((g = map_next(&f->guests, &cursor)) != NULL) {
        struct node_item item = {seq, str_of(g->id)};

        ignore(channel_send(f->channel, NODE_ITEM, &item, -1, NULL));
    }
    done(f, seq, ERR_NONE, "");
}

/* A job on images. The request is in the socket already; what it names "here" is an image. Takes
 * the socket. */
static void image(int fd)
{
    static const char here[] =
        "{\"line\":\"layer 1/2: "
        "unpacked\"}\n{\"result\":{\"reference\":\"x\",\"layers\":[\"aa\",\"bb\"],"
        "\"sizeBytes\":\"1500000\",\"run\":{\"env\":[\"FROM=image\"],\"ports\":[\"80/"
        "tcp\"],\"user\":\"nobody\"}}}\n";
    static const char gone[] =
        "{\"error\":{\"kind\":4,\"text\":\"the registry has no such image\"}}\n";
    char request[4096];
    ssize_t got = recv(fd, request, sizeof request - 1, MSG_DONTWAIT);
    const char *answer;

    request[got < 0 ? 0 : got] = '\0';
    answer = strstr(request, "\"op\":\"drop\"") != NULL ? "{\"result\":{}}\n"
             : strstr(request, "\"here") != NULL        ? here
             : strstr(request, "\"pushed\"") != NULL    ? here
                                                        : gone;
    ignore(send(fd, answer, strlen(answer), MSG_NOSIGNAL));
    own_close_fd(&fd);
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct fake *f = ctx;

    if (type == NODE_IMAGE) {
        image(fd);
        return;
    }
    own_close_fd(&fd);
    if (type == NODE_START)
        start(f, message);
    else if (type == NODE_STOP)
        stop(f, message);
    else if (type == NODE_LIST)
        list(f, ((const struct node_list *)message)->seq);
    else if (type == NODE_SNAPSHOT)
        snapshot(f, message);
    else if (type == NODE_SNAPSHOT_REMOVE)
        snapshot_remove(f, message);
    else if (type == NODE_DIAL)
        dial(f, message);
    else if (type == NODE_POLICY || type == NODE_SECRETS)
        done(f, ((const struct node_policy *)message)->seq, ERR_NONE, "");
}

static void on_gone(void *ctx, const struct err *why)
{
    struct fake *f = ctx;

    ignore(why == NULL);
    channel_free(f->channel);
    f->channel = NULL;
}

static void on_accept(void *ctx, int fd)
{
    struct fake *f = ctx;

    channel_free(f->channel);
    f->channel = NULL;
    if (channel_new(f->loop, fd, &node_protocol, on_message, on_gone, f, &f->channel, NULL) != 0)
        abort();
}

static void print_ids(const struct map *guests, struct buf *out)
{
    size_t cursor = 0;
    struct guest *g;

    while ((g = map_next(guests, &cursor)) != NULL)
        buf_printf(out, "%s ", g->id);
}

static void exited(struct fake *f, struct str args)
{
    struct str reason;
    struct node_exited m = {.id = str_cut(args, ' ', &reason)};
    uint64_t number = 1;

    ignore(str_to_u64(reason, &number));
    m.reason = (uint32_t)number;
    ignore(drop(f, m.id));
    if (f->channel != NULL)
        ignore(channel_send(f->channel, NODE_EXITED, &m, -1, NULL));
}

/* "ID CPU_US MEMORY CACHE DISK": a sample, unasked. */
static void sample(struct fake *f, struct str args)
{
    struct node_usage m = {.id = str_cut(args, ' ', &args)};
    uint64_t *const values[] = {&m.cpu_us, &m.memory_bytes, &m.memory_cache_bytes, &m.disk_bytes};

    for (size_t i = 0; i < COUNT_OF(values); i++)
        if (!str_to_u64(str_cut(args, ' ', &args), values[i]))
            return;
    if (f->channel != NULL)
        ignore(channel_send(f->channel, NODE_USAGE, &m, -1, NULL));
}

static void obey(struct fake *f, struct str line, struct buf *out)
{
    struct str args, word = str_cut(line, ' ', &args);
    struct guest *g;
    uint64_t number;

    if (str_is(word, "list")) {
        print_ids(&f->guests, out);
    } else if (str_is(word, "snapshots")) {
        print_ids(&f->snapshots, out);
    } else if (str_is(word, "envd")) {
        ignore(str_to_u64(args, &f->envd_port));
    } else if (str_is(word, "starts")) {
        buf_add_u64(out, f->starts);
    } else if (str_is(word, "stops")) {
        buf_add_u64(out, f->stops);
    } else if (str_is(word, "init")) {
        g = map_get(&f->guests, args);
        buf_add_text(out, g != NULL ? g->init : "");
    } else if (str_is(word, "exit")) {
        exited(f, args);
    } else if (str_is(word, "usage")) {
        sample(f, args);
    } else if (str_is(word, "add")) {
        put(&f->guests, args, (struct str){0});
    } else if (str_is(word, "forget")) {
        ignore(drop(f, args));
    } else if (str_is(word, "stopfail") && str_to_u64(args, &number)) {
        f->stops_to_fail = (unsigned)number;
    } else if (str_is(word, "drop")) {
        channel_free(f->channel);
        f->channel = NULL;
    } else if (str_is(word, "quit")) {
        loop_stop(f->loop);
    } else {
        buf_add_text(out, "what?");
    }
}

static void on_control(void *ctx, uint32_t events)
{
    struct fake *f = ctx;
    struct sockaddr_un from;
    socklen_t from_len = sizeof(from);
    char text[512];
    struct buf out;
    ssize_t n = recvfrom(f->control_fd, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len);

    ignore(events == 0);
    if (n <= 0)
        return;
    buf_init(&out, TEXT_MAX);
    obey(f, (struct str){text, (size_t)n}, &out);
    buf_add_byte(&out, '\n');
    ignore(sendto(f->control_fd, out.at, out.len, 0, (struct sockaddr *)&from, from_len));
    buf_done(&out);
}

static int open_control(struct fake *f, const char *path, struct err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int size = TEXT_MAX;

    if (!str_to_c(str_of(path), at.sun_path, sizeof(at.sun_path)))
        return err_set(err, ERR_INVALID, "path too long");
    f->control_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ignore(unlink(path)); /* usually absent */
    ignore(setsockopt(f->control_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
    if (bind(f->control_fd, (struct sockaddr *)&at, sizeof(at)) != 0)
        return err_sys(err, errno, "bind '%s'", path);
    return watch_start(f->loop, &f->control, f->control_fd, EPOLLIN, on_control, f, err);
}

int main(int argc, char **argv)
{
    static struct fake f;
    struct err err = {0};
    int fd;

    if (argc != 3) {
        fprintf(stderr, "usage: fake_node NODE_SOCKET CONTROL_SOCKET\n");
        return 2;
    }
    log_setup("fake_node", LOG_LEVEL_INFO, LOG_FORMAT_HUMAN);
    if (loop_new(&f.loop, &err) != 0 ||
        socket_listen_unix(argv[1], SOCK_SEQPACKET, &fd, &err) != 0 ||
        listener_start(&f.listener, f.loop, fd, on_accept, &f, &err) != 0 ||
        open_control(&f, argv[2], &err) != 0 || loop_run(f.loop, &err) != 0) {
        fprintf(stderr, "fake_node: %s\n", err.text);
        return 1;
    }
    return 0;
}
