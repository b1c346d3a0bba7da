/* SPDX-License-Identifier: Apache-2.0 */
/* GET /files: a file as the answer's body, whole or a range, sent as fast as the peer reads.
 *
 * Small files are read first: the answer leaves in one piece, and files of /proc and /sys, which
 * know no size or a wrong one, get the length they have. Larger ones go from the page cache to the
 * socket without a copy. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "codec/gzip.h"
#include "envd/answer.h"
#include "envd/conditions.h"
#include "envd/encoding.h"
#include "envd/file_fields.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/paths.h"

enum {
    TURN_MAX = 1 << 20,        /* bytes sent before others have their turn */
    GZIP_TURN_MAX = 128 << 10, /* and compressed */
};

/* What is to be sent. */
struct file {
    int fd;
    struct str path;
    struct stat st;
    struct str content;  /* what was read of it already, in the exchange's arena */
    bool is_read;        /* that is all of it */
    bool is_endless;     /* /proc, and more than was read: until its end */
    bool has_validators; /* its size is what it says */
    uint64_t size, start, length;
    bool is_part;
    enum coding coding;
    struct validators validators;
};

/* A body on its way. */
struct download {
    struct loop *loop;
    struct exchange *x;
    int fd;
    bool is_copied;    /* sendfile(2) does not do for this file */
    bool is_endless;   /* until the file's end */
    uint64_t left;     /* otherwise: bytes still to send */
    struct gzip *gzip; /* NULL: as it is */
    struct buf packed;
    char *piece; /* FILE_PIECE bytes; NULL until one is copied */
    struct timer turn;
};

enum progress {
    GOES_ON,
    WAITS, /* for the peer to read */
    ENDED,
    FAILED, /* read error, or the file shrank: the peer must notice */
};

static void download_free(void *ctx, struct exchange *x)
{
    struct download *d = ctx;

    (void)x;
    timer_stop(&d->turn);
    close(d->fd);
    gzip_free(d->gzip);
    buf_done(&d->packed);
    free(d->piece);
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
        exchange_abort(x);
}

static ssize_t read_piece(struct download *d, size_t most)
{
    ssize_t got;

    if (d->piece == NULL)
        d->piece = malloc(FILE_PIECE);
    if (d->piece == NULL)
        return -1;
    do
        got = read(d->fd, d->piece, most < FILE_PIECE ? most : FILE_PIECE);
    while (got < 0 && errno == EINTR);
    return got;
}

static enum progress send_packed(struct download *d, size_t *sent)
{
    ssize_t got = read_piece(d, GZIP_BLOCK);
    bool may_go_on;

    if (got < 0)
        return FAILED;
    if (got > 0)
        gzip_add(d->gzip, (struct str){d->piece, (size_t)got}, &d->packed);
    else
        gzip_end(d->gzip, &d->packed);
    if (!buf_ok(&d->packed))
        return FAILED;
    may_go_on = exchange_write(d->x, buf_str(&d->packed));
    buf_clear(&d->packed);
    *sent += (size_t)got * (TURN_MAX / GZIP_TURN_MAX);
    return got == 0 ? ENDED : may_go_on ? GOES_ON : WAITS;
}

static enum progress send_copied(struct download *d, size_t *sent)
{
    ssize_t got = read_piece(d, d->is_endless || d->left > FILE_PIECE ? FILE_PIECE : d->left);
    bool may_go_on;

    if (got <= 0)
        return got == 0 && d->is_endless ? ENDED : FAILED;
    may_go_on = exchange_write(d->x, (struct str){d->piece, (size_t)got});
    *sent += (size_t)got;
    d->left -= d->is_endless ? 0 : (size_t)got;
    if (!d->is_endless && d->left == 0)
        return ENDED;
    return may_go_on ? GOES_ON : WAITS;
}

static enum progress send_mapped(struct download *d, size_t *sent)
{
    ssize_t n = exchange_send_file(d->x, d->fd, d->left < TURN_MAX ? d->left : TURN_MAX);

    if (n < 0 && errno == EINVAL) {
        d->is_copied = true;
        return GOES_ON;
    }
    if (n < 0)
        return FAILED;
    *sent += (size_t)n;
    d->left -= (size_t)n;
    return d->left == 0 ? ENDED : n == 0 ? WAITS : GOES_ON;
}

static void send_more(void *ctx)
{
    struct download *d = ctx;
    enum progress p = GOES_ON;
    size_t sent = 0;

    while (p == GOES_ON && sent < TURN_MAX) {
        if (d->gzip != NULL)
            p = send_packed(d, &sent);
        else if (d->is_copied)
            p = send_copied(d, &sent);
        else
            p = send_mapped(d, &sent);
    }
    if (p == ENDED || p == FAILED)
        finish(d, p == ENDED);
    else if (p == GOES_ON)
        timer_start(d->loop, &d->turn, 0, send_more, d);
}

static void drained(void *ctx, struct exchange *x)
{
    struct download *d = ctx;

    (void)x;
    if (!timer_running(&d->turn))
        send_more(d);
}

/* The head of the answer. Takes no notice of what follows it. */
static void send_head(struct exchange *x, const struct file *f, unsigned status, int64_t length)
{
    bool is_packed = f->coding == CODING_GZIP;
    struct buf disposition, range, etag;
    struct answer a;

    buf_init(&disposition, 16 << 10);
    buf_init(&range, 128);
    buf_init(&etag, ETAG_MAX + 2);
    answer_init(&a, x);
    answer_field(&a, "Vary", STR("Accept-Encoding"));
    if (f->has_validators) {
        /* other bytes for the same content: the same only in the weak sense */
        buf_add_text(&etag, is_packed ? "W/" : "");
        buf_add_text(&etag, f->validators.etag);
        answer_field(&a, "ETag", buf_str(&etag));
        answer_field(&a, "Last-Modified", str_of(f->validators.date));
    }
    if (status != 304) {
        content_disposition(&disposition, path_base(f->path));
        answer_field(&a, "Content-Type", str_of(content_type_of(f->path)));
        answer_field(&a, "Content-Disposition", buf_str(&disposition));
        answer_field(&a, "Accept-Ranges", STR("bytes"));
    }
    if (f->is_part) {
        buf_printf(&range, "bytes %llu-%llu/%llu", (unsigned long long)f->start,
                   (unsigned long long)(f->start + f->length - 1), (unsigned long long)f->size);
        answer_field(&a, "Content-Range", buf_str(&range));
    }
    if (is_packed && status != 304)
        answer_field(&a, "Content-Encoding", STR("gzip"));
    answer_start(x, status, &a, length);
    buf_done(&disposition);
    buf_done(&range);
    buf_done(&etag);
}

/* The file was read already. */
static void send_content(struct exchange *x, const struct file *f)
{
    struct str part = str_upto(str_from(f->content, f->start), f->length);
    struct gzip *gzip = f->coding == CODING_GZIP ? gzip_new() : NULL;
    struct buf packed;

    buf_init(&packed, 2 * FILE_PIECE + GZIP_OUT_MAX);
    if (f->coding == CODING_GZIP) {
        for (size_t at = 0; gzip != NULL && at < part.len; at += GZIP_BLOCK)
            gzip_add(gzip, str_upto(str_from(part, at), GZIP_BLOCK), &packed);
        if (gzip != NULL)
            gzip_end(gzip, &packed);
        part = buf_str(&packed);
    }
    if (f->coding == CODING_GZIP && (gzip == NULL || !buf_ok(&packed))) {
        answer_error(x, 429, "out of memory");
    } else {
        send_head(x, f, f->is_part ? 206 : 200, (int64_t)part.len);
        exchange_write(x, part);
        exchange_end(x);
    }
    gzip_free(gzip);
    buf_done(&packed);
}

/* Starts at what was not read yet. Takes the descriptor. */
static void send_stream(struct guest *g, struct exchange *x, struct file *f)
{
    bool is_packed = f->coding == CODING_GZIP;
    bool is_chunked = is_packed || f->is_endless;
    struct download *d = calloc(1, sizeof(*d));

    if (d != NULL)
        *d = (struct download){.loop = g->loop,
                               .x = x,
                               .fd = f->fd,
                               .is_endless = f->is_endless,
                               .is_copied = f->is_endless,
                               .left = f->length,
                               .gzip = is_packed ? gzip_new() : NULL};
    if (d == NULL || (is_packed && d->gzip == NULL)) {
        free(d);
        answer_error(x, 429, "out of memory");
        return;
    }
    f->fd = -1;
    buf_init(&d->packed, GZIP_OUT_MAX);
    ignore(lseek(d->fd, (off_t)f->start, SEEK_SET)); /* an endless one begins again, or goes on */
    send_head(x, f, f->is_part ? 206 : 200, is_chunked ? REPLY_CHUNKED : (int64_t)f->length);
    exchange_on_gone(x, download_free, d);
    exchange_on_drain(x, drained, d);
    send_more(d);
}

/* Read a file that says it is small, as far as it fits. */
static int read_small(struct exchange *x, struct file *f)
{
    char *at = arena_alloc(exchange_arena(x), FILE_PIECE);
    ssize_t got = 1;

    if (at == NULL) {
        errno = ENOMEM;
        return -1;
    }
    f->content.at = at;
    while (got != 0 && f->content.len < FILE_PIECE) {
        got = read(f->fd, at + f->content.len, FILE_PIECE - f->content.len);
        if (got < 0 && errno != EINTR)
            return -1;
        f->content.len += got > 0 ? (size_t)got : 0;
    }
    f->is_read = got == 0;
    f->is_endless = !f->is_read && f->st.st_size < FILE_PIECE;
    return 0;
}

/* Refused, answered without a body, or to be sent: the third is true. */
static bool choose_answer(struct exchange *x, struct file *f)
{
    const struct http_head *h = exchange_head(x);
    enum condition condition = CONDITION_HOLDS;
    enum range_result asked = RANGE_NONE;

    if (f->has_validators)
        condition = condition_check(h, &f->validators);
    f->coding = encoding_for_answer(h, condition_is_asked(h));
    if (condition == CONDITION_FAILED) {
        answer_error(x, 412, "the file is not in the state that the request asks for");
        return false;
    }
    if (f->coding == CODING_NONE) {
        answer_error(x, 406, "only the encodings identity and gzip are available");
        return false;
    }
    if (condition == CONDITION_NOT_MODIFIED) {
        send_head(x, f, 304, 0);
        exchange_end(x);
        return false;
    }
    if (f->coding == CODING_IDENTITY && !f->is_endless && str_is(h->method, "GET") &&
        condition_allows_range(h, &f->validators))
        asked = range_parse(http_field(h, "Range"), f->size, &f->start, &f->length);
    f->is_part = asked == RANGE_PART;
    if (asked == RANGE_BAD)
        answer_error(x, 416, "range not satisfiable, the file has %llu bytes",
                     (unsigned long long)f->size);
    return asked != RANGE_BAD;
}

static void send_file(struct guest *g, struct exchange *x, struct file *f)
{
    bool is_small = f->st.st_size <= FILE_PIECE;

    if (is_small && read_small(x, f) != 0) {
        answer_error(x, 500, "error reading file '%.300s': %s", f->path.at, strerror(errno));
        return;
    }
    f->size = f->is_read ? f->content.len : (uint64_t)f->st.st_size;
    f->length = f->size;
    f->has_validators = !f->is_endless && f->size == (uint64_t)f->st.st_size;
    validators_init(&f->validators, &f->st);
    if (!choose_answer(x, f))
        return;
    if (str_is(exchange_head(x)->method, "HEAD")) {
        send_head(x, f, 200,
                  f->coding == CODING_GZIP || f->is_endless ? REPLY_CHUNKED : (int64_t)f->length);
        exchange_end(x);
    } else if (f->is_read) {
        send_content(x, f);
    } else {
        send_stream(g, x, f);
    }
}

void files_send(struct guest *g, struct exchange *x, struct str path)
{
    struct file f = {.path = path};

    f.fd = open(f.path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f.fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        answer_error(x, 404, "path '%.300s' does not exist", f.path.at);
    } else if (f.fd < 0 || fstat(f.fd, &f.st) != 0) {
        bool is_wrong = errno == ENAMETOOLONG || errno == ELOOP || errno == ENXIO;

        answer_error(x, is_wrong ? 400 : 500, "error opening file '%.300s': %s", f.path.at,
                     strerror(errno));
    } else if (S_ISREG(f.st.st_mode)) {
        send_file(g, x, &f);
    } else {
        answer_error(x, 400, "path '%.300s' is %s", f.path.at,
                     S_ISDIR(f.st.st_mode) ? "a directory" : "not a regular file");
    }
    own_close_fd(&f.fd);
}

void files_get(struct guest *g, struct exchange *x)
{
    struct files_request r;
    struct str path;
    struct err err;

    if (!files_begin(g, x, "read", &r))
        return;
    if (path_resolve(r.path, &r.user, g->config.workdir, exchange_arena(x), &path, &err) != 0)
        answer_failure(x, &err);
    else
        files_send(g, x, path);
}
