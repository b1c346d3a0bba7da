/* SPDX-License-Identifier: Apache-2.0 */
/* template list: the records that template builds leave in data_dir/templates. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "cli/remote.h"
#include "codec/codec.h"

enum {
    TEMPLATE_FILE_MAX = 64 << 10,
    TEMPLATES_MAX = 1000,
    LIST_MAX = 64 << 20,
};

struct template_row {
    struct str id, build_id, created_at;
    int64_t cpu_count, memory_mb, disk_mb;
};

static const struct codec_field row_fields[] = {
    {1, "templateID", CODEC_STRING, 0, offsetof(struct template_row, id)        },
    {2, "buildID",    CODEC_STRING, 0, offsetof(struct template_row, build_id)  },
    {3, "createdAt",  CODEC_STRING, 0, offsetof(struct template_row, created_at)},
    {4, "cpuCount",   CODEC_NUMBER, 0, offsetof(struct template_row, cpu_count) },
    {5, "memoryMB",   CODEC_NUMBER, 0, offsetof(struct template_row, memory_mb) },
    {6, "diskSizeMB", CODEC_NUMBER, 0, offsetof(struct template_row, disk_mb)   },
};
static const struct codec_message row_message = {"template", sizeof(struct template_row),
                                                 row_fields, COUNT_OF(row_fields)};

static int read_whole(int dir_fd, const char *name, struct buf *out, struct err *err)
{
    auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char part[4096];
    ssize_t got;

    if (fd < 0)
        return err_sys(err, errno, "open '%s'", name);
    while ((got = read(fd, part, sizeof part)) > 0)
        buf_add(out, part, (size_t)got);
    if (got < 0)
        return err_sys(err, errno, "read '%s'", name);
    if (!buf_ok(out))
        return err_set(err, ERR_LIMIT, "'%s' is too large", name);
    return 0;
}

struct listing {
    const struct invocation *v;
    struct buf json;
    size_t count;
    int result;
};

static int list_file(struct listing *l, int dir_fd, const char *name, struct err *err)
{
    struct template_row row = {0};
    struct arena mem;
    struct buf text;
    int result;

    buf_init(&text, TEMPLATE_FILE_MAX);
    arena_init(&mem, 4 * TEMPLATE_FILE_MAX);
    result = read_whole(dir_fd, name, &text, err);
    if (result == 0 && json_decode(&row_message, buf_str(&text), &mem, &row, err) != 0)
        result = err_wrap(err, "template file '%s'", name);
    if (result == 0) {
        buf_add_text(&l->json, l->count++ > 0 ? "," : "");
        buf_add_str(&l->json, str_trim(buf_str(&text)));
    }
    if (result == 0 && l->v->values[0] == NULL)
        printf("%-24.*s  %-36.*s  %3lld  %6lld MB  %6lld MB  %.*s\n", STR_ARG(row.id),
               STR_ARG(row.build_id), (long long)row.cpu_count, (long long)row.memory_mb,
               (long long)row.disk_mb, STR_ARG(row.created_at));
    arena_done(&mem);
    buf_done(&text);
    return result;
}

static bool is_record(const struct dirent *e)
{
    return str_has_suffix(str_of(e->d_name), ".json") && e->d_name[0] != '.';
}

static int list_dir(struct listing *l, DIR *dir)
{
    const struct dirent *e;
    struct err err;

    while (l->count < TEMPLATES_MAX && (e = readdir(dir)) != NULL) {
        if (is_record(e) && list_file(l, dirfd(dir), e->d_name, &err) != 0)
            l->result = command_fail(l->v, "%s", err.text);
    }
    return l->result;
}

int cli_template_list(const struct invocation *v)
{
    const struct cli_places *places = v->ctx;
    struct listing l = {.v = v};
    char path[PATH_MAX];
    DIR *dir;

    if ((size_t)snprintf(path, sizeof path, "%s/templates", places->data_dir) >= sizeof path)
        return command_fail(v, "data_dir is too long");
    dir = opendir(path);
    if (dir == NULL && errno != ENOENT)
        return command_fail(v, "open '%s': %s", path, strerror(errno));
    buf_init(&l.json, LIST_MAX);
    if (v->values[0] == NULL)
        printf("%-24s  %-36s  %3s  %9s  %9s  %s\n", "TEMPLATE", "BUILD", "CPU", "MEMORY", "DISK",
               "CREATED");
    if (dir != NULL) {
        ignore(list_dir(&l, dir));
        ignore(closedir(dir)); /* only read */
    }
    if (v->values[0] != NULL)
        printf("[%.*s]\n", STR_ARG(buf_str(&l.json)));
    buf_done(&l.json);
    return l.result;
}
