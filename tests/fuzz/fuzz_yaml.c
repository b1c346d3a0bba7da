/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz worker: a config.yaml is understood or refused with a line; keys come once. */
#include <assert.h>

#include "worker/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_key(void *ctx, struct str key, const struct yaml_value *value, struct err *err)
{
    assert(key.len > 0 && (value->is_list || value->count == 1));
    for (size_t i = 0; i < value->count; i++)
        assert(value->items[i].at != NULL || value->items[i].len == 0);
    (*(unsigned *)ctx)++;
    return key.at[0] == 'z' ? err_set(err, ERR_INVALID, "no such key") : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned keys = 0;
    struct arena arena;
    struct err err = {0};

    arena_init(&arena, 1 << 20);
    if (yaml_read((struct str){(const char *)data, size}, &arena, on_key, &keys, &err) != 0)
        assert(err.kind != ERR_NONE && err.text[0] != '\0');
    arena_done(&arena);
    return 0;
}
