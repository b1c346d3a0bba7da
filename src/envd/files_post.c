/* SPDX-License-Identifier: Apache-2.0 */
/* POST /files: one file as the body itself, or many as multipart parts, written as they arrive,
 * unpacked when they come as gzip. What a failed upload leaves is said in target.h. */
#include "codec/codec.h"
#include "codec/gunzip.h"
#include "envd/answer.h"
#include "envd/encoding.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/metadata.h"
#include "envd/multipart.h"
#include "envd/paths.h"
#include "envd/target.h"

enum {
    UPLOAD_ARENA_MAX = 8 << 20, /* paths of the files of one request */
    TURN_MAX = 4 << 20,         /* unpacked bytes before others have their turn */
    UNPACK_PIECE = 1 << 10,     /* packed bytes fed in one go: a MiB of content at most */
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
    struct gunzip *gunzip; /* NULL: the body is what it is */
    uint64_t taken;        /* content bytes of this turn */
    struct target target;  /* the file being written */
    struct timer turn;
};

static void upload_free(void *ctx, struct exchange *x)
{
    struct upload *u = ctx;

    (void)x;
    timer_stop(&u->turn);
    target_discard(&u->target);
    gunzip_free(u->gunzip);
    if (u->is_multipart)
        multipart_done(&u->multipart);
    arena_done(&u->arena);
    free(u);
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

static int begin_file(struct upload *u, struct str name, uint64_t expected, struct err *err)
{
    const struct user *user = &u->request.user;
    struct target_spec spec = {
        .user = user,
        .metadata = &u->metadata,
        .expected = expected,
        .flags = u->gunzip != NULL && !u->is_multipart ? TARGET_STAGED : 0,
    };

    if (path_resolve(name, user, u->guest->config.workdir, &u->arena, &spec.path, err) != 0 ||
        note_path(u, spec.path, err) != 0)
        return -1;
    return target_begin(&u->target, &spec, &u->arena, err);
}

static int write_bytes(void *ctx, struct str data, struct err *err)
{
    struct upload *u = ctx;

    return target_write(&u->target, data, err);
}

/* Only a staged file takes more than one step, and those of a multipart body are not staged. */
static int end_file(void *ctx, struct err *err)
{
    struct upload *u = ctx;
    bool is_done;

    return target_end(&u->target, &is_done, err);
}

/* Parts that are not called "file", or are no files, are skipped: fd stays -1. */
static int begin_part(void *ctx, struct str name, struct str file_name, struct err *err)
{
    struct upload *u = ctx;

    if (!str_is(name, "file"))
        return 0;
    if (u->request.path.len > 0)
        return begin_file(u, u->request.path, 0, err);
    if (file_name.len == 0)
        return err_set(err, ERR_INVALID, "a file part has no file name and the query no path");
    return begin_file(u, file_name, 0, err);
}

static void answer_uploaded(struct upload *u)
{
    struct exchange *x = u->x;
    struct buf out;

    buf_init(&out, ANSWER_BODY_MAX);
    buf_add_byte(&out, '[');
    for (const struct uploaded *file = u->first; file != NULL; file = file->next) {
        files_put_entry(&out, file->path, &u->metadata);
        buf_add_text(&out, file->next != NULL ? "," : "");
    }
    buf_add_byte(&out, ']');
    exchange_on_gone(x, NULL, NULL);
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

/* Content, once it is unpacked. */
static int take(void *ctx, struct str data, struct err *err)
{
    struct upload *u = ctx;

    u->taken += data.len;
    return u->is_multipart ? multipart_feed(&u->multipart, data, err) : write_bytes(u, data, err);
}

/* As much of it as one turn allows; returns how many bytes, or -1. */
static ssize_t unpack(struct upload *u, struct str data, struct err *err)
{
    size_t used = 0;

    u->taken = 0;
    while (used < data.len && u->taken < TURN_MAX) {
        struct str piece = str_upto(str_from(data, used), UNPACK_PIECE);

        if (gunzip_feed(u->gunzip, piece, err) != 0)
            return -1;
        used += piece.len;
    }
    return (ssize_t)used;
}

static int end_body(struct upload *u, struct err *err)
{
    if (u->gunzip != NULL && gunzip_end(u->gunzip, err) != 0)
        return -1;
    if (!u->is_multipart)
        return 0;
    if (multipart_end(&u->multipart, err) != 0)
        return -1;
    if (u->first == NULL)
        return err_set(err, ERR_INVALID, "no part called 'file' in the body");
    return 0;
}

/* The body is complete and good; the file may take a few turns. */
static void end_step(void *ctx)
{
    struct upload *u = ctx;
    bool is_done;
    struct err err;

    if (target_end(&u->target, &is_done, &err) != 0)
        refuse(u, &err);
    else if (is_done)
        answer_uploaded(u);
    else
        timer_start(u->guest->loop, &u->turn, 0, end_step, u);
}

static void go_on(void *ctx)
{
    struct upload *u = ctx;

    exchange_resume(u->x);
}

static void moved(void *ctx, size_t len)
{
    struct upload *u = ctx;

    u->target.written += len;
}

static size_t body_arrived(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct upload *u = ctx;
    ssize_t used = (ssize_t)data.len;
    int rc = 0;
    struct err err;

    if (is_last) {
        rc = end_body(u, &err);
    } else if (u->gunzip != NULL) {
        used = unpack(u, data, &err);
        rc = used < 0 ? -1 : 0;
    } else {
        rc = take(u, data, &err);
        if (!u->is_multipart)
            exchange_splice_file(x, u->target.fd, moved, u);
    }
    if (rc != 0) {
        refuse(u, &err);
        return data.len;
    }
    if (is_last)
        end_step(u);
    else if ((size_t)used < data.len)
        timer_start(u->guest->loop, &u->turn, 0, go_on, u); /* others have their turn */
    return (size_t)used;
}

static const struct multipart_events part_events = {begin_part, write_bytes, end_file};

static int begin(struct upload *u, const struct http_head *h, struct err *err)
{
    struct str type = http_field(h, "Content-Type");
    enum coding coding = encoding_of_body(h);

    if (metadata_parse(h, &u->arena, &u->metadata, err) != 0)
        return -1;
    if (coding == CODING_NONE)
        return err_set(err, ERR_INVALID, "unsupported content encoding '%.*s'",
                       STR_ARG(str_upto(http_field(h, "Content-Encoding"), 40)));
    if (coding == CODING_GZIP && (u->gunzip = gunzip_new(take, u)) == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (files_is_type(type, "multipart/form-data")) {
        if (multipart_init(&u->multipart, type, &part_events, u, err) != 0)
            return -1;
        u->is_multipart = true;
        return 0;
    }
    if (!files_is_type(type, "application/octet-stream"))
        return err_set(err, ERR_INVALID,
                       "unsupported content type '%.*s', expected "
                       "multipart/form-data or application/octet-stream",
                       STR_ARG(str_upto(type, 80)));
    if (u->request.path.len == 0)
        return err_set(err, ERR_INVALID, "path is required for an application/octet-stream body");
    return begin_file(u, u->request.path, u->gunzip == NULL ? h->body_length : 0, err);
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
    target_init(&u->target);
    arena_init(&u->arena, UPLOAD_ARENA_MAX);
    if (begin(u, exchange_head(x), &err) != 0) {
        refuse(u, &err);
        return;
    }
    exchange_on_gone(x, upload_free, u);
    exchange_on_body(x, body_arrived, u);
}
