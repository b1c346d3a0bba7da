/* SPDX-License-Identifier: Apache-2.0 */
/* See layout_file.h. ustar, with the one extension that sizes beyond 8 GiB need. */
#include "image/layout_file.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    BLOCK = 512,
    NAME_SIZE = 100,
    END_BLOCKS = 2,
};

static const uint64_t octal_max = (1ull << 33) - 1; /* 11 digits */

struct head {
    char name[NAME_SIZE], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type;
    char link[NAME_SIZE], magic[6], version[2], rest[247];
};

_Static_assert(sizeof(struct head) == BLOCK, "a head is a block");

static int put(struct layout_file *f, uint64_t at, const void *data, size_t len, struct err *err)
{
    const char *bytes = data;

    while (len > 0) {
        ssize_t n = pwrite(f->fd, bytes, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "write the file");
        bytes += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static void put_size(char to[12], uint64_t size)
{
    if (size <= octal_max) {
        ignore(snprintf(to, 12, "%011llo", (unsigned long long)size));
        return;
    }
    to[0] = (char)0x80;
    for (size_t i = 0; i < 8; i++)
        to[11 - i] = (char)(size >> (8 * i));
}

static int put_head(struct layout_file *f, const char *name, uint64_t size, struct err *err)
{
    struct head h = {
        .mode = "0000644",
        .uid = "0000000",
        .gid = "0000000",
        .mtime = "00000000000",
        .type = '0',
        .magic = "ustar",
        .version = {'0', '0'}
    };
    unsigned sum = 0;

    ignore(snprintf(h.name, sizeof h.name, "%s", name)); /* ours, and short */
    put_size(h.size, size);
    memset(h.sum, ' ', sizeof h.sum);
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    ignore(snprintf(h.sum, sizeof h.sum, "%06o", sum));
    return put(f, f->at, &h, sizeof h, err);
}

/* The entry that begins at f->at is whole. */
static void advance(struct layout_file *f, uint64_t size)
{
    f->at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
}

int layout_put(struct layout_file *f, const char *name, struct str text, struct err *err)
{
    if (put_head(f, name, text.len, err) != 0 || put(f, f->at + BLOCK, text.at, text.len, err) != 0)
        return -1;
    advance(f, text.len);
    return 0;
}

void layout_begin(struct layout_file *f)
{
    f->size = 0;
    sha256_init(&f->hash);
}

int layout_add(struct layout_file *f, struct str piece, struct err *err)
{
    if (put(f, f->at + BLOCK + f->size, piece.at, piece.len, err) != 0)
        return -1;
    sha256_add(&f->hash, piece.at, piece.len);
    f->size += piece.len;
    return 0;
}

int layout_end(struct layout_file *f, struct digest *out, uint64_t *out_size, struct err *err)
{
    char name[NAME_SIZE], hex[DIGEST_HEX + 1];

    sha256_end(&f->hash, out->at);
    digest_hex(out, hex);
    ignore(snprintf(name, sizeof name, "blobs/sha256/%s", hex));
    *out_size = f->size;
    if (put_head(f, name, f->size, err) != 0)
        return -1;
    advance(f, f->size);
    return 0;
}

int layout_blob(struct layout_file *f, struct str text, struct digest *out, struct err *err)
{
    uint64_t size;

    layout_begin(f);
    return layout_add(f, text, err) == 0 ? layout_end(f, out, &size, err) : -1;
}

int layout_close(struct layout_file *f, struct err *err)
{
    f->at += END_BLOCKS * BLOCK;
    if (ftruncate(f->fd, (off_t)f->at) != 0) /* what was not written is zero */
        return err_sys(err, errno, "end the file");
    return fsync(f->fd) == 0 ? 0 : err_sys(err, errno, "sync the file");
}
