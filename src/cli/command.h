/* SPDX-License-Identifier: Apache-2.0 */
/* The command line from one table: finding the command, its options, --help, shell completion.
 * src/main/main.c holds the table. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/config.h"

enum {
    COMMAND_OPTIONS_MAX = 8,
    COMMAND_GIVEN_MAX = 64, /* options of one invocation, repeated ones counted */
    EXIT_USAGE = 2,         /* unknown command, option or argument */
};

struct command_option {
    const char *flag;  /* "--team" */
    const char *value; /* "TEAM"; NULL: the option takes none */
    const char *help;
    const char *other; /* another spelling: "-o", "--namespace"; NULL: none */
};

struct command_given {
    const char *flag, *value;
};

struct invocation {
    const struct command_table *table;
    const struct command *command;
    void *ctx;          /* of command_run() */
    char *const *words; /* arguments, NULL-ended */
    size_t count;
    const char *values[COMMAND_OPTIONS_MAX]; /* by option; "" for one without value; NULL: absent */
    struct command_given given[COMMAND_GIVEN_MAX]; /* all of them, in their order */
    size_t given_count;
};

/* Returns the exit status. */
typedef int command_fn(const struct invocation *v);

struct command {
    const char *name;    /* "key create" */
    const char *args;    /* "NAME", or "" */
    const char *summary; /* NULL: hidden */
    command_fn *fn;
    size_t args_min, args_max;
    struct command_option options[COMMAND_OPTIONS_MAX];
};

struct command_table {
    const char *program;
    const char *purpose;
    const char *version;
    const char *config_file; /* read when it exists */
    const struct command *commands;
    size_t count;
    const struct config_table *config; /* its keys are flags of every command */
};

/* argv[0] is the program; configuration flags were taken out before. */
int command_run(const struct command_table *t, int argc, char **argv, void *ctx);

/* For the table's rows. */
int command_help(const struct invocation *v);       /* help [COMMAND] */
int command_completion(const struct invocation *v); /* completion bash */
int command_manual(const struct invocation *v);     /* manual 1|5: roff of a manual page */
/* Prints "<program>: <text>" on standard error; returns EXIT_FAILURE. */
int command_fail(const struct invocation *v, const char *format, ...) printf_like(2, 3);
/* The same with a hint to the help; returns EXIT_USAGE. */
int command_misuse(const struct invocation *v, const char *format, ...) printf_like(2, 3);
/* What was given for this flag of the command ("" when it takes no value); NULL: it was not. */
const char *command_value(const struct invocation *v, const char *flag);
/* The same for one that may be given more than once: the next, NULL at the end. *cursor is 0 at
 * first. */
const char *command_next_value(const struct invocation *v, const char *flag, size_t *cursor);

#endif
