/* SPDX-License-Identifier: Apache-2.0 */
/* See maker.h. */
#include "image/maker.h"

#include <stdio.h>

#include "base/clock.h"
#include "ipc/image_messages.h"

enum {
    LINE_MAX_BYTES = 300,
    RECORD_MEM_MAX = 1 << 20,
    SHORT_HEX = 12, /* digits of a digest that people see */
};

struct making {
    struct maker *maker;
    const struct oci_config *config;
    struct extract_usage usage;
    struct desk_layer layers[OCI_LAYERS_MAX];
    struct digest present; /* layer that is unpacked right now */
};

void maker_say(struct maker *m, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    ignore(vsnprintf(line, sizeof line, format, args)); /* cut short is fine */
    va_end(args);
    m->say(m->ctx, line);
}

static struct digest chain_at(const struct oci_config *c, size_t index)
{
    struct digest chain = c->diffs[0];

    for (size_t i = 1; i <= index; i++)
        chain = digest_chain(&chain, &c->diffs[i]);
    return chain;
}

int maker_missing(struct maker *m, const struct oci_config *c, bool *out, struct err *err)
{
    for (size_t i = 0; i < c->diff_count; i++) {
        struct digest chain = chain_at(c, i);
        struct desk_layer unused;
        struct err why = {0};

        out[i] = desk_find(m->desk, &chain, &unused, &why) != 0;
        if (out[i] && why.kind != ERR_NOT_FOUND) {
            *err = why;
            return -1;
        }
    }
    return 0;
}

static int on_opaque(void *ctx, const char *path, struct err *err)
{
    struct making *w = ctx;

    return desk_opaque(w->maker->desk, &w->present, path, err);
}

static int unpack(struct making *w, size_t index, int archive_fd, struct err *err)
{
    const struct digest *want = &w->config->diffs[index];
    auto_fd int root_fd = -1;
    uint64_t before = w->usage.bytes;
    struct extract_spec spec = {
        .archive_fd = archive_fd,
        .is_lowest = index == 0,
        .limits = &w->maker->limits,
        .usage = &w->usage,
        .on_opaque = on_opaque,
        .ctx = w,
    };
    struct digest diff;

    if (desk_begin(w->maker->desk, &w->present, &root_fd, err) != 0)
        return -1;
    spec.root_fd = root_fd;
    if (extract(&spec, &diff, err) != 0)
        return -1;
    if (!digest_eq(&diff, want))
        return err_set(err, ERR_INVALID, "its content is not what the image's configuration says");
    w->layers[index].bytes = w->usage.bytes - before;
    return 0;
}

/* The archive of a layer, or its directory when somebody has made it before. */
static int make_layer(struct making *w, size_t index, const struct layer_files *files,
                      struct err *err)
{
    struct desk_layer *l = &w->layers[index];
    char hex[DIGEST_HEX + 1];
    auto_fd int fd = -1;
    int result;

    digest_hex(&w->config->diffs[index], hex);
    l->id = w->present = chain_at(w->config, index);
    if (desk_find(w->maker->desk, &l->id, l, err) == 0) {
        maker_say(w->maker, "layer %zu/%zu %.12s: here already", index + 1, w->config->diff_count,
                  hex);
        w->usage.bytes += l->bytes;
        return 0;
    }
    if (err->kind != ERR_NOT_FOUND)
        return -1;
    if (files->open(files->ctx, index, &fd, err) != 0)
        return err_wrap(err, "layer %zu", index + 1);
    result = unpack(w, index, fd, err);
    if (result == 0 && files->close != NULL)
        files->close(files->ctx, index);
    if (result != 0)
        return err_wrap(err, "layer %zu", index + 1);
    maker_say(w->maker, "layer %zu/%zu %.12s: unpacked, %llu bytes", index + 1,
              w->config->diff_count, hex, (unsigned long long)l->bytes);
    return 0;
}

static int write_record(struct making *w, const struct digest *digest, struct buf *out,
                        struct err *err)
{
    const struct oci_run *r = w->config->run;
    char created[RFC3339_MAX], of[IMAGE_DIGEST_LEN + 1];
    struct image_run run = {.env = r->env,
                            .cmd = r->cmd,
                            .entrypoint = r->entrypoint,
                            .workdir = r->workdir,
                            .user = r->user};
    struct image_result record = {.reference = w->maker->reference,
                                  .size_bytes = w->usage.bytes,
                                  .source = str_of(w->maker->source),
                                  .run = &run};
    struct str *names;
    struct arena mem;

    arena_init(&mem, RECORD_MEM_MAX);
    names = arena_array(&mem, w->config->diff_count + 1, sizeof *names);
    digest_text(digest, of);
    ignore((long)rfc3339_format_ms(clock_wall_ms(), created));
    record.digest = str_of(of);
    record.created_at = str_of(created);
    oci_ports(r, &mem, &run.ports);
    for (size_t i = 0; names != NULL && i < w->config->diff_count; i++) {
        char *hex = arena_alloc(&mem, DIGEST_HEX + 1);

        if (hex == NULL)
            break;
        digest_hex(&w->layers[i].id, hex);
        names[i] = str_of(hex);
        record.layers.count = i + 1;
    }
    record.layers.items = names;
    json_encode(&image_result_message, &record, out);
    arena_done(&mem);
    if (!buf_ok(out) || record.layers.count < w->config->diff_count)
        return err_set(err, ERR_LIMIT, "the image's configuration is too large");
    return 0;
}

int maker_run(struct maker *m, const struct oci_config *c, const struct digest *digest,
              const struct layer_files *files, struct err *err)
{
    struct making *w = mem_zero(sizeof *w);
    struct buf record;
    int result = 0;

    w->maker = m;
    w->config = c;
    buf_init(&record, DESK_TEXT_MAX);
    if (c->diff_count == 0)
        result = err_set(err, ERR_UNSUPPORTED, "the image has no layers");
    for (size_t i = 0; i < c->diff_count && result == 0; i++)
        result = make_layer(w, i, files, err);
    if (result == 0 && w->usage.devices > 0)
        maker_say(m, "%llu device files were left out", (unsigned long long)w->usage.devices);
    if (result == 0)
        result = write_record(w, digest, &record, err);
    if (result == 0)
        result = desk_done(m->desk, w->layers, c->diff_count, buf_str(&record), err);
    buf_done(&record);
    free(w);
    return result;
}
