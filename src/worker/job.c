/* SPDX-License-Identifier: Apache-2.0 */
/* See worker_internal.h: one invocation, from its arrival to its answer. */
#include <assert.h>

#include "base/log.h"
#include "worker/conduit.h"

enum {
    MEMORY_MIN = 4 << 20, /* of a job, besides what its payload needs */
    TEXT_MAX = 4096,      /* of an error */
};

static struct str keep(struct job *j, struct str text)
{
    struct str own = arena_str(&j->arena, text);

    return own.at == NULL ? (struct str){"", 0} : own;
}

struct job *job_begin(struct worker *w, const struct function *f, const struct engine_invocation *i)
{
    struct job *j = mem_zero(sizeof(*j));

    j->worker = w;
    j->function = f;
    j->bytes = i->data.len;
    j->started_ms = loop_now_ms(w->loop);
    /* The payload, what it is decoded to, and texts of it in requests. */
    arena_init(&j->arena, MEMORY_MIN + 4 * i->data.len);
    j->from = *i;
    j->from.id = keep(j, i->id);
    j->from.function = keep(j, i->function);
    j->from.traceparent = keep(j, i->traceparent);
    j->from.baggage = keep(j, i->baggage);
    j->from.data = (struct str){0}; /* the engine's; functions have their arguments */
    if (f->has_payload)
        j->data = keep(j, i->data);
    list_push(&w->jobs, &j->node);
    w->job_count++;
    w->bytes += j->bytes;
    return j;
}

void *job_state(struct job *j, size_t size)
{
    void *at = arena_alloc(&j->arena, size);

    assert(at != NULL); /* MEMORY_MIN is for this */
    j->state = at;
    return at;
}

/* What the sandbox it worked in still has of it. */
static void leave_box(struct job *j)
{
    struct worker *w = j->worker;
    struct box *counts = seats_find(&w->seats, str_of(j->exec_in));

    if (counts != NULL && counts->execs > 0)
        counts->execs--;
    if (!j->ends_box || j->box == NULL)
        return;
    seats_end(&w->seats, str_of(j->box->id));
    orphans_kill(w->orphans, j->box->id);
}

void job_end(struct job *j)
{
    struct worker *w = j->worker;

    log_debug("job.ended", "function=%s took_ms=%llu", j->function->leaf,
              (unsigned long long)(loop_now_ms(w->loop) - j->started_ms));
    list_remove(&j->node);
    timer_stop(&j->timer);
    upstream_cancel(j->call);
    engine_call_cancel(j->forward);
    process_free(j->process);
    listing_cancel(j->listing);
    conduit_free(j->channel);
    leave_box(j);
    w->job_count--;
    w->bytes -= j->bytes;
    arena_done(&j->arena);
    free(j);
    worker_job_ended(w);
}

void job_done(struct job *j, struct buf *result)
{
    if (!buf_ok(result)) {
        buf_done(result);
        job_fault(j, FAULT_CAPACITY, "the result is too large");
        return;
    }
    if (!j->is_dropped)
        engine_reply(j->worker->engine, &j->from, buf_str(result), NULL);
    buf_done(result);
    job_end(j);
}

void job_error(struct job *j, const struct engine_error *error)
{
    if (!j->is_dropped)
        engine_reply(j->worker->engine, &j->from, (struct str){0}, error);
    job_end(j);
}

static void fault(struct job *j, enum fault f, struct str text, struct str fix)
{
    bool is_json = strcmp(j->worker->settings.error_format, "json") == 0 ||
                   strcmp(j->worker->settings.mode, "local") == 0;
    struct engine_error error = {.code = STR("invocation_failed")};
    struct buf message;

    log_info("job.failed", "function=%s code=%s", j->function->leaf, fault_code(f));
    buf_init(&message, 2 * TEXT_MAX);
    fault_write(&message, f, is_json ? FAULT_JSON : FAULT_BRACKET, text, fix);
    error.message = buf_ok(&message) ? buf_str(&message) : str_of(fault_code(f));
    if (!j->is_dropped)
        engine_reply(j->worker->engine, &j->from, (struct str){0}, &error);
    buf_done(&message);
    job_end(j);
}

void job_fault(struct job *j, enum fault f, const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, TEXT_MAX);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    fault(j, f, buf_ok(&text) ? buf_str(&text) : STR("(the reason is too long)"), (struct str){0});
    buf_done(&text);
}

void job_fault_fix(struct job *j, enum fault f, const char *fix, const char *text)
{
    fault(j, f, str_of(text), str_of(fix));
}

void job_drop(struct job *j)
{
    j->is_dropped = true;
    if (j->function->drop != NULL)
        j->function->drop(j);
    else
        job_end(j);
}

void keep_going(struct job *j)
{
    ignore(j == NULL); /* its end finds is_dropped */
}

static void on_answer(void *ctx, const struct upstream_answer *a)
{
    struct job *j = ctx;

    j->call = NULL;
    j->then(j, a);
}

void job_ask(struct job *j, struct upstream_ask *ask, job_answer_fn *then)
{
    j->then = then;
    j->call = upstream_start(j->worker->dialer, j->worker->loop, ask, on_answer, j);
}

void job_upstream_fault(struct job *j, const struct upstream_answer *a, enum fault missing)
{
    struct buf text;

    buf_init(&text, TEXT_MAX / 2);
    upstream_text(j->worker, a, &text);
    if (a->status == 0)
        job_fault(j, FAULT_UPSTREAM, "the upstream does not answer: %.*s", STR_ARG(buf_str(&text)));
    else if (a->status < 300)
        job_fault(j, FAULT_UPSTREAM, "the upstream's answer is not understood");
    else
        job_fault(j, fault_of_status(a->status, missing), "%.*s (status %u)",
                  STR_ARG(buf_str(&text)), a->status);
    buf_done(&text);
}
