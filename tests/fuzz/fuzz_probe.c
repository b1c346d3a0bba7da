/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz build: the URL in a ready command (CT-23, CT-25), and the kind of a manifest that is pushed.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "build/probe.h"
#include "build/push_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *path)
{
    size_t len = strlen(path);

    assert(len > 0 && len <= PROBE_PATH_MAX && path[0] == '/');
    for (size_t i = 0; i < len; i++)
        assert(path[i] > ' ' && path[i] < 0x7f && path[i] != '?' && path[i] != '#');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    char type[PUSH_TYPE_MAX + 1];
    struct probe p = {0};
    bool is_found = probe_find(in, &p);

    if (is_found) {
        assert(p.port > 0);
        check_path(p.path);
    }
    if (probe_is_url(in))
        assert(str_find(str_trim(in), ' ') < 0);
    push_manifest_type(in, type);
    assert(type[0] != '\0');
    for (const char *c = type; *c != '\0'; c++)
        assert(*c > ' ' && *c <= '~');
    return 0;
}
