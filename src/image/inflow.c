/* SPDX-License-Identifier: Apache-2.0 */
/* See inflow.h. Called by extract.c. */
#include "image/inflow.h"

#include <archive.h>

struct inflow {
    struct archive *archive;
    struct inflow_limits limits;
    struct sha256 hash;
    uint64_t bytes;
    bool is_empty; /* the file has no bytes at all */
    char block[INFLOW_BLOCK];
};

static int fail(struct inflow *f, struct err *err)
{
    const char *why = archive_error_string(f->archive);

    return err_set(err, ERR_INVALID, "damaged archive: %s", why == NULL ? "unknown" : why);
}

static int open_archive(struct inflow *f, int fd, struct err *err)
{
    struct archive_entry *entry;
    struct archive *a = f->archive;

    if (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
        archive_read_support_filter_xz(a) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
        archive_read_support_format_raw(a) != ARCHIVE_OK ||
        archive_read_support_format_empty(a) != ARCHIVE_OK)
        return err_set(err, ERR_UNSUPPORTED, "libarchive: %s", archive_error_string(a));
    if (archive_read_open_fd(a, fd, INFLOW_BLOCK) != ARCHIVE_OK)
        return fail(f, err);
    switch (archive_read_next_header(a, &entry)) {
    case ARCHIVE_OK:
    case ARCHIVE_WARN: return 0;
    case ARCHIVE_EOF: f->is_empty = true; return 0;
    default: return fail(f, err);
    }
}

int inflow_open(int fd, const struct inflow_limits *limits, struct inflow **out, struct err *err)
{
    struct inflow *f = mem_zero(sizeof *f);

    f->limits = *limits;
    f->archive = archive_read_new();
    sha256_init(&f->hash);
    if (f->archive == NULL)
        err_set(err, ERR_LIMIT, "no memory for an archive");
    else if (open_archive(f, fd, err) == 0) {
        *out = f;
        return 0;
    }
    inflow_close(f);
    return -1;
}

void inflow_close(struct inflow *f)
{
    if (f == NULL)
        return;
    if (f->archive != NULL)
        ignore(archive_read_free(f->archive)); /* only read */
    free(f);
}

static int check_bomb(struct inflow *f, struct err *err)
{
    int64_t packed = archive_filter_bytes(f->archive, -1);

    if (f->bytes > f->limits.bytes_max)
        return err_set(err, ERR_LIMIT, "the archive unfolds to more than %llu bytes",
                       (unsigned long long)f->limits.bytes_max);
    if (f->bytes > INFLOW_RATIO_FROM && packed > 0 &&
        f->bytes / (uint64_t)packed > f->limits.ratio_max)
        return err_set(err, ERR_LIMIT, "the archive unfolds to more than %llu times its size",
                       (unsigned long long)f->limits.ratio_max);
    return 0;
}

int inflow_read(struct inflow *f, struct str *out, struct err *err)
{
    la_ssize_t got = f->is_empty ? 0 : archive_read_data(f->archive, f->block, sizeof f->block);

    if (got < 0)
        return fail(f, err);
    sha256_add(&f->hash, f->block, (size_t)got);
    f->bytes += (uint64_t)got;
    if (check_bomb(f, err) != 0)
        return -1;
    *out = (struct str){f->block, (size_t)got};
    return 0;
}

int inflow_end(struct inflow *f, struct digest *out, struct err *err)
{
    struct str rest;

    do {
        if (inflow_read(f, &rest, err) != 0)
            return -1;
    } while (rest.len > 0);
    sha256_end(&f->hash, out->at);
    return 0;
}
