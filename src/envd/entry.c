/* SPDX-License-Identifier: Apache-2.0 */
/* From stat(2) to EntryInfo, for the filesystem RPCs. */
#include "envd/entry.h"

#include <errno.h>

#include "envd/metadata.h"
#include "envd/paths.h"

void entry_permissions(mode_t mode, char out[PERMISSIONS_MAX])
{
    static const char bits[] = "rwxrwxrwx";
    size_t len = 0;

    if (S_ISDIR(mode))
        out[len++] = 'd';
    if (S_ISLNK(mode))
        out[len++] = 'L';
    if (S_ISBLK(mode) || S_ISCHR(mode))
        out[len++] = 'D';
    if (S_ISFIFO(mode))
        out[len++] = 'p';
    if (S_ISSOCK(mode))
        out[len++] = 'S';
    if ((mode & S_ISUID) != 0)
        out[len++] = 'u';
    if ((mode & S_ISGID) != 0)
        out[len++] = 'g';
    if (S_ISCHR(mode))
        out[len++] = 'c';
    if ((mode & S_ISVTX) != 0)
        out[len++] = 't';
    if (len == 0)
        out[len++] = '-';
    for (int i = 0; i < 9; i++)
        out[len++] = (mode & (0400U >> i)) != 0 ? bits[i] : '-';
    out[len] = '\0';
}

static int32_t type_of(mode_t mode)
{
    if (S_ISREG(mode))
        return FILE_TYPE_FILE;
    return S_ISDIR(mode) ? FILE_TYPE_DIRECTORY : FILE_TYPE_UNSPECIFIED;
}

/* Type and mode are the target's; a link that leads nowhere has no type and points to itself. */
static void follow(struct str path, struct arena *a, struct entry_info *out)
{
    struct stat st = {0};

    out->has_symlink_target = true;
    out->symlink_target = path_follow(path, a, &st);
    if (st.st_mode == 0)
        return;
    out->type = type_of(st.st_mode);
    out->mode = st.st_mode & 0777;
}

int entry_read(struct str path, struct owners *o, struct arena *a, struct entry_info *out,
               struct err *err)
{
    struct stat st;
    char *permissions = arena_alloc(a, PERMISSIONS_MAX);

    if (permissions == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    if (lstat(path.at, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return err_set(err, ERR_NOT_FOUND, "file not found: %.200s", path.at);
        return err_sys(err, errno, "stat '%.200s'", path.at);
    }
    entry_permissions(st.st_mode, permissions);
    *out = (struct entry_info){
        .name = path_base(path),
        .type = type_of(st.st_mode),
        .path = path,
        .size = st.st_size,
        .mode = st.st_mode & 0777,
        .permissions = str_of(permissions),
        .owner = owners_user(o, st.st_uid),
        .group = owners_group(o, st.st_gid),
        .has_modified = true,
        .modified = {st.st_mtim.tv_sec, (uint32_t)st.st_mtim.tv_nsec},
    };
    if (S_ISLNK(st.st_mode))
        follow(path, a, out);
    else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        out->metadata = metadata_load(path.at, a);
    return 0;
}

void entry_trim(struct entry_info *e)
{
    *e = (struct entry_info){.name = e->name, .type = e->type, .path = e->path};
}
