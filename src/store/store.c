/* SPDX-License-Identifier: Apache-2.0 */
/* The store: limits, the queue of commits, the writer thread. Used by domain; engines are behind
 * driver.h.
 *
 * The loop's thread fills a commit and queues it. The writer takes everything that is queued, has
 * the engine write it as one transaction, and hands it back; an eventfd wakes the loop, which calls
 * back in order. An eventfd and not a letter: stopping its watch is final, so that closing cannot
 * leave a letter for a store that is gone. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "store/sealed.h"

struct writes {
    struct store_write *first, *last;
    size_t count, bytes;
};

struct commit {
    struct commit *next;
    struct writes writes; /* the list is gone after writing; the sums stay */
    store_commit_fn *fn;
    void *ctx;
    struct err err; /* kind ERR_NONE: durable */
};

struct commits {
    struct commit *first, *last;
};

struct store {
    const struct store_engine *engine;
    void *db;
    struct seal *seal; /* NULL: records are kept as they are */

    /* loop's thread */
    struct writes filling;
    size_t queued_count, queued_bytes; /* writes not called back, those of `filling` included */
    bool is_closing, is_delivering;
    struct watch done_watch;
    int done_fd; /* eventfd: `done` has something */
    pthread_t writer;

    /* both threads, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct commits waiting, done;
    bool is_stopping;
};

/* What is sealed anew when the store is opened. */
struct sealing {
    struct store *store;
    enum store_kind kind;
    size_t count;
};

static const struct store_engine *const engines[] = {&store_sqlite, &store_memory};

/* Moves all of `from` behind `to`. */
static void writes_join(struct writes *to, struct writes *from)
{
    if (from->first == NULL)
        return;
    if (to->first == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    to->count += from->count;
    to->bytes += from->bytes;
    from->first = from->last = NULL;
}

static void writes_free(struct writes *w)
{
    while (w->first != NULL) {
        struct store_write *next = w->first->next;

        free(w->first);
        w->first = next;
    }
    *w = (struct writes){0};
}

/* Moves all of `from` behind `to`. */
static void commits_join(struct commits *to, struct commits *from)
{
    if (from->first == NULL)
        return;
    if (to->first == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    *from = (struct commits){0};
}

/* The engine gets the writes of the whole group as one list; they are freed here, off the loop. */
static void write_group(struct store *s, struct commits *group)
{
    struct writes all = {0};
    struct err err = {0};
    int result = 0;

    for (struct commit *c = group->first; c != NULL; c = c->next)
        writes_join(&all, &c->writes);
    if (all.count > 0)
        result = s->engine->write(s->db, all.first, &err);
    writes_free(&all);
    if (result == 0)
        return;
    assert(err.kind != ERR_NONE); /* an engine that fails says why */
    ignore(err_wrap(&err, "write to the store"));
    for (struct commit *c = group->first; c != NULL; c = c->next)
        c->err = err;
}

static void *run_writer(void *arg)
{
    struct store *s = arg;
    const uint64_t one = 1;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct commits group = {0};

        while (s->waiting.first == NULL && !s->is_stopping)
            pthread_cond_wait(&s->has_work, &s->lock);
        if (s->waiting.first == NULL)
            break; /* stopping, and all is written */
        commits_join(&group, &s->waiting);
        pthread_mutex_unlock(&s->lock);
        write_group(s, &group);
        pthread_mutex_lock(&s->lock);
        commits_join(&s->done, &group);
        ignore(write(s->done_fd, &one, sizeof(one))); /* refused only when it would wake anyway */
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void deliver(struct store *s)
{
    struct commits done = {0};

    assert(!s->is_delivering);
    pthread_mutex_lock(&s->lock);
    commits_join(&done, &s->done);
    pthread_mutex_unlock(&s->lock);
    s->is_delivering = true;
    while (done.first != NULL) {
        struct commit *c = done.first;

        done.first = c->next;
        s->queued_count -= c->writes.count;
        s->queued_bytes -= c->writes.bytes;
        if (c->fn != NULL)
            c->fn(c->ctx, c->err.kind == ERR_NONE ? NULL : &c->err);
        free(c);
    }
    s->is_delivering = false;
}

static void on_done(void *ctx, uint32_t events)
{
    struct store *s = ctx;
    uint64_t count;

    (void)events;
    ignore(read(s->done_fd, &count, sizeof(count))); /* resets it before the list is taken */
    deliver(s);
}

/* Signals are the loop's: the writer must not be chosen to take one. */
static int start_writer(struct store *s, struct err *err)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&s->writer, NULL, run_writer, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? 0 : err_sys(err, failed, "start the store's writer");
}

static int start(struct loop *l, struct store *s, struct err *err)
{
    s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->done_fd < 0)
        return err_sys(err, errno, "create the store's eventfd");
    if (watch_start(l, &s->done_watch, s->done_fd, EPOLLIN, on_done, s, err) != 0)
        return -1;
    return start_writer(s, err);
}

/* What is left when the writer does not run (any more). */
static void discard(struct store *s)
{
    watch_stop(&s->done_watch);
    own_close_fd(&s->done_fd);
    pthread_cond_destroy(&s->has_work);
    pthread_mutex_destroy(&s->lock);
    writes_free(&s->filling);
    if (s->db != NULL)
        s->engine->close(s->db);
    seal_free(s->seal);
    free(s);
}

int store_open_engine(struct loop *l, const struct store_engine *engine, const char *path,
                      struct store **out, struct err *err)
{
    struct store *s = mem_zero(sizeof(*s));

    s->engine = engine;
    s->done_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->has_work, NULL);
    if (engine->open(path, &s->db, err) != 0 || start(l, s, err) != 0) {
        discard(s);
        return err_wrap(err, "open the store");
    }
    *out = s;
    return 0;
}

static bool seal_row(void *ctx, struct str key, struct str value)
{
    struct sealing *all = ctx;
    struct buf plain;
    struct err err;

    if (seal_is_fresh(all->store->seal, value))
        return true;
    buf_init(&plain, STORE_VALUE_MAX);
    if (sealed_get(all->store->seal, &(struct sealed_name){all->kind, key}, value, &plain, &err) ==
            0 &&
        store_put(all->store, all->kind, key, buf_str(&plain), &err) == 0)
        all->count++;
    if (plain.at != NULL)
        explicit_bzero(plain.at, plain.len);
    buf_done(&plain);
    return true; /* one that cannot be read is told to who reads it; the next start goes on */
}

/* All that is not sealed with the first key. */
static int seal_anew(struct store *s, struct err *err)
{
    struct sealing all = {.store = s};

    for (int kind = 1; kind < STORE_KIND_COUNT; kind++) {
        all.kind = (enum store_kind)kind;
        if (sealed_kind(all.kind) && s->engine->each(s->db, all.kind, seal_row, &all, err) != 0)
            return -1;
    }
    if (all.count > 0)
        store_commit(s, NULL, NULL);
    return 0;
}

int store_open(struct loop *l, const struct store_config *config, struct store **out,
               struct err *err)
{
    const struct store_engine *engine = NULL;
    struct store *s;

    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        if (strcmp(config->engine, engines[i]->name) == 0)
            engine = engines[i];
    }
    if (engine == NULL)
        return err_set(err, ERR_INVALID, "there is no store engine '%s'", config->engine);
    if (store_open_engine(l, engine, config->path, &s, err) != 0)
        return -1;
    if (config->key_file != NULL &&
        (seal_new(config->key_file, &s->seal, err) != 0 || seal_anew(s, err) != 0)) {
        store_close(s);
        return err_wrap(err, "open the store");
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    assert(!s->is_delivering);
    s->is_closing = true;
    writes_free(&s->filling);
    pthread_mutex_lock(&s->lock);
    s->is_stopping = true;
    pthread_cond_signal(&s->has_work);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->writer, NULL);
    while (s->done.first != NULL) /* a callback may commit again, and is refused again */
        deliver(s);
    discard(s);
}

int store_each(struct store *s, enum store_kind kind, store_row_fn *fn, void *ctx, struct err *err)
{
    struct sealed_rows rows = {s->seal, kind, fn, ctx, {0}, false};
    int result;

    if (s->seal == NULL || !sealed_kind(kind))
        result = s->engine->each(s->db, kind, fn, ctx, err);
    else if ((result = s->engine->each(s->db, kind, sealed_row, &rows, err)) == 0 && rows.is_bad)
        result = sealed_fail(&rows, err);
    return result == 0 ? 0 : err_wrap(err, "read the store");
}

int store_get(struct store *s, enum store_kind kind, struct str key, struct buf *out,
              struct err *err)
{
    struct buf raw;
    int result;

    if (s->seal == NULL || !sealed_kind(kind)) {
        result = s->engine->get(s->db, kind, key, out, err);
    } else {
        buf_init(&raw, STORE_VALUE_MAX + SEAL_OVERHEAD);
        result = s->engine->get(s->db, kind, key, &raw, err);
        if (result == 0)
            result = sealed_get(s->seal, &(struct sealed_name){kind, key}, buf_str(&raw), out, err);
        buf_done(&raw);
    }
    return result == 0 ? 0 : err_wrap(err, "read the store");
}

static int queue_write(struct store *s, const struct store_write *model, struct err *err)
{
    size_t bytes = model->key.len + model->value.len;
    struct writes one;
    struct store_write *w;

    assert(model->kind > 0);
    if (s->is_closing)
        return err_set(err, ERR_UNAVAILABLE, "the store is closing");
    if (model->key.len == 0)
        return err_set(err, ERR_INVALID, "a record needs a key");
    if (model->key.len > STORE_KEY_MAX)
        return err_set(err, ERR_LIMIT, "a record's key is longer than %d bytes", STORE_KEY_MAX);
    if (model->value.len > STORE_VALUE_MAX + SEAL_OVERHEAD)
        return err_set(err, ERR_LIMIT, "a record is larger than %d bytes", STORE_VALUE_MAX);
    if (s->queued_count >= STORE_QUEUE_MAX || bytes > STORE_QUEUE_BYTES_MAX - s->queued_bytes)
        return err_set(err, ERR_LIMIT, "too many writes are waiting for the store");

    w = mem_zero(sizeof(*w) + bytes);
    w->kind = model->kind;
    w->is_remove = model->is_remove;
    w->key = (struct str){w->bytes, model->key.len};
    w->value = (struct str){w->bytes + model->key.len, model->value.len};
    memcpy(w->bytes, model->key.at, model->key.len);
    if (model->value.len > 0)
        memcpy(w->bytes + model->key.len, model->value.at, model->value.len);
    one = (struct writes){w, w, 1, bytes};
    writes_join(&s->filling, &one);
    s->queued_count++;
    s->queued_bytes += bytes;
    return 0;
}

int store_put(struct store *s, enum store_kind kind, struct str key, struct str value,
              struct err *err)
{
    struct store_write w = {.kind = kind, .key = key, .value = value};
    struct buf sealed;
    int result;

    if (value.len > STORE_VALUE_MAX)
        return err_set(err, ERR_LIMIT, "a record is larger than %d bytes", STORE_VALUE_MAX);
    if (s->seal == NULL || !sealed_kind(kind))
        return queue_write(s, &w, err);
    buf_init(&sealed, STORE_VALUE_MAX + SEAL_OVERHEAD);
    result = sealed_put(s->seal, &(struct sealed_name){kind, key}, value, &sealed, err);
    w.value = buf_str(&sealed);
    if (result == 0)
        result = queue_write(s, &w, err);
    buf_done(&sealed);
    return result;
}

int store_remove(struct store *s, enum store_kind kind, struct str key, struct err *err)
{
    return queue_write(s, &(struct store_write){.kind = kind, .key = key, .is_remove = true}, err);
}

void store_commit(struct store *s, store_commit_fn *fn, void *ctx)
{
    struct commits one = {0};
    struct commit *c;

    if (fn == NULL && s->filling.count == 0)
        return;
    c = mem_zero(sizeof(*c));
    c->fn = fn;
    c->ctx = ctx;
    c->writes = s->filling;
    s->filling = (struct writes){0};
    one.first = one.last = c;
    if (s->is_closing) /* nothing is in it: put fails since */
        ignore(err_set(&c->err, ERR_UNAVAILABLE, "the store is closing"));
    pthread_mutex_lock(&s->lock);
    commits_join(s->is_closing ? &s->done : &s->waiting, &one);
    pthread_cond_signal(&s->has_work);
    pthread_mutex_unlock(&s->lock);
}

int store_backup(struct store *s, const char *path, struct err *err)
{
    if (s->engine->backup(s->db, path, err) != 0)
        return err_wrap(err, "back up the store to '%s'", path);
    return 0;
}
