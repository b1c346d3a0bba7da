/* SPDX-License-Identifier: Apache-2.0 */
/* What the whiteouts of a layer say, done to the tree that the layers below it made; for layers
 * that become one directory. Called by maker.c before extract() of the same archive. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "image/extract_internal.h"
#include "runtime/linux/files.h"

static const char whiteout_prefix[] = ".wh.";
static const char opaque_name[] = ".wh..wh..opq";

static int erase_all_in(int root_fd, const char *path, struct err *err)
{
    struct names names = {0};
    auto_fd int dir = -1;
    int result;

    if (beneath_open(root_fd, path, O_RDONLY | O_DIRECTORY, &dir, NULL) != 0)
        return 0; /* nothing is below */
    result = names_read(dir, &names, err);
    for (size_t i = 0; i < names.count && result == 0; i++)
        result = tree_remove(dir, names.at[i], err);
    names_done(&names);
    return result;
}

static int erase(int root_fd, const char *path, const char *name, struct err *err)
{
    auto_fd int dir = -1;

    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(err, ERR_INVALID, "a whiteout of nothing");
    if (str_has_prefix(str_of(name), whiteout_prefix) ||
        beneath_open(root_fd, path, O_RDONLY | O_DIRECTORY, &dir, NULL) != 0)
        return 0; /* aufs' own book-keeping; or nothing is below */
    return tree_remove(dir, name, err);
}

static int take_entry(const struct extract_spec *spec, const char *entry, struct err *err)
{
    char path[BENEATH_PATH_MAX];
    const char *dir_path, *name;

    if (beneath_clean(str_of(entry), path, err) != 0)
        return -1;
    if (path[0] == '\0')
        return 0;
    beneath_split(path, &dir_path, &name);
    if (!str_has_prefix(str_of(name), whiteout_prefix))
        return 0;
    if (strcmp(name, opaque_name) == 0)
        return erase_all_in(spec->root_fd, dir_path, err);
    return erase(spec->root_fd, dir_path, name + sizeof(whiteout_prefix) - 1, err);
}

int extract_erase(const struct extract_spec *spec, struct err *err)
{
    struct inflow_limits limits = extract_inflow(spec->limits);
    struct archive_entry *e = NULL;
    struct tarflow *tar = NULL;
    uint64_t count = 0;
    int result = tarflow_open(spec->archive_fd, &limits, &tar, err);

    while (result == 0 && (result = tarflow_next(tar, &e, err)) == 0 && e != NULL) {
        const char *name = tarflow_name(e);

        if (++count > spec->limits->entries_max)
            result = err_set(err, ERR_LIMIT, "the image has more than %llu files",
                             (unsigned long long)spec->limits->entries_max);
        else if (name == NULL)
            result = err_set(err, ERR_INVALID, "an entry's name cannot be read");
        else if (take_entry(spec, name, err) != 0)
            result = err_wrap(err, "entry '%.80s'", name);
    }
    tarflow_close(tar);
    return result;
}
