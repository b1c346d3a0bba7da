/* SPDX-License-Identifier: Apache-2.0 */
/* codec/gunzip: the first byte says how the rest is cut into two pieces; cutting must not matter,
 * and content stays within the most that DEFLATE can make of its input. */
#include <stdint.h>

#include "codec/gunzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RATIO_MAX = 1032 };

struct sum {
    uint64_t bytes, hash;
};

static int on_content(void *ctx, struct str data, struct err *err)
{
    struct sum *s = ctx;

    (void)err;
    for (size_t i = 0; i < data.len; i++)
        s->hash = s->hash * 31 + (uint8_t)data.at[i];
    s->bytes += data.len;
    return 0;
}

static int unpack(struct str in, size_t cut, struct sum *s)
{
    struct gunzip *g = gunzip_new(on_content, s);
    struct err err;
    int rc;

    *s = (struct sum){0};
    if (g == NULL)
        abort();
    rc = gunzip_feed(g, str_upto(in, cut), &err);
    if (rc == 0)
        rc = gunzip_feed(g, str_from(in, cut), &err);
    if (rc == 0)
        rc = gunzip_end(g, &err);
    gunzip_free(g);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sum whole, pieces;
    struct str in;
    int a, b;

    if (size == 0)
        return 0;
    in = (struct str){(const char *)data + 1, size - 1};
    a = unpack(in, in.len, &whole);
    b = unpack(in, in.len * data[0] / 255, &pieces);
    if (a != b || (a == 0 && (whole.bytes != pieces.bytes || whole.hash != pieces.hash)) ||
        whole.bytes > RATIO_MAX * (uint64_t)size)
        abort();
    return 0;
}
