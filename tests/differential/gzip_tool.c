/* SPDX-License-Identifier: Apache-2.0 */
/* Our gzip writer and reader as filters, for gzip_diff.py: many inputs in one run.
 *
 *   gzip_tool gzip|gunzip PIECE
 *
 * An input is its length in four bytes, big-endian, and itself; it is fed in pieces of PIECE bytes.
 * An answer is '+' or '-', a length and the output or the error's text. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/gunzip.h"
#include "codec/gzip.h"

enum { DATA_MAX = 64 << 20 };

static int keep(void *ctx, struct str data, struct err *err)
{
    struct buf *out = ctx;

    buf_add_str(out, data);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "too much content");
}

static int unpack(struct str in, size_t piece, struct buf *out, struct err *err)
{
    struct gunzip *g = gunzip_new(keep, out);
    int rc = g == NULL ? err_set(err, ERR_LIMIT, "no memory") : 0;

    for (; rc == 0 && in.len > 0; in = str_from(in, piece < in.len ? piece : in.len))
        rc = gunzip_feed(g, str_upto(in, piece), err);
    if (rc == 0)
        rc = gunzip_end(g, err);
    gunzip_free(g);
    return rc;
}

static int pack(struct str in, size_t piece, struct buf *out, struct err *err)
{
    struct gzip *z = gzip_new();

    if (z == NULL)
        return err_set(err, ERR_LIMIT, "no memory");
    for (; in.len > 0; in = str_from(in, piece < in.len ? piece : in.len))
        gzip_add(z, str_upto(in, piece), out);
    gzip_end(z, out);
    gzip_free(z);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "too much output");
}

static bool read_exactly(void *to, size_t len)
{
    return fread(to, 1, len, stdin) == len;
}

static bool answer(char verdict, struct str text)
{
    const uint8_t size[] = {(uint8_t)(text.len >> 24), (uint8_t)(text.len >> 16),
                            (uint8_t)(text.len >> 8), (uint8_t)text.len};

    putchar(verdict);
    return fwrite(size, 1, sizeof(size), stdout) == sizeof(size) &&
           (text.len == 0 || fwrite(text.at, 1, text.len, stdout) == text.len);
}

int main(int argc, char **argv)
{
    uint64_t piece = 0;
    uint8_t size[4];

    if (argc != 3 || !str_to_u64(str_of(argv[2]), &piece) || piece == 0) {
        fprintf(stderr, "usage: gzip_tool gzip|gunzip PIECE\n");
        return 2;
    }
    while (read_exactly(size, sizeof(size))) {
        size_t len = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
        auto_free char *data = malloc(len + 1);
        struct str in = {data, len};
        struct err err = {0};
        struct buf out;
        int rc;

        if (data == NULL || !read_exactly(data, len))
            return 1;
        buf_init(&out, DATA_MAX);
        rc = (strcmp(argv[1], "gzip") == 0 ? pack : unpack)(in, (size_t)piece, &out, &err);
        if (!answer(rc == 0 ? '+' : '-', rc == 0 ? buf_str(&out) : str_of(err.text)))
            return 1;
        buf_done(&out);
    }
    return 0;
}
