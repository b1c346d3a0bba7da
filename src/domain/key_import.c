/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are given to the server; see key_import.h. Called by domain.c and team.c. */
#include "domain/key_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/key_internal.h"
#include "domain/key_text.h"

/* What tells one state of the file from another. */
struct look {
    bool is_there;
    dev_t device;
    ino_t node;
    off_t size;
    struct timespec written, changed;
};

struct key_import {
    struct domain *domain;
    struct timer timer;
    struct look seen, loaded;
    uint64_t loaded_ms; /* monotonic */
    uint64_t round;     /* of reading: keys that were not met in it are gone */
    bool is_due;
    struct buf environment; /* its entries; kept for teams that come later */
};

struct count {
    size_t good, bad;
    struct err first; /* why the first bad one is bad */
    size_t first_at;  /* its number, from 1 */
};

/* Stable, so that lists and logs name the same key in the same way after a restart. */
static void id_of_hash(const char *hash, char out[UUID_LEN + 1])
{
    snprintf(out, UUID_LEN + 1, "%.8s-%.4s-8%.3s-a%.3s-%.12s", hash, hash + 8, hash + 13, hash + 17,
             hash + 20);
}

static void fill(struct key_record *r, const struct key_entry *e, const struct team *t,
                 const char *id, const char *name)
{
    bool is_ours = str_has_prefix(e->text, key_prefix);
    struct str value = str_from(e->text, is_ours ? KEY_PREFIX_LEN : 0);

    *r = (struct key_record){
        .id = str_of(id),
        .hash = str_of(e->hash),
        .team_id = t->r.id,
        .name = str_of(name),
        .prefix = is_ours ? str_of(key_prefix) : (struct str){0},
        .value_len = (int64_t)value.len,
        .created_at_ms = clock_wall_ms(),
        .scopes = e->scopes != 0 ? e->scopes : KEY_SCOPES,
    };
    if (e->text.len < KEY_TEXT_MIN)
        return; /* only its hash is known */
    r->head = str_upto(value, KEY_HEAD_LEN);
    r->tail = str_from(value, value.len - KEY_TAIL_LEN);
}

static int put(struct key_import *im, const struct key_entry *e, enum key_source source,
               struct err *err)
{
    struct domain *d = im->domain;
    const char *fallback = d->config.keys_team;
    struct team *t;
    struct key *k = key_by_hash(d, str_of(e->hash));
    char id[UUID_LEN + 1];
    struct key_record r;
    int64_t made_ms = 0;

    if (e->team.len > 0)
        t = team_find(d, e->team);
    else
        t = fallback != NULL && fallback[0] != '\0' ? team_find(d, str_of(fallback))
                                                    : team_default(d);
    if (t == NULL)
        return err_set(err, ERR_NOT_FOUND, "its team does not exist; see 'sandlot team create'");
    if (k != NULL && (k->source != source || k->import_round == im->round))
        return 0; /* known from elsewhere, which counts; or given twice */
    if (k != NULL && k->team == t && key_scopes(k) == (e->scopes != 0 ? e->scopes : KEY_SCOPES)) {
        k->import_round = im->round;
        return 0;
    }
    if (k == NULL && d->keys.count >= KEYS_MAX)
        return err_set(err, ERR_LIMIT, "too many API keys");
    id_of_hash(e->hash, id);
    fill(&r, e, t, id, source == KEY_FROM_FILE ? "keys file" : "environment");
    if (k != NULL) {
        made_ms = k->r.created_at_ms;
        key_drop(d, k);
        r.created_at_ms = made_ms;
    }
    k = key_new(d, &r, err);
    if (k == NULL)
        return -1;
    k->source = source;
    k->import_round = im->round;
    key_publish(d, k);
    return 0;
}

static void put_all(struct key_import *im, struct str text, enum key_source source,
                    struct count *count)
{
    struct str entry;

    while (key_text_next(&text, &entry)) {
        struct key_entry e;
        struct err err = {0};
        int result;

        if (count->good + count->bad >= KEY_IMPORT_KEYS_MAX)
            result = err_set(&err, ERR_LIMIT, "at most %d keys are read", KEY_IMPORT_KEYS_MAX);
        else
            result = key_text_parse(entry, &e, &err);
        if (result == 0)
            result = put(im, &e, source, &err);
        count->good += result == 0;
        count->bad += result != 0;
        if (result != 0 && count->bad == 1) {
            count->first = err;
            count->first_at = count->good + 1;
        }
    }
}

static void sweep(struct key_import *im, enum key_source source)
{
    struct domain *d = im->domain;
    size_t cursor = 0;
    struct key *k;

    while ((k = map_next(&d->keys, &cursor)) != NULL)
        if (k->source == source && k->import_round != im->round)
            key_drop(d, k);
}

static void tell(struct key_import *im, const char *where, const struct count *count)
{
    char text[360];

    snprintf(text, sizeof(text), "from=%s keys=%zu", where, count->good);
    event_emit(im->domain, (struct event){.kind = EVENT_KEYS_LOADED, .detail = text});
    if (count->bad == 0)
        return;
    snprintf(text, sizeof(text), "from=%s skipped=%zu entry=%zu why=%s", where, count->bad,
             count->first_at, count->first.text);
    event_emit(im->domain, (struct event){.kind = EVENT_KEYS_BAD, .detail = text});
}

static void look(const char *path, struct look *out)
{
    struct stat st;

    *out = (struct look){0};
    if (stat(path, &st) != 0)
        return;
    *out = (struct look){true, st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->is_there == b->is_there && a->device == b->device && a->node == b->node &&
           a->size == b->size && a->written.tv_sec == b->written.tv_sec &&
           a->written.tv_nsec == b->written.tv_nsec && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static int read_file(const char *path, struct buf *out, struct err *err)
{
    /* O_NONBLOCK: a pipe in its place would stop everything. */
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, errno, "read keys file '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "keys file '%s' is not a regular file", path);
    for (;;) {
        char *room = buf_room(out, 4096);
        ssize_t n;

        if (room == NULL)
            return err_set(err, ERR_LIMIT, "keys file '%s' is larger than %d bytes", path,
                           KEY_IMPORT_MAX);
        n = read(fd, room, 4096);
        if (n < 0)
            return err_sys(err, errno, "read keys file '%s'", path);
        if (n == 0)
            return 0;
        buf_fill(out, (size_t)n);
    }
}

static void wipe(struct buf *b)
{
    if (b->at != NULL)
        explicit_bzero(b->at, b->len);
    buf_done(b);
}

/* A file that cannot be read holds no keys: whoever takes it away revokes them. */
static void load_file(struct key_import *im)
{
    const char *path = im->domain->config.keys_file;
    struct count count = {0};
    struct err err = {0};
    struct buf text;
    int result;

    im->is_due = false;
    im->loaded = im->seen;
    im->loaded_ms = loop_now_ms(im->domain->loop);
    im->round++;
    buf_init(&text, KEY_IMPORT_MAX);
    result = read_file(path, &text, &err);
    if (result == 0)
        put_all(im, buf_str(&text), KEY_FROM_FILE, &count);
    wipe(&text);
    sweep(im, KEY_FROM_FILE);
    if (result == 0)
        tell(im, "file", &count);
    else
        event_emit(im->domain, (struct event){.kind = EVENT_KEYS_BAD, .detail = err.text});
}

static void load_environment(struct key_import *im)
{
    struct count count = {0};
    char text[120];

    if (im->environment.len == 0)
        return;
    im->round++;
    put_all(im, buf_str(&im->environment), KEY_FROM_ENVIRONMENT, &count);
    sweep(im, KEY_FROM_ENVIRONMENT);
    tell(im, "environment", &count);
    snprintf(text, sizeof(text),
             "from=environment: for development only; use a keys file or 'sandlot key create'");
    event_emit(im->domain, (struct event){.kind = EVENT_KEYS_BAD, .detail = text});
}

static void on_timer(void *ctx)
{
    struct key_import *im = ctx;
    struct domain *d = im->domain;
    struct look now;
    bool is_old = loop_now_ms(d->loop) - im->loaded_ms >= KEY_IMPORT_AGAIN_MS;
    bool is_settled, is_new;

    timer_start(d->loop, &im->timer, KEY_IMPORT_LOOK_MS, on_timer, im);
    look(d->config.keys_file, &now);
    is_settled = is_same(&now, &im->seen);
    is_new = !is_same(&now, &im->loaded);
    im->seen = now;
    if (!is_settled || (!is_new && !is_old && !im->is_due))
        return;
    load_file(im);
}

void key_import_start(struct domain *d)
{
    struct key_import *im = mem_zero(sizeof(*im));

    im->domain = d;
    d->imported = im;
    buf_init(&im->environment, KEY_IMPORT_MAX);
    buf_add_str(&im->environment, d->config.keys_text);
    d->config.keys_text = (struct str){0};
    load_environment(im);
    if (d->config.keys_file == NULL || d->config.keys_file[0] == '\0')
        return;
    look(d->config.keys_file, &im->seen);
    timer_start(d->loop, &im->timer, KEY_IMPORT_LOOK_MS, on_timer, im);
    load_file(im);
}

void key_import_again(struct domain *d)
{
    load_environment(d->imported);
    d->imported->is_due = true;
}

void key_import_done(struct domain *d)
{
    if (d->imported == NULL)
        return;
    timer_stop(&d->imported->timer);
    wipe(&d->imported->environment);
    free(take_ptr(&d->imported));
}
