/* SPDX-License-Identifier: Apache-2.0 */
/* See blob.h. Called by puller.c. */
#include "image/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/id.h"

enum {
    READ_SIZE = 64 << 10,
    TRIES_MAX = 4, /* of a transfer that breaks off, or brings something else */
    SUFFIX_LEN = 8,
};

static int rewind_blob(struct blob *b, struct err *err)
{
    if (ftruncate(b->fd, 0) != 0)
        return err_sys(err, errno, "empty a file");
    b->have = b->from = 0;
    sha256_init(&b->hash);
    return 0;
}

/* What another job left: it counts into the digest. */
static int read_rest(struct blob *b, struct err *err)
{
    auto_free char *space = mem_zero(READ_SIZE);
    ssize_t got;

    sha256_init(&b->hash);
    while ((got = pread(b->fd, space, READ_SIZE, (off_t)b->have)) > 0) {
        sha256_add(&b->hash, space, (size_t)got);
        b->have += (uint64_t)got;
    }
    if (got < 0)
        return err_sys(err, errno, "read a file");
    b->from = b->have;
    return b->have > b->size ? rewind_blob(b, err) : 0;
}

static bool is_whole(const struct blob *b)
{
    struct sha256 copy = b->hash;
    struct digest found;

    if (b->have != b->size)
        return false;
    sha256_end(&copy, found.at);
    return digest_eq(&found, &b->id);
}

/* Another job may be fetching the same: then ours has a file of its own. */
static int open_file(struct blob *b, struct err *err)
{
    digest_hex(&b->id, b->name);
    b->fd = openat(b->dir_fd, b->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (b->fd < 0)
        return err_sys(err, errno, "make a file for a layer");
    b->is_shared = flock(b->fd, LOCK_EX | LOCK_NB) == 0;
    if (b->is_shared)
        return 0;
    close(b->fd);
    b->name[DIGEST_HEX] = '-';
    id_text(b->name + DIGEST_HEX + 1, SUFFIX_LEN);
    b->name[DIGEST_HEX + 1 + SUFFIX_LEN] = '\0';
    b->fd = openat(b->dir_fd, b->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return b->fd < 0 ? err_sys(err, errno, "make a file for a layer") : 0;
}

int blob_open(struct blob *b, int dir_fd, uint64_t max, struct err *err)
{
    b->dir_fd = dir_fd;
    b->max = max;
    if (b->size > max)
        return err_set(err, ERR_LIMIT, "a layer is larger than %llu bytes",
                       (unsigned long long)max);
    if (open_file(b, err) != 0 || read_rest(b, err) != 0)
        return -1;
    b->is_complete = is_whole(b);
    return !b->is_complete && b->have == b->size ? rewind_blob(b, err) : 0;
}

void blob_close(struct blob *b)
{
    fetch_done(&b->fetch);
    own_close_fd(&b->fd);
    b->fd = -1;
    if (!b->is_shared && b->name[0] != '\0')
        ignore(unlinkat(b->dir_fd, b->name, 0)); /* nobody else would find it */
}

void blob_remove(struct blob *b)
{
    ignore(unlinkat(b->dir_fd, b->name, 0)); /* or a collection does it */
    b->name[0] = '\0';
}

static int on_body(void *ctx, unsigned status, struct str data, struct err *err)
{
    struct blob *b = ctx;

    if (status != 200 && status != 206)
        return 0; /* the text of an error or of a redirection */
    if (status == 200 && b->fetch.from > 0 && b->have == b->fetch.from) {
        b->fetch.from = 0; /* it sends all, although we asked for the rest */
        if (rewind_blob(b, err) != 0)
            return -1;
    }
    if (data.len > b->size - b->have)
        return err_set(err, ERR_INVALID, "the registry sends more than the manifest says");
    for (size_t done = 0; done < data.len;) {
        ssize_t put = pwrite(b->fd, data.at + done, data.len - done, (off_t)(b->have + done));

        if (put <= 0)
            return err_sys(err, put < 0 ? errno : ENOSPC, "write");
        done += (size_t)put;
    }
    sha256_add(&b->hash, data.at, data.len);
    b->have += data.len;
    return 0;
}

int blob_start(struct blob *b, struct fetcher *f, struct registry *r, struct err *err)
{
    b->steps = 0;
    b->fetch = (struct fetch){.from = b->have, .on_body = on_body, .ctx = b};
    registry_blob(r, &b->id, &b->fetch, b->url);
    return fetch_start(f, &b->fetch, err);
}

/* From where it broke off; from the start when what came is wrong. */
static int try_again(struct blob *b, struct fetcher *f, struct registry *r, const struct err *why,
                     struct err *err)
{
    if (++b->tries >= TRIES_MAX) {
        *err = *why;
        return -1;
    }
    return blob_start(b, f, r, err);
}

static int check(struct blob *b, struct fetcher *f, struct registry *r, struct err *err)
{
    struct err why = {0};

    if (is_whole(b)) {
        b->is_complete = true;
        return 0;
    }
    if (b->have < b->size) {
        err_set(&why, ERR_UNAVAILABLE, "the registry stops before the end of a layer");
        return try_again(b, f, r, &why, err);
    }
    err_set(&why, ERR_INVALID, "what the registry sends does not have the digest of the manifest");
    if (rewind_blob(b, err) != 0)
        return -1;
    b->tries++; /* twice is enough */
    return try_again(b, f, r, &why, err);
}

int blob_ended(struct blob *b, struct fetcher *f, struct registry *r, struct err *err)
{
    struct err why = {0};
    unsigned status = b->fetch.status;
    enum registry_step step = registry_next(r, &b->fetch, b->url, &b->steps, &why);

    fetch_done(&b->fetch);
    if (step == REGISTRY_DONE)
        return check(b, f, r, err);
    if (step == REGISTRY_AGAIN) {
        b->fetch.from = b->have;
        return fetch_start(f, &b->fetch, err);
    }
    if (status == 416 && b->have > 0) /* what we have is not the front of it */
        return rewind_blob(b, err) != 0 ? -1 : try_again(b, f, r, &why, err);
    if (why.kind == ERR_UNAVAILABLE || why.kind == ERR_TIMEOUT)
        return try_again(b, f, r, &why, err);
    *err = why;
    return -1;
}
