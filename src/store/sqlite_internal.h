/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the SQLite engine. */
#ifndef STORE_SQLITE_INTERNAL_H
#define STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>

#include "base/err.h"

/* Describes the last failure on `db`; returns -1. `db` may be NULL after a failed open. */
int sqlite_fail(sqlite3 *db, int code, struct err *err, const char *doing);
must_check int sqlite_run(sqlite3 *db, const char *sql, struct err *err);

/* Brings the schema up to date; refuses databases that are newer, changed or not ours. */
must_check int sqlite_migrate(sqlite3 *db, struct err *err);
/* Copies all of `from` into a new file, whole or not at all. */
must_check int sqlite_copy(sqlite3 *from, const char *path, struct err *err);

#endif
