/* SPDX-License-Identifier: Apache-2.0 */
/* See outdial.h. */
#include "worker/outdial.h"

#include <stdio.h>

#include "io/resolver.h"
#include "io/socket.h"
#include "io/tls.h"

struct dialer {
    struct loop *loop;
    struct resolver *resolver;
    struct tls_context *tls; /* NULL until the first that wants it: the roots take 3 MiB */
    const char *ca_file;
};

struct outdial {
    struct dialer *dialer;
    const struct address *to;
    char host[ADDRESS_HOST_MAX + 1]; /* as a certificate names it */
    struct lookup *lookup;
    struct tls *tls;
    struct task fail_soon;
    struct err err;
    outdial_fn *fn;
    void *ctx;
};

void outdial_cancel(struct outdial *d)
{
    if (d == NULL)
        return;
    resolver_cancel(d->lookup);
    tls_close(d->tls);
    task_cancel(&d->fail_soon);
    free(d);
}

static void end(struct outdial *d, struct http_conn *conn, const struct err *err)
{
    outdial_fn *fn = d->fn;
    void *ctx = d->ctx;
    struct err why = {0};

    if (err != NULL)
        why = *err;
    outdial_cancel(d);
    fn(ctx, conn, conn == NULL ? &why : NULL);
}

static void on_fail_soon(void *ctx)
{
    struct outdial *d = ctx;

    end(d, NULL, &d->err);
}

static void fail_soon(struct outdial *d)
{
    task_defer(d->dialer->loop, &d->fail_soon, on_fail_soon, d);
}

static void on_tls(void *ctx, struct tls *tls, const struct err *err)
{
    struct outdial *d = ctx;
    struct http_conn *conn;

    if (err != NULL) {
        end(d, NULL, err);
        return;
    }
    d->tls = NULL;
    if (http_conn_new_over(tls_transport(tls), &conn, &d->err) == 0)
        end(d, conn, NULL);
    else
        end(d, NULL, &d->err);
}

static int shake_hands(struct outdial *d, int fd)
{
    static const char *const protocols[] = {"http/1.1", NULL};
    struct dialer *all = d->dialer;
    const struct tls_client_spec client = {
        .roots_file = all->ca_file[0] == '\0' ? NULL : all->ca_file,
        .protocols = protocols,
    };
    const struct tls_spec spec = {.fd = fd, .host = d->host, .fn = on_tls, .ctx = d};
    struct tls_spec whole = spec;
    struct str host = str_of(d->to->host);

    if (host.at[0] == '[') /* a certificate has no brackets */
        host = (struct str){host.at + 1, host.len - 2};
    ignore(str_to_c(host, d->host, sizeof(d->host))); /* as long as that */
    if (all->tls == NULL && tls_client_context(&client, &all->tls, &d->err) != 0) {
        own_close_fd(&fd);
        return -1;
    }
    whole.context = all->tls;
    return tls_open(all->loop, &whole, &d->tls, &d->err);
}

static void on_address(void *ctx, const char *address, const struct err *err)
{
    struct outdial *d = ctx;
    char whole[RESOLVER_ADDRESS_MAX + 8];
    struct http_conn *conn;
    int fd = -1;

    d->lookup = NULL;
    if (err != NULL) {
        end(d, NULL, err);
        return;
    }
    ignore(snprintf(whole, sizeof(whole), "%s:%u", address, d->to->port));
    if (socket_connect_tcp(whole, &fd, &d->err) != 0) {
        fail_soon(d);
    } else if (d->to->is_tls) {
        if (shake_hands(d, fd) != 0)
            fail_soon(d);
    } else if (http_conn_new(d->dialer->loop, fd, true, &conn, &d->err) == 0) {
        socket_no_delay(fd);
        end(d, conn, NULL);
    } else {
        fail_soon(d);
    }
}

struct outdial *outdial_start(struct dialer *all, const struct address *to, outdial_fn *fn,
                              void *ctx)
{
    struct outdial *d = mem_zero(sizeof(*d));

    d->dialer = all;
    d->to = to;
    d->fn = fn;
    d->ctx = ctx;
    d->lookup = resolver_ask(all->resolver, str_of(to->host), on_address, d);
    return d;
}

struct dialer *dialer_new(struct loop *l, const char *ca_file)
{
    struct dialer *d = mem_zero(sizeof(*d));

    d->loop = l;
    d->ca_file = ca_file;
    d->resolver = resolver_new(l);
    return d;
}

void dialer_free(struct dialer *d)
{
    if (d == NULL)
        return;
    resolver_free(d->resolver);
    tls_context_free(d->tls);
    free(d);
}
