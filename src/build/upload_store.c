/* SPDX-License-Identifier: Apache-2.0 */
/* See upload_store.h. */
#include "build/upload_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"

enum {
    NAME_LEN_MAX = 64,
    PART_ID_LEN = 12,
};

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return s.len > 0 && s.len <= NAME_LEN_MAX;
}

static int put_path(const char *dir, struct str team_id, struct str name, char *out,
                    struct err *err)
{
    int len = snprintf(out, UPLOAD_PATH_MAX, "%s/%.*s/%.*s", dir, STR_ARG(team_id), STR_ARG(name));

    if (len < 0 || len >= UPLOAD_PATH_MAX)
        return err_set(err, ERR_INVALID, "the path of an upload is too long");
    return 0;
}

int upload_path(const struct upload_name *n, char out[UPLOAD_PATH_MAX], struct err *err)
{
    if (!is_plain(n->team_id) || !is_plain(n->hash))
        return err_set(err, ERR_INVALID, "not the name of an upload");
    return put_path(n->dir, n->team_id, n->hash, out, err);
}

bool upload_is_there(const struct upload_name *n)
{
    char path[UPLOAD_PATH_MAX];
    struct stat st;

    return upload_path(n, path, NULL) == 0 && lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int upload_open(const struct upload_name *n, int *out_fd, uint64_t *out_size, struct err *err)
{
    char path[UPLOAD_PATH_MAX];
    struct stat st;
    auto_fd int fd = -1;

    if (upload_path(n, path, err) != 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_sys(err, errno, "open the uploaded files");
    if (fstat(fd, &st) != 0)
        return err_sys(err, errno, "look at the uploaded files");
    ignore(futimens(fd, NULL)); /* only for the sweep, which comes days later */
    *out_size = (uint64_t)st.st_size;
    *out_fd = take_fd(&fd);
    return 0;
}

int upload_begin_in(struct upload_file *f, const char *folder, mode_t mode, struct err *err)
{
    char random[PART_ID_LEN + 1];
    int len;

    *f = (struct upload_file){.fd = -1};
    id_text(random, PART_ID_LEN);
    len = snprintf(f->part, sizeof(f->part), "%s/.part-%.*s", folder, PART_ID_LEN, random);
    if (len < 0 || (size_t)len >= sizeof(f->part))
        return err_set(err, ERR_INVALID, "the path of an upload is too long");
    f->fd = open(f->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (f->fd < 0)
        return err_sys(err, errno, "keep an upload");
    if (fchmod(f->fd, mode) != 0) { /* whatever the umask */
        err_sys(err, errno, "keep an upload");
        upload_discard(f);
        return -1;
    }
    return 0;
}

int upload_begin(struct upload_file *f, const struct upload_name *n, struct err *err)
{
    char folder[UPLOAD_PATH_MAX], path[UPLOAD_PATH_MAX];

    *f = (struct upload_file){.fd = -1};
    if (upload_path(n, path, err) != 0 ||
        put_path(n->dir, n->team_id, (struct str){0}, folder, err) != 0)
        return -1;
    if ((mkdir(n->dir, 0700) != 0 && errno != EEXIST) ||
        (mkdir(folder, 0700) != 0 && errno != EEXIST))
        return err_sys(err, errno, "make the directory of uploads");
    if (upload_begin_in(f, folder, 0600, err) != 0)
        return -1;
    memcpy(f->path, path, sizeof(path));
    return 0;
}

int upload_write(struct upload_file *f, struct str data, struct err *err)
{
    while (data.len > 0) {
        ssize_t n = write(f->fd, data.at, data.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "keep an upload");
        data = str_from(data, (size_t)n);
        f->size += (uint64_t)n;
    }
    if (f->size - f->synced >= UPLOAD_SYNC_STEP) {
        /* Only begins: what is left for the end is short, and nobody waits long. */
        ignore(sync_file_range(f->fd, (off64_t)f->synced, (off64_t)(f->size - f->synced),
                               SYNC_FILE_RANGE_WRITE));
        f->synced = f->size;
    }
    return 0;
}

static int sync_folder(const char *path, struct err *err)
{
    char folder[UPLOAD_PATH_MAX];
    auto_fd int fd = -1;

    ignore(snprintf(folder, sizeof(folder), "%s", path));
    *strrchr(folder, '/') = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_sys(err, errno, "keep an upload");
    return 0;
}

int upload_end(struct upload_file *f, struct err *err)
{
    if (fdatasync(f->fd) != 0 || rename(f->part, f->path) != 0)
        return err_sys(err, errno, "keep an upload");
    own_close_fd(&f->fd);
    f->fd = -1;
    return sync_folder(f->path, err);
}

void upload_discard(struct upload_file *f)
{
    if (f->fd < 0)
        return;
    own_close_fd(&f->fd);
    f->fd = -1;
    ignore(unlink(f->part)); /* if it stays, the sweep finds it */
}

static void sweep_team(int dir_fd, const char *name, time_t before)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    struct stat st;

    if (dir == NULL) {
        own_close_fd(&fd);
        return;
    }
    while ((e = readdir(dir)) != NULL)
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < before)
            ignore(unlinkat(fd, e->d_name, 0)); /* then the next sweep will */
    ignore(closedir(dir));
}

void upload_sweep(const char *path)
{
    static uint64_t swept_ms;
    uint64_t now = clock_mono_ms();
    const struct dirent *e;
    DIR *dir;

    if (swept_ms != 0 && now - swept_ms < UPLOAD_SWEEP_S * 1000)
        return;
    swept_ms = now;
    dir = opendir(path);
    if (dir == NULL)
        return; /* nothing was uploaded yet */
    while ((e = readdir(dir)) != NULL)
        if (e->d_name[0] != '.')
            sweep_team(dirfd(dir), e->d_name, time(NULL) - UPLOAD_KEEP_S);
    ignore(closedir(dir)); /* only read */
}
