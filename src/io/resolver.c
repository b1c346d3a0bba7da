/* SPDX-License-Identifier: Apache-2.0 */
/* See resolver.h. One child per lookup that is not remembered. */
#include "io/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/map.h"
#include "io/child.h"

enum {
    OUTPUT_MAX = 16 << 10,
    NAME_MAX_SIZE = 256,
};

static const char getent[] = "/usr/bin/getent";

struct known {
    char name[NAME_MAX_SIZE];
    char address[RESOLVER_ADDRESS_MAX];
    uint64_t until_ms;
};

struct resolver {
    struct loop *loop;
    struct map known;
    struct list lookups;
};

struct lookup {
    struct list_node node;
    struct resolver *resolver;
    char name[NAME_MAX_SIZE];
    char address[RESOLVER_ADDRESS_MAX]; /* known from the beginning */
    struct child child;
    int out_fd;
    struct watch watch;
    struct timer timer;
    struct buf output;
    resolver_fn *fn;
    void *ctx;
};

bool resolver_parse(struct str text, char out[RESOLVER_ADDRESS_MAX])
{
    while (text.len > 0) {
        struct str rest, word = str_cut(str_cut(text, '\n', &text), ' ', &rest);
        char plain[INET6_ADDRSTRLEN];
        unsigned char bytes[sizeof(struct in6_addr)];

        if (!str_to_c(word, plain, sizeof(plain)))
            continue;
        if (inet_pton(AF_INET, plain, bytes) == 1) {
            ignore(snprintf(out, RESOLVER_ADDRESS_MAX, "%s", plain));
            return true;
        }
        if (inet_pton(AF_INET6, plain, bytes) == 1) {
            ignore(snprintf(out, RESOLVER_ADDRESS_MAX, "[%s]", plain));
            return true;
        }
    }
    return false;
}

/* A child that still runs is killed, and the lookup kept until it was reaped. */
static void lookup_free(struct lookup *l)
{
    timer_stop(&l->timer);
    watch_stop(&l->watch);
    l->fn = NULL;
    if (l->child.pid != 0) {
        child_signal(&l->child, SIGKILL);
        return;
    }
    list_remove(&l->node);
    own_close_fd(&l->out_fd);
    buf_done(&l->output);
    free(l);
}

static void answer(struct lookup *l, const char *address, const struct err *err)
{
    resolver_fn *fn = l->fn;
    void *ctx = l->ctx;
    char text[RESOLVER_ADDRESS_MAX];

    ignore(snprintf(text, sizeof(text), "%s", address == NULL ? "" : address));
    lookup_free(l);
    fn(ctx, text, err);
}

static void remember(struct resolver *r, const struct lookup *l, const char *address)
{
    struct known *k = map_get(&r->known, str_of(l->name));
    size_t cursor = 0;

    if (k == NULL && r->known.count >= RESOLVER_KEPT_MAX) {
        k = map_next(&r->known, &cursor); /* any: it is asked again when needed */
        map_remove(&r->known, str_of(k->name));
        free(k);
        k = NULL;
    }
    if (k == NULL) {
        k = mem_zero(sizeof(*k));
        memcpy(k->name, l->name, sizeof(k->name));
        map_put(&r->known, str_of(k->name), k);
    }
    ignore(snprintf(k->address, sizeof(k->address), "%s", address));
    k->until_ms = loop_now_ms(r->loop) + RESOLVER_TTL_MS;
}

static void on_timeout(void *ctx)
{
    struct lookup *l = ctx;
    struct err err = {0};

    err_set(&err, ERR_TIMEOUT, "no answer about the name '%s' in time", l->name);
    answer(l, NULL, &err);
}

static void on_known(void *ctx)
{
    struct lookup *l = ctx;

    answer(l, l->address, NULL);
}

static void finish(struct lookup *l)
{
    char address[RESOLVER_ADDRESS_MAX];
    struct err err = {0};

    if (resolver_parse(buf_str(&l->output), address)) {
        remember(l->resolver, l, address);
        answer(l, address, NULL);
        return;
    }
    err_set(&err, ERR_NOT_FOUND, "nobody knows the name '%s'", l->name);
    answer(l, NULL, &err);
}

/* What it printed may still be in the pipe when it has ended, but not the other way round. */
static void on_exit_of(void *ctx)
{
    struct lookup *l = ctx;
    char part[1024];
    ssize_t n;

    if (l->fn == NULL) {
        lookup_free(l);
        return;
    }
    while ((n = read(l->out_fd, part, sizeof(part))) > 0)
        buf_add(&l->output, part, (size_t)n);
    finish(l);
}

/* Only so that a long answer does not block it. */
static void on_output(void *ctx, uint32_t events)
{
    struct lookup *l = ctx;
    char part[1024];
    ssize_t n = read(l->out_fd, part, sizeof(part));

    if (n > 0)
        buf_add(&l->output, part, (size_t)n);
    if (n == 0 || (n < 0 && (events & (EPOLLHUP | EPOLLERR)) != 0))
        watch_stop(&l->watch);
}

static int start(struct lookup *l, struct err *err)
{
    char program[] = "getent", database[] = "ahosts";
    char *argv[] = {program, database, l->name, NULL};
    auto_fd int to = -1;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_sys(err, errno, "pipe");
    l->out_fd = ends[0];
    to = ends[1];

    struct child_fd fds[] = {
        {to, 1}
    };
    struct child_spec spec = {.path = getent, .argv = argv, .fds = fds, .fd_count = 1};

    if (watch_start(l->resolver->loop, &l->watch, l->out_fd, EPOLLIN, on_output, l, err) != 0)
        return -1;
    return child_start(&l->child, l->resolver->loop, &spec, on_exit_of, l, err);
}

static void on_no_child(void *ctx)
{
    struct lookup *l = ctx;
    struct err err = {0};

    err_set(&err, ERR_UNAVAILABLE, "cannot run %s to resolve '%s'", getent, l->name);
    answer(l, NULL, &err);
}

struct lookup *resolver_ask(struct resolver *r, struct str name, resolver_fn *fn, void *ctx)
{
    struct lookup *l = mem_zero(sizeof(*l));
    const struct known *k = map_get(&r->known, name);

    l->resolver = r;
    l->out_fd = -1;
    l->fn = fn;
    l->ctx = ctx;
    buf_init(&l->output, OUTPUT_MAX);
    list_push(&r->lookups, &l->node);
    if (!str_to_c(name, l->name, sizeof(l->name))) {
        timer_start(r->loop, &l->timer, 0, on_no_child, l);
    } else if (str_has_prefix(name, "[") || resolver_parse(name, l->address)) {
        if (l->name[0] == '[')
            ignore(snprintf(l->address, sizeof(l->address), "%.47s", l->name));
        timer_start(r->loop, &l->timer, 0, on_known, l);
    } else if (k != NULL && k->until_ms > loop_now_ms(r->loop)) {
        memcpy(l->address, k->address, sizeof(l->address));
        timer_start(r->loop, &l->timer, 0, on_known, l);
    } else if (start(l, NULL) == 0) {
        timer_start(r->loop, &l->timer, RESOLVER_WAIT_MS, on_timeout, l);
    } else {
        timer_start(r->loop, &l->timer, 0, on_no_child, l);
    }
    return l;
}

void resolver_cancel(struct lookup *l)
{
    if (l != NULL)
        lookup_free(l);
}

struct resolver *resolver_new(struct loop *l)
{
    struct resolver *r = mem_zero(sizeof(*r));

    r->loop = l;
    return r;
}

void resolver_free(struct resolver *r)
{
    size_t cursor = 0;
    struct list_node *n;
    struct known *k;

    if (r == NULL)
        return;
    while ((n = list_first(&r->lookups)) != NULL) {
        struct lookup *l = container_of(n, struct lookup, node);

        if (l->child.pid != 0) {
            child_signal(&l->child, SIGKILL);
            ignore(waitpid(l->child.pid, NULL, 0)); /* it is dead already */
            child_forget(&l->child);
        }
        lookup_free(l);
    }
    while ((k = map_next(&r->known, &cursor)) != NULL)
        free(k);
    map_done(&r->known);
    free(r);
}
