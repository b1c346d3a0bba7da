/* SPDX-License-Identifier: Apache-2.0 */
/* codec/gzip: what is written, in pieces of a size that the first byte gives, must be read back. */
#include <stdint.h>

#include "codec/gunzip.h"
#include "codec/gzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 20 };

static int compare(void *ctx, struct str data, struct err *err)
{
    struct str *left = ctx;

    (void)err;
    if (data.len > left->len || memcmp(data.at, left->at, data.len) != 0)
        abort();
    *left = str_from(*left, data.len);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str content = {(const char *)data + 1, size == 0 ? 0 : size - 1};
    struct str left = content, in = content;
    struct gzip *z = gzip_new();
    struct gunzip *g = gunzip_new(compare, &left);
    size_t piece = size == 0 ? 1 : 64 + (size_t)data[0] * 100;
    struct buf out;
    struct err err;

    buf_init(&out, OUT_MAX);
    if (z == NULL || g == NULL)
        abort();
    for (; in.len > 0; in = str_from(in, piece < in.len ? piece : in.len))
        gzip_add(z, str_upto(in, piece), &out);
    gzip_end(z, &out);
    if (!buf_ok(&out) || gunzip_feed(g, buf_str(&out), &err) != 0 || gunzip_end(g, &err) != 0 ||
        left.len != 0)
        abort();
    buf_done(&out);
    gzip_free(z);
    gunzip_free(g);
    return 0;
}
