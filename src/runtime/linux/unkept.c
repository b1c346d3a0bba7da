/* SPDX-License-Identifier: Apache-2.0 */
/* See unkept.h. */
#include "runtime/linux/unkept.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/linux/files.h"

enum {
    PROCS_SIZE = 256 << 10,
    STATUS_SIZE = 4 << 10,
    NAME_SIZE = 64,
    TARGET_SIZE = 128,
};

static const struct {
    const char *target, *reason;
} descriptors[] = {
    {"anon_inode:[io_uring]",    "has an io_uring"  },
    {"anon_inode:[userfaultfd]", "has a userfaultfd"},
};

static const char *reason_by_descriptors(int proc_dir, uint64_t pid)
{
    char name[NAME_SIZE], target[TARGET_SIZE];
    const char *reason = NULL;
    struct dirent *e;
    DIR *dir;
    int fd;

    ignore(snprintf(name, sizeof(name), "%llu/fd", (unsigned long long)pid));
    fd = openat(proc_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    while (dir != NULL && reason == NULL && (e = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);

        target[len < 0 ? 0 : len] = '\0';
        for (size_t i = 0; i < COUNT_OF(descriptors); i++) {
            if (strcmp(target, descriptors[i].target) == 0)
                reason = descriptors[i].reason;
        }
    }
    if (dir != NULL)
        closedir(dir);
    else
        own_close_fd(&fd);
    return reason;
}

static bool has_own_userns(int proc_dir, uint64_t pid, int first_pid)
{
    char name[NAME_SIZE], own[TARGET_SIZE], first[TARGET_SIZE];
    ssize_t len, first_len;

    ignore(snprintf(name, sizeof(name), "%llu/ns/user", (unsigned long long)pid));
    len = readlinkat(proc_dir, name, own, sizeof(own));
    ignore(snprintf(name, sizeof(name), "%d/ns/user", first_pid));
    first_len = readlinkat(proc_dir, name, first, sizeof(first));
    return len > 0 && first_len > 0 && (len != first_len || memcmp(own, first, (size_t)len) != 0);
}

/* What follows the key, to the end of its line. */
static struct str field(struct str text, const char *key)
{
    while (text.len > 0) {
        struct str line = str_cut(text, '\n', &text);

        if (str_has_prefix(line, key))
            return str_from(line, strlen(key));
    }
    return (struct str){NULL, 0};
}

static bool look_at(int proc_dir, uint64_t pid, int first_pid, struct err *out)
{
    char path[NAME_SIZE], space[STATUS_SIZE];
    uint64_t tracer = 0;
    const char *reason;
    struct str status, number = {"?", 1};
    struct err unused;

    ignore(snprintf(path, sizeof(path), "%llu/status", (unsigned long long)pid));
    if (file_read(proc_dir, path, space, sizeof(space), &status, &unused) != 0)
        return false; /* it has ended */
    reason = str_to_u64(field(status, "TracerPid:\t"), &tracer) && tracer != 0
                 ? "is traced"
                 : reason_by_descriptors(proc_dir, pid);
    if (reason == NULL && has_own_userns(proc_dir, pid, first_pid))
        reason = "has a user namespace of its own";
    if (reason == NULL)
        return false;
    for (struct str rest = field(status, "NSpid:\t"); rest.len > 0;)
        number = str_cut(rest, '\t', &rest); /* the last is the one inside */
    ignore(err_set(out, ERR_UNSUPPORTED, "process %.*s (%.*s) %s", STR_ARG(number),
                   STR_ARG(field(status, "Name:\t")), reason));
    return true;
}

bool unkept_find(const struct cgroups *g, const char *group, int proc_dir, int first_pid,
                 struct err *out)
{
    auto_free char *space = mem_zero(PROCS_SIZE);
    struct str procs;
    struct err unused;
    uint64_t pid;

    if (cgroup_procs(g, group, space, PROCS_SIZE, &procs, &unused) != 0)
        return false;
    while (procs.len > 0) {
        if (str_to_u64(str_cut(procs, '\n', &procs), &pid) &&
            look_at(proc_dir, pid, first_pid, out))
            return true;
    }
    return false;
}
