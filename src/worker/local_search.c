/* SPDX-License-Identifier: Apache-2.0 */
/* See local.h: grep and sed in files of a sandbox. */
#include "worker/local.h"

enum {
    RESULT_MAX = 60 << 20,
    MATCHES_MAX = 10000,
    LINE_MAX = 4096,
};

/* In the order of local.c's tables. */
enum { ID, PATH };
enum { GREP_PATTERN = 2, GREP_IGNORE, GREP_MATCHES, GREP_LINE };
enum { SED_PATTERN = 1, SED_REPLACEMENT, SED_FILES, SED_PATH };

/* "path NUL line:content" lines. */
static size_t put_matches(struct job *j, struct str text, struct buf *out, bool *out_cut)
{
    const struct arg *matches = &j->args[GREP_MATCHES], *line_max = &j->args[GREP_LINE];
    size_t max = matches->is_set ? (size_t)matches->number : MATCHES_MAX, count = 0;
    size_t bytes_max = line_max->is_set ? (size_t)line_max->number : LINE_MAX;

    while (text.len > 0 && count < max) {
        struct str rest, content, line = str_cut(text, '\n', &text);
        struct str path = str_cut(line, '\0', &rest);
        struct str number = str_cut(rest, ':', &content);
        uint64_t n;

        if (!str_to_u64(number, &n))
            continue; /* the last one, cut */
        *out_cut |= content.len > bytes_max;
        buf_add_text(out, count++ == 0 ? "{\"path\":" : ",{\"path\":");
        json_quote(out, path);
        buf_printf(out, ",\"line\":%llu,\"content\":", (unsigned long long)n);
        json_quote(out, str_upto(content, bytes_max));
        buf_add_byte(out, '}');
    }
    *out_cut |= text.len > 0;
    return count;
}

static void on_grep(struct job *j, const struct process_end *end)
{
    bool is_cut = end->is_cut;
    struct buf out;

    /* 1: nothing was found; 2 beside what was found: some could not be read */
    if (!end->has_exited || end->exit_code > 2 || end->refused_code.len > 0 ||
        (end->exit_code == 2 && end->out.len == 0)) {
        local_tool_fault(j, end, false);
        return;
    }
    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"matches\":[");
    ignore((long)put_matches(j, buf_str(&end->out), &out, &is_cut));
    buf_printf(&out, "],\"truncated\":%s}", is_cut ? "true" : "false");
    job_done(j, &out);
}

static void begin_grep(struct job *j)
{
    const char *flags = j->args[GREP_IGNORE].flag ? "-rnHIZEi" : "-rnHIZE";
    const char *const argv[] = {"grep", flags, "-e", NULL};
    struct str *words = arena_array(&j->arena, 3, sizeof(*words));
    struct codec_list more = {words, 3};

    if (words == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    words[0] = j->args[GREP_PATTERN].text;
    words[1] = STR("--");
    words[2] = j->args[PATH].text;
    local_tool(j, argv, &more, on_grep);
}

void run_fs_grep(struct job *j)
{
    api_with_box(j, j->args[ID].text, begin_grep);
}

static void on_sed(struct job *j, const struct process_end *end)
{
    struct str text = buf_str(&end->out);
    uint64_t total = 0;
    struct buf out;

    if (!local_tool_is_ok(end)) {
        local_tool_fault(j, end, false);
        return;
    }
    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"results\":[");
    for (bool is_first = true; text.len > 0; is_first = false) {
        struct str path, line = str_cut(text, '\0', &text);
        uint64_t n = 0;

        ignore(str_to_u64(str_trim(str_cut(line, ':', &path)), &n)); /* our own script's */
        total += n;
        buf_add_text(&out, is_first ? "{\"path\":" : ",{\"path\":");
        json_quote(&out, path);
        buf_printf(&out, ",\"replacements\":%llu}", (unsigned long long)n);
    }
    buf_printf(&out, "],\"total_replacements\":%llu}", (unsigned long long)total);
    job_done(j, &out);
}

static void begin_sed(struct job *j)
{
    /* Every file is looked at before the first is changed. */
    static const char script[] =
        "p=$1 r=$2; shift 2; s=$(printf '\\001')\n"
        "printf '' | sed -E \"s$s$p$s$r$s\" >/dev/null || exit 1\n"
        "for f do cat -- \"$f\" >/dev/null || exit 1; done\n"
        "for f do n=$(grep -oE -e \"$p\" -- \"$f\" | wc -l); sed -E -i -e \"s$s$p$s$r${s}g\" -- "
        "\"$f\" || exit 1; printf '%s:%s\\000' \"$n\" \"$f\"; done";
    const char *const argv[] = {"sh", "-c", script, "sed", NULL};
    const struct codec_list *files = &j->args[SED_FILES].list;
    bool has_files = j->args[SED_FILES].is_set;
    size_t count = has_files ? files->count : 1;
    struct str *words = arena_array(&j->arena, 2 + count, sizeof(*words));
    struct codec_list more = {words, 2 + count};

    if (words == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    words[0] = j->args[SED_PATTERN].text;
    words[1] = j->args[SED_REPLACEMENT].text;
    for (size_t i = 0; i < count; i++)
        words[2 + i] = has_files ? ((const struct str *)files->items)[i] : j->args[SED_PATH].text;
    local_tool(j, argv, &more, on_sed);
}

void run_fs_sed(struct job *j)
{
    if (j->args[SED_FILES].is_set == j->args[SED_PATH].is_set)
        job_fault(j, FAULT_FS_REQUEST, "either 'files' or 'path' is needed");
    else
        api_with_box(j, j->args[ID].text, begin_sed);
}
