/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz image: a layer's archive. Nothing may appear beside the directory it is unpacked into. */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image/extract.h"
#include "runtime/linux/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct extract_limits limits = {1 << 20, 200, 500, 0};

static int on_opaque(void *ctx, const char *path, struct err *err)
{
    ignore((long)(ctx != NULL && err != NULL));
    assert(path[0] != '/' && path[0] != '.');
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[] = "/tmp/sandlot-fuzz-XXXXXX";
    struct extract_usage usage = {0};
    struct extract_spec spec = {
        .limits = &limits, .usage = &usage, .on_opaque = on_opaque, .is_lowest = size % 2 == 0};
    struct digest diff;
    struct stat st;
    struct err err;
    int above, file;

    assert(mkdtemp(dir) != NULL);
    above = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(above >= 0 && mkdirat(above, "in", 0700) == 0);
    file = memfd_create("archive", MFD_CLOEXEC);
    assert(file >= 0 && write(file, data, size) == (ssize_t)size && lseek(file, 0, SEEK_SET) == 0);
    spec.archive_fd = file;
    spec.root_fd = openat(above, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ignore(extract(&spec, &diff, &err));
    assert(usage.bytes <= limits.bytes_max);
    assert(fstat(above, &st) == 0 && st.st_nlink == 3);             /* itself, its name, "in" */
    assert(tree_remove(above, "in", &err) == 0 && rmdir(dir) == 0); /* nothing else was there */
    close(file);
    close(spec.root_fd);
    close(above);
    return 0;
}
