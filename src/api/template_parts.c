/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator needs of a template to write it to a file (sandlot template export): where its
 * files are on this machine, and all that is known of it. Called by the gate. */
#include "api/template_json.h"
#include "codec/codec.h"

struct template_parts {
    struct str id, build_id, rootfs, snapshot, user, workdir, start_cmd, ready_cmd;
    struct codec_list layers, env, ports;
    int32_t cpu_count, memory_mb, disk_mb;
};

/* clang-format off */
static const struct codec_field template_parts_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, id)},
    {2, "buildID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, build_id)},
    {3, "rootfs", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, rootfs)},
    {4, "layers", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct template_parts, layers)},
    {5, "snapshot", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, snapshot)},
    {6, "defaultUser", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, user)},
    {7, "defaultWorkdir", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, workdir)},
    {8, "startCmd", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, start_cmd)},
    {9, "readyCmd", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_parts, ready_cmd)},
    {10, "envVars", CODEC_MAP, CODEC_ALWAYS, offsetof(struct template_parts, env)},
    {11, "exposedPorts", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct template_parts, ports)},
    {12, "cpuCount", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_parts, cpu_count)},
    {13, "memoryMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_parts, memory_mb)},
    {14, "diskSizeMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_parts, disk_mb)},
};
static const struct codec_message template_parts_message =
    {"template_parts", sizeof(struct template_parts), template_parts_fields, COUNT_OF(template_parts_fields)};
/* clang-format on */

void template_parts_get(struct call *c)
{
    const struct template *t;
    const struct build *b;
    struct template_parts p;
    struct buf json;
    struct err err = {0};

    if (template_resolve(c->api->domain, c->team, call_param(c, 1), &t, &err) != 0) {
        template_fail(c, &err);
        return;
    }
    b = build_find(c->api->domain, t->r.build_id);
    p = (struct template_parts){
        .id = t->r.id,
        .build_id = t->r.build_id,
        .rootfs = t->r.rootfs,
        .layers = t->r.layers,
        .snapshot = t->r.snapshot,
        .user = t->r.user,
        .workdir = t->r.workdir,
        /* a build's own: what its checkpoint holds running is not started there again */
        .start_cmd = b != NULL ? b->r.start_cmd : t->r.start_cmd,
        .ready_cmd = b != NULL ? b->r.ready_cmd : t->r.ready_cmd,
        .env = t->r.env,
        .ports = t->r.ports,
        .cpu_count = t->r.cpu_count,
        .memory_mb = t->r.memory_mb,
        .disk_mb = t->r.disk_mb,
    };
    buf_init(&json, REPLY_MAX);
    json_encode(&template_parts_message, &p, &json);
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}
