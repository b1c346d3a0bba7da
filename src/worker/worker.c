/* SPDX-License-Identifier: Apache-2.0 */
/* See worker.h: which functions are registered under which ids, and the way from an invocation to
 * its job. */
#include "worker/worker.h"

#include <stdio.h>

#include "base/log.h"
#include "worker/conduit.h"

enum {
    SCHEMA_MAX = 64 << 10,
    PREFIXES_MAX = 2, /* ids that one function has */
};

static const struct {
    const char *mode;
    const struct function_table *functions;
    const char *description;
} modes[] = {
    {"provider", &provider_functions, "sandboxes of an E2B-compatible API"        },
    {"router",   &router_functions,   "the one door to all providers of sandboxes"},
    {"local",    &local_functions,    "sandboxes as the reference daemon has them"},
};

static size_t mode_of(const struct worker *w)
{
    size_t i = 0;

    while (i + 1 < COUNT_OF(modes) && strcmp(w->settings.mode, modes[i].mode) != 0)
        i++; /* settings.c lets no other words pass */
    return i;
}

static struct str schema(const struct param *params, size_t count)
{
    struct buf out;
    char *text;

    buf_init(&out, SCHEMA_MAX);
    params_schema(params, count, &out);
    buf_add_byte(&out, '\0');
    text = mem_text(buf_ok(&out) ? out.at : "{}");
    buf_done(&out);
    return str_of(text);
}

static void add(struct worker *w, const char *prefix, const struct function *f)
{
    struct engine_function *r = &w->registered[w->registered_count];
    char id[ENGINE_FUNCTION_MAX];

    ignore(snprintf(id, sizeof(id), "%s%s", prefix, f->leaf)); /* words of at most 64 */
    *r = (struct engine_function){.id = mem_text(id),
                                  .description = f->help,
                                  .request_format = schema(f->in, f->in_count),
                                  .response_format = schema(f->out, f->out_count)};
    w->behind[w->registered_count++] = f;
}

static void choose(struct worker *w)
{
    const struct function_table *t = modes[mode_of(w)].functions;
    const struct settings *s = &w->settings;
    bool is_local = strcmp(s->mode, "local") == 0;
    char prefix[ENGINE_FUNCTION_MAX], other[ENGINE_FUNCTION_MAX] = "";

    ignore(snprintf(prefix, sizeof(prefix),
                    "sandbox::provider::%s::", is_local ? "local" : s->provider));
    if (strcmp(s->mode, "router") == 0)
        ignore(snprintf(prefix, sizeof(prefix), "sandbox::"));
    else if (is_local && s->has_bare_ids)
        ignore(snprintf(other, sizeof(other), "sandbox::"));
    else if (!is_local && s->has_legacy_ids)
        ignore(snprintf(other, sizeof(other), "sandbox::%s::", s->provider));
    w->registered = mem_array(t->count * PREFIXES_MAX, sizeof(*w->registered));
    w->behind = mem_array(t->count * PREFIXES_MAX, sizeof(*w->behind));
    for (size_t i = 0; i < t->count; i++) {
        add(w, prefix, &t->rows[i]);
        if (other[0] != '\0')
            add(w, other, &t->rows[i]);
    }
}

static const struct function *find(const struct worker *w, struct str id)
{
    for (size_t i = 0; i < w->registered_count; i++)
        if (str_is(id, w->registered[i].id))
            return w->behind[i];
    return NULL;
}

static void on_invoke(void *ctx, const struct engine_invocation *i)
{
    static const struct engine_error not_found = {
        STR("function_not_found"), STR("Function not found"), {0}};
    struct worker *w = ctx;
    const struct function *f = find(w, i->function);
    struct err err = {0};
    struct job *j;

    if (f == NULL) {
        engine_reply(w->engine, i, (struct str){0}, &not_found);
        return;
    }
    log_debug("job.begun", "function=%s bytes=%zu", f->leaf, i->data.len);
    j = job_begin(w, f, i);
    if (w->is_draining)
        job_fault(j, FAULT_CAPACITY, "the worker is about to end");
    else if (w->job_count > WORKER_JOBS_MAX || w->bytes > WORKER_BYTES_MAX)
        job_fault(j, FAULT_CAPACITY, "the worker has too many calls under way");
    else if (params_read(f->in, f->in_count, i->data, &j->arena, j->args, &err) != 0)
        job_fault(j, FAULT_INPUT, "%s", err.text);
    else
        f->run(j);
}

static void on_round_end(void *ctx, uint64_t round)
{
    struct worker *w = ctx;
    struct list_node *n = list_first(&w->jobs), *next;

    for (; n != NULL; n = next) {
        struct job *j = container_of(n, struct job, node);

        next = list_next(&w->jobs, n);
        if (j->from.round == round && !j->is_dropped)
            job_drop(j);
    }
}

static void on_left(void *ctx)
{
    struct worker *w = ctx;

    if (w->has_ended)
        return;
    w->has_ended = true;
    w->on_end(w->ctx);
}

static void on_over(void *ctx, const struct err *err)
{
    struct worker *w = ctx;

    log_error("worker.refused", "error=\"%s\"", err->text);
    w->was_refused = true;
    on_left(w);
}

static void leave(void *ctx)
{
    struct worker *w = ctx;

    engine_leave(w->engine, on_left, w);
}

void worker_job_ended(struct worker *w)
{
    if (w->is_draining && w->job_count == 0)
        timer_start(w->loop, &w->drain, 0, leave, w);
}

void worker_drain(struct worker *w)
{
    uint64_t delay = w->is_draining || w->job_count == 0 ? 0 : w->settings.drain_s * 1000;

    log_info("worker.draining", "calls=%zu", w->job_count);
    if (!w->is_draining)
        engine_retire(w->engine);
    w->is_draining = true;
    timer_start(w->loop, &w->drain, delay, leave, w);
}

bool worker_was_refused(const struct worker *w)
{
    return w->was_refused;
}

static const char *name_of(struct worker *w)
{
    const char *managed = getenv("III_WORKER_NAME");

    if (w->settings.worker_name[0] != '\0')
        return w->settings.worker_name;
    if (managed != NULL && *managed != '\0')
        ignore(snprintf(w->name, sizeof(w->name), "%s", managed)); /* one that is longer is cut */
    else if (strcmp(w->settings.mode, "router") == 0)
        ignore(snprintf(w->name, sizeof(w->name), "sandbox"));
    else
        ignore(snprintf(w->name, sizeof(w->name), "sandbox-%s",
                        strcmp(w->settings.mode, "local") == 0 ? "local" : w->settings.provider));
    return w->name;
}

int worker_new(struct loop *l, const struct worker_spec *spec, struct worker **out, struct err *err)
{
    static const struct engine_events events = {on_invoke, on_round_end, on_over};
    struct worker *w;
    struct engine_spec engine = {.to = spec->engine, .version = spec->version};

    if (strlen(spec->key) >= WORKER_KEY_MAX)
        return err_set(err, ERR_INVALID, "the API's key is too long");
    for (const char *c = spec->key; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return err_set(err, ERR_INVALID, "the API's key has a byte that no header may carry");
    w = mem_zero(sizeof(*w));
    w->loop = l;
    w->settings = *spec->settings;
    w->settings.worker_name = name_of(w);
    ignore(snprintf(w->key, sizeof(w->key), "%s", spec->key)); /* checked */
    w->on_end = spec->on_end;
    w->ctx = spec->ctx;
    w->seats.max = w->settings.sandboxes_max;
    w->dialer = dialer_new(l, w->settings.ca_file);
    w->orphans = orphans_new(w);
    choose(w);
    engine.name = w->settings.worker_name;
    engine.description = modes[mode_of(w)].description;
    engine.functions = w->registered;
    engine.function_count = w->registered_count;
    w->engine = engine_new(l, w->dialer, &engine, &events, w);
    reconcile_start(w);
    engine_start(w->engine);
    *out = w;
    return 0;
}

void worker_free(struct worker *w)
{
    struct list_node *n;

    if (w == NULL)
        return;
    w->is_draining = false;
    while ((n = list_first(&w->jobs)) != NULL)
        job_end(container_of(n, struct job, node));
    conduits_end(w);
    timer_stop(&w->drain);
    timer_stop(&w->reconcile);
    listing_cancel(w->reconciling);
    orphans_free(w->orphans);
    engine_free(w->engine);
    dialer_free(w->dialer);
    seats_done(&w->seats);
    for (size_t i = 0; i < w->registered_count; i++) {
        free((char *)(uintptr_t)w->registered[i].id);
        free((char *)(uintptr_t)w->registered[i].request_format.at);
        free((char *)(uintptr_t)w->registered[i].response_format.at);
    }
    free(w->registered);
    free(w->behind);
    explicit_bzero(w->key, sizeof(w->key));
    free(w);
}
