/* SPDX-License-Identifier: Apache-2.0 */
/* The engine that forgets: records in sorted arrays. For tests and trials; same contract as the
 * others except that nothing is left after close and there is no backup. */
#include <pthread.h>

#include "store/driver.h"

struct row {
    enum store_kind kind;
    struct str key, value; /* into bytes */
    char bytes[];
};

struct memory {
    pthread_rwlock_t lock; /* prefers readers, so reads may nest */
    struct row **rows;     /* by kind, then key */
    size_t count, room;
};

static int compare(const struct row *r, enum store_kind kind, struct str key)
{
    size_t common = r->key.len < key.len ? r->key.len : key.len;
    int order;

    if (r->kind != kind)
        return r->kind < kind ? -1 : 1;
    order = common == 0 ? 0 : memcmp(r->key.at, key.at, common);
    if (order != 0 || r->key.len == key.len)
        return order;
    return r->key.len < key.len ? -1 : 1;
}

/* Index of the first row that is not before (kind, key). */
static size_t lower_bound(const struct memory *m, enum store_kind kind, struct str key)
{
    size_t low = 0, high = m->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(m->rows[middle], kind, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct memory *m, size_t at, enum store_kind kind, struct str key)
{
    return at < m->count && compare(m->rows[at], kind, key) == 0;
}

static struct row *new_row(const struct store_write *w)
{
    struct row *r = mem_zero(sizeof(*r) + w->key.len + w->value.len);

    r->kind = w->kind;
    r->key = (struct str){r->bytes, w->key.len};
    r->value = (struct str){r->bytes + w->key.len, w->value.len};
    memcpy(r->bytes, w->key.at, w->key.len);
    if (w->value.len > 0)
        memcpy(r->bytes + w->key.len, w->value.at, w->value.len);
    return r;
}

static void open_gap(struct memory *m, size_t at)
{
    if (m->count == m->room) {
        size_t room = m->room == 0 ? 64 : m->room * 2;
        struct row **rows = reallocarray(m->rows, room, sizeof(struct row *));

        if (rows == NULL)
            abort();
        m->rows = rows;
        m->room = room;
    }
    memmove(m->rows + at + 1, m->rows + at, (m->count - at) * sizeof(struct row *));
    m->count++;
}

static void apply(struct memory *m, const struct store_write *w)
{
    size_t at = lower_bound(m, w->kind, w->key);
    bool is_there = is_at(m, at, w->kind, w->key);

    if (is_there)
        free(m->rows[at]);
    if (!w->is_remove) {
        if (!is_there)
            open_gap(m, at);
        m->rows[at] = new_row(w);
    } else if (is_there) {
        m->count--;
        memmove(m->rows + at, m->rows + at + 1, (m->count - at) * sizeof(struct row *));
    }
}

static int memory_open(const char *path, void **out_db, struct err *err)
{
    struct memory *m = mem_zero(sizeof(*m));

    (void)path;
    (void)err;
    pthread_rwlock_init(&m->lock, NULL);
    *out_db = m;
    return 0;
}

static void memory_close(void *db)
{
    struct memory *m = db;

    for (size_t i = 0; i < m->count; i++)
        free(m->rows[i]);
    free(m->rows);
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

static int memory_write(void *db, const struct store_write *first, struct err *err)
{
    struct memory *m = db;

    (void)err;
    pthread_rwlock_wrlock(&m->lock);
    for (const struct store_write *w = first; w != NULL; w = w->next)
        apply(m, w);
    pthread_rwlock_unlock(&m->lock);
    return 0;
}

static int copy_out(const struct memory *m, size_t at, struct buf *out, struct err *err)
{
    buf_add_str(out, m->rows[at]->value);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "the record does not fit");
}

static int memory_get(void *db, enum store_kind kind, struct str key, struct buf *out,
                      struct err *err)
{
    struct memory *m = db;
    size_t at;
    int result;

    pthread_rwlock_rdlock(&m->lock);
    at = lower_bound(m, kind, key);
    result = is_at(m, at, kind, key) ? copy_out(m, at, out, err)
                                     : err_set(err, ERR_NOT_FOUND, "no such record");
    pthread_rwlock_unlock(&m->lock);
    return result;
}

static int memory_each(void *db, enum store_kind kind, store_row_fn *fn, void *ctx, struct err *err)
{
    struct memory *m = db;

    (void)err;
    pthread_rwlock_rdlock(&m->lock);
    for (size_t i = lower_bound(m, kind, STR("")); i < m->count; i++) {
        const struct row *r = m->rows[i];

        if (r->kind != kind || !fn(ctx, r->key, r->value))
            break;
    }
    pthread_rwlock_unlock(&m->lock);
    return 0;
}

static int memory_backup(void *db, const char *path, struct err *err)
{
    (void)db;
    (void)path;
    return err_set(err, ERR_UNSUPPORTED, "the memory engine has nothing to back up");
}

const struct store_engine store_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .write = memory_write,
    .get = memory_get,
    .each = memory_each,
    .backup = memory_backup,
};
