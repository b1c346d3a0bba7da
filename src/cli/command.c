/* SPDX-License-Identifier: Apache-2.0 */
/* Command line dispatch and help; see command.h. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>

int command_fail(const struct invocation *v, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", v->table->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILURE;
}

int command_misuse(const struct invocation *v, const char *format, ...)
{
    const char *name = v->command == NULL ? "" : v->command->name;
    va_list args;

    fprintf(stderr, "%s: ", v->table->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry '%s help%s%s'.\n", v->table->program, *name == '\0' ? "" : " ", name);
    return EXIT_USAGE;
}

const char *command_value(const struct invocation *v, const char *flag)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        const struct command_option *o = &v->command->options[i];

        if (o->flag != NULL && strcmp(o->flag, flag) == 0)
            return v->values[i];
    }
    return NULL;
}

const char *command_next_value(const struct invocation *v, const char *flag, size_t *cursor)
{
    while (*cursor < v->given_count) {
        const struct command_given *g = &v->given[(*cursor)++];

        if (strcmp(g->flag, flag) == 0)
            return g->value;
    }
    return NULL;
}

/* How many words of argv spell this command's name; 0: it is another one. */
static size_t match_name(const struct command *c, char *const *words, size_t count)
{
    struct str rest = str_of(c->name);
    size_t used = 0;

    while (rest.len > 0) {
        struct str part = str_cut(rest, ' ', &rest);

        if (used >= count || !str_is(part, words[used]))
            return 0;
        used++;
    }
    return used;
}

static const struct command *find_command(const struct command_table *t, char *const *words,
                                          size_t count, size_t *out_used)
{
    for (size_t i = 0; i < t->count; i++) {
        *out_used = match_name(&t->commands[i], words, count);
        if (*out_used > 0)
            return &t->commands[i];
    }
    return NULL;
}

/* Sets the option that words[at] is. Returns the words used; 0 unknown, -1 its value is missing. */
static int take_option(struct invocation *v, char *const *words, size_t at, size_t count)
{
    struct str value;
    struct str name = str_cut(str_of(words[at]), '=', &value);
    bool has_value = name.len < strlen(words[at]);

    for (size_t i = 0; i < COMMAND_OPTIONS_MAX; i++) {
        const struct command_option *o = &v->command->options[i];

        if (o->flag == NULL ||
            (!str_is(name, o->flag) && !(o->other != NULL && str_is(name, o->other))))
            continue;
        if (o->value == NULL ? has_value : !has_value && at + 1 >= count)
            return -1;
        if (v->given_count == COMMAND_GIVEN_MAX)
            return -1;
        v->values[i] = o->value == NULL ? "" : has_value ? value.at : words[at + 1];
        v->given[v->given_count++] = (struct command_given){o->flag, v->values[i]};
        return o->value == NULL || has_value ? 1 : 2;
    }
    return 0;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_found(struct invocation *v, char **words, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count;) {
        int used = 1;

        if (is_help(words[i]))
            return command_help(v);
        if (words[i][0] == '-' && words[i][1] != '\0') {
            used = take_option(v, words, i, count);
            if (used <= 0)
                return command_misuse(
                    v, used == 0 ? "unknown option '%s'" : "wrong use of option '%s'", words[i]);
        } else {
            words[kept++] = words[i];
        }
        i += (size_t)used;
    }
    if (kept < v->command->args_min)
        return command_misuse(v, "'%s' needs an argument", v->command->name);
    if (kept > v->command->args_max)
        return command_misuse(v, "unexpected argument '%s'", words[v->command->args_max]);
    words[kept] = NULL;
    v->words = words;
    v->count = kept;
    return v->command->fn(v);
}

int command_run(const struct command_table *t, int argc, char **argv, void *ctx)
{
    struct invocation v = {.table = t, .ctx = ctx};
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    size_t used;

    if (count == 0 || is_help(argv[1]))
        return command_help(&v);
    v.command = find_command(t, argv + 1, count, &used);
    if (v.command == NULL)
        return command_misuse(
            &v, argv[1][0] == '-' ? "unknown option '%s'" : "unknown command '%s'", argv[1]);
    return run_found(&v, argv + 1 + used, count - used);
}

static void print_overview(const struct command_table *t)
{
    printf("%s: %s\n\nUsage: %s COMMAND [ARGUMENT...] [--KEY=VALUE...]\n\nCommands:\n", t->program,
           t->purpose, t->program);
    for (size_t i = 0; i < t->count; i++) {
        const struct command *c = &t->commands[i];
        char usage[64];

        if (c->summary == NULL)
            continue;
        ignore(
            snprintf(usage, sizeof usage, "%s%s%s", c->name, *c->args == '\0' ? "" : " ", c->args));
        printf("  %-24s %s\n", usage, c->summary);
    }
    printf(
        "\n'%s help COMMAND' says more. Every configuration key is also a flag of every command\n"
        "and an environment variable (--log.level=debug, SANDLOT_LOG_LEVEL=debug).\n",
        t->program);
}

static void print_keys(const struct config_table *config)
{
    printf("\nConfiguration, as flags with their defaults:\n"
           "  --config=FILE\n        configuration file\n");
    for (size_t i = 0; i < config->count; i++) {
        const struct config_key *k = &config->keys[i];

        printf("  --%s=%s\n        %s", k->name, k->fallback, k->help);
        if (k->type == CONFIG_CHOICE)
            printf(" (%s)", k->choices);
        printf("\n");
    }
}

static void print_command(const struct command_table *t, const struct command *c)
{
    printf("%s %s%s%s: %s\n", t->program, c->name, *c->args == '\0' ? "" : " ", c->args,
           c->summary == NULL ? "internal" : c->summary);
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && c->options[i].flag != NULL; i++) {
        const struct command_option *o = &c->options[i];

        printf("  %s%s%s%s%s\n        %s\n", o->flag, o->value == NULL ? "" : "=",
               o->value == NULL ? "" : o->value, o->other == NULL ? "" : ", ",
               o->other == NULL ? "" : o->other, o->help);
    }
    print_keys(t->config);
}

int command_help(const struct invocation *v)
{
    const struct command *about = v->command;
    size_t used;

    if (about != NULL && about->fn == command_help)
        about = NULL;
    if (about == NULL && v->count > 0) {
        about = find_command(v->table, v->words, v->count, &used);
        if (about == NULL)
            return command_misuse(v, "unknown command '%s'", v->words[0]);
    }
    if (about == NULL)
        print_overview(v->table);
    else
        print_command(v->table, about);
    return EXIT_SUCCESS;
}

static void print_words(const struct command_table *t, size_t part)
{
    for (size_t i = 0; i < t->count; i++) {
        struct str rest = str_of(t->commands[i].name);
        struct str first = str_cut(rest, ' ', &rest);

        if (t->commands[i].summary == NULL)
            continue;
        if (part == 0)
            printf("%.*s ", STR_ARG(first));
        else if (rest.len > 0)
            printf("      %.*s) words=\"$words %.*s\" ;;&\n", STR_ARG(first), STR_ARG(rest));
    }
}

/* Each option of any command once. */
static void print_options(const struct command_table *t)
{
    for (size_t i = 0; i < t->count * COMMAND_OPTIONS_MAX; i++) {
        const char *flag =
            t->commands[i / COMMAND_OPTIONS_MAX].options[i % COMMAND_OPTIONS_MAX].flag;
        bool is_new = flag != NULL;

        for (size_t j = 0; j < i && is_new; j++) {
            const struct command *c = &t->commands[j / COMMAND_OPTIONS_MAX];
            const char *other = c->options[j % COMMAND_OPTIONS_MAX].flag;

            is_new = other == NULL || strcmp(flag, other) != 0;
        }
        if (is_new)
            printf(" %s", flag);
    }
}

int command_completion(const struct invocation *v)
{
    const struct command_table *t = v->table;

    if (strcmp(v->words[0], "bash") != 0)
        return command_misuse(v, "no completion for '%s'; there is: bash", v->words[0]);
    printf("# bash completion for %s: eval \"$(%s completion bash)\"\n_%s()\n{\n"
           "  local word=${COMP_WORDS[COMP_CWORD]} words=\n  if [[ $word == -* ]]; then\n"
           "    words=\"--help --config=",
           t->program, t->program, t->program);
    print_options(t);
    for (size_t i = 0; i < t->config->count; i++)
        printf(" --%s=", t->config->keys[i].name);
    printf("\"\n  elif ((COMP_CWORD == 1)); then\n    words=\"");
    print_words(t, 0);
    printf("\"\n  elif ((COMP_CWORD == 2)); then\n    case ${COMP_WORDS[1]} in\n");
    print_words(t, 1);
    printf("    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "  [[ ${COMPREPLY[0]:-} == *= ]] && compopt -o nospace\n  return 0\n}\n"
           "complete -F _%s %s\n",
           t->program, t->program);
    return EXIT_SUCCESS;
}
