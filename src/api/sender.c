/* SPDX-License-Identifier: Apache-2.0 */
/* See sender.h. Called by domain/delivery.c through webhook_set_sender(). */
#include "api/sender.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "domain/domain.h"
#include "domain/webhook_url.h"
#include "http/client.h"
#include "io/resolver.h"
#include "io/socket.h"
#include "io/tls.h"

enum {
    ID_SIZE = 2 * UUID_LEN + 2,
    SIGNED_MAX = 1 << 20,
};

struct sender {
    struct loop *loop;
    struct domain *domain;
    struct resolver *resolver;
    const char *ca_file;
    struct tls_context *tls; /* NULL until the first receiver that wants it */
    struct list tries;
};

struct
try {
    struct list_node node;
    struct sender *sender;
    char delivery_id[ID_SIZE], webhook_id[UUID_LEN + 1], event_id[UUID_LEN + 1];
    struct buf url, body, secret; /* copies: the webhook may change meanwhile */
    struct webhook_url parts;     /* into url */
    int32_t number;
    struct lookup *lookup;
    struct http_conn *conn;
    struct tls *tls;    /* while it shakes hands */
    struct timer timer; /* the deadline, then the end */
    unsigned status;
    size_t read;
    struct err err;
};

void sender_sign(struct str secret, int64_t seconds, struct str body, char out[65])
{
    uint8_t digest[SHA256_SIZE];
    struct buf text;

    buf_init(&text, SIGNED_MAX);
    buf_printf(&text, "%lld.", (long long)seconds);
    buf_add_str(&text, body);
    hmac_sha256(secret, buf_str(&text), digest);
    hex_encode(digest, sizeof(digest), out);
    buf_done(&text);
}

static void try_free(struct try *t)
{
    list_remove(&t->node);
    timer_stop(&t->timer);
    resolver_cancel(t->lookup);
    http_conn_free(t->conn);
    tls_close(t->tls);
    if (t->secret.at != NULL)
        explicit_bzero(t->secret.at, t->secret.len);
    buf_done(&t->url);
    buf_done(&t->body);
    buf_done(&t->secret);
    free(t);
}

static enum webhook_verdict verdict_of(unsigned status)
{
    if (status >= 200 && status <= 299)
        return WEBHOOK_TAKEN;
    if (status == 0 || status == 408 || status == 425 || status == 429 || status >= 500)
        return WEBHOOK_AGAIN;
    return WEBHOOK_REFUSED;
}

/* From a timer, never from inside the call that failed: domain is not called back in its call. */
static void on_end(void *ctx)
{
    struct try *t = ctx;
    struct domain *d = t->sender->domain;
    char id[ID_SIZE];
    unsigned status = t->status;
    struct err err = t->err;

    memcpy(id, t->delivery_id, sizeof(id));
    if (status != 0 && verdict_of(status) != WEBHOOK_TAKEN)
        err_set(&err, ERR_UNAVAILABLE, "the receiver answered %u", status);
    try_free(t);
    webhook_result(d, str_of(id), verdict_of(status), status, str_of(err.text));
}

static void end_soon(struct try *t)
{
    timer_start(t->sender->loop, &t->timer, 0, on_end, t);
}

static void on_deadline(void *ctx)
{
    struct try *t = ctx;

    if (t->status == 0)
        err_set(&t->err, ERR_TIMEOUT, "no answer within %d s", SENDER_TRY_MS / 1000);
    on_end(t);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct try *t = ctx;

    t->status = h->status;
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct try *t = ctx;

    t->read += data.len;
    if (is_last || t->read > SENDER_ANSWER_MAX)
        end_soon(t);
    return data.len;
}

static void on_drain(void *ctx)
{
    ignore(ctx == NULL); /* a body fits the connection's box */
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    struct try *t = ctx;

    ignore(is_fresh);
    t->err = *err;
    end_soon(t);
}

static void post(struct try *t)
{
    static const struct call_events events = {on_head, on_body, on_drain, on_fail};
    int64_t seconds = clock_wall_ms() / 1000;
    char signature[4 + 64] = "v1=", timestamp[24], number[16];
    const struct http_field fields[] = {
        {STR("Host"),               t->parts.authority                                                 },
        {STR("Content-Type"),       STR("application/json")                                            },
        {STR("User-Agent"),         STR("Sandlot-Webhook/1")                                           },
        {STR("Sandlot-Webhook-Id"), str_of(t->webhook_id)                                              },
        {STR("Sandlot-Event-Id"),   str_of(t->event_id)                                                },
        {STR("Sandlot-Timestamp"),
         {timestamp, (size_t)snprintf(timestamp, sizeof(timestamp), "%lld", (long long)seconds)}       },
        {STR("Sandlot-Signature"),  {signature, sizeof(signature) - 1}                                 },
        {STR("Sandlot-Try"),        {number, (size_t)snprintf(number, sizeof(number), "%d", t->number)}},
    };
    const struct call_request request = {
        .method = STR("POST"),
        .target = t->parts.target,
        .fields = fields,
        .field_count = COUNT_OF(fields),
        .length = (int64_t)t->body.len,
    };

    sender_sign(buf_str(&t->secret), seconds, buf_str(&t->body), signature + 3);
    http_conn_call(t->conn, &request, &events, t);
    ignore(http_conn_write(t->conn, buf_str(&t->body))); /* all there is: nothing to hold back */
    http_conn_end(t->conn);
}

static void on_tls(void *ctx, struct tls *tls, const struct err *err)
{
    struct try *t = ctx;

    if (err != NULL) {
        t->err = *err;
        end_soon(t);
        return;
    }
    t->tls = NULL;
    if (http_conn_new_over(tls_transport(tls), &t->conn, &t->err) == 0)
        post(t);
    else
        end_soon(t);
}

/* The host as a certificate names it: an IPv6 address has no brackets there. */
static bool put_host(struct str host, char out[WEBHOOK_HOST_MAX + 1])
{
    if (host.len > 2 && host.at[0] == '[')
        host = (struct str){host.at + 1, host.len - 2};
    return str_to_c(host, out, WEBHOOK_HOST_MAX + 1);
}

static int shake_hands(struct try *t, int fd)
{
    static const char *const protocols[] = {"http/1.1", NULL};
    struct sender *s = t->sender;
    char host[WEBHOOK_HOST_MAX + 1] = "";
    const bool has_file = s->ca_file != NULL && s->ca_file[0] != '\0';
    const struct tls_client_spec client = {.roots_file = has_file ? s->ca_file : NULL,
                                           .protocols = protocols};

    if (!put_host(t->parts.host, host) ||
        (s->tls == NULL && tls_client_context(&client, &s->tls, &t->err) != 0)) {
        own_close_fd(&fd);
        return -1;
    }
    return tls_open(s->loop,
                    &(struct tls_spec){.fd = fd,
                                       .context = s->tls,
                                       .host = host,
                                       .deadline_ms = SENDER_TRY_MS,
                                       .fn = on_tls,
                                       .ctx = t},
                    &t->tls, &t->err);
}

static void on_address(void *ctx, const char *address, const struct err *err)
{
    struct try *t = ctx;
    char whole[RESOLVER_ADDRESS_MAX + 8];
    int fd = -1;

    t->lookup = NULL;
    if (err != NULL) {
        t->err = *err;
        end_soon(t);
        return;
    }
    ignore(snprintf(whole, sizeof(whole), "%s:%u", address, t->parts.port));
    if (socket_connect_tcp(whole, &fd, &t->err) != 0) {
        end_soon(t);
    } else if (t->parts.is_tls) {
        if (shake_hands(t, fd) != 0)
            end_soon(t);
    } else if (http_conn_new(t->sender->loop, fd, true, &t->conn, &t->err) == 0) {
        post(t);
    } else {
        end_soon(t);
    }
}

static void copy(struct buf *to, struct str from)
{
    buf_init(to, SIGNED_MAX);
    buf_add_str(to, from);
}

static void on_order(void *ctx, const struct webhook_order *order)
{
    struct sender *s = ctx;
    struct try *t = mem_zero(sizeof(*t));

    t->sender = s;
    t->number = order->tries + 1;
    list_push(&s->tries, &t->node);
    ignore(str_to_c(order->delivery_id, t->delivery_id, sizeof(t->delivery_id)));
    ignore(str_to_c(order->webhook_id, t->webhook_id, sizeof(t->webhook_id)));
    ignore(str_to_c(order->event_id, t->event_id, sizeof(t->event_id))); /* ids of fixed length */
    copy(&t->url, order->url);
    copy(&t->body, order->body);
    copy(&t->secret, order->secret);
    if (webhook_url_parse(buf_str(&t->url), &t->parts, &t->err) != 0) {
        end_soon(t); /* stored by a version that allowed more */
        return;
    }
    timer_start(s->loop, &t->timer, SENDER_TRY_MS, on_deadline, t);
    t->lookup = resolver_ask(s->resolver, t->parts.host, on_address, t);
}

struct sender *sender_new(struct loop *l, struct domain *d, const char *ca_file)
{
    struct sender *s = mem_zero(sizeof(*s));

    s->loop = l;
    s->domain = d;
    s->ca_file = ca_file;
    s->resolver = resolver_new(l);
    webhook_set_sender(d, on_order, s);
    return s;
}

void sender_free(struct sender *s)
{
    struct list_node *n;

    if (s == NULL)
        return;
    webhook_set_sender(s->domain, NULL, NULL);
    while ((n = list_first(&s->tries)) != NULL)
        try_free(container_of(n, struct try, node));
    resolver_free(s->resolver);
    tls_context_free(s->tls);
    free(s);
}
