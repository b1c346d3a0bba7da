/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of Jupyter kernels: requests go over "shell", everything that a cell says comes over
 * "iopub". A job is done when its reply and its "idle" are here. Unix sockets in our private
 * directory, so that nobody else in the sandbox can listen or speak. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "interpreter/driver.h"
#include "interpreter/jupyter_message.h"
#include "interpreter/lines.h"
#include "interpreter/zmtp.h"

enum {
    CONNECT_MS = 5, /* between looks for the sockets of a kernel that starts */
    GREET_MS = 20,  /* between questions whether it hears us, and we it */
    SHELL_PORT = 1, /* "ports" of sockets are parts of their names */
    IOPUB_PORT = 2,
    STDIN_PORT = 3,
    CONTROL_PORT = 4,
    HEARTBEAT_PORT = 5,
    ARENA_MAX = 3 * ZMTP_MESSAGE_MAX,
    PATH_BYTES = 4096,
};

struct jupyter {
    struct kernel *k;
    struct jupyter_session session;
    struct zmtp shell, iopub;
    struct timer retry;
    char job[UUID_LEN + 1]; /* the request under way; empty: none */
    char greeting[UUID_LEN + 1];
    bool hears_iopub, is_idle, is_replied;
    struct buf out, mem;
};

static void greet(void *ctx);

static int write_connection(const struct kernel *k, const struct jupyter *j, struct err *err)
{
    char path[PATH_BYTES], text[PATH_BYTES + 512];
    auto_fd int fd = -1;
    int len;

    snprintf(path, sizeof(path), "%s.json", k->name);
    len = snprintf(text, sizeof(text),
                   "{\"transport\":\"ipc\",\"ip\":\"%s\",\"shell_port\":%d,\"iopub_port\":%d,"
                   "\"stdin_port\":%d,\"control_port\":%d,\"hb_port\":%d,\"key\":\"%s\","
                   "\"signature_scheme\":\"hmac-sha256\",\"kernel_name\":\"%s\"}\n",
                   k->name, SHELL_PORT, IOPUB_PORT, STDIN_PORT, CONTROL_PORT, HEARTBEAT_PORT,
                   j->session.key, k->language->name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, (size_t)len) != len)
        return err_sys(err, errno, "write '%s'", path);
    return 0;
}

static int open_null(struct child_fd *fds, size_t *count, struct err *err)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, errno, "open '/dev/null'");
    fds[(*count)++] = (struct child_fd){fd, 0};
    return 0;
}

static int jupyter_open(struct kernel *k, struct child_fd *fds, size_t *fd_count, struct err *err)
{
    struct jupyter *j = mem_zero(sizeof(*j));

    k->state = j;
    j->k = k;
    jupyter_session_init(&j->session);
    buf_init(&j->out, DRIVER_LINE_MAX);
    buf_init(&j->mem, 2 * ZMTP_MESSAGE_MAX);
    return write_connection(k, j, err) != 0 ? -1 : open_null(fds, fd_count, err);
}

static void send_request(struct jupyter *j, const struct jupyter_request *r)
{
    struct str frames[JUPYTER_FRAMES];

    jupyter_write(&j->session, r, &j->mem, frames);
    if (buf_ok(&j->mem))
        zmtp_send(&j->shell, frames, COUNT_OF(frames));
    else
        kernel_lost(j->k, "a request is too large");
}

/* What a kernel says. */

static bool is_of_job(const struct jupyter *j, const struct jupyter_message *m)
{
    return j->job[0] != '\0' && str_is(m->parent_id, j->job);
}

static void finish_when_done(struct jupyter *j)
{
    if (!j->is_idle || !j->is_replied || j->job[0] == '\0')
        return;
    j->job[0] = '\0';
    kernel_done(j->k);
}

static int on_status(struct jupyter *j, struct str content, struct arena *a, struct err *err)
{
    struct jupyter_state s;

    if (jupyter_read_state(content, a, &s, err) != 0)
        return -1;
    j->is_idle = j->is_idle || str_is(s.execution_state, "idle");
    return 0;
}

static int on_input(struct jupyter *j, struct str content, struct arena *a, struct err *err)
{
    struct jupyter_state s;

    if (jupyter_read_state(content, a, &s, err) != 0)
        return -1;
    line_count(&j->out, s.execution_count);
    return 0;
}

static int on_stream(struct jupyter *j, struct str content, struct arena *a, struct err *err)
{
    struct jupyter_stream s;

    if (jupyter_read_stream(content, a, &s, err) != 0)
        return -1;
    line_stream(&j->out, str_is(s.name, "stderr"), s.text);
    return 0;
}

static int on_display(struct jupyter *j, struct str content, struct arena *a, struct err *err)
{
    struct jupyter_display d;

    if (jupyter_read_display(content, a, &d, err) != 0)
        return -1;
    line_result(&j->out, false, &d.data);
    return 0;
}

static int on_result(struct jupyter *j, struct str content, struct arena *a, struct err *err)
{
    struct jupyter_display d;

    if (jupyter_read_display(content, a, &d, err) != 0)
        return -1;
    line_result(&j->out, true, &d.data);
    return 0;
}

static int on_error(struct jupyter *j, struct str content, struct arena *a, struct err *err)
{
    struct jupyter_error e;
    const struct str *lines;
    struct buf traceback;

    if (jupyter_read_error(content, a, &e, err) != 0)
        return -1;
    lines = e.traceback.items;
    buf_init(&traceback, ZMTP_MESSAGE_MAX);
    for (size_t i = 0; i < e.traceback.count; i++) {
        buf_add_text(&traceback, i == 0 ? "" : "\n");
        buf_add_str(&traceback, lines[i]);
    }
    line_error(&j->out, e.name, e.value, buf_str(&traceback));
    buf_done(&traceback);
    return 0;
}

struct kind {
    const char *type;
    int (*read)(struct jupyter *j, struct str content, struct arena *a, struct err *err);
};

static const struct kind kinds[] = {
    {"status",         on_status },
    {"execute_input",  on_input  },
    {"stream",         on_stream },
    {"display_data",   on_display},
    {"execute_result", on_result },
    {"error",          on_error  },
};

static void read_iopub(struct jupyter *j, const struct jupyter_message *m, struct arena *a)
{
    struct err err;

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!str_is(m->type, kinds[i].type))
            continue;
        if (kinds[i].read(j, m->content, a, &err) != 0)
            line_error(&j->out, STR("UnreadableOutput"), str_of(err.text), STR(""));
        break;
    }
    if (!buf_ok(&j->out)) {
        buf_done(&j->out);
        line_error(&j->out, STR("OutputTooLarge"), STR("an output is too large to be sent"),
                   STR(""));
    }
    kernel_output(j->k, buf_str(&j->out));
    buf_clear(&j->out);
    if (j->out.cap > STREAM_READ)
        buf_done(&j->out);
}

static void on_iopub(void *ctx, const struct str *frames, size_t count)
{
    struct jupyter *j = ctx;
    struct jupyter_message m;
    struct arena a;
    struct err err;

    arena_init(&a, ARENA_MAX);
    j->hears_iopub = true;
    if (jupyter_read(&j->session, frames, count, &a, &m, &err) == 0 && is_of_job(j, &m))
        read_iopub(j, &m, &a);
    arena_done(&a);
    finish_when_done(j);
}

static void on_dropped(void *ctx)
{
    struct jupyter *j = ctx;

    line_error(&j->out, STR("OutputTooLarge"), STR("an output of more than 32 MiB was dropped"),
               STR(""));
    kernel_output(j->k, buf_str(&j->out));
    buf_clear(&j->out);
}

static void read_reply(struct jupyter *j, const struct jupyter_message *m, struct arena *a)
{
    struct jupyter_state s;
    struct err err;

    if (str_is(m->type, "kernel_info_reply") && !j->k->is_ready) {
        if (j->hears_iopub) {
            timer_stop(&j->retry);
            kernel_ready(j->k);
        } else {
            timer_start(j->k->place.loop, &j->retry, GREET_MS, greet, j);
        }
        return;
    }
    if (!str_is(m->type, "execute_reply") || !is_of_job(j, m))
        return;
    j->is_replied = true;
    if (jupyter_read_state(m->content, a, &s, &err) == 0 && str_is(s.status, "aborted")) {
        line_error(&j->out, STR("ExecutionAborted"), STR("the kernel aborted the execution"),
                   STR(""));
        kernel_output(j->k, buf_str(&j->out));
        buf_clear(&j->out);
        j->is_idle = true; /* it does not say so for one that never began */
    }
    finish_when_done(j);
}

static void on_shell(void *ctx, const struct str *frames, size_t count)
{
    struct jupyter *j = ctx;
    struct jupyter_message m;
    struct arena a;
    struct err err;

    arena_init(&a, ARENA_MAX);
    if (jupyter_read(&j->session, frames, count, &a, &m, &err) == 0)
        read_reply(j, &m, &a);
    arena_done(&a);
}

/* Coming together. */

static void on_lost(void *ctx, const char *why)
{
    struct jupyter *j = ctx;

    zmtp_close(&j->shell);
    zmtp_close(&j->iopub);
    timer_stop(&j->retry);
    kernel_lost(j->k, why);
}

static void greet(void *ctx)
{
    struct jupyter *j = ctx;

    id_uuid(j->greeting);
    send_request(
        j, &(struct jupyter_request){"kernel_info_request", j->greeting, STR("{}"), STR("{}")});
}

static int connect_to(struct jupyter *j, struct zmtp *z, enum zmtp_kind kind, int port)
{
    static const struct zmtp_events shell = {NULL, on_shell, on_dropped, on_lost};
    static const struct zmtp_events iopub = {NULL, on_iopub, on_dropped, on_lost};
    static const char separators[] = "-:"; /* ipykernel's and IRkernel's */
    char path[PATH_BYTES];
    struct err err;

    for (const char *s = separators; *s != '\0'; s++) {
        snprintf(path, sizeof(path), "%s%c%d", j->k->name, *s, port);
        if (zmtp_open(z, j->k->place.loop, path, kind, kind == ZMTP_SUB ? &iopub : &shell, j,
                      &err) == 0)
            return 0;
        z->events = NULL;
    }
    return -1;
}

static void try_connect(void *ctx)
{
    struct jupyter *j = ctx;

    if (j->iopub.events == NULL && connect_to(j, &j->iopub, ZMTP_SUB, IOPUB_PORT) != 0) {
        timer_start(j->k->place.loop, &j->retry, CONNECT_MS, try_connect, j);
        return;
    }
    if (connect_to(j, &j->shell, ZMTP_DEALER, SHELL_PORT) != 0) {
        timer_start(j->k->place.loop, &j->retry, CONNECT_MS, try_connect, j);
        return;
    }
    greet(j);
}

static void jupyter_started(struct kernel *k)
{
    struct jupyter *j = k->state;

    timer_start(k->place.loop, &j->retry, CONNECT_MS, try_connect, j);
}

static void jupyter_execute(struct kernel *k, const struct kernel_job *job)
{
    struct jupyter *j = k->state;
    struct buf content, metadata;

    buf_init(&content, ZMTP_MESSAGE_MAX);
    buf_init(&metadata, ZMTP_MESSAGE_MAX);
    buf_add_text(&content, "{\"silent\":false,\"store_history\":true,\"user_expressions\":{},"
                           "\"allow_stdin\":false,\"stop_on_error\":false,\"code\":");
    json_quote(&content, job->code);
    buf_add_byte(&content, '}');
    buf_add_text(&metadata, "{\"sandlot\":{\"envs\":");
    buf_add_str(&metadata, job->envs.len > 0 ? job->envs : STR("{}"));
    buf_add_text(&metadata, ",\"globals\":");
    buf_add_str(&metadata, job->globals.len > 0 ? job->globals : STR("{}"));
    buf_add_text(&metadata, "}}");
    id_uuid(j->job);
    j->is_idle = j->is_replied = false;
    if (buf_ok(&content) && buf_ok(&metadata))
        send_request(j, &(struct jupyter_request){"execute_request", j->job, buf_str(&metadata),
                                                  buf_str(&content)});
    else
        kernel_lost(k, "a request is too large");
    buf_done(&content);
    buf_done(&metadata);
    buf_done(&j->mem);
}

static void jupyter_interrupt(struct kernel *k)
{
    kernel_signal(k, SIGINT);
}

static void jupyter_pause(struct kernel *k, bool is_paused)
{
    struct jupyter *j = k->state;

    zmtp_pause(&j->iopub, is_paused);
}

static void jupyter_close(struct kernel *k)
{
    static const char *const files[] = {".json", "-1", "-2", "-3", "-4", "-5",
                                        ":1",    ":2", ":3", ":4", ":5"};
    struct jupyter *j = k->state;
    char path[PATH_BYTES];

    timer_stop(&j->retry);
    zmtp_close(&j->shell);
    zmtp_close(&j->iopub);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        snprintf(path, sizeof(path), "%s%s", k->name, files[i]);
        ignore(unlink(path)); /* it may have removed its own */
    }
}

static void jupyter_free(struct kernel *k)
{
    struct jupyter *j = k->state;

    buf_done(&j->out);
    buf_done(&j->mem);
    free(j);
}

const struct driver jupyter_driver = {
    jupyter_open,  jupyter_started, jupyter_execute, jupyter_interrupt,
    jupyter_pause, jupyter_close,   jupyter_free,
};
