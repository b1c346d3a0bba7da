/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a guest over a socket that node made; see guest_call.h. Commands are Connect-RPC's
 * process.Process/Start in protobuf (wire.md 3.2, 3.5). */
#include "build/guest_call.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "http/client.h"
#include "http/connect.h"

enum {
    REQUEST_MAX = 2 << 20,
    MESSAGE_MAX = 1 << 20,
    MESSAGE_MEM_MAX = 2 << 20,
    PIECE = 12 << 10,      /* of a file */
    SILENT_MS = 60 * 1000, /* without an answer to what is quick */
    TARGET_MAX = 1024,
};

struct process_config {
    struct str cmd;
    struct codec_list args, envs;
    struct str cwd;
    bool has_cwd;
};

struct start_request {
    struct process_config *process;
    bool stdin_open, has_stdin;
};

struct data_event {
    struct str out, err, pty;
    uint32_t which;
};

struct end_event {
    int32_t exit_code;
    bool exited;
    struct str status, error;
};

struct process_event {
    struct data_event *data;
    struct end_event *end;
    uint32_t which;
};

struct start_response {
    struct process_event *event;
};

/* clang-format off */
static const struct codec_field config_fields[] = {
    {1, "cmd", CODEC_STRING, 0, offsetof(struct process_config, cmd)},
    {2, "args", CODEC_STRING, CODEC_REPEATED, offsetof(struct process_config, args)},
    {3, "envs", CODEC_MAP, 0, offsetof(struct process_config, envs)},
    {4, "cwd", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct process_config, cwd), offsetof(struct process_config, has_cwd)},
};
static const struct codec_message config_message =
    {NULL, sizeof(struct process_config), config_fields, COUNT_OF(config_fields)};

static const struct codec_field start_fields[] = {
    {1, "process", CODEC_MESSAGE, 0, offsetof(struct start_request, process), 0, &config_message},
    {4, "stdin", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct start_request, stdin_open), offsetof(struct start_request, has_stdin)},
};
static const struct codec_message start_message =
    {NULL, sizeof(struct start_request), start_fields, COUNT_OF(start_fields)};

static const struct codec_field data_fields[] = {
    {1, "stdout", CODEC_BYTES, CODEC_ONEOF, offsetof(struct data_event, out), offsetof(struct data_event, which)},
    {2, "stderr", CODEC_BYTES, CODEC_ONEOF, offsetof(struct data_event, err), offsetof(struct data_event, which)},
    {3, "pty", CODEC_BYTES, CODEC_ONEOF, offsetof(struct data_event, pty), offsetof(struct data_event, which)},
};
static const struct codec_message data_message =
    {NULL, sizeof(struct data_event), data_fields, COUNT_OF(data_fields)};

static const struct codec_field end_fields[] = {
    {1, "exitCode", CODEC_SINT32, 0, offsetof(struct end_event, exit_code)},
    {2, "exited", CODEC_BOOL, 0, offsetof(struct end_event, exited)},
    {3, "status", CODEC_STRING, 0, offsetof(struct end_event, status)},
    {4, "error", CODEC_STRING, 0, offsetof(struct end_event, error)},
};
static const struct codec_message end_message =
    {NULL, sizeof(struct end_event), end_fields, COUNT_OF(end_fields)};

static const struct codec_field event_fields[] = {
    {2, "data", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct process_event, data), offsetof(struct process_event, which), &data_message},
    {3, "end", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct process_event, end), offsetof(struct process_event, which), &end_message},
};
static const struct codec_message event_message =
    {NULL, sizeof(struct process_event), event_fields, COUNT_OF(event_fields)};

static const struct codec_field response_fields[] = {
    {1, "event", CODEC_MESSAGE, 0, offsetof(struct start_response, event), 0, &event_message},
};
static const struct codec_message response_message =
    {NULL, sizeof(struct start_response), response_fields, COUNT_OF(response_fields)};
/* clang-format on */

enum call_kind {
    CALL_RUN,
    CALL_PUT,
    CALL_GET,
};

struct guest_call {
    struct loop *loop;
    struct build_guest *guest;
    enum call_kind kind;
    uint16_t port;
    char target[TARGET_MAX];
    char authorization[128];
    uint64_t timeout_ms; /* of a command */
    struct buf request;  /* CALL_RUN: the envelope */
    int file_fd;         /* CALL_PUT */
    uint64_t file_size;
    struct http_conn *conn; /* NULL: not connected yet */
    unsigned status;
    struct buf gathered; /* of an envelope; of an answer that is an error, its text */
    bool has_end;
    int code;
    struct timer deadline;
    const struct guest_events *events;
    void *ctx;
};

void guest_call_free(struct guest_call *c)
{
    if (c == NULL)
        return;
    timer_stop(&c->deadline);
    http_conn_free(c->conn);
    own_close_fd(&c->file_fd);
    if (c->request.at != NULL)
        explicit_bzero(c->request.at, c->request.len);
    buf_done(&c->request);
    buf_done(&c->gathered);
    build_guest_forget_dial(c->guest, c);
    free(c);
}

static void end(struct guest_call *c, int code, const struct err *err)
{
    const struct guest_events *events = c->events;
    void *ctx = c->ctx;
    struct err why = {0};

    if (err != NULL)
        why = *err;
    guest_call_free(c);
    events->on_end(ctx, code, err == NULL ? NULL : &why);
}

static void fail(struct guest_call *c, const char *what)
{
    struct err err = {0};

    err_set(&err, ERR_SYSTEM, "%s: %.*s", what, STR_ARG(str_upto(buf_str(&c->gathered), 160)));
    end(c, 0, &err);
}

static void on_silent(void *ctx)
{
    struct err err = {0};

    err_set(&err, ERR_TIMEOUT, "the sandbox of the build does not answer");
    end(ctx, 0, &err);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct guest_call *c = ctx;

    c->status = h->status;
    if (c->kind == CALL_RUN)
        timer_stop(&c->deadline); /* from here on keepalives tell, and envd has the time */
}

/* False: no more is wanted. */
static bool on_event(struct guest_call *c, const struct process_event *e)
{
    if (e->data != NULL && c->events->on_output != NULL) {
        if (e->data->which == 2)
            c->events->on_output(c->ctx, true, e->data->err);
        else
            c->events->on_output(c->ctx, false, e->data->out);
    }
    if (e->end == NULL)
        return true;
    c->has_end = true;
    c->code = e->end->exited ? e->end->exit_code : 128;
    return false;
}

/* -1: the call has ended. */
static int on_envelope(struct guest_call *c, const struct envelope *e)
{
    struct start_response r = {0};
    struct arena mem;
    bool goes_on = true;
    struct err err = {0};

    if ((e->flags & ENVELOPE_END) != 0) {
        buf_clear(&c->gathered);
        buf_add_str(&c->gathered, str_upto(e->payload, 200));
        fail(c, "the command could not be run");
        return -1;
    }
    arena_init(&mem, MESSAGE_MEM_MAX);
    if (proto_decode(&response_message, e->payload, &mem, &r, &err) == 0 && r.event != NULL)
        goes_on = on_event(c, r.event);
    arena_done(&mem);
    if (err.kind != ERR_NONE) {
        end(c, 0, &err);
        return -1;
    }
    if (!goes_on) {
        end(c, c->code, NULL);
        return -1;
    }
    return 0;
}

static size_t on_stream(struct guest_call *c, struct str data)
{
    size_t used = 0;

    while (used < data.len) {
        struct envelope e = {0};
        ssize_t n = envelope_gather(&c->gathered, str_from(data, used), MESSAGE_MAX, &e);

        if (n < 0) {
            fail(c, "the guest sent what is no message");
            return data.len;
        }
        used += (size_t)n;
        if (!e.is_whole)
            continue;
        if (on_envelope(c, &e) != 0)
            return data.len;
        buf_done(&c->gathered);
    }
    return data.len;
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct guest_call *c = ctx;
    size_t len = data.len;

    if (c->kind == CALL_RUN && c->status == 200 && !is_last)
        return on_stream(c, data);
    if (!is_last) {
        buf_add_str(&c->gathered, str_upto(data, buf_left(&c->gathered)));
        return len;
    }
    if (c->kind == CALL_GET || (c->kind == CALL_PUT && c->status < 300))
        end(c, (int)c->status, NULL);
    else
        fail(c, c->kind == CALL_PUT ? "files could not be copied into the sandbox"
                                    : "the command could not be run");
    return 0;
}

/* Of the file, as much as the connection takes. */
static void send_file(void *ctx)
{
    struct guest_call *c = ctx;
    char piece[PIECE];

    while (c->kind == CALL_PUT && c->file_fd >= 0) {
        ssize_t n = read(c->file_fd, piece, sizeof(piece));

        if (n < 0 && errno == EINTR)
            continue;
        timer_start(c->loop, &c->deadline, SILENT_MS, on_silent, c);
        if (n <= 0) {
            own_close_fd(&c->file_fd);
            c->file_fd = -1;
            http_conn_end(c->conn);
            return;
        }
        if (!http_conn_write(c->conn, (struct str){piece, (size_t)n}))
            return;
    }
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore((long)is_fresh);
    end(ctx, 0, err);
}

static const struct call_events call_events = {on_head, on_body, send_file, on_fail};

static void send_request(struct guest_call *c)
{
    char timeout[24];
    const struct http_field fields[] = {
        {STR("Host"),                     STR("localhost")                                       },
        {STR("X-Access-Token"),           build_guest_token(c->guest)                            },
        {STR("Authorization"),            str_of(c->authorization)                               },
        {STR("Content-Type"),
         c->kind == CALL_RUN ? STR("application/connect+proto") : STR("application/octet-stream")},
        {STR("Connect-Protocol-Version"), STR("1")                                               },
        {STR("Connect-Timeout-Ms"),       str_of(timeout)                                        },
    };
    struct call_request r = {
        .method = c->kind == CALL_GET ? STR("GET") : STR("POST"),
        .target = str_of(c->target),
        .fields = fields,
        .field_count = c->kind == CALL_GET ? 1 : COUNT_OF(fields) - (c->timeout_ms == 0),
        .length = c->kind == CALL_PUT ? (int64_t)c->file_size : (int64_t)c->request.len,
    };

    ignore(snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)c->timeout_ms));
    http_conn_call(c->conn, &r, &call_events, c);
    if (c->request.len > 0)
        ignore((long)http_conn_write(c->conn, buf_str(&c->request)));
    if (c->kind == CALL_PUT)
        send_file(c);
    else
        http_conn_end(c->conn);
}

static void on_dialed(void *ctx, int fd, const struct err *err)
{
    struct guest_call *c = ctx;
    struct err why = {0};

    if (err != NULL) {
        end(c, 0, err);
        return;
    }
    if (http_conn_new(c->loop, fd, true, &c->conn, &why) != 0) {
        end(c, 0, &why);
        return;
    }
    timer_start(c->loop, &c->deadline, SILENT_MS, on_silent, c);
    send_request(c);
}

static struct guest_call *call_new(struct loop *l, struct build_guest *g, enum call_kind kind,
                                   const struct guest_events *events, void *ctx)
{
    struct guest_call *c = mem_zero(sizeof(*c));

    c->loop = l;
    c->guest = g;
    c->kind = kind;
    c->port = ENVD_PORT;
    c->file_fd = -1;
    c->events = events;
    c->ctx = ctx;
    buf_init(&c->request, REQUEST_MAX);
    buf_init(&c->gathered, MESSAGE_MAX + ENVELOPE_HEAD);
    return c;
}

static void authorize(struct guest_call *c, struct str user)
{
    struct buf text, plain;

    buf_init(&plain, sizeof(c->authorization));
    buf_init(&text, sizeof(c->authorization) - 1);
    buf_printf(&plain, "%.*s:", STR_ARG(user));
    buf_add_text(&text, "Basic ");
    base64_encode(&text, plain.at, plain.len);
    if (buf_ok(&text) && buf_ok(&plain))
        ignore(str_to_c(buf_str(&text), c->authorization, sizeof(c->authorization)));
    buf_done(&plain);
    buf_done(&text);
}

static int begin(struct guest_call *c, struct guest_call **out, struct err *err)
{
    if (build_guest_dial(c->guest, c->port, on_dialed, c, err) != 0) {
        guest_call_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

int guest_run(struct loop *l, struct build_guest *g, const struct guest_command *command,
              const struct guest_events *events, void *ctx, struct guest_call **out,
              struct err *err)
{
    struct guest_call *c = call_new(l, g, CALL_RUN, events, ctx);
    struct process_config process = {command->program, command->args, command->env, command->cwd,
                                     command->cwd.len > 0};
    struct start_request request = {.process = &process, .has_stdin = true};
    uint8_t head[ENVELOPE_HEAD];
    struct buf message;

    authorize(c, command->user);
    c->timeout_ms = command->timeout_ms;
    ignore(snprintf(c->target, sizeof(c->target), "/process.Process/Start"));
    buf_init(&message, REQUEST_MAX - ENVELOPE_HEAD);
    proto_encode(&start_message, &request, &message);
    envelope_head(0, (uint32_t)message.len, head);
    buf_add(&c->request, head, sizeof(head));
    buf_add_str(&c->request, buf_str(&message));
    if (!buf_ok(&message) || !buf_ok(&c->request) || c->authorization[0] == '\0') {
        buf_done(&message);
        guest_call_free(c);
        return err_set(err, ERR_INVALID, "the command, its user or environment are too large");
    }
    buf_done(&message);
    return begin(c, out, err);
}

int guest_put(struct loop *l, struct build_guest *g, struct str path, int fd,
              const struct guest_events *events, void *ctx, struct guest_call **out,
              struct err *err)
{
    struct guest_call *c = call_new(l, g, CALL_PUT, events, ctx);
    struct stat st;

    c->file_fd = fd;
    authorize(c, STR("root"));
    if (fstat(fd, &st) != 0) {
        guest_call_free(c);
        return err_sys(err, errno, "look at the uploaded files");
    }
    c->file_size = (uint64_t)st.st_size;
    ignore(snprintf(c->target, sizeof(c->target), "/files?path=%.*s&username=root", STR_ARG(path)));
    return begin(c, out, err);
}

int guest_get(struct loop *l, struct build_guest *g, uint16_t port, struct str path,
              const struct guest_events *events, void *ctx, struct guest_call **out,
              struct err *err)
{
    struct guest_call *c = call_new(l, g, CALL_GET, events, ctx);

    c->port = port;
    ignore(snprintf(c->target, sizeof(c->target), "%.*s", STR_ARG(path)));
    return begin(c, out, err);
}
