/* SPDX-License-Identifier: Apache-2.0 */
/* See worker_internal.h: process.Process/Start of envd (Connect-RPC, JSON), its output gathered
 * within bounds, SIGKILL when its time is up. Its input goes by SendInput and CloseStdin. */
#include <stdio.h>

#include "base/digest.h"
#include "http/connect.h"
#include "worker/worker_internal.h"

enum {
    REQUEST_MAX = 160 << 20, /* what a payload of 64 MiB can become */
    MESSAGE_MAX = ENVELOPE_MAX,
    EVENT_MEM_MAX = 8 << 20,
    HANG_MS = 20 * 1000, /* behind a command's own time: until its request is given up */
};

struct data_event {
    struct str out, err;
};
struct start_event {
    int64_t pid;
};
struct end_event {
    int32_t exit_code;
    bool exited;
    struct str status, error;
};
struct event {
    struct start_event *start;
    struct data_event *data;
    struct end_event *end;
};
struct error_event {
    struct str code, message;
};
struct message {
    struct event *event;
    struct error_event *error;
};

/* clang-format off */
static const struct codec_field start_fields[] = {
    {1, "pid", CODEC_NUMBER, 0, offsetof(struct start_event, pid)},
};
static const struct codec_message start_table =
    {NULL, sizeof(struct start_event), start_fields, COUNT_OF(start_fields)};
static const struct codec_field data_fields[] = {
    {1, "stdout", CODEC_BYTES, 0, offsetof(struct data_event, out)},
    {2, "stderr", CODEC_BYTES, 0, offsetof(struct data_event, err)},
};
static const struct codec_message data_table =
    {NULL, sizeof(struct data_event), data_fields, COUNT_OF(data_fields)};
static const struct codec_field end_fields[] = {
    {1, "exitCode", CODEC_INT32, 0, offsetof(struct end_event, exit_code)},
    {2, "exited", CODEC_BOOL, 0, offsetof(struct end_event, exited)},
    {3, "status", CODEC_STRING, 0, offsetof(struct end_event, status)},
    {4, "error", CODEC_STRING, 0, offsetof(struct end_event, error)},
};
static const struct codec_message end_table =
    {NULL, sizeof(struct end_event), end_fields, COUNT_OF(end_fields)};
static const struct codec_field event_fields[] = {
    {1, "start", CODEC_MESSAGE, 0, offsetof(struct event, start), 0, &start_table},
    {2, "data", CODEC_MESSAGE, 0, offsetof(struct event, data), 0, &data_table},
    {3, "end", CODEC_MESSAGE, 0, offsetof(struct event, end), 0, &end_table},
};
static const struct codec_message event_table =
    {NULL, sizeof(struct event), event_fields, COUNT_OF(event_fields)};
static const struct codec_field error_fields[] = {
    {1, "code", CODEC_STRING, 0, offsetof(struct error_event, code)},
    {2, "message", CODEC_STRING, 0, offsetof(struct error_event, message)},
};
static const struct codec_message error_table =
    {NULL, sizeof(struct error_event), error_fields, COUNT_OF(error_fields)};
static const struct codec_field message_fields[] = {
    {1, "event", CODEC_MESSAGE, 0, offsetof(struct message, event), 0, &event_table},
    {2, "error", CODEC_MESSAGE, 0, offsetof(struct message, error), 0, &error_table},
};
static const struct codec_message message_table =
    {NULL, sizeof(struct message), message_fields, COUNT_OF(message_fields)};
/* clang-format on */

struct process {
    struct job *job;
    struct upstream_call *call, *aside; /* the command's; of SIGKILL or its input */
    struct buf gathered;                /* of an envelope */
    struct timer timer;                 /* its time, then the grace */
    int64_t pid;                        /* 0: not known yet */
    struct str stdin;                   /* in the job's arena */
    struct process_end end;
    struct buf refused;      /* code and text */
    bool is_killed, is_gone; /* is_gone: the caller is */
    uint64_t began_ms;
    process_fn *then;
};

void process_free(struct process *p)
{
    if (p == NULL)
        return;
    upstream_cancel(p->call);
    upstream_cancel(p->aside);
    timer_stop(&p->timer);
    buf_done(&p->gathered);
    buf_done(&p->refused);
    buf_done(&p->end.out);
    buf_done(&p->end.err);
    free(p);
}

/* The end, from whatever side. */
static void finish(struct process *p)
{
    struct job *j = p->job;

    upstream_cancel(p->call);
    p->call = NULL;
    timer_stop(&p->timer);
    p->end.duration_ms = loop_now_ms(j->worker->loop) - p->began_ms;
    if (p->is_gone)
        job_end(j);
    else
        p->then(j, &p->end);
}

static void keep_output(struct process *p, struct str data, struct buf *to)
{
    size_t room = buf_left(to);

    p->end.is_cut |= data.len > room;
    buf_add_str(to, str_upto(data, room));
}

static void on_aside(void *ctx, const struct upstream_answer *a)
{
    struct process *p = ctx;

    ignore((long)a->status); /* what was not killed ends with the grace */
    p->aside = NULL;
}

static void unary(struct process *p, const char *method, struct buf *body, upstream_fn *fn)
{
    struct job *j = p->job;
    struct upstream_ask ask = guest_ask(j, "POST", method);

    upstream_cancel(p->aside);
    api_add_json(&ask, body);
    p->aside = upstream_start(j->worker->dialer, j->worker->loop, &ask, fn, p);
}

static void on_grace_over(void *ctx)
{
    finish(ctx);
}

static void kill_now(struct process *p)
{
    struct buf body;

    p->is_killed = true;
    timer_start(p->job->worker->loop, &p->timer, PROCESS_GRACE_MS, on_grace_over, p);
    if (p->pid == 0)
        return; /* it is killed once it is known, within the grace */
    buf_init(&body, 256);
    buf_printf(&body, "{\"process\":{\"pid\":%lld},\"signal\":\"SIGNAL_SIGKILL\"}",
               (long long)p->pid);
    unary(p, "/process.Process/SendSignal", &body, on_aside);
}

static void on_time_up(void *ctx)
{
    struct process *p = ctx;

    p->end.timed_out = true;
    kill_now(p);
}

void process_kill(struct job *j)
{
    struct process *p = j->process;

    if (p == NULL) { /* it has not begun */
        job_end(j);
        return;
    }
    p->is_gone = true;
    if (!p->is_killed)
        kill_now(p);
}

static void on_input_sent(void *ctx, const struct upstream_answer *a)
{
    struct process *p = ctx;
    struct buf body;

    ignore((long)a->status); /* a program that reads nothing is no failure */
    p->aside = NULL;
    buf_init(&body, 256);
    buf_printf(&body, "{\"process\":{\"pid\":%lld}}", (long long)p->pid);
    unary(p, "/process.Process/CloseStdin", &body, on_aside);
}

static void send_input(struct process *p)
{
    struct buf body;

    buf_init(&body, REQUEST_MAX);
    buf_printf(&body, "{\"process\":{\"pid\":%lld},\"input\":{\"stdin\":\"", (long long)p->pid);
    base64_encode(&body, p->stdin.at, p->stdin.len);
    buf_add_text(&body, "\"}}");
    unary(p, "/process.Process/SendInput", &body, on_input_sent);
}

static void on_started(struct process *p, int64_t pid)
{
    p->pid = pid;
    if (p->is_killed)
        kill_now(p);
    else if (p->stdin.len > 0)
        send_input(p);
}

static void on_refused(struct process *p, const struct error_event *e)
{
    size_t code_len;

    buf_init(&p->refused, 1024);
    buf_add_str(&p->refused, str_upto(e->code, 64));
    code_len = p->refused.len;
    buf_add_str(&p->refused, str_upto(e->message, 512));
    p->end.refused_code = str_upto(buf_str(&p->refused), code_len);
    p->end.refused_text = str_from(buf_str(&p->refused), code_len);
}

/* False: it has ended. */
static bool on_message(struct process *p, const struct message *m)
{
    const struct event *e = m->event;

    if (m->error != NULL) {
        on_refused(p, m->error);
        finish(p);
        return false;
    }
    if (e == NULL)
        return true;
    if (e->start != NULL)
        on_started(p, e->start->pid);
    if (e->data != NULL) {
        keep_output(p, e->data->out, &p->end.out);
        keep_output(p, e->data->err, &p->end.err);
    }
    if (e->end == NULL)
        return true;
    p->end.has_exited = e->end->exited;
    p->end.exit_code = e->end->exit_code;
    finish(p);
    return false;
}

static bool on_envelope(struct process *p, struct str payload)
{
    struct message m = {0};
    struct arena arena;
    bool goes_on = true;

    arena_init(&arena, EVENT_MEM_MAX);
    if (json_decode(&message_table, payload, &arena, &m, NULL) == 0) /* else: a newer event */
        goes_on = on_message(p, &m);
    arena_done(&arena);
    return goes_on;
}

static bool on_part(void *ctx, struct str data)
{
    struct process *p = ctx;

    while (data.len > 0) {
        struct envelope e;
        ssize_t n = envelope_gather(&p->gathered, data, MESSAGE_MAX, &e);

        if (n < 0) {
            struct job *j = p->job;

            job_fault(j, FAULT_UPSTREAM, "the sandbox sent what is no message");
            return false;
        }
        data = str_from(data, (size_t)n);
        if (!e.is_whole)
            continue;
        if (!on_envelope(p, e.payload))
            return false;
        buf_done(&p->gathered);
    }
    return true;
}

/* The stream ended without an end of the program, or did not begin. */
static void on_answer(void *ctx, const struct upstream_answer *a)
{
    struct process *p = ctx;
    struct job *j = p->job;

    p->call = NULL;
    if (p->is_killed) {
        finish(p);
        return;
    }
    api_box_trouble(j, a);
}

static void put_start(const struct process_spec *spec, struct buf *out)
{
    const struct str *args = spec->args.items;
    const struct codec_pair *envs = spec->envs.items;
    uint8_t head[ENVELOPE_HEAD] = {0};

    buf_add(out, head, sizeof(head)); /* its length follows */
    buf_add_text(out, "{\"process\":{\"cmd\":");
    json_quote(out, spec->cmd);
    buf_add_text(out, ",\"args\":[");
    for (size_t i = 0; i < spec->args.count; i++) {
        buf_add_text(out, i == 0 ? "" : ",");
        json_quote(out, args[i]);
    }
    buf_add_text(out, "],\"envs\":{");
    for (size_t i = 0; i < spec->envs.count; i++) {
        buf_add_text(out, i == 0 ? "" : ",");
        json_quote(out, envs[i].key);
        buf_add_byte(out, ':');
        json_quote(out, envs[i].value);
    }
    buf_add_byte(out, '}');
    if (spec->cwd.len > 0) {
        buf_add_text(out, ",\"cwd\":");
        json_quote(out, spec->cwd);
    }
    buf_printf(out, "},\"stdin\":%s}", spec->stdin.len > 0 ? "true" : "false");
    if (!buf_ok(out))
        return;
    envelope_head(0, (uint32_t)(out->len - sizeof(head)), head);
    memcpy(out->at, head, sizeof(head));
}

void process_run(struct job *j, const struct process_spec *spec, process_fn *then)
{
    struct process *p = mem_zero(sizeof(*p));
    struct upstream_ask ask = guest_ask(j, "POST", "/process.Process/Start");
    struct buf body;

    process_free(j->process);
    j->process = p;
    p->job = j;
    p->then = then;
    p->stdin = spec->stdin;
    p->began_ms = loop_now_ms(j->worker->loop);
    buf_init(&p->gathered, MESSAGE_MAX + ENVELOPE_HEAD);
    buf_init(&p->end.out, PROCESS_OUTPUT_MAX);
    buf_init(&p->end.err, PROCESS_OUTPUT_MAX);
    buf_init(&body, REQUEST_MAX);
    put_start(spec, &body);
    ask.fields[ask.field_count++] =
        (struct http_field){STR("Content-Type"), STR("application/connect+json")};
    ask.fields[ask.field_count++] = (struct http_field){STR("Connect-Protocol-Version"), STR("1")};
    ask.body = &body;
    ask.timeout_ms = spec->timeout_ms + HANG_MS;
    ask.on_part = on_part;
    timer_start(j->worker->loop, &p->timer, spec->timeout_ms, on_time_up, p);
    p->call = upstream_start(j->worker->dialer, j->worker->loop, &ask, on_answer, p);
}
