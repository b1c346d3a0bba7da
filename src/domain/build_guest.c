/* SPDX-License-Identifier: Apache-2.0 */
/* See build_guest.h. Answers of node find their guest by its id: it may be gone. */
#include "domain/build_guest.h"

#include <assert.h>

#include "base/id.h"
#include "domain/build_internal.h"
#include "domain/guest_start.h"
#include "domain/nodes.h"

enum {
    STOP_TIMEOUT_MS = 60 * 1000,
    SNAPSHOT_TIMEOUT_MS = 10 * 60 * 1000,
    DIAL_TIMEOUT_MS = 10 * 1000,
};

struct build_guest {
    struct domain *domain;
    char id[SANDBOX_ID_LEN + 1];
    char access_token[TOKEN_HEX_LEN + 1], control_token[TOKEN_HEX_LEN + 1];
    build_guest_fn *fn; /* of the start or the snapshot that is under way; NULL: none is */
    struct dial {
        build_dial_fn *fn; /* NULL: nobody waits */
        void *ctx;
    } dials[BUILD_DIALS_MAX]; /* answered in the order they were asked */
    size_t dial_count;
    void (*on_exit)(void *ctx, const char *why);
    void *ctx;
};

static struct build_guest *find(const struct domain *d, struct str id)
{
    return map_get(&d->builds->guests, id);
}

static void on_done(void *ctx, struct str id, const struct node_result *result)
{
    struct build_guest *g = find(ctx, id);
    build_guest_fn *fn;

    if (g == NULL || g->fn == NULL)
        return;
    fn = g->fn;
    g->fn = NULL;
    fn(g->ctx, result->err);
}

/* The record that it has none of: what node and envd are told. */
static void fill(struct sandbox_record *r, const struct build_guest *g,
                 const struct build_guest_spec *spec)
{
    *r = (struct sandbox_record){
        .id = str_of(g->id),
        .template_id = spec->build_id,
        .rootfs = spec->rootfs,
        .layers = spec->layers,
        .snapshot = spec->snapshot,
        .access_token = str_of(g->access_token),
        .control_token = str_of(g->control_token),
        .is_secure = true,
        .cpu_count = spec->cpu_count,
        .memory_mb = spec->memory_mb,
        .disk_mb = spec->disk_mb,
        .user = STR("root"),
        .workdir = STR("/"),
    };
}

int build_guest_start(struct domain *d, const struct build_guest_spec *spec, build_guest_fn *fn,
                      struct build_guest **out, struct err *err)
{
    struct build_guest *g;
    struct sandbox_record r;
    struct guest_start start;
    int result;

    if (nodes_check_placing(d, err) != 0)
        return -1;
    g = mem_zero(sizeof(*g));
    g->domain = d;
    g->on_exit = spec->on_exit;
    g->ctx = spec->ctx;
    g->fn = fn;
    id_sandbox(g->id);
    id_token(g->access_token);
    id_token(g->control_token);
    fill(&r, g, spec);
    result = guest_start_init_build(&start, &r, err);
    start.m.is_cold = true; /* steps run in a machine that just booted */
    if (result == 0)
        result = node_client_start(d->node, &start.m, d->config.start_timeout_ms, on_done, err);
    guest_start_done(&start);
    if (result != 0) {
        free(g);
        return -1;
    }
    map_put(&d->builds->guests, str_of(g->id), g);
    *out = g;
    return 0;
}

int build_guest_snapshot(struct build_guest *g, struct str name, bool keeps_memory,
                         build_guest_fn *fn, struct err *err)
{
    struct node_keep m = {.id = str_of(g->id), .name = name, .keeps_memory = keeps_memory};

    assert(g->fn == NULL);
    if (node_client_snapshot(g->domain->node, &m, SNAPSHOT_TIMEOUT_MS, on_done, err) != 0)
        return -1;
    g->fn = fn;
    return 0;
}

/* Node answers in order, so an answer is for the one that waits longest. Who has left keeps its
 * place, without a function. */
static void on_dialed(void *ctx, struct str id, int fd, const struct err *err)
{
    struct build_guest *g = find(ctx, id);
    struct dial first = {0};

    if (g != NULL) {
        first = g->dials[0];
        memmove(g->dials, g->dials + 1, sizeof(g->dials) - sizeof(g->dials[0]));
        g->dials[BUILD_DIALS_MAX - 1] = (struct dial){0};
        g->dial_count--;
    }
    if (first.fn == NULL)
        own_close_fd(&fd);
    else
        first.fn(first.ctx, fd, err);
}

int build_guest_dial(struct build_guest *g, uint16_t port, build_dial_fn *fn, void *ctx,
                     struct err *err)
{
    if (g->dial_count >= BUILD_DIALS_MAX)
        return err_set(err, ERR_LIMIT, "too many connections to a build's sandbox at once");
    if (node_client_dial(g->domain->node, &(struct node_dial){.id = str_of(g->id), .port = port},
                         DIAL_TIMEOUT_MS, on_dialed, g->domain, err) != 0)
        return -1;
    g->dials[g->dial_count++] = (struct dial){fn, ctx};
    return 0;
}

void build_guest_forget_dial(struct build_guest *g, const void *ctx)
{
    for (size_t i = 0; i < g->dial_count; i++)
        if (g->dials[i].ctx == ctx)
            g->dials[i].fn = NULL;
}

struct str build_guest_token(const struct build_guest *g)
{
    return str_of(g->access_token);
}

struct str build_guest_id(const struct build_guest *g)
{
    return str_of(g->id);
}

static void on_stopped(void *ctx, struct str id, const struct node_result *result)
{
    /* When it failed, the next comparison with node's list finds it. */
    ignore(ctx == NULL && id.len == 0 && result == NULL);
}

void build_guest_stop(struct build_guest *g)
{
    struct domain *d;

    if (g == NULL)
        return;
    d = g->domain;
    map_remove(&d->builds->guests, str_of(g->id));
    ignore(node_client_stop(d->node, str_of(g->id), STOP_TIMEOUT_MS, on_stopped, NULL));
    explicit_bzero(g->access_token, sizeof(g->access_token));
    explicit_bzero(g->control_token, sizeof(g->control_token));
    free(g);
}

bool build_can_checkpoint(const struct domain *d, struct str *out_why)
{
    const struct node_report *r = nodes_last_report(d);

    *out_why = r == NULL ? STR("the node has not reported yet") : r->lasting_note;
    return r != NULL && r->can_checkpoint;
}

void build_snapshot_remove(struct domain *d, struct str name)
{
    /* What could not be removed now is found by the next comparison. */
    ignore(node_client_snapshot_remove(d->node, name, STOP_TIMEOUT_MS, on_stopped, NULL));
}

bool build_owns_guest(const struct domain *d, struct str guest_id)
{
    return find(d, guest_id) != NULL;
}

void build_guest_exited(const struct domain *d, struct str guest_id, const char *why)
{
    const struct build_guest *g = find(d, guest_id);

    if (g != NULL)
        g->on_exit(g->ctx, why);
}
