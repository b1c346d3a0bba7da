/* SPDX-License-Identifier: Apache-2.0 */
/* See local.h. */
#include "worker/local.h"

#include "worker/create.h"

enum {
    RESULT_MAX = 60 << 20,
    WORDS_MAX = 256,
};

/* In the order of the tables below. */
enum {
    CREATE_IMAGE,
    CREATE_CPUS,
    CREATE_MEMORY,
    CREATE_NAME,
    CREATE_NETWORK,
    CREATE_IDLE,
    CREATE_ENV,
};
enum {
    EXEC_ID,
    EXEC_CMD,
    EXEC_ARGS,
    EXEC_ARGV,
    EXEC_STDIN,
    EXEC_ENV,
    EXEC_TIMEOUT,
    EXEC_WORKDIR,
};

static void run_local_create(struct job *j)
{
    const struct arg *args = j->args;
    const struct create_spec spec = {
        .image = args[CREATE_IMAGE].text,
        .idle_s = args[CREATE_IDLE].is_set ? args[CREATE_IDLE].number
                                           : (int64_t)j->worker->settings.idle_timeout_s,
        .name = args[CREATE_NAME].text,
        .envs = args[CREATE_ENV].list,
        .has_network = true,
        .network = args[CREATE_NETWORK].flag,
    };

    if (args[CREATE_CPUS].is_set || args[CREATE_MEMORY].is_set)
        job_fault(j, FAULT_CAPABILITY, "cpus and memory_mb are those of the image");
    else
        create_begin(j, &spec, false);
}

static void put_end(const struct process_end *end, const char *id, struct buf *out)
{
    int code = end->exit_code;
    bool has_code = exec_was_not_found(end, &code) || !end->timed_out;

    buf_add_byte(out, '{');
    exec_put_output(end, out);
    if (has_code)
        buf_printf(out, ",\"exit_code\":%d", code);
    else
        buf_add_text(out, ",\"exit_code\":null");
    buf_printf(out, ",\"timed_out\":%s,\"duration_ms\":%llu,\"success\":%s",
               end->timed_out ? "true" : "false", (unsigned long long)end->duration_ms,
               has_code && code == 0 ? "true" : "false");
    if (id != NULL)
        buf_printf(out, ",\"sandbox_id\":\"%s\"", id);
    buf_add_byte(out, '}');
}

void local_end(struct job *j, const struct process_end *end, const char *id)
{
    struct buf out;
    int code;

    if (end->refused_code.len > 0 && !exec_was_not_found(end, &code)) {
        exec_refuse(j, end);
        return;
    }
    buf_init(&out, RESULT_MAX);
    put_end(end, id, &out);
    job_done(j, &out);
}

static void on_exec_end(struct job *j, const struct process_end *end)
{
    local_end(j, end, NULL);
}

/* A command line into words: blanks part them; quotes of both kinds and backslashes as a shell has
 * them, and nothing else that a shell does. False: quotes that do not end, or too many. */
static bool split_line(struct str line, struct arena *a, struct codec_list *out)
{
    struct str *words = arena_array(a, WORDS_MAX, sizeof(*words));
    char *to = arena_alloc(a, line.len + 1);
    size_t count = 0, i = 0;

    if (words == NULL || to == NULL)
        return false;
    while (i < line.len) {
        char quote = '\0', *from = to;
        bool is_word = false;

        while (i < line.len && strchr(" \t\n", line.at[i]) != NULL)
            i++;
        for (; i < line.len && (quote != '\0' || strchr(" \t\n", line.at[i]) == NULL); i++) {
            char c = line.at[i];

            is_word = true;
            if (c == quote)
                quote = '\0';
            else if (quote == '\0' && (c == '"' || c == '\''))
                quote = c;
            else if (c == '\\' && quote != '\'' && i + 1 < line.len)
                *to++ = line.at[++i];
            else
                *to++ = c;
        }
        if (quote != '\0' || count == WORDS_MAX)
            return false;
        if (is_word)
            words[count++] = (struct str){from, (size_t)(to - from)};
    }
    *out = (struct codec_list){words, count};
    return true;
}

/* cmd with args, or a command line, or argv. */
static bool choose_words(struct job *j, struct process_spec *spec)
{
    const struct arg *args = j->args;
    struct codec_list words = args[EXEC_ARGV].list;

    if (args[EXEC_CMD].is_set == args[EXEC_ARGV].is_set) {
        job_fault(j, FAULT_INPUT, "either 'cmd' or 'argv' is needed");
        return false;
    }
    if (args[EXEC_CMD].is_set && args[EXEC_ARGS].is_set) {
        spec->cmd = args[EXEC_CMD].text;
        spec->args = args[EXEC_ARGS].list;
    } else if (args[EXEC_CMD].is_set && !split_line(args[EXEC_CMD].text, &j->arena, &words)) {
        job_fault(j, FAULT_INPUT, "field 'cmd' is no command line: quotes that do not end");
        return false;
    } else if (words.count > 0) {
        spec->cmd = ((struct str *)words.items)[0];
        spec->args = (struct codec_list){(struct str *)words.items + 1, words.count - 1};
    }
    if (spec->cmd.len > 0)
        return true;
    job_fault(j, FAULT_INPUT, "there is no program to run");
    return false;
}

uint64_t local_timeout(const struct job *j, const struct arg *given)
{
    const struct settings *s = &j->worker->settings;
    uint64_t wanted = given->is_set ? (uint64_t)given->number : s->exec_timeout_ms;

    return wanted < s->exec_timeout_max_ms ? wanted : s->exec_timeout_max_ms;
}

bool local_take_exec(struct job *j, struct str id)
{
    struct box *b = seats_find(&j->worker->seats, id);
    uint64_t max = j->worker->settings.execs_max;

    if (b == NULL)
        return true; /* of another process: it is not counted here */
    if (b->execs >= (max == 0 ? 1 : max)) {
        job_fault(j, FAULT_EXEC_CAP, "%u programs run in sandbox %s, as many as may", b->execs,
                  b->id);
        return false;
    }
    b->execs++;
    ignore(str_to_c(id, j->exec_in, sizeof(j->exec_in))); /* it is that of a box */
    return true;
}

static void start_exec(struct job *j)
{
    struct process_spec spec = {
        .cwd = j->args[EXEC_WORKDIR].text,
        .envs = j->args[EXEC_ENV].list,
        .stdin = j->args[EXEC_STDIN].text,
        .timeout_ms = local_timeout(j, &j->args[EXEC_TIMEOUT]),
    };

    if (choose_words(j, &spec) && local_take_exec(j, str_of(j->box->id)))
        process_run(j, &spec, on_exec_end);
}

static void run_local_exec(struct job *j)
{
    api_with_box(j, j->args[EXEC_ID].text, start_exec);
}

struct local_list {
    struct job *job;
    struct buf items;
};

static void on_item(void *ctx, const struct listed *item)
{
    struct local_list *l = ctx;
    struct worker *w = l->job->worker;
    const struct box *b = seats_find(&w->seats, item->sandbox_id);
    uint64_t max = w->settings.execs_max == 0 ? 1 : w->settings.execs_max;
    unsigned execs = b == NULL ? 0 : b->execs;
    int64_t seconds = 0, now = clock_wall_ms() / 1000;
    uint32_t nanos;

    if (!rfc3339_parse(item->started_at, &seconds, &nanos) || seconds > now)
        seconds = now;
    buf_printf(&l->items, "%s{\"sandbox_id\":\"%.*s\",\"name\":", l->items.len == 0 ? "" : ",",
               STR_ARG(item->sandbox_id));
    if (b != NULL && b->name[0] != '\0')
        json_quote(&l->items, str_of(b->name));
    else
        buf_add_text(&l->items, "null");
    buf_add_text(&l->items, ",\"image\":");
    json_quote(&l->items, item->alias.len > 0 ? item->alias : item->template_id);
    buf_printf(&l->items,
               ",\"age_secs\":%lld,\"exec_in_progress\":%s,\"exec_in_flight\":%u,"
               "\"exec_slots_free\":%llu,\"stopped\":%s}",
               (long long)(now - seconds), execs > 0 ? "true" : "false", execs,
               (unsigned long long)(max - execs),
               str_is(item->state, "running") ? "false" : "true");
}

static void on_list_end(void *ctx, bool is_whole)
{
    struct local_list *l = ctx;
    struct job *j = l->job;
    struct buf out;

    j->listing = NULL;
    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"sandboxes\":[");
    buf_add_str(&out, buf_str(&l->items));
    buf_add_text(&out, "]}");
    buf_done(&l->items);
    if (is_whole) {
        job_done(j, &out);
    } else {
        buf_done(&out);
        job_fault(j, FAULT_UPSTREAM, "the upstream does not tell its list");
    }
}

static void on_list_cancel(void *ctx)
{
    struct local_list *l = ctx;

    buf_done(&l->items);
}

static void run_local_list(struct job *j)
{
    static const struct listing_events events = {on_item, on_list_end, on_list_cancel};
    struct local_list *l = job_state(j, sizeof(*l));

    l->job = j;
    buf_init(&l->items, RESULT_MAX);
    j->listing = listing_start(j->worker, "", &events, l);
}

static void run_catalog(struct job *j)
{
    const struct settings *s = &j->worker->settings;
    struct buf out;

    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"images\":[");
    for (size_t i = 0; i < s->image_count; i++) {
        buf_add_text(&out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_quote(&out, str_of(s->images[i]));
        buf_add_text(&out, ",\"oci_ref\":null,\"kind\":\"custom\"}");
    }
    buf_add_text(&out, "]}");
    job_done(j, &out);
}

/* clang-format off */
static const struct param create_in[] = {
    {"image", PARAM_TEXT, PARAM_REQUIRED, "one of image_allowlist"},
    {"cpus", PARAM_NUMBER, 0, "not to be chosen here: the image's", 0, 0, NULL},
    {"memory_mb", PARAM_NUMBER, 0, "not to be chosen here: the image's", 0, 0, NULL},
    {"name", PARAM_TEXT, 0, "for people", 0, 0, NULL},
    {"network", PARAM_BOOL, 0, "may it reach the internet; false", 0, 0, NULL},
    {"idle_timeout_secs", PARAM_NUMBER, 0, "seconds it lives", 1, 86400, NULL},
    {"env", PARAM_ENV, 0, "environment variables of all its programs", 0, 0, NULL},
};
static const struct param create_out[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id for all other functions"},
    {"image", PARAM_TEXT, PARAM_REQUIRED, "alias of its template, or its id"},
    {"started_at", PARAM_TEXT, PARAM_REQUIRED, "RFC 3339"},
    {"capabilities", PARAM_TEXTS, PARAM_REQUIRED, "advisory"},
};
static const struct param exec_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"cmd", PARAM_TEXT, 0, "with args a program; alone a command line, without a shell's powers", 0, 0, NULL},
    {"args", PARAM_TEXTS, 0, "arguments of cmd", 0, 0, NULL},
    {"argv", PARAM_TEXTS, 0, "instead of cmd: the program and its arguments", 0, 0, NULL},
    {"stdin", PARAM_BASE64, 0, "what it reads", 0, 0, NULL},
    {"env", PARAM_ENV, 0, "environment variables", 0, 0, NULL},
    {"timeout_ms", PARAM_NUMBER, 0, "milliseconds until it is killed; more than may be is the most", 1, 86400000, NULL},
    {"workdir", PARAM_TEXT, 0, "directory it runs in", 0, 0, "cwd"},
};
static const struct param exec_out[] = {
    {"stdout", PARAM_TEXT, PARAM_REQUIRED, "UTF-8; other bytes are replaced by U+FFFD"},
    {"stderr", PARAM_TEXT, PARAM_REQUIRED, "the same"},
    {"exit_code", PARAM_NUMBER, PARAM_REQUIRED | PARAM_NULLABLE, "null when it was killed at the end of its time"},
    {"timed_out", PARAM_BOOL, PARAM_REQUIRED, "it was"},
    {"duration_ms", PARAM_NUMBER, PARAM_REQUIRED, "how long it ran"},
    {"success", PARAM_BOOL, PARAM_REQUIRED, "exit code 0"},
    {"sandbox_id", PARAM_TEXT, 0, "of run, when the sandbox was kept"},
};
static const struct param stop_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"wait", PARAM_BOOL, 0, "it is always waited for", 0, 0, NULL},
};
static const struct param stop_out[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "the same"},
    {"stopped", PARAM_BOOL, PARAM_REQUIRED, "true, also when it was gone"},
};
static const struct param list_out[] = {
    {"sandboxes", PARAM_OBJECTS, PARAM_REQUIRED, "sandbox_id, name, image, age_secs, exec_in_progress, exec_in_flight, exec_slots_free, stopped"},
};
static const struct param images_out[] = {
    {"images", PARAM_OBJECTS, PARAM_REQUIRED, "name, oci_ref, kind"},
};
static const struct param code_in[] = {
    {"image", PARAM_TEXT, PARAM_REQUIRED, "one of image_allowlist", 0, 0, NULL},
    {"code", PARAM_TEXT, PARAM_REQUIRED, "the program", 0, 0, NULL},
    {"lang", PARAM_TEXT, PARAM_REQUIRED, "node, python, shell, or a path of what runs it", 0, 0, NULL},
    {"files", PARAM_OBJECTS, 0, "beside it: path, and content or content_b64", 0, 0, NULL},
    {"env", PARAM_ENV, 0, "environment variables", 0, 0, NULL},
    {"stdin", PARAM_BASE64, 0, "what it reads", 0, 0, NULL},
    {"timeout_ms", PARAM_NUMBER, 0, "milliseconds until it is killed", 1, 86400000, NULL},
    {"keep_sandbox", PARAM_BOOL, 0, "do not end the sandbox", 0, 0, NULL},
};
static const struct param path_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "where", 0, 0, NULL},
};
static const struct param ls_out[] = {
    {"entries", PARAM_OBJECTS, PARAM_REQUIRED, "name, is_dir, size, mode, mtime, is_symlink"},
};
static const struct param stat_out[] = {
    {"name", PARAM_TEXT, PARAM_REQUIRED, "last part of its path"},
    {"is_dir", PARAM_BOOL, PARAM_REQUIRED, "a directory"},
    {"size", PARAM_NUMBER, PARAM_REQUIRED, "bytes"},
    {"mode", PARAM_TEXT, PARAM_REQUIRED, "permissions in octal"},
    {"mtime", PARAM_NUMBER, PARAM_REQUIRED, "seconds since 1970"},
    {"is_symlink", PARAM_BOOL, PARAM_REQUIRED, "a symbolic link"},
};
static const struct param mkdir_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "directory to make", 0, 0, NULL},
    {"parents", PARAM_BOOL, 0, "those above it too; one that is there is fine", 0, 0, NULL},
    {"mode", PARAM_MODE, 0, "its permissions", 0, 0, NULL},
};
static const struct param write_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "file", 0, 0, NULL},
    {"content", PARAM_CONTENT, 0, "text, or a channel's reading end", 0, 0, NULL},
    {"content_b64", PARAM_BASE64, 0, "instead of content", 0, 0, NULL},
    {"mode", PARAM_MODE, 0, "its permissions", 0, 0, NULL},
    {"parents", PARAM_BOOL, 0, "make the directories above it", 0, 0, NULL},
};
static const struct param write_out[] = {
    {"bytes_written", PARAM_NUMBER, PARAM_REQUIRED, "its size"},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "the same"},
};
static const struct param read_out[] = {
    {"content", PARAM_CHANNEL, PARAM_REQUIRED, "a channel's reading end: all of it"},
    {"body", PARAM_TEXT, 0, "the same as text, when it is UTF-8 of at most 1 MiB"},
    {"size", PARAM_NUMBER, PARAM_REQUIRED, "bytes"},
    {"mode", PARAM_TEXT, PARAM_REQUIRED, "permissions in octal"},
    {"mtime", PARAM_NUMBER, PARAM_REQUIRED, "seconds since 1970"},
};
static const struct param rm_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "what is removed", 0, 0, NULL},
    {"recursive", PARAM_BOOL, 0, "with all below it", 0, 0, NULL},
};
static const struct param chmod_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "what is changed", 0, 0, NULL},
    {"mode", PARAM_MODE, PARAM_REQUIRED, "its permissions", 0, 0, NULL},
    {"recursive", PARAM_BOOL, 0, "with all below it", 0, 0, NULL},
};
static const struct param mv_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"src", PARAM_TEXT, PARAM_REQUIRED, "what is moved", 0, 0, NULL},
    {"dst", PARAM_TEXT, PARAM_REQUIRED, "its new path", 0, 0, NULL},
    {"overwrite", PARAM_BOOL, 0, "in place of what is there", 0, 0, NULL},
};
static const struct param grep_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"path", PARAM_TEXT, PARAM_REQUIRED, "file or directory", 0, 0, NULL},
    {"pattern", PARAM_TEXT, PARAM_REQUIRED, "extended regular expression", 0, 0, NULL},
    {"ignore_case", PARAM_BOOL, 0, "letters of both cases are the same", 0, 0, NULL},
    {"max_matches", PARAM_NUMBER, 0, "10000", 1, 10000, NULL},
    {"max_line_bytes", PARAM_NUMBER, 0, "4096", 1, 65536, NULL},
};
static const struct param grep_out[] = {
    {"matches", PARAM_OBJECTS, PARAM_REQUIRED, "path, line, content"},
    {"truncated", PARAM_BOOL, PARAM_REQUIRED, "there are more"},
};
static const struct param sed_in[] = {
    {"sandbox_id", PARAM_TEXT, PARAM_REQUIRED, "id that create gave", 0, 0, NULL},
    {"pattern", PARAM_TEXT, PARAM_REQUIRED, "extended regular expression", 0, 0, NULL},
    {"replacement", PARAM_TEXT, PARAM_REQUIRED, "& and \\1 as sed has them", 0, 0, NULL},
    {"files", PARAM_TEXTS, 0, "which; or path", 0, 0, NULL},
    {"path", PARAM_TEXT, 0, "one file; or files", 0, 0, NULL},
};
static const struct param sed_out[] = {
    {"results", PARAM_OBJECTS, PARAM_REQUIRED, "path, replacements"},
    {"total_replacements", PARAM_NUMBER, PARAM_REQUIRED, "of all"},
};

static const struct function rows[] = {
    {"create", "make a sandbox", create_in, create_out, COUNT_OF(create_in), COUNT_OF(create_out), run_local_create, keep_going, false},
    {"exec", "run a program in a sandbox and wait for its end", exec_in, exec_out, COUNT_OF(exec_in), COUNT_OF(exec_out), run_local_exec, process_kill, false},
    {"stop", "end a sandbox", stop_in, stop_out, COUNT_OF(stop_in), COUNT_OF(stop_out), run_stop, keep_going, false},
    {"list", "sandboxes", NULL, list_out, 0, COUNT_OF(list_out), run_local_list, NULL, false},
    {"run", "run code in a sandbox of its own", code_in, exec_out, COUNT_OF(code_in), COUNT_OF(exec_out), run_code, drop_code, false},
    {"catalog::list", "images that create may name", NULL, images_out, 0, COUNT_OF(images_out), run_catalog, NULL, false},
    {"fs::ls", "entries of a directory", path_in, ls_out, COUNT_OF(path_in), COUNT_OF(ls_out), run_fs_ls, NULL, false},
    {"fs::stat", "what a file is", path_in, stat_out, COUNT_OF(path_in), COUNT_OF(stat_out), run_fs_stat, NULL, false},
    {"fs::mkdir", "make a directory", mkdir_in, NULL, COUNT_OF(mkdir_in), 0, run_fs_mkdir, keep_going, false},
    {"fs::write", "write a file", write_in, write_out, COUNT_OF(write_in), COUNT_OF(write_out), run_fs_write, keep_going, false},
    {"fs::read", "read a file", path_in, read_out, COUNT_OF(path_in), COUNT_OF(read_out), run_fs_read, NULL, false},
    {"fs::rm", "remove", rm_in, NULL, COUNT_OF(rm_in), 0, run_fs_rm, keep_going, false},
    {"fs::chmod", "change permissions", chmod_in, NULL, COUNT_OF(chmod_in), 0, run_fs_chmod, keep_going, false},
    {"fs::mv", "move", mv_in, NULL, COUNT_OF(mv_in), 0, run_fs_mv, keep_going, false},
    {"fs::grep", "search in files", grep_in, grep_out, COUNT_OF(grep_in), COUNT_OF(grep_out), run_fs_grep, NULL, false},
    {"fs::sed", "replace in files", sed_in, sed_out, COUNT_OF(sed_in), COUNT_OF(sed_out), run_fs_sed, keep_going, false},
};
/* clang-format on */

const struct function_table local_functions = {rows, COUNT_OF(rows)};
