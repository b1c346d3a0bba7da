/* SPDX-License-Identifier: Apache-2.0 */
/* See unlinked.h. Links of /proc/<pid>/fd and map_files are looked at, never opened: O_PATH at
 * most, so that nothing in there can make us wait. */
#include "runtime/linux/unlinked.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/own.h"

enum {
    LINKS_MAX = 4 << 20,  /* descriptors and mappings looked at */
    FILES_MAX = 64 << 10, /* of them, files without a name */
    BLOCK_SIZE = 512,
    NAME_SIZE = 64,
};

struct file {
    uint64_t inode, bytes;
};

struct search {
    struct file *files; /* one may be there several times */
    size_t count, room, links;
    bool is_beyond;
};

/* Others are counted as memory: tmpfs, memfd. */
static bool is_on_overlay(int dir, const char *name)
{
    auto_fd int fd = openat(dir, name, O_PATH | O_CLOEXEC);
    struct statfs fs;

    return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

static void add(struct search *s, const struct stat *st)
{
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct file *more = room > FILES_MAX ? NULL : realloc(s->files, room * sizeof(*more));

        if (more == NULL) {
            s->is_beyond = true;
            return;
        }
        s->files = more;
        s->room = room;
    }
    s->files[s->count++] = (struct file){st->st_ino, (uint64_t)st->st_blocks * BLOCK_SIZE};
}

static void look_in(struct search *s, int proc_dir, const char *path)
{
    int fd = openat(proc_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *links = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    struct stat st;

    if (links == NULL) {
        own_close_fd(&fd); /* gone meanwhile */
        return;
    }
    while (!s->is_beyond && (e = readdir(links)) != NULL) {
        s->is_beyond = ++s->links > LINKS_MAX;
        if (e->d_type == DT_LNK && fstatat(fd, e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
            st.st_nlink == 0 && st.st_blocks > 0 && is_on_overlay(fd, e->d_name))
            add(s, &st);
    }
    closedir(links);
}

static int by_inode(const void *a, const void *b)
{
    const struct file *x = a, *y = b;

    return (x->inode > y->inode) - (x->inode < y->inode);
}

static uint64_t sum(struct search *s)
{
    uint64_t bytes = 0;

    if (s->count > 0)
        qsort(s->files, s->count, sizeof(s->files[0]), by_inode);
    for (size_t i = 0; i < s->count; i++) {
        if (i == 0 || s->files[i].inode != s->files[i - 1].inode)
            bytes += s->files[i].bytes;
    }
    return bytes;
}

uint64_t unlinked_usage(int proc_dir, struct str procs)
{
    static const char *const places[] = {"fd", "map_files"};
    struct search s = {0};
    char path[NAME_SIZE];
    uint64_t pid, bytes;

    while (procs.len > 0) {
        if (!str_to_u64(str_cut(procs, '\n', &procs), &pid) || pid == 0)
            continue;
        for (size_t i = 0; i < COUNT_OF(places); i++) {
            ignore(snprintf(path, sizeof(path), "%llu/%s", (unsigned long long)pid, places[i]));
            look_in(&s, proc_dir, path);
        }
    }
    bytes = s.is_beyond ? UINT64_MAX : sum(&s);
    free(s.files);
    return bytes;
}
