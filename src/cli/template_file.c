/* SPDX-License-Identifier: Apache-2.0 */
/* See template_file.h. An import keeps the file as an image under a name of the moment, as image
 * import does and with all that it checks, and has the server build the template from it. What was
 * under the template's name stays until that has succeeded. */
#include "cli/template_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "base/id.h"
#include "cli/template_call.h"
#include "cli/words.h"
#include "image/export.h"
#include "image/job.h"
#include "image/store.h"

enum {
    PARTS_MEM_MAX = 16 << 20,
    SUFFIX_LEN = 8,
    LABELS_MAX = 6,
    NUMBER_SIZE = 16,
};

static const char format_label[] = "sandlot.template", format[] = "1";
static const char image_of_import[] = "localhost/sandlot-template-import";

struct parts {
    struct str id, build_id, rootfs, snapshot, user, workdir, start_cmd, ready_cmd;
    struct codec_list layers, env, ports;
    int64_t cpu_count, memory_mb, disk_mb;
};

/* clang-format off */
static const struct codec_field parts_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct parts, id)},
    {2, "buildID", CODEC_STRING, 0, offsetof(struct parts, build_id)},
    {3, "rootfs", CODEC_STRING, CODEC_REQUIRED, offsetof(struct parts, rootfs)},
    {4, "layers", CODEC_STRING, CODEC_REPEATED, offsetof(struct parts, layers)},
    {5, "snapshot", CODEC_STRING, 0, offsetof(struct parts, snapshot)},
    {6, "defaultUser", CODEC_STRING, 0, offsetof(struct parts, user)},
    {7, "defaultWorkdir", CODEC_STRING, 0, offsetof(struct parts, workdir)},
    {8, "startCmd", CODEC_STRING, 0, offsetof(struct parts, start_cmd)},
    {9, "readyCmd", CODEC_STRING, 0, offsetof(struct parts, ready_cmd)},
    {10, "envVars", CODEC_MAP, 0, offsetof(struct parts, env)},
    {11, "exposedPorts", CODEC_STRING, CODEC_REPEATED, offsetof(struct parts, ports)},
    {12, "cpuCount", CODEC_NUMBER, 0, offsetof(struct parts, cpu_count)},
    {13, "memoryMB", CODEC_NUMBER, 0, offsetof(struct parts, memory_mb)},
    {14, "diskSizeMB", CODEC_NUMBER, 0, offsetof(struct parts, disk_mb)},
};
static const struct codec_message parts_message =
    {"parts", sizeof(struct parts), parts_fields, COUNT_OF(parts_fields)};
/* clang-format on */

/* Export */

struct labels {
    struct codec_pair rows[LABELS_MAX];
    char numbers[3][NUMBER_SIZE];
    size_t count;
};

static void add_label(struct labels *l, const char *name, struct str value)
{
    if (value.len > 0)
        l->rows[l->count++] = (struct codec_pair){str_of(name), value};
}

static void describe(struct labels *l, const struct parts *p)
{
    const int64_t numbers[] = {p->cpu_count, p->memory_mb, p->disk_mb};
    static const char *const names[] = {"sandlot.cpu", "sandlot.memory", "sandlot.disk"};

    add_label(l, format_label, str_of(format));
    add_label(l, "sandlot.start", p->start_cmd);
    add_label(l, "sandlot.ready", p->ready_cmd);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        ignore(snprintf(l->numbers[i], NUMBER_SIZE, "%lld", (long long)numbers[i]));
        add_label(l, names[i], str_of(l->numbers[i]));
    }
}

/* Beside the file that it becomes when it is whole. */
static int write_file(const struct export_spec *spec, const char *file, struct exported *out,
                      struct err *err)
{
    char path[PATH_MAX], suffix[SUFFIX_LEN + 1] = "";
    auto_fd int fd = -1;
    auto_fd int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    id_text(suffix, SUFFIX_LEN);
    if ((size_t)snprintf(path, sizeof path, "%s.%s", file, suffix) >= sizeof path)
        return err_set(err, ERR_INVALID, "the path is too long");
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || dir < 0)
        return err_sys(err, errno, "make '%s'", path);
    if (export_write(spec, fd, out, err) == 0) {
        if (renameat(dir, path, dir, file) == 0)
            return 0;
        err_sys(err, errno, "name it '%s'", file);
    }
    ignore(unlinkat(dir, path, 0)); /* it is there, and nobody's */
    return -1;
}

static int export(struct template_call *c, const struct invocation *v, struct err *err)
{
    const struct cli_places *places = v->ctx;
    char name[REMOTE_URL_MAX], digest[IMAGE_DIGEST_LEN + 1];
    struct parts p = {0};
    struct labels labels = {.count = 0};
    struct exported made;
    struct export_spec spec = {.data_dir = places->data_dir};

    if (template_call_name(v->words[0], name, err) != 0)
        return -1;
    template_call_set(c, "GET", 200, "/admin/teams/%.*s/templates/%s", STR_ARG(c->call.team), name);
    if (template_call_run(c, v, &parts_message, &p, err) != 0)
        return -1;
    describe(&labels, &p);
    spec.rootfs = p.rootfs;
    spec.layers = p.layers;
    spec.snapshot = p.snapshot;
    spec.user = p.user;
    spec.workdir = p.workdir;
    spec.env = p.env;
    spec.ports = p.ports;
    spec.labels = (struct codec_list){labels.rows, labels.count};
    if (write_file(&spec, v->words[1], &made, err) != 0)
        return -1;
    digest_text(&made.manifest, digest);
    if (command_value(v, "--json") != NULL)
        printf(
            "{\"templateID\":\"%.*s\",\"buildID\":\"%.*s\",\"digest\":\"%s\",\"sizeBytes\":%llu}\n",
            STR_ARG(p.id), STR_ARG(p.build_id), digest, (unsigned long long)made.bytes);
    else
        printf("exported %s (%.*s) to %s, %.1f MB\n", v->words[0], STR_ARG(p.id), v->words[1],
               (double)made.bytes / 1e6);
    return 0;
}

int cli_template_export(const struct invocation *v)
{
    struct template_call c = {0};
    int result = EXIT_USAGE;
    struct err err = {0};

    if (template_call_begin(&c, v) == 0)
        result = export(&c, v, &err) == 0 ? EXIT_SUCCESS : cli_fail(v, &err);
    template_call_end(&c);
    return result;
}

/* Import */

static void say(void *ctx, const char *line)
{
    ignore((long)(ctx != NULL));
    fprintf(stderr, "%s\n", line);
}

static struct str label(const struct image_run *run, const char *name)
{
    const struct codec_pair *pairs = run->labels.items;

    for (size_t i = 0; i < run->labels.count; i++)
        if (str_is(pairs[i].key, name))
            return pairs[i].value;
    return (struct str){0};
}

static int read_record(struct str text, struct arena *a, struct image_result *out, struct err *err)
{
    if (json_decode(&image_result_message, text, a, out, err) != 0)
        return -1;
    if (out->run == NULL || !str_is(label(out->run, format_label), format))
        return err_set(err, ERR_INVALID,
                       "it is an image, but no exported template: see sandlot image import");
    return 0;
}

static int put_number(struct buf *json, const struct image_run *run, const char *from,
                      const char *name, struct err *err)
{
    struct str text = label(run, from);
    uint64_t number;

    if (text.len == 0)
        return 0;
    if (!str_to_u64(text, &number) || number > INT32_MAX)
        return err_set(err, ERR_INVALID, "its label %s is no number", from);
    buf_printf(json, ",\"%s\":%llu", name, (unsigned long long)number);
    return 0;
}

static void put_step(struct buf *json, bool is_first, const char *type, struct str arg)
{
    buf_printf(json, "%s{\"type\":\"%s\",\"args\":[", is_first ? "" : ",", type);
    json_quote(json, arg);
    buf_add_text(json, "]}");
}

/* What an image does not bring along when it is built from (docs/images.md). */
static void put_steps(struct buf *json, const struct image_run *run)
{
    bool is_usual = run->user.len == 0 || str_is(run->user, "user");
    bool is_home = run->workdir.len == 0 || (str_has_prefix(run->workdir, "/home/") &&
                                             str_eq(str_from(run->workdir, 6), run->user));

    buf_add_text(json, ",\"steps\":[");
    if (!is_usual)
        put_step(json, true, "USER", run->user);
    if (!is_home)
        put_step(json, is_usual, "WORKDIR", run->workdir);
    buf_add_byte(json, ']');
}

static int build(struct template_call *c, const struct invocation *v, const char *image,
                 const struct image_run *run, struct template_build_ids *out, struct err *err)
{
    template_call_set(c, "POST", 202, "/v3/templates");
    buf_add_text(&c->body, "{\"name\":");
    json_quote(&c->body, str_of(v->words[0]));
    if (put_number(&c->body, run, "sandlot.cpu", "cpuCount", err) != 0 ||
        put_number(&c->body, run, "sandlot.memory", "memoryMB", err) != 0 ||
        put_number(&c->body, run, "sandlot.disk", "minFreeDiskMb", err) != 0)
        return -1;
    buf_add_byte(&c->body, '}');
    if (template_call_request(c, v, out, err) != 0)
        return -1;
    template_call_set(c, "POST", 202, "/v2/templates/%s/builds/%s", out->template_id,
                      out->build_id);
    buf_printf(&c->body, "{\"fromImage\":\"%s\"", image);
    template_call_text(&c->body, "startCmd", label(run, "sandlot.start"));
    template_call_text(&c->body, "readyCmd", label(run, "sandlot.ready"));
    put_steps(&c->body, run);
    buf_add_byte(&c->body, '}');
    if (template_call_run(c, v, NULL, NULL, err) != 0)
        return -1;
    return template_call_follow(c, v, out, command_value(v, "--json") != NULL, err);
}

static int import(struct template_call *c, const struct invocation *v, const char *image,
                  struct err *err)
{
    const struct cli_places *places = v->ctx;
    struct image_job job = *places->image;
    auto_fd int fd = open(v->words[1], O_RDONLY | O_CLOEXEC);
    struct template_build_ids ids;
    struct image_result record = {0};
    struct arena mem;
    struct buf text;
    struct err unused = {0};
    int result;

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", v->words[1]);
    job.say = say;
    buf_init(&text, IMAGE_RECORD_MAX);
    arena_init(&mem, PARTS_MEM_MAX);
    result = image_job_import(&job, str_of(image), fd, &text, err);
    if (result == 0) {
        result = read_record(buf_str(&text), &mem, &record, err);
        if (result == 0)
            result = build(c, v, image, record.run, &ids, err);
        ignore(image_job_remove(&job, str_of(image), &unused)); /* else image list has it */
    }
    if (result == 0 && command_value(v, "--json") != NULL)
        printf(
            "{\"templateID\":\"%s\",\"buildID\":\"%s\",\"status\":\"ready\",\"digest\":\"%.*s\"}\n",
            ids.template_id, ids.build_id, STR_ARG(record.digest));
    else if (result == 0)
        printf("imported %s (%s)\n", v->words[0], ids.template_id);
    arena_done(&mem);
    buf_done(&text);
    return result;
}

int cli_template_import(const struct invocation *v)
{
    struct template_call c = {0};
    char image[sizeof image_of_import + 1 + SUFFIX_LEN], suffix[SUFFIX_LEN + 1] = "";
    int result = EXIT_USAGE;
    struct err err = {0};

    id_text(suffix, SUFFIX_LEN);
    ignore(snprintf(image, sizeof image, "%s:%s", image_of_import, suffix));
    if (template_call_begin(&c, v) == 0)
        result = import(&c, v, image, &err) == 0 ? EXIT_SUCCESS : cli_fail(v, &err);
    template_call_end(&c);
    return result;
}
