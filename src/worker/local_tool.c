/* SPDX-License-Identifier: Apache-2.0 */
/* See local.h: the programs that do what envd's calls do not. */
#include "worker/local.h"

enum {
    TOOL_MS = 60 * 1000,
    ARGV_MAX = 8,
};

/* clang-format off */
static const struct {
    const char *words; /* of a program, in C's language */
    enum fault fault;
} causes[] = {
    {"No such file or directory", FAULT_FS_MISSING},
    {"File exists", FAULT_FS_EXISTS},
    {"Directory not empty", FAULT_FS_NOT_EMPTY},
    {"Permission denied", FAULT_FS_DENIED},
    {"Operation not permitted", FAULT_FS_DENIED},
    {"Not a directory", FAULT_FS_TYPE},
    {"Is a directory", FAULT_FS_TYPE},
    {"Unmatched", FAULT_FS_REGEX},
    {"Invalid", FAULT_FS_REGEX},
    {"nterminated", FAULT_FS_REGEX},
};
/* clang-format on */

void local_tool_fault(struct job *j, const struct process_end *end, bool may_need_parents)
{
    struct str text = str_trim(str_upto(buf_str(&end->err), 300));
    enum fault f = FAULT_FS_IO;
    char *own;

    if (end->refused_code.len > 0) {
        exec_refuse(j, end);
        return;
    }
    for (size_t i = COUNT_OF(causes); i-- > 0;)
        if (text.len > 0 &&
            memmem(text.at, text.len, causes[i].words, strlen(causes[i].words)) != NULL)
            f = causes[i].fault;
    own = arena_printf(&j->arena, "%.*s", STR_ARG(text));
    if (f == FAULT_FS_MISSING && may_need_parents)
        job_fault_fix(j, f, "{\"parents\":true}", own == NULL ? "" : own);
    else
        job_fault(j, f, "%s", own == NULL || *own == '\0' ? "it failed" : own);
}

bool local_tool_is_ok(const struct process_end *end)
{
    return end->has_exited && end->exit_code == 0 && end->refused_code.len == 0;
}

void local_tool(struct job *j, const char *const *argv, const struct codec_list *more,
                process_fn *then)
{
    size_t count = 0, extra = more == NULL ? 0 : more->count;
    struct str *words = arena_array(&j->arena, ARGV_MAX + extra, sizeof(*words));
    struct codec_pair *env = arena_array(&j->arena, 1, sizeof(*env));
    struct process_spec spec = {.timeout_ms = TOOL_MS};

    if (words == NULL || env == NULL) {
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    for (size_t i = 1; i < ARGV_MAX && argv[i] != NULL; i++)
        words[count++] = str_of(argv[i]);
    for (size_t i = 0; i < extra; i++)
        words[count++] = ((const struct str *)more->items)[i];
    *env = (struct codec_pair){STR("LC_ALL"), STR("C")};
    spec.cmd = str_of(argv[0]);
    spec.args = (struct codec_list){words, count};
    spec.envs = (struct codec_list){env, 1};
    process_run(j, &spec, then);
}

void local_tool_on_path(struct job *j, const char *const *argv, process_fn *then)
{
    struct codec_list path = {&j->args[1].text, 1};

    local_tool(j, argv, &path, then);
}
