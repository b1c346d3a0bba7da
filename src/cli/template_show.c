/* SPDX-License-Identifier: Apache-2.0 */
/* template show and template delete, and the calls that template build makes too. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/template_call.h"
#include "cli/words.h"

enum {
    BODY_MAX = 256 << 10,
    NAME_MAX_LEN = 256,
    BUILDS_SHOWN = 10,
};

struct build_row {
    struct str id, status, created_at;
};

struct template_row {
    struct str id, created_at;
    struct codec_list names, aliases, builds, ports;
    bool is_public;
    int64_t cpu_count, memory_mb, disk_mb;
};

/* clang-format off */
static const struct codec_field build_fields[] = {
    {1, "buildID", CODEC_STRING, 0, offsetof(struct build_row, id)},
    {2, "status", CODEC_STRING, 0, offsetof(struct build_row, status)},
    {3, "createdAt", CODEC_STRING, 0, offsetof(struct build_row, created_at)},
};
static const struct codec_message build_message =
    {"build", sizeof(struct build_row), build_fields, COUNT_OF(build_fields)};

static const struct codec_field template_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct template_row, id)},
    {2, "createdAt", CODEC_STRING, 0, offsetof(struct template_row, created_at)},
    {3, "names", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_row, names)},
    {4, "aliases", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_row, aliases)},
    {5, "builds", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct template_row, builds), 0, &build_message},
    {6, "public", CODEC_BOOL, 0, offsetof(struct template_row, is_public)},
    {7, "cpuCount", CODEC_NUMBER, 0, offsetof(struct template_row, cpu_count)},
    {8, "memoryMB", CODEC_NUMBER, 0, offsetof(struct template_row, memory_mb)},
    {9, "diskSizeMB", CODEC_NUMBER, 0, offsetof(struct template_row, disk_mb)},
    {10, "exposedPorts", CODEC_STRING, CODEC_REPEATED, offsetof(struct template_row, ports)},
};
static const struct codec_message template_message =
    {"template", sizeof(struct template_row), template_fields, COUNT_OF(template_fields)};
/* clang-format on */

int template_call_begin(struct template_call *c, const struct invocation *v)
{
    buf_init(&c->body, BODY_MAX);
    buf_init(&c->answer, REMOTE_ANSWER_MAX);
    arena_init(&c->mem, REMOTE_ANSWER_MAX);
    return cli_team(v, "default", &c->call.team);
}

void template_call_end(struct template_call *c)
{
    buf_done(&c->body);
    buf_done(&c->answer);
    arena_done(&c->mem);
}

void template_call_set(struct template_call *c, const char *method, unsigned status,
                       const char *format, ...)
{
    va_list args;

    c->call.method = method;
    c->call.status = status;
    c->call.body = (struct str){0};
    va_start(args, format);
    ignore(vsnprintf(c->call.url, sizeof c->call.url, format, args)); /* names are bounded */
    va_end(args);
    buf_clear(&c->body);
}

int template_call_run(struct template_call *c, const struct invocation *v,
                      const struct codec_message *m, void *out, struct err *err)
{
    if (!buf_ok(&c->body))
        return err_set(err, ERR_LIMIT, "that is too large to be sent");
    if (c->call.body.len == 0)
        c->call.body = buf_str(&c->body);
    buf_clear(&c->answer);
    if (remote_call(v, &c->call, &c->answer, err) != 0)
        return -1;
    if (m == NULL)
        return 0;
    arena_done(&c->mem);
    arena_init(&c->mem, REMOTE_ANSWER_MAX);
    return json_decode(m, buf_str(&c->answer), &c->mem, out, err);
}

int template_call_name(const char *name, char out[REMOTE_URL_MAX], struct err *err)
{
    size_t len = 0;

    for (const char *c = name; *c != '\0'; c++) {
        bool is_plain = remote_is_plain((struct str){c, 1}) || *c == '.' || *c == ':';

        if ((!is_plain && *c != '/') || len > NAME_MAX_LEN)
            return err_set(err, ERR_INVALID, "'%.80s' is not the name of a template", name);
        if (is_plain)
            out[len++] = *c;
        else
            len += (size_t)snprintf(out + len, 4, "%%2F");
    }
    out[len] = '\0';
    return len > 0 ? 0 : err_set(err, ERR_INVALID, "a template's name is missing");
}

static void print_list(const char *title, const struct codec_list *list)
{
    const struct str *items = list->items;

    printf("%-10s", title);
    for (size_t i = 0; i < list->count; i++)
        printf("%s%.*s", i > 0 ? ", " : "", STR_ARG(items[i]));
    printf("\n");
}

static void print(const struct template_row *t)
{
    const struct build_row *builds = t->builds.items;

    printf("%-10s%.*s\n", "id", STR_ARG(t->id));
    print_list("names", &t->names);
    print_list("aliases", &t->aliases);
    if (t->ports.count > 0)
        print_list("ports", &t->ports);
    printf("%-10s%s\n%-10s%lld CPUs, %lld MB memory, %lld MB disk\n%-10s%.*s\n", "public",
           t->is_public ? "yes" : "no", "size", (long long)t->cpu_count, (long long)t->memory_mb,
           (long long)t->disk_mb, "created", STR_ARG(t->created_at));
    if (t->builds.count > 0)
        printf("\n%-36s  %-9s  %s\n", "BUILD", "STATUS", "CREATED");
    for (size_t i = 0; i < t->builds.count && i < BUILDS_SHOWN; i++)
        printf("%-36.*s  %-9.*s  %.*s\n", STR_ARG(builds[i].id), STR_ARG(builds[i].status),
               STR_ARG(builds[i].created_at));
}

/* About the template that the command names. `row` NULL: no answer is expected. */
static int call_named(struct template_call *c, const struct invocation *v, const char *method,
                      unsigned status, struct template_row *row)
{
    char name[REMOTE_URL_MAX];
    struct err err = {0};

    if (template_call_begin(c, v) != 0)
        return EXIT_USAGE;
    if (template_call_name(v->words[0], name, &err) != 0)
        return cli_fail(v, &err);
    template_call_set(c, method, status, "/templates/%s", name);
    if (template_call_run(c, v, row != NULL ? &template_message : NULL, row, &err) != 0)
        return cli_fail(v, &err);
    return EXIT_SUCCESS;
}

int cli_template_show(const struct invocation *v)
{
    struct template_call c = {0};
    struct template_row row = {0};
    int result = call_named(&c, v, "GET", 200, &row);

    if (result == EXIT_SUCCESS && command_value(v, "--json") != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&c.answer)));
    else if (result == EXIT_SUCCESS)
        print(&row);
    template_call_end(&c);
    return result;
}

int cli_template_delete(const struct invocation *v)
{
    struct template_call c = {0};
    int result = call_named(&c, v, "DELETE", 204, NULL);

    template_call_end(&c);
    return result;
}
