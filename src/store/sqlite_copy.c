/* SPDX-License-Identifier: Apache-2.0 */
/* Backup of a database that is in use. Called by the SQLite engine's backup. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/str.h"
#include "store/sqlite_internal.h"

/* All pages in one go: the copy is of one moment, and writers do not wait for it in WAL mode. */
static int copy_pages(sqlite3 *from, sqlite3 *to, struct err *err)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int code;

    if (b == NULL)
        return sqlite_fail(to, sqlite3_errcode(to), err, "begin the copy");
    code = sqlite3_backup_step(b, -1);
    if (sqlite3_backup_finish(b) != SQLITE_OK || code != SQLITE_DONE)
        return sqlite_fail(to, code, err, "copy pages");
    return 0;
}

/* The file exists already, empty and private; closing it has checkpointed and synced it. */
static int copy_into(sqlite3 *from, const char *path, struct err *err)
{
    sqlite3 *to = NULL;
    int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL);
    int result;

    if (code != SQLITE_OK)
        result = sqlite_fail(to, code, err, "open the copy");
    else
        result = copy_pages(from, to, err);
    code = sqlite3_close(to);
    if (result == 0 && code != SQLITE_OK)
        result = sqlite_fail(NULL, code, err, "close the copy");
    return result;
}

static int sync_path(const char *path, int flags, struct err *err)
{
    auto_fd int fd = open(path, flags | O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return err_sys(err, errno, "sync '%s'", path);
    return 0;
}

static int publish(const char *partial, const char *path, struct err *err)
{
    char folder[PATH_MAX];

    if (!str_to_c(str_of(path), folder, sizeof(folder)))
        return err_set(err, ERR_INVALID, "the path is too long");
    if (sync_path(partial, 0, err) != 0)
        return -1;
    if (renameat2(AT_FDCWD, partial, AT_FDCWD, path, RENAME_NOREPLACE) != 0)
        return err_sys(err, errno, "rename the copy");
    return sync_path(dirname(folder), O_DIRECTORY, err);
}

int sqlite_copy(sqlite3 *from, const char *path, struct err *err)
{
    char partial[PATH_MAX];
    struct stat taken;
    int len = snprintf(partial, sizeof(partial), "%s.partial", path);
    auto_fd int fd = -1;

    if (len < 0 || (size_t)len >= sizeof(partial))
        return err_set(err, ERR_INVALID, "the path is too long");
    if (lstat(path, &taken) == 0)
        return err_set(err, ERR_EXISTS, "there is a file already");
    ignore(unlink(partial)); /* of an earlier attempt */
    fd = open(partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "create '%s'", partial);
    if (copy_into(from, partial, err) != 0 || publish(partial, path, err) != 0) {
        ignore(unlink(partial)); /* gone already when only the last sync failed */
        return -1;
    }
    return 0;
}
