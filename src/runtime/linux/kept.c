/* SPDX-License-Identifier: Apache-2.0 */
/* See kept.h. */
#include "runtime/linux/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/buf.h"
#include "base/write.h"
#include "runtime/linux/files.h"

enum { KEPT_MAX = 192 << 10 };

static const char name[] = "kept", fresh[] = "kept.new";
/* Of one length: the one is written over the other. */
static const char holds[] = "holds kept\n", revoked[] = "holds gone\n";
static const char end_mark[] = "end 1\n";

void kept_done(struct kept *k)
{
    free(k->rootfs);
    free(k->envd);
    k->rootfs = k->envd = NULL;
    stack_done(&k->layers);
}

static void format(struct buf *b, const struct kept *k)
{
    buf_add_text(b, holds);
    buf_printf(b, "id %s\nmemory %d\nuserns %d\n", k->id, k->has_memory, k->has_userns);
    buf_printf(b, "memory_bytes %llu\ncpu_percent %u\npids_max %u\ndisk_bytes %llu\n",
               (unsigned long long)k->limits.memory_bytes, k->limits.cpu_percent,
               k->limits.pids_max, (unsigned long long)k->limits.disk_bytes);
    buf_printf(b, "used_bytes %llu\nbelow_bytes %llu\nrootfs %s\nenvd %s\n",
               (unsigned long long)k->disk_bytes, (unsigned long long)k->below_bytes, k->rootfs,
               k->envd);
    if (k->is_frozen)
        buf_add_text(b, "frozen 1\n");
    if (k->boot_id[0] != '\0')
        buf_printf(b, "boot_id %s\n", k->boot_id);
    for (size_t i = 0; i < k->layers.count; i++)
        buf_printf(b, "layer %s\n", k->layers.paths[i]);
    buf_add_text(b, end_mark);
}

int kept_write(int dir, const struct kept *k, struct err *err)
{
    struct buf text;
    auto_fd int fd = -1;
    int result;

    ignore(unlinkat(dir, fresh, 0)); /* of a process that was killed */
    fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "create the record");
    buf_init(&text, KEPT_MAX);
    format(&text, k);
    if (!buf_ok(&text))
        result = err_set(err, ERR_LIMIT, "the record is too long");
    else if (write_whole(fd, buf_str(&text)) != 0)
        result = err_sys(err, errno, "write the record");
    else
        result = 0;
    buf_done(&text);
    if (result == 0 && (fsync(fd) != 0 || renameat(dir, fresh, dir, name) != 0 || fsync(dir) != 0))
        result = err_sys(err, errno, "keep the record");
    if (result != 0)
        ignore(unlinkat(dir, fresh, 0)); /* not there is fine */
    return result;
}

static bool set_text(char **to, struct str value)
{
    char path[LAYER_PATH_MAX + 1];

    if (*to != NULL || !str_to_c(value, path, sizeof(path)) || path[0] != '/')
        return false;
    *to = mem_text(path);
    return true;
}

static bool set_layer(struct stack *s, struct str value)
{
    char *path = NULL;

    if (s->count >= STACK_MAX || !set_text(&path, value))
        return false;
    s->paths[s->count++] = path;
    return true;
}

/* Lines that are not known are of a later version, which has reasons to write them. */
static bool parse_paths(struct str text, struct kept *k)
{
    bool is_good = true;

    while (is_good && text.len > 0) {
        struct str value, line = str_cut(text, '\n', &text);
        struct str key = str_cut(line, ' ', &value);

        if (str_is(key, "rootfs"))
            is_good = set_text(&k->rootfs, value);
        else if (str_is(key, "envd"))
            is_good = set_text(&k->envd, value);
        else if (str_is(key, "layer"))
            is_good = set_layer(&k->layers, value);
        else if (str_is(key, "id"))
            is_good = str_to_c(value, k->id, sizeof(k->id));
        else if (str_is(key, "boot_id"))
            is_good = str_to_c(value, k->boot_id, sizeof(k->boot_id));
    }
    return is_good && k->rootfs != NULL && k->envd != NULL && k->id[0] != '\0';
}

int kept_parse(struct str text, struct kept *out, struct err *err)
{
    struct kept k = {0};
    uint64_t memory = 0, userns = 0, frozen = 0, cpu = 0, pids = 0;

    if (!str_has_suffix(text, end_mark))
        return err_set(err, ERR_INVALID, "record is not whole");
    if (!text_field(text, "memory", &memory) || !text_field(text, "userns", &userns) ||
        !text_field(text, "memory_bytes", &k.limits.memory_bytes) ||
        !text_field(text, "cpu_percent", &cpu) || !text_field(text, "pids_max", &pids) ||
        !text_field(text, "disk_bytes", &k.limits.disk_bytes) ||
        !text_field(text, "used_bytes", &k.disk_bytes) || cpu > UINT32_MAX || pids > UINT32_MAX ||
        !parse_paths(text, &k)) {
        kept_done(&k);
        return err_set(err, ERR_INVALID, "record does not make sense");
    }
    ignore(text_field(text, "below_bytes", &k.below_bytes)); /* not in records of before */
    ignore(text_field(text, "frozen", &frozen));             /* only where it is */
    k.is_frozen = frozen != 0;
    k.has_memory = memory != 0;
    k.has_userns = userns != 0;
    k.limits.cpu_percent = (uint32_t)cpu;
    k.limits.pids_max = (uint32_t)pids;
    *out = k;
    return 0;
}

int kept_read(int dir, struct kept *out, struct err *err)
{
    auto_free char *space = mem_zero(KEPT_MAX);
    struct str text;

    if (file_read(dir, name, space, KEPT_MAX, &text, err) != 0)
        return -1;
    if (!str_has_prefix(text, holds))
        return err_set(err, ERR_NOT_FOUND, "record is revoked");
    return kept_parse(text, out, err);
}

/* A block that is there is written over, without a word in a journal. Those that journal data, or
 * have it within the inode, offer no direct I/O (statx(2), STATX_DIOALIGN; since Linux 6.1). */
static bool writes_in_place(int fd)
{
    struct statfs fs;
    struct statx file;

    return fstatfs(fd, &fs) == 0 &&
           (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC) &&
           statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &file) == 0 &&
           (file.stx_mask & STATX_DIOALIGN) != 0 && file.stx_dio_mem_align != 0;
}

static int send_or_sync(int fd, enum kept_sync how)
{
    const unsigned whole =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (how == KEPT_SENT && writes_in_place(fd))
        return sync_file_range(fd, 0, sizeof(holds) - 1, whole);
    return fdatasync(fd);
}

static int mark(int dir, const char word[sizeof(holds)], enum kept_sync how, struct err *err)
{
    auto_fd int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, errno, "open the record");
    if (pwrite(fd, word, sizeof(holds) - 1, 0) != (ssize_t)sizeof(holds) - 1 ||
        send_or_sync(fd, how) != 0)
        return err_sys(err, errno, "mark the record");
    return 0;
}

int kept_revoke(int dir, enum kept_sync how, struct err *err)
{
    return mark(dir, revoked, how, err);
}

void kept_renew(int dir)
{
    struct err unused;

    /* it is whole, and was written to a moment ago */
    ignore(mark(dir, holds, KEPT_SYNCED, &unused));
}

void kept_remove(int dir)
{
    ignore(unlinkat(dir, name, 0)); /* not there is fine */
}

void kept_set_aside(int dir, const char *to)
{
    if (renameat(dir, name, dir, to) != 0)
        kept_remove(dir);
}
