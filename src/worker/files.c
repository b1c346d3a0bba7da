/* SPDX-License-Identifier: Apache-2.0 */
/* The provider's fs::read and fs::write: envd's /files, whole files. */
#include "worker/files.h"

#include <stdio.h>

#include "base/id.h"

enum {
    RESULT_MAX = 62 << 20,
    FILE_MAX = 44 << 20, /* what fits a message of 64 MiB in base64 */
    PATH_LEN_MAX = 1024,
    HEAD_MAX = 1024,
    MODE_MS = 10 * 1000,
};

/* In the order of the provider's table. */
enum {
    FILE_ID,
    FILE_PATH,
    FILE_BYTES,
    FILE_MODE,
};

void files_fault(struct job *j, const struct upstream_answer *a)
{
    bool is_envds =
        memmem(a->body.at == NULL ? "" : a->body.at, a->body.len, "sandboxId", 9) == NULL;
    struct buf text;
    enum fault f;

    switch (a->status) {
    case 400: f = FAULT_FS_REQUEST; break;
    case 404: f = FAULT_FS_MISSING; break;
    case 403: f = FAULT_FS_DENIED; break;
    case 409: f = FAULT_FS_EXISTS; break;
    case 507: f = FAULT_FS_IO; break;
    default: is_envds = false; f = FAULT_FS_IO;
    }
    if (!is_envds || a->is_cut) {
        api_box_trouble(j, a);
        return;
    }
    buf_init(&text, 1024);
    upstream_text(j->worker, a, &text);
    job_fault(j, f, "%.*s", STR_ARG(buf_str(&text)));
    buf_done(&text);
}

bool files_came(struct job *j, const struct upstream_answer *a, size_t max)
{
    if (a->status == 200 && !a->is_cut)
        return true;
    if (a->status == 200 && a->err.kind == ERR_LIMIT)
        job_fault(j, FAULT_CAPACITY, "the file is larger than %zu MiB", max >> 20);
    else
        files_fault(j, a);
    return false;
}

static bool path_is_good(struct job *j, struct str path)
{
    if (path.len > 0 && path.len <= PATH_LEN_MAX && memchr(path.at, '\0', path.len) == NULL)
        return true;
    job_fault(j, FAULT_INPUT, "field 'path' is no path");
    return false;
}

static void on_read(struct job *j, const struct upstream_answer *a)
{
    struct buf out;

    if (!files_came(j, a, FILE_MAX))
        return;
    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"bytes_base64\":\"");
    base64_encode(&out, a->body.at, a->body.len);
    buf_add_text(&out, "\"}");
    job_done(j, &out);
}

static void read_file(struct job *j)
{
    char *target = guest_file_target(j, "/files", j->args[FILE_PATH].text);
    struct upstream_ask ask;

    if (target == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    ask = guest_ask(j, "GET", target);
    ask.answer_max = FILE_MAX;
    job_ask(j, &ask, on_read);
}

void run_read(struct job *j)
{
    if (path_is_good(j, j->args[FILE_PATH].text))
        api_with_box(j, j->args[FILE_ID].text, read_file);
}

void files_put(struct job *j, struct str path, struct str bytes, job_answer_fn *then)
{
    char *target = guest_file_target(j, "/files", path);
    char boundary[33], type[96];
    struct upstream_ask ask;
    struct buf body;

    if (target == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    id_text(boundary, sizeof(boundary) - 1); /* no file holds it but by a miracle */
    boundary[sizeof(boundary) - 1] = '\0';
    ignore(snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", boundary));
    buf_init(&body, bytes.len + HEAD_MAX);
    buf_printf(&body,
               "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n"
               "Content-Type: application/octet-stream\r\n\r\n",
               boundary);
    buf_add_str(&body, bytes);
    buf_printf(&body, "\r\n--%s--\r\n", boundary);
    ask = guest_ask(j, "POST", target);
    ask.fields[ask.field_count++] = (struct http_field){STR("Content-Type"), str_of(type)};
    ask.body = &body;
    job_ask(j, &ask, then);
}

static void written(struct job *j)
{
    struct buf out;

    buf_init(&out, 16);
    buf_add_text(&out, "{}");
    job_done(j, &out);
}

static void on_mode_set(struct job *j, const struct process_end *end)
{
    if (end->has_exited && end->exit_code == 0)
        written(j);
    else
        job_fault(j, FAULT_FS_IO, "the file was written; its mode could not be set");
}

void files_chmod(struct job *j, struct str path, int64_t mode, process_fn *then)
{
    struct str *args = arena_array(&j->arena, 3, sizeof(*args));
    char *text = arena_printf(&j->arena, "%04o", (unsigned)mode);
    struct process_spec spec = {.cmd = STR("chmod"), .timeout_ms = MODE_MS};

    if (args == NULL || text == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    args[0] = str_of(text);
    args[1] = STR("--");
    args[2] = path;
    spec.args = (struct codec_list){args, 3};
    process_run(j, &spec, then);
}

static void on_written(struct job *j, const struct upstream_answer *a)
{
    if (a->status < 200 || a->status > 299 || a->is_cut)
        files_fault(j, a);
    else if (j->args[FILE_MODE].is_set)
        files_chmod(j, j->args[FILE_PATH].text, j->args[FILE_MODE].number, on_mode_set);
    else
        written(j);
}

static void write_file(struct job *j)
{
    files_put(j, j->args[FILE_PATH].text, j->args[FILE_BYTES].text, on_written);
}

void run_write(struct job *j)
{
    if (path_is_good(j, j->args[FILE_PATH].text))
        api_with_box(j, j->args[FILE_ID].text, write_file);
}
