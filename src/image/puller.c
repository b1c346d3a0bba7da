/* SPDX-License-Identifier: Apache-2.0 */
/* See puller.h. Documents first, then the layers that are missing, a few at once, then they are
 * unpacked in order. */
#include "image/puller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "image/blob.h"

enum {
    MEM_MAX = 32 << 20, /* of what documents become */
    AT_ONCE = 3,
    WAIT_MS = 1000,
    TELL_MS = 5000, /* between two lines about progress */
    TEXT_SIZE = IMAGE_DIGEST_LEN + 1,
};

struct puller {
    struct maker *maker;
    const struct puller_spec *spec;
    struct fetcher *fetcher;
    struct registry *registry;
    struct arena mem;
    struct oci_manifest manifest;
    struct oci_config config;
    struct digest digest; /* of the manifest */
    bool missing[OCI_LAYERS_MAX];
    struct blob *blobs[OCI_LAYERS_MAX]; /* NULL: not needed */
    uint64_t told_ms;
};

/* A document with the digest that it must have; `want` NULL: any. */
static int read_manifest(struct puller *p, struct str reference, const struct digest *want,
                         struct err *err)
{
    struct buf text;
    int result;

    buf_init(&text, OCI_DOCUMENT_MAX);
    result = registry_manifest(p->registry, reference, &text, err);
    if (result == 0) {
        sha256_of(buf_str(&text), p->digest.at);
        if (want != NULL && !digest_eq(&p->digest, want))
            result =
                err_set(err, ERR_INVALID, "the registry sends another manifest than asked for");
    }
    if (result == 0)
        result = oci_manifest_read(buf_str(&text), &p->mem, &p->manifest, err);
    buf_done(&text);
    return result;
}

static int find_manifest(struct puller *p, struct err *err)
{
    const struct image_name *n = p->spec->name;
    const struct oci_descriptor *d;
    struct digest wanted;
    bool is_fixed = digest_read(n->digest, &wanted);
    char text[TEXT_SIZE];

    if (read_manifest(p, is_fixed ? n->digest : n->tag, is_fixed ? &wanted : NULL, err) != 0)
        return -1;
    if (!p->manifest.is_index)
        return 0;
    d = oci_choose(&p->manifest);
    if (d == NULL)
        return err_set(err, ERR_NOT_FOUND, "the image is not there for linux on %s",
                       oci_architecture);
    wanted = d->id;
    digest_text(&wanted, text);
    if (read_manifest(p, str_of(text), &wanted, err) != 0)
        return -1;
    return p->manifest.is_index ? err_set(err, ERR_INVALID, "an index within an index") : 0;
}

static int read_config(struct puller *p, struct err *err)
{
    const struct digest *want = &p->manifest.config->id;
    struct digest found;
    struct buf text;
    int result;

    buf_init(&text, OCI_DOCUMENT_MAX);
    result = registry_document(p->registry, want, &text, err);
    if (result == 0) {
        sha256_of(buf_str(&text), found.at);
        if (!digest_eq(&found, want))
            result = err_set(err, ERR_INVALID, "the configuration does not have its digest");
    }
    if (result == 0)
        result = oci_config_read(buf_str(&text), &p->mem, &p->config, err);
    if (result == 0 && p->config.diff_count != p->manifest.layers.count)
        result = err_set(err, ERR_INVALID, "%zu layers, but the configuration names %zu",
                         p->manifest.layers.count, p->config.diff_count);
    buf_done(&text);
    return result;
}

static int open_blob(struct puller *p, size_t index, struct err *err)
{
    const struct oci_descriptor *d = p->manifest.layers.items;
    struct blob *b = mem_zero(sizeof *b);
    char hex[DIGEST_HEX + 1];

    p->blobs[index] = b;
    b->fd = -1;
    b->id = d[index].id;
    b->size = (uint64_t)d[index].size;
    if (blob_open(b, p->maker->desk->blobs_fd, p->maker->limits.bytes_max, err) != 0)
        return -1;
    digest_hex(&b->id, hex);
    if (b->have > 0)
        maker_say(p->maker, "layer %zu/%zu %.12s: going on at %.1f of %.1f MB", index + 1,
                  p->config.diff_count, hex, (double)b->have / 1e6, (double)b->size / 1e6);
    else
        maker_say(p->maker, "layer %zu/%zu %.12s: fetching %.1f MB", index + 1,
                  p->config.diff_count, hex, (double)b->size / 1e6);
    return 0;
}

static void tell_progress(struct puller *p)
{
    uint64_t now = clock_mono_ms(), have = 0, size = 0;

    if (now - p->told_ms < TELL_MS)
        return;
    p->told_ms = now;
    for (size_t i = 0; i < p->config.diff_count; i++) {
        const struct blob *b = p->blobs[i];

        have += b == NULL ? 0 : b->have;
        size += p->missing[i]
                    ? (uint64_t)((const struct oci_descriptor *)p->manifest.layers.items)[i].size
                    : 0;
    }
    maker_say(p->maker, "fetched %.1f of %.1f MB", (double)have / 1e6, (double)size / 1e6);
}

static struct blob *blob_of(struct puller *p, const struct fetch *f)
{
    for (size_t i = 0; i < p->config.diff_count; i++) {
        if (p->blobs[i] != NULL && &p->blobs[i]->fetch == f)
            return p->blobs[i];
    }
    return NULL;
}

/* Starts the next one that has to be fetched. *out_started: there was one. */
static int start_next(struct puller *p, size_t *next, bool *out_started, struct err *err)
{
    *out_started = false;
    while (*next < p->config.diff_count && !*out_started) {
        size_t index = (*next)++;

        if (!p->missing[index])
            continue;
        if (open_blob(p, index, err) != 0)
            return -1;
        if (p->blobs[index]->is_complete)
            continue;
        if (blob_start(p->blobs[index], p->fetcher, p->registry, err) != 0)
            return -1;
        *out_started = true;
    }
    return 0;
}

static int fetch_layers(struct puller *p, struct err *err)
{
    size_t next = 0, running = 0;
    bool was_started = true;

    p->told_ms = clock_mono_ms();
    for (;;) {
        struct fetch *f;
        struct blob *b;

        while (running < AT_ONCE && was_started) {
            if (start_next(p, &next, &was_started, err) != 0)
                return -1;
            running += was_started;
        }
        if (running == 0)
            return 0;
        tell_progress(p);
        f = fetch_wait(p->fetcher, WAIT_MS);
        b = f == NULL ? NULL : blob_of(p, f);
        if (b == NULL)
            continue;
        if (blob_ended(b, p->fetcher, p->registry, err) != 0)
            return -1;
        if (b->is_complete) {
            running--;
            was_started = true;
        }
    }
}

static int open_layer(void *ctx, size_t index, int *out_fd, struct err *err)
{
    struct puller *p = ctx;
    struct blob *b = p->blobs[index];

    if (b == NULL)
        return err_set(err, ERR_SYSTEM, "it was there a moment ago");
    *out_fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
    if (*out_fd < 0 || lseek(*out_fd, 0, SEEK_SET) != 0)
        return err_sys(err, errno, "read it");
    return 0;
}

static void close_layer(void *ctx, size_t index)
{
    struct puller *p = ctx;

    if (p->blobs[index] != NULL)
        blob_remove(p->blobs[index]);
}

static int run(struct puller *p, struct err *err)
{
    struct layer_files files = {open_layer, close_layer, p};
    const struct image_name *n = p->spec->name;
    char text[TEXT_SIZE];

    maker_say(p->maker, "image %.*s: asking %.*s", STR_ARG(p->maker->reference), STR_ARG(n->host));
    if (find_manifest(p, err) != 0 || read_config(p, err) != 0 ||
        maker_missing(p->maker, &p->config, p->missing, err) != 0)
        return -1;
    digest_text(&p->digest, text);
    maker_say(p->maker, "image %s: %zu layers", text, p->config.diff_count);
    if (fetch_layers(p, err) != 0)
        return -1;
    return maker_run(p->maker, &p->config, &p->digest, &files, err);
}

int puller_run(struct maker *m, const struct puller_spec *spec, struct err *err)
{
    struct puller *p = mem_zero(sizeof *p);
    struct fetch_rule rule = {spec->allow, spec->plain_http};
    int result = -1;

    p->maker = m;
    p->spec = spec;
    arena_init(&p->mem, MEM_MAX);
    if (fetcher_new(&rule, &p->fetcher, err) == 0 &&
        registry_new(p->fetcher, spec->name, spec->login, &p->registry, err) == 0)
        result = run(p, err);
    for (size_t i = 0; i < OCI_LAYERS_MAX; i++) {
        if (p->blobs[i] != NULL)
            blob_close(p->blobs[i]);
        free(p->blobs[i]);
    }
    registry_free(p->registry);
    fetcher_free(p->fetcher);
    arena_done(&p->mem);
    free(p);
    return result;
}
