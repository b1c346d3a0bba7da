/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and tags of push_store.h. What a manifest says is not believed here: the worker that
 * makes layers of it reads it again. Only that all it names was pushed is looked at. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "build/push_store_internal.h"
#include "codec/codec.h"

enum { MEM_MAX = 8 << 20 };

static const char oci_manifest[] = "application/vnd.oci.image.manifest.v1+json";
static const char oci_index[] = "application/vnd.oci.image.index.v1+json";

struct descriptor {
    struct str digest;
};

struct manifest {
    struct str media_type;
    struct descriptor *config; /* NULL: none */
    struct codec_list layers, manifests;
};

/* clang-format off */
static const struct codec_field descriptor_fields[] = {
    {1, "digest", CODEC_STRING, CODEC_REQUIRED, offsetof(struct descriptor, digest)},
};
static const struct codec_message descriptor_message =
    {"descriptor", sizeof(struct descriptor), descriptor_fields, COUNT_OF(descriptor_fields)};

static const struct codec_field manifest_fields[] = {
    {1, "mediaType", CODEC_STRING, 0, offsetof(struct manifest, media_type)},
    {2, "config", CODEC_MESSAGE, 0, offsetof(struct manifest, config), 0, &descriptor_message},
    {3, "layers", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct manifest, layers), 0, &descriptor_message},
    {4, "manifests", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct manifest, manifests), 0, &descriptor_message},
};
static const struct codec_message manifest_message =
    {"manifest", sizeof(struct manifest), manifest_fields, COUNT_OF(manifest_fields)};
/* clang-format on */

static int check_blob(const struct push_store *s, struct str build_id, struct str digest,
                      struct err *err)
{
    auto_fd int fd = -1;
    uint64_t size;

    if (push_blob_open(s, build_id, digest, &fd, &size, err) == 0)
        return 0;
    return err_wrap(err, "'%.*s'", STR_ARG(str_upto(digest, PUSH_DIGEST_LEN)));
}

static int check_blobs(const struct push_store *s, struct str build_id,
                       const struct codec_list *list, struct err *err)
{
    const struct descriptor *d = list->items;

    for (size_t i = 0; i < list->count; i++)
        if (check_blob(s, build_id, d[i].digest, err) != 0)
            return -1;
    return 0;
}

static int check(const struct push_store *s, struct str build_id, struct str text, struct err *err)
{
    struct manifest m = {0};
    struct arena mem;
    int result;

    arena_init(&mem, MEM_MAX);
    result = json_decode(&manifest_message, text, &mem, &m, err);
    if (result == 0 && m.config == NULL && m.manifests.count == 0)
        result = err_set(err, ERR_INVALID, "it names neither a configuration nor manifests");
    if (result == 0 && m.config != NULL)
        result = check_blob(s, build_id, m.config->digest, err);
    if (result == 0)
        result = check_blobs(s, build_id, &m.layers, err);
    if (result == 0)
        result = check_blobs(s, build_id, &m.manifests, err);
    arena_done(&mem);
    return result;
}

static int keep(struct push_store *s, struct str build_id, struct str text, struct str digest,
                struct err *err)
{
    struct push_upload *u;

    if (push_upload_new(s, build_id, &u, err) != 0)
        return -1;
    if (push_upload_write(u, text, err) == 0)
        return push_upload_end(u, digest, err);
    push_upload_drop(u);
    return -1;
}

static int put_tag(struct push_store *s, struct str build_id, struct str tag, struct str digest,
                   struct err *err)
{
    struct upload_file f;
    char folder[UPLOAD_PATH_MAX], name[UUID_LEN + 8];
    int result;

    if (tag.len != UUID_LEN || str_find(tag, '/') >= 0 || str_find(tag, '.') >= 0)
        return err_set(err, ERR_INVALID, "bad tag");
    ignore(snprintf(name, sizeof(name), "tags/%.*s", STR_ARG(tag)));
    if (push_path(s, build_id, "uploads", folder, err) != 0 ||
        upload_begin_in(&f, folder, 0644, err) != 0)
        return -1;
    result = push_path(s, build_id, name, f.path, err);
    if (result == 0)
        result = upload_write(&f, digest, err);
    if (result == 0)
        result = upload_end(&f, err);
    upload_discard(&f);
    return result;
}

int push_manifest_put(struct push_store *s, struct str build_id, struct str text, struct str tag,
                      char out_digest[PUSH_DIGEST_LEN + 1], struct err *err)
{
    char digest[PUSH_DIGEST_LEN + 1] = "sha256:";
    uint8_t found[SHA256_SIZE];

    if (check(s, build_id, text, err) != 0)
        return -1;
    sha256_of(text, found);
    hex_encode(found, sizeof(found), digest + 7);
    if (keep(s, build_id, text, str_of(digest), err) != 0 ||
        (tag.len > 0 && put_tag(s, build_id, tag, str_of(digest), err) != 0))
        return -1;
    memcpy(out_digest, digest, sizeof(digest));
    return 0;
}

static int read_fd(int fd, uint64_t size, struct buf *out, struct err *err)
{
    char *space = size > PUSH_MANIFEST_MAX ? NULL : buf_room(out, (size_t)size);
    size_t len = 0;
    ssize_t got = 1;

    if (space == NULL)
        return err_set(err, ERR_INVALID, "it is larger than a manifest may be");
    while (len < size && (got = read(fd, space + len, (size_t)size - len)) > 0)
        len += (size_t)got;
    if (got < 0)
        return err_sys(err, errno, "read a manifest");
    buf_fill(out, len);
    return 0;
}

/* The digest that a tag holds. */
static int read_tag(const struct push_store *s, struct str build_id, struct str tag,
                    char out[PUSH_DIGEST_LEN + 1], struct err *err)
{
    char name[UUID_LEN + 8], path[UPLOAD_PATH_MAX];
    auto_fd int fd = -1;
    ssize_t len;

    if (tag.len != UUID_LEN || str_find(tag, '/') >= 0 || str_find(tag, '.') >= 0)
        return err_set(err, ERR_NOT_FOUND, "there is no such manifest");
    ignore(snprintf(name, sizeof(name), "tags/%.*s", STR_ARG(tag)));
    if (push_path(s, build_id, name, path, err) != 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no such manifest")
                               : err_sys(err, errno, "open a tag");
    len = read(fd, out, PUSH_DIGEST_LEN);
    if (len != PUSH_DIGEST_LEN)
        return err_set(err, ERR_SYSTEM, "a tag is damaged");
    out[len] = '\0';
    return 0;
}

int push_manifest_get(const struct push_store *s, struct str build_id, struct str reference,
                      struct buf *out, char out_digest[PUSH_DIGEST_LEN + 1], struct err *err)
{
    char digest[PUSH_DIGEST_LEN + 1];
    auto_fd int fd = -1;
    uint64_t size;

    if (push_digest_is_good(reference))
        ignore(str_to_c(reference, digest, sizeof(digest)));
    else if (read_tag(s, build_id, reference, digest, err) != 0)
        return -1;
    if (push_blob_open(s, build_id, str_of(digest), &fd, &size, err) != 0 ||
        read_fd(fd, size, out, err) != 0)
        return -1;
    memcpy(out_digest, digest, sizeof(digest));
    return 0;
}

void push_manifest_type(struct str text, char out[PUSH_TYPE_MAX + 1])
{
    struct manifest m = {0};
    struct arena mem;
    bool is_good;

    arena_init(&mem, MEM_MAX);
    is_good = json_decode(&manifest_message, text, &mem, &m, NULL) == 0;
    if (!is_good || m.media_type.len == 0)
        m.media_type = m.manifests.count > 0 ? str_of(oci_index) : str_of(oci_manifest);
    for (size_t i = 0; i < m.media_type.len; i++)
        if (m.media_type.at[i] <= ' ' || m.media_type.at[i] > '~')
            m.media_type = str_of(oci_manifest); /* it goes into a header field */
    if (!str_to_c(m.media_type, out, PUSH_TYPE_MAX + 1))
        ignore(str_to_c(str_of(oci_manifest), out, PUSH_TYPE_MAX + 1));
    arena_done(&mem);
}
