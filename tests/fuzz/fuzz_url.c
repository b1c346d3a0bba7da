/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: decoding, query parameters, segments. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "http/head.h"

enum { PARTS_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_split(struct str in)
{
    struct str parts[PARTS_MAX];
    struct arena a;
    int count;

    arena_init(&a, 1 << 20);
    count = url_split(&a, in, parts, PARTS_MAX);
    assert(count == -1 || (count >= 1 && count <= PARTS_MAX && in.at[0] == '/'));
    for (int i = 0; i < count; i++)
        assert(parts[i].at[parts[i].len] == '\0' && str_find(parts[i], '\0') < 0);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    char *out = malloc(size + 1);
    struct str value = url_query(in, "a");
    ssize_t len;

    assert(out != NULL);
    len = url_decode(in, size % 2 == 0, out);
    assert(len <= (ssize_t)size);
    assert(len < 0 || memchr(data, '\0', size) != NULL || memchr(out, '\0', (size_t)len) == NULL);
    assert(value.at == NULL || (value.at >= in.at && value.at + value.len <= in.at + in.len));
    if (memchr(data, '\0', size) == NULL)
        check_split(in);
    free(out);
    return 0;
}
