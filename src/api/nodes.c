/* SPDX-License-Identifier: Apache-2.0 */
/* The machines over REST, for operators (wire.md 2.5). Called by the gate. */
#include "domain/nodes.h"

#include "api/call.h"
#include "api/errors.h"
#include "base/clock.h"

/* There is one cluster. */
static const char cluster_id[] = "00000000-0000-0000-0000-000000000000";

struct machine_reply {
    struct str family, model, model_name, architecture;
};

struct disk_reply {
    struct str mount_point, device, fs_type;
    int64_t used, total;
};

struct metrics_reply {
    int64_t allocated_cpu, cpu_percent, cpu_count;
    int64_t allocated_memory, memory_used, memory_total;
    int64_t huge_total, huge_used, huge_reserved, huge_size;
    struct codec_list disks; /* of struct disk_reply */
};

struct node_reply {
    struct str id, instance, cluster, version, commit, status, changed_at;
    int64_t sandboxes, starting, successes, failures;
    struct machine_reply *machine;
    struct metrics_reply *metrics;
};

struct status_body {
    struct str status;
};

/* clang-format off */
static const struct codec_field machine_fields[] = {
    {1, "cpuFamily", CODEC_STRING, CODEC_ALWAYS, offsetof(struct machine_reply, family)},
    {2, "cpuModel", CODEC_STRING, CODEC_ALWAYS, offsetof(struct machine_reply, model)},
    {3, "cpuModelName", CODEC_STRING, CODEC_ALWAYS, offsetof(struct machine_reply, model_name)},
    {4, "cpuArchitecture", CODEC_STRING, CODEC_ALWAYS, offsetof(struct machine_reply, architecture)},
};
static const struct codec_message machine_message =
    {"machine", sizeof(struct machine_reply), machine_fields,
     COUNT_OF(machine_fields)};

static const struct codec_field disk_fields[] = {
    {1, "mountPoint", CODEC_STRING, CODEC_ALWAYS, offsetof(struct disk_reply, mount_point)},
    {2, "device", CODEC_STRING, CODEC_ALWAYS, offsetof(struct disk_reply, device)},
    {3, "filesystemType", CODEC_STRING, CODEC_ALWAYS, offsetof(struct disk_reply, fs_type)},
    {4, "usedBytes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct disk_reply, used)},
    {5, "totalBytes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct disk_reply, total)},
};
static const struct codec_message disk_message =
    {"disk", sizeof(struct disk_reply), disk_fields,
     COUNT_OF(disk_fields)};

static const struct codec_field metrics_fields[] = {
    {1, "allocatedCPU", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, allocated_cpu)},
    {2, "cpuPercent", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, cpu_percent)},
    {3, "cpuCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, cpu_count)},
    {4, "allocatedMemoryBytes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, allocated_memory)},
    {5, "memoryUsedBytes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, memory_used)},
    {6, "memoryTotalBytes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, memory_total)},
    {7, "hugePagesTotal", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, huge_total)},
    {8, "hugePagesUsed", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, huge_used)},
    {9, "hugePagesReserved", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, huge_reserved)},
    {10, "hugePageSizeBytes", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct metrics_reply, huge_size)},
    {11, "disks", CODEC_MESSAGE, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct metrics_reply, disks), 0,
     &disk_message},
};
static const struct codec_message metrics_message =
    {"metrics", sizeof(struct metrics_reply), metrics_fields,
     COUNT_OF(metrics_fields)};

/* NodeDetail is the same without the last. */
static const struct codec_field node_fields[] = {
    {1, "id", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, id)},
    {2, "serviceInstanceID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, instance)},
    {3, "clusterID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, cluster)},
    {4, "version", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, version)},
    {5, "commit", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, commit)},
    {6, "status", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, status)},
    {7, "statusChangedAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct node_reply, changed_at)},
    {8, "sandboxCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct node_reply, sandboxes)},
    {9, "createSuccesses", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct node_reply, successes)},
    {10, "createFails", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct node_reply, failures)},
    {11, "machineInfo", CODEC_MESSAGE, CODEC_ALWAYS, offsetof(struct node_reply, machine), 0, &machine_message},
    {12, "metrics", CODEC_MESSAGE, CODEC_ALWAYS, offsetof(struct node_reply, metrics), 0, &metrics_message},
    {13, "sandboxStartingCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct node_reply, starting)},
};
static const struct codec_message node_message =
    {"node", sizeof(struct node_reply), node_fields,
     COUNT_OF(node_fields)};
static const struct codec_message detail_message =
    {"node_detail", sizeof(struct node_reply), node_fields,
     COUNT_OF(node_fields) - 1};

static const struct codec_field status_fields[] = {
    {1, "status", CODEC_STRING, CODEC_REQUIRED, offsetof(struct status_body, status)},
};
static const struct codec_message status_message =
    {"status", sizeof(struct status_body), status_fields,
     COUNT_OF(status_fields)};
/* clang-format on */

static void put(struct call *c, const struct node_info *info, const struct codec_message *m,
                struct buf *out)
{
    const struct node_report *r = &info->report;
    const struct domain_counters *done = domain_counters(c->api->domain);
    struct domain_allocation taken = domain_allocation(c->api->domain);
    struct machine_reply machine = {r->cpu_family, r->cpu_model, r->cpu_model_name,
                                    r->cpu_architecture};
    struct disk_reply disk = {r->mount_point, r->device, r->fs_type, (int64_t)r->disk_used,
                              (int64_t)r->disk_total};
    struct metrics_reply metrics = {
        .allocated_cpu = (int64_t)taken.cpus,
        .cpu_percent = (r->cpu_permille + 5) / 10,
        .cpu_count = r->cpu_count,
        .allocated_memory = (int64_t)taken.memory_bytes,
        .memory_used = (int64_t)r->memory_used,
        .memory_total = (int64_t)r->memory_total,
        .huge_total = (int64_t)r->huge_total,
        .huge_used = (int64_t)r->huge_used,
        .huge_reserved = (int64_t)r->huge_reserved,
        .huge_size = (int64_t)r->huge_size,
        .disks = {&disk, info->has_report},
    };
    char changed[RFC3339_MAX];
    struct node_reply reply = {
        .id = str_of(info->id),
        .instance = str_of(info->instance),
        .cluster = str_of(cluster_id),
        .version = str_of(c->api->config.version),
        .status = str_of(node_status_name(info->status)),
        .sandboxes = (int64_t)taken.sandboxes,
        .starting = (int64_t)r->starting,
        .successes = (int64_t)done->created,
        .failures = (int64_t)done->create_failed,
        .machine = &machine,
        .metrics = &metrics,
    };

    rfc3339_format_ms(info->status_changed_ms, changed);
    reply.changed_at = str_of(changed);
    json_encode(m, &reply, out);
}

static void answer(struct call *c, const struct node_info *info, bool is_list)
{
    struct buf out;

    buf_init(&out, REPLY_MAX);
    if (is_list)
        buf_add_byte(&out, '[');
    put(c, info, is_list ? &node_message : &detail_message, &out);
    if (is_list)
        buf_add_byte(&out, ']');
    call_reply_text(c, 200, buf_str(&out));
    buf_done(&out);
}

/* False: answered with 404. */
static bool require(struct call *c, struct node_info *out)
{
    struct str id = call_param(c, 0), cluster = call_query(c, "clusterID");

    nodes_get(c->api->domain, out);
    if (str_is(id, out->id) && (cluster.len == 0 || str_is(cluster, cluster_id)))
        return true;
    call_error(c, 404, NULL, "Node '%.*s' not found", STR_ARG(str_upto(id, NODE_ID_MAX)));
    return false;
}

void node_list_get(struct call *c)
{
    struct str cluster = call_query(c, "clusterID");
    struct node_info info;

    nodes_get(c->api->domain, &info);
    if (cluster.len > 0 && !str_is(cluster, cluster_id))
        call_reply_text(c, 200, STR("[]"));
    else
        answer(c, &info, true);
}

void node_get(struct call *c)
{
    struct node_info info;

    if (require(c, &info))
        answer(c, &info, false);
}

static void on_set(void *ctx, const struct err *err)
{
    if (err != NULL)
        call_fail(ctx, err);
    else
        call_reply_empty(ctx, 204);
}

void node_post(struct call *c)
{
    struct status_body body = {0};
    enum node_status status;
    struct node_info info;
    struct err err = {0};

    if (!require(c, &info) || call_body(c, &status_message, false, &body) != 0)
        return;
    if (!node_status_parse(body.status, &status))
        call_error(c, 400, NULL,
                   "validation error: status must be 'ready', 'draining' or 'standby'");
    else if (nodes_set_status(c->api->domain, status, on_set, c, &err) != 0)
        call_fail(c, &err);
}
