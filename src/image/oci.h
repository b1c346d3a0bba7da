/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of an image: index, manifest and configuration, in the spelling of OCI and of
 * Docker's schema 2. Read by tables (codec/); pure. All of it comes from strangers. */
#ifndef IMAGE_OCI_H
#define IMAGE_OCI_H

#include "codec/codec.h"
#include "image/digest.h"

enum {
    OCI_DOCUMENT_MAX = 4 << 20, /* bytes of a manifest, index or configuration */
    OCI_LAYERS_MAX = 127,       /* Docker's own limit; an overlay takes 500 */
    OCI_MANIFESTS_MAX = 1000,   /* of an index */
    OCI_ENV_MAX = 1000,
};

struct oci_platform {
    struct str os, architecture, variant;
};

struct oci_descriptor {
    struct str media_type, digest;
    int64_t size;
    struct oci_platform *platform; /* or NULL */
    struct digest id;              /* `digest` as bytes, checked */
    struct codec_list annotations; /* struct codec_pair */
};

/* An index has manifests, an image has a config and layers. */
struct oci_manifest {
    int64_t schema;
    struct str media_type;
    struct codec_list manifests; /* struct oci_descriptor */
    struct oci_descriptor *config;
    struct codec_list layers; /* struct oci_descriptor, lowest first */
    bool is_index;
};

/* What an image says about how it is to be run. */
struct oci_run {
    struct codec_list env;             /* struct str "NAME=value" */
    struct codec_list cmd, entrypoint; /* struct str */
    struct str workdir, user;
    struct str exposed_ports; /* JSON object whose names are "80/tcp" */
    struct str labels;        /* JSON object, or something else: nobody needs it */
};

struct oci_rootfs {
    struct codec_list diff_ids; /* struct str */
};

struct oci_config {
    struct str os, architecture, variant;
    struct oci_run *run; /* never NULL */
    struct oci_rootfs *rootfs;
    struct digest *diffs; /* of the layers, lowest first: checked */
    size_t diff_count;
};

/* ERR_INVALID, or ERR_UNSUPPORTED for schema 1, foreign layers and things that are no images. */
must_check int oci_manifest_read(struct str text, struct arena *a, struct oci_manifest *out,
                                 struct err *err);
must_check int oci_config_read(struct str text, struct arena *a, struct oci_config *out,
                               struct err *err);
/* Our own processor's image in an index; NULL: none. */
const struct oci_descriptor *oci_choose(const struct oci_manifest *index);
/* The names of the exposed ports ("80/tcp") as a list of struct str. */
void oci_ports(const struct oci_run *run, struct arena *a, struct codec_list *out);

/* Those whose names begin so, as a list of struct codec_pair. */
void oci_labels(const struct oci_run *run, const char *prefix, struct arena *a,
                struct codec_list *out);

/* "amd64": how images call the processor that this program was built for. */
extern const char oci_architecture[];
/* For an Accept field: every kind of document that is understood. */
extern const char oci_accept[];
/* Texts of how to run it are kept and answered in this form. */
extern const struct codec_message oci_run_message;

#endif
