/* SPDX-License-Identifier: Apache-2.0 */
/* Idle upstream connections; see pool.h. */
#include "edge/pool.h"

#include <assert.h>

struct pool_site {
    struct list conns; /* oldest first */
    size_t count;
    size_t id_len;
    char id[];
};

struct pool_conn {
    struct list_node in_site, in_age;
    struct pool *pool;
    struct pool_site *site;
    struct http_conn *conn;
    uint64_t since_ms;
    uint16_t port;
};

static struct http_conn *unlink_conn(struct pool_conn *c)
{
    struct pool *p = c->pool;
    struct pool_site *site = c->site;
    struct http_conn *conn = c->conn;

    list_remove(&c->in_site);
    list_remove(&c->in_age);
    p->count--;
    if (--site->count == 0) {
        map_remove(&p->sites, (struct str){site->id, site->id_len});
        free(site);
    }
    free(c);
    return conn;
}

static void drop(struct pool_conn *c)
{
    http_conn_free(unlink_conn(c));
}

static void on_idle_close(void *ctx)
{
    drop(ctx);
}

static struct pool_conn *oldest(const struct pool *p)
{
    struct list_node *n = list_first(&p->by_age);

    return n == NULL ? NULL : container_of(n, struct pool_conn, in_age);
}

static void on_sweep(void *ctx)
{
    struct pool *p = ctx;
    uint64_t now = loop_now_ms(p->loop);
    struct pool_conn *c;

    while ((c = oldest(p)) != NULL && c->since_ms + POOL_IDLE_MS <= now)
        drop(c);
    if (c != NULL)
        timer_start(p->loop, &p->sweep, c->since_ms + POOL_IDLE_MS - now, on_sweep, p);
}

void pool_init(struct pool *p, struct loop *l)
{
    *p = (struct pool){.loop = l};
}

void pool_done(struct pool *p)
{
    struct pool_conn *c;

    timer_stop(&p->sweep);
    while ((c = oldest(p)) != NULL)
        drop(c);
    map_done(&p->sites);
}

static struct pool_conn *newest(struct pool *p, struct str id, uint16_t port)
{
    struct pool_site *site = map_get(&p->sites, id);
    struct pool_conn *found = NULL;

    if (site == NULL)
        return NULL;
    for (struct list_node *n = list_first(&site->conns); n != NULL;
         n = list_next(&site->conns, n)) {
        struct pool_conn *c = container_of(n, struct pool_conn, in_site);

        if (c->port == port)
            found = c;
    }
    return found;
}

struct http_conn *pool_take(struct pool *p, struct str id, uint16_t port)
{
    struct pool_conn *c;

    while ((c = newest(p, id, port)) != NULL) {
        struct http_conn *conn = unlink_conn(c);

        http_conn_on_idle_close(conn, NULL, NULL);
        if (http_conn_is_usable(conn))
            return conn;
        http_conn_free(conn); /* its peer ended it in this very turn, or talks unasked */
    }
    return NULL;
}

static struct pool_site *site_of(struct pool *p, struct str id)
{
    struct pool_site *site = map_get(&p->sites, id);

    if (site != NULL)
        return site;
    site = mem_zero(sizeof *site + id.len);
    site->id_len = id.len;
    if (id.len > 0)
        memcpy(site->id, id.at, id.len);
    map_put(&p->sites, (struct str){site->id, site->id_len}, site);
    return site;
}

void pool_give(struct pool *p, struct str id, uint16_t port, struct http_conn *conn)
{
    struct pool_site *site;
    struct pool_conn *c;

    if (!http_conn_is_idle(conn)) {
        http_conn_free(conn);
        return;
    }
    if (p->count >= POOL_MAX) {
        c = oldest(p);
        assert(c != NULL);
        drop(c);
    }
    site = site_of(p, id);
    if (site->count >= POOL_SITE_MAX) {
        http_conn_free(conn);
        return;
    }
    c = mem_zero(sizeof *c);
    *c = (struct pool_conn){
        .pool = p, .site = site, .conn = conn, .since_ms = loop_now_ms(p->loop), .port = port};
    list_push(&site->conns, &c->in_site);
    list_push(&p->by_age, &c->in_age);
    site->count++;
    p->count++;
    http_conn_on_idle_close(conn, on_idle_close, c);
    if (!timer_running(&p->sweep))
        timer_start(p->loop, &p->sweep, POOL_IDLE_MS, on_sweep, p);
}

void pool_drop(struct pool *p, struct str id)
{
    struct pool_site *site;

    while ((site = map_get(&p->sites, id)) != NULL)
        drop(container_of(list_first(&site->conns), struct pool_conn, in_site));
}
