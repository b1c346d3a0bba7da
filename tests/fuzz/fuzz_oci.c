/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz image: the documents of an image. */
#include <assert.h>
#include <stdint.h>

#include "image/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(struct str in, struct arena *mem)
{
    struct oci_manifest m;
    struct err err;

    if (oci_manifest_read(in, mem, &m, &err) != 0)
        return;
    assert(m.is_index ? m.manifests.count > 0 : m.config != NULL);
    assert(m.layers.count <= OCI_LAYERS_MAX && m.manifests.count <= OCI_MANIFESTS_MAX);
    if (m.is_index)
        ignore((long)(oci_choose(&m) != NULL));
}

static void check_config(struct str in, struct arena *mem)
{
    struct codec_list ports, labels;
    struct oci_config c;
    struct err err;

    if (oci_config_read(in, mem, &c, &err) != 0)
        return;
    assert(c.run != NULL && c.diff_count <= OCI_LAYERS_MAX);
    oci_ports(c.run, mem, &ports);
    assert(ports.count <= c.run->exposed_ports.len);
    oci_labels(c.run, "sandlot.", mem, &labels);
    assert(labels.count <= c.run->labels.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct arena mem;

    arena_init(&mem, 4 << 20);
    check_manifest(in, &mem);
    check_config(in, &mem);
    arena_done(&mem);
    return 0;
}
