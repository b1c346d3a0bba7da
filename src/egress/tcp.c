/* SPDX-License-Identifier: Apache-2.0 */
/* TCP connections of a sandbox: dialled, offered, accepted, relayed. See egress.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/log.h"
#include "egress/dns.h"
#include "egress/named.h"
#include "egress/outlet.h"
#include "egress/reach.h"
#include "egress/route.h"
#include "egress/rules.h"
#include "egress/web.h"

enum {
    SYN_MAX = 2048,            /* bytes of a SYN with its options and early data */
    OFFER_TIMEOUT_MS = 10000,  /* the sandbox's kernel has to complete what it began */
    IDLE_MS = 24 * 3600 * 1000 /* keepalive finds the dead ones long before */
};

struct flow {
    struct list_node node; /* in outlet->links once it was accepted */
    struct outlet *outlet;
    struct pair pair;
    int upstream; /* -1: not dialled, or given to the relay */
    bool is_offered;
    struct reach *reach; /* while it is dialled */
    struct timer deadline;
    struct relay *relay;
    struct dns_stream *questions; /* instead of a relay, on port 53 */
    bool is_by_name;      /* what it asks for decides: it is accepted before that is known */
    struct named *named;  /* while that is found out */
    struct web *web;      /* instead of a relay, where requests are looked at */
    struct place dialled; /* for the name, which is then known */
    char *name;
    bool is_tls;
    int accepted; /* -1, or the sandbox's end while its name is dialled */
    uint64_t began_ms;
    struct web_counts counts;
    const char *rule; /* for the record of its end: NULL: that of the verdict */
    bool is_denied;
    int error; /* of one that was allowed */
    size_t syn_len;
    char syn[]; /* until it is accepted */
};

static void reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1};

    ignore(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
    own_close_fd(&fd);
}

/* Of requests that were looked at, what was refused was told one by one. */
static void record_end(struct flow *f)
{
    bool is_told = f->counts.requests > 0 && f->counts.requests == f->counts.refused;

    if (f->pair.to.port == DNS_PORT || is_told || !audit_is_on(f->outlet))
        return;
    audit_tell(f->outlet,
               &(struct audit_note){.protocol = "tcp",
                                    .to = f->dialled.port != 0 ? &f->dialled : &f->pair.to,
                                    .name = f->name,
                                    .rule = f->rule,
                                    .detail = f->error != 0 ? strerror(f->error) : NULL,
                                    .is_denied = f->is_denied,
                                    .began_ms = f->began_ms,
                                    .up = f->counts.up,
                                    .down = f->counts.down});
}

static void flow_free(struct flow *f)
{
    struct outlet *o = f->outlet;

    record_end(f);
    if (map_get(&o->flows, pair_key(&f->pair)) == f)
        ignore(map_remove(&o->flows, pair_key(&f->pair)) != NULL); /* it is f */
    reach_free(f->reach);
    timer_stop(&f->deadline);
    list_remove(&f->node);
    own_close_fd(&f->upstream);
    relay_abort(f->relay);
    dns_stream_free(f->questions);
    named_free(f->named);
    web_free(f->web);
    if (f->accepted >= 0)
        reset(take_fd(&f->accepted));
    free(f->name);
    o->connections--;
    free(f);
}

static void on_deadline(void *ctx)
{
    struct flow *f = ctx;

    f->error = ETIMEDOUT;
    flow_free(f); /* the sandbox's own patience ends, too: connect(2) says ETIMEDOUT */
}

/* What connect(2) here failed with is what it fails with there. A reset is sent whenever it says
 * enough, and for what is forbidden: an ICMP error is dropped by a kernel that is still busy with
 * that socket, and a poll(2) that is under way may see it before its errno is there. */
static void refuse(struct outlet *o, const struct wire *syn, int error)
{
    static const struct {
        int error;
        enum wire_why why;
    } rows[] = {
        {ENETUNREACH,  WIRE_NO_NETWORK},
        {ENETDOWN,     WIRE_NO_NETWORK},
        {EHOSTUNREACH, WIRE_NO_HOST   },
        {EHOSTDOWN,    WIRE_NO_HOST   },
    };
    char *out = o->egress->answer;

    if (error == ETIMEDOUT)
        return; /* the sandbox's own patience says so */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].error == error) {
            outlet_send(o, out, wire_unreachable(syn, rows[i].why, out));
            return;
        }
    }
    outlet_send(o, out, wire_reset(syn, out));
}

static void flow_fail(struct flow *f, int error)
{
    struct wire syn;

    f->is_denied = error == EACCES;
    f->error = f->is_denied ? 0 : error;
    if (wire_read((struct str){f->syn, f->syn_len}, &syn))
        refuse(f->outlet, &syn, error);
    flow_free(f);
}

/* The SYN goes on, to our listener: the handshake is the sandbox's kernel with itself. */
static void offer(struct flow *f)
{
    struct outlet *o = f->outlet;
    char *out = o->egress->answer;
    struct wire syn;

    f->is_offered = true;
    timer_start(o->egress->loop, &f->deadline, OFFER_TIMEOUT_MS, on_deadline, f);
    if (wire_read((struct str){f->syn, f->syn_len}, &syn))
        outlet_send(o, out, wire_again(&syn, out));
}

static void on_dialled(void *ctx, int fd, int error, const struct place *place)
{
    struct flow *f = ctx;

    ignore(place == NULL);
    f->reach = NULL;
    f->upstream = fd;
    if (error != 0)
        flow_fail(f, error);
    else
        offer(f);
}

void tcp_set_alive(int fd)
{
    const int one = 1;

    ignore(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one))); /* else it stays longer */
    socket_no_delay(fd);
}

static void dial(struct flow *f)
{
    const struct reach_spec spec = {.to = f->pair.to};

    reach_start(f->outlet, &spec, on_dialled, f, &f->reach);
}

/* A SYN that was seen before: it was lost on its way, or its answer was. */
static bool is_known(struct outlet *o, const struct pair *pair)
{
    struct flow *f = map_get(&o->flows, pair_key(pair));

    if (f != NULL && f->is_offered)
        offer(f);
    return f != NULL;
}

/* E2BIG: of connections it has as many as it may. */
static void turn_away(struct outlet *o, const struct wire *syn, int error)
{
    bool is_denied = error == EACCES || error == E2BIG;

    audit_tell(o, &(struct audit_note){.protocol = "tcp",
                                       .to = &syn->to,
                                       .rule = error == E2BIG ? "connection limit" : NULL,
                                       .detail = is_denied ? NULL : strerror(error),
                                       .is_denied = is_denied});
    refuse(o, syn, error == E2BIG ? ECONNREFUSED : error);
}

void tcp_begin(struct outlet *o, const struct wire *syn)
{
    const struct pair pair = {syn->from, syn->to};
    bool is_question = syn->to.port == DNS_PORT;
    bool is_by_name = !is_question && outlet_goes_by_name(o, &syn->to);
    struct flow *f;
    int error;

    if (syn->packet.len > SYN_MAX || is_known(o, &pair))
        return;
    if (is_question)
        error = outlet_may_ask(o) ? 0 : EACCES;
    else if (is_by_name) /* places that cannot be reached are known before the name is */
        error = route_check(o->egress->route_fd, &syn->to);
    else
        error = outlet_check(o, &syn->to);
    if (error == 0 && o->connections >= o->policy.connections_max)
        error = E2BIG;
    if (error != 0) {
        turn_away(o, syn, error);
        return;
    }
    f = mem_zero(sizeof(*f) + syn->packet.len);
    f->outlet = o;
    f->pair = pair;
    f->began_ms = loop_now_ms(o->egress->loop);
    f->upstream = f->accepted = -1;
    f->is_by_name = is_by_name;
    f->syn_len = syn->packet.len;
    memcpy(f->syn, syn->packet.at, syn->packet.len);
    o->connections++;
    ignore(map_put(&o->flows, pair_key(&f->pair), f) != NULL); /* is_known() has looked */
    if (is_question || is_by_name)
        offer(f);
    else
        dial(f);
}

static void on_relay_end(void *ctx)
{
    struct flow *f = ctx;

    f->relay = NULL;
    flow_free(f);
}

static void on_questions_end(void *ctx)
{
    struct flow *f = ctx;

    f->questions = NULL;
    flow_free(f);
}

static void start_relay(struct flow *f, int fd)
{
    const struct relay_spec spec = {.a = fd,
                                    .b = take_fd(&f->upstream),
                                    .is_strict = true,
                                    .idle_ms = IDLE_MS,
                                    .pace_a = &f->outlet->up,
                                    .pace_b = &f->outlet->down,
                                    .bytes_a = &f->counts.up,
                                    .bytes_b = &f->counts.down,
                                    .on_end = on_relay_end,
                                    .ctx = f};

    if (relay_start(f->outlet->egress->loop, &spec, &f->relay, NULL) != 0)
        flow_free(f);
}

static void on_web_end(void *ctx)
{
    struct flow *f = ctx;

    f->web = NULL;
    flow_free(f);
}

static void start_web(struct flow *f, struct named_result *result)
{
    const struct web_spec spec = {.fd = take_fd(&result->fd),
                                  .is_tls = result->is_tls,
                                  .name = result->name,
                                  .to = f->pair.to,
                                  .counts = &f->counts};

    own_close_fd(&f->upstream); /* its rule goes where the name leads */
    f->upstream = -1;
    web_start(f->outlet, &spec, on_web_end, f, &f->web);
}

/* The name is allowed, and the far end answers: or not, and the sandbox is told as it is told that
 * a name is not allowed. */
static void on_reached(void *ctx, int fd, int error, const struct place *place)
{
    struct flow *f = ctx;
    int accepted = take_fd(&f->accepted);

    f->reach = NULL;
    if (error != 0) {
        log_debug("egress.denied", "id=%s name=\"%s\" rule=\"%s\"", f->outlet->id, f->name,
                  strerror(error));
        f->is_denied = error == EACCES;
        f->error = f->is_denied ? 0 : error;
        f->rule = f->is_denied ? "the name leads to where nothing may go" : NULL;
        reset(accepted);
        flow_free(f);
        return;
    }
    f->upstream = fd;
    f->dialled = *place;
    start_relay(f, accepted);
}

/* Are the requests of such a connection looked at one by one? Those of plain HTTP are wherever
 * names decide: each may name another host. */
static bool is_looked_at(const struct flow *f, const char *name, bool is_tls)
{
    return (f->is_by_name && !is_tls) || rules_find(&f->outlet->policy.rules, str_of(name)) != NULL;
}

/* A name that is not allowed, or that a rule has which cannot be followed yet. */
static void drop_named(struct flow *f, struct named_result *result)
{
    f->is_denied = true;
    reset(take_fd(&result->fd));
    flow_free(f);
}

static void on_named(void *ctx, struct named_result *result)
{
    struct flow *f = ctx;
    struct outlet *o = f->outlet;
    struct reach_spec spec = {.to = f->pair.to};

    f->named = NULL;
    if (result->fd < 0) {
        f->is_denied = true;
        f->rule = result->why;
        flow_free(f);
        return;
    }
    if (result->name == NULL) {
        start_relay(f, take_fd(&result->fd));
        return;
    }
    f->name = mem_text(result->name);
    f->is_tls = result->is_tls;
    if (f->is_by_name && !outlet_allows_name(o, &f->pair.to, str_of(f->name))) {
        drop_named(f, result);
    } else if (is_looked_at(f, f->name, f->is_tls)) {
        if (!f->is_tls || vault_server(o->vault) != NULL) {
            start_web(f, result);
            return;
        }
        f->rule = "its authority is not known yet"; /* without the rule it does not go */
        drop_named(f, result);
    } else if (f->is_by_name) {
        spec.name = f->name;
        f->accepted = take_fd(&result->fd);
        reach_start(o, &spec, on_reached, f, &f->reach);
    } else {
        start_relay(f, take_fd(&result->fd));
    }
}

static bool read_pair(int fd, struct pair *out)
{
    struct sockaddr_storage from, to;
    socklen_t from_size = sizeof(from), to_size = sizeof(to);

    if (getpeername(fd, (struct sockaddr *)&from, &from_size) != 0 ||
        getsockname(fd, (struct sockaddr *)&to, &to_size) != 0)
        return false;
    *out = (struct pair){place_of((const struct sockaddr *)&from),
                         place_of((const struct sockaddr *)&to)};
    return true;
}

void tcp_accepted(struct outlet *o, int fd)
{
    struct pair pair;
    struct flow *f = read_pair(fd, &pair) ? map_remove(&o->flows, pair_key(&pair)) : NULL;

    if (f == NULL) {
        reset(fd); /* nobody was dialled for it: it came to our port by its own name */
        return;
    }
    timer_stop(&f->deadline);
    list_push(&o->links, &f->node);
    tcp_set_alive(fd);
    if (f->upstream < 0 && !f->is_by_name)
        f->questions = dns_stream_new(o, fd, on_questions_end, f);
    else if (f->is_by_name || o->policy.rules.count > 0 || audit_is_on(o))
        named_start(o, fd, f->upstream, on_named, f, &f->named);
    else
        start_relay(f, fd);
}

static bool is_allowed(struct flow *f)
{
    if (f->pair.to.port == DNS_PORT)
        return outlet_may_ask(f->outlet);
    if (f->web != NULL)
        return web_is_allowed(f->web);
    if (f->name != NULL && is_looked_at(f, f->name, f->is_tls))
        return false; /* a rule came: it must not pass unseen any more */
    if (f->name != NULL && !f->is_by_name)
        return outlet_check(f->outlet, &f->pair.to) == 0;
    if (f->name != NULL && f->reach != NULL)
        return outlet_allows_name(f->outlet, &f->pair.to, str_of(f->name));
    if (f->name != NULL)
        return outlet_check_named(f->outlet, &f->dialled, str_of(f->name)) == 0;
    if (f->is_by_name && outlet_goes_by_name(f->outlet, &f->pair.to))
        return true;
    return outlet_check(f->outlet, &f->pair.to) == 0;
}

void tcp_recheck(struct outlet *o)
{
    struct list_node *next;
    size_t cursor = 0;
    struct flow *f;

    while ((f = map_next(&o->flows, &cursor)) != NULL) {
        if (is_allowed(f))
            continue;
        f->rule = "the policy has changed";
        flow_fail(f, EACCES);
    }
    for (struct list_node *i = list_first(&o->links); i != NULL; i = next) {
        next = list_next(&o->links, i);
        f = container_of(i, struct flow, node);
        f->is_denied = !is_allowed(f);
        if (!f->is_denied)
            continue;
        f->rule = "the policy has changed";
        flow_free(f);
    }
}

void tcp_end_all(struct outlet *o)
{
    struct list_node *i;
    size_t cursor = 0;
    struct flow *f;

    while ((f = map_next(&o->flows, &cursor)) != NULL)
        flow_free(f);
    while ((i = list_first(&o->links)) != NULL)
        flow_free(container_of(i, struct flow, node));
    map_done(&o->flows);
}
