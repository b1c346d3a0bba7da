/* SPDX-License-Identifier: Apache-2.0 */
/* /envd/process/...: requests become those of the RPCs, processes and their events plain JSON. */
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "envd/agentcube.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/workspace.h"

enum {
    ID_DIGITS = 8,
    TIMEOUT_MAX_S = 7 * 24 * 3600,
};

static const char id_prefix[] = "proc_";

struct door_process {
    struct str process_id;
    uint32_t pid;
    struct codec_list cmd; /* struct str */
    struct str cwd;
    struct codec_list env; /* struct codec_pair */
    struct str state;
    bool has_exit_code;
    int64_t exit_code;
    bool pty, has_exited;
    struct codec_time started, exited;
};

struct door_processes {
    struct codec_list processes; /* struct door_process */
};

struct door_event {
    struct str type, process_id;
    uint32_t pid;
    struct str text, bytes, encoding; /* text or bytes, as `encoding` says */
    bool has_exit_code;
    int64_t exit_code;
    struct str error;
    struct codec_time time;
};

/* Rows too long for one line crash the table alignment of clang-format 14. */
/* clang-format off */
static const struct codec_field process_fields[] = {
    {1, "process_id", CODEC_STRING, CODEC_ALWAYS, offsetof(struct door_process, process_id)},
    {2, "pid", CODEC_UINT32, CODEC_ALWAYS, offsetof(struct door_process, pid)},
    {3, "cmd", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct door_process, cmd)},
    {4, "cwd", CODEC_STRING, CODEC_ALWAYS, offsetof(struct door_process, cwd)},
    {5, "env", CODEC_MAP, CODEC_ALWAYS, offsetof(struct door_process, env)},
    {6, "state", CODEC_STRING, CODEC_ALWAYS, offsetof(struct door_process, state)},
    {7, "exit_code", CODEC_NUMBER, CODEC_OPTIONAL | CODEC_ALWAYS,
     offsetof(struct door_process, exit_code), offsetof(struct door_process, has_exit_code)},
    {8, "pty", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct door_process, pty)},
    {9, "started_at", CODEC_TIMESTAMP, CODEC_ALWAYS, offsetof(struct door_process, started)},
    {10, "exited_at", CODEC_TIMESTAMP, CODEC_OPTIONAL | CODEC_ALWAYS,
     offsetof(struct door_process, exited), offsetof(struct door_process, has_exited)},
};
static const struct codec_message process_message = {
    NULL, sizeof(struct door_process), process_fields, COUNT_OF(process_fields)};

static const struct codec_field processes_fields[] = {
    {1, "processes", CODEC_MESSAGE, CODEC_REPEATED | CODEC_ALWAYS,
     offsetof(struct door_processes, processes), 0, &process_message},
};
static const struct codec_message processes_message = {
    NULL, sizeof(struct door_processes), processes_fields, COUNT_OF(processes_fields)};

static const struct codec_field event_fields[] = {
    {1, "type", CODEC_STRING, 0, offsetof(struct door_event, type)},
    {2, "process_id", CODEC_STRING, 0, offsetof(struct door_event, process_id)},
    {3, "pid", CODEC_UINT32, 0, offsetof(struct door_event, pid)},
    {4, "data", CODEC_STRING, 0, offsetof(struct door_event, text)},
    {5, "data", CODEC_BYTES, 0, offsetof(struct door_event, bytes)},
    {6, "encoding", CODEC_STRING, 0, offsetof(struct door_event, encoding)},
    {7, "exit_code", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct door_event, exit_code),
     offsetof(struct door_event, has_exit_code)},
    {8, "error", CODEC_STRING, 0, offsetof(struct door_event, error)},
    {9, "timestamp", CODEC_TIMESTAMP, 0, offsetof(struct door_event, time)},
};
static const struct codec_message event_message = {
    NULL, sizeof(struct door_event), event_fields, COUNT_OF(event_fields)};
/* clang-format on */

static struct codec_time time_of(int64_t wall_ms)
{
    return (struct codec_time){wall_ms / 1000, (uint32_t)(wall_ms % 1000) * 1000000};
}

static struct str id_of(uint32_t serial, char out[sizeof(id_prefix) + ID_DIGITS])
{
    snprintf(out, sizeof(id_prefix) + ID_DIGITS, "%s%08x", id_prefix, serial);
    return str_of(out);
}

void agentcube_put_event(enum connect_form form, const struct process_event *event, struct buf *out)
{
    const struct data_event *data = event->data;
    const struct end_event *end = event->end;
    struct door_event e = {.type = STR("info"), .time = time_of(clock_wall_ms())};
    char id[sizeof(id_prefix) + ID_DIGITS];

    if (event->which == EVENT_START) {
        e.process_id = id_of(event->start->serial, id);
        e.pid = event->start->pid;
    } else if (event->which == EVENT_DATA) {
        e.type = data->which == DATA_STDERR ? STR("stderr") : STR("stdout");
        e.text = data->which == DATA_STDERR   ? data->stderr_bytes
                 : data->which == DATA_STDOUT ? data->stdout_bytes
                                              : data->pty_bytes;
        if (!utf8_valid(e.text)) {
            e.bytes = e.text;
            e.text = (struct str){NULL, 0};
            e.encoding = STR("base64");
        }
    } else if (event->which == EVENT_END) {
        e.type = STR("exit");
        e.has_exit_code = true;
        e.exit_code = end->exit_code;
        e.error = end->has_error ? end->error : e.error;
    }
    buf_add_text(out, form == CONNECT_EVENTS ? "data: " : "");
    json_encode(&event_message, &e, out);
    buf_add_text(out, form == CONNECT_EVENTS ? "\n\n" : "\n");
}

/* False: no memory. */
static bool describe(const struct process *p, struct arena *a, struct door_process *out)
{
    const struct process_config *c = p->config;
    struct str *cmd = arena_array(a, c == NULL ? 1 : c->args.count + 1, sizeof(cmd[0]));
    char *id = arena_alloc(a, sizeof(id_prefix) + ID_DIGITS);
    struct end_event end;

    if (cmd == NULL || id == NULL)
        return false;
    *out = (struct door_process){
        .process_id = id_of(p->serial, id),
        .pid = (uint32_t)p->pid,
        .state = p->is_ended ? STR("exited") : STR("running"),
        .has_exit_code = p->is_ended,
        .has_exited = p->is_ended,
        .pty = p->is_pty,
        .started = time_of(p->started_ms),
        .exited = time_of(p->ended_ms),
    };
    if (c != NULL) {
        cmd[0] = c->cmd;
        if (c->args.count > 0)
            memcpy(cmd + 1, c->args.items, c->args.count * sizeof(cmd[0]));
        out->cmd = (struct codec_list){cmd, c->args.count + 1};
        out->cwd = c->cwd;
        out->env = c->envs;
    }
    process_end_event(p, &end);
    out->exit_code = end.exit_code;
    return true;
}

static void out_of_memory(struct rpc_peer peer)
{
    rpc_fail(peer, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
}

void agentcube_started(struct rpc_call *call, const struct process *p)
{
    struct door_process out;

    if (describe(p, &call->arena, &out))
        rpc_reply(call->peer, &process_message, &out);
    else
        out_of_memory(call->peer);
}

void door_processes(struct door *d)
{
    const struct process_table *t = &d->call.guest->processes;
    const struct list *lists[] = {&t->running, &t->ended};
    struct door_process *all =
        arena_array(&d->call.arena, t->running_count + t->ended_count + 1, sizeof(all[0]));
    struct door_processes out = {
        {all, 0}
    };

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (struct list_node *n = list_first(lists[i]); n && all; n = list_next(lists[i], n)) {
            const struct process *p = container_of(n, struct process, node);

            if (p->is_ended && !p->is_door)
                continue;
            if (!describe(p, &d->call.arena, &all[out.processes.count++]))
                all = NULL;
        }
    }
    if (all == NULL)
        out_of_memory(d->call.peer);
    else
        rpc_reply(d->call.peer, &processes_message, &out);
}

/* `"30s"`, `"30"` or `30`: seconds. */
static int read_timeout(struct str text, uint64_t *out_ms, struct err *err)
{
    uint64_t seconds = 0;

    if (text.len > 1 && text.at[0] == '"')
        text = str_upto(str_from(text, 1), text.len - 2);
    if (str_has_suffix(text, "s"))
        text.len--;
    if (text.len > 0 && !str_is(text, "null") &&
        (!str_to_u64(text, &seconds) || seconds > TIMEOUT_MAX_S))
        return err_set(err, ERR_INVALID, "timeout is not a number of seconds");
    *out_ms = seconds * 1000;
    return 0;
}

/* true, or {"cols":…,"rows":…}. */
static int read_pty(struct door *d, struct start_request *r, struct err *err)
{
    struct str text = d->in.pty;
    struct arena *a = &d->call.arena;

    if (text.len == 0 || str_is(text, "false") || str_is(text, "null"))
        return 0;
    r->pty = arena_alloc(a, sizeof(*r->pty));
    if (r->pty == NULL || (r->pty->size = arena_alloc(a, sizeof(*r->pty->size))) == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    *r->pty->size = (struct pty_size){80, 24};
    return str_is(text, "true") ? 0 : json_decode(&pty_size_message, text, a, r->pty->size, err);
}

/* What the process keeps is in the arena. */
static int read_start(struct door *d, struct start_request *r, struct err *err)
{
    const struct str *cmd = d->in.cmd.items;
    struct process_config *c = arena_alloc(&d->call.arena, sizeof(*c));

    if (d->in.cmd.count == 0)
        return err_set(err, ERR_INVALID, "cmd is required");
    if (c == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    *c = (struct process_config){
        .cmd = cmd[0],
        .args = {(void *)(uintptr_t)(cmd + 1), d->in.cmd.count - 1}, /* only read */
        .envs = d->in.env,
        .has_cwd = true,
    };
    r->process = c;
    if (read_pty(d, r, err) != 0 || read_timeout(d->in.timeout, &d->call.timeout_ms, err) != 0)
        return -1;
    return workspace_resolve(d->workspace, d->in.cwd, WORKSPACE_FOLLOW, &d->call.arena, &c->cwd,
                             err);
}

static bool accepts(const struct door *d, enum connect_form form)
{
    return http_has_token(exchange_head(d->call.peer.x), "Accept", connect_form_type(form));
}

void door_start(struct door *d)
{
    struct start_request *r = arena_alloc(&d->call.arena, sizeof(*r));
    struct err err;

    if (r == NULL) {
        out_of_memory(d->call.peer);
        return;
    }
    *r = (struct start_request){0};
    if (read_start(d, r, &err) != 0) {
        door_fail(d, &err);
        return;
    }
    if (accepts(d, CONNECT_EVENTS))
        d->call.peer.form = CONNECT_EVENTS;
    else if (accepts(d, CONNECT_LINES))
        d->call.peer.form = CONNECT_LINES;
    door_call(d, process_start_rpc, r);
}

/* "proc_0000002a"; what is none names no process. */
static struct selector selector_of(struct str id)
{
    static const char digits[] = "0123456789abcdef";
    struct selector s = {.which = SELECTOR_SERIAL};

    if (id.len != sizeof(id_prefix) - 1 + ID_DIGITS || !str_has_prefix(id, id_prefix))
        return s;
    for (size_t i = sizeof(id_prefix) - 1; i < id.len; i++) {
        const char *digit = memchr(digits, id.at[i], sizeof(digits) - 1);

        if (digit == NULL)
            return (struct selector){.which = SELECTOR_SERIAL};
        s.pid = s.pid << 4 | (uint32_t)(digit - digits);
    }
    return s;
}

void door_events(struct door *d)
{
    struct selector s = selector_of(d->in.process_id);
    struct selector_request in = {&s};

    d->call.peer.form = accepts(d, CONNECT_EVENTS) ? CONNECT_EVENTS : CONNECT_LINES;
    door_call(d, process_connect_rpc, &in);
}

/* NULL: the call has been answered. */
static struct process *find(struct door *d, struct selector *out)
{
    *out = selector_of(d->in.process_id);
    return process_of_call(&d->call, out, false);
}

void door_input(struct door *d)
{
    struct selector s;
    struct process *p = find(d, &s);
    struct str data = d->in.data;
    struct process_input_data input;
    struct send_input_request in = {&s, &input};
    uint8_t *bytes;
    ssize_t len;

    if (p == NULL)
        return;
    if (str_is(d->in.encoding, "base64")) {
        bytes = arena_alloc(&d->call.arena, base64_decoded_max(data.len) + 1);
        len = bytes == NULL ? -1 : base64_decode(data, bytes);
        if (len < 0) {
            rpc_fail(d->call.peer, CONNECT_INVALID_ARGUMENT, "data is not base64");
            return;
        }
        data = (struct str){(const char *)bytes, (size_t)len};
    }
    input = (struct process_input_data){p->is_pty ? INPUT_PTY : INPUT_STDIN, data, data};
    door_call(d, process_send_input_rpc, &in);
}

void door_close_stdin(struct door *d)
{
    struct selector s;
    struct selector_request in = {&s};
    const struct process *p = find(d, &s);

    if (p != NULL && p->is_pty)
        rpc_fail(d->call.peer, CONNECT_FAILED_PRECONDITION,
                 "the input of a terminal is not closed: send Ctrl+D (0x04) to it");
    else if (p != NULL)
        door_call(d, process_close_stdin_rpc, &in);
}

/* `"SIGTERM"`, `"term"`, `"15"` or `15`; 0 when it is none of them. */
static int signal_of(struct str text)
{
    static const struct {
        char name[5];
        uint8_t number;
    } rows[] = {
        {"HUP",  SIGHUP },
        {"INT",  SIGINT },
        {"QUIT", SIGQUIT},
        {"KILL", SIGKILL},
        {"USR1", SIGUSR1},
        {"USR2", SIGUSR2},
        {"TERM", SIGTERM},
        {"CONT", SIGCONT},
        {"STOP", SIGSTOP},
    };
    uint64_t number = 0;

    if (text.len > 1 && text.at[0] == '"')
        text = str_upto(str_from(text, 1), text.len - 2);
    if (str_ieq(str_upto(text, 3), STR("SIG")))
        text = str_from(text, 3);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (str_ieq(text, str_of(rows[i].name)))
            return rows[i].number;
    }
    return str_to_u64(text, &number) && number < 32 ? (int)number : 0;
}

void door_signal(struct door *d)
{
    struct selector s;
    struct process *p = find(d, &s);
    int signal = signal_of(d->in.signal);

    if (p == NULL)
        return;
    if (signal == 0) {
        rpc_fail(d->call.peer, CONNECT_INVALID_ARGUMENT, "signal is no name or number of one");
        return;
    }
    process_signal(p, signal);
    rpc_reply(d->call.peer, &empty_message, NULL);
}
