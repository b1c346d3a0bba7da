/* SPDX-License-Identifier: Apache-2.0 */
/* See push_store.h: uploads and blobs. Manifests are push_manifest.c's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/id.h"
#include "build/push_store_internal.h"

/* What a build's directory holds, in the order of making. */
static const struct {
    const char *name;
    mode_t mode;
} folders[] = {
    {"",             0755},
    {"blobs",        0755},
    {"blobs/sha256", 0755},
    {"tags",         0755},
    {"uploads",      0700},
};

int push_path(const struct push_store *s, struct str build_id, const char *rest,
              char out[UPLOAD_PATH_MAX], struct err *err)
{
    int len;

    if (build_id.len != UUID_LEN || str_find(build_id, '/') >= 0 || str_find(build_id, '.') >= 0)
        return err_set(err, ERR_INVALID, "not the id of a build");
    len = snprintf(out, UPLOAD_PATH_MAX, "%s/%.*s%s%s", s->dir, STR_ARG(build_id),
                   rest[0] == '\0' ? "" : "/", rest);
    if (len < 0 || len >= UPLOAD_PATH_MAX)
        return err_set(err, ERR_INVALID, "the path of a pushed image is too long");
    return 0;
}

/* The files in one of its directories; with `is_last` the directory too. */
static void empty_folder(const char *path, bool is_last)
{
    DIR *dir = opendir(path);
    const struct dirent *e;

    while (dir != NULL && (e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            ignore(unlinkat(dirfd(dir), e->d_name, 0)); /* directories stay, and go below */
    if (dir != NULL)
        ignore(closedir(dir));
    if (is_last)
        ignore(rmdir(path)); /* what stays is found by the next sweep */
}

static void remove_all(const struct push_store *s, struct str build_id)
{
    char path[UPLOAD_PATH_MAX];

    for (size_t i = COUNT_OF(folders); i-- > 0;)
        if (push_path(s, build_id, folders[i].name, path, NULL) == 0)
            empty_folder(path, true);
}

/* Builds in memory */

static int count_blobs(struct push_build *b, const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    const struct dirent *e;
    struct stat st;

    if (dir == NULL)
        return err_sys(err, errno, "look at what was pushed");
    while ((e = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            b->bytes += (uint64_t)st.st_size;
            b->blob_count++;
        }
    ignore(closedir(dir));
    return 0;
}

static int make_folders(const struct push_store *s, struct str build_id, struct err *err)
{
    char path[UPLOAD_PATH_MAX];

    if (mkdir(s->dir, 0700) != 0 && errno != EEXIST)
        return err_sys(err, errno, "make the directory of pushed images");
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        if (push_path(s, build_id, folders[i].name, path, err) != 0)
            return -1;
        if (mkdir(path, folders[i].mode) != 0) {
            if (errno != EEXIST)
                return err_sys(err, errno, "make the directory of a pushed image");
        } else if (chmod(path, folders[i].mode) != 0) { /* whatever the umask */
            return err_sys(err, errno, "make the directory of a pushed image");
        }
    }
    return 0;
}

struct push_build *push_build_get(struct push_store *s, struct str build_id, struct err *err)
{
    struct push_build *b = map_get(&s->builds, build_id);
    char path[UPLOAD_PATH_MAX];

    if (b != NULL)
        return b;
    if (make_folders(s, build_id, err) != 0 ||
        push_path(s, build_id, "blobs/sha256", path, err) != 0)
        return NULL;
    b = mem_zero(sizeof(*b));
    b->store = s;
    ignore(str_to_c(build_id, b->id, sizeof(b->id))); /* push_path() looked at it */
    if (count_blobs(b, path, err) != 0) {
        free(b);
        return NULL;
    }
    map_put(&s->builds, str_of(b->id), b);
    return b;
}

static void build_free(struct push_build *b)
{
    struct list_node *at;

    while ((at = list_first(&b->uploads)) != NULL)
        push_upload_drop(container_of(at, struct push_upload, node));
    map_remove(&b->store->builds, str_of(b->id));
    free(b);
}

struct push_store *push_store_new(struct loop *l, const char *dir, uint64_t bytes_max)
{
    struct push_store *s = mem_zero(sizeof(*s));

    s->loop = l;
    s->dir = dir;
    s->bytes_max = bytes_max;
    return s;
}

void push_store_free(struct push_store *s)
{
    size_t cursor = 0;
    struct push_build *b;

    if (s == NULL)
        return;
    while ((b = map_next(&s->builds, &cursor)) != NULL)
        build_free(b);
    map_done(&s->builds);
    free(s);
}

void push_store_forget(struct push_store *s, struct str build_id)
{
    struct push_build *b = map_get(&s->builds, build_id);

    if (b != NULL)
        build_free(b);
    remove_all(s, build_id);
}

void push_store_sweep(struct push_store *s, push_keep_fn *keeps, void *ctx)
{
    DIR *dir = s->dir == NULL ? NULL : opendir(s->dir);
    char path[UPLOAD_PATH_MAX];
    const struct dirent *e;

    if (dir == NULL)
        return; /* nothing was ever pushed */
    while ((e = readdir(dir)) != NULL) {
        struct str id = str_of(e->d_name);

        if (push_path(s, id, "uploads", path, NULL) != 0)
            continue;
        if (keeps(ctx, id))
            empty_folder(path, false);
        else
            remove_all(s, id);
    }
    ignore(closedir(dir)); /* only read */
}

/* Uploads */

static void on_idle(void *ctx)
{
    push_upload_drop(ctx);
}

int push_upload_new(struct push_store *s, struct str build_id, struct push_upload **out,
                    struct err *err)
{
    struct push_build *b = push_build_get(s, build_id, err);
    char path[UPLOAD_PATH_MAX];
    struct push_upload *u;

    if (b == NULL || push_path(s, build_id, "uploads", path, err) != 0)
        return -1;
    if (s->upload_count >= PUSH_UPLOADS_MAX || b->upload_count >= PUSH_BUILD_UPLOADS_MAX)
        return err_set(err, ERR_LIMIT, "too many uploads at once");
    u = mem_zero(sizeof(*u));
    if (upload_begin_in(&u->file, path, 0644, err) != 0) {
        free(u);
        return -1;
    }
    u->build = b;
    id_uuid(u->id);
    sha256_init(&u->hash);
    list_push(&b->uploads, &u->node);
    b->upload_count++;
    s->upload_count++;
    timer_start(s->loop, &u->idle, PUSH_IDLE_MS, on_idle, u);
    *out = u;
    return 0;
}

struct push_upload *push_upload_find(const struct push_store *s, struct str build_id, struct str id)
{
    const struct push_build *b = map_get(&s->builds, build_id);

    if (b == NULL)
        return NULL;
    for (struct list_node *at = list_first(&b->uploads); at != NULL;
         at = list_next(&b->uploads, at)) {
        struct push_upload *u = container_of(at, struct push_upload, node);

        if (str_is(id, u->id))
            return u;
    }
    return NULL;
}

struct str push_upload_id(const struct push_upload *u)
{
    return str_of(u->id);
}

uint64_t push_upload_size(const struct push_upload *u)
{
    return u->file.size;
}

bool push_upload_take(struct push_upload *u)
{
    bool is_free = !u->is_taken;

    u->is_taken = true;
    timer_stop(&u->idle); /* the request has its own deadlines */
    return is_free;
}

void push_upload_give(struct push_upload *u)
{
    u->is_taken = false;
    timer_start(u->build->store->loop, &u->idle, PUSH_IDLE_MS, on_idle, u);
}

int push_upload_write(struct push_upload *u, struct str data, struct err *err)
{
    struct push_build *b = u->build;

    if (data.len > b->store->bytes_max - b->bytes)
        return err_set(err, ERR_LIMIT, "an image that is pushed has at most %llu bytes",
                       (unsigned long long)b->store->bytes_max);
    if (upload_write(&u->file, data, err) != 0)
        return -1;
    sha256_add(&u->hash, data.at, data.len);
    b->bytes += data.len;
    return 0;
}

/* Its bytes are those of the blob from now on; a blob that was there has been replaced by itself.
 */
static void settle(struct push_upload *u, bool was_there)
{
    struct push_build *b = u->build;

    if (was_there)
        b->bytes -= u->file.size;
    else
        b->blob_count++;
    u->file.size = 0;
}

int push_upload_end(struct push_upload *u, struct str digest, struct err *err)
{
    struct push_build *b = u->build;
    char hex[2 * SHA256_SIZE + 1], name[96];
    uint8_t found[SHA256_SIZE];
    struct stat st;
    bool was_there;
    int result = 0;

    sha256_end(&u->hash, found);
    hex_encode(found, sizeof(found), hex);
    ignore(snprintf(name, sizeof(name), "blobs/sha256/%s", hex));
    if (!push_digest_is_good(digest) || !str_is(str_from(digest, 7), hex))
        result = err_set(err, ERR_INVALID, "the bytes have the digest sha256:%s", hex);
    else if (b->blob_count >= PUSH_BLOBS_MAX)
        result =
            err_set(err, ERR_LIMIT, "an image that is pushed has at most %d blobs", PUSH_BLOBS_MAX);
    else
        result = push_path(b->store, str_of(b->id), name, u->file.path, err);
    if (result == 0) {
        was_there = lstat(u->file.path, &st) == 0;
        result = upload_end(&u->file, err);
        if (result == 0)
            settle(u, was_there);
    }
    push_upload_drop(u);
    return result;
}

void push_upload_drop(struct push_upload *u)
{
    struct push_build *b = u->build;

    timer_stop(&u->idle);
    upload_discard(&u->file);
    b->bytes -= u->file.size;
    b->upload_count--;
    b->store->upload_count--;
    list_remove(&u->node);
    free(u);
}

/* Blobs */

bool push_digest_is_good(struct str digest)
{
    if (digest.len != PUSH_DIGEST_LEN || !str_has_prefix(digest, "sha256:"))
        return false;
    for (size_t i = 7; i < digest.len; i++)
        if (hex_digit(digest.at[i]) < 0 || (digest.at[i] >= 'A' && digest.at[i] <= 'F'))
            return false;
    return true;
}

int push_blob_open(const struct push_store *s, struct str build_id, struct str digest, int *out_fd,
                   uint64_t *out_size, struct err *err)
{
    char name[96], path[UPLOAD_PATH_MAX];
    auto_fd int fd = -1;
    struct stat st;

    if (!push_digest_is_good(digest))
        return err_set(err, ERR_INVALID, "a digest is sha256: and 64 digits");
    ignore(snprintf(name, sizeof(name), "blobs/sha256/%.*s", STR_ARG(str_from(digest, 7))));
    if (push_path(s, build_id, name, path, err) != 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no such blob")
                               : err_sys(err, errno, "open a blob");
    if (fstat(fd, &st) != 0)
        return err_sys(err, errno, "look at a blob");
    *out_size = (uint64_t)st.st_size;
    *out_fd = take_fd(&fd);
    return 0;
}
