/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_help.h. */
#include "domain_help.h"

#include <stdio.h>

#include "domain/deadline.h"
#include "domain/quota.h"
#include "domain/sandbox_index.h"
#include "store/driver.h"
#include "test.h"

static void on_event(void *ctx, const struct event *e)
{
    struct domain_help *h = ctx;

    h->events[e->kind]++;
}

static void on_route(void *ctx, const struct sandbox *s)
{
    struct domain_help *h = ctx;

    h->routes_pushed += s != NULL;
}

static size_t reads;

static int counted_get(void *db, enum store_kind kind, struct str key, struct buf *out,
                       struct err *err)
{
    reads++;
    return store_memory.get(db, kind, key, out, err);
}

static int counted_each(void *db, enum store_kind kind, store_row_fn *fn, void *ctx,
                        struct err *err)
{
    reads++;
    return store_memory.each(db, kind, fn, ctx, err);
}

size_t domain_help_reads(void)
{
    return reads;
}

static const struct domain_hooks hooks = {on_event, on_route};

void domain_help_open(struct domain_help *h)
{
    domain_help_open_at(h, "/nonexistent/node.sock");
}

void domain_help_open_at(struct domain_help *h, const char *node_socket)
{
    static struct store_engine engine;
    struct domain_config config = {.node_socket = node_socket};
    struct err err = {0};

    *h = (struct domain_help){0};
    snprintf(h->dir, sizeof(h->dir), "/tmp/domain-test-XXXXXX");
    CHECK(mkdtemp(h->dir) != NULL);
    config.templates_dir = h->dir;
    CHECK(loop_new(&h->loop, &err) == 0);
    engine = store_memory;
    engine.get = counted_get;
    engine.each = counted_each;
    CHECK(store_open_engine(h->loop, &engine, NULL, &h->store, &err) == 0);
    CHECK(domain_new(h->loop, h->store, &config, &hooks, h, &h->domain, &err) == 0);
    h->team = team_default(h->domain);
    CHECK(h->team != NULL);
}

void domain_help_close(struct domain_help *h)
{
    store_close(h->store);
    domain_free(h->domain);
    loop_free(h->loop);
    CHECK(rmdir(h->dir) == 0);
}

struct sandbox *domain_help_sandbox(struct domain_help *h, unsigned number, int64_t started_ms,
                                    int64_t end_ms)
{
    char id[32];
    struct sandbox_record r = {.team_id = h->team->r.id,
                               .state = SANDBOX_RUNNING,
                               .created_at_ms = started_ms,
                               .started_at_ms = started_ms,
                               .end_at_ms = end_ms};
    struct sandbox *s = NULL;
    struct buf bytes;
    struct err err = {0};

    snprintf(id, sizeof(id), "s%06u", number);
    r.id = str_of(id);
    buf_init(&bytes, 1 << 16);
    proto_encode(&sandbox_record_message, &r, &bytes);
    CHECK(sandbox_new(h->domain, buf_str(&bytes), &s, &err) == 0);
    buf_done(&bytes);
    s->team = h->team;
    quota_force(s);
    deadline_set(s);
    sandbox_index_set(s);
    return s;
}

static void on_end(void *ctx)
{
    loop_stop(ctx);
}

void domain_help_run(struct domain_help *h, unsigned ms)
{
    struct timer timer = {0};
    struct err err = {0};

    timer_start(h->loop, &timer, ms, on_end, h->loop);
    CHECK(loop_run(h->loop, &err) == 0);
    timer_stop(&timer);
}
