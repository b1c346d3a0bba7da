/* SPDX-License-Identifier: Apache-2.0 */
/* See local.h: run. A sandbox is made, files are written, the code runs, the sandbox ends; whatever
 * fails on the way ends it too. */
#include <stdio.h>

#include "base/id.h"
#include "worker/create.h"
#include "worker/local.h"

enum {
    FILES_MAX = 100,
};

/* In the order of local.c's table. */
enum {
    CODE_IMAGE,
    CODE_CODE,
    CODE_LANG,
    CODE_FILES,
    CODE_ENV,
    CODE_STDIN,
    CODE_TIMEOUT,
    CODE_KEEP,
};

static const struct {
    const char *lang, *program, *file;
} langs[] = {
    {"node",   "node",    "/tmp/iii-run/main.mjs"},
    {"python", "python3", "/tmp/iii-run/main.py" },
    {"shell",  "sh",      "/tmp/iii-run/main.sh" },
};
static const char directory[] = "/tmp/iii-run/", other_file[] = "/tmp/iii-run/main";

struct file {
    struct str path, content, content_b64;
};
struct files {
    struct codec_list files;
};

/* clang-format off */
static const struct codec_field file_fields[] = {
    {1, "path", CODEC_STRING, CODEC_REQUIRED, offsetof(struct file, path)},
    {2, "content", CODEC_STRING, 0, offsetof(struct file, content)},
    {3, "content_b64", CODEC_BYTES, 0, offsetof(struct file, content_b64)},
};
static const struct codec_message file_table =
    {NULL, sizeof(struct file), file_fields, COUNT_OF(file_fields)};
static const struct codec_field files_fields[] = {
    {1, "files", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct files, files), 0, &file_table},
};
static const struct codec_message files_table =
    {NULL, sizeof(struct files), files_fields, COUNT_OF(files_fields)};
/* clang-format on */

struct running {
    struct codec_list files;
    size_t written;
    const char *program, *file;
};

static void write_next(struct job *j);

void drop_code(struct job *j)
{
    if (j->box == NULL)
        return;         /* its create is under way, and sees is_dropped */
    j->ends_box = true; /* a kept one, too: nobody knows its id */
    job_end(j);
}

static void on_end(struct job *j, const struct process_end *end)
{
    local_end(j, end, j->args[CODE_KEEP].flag ? j->box->id : NULL);
}

static void start(struct job *j)
{
    const struct running *r = j->state;
    struct str *args = arena_array(&j->arena, 1, sizeof(*args));
    struct process_spec spec = {
        .cmd = str_of(r->program),
        .cwd = STR("/tmp/iii-run"),
        .envs = j->args[CODE_ENV].list,
        .stdin = j->args[CODE_STDIN].text,
        .timeout_ms = local_timeout(j, &j->args[CODE_TIMEOUT]),
    };

    if (args == NULL || !local_take_exec(j, str_of(j->box->id)))
        return;
    args[0] = str_of(r->file);
    spec.args = (struct codec_list){args, 1};
    process_run(j, &spec, on_end);
}

static void on_written(struct job *j, const struct upstream_answer *a)
{
    struct running *r = j->state;

    if (a->status < 200 || a->status > 299 || a->is_cut) {
        files_fault(j, a);
        return;
    }
    r->written++;
    write_next(j);
}

static void write_next(struct job *j)
{
    struct running *r = j->state;
    const struct file *f = (const struct file *)r->files.items + r->written;
    char *path;

    if (r->written > r->files.count) {
        start(j);
        return;
    }
    if (r->written == r->files.count) {
        files_put(j, str_of(r->file), j->args[CODE_CODE].text, on_written);
        return;
    }
    path =
        arena_printf(&j->arena, "%s%.*s", f->path.at[0] == '/' ? "" : directory, STR_ARG(f->path));
    files_put(j, str_of(path == NULL ? other_file : path),
              f->content.len > 0 ? f->content : f->content_b64, on_written);
}

static void on_box(struct job *j)
{
    j->ends_box = !j->args[CODE_KEEP].flag;
    write_next(j);
}

static bool read_files(struct job *j, struct running *r)
{
    struct str text = j->args[CODE_FILES].text;
    struct files all = {0};
    struct buf whole;
    bool is_good;

    if (!j->args[CODE_FILES].is_set)
        return true;
    buf_init(&whole, text.len + 16);
    buf_add_text(&whole, "{\"files\":");
    buf_add_str(&whole, text);
    buf_add_byte(&whole, '}');
    is_good = buf_ok(&whole) &&
              json_decode(&files_table, buf_str(&whole), &j->arena, &all, NULL) == 0 &&
              all.files.count <= FILES_MAX;
    buf_done(&whole);
    for (size_t i = 0; is_good && i < all.files.count; i++)
        is_good = ((const struct file *)all.files.items)[i].path.len > 0;
    r->files = all.files;
    return is_good;
}

static void choose(struct job *j, struct running *r)
{
    struct str lang = j->args[CODE_LANG].text;

    r->program = arena_printf(&j->arena, "%.*s", STR_ARG(lang));
    r->file = other_file;
    for (size_t i = 0; i < COUNT_OF(langs); i++) {
        if (!str_is(lang, langs[i].lang))
            continue;
        r->program = langs[i].program;
        r->file = langs[i].file;
    }
}

void run_code(struct job *j)
{
    struct create_spec spec = {
        .image = j->args[CODE_IMAGE].text,
        .idle_s = (int64_t)(local_timeout(j, &j->args[CODE_TIMEOUT]) / 1000 +
                            j->worker->settings.idle_timeout_s),
        .has_network = true,
        .then = on_box,
    };
    struct running *r = arena_alloc(&j->arena, sizeof(*r));

    if (r == NULL || !read_files(j, r)) {
        job_fault(j, FAULT_INPUT, "field 'files' must be an array of {path, content}");
        return;
    }
    choose(j, r);
    if (r->program == NULL || *r->program == '\0') {
        job_fault(j, FAULT_INPUT, "field 'lang' is node, python, shell or a path");
        return;
    }
    spec.then_state = r;
    create_begin(j, &spec, false);
}
