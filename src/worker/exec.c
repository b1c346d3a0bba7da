/* SPDX-License-Identifier: Apache-2.0 */
/* The provider's exec: one program, without a shell. */
#include "worker/exec.h"

#include "base/digest.h"

enum {
    RESULT_MAX = 60 << 20,
    EXIT_NOT_FOUND = 127,
    EXIT_NOT_EXECUTABLE = 126,
};

/* In the order of the provider's table. */
enum {
    EXEC_ID,
    EXEC_CMD,
    EXEC_ARGS,
    EXEC_ENV,
    EXEC_CWD,
    EXEC_TIMEOUT,
};

bool exec_was_not_found(const struct process_end *end, int *out_code)
{
    if (end->refused_code.len == 0)
        return false;
    if (str_is(end->refused_code, "not_found"))
        *out_code = EXIT_NOT_FOUND;
    else if (str_is(end->refused_code, "permission_denied"))
        *out_code = EXIT_NOT_EXECUTABLE;
    else
        return false;
    return true;
}

void exec_put_output(const struct process_end *end, struct buf *out)
{
    bool is_text = utf8_valid(buf_str(&end->out)) && utf8_valid(buf_str(&end->err));
    int code;

    buf_add_text(out, "\"stdout\":");
    json_quote(out, buf_str(&end->out));
    buf_add_text(out, ",\"stderr\":");
    json_quote(out, exec_was_not_found(end, &code) ? end->refused_text : buf_str(&end->err));
    if (!is_text)
        buf_add_text(out, ",\"output_was_not_utf8\":true");
    if (end->is_cut)
        buf_add_text(out, ",\"output_was_cut\":true");
}

void exec_refuse(struct job *j, const struct process_end *end)
{
    enum fault f = FAULT_UPSTREAM;

    if (str_is(end->refused_code, "invalid_argument") ||
        str_is(end->refused_code, "failed_precondition"))
        f = FAULT_INPUT;
    else if (str_is(end->refused_code, "resource_exhausted"))
        f = FAULT_EXEC_CAP;
    job_fault(j, f, "%.*s", STR_ARG(end->refused_text));
}

static void on_end(struct job *j, const struct process_end *end)
{
    int code = end->exit_code;
    struct buf out;

    if (!exec_was_not_found(end, &code) && end->refused_code.len > 0) {
        exec_refuse(j, end);
        return;
    }
    buf_init(&out, RESULT_MAX);
    buf_add_byte(&out, '{');
    exec_put_output(end, &out);
    buf_printf(&out, ",\"exit_code\":%d,\"timed_out\":%s}", end->timed_out && code == 0 ? -1 : code,
               end->timed_out ? "true" : "false");
    job_done(j, &out);
}

static void start(struct job *j)
{
    const struct arg *args = j->args;
    const struct process_spec spec = {
        .cmd = args[EXEC_CMD].text,
        .cwd = args[EXEC_CWD].text,
        .args = args[EXEC_ARGS].list,
        .envs = args[EXEC_ENV].list,
        .timeout_ms = args[EXEC_TIMEOUT].is_set ? (uint64_t)args[EXEC_TIMEOUT].number
                                                : j->worker->settings.exec_timeout_ms,
    };

    process_run(j, &spec, on_end);
}

void run_exec(struct job *j)
{
    const struct arg *timeout = &j->args[EXEC_TIMEOUT];
    uint64_t max = j->worker->settings.exec_timeout_max_ms;

    if (j->args[EXEC_CMD].text.len == 0) {
        job_fault(j, FAULT_INPUT, "field 'cmd' is empty");
        return;
    }
    if (timeout->is_set && (uint64_t)timeout->number > max) {
        job_fault(j, FAULT_INPUT, "field 'timeout_ms' must be an integer from 1 to %llu",
                  (unsigned long long)max);
        return;
    }
    api_with_box(j, j->args[EXEC_ID].text, start);
}
