/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and checks of an image's documents; see oci.h. */
#include "image/oci.h"

#if defined(__x86_64__)
const char oci_architecture[] = "amd64";
#elif defined(__aarch64__)
const char oci_architecture[] = "arm64";
#else
#error "how do images call this processor?"
#endif

const char oci_accept[] = "Accept: application/vnd.oci.image.manifest.v1+json, "
                          "application/vnd.oci.image.index.v1+json, "
                          "application/vnd.docker.distribution.manifest.v2+json, "
                          "application/vnd.docker.distribution.manifest.list.v2+json";

static const struct codec_field platform_fields[] = {
    {1, "os",           CODEC_STRING, 0, offsetof(struct oci_platform, os)          },
    {2, "architecture", CODEC_STRING, 0, offsetof(struct oci_platform, architecture)},
    {3, "variant",      CODEC_STRING, 0, offsetof(struct oci_platform, variant)     },
};
static const struct codec_message platform_message = {
    NULL,
    sizeof(struct oci_platform),
    platform_fields,
    COUNT_OF(platform_fields),
};

/* clang-format off */
static const struct codec_field descriptor_fields[] = {
    {1, "mediaType", CODEC_STRING, 0, offsetof(struct oci_descriptor, media_type)},
    {2, "digest", CODEC_STRING, CODEC_REQUIRED, offsetof(struct oci_descriptor, digest)},
    {3, "size", CODEC_NUMBER, 0, offsetof(struct oci_descriptor, size)},
    {4, "platform", CODEC_MESSAGE, 0, offsetof(struct oci_descriptor, platform), 0, &platform_message},
    {5, "annotations", CODEC_MAP, 0, offsetof(struct oci_descriptor, annotations)},
};
static const struct codec_message descriptor_message = {
    NULL, sizeof(struct oci_descriptor), descriptor_fields, COUNT_OF(descriptor_fields),
};

static const struct codec_field manifest_fields[] = {
    {1, "schemaVersion", CODEC_NUMBER, 0, offsetof(struct oci_manifest, schema)},
    {2, "mediaType", CODEC_STRING, 0, offsetof(struct oci_manifest, media_type)},
    {3, "manifests", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct oci_manifest, manifests), 0, &descriptor_message},
    {4, "config", CODEC_MESSAGE, 0, offsetof(struct oci_manifest, config), 0, &descriptor_message},
    {5, "layers", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct oci_manifest, layers), 0, &descriptor_message},
};
static const struct codec_message manifest_message = {
    NULL, sizeof(struct oci_manifest), manifest_fields, COUNT_OF(manifest_fields),
};

static const struct codec_field run_fields[] = {
    {1, "env", CODEC_STRING, CODEC_REPEATED, offsetof(struct oci_run, env), 0, NULL, "Env"},
    {2, "cmd", CODEC_STRING, CODEC_REPEATED, offsetof(struct oci_run, cmd), 0, NULL, "Cmd"},
    {3, "entrypoint", CODEC_STRING, CODEC_REPEATED, offsetof(struct oci_run, entrypoint), 0, NULL, "Entrypoint"},
    {4, "workingDir", CODEC_STRING, 0, offsetof(struct oci_run, workdir), 0, NULL, "WorkingDir"},
    {5, "user", CODEC_STRING, 0, offsetof(struct oci_run, user), 0, NULL, "User"},
    {6, "exposedPorts", CODEC_RAW, 0, offsetof(struct oci_run, exposed_ports), 0, NULL, "ExposedPorts"},
    {7, "labels", CODEC_RAW, 0, offsetof(struct oci_run, labels), 0, NULL, "Labels"},
};
const struct codec_message oci_run_message = {
    NULL, sizeof(struct oci_run), run_fields, COUNT_OF(run_fields),
};

static const struct codec_field rootfs_fields[] = {
    {1, "diffIds", CODEC_STRING, CODEC_REPEATED, offsetof(struct oci_rootfs, diff_ids), 0, NULL, "diff_ids"},
};
static const struct codec_message rootfs_message = {
    NULL, sizeof(struct oci_rootfs), rootfs_fields, COUNT_OF(rootfs_fields),
};

static const struct codec_field config_fields[] = {
    {1, "os", CODEC_STRING, 0, offsetof(struct oci_config, os)},
    {2, "architecture", CODEC_STRING, 0, offsetof(struct oci_config, architecture)},
    {3, "variant", CODEC_STRING, 0, offsetof(struct oci_config, variant)},
    {4, "config", CODEC_MESSAGE, 0, offsetof(struct oci_config, run), 0, &oci_run_message},
    {5, "rootfs", CODEC_MESSAGE, 0, offsetof(struct oci_config, rootfs), 0, &rootfs_message},
};
static const struct codec_message config_message = {
    NULL, sizeof(struct oci_config), config_fields, COUNT_OF(config_fields),
};
/* clang-format on */

enum media {
    MEDIA_LAYER,
    MEDIA_FOREIGN, /* its bytes are not in the registry */
};

/* How a layer is compressed is told by its first bytes, not by its name. */
static const struct {
    const char *name;
    enum media media;
} layer_types[] = {
    {"application/vnd.oci.image.layer.v1.tar",                       MEDIA_LAYER  },
    {"application/vnd.oci.image.layer.v1.tar+gzip",                  MEDIA_LAYER  },
    {"application/vnd.oci.image.layer.v1.tar+zstd",                  MEDIA_LAYER  },
    {"application/vnd.docker.image.rootfs.diff.tar",                 MEDIA_LAYER  },
    {"application/vnd.docker.image.rootfs.diff.tar.gzip",            MEDIA_LAYER  },
    {"application/vnd.docker.image.rootfs.diff.tar.zstd",            MEDIA_LAYER  },
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",    MEDIA_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar",      MEDIA_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_FOREIGN},
};

static int check_layer_type(const struct oci_descriptor *d, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(layer_types); i++) {
        if (!str_is(d->media_type, layer_types[i].name))
            continue;
        if (layer_types[i].media == MEDIA_LAYER)
            return 0;
        return err_set(err, ERR_UNSUPPORTED,
                       "the image has layers that registries do not give out");
    }
    return err_set(err, ERR_UNSUPPORTED, "not a container image: it has a layer of type '%.*s'",
                   STR_ARG(str_upto(d->media_type, 80)));
}

static int check_descriptor(struct oci_descriptor *d, struct err *err)
{
    if (!digest_read(d->digest, &d->id))
        return err_set(err, ERR_INVALID, "bad digest '%.*s'", STR_ARG(str_upto(d->digest, 80)));
    if (d->size < 0)
        return err_set(err, ERR_INVALID, "a size is negative");
    return 0;
}

static int check_all(struct codec_list *l, size_t max, struct err *err)
{
    struct oci_descriptor *d = l->items;

    if (l->count > max)
        return err_set(err, ERR_LIMIT, "%zu manifests or layers are more than %zu", l->count, max);
    for (size_t i = 0; i < l->count; i++) {
        if (check_descriptor(&d[i], err) != 0)
            return -1;
    }
    return 0;
}

static int check_image(struct oci_manifest *m, struct err *err)
{
    struct oci_descriptor *d = m->layers.items;

    if (check_descriptor(m->config, err) != 0 || check_all(&m->layers, OCI_LAYERS_MAX, err) != 0)
        return -1;
    for (size_t i = 0; i < m->layers.count; i++) {
        if (check_layer_type(&d[i], err) != 0)
            return -1;
    }
    return 0;
}

int oci_manifest_read(struct str text, struct arena *a, struct oci_manifest *out, struct err *err)
{
    struct oci_manifest m = {0};

    if (json_decode(&manifest_message, text, a, &m, err) != 0)
        return err_wrap(err, "manifest");
    if (m.schema == 1)
        return err_set(
            err, ERR_UNSUPPORTED,
            "the image is in the old format (schema 1); push it again with a newer tool");
    if (m.schema != 2)
        return err_set(err, ERR_INVALID, "manifest: schemaVersion is not 2");
    m.is_index = m.config == NULL;
    if (m.is_index && m.manifests.count == 0)
        return err_set(err, ERR_INVALID, "manifest: it has neither manifests nor a config");
    if (m.is_index ? check_all(&m.manifests, OCI_MANIFESTS_MAX, err) : check_image(&m, err))
        return err_wrap(err, "manifest");
    *out = m;
    return 0;
}

static int read_diffs(struct oci_config *c, struct arena *a, struct err *err)
{
    const struct str *texts = c->rootfs->diff_ids.items;

    c->diff_count = c->rootfs->diff_ids.count;
    if (c->diff_count > OCI_LAYERS_MAX)
        return err_set(err, ERR_LIMIT, "%zu layers are more than %d", c->diff_count,
                       OCI_LAYERS_MAX);
    c->diffs = arena_array(a, c->diff_count + 1, sizeof *c->diffs);
    if (c->diffs == NULL)
        return err_set(err, ERR_LIMIT, "no memory for the ids of layers");
    for (size_t i = 0; i < c->diff_count; i++) {
        if (!digest_read(texts[i], &c->diffs[i]))
            return err_set(err, ERR_INVALID, "bad layer id '%.*s'",
                           STR_ARG(str_upto(texts[i], 80)));
    }
    return 0;
}

static int check_platform(const struct oci_config *c, struct err *err)
{
    if (c->os.len > 0 && !str_is(c->os, "linux"))
        return err_set(err, ERR_UNSUPPORTED, "the image is for %.*s, not for linux",
                       STR_ARG(str_upto(c->os, 40)));
    if (c->architecture.len > 0 && !str_is(c->architecture, oci_architecture))
        return err_set(err, ERR_UNSUPPORTED, "the image is for %.*s, this machine is %s",
                       STR_ARG(str_upto(c->architecture, 40)), oci_architecture);
    return 0;
}

int oci_config_read(struct str text, struct arena *a, struct oci_config *out, struct err *err)
{
    struct oci_config c = {0};

    if (json_decode(&config_message, text, a, &c, err) != 0)
        return err_wrap(err, "image configuration");
    if (c.rootfs == NULL)
        return err_set(err, ERR_INVALID, "image configuration: it has no rootfs");
    if (c.run == NULL)
        c.run = arena_alloc(a, sizeof *c.run);
    if (c.run == NULL)
        return err_set(err, ERR_LIMIT, "no memory for the image configuration");
    if (c.run->env.count > OCI_ENV_MAX)
        return err_set(err, ERR_LIMIT, "the image sets more than %d variables", OCI_ENV_MAX);
    if (check_platform(&c, err) != 0 || read_diffs(&c, a, err) != 0)
        return -1;
    *out = c;
    return 0;
}

const struct oci_descriptor *oci_choose(const struct oci_manifest *index)
{
    const struct oci_descriptor *d = index->manifests.items;
    const struct oci_descriptor *unnamed = NULL;

    for (size_t i = 0; i < index->manifests.count; i++) {
        const struct oci_platform *p = d[i].platform;

        if (p == NULL)
            unnamed = unnamed == NULL ? &d[i] : unnamed;
        else if (str_is(p->os, "linux") && str_is(p->architecture, oci_architecture))
            return &d[i];
    }
    return unnamed;
}

/* The text is JSON that was checked: a name is a string at depth 1 that a ':' follows. */
void oci_ports(const struct oci_run *run, struct arena *a, struct codec_list *out)
{
    struct str in = run->exposed_ports;
    struct str *ports = arena_array(a, in.len / 2 + 1, sizeof *ports);
    int depth = 0;

    *out = (struct codec_list){ports, 0};
    for (size_t i = 0; ports != NULL && i < in.len; i++) {
        size_t start = i + 1;

        if (in.at[i] == '{' || in.at[i] == '[')
            depth++;
        else if (in.at[i] == '}' || in.at[i] == ']')
            depth--;
        if (in.at[i] != '"')
            continue;
        for (i++; i < in.len && in.at[i] != '"'; i++)
            i += in.at[i] == '\\';
        if (depth == 1 && i + 1 < in.len && i > start &&
            str_has_prefix(str_trim(str_from(in, i + 1)), ":"))
            ports[out->count++] = (struct str){in.at + start, i - start};
    }
}

struct labels {
    struct codec_list all; /* struct codec_pair */
};

static const struct codec_field labels_fields[] = {
    {1, "l", CODEC_MAP, 0, offsetof(struct labels, all)},
};
static const struct codec_message labels_message = {NULL, sizeof(struct labels), labels_fields,
                                                    COUNT_OF(labels_fields)};

void oci_labels(const struct oci_run *run, const char *prefix, struct arena *a,
                struct codec_list *out)
{
    struct labels labels = {0};
    struct codec_pair *pairs;
    struct str json;
    size_t count = 0;

    *out = (struct codec_list){0};
    if (run->labels.len == 0)
        return;
    json = str_of(arena_printf(a, "{\"l\":%.*s}", STR_ARG(run->labels)));
    if (json.at == NULL || json_decode(&labels_message, json, a, &labels, NULL) != 0)
        return;
    pairs = labels.all.items;
    for (size_t i = 0; i < labels.all.count; i++)
        if (str_has_prefix(pairs[i].key, prefix))
            pairs[count++] = pairs[i];
    *out = (struct codec_list){pairs, count};
}
