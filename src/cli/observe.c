/* SPDX-License-Identifier: Apache-2.0 */
/* events, status, top: looking at a running server. */
#include <stdio.h>
#include <time.h>

#include "cli/remote.h"
#include "codec/codec.h"

enum {
    OPTION_TEAM, /* events */
    OPTION_TYPE,
    OPTION_JSON = 0, /* status */
    OPTION_ONCE = 0, /* top */
    OPTION_COUNT,
    TOP_DEFAULT = 20,
    TOP_MAX = 1000,
    TOP_PAUSE_S = 2,
};

struct metric {
    double cpu_percent;
    int64_t cpu_count, memory_used, memory_total, disk_used;
};

struct usage {
    struct str id, template_id;
    struct metric *metric;
};

struct usage_list {
    struct codec_list rows;
};

struct node_metrics {
    int64_t cpu_percent, cpu_count, memory_used, memory_total, allocated_cpu, allocated_memory;
};

struct node {
    struct str id, version, status;
    int64_t sandboxes, starting, successes, failures;
    struct node_metrics *metrics;
};

struct node_list {
    struct codec_list rows;
};

/* clang-format off */
static const struct codec_field metric_fields[] = {
    {1, "cpuUsedPct", CODEC_DOUBLE, 0, offsetof(struct metric, cpu_percent)},
    {2, "cpuCount", CODEC_NUMBER, 0, offsetof(struct metric, cpu_count)},
    {3, "memUsed", CODEC_NUMBER, 0, offsetof(struct metric, memory_used)},
    {4, "memTotal", CODEC_NUMBER, 0, offsetof(struct metric, memory_total)},
    {5, "diskUsed", CODEC_NUMBER, 0, offsetof(struct metric, disk_used)},
};
static const struct codec_message metric_message =
    {"metric", sizeof(struct metric), metric_fields, COUNT_OF(metric_fields)};

static const struct codec_field usage_fields[] = {
    {1, "sandboxID", CODEC_STRING, 0, offsetof(struct usage, id)},
    {2, "templateID", CODEC_STRING, 0, offsetof(struct usage, template_id)},
    {3, "metric", CODEC_MESSAGE, 0, offsetof(struct usage, metric), 0, &metric_message},
};
static const struct codec_message usage_message =
    {"usage", sizeof(struct usage), usage_fields, COUNT_OF(usage_fields)};

static const struct codec_field usage_list_fields[] = {
    {1, "rows", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct usage_list, rows), 0, &usage_message},
};
static const struct codec_message usage_list_message =
    {"usages", sizeof(struct usage_list), usage_list_fields, COUNT_OF(usage_list_fields)};

static const struct codec_field node_metrics_fields[] = {
    {1, "cpuPercent", CODEC_NUMBER, 0, offsetof(struct node_metrics, cpu_percent)},
    {2, "cpuCount", CODEC_NUMBER, 0, offsetof(struct node_metrics, cpu_count)},
    {3, "memoryUsedBytes", CODEC_NUMBER, 0, offsetof(struct node_metrics, memory_used)},
    {4, "memoryTotalBytes", CODEC_NUMBER, 0, offsetof(struct node_metrics, memory_total)},
    {5, "allocatedCPU", CODEC_NUMBER, 0, offsetof(struct node_metrics, allocated_cpu), 0, NULL, "allocatedCPU"},
    {6, "allocatedMemoryBytes", CODEC_NUMBER, 0, offsetof(struct node_metrics, allocated_memory)},
};
static const struct codec_message node_metrics_message =
    {"metrics", sizeof(struct node_metrics), node_metrics_fields, COUNT_OF(node_metrics_fields)};

static const struct codec_field node_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct node, id)},
    {2, "version", CODEC_STRING, 0, offsetof(struct node, version)},
    {3, "status", CODEC_STRING, 0, offsetof(struct node, status)},
    {4, "sandboxCount", CODEC_NUMBER, 0, offsetof(struct node, sandboxes)},
    {5, "sandboxStartingCount", CODEC_NUMBER, 0, offsetof(struct node, starting)},
    {6, "createSuccesses", CODEC_NUMBER, 0, offsetof(struct node, successes)},
    {7, "createFails", CODEC_NUMBER, 0, offsetof(struct node, failures)},
    {8, "metrics", CODEC_MESSAGE, 0, offsetof(struct node, metrics), 0, &node_metrics_message},
};
static const struct codec_message node_message =
    {"node", sizeof(struct node), node_fields, COUNT_OF(node_fields)};

static const struct codec_field node_list_fields[] = {
    {1, "rows", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct node_list, rows), 0, &node_message},
};
static const struct codec_message node_list_message =
    {"nodes", sizeof(struct node_list), node_list_fields, COUNT_OF(node_list_fields)};
/* clang-format on */

static int get(const struct invocation *v, struct remote_call *c, struct buf *out, struct err *err)
{
    c->method = "GET";
    c->status = 200;
    buf_clear(out);
    return remote_call(v, c, out, err);
}

/* Tables describe objects, these answers are lists. */
static int decode_list(const struct codec_message *m, const struct buf *answer, struct arena *mem,
                       void *out, struct err *err)
{
    struct buf wrapped;
    int result;

    buf_init(&wrapped, REMOTE_ANSWER_MAX + 16);
    buf_add_text(&wrapped, "{\"rows\":");
    buf_add_str(&wrapped, buf_str(answer));
    buf_add_byte(&wrapped, '}');
    result = json_decode(m, buf_str(&wrapped), mem, out, err);
    buf_done(&wrapped);
    return result;
}

/* The id in the last line. */
static struct str last_id(struct str lines)
{
    struct str line = {0};
    static const char before[] = "{\"id\":\"";

    while (lines.len > 0)
        line = str_cut(lines, '\n', &lines);
    if (!str_has_prefix(line, before))
        return (struct str){0};
    line = str_from(line, sizeof(before) - 1);
    return str_upto(line, (size_t)(str_find(line, '"') < 0 ? 0 : str_find(line, '"')));
}

static bool is_type(const char *type)
{
    for (const char *at = type; *at != '\0'; at++)
        if (!((*at >= 'a' && *at <= 'z') || *at == '.' || *at == '_' || *at == '*'))
            return false;
    return true;
}

int cli_events(const struct invocation *v)
{
    const char *team = v->values[OPTION_TEAM], *type = v->values[OPTION_TYPE];
    struct remote_call c = {.team = str_of(team)};
    char cursor[64] = "";
    struct buf answer;
    struct err err;
    int result = 0;

    if (team != NULL && !remote_is_plain(str_of(team)))
        return command_fail(v, "'%s' is not a team", team);
    if (type != NULL && !is_type(type))
        return command_fail(v, "'%s' is not a type of events", type);
    buf_init(&answer, REMOTE_ANSWER_MAX);
    do {
        ignore(snprintf(c.url, sizeof(c.url), "%s?format=jsonl&type=%s&cursor=%s",
                        team == NULL ? "/admin/events" : "/events", type == NULL ? "" : type,
                        cursor));
        result = get(v, &c, &answer, &err);
        if (result == 0)
            printf("%.*s", STR_ARG(buf_str(&answer)));
    } while (result == 0 && str_to_c(last_id(buf_str(&answer)), cursor, sizeof(cursor)) &&
             cursor[0] != '\0');
    buf_done(&answer);
    return result == 0 ? EXIT_SUCCESS : command_fail(v, "%s", err.text);
}

static double mib(int64_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* Status 1 when something is not as it should be, so that scripts see it. */
static int print_node(const struct node *n)
{
    static const struct node_metrics none = {0};
    const struct node_metrics *m = n->metrics == NULL ? &none : n->metrics;

    printf("sandlot    %.*s\n", STR_ARG(n->version));
    printf("node       %.*s: %.*s\n", STR_ARG(n->id), STR_ARG(n->status));
    printf("sandboxes  %lld running, %lld starting\n", (long long)n->sandboxes,
           (long long)n->starting);
    printf("starts     %lld done, %lld failed\n", (long long)n->successes, (long long)n->failures);
    printf("processor  %lld%% of %lld; %lld promised\n", (long long)m->cpu_percent,
           (long long)m->cpu_count, (long long)m->allocated_cpu);
    printf("memory     %.0f of %.0f MiB; %.0f promised\n", mib(m->memory_used),
           mib(m->memory_total), mib(m->allocated_memory));
    return str_is(n->status, "connecting") ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cli_status(const struct invocation *v)
{
    struct remote_call c = {.url = "/nodes"};
    struct node_list list = {0};
    struct arena mem;
    struct buf answer;
    struct err err;
    int result;

    buf_init(&answer, REMOTE_ANSWER_MAX);
    arena_init(&mem, REMOTE_ANSWER_MAX);
    result = get(v, &c, &answer, &err);
    if (result == 0)
        result = decode_list(&node_list_message, &answer, &mem, &list, &err);
    if (result != 0 || list.rows.count == 0)
        result = command_fail(v, "%s", result != 0 ? err.text : "the server has no node");
    else if (v->values[OPTION_JSON] != NULL)
        printf("%.*s\n", STR_ARG(buf_str(&answer)));
    else
        result = print_node(list.rows.items);
    buf_done(&answer);
    arena_done(&mem);
    return result;
}

static void print_top(const struct usage_list *list)
{
    const struct usage *rows = list->rows.items;

    printf("%-24s  %-20s  %6s  %5s  %9s  %9s  %9s\n", "SANDBOX", "TEMPLATE", "CPU%", "CORES",
           "MEM MiB", "OF MiB", "DISK MiB");
    for (size_t i = 0; i < list->rows.count; i++) {
        const struct metric *m = rows[i].metric;

        if (m == NULL)
            continue;
        printf("%-24.*s  %-20.*s  %6.1f  %5lld  %9.1f  %9.0f  %9.1f\n", STR_ARG(rows[i].id),
               STR_ARG(str_upto(rows[i].template_id, 20)), m->cpu_percent, (long long)m->cpu_count,
               mib(m->memory_used), mib(m->memory_total), mib(m->disk_used));
    }
    ignore(fflush(stdout)); /* a reader that left ends us by a signal */
}

static int top_once(const struct invocation *v, struct remote_call *c, bool clears)
{
    struct usage_list list = {0};
    struct arena mem;
    struct buf answer;
    struct err err;
    int result;

    buf_init(&answer, REMOTE_ANSWER_MAX);
    arena_init(&mem, REMOTE_ANSWER_MAX);
    result = get(v, c, &answer, &err);
    if (result == 0)
        result = decode_list(&usage_list_message, &answer, &mem, &list, &err);
    if (result == 0 && clears)
        printf("\033[H\033[2J"); /* home, erase */
    if (result == 0)
        print_top(&list);
    else
        result = command_fail(v, "%s", err.text);
    buf_done(&answer);
    arena_done(&mem);
    return result;
}

int cli_top(const struct invocation *v)
{
    const struct timespec pause = {.tv_sec = TOP_PAUSE_S};
    bool is_once = v->values[OPTION_ONCE] != NULL;
    struct remote_call c = {0};
    uint64_t count = TOP_DEFAULT;
    int result;

    if (v->values[OPTION_COUNT] != NULL &&
        (!str_to_u64(str_of(v->values[OPTION_COUNT]), &count) || count < 1 || count > TOP_MAX))
        return command_fail(v, "--count must be a number from 1 to %d", TOP_MAX);
    ignore(snprintf(c.url, sizeof(c.url), "/admin/sandboxes/usage?limit=%llu",
                    (unsigned long long)count));
    while ((result = top_once(v, &c, !is_once && isatty(STDOUT_FILENO))) == 0 && !is_once)
        ignore(nanosleep(&pause, NULL)); /* a signal ends the pause, or us */
    return result;
}
