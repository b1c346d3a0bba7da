/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of the kernel and of ours, by directory descriptor. */
#ifndef RUNTIME_LINUX_FILES_H
#define RUNTIME_LINUX_FILES_H

#include "base/err.h"
#include "base/str.h"

/* One write(2) to a file that exists. */
must_check int file_write(int dir, const char *path, struct str text, struct err *err);
must_check int file_write_u64(int dir, const char *path, uint64_t value, struct err *err);
/* One write(2) to a file that must not exist, mode 0600. */
must_check int file_create(int dir, const char *path, struct str text, struct err *err);
/* At most size-1 bytes and a NUL; *out is the text in `space`. */
must_check int file_read(int dir, const char *path, char *space, size_t size, struct str *out,
                         struct err *err);
/* Reads a whole file of up to `max` bytes onto the heap; terminated. */
must_check int file_load(const char *path, size_t max, char **out, size_t *out_len,
                         struct err *err);
/* A whole file to a path where none was, or where an earlier copy goes. */
must_check int file_copy(const char *from, const char *to, unsigned mode, struct err *err);
/* A file that is a number and a newline. False when it is not there or not a number. */
bool file_number(int dir, const char *path, uint64_t *out);
/* The number behind "key " at the start of a line ("oom_kill 3"). */
bool text_field(struct str text, const char *key, uint64_t *out);

/* Is the path that directory, or in it? By its text alone. */
bool path_is_below(const char *path, struct str dir);
/* mkdir -p, mode 0755 for what is missing. */
must_check int dir_make(const char *path, struct err *err);
/* O_DIRECTORY|O_CLOEXEC descriptor. */
must_check int dir_open(int dir, const char *path, int *out_fd, struct err *err);

/* flock(2) with this operation, tried for up to wait_ms. False: somebody else has it. */
bool file_lock(int fd, int operation, unsigned wait_ms);

/* What is in a directory, without "." and "..". */
struct names {
    char **at;
    size_t count;
};

must_check int names_read(int dir, struct names *out, struct err *err);
void names_done(struct names *n);

/* Removes the named file or whole tree below `dir`; never follows a link, whatever the modes or the
 * depth. Nothing there is success. */
must_check int tree_remove(int dir, const char *name, struct err *err);

#endif
