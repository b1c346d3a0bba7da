/* SPDX-License-Identifier: Apache-2.0 */
/* Commands to node and their answers. Used by create, kill and recovery. */
#include "domain/node_client.h"

#include <assert.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "io/socket.h"

enum {
    COMMAND_MEM_MAX = 384 << 10,
};

struct command {
    struct list_node node; /* in node_client.commands, oldest first */
    struct node_client *client;
    uint64_t seq; /* key in by_seq */
    enum node_message type;
    bool is_sent;    /* on the present connection */
    bool is_settled; /* the list says it has happened */
    struct str id;
    union { /* by type; texts in mem. Others are an id alone */
        struct node_start start;
        struct node_policy policy;
        struct node_keep keep;
        struct node_stop stop;
        struct node_dial dial;
    } m;
    struct arena mem;
    struct timer deadline;
    node_done_fn *fn;
    node_dial_fn *dial; /* of a dial, instead of fn; with the next two */
    void *dial_ctx;
    int fd; /* what it got; -1 */
};

struct node_client {
    struct loop *loop;
    const char *path;
    const struct node_client_hooks *hooks;
    void *ctx;
    struct channel *channel; /* NULL: not connected */
    bool is_ready;           /* connected and listed */
    uint64_t next_seq, list_seq;
    struct map ids, snapshots; /* struct node_id, while the list arrives */
    struct map by_seq;
    struct list commands;
    size_t command_count;
    struct timer retry, list_deadline, compare;
    uint64_t retry_ms, compare_ms;
};

static void connect_now(void *ctx);

static struct str seq_key(const uint64_t *seq)
{
    return (struct str){(const char *)seq, sizeof(*seq)};
}

static void ids_clear(struct map *ids)
{
    size_t cursor = 0;
    struct node_id *id;

    while ((id = map_next(ids, &cursor)) != NULL) {
        map_remove(ids, (struct str){id->text, id->len});
        free(id);
    }
}

static void listing_clear(struct node_client *c)
{
    ids_clear(&c->ids);
    ids_clear(&c->snapshots);
}

static void command_free(struct command *m)
{
    struct node_client *c = m->client;

    timer_stop(&m->deadline);
    list_remove(&m->node);
    map_remove(&c->by_seq, seq_key(&m->seq));
    c->command_count--;
    own_close_fd(&m->fd);
    if (m->type == NODE_SECRETS)
        explicit_bzero((char *)(uintptr_t)m->m.policy.policy.at, m->m.policy.policy.len); /* ours */
    arena_done(&m->mem);
    free(m);
}

static void command_end(struct command *m, const struct node_result *result)
{
    node_done_fn *fn = m->fn;
    node_dial_fn *dial = m->dial;
    void *ctx = m->client->ctx, *dial_ctx = m->dial_ctx;
    char text[sizeof(((struct node_id *)0)->text)];
    struct str id = {text, m->id.len};
    int fd = take_fd(&m->fd);

    memcpy(text, m->id.at, m->id.len);
    command_free(m);
    if (dial != NULL)
        dial(dial_ctx, id, fd, result->err);
    else
        fn(ctx, id, result);
}

static void on_deadline(void *ctx)
{
    struct command *m = ctx;
    struct err err = {0};

    if (m->client->is_ready)
        err_set(&err, ERR_TIMEOUT, "node did not answer in time");
    else
        err_set(&err, ERR_UNAVAILABLE, "node is not connected");
    command_end(m, &(struct node_result){.err = &err});
}

/* Give up the connection and come back later. Commands stay. */
static void lose(struct node_client *c, const struct err *why)
{
    bool was_ready = c->is_ready;

    channel_free(c->channel);
    c->channel = NULL;
    c->is_ready = false;
    timer_stop(&c->list_deadline);
    timer_stop(&c->compare);
    listing_clear(c);
    timer_start(c->loop, &c->retry, c->retry_ms, connect_now, c);
    c->retry_ms = c->retry_ms * 2 > NODE_RETRY_MAX_MS ? NODE_RETRY_MAX_MS : c->retry_ms * 2;
    if (was_ready)
        c->hooks->on_lost(c->ctx, why);
}

static void on_gone(void *ctx, const struct err *why)
{
    lose(ctx, why);
}

static void on_list_deadline(void *ctx)
{
    struct err err = {0};

    err_set(&err, ERR_TIMEOUT, "node did not list its sandboxes in time");
    lose(ctx, &err);
}

/* A failure to send is not the command's: the channel reports its end, the deadline is running. */
static void command_send(struct command *m)
{
    struct err err = {0};

    m->is_sent = channel_send(m->client->channel, m->type, &m->m, -1, &err) == 0;
}

/* Does the list say that it has happened? Stops do not: what is not there was stopped, and is
 * answered so when it is asked again. */
static bool has_happened(const struct node_client *c, const struct command *m)
{
    const struct node_id *id = map_get(&c->ids, m->id);

    if (m->type == NODE_START)
        return id != NULL;
    if (m->type == NODE_PAUSE)
        return id != NULL && id->is_paused;
    if (m->type == NODE_RESUME)
        return id != NULL && !id->is_paused;
    return m->type == NODE_SNAPSHOT && map_get(&c->snapshots, m->m.keep.name) != NULL;
}

/* After a reconnect: what has happened is done, everything else goes out again. Marking comes
 * first, because the callbacks give new commands. */
static void settle(struct node_client *c)
{
    struct list_node *at;

    for (at = list_first(&c->commands); at != NULL; at = list_next(&c->commands, at)) {
        struct command *m = container_of(at, struct command, node);

        m->is_settled = m->is_sent && has_happened(c, m);
        m->is_sent = m->is_settled;
    }
    at = list_first(&c->commands);
    while (at != NULL) {
        struct command *m = container_of(at, struct command, node);

        at = list_next(&c->commands, at);
        if (!m->is_settled)
            continue;
        command_end(m, &(struct node_result){0});
        at = list_first(&c->commands); /* the callback may have changed the list */
    }
    for (at = list_first(&c->commands); at != NULL; at = list_next(&c->commands, at))
        if (!container_of(at, struct command, node)->is_sent)
            command_send(container_of(at, struct command, node));
}

/* The connection is there: ask for all of node's sandboxes. */
static int ask_list(struct node_client *c, struct err *err)
{
    struct node_list list = {++c->next_seq};

    c->list_seq = list.seq;
    timer_start(c->loop, &c->list_deadline, NODE_LIST_MS, on_list_deadline, c);
    return channel_send(c->channel, NODE_LIST, &list, -1, err);
}

static void on_compare(void *ctx)
{
    struct node_client *c = ctx;

    ignore(ask_list(c, NULL)); /* if it failed, the channel reports its end or the deadline does */
}

static void on_listed(struct node_client *c)
{
    const struct node_listing listing = {&c->ids, &c->snapshots, !c->is_ready};

    timer_stop(&c->list_deadline);
    c->list_seq = 0;
    c->is_ready = true;
    c->retry_ms = NODE_RETRY_MIN_MS;
    if (listing.is_first)
        settle(c);
    c->hooks->on_list(c->ctx, &listing);
    listing_clear(c);
    timer_start(c->loop, &c->compare, c->compare_ms, on_compare, c);
}

static void on_item(struct node_client *c, const struct node_item *item)
{
    struct map *ids = item->kind == NODE_ITEM_SNAPSHOT ? &c->snapshots : &c->ids;
    struct node_id *id;

    if (item->seq != c->list_seq || item->id.len == 0 || item->id.len >= sizeof(id->text))
        return;
    if (map_get(ids, item->id) != NULL)
        return;
    id = mem_zero(sizeof(*id));
    memcpy(id->text, item->id.at, item->id.len);
    id->len = item->id.len;
    id->is_paused = item->kind == NODE_ITEM_PAUSED;
    id->is_pausing = item->kind == NODE_ITEM_PAUSING;
    map_put(ids, (struct str){id->text, id->len}, id);
}

/* What node says of its failure; a kind that only a newer one knows is ERR_SYSTEM. */
static void read_failure(const struct node_done *done, struct err *out)
{
    err_set(out, done->kind <= ERR_SYSTEM ? (enum err_kind)done->kind : ERR_SYSTEM, "%.*s",
            STR_ARG(done->text));
}

static void on_done(struct node_client *c, const struct node_done *done)
{
    struct command *m = map_get(&c->by_seq, seq_key(&done->seq));
    struct node_result result = {.took_us = done->took_us, .is_frozen = done->is_frozen};
    struct err err = {0};

    if (done->seq == c->list_seq && c->list_seq != 0) {
        if (done->kind != ERR_NONE) {
            err_set(&err, (enum err_kind)done->kind, "list: %.*s", STR_ARG(done->text));
            lose(c, &err);
        } else {
            on_listed(c);
        }
        return;
    }
    if (m == NULL)
        return; /* its deadline has passed */
    if (done->kind != ERR_NONE) {
        read_failure(done, &err);
        result.err = &err;
    }
    command_end(m, &result);
}

static void on_dialed(struct node_client *c, const struct node_done *done, int fd)
{
    struct command *m = map_get(&c->by_seq, seq_key(&done->seq));
    struct err err = {0};

    if (m == NULL || m->dial == NULL) {
        own_close_fd(&fd); /* its deadline has passed */
        return;
    }
    m->fd = fd;
    if (done->kind == ERR_NONE && fd < 0)
        err_set(&err, ERR_SYSTEM, "node sent no socket");
    else if (done->kind != ERR_NONE)
        read_failure(done, &err);
    command_end(m, &(struct node_result){.err = err.kind == ERR_NONE ? NULL : &err});
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct node_client *c = ctx;
    const struct node_exited *exited = message;

    if (type == NODE_DIALED) {
        on_dialed(c, message, fd);
        return;
    }
    own_close_fd(&fd); /* none is expected with others */
    switch ((enum node_message)type) {
    case NODE_ITEM: on_item(c, message); break;
    case NODE_DONE: on_done(c, message); break;
    case NODE_EXITED:
        free(map_remove(&c->ids, exited->id)); /* a list that is arriving may still name it */
        if (c->is_ready)
            c->hooks->on_exited(c->ctx, exited->id, exited->reason);
        break;
    case NODE_USAGE:
        if (c->is_ready)
            c->hooks->on_usage(c->ctx, message);
        break;
    case NODE_REPORT: c->hooks->on_report(c->ctx, message); break;
    case NODE_CONNECTION: c->hooks->on_connection(c->ctx, message); break;
    case NODE_START:
    case NODE_STOP:
    case NODE_LIST:
    case NODE_UNUSED:
    case NODE_DIAL:
    case NODE_DIALED:
    case NODE_RESUME:
    case NODE_POLICY:
    case NODE_PAUSE:
    case NODE_SNAPSHOT:
    case NODE_SNAPSHOT_REMOVE:
    case NODE_IMAGE:
    case NODE_SECRETS:
    case NODE_MESSAGE_COUNT: break; /* not for us */
    }
}

static void connect_now(void *ctx)
{
    struct node_client *c = ctx;
    struct err err = {0};
    auto_fd int fd = -1;

    if (socket_connect_unix(c->path, SOCK_SEQPACKET, &fd, &err) != 0 ||
        channel_new(c->loop, take_fd(&fd), &node_protocol, on_message, on_gone, c, &c->channel,
                    &err) != 0 ||
        ask_list(c, &err) != 0)
        lose(c, &err);
}

struct node_client *node_client_new(struct loop *l, const char *path, uint64_t compare_ms,
                                    const struct node_client_hooks *hooks, void *ctx)
{
    struct node_client *c = mem_zero(sizeof(*c));

    c->loop = l;
    c->path = path;
    c->hooks = hooks;
    c->ctx = ctx;
    c->compare_ms = compare_ms;
    c->retry_ms = NODE_RETRY_MIN_MS;
    timer_start(l, &c->retry, 0, connect_now, c);
    return c;
}

void node_client_free(struct node_client *c)
{
    struct list_node *at;

    if (c == NULL)
        return;
    while ((at = list_first(&c->commands)) != NULL)
        command_free(container_of(at, struct command, node));
    channel_free(c->channel);
    timer_stop(&c->retry);
    timer_stop(&c->compare);
    timer_stop(&c->list_deadline);
    listing_clear(c);
    map_done(&c->ids);
    map_done(&c->snapshots);
    map_done(&c->by_seq);
    free(c);
}

bool node_client_is_ready(const struct node_client *c)
{
    return c->is_ready;
}

/* NULL: too many. */
static struct command *command_new(struct node_client *c, struct str id, node_done_fn *fn,
                                   struct err *err)
{
    struct command *m;

    if (c->command_count >= NODE_COMMANDS_MAX) {
        err_set(err, ERR_UNAVAILABLE, "too many commands wait for node");
        return NULL;
    }
    m = mem_zero(sizeof(*m));
    arena_init(&m->mem, COMMAND_MEM_MAX);
    m->client = c;
    m->seq = ++c->next_seq;
    m->fn = fn;
    m->fd = -1;
    m->id = arena_str(&m->mem, id);
    assert(m->id.at != NULL && id.len < sizeof(((struct node_id *)0)->text));
    list_push(&c->commands, &m->node);
    map_put(&c->by_seq, seq_key(&m->seq), m);
    c->command_count++;
    return m;
}

/* It is complete: send it, now or when node is there. */
static void command_begin(struct command *m, enum node_message type, uint64_t timeout_ms)
{
    struct node_client *c = m->client;

    m->type = type;
    timer_start(c->loop, &m->deadline, timeout_ms, on_deadline, m);
    if (c->is_ready)
        command_send(m);
}

static bool copy_start(struct arena *mem, const struct node_start *start, struct node_start *out)
{
    struct str *layers = arena_alloc(mem, start->layers.count * sizeof(*layers));

    out->rootfs = arena_str(mem, start->rootfs);
    out->hostname = arena_str(mem, start->hostname);
    out->init = arena_str(mem, start->init);
    out->policy = arena_str(mem, start->policy);
    out->snapshot = arena_str(mem, start->snapshot);
    for (size_t i = 0; layers != NULL && i < start->layers.count; i++) {
        layers[i] = arena_str(mem, ((const struct str *)start->layers.items)[i]);
        if (layers[i].at == NULL)
            return false;
    }
    out->layers.items = layers;
    return layers != NULL && out->rootfs.at != NULL && out->hostname.at != NULL &&
           out->init.at != NULL && out->policy.at != NULL && out->snapshot.at != NULL;
}

static int give_start(struct node_client *c, enum node_message type, const struct node_start *start,
                      uint64_t timeout_ms, node_done_fn *fn, struct err *err)
{
    struct command *m = command_new(c, start->id, fn, err);

    if (m == NULL)
        return -1;
    m->m.start = *start;
    m->m.start.seq = m->seq;
    m->m.start.id = m->id;
    if (!copy_start(&m->mem, start, &m->m.start)) {
        command_free(m);
        return err_set(err, ERR_LIMIT, "start command too large");
    }
    command_begin(m, type, timeout_ms);
    return 0;
}

int node_client_start(struct node_client *c, const struct node_start *start, uint64_t timeout_ms,
                      node_done_fn *fn, struct err *err)
{
    return give_start(c, NODE_START, start, timeout_ms, fn, err);
}

int node_client_resume(struct node_client *c, const struct node_start *start, uint64_t timeout_ms,
                       node_done_fn *fn, struct err *err)
{
    return give_start(c, NODE_RESUME, start, timeout_ms, fn, err);
}

static int give_keep(struct node_client *c, enum node_message type, const struct node_keep *keep,
                     uint64_t timeout_ms, node_done_fn *fn, struct err *err)
{
    struct command *m = command_new(c, keep->id, fn, err);

    if (m == NULL)
        return -1;
    m->m.keep =
        (struct node_keep){m->seq, m->id, arena_str(&m->mem, keep->name), keep->keeps_memory};
    assert(m->m.keep.name.at != NULL); /* both are short */
    command_begin(m, type, timeout_ms);
    return 0;
}

int node_client_pause(struct node_client *c, const struct node_keep *keep, uint64_t timeout_ms,
                      node_done_fn *fn, struct err *err)
{
    return give_keep(c, NODE_PAUSE, keep, timeout_ms, fn, err);
}

int node_client_snapshot(struct node_client *c, const struct node_keep *keep, uint64_t timeout_ms,
                         node_done_fn *fn, struct err *err)
{
    return give_keep(c, NODE_SNAPSHOT, keep, timeout_ms, fn, err);
}

/* Of those commands that are an id alone. */
static int give(struct node_client *c, enum node_message type, struct str id, uint64_t timeout_ms,
                node_done_fn *fn, struct err *err)
{
    struct command *m = command_new(c, id, fn, err);

    if (m == NULL)
        return -1;
    m->m.stop = (struct node_stop){m->seq, m->id};
    command_begin(m, type, timeout_ms);
    return 0;
}

int node_client_stop(struct node_client *c, struct str id, uint64_t timeout_ms, node_done_fn *fn,
                     struct err *err)
{
    return give(c, NODE_STOP, id, timeout_ms, fn, err);
}

int node_client_snapshot_remove(struct node_client *c, struct str name, uint64_t timeout_ms,
                                node_done_fn *fn, struct err *err)
{
    return give(c, NODE_SNAPSHOT_REMOVE, name, timeout_ms, fn, err);
}

int node_client_image(struct node_client *c, int fd, struct err *err)
{
    struct node_image m = {++c->next_seq};

    if (!c->is_ready)
        return err_set(err, ERR_UNAVAILABLE, "node is not connected");
    return channel_send(c->channel, NODE_IMAGE, &m, fd, err);
}

/* Of those commands that are an id and bytes. */
static int give_bytes(struct node_client *c, enum node_message type,
                      const struct node_policy *policy, uint64_t timeout_ms, node_done_fn *fn,
                      struct err *err)
{
    struct command *m = command_new(c, policy->id, fn, err);

    if (m == NULL)
        return -1;
    m->m.policy = (struct node_policy){m->seq, m->id, arena_str(&m->mem, policy->policy)};
    if (m->m.policy.policy.at == NULL) {
        command_free(m);
        return err_set(err, ERR_LIMIT, "policy too large");
    }
    command_begin(m, type, timeout_ms);
    return 0;
}

int node_client_policy(struct node_client *c, const struct node_policy *policy, uint64_t timeout_ms,
                       node_done_fn *fn, struct err *err)
{
    return give_bytes(c, NODE_POLICY, policy, timeout_ms, fn, err);
}

int node_client_secrets(struct node_client *c, const struct node_policy *secrets,
                        uint64_t timeout_ms, node_done_fn *fn, struct err *err)
{
    return give_bytes(c, NODE_SECRETS, secrets, timeout_ms, fn, err);
}

int node_client_dial(struct node_client *c, const struct node_dial *to, uint64_t timeout_ms,
                     node_dial_fn *fn, void *ctx, struct err *err)
{
    struct command *m = command_new(c, to->id, NULL, err);

    if (m == NULL)
        return -1;
    m->dial = fn;
    m->dial_ctx = ctx;
    m->m.dial = (struct node_dial){m->seq, m->id, to->port};
    command_begin(m, NODE_DIAL, timeout_ms);
    return 0;
}
