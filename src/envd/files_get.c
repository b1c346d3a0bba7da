/* SPDX-License-Identifier: Apache-2.0 */
/* GET /files: a file as the answer's body, whole or a range, sent as fast as the peer reads. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "envd/answer.h"
#include "envd/file_fields.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/paths.h"

enum {
    TURN_MAX = 1 << 20 /* bytes sent before others have their turn */
};

/* A body on its way. */
struct download {
    struct loop *loop;
    struct exchange *x;
    int fd;
    bool is_endless; /* length unknown (/proc): until the file's end */
    uint64_t left;   /* otherwise: bytes still to send */
    struct timer turn;
    char piece[FILE_PIECE];
};

/* What the head of the answer says about the file. */
struct file_head {
    struct str path;
    struct stat st;
    uint64_t start, length;
    bool is_part;
};

static void download_free(void *ctx, struct exchange *x)
{
    struct download *d = ctx;

    (void)x;
    timer_stop(&d->turn);
    close(d->fd);
    free(d);
}

static void finish(struct download *d, bool is_whole)
{
    struct exchange *x = d->x;

    exchange_on_gone(x, NULL, NULL);
    exchange_on_drain(x, NULL, NULL);
    download_free(d, x);
    if (is_whole)
        exchange_end(x);
    else
        exchange_abort(x); /* read error, or the file shrank: the peer must notice */
}

static void send_more(void *ctx)
{
    struct download *d = ctx;
    bool may_write = true;
    size_t sent = 0;

    while (may_write && sent < TURN_MAX && (d->is_endless || d->left > 0)) {
        size_t want = d->is_endless || d->left > FILE_PIECE ? FILE_PIECE : (size_t)d->left;
        ssize_t got = read(d->fd, d->piece, want);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            finish(d, got == 0 && d->is_endless);
            return;
        }
        may_write = exchange_write(d->x, (struct str){d->piece, (size_t)got});
        sent += (size_t)got;
        d->left -= d->is_endless ? 0 : (size_t)got;
    }
    if (!d->is_endless && d->left == 0)
        finish(d, true);
    else if (may_write)
        timer_start(d->loop, &d->turn, 0, send_more, d);
}

static void drained(void *ctx, struct exchange *x)
{
    struct download *d = ctx;

    (void)x;
    if (!timer_running(&d->turn))
        send_more(d);
}

/* Takes fd; the head has not been sent. */
static void send_body(struct guest *g, struct exchange *x, int fd, const struct file_head *f,
                      struct answer *a)
{
    bool is_endless = f->length == 0 && !f->is_part && f->st.st_size == 0;
    struct download *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        close(fd);
        answer_error(x, 429, "out of memory");
        return;
    }
    *d = (struct download){
        .loop = g->loop, .x = x, .fd = fd, .is_endless = is_endless, .left = f->length};
    answer_start(x, f->is_part ? 206 : 200, a, is_endless ? REPLY_CHUNKED : (int64_t)f->length);
    exchange_on_gone(x, download_free, d);
    exchange_on_drain(x, drained, d);
    send_more(d);
}

/* A file of size 0 is empty, or one of /proc that has content all the same. */
static bool is_empty(int fd)
{
    char byte;

    return pread(fd, &byte, 1, 0) <= 0;
}

static bool is_unchanged(struct exchange *x, const char *date)
{
    struct str since = http_field(exchange_head(x), "If-Modified-Since");

    return since.at != NULL && date[0] != '\0' && str_is(since, date);
}

/* Takes fd. */
static void send_file(struct guest *g, struct exchange *x, int fd, struct file_head *f)
{
    const struct http_head *h = exchange_head(x);
    struct str if_range = http_field(h, "If-Range");
    char date[HTTP_DATE_MAX], range[80];
    enum range_result asked = RANGE_NONE;
    struct buf disposition;
    struct answer a;

    f->length = (uint64_t)f->st.st_size;
    http_date(f->st.st_mtim.tv_sec, date);
    if (if_range.at == NULL || str_is(if_range, date))
        asked = range_parse(http_field(h, "Range"), f->length, &f->start, &f->length);
    f->is_part = asked == RANGE_PART;
    buf_init(&disposition, 16 << 10);
    content_disposition(&disposition, path_base(f->path));
    answer_init(&a, x);
    answer_field(&a, "Content-Type", str_of(content_type_of(f->path)));
    answer_field(&a, "Content-Disposition", buf_str(&disposition));
    answer_field(&a, "Vary", STR("Accept-Encoding"));
    answer_field(&a, "Accept-Ranges", STR("bytes"));
    answer_field(&a, "Last-Modified", str_of(date));
    if (asked == RANGE_PART) {
        snprintf(range, sizeof(range), "bytes %llu-%llu/%llu", (unsigned long long)f->start,
                 (unsigned long long)(f->start + f->length - 1), (unsigned long long)f->st.st_size);
        answer_field(&a, "Content-Range", str_of(range));
    }
    if (asked == RANGE_BAD) {
        answer_error(x, 416, "range not satisfiable, the file has %llu bytes",
                     (unsigned long long)f->st.st_size);
        close(fd);
    } else if (is_unchanged(x, date)) {
        answer_start(x, 304, &a, 0);
        exchange_end(x);
        close(fd);
    } else if (str_is(h->method, "HEAD") || (f->length == 0 && is_empty(fd))) {
        answer_start(x, 200, &a, (int64_t)f->length);
        exchange_end(x);
        close(fd);
    } else {
        ignore(lseek(fd, (off_t)f->start, SEEK_SET)); /* files of /proc may refuse; start is 0 */
        send_body(g, x, fd, f, &a);
    }
    buf_done(&disposition);
}

void files_get(struct guest *g, struct exchange *x)
{
    struct files_request r;
    struct file_head f = {0};
    struct err err;
    int fd;

    if (!files_begin(g, x, "read", &r))
        return;
    if (!accepts_identity(http_field(exchange_head(x), "Accept-Encoding"))) {
        answer_error(x, 406, "only the identity encoding is available");
        return;
    }
    if (path_resolve(r.path, &r.user, g->config.workdir, exchange_arena(x), &f.path, &err) != 0) {
        answer_failure(x, &err);
        return;
    }
    fd = open(f.path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        answer_error(x, 404, "path '%.300s' does not exist", f.path.at);
    } else if (fd < 0 || fstat(fd, &f.st) != 0) {
        answer_error(x, errno == ENAMETOOLONG || errno == ELOOP ? 400 : 500,
                     "error opening file '%.300s': %s", f.path.at, strerror(errno));
        own_close_fd(&fd);
    } else if (S_ISREG(f.st.st_mode)) {
        send_file(g, x, fd, &f);
    } else {
        answer_error(x, 400, "path '%.300s' is %s", f.path.at,
                     S_ISDIR(f.st.st_mode) ? "a directory" : "not a regular file");
        close(fd);
    }
}
