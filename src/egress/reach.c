/* SPDX-License-Identifier: Apache-2.0 */
/* See reach.h. */
#include "egress/reach.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/host_name.h"
#include "base/log.h"
#include "egress/dns.h"
#include "egress/via.h"

enum {
    DIAL_MS = 130000, /* the kernel gives up after 127 s and says so */
};

struct reach {
    struct outlet *outlet;
    struct place to;
    char name[HOST_NAME_MAX_LEN + 1];  /* "": `to` itself */
    char proxy[HOST_NAME_MAX_LEN + 1]; /* its name, while that is looked up */
    bool is_by_proxy;
    uint16_t proxy_port;
    struct via via;
    int fd;
    struct watch watch;
    struct timer patience;
    struct dns_lookup *lookup;
    struct place places[DNS_PLACES_MAX];
    size_t count, next;
    int error; /* of the last try */
    reach_fn *fn;
    void *ctx;
};

void reach_free(struct reach *r)
{
    if (r == NULL)
        return;
    watch_stop(&r->watch);
    timer_stop(&r->patience);
    dns_lookup_stop(r->lookup);
    own_close_fd(&r->fd);
    free(r);
}

static void finish(struct reach *r, int error)
{
    reach_fn *fn = r->fn;
    void *ctx = r->ctx;
    struct place place = r->is_by_proxy || r->next == 0 ? r->to : r->places[r->next - 1];
    int fd = error == 0 ? take_fd(&r->fd) : -1;

    reach_free(r);
    fn(ctx, fd, error, &place);
}

static void on_patience(void *ctx)
{
    finish(ctx, ETIMEDOUT);
}

/* From the loop, not from the call that began it. */
static void on_failed(void *ctx)
{
    struct reach *r = ctx;

    finish(r, r->error);
}

static void fail_soon(struct reach *r, int error)
{
    r->error = error;
    watch_stop(&r->watch);
    timer_start(r->outlet->egress->loop, &r->patience, 0, on_failed, r);
}

static void dial_next(struct reach *r);

/* Only bytes that are the proxy's are taken: what follows is for the sandbox. */
static void set_least(int fd, int bytes)
{
    ignore(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes))); /* else it is busier */
}

static void talk(struct reach *r, struct str heard)
{
    const struct egress_secrets *secrets = vault_secrets(r->outlet->vault);
    const struct via_target target = {r->name[0] != '\0' ? r->name : NULL, r->to,
                                      secrets->proxy_username, secrets->proxy_password};
    char used_bytes[VIA_HEAR_MAX];
    struct buf say;
    enum via_next next;

    buf_init(&say, VIA_SAY_MAX);
    next = via_step(&r->via, &target, heard, &say);
    if (r->via.used > 0)
        ignore(recv(r->fd, used_bytes, r->via.used, 0)); /* they were seen: they come */
    if (!buf_ok(&say) ||
        (say.len > 0 && send(r->fd, say.at, say.len, MSG_NOSIGNAL) != (ssize_t)say.len)) {
        next = VIA_FAILED;
        r->via.error = ECONNRESET;
        r->via.why = "it cannot be written to";
    }
    if (say.at != NULL)
        explicit_bzero(say.at, say.len);
    buf_done(&say);
    if (next == VIA_MORE) {
        set_least(r->fd, r->via.used > 0 ? 1 : (int)heard.len + 1);
        return;
    }
    set_least(r->fd, 1);
    if (next == VIA_FAILED)
        log_debug("egress.proxy_failed", "id=%s error=\"%s\"", r->outlet->id, r->via.why);
    finish(r, next == VIA_DONE ? 0 : r->via.error);
}

static void on_heard(void *ctx, uint32_t events)
{
    struct reach *r = ctx;
    char heard[VIA_HEAR_MAX];
    ssize_t n = recv(r->fd, heard, sizeof(heard), MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || n == sizeof(heard) || (events & (EPOLLERR | EPOLLHUP)) != 0)
        finish(r, n < 0 ? errno : ECONNREFUSED);
    else
        talk(r, (struct str){heard, (size_t)n});
}

static void on_dialled(void *ctx, uint32_t events)
{
    struct reach *r = ctx;
    socklen_t size = sizeof(r->error);

    ignore((long)events);
    if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &r->error, &size) != 0)
        r->error = errno;
    if (r->error != 0) {
        dial_next(r);
        return;
    }
    watch_stop(&r->watch);
    if (!r->is_by_proxy) {
        finish(r, 0);
        return;
    }
    if (watch_start(r->outlet->egress->loop, &r->watch, r->fd, EPOLLIN, on_heard, r, NULL) != 0)
        finish(r, ENOBUFS);
    else
        talk(r, (struct str){0});
}

static int check(struct reach *r, const struct place *to)
{
    if (r->is_by_proxy)
        return outlet_check_site(r->outlet, to);
    return outlet_check_named(r->outlet, to, str_of(r->name));
}

static bool dial_one(struct reach *r, const struct place *to)
{
    struct sockaddr_storage address;
    socklen_t size = place_to(to, &address);

    r->error = check(r, to);
    if (r->error != 0)
        return false;
    r->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->fd < 0) {
        r->error = errno == EAFNOSUPPORT ? ENETUNREACH : errno;
        return false;
    }
    tcp_set_alive(r->fd);
    if (connect(r->fd, (const struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS) {
        r->error = errno;
        return false;
    }
    if (watch_start(r->outlet->egress->loop, &r->watch, r->fd, EPOLLOUT, on_dialled, r, NULL) == 0)
        return true;
    r->error = ECONNREFUSED;
    return false;
}

static void dial_next(struct reach *r)
{
    while (r->next < r->count) {
        watch_stop(&r->watch);
        own_close_fd(&r->fd);
        r->fd = -1;
        if (dial_one(r, &r->places[r->next++]))
            return;
    }
    fail_soon(r, r->error);
}

static void on_found(void *ctx, const struct place *places, size_t count)
{
    struct reach *r = ctx;

    r->lookup = NULL;
    r->count = count;
    r->error = EHOSTUNREACH; /* no such name */
    for (size_t i = 0; i < count; i++)
        r->places[i] = places[i];
    /* The sandbox's choice among them is as good as any. */
    for (size_t i = 1; i < count && !r->is_by_proxy; i++) {
        if (memcmp(&places[i], &r->to, sizeof(r->to)) == 0) {
            r->places[i] = places[0];
            r->places[0] = places[i];
        }
    }
    dial_next(r);
}

static void look_up(struct reach *r, const char *name, const struct place *to)
{
    dns_lookup_start(r->outlet, str_of(name), to, on_found, r, &r->lookup);
}

/* Whatever the sandbox's own rules say of the proxy: it was named by who wrote them. */
static void begin_proxy(struct reach *r, struct str address)
{
    struct place any = place_v4((const uint8_t[4]){0}, 0);
    struct range range;
    struct str host;

    r->is_by_proxy = true;
    if (r->name[0] == '\0')
        r->error = outlet_check(r->outlet, &r->to);
    if (r->error != 0 || !via_read(address, &r->via.kind, &host, &any.port) ||
        host.len >= sizeof(r->proxy)) {
        fail_soon(r, r->error != 0 ? r->error : EHOSTUNREACH);
        return;
    }
    ignore(str_to_c(host, r->proxy, sizeof(r->proxy))); /* looked at just now */
    if (range_read(host, &range)) {
        memcpy(r->places[0].address, range.address, sizeof(range.address));
        r->places[0].port = any.port;
        r->count = 1;
        dial_next(r);
    } else if (host_name_is_good(host)) {
        look_up(r, r->proxy, &any);
    } else {
        fail_soon(r, EHOSTUNREACH);
    }
}

void reach_start(struct outlet *o, const struct reach_spec *spec, reach_fn *fn, void *ctx,
                 struct reach **out)
{
    struct reach *r = mem_zero(sizeof(*r));
    const struct egress_proxy *proxy = o->policy.proxy;
    bool is_slow = proxy == NULL && spec->name == NULL;

    r->outlet = o;
    r->to = spec->to;
    r->fd = -1;
    r->fn = fn;
    r->ctx = ctx;
    if (spec->name != NULL)
        ignore(str_to_c(str_of(spec->name), r->name, sizeof(r->name))); /* good names fit */
    *out = r;
    timer_start(o->egress->loop, &r->patience, is_slow ? DIAL_MS : REACH_MS, on_patience, r);
    if (proxy != NULL) {
        begin_proxy(r, proxy->address);
    } else if (spec->name != NULL) {
        look_up(r, r->name, &r->to);
    } else {
        r->places[0] = r->to;
        r->count = 1;
        dial_next(r);
    }
}
