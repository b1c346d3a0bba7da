/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration from one table: file, then environment, then flags; the last one wins.
 *
 * A program describes its keys once; parsing, --help, the sample file and the manual come from the
 * same rows. File syntax: "key = value" lines, blank lines, and lines that begin with '#' (a '#'
 * further on belongs to the value). Environment: SANDLOT_ and the key in capitals with '.' as '_'.
 * Flags: --key=value or --key value; a bool may stand alone and is then true; "--" ends them. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

enum config_type {
    CONFIG_TEXT,   /* const char *; never NULL */
    CONFIG_BOOL,   /* bool; true/false/yes/no/on/off/1/0 */
    CONFIG_NUMBER, /* uint64_t within [min, max] */
    CONFIG_CHOICE, /* const char *, one of `choices` */
};

struct config_key {
    const char *name; /* "runtime.overlay" */
    enum config_type type;
    size_t offset;        /* of the field in the program's config struct */
    const char *fallback; /* default, as text */
    uint64_t min, max;    /* CONFIG_NUMBER */
    const char *choices;  /* CONFIG_CHOICE: "auto|v1|v2" */
    const char *help;     /* one line: what it does, unit included */
};

struct config_table {
    const struct config_key *keys;
    size_t count;
};

enum {
    CONFIG_FILE_MAX = 65536, /* bytes */
};

/* Fill `into` with defaults. Texts live until the process ends. */
must_check int config_defaults(const struct config_table *t, void *into, struct err *err);
must_check int config_file(const struct config_table *t, void *into, const char *path,
                           struct err *err);
must_check int config_env(const struct config_table *t, void *into, struct err *err);
/* Takes the --key flags it knows out of argv (argc shrinks); leaves the rest for the caller.
 * An unknown --flag is left too: the caller refuses it with its own help. */
must_check int config_flags(const struct config_table *t, void *into, int *argc, char **argv,
                            struct err *err);
/* Set one key from text, checking type and range; the error names the key and what is allowed. */
must_check int config_set(const struct config_table *t, void *into, struct str name,
                          struct str value, struct err *err);
/* Which values a key takes, in words: "number from 1 to 9". */
void config_range(const struct config_key *k, struct buf *out);
/* A commented sample file with every key, its default and its help. */
void config_sample(const struct config_table *t, struct buf *out);

#endif
