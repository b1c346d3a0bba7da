/* SPDX-License-Identifier: Apache-2.0 */
/* Questions on their way to a resolver and back; see dns.h. Who the resolvers are: resolvers.c;
 * what was answered before: dns_cache.c; questions over TCP: dns_stream.c. */
#include <errno.h>
#include <sys/random.h>

#include "egress/dns_internal.h"

enum {
    TRIES = 2,              /* of each resolver over UDP */
    PATIENCE_MS = 2000,     /* for each of them */
    PATIENCE_TCP_MS = 5000, /* from connecting to the answer */
    LENGTH = 2,             /* bytes in front of a message over TCP */
};

struct ask {
    struct list_node node; /* in dns->asks */
    struct dns_from from;
    struct dns_question question;
    uint16_t number; /* ours */
    unsigned tries;
    int fd; /* UDP: a port of its own */
    struct watch watch;
    struct stream tcp;
    struct timer patience;
    size_t len;
    char bytes[]; /* the question, with the asker's number */
};

static void try_next(void *ctx);

static void ask_free(struct ask *a)
{
    struct dns *d = a->from.outlet->egress->dns;

    a->from.outlet->dns_waiting--;
    d->ask_count--;
    list_remove(&a->node);
    watch_stop(&a->watch);
    own_close_fd(&a->fd);
    stream_close(&a->tcp);
    timer_stop(&a->patience);
    free(a);
}

static void tell(const struct dns_from *from, struct str answer)
{
    struct egress *e = from->outlet->egress;

    if (from->lookup != NULL)
        dns_lookup_answer(from->lookup, answer);
    else if (from->stream != NULL)
        dns_stream_answer(from->stream, answer);
    else
        outlet_send(from->outlet, e->answer,
                    wire_udp(&from->pair.to, &from->pair.from, answer, e->answer));
}

static void tell_error(const struct dns_from *from, struct str question, size_t end, unsigned code)
{
    char out[DNS_HEAD + DNS_NAME_MAX + 8];

    if (end <= sizeof(out))
        tell(from, (struct str){out, dns_error(question, end, code, out)});
}

/* The bytes are changed: number and spelling of the name become the asker's. */
static void tell_answer(const struct dns_from *from, const struct dns_question *q,
                        struct str question, struct buf *answer)
{
    char out[DNS_HEAD + DNS_NAME_MAX + 8];

    memcpy(answer->at + DNS_HEAD, question.at + DNS_HEAD, q->end - DNS_HEAD);
    dns_set_number(answer->at, dns_number(question));
    if (from->stream == NULL && answer->len > q->udp_room)
        tell(from, (struct str){out, dns_cut(buf_str(answer), q->end, out)});
    else
        tell(from, buf_str(answer));
}

static struct str question_of(const struct ask *a)
{
    return (struct str){a->bytes, a->len};
}

/* True: it was the answer, and the ask is gone. */
static bool take_answer(struct ask *a, struct str bytes)
{
    struct dns *d = a->from.outlet->egress->dns;
    struct buf answer;

    if (bytes.len < DNS_HEAD || dns_number(bytes) != a->number ||
        !dns_answer_fits(bytes, question_of(a), a->question.end))
        return false;
    buf_init(&answer, DNS_MESSAGE_MAX);
    buf_add_str(&answer, bytes);
    if (buf_ok(&answer)) {
        dns_cache_put(d, question_of(a), a->question.end, bytes);
        tell_answer(&a->from, &a->question, question_of(a), &answer);
    }
    buf_done(&answer);
    ask_free(a);
    return true;
}

static void on_udp(void *ctx, uint32_t events)
{
    struct ask *a = ctx;
    struct egress *e = a->from.outlet->egress;
    ssize_t n = recv(a->fd, e->packet, DNS_MESSAGE_MAX, 0);

    ignore((long)events);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0)
        try_next(a); /* nobody there */
    else
        ignore(
            take_answer(a, (struct str){e->packet, (size_t)n})); /* else wait for the right one */
}

static void on_tcp(void *ctx)
{
    struct ask *a = ctx;
    struct str in = buf_str(&a->tcp.in);
    size_t len;

    if (in.len >= LENGTH) {
        len = (size_t)(uint8_t)in.at[0] << 8 | (uint8_t)in.at[1];
        if (in.len >= LENGTH + len) {
            if (!take_answer(a, (struct str){in.at + LENGTH, len}))
                try_next(a);
            return;
        }
    }
    if (a->tcp.eof)
        try_next(a);
}

static int open_tcp(struct ask *a, int fd)
{
    static const struct stream_events events = {.on_data = on_tcp,
                                                .on_fail = try_next,
                                                .in_max = LENGTH + DNS_MESSAGE_MAX,
                                                .out_max = LENGTH + DNS_MESSAGE_MAX};
    const char length[LENGTH] = {(char)(a->len >> 8), (char)a->len};
    struct egress *e = a->from.outlet->egress;

    if (stream_open(&a->tcp, e->loop, fd, true, &events, a, NULL) != 0)
        return -1;
    memcpy(e->answer, a->bytes, a->len);
    dns_set_number(e->answer, a->number);
    ignore(stream_writev(&a->tcp,
                         (const struct str[]){
                             {length,    LENGTH},
                             {e->answer, a->len}
    },
                         2)); /* small enough for its box */
    return 0;
}

static int open_udp(struct ask *a, int fd)
{
    struct egress *e = a->from.outlet->egress;

    a->fd = fd;
    memcpy(e->answer, a->bytes, a->len);
    dns_set_number(e->answer, a->number);
    if (send(fd, e->answer, a->len, 0) < 0)
        return -1;
    return watch_start(e->loop, &a->watch, fd, EPOLLIN, on_udp, a, NULL);
}

/* Asks the resolver whose turn it is. */
static int try_one(struct ask *a, const struct place *resolver)
{
    bool is_tcp = a->from.stream != NULL;
    struct sockaddr_storage address;
    socklen_t size = place_to(resolver, &address);
    int fd = socket(address.ss_family,
                    (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS) {
        own_close_fd(&fd);
        return -1;
    }
    if (getrandom(&a->number, sizeof(a->number), 0) != sizeof(a->number))
        abort(); /* a number that can be guessed is worse than none */
    return is_tcp ? open_tcp(a, fd) : open_udp(a, fd);
}

static void try_next(void *ctx)
{
    struct ask *a = ctx;
    struct egress *e = a->from.outlet->egress;
    bool is_tcp = a->from.stream != NULL;
    size_t all = e->dns->resolver_count * (is_tcp ? 1 : TRIES);

    for (;;) {
        size_t turn = a->tries++;

        watch_stop(&a->watch);
        own_close_fd(&a->fd);
        a->fd = -1;
        stream_close(&a->tcp);
        if (turn >= all)
            break;
        timer_start(e->loop, &a->patience, is_tcp ? PATIENCE_TCP_MS : PATIENCE_MS, try_next, a);
        if (try_one(a, &e->dns->resolvers[turn % e->dns->resolver_count]) == 0)
            return;
    }
    tell_error(&a->from, question_of(a), a->question.end, DNS_SERVFAIL);
    ask_free(a);
}

void dns_ask(const struct dns_from *from, struct str message)
{
    struct dns *d = from->outlet->egress->dns;
    struct dns_question q;
    struct buf answer;
    struct ask *a;

    if (!dns_question_read(message, &q))
        return; /* no answer is the customary one to noise */
    if (from->lookup == NULL && !outlet_may_ask_name(from->outlet, str_of(q.name))) {
        tell_error(from, message, q.end, DNS_REFUSED);
        audit_tell(from->outlet, &(struct audit_note){.protocol = "dns",
                                                      .name = q.name,
                                                      .rule = "allowOut by name",
                                                      .is_denied = true});
        return;
    }
    buf_init(&answer, DNS_MESSAGE_MAX);
    if (dns_cache_get(d, message, q.end, &answer)) {
        tell_answer(from, &q, message, &answer);
        buf_done(&answer);
        return;
    }
    if (from->outlet->dns_waiting >= DNS_WAITING_MAX || d->ask_count >= DNS_ALL_MAX) {
        tell_error(from, message, q.end, DNS_SERVFAIL);
        return;
    }
    resolvers_refresh(d);
    a = mem_zero(sizeof(*a) + message.len);
    a->from = *from;
    a->question = q;
    a->fd = a->tcp.fd = -1;
    a->len = message.len;
    memcpy(a->bytes, message.at, message.len);
    list_push(&d->asks, &a->node);
    d->ask_count++;
    from->outlet->dns_waiting++;
    try_next(a);
}

void dns_datagram(struct outlet *o, const struct pair *pair, struct str data)
{
    const struct dns_from from = {.outlet = o, .pair = *pair};

    dns_ask(&from, data);
}

static void drop(struct dns *d, const struct outlet *o, const struct dns_stream *s,
                 const struct dns_lookup *l)
{
    struct list_node *next;

    for (struct list_node *i = list_first(&d->asks); i != NULL; i = next) {
        struct ask *a = container_of(i, struct ask, node);

        next = list_next(&d->asks, i);
        if ((o != NULL && a->from.outlet == o) || (s != NULL && a->from.stream == s) ||
            (l != NULL && a->from.lookup == l))
            ask_free(a);
    }
}

void dns_forget(struct outlet *o)
{
    drop(o->egress->dns, o, NULL, NULL);
}

void dns_forget_stream(struct dns *d, const struct dns_stream *s)
{
    drop(d, NULL, s, NULL);
}

void dns_forget_lookup(struct dns *d, const struct dns_lookup *l)
{
    drop(d, NULL, NULL, l);
}

int dns_new(struct loop *l, const char *resolvers, struct dns **out, struct err *err)
{
    struct dns *d = mem_zero(sizeof(*d));

    d->loop = l;
    d->configured = resolvers;
    if (resolvers_read(d, err) != 0) {
        dns_free(d);
        return -1;
    }
    *out = d;
    return 0;
}

void dns_free(struct dns *d)
{
    if (d == NULL)
        return;
    dns_cache_done(d);
    free(d);
}
