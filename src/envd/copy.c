/* SPDX-License-Identifier: Apache-2.0 */
/* Copies files for compose.c and target.c. */
#include "envd/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 64 << 10 };

static ssize_t write_all(int fd, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(fd, data + done, len - done);

        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)len;
}

static ssize_t copy_by_hand(struct copy *c, size_t most)
{
    ssize_t n;

    if (c->piece == NULL)
        c->piece = malloc(PIECE);
    if (c->piece == NULL) {
        errno = ENOMEM;
        return -1;
    }
    do
        n = read(c->from, c->piece, most < PIECE ? most : PIECE);
    while (n < 0 && errno == EINTR);
    return n <= 0 ? n : write_all(c->to, c->piece, (size_t)n);
}

/* Reasons of copy_file_range(2) that say nothing about reading and writing. */
static bool is_unable(int sys)
{
    return sys == EXDEV || sys == EINVAL || sys == ENOSYS || sys == EOPNOTSUPP || sys == EIO;
}

ssize_t copy_some(struct copy *c, size_t most)
{
    ssize_t n = -1;

    while (!c->is_by_hand && n < 0) {
        n = copy_file_range(c->from, NULL, c->to, NULL, most, 0);
        /* the end, or a file of /proc that some kernels take for empty */
        if (n == 0 || (n < 0 && is_unable(errno)))
            c->is_by_hand = true;
        else if (n < 0 && errno != EINTR)
            return -1;
    }
    return c->is_by_hand ? copy_by_hand(c, most) : n;
}

void copy_done(struct copy *c)
{
    free(c->piece);
    c->piece = NULL;
}
