/* SPDX-License-Identifier: Apache-2.0 */
/* The migrations of schema/, embedded by the build, oldest first. A file that was released is never
 * changed: what a database has applied is compared by checksum. */
#ifndef STORE_SCHEMA_INTERNAL_H
#define STORE_SCHEMA_INTERNAL_H

#include <stddef.h>

struct schema_migration {
    unsigned version;
    const char *name; /* "0001_init" */
    const char *sql;
};

extern const struct schema_migration schema_migrations[];
extern const size_t schema_migration_count;

#endif
