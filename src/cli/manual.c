/* SPDX-License-Identifier: Apache-2.0 */
/* The manual pages sandlot(1) and sandlot.conf(5), from the same tables as --help; see command.h.
 * The build runs it: https://man7.org/linux/man-pages/man7/groff_man.7.html */
#include <stdio.h>

#include "cli/command.h"

/* What roff would take for a request, an escape or a typographic sign. */
static void put(const char *text)
{
    static const struct {
        char byte;
        const char *roff;
    } special[] = {
        {'\\', "\\e"  },
        {'-',  "\\-"  },
        {'\'', "\\(aq"},
        {'`',  "\\(ga"},
        {'^',  "\\(ha"},
        {'~',  "\\(ti"},
        {'"',  "\\(dq"},
        {'.',  "\\&." },
    };

    for (; *text != '\0'; text++) {
        const char *roff = NULL;

        for (size_t i = 0; i < COUNT_OF(special); i++) {
            if (special[i].byte == *text)
                roff = special[i].roff;
        }
        if (roff != NULL)
            fputs(roff, stdout);
        else
            putchar(*text);
    }
}

static void section(const char *name)
{
    printf(".SH ");
    put(name);
    printf("\n");
}

static void line(const char *text)
{
    put(text);
    printf("\n");
}

/* A tag line of a list: bold words, then what is to be filled in. */
static void tag(const char *bold, const char *between, const char *italic)
{
    printf(".TP\n\\fB");
    put(bold);
    printf("\\fR");
    put(between);
    printf("\\fI");
    put(italic == NULL ? "" : italic);
    printf("\\fR\n");
}

static void head(const struct command_table *t, const char *title, int number)
{
    printf(".\\\" Generated from the tables of the program.\n.TH \"%s\" %d \"\" \"%s %s\" \"\"\n"
           ".nh\n.ad l\n",
           title, number, t->program, t->version);
}

static void put_commands(const struct command_table *t)
{
    section("COMMANDS");
    for (size_t i = 0; i < t->count; i++) {
        const struct command *c = &t->commands[i];

        if (c->summary == NULL)
            continue;
        tag(c->name, " ", c->args);
        line(c->summary);
        if (c->options[0].flag == NULL)
            continue;
        printf(".RS\n");
        for (size_t o = 0; o < COMMAND_OPTIONS_MAX && c->options[o].flag != NULL; o++) {
            tag(c->options[o].flag, c->options[o].value == NULL ? "" : "=", c->options[o].value);
            if (c->options[o].other != NULL) {
                printf("(or ");
                put(c->options[o].other);
                printf(")\n");
            }
            line(c->options[o].help);
        }
        printf(".RE\n");
    }
}

static void put_page_1(const struct command_table *t)
{
    head(t, "SANDLOT", 1);
    section("NAME");
    printf("%s \\- ", t->program);
    line(t->purpose);
    section("SYNOPSIS");
    printf(".B %s\n.I COMMAND\n.RI [ ARGUMENT ...]\n.RI [\\-\\- KEY = VALUE ...]\n", t->program);
    put_commands(t);
    section("OPTIONS");
    line("Every command takes these, and every key of the configuration as a flag.");
    tag("--config", "=", "FILE");
    printf("configuration file instead of\n.I ");
    line(t->config_file);
    tag("--KEY", "=", "VALUE");
    printf("one key of\n.BR %s.conf (5)\n", t->program);
    tag("--help", "", NULL);
    line("what the command takes, with every key and its default");
    section("EXIT STATUS");
    line("0 on success, 1 on failure, 2 when the command line or the configuration is wrong.");
    section("FILES");
    tag(t->config_file, "", NULL);
    printf("configuration, read when it exists; see\n.BR %s.conf (5)\n", t->program);
    section("SEE ALSO");
    printf(".BR %s.conf (5)\n", t->program);
}

static void put_key(const struct config_key *k)
{
    struct buf range;

    tag(k->name, " = ", k->fallback[0] == '\0' ? "(empty)" : k->fallback);
    line(k->help);
    printf(".br\n");
    buf_init(&range, 4096);
    config_range(k, &range);
    buf_add_byte(&range, '\0');
    line(buf_ok(&range) ? range.at : "");
    buf_done(&range);
}

static void put_page_5(const struct command_table *t)
{
    head(t, "SANDLOT.CONF", 5);
    section("NAME");
    printf("%s.conf \\- configuration of\n.BR %s (1)\n", t->program, t->program);
    section("DESCRIPTION");
    line("Lines of the form \"key = value\". Empty lines and lines that begin with # are skipped; "
         "a");
    line("# further on belongs to the value.");
    printf(".PP\n");
    line("The environment comes after the file: SANDLOT_ and the name of the key in capitals, with "
         "_");
    line("for each dot (SANDLOT_LOG_LEVEL). Flags come last (--log.level=debug). The last one "
         "wins.");
    section("KEYS");
    line("Each with its default.");
    for (size_t i = 0; i < t->config->count; i++)
        put_key(&t->config->keys[i]);
    section("FILES");
    tag(t->config_file, "", NULL);
    line("read when it exists");
    section("SEE ALSO");
    printf(".BR %s (1)\n", t->program);
}

int command_manual(const struct invocation *v)
{
    if (strcmp(v->words[0], "1") == 0)
        put_page_1(v->table);
    else if (strcmp(v->words[0], "5") == 0)
        put_page_5(v->table);
    else
        return command_fail(v, "no section '%s'; there are: 1, 5", v->words[0]);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : command_fail(v, "cannot write");
}
