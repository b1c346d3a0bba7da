/* SPDX-License-Identifier: Apache-2.0 */
/* See job.h. */
#include "image/job.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>

#include "image/bundle.h"
#include "image/keeper.h"
#include "image/puller.h"

enum {
    NAME_MEM_MAX = 8 << 10,
    KEY_HEX_USED = 32, /* digits of a name's digest in its holder's name */
};

/* What the worker is to do; it has a copy of this memory. */
struct work {
    const struct image_job *job;
    const struct image_request *request; /* NULL: import */
    struct image_name name;
    struct str full_name;
    struct digest key; /* of the name */
    int fd;            /* file, or repository directory; -1: none */
};

static int read_name(struct str text, struct arena *a, struct work *w, struct err *err)
{
    struct buf full;

    if (image_name_parse(text, a, &w->name, err) != 0)
        return -1;
    buf_init(&full, IMAGE_NAME_MAX * 2);
    image_name_write(&w->name, &full);
    w->full_name = arena_str(a, buf_str(&full));
    w->key = image_store_key(w->full_name);
    buf_done(&full);
    return w->full_name.at == NULL ? err_set(err, ERR_LIMIT, "no memory for a name") : 0;
}

static struct maker maker_of(const struct work *w, struct desk *desk, const char *source)
{
    return (struct maker){
        .desk = desk,
        .say = w->job->say,
        .ctx = w->job->ctx,
        .limits = w->job->limits,
        .reference = w->full_name,
        .source = source,
    };
}

static void begin(void)
{
    /* libarchive reads names by the locale; C.UTF-8 takes all of them. Without it only ASCII works,
     * and the rest is an error that says so. */
    ignore((long)(setlocale(LC_CTYPE, "C.UTF-8") != NULL));
}

static void work_import(void *ctx, struct desk *desk)
{
    struct work *w = ctx;
    struct maker m = maker_of(w, desk, "import");
    struct err err = {0};

    begin();
    if (bundle_make(&m, w->fd, &err) != 0)
        desk_fail(desk, &err);
}

static void work_pushed(void *ctx, struct desk *desk)
{
    struct work *w = ctx;
    struct maker m = maker_of(w, desk, "push");
    struct err err = {0};

    begin();
    if (bundle_make_pushed(&m, w->fd, w->request->tag, &err) != 0)
        desk_fail(desk, &err);
}

/* What an administrator imported under the name goes before any registry. */
static int take_imported(struct desk *desk, const struct work *w, struct arena *a, struct err *err)
{
    struct desk_layer layers[DESK_LAYERS_MAX];
    struct image_result record = {0};
    const struct str *names;
    struct buf text;
    int result;

    buf_init(&text, DESK_TEXT_MAX);
    result = desk_name(desk, &w->key, &text, err);
    if (result == 0)
        result = json_decode(&image_result_message, buf_str(&text), a, &record, err);
    names = record.layers.items;
    for (size_t i = 0; i < record.layers.count && result == 0; i++) {
        if (i == DESK_LAYERS_MAX || !digest_read_hex(names[i], &layers[i].id))
            result = err_set(err, ERR_INVALID, "the record of an imported image is damaged");
        else
            result = desk_find(desk, &layers[i].id, &layers[i], err);
        if (result != 0 && err->kind == ERR_NOT_FOUND)
            err_set(err, ERR_SYSTEM, "a layer of an imported image is gone");
    }
    if (result == 0)
        result = desk_done(desk, layers, record.layers.count, buf_str(&text), err);
    buf_done(&text);
    return result;
}

static void work_fetch(void *ctx, struct desk *desk)
{
    struct work *w = ctx;
    struct maker m = maker_of(w, desk, "registry");
    struct puller_spec spec = {
        .name = &w->name,
        .login = w->request->login,
        .allow = w->job->allow,
        .plain_http = w->job->plain_http,
    };
    struct arena mem;
    struct err err = {0};
    int result;

    begin();
    arena_init(&mem, IMAGE_RECORD_MAX * 4);
    result = take_imported(desk, w, &mem, &err);
    if (result == 0)
        maker_say(&m, "image %.*s: imported on this machine", STR_ARG(w->full_name));
    else if (err.kind == ERR_NOT_FOUND)
        result = puller_run(&m, &spec, &err);
    if (result != 0)
        desk_fail(desk, &err);
    arena_done(&mem);
}

static int run_keeper(const struct image_job *j, struct work *w, struct keeper_spec *k,
                      struct buf *out, struct err *err)
{
    struct image_store store;
    int result;

    k->uid_base = j->uid_base;
    k->file_bytes = j->limits.bytes_max;
    k->timeout_ms = j->timeout_ms;
    k->ctx = w;
    w->job = j;
    if (image_store_open(j->data_dir, &store, err) != 0)
        return -1;
    k->store = &store;
    result = keeper_run(k, out, err);
    k->store = NULL;
    image_store_close(&store);
    return result;
}

/* "name-" and the front of the digest of the name. */
static void import_holder(const struct digest *key, char out[IMAGE_HOLDER_MAX + 1])
{
    char hex[DIGEST_HEX + 1];

    digest_hex(key, hex);
    ignore(snprintf(out, IMAGE_HOLDER_MAX + 1, "name-%.*s", KEY_HEX_USED, hex));
}

int image_job_import(const struct image_job *j, struct str name, int fd, struct buf *out,
                     struct err *err)
{
    char holder[IMAGE_HOLDER_MAX + 1];
    struct work w = {.fd = fd};
    struct arena mem;
    int result;

    arena_init(&mem, NAME_MEM_MAX);
    result = read_name(name, &mem, &w, err);
    if (result == 0 && w.name.digest.len > 0)
        result = err_set(err, ERR_INVALID, "an image cannot be imported under a digest");
    if (result == 0) {
        struct keeper_spec k = {
            .holder = str_of(holder),
            .key = w.key,
            .has_key = true,
            .fds = &fd,
            .fd_count = 1,
            .watch_fd = -1,
            .fn = work_import,
        };

        import_holder(&w.key, holder);
        k.holder = str_of(holder);
        result = run_keeper(j, &w, &k, out, err);
    }
    arena_done(&mem);
    return result == 0 ? 0 : err_wrap(err, "import '%.*s'", STR_ARG(str_upto(name, 80)));
}

static int job_fetch(const struct image_job *j, struct work *w, struct keeper_spec *k,
                     struct buf *out, struct err *err)
{
    struct arena mem;
    int result;

    arena_init(&mem, NAME_MEM_MAX);
    k->needs_network = true;
    k->fn = work_fetch;
    result = read_name(w->request->reference, &mem, w, err);
    if (result == 0)
        result = run_keeper(j, w, k, out, err);
    arena_done(&mem);
    return result;
}

static int open_repository(const struct image_job *j, struct str name, int *out_fd, struct err *err)
{
    char path[PATH_MAX];

    if (name.len == 0 || name.at[0] == '.' || str_find(name, '/') >= 0 || str_find(name, 0) >= 0)
        return err_set(err, ERR_INVALID, "bad name of a repository");
    if ((size_t)snprintf(path, sizeof path, "%s/registry/%.*s", j->data_dir, STR_ARG(name)) >=
        sizeof path)
        return err_set(err, ERR_INVALID, "data_dir is too long");
    *out_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *out_fd < 0 ? err_sys(err, errno, "repository '%.*s'", STR_ARG(name)) : 0;
}

static int job_pushed(const struct image_job *j, struct work *w, struct keeper_spec *k,
                      struct buf *out, struct err *err)
{
    auto_fd int fd = -1;

    if (!image_tag_is_good(w->request->tag))
        return err_set(err, ERR_INVALID, "bad tag");
    if (open_repository(j, w->request->repository, &fd, err) != 0)
        return -1;
    w->fd = fd;
    w->full_name = w->request->repository;
    k->fds = &w->fd;
    k->fd_count = 1;
    k->fn = work_pushed;
    return run_keeper(j, w, k, out, err);
}

static int collect(const struct image_job *j, uint64_t unheld_s, struct err *err)
{
    struct image_store store;
    size_t count;
    int result;

    if (image_store_open(j->data_dir, &store, err) != 0)
        return -1;
    result = image_store_collect(&store, unheld_s, &count, err);
    image_store_close(&store);
    return result;
}

static int job_collect(const struct image_job *j, struct work *w, struct keeper_spec *k,
                       struct buf *out, struct err *err)
{
    ignore((long)(w != NULL && k != NULL && out != NULL));
    return collect(j, IMAGE_UNHELD_S, err);
}

static int job_drop(const struct image_job *j, struct work *w, struct keeper_spec *k,
                    struct buf *out, struct err *err)
{
    struct image_store store;
    int result;

    ignore((long)(k != NULL && out != NULL));
    if (image_store_open(j->data_dir, &store, err) != 0)
        return -1;
    result = image_store_drop(&store, w->request->holder, err);
    image_store_close(&store);
    if (result == 0 && collect(j, IMAGE_UNHELD_S, err) != 0 && err->kind != ERR_CONFLICT)
        result = -1;
    return result;
}

typedef int job_fn(const struct image_job *j, struct work *w, struct keeper_spec *k,
                   struct buf *out, struct err *err);

static const struct {
    const char *op;
    job_fn *fn;
} ops[] = {
    {"fetch",   job_fetch  },
    {"pushed",  job_pushed },
    {"drop",    job_drop   },
    {"collect", job_collect},
};

int image_job_run(const struct image_job *j, const struct image_request *r, int watch_fd,
                  struct buf *out, struct err *err)
{
    struct work w = {.request = r, .fd = -1};
    struct keeper_spec k = {.holder = r->holder, .watch_fd = watch_fd};

    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        if (str_is(r->op, ops[i].op))
            return ops[i].fn(j, &w, &k, out, err);
    }
    return err_set(err, ERR_INVALID, "no such job '%.*s'", STR_ARG(str_upto(r->op, 40)));
}

int image_job_remove(const struct image_job *j, struct str name, struct err *err)
{
    char holder[IMAGE_HOLDER_MAX + 1];
    struct work w = {.fd = -1};
    struct image_store store;
    struct arena mem;
    size_t count;
    int result;

    arena_init(&mem, NAME_MEM_MAX);
    result = read_name(name, &mem, &w, err);
    if (result == 0)
        result = image_store_open(j->data_dir, &store, err);
    if (result == 0) {
        import_holder(&w.key, holder);
        result = image_store_name_remove(&store, &w.key, err);
        if (result == 0)
            result = image_store_drop(&store, str_of(holder), err);
        if (result == 0 && image_store_collect(&store, 0, &count, err) != 0 &&
            err->kind != ERR_CONFLICT) /* then another collection does it */
            result = -1;
        image_store_close(&store);
    }
    arena_done(&mem);
    return result == 0 ? 0 : err_wrap(err, "remove '%.*s'", STR_ARG(str_upto(name, 80)));
}
