/* SPDX-License-Identifier: Apache-2.0 */
/* Connections under TLS; see tls.h. OpenSSL reads and writes the socket itself. What it waits for
 * may differ from what the owner wants: `reads_on` and `writes_on` say by which event each way goes
 * on. Records that were read ahead make no event on the socket: then a timer tells the owner. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#include "io/tls_internal.h"

enum tls_state {
    TLS_CONNECTING,
    TLS_SHAKING,
    TLS_OPEN,
    TLS_BROKEN,
};

struct tls {
    struct transport transport;
    struct tls_context *context;
    SSL *ssl;
    struct watch watch;
    struct timer timer; /* of the handshake; afterwards a wake-up for what was read ahead */
    uint32_t reads_on, writes_on; /* EPOLLIN or EPOLLOUT */
    int sys;                      /* why it is broken */
    uint8_t state;
    bool has_more;  /* to be read without an event of the socket */
    bool is_ending; /* close_notify waits for room */
    bool is_ended;
    tls_fn *on_ready;
    void *ctx;
    char host[TLS_HOST_MAX + 1];
};

static void on_event(void *ctx, uint32_t events);

static uint32_t mask_of(const struct tls *t)
{
    uint32_t mask = 0;

    if (t->state == TLS_CONNECTING)
        return EPOLLOUT;
    if (t->state == TLS_SHAKING)
        return t->reads_on;
    if ((t->transport.events & EPOLLIN) != 0)
        mask |= t->reads_on;
    if ((t->transport.events & EPOLLOUT) != 0 || t->is_ending)
        mask |= t->writes_on;
    return mask;
}

static void on_wake(void *ctx)
{
    struct tls *t = ctx;

    if (t->has_more && (t->transport.events & EPOLLIN) != 0)
        t->transport.fn(t->transport.ctx, EPOLLIN);
}

static void arm(struct tls *t)
{
    uint32_t mask = mask_of(t);
    struct err err;

    if (t->watch.loop != NULL)
        watch_set(&t->watch, mask);
    else if (mask != 0 && watch_start(t->transport.loop, &t->watch, t->transport.fd, mask, on_event,
                                      t, &err) != 0)
        abort(); /* the loop took this descriptor before: out of kernel memory */
    if (t->state == TLS_OPEN && t->has_more && (t->transport.events & EPOLLIN) != 0)
        timer_start(t->transport.loop, &t->timer, 0, on_wake, t); /* next turn: others come first */
}

/* What OpenSSL waits for, or 0: it is broken, and `sys` says how. */
static uint32_t judge(struct tls *t, int result)
{
    int sys = errno;

    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ: return EPOLLIN;
    case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
    case SSL_ERROR_SYSCALL: t->sys = sys != 0 && ERR_peek_error() == 0 ? sys : ECONNRESET; break;
    case SSL_ERROR_SSL:
        t->sys = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? ECONNRESET
                                                                                        : EPROTO;
        break;
    default: t->sys = EPROTO; break;
    }
    return 0;
}

/* The handshake. */

static void tell_ready(struct tls *t, const struct err *err)
{
    timer_stop(&t->timer);
    if (err != NULL) {
        t->state = TLS_BROKEN;
        watch_stop(&t->watch);
    }
    t->on_ready(t->ctx, t, err);
}

static void fail_handshake(struct tls *t)
{
    long verdict = SSL_get_verify_result(t->ssl);
    struct err err = {0};

    if (t->context->is_client && verdict != X509_V_OK) {
        ERR_clear_error();
        ignore(err_set(&err, ERR_DENIED, "the certificate of '%s' is not trusted: %s", t->host,
                       X509_verify_cert_error_string(verdict))); /* always -1 */
    } else if (ERR_peek_error() != 0) {
        ignore(err_ssl(&err, ERR_UNAVAILABLE, "TLS handshake"));
    } else {
        ignore(err_sys(&err, t->sys, "TLS handshake"));
    }
    tell_ready(t, &err);
}

/* The bytes that were there before are used up: from now on the socket is read. */
static bool leave_first(struct tls *t)
{
    BIO *socket;

    if (BIO_method_type(SSL_get_rbio(t->ssl)) != BIO_TYPE_MEM)
        return false;
    socket = SSL_get_wbio(t->ssl);
    if (BIO_up_ref(socket) != 1)
        return false;
    SSL_set0_rbio(t->ssl, socket);
    return true;
}

static void shake(struct tls *t)
{
    uint32_t needs;
    int done;

    do {
        ERR_clear_error();
        errno = 0;
        done = SSL_do_handshake(t->ssl);
        needs = done == 1 ? EPOLLIN : judge(t, done);
    } while (done != 1 && needs == EPOLLIN && leave_first(t));
    if (needs == 0) {
        fail_handshake(t);
        return;
    }
    t->reads_on = needs;
    if (done != 1) {
        arm(t);
        return;
    }
    ignore(leave_first(t)); /* what follows the hello in it is with OpenSSL already */
    t->state = TLS_OPEN;
    t->has_more = SSL_has_pending(t->ssl) == 1;
    watch_set(&t->watch, 0); /* until somebody wants something */
    tell_ready(t, NULL);
}

static void on_deadline(void *ctx)
{
    struct tls *t = ctx;
    struct err err = {0};

    ignore(err_set(&err, ERR_TIMEOUT, "TLS handshake: the peer took too long")); /* always -1 */
    tell_ready(t, &err);
}

static void finish_connect(struct tls *t)
{
    struct err err = {0};
    int sys = 0;
    socklen_t size = sizeof(sys);

    if (getsockopt(t->transport.fd, SOL_SOCKET, SO_ERROR, &sys, &size) != 0)
        sys = errno;
    if (sys != 0) {
        ignore(err_sys(&err, sys, "connect")); /* always -1 */
        tell_ready(t, &err);
        return;
    }
    t->state = TLS_SHAKING;
    shake(t);
}

/* Afterwards. */

static void send_end(struct tls *t)
{
    int sent;

    ERR_clear_error();
    errno = 0;
    sent = SSL_shutdown(t->ssl);
    t->is_ending = sent < 0 && judge(t, sent) != 0;
    if (t->is_ending)
        return;
    t->is_ended = true;
    ERR_clear_error();
    ignore(shutdown(t->transport.fd, SHUT_WR)); /* not connected any more: the peer knows */
}

static void on_event(void *ctx, uint32_t events)
{
    struct tls *t = ctx;
    struct transport *way = &t->transport;
    struct loop *l = way->loop;
    const uint32_t hung = EPOLLHUP | EPOLLERR;
    uint32_t told = events & hung;

    if (t->state == TLS_CONNECTING) {
        finish_connect(t);
        return;
    }
    if (t->state == TLS_SHAKING) {
        shake(t);
        return;
    }
    if (t->is_ending && (events & (t->writes_on | hung)) != 0)
        send_end(t);
    if ((way->events & EPOLLIN) != 0 && (events & t->reads_on) != 0)
        told |= EPOLLIN;
    if ((way->events & EPOLLOUT) != 0 && (events & t->writes_on) != 0)
        told |= EPOLLOUT;
    if (told == 0)
        arm(t);
    else if (way->fn != NULL)
        way->fn(way->ctx, told);
    /* nobody took it yet, or nobody wants more: a hang-up would be told for ever */
    if ((events & hung) != 0 && watch_survives(l, &t->watch) && mask_of(t) == 0)
        watch_stop(&t->watch);
}

static ssize_t tls_read(struct transport *way, void *data, size_t size)
{
    struct tls *t = (struct tls *)way;
    size_t got = 0;
    bool has_end = false;

    while (got < size && t->state == TLS_OPEN && !has_end) {
        size_t want = size - got < INT_MAX ? size - got : INT_MAX;
        int n;

        ERR_clear_error();
        errno = 0;
        n = SSL_read(t->ssl, (char *)data + got, (int)want);
        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        has_end = SSL_get_error(t->ssl, n) == SSL_ERROR_ZERO_RETURN;
        if (has_end)
            break;
        t->reads_on = judge(t, n);
        if (t->reads_on != 0)
            break;
        t->reads_on = EPOLLIN;
        t->state = TLS_BROKEN;
    }
    ERR_clear_error();
    t->has_more =
        has_end || t->state == TLS_BROKEN || (got == size && SSL_has_pending(t->ssl) == 1);
    if (got > 0 || has_end)
        return (ssize_t)got;
    errno = t->state == TLS_BROKEN ? t->sys : EAGAIN;
    return -1;
}

/* Small parts become one record. Bytes that wait for room in the socket are shown again by our
 * caller at the front of what follows, as OpenSSL wants it. */
static struct str next_record(struct tls_context *c, const struct iovec *parts, size_t count,
                              size_t skip)
{
    size_t used = 0;

    while (count > 0 && skip >= parts->iov_len) {
        skip -= parts->iov_len;
        parts++;
        count--;
    }
    if (count == 0)
        return (struct str){NULL, 0};
    if (count == 1 || parts->iov_len - skip >= TLS_RECORD)
        return (struct str){(const char *)parts->iov_base + skip, parts->iov_len - skip < TLS_RECORD
                                                                      ? parts->iov_len - skip
                                                                      : TLS_RECORD};
    for (; count > 0 && used < TLS_RECORD; parts++, count--) {
        size_t len = parts->iov_len - skip;

        len = len < TLS_RECORD - used ? len : TLS_RECORD - used;
        memcpy(c->record + used, (const char *)parts->iov_base + skip, len);
        used += len;
        skip = 0;
    }
    return (struct str){c->record, used};
}

static ssize_t tls_write(struct transport *way, const struct iovec *parts, size_t count)
{
    struct tls *t = (struct tls *)way;
    size_t sent = 0;

    if (t->is_ended || t->is_ending) {
        errno = EPIPE;
        return -1;
    }
    while (t->state == TLS_OPEN) {
        struct str record = next_record(t->context, parts, count, sent);
        int n;

        if (record.len == 0)
            break;
        ERR_clear_error();
        errno = 0;
        n = SSL_write(t->ssl, record.at, (int)record.len);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        t->writes_on = judge(t, n);
        if (t->writes_on != 0)
            break;
        t->writes_on = EPOLLOUT;
        t->state = TLS_BROKEN;
    }
    ERR_clear_error();
    if (sent > 0)
        return (ssize_t)sent;
    errno = t->state == TLS_BROKEN ? t->sys : EAGAIN;
    return -1;
}

static void tls_want(struct transport *way, uint32_t events)
{
    struct tls *t = (struct tls *)way;

    way->events = events;
    arm(t);
}

static void tls_end(struct transport *way)
{
    struct tls *t = (struct tls *)way;

    if (t->state != TLS_OPEN || t->is_ended || t->is_ending)
        return;
    send_end(t);
    if (t->is_ending)
        arm(t);
}

/* Was it asked for that the peer sees a cut? */
static bool is_abrupt(const struct tls *t)
{
    struct linger linger = {0};
    socklen_t size = sizeof(linger);

    return getsockopt(t->transport.fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 &&
           linger.l_onoff != 0 && linger.l_linger == 0;
}

void tls_close(struct tls *t)
{
    if (t == NULL)
        return;
    timer_stop(&t->timer);
    watch_stop(&t->watch);
    if (t->ssl != NULL && t->state == TLS_OPEN && !t->is_ended && !is_abrupt(t)) {
        ERR_clear_error();
        ignore(SSL_shutdown(t->ssl)); /* if there is no room now there is nobody to wait for it */
        ERR_clear_error();
    }
    SSL_free(t->ssl);
    own_close_fd(&t->transport.fd);
    tls_context_leave(t->context);
    free(t);
}

static void close_transport(struct transport *way)
{
    tls_close((struct tls *)way);
}

static const struct transport_ops ops = {tls_read, tls_write, tls_want, tls_end, close_transport};

static bool set_host(struct tls *t, const char *host)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(t->ssl);

    if (host == NULL || host[0] == '\0' || !str_to_c(str_of(host), t->host, sizeof(t->host)))
        return false;
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1)
        return true; /* addresses are not named in the hello */
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(rules, host, 0) == 1 &&
           SSL_set_tlsext_host_name(t->ssl, t->host) == 1;
}

static bool set_up(struct tls *t, const struct tls_spec *spec)
{
    BIO *first;

    t->ssl = SSL_new(t->context->ssl);
    if (t->ssl == NULL || SSL_set_fd(t->ssl, spec->fd) != 1)
        return false;
    if (t->context->is_client) {
        SSL_set_connect_state(t->ssl);
        return set_host(t, spec->host);
    }
    SSL_set_accept_state(t->ssl);
    if (spec->first.len == 0)
        return true;
    first = BIO_new(BIO_s_mem());
    if (first == NULL || BIO_write(first, spec->first.at, (int)spec->first.len) < 0) {
        BIO_free(first);
        return false;
    }
    SSL_set0_rbio(t->ssl, first);
    return true;
}

static int start(struct tls *t, struct loop *l, const struct tls_spec *spec, struct err *err)
{
    int flags = fcntl(spec->fd, F_GETFL);

    if (flags < 0 || fcntl(spec->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return err_sys(err, errno, "open TLS connection");
    if (!set_up(t, spec))
        return err_ssl(err, ERR_INVALID, "open TLS connection");
    t->state = t->context->is_client ? TLS_CONNECTING : TLS_SHAKING;
    if (watch_start(l, &t->watch, spec->fd, mask_of(t), on_event, t, err) != 0)
        return err_wrap(err, "open TLS connection");
    if (spec->first.len > 0)
        watch_set(&t->watch, EPOLLOUT); /* at once: it may all be there */
    timer_start(l, &t->timer, spec->deadline_ms > 0 ? spec->deadline_ms : TLS_SHAKE_MS, on_deadline,
                t);
    return 0;
}

int tls_open(struct loop *l, const struct tls_spec *spec, struct tls **out, struct err *err)
{
    struct tls *t = mem_zero(sizeof(*t));

    *t = (struct tls){
        .transport = {.ops = &ops, .loop = l, .fd = spec->fd},
        .context = spec->context,
        .reads_on = EPOLLIN,
        .writes_on = EPOLLOUT,
        .on_ready = spec->fn,
        .ctx = spec->ctx,
    };
    t->context->uses++;
    if (start(t, l, spec, err) != 0) {
        tls_close(t);
        return -1;
    }
    *out = t;
    return 0;
}

struct transport *tls_transport(struct tls *t)
{
    assert(t->state == TLS_OPEN);
    return &t->transport;
}

struct str tls_protocol(const struct tls *t)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return (struct str){(const char *)name, len};
}

struct str tls_server_name(const struct tls *t)
{
    return str_of(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name));
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}
