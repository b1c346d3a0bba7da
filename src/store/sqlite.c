/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite engine: WAL, one connection that writes (writer's thread) and one that reads (loop's
 * thread). synchronous=FULL syncs the log at every commit: that is what durable means here. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/file.h>

#include "store/driver.h"
#include "store/sqlite_internal.h"

enum {
    BUSY_TIMEOUT_MS = 5000, /* somebody looks into the file with another program */
};

/* The log shrinks back to 64 MiB after a checkpoint. */
static const char settings[] = "PRAGMA synchronous = FULL;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;";

enum statement {
    WRITE_BEGIN,
    WRITE_COMMIT,
    WRITE_ROLLBACK,
    WRITE_PUT,
    WRITE_REMOVE,
    READ_GET,
    STATEMENTS,
};

static const char *const statement_sql[] = {
    [WRITE_BEGIN] = "BEGIN IMMEDIATE",
    [WRITE_COMMIT] = "COMMIT",
    [WRITE_ROLLBACK] = "ROLLBACK",
    [WRITE_PUT] = ("INSERT INTO record (kind, key, value) VALUES (?1, ?2, ?3)"
                   " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value"),
    [WRITE_REMOVE] = "DELETE FROM record WHERE kind = ?1 AND key = ?2",
    [READ_GET] = "SELECT value FROM record WHERE kind = ?1 AND key = ?2",
};

static const char each_sql[] = "SELECT key, value FROM record WHERE kind = ?1 ORDER BY key";

static const struct {
    int code;
    enum err_kind kind;
} kinds[] = {
    {SQLITE_FULL,     ERR_NO_SPACE   },
    {SQLITE_BUSY,     ERR_UNAVAILABLE},
    {SQLITE_LOCKED,   ERR_UNAVAILABLE},
    {SQLITE_PERM,     ERR_DENIED     },
    {SQLITE_AUTH,     ERR_DENIED     },
    {SQLITE_READONLY, ERR_DENIED     },
    {SQLITE_NOTADB,   ERR_INVALID    },
    {SQLITE_TOOBIG,   ERR_LIMIT      },
};

struct sqlite {
    int lock_fd; /* -1 or the lock that says: one process */
    sqlite3 *writer, *reader;
    sqlite3_stmt *statements[STATEMENTS];
};

int sqlite_fail(sqlite3 *db, int code, struct err *err, const char *doing)
{
    int sys = db == NULL ? 0 : sqlite3_system_errno(db);
    const char *text = db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db);
    int primary = code & 0xff;

    if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && sys != 0)
        return err_sys(err, sys, "%s: %s", doing, text);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].code == primary)
            return err_set(err, kinds[i].kind, "%s: %s", doing, text);
    }
    return err_set(err, ERR_SYSTEM, "%s: %s", doing, text);
}

int sqlite_run(sqlite3 *db, const char *sql, struct err *err)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : sqlite_fail(db, code, err, "run SQL");
}

/* The working set lives in the process: two of them on one file would overwrite each other. The
 * lock is beside the file, because closing a descriptor of the file itself would drop SQLite's. */
static int lock_file(struct sqlite *s, const char *path, struct err *err)
{
    char name[PATH_MAX];
    int len = snprintf(name, sizeof(name), "%s.lock", path);

    if (len < 0 || (size_t)len >= sizeof(name))
        return err_set(err, ERR_INVALID, "the path of the database is too long");
    s->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0)
        return err_sys(err, errno, "open '%s'", name);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, ERR_CONFLICT, "'%s' is in use by another process", path);
    return err_sys(err, errno, "lock '%s'", name);
}

/* SQLite would create it readable for all; its log and index files copy the mode. */
static int create_file(const char *path, struct err *err)
{
    auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    return fd < 0 ? err_sys(err, errno, "open '%s'", path) : 0;
}

static int connect_to(const char *path, sqlite3 **out, struct err *err)
{
    /* each connection is used by one thread only */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, out, flags, NULL);

    if (code != SQLITE_OK)
        return sqlite_fail(*out, code, err, "open the database");
    ignore(sqlite3_busy_timeout(*out, BUSY_TIMEOUT_MS)); /* fails on a NULL handle only */
    return sqlite_run(*out, settings, err);
}

/* Asking for WAL answers with the mode that is; some file systems cannot. */
static int use_wal(sqlite3 *db, struct err *err)
{
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &query, NULL);
    const char *mode = NULL;
    int result = 0;

    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_ROW)
        mode = (const char *)sqlite3_column_text(query, 0);
    if (code != SQLITE_ROW)
        result = sqlite_fail(db, code, err, "switch to WAL");
    else if (mode == NULL || strcmp(mode, "wal") != 0)
        result = err_set(err, ERR_UNSUPPORTED, "the database cannot use WAL on this file system");
    sqlite3_finalize(query);
    return result;
}

static int prepare(struct sqlite *s, struct err *err)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3 *db = i == READ_GET ? s->reader : s->writer;
        int code = sqlite3_prepare_v3(db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &s->statements[i], NULL);

        if (code != SQLITE_OK)
            return sqlite_fail(db, code, err, "prepare a statement");
    }
    return 0;
}

static void engine_close(void *db)
{
    struct sqlite *s = db;

    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->reader);
    sqlite3_close(s->writer); /* the last one checkpoints and removes the log */
    own_close_fd(&s->lock_fd);
    free(s);
}

static int open_all(struct sqlite *s, const char *path, struct err *err)
{
    if (lock_file(s, path, err) != 0 || create_file(path, err) != 0 ||
        connect_to(path, &s->writer, err) != 0 || use_wal(s->writer, err) != 0 ||
        sqlite_migrate(s->writer, err) != 0 || connect_to(path, &s->reader, err) != 0)
        return -1;
    return prepare(s, err);
}

static int engine_open(const char *path, void **out_db, struct err *err)
{
    struct sqlite *s;

    if (path == NULL || path[0] == '\0')
        return err_set(err, ERR_INVALID, "the sqlite engine needs a path");
    s = mem_zero(sizeof(*s));
    s->lock_fd = -1;
    if (open_all(s, path, err) != 0) {
        engine_close(s);
        return err_wrap(err, "database '%s'", path);
    }
    *out_db = s;
    return 0;
}

/* An empty slice must not be bound as NULL. */
static int bind_blob(sqlite3_stmt *statement, int at, struct str bytes)
{
    return sqlite3_bind_blob(statement, at, bytes.len == 0 ? "" : bytes.at, (int)bytes.len,
                             SQLITE_STATIC);
}

/* Runs a statement without rows. */
static int step(struct sqlite *s, enum statement which)
{
    int code = sqlite3_step(s->statements[which]);

    sqlite3_reset(s->statements[which]); /* repeats the code of step */
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int apply(struct sqlite *s, const struct store_write *w)
{
    enum statement which = w->is_remove ? WRITE_REMOVE : WRITE_PUT;
    sqlite3_stmt *statement = s->statements[which];
    int code = sqlite3_bind_int(statement, 1, (int)w->kind);

    if (code == SQLITE_OK)
        code = bind_blob(statement, 2, w->key);
    if (code == SQLITE_OK && !w->is_remove)
        code = bind_blob(statement, 3, w->value);
    if (code == SQLITE_OK)
        code = step(s, which);
    sqlite3_clear_bindings(statement); /* they point into the caller's memory */
    return code;
}

static int engine_write(void *db, const struct store_write *first, struct err *err)
{
    struct sqlite *s = db;
    int code = step(s, WRITE_BEGIN);

    if (code != SQLITE_OK)
        return sqlite_fail(s->writer, code, err, "begin");
    for (const struct store_write *w = first; w != NULL && code == SQLITE_OK; w = w->next)
        code = apply(s, w);
    if (code == SQLITE_OK)
        code = step(s, WRITE_COMMIT);
    if (code == SQLITE_OK)
        return 0;
    ignore(sqlite_fail(s->writer, code, err, "commit"));
    /* some failures have rolled back already */
    if (sqlite3_get_autocommit(s->writer) == 0)
        ignore(step(s, WRITE_ROLLBACK));
    return -1;
}

static struct str column(sqlite3_stmt *statement, int at)
{
    /* blob before bytes, as the manual asks */
    const char *bytes = sqlite3_column_blob(statement, at);

    return (struct str){bytes, (size_t)sqlite3_column_bytes(statement, at)};
}

static int get_value(struct sqlite *s, sqlite3_stmt *query, struct buf *out, struct err *err)
{
    int code = sqlite3_step(query);

    if (code == SQLITE_DONE)
        return err_set(err, ERR_NOT_FOUND, "no such record");
    if (code != SQLITE_ROW)
        return sqlite_fail(s->reader, code, err, "get a record");
    buf_add_str(out, column(query, 0));
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "the record does not fit");
}

static int engine_get(void *db, enum store_kind kind, struct str key, struct buf *out,
                      struct err *err)
{
    struct sqlite *s = db;
    sqlite3_stmt *query = s->statements[READ_GET];
    int code, result;

    if (key.len > STORE_KEY_MAX)
        return err_set(err, ERR_NOT_FOUND, "no such record");
    code = sqlite3_bind_int(query, 1, (int)kind);
    if (code == SQLITE_OK)
        code = bind_blob(query, 2, key);
    result = code == SQLITE_OK ? get_value(s, query, out, err)
                               : sqlite_fail(s->reader, code, err, "bind a key");
    sqlite3_reset(query);
    sqlite3_clear_bindings(query);
    return result;
}

static int engine_each(void *db, enum store_kind kind, store_row_fn *fn, void *ctx, struct err *err)
{
    struct sqlite *s = db;
    sqlite3_stmt *query = NULL; /* its own, because calls may be nested */
    int code = sqlite3_prepare_v2(s->reader, each_sql, -1, &query, NULL);
    int result = 0;

    if (code == SQLITE_OK)
        code = sqlite3_bind_int(query, 1, (int)kind);
    if (code == SQLITE_OK) {
        while ((code = sqlite3_step(query)) == SQLITE_ROW) {
            if (!fn(ctx, column(query, 0), column(query, 1)))
                break;
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        result = sqlite_fail(s->reader, code, err, "read records");
    sqlite3_finalize(query);
    return result;
}

static int engine_backup(void *db, const char *path, struct err *err)
{
    struct sqlite *s = db;

    return sqlite_copy(s->reader, path, err);
}

const struct store_engine store_sqlite = {
    .name = "sqlite",
    .open = engine_open,
    .close = engine_close,
    .write = engine_write,
    .get = engine_get,
    .each = engine_each,
    .backup = engine_backup,
};
