/* SPDX-License-Identifier: Apache-2.0 */
/* Schema versions of the SQLite engine. Called by its open. */
#include <stdio.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "store/schema_internal.h"
#include "store/sqlite_internal.h"

enum {
    OUR_APPLICATION = 0x53444c54, /* as in schema/0001_init.sql */
    CHECKSUM_LEN = 2 * SHA256_SIZE,
};

static void checksum_of(const struct schema_migration *m, char out[CHECKSUM_LEN + 1])
{
    uint8_t digest[SHA256_SIZE];

    sha256_of(str_of(m->sql), digest);
    hex_encode(digest, sizeof(digest), out);
}

/* The only value of a query that has one. */
static int query_number(sqlite3 *db, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &query, NULL);
    int result = 0;

    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(query, 0);
    else
        result = sqlite_fail(db, code, err, "read the schema");
    sqlite3_finalize(query);
    return result;
}

/* A file that some other program made is not touched. */
static int check_owner(sqlite3 *db, struct err *err)
{
    int64_t application = 0, tables = 0;

    if (query_number(db, "PRAGMA application_id", &application, err) != 0 ||
        query_number(db, "SELECT count(*) FROM sqlite_master", &tables, err) != 0)
        return -1;
    if (application != OUR_APPLICATION && (application != 0 || tables != 0))
        return err_set(err, ERR_INVALID, "this database belongs to another program");
    return 0;
}

static int check_applied(unsigned version, const char *checksum, struct err *err)
{
    char expected[CHECKSUM_LEN + 1];

    if (version == 0 || version > schema_migration_count)
        return err_set(err, ERR_UNSUPPORTED,
                       "the database has schema version %u, this program knows versions up to %zu: "
                       "use the newer program",
                       version, schema_migration_count);
    checksum_of(&schema_migrations[version - 1], expected);
    if (checksum == NULL || strcmp(checksum, expected) != 0)
        return err_set(err, ERR_INVALID, "the database was made by a different migration %s",
                       schema_migrations[version - 1].name);
    return 0;
}

/* Checks every row; *out_version is the last. */
static int read_applied(sqlite3 *db, unsigned *out_version, struct err *err)
{
    static const char sql[] = "SELECT version, checksum FROM migration ORDER BY version DESC";
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &query, NULL);
    unsigned last = 0;
    int result = 0;

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        unsigned version;

        code = sqlite3_step(query);
        if (code != SQLITE_ROW)
            break;
        version = (unsigned)sqlite3_column_int(query, 0);
        result = check_applied(version, (const char *)sqlite3_column_text(query, 1), err);
        if (result != 0)
            break;
        last = version > last ? version : last;
    }
    if (result == 0 && code != SQLITE_DONE)
        result = sqlite_fail(db, code, err, "read applied migrations");
    sqlite3_finalize(query);
    if (result == 0)
        *out_version = last;
    return result;
}

static int record(sqlite3 *db, const struct schema_migration *m, struct err *err)
{
    static const char sql[] = "INSERT INTO migration (version, checksum, applied_ms) "
                              "VALUES (?1, ?2, ?3)";
    char checksum[CHECKSUM_LEN + 1];
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &insert, NULL);

    checksum_of(m, checksum);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(insert, 1, m->version);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(insert, 2, checksum, -1, SQLITE_TRANSIENT);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(insert, 3, clock_wall_ms());
    if (code == SQLITE_OK)
        code = sqlite3_step(insert);
    sqlite3_finalize(insert);
    return code == SQLITE_DONE ? 0 : sqlite_fail(db, code, err, "record the migration");
}

static int apply_missing(sqlite3 *db, struct err *err)
{
    unsigned version = 0;

    if (sqlite_run(db,
                   "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY,"
                   " checksum TEXT NOT NULL, applied_ms INTEGER NOT NULL)",
                   err) != 0 ||
        read_applied(db, &version, err) != 0)
        return -1;
    for (size_t i = version; i < schema_migration_count; i++) {
        const struct schema_migration *m = &schema_migrations[i];

        if (sqlite_run(db, m->sql, err) != 0 || record(db, m, err) != 0)
            return err_wrap(err, "migration %s", m->name);
    }
    return 0;
}

int sqlite_migrate(sqlite3 *db, struct err *err)
{
    if (check_owner(db, err) != 0 || sqlite_run(db, "BEGIN IMMEDIATE", err) != 0)
        return -1;
    if (apply_missing(db, err) != 0 || sqlite_run(db, "COMMIT", err) != 0) {
        ignore(sqlite_run(db, "ROLLBACK", NULL)); /* may have happened already */
        return -1;
    }
    return 0;
}
