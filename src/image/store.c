/* SPDX-License-Identifier: Apache-2.0 */
/* See store.h. */
#include "image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

#include "ipc/image_messages.h"
#include "runtime/linux/files.h"

enum { HOLD_MAX = 64 << 10 };

static int make_dir(int above, const char *name, int *out_fd, struct err *err)
{
    if (mkdirat(above, name, 0700) != 0 && errno != EEXIST)
        return err_sys(err, errno, "make '%s'", name);
    return dir_open(above, name, out_fd, err);
}

static int open_dirs(struct image_store *s, struct err *err)
{
    auto_fd int data = open(s->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (data < 0)
        return err_sys(err, errno, "open '%s'", s->data_dir);
    if (make_dir(data, "layers", &s->layers_fd, err) != 0 ||
        make_dir(data, "images", &s->images_fd, err) != 0)
        return -1;
    if (make_dir(s->images_fd, "holds", &s->holds_fd, err) != 0 ||
        make_dir(s->images_fd, "names", &s->names_fd, err) != 0 ||
        make_dir(s->images_fd, "blobs", &s->blobs_fd, err) != 0)
        return -1;
    return make_dir(s->images_fd, "staging", &s->staging_fd, err);
}

int image_store_open(const char *data_dir, struct image_store *out, struct err *err)
{
    struct image_store s = {-1, -1, -1, -1, -1, -1, -1, data_dir};

    if (open_dirs(&s, err) != 0) {
        image_store_close(&s);
        return err_wrap(err, "image store");
    }
    s.lock_fd = openat(s.images_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s.lock_fd < 0 || flock(s.lock_fd, LOCK_SH) != 0) {
        err_sys(err, errno, "lock the image store");
        image_store_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

void image_store_close(struct image_store *s)
{
    int *const fds[] = {&s->layers_fd, &s->images_fd,  &s->holds_fd, &s->names_fd,
                        &s->blobs_fd,  &s->staging_fd, &s->lock_fd};

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        own_close_fd(fds[i]);
        *fds[i] = -1;
    }
}

bool image_store_has(const struct image_store *s, const struct digest *layer)
{
    char name[DIGEST_HEX + 1];

    digest_hex(layer, name);
    return faccessat(s->layers_fd, name, F_OK, 0) == 0;
}

/* Kept with the layer itself, where only root sees it. */
static const char size_attribute[] = "trusted.sandlot.bytes";

uint64_t image_store_bytes(const struct image_store *s, const struct digest *layer)
{
    char name[DIGEST_HEX + 1];
    auto_fd int fd = -1;
    uint64_t bytes = 0;
    struct err err;

    digest_hex(layer, name);
    if (dir_open(s->layers_fd, name, &fd, &err) != 0 ||
        fgetxattr(fd, size_attribute, &bytes, sizeof bytes) != sizeof bytes)
        return 0;
    return bytes;
}

int image_store_add(const struct image_store *s, int dir_fd, const struct digest *layer,
                    uint64_t bytes, struct err *err)
{
    char name[DIGEST_HEX + 1];
    auto_fd int fd = -1;

    digest_hex(layer, name);
    if (image_store_has(s, layer))
        return 0;
    if (dir_open(dir_fd, name, &fd, err) != 0)
        return -1;
    if (fsetxattr(fd, size_attribute, &bytes, sizeof bytes, 0) != 0)
        return err_sys(err, errno, "mark layer %.12s", name);
    if (renameat(dir_fd, name, s->layers_fd, name) != 0 && errno != EEXIST && errno != ENOTEMPTY)
        return err_sys(err, errno, "move layer %.12s to its place", name);
    return 0;
}

/* A whole file or none, durable. */
static int put_file(int dir, const char *name, struct str text, struct err *err)
{
    char fresh[IMAGE_HOLDER_MAX + 32];
    auto_fd int fd = -1;

    ignore(snprintf(fresh, sizeof fresh, ".%s.%d", name, (int)getpid()));
    ignore(unlinkat(dir, fresh, 0)); /* of a process that was killed; usually there is none */
    if (file_create(dir, fresh, text, err) != 0)
        return -1;
    fd = openat(dir, fresh, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fsync(fd) == 0 && renameat(dir, fresh, dir, name) == 0 && fsync(dir) == 0)
        return 0;
    err_sys(err, errno, "write '%s'", name);
    ignore(unlinkat(dir, fresh, 0)); /* the error above is the one to tell */
    return -1;
}

static int holder_name(struct str holder, char out[IMAGE_HOLDER_MAX + 1], struct err *err)
{
    bool is_good = holder.len > 0 && str_to_c(holder, out, IMAGE_HOLDER_MAX + 1);

    for (size_t i = 0; i < holder.len && is_good; i++) {
        char c = holder.at[i];

        is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return is_good ? 0 : err_set(err, ERR_INVALID, "bad name of a holder of layers");
}

int image_store_hold(const struct image_store *s, struct str holder, const struct digest *layers,
                     size_t count, struct err *err)
{
    char name[IMAGE_HOLDER_MAX + 1];
    struct buf text;
    int result;

    if (holder_name(holder, name, err) != 0)
        return -1;
    buf_init(&text, HOLD_MAX);
    for (size_t i = 0; i < count; i++) {
        char hex[DIGEST_HEX + 1];

        digest_hex(&layers[i], hex);
        buf_printf(&text, "%s\n", hex);
        if (!image_store_has(s, &layers[i])) {
            buf_done(&text);
            return err_set(err, ERR_INVALID, "layer %.12s is not there", hex);
        }
    }
    result = buf_ok(&text) ? put_file(s->holds_fd, name, buf_str(&text), err)
                           : err_set(err, ERR_LIMIT, "too many layers");
    if (result == 0 && fsync(s->layers_fd) != 0)
        result = err_sys(err, errno, "sync the layers");
    buf_done(&text);
    return result;
}

int image_store_drop(const struct image_store *s, struct str holder, struct err *err)
{
    char name[IMAGE_HOLDER_MAX + 1];

    if (holder_name(holder, name, err) != 0)
        return -1;
    if (unlinkat(s->holds_fd, name, 0) != 0 && errno != ENOENT)
        return err_sys(err, errno, "drop the layers of '%s'", name);
    return 0;
}

/* Calls fn for each name in a directory that does not begin with a dot. */
typedef int entry_fn(void *ctx, int dir, const char *name, struct err *err);

static int each_entry(int dir, entry_fn *fn, void *ctx, struct err *err)
{
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = again < 0 ? NULL : fdopendir(again);
    const struct dirent *e;
    int result = 0;

    if (entries == NULL) {
        err_sys(err, errno, "read a directory");
        own_close_fd(&again);
        return -1;
    }
    while (result == 0 && (e = readdir(entries)) != NULL) {
        if (e->d_name[0] != '.')
            result = fn(ctx, dir, e->d_name, err);
    }
    ignore(closedir(entries)); /* only read */
    return result;
}

/* What is held, as one text of lines: there are few holders, each with a few layers. */
struct collection {
    const struct image_store *store;
    struct buf held;
    uint64_t unheld_s;
    size_t count;
};

enum { HELD_MAX = 256 << 20 };

static int read_hold(void *ctx, int dir, const char *name, struct err *err)
{
    struct collection *c = ctx;
    auto_free char *space = mem_zero(HOLD_MAX);
    struct str text;

    if (file_read(dir, name, space, HOLD_MAX, &text, err) != 0)
        return err_wrap(err, "hold '%s'", name);
    buf_add_str(&c->held, text);
    return buf_ok(&c->held) ? 0 : err_set(err, ERR_LIMIT, "too many layers are held");
}

static int remove_unheld(void *ctx, int dir, const char *name, struct err *err)
{
    struct collection *c = ctx;
    struct stat st;
    struct timespec now;

    ignore(clock_gettime(CLOCK_REALTIME, &now)); /* cannot fail */
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || strlen(name) != DIGEST_HEX)
        return 0; /* not a layer of ours */
    if ((c->held.len > 0 && memmem(c->held.at, c->held.len, name, DIGEST_HEX) != NULL) ||
        (uint64_t)now.tv_sec < (uint64_t)st.st_ctim.tv_sec + c->unheld_s)
        return 0;
    if (renameat(dir, name, c->store->staging_fd, name) != 0)
        return err_sys(err, errno, "take layer %.12s away", name);
    c->count++;
    return 0;
}

static int remove_entry(void *ctx, int dir, const char *name, struct err *err)
{
    ignore((long)(ctx != NULL));
    return tree_remove(dir, name, err);
}

static int remove_old_blob(void *ctx, int dir, const char *name, struct err *err)
{
    const struct collection *c = ctx;
    struct stat st;
    struct timespec now;

    ignore(clock_gettime(CLOCK_REALTIME, &now)); /* cannot fail */
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (uint64_t)now.tv_sec < (uint64_t)st.st_ctim.tv_sec + c->unheld_s)
        return 0;
    return tree_remove(dir, name, err);
}

int image_store_collect(struct image_store *s, uint64_t unheld_s, size_t *out_count,
                        struct err *err)
{
    struct collection c = {.store = s, .unheld_s = unheld_s};
    int result;

    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_CONFLICT, "images are being made right now");
    buf_init(&c.held, HELD_MAX);
    result = each_entry(s->holds_fd, read_hold, &c, err);
    if (result == 0)
        result = each_entry(s->layers_fd, remove_unheld, &c, err);
    if (result == 0)
        result = each_entry(s->staging_fd, remove_entry, &c, err);
    if (result == 0)
        result = each_entry(s->blobs_fd, remove_old_blob, &c, err);
    buf_done(&c.held);
    if (flock(s->lock_fd, LOCK_SH) != 0 && result == 0)
        result = err_sys(err, errno, "lock the image store");
    if (result == 0)
        *out_count = c.count;
    return result;
}

struct digest image_store_key(struct str full_name)
{
    struct digest d;

    sha256_of(full_name, d.at);
    return d;
}

int image_store_name_put(const struct image_store *s, const struct digest *key, struct str record,
                         struct err *err)
{
    char name[DIGEST_HEX + 1];

    digest_hex(key, name);
    return put_file(s->names_fd, name, record, err);
}

static int read_record(int dir, const char *name, struct buf *out, struct err *err)
{
    auto_free char *space = mem_zero(IMAGE_RECORD_MAX + 1);
    struct str text;

    if (file_read(dir, name, space, IMAGE_RECORD_MAX + 1, &text, err) != 0)
        return -1;
    buf_add_str(out, text);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "record is too large");
}

int image_store_name_get(const struct image_store *s, const struct digest *key, struct buf *out,
                         struct err *err)
{
    char name[DIGEST_HEX + 1];

    digest_hex(key, name);
    return read_record(s->names_fd, name, out, err);
}

int image_store_name_remove(const struct image_store *s, const struct digest *key, struct err *err)
{
    char name[DIGEST_HEX + 1];

    digest_hex(key, name);
    if (unlinkat(s->names_fd, name, 0) != 0)
        return err_sys(err, errno, "image");
    return 0;
}

struct name_walk {
    image_name_fn *fn;
    void *ctx;
};

static int tell_name(void *ctx, int dir, const char *name, struct err *err)
{
    const struct name_walk *w = ctx;
    struct buf record;
    int result;

    buf_init(&record, IMAGE_RECORD_MAX);
    result = read_record(dir, name, &record, err);
    if (result == 0)
        result = w->fn(w->ctx, buf_str(&record), err);
    buf_done(&record);
    return result;
}

int image_store_each_name(const struct image_store *s, image_name_fn *fn, void *ctx,
                          struct err *err)
{
    struct name_walk w = {fn, ctx};

    return each_entry(s->names_fd, tell_name, &w, err);
}
