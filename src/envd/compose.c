/* SPDX-License-Identifier: Apache-2.0 */
/* POST /files/compose: one file out of several, in their order, which are then removed. The
 * destination appears whole or not at all; until then it is what it was, and so are the sources. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "envd/answer.h"
#include "envd/files.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/paths.h"
#include "envd/target.h"

enum {
    BODY_MAX = 256 << 10, /* several copies of it fit into the arena */
    SOURCES_MAX = 10000,
    TURN_MAX = 16 << 20, /* bytes copied before others have their turn */
};

struct compose_request {
    struct codec_list sources; /* struct str */
    struct str destination, username;
};

/* Rows too long for one line crash the table alignment of clang-format 14. */
/* clang-format off */
static const struct codec_field request_fields[] = {
    {1, "sourcePaths", CODEC_STRING, CODEC_REPEATED, offsetof(struct compose_request, sources), 0,
     NULL, NULL},
    {2, "destination", CODEC_STRING, 0, offsetof(struct compose_request, destination), 0, NULL,
     NULL},
    {3, "username", CODEC_STRING, 0, offsetof(struct compose_request, username), 0, NULL, NULL},
};
static const struct codec_message request_message = {
    NULL, sizeof(struct compose_request), request_fields, COUNT_OF(request_fields)};
/* clang-format on */

/* In the arena of its exchange, as are all the texts. */
struct composition {
    struct guest *guest;
    struct exchange *x;
    struct user user;
    struct str *sources; /* absolute, NUL behind */
    size_t count, at;    /* at: the one being copied */
    int fd;              /* it, -1 between two */
    struct copy copy;
    struct target target;
    struct timer turn;
};

static void composition_done(void *ctx, struct exchange *x)
{
    struct composition *c = ctx;

    (void)x;
    timer_stop(&c->turn);
    copy_done(&c->copy);
    own_close_fd(&c->fd);
    c->fd = -1;
    target_discard(&c->target);
}

static void refuse(struct composition *c, const struct err *err)
{
    struct exchange *x = c->x;

    exchange_on_gone(x, NULL, NULL);
    composition_done(c, x);
    answer_failure(x, err);
}

static int source_error(int sys, const char *path, struct err *err)
{
    if (sys == ENOENT || sys == ENOTDIR)
        return err_set(err, ERR_NOT_FOUND, "path '%.180s' does not exist", path);
    return err_sys(err, sys, "error opening file '%.150s'", path);
}

/* All of them must be there before anything is written. */
static int check_sources(struct composition *c, struct str destination, uint64_t *out_size,
                         struct err *err)
{
    struct stat to, from;
    bool has_old = stat(destination.at, &to) == 0;

    *out_size = 0;
    for (size_t i = 0; i < c->count; i++) {
        const char *path = c->sources[i].at;

        if (stat(path, &from) != 0)
            return source_error(errno, path, err);
        if (!S_ISREG(from.st_mode))
            return err_set(err, ERR_INVALID, "path '%.180s' is %s", path,
                           S_ISDIR(from.st_mode) ? "a directory" : "not a regular file");
        if (str_eq(c->sources[i], destination) ||
            (has_old && to.st_dev == from.st_dev && to.st_ino == from.st_ino))
            return err_set(err, ERR_INVALID, "source and destination are the same file: %.180s",
                           path);
        *out_size += (uint64_t)from.st_size;
    }
    return 0;
}

static int resolve_all(struct composition *c, const struct compose_request *r,
                       struct str *destination, struct err *err)
{
    struct arena *a = exchange_arena(c->x);
    struct str workdir = c->guest->config.workdir;
    const struct str *given = r->sources.items;

    if (r->sources.count == 0)
        return err_set(err, ERR_INVALID, "source_paths must name at least one file");
    if (r->sources.count > SOURCES_MAX)
        return err_set(err, ERR_INVALID, "more than %d source_paths", SOURCES_MAX);
    if (r->destination.len == 0)
        return err_set(err, ERR_INVALID, "destination is required");
    c->sources = arena_array(a, r->sources.count, sizeof(c->sources[0]));
    if (c->sources == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    for (; c->count < r->sources.count; c->count++) {
        if (given[c->count].len == 0)
            return err_set(err, ERR_INVALID, "source_paths has an empty path");
        if (path_resolve(given[c->count], &c->user, workdir, a, &c->sources[c->count], err) != 0)
            return -1;
    }
    return path_resolve(r->destination, &c->user, workdir, a, destination, err);
}

static int begin(struct composition *c, const struct compose_request *r, struct err *err)
{
    struct arena *a = exchange_arena(c->x);
    struct target_spec spec = {.user = &c->user, .flags = TARGET_REPLACE};

    if (guest_user(c->guest, r->username, a, &c->user, err) != 0 ||
        resolve_all(c, r, &spec.path, err) != 0)
        return -1;
    spec.path = path_follow(spec.path, a, NULL); /* renaming would replace a link */
    if (spec.path.at == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (check_sources(c, spec.path, &spec.expected, err) != 0)
        return -1;
    return target_begin(&c->target, &spec, a, err);
}

/* One piece of the current source. */
static int copy_piece(struct composition *c, size_t *copied, struct err *err)
{
    const char *path = c->sources[c->at].at;
    ssize_t n;

    if (c->fd < 0) {
        c->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (c->fd < 0)
            return source_error(errno, path, err);
        c->copy.from = c->fd;
        c->copy.to = c->target.fd;
        c->copy.is_by_hand = false;
    }
    n = copy_some(&c->copy, TURN_MAX);
    if (n < 0)
        return target_error(errno, "error writing file", c->target.path.at, c->target.written, err);
    *copied += (size_t)n;
    c->target.written += (uint64_t)n;
    if (n == 0) {
        own_close_fd(&c->fd);
        c->fd = -1;
        c->at++;
    }
    return 0;
}

/* The destination is there: a source that stays behind is not hidden. */
static int remove_sources(struct composition *c, struct err *err)
{
    for (size_t i = 0; i < c->count; i++) {
        if (unlink(c->sources[i].at) != 0 && errno != ENOENT) /* named twice */
            return err_sys(err, errno, "the file is composed, but source '%.120s' stays",
                           c->sources[i].at);
    }
    return 0;
}

static void answer_composed(struct composition *c)
{
    const struct codec_list none = {0};
    struct exchange *x = c->x;
    struct buf out;

    buf_init(&out, ANSWER_BODY_MAX);
    files_put_entry(&out, c->target.path, &none);
    exchange_on_gone(x, NULL, NULL);
    composition_done(c, x);
    answer_buf(x, 200, "application/json", &out);
}

static void compose_more(void *ctx)
{
    struct composition *c = ctx;
    size_t copied = 0;
    bool is_done;
    struct err err;

    while (c->at < c->count && copied < TURN_MAX) {
        if (copy_piece(c, &copied, &err) != 0) {
            refuse(c, &err);
            return;
        }
    }
    if (c->at < c->count)
        timer_start(c->guest->loop, &c->turn, 0, compose_more, c);
    else if (target_end(&c->target, &is_done, &err) != 0 || remove_sources(c, &err) != 0)
        refuse(c, &err);
    else
        answer_composed(c);
}

static void body_is_there(void *ctx, struct exchange *x)
{
    struct compose_request r = {0};
    struct composition *c = arena_alloc(exchange_arena(x), sizeof(*c));
    struct err err;

    if (c == NULL) {
        answer_error(x, 429, "out of memory");
        return;
    }
    *c = (struct composition){.guest = ctx, .x = x, .fd = -1};
    target_init(&c->target);
    exchange_on_gone(x, composition_done, c);
    if (json_decode(&request_message, exchange_body(x), exchange_arena(x), &r, &err) != 0 ||
        begin(c, &r, &err) != 0)
        refuse(c, &err);
    else
        compose_more(c);
}

static void too_large(void *ctx, struct exchange *x)
{
    (void)ctx;
    answer_error(x, 413, "request body is larger than %d bytes", BODY_MAX);
}

void files_compose(struct guest *g, struct exchange *x)
{
    exchange_collect(x, BODY_MAX, body_is_there, too_large, g);
}
