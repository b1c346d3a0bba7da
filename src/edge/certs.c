/* SPDX-License-Identifier: Apache-2.0 */
/* See certs.h. Called by entry.c. */
#include "edge/certs.h"

#include <limits.h>
#include <sys/stat.h>

#include "base/log.h"

/* What tells a file from the one that was there before. */
struct look {
    struct timespec changed;
    ino_t inode;
    off_t size;
};

struct cert_file {
    char chain[PATH_MAX], key[PATH_MAX];
    struct look seen[2], loaded[2]; /* of both files */
    struct cert *cert;
};

static void look_at(const struct cert_file *f, struct look out[2])
{
    const char *const paths[2] = {f->chain, f->key};

    for (int i = 0; i < 2; i++) {
        struct stat st = {0};

        ignore(stat(paths[i], &st)); /* away for now: it looks changed */
        out[i] = (struct look){st.st_mtim, st.st_ino, st.st_size};
    }
}

static bool is_same(const struct look a[2], const struct look b[2])
{
    for (int i = 0; i < 2; i++) {
        if (a[i].inode != b[i].inode || a[i].size != b[i].size ||
            a[i].changed.tv_sec != b[i].changed.tv_sec ||
            a[i].changed.tv_nsec != b[i].changed.tv_nsec)
            return false;
    }
    return true;
}

static int load(struct cert_file *f, struct err *err)
{
    struct cert *fresh;

    memcpy(f->loaded, f->seen, sizeof(f->loaded));
    if (cert_read(f->chain, f->key, &fresh, err) != 0)
        return -1;
    cert_free(f->cert);
    f->cert = fresh;
    return 0;
}

/* A pair is written as two files: it is read when neither has changed between two looks. */
static bool refresh(struct certs *c, struct cert_file *f)
{
    struct look now[2];
    bool is_settled, is_new;
    struct err err = {0};

    look_at(f, now);
    is_settled = is_same(now, f->seen);
    is_new = !is_same(now, f->loaded);
    memcpy(f->seen, now, sizeof(f->seen));
    if (!is_settled || !is_new)
        return false;
    if (load(f, &err) == 0) {
        if (c->has_log)
            log_info("edge.certificate", "file='%s' days_left=%lld", f->chain,
                     (long long)(cert_seconds_left(f->cert) / (24 * 60 * 60)));
        return true;
    }
    if (c->has_log)
        log_warn("edge.certificate_bad", "error=\"%s\", keeping the one before", err.text);
    return false;
}

static void on_look(void *ctx)
{
    struct certs *c = ctx;
    bool has_changed = false;

    for (size_t i = 0; i < c->count; i++)
        has_changed = refresh(c, c->files[i]) || has_changed;
    timer_start(c->loop, &c->timer, CERTS_LOOK_MS, on_look, c);
    if (has_changed && c->on_change != NULL)
        c->on_change(c->ctx);
}

static int add(struct certs *c, struct str pair, struct err *err)
{
    struct str key, chain = str_cut(pair, ':', &key);
    struct cert_file *f;

    if (c->count == CERTS_MAX)
        return err_set(err, ERR_LIMIT, "tls.certificates has %d at most", CERTS_MAX);
    f = mem_zero(sizeof(*f));
    c->files[c->count++] = f;
    chain = str_trim(chain);
    key = key.len > 0 ? str_trim(key) : chain;
    if (chain.len == 0 || !str_to_c(chain, f->chain, sizeof(f->chain)) ||
        !str_to_c(key, f->key, sizeof(f->key)))
        return err_set(err, ERR_INVALID, "tls.certificates: '%.*s' is not CERT:KEY", STR_ARG(pair));
    look_at(f, f->seen);
    if (load(f, err) != 0)
        return err_wrap(err, "tls.certificates (the edge role must be able to read them)");
    return 0;
}

int certs_start(struct certs *c, struct loop *l, const char *text, struct err *err)
{
    struct str rest = str_of(text);

    c->loop = l;
    while (rest.len > 0) {
        struct str pair = str_trim(str_cut(rest, ',', &rest));

        if (pair.len > 0 && add(c, pair, err) != 0)
            return -1;
    }
    if (c->count > 0)
        timer_start(l, &c->timer, CERTS_LOOK_MS, on_look, c);
    return 0;
}

void certs_stop(struct certs *c)
{
    timer_stop(&c->timer);
    while (c->count > 0) {
        struct cert_file *f = c->files[--c->count];

        cert_free(f->cert);
        free(f);
    }
}

const struct cert *certs_choose(const struct certs *c, struct str name)
{
    for (size_t i = 0; i < c->count && name.len > 0; i++) {
        if (cert_is_for(c->files[i]->cert, name))
            return c->files[i]->cert;
    }
    return c->count > 0 ? c->files[0]->cert : NULL;
}
