/* SPDX-License-Identifier: Apache-2.0 */
/* See tarflow.h. */
#include "image/tarflow.h"

#include <errno.h>

struct tarflow {
    struct archive *archive; /* of plain tar */
    struct inflow *inflow;
    struct err why; /* of the inflow: what libarchive says then is of no interest */
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **out)
{
    struct tarflow *t = ctx;
    struct str block;

    if (inflow_read(t->inflow, &block, &t->why) != 0) {
        archive_set_error(a, EIO, "cannot be read");
        return -1;
    }
    *out = block.at;
    return (la_ssize_t)block.len;
}

static int fail(struct tarflow *t, struct err *err)
{
    const char *why = archive_error_string(t->archive);

    if (t->why.kind == ERR_NONE)
        return err_set(err, ERR_INVALID, "damaged archive: %s", why == NULL ? "unknown" : why);
    *err = t->why;
    return -1;
}

static int open_tar(struct tarflow *t, struct err *err)
{
    t->archive = archive_read_new();
    if (t->archive == NULL)
        return err_set(err, ERR_LIMIT, "no memory for an archive");
    if (archive_read_support_format_tar(t->archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(t->archive) != ARCHIVE_OK)
        return err_set(err, ERR_UNSUPPORTED, "libarchive cannot read tar");
    if (archive_read_open(t->archive, t, NULL, on_read, NULL) != ARCHIVE_OK)
        return fail(t, err);
    return 0;
}

int tarflow_open(int fd, const struct inflow_limits *limits, struct tarflow **out, struct err *err)
{
    struct tarflow *t = mem_zero(sizeof *t);

    if (inflow_open(fd, limits, &t->inflow, err) == 0 && open_tar(t, err) == 0) {
        *out = t;
        return 0;
    }
    tarflow_close(t);
    return -1;
}

void tarflow_close(struct tarflow *t)
{
    if (t == NULL)
        return;
    if (t->archive != NULL)
        ignore(archive_read_free(t->archive)); /* only read */
    inflow_close(t->inflow);
    free(t);
}

int tarflow_next(struct tarflow *t, struct archive_entry **out, struct err *err)
{
    int result = archive_read_next_header(t->archive, out);

    if (result == ARCHIVE_EOF) {
        *out = NULL;
        return 0;
    }
    return result == ARCHIVE_OK || result == ARCHIVE_WARN ? 0 : fail(t, err);
}

int tarflow_data(struct tarflow *t, struct tarflow_part *out, struct err *err)
{
    const void *block;
    size_t len;
    la_int64_t offset;
    int result = archive_read_data_block(t->archive, &block, &len, &offset);

    if (result == ARCHIVE_EOF) {
        *out = (struct tarflow_part){0};
        return 0;
    }
    if (result != ARCHIVE_OK)
        return fail(t, err);
    *out = (struct tarflow_part){block, len, offset};
    return 0;
}

int tarflow_end(struct tarflow *t, struct digest *out, struct err *err)
{
    return inflow_end(t->inflow, out, err);
}

const char *tarflow_name(struct archive_entry *e)
{
    const char *name = archive_entry_pathname(e);

    return name != NULL ? name : archive_entry_pathname_utf8(e);
}
