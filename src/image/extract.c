/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the entries of a layer, and what holds for all of them; see extract.h. */
#include <errno.h>
#include <sys/statvfs.h>

#include "image/extract_internal.h"

enum {
    TIMES_MAX = 64 << 20,    /* bytes about directories whose times are to be set */
    SPACE_STEP = 32 << 20,   /* bytes between two looks at the disk */
    STREAM_SLACK = 64 << 20, /* of an archive above its files: heads, padding */
};

int entry_charge(struct extraction *x, uint64_t bytes, struct err *err)
{
    const struct extract_limits *limits = x->spec->limits;
    struct extract_usage *u = x->spec->usage;
    struct statvfs disk;

    if (bytes > limits->bytes_max || u->bytes > limits->bytes_max - bytes)
        return err_set(err, ERR_LIMIT, "the image is larger than %llu bytes",
                       (unsigned long long)limits->bytes_max);
    u->bytes += bytes;
    x->unchecked_bytes += bytes;
    if (x->unchecked_bytes < SPACE_STEP)
        return 0;
    x->unchecked_bytes = 0;
    if (fstatvfs(x->spec->root_fd, &disk) != 0)
        return err_sys(err, errno, "look at the disk");
    if ((uint64_t)disk.f_bavail * disk.f_frsize < limits->free_bytes)
        return err_set(err, ERR_NO_SPACE, "the disk has less than %llu bytes free",
                       (unsigned long long)limits->free_bytes);
    return 0;
}

static int read_entries(struct extraction *x, struct err *err)
{
    struct extract_usage *u = x->spec->usage;
    struct archive_entry *e;

    do {
        if (tarflow_next(x->tar, &e, err) != 0)
            return -1;
        if (e != NULL && ++u->entries > x->spec->limits->entries_max)
            return err_set(err, ERR_LIMIT, "the image has more than %llu files",
                           (unsigned long long)x->spec->limits->entries_max);
        if (e != NULL && entry_make(x, e, err) != 0)
            return -1;
    } while (e != NULL);
    return 0;
}

/* Also what of the archive stands behind the end of the tar: it is in the digest. */
static int run(struct extraction *x, struct digest *out_diff, struct err *err)
{
    if (read_entries(x, err) != 0 || tarflow_end(x->tar, out_diff, err) != 0)
        return -1;
    entry_set_times(x);
    return 0;
}

struct inflow_limits extract_inflow(const struct extract_limits *limits)
{
    return (struct inflow_limits){
        .bytes_max = limits->bytes_max + limits->bytes_max / 4 + STREAM_SLACK,
        .ratio_max = limits->ratio_max,
    };
}

int extract(const struct extract_spec *spec, struct digest *out_diff, struct err *err)
{
    struct inflow_limits limits = extract_inflow(spec->limits);
    struct extraction *x;
    int result = -1;

    x = mem_zero(sizeof *x);
    x->spec = spec;
    x->parent_fd = -1;
    buf_init(&x->times, TIMES_MAX);
    if (tarflow_open(spec->archive_fd, &limits, &x->tar, err) == 0)
        result = run(x, out_diff, err);
    tarflow_close(x->tar);
    entry_forget_parent(x);
    buf_done(&x->times);
    free(x);
    return result;
}
