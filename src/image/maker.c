/* SPDX-License-Identifier: Apache-2.0 */
/* See maker.h. */
#include "image/maker.h"

#include <stdio.h>

#include "base/clock.h"
#include "ipc/image_messages.h"

enum {
    LINE_MAX_BYTES = 300,
    RECORD_MEM_MAX = 1 << 20,
};

struct making {
    struct maker *maker;
    const struct oci_config *config;
    struct extract_usage usage;
    struct desk_layer layers[OCI_LAYERS_MAX];
    struct digest present; /* layer that is unpacked right now */
};

/* How many archives the lowest layer is made of. */
static size_t flat_count(const struct oci_config *c)
{
    return c->diff_count > MAKER_LAYERS_MAX ? c->diff_count - MAKER_LAYERS_MAX + 1 : 1;
}

static size_t layer_count(const struct oci_config *c)
{
    return c->diff_count == 0 ? 0 : c->diff_count - flat_count(c) + 1;
}

/* The first archive of a layer, and the one behind its last. */
static size_t first_of(const struct oci_config *c, size_t layer)
{
    return layer == 0 ? 0 : flat_count(c) + layer - 1;
}

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

/* Of several archives in one directory, as they are not what the chain of the last one names. */
static struct digest id_of(const struct oci_config *c, size_t layer)
{
    struct digest chain = chain_at(c, first_of(c, layer + 1) - 1);
    char text[sizeof("flat ") + DIGEST_HEX] = "flat ";

    if (layer == 0 && flat_count(c) > 1) {
        digest_hex(&chain, text + strlen(text));
        sha256_of(str_of(text), chain.at);
    }
    return chain;
}

int maker_missing(struct maker *m, const struct oci_config *c, bool *out, struct err *err)
{
    for (size_t layer = 0; layer < layer_count(c); layer++) {
        struct digest id = id_of(c, layer);
        struct desk_layer unused;
        struct err why = {0};
        bool is_missing = desk_find(m->desk, &id, &unused, &why) != 0;

        if (is_missing && why.kind != ERR_NOT_FOUND) {
            *err = why;
            return -1;
        }
        for (size_t i = first_of(c, layer); i < first_of(c, layer + 1); i++)
            out[i] = is_missing;
    }
    return 0;
}

static int on_opaque(void *ctx, const char *path, struct err *err)
{
    struct making *w = ctx;

    return desk_opaque(w->maker->desk, &w->present, path, err);
}

/* One archive into the layer's directory. */
static int unpack(struct making *w, size_t index, int root_fd, const struct layer_files *files,
                  struct err *err)
{
    auto_fd int fd = -1;
    struct extract_spec spec = {
        .root_fd = root_fd,
        .is_lowest = index < flat_count(w->config),
        .limits = &w->maker->limits,
        .usage = &w->usage,
        .on_opaque = on_opaque,
        .ctx = w,
    };
    struct digest diff;

    if (index > 0 && spec.is_lowest) {
        if (files->open(files->ctx, index, &fd, err) != 0)
            return -1;
        spec.archive_fd = fd;
        if (extract_erase(&spec, err) != 0)
            return -1;
        own_close_fd(&fd);
        fd = -1;
    }
    if (files->open(files->ctx, index, &fd, err) != 0)
        return -1;
    spec.archive_fd = fd;
    if (extract(&spec, &diff, err) != 0)
        return -1;
    if (!digest_eq(&diff, &w->config->diffs[index]))
        return err_set(err, ERR_INVALID, "its content is not what the image's configuration says");
    if (files->close != NULL)
        files->close(files->ctx, index);
    return 0;
}

static void say_of(struct making *w, size_t index, const char *what)
{
    char hex[DIGEST_HEX + 1];

    digest_hex(&w->config->diffs[index], hex);
    maker_say(w->maker, "layer %zu/%zu %.12s: %s", index + 1, w->config->diff_count, hex, what);
}

/* The archives of a layer, or its directory when somebody has made it before. */
static int make_layer(struct making *w, size_t layer, const struct layer_files *files,
                      struct err *err)
{
    size_t from = first_of(w->config, layer), end = first_of(w->config, layer + 1);
    struct desk_layer *l = &w->layers[layer];
    uint64_t before = w->usage.bytes;
    char text[64];
    auto_fd int root_fd = -1;

    l->id = w->present = id_of(w->config, layer);
    if (desk_find(w->maker->desk, &l->id, l, err) == 0) {
        say_of(w, end - 1, "here already");
        w->usage.bytes += l->bytes;
        return 0;
    }
    if (err->kind != ERR_NOT_FOUND || desk_begin(w->maker->desk, &l->id, &root_fd, err) != 0)
        return -1;
    for (size_t i = from; i < end; i++) {
        uint64_t held = w->usage.bytes;

        if (unpack(w, i, root_fd, files, err) != 0)
            return err_wrap(err, "layer %zu", i + 1);
        ignore(snprintf(text, sizeof text, "unpacked, %llu bytes",
                        (unsigned long long)(w->usage.bytes - held)));
        say_of(w, i, text);
    }
    l->bytes = w->usage.bytes - before;
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
    names = arena_array(&mem, layer_count(w->config) + 1, sizeof *names);
    digest_text(digest, of);
    ignore((long)rfc3339_format_ms(clock_wall_ms(), created));
    record.digest = str_of(of);
    record.created_at = str_of(created);
    oci_ports(r, &mem, &run.ports);
    oci_labels(r, "sandlot.", &mem, &run.labels);
    for (size_t i = 0; names != NULL && i < layer_count(w->config); i++) {
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
    if (!buf_ok(out) || record.layers.count < layer_count(w->config))
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
    if (result == 0 && flat_count(c) > 1)
        maker_say(m, "the lowest %zu of %zu layers become one", flat_count(c), c->diff_count);
    for (size_t i = 0; i < layer_count(c) && result == 0; i++)
        result = make_layer(w, i, files, err);
    if (result == 0 && w->usage.devices > 0)
        maker_say(m, "%llu device files were left out", (unsigned long long)w->usage.devices);
    if (result == 0)
        result = write_record(w, digest, &record, err);
    if (result == 0)
        result = desk_done(m->desk, w->layers, layer_count(c), buf_str(&record), err);
    buf_done(&record);
    free(w);
    return result;
}
