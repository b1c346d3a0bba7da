/* SPDX-License-Identifier: Apache-2.0 */
/* process.Process but Start and input: Connect, List, Update, SendSignal, CloseStdin. */
#include <signal.h>

#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/pty.h"

static const struct empty nothing = {0};

struct process *process_of_call(struct rpc_call *call, const struct selector *s, bool may_be_ended)
{
    enum connect_code code;
    struct err err;
    struct process *p = process_lookup(&call->guest->processes, s, may_be_ended, &code, &err);

    if (p == NULL)
        rpc_fail(call->peer, code, "%s", err.text);
    return p;
}

/* It ended a moment ago: both events at once. */
static void connect_ended(struct rpc_call *call, const struct process *p)
{
    struct start_event start = {.pid = (uint32_t)p->pid};
    struct end_event end;
    struct process_event event = {.which = EVENT_START, .start = &start};
    const struct event_response response = {&event};
    struct buf out;

    process_end_event(p, &end);
    buf_init(&out, 4096);
    rpc_envelope(call->peer.form, &event_response_message, &response, &out);
    event = (struct process_event){.which = EVENT_END, .end = &end};
    rpc_envelope(call->peer.form, &event_response_message, &response, &out);
    envelope_end(&out, CONNECT_OK, (struct str){NULL, 0});
    rpc_stream_open(call->peer);
    exchange_write(call->peer.x, buf_str(&out));
    exchange_end(call->peer.x);
    buf_done(&out);
}

/* X-Replay-Offset of the request: see process.h. False: the call has been answered. */
static bool read_offset(struct rpc_call *call, const struct process *p, bool *out_is_asked,
                        uint64_t *out)
{
    struct str value = http_field(exchange_head(call->peer.x), "X-Replay-Offset");

    *out_is_asked = value.at != NULL || call->peer.form > CONNECT_OTHER;
    *out = 0;
    if (value.at == NULL)
        return true;
    if (!str_to_u64(value, out)) {
        rpc_fail(call->peer, CONNECT_INVALID_ARGUMENT, "X-Replay-Offset is not a number");
        return false;
    }
    if (*out > p->replay.end) {
        rpc_fail(call->peer, CONNECT_OUT_OF_RANGE,
                 "X-Replay-Offset is beyond the %llu bytes that the process has written",
                 (unsigned long long)p->replay.end);
        return false;
    }
    return true;
}

void process_connect_rpc(struct rpc_call *call)
{
    const struct selector_request *in = call->in;
    struct process *p = process_of_call(call, in->process, true);
    struct subscriber *s;
    bool is_replay;
    uint64_t offset;

    if (p == NULL || !read_offset(call, p, &is_replay, &offset))
        return;
    if (p->is_ended && !is_replay) {
        connect_ended(call, p);
        return;
    }
    s = subscriber_new(p);
    if (s == NULL)
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED,
                 "more than %d subscribers of one process, or memory is out", SUBSCRIBERS_MAX);
    else if (is_replay)
        subscriber_replay(s, call, offset);
    else
        subscriber_start(s, call);
}

void process_list_rpc(struct rpc_call *call)
{
    const struct process_table *t = &call->guest->processes;
    struct process_list out = {0};
    struct process_info *infos = arena_array(&call->arena, t->running_count + 1, sizeof(infos[0]));

    if (infos == NULL) {
        rpc_fail(call->peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    for (struct list_node *n = list_first(&t->running); n; n = list_next(&t->running, n)) {
        const struct process *p = container_of(n, struct process, node);

        infos[out.processes.count++] = (struct process_info){
            .config = (struct process_config *)(uintptr_t)p->config, /* only read */
            .pid = (uint32_t)p->pid,
            .has_tag = p->tag != NULL,
            .tag = str_of(p->tag),
        };
    }
    out.processes.items = infos;
    rpc_reply(call->peer, &process_list_message, &out);
}

void process_update_rpc(struct rpc_call *call)
{
    const struct update_request *in = call->in;
    struct process *p = process_of_call(call, in->process, false);
    struct err err;

    if (p == NULL)
        return;
    if (in->pty != NULL && in->pty->size != NULL) {
        if (!p->is_pty || p->outputs[0].fd < 0) {
            rpc_fail(call->peer, CONNECT_INTERNAL,
                     "error resizing tty: tty is not set or already closed");
            return;
        }
        if (pty_resize(p->outputs[0].fd, in->pty->size, &err) != 0) {
            rpc_fail_err(call->peer, &err);
            return;
        }
    }
    rpc_reply(call->peer, &empty_message, &nothing);
}

void process_send_signal_rpc(struct rpc_call *call)
{
    const struct send_signal_request *in = call->in;
    struct process *p = process_of_call(call, in->process, false);

    if (p == NULL)
        return;
    if (in->signal != SIGKILL && in->signal != SIGTERM) {
        rpc_fail(call->peer, CONNECT_UNIMPLEMENTED, "invalid signal: %d", (int)in->signal);
        return;
    }
    process_signal(p, in->signal);
    rpc_reply(call->peer, &empty_message, &nothing);
}

void process_close_stdin_rpc(struct rpc_call *call)
{
    const struct selector_request *in = call->in;
    struct process *p = process_of_call(call, in->process, false);

    if (p == NULL)
        return;
    if (p->is_pty) {
        rpc_fail(call->peer, CONNECT_UNKNOWN,
                 "cannot close stdin of a PTY process, send Ctrl+D (0x04) instead");
        return;
    }
    input_end(p);
    rpc_reply(call->peer, &empty_message, &nothing);
}
