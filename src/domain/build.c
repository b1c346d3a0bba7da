/* SPDX-License-Identifier: Apache-2.0 */
/* Builds: states, logs, retention. See build.h. Called by api/, template_change.c and src/build. */
#include "domain/build.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/build_internal.h"
#include "domain/quota.h"

enum {
    BUILD_RECORD_MEM_MAX = 2 << 20,
    LOG_RECORD_MAX = 512 << 10,
    REASON_MAX = 4 << 10,
};

static const char superseded[] = "The build was canceled because it was superseded by a newer one.";

struct build *build_find(const struct domain *d, struct str id)
{
    return map_get(&d->builds->by_id, id);
}

bool build_has_ended(const struct build *b)
{
    return b->r.state >= BUILD_READY;
}

enum build_state build_shown(const struct build *b)
{
    return b->is_settling ? BUILD_BUILDING : (enum build_state)b->r.state;
}

struct build *build_require(const struct domain *d, const struct team *team,
                            struct str template_ref, struct str build_id, struct err *err)
{
    const struct team_template *t = team_template_require(d, team, template_ref, err);
    struct build *b = build_find(d, build_id);

    if (t == NULL)
        return NULL;
    if (b != NULL && b->template == t)
        return b;
    err_set(err, ERR_NOT_FOUND, "Build '%.*s' not found: request one with POST /v3/templates first",
            STR_ARG(str_upto(build_id, UUID_LEN)));
    return NULL;
}

/* Logs */

static void forget_log(struct builds *all, struct build *b)
{
    if (list_linked(&b->logged))
        all->log_count--;
    list_remove(&b->logged);
    build_log_free(b->log);
    b->log = NULL;
}

/* Of one that has ended: it may go when others are asked for. */
static void lend_log(struct builds *all, struct build *b)
{
    if (!list_linked(&b->logged))
        all->log_count++;
    list_remove(&b->logged);
    list_push(&all->logs, &b->logged);
    while (all->log_count > BUILD_LOGS_KEPT)
        forget_log(all, container_of(list_first(&all->logs), struct build, logged));
}

static void save_log(struct domain *d, const struct build *b)
{
    struct buf bytes;

    if (b->log == NULL)
        return;
    buf_init(&bytes, STORE_VALUE_MAX);
    build_log_encode(b->log, &bytes, LOG_RECORD_MAX);
    if (buf_ok(&bytes)) /* a log that is lost is not worth failing a build */
        ignore(store_put(d->store, STORE_BUILD_LOG, b->r.id, buf_str(&bytes), NULL));
    buf_done(&bytes);
}

static struct build_log *load_log(struct domain *d, const struct build *b)
{
    struct build_log *log = NULL;
    struct buf bytes;

    buf_init(&bytes, STORE_VALUE_MAX);
    if (store_get(d->store, STORE_BUILD_LOG, b->r.id, &bytes, NULL) != 0 ||
        build_log_decode(buf_str(&bytes), &log, NULL) != 0)
        log = build_log_new();
    buf_done(&bytes);
    return log;
}

const struct build_log *build_lines(struct domain *d, struct build *b)
{
    if (b->log == NULL)
        b->log = build_has_ended(b) ? load_log(d, b) : build_log_new();
    if (build_has_ended(b))
        lend_log(d->builds, b);
    return b->log;
}

void build_say(struct domain *d, struct str id, enum build_level level, struct str step,
               struct str text)
{
    struct build *b = build_find(d, id);

    if (b == NULL || build_has_ended(b))
        return;
    if (b->log == NULL)
        b->log = build_log_new();
    build_log_add(b->log, level, step, text);
}

/* Records in memory */

static void place(struct builds *all, struct build *b)
{
    bool is_in = list_linked(&b->ended);

    if (build_has_ended(b) == is_in)
        return;
    if (is_in)
        list_remove(&b->ended);
    else
        list_push(&all->ended, &b->ended);
    all->ended_count = is_in ? all->ended_count - 1 : all->ended_count + 1;
}

static void on_deadline(void *ctx)
{
    struct build *b = ctx;

    build_fail(b->domain, b->r.id, (struct str){0},
               b->r.state == BUILD_WAITING
                   ? "build is in waiting state for too long"
                   : "build status polling timed out. Maximum build time is 1h0m0s.");
}

void build_give_time(struct build *b, uint64_t ms)
{
    timer_start(b->domain->loop, &b->deadline, ms, on_deadline, b);
}

static void arm(struct build *b)
{
    if (build_has_ended(b))
        timer_stop(&b->deadline);
    else if (!timer_running(&b->deadline))
        build_give_time(b, BUILD_WAIT_MS);
}

int build_put(struct domain *d, struct str record, struct err *err)
{
    struct builds *all = d->builds;
    struct build_record r = {0};
    struct team_template *t;
    struct arena mem;
    struct build *b;

    arena_init(&mem, BUILD_RECORD_MEM_MAX);
    if (proto_decode(&build_message, record, &mem, &r, err) != 0) {
        arena_done(&mem);
        return -1;
    }
    t = team_template_find(d, r.template_id);
    if (r.id.len != UUID_LEN || t == NULL || r.state < 0 || r.state >= BUILD_STATE_COUNT) {
        arena_done(&mem);
        return err_set(err, ERR_INVALID, "not a build of a template");
    }
    b = build_find(d, r.id);
    if (b != NULL) {
        map_remove(&all->by_id, b->r.id);
        arena_done(&b->mem);
    } else {
        b = mem_zero(sizeof(*b));
        b->domain = d;
        b->template = t;
        list_push(&t->builds, &b->node);
        t->build_count++;
    }
    b->r = r;
    b->mem = mem;
    map_put(&all->by_id, b->r.id, b);
    place(all, b);
    arm(b);
    return 0;
}

void build_drop(struct domain *d, struct str id)
{
    struct builds *all = d->builds;
    struct build *b = build_find(d, id);

    if (b == NULL)
        return;
    build_stop(d, b);
    build_forget_push(d, b);
    timer_stop(&b->deadline);
    forget_log(all, b);
    if (list_linked(&b->ended))
        all->ended_count--;
    list_remove(&b->ended);
    list_remove(&b->node);
    b->template->build_count--;
    map_remove(&all->by_id, b->r.id);
    arena_done(&b->mem);
    free(b);
}

bool build_is_tagged(const struct build *b)
{
    const struct template_tag *tags = b->template->r.tags.items;

    for (size_t i = 0; i < b->template->r.tags.count; i++)
        if (str_eq(tags[i].build_id, b->r.id))
            return true;
    return false;
}

void build_evict(struct domain *d)
{
    const struct domain_config *config = &d->config;
    struct builds *all = d->builds;
    int64_t before = clock_wall_ms() - (int64_t)config->build_keep_s * 1000;
    struct change *change = NULL;
    struct list_node *at = list_first(&all->ended);

    while (at != NULL) {
        struct build *b = container_of(at, struct build, ended);
        bool is_many = config->builds_max > 0 && all->ended_count > config->builds_max;
        bool is_old = config->build_keep_s > 0 && b->r.finished_at_ms < before;

        if (!is_many && !is_old)
            break; /* those behind it are younger */
        at = list_next(&all->ended, at);
        if (build_is_tagged(b))
            continue;
        if (change == NULL)
            change = change_new(d, NULL, NULL);
        if (change_drop_build(change, b->r.id, NULL) != 0)
            break; /* the store is far behind: next time */
    }
    if (change != NULL)
        change_commit(change);
}

/* Moving */

void build_stop(struct domain *d, struct build *b)
{
    if (b->plan == NULL)
        return;
    quota_give_back_build(b->template->team);
    if (b->is_running && d->builds->runner != NULL)
        d->builds->runner->stop(d->builds->runner_ctx, b->r.id);
    b->is_running = false;
    b->plan = NULL;
    arena_done(&b->plan_mem); /* credentials with it */
}

void build_forget_push(struct domain *d, const struct build *b)
{
    if (b->r.push_until_ms > 0 && d->builds->runner != NULL)
        d->builds->runner->forget(d->builds->runner_ctx, b->r.id);
}

struct ending {
    enum build_state state;
    struct str step;
    const char *reason;
};

static int end(struct change *c, struct build *b, const struct ending *e, struct err *err)
{
    struct build_record r = b->r;

    r.state = (int32_t)e->state;
    r.reason = str_upto(str_of(e->reason), REASON_MAX);
    r.reason_step = e->step;
    r.finished_at_ms = r.updated_at_ms = clock_wall_ms();
    save_log(b->domain, b);
    return change_build(c, &r, err);
}

static void end_now(struct domain *d, struct build *b, const struct ending *e)
{
    struct change *c;
    struct err err = {0};

    if (build_has_ended(b))
        return;
    build_say(d, b->r.id, BUILD_ERROR, e->step, str_of(e->reason));
    c = change_new(d, NULL, NULL);
    change_about(c, b->template->r.id, b->r.id);
    change_event(c, EVENT_BUILD_FAILED, e->reason);
    if (end(c, b, e, &err) == 0) {
        change_commit(c);
        lend_log(d->builds, b);
    } else {
        change_abandon(c);
        event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err.text});
    }
    build_stop(d, b);
    build_forget_push(d, b);
}

void build_fail(struct domain *d, struct str id, struct str step, const char *reason)
{
    struct build *b = build_find(d, id);

    if (b != NULL)
        end_now(d, b, &(struct ending){BUILD_FAILED, step, reason});
}

void build_cancel(struct domain *d, struct build *b, const char *why)
{
    end_now(d, b, &(struct ending){BUILD_CANCELLED, {0}, why});
}

size_t build_cancel_all(struct domain *d, const struct team *team)
{
    size_t cursor = 0, count = 0;
    struct build **list, *b;

    list = mem_zero((d->builds->by_id.count + 1) * sizeof(*list));
    while ((b = map_next(&d->builds->by_id, &cursor)) != NULL)
        if (b->template->team == team && !build_has_ended(b))
            list[count++] = b;
    for (size_t i = 0; i < count; i++)
        build_cancel(d, list[i], "The build was canceled by an operator.");
    free(list);
    return count;
}

static bool shares_tag(const struct build *b, const struct codec_list *tags)
{
    const struct str *own = b->r.tags.items, *other = tags->items;

    for (size_t i = 0; i < b->r.tags.count; i++)
        for (size_t k = 0; k < tags->count; k++)
            if (str_eq(own[i], other[k]))
                return true;
    return false;
}

int build_supersede(struct change *c, const struct team_template *t, const struct codec_list *tags,
                    struct err *err)
{
    struct list_node *at = list_first(&t->builds);

    while (at != NULL) {
        struct build *b = container_of(at, struct build, node);

        at = list_next(&t->builds, at);
        if (build_has_ended(b) || !shares_tag(b, tags))
            continue;
        build_say(b->domain, b->r.id, BUILD_ERROR, (struct str){0}, str_of(superseded));
        if (end(c, b, &(struct ending){BUILD_CANCELLED, {0}, superseded}, err) != 0)
            return -1;
        lend_log(b->domain->builds, b);
        build_stop(b->domain, b);
        build_forget_push(b->domain, b);
    }
    return 0;
}

/* Succeeding */

struct success {
    struct domain *domain;
    char id[UUID_LEN + 1];
};

static void on_ready_stored(void *ctx, const struct team_template *t, const struct build *unused,
                            const struct err *err)
{
    struct success *s = ctx;
    struct build *b = build_find(s->domain, str_of(s->id));

    ignore(t == NULL || unused == b);
    if (b != NULL) {
        b->is_settling = false;
        if (err != NULL)
            build_fail(s->domain, b->r.id, (struct str){0}, err->text);
    }
    free(s);
}

static int change_ready(struct change *c, struct build *b, const struct build_result *result,
                        struct err *err)
{
    struct build_record r = b->r;
    struct team_template_record t = b->template->r;
    struct arena mem;
    int done = -1;

    r.state = BUILD_READY;
    r.rootfs = result->rootfs;
    r.layers = result->layers;
    r.snapshot = result->snapshot;
    r.has_memory = result->has_memory;
    r.user = result->user;
    r.workdir = result->workdir;
    r.start_cmd = result->start_cmd;
    r.ready_cmd = result->ready_cmd;
    r.env = result->env;
    r.ports = result->ports;
    r.finished_at_ms = r.updated_at_ms = t.updated_at_ms = clock_wall_ms();
    arena_init(&mem, BUILD_RECORD_MEM_MAX);
    t.tags.items =
        (void *)(uintptr_t)template_tags_with(b->template, &r.tags, r.id, &mem, &t.tags.count);
    if (t.tags.items == NULL)
        err_set(err, ERR_LIMIT, "a template has at most %d tags", TEMPLATE_TAGS_MAX);
    else if (change_template(c, &t, err) == 0)
        done = change_build(c, &r, err);
    arena_done(&mem);
    return done;
}

void build_succeed(struct domain *d, struct str id, const struct build_result *result)
{
    struct build *b = build_find(d, id);
    struct success *s;
    struct change *c;
    struct err err = {0};

    if (b == NULL || build_has_ended(b))
        return;
    s = mem_zero(sizeof(*s));
    s->domain = d;
    ignore(str_to_c(b->r.id, s->id, sizeof(s->id)));
    c = change_new(d, on_ready_stored, s);
    change_about(c, b->template->r.id, b->r.id);
    change_event(c, EVENT_BUILD_READY, NULL);
    save_log(d, b);
    if (change_ready(c, b, result, &err) != 0) {
        change_abandon(c);
        free(s);
        build_fail(d, b->r.id, (struct str){0}, err.text);
        return;
    }
    b->is_settling = true;
    change_commit(c);
    lend_log(d->builds, b);
    build_stop(d, b);
    build_forget_push(d, b);
}
