/* SPDX-License-Identifier: Apache-2.0 */
/* POST /files: one file as the body itself, or many as multipart parts, written as they arrive. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "codec/codec.h"
#include "envd/answer.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/metadata.h"
#include "envd/multipart.h"
#include "envd/paths.h"

enum {
    UPLOAD_ARENA_MAX = 8 << 20, /* paths of the files of one request */
};

/* A file that was written: a line of the answer. */
struct uploaded {
    struct str path;
    struct uploaded *next;
};

struct upload {
    struct guest *guest;
    struct exchange *x;
    struct files_request request;
    struct arena arena;
    struct codec_list metadata;
    struct multipart multipart;
    bool is_multipart;
    struct uploaded *first, *last;
    int fd; /* the file being written, -1 between files */
    bool is_new;
    uint64_t written; /* to that file */
};

/* Drop a file that was ours and is not complete. */
static void discard(struct upload *u)
{
    if (u->fd < 0)
        return;
    close(u->fd);
    u->fd = -1;
    if (u->is_new)
        ignore(unlink(u->last->path.at)); /* somebody may have been faster */
}

static void upload_free(void *ctx, struct exchange *x)
{
    struct upload *u = ctx;

    (void)x;
    discard(u);
    if (u->is_multipart)
        multipart_done(&u->multipart);
    arena_done(&u->arena);
    free(u);
}

/* Of the file's file system; the file itself may not exist. */
static bool read_space(const char *path, struct statvfs *out)
{
    char parent[PATH_LEN_MAX + 1];
    struct str text = str_of(path);

    if (statvfs(path, out) == 0)
        return true;
    text.len -= path_base(text).len;
    return str_to_c(text, parent, sizeof(parent)) && statvfs(parent, out) == 0;
}

static int no_space(int sys, const char *path, uint64_t bytes, struct err *err)
{
    struct statvfs fs;

    if (read_space(path, &fs) && fs.f_files > 0 && fs.f_ffree == 0)
        return err_set(err, ERR_NO_SPACE, "not enough inodes available");
    if (sys == EDQUOT)
        return err_set(err, ERR_NO_SPACE, "not enough disk space available: quota exceeded");
    return err_set(err, ERR_NO_SPACE,
                   "not enough disk space available: attempted to write %llu bytes",
                   (unsigned long long)bytes);
}

/* The disk, a quota, or the largest file that the sandbox may have. */
static bool is_full(int sys)
{
    return sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
}

static int file_error(int sys, const char *doing, const char *path, struct err *err)
{
    if (is_full(sys))
        return no_space(sys, path, 0, err);
    if (sys == EISDIR)
        return err_set(err, ERR_INVALID, "path is a directory: %.180s", path);
    if (sys == ENXIO)
        return err_set(err, ERR_INVALID, "path is not a regular file: %.180s", path);
    if (sys == ENAMETOOLONG || sys == ELOOP || sys == ENOTDIR)
        return err_set(err, ERR_INVALID, "%s '%.150s': %s", doing, path, strerror(sys));
    return err_sys(err, sys, "%s '%.150s'", doing, path);
}

/* Remember the path, refuse a second time. */
static int note_path(struct upload *u, struct str path, struct err *err)
{
    struct uploaded *file;

    for (file = u->first; file != NULL; file = file->next) {
        if (str_eq(file->path, path))
            return err_set(err, ERR_INVALID,
                           "you cannot upload multiple files to the same path: "
                           "%.150s",
                           path.at);
    }
    file = arena_alloc(&u->arena, sizeof(*file));
    if (file == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    *file = (struct uploaded){.path = path};
    if (u->last != NULL)
        u->last->next = file;
    else
        u->first = file;
    u->last = file;
    return 0;
}

/* O_NONBLOCK: a fifo without a reader must not stop us. */
static int open_target(struct upload *u, const char *path, struct err *err)
{
    enum { WRITE_FLAGS = O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };
    struct stat st;

    u->written = 0;
    u->fd = open(path, WRITE_FLAGS | O_CREAT | O_EXCL, 0666);
    u->is_new = u->fd >= 0;
    if (u->fd < 0 && errno == EEXIST)
        u->fd = open(path, WRITE_FLAGS | O_CREAT, 0666);
    if (u->fd < 0)
        return file_error(errno, "error opening file", path, err);
    if (fstat(u->fd, &st) != 0 || S_ISFIFO(st.st_mode))
        return file_error(ENXIO, "error opening file", path, err);
    return 0;
}

static int begin_file(struct upload *u, struct str name, struct err *err)
{
    const struct user *user = &u->request.user;
    struct str path, parent;

    if (path_resolve(name, user, u->guest->config.workdir, &u->arena, &path, err) != 0)
        return -1;
    if (str_has_suffix(path, "/"))
        return err_set(err, ERR_INVALID, "path is a directory: %.180s", path.at);
    parent = path_parent(path, &u->arena);
    if (parent.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (note_path(u, path, err) != 0 || path_make_dirs(parent.at, user, err) != 0 ||
        open_target(u, path.at, err) != 0)
        return -1;
    if (fchown(u->fd, user->uid, user->gid) != 0 && errno != EPERM && errno != EROFS)
        return file_error(errno, "error changing ownership of", path.at, err);
    if (metadata_store(u->fd, &u->metadata, err) != 0)
        return -1;
    return 0;
}

static int write_bytes(void *ctx, struct str data, struct err *err)
{
    struct upload *u = ctx;

    while (u->fd >= 0 && data.len > 0) {
        ssize_t put = write(u->fd, data.at, data.len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && is_full(errno))
            return no_space(errno, u->last->path.at, u->written + data.len, err);
        if (put < 0)
            return file_error(errno, "error writing file", u->last->path.at, err);
        u->written += (size_t)put;
        data = str_from(data, (size_t)put);
    }
    return 0;
}

static int end_file(void *ctx, struct err *err)
{
    struct upload *u = ctx;
    int fd = u->fd;

    u->fd = -1;
    if (fd >= 0 && close(fd) != 0 && errno != EINTR) /* EDQUOT of network file systems */
        return file_error(errno, "error closing file", u->last->path.at, err);
    return 0;
}

/* Parts that are not called "file", or are no files, are skipped: fd stays -1. */
static int begin_part(void *ctx, struct str name, struct str file_name, struct err *err)
{
    struct upload *u = ctx;

    if (!str_is(name, "file"))
        return 0;
    if (u->request.path.len > 0)
        return begin_file(u, u->request.path, err);
    if (file_name.len == 0)
        return err_set(err, ERR_INVALID, "a file part has no file name and the query no path");
    return begin_file(u, file_name, err);
}

static void put_entry(struct buf *out, const struct upload *u, struct str path)
{
    const struct codec_pair *pairs = u->metadata.items;

    buf_add_text(out, "{\"path\":");
    json_quote(out, path);
    buf_add_text(out, ",\"name\":");
    json_quote(out, path_base(path));
    buf_add_text(out, ",\"type\":\"file\"");
    for (size_t i = 0; i < u->metadata.count; i++) {
        buf_add_text(out, i == 0 ? ",\"metadata\":{" : ",");
        json_quote(out, pairs[i].key);
        buf_add_byte(out, ':');
        json_quote(out, pairs[i].value);
    }
    buf_add_text(out, u->metadata.count > 0 ? "}}" : "}");
}

static void answer_uploaded(struct upload *u)
{
    struct exchange *x = u->x;
    struct buf out;

    buf_init(&out, ANSWER_BODY_MAX);
    buf_add_byte(&out, '[');
    for (const struct uploaded *file = u->first; file != NULL; file = file->next) {
        put_entry(&out, u, file->path);
        buf_add_text(&out, file->next != NULL ? "," : "");
    }
    buf_add_byte(&out, ']');
    upload_free(u, x);
    answer_buf(x, 200, "application/json", &out);
}

static void refuse(struct upload *u, const struct err *err)
{
    struct exchange *x = u->x;

    exchange_on_gone(x, NULL, NULL);
    upload_free(u, x);
    answer_failure(x, err);
}

static int feed(struct upload *u, struct str data, bool is_last, struct err *err)
{
    if (!u->is_multipart)
        return write_bytes(u, data, err) != 0 ? -1 : (is_last ? end_file(u, err) : 0);
    if (multipart_feed(&u->multipart, data, err) != 0)
        return -1;
    if (is_last && multipart_end(&u->multipart, err) != 0)
        return -1;
    if (is_last && u->first == NULL)
        return err_set(err, ERR_INVALID, "no part called 'file' in the body");
    return 0;
}

static size_t body_arrived(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct upload *u = ctx;
    size_t len = data.len;
    struct err err;

    if (feed(u, data, is_last, &err) != 0) {
        refuse(u, &err);
    } else if (is_last) {
        exchange_on_gone(x, NULL, NULL);
        answer_uploaded(u);
    }
    return len;
}

static const struct multipart_events part_events = {begin_part, write_bytes, end_file};

/* Is this the media type, whatever its parameters? */
static bool is_type(struct str value, const char *type)
{
    struct str rest;

    return str_ieq(str_trim(str_cut(value, ';', &rest)), str_of(type));
}

static int begin(struct upload *u, const struct http_head *h, struct err *err)
{
    struct str type = http_field(h, "Content-Type");
    struct str coding = http_field(h, "Content-Encoding");

    if (metadata_parse(h, &u->arena, &u->metadata, err) != 0)
        return -1;
    if (coding.len > 0 && !str_ieq(coding, STR("identity")))
        return err_set(err, ERR_INVALID, "unsupported content encoding '%.*s'",
                       STR_ARG(str_upto(coding, 40)));
    if (is_type(type, "multipart/form-data")) {
        if (multipart_init(&u->multipart, type, &part_events, u, err) != 0)
            return -1;
        u->is_multipart = true;
        return 0;
    }
    if (!is_type(type, "application/octet-stream"))
        return err_set(err, ERR_INVALID,
                       "unsupported content type '%.*s', expected "
                       "multipart/form-data or application/octet-stream",
                       STR_ARG(str_upto(type, 80)));
    if (u->request.path.len == 0)
        return err_set(err, ERR_INVALID, "path is required for an application/octet-stream body");
    return begin_file(u, u->request.path, err);
}

void files_post(struct guest *g, struct exchange *x)
{
    struct files_request r;
    struct upload *u;
    struct err err;

    if (!files_begin(g, x, "write", &r))
        return;
    u = calloc(1, sizeof(*u));
    if (u == NULL) {
        answer_error(x, 429, "out of memory");
        return;
    }
    u->guest = g;
    u->x = x;
    u->request = r;
    u->fd = -1;
    arena_init(&u->arena, UPLOAD_ARENA_MAX);
    if (begin(u, exchange_head(x), &err) != 0) {
        refuse(u, &err);
        return;
    }
    exchange_on_gone(x, upload_free, u);
    exchange_on_body(x, body_arrived, u);
}
