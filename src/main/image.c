/* SPDX-License-Identifier: Apache-2.0 */
/* The commands about images are a program of their own (image_main.c), as what they link with is
 * too much for the roles: here it is executed with what this one was told. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "main/program_path.h"
#include "main/role.h"

enum {
    ENVIRONMENT_MAX = 1 << 20,
    OPTION_SIZE = 1024,
    WORDS_MAX = 16, /* of the command, its arguments and options */
};

struct command_line {
    char *words[WORDS_MAX + 1]; /* NULL-ended */
    size_t count;
};

static void add_word(struct command_line *l, const char *text, size_t len)
{
    char *copy = mem_zero(len + 1);

    memcpy(copy, text, len);
    if (l->count < WORDS_MAX)
        l->words[l->count++] = copy; /* given to the program */
}

static void build(const struct invocation *v, struct command_line *l)
{
    struct str rest = str_of(v->command->name);

    add_word(l, "sandlot", strlen("sandlot"));
    while (rest.len > 0) {
        struct str word = str_cut(rest, ' ', &rest);

        add_word(l, word.at, word.len);
    }
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        const struct command_option *o = &v->command->options[i];
        char text[OPTION_SIZE];

        if (v->values[i] == NULL)
            continue;
        ignore(snprintf(text, sizeof text, "%s%s%s", o->flag, o->value == NULL ? "" : "=",
                        v->values[i]));
        add_word(l, text, strlen(text));
    }
    for (size_t i = 0; i < v->count; i++)
        add_word(l, v->words[i], strlen(v->words[i]));
}

int image_command(const struct invocation *v)
{
    const struct program *program = v->ctx;
    struct command_line line = {0};
    char path[PATH_MAX];
    struct buf text;
    char **keys;
    struct err err;

    if (image_program_path(path, sizeof path, &err) != 0)
        return command_fail(v, "%s", err.text);
    buf_init(&text, ENVIRONMENT_MAX);
    keys = config_environment(&program->config, &text);
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (putenv(keys[i]) != 0)
            return command_fail(v, "set the environment: %s", strerror(errno));
    }
    build(v, &line);
    execv(path, line.words);
    return command_fail(v, "execute '%s': %s", path, strerror(errno));
}
