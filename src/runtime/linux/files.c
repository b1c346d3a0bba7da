/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the small files of procfs, cgroupfs and our state. */
#include "runtime/linux/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>

enum {
    PATH_SIZE = 1024,
    NUMBER_SIZE = 32,
    LOAD_STEP = 16 << 10,
    COPY_STEP = 1 << 20,
    LOCK_STEP_MS = 2,
};

static int write_once(int fd, const char *path, struct str text, struct err *err)
{
    ssize_t n;

    do {
        n = write(fd, text.at, text.len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_sys(err, errno, "write %s", path);
    if ((size_t)n != text.len)
        return err_set(err, ERR_NO_SPACE, "write %s: short", path);
    return 0;
}

int file_write(int dir, const char *path, struct str text, struct err *err)
{
    auto_fd int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, errno, "open %s", path);
    return write_once(fd, path, text, err);
}

int file_write_u64(int dir, const char *path, uint64_t value, struct err *err)
{
    char text[NUMBER_SIZE];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

    return file_write(dir, path, (struct str){text, (size_t)len}, err);
}

int file_create(int dir, const char *path, struct str text, struct err *err)
{
    auto_fd int fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_sys(err, errno, "create %s", path);
    if (write_once(fd, path, text, err) == 0)
        return 0;
    ignore(unlinkat(dir, path, 0)); /* the write's error is the one to tell */
    return -1;
}

int file_read(int dir, const char *path, char *space, size_t size, struct str *out, struct err *err)
{
    auto_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;

    if (fd < 0)
        return err_sys(err, errno, "open %s", path);
    while (len + 1 < size) {
        ssize_t n = read(fd, space + len, size - 1 - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "read %s", path);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    space[len] = '\0';
    *out = (struct str){space, len};
    return 0;
}

int file_load(const char *path, size_t max, char **out, size_t *out_len, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    auto_free char *text = NULL;
    size_t len = 0, room = 0;

    if (fd < 0)
        return err_sys(err, errno, "open %s", path);
    for (;;) {
        if (room - len < LOAD_STEP) {
            char *more = realloc(text, room + 2 * LOAD_STEP);

            if (more == NULL)
                return err_sys(err, ENOMEM, "read %s", path);
            text = more;
            room += 2 * LOAD_STEP;
        }

        ssize_t n = read(fd, text + len, room - len - 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, errno, "read %s", path);
        if (n == 0)
            break;
        len += (size_t)n;
        if (len > max)
            return err_set(err, ERR_LIMIT, "read %s: more than %zu bytes", path, max);
    }
    text[len] = '\0';
    *out_len = len;
    *out = take_ptr(&text);
    return 0;
}

int file_copy(const char *from, const char *to, unsigned mode, struct err *err)
{
    auto_fd int in = open(from, O_RDONLY | O_CLOEXEC);
    auto_fd int out = -1;
    ssize_t n;

    if (in < 0)
        return err_sys(err, errno, "open %s", from);
    ignore(unlink(to)); /* not there is fine */
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (out < 0 || fchmod(out, mode) != 0)
        return err_sys(err, errno, "create %s", to);
    do {
        n = sendfile(out, in, NULL, COPY_STEP); /* from any file system to any other */
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 ? 0 : err_sys(err, errno, "copy %s", from);
}

bool file_number(int dir, const char *path, uint64_t *out)
{
    char space[NUMBER_SIZE];
    struct str text;
    struct err ignored;

    return file_read(dir, path, space, sizeof(space), &text, &ignored) == 0 && text.len > 1 &&
           str_to_u64(str_upto(text, text.len - 1), out);
}

bool text_field(struct str text, const char *key, uint64_t *out)
{
    while (text.len > 0) {
        struct str value, line = str_cut(text, '\n', &text);
        struct str name = str_cut(line, ' ', &value);

        if (str_is(name, key))
            return str_to_u64(str_trim(value), out);
    }
    return false;
}

bool path_is_below(const char *path, struct str dir)
{
    return strncmp(path, dir.at, dir.len) == 0 && (path[dir.len] == '/' || path[dir.len] == '\0');
}

int dir_make(const char *path, struct err *err)
{
    char part[PATH_SIZE];
    size_t len = strlen(path);

    if (path[0] != '/' || len >= sizeof(part))
        return err_set(err, ERR_INVALID, "directory '%s': not a usable absolute path", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_sys(err, errno, "mkdir %s", part);
    }
    return 0;
}

int dir_open(int dir, const char *path, int *out_fd, struct err *err)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(err, errno, "open %s", path);
    *out_fd = fd;
    return 0;
}

bool file_lock(int fd, int operation, unsigned wait_ms)
{
    const struct timespec pause = {.tv_nsec = LOCK_STEP_MS * 1000000L};

    for (unsigned waited = 0; flock(fd, operation | LOCK_NB) != 0; waited += LOCK_STEP_MS) {
        if (waited >= wait_ms)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

int names_read(int dir, struct names *out, struct err *err)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (entries == NULL) {
        own_close_fd(&fd);
        return err_sys(err, errno, "list what is left");
    }
    while ((e = readdir(entries)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;

        char **more = realloc(out->at, (out->count + 1) * sizeof(*more));

        if (more == NULL)
            abort(); /* as mem_zero() */
        out->at = more;
        out->at[out->count++] = mem_text(e->d_name);
    }
    closedir(entries);
    return 0;
}

void names_done(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->at[i]);
    free(n->at);
    *n = (struct names){.count = 0};
}
