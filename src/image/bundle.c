/* SPDX-License-Identifier: Apache-2.0 */
/* See bundle.h. In a worker: all of it comes from strangers. */
#include "image/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "image/beneath.h"
#include "image/tarflow.h"

enum {
    MEM_MAX = 32 << 20, /* of what documents become */
    INDEX_DEPTH_MAX = 3,
    SCAN_SLACK = 64 << 20,
};

enum bundle_kind {
    BUNDLE_ROOTFS,
    BUNDLE_DOCKER,
    BUNDLE_OCI,
};

struct bundle {
    struct maker *maker;
    int dir_fd;
    struct arena mem;
    const struct oci_descriptor *layers; /* OCI: in blobs/ */
    const struct str *paths;             /* Docker: of layers */
};

static int read_all(int fd, const char *name, struct str *out, struct bundle *b, struct err *err)
{
    struct stat st;
    char *space;
    size_t len = 0;
    ssize_t got;

    if (fstat(fd, &st) != 0)
        return err_sys(err, errno, "look at '%s'", name);
    if (!S_ISREG(st.st_mode) || st.st_size > OCI_DOCUMENT_MAX)
        return err_set(err, ERR_INVALID, "'%s' is no file, or larger than %d bytes", name,
                       OCI_DOCUMENT_MAX);
    space = arena_alloc(&b->mem, (size_t)st.st_size + 1);
    if (space == NULL)
        return err_set(err, ERR_LIMIT, "documents are too large");
    while (len < (size_t)st.st_size && (got = read(fd, space + len, (size_t)st.st_size - len)) > 0)
        len += (size_t)got;
    *out = (struct str){space, len};
    return 0;
}

/* O_NONBLOCK: a fifo in place of a file must not stop us. */
static int open_file(struct bundle *b, struct str path, int *out_fd, struct err *err)
{
    char clean[BENEATH_PATH_MAX];

    if (beneath_clean(path, clean, err) != 0)
        return -1;
    return beneath_open(b->dir_fd, clean, O_RDONLY | O_NONBLOCK | O_NOCTTY, out_fd, err);
}

static int read_file(struct bundle *b, struct str path, struct str *out, struct err *err)
{
    char name[64];
    auto_fd int fd = -1;

    ignore(snprintf(name, sizeof name, "%.*s", STR_ARG(str_upto(path, sizeof name - 1))));
    if (open_file(b, path, &fd, err) != 0)
        return -1;
    return read_all(fd, name, out, b, err);
}

static struct str blob_path(struct bundle *b, const struct digest *d)
{
    char hex[DIGEST_HEX + 1];

    digest_hex(d, hex);
    return str_of(arena_printf(&b->mem, "blobs/sha256/%s", hex));
}

/* A document by its digest, which it must have. */
static int read_blob(struct bundle *b, const struct digest *want, struct str *out, struct err *err)
{
    struct digest found;

    if (read_file(b, blob_path(b, want), out, err) != 0)
        return -1;
    sha256_of(*out, found.at);
    if (!digest_eq(&found, want))
        return err_set(err, ERR_INVALID, "a blob does not have the digest of its name");
    return 0;
}

static int open_layer(void *ctx, size_t index, int *out_fd, struct err *err)
{
    struct bundle *b = ctx;

    if (b->layers != NULL)
        return open_file(b, blob_path(b, &b->layers[index].id), out_fd, err);
    return open_file(b, b->paths[index], out_fd, err);
}

static int run(struct bundle *b, const struct oci_config *c, size_t count,
               const struct digest *digest, struct err *err)
{
    struct layer_files files = {.open = open_layer, .ctx = b};

    if (count != c->diff_count)
        return err_set(err, ERR_INVALID, "%zu layers, but the configuration names %zu", count,
                       c->diff_count);
    return maker_run(b->maker, c, digest, &files, err);
}

static int run_manifest(struct bundle *b, const struct digest *digest, struct err *err)
{
    struct digest at = *digest;
    struct oci_manifest m = {.is_index = true};
    struct oci_config c;
    struct str text = {0};

    for (unsigned depth = 0; m.is_index; depth++) {
        const struct oci_descriptor *d;

        if (depth == INDEX_DEPTH_MAX)
            return err_set(err, ERR_INVALID, "an index of indexes of indexes");
        if (read_blob(b, &at, &text, err) != 0 || oci_manifest_read(text, &b->mem, &m, err) != 0)
            return -1;
        if (!m.is_index)
            break;
        d = oci_choose(&m);
        if (d == NULL)
            return err_set(err, ERR_NOT_FOUND, "the image is not there for linux on %s",
                           oci_architecture);
        at = d->id;
    }
    if (read_blob(b, &m.config->id, &text, err) != 0 ||
        oci_config_read(text, &b->mem, &c, err) != 0)
        return -1;
    b->layers = m.layers.items;
    return run(b, &c, m.layers.count, &at, err);
}

static int run_oci(struct bundle *b, struct err *err)
{
    const struct oci_descriptor *d;
    struct oci_manifest index;
    struct str text;

    if (read_file(b, STR("index.json"), &text, err) != 0 ||
        oci_manifest_read(text, &b->mem, &index, err) != 0)
        return -1;
    d = index.is_index ? oci_choose(&index) : NULL;
    if (d == NULL)
        return err_set(err, ERR_NOT_FOUND, "index.json names no image for linux on %s",
                       oci_architecture);
    return run_manifest(b, &d->id, err);
}

struct docker_image {
    struct str config;
    struct codec_list layers; /* struct str */
};

struct docker_archive {
    struct codec_list images;
};

/* clang-format off */
static const struct codec_field image_fields[] = {
    {1, "config", CODEC_STRING, 0, offsetof(struct docker_image, config), 0, NULL, "Config"},
    {2, "layers", CODEC_STRING, CODEC_REPEATED, offsetof(struct docker_image, layers), 0, NULL, "Layers"},
};
static const struct codec_message image_message = {NULL, sizeof(struct docker_image), image_fields,
                                                   COUNT_OF(image_fields)};
static const struct codec_field archive_fields[] = {
    {1, "images", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct docker_archive, images), 0, &image_message},
};
/* clang-format on */
static const struct codec_message archive_message = {NULL, sizeof(struct docker_archive),
                                                     archive_fields, COUNT_OF(archive_fields)};

static int run_docker(struct bundle *b, struct err *err)
{
    struct docker_archive archive = {0};
    const struct docker_image *image;
    struct oci_config c;
    struct digest digest;
    struct str text, whole;

    if (read_file(b, STR("manifest.json"), &text, err) != 0)
        return -1;
    whole = str_of(arena_printf(&b->mem, "{\"images\":%.*s}", STR_ARG(text))); /* it is an array */
    if (whole.at == NULL || json_decode(&archive_message, whole, &b->mem, &archive, err) != 0)
        return err_wrap(err, "manifest.json");
    if (archive.images.count != 1)
        return err_set(err, ERR_INVALID, "the archive holds %zu images; save one by itself",
                       archive.images.count);
    image = archive.images.items;
    if (read_file(b, image->config, &text, err) != 0 ||
        oci_config_read(text, &b->mem, &c, err) != 0)
        return -1;
    sha256_of(text, digest.at);
    b->paths = image->layers.items;
    return run(b, &c, image->layers.count, &digest, err);
}

/* A tar file without any documents: one layer, no configuration. */
struct plain {
    int fd;
};

static int open_plain(void *ctx, size_t index, int *out_fd, struct err *err)
{
    const struct plain *p = ctx;

    ignore((long)index);
    *out_fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0);
    if (*out_fd < 0 || lseek(*out_fd, 0, SEEK_SET) != 0)
        return err_sys(err, errno, "go back to the start of the file");
    return 0;
}

static int run_plain(struct maker *m, int fd, const struct digest *diff, struct err *err)
{
    struct plain p = {fd};
    struct layer_files files = {.open = open_plain, .ctx = &p};
    struct digest diffs[] = {*diff};
    struct oci_run no_run = {0};
    struct oci_config c = {.run = &no_run, .diffs = diffs, .diff_count = 1};

    return maker_run(m, &c, diff, &files, err);
}

/* Reads all names once: documents may stand at the end. */
static int scan(struct maker *m, int fd, enum bundle_kind *out_kind, struct digest *out_digest,
                struct err *err)
{
    struct inflow_limits limits = {m->limits.bytes_max + m->limits.bytes_max / 4 + SCAN_SLACK,
                                   m->limits.ratio_max};
    enum bundle_kind kind = BUNDLE_ROOTFS;
    struct tarflow *t = NULL;
    struct archive_entry *e = NULL;
    size_t count = 0;
    int result = tarflow_open(fd, &limits, &t, err);

    while (result == 0 && (result = tarflow_next(t, &e, err)) == 0 && e != NULL) {
        const char *name = tarflow_name(e);

        count++;
        if (name != NULL && strncmp(name, "./", 2) == 0)
            name += 2;
        if (name != NULL && strcmp(name, "oci-layout") == 0)
            kind = BUNDLE_OCI;
        else if (name != NULL && strcmp(name, "manifest.json") == 0 && kind != BUNDLE_OCI)
            kind = BUNDLE_DOCKER;
    }
    if (result == 0)
        result = tarflow_end(t, out_digest, err);
    tarflow_close(t);
    if (result == 0 && count == 0)
        result = err_set(err, ERR_INVALID, "it is no tar file, or an empty one");
    *out_kind = kind;
    return result;
}

static int no_opaque(void *ctx, const char *path, struct err *err)
{
    ignore((long)(ctx != NULL && path != NULL && err != NULL));
    return 0;
}

/* Documents and layers may stand in any order, so the outer archive is unpacked first. */
static int unpack_outer(struct bundle *b, int fd, struct err *err)
{
    struct digest name = {{0}}, unused;
    struct extract_usage usage = {0};
    struct extract_spec spec = {
        .archive_fd = fd,
        .is_lowest = true,
        .limits = &b->maker->limits,
        .usage = &usage,
        .on_opaque = no_opaque,
    };

    if (lseek(fd, 0, SEEK_SET) != 0)
        return err_sys(err, errno, "go back to the start of the file");
    if (desk_begin(b->maker->desk, &name, &b->dir_fd, err) != 0)
        return -1;
    spec.root_fd = b->dir_fd;
    return extract(&spec, &unused, err);
}

static int run_dir(struct bundle *b, struct err *err)
{
    if (faccessat(b->dir_fd, "oci-layout", F_OK, 0) == 0)
        return run_oci(b, err);
    if (faccessat(b->dir_fd, "manifest.json", F_OK, 0) == 0)
        return run_docker(b, err);
    return err_set(err, ERR_INVALID, "the directory is neither an OCI layout nor a docker-archive");
}

int bundle_make(struct maker *m, int fd, struct err *err)
{
    struct bundle b = {.maker = m, .dir_fd = fd};
    enum bundle_kind kind = BUNDLE_ROOTFS;
    struct digest digest;
    struct stat st;
    int result;

    if (fstat(fd, &st) != 0)
        return err_sys(err, errno, "look at the file");
    arena_init(&b.mem, MEM_MAX);
    if (S_ISDIR(st.st_mode)) {
        result = run_dir(&b, err);
    } else {
        result = scan(m, fd, &kind, &digest, err);
        if (result == 0 && kind == BUNDLE_ROOTFS)
            result = run_plain(m, fd, &digest, err);
        else if (result == 0)
            result = unpack_outer(&b, fd, err) == 0 ? run_dir(&b, err) : -1;
        if (b.dir_fd != fd)
            own_close_fd(&b.dir_fd);
    }
    arena_done(&b.mem);
    return result;
}

int bundle_make_pushed(struct maker *m, int dir_fd, struct str tag, struct err *err)
{
    struct bundle b = {.maker = m, .dir_fd = dir_fd};
    struct digest digest;
    struct str text;
    int result;

    arena_init(&b.mem, MEM_MAX);
    result = read_file(&b, str_of(arena_printf(&b.mem, "tags/%.*s", STR_ARG(tag))), &text, err);
    if (result == 0 && !digest_read(str_trim(text), &digest))
        result = err_set(err, ERR_INVALID, "the tag does not hold a digest");
    if (result == 0)
        result = run_manifest(&b, &digest, err);
    arena_done(&b.mem);
    return result;
}
