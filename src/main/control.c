/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the operator to `serve`; see control.h. */
#include "main/control.h"

#include <stdio.h>

#include "cli/remote.h"
#include "io/socket.h"

struct control {
    struct loop *loop;
    struct supervisor *supervisor;
    struct listener listener;
    struct list clients;
    size_t client_count;
};

struct client {
    struct list_node node;
    struct control *control;
    int fd;
    struct watch watch;
    struct timer deadline;
};

static void client_free(struct client *c)
{
    supervisor_forget(c->control->supervisor, c);
    list_remove(&c->node);
    c->control->client_count--;
    watch_stop(&c->watch);
    timer_stop(&c->deadline);
    own_close_fd(&c->fd);
    free(c);
}

static void on_deadline(void *ctx)
{
    client_free(ctx);
}

static void answer(struct client *c, const struct err *err)
{
    char text[sizeof err->text + 8] = "ok";
    struct err unused;

    if (err != NULL)
        ignore(snprintf(text, sizeof text, "error: %s", err->text));
    ignore(packet_send(c->fd, str_of(text), NULL, 0, &unused)); /* who asked may have left */
    client_free(c);
}

static void on_replaced(void *ctx, const struct err *err)
{
    answer(ctx, err);
}

static void on_packet(void *ctx, uint32_t events)
{
    struct client *c = ctx;
    char text[64];
    int fds[PACKET_FDS_MAX];
    size_t fd_count = 0;
    struct err err;
    ssize_t len = packet_receive(c->fd, text, sizeof text, fds, &fd_count, &err);

    ignore((long)events);
    if (len == -2)
        return;
    for (size_t i = 0; len > 0 && i < fd_count; i++)
        own_close_fd(&fds[i]);
    if (len <= 0) {
        client_free(c); /* left, or talks nonsense */
        return;
    }
    watch_set(&c->watch, 0);
    if (!str_is((struct str){text, (size_t)len}, cli_edge_restart_question)) {
        ignore(err_set(&err, ERR_INVALID, "unknown question")); /* always -1 */
        answer(c, &err);
    } else if (supervisor_replace_edge(c->control->supervisor, on_replaced, c, &err) != 0) {
        answer(c, &err);
    }
}

static void on_accept(void *ctx, int fd)
{
    struct control *control = ctx;
    struct client *c;
    struct err err;

    if (control->client_count >= CONTROL_CLIENTS_MAX) {
        own_close_fd(&fd);
        return;
    }
    c = mem_zero(sizeof *c);
    c->control = control;
    c->fd = fd;
    list_push(&control->clients, &c->node);
    control->client_count++;
    timer_start(control->loop, &c->deadline, CONTROL_WAIT_MS, on_deadline, c);
    if (watch_start(control->loop, &c->watch, fd, EPOLLIN, on_packet, c, &err) != 0)
        client_free(c);
}

int control_new(struct loop *l, int fd, struct supervisor *s, struct control **out, struct err *err)
{
    struct control *c = mem_zero(sizeof *c);

    c->loop = l;
    c->supervisor = s;
    if (listener_start(&c->listener, l, fd, on_accept, c, err) != 0) {
        free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void control_free(struct control *c)
{
    struct list_node *n;

    if (c == NULL)
        return;
    while ((n = list_first(&c->clients)) != NULL)
        client_free(container_of(n, struct client, node));
    listener_stop(&c->listener);
    free(c);
}
